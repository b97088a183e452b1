//! Searches: which index to walk, in which order.
//!
//! The search compiler says what must hold; this module decides the order of the joins. It
//! counts, up to a bound, how many candidates each condition has, starts from the one with the
//! fewest, and tests the others one by one. A page continues where the one before ended by the
//! value of its last hit, so it neither repeats nor leaves out what others did not touch.

mod canonical;
pub(super) mod condition;
#[cfg(test)]
mod flat;
mod fold;
mod log;
mod order;
mod position;
mod related;
mod scope;
mod sorted;
mod source;
mod table;
mod unsorted;
mod walk;

pub(super) use log::versions;
use resources::model::ResourceType;

use super::{
    error::StoreError,
    session::Session,
    sql::{Sql, rid_range},
    types::{Guard, Page},
    view::View,
};
use crate::search::plan::{Clause, Plan, SortKey, TotalMode};
use position::Place;
use scope::{Driver, Scope};

/// Whether just the resource that the guard names satisfies its clause.
pub(super) async fn guard_holds<S: Session>(
    session: &mut S,
    guard: &Guard,
    view: &View,
    cap: usize,
) -> Result<bool, StoreError> {
    let mut found = Vec::new();
    if let Some(scope) = Scope::new(guard.kind, &guard.clause, view, cap) {
        let driver = scope.choose_unsorted(session, &mut Vec::new()).await?;
        let mut sql = Sql::new(session.dialect(), "");
        scope.push_numbers(&mut sql, driver, rid_range(guard.kind).0 - 1, Some(2))?;
        for mut row in session.rows(&sql).await? {
            found.push(row.int()?);
        }
    }
    Ok(found.as_slice() == guard.matches.as_slice())
}

/// One page of a search, with at most `cap` candidates in memory. It ends early, but not without
/// any hit, when the texts of the hits are more than `room`.
pub(super) async fn search<S: Session>(
    session: &mut S,
    plan: &Plan,
    view: &View,
    (cap, room): (usize, usize),
) -> Result<Page, StoreError> {
    let after = plan
        .after
        .as_ref()
        .map(|after| Place::decode(after, plan))
        .transpose()?;
    let mut page = Page::default();
    let kinds = present(session, &plan.types).await?;
    let scopes_of = |view| {
        let each = kinds.iter();
        each.filter_map(|kind| Scope::new(*kind, &plan.filter, view, cap))
            .collect::<Vec<Scope<'_>>>()
    };
    let mut scopes = scopes_of(view);
    let informed;
    if related::is_asked_often(session, &scopes, view).await?
        && let Some(knowing) = related::knowing(session, view, cap, &mut page.explain).await?
    {
        informed = knowing;
        scopes = scopes_of(&informed);
    }
    if plan.total != TotalMode::None {
        page.total = Some(total(session, &scopes, plan.total, &mut page.explain).await?);
    }
    if plan.limit > 0 {
        let by_order = !plan.sort.is_empty() || matches!(after, Some(Place::Sorted { .. }));
        let explain = &mut page.explain;
        let (hits, cut) = if by_order {
            sorted::page(session, plan, &scopes, (after.as_ref(), room), explain).await?
        } else {
            unsorted::page(session, plan, &scopes, (after.as_ref(), room), explain).await?
        };
        page.more = cut || hits.len() > plan.limit;
        page.hits = hits;
        page.hits.truncate(plan.limit);
    }
    Ok(page)
}

/// The types in the order of their numbers; of several, those that have resources.
async fn present<S: Session>(
    session: &mut S,
    types: &[ResourceType],
) -> Result<Vec<ResourceType>, StoreError> {
    let mut kinds = types.to_vec();
    kinds.sort();
    kinds.dedup();
    if kinds.len() < 3 {
        return Ok(kinds);
    }
    let values: Vec<String> = kinds
        .iter()
        .map(|kind| format!("({})", kind.number()))
        .collect();
    let sql = Sql::new(
        session.dialect(),
        &format!(
            "SELECT k.column1 FROM (VALUES {}) AS k WHERE
             (SELECT 1 FROM resource r WHERE r.type=k.column1 LIMIT 1) IS NOT NULL",
            values.join(",")
        ),
    );
    let mut found = Vec::new();
    for mut row in session.rows(&sql).await? {
        found.extend(ResourceType::from_number(row.int()?));
    }
    found.sort();
    Ok(found)
}

/// How many match; an estimate stops counting at the bound of each scope.
async fn total<S: Session>(
    session: &mut S,
    scopes: &[Scope<'_>],
    mode: TotalMode,
    explain: &mut Vec<String>,
) -> Result<(u64, bool), StoreError> {
    let (mut total, mut is_exact) = (0, true);
    for scope in scopes {
        let driver = scope.choose_for_all(session, explain).await?;
        let limit = (mode == TotalMode::Estimate).then_some(scope.cap);
        let mut sql = Sql::new(session.dialect(), "SELECT count(*) FROM (");
        scope.push_numbers(&mut sql, driver, rid_range(scope.kind).0 - 1, limit)?;
        sql.push(") n");
        let count = match session.rows(&sql).await?.pop() {
            Some(mut row) => row.int()? as u64,
            None => 0,
        };
        explain.push(format!("{}: {count} counted by {driver:?}", scope.kind));
        is_exact &= limit.is_none_or(|limit| count < limit as u64);
        total += count;
    }
    Ok((total, is_exact))
}
