//! Commits that only change messages, many in one statement: what waits goes together, as on
//! SQLite, and shares a sync of the disk.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{AssertSqlSafe, Row as _};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    super::{
        error::StoreError,
        messages::{MessageChange, MessageId},
        types::{Commit, Committed},
    },
    failure::failure,
    messages::{Messages, refusal, same_before},
    pool::{Lease, Pool},
};

/// Batches at the same time: while one is synced, the next is made.
const WORKERS: usize = 2;
/// Changes in one statement.
const MOST: usize = 256;
/// Bytes in one statement.
const BYTES: usize = 4 << 20;

struct Waiting {
    change: MessageChange,
    reply: oneshot::Sender<Result<Committed, StoreError>>,
}

/// The way to the batches.
#[derive(Debug)]
pub(super) struct Batches {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Batches {
    /// Starts the workers.
    pub fn start(pool: &Arc<Pool>, waiting: usize) -> Self {
        let (sender, queue) = mpsc::channel(waiting.max(1));
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        let workers = (0..WORKERS).map(|_| {
            let (pool, queue) = (Arc::clone(pool), Arc::clone(&queue));
            tokio::spawn(work(pool, queue))
        });
        Self {
            workers: Mutex::new(workers.collect()),
            queue: Mutex::new(Some(sender)),
        }
    }

    /// The one change of a commit that has nothing else.
    pub fn only(commit: &Commit) -> Option<&MessageChange> {
        let alone = commit.writes.is_empty()
            && commit.is_plain()
            && commit.audit.is_none()
            && commit.generation.is_none();
        match &commit.messages[..] {
            [only] if alone && !names_patients(only) => Some(only),
            _ => None,
        }
    }

    /// Makes a change, together with what else waits; returns when it is on disk.
    pub async fn commit(&self, change: MessageChange) -> Result<Committed, StoreError> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { change, reply };
        let sent = {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.as_ref().map(|queue| queue.try_send(waiting))
        };
        match sent {
            Some(Ok(())) => answer.await.map_err(|_| closed())?,
            Some(Err(mpsc::error::TrySendError::Full(_))) => Err(StoreError::Busy),
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => Err(closed()),
        }
    }

    /// Finishes what waits.
    pub async fn close(&self) {
        let take =
            |queue: &Mutex<Option<_>>| queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(take(&self.queue));
        let workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // A panic of a worker has been reported where it happened.
            let _ = worker.await;
        }
    }
}

