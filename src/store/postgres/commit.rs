//! A commit in one statement.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Row as _, postgres::PgArguments, query::Query};

use super::{
    super::{
        audit::NewAuditRow,
        claims::{self, Claimed},
        error::StoreError,
        generation, hash, query,
        read::change_number,
        session::Session,
        sql::{Dialect, Sql, Value},
        text,
        types::{Change, Commit, Committed, Head, Write},
        view::View,
    },
    claimed::Claims,
    failure::{code, failure},
    messages::{self, Messages},
    pool::{Lease, Pool},
    turns::{Alone, Turns},
};

/// How often a commit that PostgreSQL gave up to end a deadlock is tried.
const ATTEMPTS: u32 = 5;
/// Writes above which a commit may take longer than a query.
const MANY: usize = 500;
/// How PostgreSQL names what two claims of a seat at the same time are: only who does not wait for
/// its turn can come to that.
const OVERLAP: &str = "23P01";
/// Numbers that one value of the sequence stands for.
const BLOCK: i64 = 1_000;

/// Resource numbers that this node may still give.
#[derive(Debug, Default)]
pub(super) struct Numbers(Mutex<Vec<Range<i64>>>);

impl Numbers {
    /// `count` numbers that nobody else has.
    async fn take(&self, lease: &mut Lease, count: usize) -> Result<Vec<i64>, StoreError> {
        let mut taken = Vec::with_capacity(count);
        self.take_known(&mut taken, count);
        if taken.len() < count {
            let blocks = (count - taken.len()) as i64 / BLOCK + 1;
            let mut sql = Sql::new(
                Dialect::Postgres,
                "SELECT nextval('resource_block') FROM generate_series(1::bigint,",
            );
            sql.int(blocks).push(")");
            let mut fresh = Vec::new();
            for mut row in lease.rows(&sql).await? {
                let block = row.int()?;
                fresh.push(block * BLOCK..(block + 1) * BLOCK);
            }
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(fresh);
            self.take_known(&mut taken, count);
        }
        Ok(taken)
    }

    fn take_known(&self, taken: &mut Vec<i64>, count: usize) {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.len() < count
            && let Some(block) = blocks.last_mut()
        {
            match block.next() {
                Some(number) => taken.push(number),
                None => {
                    blocks.pop();
                }
            }
        }
    }
}

/// Commits, with as many attempts as deadlocks ask for.
pub(super) async fn run(
    pool: &Arc<Pool>,
    (numbers, turns): (&Numbers, &Turns),
    alone: Alone,
    commit: Commit,
    (view, cap): (&View, usize),
) -> Result<Committed, StoreError> {
    // Who waits for other commits of this node waits here, without a connection.
    let mut held = turns.take(&alone).await;
    if let Some(error) = held.refusal(&commit) {
        return Err(refused(pool, &commit, error).await?);
    }
    let mut lease = pool.lease().await?;
    let columns = Columns::new(&commit, numbers, &mut lease).await?;
    for attempt in 1..=ATTEMPTS {
        let done = if commit.is_plain() && commit.writes.len() <= MANY {
            let written = columns.write(&mut lease, &Claims::default()).await;
            written.map(|vids| (vids, Claimed::default()))
        } else {
            alone_with(&alone, &mut lease, &columns, &commit, (view, cap)).await
        };
        match done {
            Ok((vids, claimed)) => {
                held.made(&commit, &claimed.rows);
                return Ok(columns.committed(&commit.writes, &vids));
            }
            Err(Refusal::Known(error @ StoreError::Refused { .. })) => {
                held.found(&commit, &error);
                drop((held, lease));
                return Err(refused(pool, &commit, error).await?);
            }
            Err(Refusal::Known(error)) => return Err(error),
            Err(Refusal::Unexpected(error)) => {
                return Err(stale(&mut lease, &commit, error).await?);
            }
            Err(Refusal::Again(_)) if attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(u64::from(attempt * attempt))).await;
            }
            Err(Refusal::Again(error)) if code(&error) == OVERLAP => {
                return Err(overlapping(&mut lease, &commit).await?);
            }
            Err(Refusal::Again(error)) => return Err(failure(error)),
        }
        if lease.is_broken() {
            lease = pool.lease().await?;
        }
    }
    Err(StoreError::Failed(
        "a commit was tried too often".to_owned(),
    ))
}

