//! What is agreed with a sender.

use std::time::Duration;

use jiff::tz::TimeZone;
use mllp::message::Reading;

/// When and how a sender is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckMode {
    /// As MSH-15 and MSH-16 of each message ask for it.
    #[default]
    Auto,
    /// One answer after processing, whatever MSH-15 and MSH-16 say.
    Original,
    /// An accept acknowledgement as soon as the message is stored; MSH-16 decides about another
    /// after processing.
    Enhanced,
}

/// What a sender gets while the store does not take its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenDown {
    /// No answer: the connection is closed.
    #[default]
    Close,
    /// AE or CE, with the advice to send again.
    Error,
}

/// One sender's settings.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name, for operators, and in `meta.source`.
    pub name: String,
    /// SHA-256 of the client certificates with which a message may come; none: any, or none.
    pub certificates: Vec<[u8; 32]>,
    /// MSH-3 that a message must have; none: any.
    pub applications: Vec<String>,
    /// MSH-4 that a message must have; none: any.
    pub facilities: Vec<String>,
    /// What it may send: `ADT` or `ADT^A01`; none: all that is known.
    pub types: Vec<String>,
    /// The zone of times that name none.
    pub zone: TimeZone,
    /// Character sets.
    pub reading: Reading,
    /// Systems of identifiers by the namespaces and OIDs of their authorities.
    pub authorities: Vec<(String, String)>,
    /// How it is answered.
    pub mode: AckMode,
    /// What it gets while the store is down.
    pub when_down: WhenDown,
    /// For how long a message that comes again is known again.
    pub duplicates: Duration,
    /// For how long a message that cannot be applied keeps those behind it waiting.
    pub block: Duration,
    /// Its MSH-13 is checked.
    pub sequence: bool,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            certificates: Vec::new(),
            applications: Vec::new(),
            facilities: Vec::new(),
            types: Vec::new(),
            zone: TimeZone::UTC,
            reading: Reading::default(),
            authorities: Vec::new(),
            mode: AckMode::default(),
            when_down: WhenDown::default(),
            duplicates: Duration::from_secs(7 * 86_400),
            block: Duration::from_secs(30),
            sequence: false,
        }
    }
}
