#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

use std::sync::LazyLock;

use bytes::Bytes;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::{appointment, order, patient, pharmacy, result, siu, *};
use crate::{Message, header::Header, message::Reading};

/// 2026-11-24 18:00 in UTC.
const NOW: i64 = 1_795_543_200_000;

static TO: LazyLock<Destination> = LazyLock::new(|| Destination {
    receiving: Party {
        application: "LAB".to_owned(),
        facility: "HOSP_A".to_owned(),
    },
    zone: TimeZone::get("Europe/Berlin").unwrap(),
    authorities: vec![(
        "urn:oid:1.2.3".to_owned(),
        Authority {
            namespace: "HOSP_A".to_owned(),
            universal: "1.2.3".to_owned(),
            kind: "ISO".to_owned(),
        },
    )],
    ..Destination::default()
});

fn patient() -> Json {
    json!({
        "resourceType": "Patient", "id": "p1",
        "meta": {"versionId": "2", "lastUpdated": "2026-11-24T10:00:00.000Z"},
        "identifier": [
            {"system": "urn:oid:1.2.3", "value": "100|200", "type": {"coding": [{"code": "MR"}]}},
            {"system": "http://x.org/ssn", "value": "999", "type": {"coding": [{"code": "SS"}]}}
        ],
        "name": [
            {"use": "official", "family": "O'Neil & Söhne", "given": ["Ada", "B.", "C."], "prefix": ["Dr"]},
            {"use": "maiden", "family": "Old"}
        ],
        "telecom": [
            {"system": "phone", "value": "+49 30 1", "use": "home"},
            {"system": "phone", "value": "+49 170 2", "use": "mobile"},
            {"system": "email", "value": "ada@example.org"},
            {"system": "phone", "value": "+49 30 3", "use": "work"}
        ],
        "gender": "female", "birthDate": "1970-04-12",
        "address": [{"use": "home", "line": ["Weg 1", "2nd floor"], "city": "Berlin", "postalCode": "10115", "country": "DE", "district": "Mitte"}],
        "maritalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M", "display": "Married"}]},
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "de", "display": "German"}]}}],
        "multipleBirthInteger": 2,
        "deceasedDateTime": "2026-11-23T23:30:00Z",
        "contact": [{"name": {"family": "Kin"}, "relationship": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0131", "code": "N"}]}], "telecom": [{"system": "phone", "value": "7"}]}],
        "generalPractitioner": [{"reference": "Practitioner/d1"}]
    })
}

