//! Booking: what Appointments and Slots claim, who is refused and with what alternatives, and
//! the operations of scheduling. Whatever writes an Appointment or a Slot passes through
//! [`Engine::with_claims`] on its way to the commit, so that no way in can book twice.

mod asked;
mod assign;
mod board;
mod book;
mod claims;
mod edits;
mod feed;
mod find;
mod holding;
mod members;
mod meters;
mod missed;
mod moves;
mod need;
mod offered;
mod once;
mod own;
mod parties;
mod preview;
mod proposed;
mod publish;
mod refusal;
mod rule;
mod series;
mod series_edit;
mod slot_page;
mod slots;
mod sought;
mod tidy;
mod timing;
mod transactions;
mod verify;
mod waitlist;
mod walk_in;
mod written;

use aws_lc_rs::digest;
use resources::Doc;

use super::{
    Engine,
    error::{Error, ErrorKind},
};
use crate::scheduling::claim::Number;

pub use book::BookingReply;
pub use publish::Published;
pub use tidy::Tidied;
pub use verify::ScheduleVerified;
pub use waitlist::Tended;

pub(super) use board::Board;
pub(super) use claims::Claimed;
pub(super) use once::Once;
pub(super) use waitlist::Waitlist;

const APPOINTMENT: resources::model::ResourceType = resources::model::ResourceType::APPOINTMENT;

/// True for a type that claims time, or a rule of which must be understood.
pub(super) fn claims_time(kind: resources::model::ResourceType) -> bool {
    claims::is_of_interest(kind)
}

/// A call of a booking operation, as it came.
#[derive(Debug)]
pub struct BookingCall {
    /// Names and values of the query, decoded.
    pub pairs: Vec<(String, String)>,
    /// The body: Parameters, or an Appointment.
    pub body: Option<Doc>,
    /// The id of the URL.
    pub id: Option<String>,
    /// `Idempotency-Key`
    pub key: Option<String>,
    /// Unknown parameters are errors.
    pub strict: bool,
}

/// The number under which the time of `Type/id` is claimed, or under which it claims.
pub(super) fn number(reference: &str) -> Number {
    let hash = digest::digest(&digest::SHA256, reference.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_ref()[..8]);
    Number(i64::from_be_bytes(first))
}
