//! What `verify` and `reindex` look at beside the index of living resources: dates, entries of
//! nothing, words.

use bytes::Bytes;

use super::{
    Backend, Store, change,
    error::StoreError,
    fulltext,
    maintain::{Owner, Place, strays},
    run,
    session::Session,
    sql::{Dialect, Row, Sql, Value},
    sqlite::{Handle, now},
    types::{Dated, Head},
    whole,
};
use crate::access::Access;

impl Store {
    /// Deletions in a part of the log (after, up to) that are dated before the version before
    /// them or after the one behind them, each with the nearest date that is in order.
    pub async fn misdated_deletions(
        &self,
        part: (i64, i64),
        access: &Access,
    ) -> Result<Vec<Dated>, StoreError> {
        whole(access)?;
        run!(self, scan, |session| misdated_deletions(session, part))
    }

    /// Heads after a number whose date is not that of their version, which is given, and how far
    /// it looked; `None` at the end.
    pub async fn misdated_heads(
        &self,
        after_rid: i64,
        limit: usize,
        access: &Access,
    ) -> Result<(Vec<Dated>, Option<i64>), StoreError> {
        whole(access)?;
        run!(self, scan, |session| misdated_heads(
            session, after_rid, limit
        ))
    }

    /// Versions after a place in the log, as they are dated, each with its text if that can be
    /// read: one that cannot is another defect.
    pub async fn dated(
        &self,
        after_vid: i64,
        limit: usize,
        access: &Access,
    ) -> Result<Vec<(Head, Option<Bytes>)>, StoreError> {
        whole(access)?;
        run!(self, scan, |session| dated(session, after_vid, limit))
    }

    /// Dates versions anew, and the heads of those that are the newest.
    pub async fn redate(&self, dates: Vec<Dated>) -> Result<(), StoreError> {
        change!(self, |session| redate(session, &dates))
    }

    /// Those of the index entries after a place in the index that belong to no living resource,
    /// and the place up to which it looked; `None` at the end.
    pub async fn strays(
        &self,
        after: Option<Place>,
        limit: usize,
        access: &Access,
    ) -> Result<(Vec<Place>, Option<Place>), StoreError> {
        whole(access)?;
        run!(self, scan, |session| strays(
            session,
            Owner::Living,
            after,
            limit
        ))
    }

    /// Removes index entries, unless their resource lives by now; how many.
    pub async fn remove_strays(&self, strays: Vec<Place>) -> Result<u64, StoreError> {
        change!(self, |session| remove_strays(session, &strays))
    }

    /// Refuses an index of words that is broken in itself or ahead of the log.
    ///
    /// # Errors
    /// [`StoreError::Words`] says what is wrong.
    pub async fn check_words(&self) -> Result<(), StoreError> {
        change!(self, |session| fulltext::check(session))
    }

    /// How many of the resources after a number should have words and have none, or the other
    /// way round, and how far it looked; `None` at the end.
    pub async fn misworded(
        &self,
        after_rid: i64,
        limit: usize,
        access: &Access,
    ) -> Result<(u64, Option<i64>), StoreError> {
        whole(access)?;
        run!(self, scan, |session| fulltext::misworded(
            session, after_rid, limit
        ))
    }

    /// Throws all words away, so that [`Store::fulltext_catch_up`] begins anew. True if there may
    /// have been any.
    pub async fn fulltext_reset(&self) -> Result<bool, StoreError> {
        change!(self, |session| fulltext::reset(session))
    }

    /// Throws all words away if they are why something failed: what depends on nothing but the
    /// log need not stay broken.
    pub(super) async fn healed<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Words(reason)) = &done {
            tracing::error!(reason, "full-text search is damaged and begins anew");
            self.fulltext_reset().await?;
        }
        done
    }
}

