//! Resources, their versions and their index on disk: the only module with SQL.
//!
//! Two databases, one behaviour: what differs is how a commit is made (`sqlite`, `postgres`);
//! what reads is written once, over [`session::Session`].

mod audit;
mod changes;
mod claims;
mod error;
mod fulltext;
mod generation;
mod hash;
mod maintain;
mod mend;
mod messages;
mod migration;
mod options;
mod parameters;
mod postgres;
mod query;
mod read;
mod records;
mod session;
mod sql;
mod sqlite;
mod storage;
mod text;
mod types;
mod view;

use std::{path::Path, time::Duration};

use resources::{
    index::{Entry, ParamId, Registry},
    model::ResourceType,
};

pub use audit::{AuditRow, AuditSeal, NewAuditRow, SealWalk};
pub use changes::Seen;
pub use error::StoreError;
pub use messages::{
    Advanced, Delivered, DeliveryFilter, DeliveryHead, DeliveryState, Followed, MessageChange,
    MessageFilter, MessageHead, MessageId, MessageOutcome, MessageState, NewDelivery, NewMessage,
    Settled, StoredDelivery, StoredMessage, VersionRef, WaitingMessage, content_hash,
};
pub use options::Options;
pub use records::{Expect, Record, RecordChange};
pub use text::Unreadable;
pub use types::*;

use crate::{access::Access, search::plan::Plan};
use postgres::{Log, Postgres};
use sqlite::{Handle, Sqlite, now};
use storage::Storage;
use view::View;

/// The setting that is written to find out whether the disk takes writes.
const PROBE: &str = "probe";

/// Names in one call that are still looked up on the caller's thread (SQLite).
const FEW: usize = 32;

/// An open database.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    storage: Storage,
    candidates: usize,
    /// R4's search parameters: by them access is decided, and they say what is stored where.
    registry: Registry,
}

