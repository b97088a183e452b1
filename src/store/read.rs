//! Reading resources and the log.

use resources::model::ResourceType;

use super::{
    error::StoreError,
    query::{condition, versions},
    session::Session,
    sql::{Dialect, HEAD, Row, Sql, Value, kind_of},
    types::{Change, Head, LogEntry, LogFilter, LogPart, Stored},
    view::View,
};

/// The current state of each resource named.
pub(super) async fn current<S: Session>(
    session: &mut S,
    keys: &[(ResourceType, &str)],
    view: &View,
) -> Result<Vec<Option<Stored>>, StoreError> {
    let (found, _) = current_within(session, keys, usize::MAX, view).await?;
    Ok(found)
}

/// As [`current`], until the texts are more than `room`; true if some are left out.
pub(super) async fn current_within<S: Session>(
    session: &mut S,
    keys: &[(ResourceType, &str)],
    room: usize,
    view: &View,
) -> Result<(Vec<Option<Stored>>, bool), StoreError> {
    if session.dialect() == Dialect::Postgres && keys.len() > 1 {
        return current_many(session, keys, room, view).await;
    }
    let mut found = Vec::with_capacity(keys.len());
    let mut taken = 0;
    for (kind, id) in keys {
        if taken > room {
            found.resize(keys.len(), None);
            return Ok((found, true));
        }
        let one = current_one(session, *kind, id, view).await?;
        taken += one.as_ref().map_or(0, |stored| stored.body.len());
        found.push(one);
    }
    Ok((found, false))
}

async fn current_one<S: Session>(
    session: &mut S,
    kind: ResourceType,
    id: &str,
    view: &View,
) -> Result<Option<Stored>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(HEAD);
    sql.push(", v.body FROM resource r CROSS JOIN version v WHERE v.vid=r.vid AND r.type=");
    sql.int(kind.number())
        .push(" AND r.id=")
        .bind(Value::Text(id.to_owned()));
    push_seen(&mut sql, kind, view)?;
    let mut rows = session.rows(&sql).await?;
    rows.pop().map(|mut row| row.stored()).transpose()
}

