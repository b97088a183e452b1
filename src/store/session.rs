//! A connection of either database, as the queries see it.

use std::future::Future;

use super::{
    error::StoreError,
    sql::{Dialect, Row, Sql},
};

/// Runs statements one after the other.
pub(super) trait Session {
    /// How to spell statements.
    fn dialect(&self) -> Dialect;

    /// The rows of a query.
    fn rows(&mut self, sql: &Sql) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Runs a statement; how many rows it changed.
    fn execute(&mut self, sql: &Sql) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
