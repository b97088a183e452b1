//! Appointments and blocked time as SIU.

use bytes::Bytes;
use serde_json::Value as Json;

use super::{
    Destination, Related,
    appointment::{Event, actor, instant, resources},
    codes::{self, of},
    fields::{Row, fill, one},
    json::{all, first, kind_of, target, target_id, text, value},
    patient::{notes, pid_of, texts},
    types::{self, Scope},
};
use crate::write::{Composite, SegmentWriter, Writer};

/// An SIU message for an Appointment. `before` is its version before, of which S18 to S20 tell
/// the difference.
pub fn appointment(
    to: &Destination,
    control_id: &str,
    time: i64,
    event: Event,
    before: Option<&Json>,
    appointment: &Json,
    related: &Related<'_>,
) -> Bytes {
    let mut writer = to.begin(control_id, time, ["SIU", event.code(), "SIU_S12"]);
    let scope = Scope {
        to,
        related,
        resource: appointment,
    };
    sch(&mut writer, &scope, event);
    if !to.is_old() {
        let mut tq1 = writer.segment("TQ1");
        tq1.text(1, "1");
        fill(&mut tq1, TQ1, &scope, appointment);
    }
    notes(
        &mut writer,
        texts(appointment, "comment")
            .into_iter()
            .chain(texts(appointment, "patientInstruction")),
    );
    let patients = all(appointment, "participant.actor").filter(|actor| target(actor) == "Patient");
    for (at, patient) in patients.enumerate() {
        pid_of(&mut writer, &scope, patient, at + 1);
    }
    let action = event.action();
    let service = services(&scope);
    let mut rgs = writer.segment("RGS");
    rgs.text(1, "1")
        .text(2, if action == "X" { "U" } else { action });
    if let Some((reference, service)) = &service {
        let name = service.map_or(text(reference, "display"), |service| text(service, "name"));
        let id = service.map_or("", |service| text(service, "id"));
        rgs.components(3, &[id, name]);
    }
    drop(rgs);
    ais(
        &mut writer,
        &scope,
        action,
        service.and_then(|(_, service)| service),
    );
    let old: Vec<&Json> = before
        .map(|before| resources(before).collect())
        .unwrap_or_default();
    let new: Vec<&Json> = resources(appointment).collect();
    let mut parts = Parts {
        writer: &mut writer,
        scope,
        when: Some(appointment),
    };
    let mut list: Vec<(&Json, &str)> = Vec::new();
    for one in &new {
        let known = old.iter().find(|other| actor(other) == actor(one));
        let own = match known {
            _ if action != "X" => action,
            None => "A",
            Some(known) if known == one => "X",
            Some(_) => "U",
        };
        list.push((one, own));
    }
    if action == "X" {
        let gone = old
            .iter()
            .filter(|one| !new.iter().any(|other| actor(other) == actor(one)));
        list.extend(gone.map(|one| (*one, "D")));
    }
    parts.write(&list);
    writer.finish()
}

/// The HealthcareService of an appointment: the Reference, and the resource if it is here.
fn services<'r>(scope: &Scope<'r>) -> Option<(&'r Json, Option<&'r Json>)> {
    let mut actors = all(scope.resource, "participant.actor");
    let reference = actors.find(|actor| target(actor) == "HealthcareService")?;
    Some((reference, scope.resolve(reference)))
}

const SCH: &[Row] = &[
    one(6, "cancelationReason", types::cwe),
    one(7, "reasonCode", types::cwe),
    one(8, "appointmentType", types::cwe),
    one(9, "minutesDuration", types::st),
];

const TQ1: &[Row] = &[one(7, "start", types::dtm), one(8, "end", types::dtm)];

/// Identifiers by their type (table 0203): the placer's, and the filler's.
pub(super) fn numbers(scope: &Scope<'_>) -> (Composite, Composite) {
    let of_type = |wanted: &str| {
        let mut identifiers = all(scope.resource, "identifier");
        let found = identifiers.find(|one| types::identifier_type(one) == wanted);
        found
            .map(|identifier| types::ei(scope, identifier))
            .unwrap_or_default()
    };
    (of_type("PLAC"), of_type("FILL"))
}

