//! Messages of HL7 v2 as they are kept: what came, what became of it, and what waits to be sent.

mod detail;
mod follow;
mod raw;
mod read;

use std::{fmt, str::FromStr};

use aws_lc_rs::digest;
use bytes::Bytes;
use mllp::Note;
use resources::model::ResourceType;

pub(super) use detail::{packed, unpacked};
pub use follow::{DeliveryHead, Followed};
pub(super) use follow::{place, setting_of};
pub(super) use raw::{pack, unpack};
pub use read::{DeliveryFilter, MessageFilter};
pub(super) use read::{earlier, packed_lines};

/// The number of a message: a UUID of version 7, so that messages are in the order in which they
/// came.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// Before all others.
    pub const FIRST: Self = Self([0; 16]);

    /// When it came, milliseconds since 1970.
    pub fn received(self) -> i64 {
        let mut time = [0; 8];
        time[2..].copy_from_slice(&self.0[..6]);
        i64::from_be_bytes(time)
    }

    /// The first number that a message of this time (milliseconds since 1970) can have.
    pub fn at(time: i64) -> Self {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&time.max(0).to_be_bytes()[2..]);
        Self(id)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for MessageId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<uuid::Uuid>()
            .map(|uuid| Self(*uuid.as_bytes()))
    }
}

/// What has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageState {
    /// It is stored, and has not had its effect.
    Waiting,
    /// It has had its effect, if there is any.
    Done,
    /// It has had none, and somebody has to look at it: the error queue.
    Failed,
    /// It is left as it is, by somebody's decision.
    Dropped,
    /// It was not accepted, and the sender was told so.
    Refused,
}

impl MessageState {
    /// All, by their numbers.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Dropped,
        Self::Refused,
    ];

    /// What stands in the table.
    pub(super) fn number(self) -> i64 {
        self as i64
    }

    pub(super) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Its name: `waiting`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        }
    }

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A version that a message made, or that a message to be sent came of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VersionRef {
    /// The resource's type,
    pub kind: ResourceType,
    /// its id,
    pub id: String,
    /// and the version.
    pub version: i64,
}

/// What is known of a message after it was worked on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageOutcome {
    /// The answer of the application, as it was sent (AA, AE, AR, or a response with content).
    pub ack: Option<Bytes>,
    /// What was odd.
    pub notes: Vec<Note>,
    /// The versions that it made.
    pub made: Vec<VersionRef>,
    /// Whom it is about: logical ids of Patients.
    pub patients: Vec<String>,
    /// Why it had no effect.
    pub error: Option<String>,
}

/// The bytes and the head of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHead {
    /// Its number.
    pub id: MessageId,
    /// Through which channel it came.
    pub channel: String,
    /// Who says that they sent it: MSH-3 and MSH-4 (`APP|FACILITY`).
    pub sender: String,
    /// MSH-10.
    pub control: String,
    /// Code and event: `ADT^A01`.
    pub kind: String,
    /// [`content_hash`] of its bytes.
    pub hash: [u8; 16],
    /// What it must keep its order with, as numbers.
    pub lines: Vec<i64>,
}

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its head.
    pub head: MessageHead,
    /// Its bytes, as they came.
    pub raw: Bytes,
    /// What has become of it so far.
    pub state: MessageState,
    /// How often it was worked on.
    pub attempts: u32,
    /// Nothing happens, but [`StoreError::Duplicate`](super::StoreError::Duplicate), if the same
    /// bytes came from the same sender with the same control id at or after this time
    /// (milliseconds since 1970).
    pub unless_since: Option<i64>,
    /// What is known of it.
    pub outcome: MessageOutcome,
}

