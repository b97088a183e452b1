//! The part of the log that somebody sees: found from the few resources that they see, or by
//! going back in the log for a bounded number of versions.

use resources::model::ResourceType;

use super::{
    super::{
        error::StoreError,
        read::{CLOCK_SLACK, first_since, push_seen},
        session::Session,
        sql::{Dialect, Sql},
        types::LogFilter,
        view::View,
    },
    present, related,
    scope::Scope,
};
use crate::search::plan::Clause;

/// Resources whose versions are collected at once.
const FEW: usize = 1_000;
/// This part of the bound on candidates is how many versions of a type are looked at in one go.
const PART: usize = 10;

/// The newest versions of what is seen, newest first, by their places in the log; and the place
/// below which none was looked at, if there may be more.
pub(in super::super) async fn versions<S: Session>(
    session: &mut S,
    filter: &LogFilter,
    limit: usize,
    (view, cap): (&View, usize),
) -> Result<(Vec<i64>, Option<i64>), StoreError> {
    let knowing = related::knowing(session, view, cap, &mut Vec::new()).await?;
    let view = knowing.as_ref().unwrap_or(view);
    let kinds = match filter.kind {
        Some(kind) => vec![kind],
        None => present(session, &seen(view)).await?,
    };
    let look = Look {
        bounds: Bounds::of(session, filter).await?,
        limit,
        view,
        cap,
    };
    let (mut found, mut reached) = (Vec::new(), None);
    for kind in kinds {
        let (versions, end) = look.at(session, kind).await?;
        found.extend(versions);
        reached = reached.max(end);
    }
    found.retain(|&vid| reached.is_none_or(|end| vid >= end));
    found.sort_unstable_by(|a, b| b.cmp(a));
    if found.len() > limit {
        found.truncate(limit);
        reached = found.last().copied();
    }
    Ok((found, reached))
}

/// The types of which something may be seen.
fn seen(view: &View) -> Vec<ResourceType> {
    ResourceType::all()
        .filter(|kind| view.clause(*kind).is_none_or(|clause| !clause.is_never()))
        .collect()
}

/// The part of the log that is asked for.
struct Bounds {
    from: Option<i64>,
    below: Option<i64>,
    since: Option<i64>,
    before: Option<i64>,
}

impl Bounds {
    async fn of<S: Session>(session: &mut S, filter: &LogFilter) -> Result<Self, StoreError> {
        let (mut from, mut below) = (None, filter.below);
        if let Some(since) = filter.since {
            from = Some(first_since(session, since).await?);
        }
        if let Some(before) = filter.before {
            // From there on everything is newer, whatever the clock of the node that wrote it.
            let end = first_since(session, before.saturating_add(2 * CLOCK_SLACK)).await?;
            below = Some(below.map_or(end, |below| below.min(end)));
        }
        Ok(Self {
            from,
            below,
            since: filter.since,
            before: filter.before,
        })
    }

    /// Appends ` AND` that the version is in the part of the log that has the asked times in it.
    fn push_places(&self, sql: &mut Sql) {
        if let Some(below) = self.below {
            sql.push(" AND v.vid<").int(below);
        }
        if let Some(from) = self.from {
            sql.push(" AND v.vid>=").int(from);
        }
    }

    /// Appends ` AND` that it is of these times.
    fn push_times(&self, sql: &mut Sql, alias: &str) {
        if let Some(since) = self.since {
            sql.push(&format!(" AND {alias}.ts>=")).int(since);
        }
        if let Some(before) = self.before {
            sql.push(&format!(" AND {alias}.ts<")).int(before);
        }
    }
}

/// What is looked for.
struct Look<'l> {
    bounds: Bounds,
    limit: usize,
    view: &'l View,
    cap: usize,
}

type Found = (Vec<i64>, Option<i64>);

