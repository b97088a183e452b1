//! Patients: PID and its companions, and ADT messages without a visit (A28, A29, A31, A40).

use bytes::Bytes;
use serde_json::Value as Json;

use super::{
    Destination, Related,
    fields::{Row, fill, many, one},
    json::{all, first, plain, same, target_id, text},
    types::{self, Scope},
};
use crate::{
    ack::Version,
    write::{Composite, Writer},
};

/// What happened to a Patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A28: a person is new.
    Added,
    /// A29: a person is deleted.
    Deleted,
    /// A31: a person changed.
    Changed,
    /// A40: another patient was merged into this one.
    Merged,
}

impl Event {
    fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::Added => ("A28", "ADT_A05"),
            Self::Deleted => ("A29", "ADT_A21"),
            Self::Changed => ("A31", "ADT_A05"),
            Self::Merged => ("A40", "ADT_A39"),
        }
    }
}

/// What happened between two versions; none after is a deletion. Nothing if nothing did that a
/// message tells. A patient that is now replaced by another is [`Event::Merged`]: the message is
/// of the other, see [`replaced_by`].
pub fn event(before: Option<&Json>, after: Option<&Json>) -> Option<Event> {
    match (before, after) {
        (_, None) => before.map(|_| Event::Deleted),
        (None, Some(after)) => replaced_by(after).is_none().then_some(Event::Added),
        (Some(before), Some(after)) if same(before, after) => None,
        (Some(before), Some(after)) => match (replaced_by(before), replaced_by(after)) {
            (None, Some(_)) => Some(Event::Merged),
            (Some(_), Some(_)) => None,
            _ => Some(Event::Changed),
        },
    }
}

/// The Reference to the patient that one was merged into.
pub fn replaced_by(patient: &Json) -> Option<&str> {
    let mut links = all(patient, "link");
    let link = links.find(|link| text(link, "type") == "replaced-by")?;
    Some(text(link, "other.reference")).filter(|reference| !reference.is_empty())
}

/// An ADT message. `merged` is the patient that is no more, of an A40.
pub fn adt(
    to: &Destination,
    control_id: &str,
    time: i64,
    event: Event,
    patient: &Json,
    merged: Option<&Json>,
    related: &Related<'_>,
) -> Bytes {
    let (code, structure) = match event {
        // A40 is of 2.3.1.
        Event::Merged if to.version() < Version(2, 3, 1) => ("A34", "ADT_A30"),
        _ => event.code(),
    };
    let mut writer = to.begin(control_id, time, ["ADT", code, structure]);
    let dtm = to.dtm(time);
    let mut evn = writer.segment("EVN");
    if to.version() < Version(2, 7, 0) {
        evn.text(1, code);
    }
    evn.text(2, &dtm);
    drop(evn);
    let scope = Scope {
        to,
        related,
        resource: patient,
    };
    pid(&mut writer, &scope, 1);
    match event {
        Event::Merged => {
            if let Some(merged) = merged {
                mrg(&mut writer, &scope.with(merged));
            }
        }
        Event::Deleted => visit(&mut writer),
        Event::Added | Event::Changed => {
            pd1(&mut writer, &scope);
            nk1(&mut writer, &scope);
            visit(&mut writer);
        }
    }
    writer.finish()
}

/// PV1 is required where there is no visit: N, not applicable.
fn visit(writer: &mut Writer) {
    writer.segment("PV1").text(1, "1").text(2, "N");
}

const PID: &[Row] = &[
    many(3, "identifier", types::cx),
    many(5, "name", types::xpn),
    one(7, "birthDate", types::dtm),
    one(8, "gender", types::gender),
    many(11, "address", types::xad),
    one(15, "communication.language", types::cwe),
    one(16, "maritalStatus", types::cwe),
    one(24, "multipleBirthBoolean", types::st),
    one(25, "multipleBirthInteger", types::st),
    one(29, "deceasedDateTime", types::dtm),
    one(30, "deceasedBoolean", types::st),
    one(33, "meta.lastUpdated", types::dtm),
];