/// What becomes of a message that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub id: MessageId,
    /// What must be true of it now; else nothing happens, but
    /// [`StoreError::Settled`](super::StoreError::Settled).
    pub from: MessageState,
    /// What it is from now on.
    pub state: MessageState,
    /// How often it has been worked on.
    pub attempts: u32,
    /// When it is worked on again, milliseconds since 1970, if it waits.
    pub next: Option<i64>,
    /// What is known of it, in place of what was; `None` leaves it.
    pub outcome: Option<MessageOutcome>,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// To whom: the name of a destination.
    pub destination: String,
    /// What it must keep its order with, as a number.
    pub line: i64,
    /// MSH-10.
    pub control: String,
    /// Code and event: `SIU^S12`.
    pub kind: String,
    /// Its bytes.
    pub raw: Bytes,
    /// Milliseconds since 1970.
    pub created: i64,
    /// The version that it tells of.
    pub source: Option<VersionRef>,
}

/// What has become of a message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryState {
    /// It is to be sent.
    Waiting,
    /// The receiver has it.
    Done,
    /// It was given up, and somebody has to look at it: a dead letter.
    Failed,
    /// It is not sent, by somebody's decision.
    Dropped,
}

impl DeliveryState {
    /// All, by their numbers.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Done, Self::Failed, Self::Dropped];

    pub(super) fn number(self) -> i64 {
        self as i64
    }

    pub(super) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Its name: `waiting`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What becomes of a message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its number.
    pub n: i64,
    /// What must be true of it now; else nothing happens, but
    /// [`StoreError::Settled`](super::StoreError::Settled).
    pub from: DeliveryState,
    /// What it is from now on.
    pub state: DeliveryState,
    /// How often it has been sent.
    pub attempts: u32,
    /// When it is sent again, milliseconds since 1970, if it waits.
    pub next: Option<i64>,
    /// The answer to it.
    pub ack: Option<Bytes>,
    /// Why it has not arrived.
    pub error: Option<String>,
}

/// A follower of the log has got on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    /// Its name.
    pub follower: String,
    /// The place in the log where it must be now; else nothing happens, but
    /// [`StoreError::Settled`](super::StoreError::Settled).
    pub from: i64,
    /// Where it is from now on.
    pub to: i64,
}

/// A change of what is kept of messages: part of a [`Commit`](super::Commit).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageChange {
    /// A message came.
    Receive(Box<NewMessage>),
    /// A message that is stored was worked on, or is to be again.
    Settle(Box<Settled>),
    /// A message is to be sent.
    Queue(Box<NewDelivery>),
    /// A message to be sent was, or is not to be.
    Deliver(Box<Delivered>),
    /// What had to be queued was, up to a place in the log.
    Advance(Advanced),
}

impl MessageChange {
    /// Bytes that it takes about, for bounds.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Receive(message) => message.raw.len() + 512,
            Self::Queue(delivery) => delivery.raw.len() + 512,
            Self::Settle(_) | Self::Deliver(_) | Self::Advance(_) => 512,
        }
    }
}

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its head.
    pub head: MessageHead,
    /// What has become of it.
    pub state: MessageState,
    /// How often it was worked on.
    pub attempts: u32,
    /// When it is worked on again, milliseconds since 1970.
    pub next: Option<i64>,
    /// An earlier message of the same sender with the same control id and other bytes.
    pub reuses: Option<MessageId>,
    /// What is known of it.
    pub outcome: MessageOutcome,
}

/// What a message that waits needs to find its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingMessage {
    /// Its number.
    pub id: MessageId,
    /// Its channel.
    pub channel: String,
    /// What it must keep its order with.
    pub lines: Vec<i64>,
    /// How often it was worked on.
    pub attempts: u32,
    /// When it is worked on again, milliseconds since 1970.
    pub next: Option<i64>,
}

/// A message to be sent, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// Its number: they are sent in this order.
    pub n: i64,
    /// What was queued.
    pub delivery: NewDelivery,
    /// What has become of it.
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent again, milliseconds since 1970.
    pub next: Option<i64>,
    /// The answer to it.
    pub ack: Option<Bytes>,
    /// Why it has not arrived.
    pub error: Option<String>,
}

/// The hash by which the same bytes are known again.
pub fn content_hash(raw: &[u8]) -> [u8; 16] {
    let full = digest::digest(&digest::SHA256, raw);
    let mut hash = [0; 16];
    hash.copy_from_slice(&full.as_ref()[..16]);
    hash
}
