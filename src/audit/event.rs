//! What the audit knows of a request.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use resources::model::ResourceType;

use crate::access::{Caller, Identity};

/// Something that somebody did, tried, or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// When, milliseconds since 1970.
    pub at: i64,
    /// On whose behalf.
    pub identity: Arc<Identity>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// `X-Request-Id`
    pub request: Cow<'a, str>,
    /// How it ended.
    pub outcome: Outcome,
    /// Path and query of a search, a history or an operation, relative to the base.
    pub query: Option<Cow<'a, str>>,
    /// What else is to be known: why it was refused, what an administrator changed. No token, and
    /// nothing out of a resource.
    pub detail: Option<Cow<'a, str>>,
    /// What it was about; never empty.
    pub items: Vec<Item<'a>>,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    /// What was done.
    pub code: Code,
    /// The type of the resource, or the one searched.
    pub kind: Option<ResourceType>,
    /// The logical id; empty if it is not about one resource.
    pub id: Cow<'a, str>,
    /// The version; 0 if it is not about one.
    pub version: i64,
    /// The patients whom it touches, each once.
    pub patients: Vec<Cow<'a, str>>,
}

/// How a request ended, by the codes of `audit-event-outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// `0`
    Success,
    /// `4`: the request was at fault, or what it asks for is not there.
    Minor,
    /// `8`: it was denied, or the server failed.
    Serious,
}

impl Outcome {
    /// All, in the order of the stored numbers.
    pub const ALL: [Self; 3] = [Self::Success, Self::Minor, Self::Serious];

    /// The code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "0",
            Self::Minor => "4",
            Self::Serious => "8",
        }
    }

    /// The name of the code.
    pub const fn display(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Minor => "Minor failure",
            Self::Serious => "Serious failure",
        }
    }
}

/// What was done. The numbers are stored: add at the end, remove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// A resource was read.
    Read,
    /// A version was read.
    Vread,
    /// The history of a resource.
    HistoryInstance,
    /// The history of a type.
    HistoryType,
    /// The history of all resources.
    HistorySystem,
    /// A search in a type or compartment.
    SearchType,
    /// A search over all types.
    SearchSystem,
    /// An operation that reads.
    Operation,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// Somebody logged in.
    Login,
    /// Somebody could not log in.
    LoginFailed,
    /// Somebody logged out.
    Logout,
    /// A token was issued.
    TokenIssued,
    /// A token was revoked.
    TokenRevoked,
    /// A user let an application act in their name.
    Authorization,
    /// Somebody broke the glass.
    BreakGlass,
    /// An administrator changed users, clients, roles or settings.
    AdminChange,
    /// A request was refused before it was looked at: no token, a bad one, or no right to it.
    Denied,
    /// Many resources were handed out as files.
    Export,
    /// Free times were looked for, for a patient (IHE ITI-115).
    FindAppointment,
    /// Time was held (IHE ITI-116). The write has an event of its own, with it.
    HoldAppointment,
    /// Time was booked, or a booking changed or cancelled (IHE ITI-117). The write has an event of
    /// its own, with it.
    BookAppointment,
}

impl Code {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 25] = [
        Self::Read,
        Self::Vread,
        Self::HistoryInstance,
        Self::HistoryType,
        Self::HistorySystem,
        Self::SearchType,
        Self::SearchSystem,
        Self::Operation,
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::Login,
        Self::LoginFailed,
        Self::Logout,
        Self::TokenIssued,
        Self::TokenRevoked,
        Self::Authorization,
        Self::BreakGlass,
        Self::AdminChange,
        Self::Denied,
        Self::Export,
        Self::FindAppointment,
        Self::HoldAppointment,
        Self::BookAppointment,
    ];
}

impl<'a> Event<'a> {
    /// An event of a caller's request, successful, about nothing yet.
    pub fn of(caller: &'a Caller, at: i64) -> Self {
        Self {
            at,
            identity: Arc::clone(&caller.identity),
            address: caller.address,
            request: Cow::Borrowed(&caller.request),
            outcome: Outcome::Success,
            query: None,
            detail: None,
            items: Vec::new(),
        }
    }

    /// One thing that is not about a resource: a log-in, a token, a change by an administrator, a
    /// request that was denied.
    pub fn plain(caller: &'a Caller, at: i64, code: Code, outcome: Outcome) -> Self {
        Self {
            outcome,
            items: vec![Item::plain(code)],
            ..Self::of(caller, at)
        }
    }

    /// The same with a sentence.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<Cow<'a, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// As many AuditEvents as stand for it.
    pub fn records(&self) -> usize {
        self.items
            .iter()
            .map(|item| item.patients.len().max(1))
            .sum()
    }
}

impl<'a> Item<'a> {
    /// About no resource.
    pub const fn plain(code: Code) -> Self {
        Self {
            code,
            kind: None,
            id: Cow::Borrowed(""),
            version: 0,
            patients: Vec::new(),
        }
    }
}
