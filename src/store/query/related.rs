//! Who is related to whoever asks, by care or by an order: looked up once for a query instead of
//! for each resource.

use std::collections::BTreeSet;

use resources::{
    index::{
        ParamId,
        key::{read_reference, reference_prefix},
    },
    model::ResourceType,
};

use super::{
    super::{
        error::StoreError,
        session::Session,
        sql::{Sql, Value, rid_range},
        view::View,
    },
    condition::push_range,
    scope::{Driver, Scope},
    source::{push_union, sources},
};
use crate::search::{
    Related,
    plan::{Clause, KeyRange},
};

const PATIENT: ResourceType = ResourceType::PATIENT;

/// More patients than this are not looked up at once.
const MOST: usize = 2_000;

/// Whether who is related should be looked up at once: asking for each of a few candidates costs
/// less.
pub(super) async fn is_asked_often<S: Session>(
    session: &mut S,
    scopes: &[Scope<'_>],
    view: &View,
) -> Result<bool, StoreError> {
    if view.relations().is_empty() {
        return Ok(false);
    }
    for scope in scopes {
        if scope.looks_at_the_view() && !scope.has_few(session).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The view with who is related now, for each relation of which they and what says so are not
/// very many; `None` if there is none such.
pub(super) async fn knowing<S: Session>(
    session: &mut S,
    view: &View,
    cap: usize,
    explain: &mut Vec<String>,
) -> Result<Option<View>, StoreError> {
    let mut all = Vec::new();
    for how in view.relations() {
        if let Some(found) = related(session, how, view, cap).await? {
            explain.push(format!("Patient: {} are related", found.ids.len()));
            all.push(found);
        }
    }
    Ok((!all.is_empty()).then(|| view.knowing(all)))
}

async fn related<S: Session>(
    session: &mut S,
    how: Clause,
    view: &View,
    cap: usize,
) -> Result<Option<Related>, StoreError> {
    let Some(named) = named(session, &how, view, cap).await? else {
        return Ok(None);
    };
    let mut sql = Sql::new(
        session.dialect(),
        &format!(
            "SELECT r.id, r.deleted FROM resource r WHERE r.type={} AND r.id",
            PATIENT.number()
        ),
    );
    sql.in_texts(&named);
    let (mut ids, mut deleted) = (Vec::new(), Vec::new());
    for mut row in session.rows(&sql).await? {
        let id = row.text()?;
        match row.int()? {
            0 => ids.push(id),
            _ => deleted.push(id),
        }
    }
    Ok(Some(Related { how, ids, deleted }))
}

/// The ids of the patients to whom something that says so refers.
async fn named<S: Session>(
    session: &mut S,
    how: &Clause,
    view: &View,
    cap: usize,
) -> Result<Option<Vec<String>>, StoreError> {
    let mut ways = Vec::new();
    if !push_ways(how, &mut ways) {
        return Ok(None);
    }
    let (whole, everything) = (view.whole(), Clause::All(Vec::new()));
    let mut sql = Sql::new(session.dialect(), "SELECT k.key FROM (");
    let mut joint = "";
    for (source, param, inner) in ways {
        let all = Scope::new(source, &everything, &whole, cap);
        let Some(scope) = all.and_then(|all| all.narrowed(inner.clone())) else {
            continue;
        };
        sql.push(std::mem::replace(&mut joint, " UNION ALL "));
        if !push_named(session, &mut sql, &scope, param).await? {
            return Ok(None);
        }
    }
    if joint.is_empty() {
        return Ok(Some(Vec::new()));
    }
    sql.push(") k LIMIT ").int(cap as i64);
    let rows = session.rows(&sql).await?;
    if rows.len() >= cap {
        return Ok(None);
    }
    let mut named = BTreeSet::new();
    for mut row in rows {
        let key = row.bytes()?;
        named.extend(read_reference(&key).map(|(_, id)| id.to_owned()));
    }
    Ok((named.len() <= MOST).then(|| named.into_iter().collect()))
}

/// What refers to the patients, by which parameter, and what it must satisfy.
type Way<'c> = (ResourceType, ParamId, &'c Clause);

/// Adds the ways to be related so; false if there is another one.
fn push_ways<'c>(how: &'c Clause, ways: &mut Vec<Way<'c>>) -> bool {
    match how {
        Clause::Decided(part) => push_ways(part, ways),
        Clause::Any(parts) => parts.iter().all(|part| push_ways(part, ways)),
        Clause::ReferredBy {
            source,
            param,
            canonical: None,
            inner,
        } => {
            ways.push((*source, *param, inner));
            true
        }
        _ => false,
    }
}

/// Appends a query of the keys by which patients are referred to by what is in the scope; false
/// if that is found among very many only.
async fn push_named<S: Session>(
    session: &mut S,
    sql: &mut Sql,
    scope: &Scope<'_>,
    param: ParamId,
) -> Result<bool, StoreError> {
    let e = sql.alias('e');
    sql.push(&format!("SELECT {e}.key AS key FROM "));
    let is_all = scope.parts.is_empty();
    if !is_all {
        sql.push("(");
        match scope.parts.as_slice() {
            // Whoever reads this ends at a bound, wherever that is.
            [only] if scope.skip(0).is_some() => {
                push_union(sql, &sources(only).unwrap_or_default(), scope.kind);
            }
            _ => {
                let driver = scope.choose(session, &mut Vec::new()).await?;
                if !matches!(driver, Driver::Small(_)) {
                    return Ok(false);
                }
                scope.push_numbers(sql, driver, rid_range(scope.kind).0 - 1, None)?;
            }
        }
        sql.push(") i CROSS JOIN ");
    }
    sql.push(&format!("entry {e} WHERE {e}.param="));
    sql.bind(Value::Param(param.0)).push(" AND ");
    push_range(sql, &e, &KeyRange::prefix(reference_prefix(PATIENT)));
    if !is_all {
        sql.push(&format!(" AND {e}.rid=i.rid"));
    }
    Ok(true)
}