fn others() -> Vec<Json> {
    vec![
        patient(),
        json!({"resourceType": "Practitioner", "id": "d1", "identifier": [{"system": "urn:oid:1.2.3", "value": "5678"}], "name": [{"family": "Attending", "given": ["Ada"], "prefix": ["Dr"]}]}),
        json!({"resourceType": "PractitionerRole", "id": "r1", "practitioner": {"reference": "Practitioner/d1"}}),
        json!({"resourceType": "Location", "id": "l1", "name": "Room 12", "identifier": [{"value": "R12"}], "physicalType": {"coding": [{"code": "ro"}]}, "partOf": {"reference": "Location/l2"}}),
        json!({"resourceType": "Location", "id": "l2", "name": "Clinic 1", "identifier": [{"value": "CLIN1"}], "physicalType": {"coding": [{"code": "wa"}]}, "managingOrganization": {"display": "HOSP_A"}}),
        json!({"resourceType": "Device", "id": "u1", "identifier": [{"value": "US01"}], "deviceName": [{"name": "Ultrasound 1", "type": "user-friendly-name"}]}),
        json!({"resourceType": "HealthcareService", "id": "h1", "name": "Check-ups", "type": [{"coding": [{"system": "http://x.org/service", "code": "CHK", "display": "Check-up"}]}]}),
        json!({"resourceType": "Schedule", "id": "s1", "actor": [{"reference": "Practitioner/d1"}, {"reference": "Location/l1"}]}),
        json!({"resourceType": "Encounter", "id": "e1", "class": {"code": "IMP"}, "identifier": [{"system": "urn:oid:1.2.3", "value": "V1"}], "location": [{"location": {"reference": "Location/l1"}}], "participant": [{"type": [{"coding": [{"code": "ATND"}]}], "individual": {"reference": "PractitionerRole/r1"}}]}),
        json!({"resourceType": "Condition", "id": "c1", "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "R53", "display": "Fatigue"}]}}),
        json!({"resourceType": "Specimen", "id": "sp1", "identifier": [{"value": "SP9"}], "type": {"coding": [{"system": "http://snomed.info/sct", "code": "119297000", "display": "Blood"}]}, "collection": {"collectedDateTime": "2026-11-24T09:00:00+01:00"}}),
        json!({"resourceType": "Medication", "id": "m1", "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "197361", "display": "Amoxicillin 500"}]}, "form": {"coding": [{"code": "CAP", "display": "Capsule"}]}}),
        service_request(),
    ]
}

fn service_request() -> Json {
    json!({
        "resourceType": "ServiceRequest", "id": "o1", "status": "active", "intent": "order", "priority": "stat",
        "identifier": [{"type": {"coding": [{"code": "FILL"}]}, "value": "F77", "assigner": {"display": "LAB"}}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "24323-8", "display": "CMP"}], "text": "Metabolic panel"},
        "subject": {"reference": "Patient/p1"}, "encounter": {"reference": "Encounter/e1"},
        "occurrenceDateTime": "2026-11-25T08:00:00+01:00", "authoredOn": "2026-11-24T17:00:00Z",
        "requester": {"reference": "PractitionerRole/r1"},
        "reasonCode": [{"text": "Tired"}], "reasonReference": [{"reference": "Condition/c1"}],
        "specimen": [{"reference": "Specimen/sp1"}],
        "note": [{"text": "Fasting\nsample"}]
    })
}

fn booked() -> Json {
    json!({
        "resourceType": "Appointment", "id": "a1", "status": "booked",
        "identifier": [{"type": {"coding": [{"code": "PLAC"}]}, "system": "urn:oid:1.2.3", "value": "PLAC1"}],
        "serviceType": [{"coding": [{"code": "CHK30", "display": "Check-up 30"}]}, {"text": "Extra"}],
        "appointmentType": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0276", "code": "ROUTINE"}]},
        "start": "2026-12-01T08:30:00Z", "end": "2026-12-01T09:00:00Z", "comment": "Interpreter & ramp",
        "participant": [
            {"actor": {"reference": "Location/l1"}, "status": "accepted"},
            {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
            {"actor": {"reference": "Practitioner/d1"}, "status": "needs-action", "type": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "ATND"}]}]},
            {"actor": {"reference": "HealthcareService/h1"}, "status": "accepted"},
            {"actor": {"reference": "Device/u1"}, "status": "accepted"}
        ]
    })
}

fn shown(raw: &Bytes) -> String {
    let message = Message::parse(raw.clone(), &Reading::default()).unwrap();
    assert_eq!(message.notes(), []);
    let header = Header::of(&message);
    assert_eq!(header.problems(), []);
    assert_eq!(header.notes, []);
    message.text().replace('\r', "\n")
}

fn appointment_message(event: appointment::Event, before: Option<&Json>, after: &Json) -> String {
    let others = others();
    let related = Related::new(&others);
    shown(&siu::appointment(
        &TO, "M1", NOW, event, before, after, &related,
    ))
}

fn changed(mut json: Json, change: impl FnOnce(&mut Json)) -> Json {
    change(&mut json);
    json
}

