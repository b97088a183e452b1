//! SQLite: one writer thread with group commit, many readers.

mod apply;
mod checkpoint;
mod file;
mod messages;
mod newest;
mod reader;
mod session;
mod writer;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use resources::model::ResourceType;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    claims,
    error::StoreError,
    migration,
    options::Options,
    sql::Dialect,
    types::{Commit, Committed},
    view::View,
};
use reader::{About, Readers};
use session::failure;
use writer::Writer;

pub(super) use session::{Handle, now};

/// An open SQLite database. No other process may open it, but beside this one for records.
#[derive(Debug)]
pub(super) struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
    path: PathBuf,
    /// See [`Options::without_claim_locks`].
    without_claim_locks: bool,
    /// Held as long as the database is open, unless it is beside another process.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens or makes the database at `path`.
    pub fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let (path, lock) = match options.beside {
            true => (file::find(path)?, None),
            false => file::claim(path, options.create).map(|(path, lock)| (path, Some(lock)))?,
        };
        let mut connection = connect(&path, options.writer_cache, true)?;
        if connection.is_readonly("main").map_err(failure)? {
            return Err(StoreError::Open(
                "the file cannot be written; give this user the right to".to_owned(),
            ));
        }
        match options.beside {
            true => check_schema(&connection)?,
            false => migrate(&mut connection, options.create)?,
        }
        let readers = Arc::new(Readers::open(&path, options)?);
        let beside = connect(&path, 0, false)?;
        Ok(Self {
            writer: Writer::start(connection, beside, options, &readers)?,
            readers,
            path,
            without_claim_locks: options.without_claim_locks,
            _lock: lock,
        })
    }

    /// Commits; returns when it is on disk.
    pub async fn commit(&self, commit: Commit, view: View) -> Result<Committed, StoreError> {
        let mut planned = None;
        if self.without_claim_locks {
            planned = Some(
                self.readers
                    .short(About::Others, |handle| now(claims::plan(handle, &commit)))?,
            );
        }
        self.writer.commit(commit, view, planned).await
    }

    /// The newest place in the log of these types that a reader sees, or one before it if it was
    /// committed this moment.
    pub fn newest(&self, kinds: &[ResourceType]) -> i64 {
        self.writer.newest(kinds)
    }

    /// Runs `task` on the writer's connection, in a transaction of its own.
    pub async fn write<T, F>(&self, task: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Handle<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.task(About::Resources, task).await
    }

    /// As [`Sqlite::write`], for what no query of resources sees: the audit, and records.
    pub async fn write_beside<T, F>(&self, task: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Handle<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.task(About::Others, task).await
    }

    /// Runs a short query on the calling thread.
    #[expect(clippy::unused_async, reason = "alike with the other ways to read")]
    pub async fn read<T>(
        &self,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.readers.short(About::Others, query)
    }

    /// As [`Sqlite::read`], of resources only: it sees all that this process has written of them,
    /// but what else is written may be missing for a moment.
    #[expect(clippy::unused_async, reason = "alike with the other ways to read")]
    pub async fn read_resources<T>(
        &self,
        query: impl FnOnce(&mut Handle<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.readers.short(About::Resources, query)
    }

    /// Runs a query of unknown length: on this thread while it is short, else on another.
    pub async fn search<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Handle<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.briefly_or_long(About::Others, query).await
    }

    /// As [`Sqlite::search`], of resources only: see [`Sqlite::read_resources`].
    pub async fn search_resources<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Handle<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.briefly_or_long(About::Resources, query).await
    }

    async fn briefly_or_long<T, F>(&self, about: About, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Handle<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        match self.readers.try_short(about, &query) {
            Err(StoreError::Timeout(_)) => self.readers.long(query).await,
            done => done,
        }
    }

    /// Runs a query that is known to be long on another thread.
    pub async fn scan<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Handle<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.long(query).await
    }

    /// Refuses when the disk is all but full.
    pub fn check_space(&self) -> Result<(), StoreError> {
        file::check_space(&self.path)
    }

    /// Statistics, and the log written back.
    pub async fn optimize(&self) -> Result<(), StoreError> {
        self.writer.optimize().await
    }

    /// Finishes what waits and closes.
    pub async fn close(&self) {
        self.writer.close().await;
    }
}

fn connect(path: &Path, cache: usize, write: bool) -> Result<Connection, StoreError> {
    let mode = if write {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| {
            let reason = error
                .sqlite_error()
                .map_or_else(|| error.to_string(), ToString::to_string);
            StoreError::Open(format!(
                "{reason}; it must be a file that this user may read and write"
            ))
        })?;
    let settings = format!(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA busy_timeout = 5000; PRAGMA cache_size = -{cache}; PRAGMA temp_store = MEMORY;"
    );
    connection.execute_batch(&settings).map_err(failure)?;
    if !write {
        connection
            .execute_batch("PRAGMA query_only = ON")
            .map_err(failure)?;
    }
    // Else statements are compiled anew whenever an argument changes what statistics say of it.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(failure)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Refuses a database whose schema is not that of this release.
fn check_schema(connection: &Connection) -> Result<(), StoreError> {
    let is_made = "SELECT count(*) FROM sqlite_schema WHERE name = 'migration'";
    let is_made: bool = connection
        .query_row(is_made, [], |row| row.get(0))
        .map_err(failure)?;
    let applied: Vec<i64> = match is_made {
        false => Vec::new(),
        true => connection
            .prepare("SELECT number FROM migration")
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .map_err(failure)?,
    };
    migration::check_current(Dialect::Sqlite, &applied)
}

fn migrate(connection: &mut Connection, create: bool) -> Result<(), StoreError> {
    let step = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(failure)?;
    let foreign = "SELECT count(*) > 0 AND sum(name = 'migration') = 0 FROM sqlite_schema";
    if step
        .query_row(foreign, [], |row| row.get(0))
        .map_err(failure)?
    {
        return Err(StoreError::Open(
            "the file is a database of another program; name another file".to_owned(),
        ));
    }
    step.execute_batch(migration::TABLE).map_err(failure)?;
    let applied: Vec<i64> = step
        .prepare("SELECT number FROM migration")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .map_err(failure)?;
    migration::check_made(&applied, create)?;
    step.commit().map_err(failure)?;
    for migration in migration::missing(Dialect::Sqlite, &applied)? {
        let step = connection.transaction().map_err(failure)?;
        step.execute_batch(migration.text).map_err(failure)?;
        step.execute(
            "INSERT INTO migration (number, name) VALUES (?1, ?2)",
            (migration.number, migration.name),
        )
        .map_err(failure)?;
        step.commit().map_err(failure)?;
    }
    Ok(())
}