fn sch(writer: &mut Writer, scope: &Scope<'_>, event: Event) {
    let appointment = scope.resource;
    let (placer, mut filler) = numbers(scope);
    if filler.is_empty() {
        filler = types::own_ei(scope.to, appointment);
    }
    let we = us(scope.to);
    let status = text(appointment, "status");
    let status = match event {
        Event::Discontinued => "Discontinued",
        Event::Deleted => "Deleted",
        _ => of(codes::APPOINTMENT, status),
    };
    let minutes = minutes(appointment);
    let mut sch = writer.segment("SCH");
    sch.repeat(1, &placer).repeat(2, &filler);
    fill(&mut sch, SCH, scope, appointment);
    if first(appointment, "cancelationReason").is_none() || !is_end(event) {
        sch.components(6, &event.reason());
    }
    sch.text(9, &minutes);
    if !minutes.is_empty() {
        sch.components(10, &["min", "minutes", "UCUM"]);
    }
    // TQ stays, though 2.5 has TQ1: most receivers read it here.
    let dtm = |path: &str| types::time(text(appointment, path), &scope.to.zone);
    let (start, end) = (dtm("start"), dtm("end"));
    if !start.is_empty() {
        sch.components(11, &["", "", &minutes, &start, &end]);
    }
    sch.repeat(16, &we)
        .repeat(20, &we)
        .components(25, &[status, status, "HL70278"]);
    for (at, order) in all(appointment, "basedOn")
        .filter_map(|order| scope.resolve(order))
        .enumerate()
    {
        if at == 0 {
            let (placer, filler) = numbers(&scope.with(order));
            sch.repeat(26, &placer).repeat(27, &filler);
        }
    }
}

fn is_end(event: Event) -> bool {
    matches!(
        event,
        Event::Cancelled | Event::Discontinued | Event::Deleted | Event::NoShow
    )
}

/// Who fills and enters, which is required, where nobody in particular does: we.
fn us(to: &Destination) -> Composite {
    Composite::of(&["", &to.sending.application])
}

/// How long it is: as said, or from start to end.
fn minutes(json: &Json) -> String {
    match (instant(text(json, "start")), instant(text(json, "end"))) {
        _ if first(json, "minutesDuration").is_some() => value(json, "minutesDuration"),
        (Some(start), Some(end)) => ((end.as_second() - start.as_second()) / 60).to_string(),
        _ => String::new(),
    }
}

const AIS: &[Row] = &[
    one(3, "serviceType", types::cwe),
    one(4, "start", types::dtm),
];

const AIS_OF_SERVICE: &[Row] = &[
    one(3, "type", types::cwe),
    one(3, "specialty", types::cwe),
    one(3, "name", text_only),
];

/// A text as CWE.
fn text_only(_: &Scope<'_>, json: &Json) -> Composite {
    Composite::of(&["", json.as_str().unwrap_or("")])
}

/// One for each kind of service; of the HealthcareService if the appointment names none.
fn ais(writer: &mut Writer, scope: &Scope<'_>, action: &str, service: Option<&Json>) {
    let appointment = scope.resource;
    let kinds: Vec<&Json> = all(appointment, "serviceType").collect();
    let mut ais = |number: usize, kind: Option<&Json>| {
        let mut ais = writer.segment("AIS");
        fill(&mut ais, AIS, scope, appointment);
        match (kind, service) {
            (Some(kind), _) => {
                ais.text(3, "").repeat(3, &types::cwe(scope, kind));
            }
            (None, Some(service)) => fill(&mut ais, AIS_OF_SERVICE, scope, service),
            (None, None) => {}
        }
        ais.text(1, &number.to_string()).text(2, action);
        duration(&mut ais, appointment, 7);
    };
    for (at, kind) in kinds.iter().enumerate() {
        ais(at + 1, Some(kind));
    }
    if kinds.is_empty() && service.is_some() {
        ais(1, None);
    }
}

fn duration(segment: &mut SegmentWriter<'_>, json: &Json, field: usize) {
    let minutes = minutes(json);
    if !minutes.is_empty() {
        segment
            .text(field, &minutes)
            .components(field + 1, &["min", "minutes", "UCUM"]);
    }
}

/// A kind of participant's segment.
struct Kind {
    segment: &'static str,
    /// The field of the actor, and its form.
    actor: Row,
    /// The field of the kind of resource.
    kind: usize,
    /// The field of the start, and of the duration; the units follow it.
    start: usize,
    duration: usize,
    /// The field of the filler status.
    status: usize,
}

/// In the order of the standard.
const KINDS: &[Kind] = &[
    Kind {
        segment: "AIG",
        actor: one(3, "actor", device),
        kind: 4,
        start: 8,
        duration: 11,
        status: 14,
    },
    Kind {
        segment: "AIL",
        actor: one(3, "actor", types::pl),
        kind: 4,
        start: 6,
        duration: 9,
        status: 12,
    },
    Kind {
        segment: "AIP",
        actor: one(3, "actor", types::xcn),
        kind: 4,
        start: 6,
        duration: 9,
        status: 12,
    },
];