/// Read by a person once, and the same since.
#[test]
fn messages_to_the_letter() {
    let others = others();
    let related = Related::new(&others);
    let mut out = String::new();
    out += &appointment_message(appointment::Event::Booked, None, &booked());
    out += "---\n";
    for event in [patient::Event::Added, patient::Event::Merged] {
        out += &shown(&patient::adt(
            &TO,
            "M1",
            NOW,
            event,
            &patient(),
            Some(&json!({"resourceType":"Patient","id":"p9","name":[{"family":"Gone"}]})),
            &related,
        ));
        out += "---\n";
    }
    out += &shown(&order::order(
        &TO,
        "M1",
        NOW,
        order::Control::New,
        &service_request(),
        &related,
    ));
    out += "---\n";
    let oml = Destination {
        forms: Forms {
            orders: Orders::Oml,
            ..Forms::default()
        },
        ..TO.clone()
    };
    out += &shown(&order::order(
        &oml,
        "M1",
        NOW,
        order::Control::Cancel,
        &service_request(),
        &related,
    ));
    out += "---\n";
    let rx = json!({
        "resourceType": "MedicationRequest", "id": "x1", "status": "active", "intent": "order",
        "medicationReference": {"reference": "Medication/m1"}, "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-11-24", "requester": {"reference": "Practitioner/d1"},
        "dosageInstruction": [
            {"text": "1 capsule three times a day", "timing": {"repeat": {"frequency": 3, "period": 1, "periodUnit": "d", "boundsDuration": {"value": 7, "code": "d"}}}, "route": {"coding": [{"system": "http://snomed.info/sct", "code": "26643006", "display": "Oral"}]}, "doseAndRate": [{"doseQuantity": {"value": 500, "unit": "mg", "code": "mg", "system": "http://unitsofmeasure.org"}}]},
            {"text": "then as needed", "asNeededBoolean": true}],
        "dispenseRequest": {"quantity": {"value": 21, "unit": "CAP"}, "numberOfRepeatsAllowed": 1}
    });
    out += &shown(&pharmacy::prescription(
        &TO,
        "M1",
        NOW,
        order::Control::New,
        &rx,
        &related,
    ));
    out += "---\n";
    let old = Destination {
        version: "2.3".into(),
        forms: Forms {
            pharmacy: Pharmacy::Orm,
            ..Forms::default()
        },
        ..TO.clone()
    };
    out += &shown(&pharmacy::prescription(
        &old,
        "M1",
        NOW,
        order::Control::New,
        &rx,
        &related,
    ));
    out += "---\n";
    let observation = |id: &str, value: Json| {
        let mut json = json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": id, "display": "X"}]}, "effectiveDateTime": "2026-11-24T08:00:00+01:00"});
        json.as_object_mut()
            .unwrap()
            .extend(value.as_object().unwrap().clone());
        json
    };
    let observations = [
        observation(
            "1",
            json!({"valueQuantity": {"value": 4.5, "unit": "mmol/L", "code": "mmol/L", "system": "http://unitsofmeasure.org"}, "referenceRange": [{"low": {"value": 3.5}, "high": {"value": 5.0}}], "interpretation": [{"coding": [{"code": "H"}]}], "performer": [{"reference": "Practitioner/d1"}], "note": [{"text": "hemolytic"}]}),
        ),
        observation(
            "2",
            json!({"valueQuantity": {"value": 5, "comparator": "<"}}),
        ),
        observation("3", json!({"valueString": "line one\nline | two"})),
        observation(
            "4",
            json!({"component": [{"code": {"text": "systolic"}, "valueInteger": 120}, {"code": {"text": "diastolic"}, "valueInteger": 80}]}),
        ),
        observation("5", json!({"valueCodeableConcept": {"text": "pos"}})),
        observation("6", json!({"hasMember": [{"reference": "Observation/7"}]})),
        observation("7", json!({"valueBoolean": true})),
        observation("8", json!({"valueDateTime": "2026-11-24"})),
        observation(
            "9",
            json!({"dataAbsentReason": {"coding": [{"code": "unknown"}]}}),
        ),
        observation(
            "10",
            json!({"valuePeriod": {"start": "2026-11-24", "end": "2026-11-25"}}),
        ),
        observation(
            "11",
            json!({"valueRange": {"low": {"value": 1, "unit": "mg"}, "high": {"value": 2}}}),
        ),
    ];
    let report = json!({
        "resourceType": "DiagnosticReport", "id": "dr1", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "24323-8", "display": "CMP"}]},
        "basedOn": [{"reference": "ServiceRequest/o1"}], "subject": {"reference": "Patient/p1"}, "category": [{"coding": [{"code": "LAB"}]}],
        "effectiveDateTime": "2026-11-24T08:00:00+01:00", "issued": "2026-11-24T12:00:00.5Z",
        "resultsInterpreter": [{"reference": "Practitioner/d1"}], "conclusion": "Normal", "presentedForm": [{"contentType": "application/pdf", "data": "AAAA"}],
        "result": (1..=11).filter(|n| *n != 7).map(|n| json!({"reference": format!("Observation/{n}")})).collect::<Vec<_>>()
    });
    let all = Related::new(others.iter().chain(&observations));
    out += &shown(&result::oru(&TO, "M1", NOW, &report, &all));
    assert_eq!(out, include_str!("expected.txt"));
}

