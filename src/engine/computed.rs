//! Computed resources: what follows from something else and has no rows of its own. A stored
//! resource with the same type and id, even a deleted one, hides the computed one.
//!
//! They take part in a search only where their types are named: a search over all types finds
//! what is stored. Chains from stored to computed resources find nothing.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use resources::{index::Registry, model::ResourceType};

use super::{Engine, error::Error, operation::Resource};
use crate::{
    access::Access,
    search::{
        memory::{Item, MemoryIndex},
        plan::{Plan, TotalMode},
    },
    store::LogFilter,
};

/// Gives resources that are not stored.
pub trait Provider: Send + Sync {
    /// The types of which it has some.
    fn kinds(&self) -> &[ResourceType];

    /// True if it has this one; cheap.
    fn has(&self, kind: ResourceType, id: &str) -> bool;

    /// The resource.
    fn read(&self, kind: ResourceType, id: &str) -> Option<Resource>;

    /// All of a type with what is to be indexed of them; may take long.
    fn items(&self, kind: ResourceType, registry: &Registry) -> Vec<Item>;
}

/// One hit among the computed resources.
#[derive(Debug, Clone)]
pub struct ComputedHit {
    /// The type.
    pub kind: ResourceType,
    /// The logical id.
    pub id: String,
    /// The values of the sort criteria.
    pub sort: Vec<Option<Vec<u8>>>,
}

/// All providers, and an index over each type that was searched.
pub struct Computed {
    providers: Vec<Box<dyn Provider>>,
    indexes: Mutex<HashMap<ResourceType, Arc<MemoryIndex>>>,
}

impl Computed {
    /// With these providers.
    pub fn new(providers: Vec<Box<dyn Provider>>) -> Self {
        Self {
            providers,
            indexes: Mutex::default(),
        }
    }

    /// True if there is such a computed resource.
    pub fn has(&self, kind: ResourceType, id: &str) -> bool {
        self.providers.iter().any(|provider| provider.has(kind, id))
    }

    /// The computed resource.
    pub fn read(&self, kind: ResourceType, id: &str) -> Option<Resource> {
        self.providers
            .iter()
            .find_map(|provider| provider.read(kind, id))
    }

    /// Forgets the indexes: the search parameters have changed.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ResourceType, Arc<MemoryIndex>>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kinds<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = ResourceType> + 'a {
        plan.types.iter().copied().filter(|kind| {
            self.providers
                .iter()
                .any(|provider| provider.kinds().contains(kind))
        })
    }

    fn index(&self, kind: ResourceType, registry: &Registry) -> Arc<MemoryIndex> {
        if let Some(index) = self.lock().get(&kind) {
            return index.clone();
        }
        let items = self
            .providers
            .iter()
            .filter(|provider| provider.kinds().contains(&kind))
            .flat_map(|provider| provider.items(kind, registry))
            .collect();
        let index = Arc::new(MemoryIndex::new(items));
        self.lock().insert(kind, index.clone());
        index
    }
}

impl Engine {
    /// True if there is such a computed resource, hidden or not.
    pub(super) fn is_computed(&self, kind: ResourceType, id: &str) -> bool {
        self.computed.has(kind, id)
    }

    /// All computed resources that a plan finds, in its order.
    pub(super) async fn computed_hits(
        &self,
        plan: &Plan,
        access: &Access,
    ) -> Result<Vec<ComputedHit>, Error> {
        if !access.is_unrestricted() || plan.types.len() == ResourceType::all().count() {
            return Ok(Vec::new());
        }
        let kinds: Vec<ResourceType> = self.computed.kinds(plan).collect();
        let mut hits = Vec::new();
        for kind in kinds {
            let computed = self.computed.clone();
            let registry = self.registry();
            let index = tokio::task::spawn_blocking(move || computed.index(kind, &registry))
                .await
                .map_err(|error| {
                    tracing::error!(%error, "indexing computed resources failed");
                    Error::new(
                        super::error::ErrorKind::Internal,
                        "exception",
                        format!("the built-in resources of type {kind} cannot be searched"),
                    )
                })?;
            let all = Plan {
                types: vec![kind],
                limit: usize::MAX,
                after: None,
                total: TotalMode::None,
                ..plan.clone()
            };
            hits.extend(index.search(&all).hits.into_iter().map(|hit| ComputedHit {
                kind,
                id: index.items()[hit.item].id.clone(),
                sort: hit.sort,
            }));
        }
        if plan.types.len() > 1 {
            hits.sort_by(|a, b| super::search::compare(&plan.sort, &a.sort, &b.sort));
        }
        self.without_hidden(hits).await
    }

    /// Leaves out what a stored resource hides.
    async fn without_hidden(&self, hits: Vec<ComputedHit>) -> Result<Vec<ComputedHit>, Error> {
        let all = Access::system("what users stored hides what is built in");
        let kinds: HashSet<ResourceType> = hits.iter().map(|hit| hit.kind).collect();
        let mut stored = HashSet::new();
        for kind in kinds {
            let filter = LogFilter {
                kind: Some(kind),
                ..LogFilter::default()
            };
            if !self.store.log(&filter, 1, &all).await?.is_empty() {
                stored.insert(kind);
            }
        }
        let (open, mut shown): (Vec<_>, Vec<_>) = hits
            .into_iter()
            .enumerate()
            .partition(|(_, hit)| stored.contains(&hit.kind));
        if !open.is_empty() {
            let keys: Vec<(ResourceType, &str)> = open
                .iter()
                .map(|(_, hit)| (hit.kind, hit.id.as_str()))
                .collect();
            let heads = self.store.current(&keys, &all).await?;
            let free = open.into_iter().zip(heads);
            shown.extend(free.filter(|(_, head)| head.is_none()).map(|(hit, _)| hit));
            shown.sort_by_key(|(at, _)| *at);
        }
        Ok(shown.into_iter().map(|(_, hit)| hit).collect())
    }
}
