//! Pages in an order: few candidates are collected and sorted; of many, the first criterion's
//! index is walked in order.

use super::{
    super::{
        error::StoreError,
        session::Session,
        sql::{Row, Sql, Value, from_ordered, rid_range},
        types::Hit,
    },
    Clause, Driver, Place, Plan, Scope, SortKey,
    order::{Criterion, Ranked, compare, criterion, fetch, is_descending, push_value},
    walk::Walk,
};
use crate::search::plan::{KeyRange, Sort};

/// Resources with equal first values, or without any, that can be sorted by further criteria.
const TIES: usize = 100_000;

/// One hit more than the page has, if there are more; fewer, and true, if there is no room for
/// all.
pub(super) async fn page<S: Session>(
    session: &mut S,
    plan: &Plan,
    scopes: &[Scope<'_>],
    (after, room): (Option<&Place>, usize),
    explain: &mut Vec<String>,
) -> Result<(Vec<Hit>, bool), StoreError> {
    // A search that asks for no order comes here when it is by time of change.
    let by_time = [Sort {
        by: SortKey::Updated,
        descending: false,
    }];
    let sort = if plan.sort.is_empty() {
        &by_time
    } else {
        plan.sort.as_slice()
    };
    let after = match after {
        Some(Place::Sorted { keys, rid }) => Some(Ranked {
            keys: keys.clone(),
            rid: *rid,
        }),
        _ => None,
    };
    let mut ranked = Vec::new();
    for scope in scopes {
        let mut criteria = Vec::with_capacity(sort.len());
        for by in sort {
            criteria.push(criterion(session, by, scope).await?);
        }
        let order = Order {
            sort,
            criteria,
            after: after.as_ref(),
            wanted: plan.limit + 1,
        };
        ranked.extend(order.one_type(session, scope, explain).await?);
    }
    ranked.sort_by(|a, b| compare(sort, a, b));
    ranked.truncate(plan.limit + 1);
    let rids: Vec<i64> = ranked.iter().map(|ranked| ranked.rid).collect();
    let (mut bodies, cut) = fetch(session, &rids, room).await?;
    let hits = ranked.into_iter().filter_map(|Ranked { keys, rid }| {
        let stored = bodies.remove(&rid)?;
        let sort = if plan.sort.is_empty() {
            Vec::new()
        } else {
            keys.clone()
        };
        Some(Hit {
            stored,
            sort,
            position: Place::Sorted { keys, rid }.encode(),
        })
    });
    Ok((hits.collect(), cut))
}

/// An order for one type, and the part of it that is wanted.
struct Order<'o> {
    sort: &'o [Sort],
    criteria: Vec<Criterion>,
    after: Option<&'o Ranked>,
    wanted: usize,
}