/// What to tell whoever asked for what is claimed: a request that comes again is told so, and what
/// was computed from an old version says nothing about the newest.
async fn refused(
    pool: &Arc<Pool>,
    commit: &Commit,
    error: StoreError,
) -> Result<StoreError, StoreError> {
    let is_first = commit.writes.iter().all(|write| write.expect.is_none());
    if is_first && commit.receipt.is_none() {
        return Ok(error);
    }
    let mut lease = pool.lease().await?;
    if claims::is_repeated(&mut lease, commit).await? {
        return Ok(StoreError::Repeated);
    }
    Ok(outdated(&mut lease, commit).await?.unwrap_or(error))
}

/// Why a commit did not happen.
enum Refusal {
    /// For the caller.
    Known(StoreError),
    /// A head was not what a write expects.
    Unexpected(sqlx::Error),
    /// Because of others at the same moment.
    Again(sqlx::Error),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Known(error)
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        match code(&error).as_str() {
            // Division by zero is how the statement says so; else a second resource of an id.
            "22012" | "23505" => Self::Unexpected(error),
            "40001" | "40P01" | OVERLAP => Self::Again(error),
            _ => Self::Known(failure(error)),
        }
    }
}

/// In a transaction of several statements: commits with guards on the same type, or with claims
/// on the time of the same actor, come one after the other, and each sees those before. Others
/// wait for nobody.
async fn alone_with(
    alone: &Alone,
    lease: &mut Lease,
    columns: &Columns,
    commit: &Commit,
    (view, cap): (&View, usize),
) -> Result<(Vec<i64>, Claimed), Refusal> {
    let mut with = String::new();
    if commit.writes.len() > MANY {
        lease.take_your_time();
        with.push_str("SET LOCAL statement_timeout = 0;");
    }
    with.push_str(&alone.locks());
    lease.begin(&with).await?;
    let done = in_transaction(lease, columns, commit, view, cap).await;
    let how = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    match (lease.end(how).await, done) {
        (Ok(()), done) => done,
        (Err(error), Ok(_)) => Err(error.into()),
        (Err(_), Err(refused)) => Err(refused),
    }
}

async fn in_transaction(
    lease: &mut Lease,
    columns: &Columns,
    commit: &Commit,
    view: &View,
    cap: usize,
) -> Result<(Vec<i64>, Claimed), Refusal> {
    let found = match commit.has_claims() {
        true => claims::clear(lease, commit).await?,
        false => Vec::new(),
    };
    for (at, guard) in commit.guards.iter().enumerate() {
        if !query::guard_holds(lease, guard, view, cap).await? {
            return Err(StoreError::Guard(at).into());
        }
    }
    let claimed = claims::admit(commit, found)?;
    if !claimed.over.is_empty() {
        claims::remove(lease, &claimed.over).await?;
    }
    let claims = Claims::new(&claimed, commit.receipt.clone());
    Ok((columns.write(lease, &claims).await?, claimed))
}

/// What is in the way of a commit that the database itself refused.
async fn overlapping(lease: &mut Lease, commit: &Commit) -> Result<StoreError, StoreError> {
    match claims::plan(lease, commit).await {
        Err(refused @ StoreError::Refused { .. }) => Ok(refused),
        Err(error) => Err(error),
        // It is gone again.
        Ok(_) => Ok(StoreError::Conflict(0)),
    }
}

/// What the commit was not computed from the newest of; `error` if nothing is found.
async fn stale(
    lease: &mut Lease,
    commit: &Commit,
    error: sqlx::Error,
) -> Result<StoreError, StoreError> {
    if let Some(known) = outdated(lease, commit).await? {
        return Ok(known);
    }
    if let Some(known) = messages::refusal(lease, &commit.messages).await? {
        return Ok(known);
    }
    // Two writes of one resource, or a change that was itself undone.
    if code(&error) == "23505" {
        Ok(StoreError::Conflict(0))
    } else {
        Err(failure(error))
    }
}

/// What the commit was not computed from the newest of.
async fn outdated(lease: &mut Lease, commit: &Commit) -> Result<Option<StoreError>, StoreError> {
    if let Some(generation) = commit.generation
        && generation::newest(lease).await? != generation
    {
        return Ok(Some(StoreError::Outdated));
    }
    for (at, write) in commit.writes.iter().enumerate() {
        let mut sql = Sql::new(
            Dialect::Postgres,
            "SELECT rid, ver FROM resource WHERE type=",
        );
        sql.int(write.kind.number())
            .push(" AND id=")
            .bind(Value::Text(write.id.clone()));
        let now = match lease.rows(&sql).await?.pop() {
            Some(mut row) => Some((row.int()?, row.int()?)),
            None => None,
        };
        if now
            != write
                .expect
                .map(|expected| (expected.rid, expected.version))
        {
            return Ok(Some(StoreError::Conflict(at)));
        }
    }
    Ok(None)
}

