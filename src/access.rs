//! Who asks, and what they may see and do: one value that every read and write of the engine and
//! the store takes.

use std::{net::IpAddr, sync::Arc};

use resources::model::ResourceType;

/// The access decision of one request, compiled once; the store turns it into conditions on
/// every hop of every query. There is no call into the store without one.
#[derive(Debug, Clone)]
pub struct Access {
    decision: Decision,
    right: Right,
    caller: Option<Arc<Caller>>,
}

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Everything. For internal work, with the reason for which it is needed, and, while the
    /// server runs with `--open`, for every request.
    System(&'static str),
    /// One compartment: the resource `kind/id` itself and what refers to it by the parameters of
    /// the R4 CompartmentDefinition of `kind`. Nothing else is visible.
    Compartment {
        /// `Patient` for a patient's own access.
        kind: ResourceType,
        /// The logical id of the compartment's resource.
        id: String,
    },
    /// What roles, scopes and consents leave.
    Granted(Arc<Grants>),
}

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

    /// True if there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What roles, scopes, launch context and consents leave: what any rule allows and no denial
/// takes away. Nothing if there is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// One suffices.
    pub rules: Vec<Rule>,
    /// What is withheld, whatever the rules say.
    pub denials: Vec<Denial>,
}

/// Rights on the resources of a type, or of all types, that satisfy all that it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The type; `None` is every type.
    pub kind: Option<ResourceType>,
    /// What may be done.
    pub rights: Rights,
    /// Patients in whose compartment the resource must be, each of them. Types that cannot be in
    /// a Patient compartment are not covered by a rule that has one.
    pub patients: Vec<String>,
    /// Search parameters that the resource must match, all of them: name and value.
    pub constraints: Vec<(String, String)>,
    /// A reference (`Practitioner/1`) of whom the patient must be in care: by an Encounter, a
    /// CareTeam or an Appointment.
    pub carer: Option<String>,
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

/// Who sends a request. For the audit and for provenance, never for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who holds the token.
    pub identity: Arc<Identity>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// `X-Request-Id`
    pub request: String,
}

/// On whose behalf a token speaks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The OAuth client, or the API key.
    pub client: Option<String>,
    /// The user's id.
    pub user: Option<String>,
    /// The user's FHIR resource: `Practitioner/1`.
    pub fhir_user: Option<String>,
    /// The user's or client's roles.
    pub roles: Vec<String>,
    /// The patient in context.
    pub patient: Option<String>,
    /// Why, as a code of v3 ActReason: `TREAT`, `BTG` (break the glass).
    pub purpose: Option<String>,
    /// The reason that was given for breaking the glass.
    pub reason: Option<String>,
}

impl Access {
    /// Internal work that must see all resources; the reason is for whoever reads the code.
    pub const fn system(reason: &'static str) -> Self {
        Self {
            decision: Decision::System(reason),
            right: Right::Read,
            caller: None,
        }
    }

    /// The compartment of `kind/id`, and nothing else.
    pub const fn compartment(kind: ResourceType, id: String) -> Self {
        Self {
            decision: Decision::Compartment { kind, id },
            right: Right::Read,
            caller: None,
        }
    }

    /// What roles, scopes and consents leave.
    pub const fn granted(grants: Arc<Grants>) -> Self {
        Self {
            decision: Decision::Granted(grants),
            right: Right::Read,
            caller: None,
        }
    }

    /// The same, in the name of `caller`.
    #[must_use]
    pub fn by(mut self, caller: Arc<Caller>) -> Self {
        self.caller = Some(caller);
        self
    }

    /// The same, for another thing to be done.
    #[must_use]
    pub fn to(&self, right: Right) -> Self {
        Self {
            right,
            ..self.clone()
        }
    }

    /// What is decided.
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What is to be done with the resources that are asked for.
    pub const fn right(&self) -> Right {
        self.right
    }

    /// Who asks; nobody for internal work.
    pub const fn caller(&self) -> Option<&Arc<Caller>> {
        self.caller.as_ref()
    }

    /// True if no condition applies.
    pub const fn is_unrestricted(&self) -> bool {
        matches!(self.decision, Decision::System(_))
    }
}
