//! What is granted: rights, rules and denials.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use resources::model::ResourceType;

/// One letter of a SMART scope's `cruds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// `c`
    Create,
    /// `r`: read, vread, history of an instance.
    Read,
    /// `u`: update and patch, also of what does not exist yet.
    Update,
    /// `d`
    Delete,
    /// `s`: search and history of a type or of all.
    Search,
}

impl Right {
    /// All, in the order of the letters.
    pub const ALL: [Self; 5] = [
        Self::Create,
        Self::Read,
        Self::Update,
        Self::Delete,
        Self::Search,
    ];

    /// The letter.
    pub const fn letter(self) -> char {
        match self {
            Self::Create => 'c',
            Self::Read => 'r',
            Self::Update => 'u',
            Self::Delete => 'd',
            Self::Search => 's',
        }
    }
}

/// A set of [`Right`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);
    /// `cruds`
    pub const ALL: Self = Self(0b1_1111);

    /// These.
    pub fn of(rights: &[Right]) -> Self {
        Self(rights.iter().fold(0, |set, right| set | 1 << *right as u8))
    }

    /// Whether `right` is one of them.
    pub const fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u8) != 0
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each, in the order of the letters.
    pub fn each(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }

    /// True if there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What roles, scopes, launch context and consents leave: what any rule allows and no denial
/// takes away. Nothing if there is no rule.
///
/// What is made of the rules for a type is kept beside them, so one value should serve all
/// requests of a token for as long as its rules stay the same.
#[derive(Default)]
pub struct Grants {
    rules: Vec<Rule>,
    denials: Vec<Denial>,
    made: RwLock<HashMap<(ResourceType, Rights), Arc<dyn Any + Send + Sync>>>,
}

impl Grants {
    /// What one of `rules` allows and none of `denials` takes away.
    pub fn new(rules: Vec<Rule>, denials: Vec<Denial>) -> Self {
        Self {
            rules,
            denials,
            made: RwLock::default(),
        }
    }

    /// One suffices.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is withheld, whatever the rules say.
    pub fn denials(&self) -> &[Denial] {
        &self.denials
    }

    /// What `make` makes of the rules for a type and rights, made once. There is one sort of such
    /// values, and only the search compiler knows it.
    pub fn made<T: Any + Send + Sync>(
        &self,
        of: (ResourceType, Rights),
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let known = {
            let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
            made.get(&of).cloned()
        };
        if let Some(found) = known.and_then(|known| known.downcast().ok()) {
            return found;
        }
        let new = Arc::new(make());
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        made.insert(of, new.clone());
        new
    }
}

impl Clone for Grants {
    fn clone(&self) -> Self {
        Self::new(self.rules.clone(), self.denials.clone())
    }
}

impl PartialEq for Grants {
    fn eq(&self, other: &Self) -> bool {
        (&self.rules, &self.denials) == (&other.rules, &other.denials)
    }
}

impl Eq for Grants {}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("rules", &self.rules)
            .field("denials", &self.denials)
            .finish_non_exhaustive()
    }
}

/// Rights on the resources of a type, or of all types, that satisfy all that it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The type; `None` is every type.
    pub kind: Option<ResourceType>,
    /// What may be done.
    pub rights: Rights,
    /// Patients in whose compartment the resource must be, each of them. Of types that cannot be
    /// there, such a rule covers reading what is everybody's: practitioners, organizations,
    /// locations, medications, definitions.
    pub patients: Vec<String>,
    /// Search parameters of R4 that the resource must match, all of them: name and value, without
    /// modifier. A rule with another one allows nothing.
    pub constraints: Vec<(String, String)>,
    /// How the patient must stand to who asks.
    pub relation: Option<Relation>,
    /// It comes of being the patient, or of acting for one, and not of one's work: what it lets
    /// be booked is bound to what is offered.
    pub own: bool,
}

/// Why a patient is somebody's business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// In the care of whom a reference (`Practitioner/1`) names: by an Encounter, a CareTeam or
    /// an Appointment.
    Care(String),
    /// There is a resource of this type, an order as a rule, about the patient, and it matches
    /// these search parameters, as those of a [`Rule`].
    Order {
        /// The type.
        kind: ResourceType,
        /// Name and value.
        constraints: Vec<(String, String)>,
    },
}

/// What a Consent withholds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The patient whose compartment it is about.
    pub patient: String,
    /// The types that are withheld; empty is all.
    pub kinds: Vec<ResourceType>,
    /// Search parameters that what is withheld matches, all of them: name and value. None is all.
    pub constraints: Vec<(String, String)>,
}
