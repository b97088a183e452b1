//! The index is brought in line with posted search parameters, in the background.
//!
//! Any node may do it, and several may do it at once: each step depends on nothing but the text
//! and the entries of the resources that it looks at. Usually it is the node that got the
//! SearchParameter; if it makes no progress any more, another takes over.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use resources::index::ParamId;

use super::{Engine, error::Error, parameters::Known, planner::difference};
use crate::{
    access::Access,
    store::{Parameter, ParameterState, Reindex, StoreError},
};

static ACCESS: Access = Access::system("every resource is indexed");
/// Resources looked at in one step of indexing.
const STEP: usize = 200;
/// Steps after which the place is written down.
const REMEMBER: usize = 20;
/// The pause after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// The pause while commits of an older generation end.
const SETTLING: Duration = Duration::from_millis(20);
/// How often a node looks whether others changed the parameters.
const WATCH: Duration = Duration::from_secs(1);
/// Without progress for so long, the node that works on a parameter is taken to be gone.
const GONE: Duration = Duration::from_secs(30);

/// How far the work on a parameter is.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Others may still write without it.
    Begin,
    /// The generation was raised; what was under way before has not ended.
    Settling(i64),
    /// From one resource up to another.
    Scan(Scan),
}

/// What of the resources of a type is done.
#[derive(Debug, Clone, Copy)]
struct Scan {
    /// The number of the last resource that is done.
    after: i64,
    /// The number of the last resource that was there when writers knew the parameter: whatever
    /// has come since has its entries.
    until: i64,
    /// Steps taken.
    steps: usize,
}

/// How long the parameters that others work on have been as far as they are.
type Still = HashMap<ParamId, (i64, Instant)>;

impl Engine {
    /// Works on a parameter, unless this node does already. `raised` is from when the generation
    /// was raised since the parameter was put.
    pub(super) fn index_in_background(&self, row: Parameter, raised: Option<i64>) {
        if !self.parameters.take(row.id) {
            return;
        }
        // It holds the engine only for a step at a time, so that the engine can be dropped.
        let me = self.me.clone();
        tokio::spawn(async move {
            let mut stage = Some(raised.map_or(Stage::Begin, Stage::Settling));
            while let Some(at) = stage {
                let Some(engine) = me.upgrade() else { return };
                let advanced = engine.advance(&row, at).await;
                drop(engine);
                match advanced {
                    Ok(next) => stage = next,
                    Err(error) => {
                        tracing::warn!(%error, code = row.code, "indexing waits and goes on");
                        tokio::time::sleep(AFTER_FAILURE).await;
                    }
                }
                if matches!(stage, Some(Stage::Settling(_))) {
                    tokio::time::sleep(SETTLING).await;
                }
            }
            if let Some(engine) = me.upgrade() {
                engine.parameters.leave(row.id);
            }
        });
    }

    /// One step of the work; `None` at its end.
    async fn advance(&self, row: &Parameter, stage: Stage) -> Result<Option<Stage>, Error> {
        match stage {
            Stage::Begin => Ok(Some(Stage::Settling(self.store.raise_generation().await?))),
            Stage::Settling(raised) => {
                if !self.store.is_settled(raised).await? {
                    return Ok(Some(stage));
                }
                self.read_parameters().await?;
                let before_all = (row.base.number() << 44) - 1;
                Ok(Some(Stage::Scan(Scan {
                    after: row.done.max(before_all),
                    until: self.store.newest_number(row.base).await?,
                    steps: 0,
                })))
            }
            Stage::Scan(mut scan) => {
                let known = self.parameters.known();
                let is_wanted = known.posted.iter().any(|posted| {
                    posted.id == row.id && posted.state == row.state && posted.is_unfinished()
                });
                if !is_wanted {
                    return Ok(None);
                }
                let reached = if scan.after < scan.until {
                    self.index_step(row, scan.after, &known).await?
                } else {
                    None
                };
                let Some(reached) = reached else {
                    self.indexed_all(row).await?;
                    return Ok(None);
                };
                scan.after = reached;
                scan.steps += 1;
                if scan.steps.is_multiple_of(REMEMBER) {
                    let progress = (row.state, reached);
                    self.store
                        .mark_parameter(row.id, row.state, progress)
                        .await?;
                }
                Ok(Some(Stage::Scan(scan)))
            }
        }
    }

    async fn indexed_all(&self, row: &Parameter) -> Result<(), Error> {
        let end = match row.state {
            ParameterState::Retired => (ParameterState::Retired, Parameter::REMOVED),
            _ => (ParameterState::Ready, 0),
        };
        if self.store.mark_parameter(row.id, row.state, end).await? {
            tracing::info!(code = row.code, base = %row.base, "a search parameter is indexed");
        }
        self.read_parameters().await?;
        Ok(())
    }

    /// Brings the entries of the next resources in line; how far it came, `None` at the end.
    async fn index_step(
        &self,
        row: &Parameter,
        after: i64,
        known: &Known,
    ) -> Result<Option<i64>, Error> {
        let found = self.store.indexed(after, STEP, &ACCESS).await?;
        let mut changes = Vec::new();
        let mut reached = None;
        for indexed in found {
            let head = &indexed.head;
            if head.kind != row.base {
                break;
            }
            reached = Some(head.rid);
            let doc = super::submit::parse_stored(&indexed.stored()?)?;
            let new = known
                .registry
                .rows(head.kind, &doc, &self.settings.base_url);
            let (add, remove) = difference(indexed.entries, new);
            if !add.is_empty() || !remove.is_empty() {
                changes.push(Reindex {
                    rid: head.rid,
                    version: head.version,
                    add,
                    remove,
                });
            }
        }
        let wanted = changes.len();
        if wanted == 0 {
            return Ok(reached);
        }
        match self.store.reindex(changes, known.generation).await {
            Ok(done) if done == wanted => Ok(reached),
            // Somebody wrote one of them in between: look at the same ones again.
            Ok(_) => Ok(Some(after)),
            Err(StoreError::Outdated) => {
                self.read_parameters().await?;
                Ok(Some(after))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks from time to time what other nodes did to the parameters.
    pub(super) fn watch_parameters(&self) {
        let me: Weak<Self> = self.me.clone();
        tokio::spawn(async move {
            let mut still = Still::new();
            loop {
                tokio::time::sleep(WATCH).await;
                let Some(engine) = me.upgrade() else { return };
                if let Err(error) = engine.look_at_parameters(&mut still).await {
                    tracing::debug!(%error, "the search parameters could not be looked at");
                }
            }
        });
    }

    async fn look_at_parameters(&self, still: &mut Still) -> Result<(), StoreError> {
        let mut known: Arc<Known> = self.newest_parameters().await?;
        if known.posted.iter().any(Parameter::is_unfinished) {
            // That a parameter is ready does not raise the generation.
            known = self.read_parameters().await?;
        }
        still.retain(|id, _| {
            known
                .posted
                .iter()
                .any(|row| row.id == *id && row.is_unfinished())
        });
        for row in known.posted.iter().filter(|row| row.is_unfinished()) {
            let (done, since) = still.entry(row.id).or_insert((row.done, Instant::now()));
            if *done != row.done {
                (*done, *since) = (row.done, Instant::now());
            } else if since.elapsed() > GONE {
                *since = Instant::now();
                self.index_in_background(row.clone(), None);
            }
        }
        Ok(())
    }
}
