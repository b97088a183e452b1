//! What goes into the store and what comes out of it.

use bytes::Bytes;
use resources::{
    index::{Entry, ParamId},
    model::ResourceType,
};

use super::{
    audit::NewAuditRow,
    error::StoreError,
    messages::{MessageChange, MessageId},
    text::Unreadable,
};
use crate::{
    scheduling::claim::ClaimSet,
    search::plan::{Clause, Position},
};

/// The current state of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The resource's number: its type in the bits from 44 up, a sequence below.
    pub rid: i64,
    /// Its type.
    pub kind: ResourceType,
    /// Its logical id.
    pub id: String,
    /// Its version, from 1.
    pub version: i64,
    /// The version's place in the log.
    pub vid: i64,
    /// `meta.lastUpdated`, milliseconds since 1970.
    pub updated: i64,
    /// The newest version is a deletion.
    pub deleted: bool,
}

/// A resource with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Which resource, which version.
    pub head: Head,
    /// The text as it is served; empty for a deletion.
    pub body: Bytes,
}

impl Stored {
    /// A text that cannot be read is damage; the resource is named as `verify` names it.
    pub(super) fn new(head: Head, text: Result<Bytes, Unreadable>) -> Result<Self, StoreError> {
        match text {
            Ok(body) => Ok(Self { head, body }),
            Err(reason) => Err(StoreError::Damaged(format!(
                "resource {}: the text of version {} cannot be read: {reason}",
                head.rid, head.version
            ))),
        }
    }
}

/// What made a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// POST.
    Create,
    /// PUT of what was not there, or was deleted.
    UpdateCreate,
    /// PUT or PATCH.
    Update,
    /// DELETE.
    Delete,
}

/// One entry of the version log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The version: `head.version`, `head.vid` and `head.updated` are the version's own.
    pub stored: Stored,
    /// What made it.
    pub change: Change,
}

/// A set of changes that happen together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The changes; no two of the same resource.
    pub writes: Vec<Write>,
    /// What must hold at the moment of the commit.
    pub guards: Vec<Guard>,
    /// The generation of the search parameters that `add` and `remove` of the writes were
    /// computed with; `None` is not checked.
    pub generation: Option<i64>,
    /// What the audit is to know of it, or of reads.
    pub audit: Option<NewAuditRow>,
    /// The time that Appointments and Slots claim from now on, each in place of what it claimed
    /// until now. Nothing happens if one of them is refused.
    pub claims: Vec<ClaimSet>,
    /// Seconds since 1970: holds that are over by then do not count, nor do receipts.
    pub now: i64,
    /// What is answered if the same request comes again; nothing happens if it has come already.
    pub receipt: Option<NewReceipt>,
    /// What becomes of messages.
    pub messages: Vec<MessageChange>,
}

impl Commit {
    /// True if all that it needs is to be written, without a look at anything else.
    pub(super) fn is_plain(&self) -> bool {
        self.guards.is_empty() && !self.has_claims()
    }

    /// True if it changes nothing that a query of resources sees.
    pub(super) fn is_audit_only(&self) -> bool {
        let Self {
            writes,
            claims,
            receipt,
            guards: _,
            generation: _,
            audit: _,
            // Read on connections that keep no state.
            messages: _,
            now: _,
        } = self;
        writes.is_empty() && claims.is_empty() && receipt.is_none()
    }

    /// True if it must be alone with the time of actors, or with a key.
    pub(super) fn has_claims(&self) -> bool {
        !self.claims.is_empty() || self.receipt.is_some()
    }
}

/// The answer to a request that may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReceipt {
    /// Under which it is looked for: a hash of who asks and of the key that was sent.
    pub key: [u8; 32],
    /// The hash of the request.
    pub request: [u8; 32],
    /// Up to when it is valid, milliseconds since 1970.
    pub expires: i64,
    /// The answer.
    pub answer: Vec<u8>,
}

/// A receipt as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The hash of the request.
    pub request: [u8; 32],
    /// Up to when it is valid, milliseconds since 1970.
    pub expires: i64,
    /// The answer.
    pub answer: Vec<u8>,
}

/// One new version.
#[derive(Debug, Clone)]
pub struct Write {
    /// The resource's type.
    pub kind: ResourceType,
    /// Its logical id.
    pub id: String,
    /// What must be there now: `None` nothing (never existed), `Some(head)` this version.
    pub expect: Option<Expected>,
    /// What the version is.
    pub change: Change,
    /// The new version's number: 1 for a resource that never was, else the expected one + 1.
    pub version: i64,
    /// `meta.lastUpdated`, milliseconds since 1970.
    pub updated: i64,
    /// The text with `id` and `meta` in place; empty for a deletion.
    pub body: String,
    /// Index entries to add (sorted, no duplicates).
    pub add: Vec<Entry>,
    /// Index entries to remove (sorted, no duplicates).
    pub remove: Vec<Entry>,
}

