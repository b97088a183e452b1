use std::collections::HashMap;

use jiff::civil::{date, time};

use super::*;
use crate::scheduling::{
    bookable::{Closed, Coding, Daily, Per},
    claim::BufferPolicy,
};

const BASE: &str = "https://clinic.example/fhir";

/// Documents by `Type/id`.
struct World(HashMap<String, Arc<Doc>>);

impl World {
    fn of(texts: &[&str]) -> Self {
        let docs = texts.iter().map(|text| {
            let doc = Doc::parse(*text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let id = doc
                .root()
                .get("id")
                .unwrap()
                .plain_str()
                .unwrap()
                .to_owned();
            (
                format!("{}/{id}", doc.resource_type().unwrap()),
                Arc::new(doc),
            )
        });
        Self(docs.collect())
    }

    fn read(&self, schedule: &str) -> Result<Bookable, Vec<Issue>> {
        let schedule = Doc::parse(schedule).unwrap_or_else(|error| panic!("{error}: {schedule}"));
        let get = |reference: &str| self.0.get(reference).cloned();
        bookable(7, &schedule, &get, &defaults())
    }

    fn bookable(&self, schedule: &str) -> Bookable {
        self.read(schedule)
            .unwrap_or_else(|issues| panic!("{issues:#?}"))
    }

    fn refused(&self, schedule: &str) -> Vec<(String, String)> {
        let issues = self.read(schedule).expect_err("it should not be bookable");
        let text = |issue: Issue| (issue.expression.unwrap_or_default(), issue.diagnostics);
        issues.into_iter().map(text).collect()
    }
}

fn defaults() -> Defaults {
    Defaults {
        zone: TimeZone::UTC,
        base: BASE.to_owned(),
        number: |reference| {
            let sum = reference.bytes().fold(7i64, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(i64::from(byte))
            });
            Number(sum)
        },
    }
}

fn schedule(more: &str) -> String {
    format!(
        r#"{{"resourceType":"Schedule","id":"s","actor":[{{"reference":"PractitionerRole/r"}}]{more}}}"#
    )
}

/// Our extension with these parts.
fn ours(parts: &[&str]) -> String {
    let parts = parts.join(",");
    format!(
        r#","extension":[{{"url":"urn:rotunda:StructureDefinition:scheduling-parameters","extension":[{parts}]}}]"#
    )
}

/// `name value code` of a Duration.
fn lasts(name: &str, value: &str, code: &str) -> String {
    format!(
        r#"{{"url":"{name}","valueDuration":{{"value":{value},"system":"http://unitsofmeasure.org","code":"{code}"}}}}"#
    )
}

const DOCTOR: &str = r#"{"resourceType":"Practitioner","id":"p","active":true,
    "identifier":[{"system":"urn:lanr","value":"123"},{"value":"bare"}],
    "name":[{"use":"old","family":"Alt"},{"use":"official","family":"Weiß","given":["Ada","M."]}]}"#;
const ROLE: &str = r#"{"resourceType":"PractitionerRole","id":"r",
    "practitioner":{"reference":"Practitioner/p"},
    "organization":{"reference":"Organization/dept"},
    "location":[{"reference":"Location/room"}],
    "healthcareService":[{"reference":"HealthcareService/h"}],
    "specialty":[{"coding":[{"system":"http://snomed.info/sct","code":"394579002","display":"Cardiology"}]}],
    "extension":[{"url":"http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/network-reference","valueReference":{"reference":"Organization/net"}}],
    "availableTime":[{"daysOfWeek":["mon","wed"],"availableStartTime":"08:00:00","availableEndTime":"12:00:00"},
                     {"daysOfWeek":["fri"],"allDay":true}],
    "notAvailable":[{"description":"Holiday","during":{"start":"2026-12-24","end":"2026-12-26"}}]}"#;
const SERVICE: &str = r#"{"resourceType":"HealthcareService","id":"h","name":"Heart",
    "providedBy":{"reference":"Organization/dept"},
    "category":[{"coding":[{"system":"urn:c","code":"cat"}]}],
    "type":[{"coding":[{"system":"urn:t","code":"ecg"}]}],
    "specialty":[{"coding":[{"system":"http://snomed.info/sct","code":"394579002"}]}],
    "availableTime":[{"availableStartTime":"07:00:00","availableEndTime":"19:00:00"}],
    "notAvailable":[{"description":"Fair","during":{"start":"2026-05-01T12:00:00+02:00","end":"2026-05-01T14:00:00+02:00"}}]}"#;
