//! Consent resources that deny, as far as they are in force: kept in memory, brought up to date
//! from the log.

mod restriction;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use resources::{Doc, model::ResourceType};
use tokio::sync::Mutex;

use super::error::AuthError;
use crate::{
    access::{Access, Denial},
    engine::Engine,
    store::{LogFilter, Store},
};
pub use restriction::Reader;
use restriction::{Restriction, restrictions};

/// What Consents withhold.
#[derive(Debug, Default)]
pub struct Consents(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By the Consent's number.
    restrictions: BTreeMap<i64, Vec<Restriction>>,
    /// The newest version that was looked at: when it was made, in milliseconds since 1970.
    newest: Option<i64>,
    /// The count of the engine's changes of Consents at that time, and the time.
    looked: Option<(u64, i64)>,
}

/// For how long nothing is asked if this process has changed no Consent.
const PAUSE_MS: i64 = 1_000;

/// Commits on another node can appear this much out of order.
const OVERLAP_MS: i64 = 60_000;

const PAGE: usize = 500;

const WHY: Access = Access::system("consents decide about access");

impl Consents {
    /// What is withheld from a reader at `now`.
    ///
    /// # Errors
    /// The store refuses; then nothing may be shown.
    pub async fn denials(
        &self,
        engine: &Arc<Engine>,
        store: &Store,
        reader: Reader<'_>,
        now: i64,
    ) -> Result<Vec<Denial>, AuthError> {
        let mut known = self.0.lock().await;
        // Before the look: what changes meanwhile is looked at next time.
        let changes = engine.consent_changes();
        let is_fresh = known
            .looked
            .is_some_and(|(seen, at)| seen == changes && now < at + PAUSE_MS);
        if !is_fresh {
            known.look(engine, store).await?;
            known.looked = Some((changes, now));
        }
        let all = known.restrictions.values().flatten();
        Ok(all.flat_map(|one| one.denials(reader, now)).collect())
    }
}

impl Known {
    /// Takes in what the log has since the last look, newest versions first.
    async fn look(&mut self, engine: &Engine, store: &Store) -> Result<(), AuthError> {
        let since = self.newest.map(|at| at - OVERLAP_MS);
        let mut seen: HashSet<i64> = HashSet::new();
        let mut below = None;
        loop {
            let filter = LogFilter {
                kind: Some(ResourceType::CONSENT),
                since,
                below,
                ..LogFilter::default()
            };
            let entries = store.log(&filter, PAGE, &WHY).await?;
            for entry in &entries {
                let head = &entry.stored.head;
                below = Some(head.vid);
                self.newest = self.newest.max(Some(head.updated));
                if seen.insert(head.rid) {
                    let found = match head.deleted {
                        true => Vec::new(),
                        false => read(engine, &entry.stored.body)?,
                    };
                    self.restrictions.insert(head.rid, found);
                }
            }
            if entries.len() < PAGE {
                break;
            }
        }
        self.restrictions.retain(|_, found| !found.is_empty());
        Ok(())
    }
}

fn read(engine: &Engine, text: &[u8]) -> Result<Vec<Restriction>, AuthError> {
    let damaged = || AuthError::Damaged("a Consent in the store cannot be read".to_owned());
    let text = std::str::from_utf8(text).map_err(|_| damaged())?;
    let doc = Doc::parse(text).map_err(|_| damaged())?;
    let registry = engine.registry();
    let has_code = |kind| registry.param(kind, "code").is_some();
    let base_url = &engine.settings().base_url;
    Ok(restrictions(&doc, base_url, &has_code))
}
