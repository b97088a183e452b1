//! Appointments and Slots as values.

use resources::{
    Doc, Value,
    outcome::{Issue, Severity},
    primitive::DateRange,
};

use super::{
    bookable::Coding,
    element::{self, Ends, code, codings, concepts, each, extensions, kind_of, text},
    opening::typed,
    span::Span,
    status::{SlotStatus, Status},
    waitlist::{ROUND, WAITLIST},
};

/// Our extension of an Appointment that is pending: the instant from which on it holds nothing.
pub const HOLD_EXPIRES: &str = "urn:rotunda:StructureDefinition:hold-expires";

/// Our extension of an Appointment that is booked over others: a boolean.
pub const OVERBOOKED: &str = "urn:rotunda:StructureDefinition:overbooked";

/// What of an Appointment bears on time.
#[derive(Debug, Clone, PartialEq)]
pub struct Appointment {
    /// Its logical id, if it has one yet.
    pub id: Option<String>,
    /// Its status.
    pub status: Status,
    /// From start to end. `None` if it has neither, or only one of both.
    pub span: Option<Span>,
    /// `minutesDuration`.
    pub minutes: Option<u32>,
    /// Who and what takes part.
    pub participants: Vec<Participant>,
    /// `Slot/1`: what it fills.
    pub slots: Vec<String>,
    /// `serviceCategory`
    pub service_categories: Vec<Coding>,
    /// `serviceType`
    pub service_types: Vec<Coding>,
    /// `specialty`
    pub specialties: Vec<Coding>,
    /// `appointmentType`
    pub appointment_types: Vec<Coding>,
    /// `requestedPeriod`; an end that is not said is far away, a date is one of UTC.
    pub requested: Vec<Span>,
    /// `ServiceRequest/1`: what it is done for.
    pub based_on: Vec<String>,
    /// When the hold is over, in seconds since 1970.
    pub hold_expires: Option<i64>,
    /// Somebody decided to book it over others.
    pub is_overbooked: bool,
    /// `priority`
    pub priority: Option<u32>,
    /// `created`, in seconds since 1970.
    pub created: Option<i64>,
    /// It holds a time that is offered to those who wait: the name of that time.
    pub offered: Option<String>,
}

/// The system of `appointmentType`: HL7 v2 table 0276.
const TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0276";

impl Appointment {
    /// Somebody came without having booked.
    pub fn is_walk_in(&self) -> bool {
        let is_type = |coding: &Coding| coding.system.is_empty() || coding.system == TYPES;
        let mut types = self.appointment_types.iter();
        types.any(|coding| coding.code == "WALKIN" && is_type(coding))
    }
}

/// One participant of an Appointment.
#[derive(Debug, Clone, PartialEq)]
pub struct Participant {
    /// `Practitioner/1`, or another server's URL. `None` for a logical or contained one, or if
    /// only a type is said.
    pub reference: Option<String>,
    /// Its type: `Practitioner`; of a logical one as `actor.type` says.
    pub kind: Option<String>,
    /// `system|value` of a logical reference.
    pub identifier: Option<String>,
    /// `actor.display`
    pub display: Option<String>,
    /// Whether it agreed.
    pub status: Acceptance,
    /// Whether it must be there.
    pub required: Presence,
    /// While it takes part, if not all the time.
    pub period: Option<Span>,
    /// What as: `PPRF`, `ATND`.
    pub types: Vec<Coding>,
}

impl Participant {
    /// The id of its reference.
    pub fn id(&self) -> Option<&str> {
        Some(self.reference.as_deref()?.rsplit_once('/')?.1)
    }

    /// True if its time is needed: it is there, and it did not decline.
    pub fn takes_part(&self) -> bool {
        self.status != Acceptance::Declined && self.required != Presence::Informed
    }

    /// True if it is a patient.
    pub fn is_patient(&self) -> bool {
        self.kind.as_deref() == Some("Patient")
    }
}