#[test]
fn events_of_appointments() {
    use appointment::{Event, event};
    let forms = Forms::default();
    let with = |status: &str| changed(booked(), |json| json["status"] = status.into());
    let of = |before: &str, after: &str| event(Some(&with(before)), &with(after), forms);
    let first = |status: &str| event(None, &with(status), forms);
    assert_eq!(first("booked"), Some(Event::Booked));
    for silent in [
        "proposed",
        "pending",
        "waitlist",
        "cancelled",
        "noshow",
        "entered-in-error",
    ] {
        assert_eq!(first(silent), None, "{silent}");
        assert_eq!(
            of(silent, "booked"),
            if silent == "noshow" {
                Some(Event::Changed)
            } else {
                Some(Event::Booked)
            }
        );
    }
    assert_eq!(of("pending", "cancelled"), None);
    assert_eq!(of("booked", "cancelled"), Some(Event::Cancelled));
    assert_eq!(of("arrived", "cancelled"), Some(Event::Cancelled));
    assert_eq!(of("cancelled", "cancelled"), None);
    assert_eq!(of("booked", "arrived"), Some(Event::Changed));
    assert_eq!(of("arrived", "noshow"), Some(Event::NoShow));
    assert_eq!(of("noshow", "fulfilled"), Some(Event::Changed));
    assert_eq!(of("booked", "entered-in-error"), Some(Event::Deleted));
    assert_eq!(of("pending", "entered-in-error"), None);
    assert_eq!(of("booked", "booked"), None);
    let waiting = Forms {
        waitlist: true,
        ..forms
    };
    assert_eq!(event(None, &with("waitlist"), waiting), Some(Event::Booked));
    let change = |change: fn(&mut Json)| event(Some(&booked()), &changed(booked(), change), forms);
    assert_eq!(
        change(|json| json["meta"] = json!({"versionId": "9"})),
        None
    );
    assert_eq!(
        change(|json| json["start"] = "2026-12-01T08:35:00Z".into()),
        Some(Event::Moved)
    );
    // The same instant, said otherwise.
    assert_eq!(
        change(|json| json["start"] = "2026-12-01T09:30:00+01:00".into()),
        Some(Event::Changed)
    );
    assert_eq!(
        change(|json| json["comment"] = "no".into()),
        Some(Event::Changed)
    );
    let came = |json: &mut Json| {
        let one = json!({"actor": {"reference": "Practitioner/d2"}, "status": "accepted"});
        json["participant"].as_array_mut().unwrap().push(one);
    };
    assert_eq!(change(came), Some(Event::ResourceAdded));
    assert_eq!(
        change(|json| {
            json["participant"].as_array_mut().unwrap().pop();
        }),
        Some(Event::ResourceCancelled)
    );
    assert_eq!(
        change(|json| json["participant"][0]["status"] = "declined".into()),
        Some(Event::ResourceChanged)
    );
    let plain = Forms {
        resource_events: false,
        ..forms
    };
    assert_eq!(
        event(Some(&booked()), &changed(booked(), came), plain),
        Some(Event::Changed)
    );
}

