//! What is wrong with hours, zones and our extension, and where.

use resources::outcome::Severity;

use super::check;
use resources::Doc;

/// `E` or `W`, where, and a part of the sentence; in order.
type Expected = (&'static str, &'static str, &'static str);

fn found(text: &str) -> Vec<(&'static str, String, String)> {
    let doc = Doc::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let issues = check(&doc).into_iter().map(|issue| {
        let severity = match issue.severity {
            Severity::Warning => "W",
            _ => "E",
        };
        (
            severity,
            issue.expression.unwrap_or_default(),
            issue.diagnostics,
        )
    });
    issues.collect()
}

fn assert_found(text: &str, expected: &[Expected]) {
    let found = found(text);
    let is_same = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| {
            found.0 == expected.0 && found.1 == expected.1 && found.2.contains(expected.2)
        });
    assert!(is_same, "{text}\n{found:#?}\nexpected {expected:#?}");
}

/// A Schedule whose first extension is ours, with these parts.
fn with(parts: &str) -> String {
    format!(
        r#"{{"resourceType":"Schedule","id":"s","actor":[{{"reference":"PractitionerRole/p"}}],
            "extension":[{{"url":"urn:rotunda:StructureDefinition:scheduling-parameters","extension":[{parts}]}}]}}"#
    )
}

