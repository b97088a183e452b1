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
    /// The parameters that hold the keys.
    pub params: &'w [u32],
    /// The ranges in the order of their keys, apart from each other.
    pub ranges: Vec<&'w KeyRange>,
    /// The condition that these keys satisfy.
    pub skip: Option<usize>,
    pub descending: bool,
}

/// A range to walk, the part with the key where the walk goes on apart from the rest: so both
/// databases enter the index at the right place.
#[derive(Debug, PartialEq, Eq)]
struct Stretch {
    range: KeyRange,
    /// The range is one key, and only numbers beyond this one are left of it.
    beyond: Option<i64>,
}

impl Walk<'_> {
    /// Up to `limit` matches after a key and number.
    pub async fn step<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        after: Option<(&[u8], i64)>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
        let mut found = Vec::new();
        for stretch in self.stretches(after) {
            if found.len() >= limit {
                break;
            }
            found.extend(
                self.merged(session, scope, &stretch, limit - found.len())
                    .await?,
            );
        }
        Ok(found)
    }

    /// What is left to walk, in the order of the walk.
    fn stretches(&self, after: Option<(&[u8], i64)>) -> Vec<Stretch> {
        let mut left = Vec::new();
        for &range in &self.ranges {
            let whole = Stretch {
                range: range.clone(),
                beyond: None,
            };
            let Some((key, rid)) = after else {
                left.push(whole);
                continue;
            };
            let is_above = range.low.as_slice() > key;
            let is_below = range
                .high
                .as_ref()
                .is_some_and(|high| high.as_slice() <= key);
            if is_above || is_below {
                if is_above != self.descending {
                    left.push(whole);
                }
                continue;
            }
            let mut here = KeyRange::exact(key.to_vec());
            here.test.clone_from(&range.test);
            let mut rest = range.clone();
            if self.descending {
                rest.high = Some(key.to_vec());
            } else {
                rest.low = [key, &[0]].concat();
            }
            let mut both = [
                Stretch {
                    range: here,
                    beyond: Some(rid),
                },
                Stretch {
                    range: rest,
                    beyond: None,
                },
            ];
            if self.descending {
                both.reverse();
            }
            left.extend(both);
        }
        if self.descending {
            left.reverse();
        }
        left
    }

    /// A stretch of all parameters' keys together.
    async fn merged<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        stretch: &Stretch,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
        let mut found = Vec::new();
        for &param in self.params {
            found.extend(self.stretch(session, scope, param, stretch, limit).await?);
        }
        if self.params.len() > 1 {
            found.sort_unstable();
            found.dedup();
            if self.descending {
                found.reverse();
            }
            found.truncate(limit);
        }
        Ok(found)
    }

    async fn stretch<S: Session>(
        &self,
        session: &mut S,
        scope: &Scope<'_>,
        param: u32,
        stretch: &Stretch,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
        let (low, high) = rid_range(scope.kind);
        let (beyond, earlier, order) = if self.descending {
            ("<", ">", "DESC")
        } else {
            (">", "<", "ASC")
        };
        let mut sql = Sql::new(
            session.dialect(),
            "SELECT w.key, w.rid FROM entry w WHERE w.param=",
        );
        sql.bind(Value::Param(param)).push(" AND ");
        push_range(&mut sql, "w", &stretch.range);
        if let Some(rid) = stretch.beyond {
            sql.push(&format!(" AND w.rid{beyond}")).int(rid);
        }
        sql.push(&format!(" AND w.rid>={low} AND w.rid<{high}"));
        let by_rid = if sql.dialect == Dialect::Sqlite {
            " INDEXED BY entry_rid"
        } else {
            ""
        };
        sql.push(&format!(
            " AND (SELECT 1 FROM entry f{by_rid} WHERE f.rid=w.rid AND f.param"
        ));
        sql.in_params(self.params);
        sql.push(&format!(" AND f.key{earlier}w.key AND "));
        self.push_all(&mut sql);
        sql.push(" LIMIT 1) IS NULL");
        scope.push_filter(&mut sql, "w.rid", self.skip)?;
        sql.push(&format!(" ORDER BY w.key {order}, w.rid {order} LIMIT "))
            .int(limit as i64);
        let mut found = Vec::new();
        for mut row in session.rows(&sql).await? {
            found.push((row.bytes()?, row.int()?));
        }
        Ok(found)
    }

    fn push_all(&self, sql: &mut Sql) {
        if let [only] = self.ranges.as_slice() {
            push_range(sql, "f", only);
        } else {
            let ranges: Vec<KeyRange> = self.ranges.iter().map(|&range| range.clone()).collect();
            push_ranges(sql, "f", &ranges);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_goes_on_within_the_key_and_then_behind_it() {
        let ranges = [
            KeyRange::between(b"a".to_vec(), Some(b"c".to_vec())),
            KeyRange::between(b"e".to_vec(), Some(b"g".to_vec())),
        ];
        let bounds = |descending, after: Option<(&[u8], i64)>| -> Vec<String> {
            let walk = Walk {
                params: &[1],
                ranges: ranges.iter().collect(),
                skip: None,
                descending,
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', "+");
            let show = |stretch: Stretch| {
                let high = stretch.range.high.unwrap();
                format!(
                    "{}-{} {:?}",
                    text(&stretch.range.low),
                    text(&high),
                    stretch.beyond
                )
            };
            walk.stretches(after).into_iter().map(show).collect()
        };
        assert_eq!(bounds(false, None), ["a-c None", "e-g None"]);
        assert_eq!(bounds(true, None), ["e-g None", "a-c None"]);
        assert_eq!(
            bounds(false, Some((b"b", 7))),
            ["b-b+ Some(7)", "b+-c None", "e-g None"]
        );
        assert_eq!(bounds(true, Some((b"b", 7))), ["b-b+ Some(7)", "a-b None"]);
        assert_eq!(bounds(false, Some((b"d", 7))), ["e-g None"]);
        assert_eq!(bounds(true, Some((b"d", 7))), ["a-c None"]);
    }
}
