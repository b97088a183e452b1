//! What verify, reindex and followers keep and look at.

use resources::index::{Entry, ParamId};

use super::{
    error::StoreError,
    generation, hash,
    session::Session,
    sql::{Dialect, HEAD, Sql, Value},
    text,
    types::{Indexed, Reindex},
};

/// Resources that are not deleted, by number, each with all its entries.
pub(super) async fn indexed<S: Session>(
    session: &mut S,
    after_rid: i64,
    limit: usize,
) -> Result<Vec<Indexed>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(HEAD).push(
        ", v.body, v.hash FROM resource r CROSS JOIN version v
          WHERE v.vid=r.vid AND r.deleted=0 AND r.rid>",
    );
    sql.int(after_rid)
        .push(" ORDER BY r.rid LIMIT ")
        .int(limit as i64);
    let mut found = Vec::new();
    for mut row in session.rows(&sql).await? {
        found.push(Indexed {
            head: row.head()?,
            text: row.body()?,
            hash: row.bytes()?,
            entries: Vec::new(),
        });
    }
    let (Some(first), Some(last)) = (found.first(), found.last()) else {
        return Ok(found);
    };
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT rid, param, key FROM entry WHERE rid>=",
    );
    sql.int(first.head.rid)
        .push(" AND rid<=")
        .int(last.head.rid);
    sql.push(" ORDER BY rid, param, key");
    let mut at = 0;
    for mut row in session.rows(&sql).await? {
        let rid = row.int()?;
        while found.get(at).is_some_and(|indexed| indexed.head.rid < rid) {
            at += 1;
        }
        let param = ParamId(row.int()? as u32);
        let key = row.bytes()?;
        if let Some(indexed) = found.get_mut(at).filter(|found| found.head.rid == rid) {
            indexed.entries.push(Entry { param, key });
        }
    }
    Ok(found)
}

/// What is wrong among the resources after a number: heads without their version, gaps in the
/// versions, entries of what is not there. Gives how far it looked, `None` at the end.
pub(super) async fn defects<S: Session>(
    session: &mut S,
    after_rid: i64,
    limit: usize,
) -> Result<(Vec<String>, Option<i64>), StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT r.rid, r.ver, r.deleted, coalesce(v.rid,-1), coalesce(v.ver,-1), coalesce(v.op,-1),
                (SELECT count(*) FROM version w WHERE w.rid=r.rid),
                (SELECT count(*) FROM entry e WHERE e.rid=r.rid)
         FROM resource r LEFT JOIN version v ON v.vid=r.vid WHERE r.rid>",
    );
    sql.int(after_rid)
        .push(" ORDER BY r.rid LIMIT ")
        .int(limit as i64);
    let mut defects = Vec::new();
    let mut last = None;
    for mut row in session.rows(&sql).await? {
        let (rid, version, deleted) = (row.int()?, row.int()?, row.int()? != 0);
        let newest = (row.int()?, row.int()?);
        let (op, versions, entries) = (row.int()?, row.int()?, row.int()?);
        last = Some(rid);
        if newest != (rid, version) {
            defects.push(format!(
                "resource {rid}: the log does not hold its version {version}"
            ));
        } else if (op == 2) != deleted {
            defects.push(format!(
                "resource {rid}: head and log disagree about its deletion"
            ));
        }
        if versions != version {
            defects.push(format!(
                "resource {rid}: {versions} of {version} versions in the log"
            ));
        }
        if deleted && entries > 0 {
            defects.push(format!(
                "resource {rid}: deleted, but {entries} index entries are left"
            ));
        }
    }
    Ok((defects, last))
}

/// Versions after a place in the log whose text cannot be read or does not have the hash beside
/// it, and how far it looked; `None` at the end.
pub(super) async fn spoiled<S: Session>(
    session: &mut S,
    after_vid: i64,
    limit: usize,
) -> Result<(Vec<String>, Option<i64>), StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT vid, rid, ver, body, hash FROM version WHERE vid>",
    );
    sql.int(after_vid)
        .push(" ORDER BY vid LIMIT ")
        .int(limit as i64);
    let mut spoiled = Vec::new();
    let mut last = None;
    for mut row in session.rows(&sql).await? {
        let (vid, rid, version) = (row.int()?, row.int()?, row.int()?);
        let (stored, hash) = (row.bytes()?, row.bytes()?);
        last = Some(vid);
        let reason = match text::unpack(stored) {
            Ok(text) if hash::of(&text)[..] == hash[..] => continue,
            Ok(_) => "it does not have the hash beside it".to_owned(),
            Err(reason) => reason.to_string(),
        };
        spoiled.push(format!(
            "resource {rid}: the text of version {version} is damaged: {reason}"
        ));
    }
    Ok((spoiled, last))
}

