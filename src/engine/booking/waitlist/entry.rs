//! Somebody who waits: the need that an Appointment of status waitlist says, in elements that R4
//! has, and in our extension where it has none.

use resources::{Doc, Value};

use super::super::{
    Engine, Error,
    asked::{Asked, Named},
    members::quoted,
    need::Wanted,
    number,
};
use crate::{
    engine::draft::parse,
    scheduling::{
        appointment::Appointment,
        span::{FAR_FUTURE, FAR_PAST, Span},
        status::Status,
        waitlist::Waiting,
    },
};

/// Elements that say codes, each with the parameter of `$find` that it is.
pub(super) const CODED: [(&str, &str); 4] = [
    ("serviceType", "visit-type"),
    ("specialty", "specialty"),
    ("serviceCategory", "service-category"),
    ("appointmentType", "appointment-type"),
];
/// Types of participants, each with the parameter of `$find` that it is.
pub(super) const WITH: [(&str, &str); 5] = [
    ("Practitioner", "practitioner"),
    ("PractitionerRole", "practitioner"),
    ("Device", "practitioner"),
    ("Location", "location-reference"),
    ("HealthcareService", "service-type-reference"),
];

/// Somebody who waits.
pub struct Entry {
    /// The id of the Appointment.
    pub id: String,
    /// What is needed, and for whom.
    pub wanted: Wanted,
    /// When they would come; one at least.
    periods: Vec<Span>,
    /// What the extension says.
    pub waiting: Waiting,
    /// `priority`
    pub priority: u32,
    /// When they began to wait, in seconds since 1970.
    pub since: i64,
}

impl Entry {
    /// The times that may be offered, from the present on.
    pub fn windows(&self, now: i64) -> impl Iterator<Item = Span> {
        let first = now + self.waiting.notice;
        let flexible = self.waiting.flexibility;
        let windows = self.periods.iter().map(move |period| {
            let wide = period.padded(flexible, flexible);
            Span::new(wide.start.max(first), wide.end)
        });
        windows.filter(|window| !window.is_empty())
    }

    /// True if a time is not what was asked for, but for flexibility.
    pub fn is_beside(&self, time: Span) -> bool {
        !self.periods.iter().any(|period| period.overlaps(time))
    }

    /// True while something may be offered.
    pub fn is_waiting(&self, now: i64) -> bool {
        self.waiting.deadline.is_none_or(|deadline| now < deadline)
    }
}

impl Engine {
    /// Who waits with this Appointment, from `since` on; `None` if nobody does.
    ///
    /// # Errors
    /// What is needed makes no sense.
    pub(super) fn entry(&self, id: &str, doc: &Doc, since: i64) -> Result<Option<Entry>, Error> {
        let base_url = self.settings.base_url.as_str();
        let zone = &self.settings.time_zone;
        let Some(appointment) = Appointment::read(doc, base_url) else {
            return Ok(None);
        };
        if appointment.status != Status::Waitlist {
            return Ok(None);
        }
        let waiting = Waiting::read(doc, base_url, zone);
        let parameters = parameters(doc, &appointment, &waiting);
        let asked = Asked::read(&[], Some(&parse(parameters)?), base_url)?;
        let now = self.clock.now() / 1_000;
        let mut wanted = Wanted::read(&asked, now, zone, false)?;
        let replaced = waiting.replaces.iter();
        wanted.need.ignore = replaced.map(|one| number(one)).collect();
        let mut periods = appointment.requested.clone();
        if periods.is_empty() {
            periods.push(Span::new(FAR_PAST, FAR_FUTURE));
        }
        Ok(Some(Entry {
            id: id.to_owned(),
            wanted,
            periods,
            waiting,
            priority: appointment.priority.unwrap_or(0),
            since: appointment.created.unwrap_or(since),
        }))
    }
}

/// What is needed, as the parameters of `$find`.
fn parameters(doc: &Doc, appointment: &Appointment, waiting: &Waiting) -> String {
    let root = doc.root();
    let mut parts = Vec::new();
    let mut add = |name: &str, member: String| {
        parts.push(format!(r#"{{"name":{},{member}}}"#, quoted(name)));
    };
    for (element, name) in CODED {
        for concept in root.get(element).iter().flat_map(Value::each) {
            for coding in concept.get("coding").iter().flat_map(Value::items) {
                if coding.get("code").is_some() {
                    add(name, format!("\"valueCoding\":{}", coding.raw()));
                }
            }
        }
    }
    let participants = root.get("participant");
    let participants = participants.iter().flat_map(Value::items);
    for (one, read) in participants.zip(&appointment.participants) {
        let Some(actor) = one.get("actor").filter(|_| read.takes_part()) else {
            continue;
        };
        let kind = read.kind.as_deref().unwrap_or_default();
        let known = WITH.iter().find(|(with, _)| *with == kind);
        let name = match known {
            Some((_, name)) => name,
            None if kind == "Patient" && read.reference.is_some() => "patient-reference",
            None => continue,
        };
        add(name, format!("\"valueReference\":{}", actor.raw()));
    }
    if let Some(minutes) = appointment.minutes {
        add("duration", format!("\"valueInteger\":{minutes}"));
    }
    for (name, member) in &waiting.parameters {
        add(name, member.clone());
    }
    format!(
        r#"{{"resourceType":"Parameters","parameter":[{}]}}"#,
        parts.join(",")
    )
}

/// The code of a search as a CodeableConcept, if it can be one.
pub(super) fn concept(token: &str) -> Option<String> {
    match token.split_once('|') {
        Some(("", _) | (_, "")) => None,
        Some((system, code)) => Some(format!(
            r#"{{"coding":[{{"system":{},"code":{}}}]}}"#,
            quoted(system),
            quoted(code)
        )),
        None => Some(format!(r#"{{"coding":[{{"code":{}}}]}}"#, quoted(token))),
    }
}

/// Whom a parameter names, as a Reference.
pub(super) fn reference(named: &Named, kind: &str) -> String {
    match named {
        Named::Local(reference) => format!(r#"{{"reference":{}}}"#, quoted(reference)),
        Named::Identifier(system, value) => {
            let system = match system.is_empty() {
                true => String::new(),
                false => format!(r#""system":{},"#, quoted(system)),
            };
            format!(
                r#"{{"type":"{kind}","identifier":{{{system}"value":{}}}}}"#,
                quoted(value)
            )
        }
    }
}

/// A Duration of a call, as JSON: `valueDuration`, or a text such as `2d` or `90min`.
pub(super) fn duration(asked: &Asked, name: &str) -> Result<Option<String>, Error> {
    if let Some(doc) = asked.complex(name)?.into_iter().next() {
        return Ok(Some(doc.root().raw().to_owned()));
    }
    let Some(text) = asked.text(name) else {
        return Ok(None);
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (value, unit) = text.split_at(digits);
    let is_known = ["s", "min", "h", "d", "wk"].contains(&unit);
    let value: Option<u32> = value.parse().ok().filter(|_| is_known);
    let value = value.ok_or_else(|| {
        Error::invalid(format!(
            "{name} must be a Duration, or a number with s, min, h, d or wk, as in 2d"
        ))
    })?;
    Ok(Some(format!(
        r#"{{"value":{value},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}"#
    )))
}
