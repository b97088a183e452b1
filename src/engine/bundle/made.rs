//! What a transaction makes, to be searched before it is committed.

use std::collections::{BTreeSet, HashMap};

use resources::{
    index::{Entry, ParamId, key},
    model::ResourceType,
};

use crate::search::{
    matches::{Facts, Others, canonical_keys, matches},
    plan::{Canonical, Clause, KeyRange},
};

/// A resource as it will be.
pub struct New {
    /// The place of its draft.
    pub slot: usize,
    pub kind: ResourceType,
    pub id: String,
    /// All that parameters find in it, sorted.
    pub entries: Vec<Entry>,
}

/// New resources with an index over their entries, since a Bundle may have as many conditions as
/// resources.
pub struct Made {
    new: Vec<New>,
    /// Resource and entry, in the order of the entries.
    index: Vec<(u32, u32)>,
    by_id: HashMap<(ResourceType, String), usize>,
    updated: i64,
}

impl Made {
    /// `updated` is when they are made.
    pub fn new(new: Vec<New>, updated: i64) -> Self {
        let mut index: Vec<(u32, u32)> = Vec::new();
        for (at, one) in new.iter().enumerate() {
            index.extend((0..one.entries.len()).map(|entry| (at as u32, entry as u32)));
        }
        let by_id = new.iter().enumerate();
        let by_id = by_id.map(|(at, one)| ((one.kind, one.id.clone()), at));
        let mut made = Self {
            by_id: by_id.collect(),
            index: Vec::new(),
            new,
            updated,
        };
        index.sort_unstable_by(|a, b| made.entry(*a).cmp(made.entry(*b)));
        made.index = index;
        made
    }

    /// Those of type `kind` that satisfy the clause.
    pub fn matching(&self, kind: ResourceType, clause: &Clause) -> impl Iterator<Item = &New> {
        let candidates = match self.candidates(clause) {
            Some(Candidates { slices, .. }) => {
                let of = slices.into_iter().flatten().map(|(at, _)| *at as usize);
                of.collect::<BTreeSet<usize>>()
            }
            None => (0..self.new.len()).collect(),
        };
        let found = move |at: &usize| self.new[*at].kind == kind && self.satisfies(*at, clause);
        let found: Vec<usize> = candidates.into_iter().filter(found).collect();
        found.into_iter().map(|at| &self.new[at])
    }

    fn entry(&self, (at, entry): (u32, u32)) -> &Entry {
        &self.new[at as usize].entries[entry as usize]
    }

    fn satisfies(&self, at: usize, clause: &Clause) -> bool {
        let new = &self.new[at];
        let facts = Facts {
            kind: new.kind,
            id: &new.id,
            updated: self.updated,
            entries: &new.entries,
            text: None,
        };
        matches(clause, &facts, self)
    }

    /// Where all that satisfy the clause are among; `None` if anywhere.
    fn candidates(&self, clause: &Clause) -> Option<Candidates<'_>> {
        match clause {
            Clause::Keys { param, ranges } => {
                let slices = ranges.iter().map(|range| self.range(*param, range));
                Some(Candidates::new(slices.collect()))
            }
            Clause::All(parts) => parts
                .iter()
                .filter_map(|part| self.candidates(part))
                .min_by_key(|candidates| candidates.count),
            Clause::Any(parts) => {
                let parts = parts.iter().map(|part| self.candidates(part));
                let parts: Option<Vec<_>> = parts.collect();
                let slices = parts?.into_iter().flat_map(|part| part.slices);
                Some(Candidates::new(slices.collect()))
            }
            _ => None,
        }
    }

    fn range(&self, param: ParamId, range: &KeyRange) -> &[(u32, u32)] {
        let before = |key: &[u8]| {
            self.index.partition_point(|place| {
                let entry = self.entry(*place);
                (entry.param, &*entry.key) < (param, key)
            })
        };
        let end = match &range.high {
            Some(high) => before(high),
            None => self
                .index
                .partition_point(|place| self.entry(*place).param <= param),
        };
        self.index.get(before(&range.low)..end).unwrap_or_default()
    }
}

