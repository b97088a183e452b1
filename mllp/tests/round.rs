//! What was written from FHIR, read and mapped to FHIR again: the messages of
//! `src/out/expected.txt`, whose resources are in `src/out/tests.rs`.

#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

use bytes::Bytes;
use mllp::{
    Message,
    map::{Mapped, Mapper, Site},
    message::Reading,
};
use serde_json::{Value as Json, json};

fn mapped(start: &str) -> Mapped {
    let messages = include_str!("../src/out/expected.txt").split("---\n");
    let mut found = messages.filter(|message| message.contains(start));
    let raw = found.next().unwrap().replace('\n', "\r");
    let message = Message::parse(Bytes::from(raw), &Reading::default()).unwrap();
    let mapped = Mapper::new(None).map(&message, &Site::default());
    assert_eq!(mapped.notes, [], "{start}");
    mapped
}

fn first<'m>(mapped: &'m Mapped, kind: &str) -> &'m Json {
    let mut all = mapped.resources.iter().map(|made| &made.json);
    all.find(|json| json["resourceType"] == kind).unwrap()
}

fn all<'m>(mapped: &'m Mapped, kind: &str) -> Vec<&'m Json> {
    let all = mapped.resources.iter().map(|made| &made.json);
    all.filter(|json| json["resourceType"] == kind).collect()
}

#[test]
fn patients() {
    let mapped = mapped("|ADT^A28^");
    let patient = first(&mapped, "Patient");
    assert_eq!(patient["identifier"][0]["system"], "urn:oid:1.2.3");
    assert_eq!(patient["identifier"][0]["value"], "100|200");
    assert_eq!(patient["identifier"][1]["system"], "http://x.org/ssn");
    assert_eq!(patient["name"][0]["family"], "O'Neil & Söhne");
    assert_eq!(patient["name"][0]["use"], "official");
    assert_eq!(patient["name"][1]["use"], "maiden");
    assert_eq!(patient["birthDate"], "1970-04-12");
    assert_eq!(patient["gender"], "female");
    assert_eq!(patient["deceasedDateTime"], "2026-11-24T00:30:00+01:00");
    assert_eq!(patient["address"][0]["line"], json!(["Weg 1", "2nd floor"]));
    assert_eq!(patient["maritalStatus"]["coding"][0]["code"], "M");
    assert_eq!(
        patient["telecom"][2],
        json!({"system": "email", "value": "ada@example.org"})
    );
    assert_eq!(patient["contact"][0]["name"]["family"], "Kin");
    assert_eq!(patient["multipleBirthInteger"], 2);
}

#[test]
fn appointments() {
    let mapped = mapped("|SIU^S12^");
    let appointment = first(&mapped, "Appointment");
    assert_eq!(appointment["status"], "booked");
    assert_eq!(appointment["start"], "2026-12-01T09:30:00+01:00");
    assert_eq!(appointment["end"], "2026-12-01T10:00:00+01:00");
    assert_eq!(appointment["minutesDuration"], 30);
    assert_eq!(appointment["comment"], "Interpreter & ramp");
    assert_eq!(appointment["identifier"][0]["value"], "PLAC1");
    assert_eq!(appointment["identifier"][1]["value"], "a1");
    assert_eq!(appointment["serviceType"][0]["coding"][0]["code"], "CHK30");
    let practitioners = all(&mapped, "Practitioner");
    assert!(
        practitioners
            .iter()
            .any(|one| one["identifier"][0]["value"] == "5678")
    );
    assert!(
        all(&mapped, "Location")
            .iter()
            .any(|one| one["name"] == "R12")
    );
    assert_eq!(first(&mapped, "Device")["identifier"][0]["value"], "US01");
    let pending = appointment["participant"].as_array().unwrap();
    assert!(pending.iter().any(|one| one["status"] == "needs-action"));
}

#[test]
fn orders() {
    for kind in ["|ORM^O01^", "|OML^O21^"] {
        let mapped = mapped(kind);
        let request = first(&mapped, "ServiceRequest");
        assert_eq!(request["code"]["coding"][0]["code"], "24323-8", "{kind}");
        assert_eq!(request["identifier"][0]["value"], "o1", "{kind}");
        assert_eq!(request["identifier"][1]["value"], "F77", "{kind}");
        assert_eq!(request["priority"], "stat", "{kind}");
        // TQ has a beginning, TQ1 of an order without an end a time.
        let bounds = &request["occurrenceTiming"]["repeat"]["boundsPeriod"]["start"];
        let time = request.get("occurrenceDateTime").unwrap_or(bounds);
        assert_eq!(time, "2026-11-25T08:00:00+01:00", "{kind}");
        assert_eq!(request["note"][0]["text"], "Fasting\nsample", "{kind}");
        assert_eq!(
            first(&mapped, "Encounter")["class"]["code"],
            "IMP",
            "{kind}"
        );
        assert_eq!(
            first(&mapped, "Condition")["code"]["coding"][0]["code"],
            "R53",
            "{kind}"
        );
    }
}

#[test]
fn prescriptions() {
    let mapped = mapped("|RDE^O11^");
    let request = first(&mapped, "MedicationRequest");
    let dosage = &request["dosageInstruction"][0];
    assert_eq!(
        request["medicationCodeableConcept"]["coding"][0]["code"],
        "197361"
    );
    assert_eq!(dosage["text"], "1 capsule three times a day");
    assert_eq!(dosage["doseAndRate"][0]["doseQuantity"]["value"], 500);
    assert_eq!(dosage["timing"]["repeat"]["frequency"], 3);
    assert_eq!(dosage["route"]["coding"][0]["code"], "26643006");
    assert_eq!(request["dispenseRequest"]["quantity"]["value"], 21);
    assert_eq!(request["note"][0]["text"], "then as needed");
}

#[test]
fn results() {
    let mapped = mapped("|ORU^R01^");
    let report = first(&mapped, "DiagnosticReport");
    assert_eq!(report["status"], "final");
    assert_eq!(report["effectiveDateTime"], "2026-11-24T08:00:00+01:00");
    assert_eq!(report["issued"], "2026-11-24T13:00:00.500+01:00");
    let observations = all(&mapped, "Observation");
    let value = |at: usize, name: &str| observations[at][name].clone();
    assert_eq!(value(0, "valueQuantity")["value"], 4.5);
    assert_eq!(value(0, "referenceRange")[0]["text"], "3.5-5.0");
    assert_eq!(value(0, "interpretation")[0]["coding"][0]["code"], "H");
    assert_eq!(value(0, "note")[0]["text"], "hemolytic");
    assert_eq!(value(1, "valueQuantity")["comparator"], "<");
    assert_eq!(value(2, "valueString"), "line one\nline | two");
    assert_eq!(value(3, "valueQuantity")["value"], 120);
    assert_eq!(value(7, "valueDateTime"), "2026-11-24");
    assert_eq!(value(9, "valuePeriod")["start"], "2026-11-24");
    assert_eq!(value(10, "valueRange")["high"]["value"], 2);
}
