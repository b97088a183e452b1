//! Pages of searches that ask for no order: mostly that of the resources' numbers.

use super::{
    super::{
        error::StoreError,
        session::Session,
        sql::{Dialect, HEAD, Sql, rid_range},
        types::Hit,
    },
    Clause, Driver, Place, Plan, Scope, order,
    scope::walk_order,
    sorted,
    walk::Walk,
};

/// One hit more than the page has, if there are more; fewer, and true, if there is no room for
/// all.
pub(super) async fn page<S: Session>(
    session: &mut S,
    plan: &Plan,
    scopes: &[Scope<'_>],
    (after, room): (Option<&Place>, usize),
    explain: &mut Vec<String>,
) -> Result<(Vec<Hit>, bool), StoreError> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut left = room;
    for scope in scopes {
        let (low, high) = rid_range(scope.kind);
        if after.is_some_and(|after| after.rid() >= high) {
            continue;
        }
        let here = after.filter(|after| after.rid() >= low);
        let wanted = plan.limit + 1 - hits.len();
        let part = Part {
            after: here,
            wanted,
            room: left,
        };
        let (found, cut) = one_type(session, plan, scope, part, explain).await?;
        let taken: usize = found.iter().map(|hit| hit.stored.body.len()).sum();
        left = left.saturating_sub(taken);
        hits.extend(found);
        if cut || hits.len() > plan.limit {
            return Ok((hits, cut));
        }
    }
    Ok((hits, false))
}

/// Which hits of a type are wanted.
#[derive(Clone, Copy)]
struct Part<'p> {
    after: Option<&'p Place>,
    wanted: usize,
    /// Bytes of text.
    room: usize,
}

async fn one_type<S: Session>(
    session: &mut S,
    plan: &Plan,
    scope: &Scope<'_>,
    part: Part<'_>,
    explain: &mut Vec<String>,
) -> Result<(Vec<Hit>, bool), StoreError> {
    let driver = match part.after {
        Some(Place::Key { part, .. }) => Driver::Keys(usize::from(*part)),
        _ => scope.choose_unsorted(session, explain).await?,
    };
    explain.push(format!("{}: driven by {driver:?}", scope.kind));
    match (driver, part.after) {
        // A page that began in the order of numbers goes on in it.
        (Driver::Keys(at), None | Some(Place::Key { .. })) => {
            by_key(session, scope, at, part).await
        }
        (Driver::Updated(_), None) if plan.types.len() == 1 => {
            let scopes = std::slice::from_ref(scope);
            sorted::page(session, plan, scopes, (None, part.room), explain).await
        }
        _ => by_number(session, scope, driver, part).await,
    }
}

async fn by_number<S: Session>(
    session: &mut S,
    scope: &Scope<'_>,
    driver: Driver,
    part: Part<'_>,
) -> Result<(Vec<Hit>, bool), StoreError> {
    // Very many candidates are not collected just to go on in the order of numbers.
    let driver = match driver {
        Driver::Keys(_) | Driver::Updated(_) => Driver::Scan,
        other => other,
    };
    let after = part.after.map_or(rid_range(scope.kind).0 - 1, Place::rid);
    let mut sql = Sql::new(session.dialect(), "WITH c(rid) AS MATERIALIZED (");
    scope.push_numbers(&mut sql, driver, after, Some(part.wanted))?;
    sql.push(") SELECT ").push(HEAD).push(
        ", v.body FROM c CROSS JOIN resource r CROSS JOIN version v
          WHERE r.rid=c.rid AND v.vid=r.vid",
    );
    if sql.dialect == Dialect::Postgres {
        // SQLite walks the numbers in the order in which they are made.
        sql.push(" ORDER BY c.rid");
    }
    let (rows, cut) = session.rows_within(&sql, part.room).await?;
    let mut hits = Vec::with_capacity(rows.len());
    for mut row in rows {
        let stored = row.stored()?;
        let position = Place::Number(stored.head.rid).encode();
        hits.push(Hit {
            stored,
            sort: Vec::new(),
            position,
        });
    }
    hits.sort_unstable_by_key(|hit| hit.stored.head.rid);
    Ok((hits, cut))
}

async fn by_key<S: Session>(
    session: &mut S,
    scope: &Scope<'_>,
    at: usize,
    wanted: Part<'_>,
) -> Result<(Vec<Hit>, bool), StoreError> {
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
    let from = match wanted.after {
        Some(Place::Key { key, rid, .. }) => Some((key.as_slice(), *rid)),
        _ => None,
    };
    let found = walk.step(session, scope, from, wanted.wanted).await?;
    let rids: Vec<i64> = found.iter().map(|(_, rid)| *rid).collect();
    let (mut bodies, cut) = order::fetch(session, &rids, wanted.room).await?;
    let hits = found.into_iter().filter_map(|(key, rid)| {
        let position = Place::Key { part, key, rid }.encode();
        Some(Hit {
            stored: bodies.remove(&rid)?,
            sort: Vec::new(),
            position,
        })
    });
    Ok((hits.collect(), cut))
}