/// An index entry and the number of its resource.
pub(super) type Place = (Entry, i64);

/// What a resource must be for its entries not to be strays.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    /// Deleted or not.
    Known,
    /// Not deleted.
    Living,
}

/// Those of the next index entries that have no such owner, and the last one looked at.
pub(super) async fn strays<S: Session>(
    session: &mut S,
    owner: Owner,
    after: Option<Place>,
    limit: usize,
) -> Result<(Vec<Place>, Option<Place>), StoreError> {
    let owner = match owner {
        Owner::Known => "",
        Owner::Living => " AND r.deleted=0",
    };
    let mut sql = Sql::new(
        session.dialect(),
        &format!(
            "SELECT e.param, e.key, e.rid,
                    CASE WHEN (SELECT 1 FROM resource r WHERE r.rid=e.rid{owner} LIMIT 1)
                         IS NULL THEN 1 ELSE 0 END
             FROM entry e"
        ),
    );
    if let Some((entry, rid)) = after {
        sql.push(" WHERE (e.param,e.key,e.rid)>(")
            .bind(Value::Param(entry.param.0));
        sql.push(",").bytes(&entry.key).push(",").int(rid).push(")");
    }
    sql.push(" ORDER BY e.param, e.key, e.rid LIMIT ")
        .int(limit as i64);
    let (mut found, mut last) = (Vec::new(), None);
    for mut row in session.rows(&sql).await? {
        let param = ParamId(row.int()? as u32);
        let key = row.bytes()?;
        let place = (Entry { param, key }, row.int()?);
        if row.int()? != 0 {
            found.push(place.clone());
        }
        last = Some(place);
    }
    Ok((found, last))
}

/// Changes the entries of resources whose version is still the one that they were computed
/// from; how many. Needs a transaction around it.
pub(super) async fn reindex<S: Session>(
    session: &mut S,
    changes: &[Reindex],
    generation: i64,
) -> Result<usize, StoreError> {
    generation::check(session, generation).await?;
    let mut done = 0;
    for change in changes {
        let mut sql = Sql::new(
            session.dialect(),
            "SELECT 1 FROM resource WHERE deleted=0 AND rid=",
        );
        sql.int(change.rid).push(" AND ver=").int(change.version);
        if sql.dialect == Dialect::Postgres {
            sql.push(" FOR UPDATE");
        }
        if session.rows(&sql).await?.is_empty() {
            continue;
        }
        for entry in &change.remove {
            let mut sql = Sql::new(session.dialect(), "DELETE FROM entry WHERE param=");
            sql.bind(Value::Param(entry.param.0))
                .push(" AND key=")
                .bytes(&entry.key);
            sql.push(" AND rid=").int(change.rid);
            session.execute(&sql).await?;
        }
        for entry in &change.add {
            let mut sql = Sql::new(
                session.dialect(),
                "INSERT INTO entry (param, key, rid) VALUES (",
            );
            sql.bind(Value::Param(entry.param.0))
                .push(",")
                .bytes(&entry.key)
                .push(",");
            sql.int(change.rid).push(") ON CONFLICT DO NOTHING");
            session.execute(&sql).await?;
        }
        done += 1;
    }
    Ok(done)
}

/// A small value.
pub(super) async fn setting<S: Session>(
    session: &mut S,
    key: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT value FROM setting WHERE key=");
    sql.bind(Value::Text(key.to_owned()));
    session
        .rows(&sql)
        .await?
        .pop()
        .map(|mut row| row.bytes())
        .transpose()
}

/// Sets a small value, or, unless `replace`, leaves what is there.
pub(super) async fn set_setting<S: Session>(
    session: &mut S,
    key: &str,
    value: &[u8],
    replace: bool,
) -> Result<(), StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "INSERT INTO setting (key, value) VALUES (",
    );
    sql.bind(Value::Text(key.to_owned())).push(",").bytes(value);
    sql.push(if replace {
        ") ON CONFLICT (key) DO UPDATE SET value=excluded.value"
    } else {
        ") ON CONFLICT DO NOTHING"
    });
    session.execute(&sql).await.map(drop)
}
