//! One commit inside the writer's transaction: first all checks, then all writes.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use resources::index::Entry;
use rusqlite::{Connection, OptionalExtension};

use super::{
    super::{
        audit::NewAuditRow,
        claims::{self, Claimed},
        error::StoreError,
        generation,
        messages::MessageId,
        options::Options,
        query,
        read::change_number,
        sql::rid_range,
        types::{Change, Committed, Head, Write},
    },
    messages,
    session::{Handle, failure, now},
    writer::{Text, Waiting},
};

/// A commit that may happen.
pub(super) struct Checked<'w> {
    claimed: Cow<'w, Claimed>,
    reused: Vec<Option<MessageId>>,
}

/// What the writer knows from one commit to the next.
pub(super) struct Applier {
    /// The next position in the log.
    vid: i64,
    /// The next number of each type that has been written.
    next: HashMap<i64, i64>,
    /// Candidates that a guard's search may collect.
    cap: usize,
    /// How long the guards and claims of a commit may take: others wait for them.
    time: Duration,
    until: Arc<Mutex<Option<Instant>>>,
}

impl Applier {
    pub fn new(connection: &Connection, options: &Options) -> Result<Self, StoreError> {
        let until = Arc::new(Mutex::new(None::<Instant>));
        let shared = Arc::clone(&until);
        let stop = move || {
            let until = *shared.lock().unwrap_or_else(PoisonError::into_inner);
            until.is_some_and(|until| Instant::now() >= until)
        };
        connection
            .progress_handler(10_000, Some(stop))
            .map_err(failure)?;
        let newest: i64 = connection
            .query_row("SELECT coalesce(max(vid),0) FROM version", [], |row| {
                row.get(0)
            })
            .map_err(failure)?;
        Ok(Self {
            vid: newest + 1,
            next: HashMap::new(),
            cap: options.candidates,
            time: options.query_time,
            until,
        })
    }

    /// The newest place in the log.
    pub fn newest(&self) -> i64 {
        self.vid - 1
    }

    /// Whether the commit may happen, and which time it gets. Changes nothing.
    pub fn check<'w>(
        &self,
        connection: &Connection,
        waiting: &'w Waiting,
    ) -> Result<Checked<'w>, StoreError> {
        let reused = messages::check(connection, &waiting.commit.messages)?;
        let claimed = self.check_resources(connection, waiting)?;
        Ok(Checked { claimed, reused })
    }

    fn check_resources<'w>(
        &self,
        connection: &Connection,
        waiting: &'w Waiting,
    ) -> Result<Cow<'w, Claimed>, StoreError> {
        if now(claims::is_repeated(
            &mut Handle(connection),
            &waiting.commit,
        ))? {
            return Err(StoreError::Repeated);
        }
        if let Some(generation) = waiting.commit.generation {
            now(generation::check(&mut Handle(connection), generation))?;
        }
        for (at, write) in waiting.commit.writes.iter().enumerate() {
            if !is_expected(connection, write).map_err(failure)? {
                return Err(StoreError::Conflict(at));
            }
        }
        let looks_around = !waiting.commit.claims.is_empty() && waiting.planned.is_none();
        if waiting.commit.guards.is_empty() && !looks_around {
            return Ok(waiting
                .planned
                .as_ref()
                .map_or_else(Cow::default, Cow::Borrowed));
        }
        self.limit(Some(Instant::now() + self.time));
        let checked =
            self.check_guards(connection, waiting)
                .and_then(|()| match &waiting.planned {
                    Some(planned) => Ok(Cow::Borrowed(planned)),
                    None => {
                        now(claims::plan(&mut Handle(connection), &waiting.commit)).map(Cow::Owned)
                    }
                });
        self.limit(None);
        checked.map_err(|error| match error {
            StoreError::Timeout(_) => StoreError::Timeout(self.time.as_millis() as u64),
            other => other,
        })
    }

    fn limit(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn check_guards(&self, connection: &Connection, waiting: &Waiting) -> Result<(), StoreError> {
        for (at, guard) in waiting.commit.guards.iter().enumerate() {
            if !now(query::guard_holds(
                &mut Handle(connection),
                guard,
                &waiting.view,
                self.cap,
            ))? {
                return Err(StoreError::Guard(at));
            }
        }
        Ok(())
    }

    /// Writes everything. An error leaves part of it behind: the transaction must go.
    pub fn write(
        &mut self,
        connection: &Connection,
        waiting: &Waiting,
        Checked { claimed, reused }: Checked<'_>,
    ) -> Result<Committed, StoreError> {
        let mut heads = Vec::with_capacity(waiting.commit.writes.len());
        let writes = waiting.commit.writes.iter().zip(&waiting.texts);
        for (at, (write, text)) in writes.enumerate() {
            let head = self.head(connection, write).map_err(failure)?;
            put(connection, write, &head, text).map_err(|error| {
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
                    StoreError::Conflict(at)
                } else {
                    failure(error)
                }
            })?;
            heads.push(head);
        }
        if let Some(row) = &waiting.commit.audit {
            audit(connection, row).map_err(failure)?;
        }
        if waiting.commit.has_claims() {
            now(claims::write(
                &mut Handle(connection),
                &waiting.commit,
                &claimed,
            ))?;
        }
        messages::write(
            connection,
            &waiting.commit.messages,
            &waiting.messages,
            &reused,
        )?;
        Ok(Committed { heads, reused })
    }

    fn head(&mut self, connection: &Connection, write: &Write) -> rusqlite::Result<Head> {
        let rid = match write.expect {
            Some(expected) => expected.rid,
            None => self.number(connection, write)?,
        };
        let vid = self.vid;
        self.vid += 1;
        Ok(Head {
            rid,
            kind: write.kind,
            id: write.id.clone(),
            version: write.version,
            vid,
            updated: write.updated,
            deleted: write.change == Change::Delete,
        })
    }

    fn number(&mut self, connection: &Connection, write: &Write) -> rusqlite::Result<i64> {
        let (low, high) = rid_range(write.kind);
        let next = match self.next.get(&low) {
            Some(&next) => next,
            None => connection.query_row(
                "SELECT coalesce(max(rid),?1)+1 FROM resource WHERE rid>=?1 AND rid<?2",
                (low, high),
                |row| row.get(0),
            )?,
        };
        self.next.insert(low, next + 1);
        Ok(next)
    }
}

