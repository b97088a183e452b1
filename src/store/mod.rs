//! Resources, their versions and their index on disk: the only module with SQL.
//!
//! Two databases, one behaviour: what differs is how a commit is made (`sqlite`, `postgres`);
//! what reads is written once, over [`session::Session`].

mod error;
mod hash;
mod maintain;
mod migration;
mod options;
mod query;
mod read;
mod session;
mod sql;
mod sqlite;
mod types;
mod view;

use std::path::Path;

use arc_swap::ArcSwap;
use resources::{index::Registry, model::ResourceType};

pub use error::StoreError;
pub use options::Options;
pub use types::*;

use crate::{access::Access, search::plan::Plan};
use sqlite::{Sqlite, now};
use view::View;

/// Names in one call that are still looked up on the caller's thread (SQLite).
const FEW: usize = 32;

/// An open database.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    candidates: usize,
    registry: ArcSwap<Registry>,
}

#[derive(Debug)]
enum Backend {
    Sqlite(Sqlite),
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`, making or migrating what is there.
    pub async fn open(url: &str, options: &Options) -> Result<Self, StoreError> {
        let backend = if let Some(path) = url.strip_prefix("sqlite:") {
            let path = Path::new(path).to_owned();
            let options = options.clone();
            let opened = tokio::task::spawn_blocking(move || Sqlite::open(&path, &options)).await;
            Backend::Sqlite(opened.map_err(|error| StoreError::Open(error.to_string()))??)
        } else {
            return Err(StoreError::Open(
                "the address must begin with sqlite: or postgres://".to_owned(),
            ));
        };
        Ok(Self {
            backend,
            candidates: options.candidates,
            registry: ArcSwap::from_pointee(Registry::builtin()),
        })
    }

    /// Sets the search parameters by which access is decided; at first those of R4.
    pub fn set_registry(&self, registry: Registry) {
        self.registry.store(registry.into());
    }

    fn view(&self, access: &Access) -> View {
        View::new(access, Registry::clone(&self.registry.load()))
    }

    /// The current state of each resource, in the order of `keys`; deletions included, with an
    /// empty text. `None` for what does not exist or is out of reach.
    pub async fn current(
        &self,
        keys: &[(ResourceType, &str)],
        access: &Access,
    ) -> Result<Vec<Option<Stored>>, StoreError> {
        let view = self.view(access);
        match &self.backend {
            Backend::Sqlite(sqlite) if keys.len() <= FEW => {
                sqlite.read(|handle| now(read::current(handle, keys, &view)))
            }
            Backend::Sqlite(sqlite) => {
                let owned: Vec<(ResourceType, String)> = keys
                    .iter()
                    .map(|(kind, id)| (*kind, (*id).to_owned()))
                    .collect();
                let query = move |handle: &mut sqlite::Handle<'_>| {
                    let keys: Vec<(ResourceType, &str)> = owned
                        .iter()
                        .map(|(kind, id)| (*kind, id.as_str()))
                        .collect();
                    now(read::current(handle, &keys, &view))
                };
                sqlite.scan(query).await
            }
        }
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
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite.read(|handle| now(read::version(handle, (kind, id), version, &view)))
            }
        }
    }

    /// Makes all changes or none; they are on disk when this returns `Ok`. `access` limits what
    /// the guards see; whether the caller may write the resources is the engine's decision.
    pub async fn commit(&self, commit: Commit, access: &Access) -> Result<Committed, StoreError> {
        let view = self.view(access);
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.commit(commit, view).await,
        }
    }

    /// Runs a search.
    pub async fn search(&self, plan: &Plan, access: &Access) -> Result<Page, StoreError> {
        let view = self.view(access);
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                let (plan, cap) = (plan.clone(), self.candidates);
                sqlite
                    .search(move |handle| now(query::search(handle, &plan, &view, cap)))
                    .await
            }
        }
    }

    /// A part of the log, newest first. For access see [`Store::version`].
    pub async fn log(
        &self,
        filter: &LogFilter,
        limit: usize,
        access: &Access,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let view = self.view(access);
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                let filter = filter.clone();
                sqlite
                    .search(move |handle| now(read::log(handle, &filter, limit, &view)))
                    .await
            }
        }
    }

    /// The log after a position, oldest first, for followers: what is left out now will not
    /// appear later before what is returned.
    pub async fn log_after(
        &self,
        vid: i64,
        limit: usize,
        access: &Access,
    ) -> Result<Vec<LogEntry>, StoreError> {
        if !access.is_unrestricted() {
            return Err(StoreError::NotSupported(
                "following the log with limited access",
            ));
        }
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                let query = move |handle: &mut sqlite::Handle<'_>| {
                    now(read::log_between(handle, vid, i64::MAX, limit))
                };
                sqlite.search(query).await
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
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite
                    .scan(move |handle| now(maintain::indexed(handle, after_rid, limit)))
                    .await
            }
        }
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
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite
                    .scan(move |handle| now(maintain::defects(handle, after_rid, limit)))
                    .await
            }
        }
    }

    /// How many index entries belong to no resource. Reads the whole index.
    pub async fn orphans(&self) -> Result<u64, StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite
                    .scan(move |handle| now(maintain::orphans(handle)))
                    .await
            }
        }
    }

    /// Changes index entries; how many resources were still at the version given.
    pub async fn reindex(&self, changes: Vec<Reindex>) -> Result<usize, StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite
                    .write(move |handle| now(maintain::reindex(handle, &changes)))
                    .await
            }
        }
    }

    /// All search parameters that users posted.
    pub async fn parameters(&self) -> Result<Vec<Parameter>, StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(|handle| now(maintain::parameters(handle))),
        }
    }

    /// Adds or replaces a search parameter.
    pub async fn put_parameter(&self, parameter: Parameter) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite
                    .write(move |handle| now(maintain::put_parameter(handle, &parameter)))
                    .await
            }
        }
    }

    /// A small value: how far a follower or an import is, a secret.
    pub async fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(|handle| now(maintain::setting(handle, key))),
        }
    }

    /// Sets a small value.
    pub async fn set_setting(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write_setting(key, value, true).await
    }

    /// The value that is there, or else `value`, which then is: the same for all nodes.
    pub async fn setting_or(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        if let Some(found) = self.setting(key).await? {
            return Ok(found);
        }
        self.write_setting(key, value, false).await?;
        let lost = || StoreError::Failed(format!("the setting {key} was not kept"));
        self.setting(key).await?.ok_or_else(lost)
    }

    async fn write_setting(&self, key: &str, value: &[u8], over: bool) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                let (key, value) = (key.to_owned(), value.to_vec());
                sqlite
                    .write(move |handle| now(maintain::set_setting(handle, &key, &value, over)))
                    .await
            }
        }
    }

    /// Whether the database answers.
    pub async fn health(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(|_| Ok(())).await,
        }
    }

    /// Refreshes statistics and writes back what waits; after bulk loads.
    pub async fn optimize(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.optimize().await,
        }
    }

    /// Finishes what waits and closes the database.
    pub async fn close(self) {
        match self.backend {
            Backend::Sqlite(sqlite) => sqlite.close().await,
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