async fn misdated_deletions<S: Session>(
    session: &mut S,
    (after, up_to): (i64, i64),
) -> Result<Vec<Dated>, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT v.rid, v.ver, v.vid, v.ts, coalesce(p.ts, v.ts), coalesce(n.ts, v.ts)
         FROM version v LEFT JOIN version p ON p.rid=v.rid AND p.ver=v.ver-1
              LEFT JOIN version n ON n.rid=v.rid AND n.ver=v.ver+1
         WHERE v.op=2 AND v.vid>",
    );
    sql.int(after).push(" AND v.vid<=").int(up_to);
    sql.push(" ORDER BY v.vid");
    let mut found = Vec::new();
    for mut row in session.rows(&sql).await? {
        let (rid, version, vid, dated) = (row.int()?, row.int()?, row.int()?, row.int()?);
        let (before, behind) = (row.int()?, row.int()?);
        let updated = dated.min(behind).max(before);
        if updated != dated {
            found.push(Dated {
                rid,
                version,
                vid,
                updated,
                deleted: true,
            });
        }
    }
    Ok(found)
}

async fn dated<S: Session>(
    session: &mut S,
    after: i64,
    limit: usize,
) -> Result<Vec<(Head, Option<Bytes>)>, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT r.rid, r.id, v.ver, v.vid, v.ts, CASE v.op WHEN 2 THEN 1 ELSE 0 END, v.body
         FROM version v CROSS JOIN resource r WHERE r.rid=v.rid AND v.vid>",
    );
    sql.int(after)
        .push(" ORDER BY v.vid LIMIT ")
        .int(limit as i64);
    let version = |mut row: Row| Ok((row.head()?, row.body()?.ok()));
    session.rows(&sql).await?.into_iter().map(version).collect()
}

async fn misdated_heads<S: Session>(
    session: &mut S,
    after_rid: i64,
    limit: usize,
) -> Result<(Vec<Dated>, Option<i64>), StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT r.rid, r.ver, r.vid, r.updated, r.deleted, v.ts
         FROM resource r CROSS JOIN version v WHERE v.vid=r.vid AND r.rid>",
    );
    sql.int(after_rid)
        .push(" ORDER BY r.rid LIMIT ")
        .int(limit as i64);
    let (mut found, mut last) = (Vec::new(), None);
    for mut row in session.rows(&sql).await? {
        let (rid, version, vid) = (row.int()?, row.int()?, row.int()?);
        let (dated, deleted, updated) = (row.int()?, row.int()? != 0, row.int()?);
        last = Some(rid);
        if dated != updated {
            found.push(Dated {
                rid,
                version,
                vid,
                updated,
                deleted,
            });
        }
    }
    Ok((found, last))
}

async fn redate<S: Session>(session: &mut S, dates: &[Dated]) -> Result<(), StoreError> {
    for date in dates {
        for (table, column) in [("version", "ts"), ("resource", "updated")] {
            let mut sql = Sql::new(session.dialect(), &format!("UPDATE {table} SET {column}="));
            sql.int(date.updated).push(" WHERE vid=").int(date.vid);
            sql.push(" AND rid=").int(date.rid);
            session.execute(&sql).await?;
        }
    }
    Ok(())
}

/// Needs a transaction around it: a resource that comes back meanwhile keeps its entries.
async fn remove_strays<S: Session>(session: &mut S, strays: &[Place]) -> Result<u64, StoreError> {
    let mut removed = 0;
    for (entry, rid) in strays {
        let mut sql = Sql::new(session.dialect(), "SELECT deleted FROM resource WHERE rid=");
        sql.int(*rid);
        if sql.dialect == Dialect::Postgres {
            sql.push(" FOR UPDATE");
        }
        if let Some(mut head) = session.rows(&sql).await?.pop()
            && head.int()? == 0
        {
            continue;
        }
        let mut sql = Sql::new(session.dialect(), "DELETE FROM entry WHERE param=");
        sql.bind(Value::Param(entry.param.0))
            .push(" AND key=")
            .bytes(&entry.key);
        sql.push(" AND rid=").int(*rid);
        removed += session.execute(&sql).await?;
    }
    Ok(removed)
}
