//! Takes events in: those of writes for their commit, all others in groups.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    encode::{self, Group},
    event::Event,
};
use crate::{
    access::Access,
    store::{Commit, NewAuditRow, Store, StoreError},
};

static ACCESS: Access = Access::system("the audit is written whoever is audited");

/// How long a group waits for more events: what is lost if the process is killed.
const PAUSE: Duration = Duration::from_millis(100);
/// After which pause a group is tried again that the store refused.
const AGAIN: Duration = Duration::from_millis(500);
/// Events and bytes at which a group does not wait any longer.
const GROUP: usize = 2_048;
const GROUP_BYTES: usize = 128 << 10;
/// Events and bytes that may wait while the store is busy or refuses. Beyond that, who wants to
/// read waits: nothing is seen without a record of it.
const MOST: usize = 64 << 10;
const MOST_BYTES: usize = 16 << 20;
/// How long a reader waits before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes the audit.
pub struct Recorder {
    store: Arc<Store>,
    pending: Mutex<Group>,
    signals: Arc<Signals>,
    /// Held while a group is being written, so that who waits for it knows that it is.
    writing: tokio::sync::Mutex<Option<NewAuditRow>>,
    refused: AtomicBool,
}

#[derive(Default)]
struct Signals {
    /// There is an event, where there was none.
    begun: Notify,
    /// The group is large enough.
    full: Notify,
    /// There is room again.
    room: Notify,
    gone: AtomicBool,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.signals.gone.store(true, Ordering::Relaxed);
        self.signals.begun.notify_one();
    }
}

impl Recorder {
    /// A recorder into `store`. Must be called inside of a runtime: groups are written in the
    /// background.
    pub fn start(store: Arc<Store>) -> Arc<Self> {
        let recorder = Arc::new(Self {
            store,
            pending: Mutex::default(),
            signals: Arc::default(),
            writing: tokio::sync::Mutex::default(),
            refused: AtomicBool::new(false),
        });
        tokio::spawn(follow(
            Arc::downgrade(&recorder),
            Arc::clone(&recorder.signals),
        ));
        recorder
    }

    /// The row of an event that is to be written with a commit.
    pub fn row(event: &Event<'_>) -> NewAuditRow {
        NewAuditRow {
            at: event.at,
            body: encode::row(event),
        }
    }

    /// Records an event; it is written within a moment. Whoever is to be answered with what the
    /// event tells of must not be answered if this fails.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Storage`]: too many events wait to be written.
    pub async fn record(&self, event: &Event<'_>) -> Result<(), StoreError> {
        if self.push(event) {
            return Ok(());
        }
        let room = async {
            loop {
                let room = self.signals.room.notified();
                if self.push(event) {
                    return;
                }
                room.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, room).await;
        waited.map_err(|_| match self.refused.load(Ordering::Relaxed) {
            true => StoreError::Storage("the audit cannot be written".to_owned()),
            false => StoreError::Busy,
        })
    }

    /// Adds it to what waits; false if there is no room.
    fn push(&self, event: &Event<'_>) -> bool {
        let (before, now) = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.len() >= MOST || pending.bytes() >= MOST_BYTES {
                return false;
            }
            let before = (pending.len(), pending.bytes());
            pending.push(event);
            (before, (pending.len(), pending.bytes()))
        };
        if before.0 == 0 {
            self.signals.begun.notify_one();
        }
        let large = |(events, bytes): (usize, usize)| events >= GROUP || bytes >= GROUP_BYTES;
        if large(now) && !large(before) {
            self.signals.full.notify_one();
        }
        true
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The store refuses; what waits goes on waiting.
    pub async fn flush(self: &Arc<Self>) -> Result<(), StoreError> {
        let recorder = Arc::clone(self);
        // To the end, whether the caller waits for it or not: else the group would be written
        // twice.
        let done = tokio::spawn(async move { recorder.write().await }).await;
        done.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
    }

    async fn write(&self) -> Result<(), StoreError> {
        let mut writing = self.writing.lock().await;
        loop {
            if writing.is_none() {
                let group = {
                    let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::take(&mut *pending)
                };
                if group.is_empty() {
                    return Ok(());
                }
                *writing = Some(NewAuditRow {
                    at: group.at(),
                    body: group.finish(),
                });
                self.signals.room.notify_waiters();
            }
            let commit = Commit {
                audit: writing.clone(),
                ..Commit::default()
            };
            let done = self.store.commit(commit, &ACCESS).await;
            self.refused.store(done.is_err(), Ordering::Relaxed);
            done?;
            *writing = None;
        }
    }
}

/// Writes groups until the recorder is gone.
async fn follow(recorder: Weak<Recorder>, signals: Arc<Signals>) {
    loop {
        signals.begun.notified().await;
        if signals.gone.load(Ordering::Relaxed) {
            return;
        }
        // What has become large while the last group was written does not wait.
        let _ = tokio::time::timeout(PAUSE, signals.full.notified()).await;
        let mut told = false;
        loop {
            let Some(recorder) = recorder.upgrade() else {
                return;
            };
            match recorder.flush().await {
                Ok(()) => break,
                Err(error) if !told => {
                    told = true;
                    tracing::error!(%error, "the audit cannot be written; it is tried again");
                }
                Err(_) => {}
            }
            drop(recorder);
            tokio::time::sleep(AGAIN).await;
        }
    }
}
