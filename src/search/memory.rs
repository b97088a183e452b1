//! A searchable set of resources in memory, with the answers that the store would give.

use std::{cmp::Ordering, collections::HashMap};

use resources::{
    index::{Entry, ParamId, key},
    model::ResourceType,
};

use super::{
    matches::{Facts, Others, Words, canonical_keys, keys, matches},
    plan::{Canonical, Clause, Plan, Position, Sort, SortKey, TotalMode},
};

/// A resource of a [`MemoryIndex`], without its text.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its type.
    pub kind: ResourceType,
    /// Its logical id.
    pub id: String,
    /// `meta.lastUpdated`, milliseconds since 1970.
    pub updated: i64,
    /// Its index entries, sorted.
    pub entries: Vec<Entry>,
    /// Its words, if `_text` and `_content` shall find it.
    pub text: Option<Words>,
}

/// Resources that are searched by walking through them: a few thousand at most.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    items: Vec<Item>,
    by_id: HashMap<ResourceType, HashMap<String, usize>>,
}

/// One hit.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryHit {
    /// The place of the item in the list given to [`MemoryIndex::new`].
    pub item: usize,
    /// The values of the sort criteria, in their order; `None` where the resource has none.
    pub sort: Vec<Option<Vec<u8>>>,
    /// Where the page would end if this were its last hit.
    pub position: Position,
}

/// A page of hits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemoryPage {
    /// The hits in order.
    pub hits: Vec<MemoryHit>,
    /// True if there are more after the last one.
    pub more: bool,
    /// The exact count, unless the plan wants none.
    pub total: Option<u64>,
}

impl MemoryIndex {
    /// An index over `items`, whose order is the order of a search without sort criteria.
    pub fn new(items: Vec<Item>) -> Self {
        let mut by_id: HashMap<ResourceType, HashMap<String, usize>> = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            by_id
                .entry(item.kind)
                .or_default()
                .insert(item.id.clone(), at);
        }
        Self { items, by_id }
    }

    /// The resources, in the order given.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The item `kind/id`.
    pub fn get(&self, kind: ResourceType, id: &str) -> Option<usize> {
        self.by_id.get(&kind)?.get(id).copied()
    }

    /// The page that `plan` asks for. A position that is not of this index starts from the
    /// beginning.
    pub fn search(&self, plan: &Plan) -> MemoryPage {
        let mut found: Vec<(Vec<Option<Vec<u8>>>, usize)> = (plan.types.iter())
            .filter_map(|kind| self.by_id.get(kind))
            .flat_map(HashMap::values)
            .copied()
            .filter(|&at| self.satisfies(at, &plan.filter))
            .map(|at| {
                let item = &self.items[at];
                let named = (item.id.as_str(), item.updated);
                (sort_values(&plan.sort, named, &item.entries), at)
            })
            .collect();
        found.sort_by(|a, b| compare(&plan.sort, (&a.0, a.1), (&b.0, b.1)));
        let total = (plan.total != TotalMode::None).then_some(found.len() as u64);
        let from = plan
            .after
            .as_ref()
            .and_then(read_position)
            .map_or(0, |(sort, at)| {
                found.partition_point(|hit| {
                    compare(&plan.sort, (&hit.0, hit.1), (&sort, at)) != Ordering::Greater
                })
            });
        let more = found.len() - from > plan.limit;
        let hits = found
            .drain(from..)
            .take(plan.limit)
            .map(|(sort, item)| MemoryHit {
                position: position(&sort, item),
                item,
                sort,
            });
        MemoryPage {
            hits: hits.collect(),
            more,
            total,
        }
    }

    /// True if the item satisfies the clause.
    pub fn satisfies(&self, item: usize, clause: &Clause) -> bool {
        self.items.get(item).is_some_and(|item| {
            let facts = Facts {
                kind: item.kind,
                id: &item.id,
                updated: item.updated,
                entries: &item.entries,
                text: item.text.as_ref(),
            };
            matches(clause, &facts, self)
        })
    }
}

/// What the criteria of an order find of a resource, in their order; `None` where it has nothing.
pub fn sort_values(
    sort: &[Sort],
    (id, updated): (&str, i64),
    entries: &[Entry],
) -> Vec<Option<Vec<u8>>> {
    let value = |sort: &Sort| match &sort.by {
        SortKey::Id => Some(id.as_bytes().to_vec()),
        SortKey::Updated => Some(key::ordered_i64(updated).to_vec()),
        SortKey::Keys { params, space } => {
            let of = |param: &ParamId| keys(entries, *param);
            let keys = params
                .iter()
                .flat_map(of)
                .filter(|key| key.first() == Some(space));
            let best = if sort.descending {
                keys.max()
            } else {
                keys.min()
            };
            best.map(<[u8]>::to_vec)
        }
    };
    sort.iter().map(value).collect()
}

impl Others for MemoryIndex {
    fn target(&self, target: ResourceType, ids: &[&str], inner: &Clause) -> bool {
        ids.iter()
            .filter_map(|id| self.get(target, id))
            .any(|at| self.satisfies(at, inner))
    }

    fn named(
        &self,
        target: ResourceType,
        canonical: Canonical,
        keys: &[&[u8]],
        inner: &Clause,
    ) -> bool {
        self.by_id.get(&target).is_some_and(|targets| {
            targets.values().any(|&at| {
                let own = canonical_keys(&self.items[at].entries, canonical);
                own.iter().any(|own| keys.contains(&own.as_slice())) && self.satisfies(at, inner)
            })
        })
    }

    fn source(
        &self,
        source: ResourceType,
        param: ParamId,
        wanted: &[Vec<u8>],
        inner: &Clause,
    ) -> bool {
        self.by_id.get(&source).is_some_and(|sources| {
            sources.values().any(|&at| {
                keys(&self.items[at].entries, param)
                    .any(|key| wanted.iter().any(|wanted| wanted == key))
                    && self.satisfies(at, inner)
            })
        })
    }
}

/// The order of hits: criterion by criterion, resources without a value last, then by place.
fn compare(
    sort: &[Sort],
    a: (&[Option<Vec<u8>>], usize),
    b: (&[Option<Vec<u8>>], usize),
) -> Ordering {
    for ((sort, a), b) in sort.iter().zip(a.0).zip(b.0) {
        let order = match (a, b) {
            (Some(a), Some(b)) if sort.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.1.cmp(&b.1)
}

/// Place, then each sort value as a length + 1 (0 for none) and its bytes.
fn position(sort: &[Option<Vec<u8>>], at: usize) -> Position {
    let mut out = (at as u64).to_be_bytes().to_vec();
    for value in sort {
        let bytes = value.as_deref().unwrap_or_default();
        let len = value.as_ref().map_or(0, |bytes| bytes.len() as u64 + 1);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(bytes);
    }
    Position(out)
}

fn read_position(position: &Position) -> Option<(Vec<Option<Vec<u8>>>, usize)> {
    let (at, mut rest) = position.0.split_first_chunk::<8>()?;
    let mut sort = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<8>() {
        let len = usize::try_from(u64::from_be_bytes(*len)).ok()?;
        let value = after.get(..len.saturating_sub(1))?;
        sort.push((len > 0).then(|| value.to_vec()));
        rest = &after[value.len()..];
    }
    Some((sort, usize::try_from(u64::from_be_bytes(*at)).ok()?))
}
