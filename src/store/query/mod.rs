//! Searches: which index to walk, in which order.

pub(super) mod condition;

use super::{
    error::StoreError,
    session::Session,
    sql::{HEAD, Sql, rid_range},
    types::{Guard, Hit, Page},
    view::View,
};
use crate::search::plan::{Plan, Position};

/// Whether just the resource that the guard names satisfies its clause.
pub(super) async fn guard_holds<S: Session>(
    session: &mut S,
    guard: &Guard,
    view: &View,
) -> Result<bool, StoreError> {
    let (low, high) = rid_range(guard.kind);
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT r.rid FROM resource r WHERE r.deleted=0",
    );
    sql.push(&format!(" AND r.rid>={low} AND r.rid<{high} AND "));
    condition::push(&mut sql, &guard.clause, guard.kind, "r.rid", view)?;
    condition::push_access(&mut sql, guard.kind, "r.rid", view)?;
    sql.push(" ORDER BY r.rid LIMIT 2");
    let mut found = Vec::new();
    for mut row in session.rows(&sql).await? {
        found.push(row.int()?);
    }
    Ok(found.as_slice() == guard.matches.as_slice())
}

/// One page of a search.
pub(super) async fn search<S: Session>(
    session: &mut S,
    plan: &Plan,
    view: &View,
) -> Result<Page, StoreError> {
    if !plan.sort.is_empty() || plan.types.len() != 1 {
        return Err(StoreError::NotSupported("this search"));
    }
    let kind = plan.types[0];
    let (low, high) = rid_range(kind);
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(HEAD);
    sql.push(", v.body FROM resource r CROSS JOIN version v WHERE v.vid=r.vid AND r.deleted=0");
    sql.push(&format!(" AND r.rid>={low} AND r.rid<{high} AND "));
    condition::push(&mut sql, &plan.filter, kind, "r.rid", view)?;
    condition::push_access(&mut sql, kind, "r.rid", view)?;
    sql.push(" ORDER BY r.rid LIMIT ")
        .int(plan.limit as i64 + 1);
    let mut page = Page::default();
    for mut row in session.rows(&sql).await? {
        let stored = row.stored()?;
        let position = Position(stored.head.rid.to_be_bytes().to_vec());
        page.hits.push(Hit {
            stored,
            sort: Vec::new(),
            position,
        });
    }
    page.more = page.hits.len() > plan.limit;
    page.hits.truncate(plan.limit);
    Ok(page)
}
