//! PostgreSQL: one set-based statement for a commit, joins in the order of the text.

mod batch;
mod claimed;
mod commit;
mod failure;
mod follow;
mod messages;
mod pool;
mod turns;

use std::{
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;

use super::{
    error::StoreError,
    migration,
    options::Options,
    session::Session,
    sql::{Dialect, Sql},
    types::{Commit, Committed},
    view::View,
};
use batch::Batches;
use commit::Numbers;
use follow::Frontier;
pub(super) use follow::Log;
use pool::{Lease, Pool};
use turns::{Alone, Turns};

/// An open PostgreSQL database.
#[derive(Debug)]
pub(super) struct Postgres {
    pool: Arc<Pool>,
    numbers: Arc<Numbers>,
    turns: Arc<Turns>,
    batches: Batches,
    frontiers: [Mutex<Frontier>; 2],
    size: usize,
    millis: u64,
    cap: usize,
    /// Unless [`Options::without_claim_locks`].
    claim_locks: bool,
}

/// The number of the advisory lock under which nodes migrate one after the other.
const MIGRATING: i64 = 0x526f_7475_6e64_6101;
/// The oldest version with all functions that the statements use.
const OLDEST: i64 = 13;
/// Time for an answer to arrive, beyond the time that the server may take for it.
const GRACE: Duration = Duration::from_secs(2);

impl Postgres {
    /// Connects, and makes or migrates the schema.
    pub async fn open(url: &str, options: &Options) -> Result<Self, StoreError> {
        let settings = connect_options(url, options)?;
        let answer_time = options.query_time + GRACE;
        let pool = Pool::new(
            settings,
            options.connections,
            options.acquire_time,
            answer_time,
        );
        let opened = Self {
            batches: Batches::start(&pool, options.queue_commits),
            pool,
            numbers: Arc::default(),
            turns: Arc::default(),
            frontiers: Default::default(),
            size: options.connections.max(1),
            millis: options.query_time.as_millis() as u64,
            cap: options.candidates,
            claim_locks: !options.without_claim_locks,
        };
        let mut lease = opened.pool.lease().await?;
        check_server(&mut lease, options.connections).await?;
        lease.take_your_time();
        let made = match options.beside {
            true => check_schema(&mut lease).await,
            false => migrate(&mut lease, options.create).await,
        };
        made.map_err(|error| match error {
            StoreError::Failed(text) => StoreError::Open(format!(
                "its schema cannot be made: {text}; use a database of its own, whose owner the \
                 user is"
            )),
            other => other,
        })?;
        drop(lease);
        Ok(opened)
    }

    /// A connection for a statement or two.
    pub(super) async fn read(&self) -> Result<Lease, StoreError> {
        self.pool.lease().await
    }

    /// A connection for a search.
    pub(super) async fn search(&self) -> Result<Lease, StoreError> {
        self.pool.lease().await
    }

    /// A connection whose statements all see the state of one moment.
    pub(super) async fn scan(&self) -> Result<Lease, StoreError> {
        let mut lease = self.pool.lease().await?;
        lease
            .begin("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        Ok(lease)
    }

    /// Lets a connection for reading go.
    pub(super) async fn finish<T>(
        &self,
        mut lease: Lease,
        done: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if lease.in_transaction() {
            lease
                .end(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })
                .await?;
        }
        self.timed(done)
    }

    /// Says how long a query may take, where it took longer.
    pub fn timed<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match result {
            Err(StoreError::Timeout(_)) => Err(StoreError::Timeout(self.millis)),
            other => other,
        }
    }

    /// Commits; returns when it is on disk. Goes on if the caller goes away: nobody has to
    /// find out what became of half a conversation with the database.
    pub async fn commit(&self, mut commit: Commit, view: View) -> Result<Committed, StoreError> {
        if Batches::only(&commit).is_some()
            && let Some(change) = commit.messages.pop()
        {
            return self.timed(self.batches.commit(change).await);
        }
        let (numbers, turns) = (Arc::clone(&self.numbers), Arc::clone(&self.turns));
        let (pool, cap) = (Arc::clone(&self.pool), self.cap);
        let alone = Alone::new(&commit, self.claim_locks);
        let work = async move {
            commit::run(&pool, (&numbers, &turns), alone, commit, (&view, cap)).await
        };
        let done = tokio::spawn(work).await;
        self.timed(done.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string()))))
    }

    /// Up to where a log will not change any more.
    pub async fn frontier(
        &self,
        log: Log,
        session: &mut Lease,
        after: i64,
    ) -> Result<i64, StoreError> {
        follow::frontier(log, &self.frontiers[log as usize], session, after).await
    }

    /// Whether the server answers soon.
    pub async fn health(&self) -> Result<(), StoreError> {
        let ask = async { self.pool.lease().await?.run("SELECT 1".to_owned()).await };
        tokio::time::timeout(Duration::from_secs(2), ask)
            .await
            .map_err(|_| StoreError::Unavailable("no answer within two seconds".to_owned()))?
    }

    /// Refreshes statistics and the maps that let indexes answer alone.
    pub async fn optimize(&self) -> Result<(), StoreError> {
        let mut lease = self.pool.lease().await?;
        lease.take_your_time();
        lease.run("SET statement_timeout = 0".to_owned()).await?;
        let mut done = Ok(());
        for table in [
            "resource",
            "version",
            "entry",
            "audit",
            "claim",
            "message",
            "message_patient",
            "delivery",
        ] {
            done = done.and(lease.run(format!("VACUUM (ANALYZE) {table}")).await);
        }
        lease.discard();
        done
    }

    /// Finishes what is under way and closes.
    pub async fn close(&self) {
        self.batches.close().await;
        self.pool.close(self.size).await;
    }
}

