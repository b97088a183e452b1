//! Computed resources: what follows from something else and has no rows of its own. A stored
//! resource with the same type and id, even a deleted one, hides the computed one.
//!
//! They take part in a search only where their types are named: a search over all types finds
//! what is stored. Chains from stored to computed resources find nothing.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use resources::{Doc, doc::Bounds, index::Registry, model::ResourceType};

use super::{Engine, cursor::Place, error::Error, fulltext::asks_for_words, operation::Resource};
use crate::{
    access::Access,
    search::{
        access_clause,
        memory::{Item, MemoryIndex},
        plan::{Clause, Plan, TotalMode},
    },
    store::LogFilter,
};

/// Gives resources that are not stored.
pub trait Provider: Send + Sync {
    /// The types of which it has some; no other provider has any of them.
    fn kinds(&self) -> &[ResourceType];

    /// True if it has this one; cheap.
    fn has(&self, kind: ResourceType, id: &str) -> bool;

    /// The resource.
    fn read(&self, kind: ResourceType, id: &str) -> Option<Resource>;

    /// All of a type with what is to be indexed of them, and their `words` if these are asked for;
    /// may take long.
    fn items(&self, kind: ResourceType, registry: &Registry, words: bool) -> Vec<Item>;

    /// What `access` asks of its resources of a type; `None` is nothing. By default the same as
    /// of stored ones.
    fn condition(
        &self,
        kind: ResourceType,
        access: &Access,
        registry: &Registry,
    ) -> Option<Clause> {
        access_clause(access, kind, registry)
    }
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
    /// Its place among those of its type.
    at: usize,
}

/// All providers, and an index over each type that was searched.
pub struct Computed {
    providers: Vec<Box<dyn Provider>>,
    indexes: Mutex<Indexes>,
}

/// By type, and whether they have words.
type Indexes = HashMap<(ResourceType, bool), Arc<MemoryIndex>>;

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

    /// The computed resource, if `access` lets it be seen.
    pub fn visible(
        &self,
        (kind, id): (ResourceType, &str),
        access: &Access,
        registry: &Registry,
    ) -> Option<Resource> {
        let found = self.read(kind, id)?;
        let Some(clause) = self.condition(kind, access, registry) else {
            return Some(found);
        };
        let doc = Doc::parse_bytes(&found.body, &Bounds::default()).ok()?;
        let item = Item {
            kind,
            id: id.to_owned(),
            updated: found.updated,
            entries: registry.extract(kind, &doc, ""),
            text: None,
        };
        MemoryIndex::new(vec![item])
            .satisfies(0, &clause)
            .then_some(found)
    }

    fn condition(
        &self,
        kind: ResourceType,
        access: &Access,
        registry: &Registry,
    ) -> Option<Clause> {
        let provider = (self.providers.iter()).find(|provider| provider.kinds().contains(&kind));
        provider?.condition(kind, access, registry)
    }

    /// Forgets the indexes: the search parameters have changed.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Indexes> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kinds<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = ResourceType> + 'a {
        plan.types.iter().copied().filter(|kind| {
            self.providers
                .iter()
                .any(|provider| provider.kinds().contains(kind))
        })
    }

    fn index(&self, kind: ResourceType, registry: &Registry, words: bool) -> Arc<MemoryIndex> {
        if let Some(index) = self.lock().get(&(kind, words)) {
            return index.clone();
        }
        let items = self
            .providers
            .iter()
            .filter(|provider| provider.kinds().contains(&kind))
            .flat_map(|provider| provider.items(kind, registry, words))
            .collect();
        let index = Arc::new(MemoryIndex::new(items));
        self.lock().insert((kind, words), index.clone());
        index
    }
}

/// The order of hits: by the criteria, then by type and place.
fn order(plan: &Plan, a: &ComputedHit, b: &ComputedHit) -> Ordering {
    let by_kind = |hit: &ComputedHit| plan.types.iter().position(|kind| *kind == hit.kind);
    super::search::compare(&plan.sort, &a.sort, &b.sort)
        .then_with(|| by_kind(a).cmp(&by_kind(b)))
        .then_with(|| a.at.cmp(&b.at))
}

impl ComputedHit {
    /// Where a page ends of which it is the last computed resource.
    pub(super) fn place(&self) -> Place {
        Place {
            kind: self.kind,
            id: self.id.clone(),
            sort: self.sort.clone(),
        }
    }
}

impl Engine {
    /// True if there is such a computed resource, hidden or not.
    pub(super) fn is_computed(&self, kind: ResourceType, id: &str) -> bool {
        self.computed.has(kind, id) || (kind == ResourceType::SLOT && self.is_offered(id))
    }

    /// All computed resources that a plan finds, in its order.
    pub(super) async fn computed_hits(
        &self,
        plan: &Plan,
        access: &Access,
    ) -> Result<Vec<ComputedHit>, Error> {
        if plan.types.len() == ResourceType::all().count() {
            return Ok(Vec::new());
        }
        let kinds: Vec<ResourceType> = self.computed.kinds(plan).collect();
        let words = asks_for_words(&plan.filter);
        let mut hits = Vec::new();
        for kind in kinds {
            let computed = self.computed.clone();
            let registry = self.registry();
            let index = tokio::task::spawn_blocking(move || computed.index(kind, &registry, words))
                .await
                .map_err(|error| {
                    tracing::error!(%error, "indexing computed resources failed");
                    Error::new(
                        super::error::ErrorKind::Internal,
                        "exception",
                        format!("the built-in resources of type {kind} cannot be searched"),
                    )
                })?;
            let mut filter = vec![plan.filter.clone()];
            filter.extend(self.computed.condition(kind, access, &self.registry()));
            let all = Plan {
                types: vec![kind],
                filter: Clause::All(filter),
                limit: usize::MAX,
                after: None,
                total: TotalMode::None,
                ..plan.clone()
            };
            hits.extend(index.search(&all).hits.into_iter().map(|hit| ComputedHit {
                kind,
                id: index.items()[hit.item].id.clone(),
                sort: hit.sort,
                at: hit.item,
            }));
        }
        if plan.types.len() > 1 {
            hits.sort_by(|a, b| order(plan, a, b));
        }
        self.without_hidden(hits).await
    }

    /// Which of `hits` is the first behind `last`, whatever was hidden or shown since.
    pub(super) fn behind(&self, plan: &Plan, hits: &[ComputedHit], last: &Place) -> usize {
        let indexes = self.computed.lock();
        let index = indexes
            .iter()
            .find_map(|((kind, _), index)| (*kind == last.kind).then_some(index));
        let last = ComputedHit {
            kind: last.kind,
            id: last.id.clone(),
            sort: last.sort.clone(),
            at: index
                .and_then(|index| index.get(last.kind, &last.id))
                .unwrap_or_default(),
        };
        hits.partition_point(|hit| order(plan, hit, &last) != Ordering::Greater)
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

#[cfg(test)]
impl ComputedHit {
    /// A ValueSet that is sorted by its id.
    pub(super) fn named(id: &str) -> Self {
        Self {
            kind: ResourceType::VALUE_SET,
            id: id.to_owned(),
            sort: vec![Some(id.as_bytes().to_vec())],
            at: 0,
        }
    }
}
