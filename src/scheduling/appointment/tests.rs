use super::*;
use crate::scheduling::rules::check;

fn doc(text: &str) -> Doc {
    Doc::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const VISIT: &str = r##"{"resourceType":"Appointment","id":"a","status":"pending",
    "extension":[{"url":"urn:rotunda:StructureDefinition:hold-expires","valueInstant":"2026-11-24T10:10:00.500Z"}],
    "serviceCategory":[{"coding":[{"system":"urn:c","code":"1"}]}],
    "serviceType":[{"coding":[{"system":"urn:t","code":"ecg","display":"ECG"},{"code":"bare"}]}],
    "specialty":[{"coding":[{"system":"urn:s","code":"2"}]}],
    "appointmentType":{"coding":[{"system":"urn:a","code":"WALKIN"}]},
    "start":"2026-11-25T09:00:00+01:00","end":"2026-11-25T09:29:59.5+01:00","minutesDuration":20,
    "slot":[{"reference":"Slot/1"},{"reference":"https://clinic.example/fhir/Slot/2"}],
    "basedOn":[{"reference":"ServiceRequest/9"}],
    "requestedPeriod":[{"start":"2026-11-25","end":"2026-11-26"}],
    "participant":[
        {"actor":{"reference":"https://clinic.example/fhir/Patient/p/_history/2","display":"Ada"},"status":"accepted","required":"required"},
        {"actor":{"reference":"Practitioner/d"},"status":"tentative","period":{"start":"2026-11-25T08:00:00Z","end":"2026-11-25T08:10:00Z"},"type":[{"coding":[{"code":"ATND"}]}]},
        {"actor":{"identifier":{"system":"urn:i","value":"7"},"type":"Device"},"status":"needs-action","required":"optional"},
        {"actor":{"reference":"#x"},"status":"declined","required":"information-only"},
        {"type":[{"coding":[{"code":"PPRF"}]}],"status":"needs-action"}]}"##;

