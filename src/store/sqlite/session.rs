//! A SQLite connection as a [`Session`].

use std::future::{Future, ready};

use futures_util::FutureExt;
use rusqlite::{
    Connection, ErrorCode, ToSql,
    types::{ToSqlOutput, Value as Owned, ValueRef},
};

use super::super::{
    error::StoreError,
    session::Session,
    sql::{Dialect, Row, Sql, Value},
};

/// A borrowed connection. Its futures are ready when they are made: see [`now`].
#[derive(Debug)]
pub(in crate::store) struct Handle<'c>(pub &'c Connection);

/// The result of a future that waits for nothing but a [`Handle`].
pub(in crate::store) fn now<T>(
    future: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    future
        .now_or_never()
        .unwrap_or_else(|| Err(StoreError::Failed("a SQLite query had to wait".to_owned())))
}

impl Session for Handle<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn rows(&mut self, sql: &Sql) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send {
        let all = rows(self.0, sql, usize::MAX);
        ready(all.map(|(rows, _)| rows).map_err(failure))
    }

    fn rows_within(
        &mut self,
        sql: &Sql,
        room: usize,
    ) -> impl Future<Output = Result<(Vec<Row>, bool), StoreError>> + Send {
        ready(rows(self.0, sql, room).map_err(failure))
    }

    fn execute(&mut self, sql: &Sql) -> impl Future<Output = Result<u64, StoreError>> + Send {
        ready(execute(self.0, sql).map_err(failure))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Owned(Owned::Null),
            Value::Int(value) => ToSqlOutput::Owned(Owned::Integer(*value)),
            Value::Param(value) => ToSqlOutput::Owned(Owned::Integer((*value).into())),
            Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Value::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Value::Keys(_) | Value::Ints(_) | Value::Texts(_) => {
                return Err(rusqlite::Error::ToSqlConversionFailure(
                    "SQLite has no arrays".into(),
                ));
            }
        })
    }
}

fn rows(connection: &Connection, sql: &Sql, room: usize) -> rusqlite::Result<(Vec<Row>, bool)> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let width = statement.column_count();
    let mut found = statement.query(rusqlite::params_from_iter(&sql.args))?;
    let mut rows = Vec::new();
    let mut taken = 0;
    while let Some(row) = found.next()? {
        if taken > room {
            return Ok((rows, true));
        }
        let mut values = Vec::with_capacity(width);
        for column in 0..width {
            values.push(value(row.get_ref(column)?)?);
        }
        let row = Row::new(values);
        taken += row.weight();
        rows.push(row);
    }
    Ok((rows, false))
}

fn value(value: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(_) => return Err(rusqlite::Error::InvalidQuery),
        ValueRef::Text(value) => Value::Text(std::str::from_utf8(value)?.to_owned()),
        ValueRef::Blob(value) => Value::Bytes(value.to_vec()),
    })
}

fn execute(connection: &Connection, sql: &Sql) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    Ok(statement.execute(rusqlite::params_from_iter(&sql.args))? as u64)
}

/// How SQLite says that a statement is larger than it takes.
const LIMITS: [&str; 5] = [
    "too many SQL variables",
    "variable number must be between",
    "too many terms in compound SELECT",
    "Expression tree is too large",
    "parser stack overflow",
];

/// What an error of SQLite means to the callers of the store.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn failure(error: rusqlite::Error) -> StoreError {
    let text = match &error {
        // Its own text repeats the whole statement.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    // The one virtual table is that of words.
    let code = error.sqlite_error().map(|error| error.extended_code);
    if code == Some(rusqlite::ffi::SQLITE_CORRUPT_VTAB) || text.contains("invalid fts5 file") {
        return StoreError::Words(text);
    }
    if LIMITS.iter().any(|limit| text.contains(limit)) {
        return StoreError::TooLarge(text);
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::TooBig) => StoreError::TooLarge(text),
        Some(ErrorCode::OperationInterrupted) => StoreError::Timeout(0),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory,
        ) => StoreError::Storage(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Unavailable(text),
        _ => StoreError::Failed(text),
    }
}