#[derive(Debug)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Reads on either database. `$how` is the manner on SQLite: `read` on the caller's thread,
/// `search` on it while it is short, `scan` on another and, on PostgreSQL too, as of one moment.
/// Two names are the manners on SQLite and on PostgreSQL.
macro_rules! run {
    ($store:ident, $how:ident, |$session:ident| $work:expr) => {
        run!($store, ($how, $how), |$session| $work)
    };
    ($store:ident, ($on_sqlite:ident, $how:ident), |$session:ident| $work:expr) => {
        match &$store.backend {
            Backend::Sqlite(sqlite) => {
                sqlite
                    .$on_sqlite(move |$session: &mut Handle<'_>| now($work))
                    .await
            }
            Backend::Postgres(postgres) => {
                let mut lease = postgres.$how().await?;
                let $session = &mut lease;
                let done = $work.await;
                postgres.finish(lease, done).await
            }
        }
    };
}

/// Writes on either database, in a transaction. On SQLite `write_beside` is the manner of what no
/// query of resources sees.
macro_rules! change {
    ($store:ident, |$session:ident| $work:expr) => {
        $crate::store::change!($store, write, |$session| $work)
    };
    ($store:ident, $on_sqlite:ident, |$session:ident| $work:expr) => {
        $store.storage.note(match &$store.backend {
            Backend::Sqlite(sqlite) => {
                sqlite
                    .$on_sqlite(move |$session: &mut Handle<'_>| now($work))
                    .await
            }
            Backend::Postgres(postgres) => {
                let mut lease = postgres.read().await?;
                lease.begin("").await?;
                let $session = &mut lease;
                let done = $work.await;
                lease
                    .end(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })
                    .await?;
                postgres.timed(done)
            }
        })
    };
}

use {change, run};

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`, making or migrating what is there.
    pub async fn open(url: &str, options: &Options) -> Result<Self, StoreError> {
        let backend = if let Some(path) = url.strip_prefix("sqlite:") {
            let path = Path::new(path).to_owned();
            let options = options.clone();
            let opened = tokio::task::spawn_blocking(move || Sqlite::open(&path, &options)).await;
            Backend::Sqlite(opened.map_err(|error| StoreError::Open(error.to_string()))??)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Backend::Postgres(Postgres::open(url, options).await?)
        } else {
            return Err(StoreError::Open(
                "the address must begin with sqlite: or postgres://".to_owned(),
            ));
        };
        Ok(Self {
            backend,
            storage: Storage::default(),
            candidates: options.candidates,
            registry: Registry::builtin(),
        })
    }

    fn view(&self, access: &Access) -> View {
        View::new(access, self.registry.clone())
    }

    /// The current state of each resource, in the order of `keys`; deletions included, with an
    /// empty text. `None` for what does not exist or is out of reach.
    pub async fn current(
        &self,
        keys: &[(ResourceType, &str)],
        access: &Access,
    ) -> Result<Vec<Option<Stored>>, StoreError> {
        let view = self.view(access);
        if keys.len() <= FEW {
            return run!(self, (read_resources, read), |session| read::current(
                session, keys, &view
            ));
        }
        let owned: Vec<_> = keys
            .iter()
            .map(|(kind, id)| (*kind, (*id).to_owned()))
            .collect();
        run!(self, scan, |session| {
            let keys: Vec<_> = owned
                .iter()
                .map(|(kind, id)| (*kind, id.as_str()))
                .collect();
            async move { read::current(session, &keys, &view).await }
        })
    }

    /// As [`Store::current`], until the texts are more than `room` bytes; true if the rest is
    /// left out.
    pub async fn current_within(
        &self,
        keys: &[(ResourceType, &str)],
        room: usize,
        access: &Access,
    ) -> Result<(Vec<Option<Stored>>, bool), StoreError> {
        let view = self.view(access);
        let owned: Vec<_> = keys
            .iter()
            .map(|(kind, id)| (*kind, (*id).to_owned()))
            .collect();
        run!(self, (search_resources, search), |session| {
            let keys: Vec<_> = owned
                .iter()
                .map(|(kind, id)| (*kind, id.as_str()))
                .collect();
            let view = &view;
            async move { read::current_within(session, &keys, room, view).await }
        })
    }

    /// One version of a resource, deletions included. Old versions are not indexed: access is
    /// decided by what is indexed of the newest, so whoever may not see all must also look at
    /// the old text.
    pub async fn version(
        &self,
        kind: ResourceType,
        id: &str,
        version: i64,
        access: &Access,
    ) -> Result<Option<LogEntry>, StoreError> {
        let view = self.view(access);
        run!(self, (read_resources, read), |session| read::version(
            session,
            (kind, id),
            version,
            &view
        ))
    }

    /// Makes all changes or none; they are on disk when this returns `Ok`. `access` limits what
    /// the guards see; whether the caller may write the resources is the engine's decision.
    pub async fn commit(&self, commit: Commit, access: &Access) -> Result<Committed, StoreError> {
        let view = self.view(access);
        let done = match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.commit(commit, view).await,
            Backend::Postgres(postgres) => postgres.commit(commit, view).await,
        };
        self.storage.note(done)
    }

    /// Runs a search.
    pub async fn search(&self, plan: &Plan, access: &Access) -> Result<Page, StoreError> {
        self.search_within(plan, usize::MAX, access).await
    }

    /// Runs a search whose page ends early, but not without any hit, when the texts of its hits
    /// are more than `room` bytes.
    pub async fn search_within(
        &self,
        plan: &Plan,
        room: usize,
        access: &Access,
    ) -> Result<Page, StoreError> {
        let (plan, view, cap) = (plan.clone(), self.view(access), self.candidates);
        let found = run!(self, (search_resources, search), |session| query::search(
            session,
            &plan,
            &view,
            (cap, room)
        ));
        self.healed(found).await
    }

    /// A part of the log, newest first. For access see [`Store::version`].
    pub async fn log(
        &self,
        filter: &LogFilter,
        limit: usize,
        access: &Access,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let part = self.log_within(filter, (limit, usize::MAX), access);
        Ok(part.await?.entries)
    }

    /// As [`Store::log`], until the texts are more than `room` bytes, and saying how far it is.
    pub async fn log_within(
        &self,
        filter: &LogFilter,
        (limit, room): (usize, usize),
        access: &Access,
    ) -> Result<LogPart, StoreError> {
        let (filter, view, cap) = (filter.clone(), self.view(access), self.candidates);
        run!(self, (search_resources, search), |session| read::log(
            session,
            &filter,
            (limit, room),
            (&view, cap)
        ))
    }

    /// The log after a position, oldest first, for followers: what is left out now will not
    /// appear later before what is returned.
    pub async fn log_after(
        &self,
        vid: i64,
        limit: usize,
        access: &Access,
    ) -> Result<Vec<LogEntry>, StoreError> {
        whole(access)?;
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                let query = move |handle: &mut Handle<'_>| {
                    now(read::log_between(handle, vid, i64::MAX, limit))
                };
                sqlite.search(query).await
            }
            Backend::Postgres(postgres) => {
                let mut lease = postgres.read().await?;
                let mut passed = vid;
                loop {
                    let end = postgres.frontier(Log::Versions, &mut lease, passed).await?;
                    let found = read::log_between(&mut lease, vid, end, limit).await;
                    // Positions of commits that were undone are passed over.
                    match postgres.timed(found)? {
                        none if none.is_empty() && end > passed => passed = end,
                        found => return Ok(found),
                    }
                }
            }
        }
    }

    /// The resources after a number, not deleted, by number, each with its index entries.
    pub async fn indexed(
        &self,
        after_rid: i64,
        limit: usize,
        access: &Access,
    ) -> Result<Vec<Indexed>, StoreError> {
        whole(access)?;
        run!(self, scan, |session| maintain::indexed(
            session, after_rid, limit
        ))
    }

    /// The largest number that a resource of this type has, 0 if there is none.
    pub async fn newest_number(&self, kind: ResourceType) -> Result<i64, StoreError> {
        let (low, high) = sql::rid_range(kind);
        let text =
            format!("SELECT coalesce(max(rid),0) FROM resource WHERE rid>={low} AND rid<{high}");
        run!(self, read, |session| generation::number(session, &text))
    }

    /// Contradictions between heads, log and index among the resources after a number, and how
    /// far it looked; `None` if there is nothing after the number.
    pub async fn defects(
        &self,
        after_rid: i64,
        limit: usize,
        access: &Access,
    ) -> Result<(Vec<String>, Option<i64>), StoreError> {
        whole(access)?;
        run!(self, scan, |session| maintain::defects(
            session, after_rid, limit
        ))
    }

    /// Versions after a place in the log whose text is not what was stored, and how far it
    /// looked; `None` at the end.
    pub async fn spoiled(
        &self,
        after_vid: i64,
        limit: usize,
        access: &Access,
    ) -> Result<(Vec<String>, Option<i64>), StoreError> {
        whole(access)?;
        run!(self, scan, |session| maintain::spoiled(
            session, after_vid, limit
        ))
    }

    /// How many of the index entries after a place in the index belong to no resource, and the
    /// place up to which it looked; `None` at the end.
    pub async fn orphans(
        &self,
        after: Option<(Entry, i64)>,
        limit: usize,
    ) -> Result<(u64, Option<(Entry, i64)>), StoreError> {
        let (found, last) = run!(self, scan, |session| maintain::strays(
            session,
            maintain::Owner::Known,
            after,
            limit
        ))?;
        Ok((found.len() as u64, last))
    }

    /// Changes index entries that were computed with a generation of the search parameters; how
    /// many resources were still at the version given.
    pub async fn reindex(
        &self,
        changes: Vec<Reindex>,
        generation: i64,
    ) -> Result<usize, StoreError> {
        change!(self, |session| maintain::reindex(
            session, &changes, generation
        ))
    }

    /// Takes the words of up to `limit` further versions of the log into full-text search;
    /// `extract` gives the text of a resource. True if there was nothing left: a search for words
    /// is complete after that. It can take a few calls even if nothing new is written: the log
    /// is followed only up to the oldest running transaction.
    pub async fn fulltext_catch_up(
        &self,
        limit: usize,
        extract: impl Fn(&LogEntry) -> Texts,
        access: &Access,
    ) -> Result<bool, StoreError> {
        let from = run!(self, read, |session| fulltext::position(session))?;
        let log = self.log_after(from, limit, access).await?;
        let mut to = from;
        if let Some(last) = log.last() {
            to = last.stored.head.vid;
            let changes = fulltext::changes(&log, extract);
            let applied = change!(self, |session| fulltext::apply(
                session,
                (from, to),
                &changes
            ));
            if !self.healed(applied).await? {
                return Ok(false);
            }
        }
        let is_behind = run!(self, read, |session| read::goes_beyond(session, to))?;
        if is_behind && log.is_empty() {
            // What others are committing must end first; a moment later it will have.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(!is_behind)
    }

    /// The generation of the search parameters, and all that users posted: those of this
    /// generation, or newer ones.
    pub async fn parameters(&self) -> Result<(i64, Vec<Parameter>), StoreError> {
        run!(self, read, |session| parameters::all(session))
    }

    /// Adds or replaces search parameters: `decide` is told those that are there and the texts
    /// of the SearchParameters with these ids, `None` where there is none any more, and says
    /// which are to be put. One such change happens at a time, on all nodes together. It takes
    /// effect for writers with [`Store::raise_generation`].
    pub async fn change_parameters<F>(
        &self,
        ids: Vec<String>,
        decide: F,
        access: &Access,
    ) -> Result<Vec<Parameter>, StoreError>
    where
        F: FnOnce(Vec<Parameter>, Vec<(String, Option<String>)>) -> Vec<Parameter> + Send + 'static,
    {
        whole(access)?;
        let view = self.view(access);
        change!(self, |session| parameters::change(
            session, ids, decide, &view
        ))
    }

    /// Sets state and progress of a search parameter, if it is still in the state `from`.
    pub async fn mark_parameter(
        &self,
        id: ParamId,
        from: ParameterState,
        (to, done): (ParameterState, i64),
    ) -> Result<bool, StoreError> {
        change!(self, |session| parameters::mark(
            session,
            id,
            from,
            (to, done)
        ))
    }

    /// The generation of the search parameters: see [`Commit::generation`].
    pub async fn generation(&self) -> Result<i64, StoreError> {
        run!(self, read, |session| generation::newest(session))
    }

    /// From now on refuses commits of older generations. The result is what to ask
    /// [`Store::is_settled`] with.
    pub async fn raise_generation(&self) -> Result<i64, StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite
                    .write(|session: &mut Handle<'_>| now(generation::raise(session)))
                    .await
            }
            // Each statement for itself: the second must come after the first has taken effect.
            Backend::Postgres(postgres) => {
                let mut lease = postgres.read().await?;
                postgres.timed(generation::raise(&mut lease).await)
            }
        }
    }

    /// True if no commit of a generation before the raise can still happen.
    pub async fn is_settled(&self, raised: i64) -> Result<bool, StoreError> {
        run!(self, read, |session| generation::is_settled(
            session, raised
        ))
    }

    /// A small value: how far a follower or an import is, a secret.
    pub async fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        run!(self, read, |session| maintain::setting(session, key))
    }

    /// Sets a small value.
    pub async fn set_setting(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), value.to_vec());
        change!(self, |session| maintain::set_setting(
            session, &key, &value, true
        ))
    }

    /// The value that is there, or else `value`, which then is: the same for all nodes.
    pub async fn setting_or(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        if let Some(found) = self.setting(key).await? {
            return Ok(found);
        }
        let (own, value) = (key.to_owned(), value.to_vec());
        change!(self, |session| maintain::set_setting(
            session, &own, &value, false
        ))?;
        let lost = || StoreError::Failed(format!("the setting {key} was not kept"));
        self.setting(key).await?.ok_or_else(lost)
    }

    /// A record of the authorization server.
    pub async fn record(&self, kind: i64, id: &str) -> Result<Option<Record>, StoreError> {
        let id = id.to_owned();
        run!(self, read, |session| records::one(session, kind, &id))
    }

    /// Records of a kind in the order of their names after `after` (`""` is the beginning); only
    /// those that go with `owner`, if one is given.
    pub async fn records(
        &self,
        kind: i64,
        owner: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let (owner, after) = (owner.map(str::to_owned), after.to_owned());
        run!(self, search, |session| records::list(
            session,
            (kind, owner.as_deref()),
            &after,
            limit
        ))
    }

    /// Changes records, all or none; durable when this returns. [`StoreError::Conflict`] with the
    /// place of a change whose expectation does not hold: then nothing has happened.
    pub async fn change_records(&self, changes: Vec<RecordChange>) -> Result<(), StoreError> {
        change!(self, write_beside, |session| records::change(
            session, &changes
        ))
    }

    /// Removes records that have not been valid since `before`; how many.
    pub async fn sweep_records(&self, before: i64) -> Result<u64, StoreError> {
        change!(self, write_beside, |session| records::sweep(
            session, before
        ))
    }

    /// Whether the database answers, and its disk takes writes: if it refused one, another is
    /// tried.
    pub async fn health(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite.check_space()?;
                sqlite.write_beside(|_| Ok(())).await?;
            }
            Backend::Postgres(postgres) => postgres.health().await?,
        }
        if self.storage.refuses() {
            self.set_setting(PROBE, b"1").await?;
        }
        Ok(())
    }

    /// Whether no other server can have the database open.
    pub fn is_alone(&self) -> bool {
        matches!(self.backend, Backend::Sqlite(_))
    }

    /// False from when the disk refused a write until it takes one.
    pub fn takes_writes(&self) -> bool {
        !self.storage.refuses()
    }

    /// Refreshes statistics and writes back what waits; after bulk loads.
    pub async fn optimize(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.optimize().await,
            Backend::Postgres(postgres) => postgres.optimize().await,
        }
    }

    /// Finishes what waits and closes the database.
    pub async fn close(self) {
        match self.backend {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => postgres.close().await,
        }
    }
}

/// The hash that is stored beside a text.
pub fn text_hash(text: &str) -> [u8; 16] {
    hash::of(text)
}

/// Refuses what makes no sense for a part of the resources.
fn whole(access: &Access) -> Result<(), StoreError> {
    if access.is_unrestricted() {
        return Ok(());
    }
    Err(StoreError::NotSupported(
        "internal work with limited access",
    ))
}
