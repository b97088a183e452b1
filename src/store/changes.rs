//! Which resources have changed, for who keeps something of them in memory.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use resources::model::ResourceType;

use super::{
    Backend, Store, StoreError,
    generation::number,
    postgres::Log,
    session::Session,
    sql::{Dialect, Sql, Value, kind_of},
    sqlite::now,
};

/// Versions that are remembered on PostgreSQL before the log's end is looked for again.
const REMEMBERED: usize = 64;
/// How often, and with which pause, the beginning waits for commits that are under way.
const PATIENCE: (u32, Duration) = (200, Duration::from_millis(10));

/// What somebody who keeps something of resources has seen of their changes.
#[derive(Debug, Clone)]
pub struct Seen {
    kinds: Vec<ResourceType>,
    /// Nothing at or below this place in the log is news.
    position: i64,
    /// Places above it that have been told (PostgreSQL: commits do not appear in the order of
    /// their places).
    told: HashSet<i64>,
}

impl Seen {
    /// Nothing yet of these types: the first answer names all resources that there are.
    pub fn new(kinds: Vec<ResourceType>) -> Self {
        Self {
            kinds,
            position: 0,
            told: HashSet::new(),
        }
    }

    /// The place in the log at or below which nothing is news.
    pub(super) fn position(&self) -> i64 {
        self.position
    }
}

impl Store {
    /// The present end: of these types, nothing that is read after this is missed by
    /// [`Store::changed`].
    ///
    /// # Errors
    /// What the database reports.
    pub async fn start_seen(&self, kinds: Vec<ResourceType>) -> Result<Seen, StoreError> {
        let mut seen = Seen::new(kinds);
        match &self.backend {
            Backend::Sqlite(sqlite) => seen.position = sqlite.newest(&seen.kinds),
            Backend::Postgres(postgres) => {
                let mut lease = postgres.read().await?;
                let text = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM version_vid";
                let taken = number(&mut lease, text).await?;
                // What is under way may have a place below. Who does not wait for it is told
                // more than is new.
                for _ in 0..PATIENCE.0 {
                    seen.position = postgres
                        .frontier(Log::Versions, &mut lease, taken - 1)
                        .await?;
                    if seen.position >= taken {
                        break;
                    }
                    tokio::time::sleep(PATIENCE.1).await;
                }
            }
        }
        Ok(seen)
    }

    /// Resources of which a version was committed since the last call with the same `Seen`. None
    /// whose commit was acknowledged before this call is missing; one may be named twice. On
    /// SQLite it costs nothing to find out that there are none.
    ///
    /// # Errors
    /// What the database reports; then nothing counts as seen.
    pub async fn changed(
        &self,
        seen: &mut Seen,
    ) -> Result<Vec<(ResourceType, String)>, StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                // Before the look: what is committed meanwhile is found again.
                let newest = sqlite.newest(&seen.kinds);
                if newest <= seen.position {
                    return Ok(Vec::new());
                }
                let (kinds, position) = (seen.kinds.clone(), seen.position);
                let found = sqlite
                    .search(move |handle| now(versions(handle, &kinds, position)))
                    .await?;
                // Places appear in their order.
                let last = found.iter().map(|version| version.vid).max();
                seen.position = newest.max(last.unwrap_or(0));
                Ok(names(found))
            }
            Backend::Postgres(postgres) => {
                let mut lease = postgres.read().await?;
                let mut end = seen.position;
                if seen.told.len() > REMEMBERED {
                    end = postgres.frontier(Log::Versions, &mut lease, end).await?;
                }
                // After the look for the end: nothing appears below it any more.
                let found = versions(&mut lease, &seen.kinds, seen.position).await;
                let mut found = postgres.timed(found)?;
                found.retain(|version| seen.told.insert(version.vid));
                if end > seen.position {
                    seen.position = end;
                    seen.told.retain(|vid| *vid > end);
                }
                Ok(names(found))
            }
        }
    }
}

struct Version {
    vid: i64,
    kind: ResourceType,
    id: String,
}

/// Each resource once.
fn names(found: Vec<Version>) -> Vec<(ResourceType, String)> {
    let names: BTreeSet<_> = found
        .into_iter()
        .map(|version| (version.kind, version.id))
        .collect();
    names.into_iter().collect()
}

/// The versions of these types behind a place in the log.
async fn versions<S: Session>(
    session: &mut S,
    kinds: &[ResourceType],
    after: i64,
) -> Result<Vec<Version>, StoreError> {
    let numbers: Vec<i64> = kinds.iter().map(|kind| kind.number()).collect();
    let mut found = Vec::new();
    let mut ask = Vec::new();
    if session.dialect() == Dialect::Postgres {
        let mut sql = Sql::new(Dialect::Postgres, "SELECT v.vid, v.rid, r.id FROM unnest(");
        sql.bind(Value::Ints(numbers)).push(
            "::bigint[]) AS k(kind) CROSS JOIN LATERAL (
               SELECT vid, rid FROM version v WHERE (v.rid >> 44)=k.kind AND v.vid>",
        );
        sql.int(after)
            .push(") v CROSS JOIN resource r WHERE r.rid=v.rid");
        ask.push(sql);
    } else {
        for number in numbers {
            let mut sql = Sql::new(
                Dialect::Sqlite,
                "SELECT v.vid, v.rid, r.id FROM version v CROSS JOIN resource r
                 WHERE r.rid=v.rid AND (v.rid >> 44)=",
            );
            sql.int(number).push(" AND v.vid>").int(after);
            ask.push(sql);
        }
    }
    for sql in ask {
        for mut row in session.rows(&sql).await? {
            found.push(Version {
                vid: row.int()?,
                kind: kind_of(row.int()?)?,
                id: row.text()?,
            });
        }
    }
    Ok(found)
}
