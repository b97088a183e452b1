//! What a search must find, worked out the slow way in memory.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use resources::{
    index::{Entry, ParamId},
    model::ResourceType,
};
use rotunda::search::plan::{Clause, KeyRange, KeyTest, Plan, SortKey};

/// All resources that are not deleted, by type and id.
#[derive(Debug, Default, Clone)]
pub struct World(pub BTreeMap<(ResourceType, String), Thing>);

/// A resource as search sees it.
#[derive(Debug, Clone)]
pub struct Thing {
    pub kind: ResourceType,
    pub id: String,
    pub updated: i64,
    pub entries: BTreeSet<Entry>,
}

/// The key of a reference to a resource.
pub fn reference(kind: ResourceType, id: &str) -> Vec<u8> {
    let number = (kind.number() as u16).to_be_bytes();
    [&[0x30], number.as_slice(), id.as_bytes()].concat()
}

impl World {
    /// All that match, in the order that the plan asks for; equals in any order.
    pub fn search(&self, plan: &Plan) -> Vec<&Thing> {
        let mut found: Vec<&Thing> = (self.0.values())
            .filter(|thing| plan.types.contains(&thing.kind) && self.holds(thing, &plan.filter))
            .collect();
        found.sort_by(|a, b| order(plan, a, b));
        found
    }

    fn holds(&self, thing: &Thing, clause: &Clause) -> bool {
        let keys = |param: ParamId| {
            (thing.entries.iter())
                .filter(move |entry| entry.param == param)
                .map(|entry| &entry.key)
        };
        match clause {
            Clause::All(parts) => parts.iter().all(|part| self.holds(thing, part)),
            Clause::Any(parts) => parts.iter().any(|part| self.holds(thing, part)),
            Clause::Not(part) => !self.holds(thing, part),
            Clause::Decided(part) => self.holds(thing, part),
            Clause::Keys { param, ranges } => {
                keys(*param).any(|key| ranges.iter().any(|range| is_in(key, range)))
            }
            Clause::HasParam(param) => keys(*param).next().is_some(),
            Clause::Type(kind) => thing.kind == *kind,
            Clause::Ids(ids) => ids.contains(&thing.id),
            Clause::Updated { from, to } => {
                from.is_none_or(|from| thing.updated >= from)
                    && to.is_none_or(|to| thing.updated < to)
            }
            Clause::Refers {
                param,
                target,
                canonical: None,
                inner,
            } => self.0.values().any(|other| {
                other.kind == *target
                    && keys(*param).any(|key| *key == reference(other.kind, &other.id))
                    && self.holds(other, inner)
            }),
            Clause::ReferredBy {
                source,
                param,
                canonical: None,
                inner,
            } => self.0.values().any(|other| {
                let to = Entry {
                    param: *param,
                    key: reference(thing.kind, &thing.id),
                };
                other.kind == *source && other.entries.contains(&to) && self.holds(other, inner)
            }),
            Clause::Refers { .. } | Clause::ReferredBy { .. } | Clause::Text { .. } => {
                unreachable!("not generated")
            }
        }
    }
}

fn is_in(key: &[u8], range: &KeyRange) -> bool {
    let part = |from: usize, length: usize| {
        let from = from.min(key.len());
        &key[from..(from + length).min(key.len())]
    };
    key >= range.low.as_slice()
        && range.high.as_ref().is_none_or(|high| key < high.as_slice())
        && range.test.iter().all(|test| match test {
            KeyTest::AtLeast(offset, bytes) => part(*offset, bytes.len()) >= bytes.as_slice(),
            KeyTest::Below(offset, bytes) => part(*offset, bytes.len()) < bytes.as_slice(),
            KeyTest::EndsWith(bytes) => key.ends_with(bytes),
            KeyTest::Contains(offset, bytes) => part(*offset, key.len())
                .windows(bytes.len())
                .any(|window| window == bytes),
            KeyTest::TailEquals { from_end, bytes } => {
                key.len() >= *from_end && part(key.len() - from_end, bytes.len()) == bytes
            }
        })
}

/// The values by which a resource is ordered.
pub fn values(plan: &Plan, thing: &Thing) -> Vec<Option<Vec<u8>>> {
    let value = |by: &SortKey, descending: bool| match by {
        SortKey::Id => Some(thing.id.clone().into_bytes()),
        SortKey::Updated => Some(((thing.updated as u64) ^ (1 << 63)).to_be_bytes().to_vec()),
        SortKey::Keys { params, space } => {
            let keys = (thing.entries.iter())
                .filter(|entry| params.contains(&entry.param) && entry.key.first() == Some(space))
                .map(|entry| entry.key.clone());
            if descending { keys.max() } else { keys.min() }
        }
    };
    plan.sort
        .iter()
        .map(|sort| value(&sort.by, sort.descending))
        .collect()
}

fn order(plan: &Plan, a: &Thing, b: &Thing) -> Ordering {
    let pairs = values(plan, a)
        .into_iter()
        .zip(values(plan, b))
        .zip(&plan.sort);
    for ((a, b), sort) in pairs {
        let found = match (a, b) {
            (Some(a), Some(b)) if sort.descending => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if found != Ordering::Equal {
            return found;
        }
    }
    Ordering::Equal
}
