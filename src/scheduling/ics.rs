//! Appointments as calendar files (RFC 5545, RFC 5546 for invitations).
//!
//! All times are in UTC: what a VTIMEZONE would say about a zone can be wrong the day that its
//! rules change, an instant cannot. What an event is about is not told unless somebody asks for
//! it: calendars are shared, synchronised and shown on locked screens.

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    appointment::{Acceptance, Appointment, Participant, Presence},
    bookable::Coding,
    span::Span,
    status::Status,
};

/// The media type of what [`write`] gives.
pub const MEDIA_TYPE: &str = "text/calendar; charset=utf-8";

/// What a calendar file is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To be read or subscribed to: no method.
    Feed {
        /// What the calendar is called.
        name: String,
    },
    /// An invitation, or a change of one.
    Request {
        /// Who invites; RFC 5546 requires it, and attendees of each event.
        organizer: Person,
    },
    /// It does not take place.
    Cancel {
        /// Who invited.
        organizer: Person,
    },
}

/// Somebody with a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `mailto:…`, or another URI.
    pub address: String,
    /// The name to be shown.
    pub name: Option<String>,
}

/// Somebody who takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendee {
    /// Who.
    pub person: Person,
    /// Whether they agreed.
    pub acceptance: Acceptance,
    /// Whether they must be there.
    pub presence: Presence,
    /// An answer is asked for.
    pub is_asked: bool,
}

/// `STATUS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not yet sure.
    Tentative,
    /// It takes place, or did.
    Confirmed,
    /// It does not.
    Cancelled,
}

/// One VEVENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same in all versions: `a1@clinic.example`.
    pub uid: String,
    /// Greater with each version.
    pub sequence: u32,
    /// When this version was made, in seconds since 1970.
    pub stamp: i64,
    /// When it is.
    pub span: Span,
    /// Whether it takes place.
    pub state: State,
    /// What the calendar shows.
    pub summary: String,
    /// More about it.
    pub description: Option<String>,
    /// Where it is.
    pub location: Option<String>,
    /// Where to read or change it.
    pub url: Option<String>,
    /// Who takes part.
    pub attendees: Vec<Attendee>,
}

/// Which Appointment and which version of it an event is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'i> {
    /// The Appointment's id.
    pub id: &'i str,
    /// The server's host, which makes the id one of a kind.
    pub host: &'i str,
    /// `meta.versionId`
    pub version: u32,
    /// `meta.lastUpdated`, in seconds since 1970.
    pub updated: i64,
}

/// How much an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail<'d> {
    /// That there is an appointment, and when.
    #[default]
    Time,
    /// Also what it is and with whom, for the eyes of whoever takes part under this reference.
    All {
        /// `Patient/1`: whose calendar it is; they are not told their own name.
        reader: &'d str,
    },
}

impl Event {
    /// An Appointment as an event; `None` if it has no time.
    pub fn of(
        appointment: &Appointment,
        identity: Identity<'_>,
        detail: Detail<'_>,
    ) -> Option<Self> {
        let (summary, location) = match detail {
            Detail::Time => (GENERAL.to_owned(), None),
            Detail::All { reader } => (summary(appointment, reader), place(appointment)),
        };
        Some(Self {
            uid: format!("{}@{}", identity.id, identity.host),
            sequence: identity.version.saturating_sub(1),
            stamp: identity.updated,
            span: appointment.span?,
            state: match appointment.status {
                Status::Proposed | Status::Pending | Status::Waitlist => State::Tentative,
                Status::Cancelled | Status::EnteredInError => State::Cancelled,
                _ => State::Confirmed,
            },
            summary,
            description: None,
            location,
            url: None,
            attendees: Vec::new(),
        })
    }
}

const GENERAL: &str = "Appointment";

/// `ECG: Dr Weiß, Device 3`
fn summary(appointment: &Appointment, reader: &str) -> String {
    let name = |coding: &Coding| coding.display.clone();
    let what = appointment.service_types.iter().find_map(name);
    let what = what.or_else(|| appointment.specialties.iter().find_map(name));
    let is_shown = |it: &&Participant| {
        let is_place = it.kind.as_deref() == Some("Location");
        !is_place && it.reference.as_deref() != Some(reader)
    };
    let with: Vec<_> = appointment
        .participants
        .iter()
        .filter(is_shown)
        .filter_map(|it| it.display.as_deref())
        .collect();
    let mut summary = what.unwrap_or_else(|| GENERAL.to_owned());
    if !with.is_empty() {
        summary.push_str(": ");
        summary.push_str(&with.join(", "));
    }
    summary
}

fn place(appointment: &Appointment) -> Option<String> {
    let participants = appointment.participants.iter();
    let mut places = participants.filter(|it| it.kind.as_deref() == Some("Location"));
    places.find_map(|it| it.display.clone())
}