fn connect_options(url: &str, options: &Options) -> Result<PgConnectOptions, StoreError> {
    let parsed =
        PgConnectOptions::from_str(url).map_err(|error| StoreError::Open(error.to_string()))?;
    let timeout = options.query_time.as_millis().to_string();
    // The statements are written so that the only sensible plan is index scans joined one in
    // the other from left to right; the planner is held to that whatever statistics say.
    let settings = [
        ("statement_timeout", timeout.as_str()),
        ("idle_in_transaction_session_timeout", "60000"),
        ("synchronous_commit", "on"),
        ("plan_cache_mode", "force_generic_plan"),
        ("jit", "off"),
        ("random_page_cost", "1.1"),
        ("join_collapse_limit", "1"),
        ("from_collapse_limit", "1"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("max_parallel_workers_per_gather", "0"),
    ];
    Ok(parsed
        .application_name("rotunda")
        .statement_cache_capacity(256)
        .options(settings))
}

/// Refuses a server that is too old, and tells the operator of one that is too small.
async fn check_server(lease: &mut Lease, connections: usize) -> Result<(), StoreError> {
    let sql = Sql::new(
        Dialect::Postgres,
        "SELECT current_setting('server_version_num')::bigint / 10000,
                current_setting('max_connections')::bigint",
    );
    let mut row = lease.rows(&sql).await?.pop();
    let row = row
        .as_mut()
        .ok_or_else(|| StoreError::Failed("no answer to its version".to_owned()))?;
    let (version, most) = (row.int()?, row.int()?);
    if version < OLDEST {
        return Err(StoreError::Open(format!(
            "it is PostgreSQL {version}; {OLDEST} or newer is needed"
        )));
    }
    if i64::try_from(connections).is_ok_and(|connections| connections >= most) {
        tracing::warn!(
            connections,
            most,
            "PostgreSQL has too few connections: raise its max_connections, or lower \
             store.connections"
        );
    }
    Ok(())
}

/// Refuses a database whose schema is not that of this release.
async fn check_schema(lease: &mut Lease) -> Result<(), StoreError> {
    let is_made = "SELECT count(*) FROM pg_tables
                   WHERE tablename = 'migration' AND schemaname = current_schema()";
    let is_made = lease.rows(&Sql::new(Dialect::Postgres, is_made)).await?;
    let mut applied = Vec::new();
    if let Some(mut row) = is_made.into_iter().next()
        && row.int()? > 0
    {
        let numbers = Sql::new(Dialect::Postgres, "SELECT number FROM migration");
        for mut row in lease.rows(&numbers).await? {
            applied.push(row.int()?);
        }
    }
    migration::check_current(Dialect::Postgres, &applied)
}

async fn migrate(lease: &mut Lease, create: bool) -> Result<(), StoreError> {
    lease
        .begin(&format!(
            "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATING})"
        ))
        .await?;
    lease
        .run(format!(
            "SET LOCAL client_min_messages = warning; {}",
            migration::TABLE
        ))
        .await?;
    let mut applied = Vec::new();
    for mut row in lease
        .rows(&Sql::new(Dialect::Postgres, "SELECT number FROM migration"))
        .await?
    {
        applied.push(row.int()?);
    }
    migration::check_made(&applied, create)?;
    for step in migration::missing(Dialect::Postgres, &applied)? {
        lease.run(step.text.to_owned()).await?;
        let note = format!(
            "INSERT INTO migration VALUES ({}, '{}')",
            step.number, step.name
        );
        lease.run(note).await?;
    }
    lease.end("COMMIT").await
}
