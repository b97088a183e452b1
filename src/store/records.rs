//! Records of the authorization server: small, keyed, changed by compare and swap. They are no
//! resources: nothing of FHIR reaches them.

use super::{
    error::StoreError,
    session::Session,
    sql::{Row, Sql, Value},
};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is a record of; the authorization server numbers them.
    pub kind: i64,
    /// Its name among those of the kind.
    pub id: String,
    /// What it goes with, or nothing.
    pub owner: String,
    /// 1, then one more with each change.
    pub version: i64,
    /// Milliseconds since 1970, from which on it is not valid; it is removed some time after.
    pub expires: Option<i64>,
    /// What it says.
    pub body: Vec<u8>,
}

/// What must be true of a record for a set of changes to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is none.
    Absent,
    /// It is there with this version.
    Version(i64),
    /// It is there or not.
    Any,
}

/// One change of a set that happens as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// Adds or replaces; `version` of the record is not looked at.
    Put(Record, Expect),
    /// Removes.
    Remove(i64, String, Expect),
    /// Removes all of a kind that go with an owner.
    RemoveOwned(i64, String),
}

const COLUMNS: &str = "SELECT kind, id, owner, version, coalesce(expires, 0), body FROM identity";

fn record(mut row: Row) -> Result<Record, StoreError> {
    Ok(Record {
        kind: row.int()?,
        id: row.text()?,
        owner: row.text()?,
        version: row.int()?,
        expires: Some(row.int()?).filter(|at| *at != 0),
        body: row.bytes()?,
    })
}

/// The record with this name.
pub(super) async fn one<S: Session>(
    session: &mut S,
    kind: i64,
    id: &str,
) -> Result<Option<Record>, StoreError> {
    let mut sql = Sql::new(session.dialect(), COLUMNS);
    sql.push(" WHERE kind=").int(kind).push(" AND id=");
    sql.bind(Value::Text(id.to_owned()));
    session.rows(&sql).await?.pop().map(record).transpose()
}

/// Records of a kind in the order of their names after `after`; only those that go with `owner`,
/// if one is given.
pub(super) async fn list<S: Session>(
    session: &mut S,
    (kind, owner): (i64, Option<&str>),
    after: &str,
    limit: usize,
) -> Result<Vec<Record>, StoreError> {
    let mut sql = Sql::new(session.dialect(), COLUMNS);
    sql.push(" WHERE kind=").int(kind);
    if let Some(owner) = owner {
        sql.push(" AND owner=").bind(Value::Text(owner.to_owned()));
    }
    sql.push(" AND id>").bind(Value::Text(after.to_owned()));
    sql.push(" ORDER BY id LIMIT ")
        .int(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = session.rows(&sql).await?;
    rows.into_iter().map(record).collect()
}

/// Makes all changes; [`StoreError::Conflict`] with the place of the first whose expectation
/// does not hold, upon which the transaction around it must be undone.
pub(super) async fn change<S: Session>(
    session: &mut S,
    changes: &[RecordChange],
) -> Result<(), StoreError> {
    for (at, change) in changes.iter().enumerate() {
        let sql = match change {
            RecordChange::Put(record, expected) => put(session, record, *expected),
            RecordChange::Remove(kind, id, expected) => remove(session, *kind, id, *expected),
            RecordChange::RemoveOwned(kind, owner) => {
                let mut sql = Sql::new(session.dialect(), "DELETE FROM identity WHERE kind=");
                sql.int(*kind).push(" AND owner=");
                sql.bind(Value::Text(owner.clone()));
                sql
            }
        };
        let changed = session.execute(&sql).await?;
        let must_change = match change {
            RecordChange::Put(..) => true,
            RecordChange::Remove(_, _, expected) => matches!(expected, Expect::Version(_)),
            RecordChange::RemoveOwned(..) => false,
        };
        if must_change && changed == 0 {
            return Err(StoreError::Conflict(at));
        }
    }
    Ok(())
}

fn put<S: Session>(session: &S, record: &Record, expected: Expect) -> Sql {
    let expires = record.expires.map_or(Value::Null, Value::Int);
    if let Expect::Version(version) = expected {
        let mut sql = Sql::new(session.dialect(), "UPDATE identity SET owner=");
        sql.bind(Value::Text(record.owner.clone()));
        sql.push(", version=version+1, expires=").bind(expires);
        sql.push(", body=").bytes(&record.body);
        sql.push(" WHERE kind=").int(record.kind).push(" AND id=");
        sql.bind(Value::Text(record.id.clone()));
        sql.push(" AND version=").int(version);
        return sql;
    }
    let mut sql = Sql::new(
        session.dialect(),
        "INSERT INTO identity (kind, id, owner, version, expires, body) VALUES (",
    );
    sql.int(record.kind).push(",");
    sql.bind(Value::Text(record.id.clone())).push(",");
    sql.bind(Value::Text(record.owner.clone())).push(",1,");
    sql.bind(expires).push(",").bytes(&record.body);
    sql.push(match expected {
        Expect::Any => {
            ") ON CONFLICT (kind, id) DO UPDATE SET owner=excluded.owner,
               version=identity.version+1, expires=excluded.expires, body=excluded.body"
        }
        _ => ") ON CONFLICT DO NOTHING",
    });
    sql
}

fn remove<S: Session>(session: &S, kind: i64, id: &str, expected: Expect) -> Sql {
    let mut sql = Sql::new(session.dialect(), "DELETE FROM identity WHERE kind=");
    sql.int(kind).push(" AND id=");
    sql.bind(Value::Text(id.to_owned()));
    if let Expect::Version(version) = expected {
        sql.push(" AND version=").int(version);
    }
    sql
}

/// Removes what has not been valid since `before`; how many.
pub(super) async fn sweep<S: Session>(session: &mut S, before: i64) -> Result<u64, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "DELETE FROM identity WHERE expires IS NOT NULL AND expires<",
    );
    sql.int(before);
    session.execute(&sql).await
}
