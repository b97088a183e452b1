//! The order that a search asks for, and resources by number.

use std::{cmp::Ordering, collections::HashMap};

use resources::{index::ParamId, model::ResourceType};

use super::super::{
    error::StoreError,
    session::Session,
    sql::{Dialect, HEAD, Sql, Value, from_ordered},
    types::Stored,
};
use super::{condition::push_range, fold::is_of_other, scope::Scope};
use crate::search::plan::{Clause, KeyRange, Sort, SortKey};

/// A match with the values that it is ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranked {
    pub keys: Vec<Option<Vec<u8>>>,
    pub rid: i64,
}

/// Compares as the criteria say; what has no value comes last, ties go by number in the
/// direction of the last criterion, as a walk of its index gives them.
pub(super) fn compare(sort: &[Sort], a: &Ranked, b: &Ranked) -> Ordering {
    for (criterion, pair) in sort.iter().zip(a.keys.iter().zip(&b.keys)) {
        let found = match pair {
            (Some(a), Some(b)) if criterion.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if found != Ordering::Equal {
            return found;
        }
    }
    if sort.last().is_some_and(|last| last.descending) {
        b.rid.cmp(&a.rid)
    } else {
        a.rid.cmp(&b.rid)
    }
}

/// A criterion for one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Criterion {
    Id,
    Updated,
    /// The keys of a parameter that begin so, wherever they are stored.
    Keys {
        params: Vec<u32>,
        prefix: Vec<u8>,
    },
    /// The type has no such parameter.
    Absent,
}

impl Criterion {
    /// What says that a resource has just this value for the criterion, or none.
    pub fn equals(&self, key: Option<&[u8]>, descending: bool) -> Result<Clause, StoreError> {
        let any_in = |params: &[u32], range: &KeyRange| {
            let each = |&param| Clause::Keys {
                param: ParamId(param),
                ranges: vec![range.clone()],
            };
            Clause::Any(params.iter().map(each).collect())
        };
        let not = |clause| Clause::Not(Box::new(clause));
        Ok(match (self, key) {
            (Self::Keys { params, prefix }, Some(key)) => {
                let mut nearer = KeyRange::prefix(prefix.clone());
                if descending {
                    nearer.low = [key, &[0]].concat();
                } else {
                    nearer.high = Some(key.to_vec());
                }
                let same = any_in(params, &KeyRange::exact(key.to_vec()));
                Clause::All(vec![same, not(any_in(params, &nearer))])
            }
            (Self::Keys { params, prefix }, None) => {
                not(any_in(params, &KeyRange::prefix(prefix.clone())))
            }
            (Self::Id, Some(key)) => {
                let id = String::from_utf8(key.to_vec()).map_err(|_| StoreError::Position)?;
                Clause::Ids(vec![id])
            }
            (Self::Updated, Some(key)) => {
                let at = from_ordered(key).ok_or(StoreError::Position)?;
                Clause::Updated {
                    from: Some(at),
                    to: Some(at + 1),
                }
            }
            (Self::Absent, None) => Clause::All(Vec::new()),
            (Self::Id | Self::Updated, None) | (Self::Absent, Some(_)) => Clause::Any(Vec::new()),
        })
    }
}

/// What the criterion is for resources of one type. Of several parameters that users posted,
/// the database knows which is the type's.
pub(super) async fn criterion<S: Session>(
    session: &mut S,
    sort: &Sort,
    scope: &Scope<'_>,
) -> Result<Criterion, StoreError> {
    let kind = scope.kind;
    let (params, space) = match &sort.by {
        SortKey::Id => return Ok(Criterion::Id),
        SortKey::Updated => return Ok(Criterion::Updated),
        SortKey::Keys { params, space } => (params, *space),
    };
    let own: Vec<u32> = params
        .iter()
        .filter(|&&param| !is_of_other(param, kind))
        .map(|param| param.0)
        .collect();
    let param = match own.as_slice() {
        [] => return Ok(Criterion::Absent),
        [only] => *only,
        several => match several.iter().find(|&&param| param < 1 << 20) {
            Some(&built_in) => built_in,
            None => match posted(session, several, kind).await? {
                Some(param) => param,
                None => return Ok(Criterion::Absent),
            },
        },
    };
    let (stored, prefix) = scope.view.sorted_by(ParamId(param), space, kind);
    Ok(Criterion::Keys {
        params: stored.into_iter().map(|param| param.0).collect(),
        prefix,
    })
}

