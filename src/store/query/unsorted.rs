//! Pages of searches that ask for no order: mostly that of the resources' numbers.

use super::{
    super::{
        error::StoreError,
        session::Session,
        sql::{HEAD, Sql, rid_range},
        types::Hit,
    },
    Clause, Driver, Place, Plan, Scope, order,
    scope::walk_order,
    sorted,
    walk::Walk,
};

/// One hit more than the page has, if there are more.
pub(super) async fn page<S: Session>(
    session: &mut S,
    plan: &Plan,
    scopes: &[Scope<'_>],
    after: Option<&Place>,
    explain: &mut Vec<String>,
) -> Result<Vec<Hit>, StoreError> {
    let mut hits = Vec::new();
    for scope in scopes {
        let (low, high) = rid_range(scope.kind);
        if after.is_some_and(|after| after.rid() >= high) {
            continue;
        }
        let here = after.filter(|after| after.rid() >= low);
        let wanted = plan.limit + 1 - hits.len();
        let found = one_type(session, plan, scope, (here, wanted), explain).await?;
        hits.extend(found);
        if hits.len() > plan.limit {
            break;
        }
    }
    Ok(hits)
}

async fn one_type<S: Session>(
    session: &mut S,
    plan: &Plan,
    scope: &Scope<'_>,
    (after, wanted): (Option<&Place>, usize),
    explain: &mut Vec<String>,
) -> Result<Vec<Hit>, StoreError> {
    let driver = match after {
        Some(Place::Key { part, .. }) => Driver::Keys(usize::from(*part)),
        _ => scope.choose_unsorted(session, explain).await?,
    };
    explain.push(format!("{}: driven by {driver:?}", scope.kind));
    match (driver, after) {
        // A page that began in the order of numbers goes on in it.
        (Driver::Keys(at), None | Some(Place::Key { .. })) => {
            by_key(session, scope, at, after, wanted).await
        }
        (Driver::Updated(_), None) if plan.types.len() == 1 => {
            sorted::page(session, plan, std::slice::from_ref(scope), None, explain).await
        }
        _ => by_number(session, scope, driver, after, wanted).await,
    }
}

async fn by_number<S: Session>(
    session: &mut S,
    scope: &Scope<'_>,
    driver: Driver,
    after: Option<&Place>,
    wanted: usize,
) -> Result<Vec<Hit>, StoreError> {
    // Very many candidates are not collected just to go on in the order of numbers.
    let driver = match driver {
        Driver::Keys(_) | Driver::Updated(_) => Driver::Scan,
        other => other,
    };
    let after = after.map_or(rid_range(scope.kind).0 - 1, Place::rid);
    let mut sql = Sql::new(session.dialect(), "WITH c(rid) AS MATERIALIZED (");
    scope.push_numbers(&mut sql, driver, after, Some(wanted))?;
    sql.push(") SELECT ").push(HEAD).push(
        ", v.body FROM c CROSS JOIN resource r CROSS JOIN version v
          WHERE r.rid=c.rid AND v.vid=r.vid",
    );
    let mut hits = Vec::with_capacity(wanted);
    for mut row in session.rows(&sql).await? {
        let stored = row.stored()?;
        let position = Place::Number(stored.head.rid).encode();
        hits.push(Hit {
            stored,
            sort: Vec::new(),
            position,
        });
    }
    // Sorting here spares the database to sort rows with their texts.
    hits.sort_unstable_by_key(|hit| hit.stored.head.rid);
    Ok(hits)
}

async fn by_key<S: Session>(
    session: &mut S,
    scope: &Scope<'_>,
    at: usize,
    after: Option<&Place>,
    wanted: usize,
) -> Result<Vec<Hit>, StoreError> {
    let Some(Clause::Keys { param, ranges }) = scope.parts.get(at) else {
        return Err(StoreError::Position);
    };
    let part = u8::try_from(at).map_err(|_| StoreError::Position)?;
    let ranges = walk_order(ranges).ok_or(StoreError::Position)?;
    let walk = Walk {
        params: &[param.0],
        ranges,
        skip: Some(at),
        descending: false,
    };
    let from = match after {
        Some(Place::Key { key, rid, .. }) => Some((key.as_slice(), *rid)),
        _ => None,
    };
    let found = walk.step(session, scope, from, wanted).await?;
    let rids: Vec<i64> = found.iter().map(|(_, rid)| *rid).collect();
    let mut bodies = order::fetch(session, &rids).await?;
    let hits = found.into_iter().filter_map(|(key, rid)| {
        let position = Place::Key { part, key, rid }.encode();
        Some(Hit {
            stored: bodies.remove(&rid)?,
            sort: Vec::new(),
            position,
        })
    });
    Ok(hits.collect())
}
