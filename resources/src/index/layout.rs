//! Which rows the index stores for the entries that a resource has.
//!
//! [`Registry::extract`] gives what each parameter finds. Some of it would be stored twice:
//! `Observation.patient` is `subject` where it points to a Patient, `Patient.phonetic` is `name`.
//! Such a parameter has its [`Home`] with the other one. What `Patient.family` and `Patient.given`
//! find, `Patient.name` finds too: the whole keeps only what none of its [parts](PARTS) does. And
//! some searches ask for two things at once of which neither is rare, such as the Slots of one
//! Schedule on one day: a [`Pair`] is a row for both.

use super::{Entry, ParamId, Registry, key};
use crate::{Doc, model::ResourceType};

/// Where the entries of a parameter are that has none of its own, or not all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// The parameter that stores them.
    pub param: ParamId,
    /// Only its local references to this type are meant; what the sought parameter has beside
    /// these is stored under its own number. `None`: all is meant, and nothing is stored twice.
    pub target: Option<ResourceType>,
}

/// A reference and a date that are searched together, as one row for each combination:
/// [`key::pair`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Its number; no search names it.
    pub id: ParamId,
    /// The reference parameter.
    pub reference: ParamId,
    /// The date parameter.
    pub date: ParamId,
}

/// Type, reference and date of each pair. Its place, counted from the end of the type's numbers,
/// is its number, which is stored: add only behind.
const PAIRS: [(ResourceType, &str, &str); 2] = [
    (ResourceType::SLOT, "schedule", "start"),
    (ResourceType::APPOINTMENT, "actor", "date"),
];

/// What a part's expression has behind that of the whole: the elements that a HumanName or an
/// Address is searched by as a whole, and the kinds of a ContactPoint. R4 calls the whole `name`,
/// `address` and `telecom`.
const PARTS: [&str; 8] = [
    ".family",
    ".given",
    ".city",
    ".state",
    ".country",
    ".postalCode",
    ".where(system='phone')",
    ".where(system='email')",
];

/// What is known of a type's storage.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Sorted by the sought parameter.
    homes: Vec<(ParamId, Home)>,
    /// Each whole with its parts, which find nothing that the whole does not.
    wholes: Vec<(ParamId, Vec<ParamId>)>,
    pairs: Vec<Pair>,
}

impl Layout {
    pub fn new(kind: ResourceType, params: &[super::Param]) -> Self {
        let mut layout = Self::default();
        let built_in = || params.iter().filter(|param| !param.id.is_custom());
        for param in built_in() {
            let home = built_in().find_map(|other| home(param, other));
            layout.homes.extend(home.map(|home| (param.id, home)));
        }
        layout.homes.sort_unstable_by_key(|(param, _)| *param);
        layout.wholes = layout.with_parts(params);
        let number = |code: &str| Some(built_in().find(|param| param.code == code)?.id);
        let of_type = PAIRS.iter().filter(|(owner, ..)| *owner == kind);
        for (place, (_, reference, date)) in of_type.enumerate() {
            if let (Some(reference), Some(date)) = (number(reference), number(date)) {
                layout.pairs.push(Pair {
                    id: ParamId::pair(kind, place),
                    reference,
                    date,
                });
            }
        }
        layout
    }

    fn with_parts(&self, params: &[super::Param]) -> Vec<(ParamId, Vec<ParamId>)> {
        let own = || {
            let at_home = |param: &&super::Param| self.home(param.id).is_none();
            params
                .iter()
                .filter(|param| !param.id.is_custom())
                .filter(at_home)
        };
        let parts = |whole| own().filter(move |part| is_part(part, whole));
        own()
            .map(|whole| (whole.id, parts(whole).map(|part| part.id).collect()))
            .filter(|(_, parts): &(_, Vec<_>)| !parts.is_empty())
            .collect()
    }

    fn home(&self, param: ParamId) -> Option<Home> {
        let at = self
            .homes
            .binary_search_by_key(&param, |(param, _)| *param)
            .ok()?;
        Some(self.homes[at].1)
    }