async fn posted<S: Session>(
    session: &mut S,
    params: &[u32],
    kind: ResourceType,
) -> Result<Option<u32>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT param FROM parameter WHERE base=");
    let params: Vec<i64> = params.iter().copied().map(i64::from).collect();
    sql.int(kind.number()).push(" AND param").in_ints(&params);
    match session.rows(&sql).await?.pop() {
        Some(mut row) => Ok(Some(row.int()? as u32)),
        None => Ok(None),
    }
}

/// Appends the value that a criterion has for the resource with the number `rid`.
pub(super) fn push_value(sql: &mut Sql, criterion: &Criterion, descending: bool, rid: &str) {
    let alias = sql.alias('s');
    match criterion {
        Criterion::Id => {
            sql.push(&format!(
                "(SELECT {alias}.id FROM resource {alias} WHERE {alias}.rid={rid})"
            ));
        }
        Criterion::Updated => {
            sql.push(&format!(
                "(SELECT {alias}.updated FROM resource {alias} WHERE {alias}.rid={rid})"
            ));
        }
        Criterion::Absent => {
            sql.push(if sql.dialect == Dialect::Postgres {
                "NULL::bytea"
            } else {
                "NULL"
            });
        }
        Criterion::Keys { params, prefix } => {
            let by = if sql.dialect == Dialect::Sqlite {
                " INDEXED BY entry_rid"
            } else {
                ""
            };
            let order = if descending { "DESC" } else { "ASC" };
            sql.push(&format!(
                "(SELECT {alias}.key FROM entry {alias}{by} WHERE {alias}.rid={rid} AND {alias}.param"
            ));
            sql.in_params(params);
            sql.push(" AND ");
            push_range(sql, &alias, &KeyRange::prefix(prefix.clone()));
            sql.push(&format!(" ORDER BY {alias}.key {order} LIMIT 1)"));
        }
    }
}

/// Numbers in one statement.
const CHUNK: usize = 10_000;

/// Resources by number, in the order of `rids`, until their texts are more than `room`. True if
/// some are left out.
pub(super) async fn fetch<S: Session>(
    session: &mut S,
    rids: &[i64],
    room: usize,
) -> Result<(HashMap<i64, Stored>, bool), StoreError> {
    let mut found = HashMap::with_capacity(rids.len());
    let mut left = room;
    for chunk in rids.chunks(CHUNK) {
        let mut sql = Sql::new(session.dialect(), "WITH c(rid, n) AS ");
        push_numbered(&mut sql, chunk);
        sql.push(" SELECT ").push(HEAD).push(
            ", v.body FROM c CROSS JOIN resource r CROSS JOIN version v
              WHERE r.rid=c.rid AND v.vid=r.vid AND r.deleted=0",
        );
        if sql.dialect == Dialect::Postgres {
            sql.push(" ORDER BY c.n");
        }
        let (rows, cut) = session.rows_within(&sql, left).await?;
        for mut row in rows {
            left = left.saturating_sub(row.weight());
            let stored = row.stored()?;
            found.insert(stored.head.rid, stored);
        }
        if cut {
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

/// The numbers as a table, each with its place; SQLite walks it in the order in which it is made.
fn push_numbered(sql: &mut Sql, numbers: &[i64]) {
    if sql.dialect == Dialect::Postgres {
        sql.push("(SELECT * FROM unnest(");
        sql.bind(Value::Ints(numbers.to_vec()))
            .push(") WITH ORDINALITY)");
        return;
    }
    sql.push("MATERIALIZED (VALUES ");
    for (at, number) in numbers.iter().enumerate() {
        sql.push(if at > 0 { ",(" } else { "(" });
        sql.int(*number).push(",0)");
    }
    sql.push(")");
}