#[test]
fn only_what_changed_has_an_action() {
    let after = changed(booked(), |json| {
        let list = json["participant"].as_array_mut().unwrap();
        list.pop();
        list[2]["status"] = "accepted".into();
    });
    let text = appointment_message(appointment::Event::ResourceChanged, Some(&booked()), &after);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with('A') || line.starts_with("RGS"))
        .collect();
    let actions: Vec<String> = lines
        .iter()
        .map(|line| line.split('|').take(3).collect::<Vec<_>>().join("|"))
        .collect();
    assert_eq!(
        actions,
        [
            "RGS|1|U", "AIS|1|X", "AIS|2|X", "AIG|1|D", "AIL|1|X", "AIP|1|U"
        ]
    );
}

#[test]
fn ends_have_their_reason() {
    let cancelled = changed(booked(), |json| {
        json["status"] = "cancelled".into();
        json["cancelationReason"] = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason", "code": "pat", "display": "Patient"}]});
    });
    let text = appointment_message(appointment::Event::Cancelled, Some(&booked()), &cancelled);
    assert!(text.contains("||||pat^Patient^L|"), "{text}");
    assert!(text.contains("|Cancelled^Cancelled^HL70278\n"));
    assert!(text.contains("\nRGS|1|D|") && text.contains("\nAIP|1|D|"));
}

#[test]
fn blocked_time() {
    let slot = |status: &str| json!({"resourceType": "Slot", "id": "sl1", "status": status, "schedule": {"reference": "Schedule/s1"}, "start": "2026-12-01T08:30:00Z", "end": "2026-12-01T09:30:00Z"});
    let others = others();
    let related = Related::new(&others);
    let raw = message(
        &TO,
        "M1",
        NOW,
        Some(&slot("free")),
        Some(&slot("busy-unavailable")),
        &related,
    );
    let text = shown(&raw.unwrap());
    assert!(text.contains("|SIU^S23^SIU_S12|"));
    assert!(text.contains("\nSCH||sl1^ROTUNDA||||BLOCK^Blocked|||60|min^minutes^UCUM|^^60^20261201093000+0100^20261201103000+0100|"), "{text}");
    assert!(text.contains("\nAIL|1|A|CLIN1^R12^") && text.contains("\nAIP|1|A|5678^Attending^"));
    assert!(!text.contains("\nPID"));
    let raw = message(
        &TO,
        "M1",
        NOW,
        Some(&slot("busy-unavailable")),
        None,
        &related,
    );
    assert!(shown(&raw.unwrap()).contains("|SIU^S24^SIU_S12|"));
    assert_eq!(
        message(&TO, "M1", NOW, None, Some(&slot("busy")), &related),
        None
    );
}

#[test]
fn controls_of_orders() {
    use order::{Control, control};
    let with = |status: &str| changed(service_request(), |json| json["status"] = status.into());
    let of = |before: &str, after: &str| control(Some(&with(before)), Some(&with(after)));
    assert_eq!(control(None, Some(&with("active"))), Some(Control::New));
    assert_eq!(control(None, Some(&with("draft"))), None);
    assert_eq!(control(None, Some(&with("completed"))), None);
    assert_eq!(of("draft", "active"), Some(Control::New));
    assert_eq!(of("draft", "revoked"), None);
    assert_eq!(of("active", "revoked"), Some(Control::Cancel));
    assert_eq!(of("active", "stopped"), Some(Control::Discontinue));
    assert_eq!(of("active", "on-hold"), Some(Control::Hold));
    assert_eq!(of("on-hold", "active"), Some(Control::Release));
    assert_eq!(of("active", "completed"), Some(Control::Status));
    assert_eq!(of("active", "active"), None);
    assert_eq!(control(Some(&with("active")), None), Some(Control::Cancel));
    let more = changed(with("active"), |json| json["note"] = json!([{"text": "x"}]));
    assert_eq!(
        control(Some(&with("active")), Some(&more)),
        Some(Control::Change)
    );
    let plan = changed(with("active"), |json| json["intent"] = "plan".into());
    assert_eq!(control(None, Some(&plan)), None);
}

