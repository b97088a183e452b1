//! The whole store looked through: is the index what the texts say, and does the log agree with
//! the heads?

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use resources::{
    Doc,
    index::{Entry, ParamId, Registry},
};

use crate::{
    access::Access,
    store::{Indexed, ParameterState, Reindex, Store, StoreError},
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

/// Derives the index entries of every resource anew and compares them, and heads, log and hashes
/// with each other. Each difference is told to `report` as a sentence.
///
/// # Errors
/// The store fails.
pub async fn verify(
    store: &Store,
    rules: &Rules<'_>,
    mut report: impl FnMut(String),
) -> Result<Looked, StoreError> {
    let mut looked = Looked::default();
    let mut after = 0;
    loop {
        let (defects, last) = store.defects(after, BATCH, &ACCESS).await?;
        looked.different += defects.len() as u64;
        defects.into_iter().for_each(&mut report);
        let Some(last) = last else { break };
        after = last;
    }
    after = 0;
    loop {
        let (spoiled, last) = store.spoiled(after, BATCH, &ACCESS).await?;
        looked.different += spoiled.len() as u64;
        spoiled.into_iter().for_each(&mut report);
        let Some(last) = last else { break };
        after = last;
    }
    let unfinished = unfinished(store).await?;
    after = 0;
    loop {
        let found = store.indexed(after, BATCH, &ACCESS).await?;
        let Some(last) = found.last() else { break };
        after = last.stored.head.rid;
        for indexed in &found {
            looked.resources += 1;
            if let Some(sentence) = difference(indexed, rules, &unfinished) {
                looked.different += 1;
                report(sentence);
            }
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
        looked.different += 1;
        report(format!("{orphans} index entries belong to no resource"));
    }
    Ok(looked)
}

/// Derives the index entries of every resource anew and mends those that differ. Others may
/// write meanwhile: a resource that changes is left to its writer. When the search parameters
/// change, `rules` is asked again.
///
/// # Errors
/// The store fails.
pub async fn reindex<'a>(
    store: &Store,
    rules: impl Fn() -> Rules<'a>,
    mut progress: impl FnMut(&Looked),
) -> Result<Looked, StoreError> {
    let mut looked = Looked::default();
    let mut after = 0;
    let mut patience = PATIENCE;
    loop {
        let found = store.indexed(after, BATCH, &ACCESS).await?;
        let Some(last) = found.last() else {
            return Ok(looked);
        };
        let rules = rules();
        let changes: Vec<Reindex> = found
            .iter()
            .filter_map(|indexed| change(indexed, &rules))
            .collect();
        if !changes.is_empty() {
            match store.reindex(changes, rules.generation).await {
                Ok(mended) => looked.different += mended as u64,
                Err(StoreError::Outdated) if patience > 0 => {
                    patience -= 1;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        after = last.stored.head.rid;
        looked.resources += found.len() as u64;
        progress(&looked);
    }
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

/// The entries that the text of a resource asks for.
fn derived(indexed: &Indexed, rules: &Rules<'_>) -> Result<Vec<Entry>, String> {
    let head = &indexed.stored.head;
    let text = String::from_utf8(indexed.stored.body.to_vec())
        .map_err(|_| "its text is not UTF-8".to_owned())?;
    let doc = Doc::parse(text).map_err(|error| format!("its text cannot be read: {error}"))?;
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
    Ok(rules.registry.rows(head.kind, &doc, rules.base_url))
}

fn difference(
    indexed: &Indexed,
    rules: &Rules<'_>,
    unfinished: &BTreeSet<ParamId>,
) -> Option<String> {
    let head = &indexed.stored.head;
    let name = format!("{}/{}", head.kind, head.id);
    let expected = match derived(indexed, rules) {
        Ok(expected) => expected,
        Err(reason) => return Some(format!("{name}: {reason}")),
    };
    let counts = |entry: &&Entry| !unfinished.contains(&entry.param);
    let expected: BTreeSet<&Entry> = expected.iter().filter(counts).collect();
    let found: BTreeSet<&Entry> = indexed.entries.iter().filter(counts).collect();
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
    let head = &indexed.stored.head;
    let expected = match derived(indexed, rules) {
        Ok(expected) => expected,
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