impl Order<'_> {
    async fn one_type<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        explain: &mut Vec<String>,
    ) -> Result<Vec<Ranked>, StoreError> {
        let driver = scope.choose(session, explain).await?;
        explain.push(format!("{}: sorted, driven by {driver:?}", scope.kind));
        let mut ranked = match driver {
            Driver::Small(at) => self.collect(session, scope, at).await?,
            _ => self.walk(session, scope, explain).await?,
        };
        if let Some(after) = self.after {
            ranked.retain(|ranked| compare(self.sort, ranked, after).is_gt());
        }
        ranked.sort_by(|a, b| compare(self.sort, a, b));
        ranked.dedup();
        ranked.truncate(self.wanted);
        Ok(ranked)
    }

    /// All matches among the few candidates of a condition.
    async fn collect<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        at: usize,
    ) -> Result<Vec<Ranked>, StoreError> {
        let mut sql = self.select(session, "d.rid");
        sql.push(" FROM (");
        scope.push_candidates(&mut sql, at);
        sql.push(") d WHERE 1=1");
        scope.push_filter(&mut sql, "d.rid", scope.skip(at))?;
        self.ranked(session, &sql).await
    }

    /// `SELECT` the number and the value of each criterion.
    fn select<S: Session>(&self, session: &S, rid: &str) -> Sql {
        let mut sql = Sql::new(session.dialect(), "SELECT ");
        sql.push(rid);
        for (criterion, by) in self.criteria.iter().zip(self.sort) {
            sql.push(", ");
            push_value(&mut sql, *criterion, by.descending, rid);
        }
        sql
    }

    async fn ranked<S: Session>(
        &self,
        session: &mut S,
        sql: &Sql,
    ) -> Result<Vec<Ranked>, StoreError> {
        let rank = |mut row: Row| {
            let rid = row.int()?;
            let keys = self
                .sort
                .iter()
                .map(|_| row.sort_key())
                .collect::<Result<_, _>>()?;
            Ok(Ranked { keys, rid })
        };
        session.rows(sql).await?.into_iter().map(rank).collect()
    }

    /// Matches in the order of the first criterion, at least as many as are wanted if there are,
    /// and all that are equal in it to the first or the last of them.
    async fn walk<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        explain: &mut Vec<String>,
    ) -> Result<Vec<Ranked>, StoreError> {
        let first = self.first(scope);
        let more = self.sort.len() > 1;
        let mut rids = Vec::new();
        let mut keyed = 0;
        let is_past_keys = self.after.is_some_and(|after| after.keys[0].is_none());
        if !is_past_keys && self.criteria[0] != Criterion::Absent {
            let from = self
                .after
                .and_then(|after| Some((after.keys[0].as_deref()?, after.rid)));
            let mut found = Vec::new();
            if let (true, Some((key, _))) = (more, from) {
                rids.extend(first.ties(session, scope, key).await?);
                found.extend(
                    first
                        .after(session, scope, (key, None), self.wanted)
                        .await?,
                );
            } else if let Some((key, rid)) = from {
                found.extend(
                    first
                        .after(session, scope, (key, Some(rid)), self.wanted)
                        .await?,
                );
            } else {
                found.extend(first.start(session, scope, self.wanted).await?);
            }
            if let (true, Some((key, _))) = (more && found.len() >= self.wanted, found.last()) {
                rids.extend(first.ties(session, scope, key).await?);
            }
            keyed = found.len();
            rids.extend(found.into_iter().map(|(_, rid)| rid));
        }
        explain.push(format!(
            "{}: walked to {} resources in order",
            scope.kind,
            rids.len()
        ));
        if keyed < self.wanted {
            rids.extend(self.without(session, scope, is_past_keys && !more).await?);
        }
        rids.sort_unstable();
        rids.dedup();
        let mut ranked = Vec::with_capacity(rids.len());
        for chunk in rids.chunks(10_000) {
            let mut sql = self.select(session, "r.rid");
            sql.push(" FROM resource r WHERE r.rid").in_ints(chunk);
            ranked.extend(self.ranked(session, &sql).await?);
        }
        Ok(ranked)
    }

    fn first(&self, scope: &Scope<'_>) -> First {
        First {
            criterion: self.criteria[0],
            descending: is_descending(self.sort),
            space: match self.criteria[0] {
                Criterion::Keys { space, .. } => KeyRange::prefix(vec![space]),
                _ => KeyRange::between(Vec::new(), None),
            },
            bounds: scope.parts.iter().find_map(|part| match part {
                Clause::Updated { from, to } => Some((*from, *to)),
                _ => None,
            }),
        }
    }

    /// Matches that have no value for the first criterion.
    async fn without<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        is_past_keys: bool,
    ) -> Result<Vec<i64>, StoreError> {
        let (low, high) = rid_range(scope.kind);
        let mut sql = Sql::new(
            session.dialect(),
            "SELECT r.rid FROM resource r WHERE r.deleted=0",
        );
        sql.push(&format!(" AND r.rid>={low} AND r.rid<{high}"));
        match self.criteria[0] {
            Criterion::Id | Criterion::Updated => return Ok(Vec::new()),
            Criterion::Absent => {}
            found @ Criterion::Keys { .. } => {
                sql.push(" AND ");
                push_value(&mut sql, found, false, "r.rid");
                sql.push(" IS NULL");
            }
        }
        let descending = is_descending(self.sort);
        if let (true, Some(after)) = (is_past_keys, self.after) {
            sql.push(if descending {
                " AND r.rid<"
            } else {
                " AND r.rid>"
            })
            .int(after.rid);
        }
        scope.push_filter(&mut sql, "r.rid", None)?;
        let limit = if self.sort.len() > 1 {
            TIES
        } else {
            self.wanted
        };
        sql.push(if descending {
            " ORDER BY r.rid DESC"
        } else {
            " ORDER BY r.rid"
        });
        sql.push(" LIMIT ").int(limit as i64);
        numbers(session, &sql, limit, self.sort.len() > 1).await
    }
}

