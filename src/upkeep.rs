//! The whole store looked through: is the index what the texts say, and does the log agree with
//! the heads?

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use resources::{
    Doc,
    doc::Bounds,
    index::{Entry, ParamId, Registry},
    primitive::{DateRange, format_instant},
};

use crate::{
    access::Access,
    store::{Dated, Head, Indexed, ParameterState, Reindex, Store, StoreError},
};

static ACCESS: Access = Access::system("an operator looks the whole store through");
/// Resources looked at together.
const BATCH: usize = 500;
/// Index entries looked at together.
const ENTRIES: usize = 50_000;
/// How often, and after which pause, a change of the search parameters is waited for.
const PATIENCE: usize = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// What the index must follow from.
pub struct Rules<'a> {
    /// The search parameters in force.
    pub registry: Arc<Registry>,
    /// Their generation.
    pub generation: i64,
    /// The server's base URL: absolute references below it count as local.
    pub base_url: &'a str,
}

/// What came of looking through the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Resources looked at.
    pub resources: u64,
    /// Resources with something wrong, or changed.
    pub different: u64,
}

/// What was mended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mended {
    /// Resources looked at.
    pub resources: u64,
    /// Resources whose index entries were not what their text asks for.
    pub reindexed: u64,
    /// Index entries of what is deleted or never was.
    pub strays: u64,
    /// Versions and heads with another date than their text.
    pub dates: u64,
}

/// Derives the index entries of every resource anew and compares them, and heads, log, hashes,
/// dates and words with each other. Each difference is told to `report` as a sentence.
///
/// # Errors
/// The store fails.
pub async fn verify(
    store: &Store,
    rules: &Rules<'_>,
    mut report: impl FnMut(String),
) -> Result<Looked, StoreError> {
    let mut looked = Looked::default();
    let mut told = |sentence| {
        looked.different += 1;
        report(sentence);
    };
    let mut after = 0;
    loop {
        let (defects, last) = store.defects(after, BATCH, &ACCESS).await?;
        defects.into_iter().for_each(&mut told);
        let Some(last) = last else { break };
        after = last;
    }
    after = 0;
    loop {
        let (spoiled, last) = store.spoiled(after, BATCH, &ACCESS).await?;
        spoiled.into_iter().for_each(&mut told);
        let Some(last) = last else { break };
        after = last;
    }
    verify_dates(store, &mut told).await?;
    let unfinished = unfinished(store).await?;
    let mut resources = 0;
    after = 0;
    loop {
        let found = store.indexed(after, BATCH, &ACCESS).await?;
        let Some(last) = found.last() else { break };
        after = last.head.rid;
        resources += found.len() as u64;
        for indexed in &found {
            difference(indexed, rules, &unfinished)
                .into_iter()
                .for_each(&mut told);
        }
    }
    let mut orphans = 0;
    let mut place = None;
    loop {
        let (found, next) = store.orphans(place, ENTRIES).await?;
        orphans += found;
        place = next;
        if place.is_none() {
            break;
        }
    }
    if orphans > 0 {
        told(format!("{orphans} index entries belong to no resource"));
    }
    verify_words(store, &mut told).await?;
    looked.resources = resources;
    Ok(looked)
}

async fn verify_dates(store: &Store, told: &mut impl FnMut(String)) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let log = store.dated(after, BATCH, &ACCESS).await?;
        let Some((last, _)) = log.last() else { break };
        let part = (after, last.vid);
        after = part.1;
        for (found, right) in log
            .iter()
            .filter_map(|entry| Some((&entry.0, misdated(entry)?)))
        {
            told(format!(
                "{}/{}: version {} is dated {} in the log and {} in its text",
                found.kind,
                found.id,
                found.version,
                format_instant(found.updated),
                format_instant(right.updated)
            ));
        }
        for deletion in store.misdated_deletions(part, &ACCESS).await? {
            told(format!(
                "resource {}: the deletion, version {}, is dated before the version before it or \
                 after the one behind it",
                deletion.rid, deletion.version
            ));
        }
    }
    after = 0;
    loop {
        let (found, last) = store.misdated_heads(after, BATCH, &ACCESS).await?;
        // Others are compared with their text.
        for head in found.iter().filter(|head| head.deleted) {
            told(format!(
                "resource {}: head and log disagree about the date of its deletion",
                head.rid
            ));
        }
        let Some(last) = last else { return Ok(()) };
        after = last;
    }
}

