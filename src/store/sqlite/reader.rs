//! Read connections: some for short queries on the caller's thread, some for long ones.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{
    super::{error::StoreError, options::Options},
    connect,
    session::{Handle, failure},
};

/// Steps of SQLite's machine between two looks at the limits.
const STEPS: i32 = 1_000;
/// Looks that a short query may take: some 100,000 steps, about two milliseconds.
const SHORT: usize = 100;

/// What a query may still use.
#[derive(Debug, Default)]
struct Allowance {
    looks: Option<usize>,
    until: Option<Instant>,
}

#[derive(Debug)]
struct Reader {
    connection: Connection,
    allowance: Arc<Mutex<Allowance>>,
}

impl Reader {
    fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let connection = connect(path, options.reader_cache, false)?;
        let allowance = Arc::new(Mutex::new(Allowance::default()));
        let shared = Arc::clone(&allowance);
        let stop = move || {
            let mut allowance = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(looks) = &mut allowance.looks {
                *looks = looks.saturating_sub(1);
                return *looks == 0;
            }
            allowance.until.is_some_and(|until| Instant::now() >= until)
        };
        connection
            .progress_handler(STEPS, Some(stop))
            .map_err(failure)?;
        Ok(Self {
            connection,
            allowance,
        })
    }

    /// Runs a query that sees one state of the database from its first statement to its last.
    fn run<T>(
        &self,
        allowance: Allowance,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        *self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = allowance;
        let run = |text| self.connection.prepare_cached(text)?.execute(()).map(drop);
        if !self.connection.is_autocommit() {
            // A query before panicked.
            run("ROLLBACK").map_err(failure)?;
        }
        run("BEGIN").map_err(failure)?;
        let done = query(&mut Handle(&self.connection));
        // What took too long must not keep the end from happening.
        *self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Allowance::default();
        run("COMMIT").map_err(failure)?;
        done
    }
}

/// All read connections.
#[derive(Debug)]
pub(super) struct Readers {
    short: Vec<Mutex<Reader>>,
    next: AtomicUsize,
    long: Mutex<Vec<Reader>>,
    permits: Arc<Semaphore>,
    time: Duration,
    patience: Duration,
}

impl Readers {
    pub fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let short = (0..cores.min(8))
            .map(|_| Reader::open(path, options).map(Mutex::new))
            .collect::<Result<_, _>>()?;
        let long = options.connections.clamp(1, cores.max(2));
        let readers = (0..long)
            .map(|_| Reader::open(path, options))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            short,
            next: AtomicUsize::new(0),
            permits: Arc::new(Semaphore::new(readers.len())),
            long: Mutex::new(readers),
            time: options.query_time,
            patience: options.acquire_time,
        })
    }

    /// Runs a query that is certain to be short.
    pub fn short<T>(
        &self,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let until = Some(Instant::now() + self.time);
        self.with_short(|reader| reader.run(Allowance { looks: None, until }, query))
            .map_err(|error| self.timed(error))
    }

    /// Runs a query if it is short; [`StoreError::Timeout`] if it is not.
    pub fn try_short<T>(
        &self,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with_short(|reader| {
            reader.run(
                Allowance {
                    looks: Some(SHORT),
                    until: None,
                },
                query,
            )
        })
    }

    fn with_short<T>(&self, work: impl FnOnce(&Reader) -> T) -> T {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for turn in 0..self.short.len() {
            match self.short[(first + turn) % self.short.len()].try_lock() {
                Ok(reader) => return work(&reader),
                Err(TryLockError::Poisoned(reader)) => return work(&reader.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let slot = &self.short[first % self.short.len()];
        work(&slot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a query on a thread for long ones, as soon as one of their connections is free.
    pub async fn long<T, F>(self: &Arc<Self>, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Handle<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let waiting = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(self.patience, waiting)
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Unavailable("the store is closed".to_owned()))?;
        let readers = Arc::clone(self);
        let work = move || {
            let _permit = permit;
            let taken = readers
                .long
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let reader = taken.ok_or(StoreError::Busy)?;
            let until = Some(Instant::now() + readers.time);
            let work = || reader.run(Allowance { looks: None, until }, query);
            // What panics has no part of the connection: the next to use it begins anew.
            let done = catch_unwind(AssertUnwindSafe(work));
            readers
                .long
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(reader);
            done.unwrap_or_else(|panic| resume_unwind(panic))
                .map_err(|error| readers.timed(error))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| StoreError::Failed(error.to_string()))?
    }

    fn timed(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Timeout(_) => StoreError::Timeout(self.time.as_millis() as u64),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_query_that_panics_leaves_its_connection_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = Options {
            connections: 1,
            ..Options::default()
        };
        connect(&path, 1_000, true).unwrap();
        let readers = Arc::new(Readers::open(&path, &options).unwrap());
        for _ in 0..3 {
            let broken = readers.long(|_| -> Result<(), _> { panic!("on purpose") });
            assert!(matches!(broken.await, Err(StoreError::Failed(_))));
            assert!(readers.long(|_| Ok(())).await.is_ok());
        }
    }
}