async fn current_many<S: Session>(
    session: &mut S,
    keys: &[(ResourceType, &str)],
    room: usize,
    view: &View,
) -> Result<(Vec<Option<Stored>>, bool), StoreError> {
    let mut found: Vec<Option<Stored>> = vec![None; keys.len()];
    let mut left = room;
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|&at| keys[at]);
    for group in order.chunk_by(|&a, &b| keys[a].0 == keys[b].0) {
        let kind = keys[group[0]].0;
        let ids: Vec<String> = group.iter().map(|&at| keys[at].1.to_owned()).collect();
        let mut sql = Sql::new(session.dialect(), "SELECT ");
        sql.push(HEAD);
        sql.push(", v.body FROM resource r CROSS JOIN version v WHERE v.vid=r.vid AND r.type=");
        sql.int(kind.number()).push(" AND r.id").in_texts(&ids);
        push_seen(&mut sql, kind, view)?;
        let (rows, cut) = session.rows_within(&sql, left).await?;
        for mut row in rows {
            left = left.saturating_sub(row.weight());
            let stored = row.stored()?;
            let from = group.partition_point(|&at| keys[at].1 < stored.head.id.as_str());
            for &at in group[from..]
                .iter()
                .take_while(|&&at| keys[at].1 == stored.head.id)
            {
                found[at] = Some(stored.clone());
            }
        }
        if cut {
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

/// The columns of a log entry, of `version` as `v` and `resource` as `r`.
const LOG: &str = "r.rid, r.id, v.ver, v.vid, v.ts, v.op, v.body";

fn log_entry(mut row: Row) -> Result<LogEntry, StoreError> {
    let rid = row.int()?;
    let mut head = Head {
        rid,
        kind: kind_of(rid)?,
        id: row.text()?,
        version: row.int()?,
        vid: row.int()?,
        updated: row.int()?,
        deleted: false,
    };
    let change = match row.int()? {
        0 => Change::Create,
        1 => Change::Update,
        3 => Change::UpdateCreate,
        2 => Change::Delete,
        other => {
            return Err(StoreError::Damaged(format!(
                "a version with change {other}"
            )));
        }
    };
    head.deleted = change == Change::Delete;
    Ok(LogEntry {
        stored: Stored::new(head, row.body()?)?,
        change,
    })
}

/// The number that stands for a change in the log.
pub(super) fn change_number(change: Change) -> i64 {
    match change {
        Change::Create => 0,
        Change::Update => 1,
        Change::UpdateCreate => 3,
        Change::Delete => 2,
    }
}

/// One version of a resource.
pub(super) async fn version<S: Session>(
    session: &mut S,
    (kind, id): (ResourceType, &str),
    version: i64,
    view: &View,
) -> Result<Option<LogEntry>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(LOG);
    sql.push(" FROM resource r CROSS JOIN version v WHERE v.rid=r.rid AND r.type=");
    sql.int(kind.number())
        .push(" AND r.id=")
        .bind(Value::Text(id.to_owned()));
    sql.push(" AND v.ver=").int(version);
    push_seen(&mut sql, kind, view)?;
    session.rows(&sql).await?.pop().map(log_entry).transpose()
}

/// A part of the log, newest first, until the texts are more than `room`. What leads to those
/// that the view shows is bounded by `cap`: so there may be fewer than `limit` although the log
/// goes on.
pub(super) async fn log<S: Session>(
    session: &mut S,
    filter: &LogFilter,
    (limit, room): (usize, usize),
    (view, cap): (&View, usize),
) -> Result<LogPart, StoreError> {
    let is_hidden = match filter.kind {
        Some(kind) => view.limits(kind),
        None => !view.is_unrestricted(),
    };
    if filter.rid.is_none() && is_hidden {
        let (vids, reached) = versions(session, filter, limit, (view, cap)).await?;
        let mut sql = Sql::new(session.dialect(), "SELECT ");
        sql.push(LOG)
            .push(" FROM version v CROSS JOIN resource r WHERE r.rid=v.rid AND v.vid");
        sql.in_ints(&vids).push(" ORDER BY v.vid DESC");
        return part(session, &sql, room, |_| reached).await;
    }
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(LOG)
        .push(" FROM version v CROSS JOIN resource r WHERE r.rid=v.rid");
    if let Some(rid) = filter.rid {
        sql.push(" AND v.rid=").int(rid);
        let kind = kind_of(rid)?;
        if let Some(wanted) = filter.kind.filter(|&wanted| wanted != kind) {
            return Err(StoreError::Failed(format!(
                "resource {rid} is not of type {wanted}"
            )));
        }
        push_seen(&mut sql, kind, view)?;
    } else if let Some(kind) = filter.kind {
        sql.push(" AND (v.rid >> 44)=").int(kind.number());
    }
    if let Some(below) = filter.below {
        sql.push(" AND v.vid<").int(below);
    }
    if let Some(since) = filter.since {
        if filter.rid.is_none() {
            let from = first_since(session, since).await?;
            sql.push(" AND v.vid>=").int(from);
        }
        sql.push(" AND v.ts>=").int(since);
    }
    if let Some(before) = filter.before {
        sql.push(" AND v.ts<").int(before);
    }
    // Versions of one resource follow each other in the log as their numbers do.
    sql.push(if filter.rid.is_some() {
        " ORDER BY v.ver DESC"
    } else {
        " ORDER BY v.vid DESC"
    });
    sql.push(" LIMIT ").int(limit as i64);
    part(session, &sql, room, |entries| {
        let last = entries.last().filter(|_| entries.len() >= limit)?;
        Some(last.stored.head.vid)
    })
    .await
}

/// The entries that a statement gives, as far as there is room; `reached` says how far all of
/// them go.
async fn part<S: Session>(
    session: &mut S,
    sql: &Sql,
    room: usize,
    reached: impl FnOnce(&[LogEntry]) -> Option<i64>,
) -> Result<LogPart, StoreError> {
    let (rows, cut) = session.rows_within(sql, room).await?;
    let entries: Vec<LogEntry> = rows
        .into_iter()
        .map(log_entry)
        .collect::<Result<_, StoreError>>()?;
    let reached = match entries.last() {
        Some(last) if cut => Some(last.stored.head.vid),
        _ => reached(&entries),
    };
    Ok(LogPart { entries, reached })
}

/// Appends ` AND` the view's condition on the resource `r` of type `kind`. What is deleted is no
/// longer indexed: no condition that something is not so can tell whose it was.
pub(super) fn push_seen(sql: &mut Sql, kind: ResourceType, view: &View) -> Result<(), StoreError> {
    let Some(clause) = view.clause(kind) else {
        return Ok(());
    };
    if clause.withholds() {
        sql.push(" AND r.deleted=0");
    }
    sql.push(" AND ");
    condition::push(sql, &clause, kind, "r.rid", view)
}

/// Clocks of several nodes may differ by this much without `_since` missing a version.
pub(super) const CLOCK_SLACK: i64 = 60 * 60 * 1000;

/// A log position such that no version before it is as new as `since`: found by halving, since
/// the log is, up to [`CLOCK_SLACK`], in the order of time.
pub(super) async fn first_since<S: Session>(
    session: &mut S,
    since: i64,
) -> Result<i64, StoreError> {
    let bound = since.saturating_sub(CLOCK_SLACK);
    let sql = Sql::new(
        session.dialect(),
        "SELECT coalesce(max(vid),0) FROM version",
    );
    let newest = match session.rows(&sql).await?.pop() {
        Some(mut row) => row.int()?,
        None => 0,
    };
    let (mut low, mut high) = (0, newest + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut sql = Sql::new(session.dialect(), "SELECT vid, ts FROM version WHERE vid>=");
        sql.int(middle).push(" ORDER BY vid LIMIT 1");
        match session.rows(&sql).await?.pop() {
            None => high = middle,
            Some(mut row) => {
                let vid = row.int()?;
                if row.int()? >= bound {
                    high = middle;
                } else {
                    low = vid + 1;
                }
            }
        }
    }
    Ok(low)
}

/// The log after a position and up to another, oldest first.
pub(super) async fn log_between<S: Session>(
    session: &mut S,
    after: i64,
    up_to: i64,
    limit: usize,
) -> Result<Vec<LogEntry>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(LOG)
        .push(" FROM version v CROSS JOIN resource r WHERE r.rid=v.rid AND v.vid>");
    sql.int(after).push(" AND v.vid<=").int(up_to);
    sql.push(" ORDER BY v.vid LIMIT ").int(limit as i64);
    session
        .rows(&sql)
        .await?
        .into_iter()
        .map(log_entry)
        .collect()
}

/// As [`log_between`], of one type.
pub(super) async fn log_of<S: Session>(
    session: &mut S,
    kind: ResourceType,
    (after, up_to): (i64, i64),
    limit: usize,
) -> Result<Vec<LogEntry>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(LOG)
        .push(" FROM version v CROSS JOIN resource r WHERE r.rid=v.rid AND (v.rid >> 44)=");
    sql.int(kind.number()).push(" AND v.vid>").int(after);
    sql.push(" AND v.vid<=").int(up_to);
    sql.push(" ORDER BY v.vid LIMIT ").int(limit as i64);
    let rows = session.rows(&sql).await?;
    rows.into_iter().map(log_entry).collect()
}

/// Whether the log has anything after a position.
pub(super) async fn goes_beyond<S: Session>(
    session: &mut S,
    position: i64,
) -> Result<bool, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT 1 FROM version WHERE vid>");
    sql.int(position).push(" LIMIT 1");
    Ok(!session.rows(&sql).await?.is_empty())
}
