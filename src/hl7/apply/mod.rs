//! What a message does to the record.
//!
//! [`work`] is one attempt: what the mapping makes is looked up ([`identity`], [`lookup`]), laid
//! over what is there ([`snapshot`]), changed as the event wants it ([`adt`], [`visit`],
//! [`merge`], …), and written in one transaction with the message's record. Whoever loses a race
//! starts again.

mod adt;
mod content;
mod identity;
mod lookup;
mod master;
mod merge;
mod orders;
mod queries;
mod results;
mod siu;
mod snapshot;
mod srm;
mod time;
mod undo;
mod visit;
mod work;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use mllp::{
    Message, Note,
    map::{Mapped, Mapper, Overlay, Site},
};
use resources::model::ResourceType;

use super::{ack::Problem, channel::Channel, header::Header};
use crate::engine::{Engine, Error, ErrorKind, MessageChange, MessageId, VersionRef};
use identity::Cache;
use work::Work;

/// Types of messages that are taken.
const TAKEN: &[&str] = &[
    "ADT", "BAR", "DFT", "MDM", "MFN", "OMG", "OML", "OMP", "ORM", "ORU", "OUL", "PPR", "QBP",
    "RAS", "RDE", "RDS", "RGV", "SIU", "SRM", "VXU",
];

/// Attempts after which a message that loses races waits for its next turn.
const ATTEMPTS: usize = 12;

/// Applies messages.
pub struct Applier {
    engine: Arc<Engine>,
    cache: Mutex<Cache>,
    /// By the text of the overlay.
    mappers: Mutex<HashMap<String, Mapper>>,
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

/// Why an attempt has done nothing.
#[derive(Debug)]
enum Lost {
    /// Somebody else was faster: what was looked up is no longer so.
    Again(String),
    /// The time of a booking is somebody else's.
    Taken(Error),
    /// It failed.
    Failed(Failure),
}

/// Makes the change of the message's record that goes into the same commit as what it has done. It
/// may be asked several times, when the commit is tried again.
pub type Record<'r> = &'r (dyn Fn(&Applied) -> MessageChange + Send + Sync);

impl Applier {
    /// On an engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            cache: Mutex::default(),
            mappers: Mutex::default(),
        }
    }

    /// Does what the message says. The effect and the change of the message's record are one
    /// commit: neither is there without the other.
    ///
    /// # Errors
    /// The message has had no effect, and its record is as before.
    pub async fn apply(
        &self,
        message: &Message,
        context: &Context<'_>,
        record: Record<'_>,
    ) -> Result<Applied, Failure> {
        check(context.header)?;
        let mapped = self.map_all(message, context);
        self.apply_mapped(message, &mapped, context, record).await
    }

    /// As [`Applier::apply`], with what the message was mapped to.
    ///
    /// # Errors
    /// As [`Applier::apply`].
    pub async fn apply_mapped(
        &self,
        message: &Message,
        mapped: &Mapped,
        context: &Context<'_>,
        record: Record<'_>,
    ) -> Result<Applied, Failure> {
        let mut why = String::new();
        let mut over = None;
        for _ in 0..ATTEMPTS {
            let mut work = Work::new(self, message, context, mapped);
            work.over.clone_from(&over);
            let done = Box::pin(work.carry_out(record)).await;
            match done {
                Ok(applied) => return Ok(applied),
                Err(Lost::Again(text)) => why = text,
                Err(Lost::Taken(error)) if over.is_none() => {
                    let first = error.issues.first();
                    over = Some(first.map_or_else(String::new, |one| one.diagnostics.clone()));
                }
                Err(Lost::Taken(error)) => return Err(failure(&error)),
                Err(Lost::Failed(failure)) => return Err(failure),
            }
        }
        Err(Failure::Later(why))
    }

    /// What a message is mapped to. One about several patients, each with what follows, is mapped
    /// as a message for each.
    fn map_all(&self, message: &Message, context: &Context<'_>) -> Mapped {
        let patients = message.segments().filter(|segment| segment.name() == "PID");
        let starts: Vec<usize> = patients.map(|segment| segment.at()).collect();
        if context.header.code != "ADT" || starts.len() < 2 {
            return self.map(message, context);
        }
        let mut all = Mapped::default();
        let mut parts = vec![];
        for (number, start) in starts.iter().enumerate() {
            let end = starts
                .get(number + 1)
                .copied()
                .unwrap_or(message.segments().len());
            parts.push((*start, end));
        }
        let head = starts[0];
        for (start, end) in parts {
            let mut text = String::new();
            for segment in message.segments() {
                let at = segment.at();
                if at < head || (start..end).contains(&at) {
                    match at {
                        0 => text.push_str(&merge::decoded_head(message)),
                        _ => text.push_str(segment.raw()),
                    }
                    text.push('\r');
                }
            }
            let Ok(part) = Message::parse(text.into(), &mllp::message::Reading::default()) else {
                continue;
            };
            let mut mapped = self.map(&part, context);
            let from = all.resources.len();
            for made in &mut mapped.resources {
                if made.segment >= head {
                    made.segment += start - head;
                }
                content::referred(&mut made.json, &|reference| {
                    let at: usize = reference.strip_prefix('#')?.parse().ok()?;
                    Some(format!("#{}", at + from))
                });
            }
            all.resources.extend(mapped.resources);
            all.fields.extend(mapped.fields);
            all.notes.extend(mapped.notes);
        }
        all
    }

    /// What a message is mapped to, by the tables of the channel.
    fn map(&self, message: &Message, context: &Context<'_>) -> Mapped {
        let channel = context.channel;
        let site = Site {
            zone: channel.zone.clone(),
            authorities: channel.authorities.iter().cloned().collect(),
            default_system: None,
        };
        self.mapper(channel).map(message, &site)
    }

    fn mapper(&self, channel: &Channel) -> Mapper {
        let Some(text) = &channel.overlay else {
            return Mapper::new(None);
        };
        let mut mappers = self.mappers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mapper) = mappers.get(text) {
            return mapper.clone();
        }
        // The configuration was checked before anything came.
        let mapper = Mapper::new(Overlay::parse(text).ok().as_ref());
        mappers.insert(text.clone(), mapper.clone());
        mapper
    }

    fn cached(&self, kind: ResourceType, token: &str) -> Option<String> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(kind, token)
    }

    fn learn(&self, kind: ResourceType, token: &str, id: &str) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.put(kind, token, id);
    }
}