struct Candidates<'m> {
    slices: Vec<&'m [(u32, u32)]>,
    count: usize,
}

impl<'m> Candidates<'m> {
    fn new(slices: Vec<&'m [(u32, u32)]>) -> Self {
        let count = slices.iter().map(|slice| slice.len()).sum();
        Self { slices, count }
    }
}

impl Others for Made {
    fn target(&self, target: ResourceType, ids: &[&str], inner: &Clause) -> bool {
        ids.iter()
            .filter_map(|id| self.by_id.get(&(target, (*id).to_owned())))
            .any(|at| self.satisfies(*at, inner))
    }

    fn named(
        &self,
        target: ResourceType,
        canonical: Canonical,
        keys: &[&[u8]],
        inner: &Clause,
    ) -> bool {
        keys.iter().any(|key| {
            let Some((url, _)) = key::read_reference_url(key) else {
                return false;
            };
            let url = KeyRange::exact(key::uri(url));
            self.range(canonical.url, &url).iter().any(|(at, _)| {
                let new = &self.new[*at as usize];
                let own = canonical_keys(&new.entries, canonical);
                new.kind == target
                    && own.iter().any(|own| own == key)
                    && self.satisfies(*at as usize, inner)
            })
        })
    }

    fn source(
        &self,
        source: ResourceType,
        param: ParamId,
        keys: &[Vec<u8>],
        inner: &Clause,
    ) -> bool {
        let exact = keys.iter().map(|key| KeyRange::exact(key.clone()));
        exact
            .flat_map(|exact| self.range(param, &exact))
            .any(|(at, _)| {
                self.new[*at as usize].kind == source && self.satisfies(*at as usize, inner)
            })
    }
}

/// Adds the types that a clause looks at beside that of the resource itself.
pub fn types_behind(clause: &Clause, types: &mut BTreeSet<ResourceType>) {
    match clause {
        Clause::All(parts) | Clause::Any(parts) => {
            parts.iter().for_each(|part| types_behind(part, types));
        }
        Clause::Not(part) => types_behind(part, types),
        Clause::Refers { target, inner, .. } => {
            types.insert(*target);
            types_behind(inner, types);
        }
        Clause::ReferredBy { source, inner, .. } => {
            types.insert(*source);
            types_behind(inner, types);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENT: ResourceType = ResourceType::PATIENT;

    fn keys(param: u32, low: u8, high: u8) -> Clause {
        Clause::Keys {
            param: ParamId(param),
            ranges: vec![KeyRange::between(vec![low], Some(vec![high]))],
        }
    }

    fn clause() -> impl Strategy<Value = Clause> {
        let leaf = prop_oneof![
            (0..3_u32, 0..8_u8, 0..9_u8).prop_map(|(param, low, high)| keys(param, low, high)),
            (0..3_u32).prop_map(|param| Clause::HasParam(ParamId(param))),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Clause::All),
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Clause::Any),
                inner.prop_map(|part| Clause::Not(Box::new(part))),
            ]
        })
    }

    proptest! {
        /// The index only saves work.
        #[test]
        fn what_matches_is_what_satisfies_the_clause(
            entries in proptest::collection::vec(
                proptest::collection::btree_set((0..3_u32, 0..8_u8), 0..4), 0..6),
            clause in clause(),
        ) {
            let new = entries.into_iter().enumerate().map(|(slot, entries)| New {
                slot,
                kind: PATIENT,
                id: slot.to_string(),
                entries: entries
                    .into_iter()
                    .map(|(param, key)| Entry { param: ParamId(param), key: vec![key] })
                    .collect(),
            });
            let made = Made::new(new.collect(), 0);
            let found: Vec<usize> = made.matching(PATIENT, &clause).map(|new| new.slot).collect();
            let expected: Vec<usize> =
                (0..made.new.len()).filter(|at| made.satisfies(*at, &clause)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