#[test]
fn an_appointment_is_read() {
    let read = Appointment::read(&doc(VISIT), "https://clinic.example/fhir").unwrap();
    assert_eq!(read.id.as_deref(), Some("a"));
    assert_eq!(read.status, Status::Pending);
    assert_eq!(read.span, Some(Span::new(1_795_593_600, 1_795_595_400)));
    assert_eq!(read.minutes, Some(20));
    assert_eq!(read.slots, ["Slot/1", "Slot/2"]);
    assert_eq!(read.based_on, ["ServiceRequest/9"]);
    assert_eq!(read.hold_expires, Some(1_795_515_001));
    assert_eq!(read.requested, [Span::new(1_795_564_800, 1_795_737_600)]);
    let codes = |list: &[Coding]| list.iter().map(|it| it.code.clone()).collect::<Vec<_>>();
    assert_eq!(codes(&read.service_types), ["ecg", "bare"]);
    assert_eq!(codes(&read.appointment_types), ["WALKIN"]);
    assert_eq!(codes(&read.specialties), ["2"]);
    assert_eq!(codes(&read.service_categories), ["1"]);
    assert_eq!(read.patients().collect::<Vec<_>>(), ["Patient/p"]);
    let [patient, doctor, device, contained, open] = read.participants.as_slice() else {
        panic!("{:?}", read.participants);
    };
    assert_eq!(
        (patient.id(), patient.display.as_deref()),
        (Some("p"), Some("Ada"))
    );
    assert!(patient.takes_part() && patient.is_patient());
    assert_eq!(doctor.period, Some(Span::new(1_795_593_600, 1_795_594_200)));
    assert_eq!(codes(&doctor.types), ["ATND"]);
    assert_eq!(doctor.status, Acceptance::Tentative);
    assert_eq!(device.kind.as_deref(), Some("Device"));
    assert_eq!(device.identifier.as_deref(), Some("urn:i|7"));
    assert_eq!(
        (device.required, device.reference.is_none()),
        (Presence::Optional, true)
    );
    assert!(!contained.takes_part());
    assert_eq!(contained.required, Presence::Informed);
    assert_eq!(
        (open.kind.as_deref(), codes(&open.types)),
        (None, vec!["PPRF".to_owned()])
    );
    assert_eq!(
        Appointment::read(&doc(r#"{"resourceType":"Slot","status":"free"}"#), ""),
        None
    );
}

#[test]
fn a_slot_is_read() {
    let text = r#"{"resourceType":"Slot","id":"1","schedule":{"reference":"Schedule/s"},"status":"busy-tentative",
        "start":"1969-12-31T23:59:59.9Z","end":"1970-01-01T00:30:00Z","overbooked":true,
        "serviceType":[{"coding":[{"code":"ecg"}]}]}"#;
    let read = Slot::read(&doc(text), "").unwrap();
    assert_eq!(read.schedule.as_deref(), Some("Schedule/s"));
    assert_eq!(read.span, Span::new(-1, 1800));
    assert_eq!(read.status, SlotStatus::BusyTentative);
    assert!(read.is_overbooked);
    assert_eq!(read.service_types[0].code, "ecg");
    let plain = text.replace(r#""overbooked":true,"#, "");
    assert!(!Slot::read(&doc(&plain), "").unwrap().is_overbooked);
    assert_eq!(
        Slot::read(&doc(&text.replace("busy-tentative", "held")), ""),
        None
    );
}

/// A severity, where, and a part of the sentence.
type Expected = (&'static str, &'static str, &'static str);

#[test]
fn invariants() {
    let visit = |status: &str, more: &str| {
        format!(
            r#"{{"resourceType":"Appointment","status":"{status}","participant":[{{"status":"accepted","actor":{{"reference":"Patient/1"}}}}]{more}}}"#
        )
    };
    let time = r#","start":"2026-11-25T09:00:00Z","end":"2026-11-25T09:30:00Z""#;
    let with = |more: &str| visit("booked", &format!("{time}{more}"));
    let reason = r#","cancelationReason":{"text":"ill"}"#;
    let (start, end) = time.split_at(time.find(r#","end""#).unwrap());
    let cases: Vec<(String, &[Expected])> = vec![
        (with(""), &[]),
        (visit("booked", start), &[("error", "Appointment.end", "app-2")]),
        (visit("booked", end), &[("error", "Appointment.start", "app-2")]),
        (visit("waitlist", end), &[("error", "Appointment.start", "app-2")]),
        (visit("booked", ""), &[("error", "Appointment.start", "app-3")]),
        (visit("pending", ""), &[("error", "Appointment.start", "this is pending")]),
        (visit("noshow", ""), &[("error", "Appointment.start", "app-3")]),
        (visit("proposed", ""), &[]),
        (visit("cancelled", ""), &[]),
        (visit("waitlist", ""), &[]),
        (visit("cancelled", reason), &[]),
        (with(reason), &[("error", "Appointment.cancelationReason", "app-4")]),
        (visit("noshow", &format!("{time}{reason}")), &[("information", "Appointment.cancelationReason", "misspells")]),
        (
            with("").replace(r#","actor":{"reference":"Patient/1"}"#, ""),
            &[("error", "Appointment.participant[0]", "app-1")],
        ),
        (
            with("").replace(r#""actor":{"reference":"Patient/1"}"#, r#""type":[{"text":"any"}]"#),
            &[],
        ),
        (with("").replace("09:30", "08:30"), &[("error", "Appointment.end", "before the start")]),
        (with("").replace("09:30", "09:00"), &[("warning", "Appointment.end", "no time")]),
        (with(r#","minutesDuration":31"#), &[("warning", "Appointment.minutesDuration", "longer")]),
        (with(r#","minutesDuration":15"#), &[]),
        (
            with(r#","requestedPeriod":[{},{"start":"2026-02-02","end":"2026-02-01"}]"#).replace("{},", r#"{"start":"2026"},"#),
            &[("error", "Appointment.requestedPeriod[1]", "per-1")],
        ),
        (
            with("").replace(r#""status":"accepted""#, r#""status":"accepted","period":{"start":"2026","end":"2025"}"#),
            &[("error", "Appointment.participant[0].period", "per-1")],
        ),
        (
            with(r#","extension":[{"url":"urn:rotunda:StructureDefinition:hold-expires","valueDateTime":"2026"}]"#),
            &[("error", "Appointment.extension[0]", "takes valueInstant")],
        ),
        (
            r#"{"resourceType":"Slot","start":"2026-11-25T09:00:00Z","end":"2026-11-25T08:00:00Z"}"#.into(),
            &[("error", "Slot.end", "before the start")],
        ),
        (
            r#"{"resourceType":"AppointmentResponse","participantStatus":"accepted"}"#.into(),
            &[("error", "AppointmentResponse", "ar-1")],
        ),
        (r#"{"resourceType":"AppointmentResponse","actor":{"reference":"Patient/1"}}"#.into(), &[]),
    ];
    for (text, expected) in cases {
        let found = check(&doc(&text));
        assert_eq!(found.len(), expected.len(), "{text} {found:?}");
        for (found, (severity, path, sentence)) in found.iter().zip(expected) {
            assert_eq!(found.severity.code(), *severity, "{text}");
            assert_eq!(found.expression.as_deref(), Some(*path), "{text}");
            assert!(found.diagnostics.contains(sentence), "{text} {found:?}");
        }
    }
}