fn lasts(name: &str, duration: &str) -> String {
    format!(r#"{{"url":"{name}","valueDuration":{{{duration}}}}}"#)
}

#[test]
fn durations() {
    const AT: &str = "Schedule.extension[0].extension[0].valueDuration";
    for (name, duration, expected) in [
        ("duration", r#""value":20,"code":"min""#, None),
        (
            "duration",
            r#""value":20.0,"code":"min","unit":"Minuten""#,
            None,
        ),
        ("duration", r#""value":0.5,"code":"h""#, None),
        ("duration", r#""value":1e1,"code":"min""#, None),
        ("duration", r#""value":1,"code":"d""#, None),
        ("duration", r#""value":120,"code":"s""#, None),
        (
            "duration",
            r#""value":0,"code":"min""#,
            Some(("", "from 1 minute to 24 hours")),
        ),
        (
            "duration",
            r#""value":-5,"code":"min""#,
            Some(("", "from 1 minute to 24 hours")),
        ),
        (
            "duration",
            r#""value":25,"code":"h""#,
            Some(("", "from 1 minute to 24 hours")),
        ),
        (
            "duration",
            r#""value":90,"code":"s""#,
            Some(("", "whole minutes")),
        ),
        (
            "duration",
            r#""value":0.001,"code":"s""#,
            Some((".value", "whole number of seconds")),
        ),
        (
            "duration",
            r#""value":1e300,"code":"min""#,
            Some((".value", "in range")),
        ),
        (
            "duration",
            r#""value":99999999999999999999,"code":"wk""#,
            Some((".value", "in range")),
        ),
        ("duration", r#""code":"min""#, Some(("", "needs a value"))),
        (
            "duration",
            r#""value":20,"unit":"min""#,
            Some(("", "needs a code")),
        ),
        (
            "duration",
            r#""value":20,"code":"mo""#,
            Some((".code", "'mo' is not s, min")),
        ),
        (
            "duration",
            r#""value":20,"code":"mg""#,
            Some((".code", "'mg' is not s, min")),
        ),
        (
            "duration",
            r#""value":20,"code":"min","system":"urn:x""#,
            Some((".system", "unitsofmeasure")),
        ),
        (
            "duration",
            r#""value":20,"code":"min","comparator":"<""#,
            Some((".comparator", "exact")),
        ),
        (
            "interval",
            r#""value":0,"code":"min""#,
            Some(("", "from 1 minute")),
        ),
        ("bufferBefore", r#""value":0,"code":"min""#, None),
        (
            "bufferBefore",
            r#""value":-1,"code":"min""#,
            Some(("", "from 0 to 24 hours")),
        ),
        (
            "bufferAfter",
            r#""value":-1,"code":"min""#,
            Some(("", "from 0 to 24 hours")),
        ),
        (
            "minimumNotice",
            r#""value":-1,"code":"h""#,
            Some(("", "from 0 to 1830 days")),
        ),
        ("minimumNotice", r#""value":61,"code":"s""#, None),
        (
            "horizon",
            r#""value":0,"code":"d""#,
            Some(("", "from 1 minute to 1830 days")),
        ),
        (
            "horizon",
            r#""value":300,"code":"wk""#,
            Some(("", "to 1830 days")),
        ),
        (
            "holdFor",
            r#""value":31,"code":"min""#,
            Some(("", "from 1 second to 30 minutes")),
        ),
        ("holdFor", r#""value":45,"code":"s""#, None),
    ] {
        let text = with(&lasts(name, duration));
        let found = found(&text);
        match expected {
            None => assert_eq!(found, [], "{name} {duration}"),
            Some((below, sentence)) => {
                assert_eq!(found.len(), 1, "{name} {duration} {found:?}");
                assert_eq!(found[0].0, "E");
                assert_eq!(found[0].1, format!("{AT}{below}"), "{name} {duration}");
                assert!(found[0].2.contains(sentence), "{name} {duration} {found:?}");
            }
        }
    }
}

#[test]
fn parts_of_the_extension() {
    const PART: &str = "Schedule.extension[0].extension[0]";
    let most = |part: &str| format!(r#"{{"url":"limit","extension":[{part}]}}"#);
    let limit = |per: &str, most: u32| {
        format!(
            r#"{{"url":"limit","extension":[{{"url":"per","valueCode":"{per}"}},{{"url":"most","valuePositiveInt":{most}}}]}}"#
        )
    };
    let minutes = |name: &str, value: u32| lasts(name, &format!(r#""value":{value},"code":"min""#));
    let cases: &[(String, &[Expected])] = &[
        (r#"{"url":"colour","valueCode":"red"}"#.into(), &[("E", PART, "'colour' is not known here")]),
        (r#"{"url":"Duration","valueCode":"red"}"#.into(), &[("E", PART, "'Duration' is not known")]),
        (r#"{"url":"duration","valueInteger":5}"#.into(), &[("E", PART, "duration takes valueDuration, not valueInteger.")]),
        (r#"{"url":"duration"}"#.into(), &[("E", PART, "duration takes valueDuration.")]),
        (r#"{"url":"serviceType","valueCodeableConcept":{"text":"Check-up"}}"#.into(), &[("E", "Schedule.extension[0].extension[0].valueCodeableConcept", "needs a coding")]),
        (r#"{"url":"serviceType","valueCode":"x"}"#.into(), &[("E", PART, "takes valueCodeableConcept")]),
        (r#"{"url":"capacity","valuePositiveInt":0}"#.into(), &[("E", "Schedule.extension[0].extension[0].valuePositiveInt", "from 1 to 1000")]),
        (r#"{"url":"capacity","valuePositiveInt":1001}"#.into(), &[("E", "Schedule.extension[0].extension[0].valuePositiveInt", "from 1 to 1000")]),
        (r#"{"url":"overbook","valueUnsignedInt":70000}"#.into(), &[("E", "Schedule.extension[0].extension[0].valueUnsignedInt", "from 0 to 1000")]),
        (r#"{"url":"overbook","valueUnsignedInt":2}"#.into(), &[("W", "Schedule.extension[0]", "more than capacity")]),
        (r#"{"url":"overbook","valueUnsignedInt":1}"#.into(), &[]),
        (r#"{"url":"bufferPolicy","valueCode":"none"}"#.into(), &[("E", "Schedule.extension[0].extension[0].valueCode", "'none' is not stack")]),
        (r#"{"url":"needsApproval","valueBoolean":true},{"url":"needsApproval","valueBoolean":true}"#.into(), &[("E", "Schedule.extension[0].extension[1]", "stands twice")]),
        (limit("day", 3), &[]),
        (limit("year", 3), &[("E", "Schedule.extension[0].extension[0].extension[0].valueCode", "'year' is not day")]),
        (limit("day", 0), &[("E", "Schedule.extension[0].extension[0].extension[1].valuePositiveInt", "from 1")]),
        (most(r#"{"url":"most","valuePositiveInt":1}"#), &[("E", PART, "needs per")]),
        (most(r#"{"url":"per","valueCode":"day"},{"url":"most","valuePositiveInt":1},{"url":"of","valueCode":"x"}"#), &[("E", "Schedule.extension[0].extension[0].extension[2]", "'of' is not known here; there are per, most")]),
        (limit("day", 3) + "," + &limit("day", 4), &[("E", "Schedule.extension[0].extension[1]", "already")]),
        (limit("day", 9) + "," + &limit("week", 4), &[("W", "Schedule.extension[0]", "no effect")]),
        (limit("day", 1) + "," + &limit("week", 4), &[]),
        (lasts("minimumNotice", r#""value":1,"code":"wk""#) + "," + &lasts("horizon", r#""value":7,"code":"d""#), &[("E", "Schedule.extension[0]", "nothing could ever be booked")]),
        (minutes("bufferAfter", 5) + r#",{"url":"bufferPolicy","valueCode":"ignore"}"#, &[("W", "Schedule.extension[0]", "no effect")]),
        (minutes("bufferAfter", 90) + r#",{"url":"capacity","valuePositiveInt":4}"#, &[("W", "Schedule.extension[0]", "longer than the visit")]),
    ];
    for (parts, expected) in cases {
        assert_found(&with(parts), expected);
    }
}

#[test]
fn hours_of_the_extension() {
    const PART: &str = "Schedule.extension[0].extension[0]";
    let window = |parts: &str| format!(r#"{{"url":"availableTime","extension":[{parts}]}}"#);
    let closed = |parts: &str| format!(r#"{{"url":"notAvailable","extension":[{parts}]}}"#);
    let from = r#"{"url":"availableStartTime","valueTime":"08:00:00"}"#;
    let to = r#"{"url":"availableEndTime","valueTime":"12:00:00"}"#;
    let all_day = r#"{"url":"allDay","valueBoolean":true}"#;
    let period = |period: &str| format!(r#"{{"url":"during","valuePeriod":{{{period}}}}}"#);
    let cases: &[(String, &[Expected])] = &[
        (window(&format!("{from},{to}")), &[]),
        (window(all_day), &[]),
        (window(r#"{"url":"daysOfWeek","valueCode":"mon"}"#), &[]),
        (
            window(from),
            &[("E", PART, "availableStartTime without availableEndTime")],
        ),
        (
            window(to),
            &[("E", PART, "availableEndTime without availableStartTime")],
        ),
        (
            window(&format!("{from},{to},{all_day}")),
            &[("E", PART, "allDay goes with neither")],
        ),
        (
            window(&format!("{from},{from},{to}")),
            &[(
                "E",
                "Schedule.extension[0].extension[0].extension[1]",
                "stands twice",
            )],
        ),
        (
            window(&format!(
                r#"{from},{to},{{"url":"daysOfWeek","valueCode":"monday"}}"#
            )),
            &[("E", PART, "'monday' is no day")],
        ),
        (
            window(&format!(
                r#"{from},{to},{{"url":"daysOfWeek","valueString":"mon"}}"#
            )),
            &[(
                "E",
                "Schedule.extension[0].extension[0].extension[2]",
                "takes valueCode",
            )],
        ),
        (
            window(&format!(
                r#"{from},{to},{{"url":"openingTime","valueTime":"08:00:00"}}"#
            )),
            &[(
                "E",
                "Schedule.extension[0].extension[0].extension[2]",
                "'openingTime' is not known here",
            )],
        ),
        (
            window(&format!("{from},{}", from.replace("Start", "End"))),
            &[("W", PART, "24 hours")],
        ),
        (
            closed(&period(r#""start":"2026-12-24","end":"2026-12-24""#)),
            &[],
        ),
        (
            closed(&period(r#""start":"2026-12-25","end":"2026-12-24""#)),
            &[(
                "E",
                "Schedule.extension[0].extension[0].extension[0].valuePeriod",
                "before the start",
            )],
        ),
        (closed(&period(r#""end":"2026-12-24""#)), &[]),
        (
            closed(r#"{"url":"description","valueString":"Holiday"}"#),
            &[("E", PART, "closes nothing")],
        ),
        (
            closed(r#"{"url":"when","valueString":"Holiday"}"#),
            &[
                (
                    "E",
                    "Schedule.extension[0].extension[0].extension[0]",
                    "'when' is not known here",
                ),
                ("E", PART, "closes nothing"),
            ],
        ),
    ];
    for (parts, expected) in cases {
        assert_found(&with(parts), expected);
    }
}

#[test]
fn instances_of_the_extension() {
    const OURS: &str = "urn:rotunda:StructureDefinition:scheduling-parameters";
    let visit = |code: &str| {
        format!(
            r#"{{"url":"{OURS}","extension":[{{"url":"serviceType","valueCodeableConcept":{{"coding":[{{"code":"{code}"}}]}}}}]}}"#
        )
    };
    let hours = format!(
        r#"{{"url":"{OURS}","extension":[{{"url":"availableTime","extension":[{{"url":"allDay","valueBoolean":true}}]}}]}}"#
    );
    for (instances, expected) in [
        (vec![visit("a"), visit("b"), hours.clone()], vec![]),
        (
            vec![visit("a"), visit("a")],
            vec![("W", "Schedule.extension[1]", "never chosen")],
        ),
        (
            vec![hours.clone(), visit("a"), hours.clone()],
            vec![("E", "Schedule.extension[2]", "another Schedule")],
        ),
    ] {
        let text = format!(
            r#"{{"resourceType":"Schedule","actor":[{{"reference":"Location/1"}}],"extension":[{}]}}"#,
            instances.join(",")
        );
        assert_found(&text, &expected);
    }
    let of = |kind: &str, parts: &str| {
        format!(
            r#"{{"resourceType":"{kind}","extension":[{{"url":"{OURS}","extension":[{parts}]}}]}}"#
        )
    };
    let approval = r#"{"url":"needsApproval","valueBoolean":true}"#;
    let open = r#"{"url":"availableTime","extension":[{"url":"allDay","valueBoolean":true}]}"#;
    assert_found(&of("HealthcareService", approval), &[]);
    assert_found(
        &of("HealthcareService", open),
        &[(
            "E",
            "HealthcareService.extension[0].extension[0]",
            "on Schedules only",
        )],
    );
    for kind in ["PractitionerRole", "Location", "Patient"] {
        let expected = ("W", format!("{kind}.extension[0]"));
        let found = found(&of(kind, approval));
        assert_eq!((found[0].0, found[0].1.clone()), expected);
    }
}

#[test]
fn zones_hours_and_periods_of_the_standard() {
    let zone = |kind: &str, value: &str| {
        format!(
            r#"{{"resourceType":"{kind}","extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/timezone",{value}}}]}}"#
        )
    };
    let role = |window: &str| {
        format!(
            r#"{{"resourceType":"PractitionerRole","availableTime":[{{"allDay":true}},{{{window}}}]}}"#
        )
    };
    let service = |period: &str| {
        format!(
            r#"{{"resourceType":"HealthcareService","notAvailable":[{{"description":"x"{period}}}]}}"#
        )
    };
    let place = |window: &str| {
        format!(r#"{{"resourceType":"Location","hoursOfOperation":[{{{window}}}]}}"#)
    };
    let plan = |period: &str| {
        format!(
            r#"{{"resourceType":"Schedule","actor":[{{"reference":"Device/1"}}],"planningHorizon":{{{period}}}}}"#
        )
    };
    let address = r#"{"resourceType":"Location","address":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/timezone","valueCode":"Mars/Olympus"}]}}"#;
    let cases: &[(String, &[Expected])] = &[
        (zone("Location", r#""valueCode":"America/New_York""#), &[]),
        (
            zone("Location", r#""valueCode":"EST5EDT4""#),
            &[(
                "E",
                "Location.extension[0].valueCode",
                "'EST5EDT4' is no time zone",
            )],
        ),
        (
            zone("Schedule", r#""valueCode":"+02:00""#),
            &[("E", "Schedule.extension[0].valueCode", "no time zone")],
        ),
        (
            zone("PractitionerRole", r#""valueCode":"Etc/Unknown""#),
            &[(
                "E",
                "PractitionerRole.extension[0].valueCode",
                "no time zone",
            )],
        ),
        (
            zone("HealthcareService", r#""valueString":"UTC""#),
            &[(
                "E",
                "HealthcareService.extension[0]",
                "takes valueCode, not valueString",
            )],
        ),
        (zone("Patient", r#""valueCode":"Nowhere""#), &[]),
        (
            address.into(),
            &[(
                "E",
                "Location.address.extension[0].valueCode",
                "Mars/Olympus",
            )],
        ),
        (
            role(r#""availableStartTime":"08:00:00","availableEndTime":"06:00:00""#),
            &[],
        ),
        (
            role(r#""availableStartTime":"08:00:00""#),
            &[("W", "PractitionerRole.availableTime[1]", "until midnight")],
        ),
        (
            role(r#""allDay":true,"availableStartTime":"08:00:00""#),
            &[("W", "PractitionerRole.availableTime[1]", "it wins")],
        ),
        (
            role(r#""allDay":false"#),
            &[("W", "PractitionerRole.availableTime[1]", "whole days")],
        ),
        (
            place(r#""closingTime":"18:00:00""#),
            &[(
                "W",
                "Location.hoursOfOperation[0]",
                "closingTime without openingTime",
            )],
        ),
        (
            place(r#""openingTime":"00:00:00","closingTime":"23:59:59""#),
            &[],
        ),
        (
            service(""),
            &[("W", "HealthcareService.notAvailable[0]", "closes nothing")],
        ),
        (
            service(r#","during":{"start":"2026-02-02","end":"2026-02-01"}"#),
            &[(
                "W",
                "HealthcareService.notAvailable[0].during",
                "before the start",
            )],
        ),
        (
            service(r#","during":{"start":"2026-02-02","end":"2026-02-02"}"#),
            &[],
        ),
        (
            plan(r#""start":"2026-01-01","end":"2025""#),
            &[("E", "Schedule.planningHorizon", "before the start")],
        ),
        (plan(r#""start":"2026-06-01","end":"2026""#), &[]),
        (
            plan(r#""start":"2026-06-01T10:00:00Z","end":"2026-06-01T11:00:00+02:00""#),
            &[("E", "Schedule.planningHorizon", "before the start")],
        ),
    ];
    for (text, expected) in cases {
        assert_found(text, expected);
    }
}

#[test]
fn actors_that_cannot_be_told_from_others() {
    let text =
        with(r#"{"url":"needsApproval","valueBoolean":true}"#).replace("PractitionerRole/p", "#p");
    assert_found(&text, &[("W", "Schedule.actor[0]", "contained or logical")]);
}

#[test]
fn whoever_is_always_open_is_told() {
    let window = r#"{"url":"availableTime","extension":[{"url":"allDay","valueBoolean":true}]}"#;
    let approval = r#"{"url":"needsApproval","valueBoolean":true}"#;
    for (actor, parts, is_told) in [
        ("Practitioner/p", approval.to_owned(), true),
        ("Device/d", approval.to_owned(), true),
        ("Practitioner/p", format!("{approval},{window}"), false),
        ("Practitioner/p", window.to_owned(), false),
        ("PractitionerRole/p", approval.to_owned(), false),
        ("https://other.example/Device/1", approval.to_owned(), true),
        ("https://other.example/x", approval.to_owned(), false),
    ] {
        let text = with(&parts).replace("PractitionerRole/p", actor);
        let expected: &[Expected] = match is_told {
            true => &[("W", "Schedule.extension[0]", "open at all times")],
            false => &[],
        };
        assert_found(&text, expected);
    }
}
