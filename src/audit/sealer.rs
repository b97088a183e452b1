//! Seals the rows in the background, block by block, and anchors the chain outside the database.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    anchor::{AnchorError, Anchors},
    chain::{BYTES, Block, ROWS},
};
use crate::{
    clock::Clock,
    store::{AuditRow, AuditSeal, Store, StoreError},
};

/// How often it is looked for full blocks.
const LOOK: Duration = Duration::from_secs(1);
/// How long, at shutdown, the end of others' transactions is waited for.
const PATIENCE: usize = 200;

/// Seals and anchors.
pub struct Sealer {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    anchors: Mutex<Option<Anchors>>,
    every: Duration,
    begun: tokio::sync::Mutex<Begun>,
}

/// A block that is not full: what it has is read once, and not again at each look.
#[derive(Default)]
struct Begun {
    /// Behind this row.
    after: i64,
    block: Block,
    rows: Vec<AuditRow>,
}

impl Sealer {
    /// A sealer that makes at least one block in each `every`, if there are rows, and anchors it
    /// in `anchors`, if there are any.
    pub fn start(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        anchors: Option<Anchors>,
        every: Duration,
    ) -> Arc<Self> {
        let sealer = Arc::new(Self {
            store,
            clock,
            anchors: Mutex::new(anchors),
            every,
            begun: tokio::sync::Mutex::default(),
        });
        tokio::spawn(follow(Arc::downgrade(&sealer), every));
        sealer
    }

    /// Seals and anchors all rows that are there.
    ///
    /// # Errors
    /// The store fails, or the anchor cannot be written.
    pub async fn seal_all(&self) -> Result<(), AnchorError> {
        let end = self.store.audit_ends().await?.map_or(0, |(_, last)| last);
        for _ in 0..PATIENCE {
            self.seal(true).await?;
            let last = self.store.last_audit_seal().await?;
            if last.map_or(0, |seal| seal.last_seq) >= end {
                break;
            }
            // Others' transactions must end first.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.anchor().await
    }

    /// Seals what is there; a block that is not full only if it is `due`.
    async fn seal(&self, due: bool) -> Result<(), StoreError> {
        while self.one(due).await? {}
        Ok(())
    }

    /// Seals one block, if there is one to be sealed.
    async fn one(&self, due: bool) -> Result<bool, StoreError> {
        let mut begun = self.begun.lock().await;
        let before = self.store.last_audit_seal().await?;
        let after = before.as_ref().map_or(0, |seal| seal.last_seq);
        // This block was sealed: by the round before, or by another node.
        if begun.after != after {
            *begun = Begun {
                after,
                ..Begun::default()
            };
        }
        let full = begun.fill(&self.store).await?;
        if begun.rows.is_empty() || !(full || due) {
            return Ok(false);
        }
        let genesis = match &before {
            Some(_) => Vec::new(),
            None => genesis()?,
        };
        let Begun { block, rows, .. } = std::mem::take(&mut *begun);
        let seal = block.seal(before.as_ref(), &genesis, &rows);
        // If another node was faster, its block is as good.
        self.store.seal_audit(&seal).await?;
        Ok(true)
    }

    /// Notes the newest seal outside the database.
    async fn anchor(&self) -> Result<(), AnchorError> {
        let Some(seal) = self.store.last_audit_seal().await? else {
            return Ok(());
        };
        let now = self.clock.now();
        let mut anchors = self.anchors.lock().unwrap_or_else(PoisonError::into_inner);
        match anchors.as_mut() {
            Some(anchors) => anchors.append(&seal, now),
            None => Ok(()),
        }
    }

    async fn look(&self, due: bool) {
        let sealed = self.seal(due).await;
        let done = match (sealed, due) {
            (Ok(()), true) => self.anchor().await,
            (done, _) => done.map_err(AnchorError::from),
        };
        if let Err(error) = done {
            tracing::error!(%error, "the audit cannot be sealed or anchored; it is tried again");
        }
    }
}

impl Begun {
    /// Adds the rows that there are; true if the block is full.
    async fn fill(&mut self, store: &Store) -> Result<bool, StoreError> {
        let last = self.rows.last().map_or(self.after, |row| row.seq);
        for row in store.audit_after(last, ROWS, BYTES).await? {
            let full = !self.block.add(&row);
            self.rows.push(row);
            if full {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What the first block continues: a random number, so that no two chains are alike.
fn genesis() -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| StoreError::Failed("the system gives no random numbers".to_owned()))?;
    Ok(bytes)
}

/// Looks until the sealer is gone.
async fn follow(sealer: Weak<Sealer>, every: Duration) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(LOOK.min(every)).await;
        let Some(sealer) = sealer.upgrade() else {
            return;
        };
        let due = last.elapsed() >= sealer.every;
        if due {
            last = Instant::now();
        }
        sealer.look(due).await;
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

/// How far an anchor or a seal goes, in words.
pub(super) fn place(seal: &AuditSeal) -> String {
    format!(
        "seal {} (rows {} to {})",
        seal.number, seal.first_seq, seal.last_seq
    )
}
