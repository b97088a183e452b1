//! Resources, their versions and their index on disk: the only module with SQL.
//!
//! Two databases, one behaviour: what differs is how a commit is made (`sqlite`, `postgres`);
//! what reads is written once, over [`session::Session`].

mod error;
mod hash;
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

use resources::model::ResourceType;

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
        Ok(Self { backend })
    }

    fn view(&self, access: &Access) -> View {
        View::new(access)
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
                let plan = plan.clone();
                sqlite
                    .search(move |handle| now(query::search(handle, &plan, &view)))
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
