//! Walking keys in their order: each resource once, at its first key.

use super::{
    super::{
        error::StoreError,
        session::Session,
        sql::{Dialect, Sql, Value, rid_range},
    },
    condition::{push_range, push_ranges},
    scope::Scope,
};
use crate::search::plan::KeyRange;

/// Which keys to walk, and which way.
#[derive(Debug)]
pub(super) struct Walk<'w> {
    pub param: u32,
    /// The ranges in the order of their keys, apart from each other.
    pub ranges: Vec<&'w KeyRange>,
    /// The condition that these keys satisfy.
    pub skip: Option<usize>,
    pub descending: bool,
    /// Walk just this part of the ranges.
    pub only: Option<&'w KeyRange>,
}

impl<'w> Walk<'w> {
    /// The same walk over a part of the ranges.
    pub fn within(mut self, part: &'w KeyRange) -> Self {
        self.only = Some(part);
        self
    }

    /// Up to `limit` matches after a key and number.
    pub async fn step<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        after: Option<(&[u8], i64)>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
        let mut found = Vec::new();
        let ranges = self
            .only
            .as_ref()
            .map_or(self.ranges.as_slice(), std::slice::from_ref);
        let count = ranges.len();
        for turn in 0..count {
            if found.len() >= limit {
                break;
            }
            let range = ranges[if self.descending {
                count - 1 - turn
            } else {
                turn
            }];
            if after.is_some_and(|(key, _)| self.is_done(range, key)) {
                continue;
            }
            let mut sql = Sql::new(session.dialect(), "");
            self.push(&mut sql, scope, range, after, limit - found.len())?;
            for mut row in session.rows(&sql).await? {
                found.push((row.bytes()?, row.int()?));
            }
        }
        Ok(found)
    }

    /// True if no key of the range comes after `key`.
    fn is_done(&self, range: &KeyRange, key: &[u8]) -> bool {
        if self.descending {
            key < range.low.as_slice()
        } else {
            range
                .high
                .as_ref()
                .is_some_and(|high| high.as_slice() <= key)
        }
    }

    fn push(
        &self,
        sql: &mut Sql,
        scope: &Scope<'_>,
        range: &KeyRange,
        after: Option<(&[u8], i64)>,
        limit: usize,
    ) -> Result<(), StoreError> {
        let (low, high) = rid_range(scope.kind);
        let (beyond, earlier, order) = if self.descending {
            ("<", ">", "DESC")
        } else {
            (">", "<", "ASC")
        };
        sql.push("SELECT w.key, w.rid FROM entry w WHERE w.param=");
        sql.bind(Value::Param(self.param)).push(" AND ");
        push_range(sql, "w", range);
        if let Some((key, rid)) = after {
            sql.push(&format!(" AND (w.key,w.rid){beyond}(")).bytes(key);
            sql.push(",").int(rid).push(")");
        }
        sql.push(&format!(" AND w.rid>={low} AND w.rid<{high}"));
        let by_rid = if sql.dialect == Dialect::Sqlite {
            " INDEXED BY entry_rid"
        } else {
            ""
        };
        sql.push(&format!(
            " AND (SELECT 1 FROM entry f{by_rid} WHERE f.rid=w.rid AND f.param="
        ));
        sql.bind(Value::Param(self.param));
        sql.push(&format!(" AND f.key{earlier}w.key AND "));
        push_ranges_of(sql, &self.ranges);
        sql.push(" LIMIT 1) IS NULL");
        scope.push_filter(sql, "w.rid", self.skip)?;
        sql.push(&format!(" ORDER BY w.key {order}, w.rid {order} LIMIT "))
            .int(limit as i64);
        Ok(())
    }
}

fn push_ranges_of(sql: &mut Sql, ranges: &[&KeyRange]) {
    if let [only] = ranges {
        push_range(sql, "f", only);
    } else {
        let ranges: Vec<KeyRange> = ranges.iter().map(|&range| range.clone()).collect();
        push_ranges(sql, "f", &ranges);
    }
}