/// The text of a calendar: lines of at most 75 octets, each with CR and LF at the end.
pub fn write(purpose: &Purpose, events: &[Event]) -> String {
    let mut out = Lines::default();
    out.line("BEGIN:VCALENDAR");
    out.line("VERSION:2.0");
    out.line("PRODID:-//Rotunda//Scheduling//EN");
    out.line("CALSCALE:GREGORIAN");
    match purpose {
        Purpose::Feed { name } => {
            out.text("NAME", name);
            out.text("X-WR-CALNAME", name);
            out.line("REFRESH-INTERVAL;VALUE=DURATION:PT15M");
            out.line("X-PUBLISHED-TTL:PT15M");
        }
        Purpose::Request { .. } => out.line("METHOD:REQUEST"),
        Purpose::Cancel { .. } => out.line("METHOD:CANCEL"),
    }
    for event in events {
        out.event(event, purpose);
    }
    out.line("END:VCALENDAR");
    out.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn event(&mut self, event: &Event, purpose: &Purpose) {
        let state = match purpose {
            Purpose::Cancel { .. } => State::Cancelled,
            _ => event.state,
        };
        self.line("BEGIN:VEVENT");
        self.text("UID", &event.uid);
        self.line(&format!("SEQUENCE:{}", event.sequence));
        self.line(&format!("DTSTAMP:{}", utc(event.stamp)));
        self.line(&format!("LAST-MODIFIED:{}", utc(event.stamp)));
        self.line(&format!("DTSTART:{}", utc(event.span.start)));
        // An event that takes no time has no end: it must be later than the start.
        if !event.span.is_empty() {
            self.line(&format!("DTEND:{}", utc(event.span.end)));
        }
        self.line(match state {
            State::Tentative => "STATUS:TENTATIVE",
            State::Confirmed => "STATUS:CONFIRMED",
            State::Cancelled => "STATUS:CANCELLED",
        });
        self.line(match state {
            State::Cancelled => "TRANSP:TRANSPARENT",
            _ => "TRANSP:OPAQUE",
        });
        self.line("CLASS:PRIVATE");
        self.text("SUMMARY", &event.summary);
        for (name, value) in [
            ("DESCRIPTION", &event.description),
            ("LOCATION", &event.location),
        ] {
            if let Some(value) = value {
                self.text(name, value);
            }
        }
        if let Some(url) = &event.url {
            self.line(&format!("URL:{}", uri(url)));
        }
        if let Purpose::Request { organizer } | Purpose::Cancel { organizer } = purpose {
            self.person("ORGANIZER", "", organizer);
            for attendee in &event.attendees {
                self.attendee(attendee);
            }
        }
        self.line("END:VEVENT");
    }

    fn attendee(&mut self, attendee: &Attendee) {
        let acceptance = match attendee.acceptance {
            Acceptance::Accepted => "ACCEPTED",
            Acceptance::Declined => "DECLINED",
            Acceptance::Tentative => "TENTATIVE",
            Acceptance::NeedsAction => "NEEDS-ACTION",
        };
        let role = match attendee.presence {
            Presence::Required => "REQ-PARTICIPANT",
            Presence::Optional => "OPT-PARTICIPANT",
            Presence::Informed => "NON-PARTICIPANT",
        };
        let asked = if attendee.is_asked { "TRUE" } else { "FALSE" };
        let parameters = format!(";ROLE={role};PARTSTAT={acceptance};RSVP={asked}");
        self.person("ATTENDEE", &parameters, &attendee.person);
    }

    fn person(&mut self, property: &str, parameters: &str, person: &Person) {
        let mut line = format!("{property}{parameters}");
        if let Some(name) = &person.name {
            line.push_str(";CN=\"");
            parameter(&mut line, name);
            line.push('"');
        }
        line.push(':');
        line.push_str(&uri(&person.address));
        self.line(&line);
    }

    /// A property whose value is TEXT.
    fn text(&mut self, property: &str, value: &str) {
        let mut line = format!("{property}:");
        let value = value.replace("\r\n", "\n");
        for c in value.chars() {
            match c {
                '\\' | ';' | ',' => {
                    line.push('\\');
                    line.push(c);
                }
                '\n' | '\r' => line.push_str("\\n"),
                '\t' => line.push(c),
                c if c.is_control() => {}
                c => line.push(c),
            }
        }
        self.line(&line);
    }

    /// A line, folded: what goes on begins with a blank, and no character is torn apart.
    fn line(&mut self, line: &str) {
        const OCTETS: usize = 75;
        let mut room = OCTETS;
        for c in line.chars() {
            if c.len_utf8() > room {
                self.0.push_str("\r\n ");
                room = OCTETS - 1;
            }
            self.0.push(c);
            room -= c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

/// The value of a parameter between quotes, with the escapes of RFC 6868.
fn parameter(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '^' => out.push_str("^^"),
            '"' => out.push_str("^'"),
            '\n' => out.push_str("^n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}

/// A URI as it may stand in a line: what would end it is escaped.
fn uri(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() || c == ' ' || c == '"' => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// `20261124T151500Z`
fn utc(second: i64) -> String {
    let at = Timestamp::from_second(second).unwrap_or_default();
    let at = TimeZone::UTC.to_datetime(at);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests;
