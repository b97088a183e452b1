//! Read connections: some for short queries on the caller's thread, some for long ones.
//!
//! A connection forgets all its pages when it begins to read a state of the database that is new
//! to it, whatever has changed. The audit adds a row ten times in a second, and so would have each
//! search read its pages anew. So short queries of resources have connections of their own, which
//! go on with the state that they see until something else is written.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
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

/// How long a state is kept at most. The writer notices when another program writes into the file,
/// which it should not; but only when it writes itself.
const KEPT: Duration = Duration::from_secs(10);

/// Between two looks whether queries have ended.
const PAUSE: Duration = Duration::from_micros(50);

/// What a query asks for, or a task changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Resources and what goes with them: nobody but this process's writer changes them.
    Resources,
    /// What else there is: the audit, and what another process may write, settings and records. A
    /// query may ask for anything; it sees the newest state.
    Others,
}

/// Which state the resources are in: odd while they are being changed.
#[derive(Debug, Default)]
struct Changes(AtomicU64);

impl Changes {
    /// The number of the state; `None` while it changes.
    fn state(&self) -> Option<u64> {
        let number = self.0.load(Ordering::SeqCst);
        number.is_multiple_of(2).then_some(number)
    }
}

/// As long as there is one, no state is kept.
#[derive(Debug)]
pub(super) struct Changing<'r>(&'r Readers);

impl Changing<'_> {
    /// Waits for the queries that go on with a state of before, but not for long. Under load there
    /// is always one, so that without this the log would never be moved whole.
    pub fn wait(&self, patience: Duration) {
        let begin = Instant::now();
        let is_old = |short: &Short| short.keeps.load(Ordering::SeqCst);
        while self.0.resources.iter().any(is_old) && begin.elapsed() < patience {
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.changes.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The state of the resources that an open transaction sees, and since when.
#[derive(Debug, Clone, Copy)]
struct Kept {
    state: u64,
    since: Instant,
}

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
    /// Set while a transaction waits for the next query.
    kept: Cell<Option<Kept>>,
    longest: Duration,
    /// See [`Short::keeps`].
    keeps: Arc<AtomicBool>,
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
            kept: Cell::new(None),
            longest: KEPT,
            keeps: Arc::default(),
        })
    }

    /// Runs a query that sees one state of the database from its first statement to its last: the
    /// newest one, or with `changes` one that has the newest resources.
    fn run<T>(
        &self,
        allowance: Allowance,
        changes: Option<&Changes>,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.allow(allowance);
        // Before the transaction begins: it sees this state, or what follows.
        let state = changes.and_then(Changes::state);
        let kept = self.kept.take();
        let since = match kept {
            Some(kept) if Some(kept.state) == state && kept.since.elapsed() < self.longest => {
                kept.since
            }
            _ => {
                // Also of a query that panicked.
                self.end()?;
                self.execute("BEGIN")?;
                // Which state it will be, the first statement decides.
                self.keeps.store(state.is_some(), Ordering::SeqCst);
                Instant::now()
            }
        };
        let done = query(&mut Handle(&self.connection));
        // What took too long must not keep the end from happening.
        self.allow(Allowance::default());
        let now = changes.and_then(Changes::state);
        match state {
            // Nothing has changed meanwhile, so it sees this state and none that follows.
            Some(state) if done.is_ok() && now == Some(state) => {
                self.kept.set(Some(Kept { state, since }));
            }
            _ => self.end()?,
        }
        done
    }

    fn allow(&self, allowance: Allowance) {
        *self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = allowance;
    }

    /// Ends the transaction, if there is one.
    fn end(&self) -> Result<(), StoreError> {
        self.kept.set(None);
        let done = match self.connection.is_autocommit() {
            true => Ok(()),
            false => self.execute("COMMIT"),
        };
        self.keeps.store(false, Ordering::SeqCst);
        done
    }

    fn execute(&self, text: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.execute(()))
            .map(drop)
            .map_err(failure)
    }
}

/// A connection for short queries.
#[derive(Debug)]
struct Short {
    reader: Mutex<Reader>,
    /// Its transaction began with a state that may be kept, and has not ended.
    keeps: Arc<AtomicBool>,
}