/// Refuses what is not taken here.
pub(super) fn check(header: &Header) -> Result<(), Failure> {
    let code = header.code.as_str();
    let event = header.event.as_str();
    if !TAKEN.contains(&code) {
        let text = format!("messages of type {code} are not taken here");
        return Err(Failure::Refused(vec![Problem::error(
            "MSH-9.1", "200", text,
        )]));
    }
    let is_known = match code {
        "ADT" => adt::event(event).is_some(),
        "SIU" => siu::event(event).is_some(),
        "SRM" => srm::is_request(event),
        _ => true,
    };
    match is_known {
        true => Ok(()),
        false => {
            let text = format!("{code} has no event {event} that is taken here");
            Err(Failure::Refused(vec![Problem::error(
                "MSH-9.2", "201", text,
            )]))
        }
    }
}

impl Work<'_> {
    async fn carry_out(&mut self, record: Record<'_>) -> Result<Applied, Lost> {
        match self.header.code.as_str() {
            "ADT" | "BAR" => self.admission().await?,
            "ORU" | "OUL" => self.results().await?,
            "MDM" => self.documents().await?,
            "VXU" => self.vaccinations().await?,
            "ORM" | "OML" | "OMG" | "OMP" | "RDE" | "RDS" | "RGV" | "RAS" => self.orders().await?,
            "MFN" => self.master_files().await?,
            "QBP" => self.query().await?,
            "SIU" => self.schedule().await?,
            "SRM" => return self.request(record).await,
            _ => {
                self.only_fill(&["Patient", "Encounter", "Account"]);
                self.leave_out_no_visits();
                self.look_up().await?;
                self.lay_all();
            }
        }
        self.commit(record).await
    }
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        let code = error.issues.first().map(|issue| issue.code);
        let why = error
            .issues
            .iter()
            .filter_map(|issue| issue.detail.as_ref());
        let is_taken = why
            .map(|detail| detail.code)
            .any(|code| matches!(code, "slot-taken" | "patient-overlap" | "limit-reached"));
        match error.kind {
            _ if is_taken => Self::Taken(error),
            ErrorKind::PreconditionFailed => Self::Again(error.to_string()),
            ErrorKind::Conflict if code != Some("duplicate") => Self::Again(error.to_string()),
            _ => Self::Failed(failure(&error)),
        }
    }
}

/// What an error of the engine means for a message.
fn failure(error: &Error) -> Failure {
    match error.kind {
        ErrorKind::Busy
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Internal
        | ErrorKind::Conflict => Failure::Later(error.to_string()),
        kind => {
            let code = match kind {
                ErrorKind::MultipleMatches => "205",
                _ => "207",
            };
            let problems = error.issues.iter().map(|issue| Problem {
                place: issue.expression.clone().unwrap_or_default(),
                code,
                text: issue.diagnostics.to_string(),
                is_error: true,
            });
            Failure::Content(problems.collect())
        }
    }
}
