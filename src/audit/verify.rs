//! Is the audit what was recorded? Every row against its seal, every seal against the one before
//! it, and the chain against the anchors outside of the database.

use std::{collections::HashMap, path::Path};

use super::{
    anchor::{self, Anchor, AnchorError, AnchorSigner, hex, line_hash},
    chain::Hasher,
    encode::Row,
    sealer::place,
};
use crate::store::{AuditRow, AuditSeal, Store};

/// Seals, and rows, looked at together.
const SEALS: usize = 500;
const ROWS: usize = 5_000;
const BYTES: usize = 16 << 20;

/// What came of looking through the audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Rows looked at,
    pub rows: u64,
    /// of which so many are not sealed yet.
    pub unsealed: u64,
    /// Anchors looked at.
    pub anchors: u64,
    /// Differences told.
    pub different: u64,
}

/// Looks through the audit, and tells each difference as a sentence. `anchors` is the file of
/// anchors with the key that signed them.
///
/// # Errors
/// The store fails, or the anchors cannot be read.
pub async fn verify(
    store: &Store,
    anchors: Option<(&Path, &AnchorSigner)>,
    mut report: impl FnMut(String),
) -> Result<Verified, AnchorError> {
    let mut verified = Verified::default();
    let mut told = |sentence: String| {
        verified.different += 1;
        report(sentence);
    };
    let mut anchored = match anchors {
        Some((path, signer)) => read_anchors(path, signer, &mut told)?,
        None => HashMap::new(),
    };
    verified.anchors = anchored.values().map(|all| all.len() as u64).sum();
    let mut before: Option<AuditSeal> = None;
    if let Some((first, _)) = store.audit_ends().await?
        && first < 1
    {
        told(format!(
            "the audit has a row {first}; the first one ever was 1"
        ));
    }
    loop {
        let after = before.as_ref().map_or(0, |seal| seal.number);
        let seals = store.audit_seals(after, SEALS).await?;
        if seals.is_empty() {
            break;
        }
        for seal in seals {
            for anchor in anchored.remove(&seal.number).unwrap_or_default() {
                against_anchor(&seal, &anchor, &mut told);
            }
            link(before.as_ref(), &seal, &mut told);
            verified.rows += content(store, &seal, &mut told).await?;
            before = Some(seal);
        }
    }
    let newest = before.as_ref().map_or(0, |seal| seal.number);
    let mut lost: Vec<&Anchor> = anchored.values().flatten().collect();
    lost.sort_by_key(|anchor| anchor.number);
    if let Some(last) = lost.last() {
        told(format!(
            "the chain ends at seal {newest}, but {} anchors are of later ones, the last one of \
             {}, when it went to seal {} and row {}: what is newer was cut off, or the database \
             is an older backup",
            lost.len(),
            last.time,
            last.seal,
            last.last_seq
        ));
    }
    let sealed = before.as_ref().map_or(0, |seal| seal.last_seq);
    verified.unsealed = tail(store, sealed, &mut told).await?;
    verified.rows += verified.unsealed;
    Ok(verified)
}

/// The anchors by the number of their seal.
fn read_anchors(
    path: &Path,
    signer: &AnchorSigner,
    told: &mut impl FnMut(String),
) -> Result<HashMap<i64, Vec<Anchor>>, AnchorError> {
    let mut by_seal: HashMap<i64, Vec<Anchor>> = HashMap::new();
    let mut previous = String::new();
    for (at, (anchor, line)) in anchor::read(path)?.into_iter().enumerate() {
        let number = at as u64 + 1;
        if !signer.has_signed(&line) {
            told(format!(
                "anchor {number} was not signed with the key, or was changed"
            ));
        }
        if anchor.number != number || anchor.previous != previous {
            told(format!(
                "anchor {number} does not follow the one before: lines are missing"
            ));
        }
        previous = line_hash(&line);
        by_seal.entry(anchor.seal).or_default().push(anchor);
    }
    Ok(by_seal)
}

fn against_anchor(seal: &AuditSeal, anchor: &Anchor, told: &mut impl FnMut(String)) {
    if hex(&seal.hash) != anchor.hash || seal.total != anchor.rows {
        told(format!(
            "{} is not the one that anchor {} of {} is of: the chain was made anew",
            place(seal),
            anchor.number,
            anchor.time
        ));
    }
}

fn link(before: Option<&AuditSeal>, seal: &AuditSeal, told: &mut impl FnMut(String)) {
    let (number, last, total) =
        before.map_or((0, 0, 0), |seal| (seal.number, seal.last_seq, seal.total));
    if seal.number != number + 1 {
        told(format!(
            "after seal {number} comes {}: seals are missing",
            place(seal)
        ));
        return;
    }
    let follows = before.is_none_or(|before| before.hash == seal.previous);
    if !follows || seal.first_seq != last + 1 || seal.total != total + seal.rows {
        told(format!(
            "{} does not follow from the one before it",
            place(seal)
        ));
    }
}

/// Compares a block's rows with its seal; how many there are.
async fn content(
    store: &Store,
    seal: &AuditSeal,
    told: &mut impl FnMut(String),
) -> Result<u64, AnchorError> {
    let mut hash = Hasher::new(seal);
    let mut count = 0;
    let mut from = seal.first_seq;
    while from <= seal.last_seq {
        let rows = store.audit_rows((from, seal.last_seq), ROWS, BYTES).await?;
        let Some(last) = rows.last() else { break };
        from = last.seq + 1;
        count += rows.len() as u64;
        for row in &rows {
            hash.row(row);
            readable(row, told);
        }
    }
    if count != seal.rows.unsigned_abs() {
        told(format!(
            "{} was of {} rows and has {count}",
            place(seal),
            seal.rows
        ));
    } else if hash.finish() != seal.hash {
        told(format!(
            "{}: a row, or the seal itself, was changed",
            place(seal)
        ));
    }
    Ok(count)
}

/// Rows that are not sealed yet: only whether they can be read.
async fn tail(
    store: &Store,
    sealed: i64,
    told: &mut impl FnMut(String),
) -> Result<u64, AnchorError> {
    let (mut from, mut count) = (sealed + 1, 0);
    loop {
        let rows = store.audit_rows((from, i64::MAX), ROWS, BYTES).await?;
        let Some(last) = rows.last() else {
            return Ok(count);
        };
        count += rows.len() as u64;
        rows.iter().for_each(|row| readable(row, told));
        match last.seq.checked_add(1) {
            Some(next) => from = next,
            None => return Ok(count),
        }
    }
}

fn readable(row: &AuditRow, told: &mut impl FnMut(String)) {
    let read = Row::read(&row.body);
    let read = read.and_then(|row| row.events()?.try_for_each(|event| event.map(drop)));
    if let Err(error) = read {
        told(format!("row {} of the audit: {error}", row.seq));
    }
}