/// The values of an audit row whose time is the argument `first`. As with positions in the log,
/// the transaction has its number first.
fn audited(first: usize) -> String {
    format!(
        "SELECT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('audit_seq') END,
                ${first}::bigint, ${}::bytea",
        first + 1
    )
}

/// The writes as columns.
#[derive(Debug, Default)]
struct Columns {
    rid: Vec<i64>,
    kind: Vec<i16>,
    id: Vec<String>,
    version: Vec<i64>,
    expected: Vec<i64>,
    updated: Vec<i64>,
    op: Vec<i16>,
    hash: Vec<Vec<u8>>,
    body: Vec<Vec<u8>>,
    remove: Entries,
    add: Entries,
    created: usize,
    deleted: usize,
    generation: Option<i64>,
    audit: Option<NewAuditRow>,
    messages: Messages,
}

#[derive(Debug, Default)]
struct Entries {
    param: Vec<i32>,
    key: Vec<Vec<u8>>,
    rid: Vec<i64>,
}

impl Columns {
    async fn new(
        commit: &Commit,
        numbers: &Numbers,
        lease: &mut Lease,
    ) -> Result<Self, StoreError> {
        let writes = &commit.writes;
        let created = writes.iter().filter(|write| write.expect.is_none()).count();
        let mut fresh = numbers.take(lease, created).await?.into_iter();
        let mut columns = Self {
            created,
            generation: commit.generation,
            audit: commit.audit.clone(),
            messages: Messages::new(&commit.messages),
            ..Self::default()
        };
        for write in writes {
            let number = || StoreError::Failed("too few resource numbers".to_owned());
            let rid = match write.expect {
                Some(expected) => expected.rid,
                None => write.kind.number() << 44 | fresh.next().ok_or_else(number)?,
            };
            columns.push(write, rid);
        }
        Ok(columns)
    }

    fn push(&mut self, write: &Write, rid: i64) {
        self.rid.push(rid);
        self.kind.push(write.kind.number() as i16);
        self.id.push(write.id.clone());
        self.version.push(write.version);
        self.expected
            .push(write.expect.map_or(0, |expected| expected.version));
        self.updated.push(write.updated);
        self.op.push(change_number(write.change) as i16);
        self.hash.push(hash::of(&write.body).to_vec());
        self.body.push(text::pack(&write.body));
        if write.change == Change::Delete {
            self.deleted += 1;
            return;
        }
        for (entries, from) in [
            (&mut self.remove, &write.remove),
            (&mut self.add, &write.add),
        ] {
            for entry in from {
                entries.param.push(entry.param.0 as i32);
                entries.key.push(entry.key.clone());
                entries.rid.push(rid);
            }
        }
    }

    /// Writes everything or nothing; the positions in the log.
    async fn write(&self, lease: &mut Lease, claims: &Claims) -> Result<Vec<i64>, Refusal> {
        if self.rid.is_empty() {
            let mut next = 1;
            let mut parts = claims.parts(&mut next);
            parts.extend(self.messages.parts(&mut next));
            if !parts.is_empty() {
                let text = format!(
                    "WITH {} SELECT 1 WHERE 1/(CASE WHEN 1=1{} THEN 1 ELSE 0 END)=1",
                    parts.join(","),
                    self.messages.complete()
                );
                let query = claims.bind(sqlx::query(AssertSqlSafe(text)));
                lease.query(self.messages.bind(query)).await?;
            }
            if let Some(row) = &self.audit {
                let text = format!("INSERT INTO audit (seq,ts,body) {}", audited(1));
                let query = sqlx::query(AssertSqlSafe(text));
                lease.query(query.bind(row.at).bind(&row.body)).await?;
            }
            return Ok(Vec::new());
        }
        let rows = lease.query(self.statement(claims)).await?;
        let mut vids = Vec::with_capacity(rows.len());
        for row in rows {
            vids.push(row.try_get::<i64, _>(0).map_err(failure)?);
        }
        Ok(vids)
    }