    fn is_elsewhere(&self, entry: &Entry) -> bool {
        match self.home(entry.param) {
            None => false,
            Some(Home { target: None, .. }) => true,
            Some(Home {
                target: Some(target),
                ..
            }) => key::read_reference(&entry.key).is_some_and(|(kind, _)| kind == target),
        }
    }

    fn parts(&self, whole: ParamId) -> &[ParamId] {
        let found = self.wholes.iter().find(|(param, _)| *param == whole);
        found.map_or(&[], |(_, parts)| parts)
    }

    /// Takes out what a part holds as well. `entries` are sorted.
    fn drop_what_parts_hold(&self, entries: &mut Vec<Entry>) {
        let is_held = |entry: &Entry| {
            self.parts(entry.param).iter().any(|part| {
                let same = |other: &Entry| (other.param, &other.key).cmp(&(*part, &entry.key));
                entries.binary_search_by(same).is_ok()
            })
        };
        let mut held = entries
            .iter()
            .map(is_held)
            .collect::<Vec<bool>>()
            .into_iter();
        entries.retain(|_| !held.next().unwrap_or_default());
    }

    fn add_pairs(&self, entries: &mut Vec<Entry>) {
        for pair in &self.pairs {
            let of = |param| entries.iter().filter(move |entry| entry.param == param);
            let rows: Vec<Entry> = of(pair.reference)
                .flat_map(|reference| of(pair.date).map(move |date| (reference, date)))
                .map(|(reference, date)| Entry {
                    param: pair.id,
                    key: key::pair(&reference.key, &date.key),
                })
                .collect();
            entries.extend(rows);
        }
    }
}

/// Where `param` is stored, if it is with `other`.
fn home(param: &super::Param, other: &super::Param) -> Option<Home> {
    if param.id == other.id || param.kind != other.kind || !param.components.is_empty() {
        return None;
    }
    if param.expression == other.expression && param.targets == other.targets {
        // The one that comes first keeps the entries of both.
        return (other.id < param.id && !param.expression.is_empty()).then_some(Home {
            param: other.id,
            target: None,
        });
    }
    let (path, rest) = param.expression.split_once(".where(resolve() is ")?;
    let target = ResourceType::from_name(rest.strip_suffix(')')?)?;
    let is_same =
        path == other.expression && (other.targets.is_empty() || other.targets.contains(&target));
    is_same.then_some(Home {
        param: other.id,
        target: Some(target),
    })
}

/// True if what `part` finds is some of what `whole` finds, with the same keys.
fn is_part(part: &super::Param, whole: &super::Param) -> bool {
    part.kind == whole.kind
        && part
            .expression
            .strip_prefix(whole.expression.as_str())
            .is_some_and(|rest| PARTS.contains(&rest))
}

impl Registry {
    /// The rows to store of a resource, sorted, each once: [`Registry::extract`] without what has
    /// its home elsewhere or is held by a part, and with pairs.
    pub fn rows(&self, kind: ResourceType, doc: &Doc, base_url: &str) -> Vec<Entry> {
        let layout = self.layout(kind);
        let mut entries = self.extract(kind, doc, base_url);
        layout.add_pairs(&mut entries);
        entries.retain(|entry| !layout.is_elsewhere(entry));
        entries.sort_unstable();
        entries.dedup();
        layout.drop_what_parts_hold(&mut entries);
        entries
    }

    /// Where the entries of a parameter of this type are, if they are not, or not all, its own.
    pub fn home(&self, kind: ResourceType, param: ParamId) -> Option<Home> {
        self.layout(kind).home(param)
    }

    /// The parameters that hold some of a parameter's entries in its place.
    pub fn parts(&self, kind: ResourceType, param: ParamId) -> &[ParamId] {
        self.layout(kind).parts(param)
    }

    /// The pairs of a type.
    pub fn pairs(&self, kind: ResourceType) -> &[Pair] {
        &self.layout(kind).pairs
    }
}