/// `participant.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acceptance {
    /// It agreed.
    Accepted,
    /// It did not.
    Declined,
    /// It may.
    Tentative,
    /// It has not answered.
    NeedsAction,
}

impl Acceptance {
    /// The status of a code.
    pub fn parse(code: &str) -> Option<Self> {
        Some(match code {
            "accepted" => Self::Accepted,
            "declined" => Self::Declined,
            "tentative" => Self::Tentative,
            "needs-action" => Self::NeedsAction,
            _ => return None,
        })
    }

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Tentative => "tentative",
            Self::NeedsAction => "needs-action",
        }
    }
}

/// `participant.required`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// It must be there; so it is if nothing is said.
    Required,
    /// It may be there.
    Optional,
    /// It is only told.
    Informed,
}

/// The span of two instants; a second that began counts.
fn span_of(value: Value<'_>) -> Option<Span> {
    let range = |name| DateRange::parse(code(value, name)?);
    let start = range("start")?.lo.div_euclid(1000);
    Some(Span::new(start, ceil(range("end")?.lo)))
}

/// Milliseconds as seconds, rounded up.
fn ceil(ms: i64) -> i64 {
    (ms + 999).div_euclid(1000)
}

fn period(value: Value<'_>) -> Span {
    Ends::of(value).span(&jiff::tz::TimeZone::UTC)
}

impl Appointment {
    /// Reads an Appointment; `base` is the server's own base URL. `None` if it is none, or its
    /// status is unknown.
    pub fn read(doc: &Doc, base: &str) -> Option<Self> {
        let root = doc.root();
        if doc.resource_type() != Some("Appointment") {
            return None;
        }
        let references = |name: &str| {
            each(root, name)
                .filter_map(|it| element::reference(it, base))
                .collect::<Vec<_>>()
        };
        let list = |name: &str| concepts(root, name).collect::<Vec<_>>();
        let minutes = root.get("minutesDuration").and_then(|it| it.number());
        let expires = extensions(root).find(|it| it.url == HOLD_EXPIRES);
        let expires = expires.and_then(|it| it.typed("valueInstant")?.plain_str());
        let overbooked = extensions(root).find(|it| it.url == OVERBOOKED);
        let priority = root.get("priority").and_then(|it| it.number());
        let created = code(root, "created").and_then(DateRange::parse);
        let offered = each(root, "identifier").find(|it| code(*it, "system") == Some(ROUND));
        Some(Self {
            priority: priority.and_then(|it| it.parse().ok()),
            created: created.map(|at| at.lo.div_euclid(1000)),
            offered: offered.and_then(|it| Some(text(it, "value")?.into_owned())),
            id: text(root, "id").map(|id| id.into_owned()),
            status: Status::parse(code(root, "status")?)?,
            span: span_of(root),
            minutes: minutes.and_then(|it| it.parse().ok()),
            participants: each(root, "participant")
                .map(|it| participant(it, base))
                .collect(),
            slots: references("slot"),
            service_categories: list("serviceCategory"),
            service_types: list("serviceType"),
            specialties: list("specialty"),
            appointment_types: list("appointmentType"),
            requested: each(root, "requestedPeriod").map(period).collect(),
            based_on: references("basedOn"),
            // Until the end of its last second: what was confirmed in time must succeed.
            hold_expires: expires.and_then(|at| Some(ceil(DateRange::parse(at)?.lo))),
            is_overbooked: overbooked.and_then(|it| it.typed("valueBoolean")?.as_bool())
                == Some(true),
        })
    }

    /// The patients, by reference.
    pub fn patients(&self) -> impl Iterator<Item = &str> {
        let patients = self.participants.iter().filter(|it| it.is_patient());
        patients.filter_map(|it| it.reference.as_deref())
    }
}

