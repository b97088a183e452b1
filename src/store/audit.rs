//! The audit's rows and the seals over them. What is in a row the store does not know.

use super::{
    Backend, Handle, Store, StoreError,
    postgres::Log,
    run,
    session::Session,
    sql::{Row, Sql},
    sqlite::now,
};

/// A row to be added: what one commit did, or what a group of reads saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditRow {
    /// When its first event was, milliseconds since 1970.
    pub at: i64,
    /// Its events.
    pub body: Vec<u8>,
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place.
    pub seq: i64,
    /// When its first event was, milliseconds since 1970.
    pub at: i64,
    /// Its events.
    pub body: Vec<u8>,
}

/// A block of rows and its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// From 1, without gaps.
    pub number: i64,
    /// The place behind the last row of the block before.
    pub first_seq: i64,
    /// Its last row.
    pub last_seq: i64,
    /// How many rows it has.
    pub rows: i64,
    /// How many rows the blocks up to it have.
    pub total: i64,
    /// When its earliest event was.
    pub first_at: i64,
    /// When its latest event was.
    pub last_at: i64,
    /// The hash of the block before; of the first one, a random number.
    pub previous: Vec<u8>,
    /// The hash over all of the above, the filter, and the rows.
    pub hash: Vec<u8>,
    /// What is certainly not in the block.
    pub filter: Vec<u8>,
}

/// Which blocks, in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealWalk {
    /// Only blocks up to this number.
    pub up_to: i64,
    /// Only blocks with events at or after this instant,
    pub from: i64,
    /// and before this one.
    pub before: i64,
    /// By the latest event, latest first; else by the earliest, earliest first.
    pub newest_first: bool,
    /// Continue behind the block with this instant and number.
    pub after: Option<(i64, i64)>,
}

const SEAL: &str =
    "number, first_seq, last_seq, rows, total, first_ts, last_ts, prev_hash, hash, filter";

impl Store {
    /// Rows from `from` up to and with `to`, in their order, until they have more than `bytes`.
    pub async fn audit_rows(
        &self,
        (from, to): (i64, i64),
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        run!(self, search, |session| rows(
            session,
            (from, to),
            limit,
            bytes
        ))
    }

    /// As [`Store::audit_rows`] from behind `after`, for followers: what is left out now will
    /// not appear later before what is returned.
    pub async fn audit_after(
        &self,
        after: i64,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                let query = move |handle: &mut Handle<'_>| {
                    now(rows(handle, (after + 1, i64::MAX), limit, bytes))
                };
                sqlite.search(query).await
            }
            Backend::Postgres(postgres) => {
                let mut lease = postgres.read().await?;
                let mut passed = after;
                loop {
                    let end = postgres.frontier(Log::Audit, &mut lease, passed).await?;
                    let found = rows(&mut lease, (after + 1, end), limit, bytes).await;
                    // Positions of commits that were undone are passed over.
                    match postgres.timed(found)? {
                        none if none.is_empty() && end > passed => passed = end,
                        found => return Ok(found),
                    }
                }
            }
        }
    }

    /// The first and the last place that a row has.
    pub async fn audit_ends(&self) -> Result<Option<(i64, i64)>, StoreError> {
        run!(self, read, |session| ends(session))
    }

    /// The newest seal.
    pub async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError> {
        let text = format!("SELECT {SEAL} FROM audit_seal ORDER BY number DESC LIMIT 1");
        let found = run!(self, read, |session| seals(
            session,
            Sql::new(session.dialect(), &text)
        ))?;
        Ok(found.into_iter().next())
    }

    /// Seals behind a number, by number.
    pub async fn audit_seals(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<AuditSeal>, StoreError> {
        run!(self, search, |session| {
            let mut sql = Sql::new(session.dialect(), "SELECT ");
            sql.push(SEAL)
                .push(" FROM audit_seal WHERE number>")
                .int(after);
            sql.push(" ORDER BY number LIMIT ").int(limit as i64);
            seals(session, sql)
        })
    }

    /// Seals of blocks that can have events of a time.
    pub async fn audit_walk(
        &self,
        walk: SealWalk,
        limit: usize,
    ) -> Result<Vec<AuditSeal>, StoreError> {
        run!(self, search, |session| {
            let sql = walk_text(&walk, limit, Sql::new(session.dialect(), "SELECT "));
            seals(session, sql)
        })
    }

    /// Adds a seal; false if somebody else has added the one of this number.
    pub async fn seal_audit(&self, seal: &AuditSeal) -> Result<bool, StoreError> {
        let seal = seal.clone();
        let done = super::change!(self, write_beside, |session| add(session, &seal))?;
        Ok(done == 1)
    }
}

