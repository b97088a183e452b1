//! Who follows the log to tell others of it, and what waits to be sent to them.

use resources::model::ResourceType;

use super::{DeliveryState, StoredDelivery, read};
use crate::store::{
    Backend, LogEntry, Store, StoreError,
    postgres::Log,
    read::log_of,
    run,
    session::Session,
    sql::{Row, Sql, Value},
    sqlite::{Handle, now},
};

/// A part of the log for a follower.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Versions of the types that it asked for, oldest first.
    pub entries: Vec<LogEntry>,
    /// No version of these types is at or below this place that was not told.
    pub reached: i64,
}

/// A message to be sent, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryHead {
    /// Its number: they are sent in this order.
    pub n: i64,
    /// What it must keep its order with.
    pub line: i64,
    /// Code and event: `SIU^S12`.
    pub kind: String,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent again, milliseconds since 1970.
    pub next: Option<i64>,
}

/// The setting that holds where a follower is.
pub(in crate::store) fn setting_of(follower: &str) -> String {
    format!("follower:{follower}")
}

/// A place in the log as the setting has it.
pub(in crate::store) fn place(at: i64) -> [u8; 8] {
    at.to_be_bytes()
}

fn head(mut row: Row) -> Result<DeliveryHead, StoreError> {
    Ok(DeliveryHead {
        n: row.int()?,
        line: row.int()?,
        kind: row.text()?,
        attempts: u32::try_from(row.int()?)
            .map_err(|_| StoreError::Damaged("attempts below 0".to_owned()))?,
        next: row.maybe_int()?,
    })
}

async fn heads<S: Session>(
    session: &mut S,
    (destination, state): (&str, DeliveryState),
    after: i64,
    limit: usize,
) -> Result<Vec<DeliveryHead>, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT d.n, d.line, d.kind, d.attempts, d.next FROM delivery d WHERE d.destination=",
    );
    sql.bind(Value::Text(destination.to_owned()));
    sql.push(" AND d.state=").int(state.number());
    if state != DeliveryState::Done {
        sql.push(" AND d.state<>1");
    }
    sql.push(" AND d.n>").int(after);
    sql.push(" ORDER BY d.n LIMIT ").int(limit as i64);
    let rows = session.rows(&sql).await?;
    rows.into_iter().map(head).collect()
}

async fn counts<S: Session>(
    session: &mut S,
    destination: &str,
) -> Result<Vec<(DeliveryState, u64, i64)>, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT d.state, count(*), min(d.created) FROM delivery d WHERE d.state<>1
           AND d.destination=",
    );
    sql.bind(Value::Text(destination.to_owned()));
    sql.push(" GROUP BY d.state");
    let mut found = Vec::new();
    for mut row in session.rows(&sql).await? {
        let state = DeliveryState::from_number(row.int()?)
            .ok_or_else(|| StoreError::Damaged("the state of a delivery".to_owned()))?;
        found.push((state, row.int()?.max(0).unsigned_abs(), row.int()?));
    }
    Ok(found)
}

impl Store {
    /// Where a follower is; the present end of the log if it never was.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn follower(&self, name: &str, kinds: &[ResourceType]) -> Result<i64, StoreError> {
        let key = setting_of(name);
        let read = |stored: Vec<u8>| {
            let stored = <[u8; 8]>::try_from(stored);
            stored
                .map(i64::from_be_bytes)
                .map_err(|_| StoreError::Damaged(format!("the setting {key} is no place")))
        };
        if let Some(stored) = self.setting(&key).await? {
            return read(stored);
        }
        let end = self.start_seen(kinds.to_vec()).await?.position();
        read(self.setting_or(&key, &place(end)).await?)
    }

    /// Versions of some types after a place in the log, oldest first: what is left out now does
    /// not appear later before what is told. On SQLite it costs nothing to find out that there
    /// are none.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn followed(
        &self,
        kinds: &[ResourceType],
        after: i64,
        limit: usize,
    ) -> Result<Followed, StoreError> {
        let end = match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.newest(kinds),
            Backend::Postgres(postgres) => {
                let mut lease = postgres.read().await?;
                postgres.frontier(Log::Versions, &mut lease, after).await?
            }
        };
        if end <= after {
            return Ok(Followed {
                entries: Vec::new(),
                reached: after,
            });
        }
        let mut entries = Vec::new();
        for kind in kinds.iter().copied() {
            let part = run!(self, search, |session| log_of(
                session,
                kind,
                (after, end),
                limit
            ))?;
            entries.extend(part);
        }
        entries.sort_by_key(|entry: &LogEntry| entry.stored.head.vid);
        let is_cut = entries.len() >= limit;
        entries.truncate(limit);
        let last = entries.last().filter(|_| is_cut);
        let reached = last.map_or(end, |entry| entry.stored.head.vid);
        Ok(Followed { entries, reached })
    }

    /// What is to be sent to a destination, or is in another state, after a number.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn delivery_heads(
        &self,
        destination: &str,
        state: DeliveryState,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeliveryHead>, StoreError> {
        let destination = destination.to_owned();
        run!(self, search, |session| heads(
            session,
            (&destination, state),
            after,
            limit
        ))
    }

    /// How many messages to a destination are in each state other than done, and when the oldest
    /// of them was queued (milliseconds since 1970).
    ///
    /// # Errors
    /// What the database reports.
    pub async fn delivery_counts(
        &self,
        destination: &str,
    ) -> Result<Vec<(DeliveryState, u64, i64)>, StoreError> {
        let destination = destination.to_owned();
        run!(self, search, |session| counts(session, &destination))
    }

    /// One message to be sent.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn delivery(&self, n: i64) -> Result<Option<StoredDelivery>, StoreError> {
        run!(self, read, |session| read::delivery_at(session, n))
    }
}