/// All read connections.
#[derive(Debug)]
pub(super) struct Readers {
    resources: Vec<Short>,
    others: Vec<Short>,
    next: AtomicUsize,
    changes: Changes,
    long: Mutex<Vec<Reader>>,
    permits: Arc<Semaphore>,
    time: Duration,
    patience: Duration,
}

impl Readers {
    pub fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let one = |_| {
            let reader = Reader::open(path, options)?;
            Ok(Short {
                keeps: Arc::clone(&reader.keeps),
                reader: Mutex::new(reader),
            })
        };
        let short = || {
            (0..cores.min(8))
                .map(one)
                .collect::<Result<_, StoreError>>()
        };
        let long = options.connections.clamp(1, cores.max(2));
        let readers = (0..long)
            .map(|_| Reader::open(path, options))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            resources: short()?,
            others: short()?,
            next: AtomicUsize::new(0),
            changes: Changes::default(),
            permits: Arc::new(Semaphore::new(readers.len())),
            long: Mutex::new(readers),
            time: options.query_time,
            patience: options.acquire_time,
        })
    }

    /// Runs a query that is certain to be short.
    pub fn short<T>(
        &self,
        about: About,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let until = Some(Instant::now() + self.time);
        self.with_short(about, Allowance { looks: None, until }, query)
            .map_err(|error| self.timed(error))
    }

    /// Runs a query if it is short; [`StoreError::Timeout`] if it is not.
    pub fn try_short<T>(
        &self,
        about: About,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let allowance = Allowance {
            looks: Some(SHORT),
            until: None,
        };
        self.with_short(about, allowance, query)
    }

    fn with_short<T>(
        &self,
        about: About,
        allowance: Allowance,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (readers, changes) = match about {
            About::Resources => (&self.resources, Some(&self.changes)),
            About::Others => (&self.others, None),
        };
        let work = |reader: &Reader| reader.run(allowance, changes, query);
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for turn in 0..readers.len() {
            let slot = &readers[(first + turn) % readers.len()];
            match slot.reader.try_lock() {
                Ok(reader) => return work(&reader),
                Err(TryLockError::Poisoned(reader)) => return work(&reader.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let slot = &readers[first % readers.len()];
        work(&slot.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// To be held by the writer while a change of resources becomes visible, and until it is.
    /// Also while SQLite's log is moved, since that goes only up to the oldest state that
    /// somebody sees. One at a time.
    pub fn change(&self) -> Changing<'_> {
        self.changes.0.fetch_add(1, Ordering::SeqCst);
        for short in &self.resources {
            let reader = match short.reader.try_lock() {
                Ok(reader) => reader,
                Err(TryLockError::Poisoned(reader)) => reader.into_inner(),
                // Its query will find that its state is an old one.
                Err(TryLockError::WouldBlock) => continue,
            };
            if let Err(error) = reader.end() {
                tracing::warn!(%error, "a connection does not end its transaction");
            }
        }
        Changing(self)
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
            let work = || reader.run(Allowance { looks: None, until }, None, query);
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

    /// A table of one column, its writer, and readers beside it.
    fn table(folder: &Path) -> (Connection, Readers) {
        let path = folder.join("a.db");
        let writer = connect(&path, 1_000, true).unwrap();
        writer.execute_batch("CREATE TABLE t (a)").unwrap();
        (writer, Readers::open(&path, &Options::default()).unwrap())
    }

    /// How many rows each connection for resources sees.
    fn seen(readers: &Readers) -> Vec<i64> {
        let look = |_| readers.short(About::Resources, count).unwrap();
        (0..readers.resources.len()).map(look).collect()
    }

    fn count(handle: &mut Handle<'_>) -> Result<i64, StoreError> {
        let text = "SELECT count(*) FROM t";
        let found = handle.0.query_row(text, [], |row| row.get(0));
        found.map_err(failure)
    }

    fn add(writer: &Connection) {
        writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
    }

    /// Whether nobody is in the way of moving the whole log.
    fn is_emptied(writer: &Connection) -> bool {
        writer.busy_timeout(Duration::ZERO).unwrap();
        let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        busy == Ok(0)
    }

    #[test]
    fn queries_of_resources_go_on_with_a_state_until_resources_change() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, readers) = table(folder.path());
        let all = |number: i64| vec![number; readers.resources.len()];
        assert_eq!(seen(&readers), all(0));
        add(&writer);
        assert_eq!(seen(&readers), all(0));
        assert_eq!(readers.short(About::Others, count).unwrap(), 1);
        assert_eq!(readers.try_short(About::Others, count).unwrap(), 1);
        let changing = readers.change();
        add(&writer);
        assert_eq!(seen(&readers), all(2));
        add(&writer);
        assert_eq!(seen(&readers), all(3), "nothing is kept during a change");
        drop(changing);
        add(&writer);
        assert_eq!(seen(&readers), all(4));
        add(&writer);
        assert_eq!(seen(&readers), all(4));
    }

    #[test]
    fn a_state_is_not_kept_over_a_change_that_happens_during_a_query() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, readers) = table(folder.path());
        for _ in 0..readers.resources.len() {
            let during = readers.short(About::Resources, |handle| {
                let before = count(handle)?;
                drop(readers.change());
                add(&writer);
                assert_eq!(count(handle)?, before, "a query sees one state");
                Ok(before)
            });
            let before = during.unwrap();
            let expected = vec![before + 1; readers.resources.len()];
            // The connection of the query is among these.
            assert_eq!(seen(&readers), expected);
            drop(readers.change());
        }
    }

    #[test]
    fn no_state_is_kept_for_long_or_over_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, mut readers) = table(folder.path());
        for short in &mut readers.resources {
            short.reader.get_mut().unwrap().longest = Duration::from_millis(200);
        }
        let all = |number: i64| vec![number; readers.resources.len()];
        assert_eq!(seen(&readers), all(0));
        add(&writer);
        for _ in 0..readers.resources.len() {
            let failed: Result<(), _> = readers.short(About::Resources, |_| Err(StoreError::Busy));
            assert!(matches!(failed, Err(StoreError::Busy)), "{failed:?}");
        }
        assert_eq!(seen(&readers), all(1));
        add(&writer);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(seen(&readers), all(2));
        for short in &readers.resources {
            let panics = AssertUnwindSafe(|| {
                let reader = short.reader.lock().unwrap();
                let run = reader.run(Allowance::default(), Some(&readers.changes), |_| {
                    panic!("on purpose")
                });
                run.unwrap_or(())
            });
            assert!(catch_unwind(panics).is_err());
        }
        add(&writer);
        assert_eq!(seen(&readers), all(3));
    }

    #[test]
    fn what_is_kept_is_in_nobodys_way_when_the_log_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, readers) = table(folder.path());
        for _ in 0..2 {
            add(&writer);
            seen(&readers);
            add(&writer);
            assert!(!is_emptied(&writer));
            let changing = readers.change();
            assert!(is_emptied(&writer));
            // What is seen meanwhile is not kept.
            add(&writer);
            seen(&readers);
            add(&writer);
            assert!(is_emptied(&writer));
            drop(changing);
        }
    }

    #[test]
    fn queries_that_go_on_with_an_old_state_are_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, readers) = table(folder.path());
        seen(&readers);
        add(&writer);
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (end, may_end) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let readers = &readers;
            scope.spawn(move || {
                let query = |handle: &mut Handle<'_>| {
                    begun.send(()).unwrap();
                    may_end.recv().unwrap();
                    std::thread::sleep(Duration::from_millis(2));
                    count(handle)
                };
                assert_eq!(readers.short(About::Resources, query).unwrap(), 0);
            });
            has_begun.recv().unwrap();
            let changing = readers.change();
            changing.wait(Duration::from_millis(1));
            assert!(!is_emptied(&writer), "it is not waited for long");
            end.send(()).unwrap();
            changing.wait(Duration::from_secs(60));
            assert!(is_emptied(&writer));
        });
    }
}