fn is_expected(connection: &Connection, write: &Write) -> rusqlite::Result<bool> {
    if let Some(expected) = write.expect {
        let version: Option<i64> = connection
            .prepare_cached("SELECT ver FROM resource WHERE rid=?1")?
            .query_row([expected.rid], |row| row.get(0))
            .optional()?;
        Ok(version == Some(expected.version))
    } else {
        let exists = connection
            .prepare_cached("SELECT 1 FROM resource WHERE type=?1 AND id=?2")?
            .exists((write.kind.number(), &write.id))?;
        Ok(!exists)
    }
}

fn put(connection: &Connection, write: &Write, head: &Head, text: &Text) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO version (vid, rid, ver, ts, op, hash, body) VALUES (?1,?2,?3,?4,?5,?6,?7)",
        )?
        .execute((
            head.vid,
            head.rid,
            head.version,
            head.updated,
            change_number(write.change),
            text.hash.as_slice(),
            &text.packed,
        ))?;
    if write.expect.is_some() {
        connection
            .prepare_cached(
                "UPDATE resource SET ver=?2, vid=?3, updated=?4, deleted=?5 WHERE rid=?1",
            )?
            .execute((head.rid, head.version, head.vid, head.updated, head.deleted))?;
    } else {
        connection
            .prepare_cached(
                "INSERT INTO resource (rid, type, id, ver, vid, updated, deleted)
                 VALUES (?1,?2,?3,?4,?5,?6,?7)",
            )?
            .execute((
                head.rid,
                head.kind.number(),
                &head.id,
                head.version,
                head.vid,
                head.updated,
                head.deleted,
            ))?;
    }
    if write.change == Change::Delete {
        connection
            .prepare_cached("DELETE FROM entry WHERE rid=?1")?
            .execute([head.rid])?;
        return Ok(());
    }
    change_entries(connection, head.rid, &write.remove, &write.add)
}

fn audit(connection: &Connection, row: &NewAuditRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO audit (ts, body) VALUES (?1,?2)")?
        .execute((row.at, &row.body))?;
    Ok(())
}

/// Takes index entries of a resource away and adds others.
pub(super) fn change_entries(
    connection: &Connection,
    rid: i64,
    remove: &[Entry],
    add: &[Entry],
) -> rusqlite::Result<()> {
    if !remove.is_empty() {
        let mut delete =
            connection.prepare_cached("DELETE FROM entry WHERE param=?1 AND key=?2 AND rid=?3")?;
        for entry in remove {
            delete.execute((entry.param.0, &entry.key, rid))?;
        }
    }
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO entry (param, key, rid) VALUES (?1,?2,?3)")?;
    for entry in add {
        insert.execute((entry.param.0, &entry.key, rid))?;
    }
    Ok(())
}
