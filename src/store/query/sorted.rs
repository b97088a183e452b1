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
    order::{Criterion, Ranked, compare, criterion, fetch, push_value},
    walk::Walk,
};
use crate::search::plan::{KeyRange, Sort};

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
        let driver = scope.choose_sorted(session, self.wanted, explain).await?;
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
            push_value(&mut sql, criterion, by.descending, rid);
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

    /// Matches in the order of the first criterion, at least as many as are wanted if there are;
    /// of those that are equal in it to the first or the last of them, the first by the others.
    async fn walk<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        explain: &mut Vec<String>,
    ) -> Result<Vec<Ranked>, StoreError> {
        let first = self.first(scope);
        let more = self.sort.len() > 1;
        let mut rids = Vec::new();
        let is_past_keys = self.after.is_some_and(|after| after.keys[0].is_none());
        if !is_past_keys && self.criteria[0] != Criterion::Absent {
            let from = self
                .after
                .and_then(|after| Some((after.keys[0].as_deref()?, after.rid)));
            if let (true, Some((key, _))) = (more, from) {
                rids.extend(self.among(session, scope, Some(key), explain).await?);
            }
            let left = self.wanted.saturating_sub(rids.len());
            let found = match from {
                None => first.start(session, scope, left).await?,
                // What is left of its equals is there already.
                Some((key, _)) if more => first.after(session, scope, (key, None), left).await?,
                Some((key, rid)) => first.after(session, scope, (key, Some(rid)), left).await?,
            };
            if let (true, Some((key, _))) = (more && found.len() >= left, found.last()) {
                rids.extend(self.among(session, scope, Some(key), explain).await?);
            }
            rids.extend(found.into_iter().map(|(_, rid)| rid));
        }
        explain.push(format!(
            "{}: walked to {} resources in order",
            scope.kind,
            rids.len()
        ));
        if rids.len() < self.wanted {
            rids.extend(if more {
                self.among(session, scope, None, explain).await?
            } else {
                self.without(session, scope, is_past_keys).await?
            });
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

    fn first(&self, scope: &Scope<'_>) -> First<'_> {
        First {
            criterion: &self.criteria[0],
            descending: self.sort[0].descending,
            space: match &self.criteria[0] {
                Criterion::Keys { prefix, .. } => KeyRange::prefix(prefix.clone()),
                _ => KeyRange::between(Vec::new(), None),
            },
            bounds: scope.parts.iter().find_map(|part| match part {
                Clause::Updated { from, to } => Some((*from, *to)),
                _ => None,
            }),
        }
    }

    /// Of the matches that have just this value for the first criterion, or none, those that
    /// come first by the further ones.
    async fn among<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        key: Option<&[u8]>,
        explain: &mut Vec<String>,
    ) -> Result<Vec<i64>, StoreError> {
        let same = self.criteria[0].equals(key, self.sort[0].descending)?;
        let Some(scope) = scope.narrowed(same) else {
            return Ok(Vec::new());
        };
        let after = self
            .after
            .filter(|after| after.keys[0].as_deref() == key)
            .map(|after| Ranked {
                keys: after.keys[1..].to_vec(),
                rid: after.rid,
            });
        let further = Order {
            sort: &self.sort[1..],
            criteria: self.criteria[1..].to_vec(),
            after: after.as_ref(),
            wanted: self.wanted,
        };
        let ranked = Box::pin(further.one_type(session, &scope, explain)).await?;
        Ok(ranked.into_iter().map(|ranked| ranked.rid).collect())
    }

    /// Matches that have no value for the only criterion, by number.
    async fn without<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        is_past_keys: bool,
    ) -> Result<Vec<i64>, StoreError> {
        let descending = self.sort[0].descending;
        let same = self.criteria[0].equals(None, descending)?;
        let Some(scope) = scope.narrowed(same) else {
            return Ok(Vec::new());
        };
        let (low, high) = rid_range(scope.kind);
        let mut sql = Sql::new(
            session.dialect(),
            "SELECT r.rid FROM resource r WHERE r.deleted=0",
        );
        sql.push(&format!(" AND r.rid>={low} AND r.rid<{high}"));
        let (beyond, order) = if descending {
            (" AND r.rid<", "DESC")
        } else {
            (" AND r.rid>", "ASC")
        };
        if let (true, Some(after)) = (is_past_keys, self.after) {
            sql.push(beyond).int(after.rid);
        }
        scope.push_filter(&mut sql, "r.rid", None)?;
        sql.push(&format!(" ORDER BY r.rid {order} LIMIT "))
            .int(self.wanted as i64);
        let rows = session.rows(&sql).await?;
        rows.into_iter().map(|mut row| row.int()).collect()
    }
}

/// The first criterion as something to walk.
struct First<'o> {
    criterion: &'o Criterion,
    descending: bool,
    space: KeyRange,
    bounds: Option<(Option<i64>, Option<i64>)>,
}

type Found = Vec<(Vec<u8>, i64)>;

impl First<'_> {
    async fn start<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        wanted: usize,
    ) -> Result<Found, StoreError> {
        match self.criterion {
            Criterion::Keys { params, .. } => {
                self.keys(params).step(session, scope, None, wanted).await
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
            Criterion::Keys { params, .. } => {
                self.keys(params)
                    .step(session, scope, Some(from), wanted)
                    .await
            }
            _ => self.heads(session, scope, Some(from), wanted).await,
        }
    }

    fn keys<'w>(&'w self, params: &'w [u32]) -> Walk<'w> {
        let ranges = vec![&self.space];
        Walk {
            params,
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
        from: Option<(&[u8], i64)>,
        wanted: usize,
    ) -> Result<Found, StoreError> {
        let column = if *self.criterion == Criterion::Id {
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
        if let Some((key, rid)) = from {
            let relation = if self.descending { "<" } else { ">" };
            sql.push(&format!(" AND ({column},r.rid){relation}("));
            self.push_head_value(&mut sql, key)?;
            sql.push(",").int(rid).push(")");
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
        let value = if *self.criterion == Criterion::Id {
            Value::Text(String::from_utf8(key.to_vec()).map_err(|_| StoreError::Position)?)
        } else {
            Value::Int(from_ordered(key).ok_or(StoreError::Position)?)
        };
        sql.bind(value);
        Ok(())
    }
}
