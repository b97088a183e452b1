//! Proposed Appointments: what `$find` answers, and what a proposal says when it comes back.

use std::sync::Arc;

use aws_lc_rs::hmac;
use resources::{doc::write_json_string, model::ResourceType};

use super::{Engine, Error, ErrorKind, board::State, members::quoted, rule::instant};
use crate::{
    access::Access,
    scheduling::{
        appointment::HOLD_EXPIRES,
        bookable::{Actor, Bookable, Coding, Visit},
        calendar::SlotState,
        proposal::{Part, Token, Unsealed},
        slots::{ComputedSlot, ScheduleName, SlotId},
        span::Span,
    },
    store::LogFilter,
};

/// Seconds for which a proposal can be held or booked.
const PROPOSAL_TTL: i64 = 3_600;

/// What shall be booked: some Schedules at a time, for somebody.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// When.
    pub span: Span,
    /// What, the leader first.
    pub parts: Vec<ProposedPart>,
    /// For whom: `Patient/1`.
    pub patients: Vec<String>,
}

/// One Schedule of a proposal.
#[derive(Debug, Clone)]
pub struct ProposedPart {
    /// The Schedule.
    pub bookable: Arc<Bookable>,
    /// By which of its rules; none: it is an opening.
    pub visit: Option<usize>,
    /// When.
    pub span: Span,
}

impl ProposedPart {
    /// The rules.
    pub fn visit(&self) -> Option<&Visit> {
        self.bookable.visits.get(self.visit?)
    }
}

/// How far an Appointment that is written from a proposal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is only an offer.
    Offered,
    /// It is held until then, in seconds since 1970.
    Held(i64),
    /// It waits for somebody's approval.
    Requested,
    /// It is booked.
    Booked,
}

impl Stage {
    fn status(self) -> &'static str {
        match self {
            Self::Offered => "proposed",
            Self::Held(_) | Self::Requested => "pending",
            Self::Booked => "booked",
        }
    }

    fn participant(self) -> &'static str {
        match self {
            Self::Offered | Self::Requested => "needs-action",
            Self::Held(_) => "tentative",
            Self::Booked => "accepted",
        }
    }
}