fn participant(value: Value<'_>, base: &str) -> Participant {
    let actor = value.get("actor");
    let reference = actor.and_then(|it| element::reference(it, base));
    let said = actor.and_then(|it| text(it, "type"));
    let kind = reference.as_deref().and_then(kind_of).map(str::to_owned);
    let identifier = actor.and_then(|it| it.get("identifier")).and_then(|it| {
        let system = text(it, "system").unwrap_or_default();
        Some(format!("{system}|{}", text(it, "value")?))
    });
    Participant {
        kind: kind.or_else(|| said.map(|it| it.into_owned())),
        reference,
        identifier,
        display: actor
            .and_then(|it| text(it, "display"))
            .map(|it| it.into_owned()),
        status: code(value, "status")
            .and_then(Acceptance::parse)
            .unwrap_or(Acceptance::NeedsAction),
        required: match code(value, "required") {
            Some("optional") => Presence::Optional,
            Some("information-only") => Presence::Informed,
            _ => Presence::Required,
        },
        period: value.get("period").map(period),
        types: each(value, "type").flat_map(codings).collect(),
    }
}

/// What of a stored Slot bears on time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its logical id, if it has one yet.
    pub id: Option<String>,
    /// `Schedule/1`: whose time it is.
    pub schedule: Option<String>,
    /// From start to end.
    pub span: Span,
    /// Its status.
    pub status: SlotStatus,
    /// Somebody decided to book over it.
    pub is_overbooked: bool,
    /// `serviceCategory`
    pub service_categories: Vec<Coding>,
    /// `serviceType`
    pub service_types: Vec<Coding>,
    /// `specialty`
    pub specialties: Vec<Coding>,
    /// `appointmentType`
    pub appointment_types: Vec<Coding>,
}

impl Slot {
    /// Reads a Slot; `None` if it is none, or has no time or no status that is known.
    pub fn read(doc: &Doc, base: &str) -> Option<Self> {
        let root = doc.root();
        if doc.resource_type() != Some("Slot") {
            return None;
        }
        let list = |name: &str| concepts(root, name).collect::<Vec<_>>();
        Some(Self {
            id: text(root, "id").map(|id| id.into_owned()),
            schedule: root
                .get("schedule")
                .and_then(|it| element::reference(it, base)),
            span: span_of(root)?,
            status: SlotStatus::parse(code(root, "status")?)?,
            is_overbooked: root.get("overbooked").and_then(|it| it.as_bool()) == Some(true),
            service_categories: list("serviceCategory"),
            service_types: list("serviceType"),
            specialties: list("specialty"),
            appointment_types: list("appointmentType"),
        })
    }
}

/// The invariants of Appointment (app-1 to app-4), and what else of its times cannot be.
pub(super) fn check(root: Value<'_>, issues: &mut Vec<Issue>) {
    let has = |name: &str| root.get(name).is_some();
    let status = code(root, "status").and_then(Status::parse);
    for (i, participant) in each(root, "participant").enumerate() {
        let path = format!("Appointment.participant[{i}]");
        if participant.get("type").is_none() && participant.get("actor").is_none() {
            let sentence = "A participant needs a type or an actor (app-1).";
            issues.push(Issue::error("invariant", sentence).at(&path));
        }
        backwards(participant.get("period"), &format!("{path}.period"), issues);
    }
    for (i, period) in each(root, "requestedPeriod").enumerate() {
        let path = format!("Appointment.requestedPeriod[{i}]");
        backwards(Some(period), &path, issues);
    }
    match (has("start"), has("end")) {
        (true, false) => {
            let sentence = "With a start there must be an end (app-2).";
            issues.push(Issue::error("invariant", sentence).at("Appointment.end"));
        }
        (false, true) => {
            let sentence = "With an end there must be a start (app-2).";
            issues.push(Issue::error("invariant", sentence).at("Appointment.start"));
        }
        (false, false) => {
            if let Some(status) = status.filter(|status| !status.may_lack_time()) {
                let sentence = format!(
                    "Only with status proposed, cancelled or waitlist there may be neither start \
                     nor end (app-3); this is {status}."
                );
                issues.push(Issue::error("invariant", sentence).at("Appointment.start"));
            }
        }
        (true, true) => times(root, "Appointment", issues),
    }
    reason(root, status, issues);
    for extension in extensions(root) {
        let path = format!("Appointment.extension[{}]", extension.at);
        if extension.url == HOLD_EXPIRES {
            typed(&extension, "valueInstant", &path, issues);
        } else if extension.url == WAITLIST {
            waiting(&extension, &path, issues);
        }
    }
}

