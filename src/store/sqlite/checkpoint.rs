//! SQLite's log is moved into the database beside the writer, so that commits do not wait for it.
//!
//! While others write, a checkpoint never gets to the end of the log, and only a log that was
//! moved whole begins anew. So the thread goes over it until little is left, and the writer moves
//! the rest between two transactions.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::{Connection, hooks::Wal};

use super::{super::error::StoreError, reader::Readers, session::failure};

/// Pages that the writer may move itself: some milliseconds.
const REST: u32 = 2_000;
/// How often the thread goes over the log before it leaves the rest to the writer: against a
/// reader that keeps a part of it, more would not help.
const ROUNDS: usize = 6;

/// How long the writer waits for short queries, once in a log.
const PATIENCE: Duration = Duration::from_millis(20);

thread_local! {
    /// Pages in the log after the newest commit of this thread.
    static LOGGED: Cell<u32> = const { Cell::new(0) };
}

fn note(_: &Wal, pages: i32) -> rusqlite::Result<()> {
    LOGGED.set(pages.try_into().unwrap_or_default());
    Ok(())
}

/// The thread, and what the writer tells it.
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// The size of the log from which on it is moved.
    from: u32,
}

#[derive(Default)]
struct Shared {
    /// Pages in the log.
    logged: AtomicU32,
    /// Little is left to move.
    is_short: AtomicBool,
}

impl Checkpointer {
    /// Starts the thread on a connection of its own, and lets `writer` leave the log alone.
    pub fn start(
        connection: Connection,
        writer: &Connection,
        from: u32,
    ) -> Result<Self, StoreError> {
        // A hook takes the place of SQLite's own, which would checkpoint inside a commit.
        writer.wal_hook(Some(note));
        let shared = Arc::new(Shared::default());
        let (wake, woken) = mpsc::sync_channel(1);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&connection, &woken, &of_thread))
            .map_err(|error| StoreError::Open(error.to_string()))?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
            shared,
            from,
        })
    }

    /// Called on the writer's thread after each transaction.
    pub fn written(&self, writer: &Connection, readers: &Readers) {
        let logged = LOGGED.get();
        self.shared.logged.store(logged, Ordering::Relaxed);
        if self.shared.is_short.swap(false, Ordering::Relaxed) {
            // What somebody still sees would be left out, and then the log does not begin anew.
            let changing = readers.change();
            changing.wait(PATIENCE);
            if let Err(error) = checkpoint(writer) {
                tracing::warn!(%error, "the write-ahead log could not be moved");
            }
        } else if let (true, Some(wake)) = (logged >= self.from, &self.wake) {
            drop(readers.change());
            // Full means that it is awake.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported where it happened.
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, shared: &Shared) {
    while woken.recv().is_ok() {
        match go_over(connection, shared) {
            Ok(()) => shared.is_short.store(true, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be moved"),
        }
    }
}

fn go_over(connection: &Connection, shared: &Shared) -> Result<(), StoreError> {
    for _ in 0..ROUNDS {
        let moved = checkpoint(connection)?;
        if shared.logged.load(Ordering::Relaxed).saturating_sub(moved) <= REST {
            break;
        }
    }
    Ok(())
}

/// Moves what can be moved without waiting for anyone; how many pages of the log have been.
fn checkpoint(connection: &Connection) -> Result<u32, StoreError> {
    let moved: i64 = connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))
        .map_err(failure)?;
    Ok(moved.try_into().unwrap_or_default())
}