impl Proposed {
    /// The Appointment, with this id if there is one.
    pub fn text(&self, id: Option<&str>, stage: Stage, comment: Option<&str>) -> String {
        let mut out = String::from(r#"{"resourceType":"Appointment""#);
        if let Some(id) = id {
            out.push_str(&format!(r#","id":"{id}""#));
        }
        if let Stage::Held(until) = stage {
            let until = instant(until, &jiff::tz::TimeZone::UTC);
            out.push_str(&format!(
                r#","extension":[{{"url":"{HOLD_EXPIRES}","valueInstant":"{until}"}}]"#
            ));
        }
        out.push_str(&format!(r#","status":"{}""#, stage.status()));
        let leader = &self.parts[0];
        if let Some(visit) = leader.visit() {
            concepts(&mut out, "serviceType", &visit.service_types);
        }
        concepts(&mut out, "specialty", &leader.bookable.facets.specialties);
        if let Some(coding) = leader
            .visit()
            .and_then(|visit| visit.appointment_types.first())
        {
            out.push_str(",\"appointmentType\":");
            concept(&mut out, coding);
        }
        let zone = &leader.bookable.zone;
        let (start, end) = (instant(self.span.start, zone), instant(self.span.end, zone));
        out.push_str(&format!(
            r#","start":"{start}","end":"{end}","minutesDuration":{}"#,
            self.span.seconds() / 60
        ));
        self.slots(&mut out);
        if let Some(comment) = comment {
            out.push_str(",\"comment\":");
            out.push_str(&quoted(comment));
        }
        self.participants(&mut out, stage);
        out.push_str(&format!(
            r#","requestedPeriod":[{{"start":"{start}","end":"{end}"}}]}}"#
        ));
        out
    }

    fn slots(&self, out: &mut String) {
        let slots = self.parts.iter().filter_map(|part| {
            part.visit?;
            let slot = ComputedSlot {
                start: part.span.start,
                end: part.span.end,
                state: SlotState::Free,
            };
            let slot = SlotId::text(&part.bookable, &slot);
            Some(format!(r#"{{"reference":"Slot/{slot}"}}"#))
        });
        let slots: Vec<String> = slots.collect();
        if !slots.is_empty() {
            out.push_str(&format!(r#","slot":[{}]"#, slots.join(",")));
        }
    }

    fn participants(&self, out: &mut String, stage: Stage) {
        out.push_str(",\"participant\":[");
        for (at, patient) in self.patients.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            participant(out, patient, None, stage, None);
        }
        let mut written: Vec<&Actor> = Vec::new();
        for part in &self.parts {
            let period = (part.span != self.span).then_some((part.span, &part.bookable.zone));
            for actor in &part.bookable.actors {
                if written.iter().any(|other| other.number == actor.number) {
                    continue;
                }
                if !written.is_empty() || !self.patients.is_empty() {
                    out.push(',');
                }
                participant(
                    out,
                    &actor.reference,
                    actor.display.as_deref(),
                    stage,
                    period,
                );
                written.push(actor);
            }
        }
        out.push(']');
    }

    /// Its token.
    pub fn token(&self, patient: Option<i64>, now: i64) -> Token {
        let part = |part: &ProposedPart| Part {
            schedule: crate::scheduling::proposal::number(part.bookable.rid),
            visit: part.visit,
            offset: part.span.start - self.span.start,
            duration: (part.span.seconds() != self.span.seconds()).then(|| part.span.seconds()),
        };
        Token {
            parts: self.parts.iter().map(part).collect(),
            start: self.span.start,
            duration: self.span.seconds(),
            patient,
            issued: now,
        }
    }
}

fn participant(
    out: &mut String,
    reference: &str,
    display: Option<&str>,
    stage: Stage,
    period: Option<(Span, &jiff::tz::TimeZone)>,
) {
    out.push_str(r#"{"actor":{"reference":"#);
    write_json_string(out, reference);
    if let Some(display) = display {
        out.push_str(",\"display\":");
        write_json_string(out, display);
    }
    out.push_str(r#"},"required":"required","status":""#);
    out.push_str(stage.participant());
    out.push('"');
    if let Some((span, zone)) = period {
        out.push_str(&format!(
            r#","period":{{"start":"{}","end":"{}"}}"#,
            instant(span.start, zone),
            instant(span.end, zone)
        ));
    }
    out.push('}');
}

pub(super) fn concepts(out: &mut String, name: &str, codings: &[Coding]) {
    for (at, coding) in codings.iter().enumerate() {
        out.push_str(&match at {
            0 => format!(",\"{name}\":["),
            _ => ",".to_owned(),
        });
        concept(out, coding);
    }
    if !codings.is_empty() {
        out.push(']');
    }
}

fn concept(out: &mut String, coding: &Coding) {
    codes(out, std::slice::from_ref(coding));
}

/// One concept with all of these codes.
pub(super) fn codes(out: &mut String, codings: &[Coding]) {
    out.push_str(r#"{"coding":["#);
    for (at, coding) in codings.iter().enumerate() {
        out.push_str(if at > 0 { ",{" } else { "{" });
        if !coding.system.is_empty() {
            out.push_str("\"system\":");
            write_json_string(out, &coding.system);
            out.push(',');
        }
        out.push_str("\"code\":");
        write_json_string(out, &coding.code);
        if let Some(display) = &coding.display {
            out.push_str(",\"display\":");
            write_json_string(out, display);
        }
        out.push('}');
    }
    out.push_str("]}");
}

impl Engine {
    /// The signature of proposals, with the key of page tokens: all nodes have it.
    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(self.tokens.key(), bytes);
        let mut out = [0; 32];
        out.copy_from_slice(&tag.as_ref()[..32]);
        out
    }

    /// What a proposal's id says; `None` if it is no such id.
    ///
    /// # Errors
    /// Its time is over, or what it was about is no longer there. That the caller may not see the
    /// patient and that there is none is the same.
    pub(super) async fn proposed(
        &self,
        id: &str,
        access: &Access,
    ) -> Result<Option<Proposed>, Error> {
        let now = self.clock.now() / 1_000;
        let sign = |bytes: &[u8]| self.sign(bytes);
        let token = match Token::open(id, &sign, now, PROPOSAL_TTL) {
            Ok(token) => token,
            Err(Unsealed::NotOurs) => return Ok(None),
            Err(Unsealed::Expired) => return Err(outdated("the proposal is too old")),
        };
        self.update_board().await?;
        let mut patients = Vec::new();
        if let Some(number) = token.patient {
            let rid = ResourceType::PATIENT.number() << 44 | number;
            let filter = LogFilter {
                kind: Some(ResourceType::PATIENT),
                rid: Some(rid),
                ..LogFilter::default()
            };
            let all = Access::system("the proposal was made for this patient");
            let newest = self.store.log(&filter, 1, &all).await?.pop();
            let newest = newest.filter(|entry| !entry.stored.head.deleted);
            let id = newest.map(|entry| entry.stored.head.id);
            let shown = access.to_any(crate::engine::permission::shown());
            let seen = match &id {
                Some(id) => self.seen(ResourceType::PATIENT, id, &shown).await?,
                None => None,
            };
            let seen = seen.filter(|stored| !stored.head.deleted).ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    "not-found",
                    "there is no patient as the proposal has it; find a time again",
                )
            })?;
            patients.push(format!("Patient/{}", seen.head.id));
        }
        let state = self.board.read();
        let parts = token.parts.iter().map(|part| {
            let bookable = state.bookable_with(part.schedule)?;
            let start = token.start + part.offset;
            let length = part.duration.unwrap_or(token.duration);
            let is_there = part.visit.is_none_or(|at| at < bookable.visits.len());
            is_there.then(|| ProposedPart {
                bookable: Arc::clone(bookable),
                visit: part.visit,
                span: Span::new(start, start + length),
            })
        });
        let parts: Option<Vec<ProposedPart>> = parts.collect();
        let parts = parts.ok_or_else(|| outdated("a Schedule of the proposal is gone"))?;
        Ok(Some(Proposed {
            span: Span::new(token.start, token.start + token.duration),
            parts,
            patients,
        }))
    }
}

impl State {
    /// The Schedule with this number, its type left out.
    fn bookable_with(&self, number: i64) -> Option<&Arc<Bookable>> {
        let rid = ResourceType::SCHEDULE.number() << 44 | number;
        let list = self.bookables();
        let at = list
            .binary_search_by_key(&rid, |bookable| bookable.rid)
            .ok()?;
        list.get(at)
    }

    /// The Schedule of a computed Slot.
    pub fn bookable_of(&self, slot: &SlotId) -> Option<&Arc<Bookable>> {
        match &slot.schedule {
            ScheduleName::Id(id) => self.bookable(id),
            ScheduleName::Rid(rid) => {
                let list = self.bookables();
                let at = list
                    .binary_search_by_key(rid, |bookable| bookable.rid)
                    .ok()?;
                list.get(at)
            }
        }
    }
}

fn outdated(text: &str) -> Error {
    let issue = resources::outcome::Issue::error("expired", format!("{text}; find a time again"));
    Error::with(ErrorKind::Conflict, vec![issue.because("proposal-expired")])
}