/// What of our extension of who waits has to be of a type; the rest are parameters of `$find`.
fn waiting(extension: &element::Extension<'_>, path: &str, issues: &mut Vec<Issue>) {
    for part in extensions(extension.value) {
        let path = format!("{path}.extension[{}]", part.at);
        match part.url.as_ref() {
            "deadline" => {
                typed(&part, "valueDateTime", &path, issues);
            }
            "replaces" => {
                typed(&part, "valueReference", &path, issues);
            }
            "flexibility" | "notice" => {
                let value = typed(&part, "valueDuration", &path, issues);
                if let Some(Err((_, code, sentence))) = value.map(element::duration) {
                    let at = format!("{path}.valueDuration");
                    issues.push(Issue::error(code, sentence).at(at));
                }
            }
            _ => {}
        }
    }
}

/// app-4, which says `no-show` where the code is `noshow`: a mistake of the standard's.
fn reason(root: Value<'_>, status: Option<Status>, issues: &mut Vec<Issue>) {
    let Some(status) = status.filter(|_| root.get("cancelationReason").is_some()) else {
        return;
    };
    let issue = match status {
        Status::Cancelled => return,
        Status::NoShow => Issue {
            severity: Severity::Information,
            ..Issue::error(
                "informational",
                "R4's app-4 misspells noshow, so other servers may refuse a reason with this \
                 status; here it is kept.",
            )
        },
        other => Issue::error(
            "invariant",
            format!(
                "There may be a reason only with status cancelled or noshow (app-4); this is {other}."
            ),
        ),
    };
    issues.push(issue.at("Appointment.cancelationReason"));
}

/// The times of an Appointment, Slot or AppointmentResponse.
fn times(root: Value<'_>, kind: &str, issues: &mut Vec<Issue>) {
    let Some(span) = span_of(root) else { return };
    let path = format!("{kind}.end");
    if span.seconds() < 0 {
        let sentence = "The end comes before the start.";
        return issues.push(Issue::error("value", sentence).at(path));
    }
    if span.is_empty() {
        let sentence = "The end is the start, so it takes no time.";
        issues.push(Issue::warning("value", sentence).at(path));
    }
    let minutes = root.get("minutesDuration").and_then(|it| it.number());
    let minutes = minutes.and_then(|it| it.parse::<i64>().ok());
    if minutes.is_some_and(|minutes| minutes.saturating_mul(60) > span.seconds()) {
        let sentence = "minutesDuration is longer than the time from start to end; what counts \
             are start and end.";
        let path = format!("{kind}.minutesDuration");
        issues.push(Issue::warning("value", sentence).at(path));
    }
}

fn backwards(period: Option<Value<'_>>, path: &str, issues: &mut Vec<Issue>) {
    if period.is_some_and(|period| Ends::of(period).is_backwards()) {
        let sentence = "The end comes before the start (per-1).";
        issues.push(Issue::error("invariant", sentence).at(path));
    }
}

/// What cannot be with a Slot.
pub(super) fn check_slot(root: Value<'_>, issues: &mut Vec<Issue>) {
    times(root, "Slot", issues);
}

/// The invariant of AppointmentResponse (ar-1), and its times.
pub(super) fn check_response(root: Value<'_>, issues: &mut Vec<Issue>) {
    if root.get("participantType").is_none() && root.get("actor").is_none() {
        let sentence = "A response needs a participantType or an actor (ar-1).";
        issues.push(Issue::error("invariant", sentence).at("AppointmentResponse"));
    }
    times(root, "AppointmentResponse", issues);
}

#[cfg(test)]
mod tests;