/// Whom a message is about is written whether or not it is found to have come before.
fn names_patients(change: &MessageChange) -> bool {
    match change {
        MessageChange::Receive(message) => !message.outcome.patients.is_empty(),
        MessageChange::Settle(settled) => settled
            .outcome
            .as_ref()
            .is_some_and(|outcome| !outcome.patients.is_empty()),
        MessageChange::Queue(_) => false,
        MessageChange::Deliver(_) | MessageChange::Advance(_) => true,
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

async fn work(pool: Arc<Pool>, queue: Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting>>>) {
    loop {
        let mut batch = Vec::new();
        {
            let mut queue = queue.lock().await;
            let Some(first) = queue.recv().await else {
                return;
            };
            let mut bytes = first.change.size();
            batch.push(first);
            while batch.len() < MOST && bytes < BYTES {
                let Ok(next) = queue.try_recv() else { break };
                bytes += next.change.size();
                batch.push(next);
            }
        }
        commit(&pool, batch).await;
    }
}

async fn commit(pool: &Arc<Pool>, mut batch: Vec<Waiting>) {
    // Always in the same order, so that two batches do not wait for each other.
    batch.sort_by(|a, b| place(&a.change).cmp(&place(&b.change)));
    let mut lease = match pool.lease().await {
        Ok(lease) => lease,
        Err(error) => {
            let text = error.to_string();
            for waiting in batch {
                let error = match &error {
                    StoreError::Busy => StoreError::Busy,
                    _ => StoreError::Unavailable(text.clone()),
                };
                let _ = waiting.reply.send(Err(error));
            }
            return;
        }
    };
    let done = together(&mut lease, &batch).await;
    match done {
        Ok(results) => reply(batch, results),
        Err(error) if batch.len() == 1 => reply(batch, vec![Err(error)]),
        // What is wrong with the database is wrong with each.
        Err(StoreError::Unavailable(text)) => {
            let refused = batch.iter();
            let refused = refused.map(|_| Err(StoreError::Unavailable(text.clone())));
            let refused = refused.collect();
            reply(batch, refused);
        }
        Err(error) => {
            tracing::warn!(%error, messages = batch.len(), "a batch failed; each goes alone");
            for waiting in batch {
                if lease.is_broken() {
                    match pool.lease().await {
                        Ok(fresh) => lease = fresh,
                        Err(error) => {
                            reply(vec![waiting], vec![Err(error)]);
                            continue;
                        }
                    }
                }
                let alone = std::slice::from_ref(&waiting);
                let result = together(&mut lease, alone).await;
                let result = result.unwrap_or_else(|error| vec![Err(error)]);
                reply(vec![waiting], result);
            }
        }
    }
}

fn place(change: &MessageChange) -> (u8, &[u8], &str) {
    match change {
        MessageChange::Receive(message) => (0, &message.head.hash, &message.head.control),
        MessageChange::Settle(settled) => (1, &settled.id.0, ""),
        MessageChange::Queue(_) | MessageChange::Deliver(_) | MessageChange::Advance(_) => {
            (2, &[], "")
        }
    }
}

/// One statement: each change has its own result.
async fn together(
    lease: &mut Lease,
    batch: &[Waiting],
) -> Result<Vec<Result<Committed, StoreError>>, StoreError> {
    let messages = Messages::new(batch.iter().map(|waiting| &waiting.change));
    let parts = messages.parts(&mut 1);
    let text = format!("WITH {} {}", parts.join(", "), messages.told());
    let query = messages.bind(sqlx::query(AssertSqlSafe(text)));
    let mut before: HashMap<MessageId, MessageId> = HashMap::new();
    let mut same: HashSet<MessageId> = HashSet::new();
    let mut done: HashSet<MessageId> = HashSet::new();
    for row in lease.query(query).await.map_err(failure)? {
        let what: i64 = row.try_get(0).map_err(failure)?;
        let id: Option<Vec<u8>> = row.try_get(1).map_err(failure)?;
        let Some(id) = number(id) else { continue };
        if what == 1 {
            done.insert(id);
            continue;
        }
        let prior: Option<Vec<u8>> = row.try_get(2).map_err(failure)?;
        if let Some(prior) = number(prior) {
            before.insert(id, prior);
            let is_same: Option<bool> = row.try_get(3).map_err(failure)?;
            if is_same == Some(true) {
                same.insert(id);
            }
        }
    }
    let mut results = Vec::with_capacity(batch.len());
    for waiting in batch {
        results.push(match &waiting.change {
            MessageChange::Receive(message) => {
                let id = message.head.id;
                let prior = before.get(&id).copied();
                match (done.contains(&id), same.contains(&id), prior) {
                    (true, _, prior) => Ok(Committed {
                        heads: Vec::new(),
                        reused: vec![prior],
                    }),
                    (false, true, Some(prior)) => Err(StoreError::Duplicate(prior)),
                    // Somebody else was faster by a moment.
                    (false, ..) => match same_before(lease, message).await? {
                        Some(prior) => Err(StoreError::Duplicate(prior)),
                        None => Err(StoreError::Settled),
                    },
                }
            }
            MessageChange::Settle(settled) if !done.contains(&settled.id) => {
                let changes = std::slice::from_ref(&waiting.change);
                Err(refusal(lease, changes)
                    .await?
                    .unwrap_or(StoreError::Settled))
            }
            _ => Ok(Committed {
                heads: Vec::new(),
                reused: Vec::new(),
            }),
        });
    }
    Ok(results)
}

fn number(stored: Option<Vec<u8>>) -> Option<MessageId> {
    stored?.try_into().ok().map(MessageId)
}

fn reply(batch: Vec<Waiting>, results: Vec<Result<Committed, StoreError>>) {
    for (waiting, result) in batch.into_iter().zip(results) {
        // A caller that has gone away does not undo its commit.
        let _ = waiting.reply.send(result);
    }
}