/// PID of the patient in scope.
pub(super) fn pid(writer: &mut Writer, scope: &Scope<'_>, number: usize) {
    let patient = scope.resource;
    let mut pid = writer.segment("PID");
    pid.text(1, &number.to_string());
    fill(&mut pid, PID, scope, patient);
    if first(patient, "identifier").is_none() {
        pid.repeat(3, &own(scope));
    }
    if first(patient, "name").is_none() {
        // Required, and nobody knows it.
        pid.components(5, &["", "", "", "", "", "", "U"]);
    }
    let current = all(patient, "telecom").filter(|contact| text(contact, "use") != "old");
    for contact in current {
        let field = if text(contact, "use") == "work" {
            14
        } else {
            13
        };
        pid.repeat(field, &types::xtn(scope, contact));
    }
    if first(patient, "multipleBirthInteger").is_some() {
        pid.text(24, "Y");
    }
    if first(patient, "deceasedDateTime").is_some() {
        pid.text(30, "Y");
    }
}

/// PID of the patient that a Reference is to; of what the Reference itself says, if the patient is
/// not here.
pub(super) fn pid_of<'r>(
    writer: &mut Writer,
    scope: &Scope<'r>,
    reference: &'r Json,
    number: usize,
) {
    if let Some(patient) = scope.resolve(reference) {
        return pid(writer, &scope.with(patient), number);
    }
    let mut id = match first(reference, "identifier") {
        Some(identifier) => types::cx(scope, identifier),
        None => Composite::new(),
    };
    if id.is_empty() {
        id.set(1, target_id(reference))
            .set(4, &scope.to.sending.application)
            .set(5, "PI");
    }
    let mut name = Composite::of(&[text(reference, "display")]);
    if name.is_empty() {
        name.set(7, "U");
    }
    writer
        .segment("PID")
        .text(1, &number.to_string())
        .repeat(3, &id)
        .repeat(5, &name);
}

/// Our id, where there is no other.
fn own(scope: &Scope<'_>) -> Composite {
    let mut out = Composite::new();
    out.set(1, text(scope.resource, "id"))
        .set(4, &scope.to.sending.application)
        .set(5, "PI");
    out
}

const PD1: &[Row] = &[
    many(3, "managingOrganization", types::xon),
    many(4, "generalPractitioner", types::xcn),
];

fn pd1(writer: &mut Writer, scope: &Scope<'_>) {
    let patient = scope.resource;
    if PD1.iter().all(|row| first(patient, row.path).is_none()) {
        return;
    }
    fill(&mut writer.segment("PD1"), PD1, scope, patient);
}

const NK1: &[Row] = &[
    one(2, "name", types::xpn),
    one(3, "relationship", types::cwe),
    one(4, "address", types::xad),
    many(5, "telecom", types::xtn),
    one(8, "period.start", types::dtm),
    one(9, "period.end", types::dtm),
    one(13, "organization", types::xon),
    one(15, "gender", types::gender),
];

fn nk1(writer: &mut Writer, scope: &Scope<'_>) {
    for (at, contact) in all(scope.resource, "contact").enumerate() {
        let mut nk1 = writer.segment("NK1");
        nk1.text(1, &(at + 1).to_string());
        fill(&mut nk1, NK1, scope, contact);
    }
}

const MRG: &[Row] = &[many(1, "identifier", types::cx), one(7, "name", types::xpn)];

fn mrg(writer: &mut Writer, scope: &Scope<'_>) {
    let mut mrg = writer.segment("MRG");
    fill(&mut mrg, MRG, scope, scope.resource);
    if first(scope.resource, "identifier").is_none() {
        mrg.repeat(1, &own(scope));
    }
}

/// NTE of texts, numbered from 1.
pub(super) fn notes(writer: &mut Writer, texts: impl IntoIterator<Item = String>) {
    let texts = texts.into_iter().filter(|text| !text.is_empty());
    for (at, text) in texts.enumerate() {
        writer
            .segment("NTE")
            .text(1, &(at + 1).to_string())
            .formatted(3, &text);
    }
}

/// Texts at a path.
pub(super) fn texts(json: &Json, path: &str) -> Vec<String> {
    all(json, path).map(plain).collect()
}