/// The head that a [`Write`] was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The resource's number.
    pub rid: i64,
    /// Its version.
    pub version: i64,
}

/// A condition that the store checks inside the commit, against everything committed before.
#[derive(Debug, Clone)]
pub struct Guard {
    /// The types looked at.
    pub kind: ResourceType,
    /// The condition.
    pub clause: Clause,
    /// The number of the one resource that must match now; `None` if none may.
    pub matches: Option<i64>,
}

/// What a commit made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The new heads, in the order of [`Commit::writes`].
    pub heads: Vec<Head>,
    /// For each message that came: an earlier one of the same sender with the same control id and
    /// other bytes.
    pub reused: Vec<Option<MessageId>>,
}

/// One hit of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The resource, with its text unless the plan asked for none.
    pub stored: Stored,
    /// The values of the sort criteria, in their order; `None` where the resource has none.
    pub sort: Vec<Option<Vec<u8>>>,
    /// Where the page would end if this were its last hit.
    pub position: Position,
}

/// A page of hits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The hits in order.
    pub hits: Vec<Hit>,
    /// True if there are more after the last one.
    pub more: bool,
    /// The count, if it was asked for, and whether it is exact.
    pub total: Option<(u64, bool)>,
    /// How the page was found, for `_explain`.
    pub explain: Vec<String>,
}

/// Which part of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Only this type.
    pub kind: Option<ResourceType>,
    /// Only this resource.
    pub rid: Option<i64>,
    /// Only versions at or after this instant (milliseconds).
    pub since: Option<i64>,
    /// Only versions before this instant.
    pub before: Option<i64>,
    /// Continue below this log position (newest first).
    pub below: Option<i64>,
}

/// A part of the log, newest first.
#[derive(Debug, Clone)]
pub struct LogPart {
    /// Versions, perhaps fewer than were wanted, or none: what was looked at for them is bounded.
    pub entries: Vec<LogEntry>,
    /// The log position below which nothing was looked at, where the next part begins; `None` at
    /// the end of the log.
    pub reached: Option<i64>,
}

/// A resource with its index entries, for `verify` and `reindex`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// The resource.
    pub head: Head,
    /// Its text, or why it cannot be read.
    pub text: Result<Bytes, Unreadable>,
    /// The stored hash of its text, to compare with [`crate::store::text_hash`].
    pub hash: Vec<u8>,
    /// Its entries, sorted.
    pub entries: Vec<Entry>,
}

impl Indexed {
    /// The resource with its text, for who cannot do without.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]: the text cannot be read.
    pub fn stored(&self) -> Result<Stored, StoreError> {
        Stored::new(self.head.clone(), self.text.clone())
    }
}

/// A change of the index entries of a resource that itself stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reindex {
    /// The resource.
    pub rid: i64,
    /// The version that the change was computed from; if there is a newer one, nothing happens.
    pub version: i64,
    /// Entries to add.
    pub add: Vec<Entry>,
    /// Entries to remove.
    pub remove: Vec<Entry>,
}

/// The date that a version ought to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// The resource.
    pub rid: i64,
    /// Its version,
    pub version: i64,
    /// and the version's place in the log.
    pub vid: i64,
    /// The date, milliseconds since 1970.
    pub updated: i64,
    /// The version is a deletion.
    pub deleted: bool,
}

/// What full-text search finds of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// The narrative without its markup.
    pub narrative: String,
    /// All text, the narrative too.
    pub content: String,
}

/// A search parameter that a user posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its number, from `1 << 20`.
    pub id: ParamId,
    /// The resource type.
    pub base: ResourceType,
    /// Its code.
    pub code: String,
    /// The SearchParameter resource as JSON.
    pub definition: String,
    /// Whether it can be searched.
    pub state: ParameterState,
    /// While it is being indexed, or its entries are being removed: the number of the last
    /// resource that is done.
    pub done: i64,
}

impl Parameter {
    /// `done` of a retired parameter of which no entries are left.
    pub const REMOVED: i64 = i64::MAX;

    /// True if the index is still being brought in line with it.
    pub fn is_unfinished(&self) -> bool {
        match self.state {
            ParameterState::Indexing => true,
            ParameterState::Ready => false,
            ParameterState::Retired => self.done != Self::REMOVED,
        }
    }
}

/// Whether a parameter can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterState {
    /// Not all resources are indexed.
    Indexing,
    /// All are.
    Ready,
    /// It is no longer there; its number is not used again.
    Retired,
}