async fn rows<S: Session>(
    session: &mut S,
    (from, to): (i64, i64),
    limit: usize,
    bytes: usize,
) -> Result<Vec<AuditRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let to = match bytes {
        usize::MAX => to,
        room => fitting(session, (from, to), limit, room).await?,
    };
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT seq, ts, body FROM audit WHERE seq>=",
    );
    sql.int(from).push(" AND seq<=").int(to);
    sql.push(" ORDER BY seq LIMIT ").int(limit);
    let row = |mut row: Row| {
        Ok(AuditRow {
            seq: row.int()?,
            at: row.int()?,
            body: row.bytes()?,
        })
    };
    session.rows(&sql).await?.into_iter().map(row).collect()
}

/// The row with which the rows have more than `room` bytes.
async fn fitting<S: Session>(
    session: &mut S,
    (from, to): (i64, i64),
    limit: i64,
    room: usize,
) -> Result<i64, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT seq, CAST(length(body) AS bigint) FROM audit WHERE seq>=",
    );
    sql.int(from).push(" AND seq<=").int(to);
    sql.push(" ORDER BY seq LIMIT ").int(limit);
    let mut taken = 0;
    for mut row in session.rows(&sql).await? {
        let seq = row.int()?;
        taken += usize::try_from(row.int()?).unwrap_or_default();
        if taken > room {
            return Ok(seq);
        }
    }
    Ok(to)
}

async fn ends<S: Session>(session: &mut S) -> Result<Option<(i64, i64)>, StoreError> {
    let text =
        "SELECT (SELECT coalesce(min(seq),0) FROM audit), (SELECT coalesce(max(seq),0) FROM audit)";
    let sql = Sql::new(session.dialect(), text);
    match session.rows(&sql).await?.pop() {
        Some(mut row) => {
            let found = (row.int()?, row.int()?);
            Ok((found != (0, 0)).then_some(found))
        }
        None => Ok(None),
    }
}

fn walk_text(walk: &SealWalk, limit: usize, mut sql: Sql) -> Sql {
    let (column, than, order) = match walk.newest_first {
        true => ("last_ts", "<", "DESC"),
        false => ("first_ts", ">", "ASC"),
    };
    sql.push(SEAL)
        .push(" FROM audit_seal WHERE number<=")
        .int(walk.up_to)
        .push(" AND last_ts>=")
        .int(walk.from)
        .push(" AND first_ts<")
        .int(walk.before);
    if let Some((at, number)) = walk.after {
        sql.push(&format!(" AND ({column}, number) {than} ("))
            .int(at)
            .push(",")
            .int(number)
            .push(")");
    }
    sql.push(&format!(
        " ORDER BY {column} {order}, number {order} LIMIT "
    ))
    .int(limit as i64);
    sql
}

async fn seals<S: Session>(session: &mut S, sql: Sql) -> Result<Vec<AuditSeal>, StoreError> {
    let seal = |mut row: Row| {
        Ok(AuditSeal {
            number: row.int()?,
            first_seq: row.int()?,
            last_seq: row.int()?,
            rows: row.int()?,
            total: row.int()?,
            first_at: row.int()?,
            last_at: row.int()?,
            previous: row.bytes()?,
            hash: row.bytes()?,
            filter: row.bytes()?,
        })
    };
    session.rows(&sql).await?.into_iter().map(seal).collect()
}

async fn add<S: Session>(session: &mut S, seal: &AuditSeal) -> Result<u64, StoreError> {
    let mut sql = Sql::new(session.dialect(), "INSERT INTO audit_seal (");
    sql.push(SEAL).push(") VALUES (");
    for number in [
        seal.number,
        seal.first_seq,
        seal.last_seq,
        seal.rows,
        seal.total,
        seal.first_at,
        seal.last_at,
    ] {
        sql.int(number).push(",");
    }
    sql.bytes(&seal.previous).push(",");
    sql.bytes(&seal.hash).push(",");
    sql.bytes(&seal.filter).push(") ON CONFLICT DO NOTHING");
    session.execute(&sql).await
}
