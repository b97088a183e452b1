//! Who asks, and what they may see and do: one value that every read and write of the engine and
//! the store takes.

mod grants;

use std::{net::IpAddr, sync::Arc};

use resources::model::ResourceType;

pub use grants::{Denial, Grants, Relation, Right, Rights, Rule};

/// The access decision of one request, compiled once; the store turns it into conditions on
/// every hop of every query. There is no call into the store without one.
#[derive(Debug, Clone)]
pub struct Access {
    decision: Decision,
    rights: Rights,
    caller: Option<Arc<Caller>>,
    booking: Booking,
}

/// How far the rules of booking bind what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Booking {
    /// All of them do.
    #[default]
    Ruled,
    /// What happened elsewhere is kept: hours, notice and the order of states refuse nothing, only
    /// time that somebody else has does.
    Fact,
    /// A fact that takes its time even from those who have it.
    Over,
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
            rights: Rights::NONE,
            caller: None,
            booking: Booking::Ruled,
        }
    }

    /// The compartment of `kind/id`, and nothing else.
    pub const fn compartment(kind: ResourceType, id: String) -> Self {
        Self {
            decision: Decision::Compartment { kind, id },
            rights: Rights::NONE,
            caller: None,
            booking: Booking::Ruled,
        }
    }

    /// What roles, scopes and consents leave. It covers nothing until it is said what is to be
    /// done: see [`Access::to`].
    pub const fn granted(grants: Arc<Grants>) -> Self {
        Self {
            decision: Decision::Granted(grants),
            rights: Rights::NONE,
            caller: None,
            booking: Booking::Ruled,
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
        self.to_any(Rights::of(&[right]))
    }

    /// The same, for something that each of `rights` is enough for.
    #[must_use]
    pub fn to_any(&self, rights: Rights) -> Self {
        Self {
            rights,
            ..self.clone()
        }
    }

    /// The same, for what happened elsewhere and is told afterwards.
    #[must_use]
    pub fn of_facts(mut self, booking: Booking) -> Self {
        self.booking = booking;
        self
    }

    /// How far the rules of booking bind.
    pub const fn booking(&self) -> Booking {
        self.booking
    }

    /// What is decided.
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What is to be done with the resources that are asked for: each of these is enough.
    pub const fn rights(&self) -> Rights {
        self.rights
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