const ROOM: &str = r#"{"resourceType":"Location","id":"room","status":"active","name":"Room 5",
    "partOf":{"reference":"https://clinic.example/fhir/Location/house"}}"#;
const HOUSE: &str = r#"{"resourceType":"Location","id":"house",
    "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/timezone","valueCode":"Europe/Berlin"}],
    "managingOrganization":{"reference":"Organization/clinic"},
    "address":{"line":["Straße des 17. Juni 135"],"city":"Zürich","postalCode":"10623"},
    "position":{"longitude":13.3,"latitude":52.5},
    "hoursOfOperation":[{"daysOfWeek":["mon","tue","wed","thu","fri"],"openingTime":"06:00:00","closingTime":"23:59:59"}]}"#;
const DEPARTMENT: &str =
    r#"{"resourceType":"Organization","id":"dept","partOf":{"reference":"Organization/clinic"}}"#;
const CLINIC: &str = r#"{"resourceType":"Organization","id":"clinic","identifier":[{"system":"urn:ik","value":"9"}],
    "partOf":{"reference":"Organization/dept"}}"#;

const ALL: [&str; 7] = [DOCTOR, ROLE, SERVICE, ROOM, HOUSE, DEPARTMENT, CLINIC];

fn coding(system: &str, code: &str) -> Coding {
    Coding {
        system: system.to_owned(),
        code: code.to_owned(),
        display: None,
    }
}

#[test]
fn a_schedule_is_read_with_all_that_it_follows_from() {
    let parts = [
        lasts("duration", "20", "min"),
        lasts("interval", "0.25", "h"),
        lasts("bufferAfter", "5", "min"),
        lasts("minimumNotice", "2", "h"),
        lasts("horizon", "12", "wk"),
        lasts("holdFor", "90", "s"),
        r#"{"url":"serviceType","valueCodeableConcept":{"coding":[{"system":"urn:t","code":"new"}]}}"#.to_owned(),
        r#"{"url":"appointmentType","valueCodeableConcept":{"coding":[{"system":"urn:a","code":"WALKIN"}]}}"#.to_owned(),
        r#"{"url":"bufferPolicy","valueCode":"share"}"#.to_owned(),
        r#"{"url":"capacity","valuePositiveInt":3}"#.to_owned(),
        r#"{"url":"overbook","valueUnsignedInt":1}"#.to_owned(),
        r#"{"url":"limit","extension":[{"url":"per","valueCode":"day"},{"url":"most","valuePositiveInt":8}]}"#.to_owned(),
        r#"{"url":"patientsMayOverlap","valueBoolean":true}"#.to_owned(),
        r#"{"url":"needsApproval","valueBoolean":true}"#.to_owned(),
    ];
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    let more = ours(&parts) + r#","planningHorizon":{"start":"2026-11","end":"2026-12-31"}"#;
    let read = World::of(&ALL).bookable(&schedule(&more));
    assert_eq!((read.id.as_str(), read.rid), ("s", 7));
    assert_eq!(read.zone.iana_name(), Some("Europe/Berlin"));
    let actor = &read.actors[0];
    assert_eq!(actor.practitioner.as_deref(), Some("Practitioner/p"));
    assert_eq!(actor.number, (defaults().number)("Practitioner/p"));
    assert_eq!(
        read.visits,
        [Visit {
            service_types: vec![coding("urn:t", "new")],
            appointment_types: vec![coding("urn:a", "WALKIN")],
            duration: 1200,
            interval: 900,
            before: 0,
            after: 300,
            buffers: BufferPolicy::Share,
            notice: 7200,
            horizon: 84 * 86_400,
            capacity: 3,
            overbook: 1,
            quotas: vec![(Per::Day, 8)],
            patients_may_overlap: true,
            hold: 90,
            needs_approval: true,
            ..Visit::default()
        }]
    );
    let daily = |days, from, to| Daily { days, from, to };
    let midnight = time(0, 0, 0, 0);
    assert_eq!(
        read.hours,
        [
            Hours {
                source: "PractitionerRole/r".to_owned(),
                weekly: vec![
                    daily(0b101, time(8, 0, 0, 0), time(12, 0, 0, 0)),
                    daily(0b1_0000, midnight, midnight),
                ],
                closed: vec![Closed::Local {
                    from: Some(date(2026, 12, 24).at(0, 0, 0, 0)),
                    to: Some(date(2026, 12, 27).at(0, 0, 0, 0)),
                    why: "Holiday".to_owned(),
                }],
            },
            Hours {
                source: "HealthcareService/h".to_owned(),
                weekly: vec![daily(0x7f, time(7, 0, 0, 0), time(19, 0, 0, 0))],
                closed: vec![Closed::Exactly {
                    during: Span::new(1_777_629_600, 1_777_636_800),
                    why: "Fair".to_owned(),
                }],
            },
            Hours {
                source: "Location/house".to_owned(),
                weekly: vec![daily(0b1_1111, time(6, 0, 0, 0), midnight)],
                closed: vec![],
            },
        ]
    );
    // From midnight of 1 November to that of 1 January, both at +01:00.
    assert_eq!(read.planning, Some(Span::new(1_793_487_600, 1_798_758_000)));
    let facets = &read.facets;
    assert_eq!(facets.specialties.len(), 1);
    assert_eq!(facets.categories, [coding("urn:c", "cat")]);
    assert_eq!(
        facets.service_types,
        [coding("urn:t", "ecg"), coding("urn:t", "new")]
    );
    assert_eq!(
        facets.organizations,
        ["Organization/dept", "Organization/clinic"]
    );
    assert_eq!(facets.locations, ["Location/room", "Location/house"]);
    assert_eq!(facets.services, ["HealthcareService/h"]);
    assert_eq!(facets.insurances, ["Organization/net"]);
    assert_eq!(facets.addresses.len(), 1);
    assert!(facets.addresses[0].starts_with("strasse des 17. juni 135 zurich 10623"));
    assert_eq!(facets.position, Some((52.5, 13.3)));
    assert_eq!(facets.name, "Weiß, Ada M.");
    for (whose, identifier) in [
        ("Practitioner/p", "urn:lanr|123"),
        ("Practitioner/p", "|bare"),
        ("Organization/clinic", "urn:ik|9"),
    ] {
        let one = (whose.to_owned(), identifier.to_owned());
        assert!(facets.identifiers.contains(&one), "{one:?}");
    }
}