#[test]
fn merges_are_of_the_one_that_stays() {
    let gone = json!({"resourceType": "Patient", "id": "p9", "active": true, "identifier": [{"system": "urn:oid:1.2.3", "value": "9"}]});
    let merged = changed(gone.clone(), |json| {
        json["active"] = false.into();
        json["link"] = json!([{"type": "replaced-by", "other": {"reference": "Patient/p1"}}]);
    });
    assert_eq!(needed(&merged), ["Patient/p1"]);
    let others = others();
    let related = Related::new(&others);
    let raw = message(&TO, "M1", NOW, Some(&gone), Some(&merged), &related).unwrap();
    let text = shown(&raw);
    assert!(text.contains("|ADT^A40^ADT_A39|") && text.contains("\nPID|1||100\\F\\200^"));
    assert!(text.ends_with("\nMRG|9^^^HOSP_A&1.2.3&ISO\n"), "{text}");
    let raw = message(&TO, "M1", NOW, None, Some(&gone), &related).unwrap();
    assert!(shown(&raw).contains("|ADT^A28^ADT_A05|"));
    let raw = message(&TO, "M1", NOW, Some(&gone), None, &related).unwrap();
    assert!(shown(&raw).contains("|ADT^A29^ADT_A21|"));
    assert_eq!(
        message(&TO, "M1", NOW, Some(&gone), Some(&gone), &related),
        None
    );
}

#[test]
fn in_another_character_set_and_version() {
    let to = Destination {
        charset: "8859/1".into(),
        version: "2.2".into(),
        ..TO.clone()
    };
    let related = Related::default();
    let raw = patient::adt(
        &to,
        "M1",
        NOW,
        patient::Event::Changed,
        &patient(),
        None,
        &related,
    );
    assert!(raw.windows(5).any(|part| part == b"S\xF6hne"[..5].as_ref()));
    let text = shown(&raw);
    assert!(text.contains("|ADT^A31|M1|P|2.2||||||8859/1\n"));
    let merged = patient();
    let raw = patient::adt(
        &to,
        "M1",
        NOW,
        patient::Event::Merged,
        &patient(),
        Some(&merged),
        &related,
    );
    assert!(shown(&raw).contains("|ADT^A34|M1|P|2.2|"));
    assert!(text.contains("O'Neil \\T\\ Söhne"));
}