async fn numbers<S: Session>(
    session: &mut S,
    sql: &Sql,
    limit: usize,
    must_end: bool,
) -> Result<Vec<i64>, StoreError> {
    let mut rids = Vec::new();
    for mut row in session.rows(sql).await? {
        rids.push(row.int()?);
    }
    if must_end && rids.len() >= limit {
        return Err(StoreError::NotSupported(
            "several criteria over so many equal values",
        ));
    }
    Ok(rids)
}

/// The first criterion as something to walk.
struct First {
    criterion: Criterion,
    descending: bool,
    space: KeyRange,
    bounds: Option<(Option<i64>, Option<i64>)>,
}

type Found = Vec<(Vec<u8>, i64)>;

impl First {
    async fn start<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        wanted: usize,
    ) -> Result<Found, StoreError> {
        match self.criterion {
            Criterion::Keys { param, .. } => {
                self.keys(param).step(session, scope, None, wanted).await
            }
            _ => self.heads(session, scope, None, wanted).await,
        }
    }

    /// What follows a value, or a value and a number.
    async fn after<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        (key, rid): (&[u8], Option<i64>),
        wanted: usize,
    ) -> Result<Found, StoreError> {
        let past = if self.descending { i64::MIN } else { i64::MAX };
        let from = (key, rid.unwrap_or(past));
        match self.criterion {
            Criterion::Keys { param, .. } => {
                self.keys(param)
                    .step(session, scope, Some(from), wanted)
                    .await
            }
            _ => self.heads(session, scope, Some((">", from)), wanted).await,
        }
    }

    /// All with just this value.
    async fn ties<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        key: &[u8],
    ) -> Result<Vec<i64>, StoreError> {
        let found = match self.criterion {
            Criterion::Keys { param, .. } => {
                self.keys(param).ties(session, scope, key, TIES).await?
            }
            _ => {
                self.heads(session, scope, Some(("=", (key, 0))), TIES)
                    .await?
            }
        };
        if found.len() >= TIES {
            return Err(StoreError::NotSupported(
                "several criteria over so many equal values",
            ));
        }
        Ok(found.into_iter().map(|(_, rid)| rid).collect())
    }

    fn keys(&self, param: u32) -> Walk<'_> {
        let ranges = vec![&self.space];
        Walk {
            param,
            ranges,
            skip: None,
            descending: self.descending,
        }
    }

    /// A walk over the heads, by id or by time of change.
    async fn heads<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        from: Option<(&str, (&[u8], i64))>,
        wanted: usize,
    ) -> Result<Found, StoreError> {
        let column = if self.criterion == Criterion::Id {
            "r.id"
        } else {
            "r.updated"
        };
        let mut sql = Sql::new(
            session.dialect(),
            &format!("SELECT {column}, r.rid FROM resource r"),
        );
        sql.push(&format!(
            " WHERE r.type={} AND r.deleted=0",
            scope.kind.number()
        ));
        if let Some((relation, (key, rid))) = from {
            let relation = if relation == ">" && self.descending {
                "<"
            } else {
                relation
            };
            if relation == "=" {
                sql.push(&format!(" AND {column}="));
                self.push_head_value(&mut sql, key)?;
            } else {
                sql.push(&format!(" AND ({column},r.rid){relation}("));
                self.push_head_value(&mut sql, key)?;
                sql.push(",").int(rid).push(")");
            }
        }
        if let Some((from, to)) = self.bounds {
            super::condition::push_updated(&mut sql, "r", from, to);
        }
        scope.push_filter(&mut sql, "r.rid", None)?;
        let order = if self.descending { "DESC" } else { "ASC" };
        sql.push(&format!(" ORDER BY {column} {order}, r.rid {order} LIMIT "))
            .int(wanted as i64);
        let mut found = Vec::new();
        for mut row in session.rows(&sql).await? {
            let key = row.sort_key()?.unwrap_or_default();
            found.push((key, row.int()?));
        }
        Ok(found)
    }

    fn push_head_value(&self, sql: &mut Sql, key: &[u8]) -> Result<(), StoreError> {
        let value = if self.criterion == Criterion::Id {
            Value::Text(String::from_utf8(key.to_vec()).map_err(|_| StoreError::Position)?)
        } else {
            Value::Int(from_ordered(key).ok_or(StoreError::Position)?)
        };
        sql.bind(value);
        Ok(())
    }
}