impl Look<'_> {
    async fn at<S: Session>(
        &self,
        session: &mut S,
        kind: ResourceType,
    ) -> Result<Found, StoreError> {
        if !self.view.limits(kind) {
            return self.walk(session, kind, None).await;
        }
        let everything = Clause::All(Vec::new());
        let Some(scope) = Scope::new(kind, &everything, self.view, self.cap) else {
            return Ok((Vec::new(), None));
        };
        if let Some(ids) = scope.only_ids() {
            return self.of_ids(session, kind, ids).await;
        }
        let few = scope.few(session).await?;
        if let Some((count, at)) = few
            && count <= FEW
        {
            return self.collect(session, &scope, at).await;
        }
        let end = self.end(session, kind).await?;
        let (found, reached) = self.walk(session, kind, end).await?;
        match few {
            // They are sooner found from what is seen.
            Some((_, at)) if found.len() < self.limit && reached.is_some() => {
                self.collect(session, &scope, at).await
            }
            _ => Ok((found, reached)),
        }
    }

    /// The versions of resources with these logical ids, deleted ones too.
    async fn of_ids<S: Session>(
        &self,
        session: &mut S,
        kind: ResourceType,
        ids: &[String],
    ) -> Result<Found, StoreError> {
        let mut sql = Sql::new(
            session.dialect(),
            "SELECT v.vid FROM resource r CROSS JOIN version v WHERE r.type=",
        );
        sql.int(kind.number()).push(" AND r.id").in_texts(ids);
        sql.push(" AND v.rid=r.rid");
        self.bounds.push_places(&mut sql);
        self.bounds.push_times(&mut sql, "v");
        push_seen(&mut sql, kind, self.view)?;
        self.first(session, sql, Some("v")).await
    }

    /// The versions of what a condition gives.
    async fn collect<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        at: usize,
    ) -> Result<Found, StoreError> {
        // Times are beside the texts, and so are looked at only as far as is needed.
        let timed = self.bounds.since.or(self.bounds.before).is_some();
        let mut sql = Sql::new(session.dialect(), "");
        if timed {
            sql.push("SELECT t.vid FROM (");
        }
        sql.push("SELECT v.vid FROM (");
        scope.push_candidates(&mut sql, at);
        sql.push(") d CROSS JOIN version v WHERE v.rid=d.rid");
        self.bounds.push_places(&mut sql);
        scope.push_filter(&mut sql, "d.rid", scope.skip(at))?;
        if !timed {
            return self.first(session, sql, Some("v")).await;
        }
        // Without a limit SQLite would leave out the order, in which it walks what it has made.
        sql.push(" ORDER BY v.vid DESC LIMIT ").int(i64::MAX);
        sql.push(") c CROSS JOIN version t WHERE t.vid=c.vid");
        self.bounds.push_times(&mut sql, "t");
        let order = (sql.dialect == Dialect::Postgres).then_some("t");
        self.first(session, sql, order).await
    }

    /// Versions of the type, those below `end` left out.
    async fn walk<S: Session>(
        &self,
        session: &mut S,
        kind: ResourceType,
        end: Option<i64>,
    ) -> Result<Found, StoreError> {
        let mut sql = Sql::new(session.dialect(), "SELECT v.vid FROM version v");
        if self.view.limits(kind) {
            sql.push(" CROSS JOIN resource r");
        }
        sql.push(" WHERE (v.rid >> 44)=").int(kind.number());
        self.bounds.push_places(&mut sql);
        if let Some(end) = end {
            sql.push(" AND v.vid>=").int(end);
        }
        self.bounds.push_times(&mut sql, "v");
        if self.view.limits(kind) {
            sql.push(" AND r.rid=v.rid");
            push_seen(&mut sql, kind, self.view)?;
        }
        let (found, reached) = self.first(session, sql, Some("v")).await?;
        Ok((found, reached.or(end)))
    }

    /// The place that bounds how far back a look goes.
    async fn end<S: Session>(
        &self,
        session: &mut S,
        kind: ResourceType,
    ) -> Result<Option<i64>, StoreError> {
        let mut sql = Sql::new(
            session.dialect(),
            "SELECT v.vid FROM version v WHERE (v.rid >> 44)=",
        );
        sql.int(kind.number());
        self.bounds.push_places(&mut sql);
        let most = (self.cap / PART).max(1);
        sql.push(" ORDER BY v.vid DESC LIMIT 1 OFFSET ")
            .int(most as i64);
        let mut rows = session.rows(&sql).await?;
        rows.pop().map(|mut row| row.int()).transpose()
    }

    /// The first of what a query gives; `order` is whose places order it, if that is to be said.
    async fn first<S: Session>(
        &self,
        session: &mut S,
        mut sql: Sql,
        order: Option<&str>,
    ) -> Result<Found, StoreError> {
        if let Some(alias) = order {
            sql.push(&format!(" ORDER BY {alias}.vid DESC"));
        }
        sql.push(" LIMIT ").int(self.limit as i64);
        let rows = session.rows(&sql).await?;
        let found: Vec<i64> = rows
            .into_iter()
            .map(|mut row| row.int())
            .collect::<Result<_, _>>()?;
        let reached = found.last().copied();
        let is_full = found.len() >= self.limit;
        Ok((found, reached.filter(|_| is_full)))
    }
}