/// Any resource gives a message that is read as it should be: no field leaves its place.
#[test]
fn whatever_is_in_a_text_stays_in_it() {
    let nasty = "a|b^c&d~e\\f\r\nMSH|^~\\&|\u{0B}\u{1C}\r\"\"";
    fn spoil(json: &mut Json, nasty: &str) {
        match json {
            Json::Object(map) => map.iter_mut().for_each(|(name, value)| {
                let kept = matches!(
                    name.as_str(),
                    "resourceType" | "status" | "reference" | "id" | "intent" | "start" | "end"
                );
                if !kept {
                    spoil(value, nasty)
                }
            }),
            Json::Array(list) => list.iter_mut().for_each(|value| spoil(value, nasty)),
            Json::String(text) => text.push_str(nasty),
            _ => {}
        }
    }
    let clean = others();
    let mut others = others();
    others.iter_mut().for_each(|one| spoil(one, nasty));
    let mut one = booked();
    spoil(&mut one, nasty);
    let write = |appointment: &Json, others: &[Json]| {
        let related = Related::new(others);
        let raw = siu::appointment(
            &TO,
            "M1",
            NOW,
            appointment::Event::Booked,
            None,
            appointment,
            &related,
        );
        shown(&raw);
        let message = Message::parse(raw, &Reading::default()).unwrap();
        message
            .segments()
            .map(|segment| segment.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(write(&one, &others), write(&booked(), &clean));
}

#[test]
fn a_patient_that_is_not_here_is_who_the_reference_says() {
    let with = |actor: Json| {
        let one = changed(booked(), |json| json["participant"][1]["actor"] = actor);
        let raw = message(&TO, "M1", NOW, None, Some(&one), &Related::default());
        let text = shown(&raw.unwrap());
        text.lines()
            .find(|line| line.starts_with("PID"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        with(json!({"reference": "Patient/x/_history/2"})),
        "PID|1||x^^^ROTUNDA^PI||^^^^^^U"
    );
    assert_eq!(
        with(json!({"reference": "http://h/fhir/Patient/x", "display": "Ada"})),
        "PID|1||x^^^ROTUNDA^PI||Ada"
    );
    let logical =
        json!({"type": "Patient", "identifier": {"system": "urn:oid:1.2.3", "value": "7"}});
    assert_eq!(with(logical), "PID|1||7^^^HOSP_A&1.2.3&ISO||^^^^^^U");
}

/// Content that is not what it should be is left out: nothing panics, and what is written is read.
#[test]
fn resources_with_anything_in_any_place() {
    fn places(json: &Json, at: String, out: &mut Vec<String>) {
        match json {
            Json::Object(map) => map
                .iter()
                .for_each(|(name, value)| places(value, format!("{at}/{name}"), out)),
            Json::Array(list) => list
                .iter()
                .enumerate()
                .for_each(|(n, value)| places(value, format!("{at}/{n}"), out)),
            _ => {}
        }
        if !at.is_empty() && at != "/resourceType" {
            out.push(at);
        }
    }
    let others = others();
    let related = Related::new(&others);
    let rx = json!({
        "resourceType": "MedicationRequest", "id": "x", "status": "active", "medicationReference": {"reference": "Medication/m1"},
        "subject": {"reference": "Patient/p1"}, "dosageInstruction": [{"timing": {"event": ["2026-01-01"], "repeat": {"frequency": 1, "period": 2, "periodUnit": "h"}}, "doseAndRate": [{"doseRange": {"low": {"value": 1}}}]}]
    });
    let report = json!({
        "resourceType": "DiagnosticReport", "id": "d", "status": "final", "code": {"text": "x"}, "basedOn": [{"reference": "ServiceRequest/o1"}],
        "contained": [{"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "y"}, "hasMember": [{"reference": "#o"}], "component": [{"valueQuantity": {"value": 1, "comparator": "<"}}]}],
        "result": [{"reference": "#o"}], "presentedForm": [{"contentType": "a/b;c", "url": "http://x"}]
    });
    let mut count = 0;
    for resource in [booked(), patient(), service_request(), rx, report] {
        let mut all = Vec::new();
        places(&resource, String::new(), &mut all);
        for place in all {
            for odd in [
                json!(null),
                json!(7),
                json!("x/y|z"),
                json!([]),
                json!({}),
                json!([[{"a": "b"}]]),
                json!(true),
                json!(""),
            ] {
                let mut spoiled = resource.clone();
                *spoiled.pointer_mut(&place).unwrap() = odd;
                let _ = needed(&spoiled);
                for (before, after) in [
                    (None, Some(&spoiled)),
                    (Some(&resource), Some(&spoiled)),
                    (Some(&spoiled), Some(&resource)),
                    (Some(&spoiled), None),
                ] {
                    if let Some(raw) = message(&TO, "M1", NOW, before, after, &related) {
                        shown(&raw);
                        count += 1;
                    }
                }
            }
        }
    }
    assert!(count > 2_000, "{count}");
}
