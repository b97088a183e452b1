//! The generation of the search parameters: a number that is raised with every change of them.
//!
//! Each node computes index entries with the parameters that it knows. A commit names their
//! generation, and is refused if that is no longer the newest. So a parameter can be declared
//! complete: after the number was raised, and what was under way then has ended, nobody writes
//! without the parameter any more.
//!
//! On PostgreSQL the number is a sequence, since a statement must see it as it is now and not as
//! it was when the statement began. A commit has its transaction number before it looks at the
//! generation; so what saw the old one has a smaller number than a transaction that begins after
//! the raise, and when all of those have ended, none can follow.

use super::{
    error::StoreError,
    session::Session,
    sql::{Dialect, Sql},
};

/// The newest generation as PostgreSQL sees it inside a statement that writes.
pub(super) const OF_WRITER: &str = "(SELECT CASE WHEN pg_current_xact_id() IS NOT NULL
    THEN pg_sequence_last_value('parameter_generation'::regclass) END)";

/// The newest generation.
pub(super) async fn newest<S: Session>(session: &mut S) -> Result<i64, StoreError> {
    let text = match session.dialect() {
        Dialect::Sqlite => "PRAGMA user_version",
        Dialect::Postgres => "SELECT pg_sequence_last_value('parameter_generation'::regclass)",
    };
    number(session, text).await
}

/// Refuses what was computed with another generation. Belongs into the transaction that writes.
pub(super) async fn check<S: Session>(session: &mut S, computed: i64) -> Result<(), StoreError> {
    let newest = match session.dialect() {
        Dialect::Sqlite => newest(session).await?,
        Dialect::Postgres => number(session, &format!("SELECT {OF_WRITER}")).await?,
    };
    if newest == computed {
        Ok(())
    } else {
        Err(StoreError::Outdated)
    }
}

/// Raises the number. The result is what to ask [`is_settled`] with.
pub(super) async fn raise<S: Session>(session: &mut S) -> Result<i64, StoreError> {
    match session.dialect() {
        Dialect::Sqlite => {
            let next = newest(session).await?.wrapping_add(1) & i64::from(i32::MAX);
            let text = format!("PRAGMA user_version = {next}");
            session.execute(&Sql::new(Dialect::Sqlite, &text)).await?;
            Ok(0)
        }
        Dialect::Postgres => {
            number(session, "SELECT nextval('parameter_generation')").await?;
            number(session, "SELECT pg_current_xact_id()::text::bigint").await
        }
    }
}

/// True if nothing that was computed with an older generation can still be committed.
pub(super) async fn is_settled<S: Session>(
    session: &mut S,
    raised: i64,
) -> Result<bool, StoreError> {
    match session.dialect() {
        // Raised by the one thread that commits.
        Dialect::Sqlite => Ok(true),
        Dialect::Postgres => Ok(oldest(session).await? > raised),
    }
}

/// The number of PostgreSQL's oldest transaction that has not ended.
pub(super) async fn oldest<S: Session>(session: &mut S) -> Result<i64, StoreError> {
    let text = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
    number(session, text).await
}

/// The one number that a query gives.
pub(super) async fn number<S: Session>(session: &mut S, text: &str) -> Result<i64, StoreError> {
    let sql = Sql::new(session.dialect(), text);
    match session.rows(&sql).await?.pop() {
        Some(mut row) => row.int(),
        None => Err(StoreError::Failed(format!("no answer to {text}"))),
    }
}
