//! What is agreed with a sender.

use std::time::Duration;

use jiff::tz::TimeZone;
use mllp::{
    ack::Problem,
    header::{Condition, Header},
    message::Reading,
};

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

/// How a message is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// AA, AE or AR after processing.
    Original,
    /// CA, CE or CR when it is stored, if `accept` wants that; AA, AE or AR as a message of its
    /// own after processing, if `application` does.
    Enhanced {
        /// MSH-15.
        accept: Condition,
        /// MSH-16.
        application: Condition,
    },
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
    /// MSH-11 that it may have.
    pub processing: Vec<String>,
    /// The zone of times that name none.
    pub zone: TimeZone,
    /// Character sets.
    pub reading: Reading,
    /// Systems of identifiers by the namespaces and OIDs of their authorities.
    pub authorities: Vec<(String, String)>,
    /// The text of the overlay: rows that add to, replace or remove those of the mapping.
    pub overlay: Option<String>,
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
            processing: vec!["P".to_owned()],
            zone: TimeZone::UTC,
            reading: Reading::default(),
            authorities: Vec::new(),
            overlay: None,
            mode: AckMode::default(),
            when_down: WhenDown::default(),
            duplicates: Duration::from_secs(7 * 86_400),
            block: Duration::from_secs(30),
            sequence: false,
        }
    }
}

impl Channel {
    /// Whether a message of this sender, that came with this certificate, is this channel's.
    pub fn is_for(&self, header: &Header, certificate: Option<&[u8; 32]>) -> bool {
        let named = |list: &[String], name: &str| {
            list.is_empty() || list.iter().any(|one| one.eq_ignore_ascii_case(name))
        };
        let pinned = self.certificates.is_empty()
            || certificate.is_some_and(|shown| self.certificates.contains(shown));
        pinned
            && named(&self.applications, &header.sending.application)
            && named(&self.facilities, &header.sending.facility)
    }

    /// Why a message of its sender is refused, whatever its content.
    pub fn problems(&self, header: &Header) -> Vec<Problem> {
        let mut problems = header.problems();
        if !header.processing.is_empty()
            && !self.processing.contains(&header.processing)
            && problems.iter().all(|problem| problem.place != "MSH-11")
        {
            let text = format!(
                "messages with the processing id `{}` are not taken on this channel",
                header.processing
            );
            problems.push(Problem::error("MSH-11", "202", text));
        }
        if header.code.is_empty() {
            return problems;
        }
        let kind = header.kind();
        let is_code = |one: &str| one.eq_ignore_ascii_case(&header.code);
        let (place, code) = match self.types.is_empty() {
            true => return problems,
            false => {
                let types = || self.types.iter().map(String::as_str);
                if types().any(is_code) || types().any(|one| one.eq_ignore_ascii_case(&kind)) {
                    return problems;
                }
                match types().filter_map(|one| one.split('^').next()).any(is_code) {
                    true => ("MSH-9.2", "201"),
                    false => ("MSH-9.1", "200"),
                }
            }
        };
        let text = format!("messages of type `{kind}` are not taken on this channel");
        problems.push(Problem::error(place, code, text));
        problems
    }

    /// How a message is answered. What is empty of MSH-15 and 16, if the other is not, is NE.
    pub fn answering(&self, header: &Header) -> Answering {
        let (accept, application) = (header.accept_ack, header.application_ack);
        match self.mode {
            AckMode::Original => Answering::Original,
            AckMode::Auto if accept.is_none() && application.is_none() => Answering::Original,
            AckMode::Auto => Answering::Enhanced {
                accept: accept.unwrap_or(Condition::Never),
                application: application.unwrap_or(Condition::Never),
            },
            AckMode::Enhanced => Answering::Enhanced {
                accept: accept.unwrap_or(Condition::Always),
                application: application.unwrap_or(Condition::Never),
            },
        }
    }
}