async fn verify_words(store: &Store, told: &mut impl FnMut(String)) -> Result<(), StoreError> {
    match store.check_words().await {
        Ok(()) => {}
        Err(error @ StoreError::Words(_)) => {
            told(error.to_string());
            return Ok(());
        }
        Err(other) => return Err(other),
    }
    let mut misworded = 0;
    let mut after = 0;
    loop {
        let (count, last) = store.misworded(after, BATCH, &ACCESS).await?;
        misworded += count;
        let Some(last) = last else { break };
        after = last;
    }
    if misworded > 0 {
        told(format!(
            "full-text search lacks the words of resources, or keeps those of deleted ones: \
             {misworded} of them"
        ));
    }
    Ok(())
}

/// Derives the index entries of every resource anew and mends those that differ; removes entries
/// of what is not there; dates versions and heads as their texts say. Others may write meanwhile:
/// a resource that changes is left to its writer. `progress` is told how many resources were
/// looked at. When the search parameters change, `rules` is asked again.
///
/// # Errors
/// The store fails.
pub async fn reindex<'a>(
    store: &Store,
    rules: impl Fn() -> Rules<'a>,
    mut progress: impl FnMut(u64),
) -> Result<Mended, StoreError> {
    let mut mended = Mended {
        dates: redate(store).await?,
        ..Mended::default()
    };
    let mut after = 0;
    let mut patience = PATIENCE;
    loop {
        let found = store.indexed(after, BATCH, &ACCESS).await?;
        let Some(last) = found.last() else { break };
        let rules = rules();
        let changes: Vec<Reindex> = found
            .iter()
            .filter_map(|indexed| change(indexed, &rules))
            .collect();
        if !changes.is_empty() {
            match store.reindex(changes, rules.generation).await {
                Ok(reindexed) => mended.reindexed += reindexed as u64,
                Err(StoreError::Outdated) if patience > 0 => {
                    patience -= 1;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        after = last.head.rid;
        mended.resources += found.len() as u64;
        progress(mended.resources);
    }
    let mut place = None;
    loop {
        let (strays, next) = store.strays(place, ENTRIES, &ACCESS).await?;
        for part in strays.chunks(BATCH) {
            mended.strays += store.remove_strays(part.to_vec()).await?;
        }
        place = next;
        if place.is_none() {
            return Ok(mended);
        }
    }
}

/// Dates versions by their texts, then deletions by their neighbours, then heads by their
/// versions; how many.
async fn redate(store: &Store) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut parts = Vec::new();
    let mut after = 0;
    loop {
        let log = store.dated(after, BATCH, &ACCESS).await?;
        let Some((last, _)) = log.last() else { break };
        parts.push((after, last.vid));
        after = last.vid;
        let dates: Vec<Dated> = log.iter().filter_map(misdated).collect();
        count += dates.len() as u64;
        store.redate(dates).await?;
    }
    for part in parts {
        let dates = store.misdated_deletions(part, &ACCESS).await?;
        count += dates.len() as u64;
        store.redate(dates).await?;
    }
    after = 0;
    loop {
        let (dates, last) = store.misdated_heads(after, BATCH, &ACCESS).await?;
        count += dates.len() as u64;
        store.redate(dates).await?;
        let Some(last) = last else { return Ok(count) };
        after = last;
    }
}

/// The date that a version's text gives it, if the log has another. A deletion has no text.
fn misdated((found, text): &(Head, Option<Bytes>)) -> Option<Dated> {
    if found.deleted {
        return None;
    }
    let doc = Doc::parse_bytes(text.as_ref()?, &Bounds::default()).ok()?;
    let updated = last_updated(&doc)?;
    (updated != found.updated).then_some(Dated {
        rid: found.rid,
        version: found.version,
        vid: found.vid,
        updated,
        deleted: false,
    })
}

fn last_updated(doc: &Doc) -> Option<i64> {
    let text = doc.root().get("meta")?.get("lastUpdated")?.plain_str()?;
    let instant = DateRange::parse(text)?.lo;
    (format_instant(instant) == text).then_some(instant)
}

/// Parameters that are not indexed everywhere yet: a missing entry means nothing.
async fn unfinished(store: &Store) -> Result<BTreeSet<ParamId>, StoreError> {
    let (_, parameters) = store.parameters().await?;
    Ok(parameters
        .into_iter()
        .filter(|parameter| parameter.state != ParameterState::Ready)
        .map(|parameter| parameter.id)
        .collect())
}

/// The date and the entries that the text of a resource asks for.
fn derived(indexed: &Indexed, rules: &Rules<'_>) -> Result<(i64, Vec<Entry>), String> {
    let head = &indexed.head;
    let text = indexed
        .text
        .as_ref()
        .map_err(|reason| format!("its text cannot be read: {reason}"))?;
    let doc = Doc::parse_bytes(text, &Bounds::default())
        .map_err(|error| format!("its text cannot be read: {error}"))?;
    let root = doc.root();
    let id = root.get("id").and_then(|id| id.plain_str());
    let version = root
        .get("meta")
        .and_then(|meta| meta.get("versionId")?.plain_str()?.parse().ok());
    if doc.resource_type() != Some(head.kind.name())
        || id != Some(head.id.as_str())
        || version != Some(head.version)
    {
        return Err("its text names another type, id or version".to_owned());
    }
    let updated = last_updated(&doc).ok_or("its text has no date")?;
    Ok((
        updated,
        rules.registry.rows(head.kind, &doc, rules.base_url),
    ))
}

fn difference(indexed: &Indexed, rules: &Rules<'_>, unfinished: &BTreeSet<ParamId>) -> Vec<String> {
    let head = &indexed.head;
    let name = format!("{}/{}", head.kind, head.id);
    let (updated, expected) = match derived(indexed, rules) {
        Ok(derived) => derived,
        Err(reason) => return vec![format!("{name}: {reason}")],
    };
    let date = (updated != head.updated).then(|| {
        format!(
            "{name}: the head is dated {}, its text {}",
            format_instant(head.updated),
            format_instant(updated)
        )
    });
    let entries = entry_difference(&name, &expected, &indexed.entries, rules, unfinished);
    date.into_iter().chain(entries).collect()
}

/// Which parameters have other entries than they should.
fn entry_difference(
    name: &str,
    expected: &[Entry],
    found: &[Entry],
    rules: &Rules<'_>,
    unfinished: &BTreeSet<ParamId>,
) -> Option<String> {
    let counts = |entry: &&Entry| !unfinished.contains(&entry.param);
    let expected: BTreeSet<&Entry> = expected.iter().filter(counts).collect();
    let found: BTreeSet<&Entry> = found.iter().filter(counts).collect();
    if expected == found {
        return None;
    }
    let codes = |entries: &mut dyn Iterator<Item = &&Entry>| {
        let codes: BTreeSet<&str> = entries
            .map(|entry| {
                let param = rules.registry.by_id(entry.param);
                param.map_or("?", |param| param.code.as_str())
            })
            .collect();
        codes.into_iter().collect::<Vec<_>>().join(", ")
    };
    let missing = codes(&mut expected.difference(&found));
    let surplus = codes(&mut found.difference(&expected));
    Some(match (missing.as_str(), surplus.as_str()) {
        (missing, "") => format!("{name}: index entries are missing of {missing}"),
        ("", surplus) => format!("{name}: index entries too many of {surplus}"),
        _ => format!("{name}: index entries missing of {missing}, too many of {surplus}"),
    })
}

fn change(indexed: &Indexed, rules: &Rules<'_>) -> Option<Reindex> {
    let head = &indexed.head;
    let expected = match derived(indexed, rules) {
        Ok((_, expected)) => expected,
        Err(reason) => {
            tracing::error!(resource = %format!("{}/{}", head.kind, head.id), reason, "not reindexed");
            return None;
        }
    };
    let expected: BTreeSet<&Entry> = expected.iter().collect();
    let found: BTreeSet<&Entry> = indexed.entries.iter().collect();
    let add: Vec<Entry> = expected.difference(&found).copied().cloned().collect();
    let remove: Vec<Entry> = found.difference(&expected).copied().cloned().collect();
    (!add.is_empty() || !remove.is_empty()).then_some(Reindex {
        rid: head.rid,
        version: head.version,
        add,
        remove,
    })
}
