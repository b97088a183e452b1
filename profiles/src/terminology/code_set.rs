//! Sets of codes, by code system.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

/// The codes of a value set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeSet {
    systems: BTreeMap<String, Codes>,
}

/// The codes of one code system in a [`CodeSet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// Whatever codes the system has; they are not known here (LOINC, SNOMED CT, UCUM).
    All,
    /// These.
    Listed(BTreeSet<String>),
}

impl CodeSet {
    /// Whether the set has this code.
    pub fn contains(&self, system: &str, code: &str) -> bool {
        match self.systems.get(system) {
            Some(Codes::All) => true,
            Some(Codes::Listed(codes)) => codes.contains(code),
            None => false,
        }
    }

    /// Code systems and their codes, sorted.
    pub fn systems(&self) -> impl Iterator<Item = (&str, &Codes)> {
        self.systems
            .iter()
            .map(|(system, codes)| (system.as_str(), codes))
    }

    /// Pairs of system and code, sorted. Systems of which all codes belong to the set are left out;
    /// see [`CodeSet::whole_systems`].
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.systems().flat_map(|(system, codes)| {
            let listed = match codes {
                Codes::All => None,
                Codes::Listed(codes) => Some(codes),
            };
            listed
                .into_iter()
                .flatten()
                .map(move |code| (system, code.as_str()))
        })
    }

    /// Systems of which every code belongs to the set.
    pub fn whole_systems(&self) -> impl Iterator<Item = &str> {
        self.systems()
            .filter(|(_, codes)| **codes == Codes::All)
            .map(|(system, _)| system)
    }

    /// How many codes are listed.
    pub fn len(&self) -> usize {
        let listed = |(_, codes): (&str, &Codes)| match codes {
            Codes::All => 0,
            Codes::Listed(codes) => codes.len(),
        };
        self.systems().map(listed).sum()
    }

    /// True if no code belongs to the set.
    pub fn is_empty(&self) -> bool {
        self.systems.is_empty()
    }

    pub(super) fn add(&mut self, system: &str, codes: Codes) {
        if matches!(&codes, Codes::Listed(codes) if codes.is_empty()) {
            return;
        }
        match self.systems.entry(system.to_owned()) {
            Entry::Vacant(vacant) => {
                vacant.insert(codes);
            }
            Entry::Occupied(mut occupied) => match (occupied.get_mut(), codes) {
                (Codes::Listed(own), Codes::Listed(more)) => own.extend(more),
                (own, _) => *own = Codes::All,
            },
        }
    }

    pub(super) fn unite(&mut self, other: Self) {
        for (system, codes) in other.systems {
            self.add(&system, codes);
        }
    }

    /// What is in both.
    pub(super) fn intersect(self, other: &Self) -> Self {
        let mut both = Self::default();
        for (system, codes) in self.systems {
            let codes = match (codes, other.systems.get(&system)) {
                (_, None) => continue,
                (codes, Some(Codes::All)) => codes,
                (Codes::All, Some(listed)) => listed.clone(),
                (Codes::Listed(own), Some(Codes::Listed(others))) => {
                    Codes::Listed(own.intersection(others).cloned().collect())
                }
            };
            both.add(&system, codes);
        }
        both
    }

    /// Removes what is in `other`; the error names a system of which all codes but some would be
    /// left, which cannot be told.
    pub(super) fn subtract(&mut self, other: &Self) -> Result<(), String> {
        for (system, excluded) in &other.systems {
            match (self.systems.get_mut(system), excluded) {
                (None, _) => {}
                (Some(_), Codes::All) => {
                    self.systems.remove(system);
                }
                (Some(Codes::All), Codes::Listed(_)) => return Err(system.clone()),
                (Some(Codes::Listed(own)), Codes::Listed(excluded)) => {
                    own.retain(|code| !excluded.contains(code));
                    if own.is_empty() {
                        self.systems.remove(system);
                    }
                }
            }
        }
        Ok(())
    }
}