    fn statement<'q>(&'q self, claims: &'q Claims) -> Query<'q, sqlx::Postgres, PgArguments> {
        let changed = self.rid.len() - self.created;
        // A transaction has its number before it takes a position: followers rely on it.
        let mut text = String::from(
            "WITH w AS MATERIALIZED (
               SELECT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('version_vid') END AS vid, u.*
               FROM unnest($1::bigint[],$2::smallint[],$3::text[],$4::bigint[],$5::bigint[],
                           $6::bigint[],$7::smallint[],$8::bytea[],$9::bytea[]) WITH ORDINALITY
                 AS u(rid,type,id,ver,expected,ts,op,hash,body,n)
             ), logged AS (
               INSERT INTO version (vid,rid,ver,ts,op,hash,body)
               SELECT vid,rid,ver,ts,op,hash,body FROM w
             )",
        );
        if self.created > 0 {
            text.push_str(
                ", made AS (
                   INSERT INTO resource (rid,type,id,ver,vid,updated,deleted)
                   SELECT rid,type,id,ver,vid,ts,CASE op WHEN 2 THEN 1 ELSE 0 END FROM w WHERE expected=0
                 )",
            );
        }
        if changed > 0 {
            text.push_str(
                ", moved AS (
                   UPDATE resource r
                   SET ver=w.ver, vid=w.vid, updated=w.ts, deleted=CASE w.op WHEN 2 THEN 1 ELSE 0 END
                   FROM (SELECT * FROM w WHERE expected>0 ORDER BY rid) w
                   WHERE r.rid=w.rid AND r.ver=w.expected RETURNING 1
                 )",
            );
        }
        if self.deleted > 0 {
            text.push_str(
                ", emptied AS (DELETE FROM entry e USING w WHERE w.op=2 AND e.rid=w.rid)",
            );
        }
        let mut next = 10;
        for (entries, removes) in [(&self.remove, true), (&self.add, false)] {
            if entries.rid.is_empty() {
                continue;
            }
            let list = format!(
                "unnest(${next}::integer[],${}::bytea[],${}::bigint[])",
                next + 1,
                next + 2
            );
            next += 3;
            text.push_str(&if removes {
                format!(
                    ", gone AS (DELETE FROM entry e USING {list} AS d(param,key,rid)
                       WHERE e.param=d.param AND e.key=d.key AND e.rid=d.rid)"
                )
            } else {
                format!(
                    ", added AS (INSERT INTO entry (param,key,rid)
                       SELECT * FROM {list} ON CONFLICT DO NOTHING)"
                )
            });
        }
        if self.audit.is_some() {
            let values = audited(next);
            next += 2;
            text.push_str(&format!(
                ", audited AS (INSERT INTO audit (seq,ts,body) {values})"
            ));
        }
        let mut parts = claims.parts(&mut next);
        parts.extend(self.messages.parts(&mut next));
        for part in parts {
            text.push_str(", ");
            text.push_str(&part);
        }
        // Not the number expected: divides by zero, which undoes all.
        text.push_str(" SELECT vid FROM w WHERE 1/(CASE WHEN 1=1");
        text.push_str(&self.messages.complete());
        if changed > 0 {
            text.push_str(&format!(
                " AND (SELECT count(*) FROM moved)=${next}::bigint"
            ));
            next += 1;
        }
        if self.generation.is_some() {
            text.push_str(&format!(" AND {}=${next}::bigint", generation::OF_WRITER));
        }
        text.push_str(" THEN 1 ELSE 0 END)=1 ORDER BY n");
        self.bind(sqlx::query(AssertSqlSafe(text)), claims, changed)
    }

    fn bind<'q>(
        &'q self,
        query: Query<'q, sqlx::Postgres, PgArguments>,
        claims: &'q Claims,
        changed: usize,
    ) -> Query<'q, sqlx::Postgres, PgArguments> {
        let mut query = query
            .bind(&self.rid)
            .bind(&self.kind)
            .bind(&self.id)
            .bind(&self.version)
            .bind(&self.expected)
            .bind(&self.updated)
            .bind(&self.op)
            .bind(&self.hash)
            .bind(&self.body);
        for entries in [&self.remove, &self.add] {
            if !entries.rid.is_empty() {
                query = query
                    .bind(&entries.param)
                    .bind(&entries.key)
                    .bind(&entries.rid);
            }
        }
        if let Some(row) = &self.audit {
            query = query.bind(row.at).bind(&row.body);
        }
        query = self.messages.bind(claims.bind(query));
        if changed > 0 {
            query = query.bind(changed as i64);
        }
        if let Some(generation) = self.generation {
            query = query.bind(generation);
        }
        query
    }

    fn committed(&self, writes: &[Write], vids: &[i64]) -> Committed {
        let each = writes.iter().zip(&self.rid).zip(vids);
        let heads = each.map(|((write, &rid), &vid)| Head {
            rid,
            kind: write.kind,
            id: write.id.clone(),
            version: write.version,
            vid,
            updated: write.updated,
            deleted: write.change == Change::Delete,
        });
        Committed {
            heads: heads.collect(),
            reused: Vec::new(),
        }
    }
}