fn segment_of(reference: &Json) -> &'static str {
    match target(reference) {
        "Location" => "AIL",
        "Practitioner" | "PractitionerRole" => "AIP",
        "HealthcareService" => "",
        _ => "AIG",
    }
}

/// A Device as CWE.
fn device(scope: &Scope<'_>, reference: &Json) -> Composite {
    let display = text(reference, "display");
    let id = target_id(reference);
    let Some(device) = scope.resolve(reference) else {
        return Composite::of(&[id, display]);
    };
    let known = match text(device, "identifier.value") {
        "" => id,
        value => value,
    };
    let name = match text(device, "deviceName.name") {
        "" => display,
        name => name,
    };
    Composite::of(&[known, name, "L"])
}

struct Parts<'w, 'r> {
    writer: &'w mut Writer,
    scope: Scope<'r>,
    /// What the time is of; none if it has its own.
    when: Option<&'r Json>,
}

impl<'r> Parts<'_, 'r> {
    /// Participants with their actions, AIG before AIL before AIP.
    fn write(&mut self, participants: &[(&'r Json, &str)]) {
        for kind in KINDS {
            let own = participants.iter().filter(|(participant, _)| {
                first(participant, "actor").is_some_and(|actor| segment_of(actor) == kind.segment)
            });
            for (at, (participant, action)) in own.enumerate() {
                let mut segment = self.writer.segment(kind.segment);
                segment.text(1, &(at + 1).to_string()).text(2, action);
                let scope = self.scope;
                fill(
                    &mut segment,
                    std::slice::from_ref(&kind.actor),
                    &scope,
                    participant,
                );
                let role = first(participant, "type").map(|role| types::cwe(&scope, role));
                let role = role.unwrap_or_else(|| default_role(kind.segment));
                segment.repeat(kind.kind, &role);
                let Some(when) = self.when else { continue };
                let period = first(participant, "period").unwrap_or(when);
                let dtm = types::time(text(period, "start"), &scope.to.zone);
                segment.text(kind.start, &dtm);
                duration(&mut segment, period, kind.duration);
                let status = match text(participant, "status") {
                    "accepted" => "Confirmed",
                    "tentative" | "needs-action" => "Pending",
                    "declined" => "Declined",
                    _ => continue,
                };
                segment.components(kind.status, &[status, status, "L"]);
            }
        }
    }
}

/// AIx-4 is required.
fn default_role(segment: &str) -> Composite {
    Composite::of(match segment {
        "AIP" => &["PPRF", "primary performer", "L"],
        "AIL" => &["C", "Clinic", "L"],
        _ => &["EQ", "Equipment", "L"],
    })
}

/// An SIU message (S23, S24) for a Slot of a Schedule: time of the Schedule's actors.
pub fn block(
    to: &Destination,
    control_id: &str,
    time: i64,
    event: Event,
    slot: &Json,
    related: &Related<'_>,
) -> Bytes {
    let mut writer = to.begin(control_id, time, ["SIU", event.code(), "SIU_S12"]);
    let scope = Scope {
        to,
        related,
        resource: slot,
    };
    let status = match event {
        Event::Blocked => "Blocked",
        _ => "Deleted",
    };
    let we = us(to);
    let dtm = |path: &str| types::time(text(slot, path), &to.zone);
    let (start, end, minutes) = (dtm("start"), dtm("end"), minutes(slot));
    let mut sch = writer.segment("SCH");
    sch.repeat(2, &types::own_ei(to, slot))
        .components(6, &event.reason())
        .text(9, &minutes)
        .components(10, &["min", "minutes", "UCUM"])
        .components(11, &["", "", &minutes, &start, &end])
        .repeat(16, &we)
        .repeat(20, &we)
        .components(25, &[status, status, "HL70278"]);
    drop(sch);
    if !to.is_old() {
        writer
            .segment("TQ1")
            .text(1, "1")
            .text(7, &start)
            .text(8, &end);
    }
    notes(&mut writer, texts(slot, "comment"));
    writer.segment("RGS").text(1, "1").text(2, event.action());
    let schedule = first(slot, "schedule").and_then(|schedule| scope.resolve(schedule));
    if let Some(schedule) = schedule {
        debug_assert_eq!(kind_of(schedule), "Schedule");
        let actors: Vec<Json> = all(schedule, "actor")
            .map(|actor| serde_json::json!({ "actor": actor }))
            .collect();
        let list: Vec<(&Json, &str)> = actors.iter().map(|one| (one, event.action())).collect();
        let mut parts = Parts {
            writer: &mut writer,
            scope,
            when: Some(slot),
        };
        parts.write(&list);
    }
    writer.finish()
}