#[test]
fn what_must_be_read_is_named_once_and_local() {
    for (text, expected) in [
        (
            ROLE,
            vec![
                "Practitioner/p",
                "Organization/dept",
                "Location/room",
                "HealthcareService/h",
            ],
        ),
        (SERVICE, vec!["Organization/dept"]),
        (ROOM, vec!["Location/house"]),
        (DOCTOR, vec![]),
        (
            r##"{"resourceType":"Schedule","actor":[{"reference":"Device/1"},{"reference":"Device/1/_history/3"},
                {"reference":"https://clinic.example/fhir/Device/1"},{"reference":"https://other.example/Device/1"},
                {"reference":"#x"},{"identifier":{"value":"1"}},{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}]}"##,
            vec!["Device/1"],
        ),
    ] {
        assert_eq!(needs(&Doc::parse(text).unwrap(), BASE), expected, "{text}");
    }
    let many = (0..300)
        .map(|i| format!(r#"{{"reference":"Device/{i}"}}"#))
        .collect::<Vec<_>>()
        .join(",");
    let many = format!(r#"{{"resourceType":"Schedule","actor":[{many}]}}"#);
    assert_eq!(needs(&Doc::parse(many).unwrap(), BASE).len(), 100);
}

#[test]
fn what_is_not_active_says_so() {
    let inactive = |text: &str| text.replacen('{', r#"{"active":false,"#, 1);
    let doctor = inactive(&DOCTOR.replace(r#""active":true,"#, ""));
    let role = inactive(ROLE);
    let service = inactive(SERVICE);
    let room = ROOM.replace("active", "suspended");
    let house = HOUSE.replacen('{', r#"{"status":"inactive","#, 1);
    let late = ROLE.replacen('{', r#"{"period":{"end":"2026-06-30"},"#, 1);
    let cases: [(Vec<&str>, String, &str, &str); 7] = [
        (
            ALL.to_vec(),
            schedule(r#","active":false"#),
            "Schedule.active",
            "This Schedule is not active.",
        ),
        (
            vec![&doctor, ROLE, SERVICE, ROOM],
            schedule(""),
            "Schedule.actor[0]",
            "Practitioner/p is not active.",
        ),
        (
            vec![DOCTOR, &role, SERVICE, ROOM],
            schedule(""),
            "Schedule.actor[0]",
            "PractitionerRole/r is not active.",
        ),
        (
            vec![DOCTOR, ROLE, &service, ROOM],
            schedule(""),
            "Schedule.actor",
            "The services of its roles are not active.",
        ),
        (
            vec![DOCTOR, ROLE, SERVICE, &room],
            schedule(""),
            "Schedule.actor",
            "The places that its actors name are not active.",
        ),
        (
            vec![DOCTOR, ROLE, SERVICE, ROOM, &house],
            schedule(""),
            "Schedule.actor",
            "The places that its actors name are not active.",
        ),
        (
            vec![DOCTOR, &late, SERVICE, ROOM],
            schedule(r#","planningHorizon":{"start":"2026-07-01"}"#),
            "Schedule.planningHorizon",
            "There is no time in both its planningHorizon and the period of its PractitionerRole.",
        ),
    ];
    for (world, schedule, path, sentence) in cases {
        let refused = World::of(&world).refused(&schedule);
        assert_eq!(
            refused,
            [(path.to_owned(), sentence.to_owned())],
            "{schedule}"
        );
    }
    for (actor, sentence) in [
        (
            r#"{"reference":"Location/room"}"#,
            "Location/room is suspended.",
        ),
        (
            r#"{"reference":"Device/d"}"#,
            "Device/d is entered-in-error.",
        ),
    ] {
        let device = r#"{"resourceType":"Device","id":"d","status":"entered-in-error"}"#;
        let world = World::of(&[&room, device]);
        let schedule = format!(r#"{{"resourceType":"Schedule","id":"s","actor":[{actor}]}}"#);
        assert_eq!(world.refused(&schedule)[0].1, sentence);
    }
    for actor in [r##"{"reference":"#x"}"##, r#"{"identifier":{"value":"1"}}"#] {
        let schedule = format!(r#"{{"resourceType":"Schedule","id":"s","actor":[{actor}]}}"#);
        let refused = World::of(&[]).refused(&schedule);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].0, "Schedule.actor[0]");
    }
}

#[test]
fn of_several_places_those_that_are_not_active_are_left_out() {
    let role = ROLE.replace(
        r#"[{"reference":"Location/room"}]"#,
        r#"[{"reference":"Location/shut"},{"reference":"Location/room"},{"reference":"Location/gone"}]"#,
    );
    let shut = r#"{"resourceType":"Location","id":"shut","status":"inactive"}"#;
    let read = World::of(&[DOCTOR, &role, SERVICE, ROOM, HOUSE, shut]).bookable(&schedule(""));
    assert_eq!(read.facets.locations, ["Location/room", "Location/house"]);
    let sources: Vec<_> = read.hours.iter().map(|it| it.source.as_str()).collect();
    assert_eq!(
        sources,
        [
            "PractitionerRole/r",
            "HealthcareService/h",
            "Location/house"
        ]
    );
}

#[test]
fn hours_come_from_what_is_meant() {
    let other = r#"{"resourceType":"Location","id":"other","hoursOfOperation":[{"allDay":true}]}"#;
    let two = ROLE.replace(
        r#"[{"reference":"Location/room"}]"#,
        r#"[{"reference":"Location/room"},{"reference":"Location/other"}]"#,
    );
    let bare = ROLE
        .split(r#""availableTime""#)
        .next()
        .unwrap()
        .trim_end()
        .trim_end_matches(',')
        .to_owned()
        + "}";
    let own = ours(&[
        r#"{"url":"availableTime","extension":[{"url":"daysOfWeek","valueCode":"tue"},{"url":"daysOfWeek","valueCode":"thu"},{"url":"availableStartTime","valueTime":"22:00:00"},{"url":"availableEndTime","valueTime":"02:00:00"}]}"#,
    ]);
    let with_place = r#"{"resourceType":"Schedule","id":"s","actor":[{"reference":"PractitionerRole/r"},{"reference":"Location/other"}]}"#;
    let cases: [(Vec<&str>, String, &[&str]); 7] = [
        (
            ALL.to_vec(),
            schedule(""),
            &[
                "PractitionerRole/r",
                "HealthcareService/h",
                "Location/house",
            ],
        ),
        // Which of two places is not known, so neither's hours count.
        (
            vec![DOCTOR, &two, SERVICE, ROOM, HOUSE, other],
            schedule(""),
            &["PractitionerRole/r", "HealthcareService/h"],
        ),
        // The Schedule's own place, not that of the role.
        (
            vec![DOCTOR, ROLE, SERVICE, ROOM, HOUSE, other],
            with_place.to_owned(),
            &[
                "PractitionerRole/r",
                "HealthcareService/h",
                "Location/other",
            ],
        ),
        (
            vec![DOCTOR, &bare, SERVICE, ROOM, HOUSE],
            schedule(""),
            &["HealthcareService/h", "Location/house"],
        ),
        (vec![DOCTOR, &bare, ROOM], schedule(""), &[]),
        (ALL.to_vec(), schedule(&own), &["Schedule/s"]),
        (vec![DOCTOR, ROLE], schedule(""), &["PractitionerRole/r"]),
    ];
    for (world, schedule, expected) in cases {
        let read = World::of(&world).bookable(&schedule);
        let sources: Vec<_> = read.hours.iter().map(|it| it.source.as_str()).collect();
        assert_eq!(sources, expected, "{schedule}");
    }
    // Its own hours win, but the exceptions of all count, and hours alone make a default visit.
    let read = World::of(&ALL).bookable(&schedule(&own));
    assert_eq!(
        read.hours[0].weekly,
        [Daily {
            days: 0b1010,
            from: time(22, 0, 0, 0),
            to: time(2, 0, 0, 0)
        }]
    );
    assert_eq!(read.hours[0].closed.len(), 2);
    assert_eq!(read.visits.len(), 1);
    assert_eq!(read.visits[0].duration, 1800);
    assert_eq!(read.visits[0].service_types, [coding("urn:t", "ecg")]);
}

#[test]
fn exceptions_without_hours_close_all_the_same() {
    let more = ours(&[
        &lasts("duration", "1", "h"),
        r#"{"url":"notAvailable","extension":[{"url":"description","valueString":"Inventory"},{"url":"during","valuePeriod":{"start":"2026-03-01","end":"2026-03-01T12:00:00+01:00"}}]}"#,
    ]);
    let zone = r#"{"url":"http://hl7.org/fhir/StructureDefinition/timezone","valueCode":"Europe/Berlin"},"#;
    let more = more.replacen('[', &format!("[{zone}"), 1);
    let text = format!(
        r#"{{"resourceType":"Schedule","id":"s","actor":[{{"reference":"https://other.example/Device/1"}}]{more}}}"#
    );
    let read = World::of(&[]).bookable(&text);
    assert_eq!(read.actors[0].reference, "https://other.example/Device/1");
    assert_eq!(
        read.hours,
        [Hours {
            source: "Schedule/s".to_owned(),
            weekly: vec![ALWAYS],
            closed: vec![Closed::Local {
                from: Some(date(2026, 3, 1).at(0, 0, 0, 0)),
                to: Some(date(2026, 3, 1).at(12, 0, 0, 0)),
                why: "Inventory".to_owned(),
            }],
        }]
    );
}

#[test]
fn visits_are_the_schedules_or_else_the_services() {
    let service = SERVICE.replacen(
        '{',
        &format!("{{{},", &ours(&[&lasts("duration", "45", "min")])[1..]),
        1,
    );
    let world = World::of(&[DOCTOR, ROLE, &service]);
    let of_service = world.bookable(&schedule(""));
    assert_eq!(of_service.visits[0].duration, 2700);
    assert_eq!(of_service.visits[0].interval, 2700);
    assert_eq!(of_service.visits[0].service_types, [coding("urn:t", "ecg")]);
    let typed = r#","serviceType":[{"coding":[{"system":"urn:t","code":"mine"}]}]"#;
    let narrowed = world.bookable(&schedule(typed));
    assert_eq!(narrowed.visits[0].service_types, [coding("urn:t", "mine")]);
    let own = world.bookable(&schedule(&ours(&[&lasts("duration", "10", "min")])));
    assert_eq!(own.visits.len(), 1);
    assert_eq!(own.visits[0].duration, 600);
    let none = World::of(&[DOCTOR, ROLE, SERVICE]).bookable(&schedule(""));
    assert_eq!(none.visits, []);
}

#[test]
fn who_is_named_twice_is_one_actor() {
    let text = r#"{"resourceType":"Schedule","id":"s","actor":[{"reference":"Practitioner/p","display":"Dr W"},{"reference":"PractitionerRole/r"}]}"#;
    let read = World::of(&ALL).bookable(text);
    assert_eq!(read.actors.len(), 1);
    assert_eq!(read.actors[0].display.as_deref(), Some("Dr W"));
}

#[test]
fn a_fault_elsewhere_says_where() {
    let service = SERVICE.replacen(
        '{',
        &format!("{{{},", &ours(&[&lasts("duration", "0", "min")])[1..]),
        1,
    );
    let refused = World::of(&[DOCTOR, ROLE, &service]).refused(&schedule(""));
    assert_eq!(
        refused,
        [(
            "HealthcareService.extension[0].extension[0].valueDuration".to_owned(),
            "HealthcareService/h: duration must be from 1 minute to 24 hours.".to_owned()
        )]
    );
    let house = HOUSE.replace("Europe/Berlin", "Europe/Berlun");
    let refused = World::of(&[DOCTOR, ROLE, SERVICE, ROOM, &house]).refused(&schedule(""));
    assert_eq!(refused[0].0, "Location.extension[0].valueCode");
}
