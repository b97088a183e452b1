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

    /// The first rows of a query, at least one if there are any: it ends when their texts and bytes
    /// are more than `room`. True if it ended before all rows; then the session may be used up.
    fn rows_within(
        &mut self,
        sql: &Sql,
        room: usize,
    ) -> impl Future<Output = Result<(Vec<Row>, bool), StoreError>> + Send;

    /// Runs a statement; how many rows it changed.
    fn execute(&mut self, sql: &Sql) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
