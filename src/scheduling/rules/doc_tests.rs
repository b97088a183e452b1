//! The examples of docs/scheduling.md are what it says they are; and no document, however broken,
//! does harm.

use std::{collections::HashMap, sync::Arc};

use jiff::{civil::time, tz::TimeZone};
use resources::Doc;

use super::{Defaults, bookable, check, needs};
use crate::scheduling::{
    appointment::{Appointment, Slot},
    bookable::{Bookable, Daily, Per},
    claim::Number,
};

const GUIDE: &str = include_str!("../../../docs/scheduling.md");

fn examples() -> Vec<Doc> {
    let blocks = GUIDE.split("```json\n").skip(1);
    let texts = blocks.map(|block| block.split("```").next().unwrap());
    let docs = texts.map(|text| Doc::parse(text).unwrap_or_else(|error| panic!("{error}: {text}")));
    docs.filter(|doc| doc.resource_type().is_some()).collect()
}

fn defaults() -> Defaults {
    Defaults {
        zone: TimeZone::UTC,
        base: String::new(),
        number: |reference| Number(reference.len() as i64),
    }
}

fn read(docs: &[Doc], id: &str) -> Bookable {
    let mut by_reference = HashMap::new();
    let mut schedule = None;
    for doc in docs {
        let own = doc.root().get("id").unwrap().plain_str().unwrap();
        let kind = doc.resource_type().unwrap();
        if kind == "Schedule" && own == id {
            schedule = Some(doc);
        }
        by_reference.insert(format!("{kind}/{own}"), Arc::new(doc.clone()));
    }
    let get = |reference: &str| by_reference.get(reference).cloned();
    let schedule = schedule.unwrap();
    bookable(1, schedule, &get, &defaults()).unwrap_or_else(|issues| panic!("{issues:#?}"))
}

#[test]
fn the_examples_of_the_guide_are_right() {
    let docs = examples();
    assert!(docs.len() >= 5);
    for doc in &docs {
        assert_eq!(profiles::validate(doc), [], "{}", doc.text());
        assert_eq!(check(doc), [], "{}", doc.text());
    }
    let doctor = read(&docs, "weiss");
    assert_eq!(doctor.zone.iana_name(), Some("Europe/Berlin"));
    let durations: Vec<_> = doctor
        .visits
        .iter()
        .map(|it| (it.duration, it.interval))
        .collect();
    assert_eq!(durations, [(2400, 1200), (1200, 1200)]);
    assert_eq!(doctor.visits[0].quotas, [(Per::Day, 4)]);
    let sources: Vec<_> = doctor.hours.iter().map(|it| it.source.as_str()).collect();
    assert_eq!(sources, ["PractitionerRole/weiss", "Location/house"]);
    assert_eq!(doctor.hours[0].closed.len(), 2);
    assert!(doctor.planning.is_some());
    let group = read(&docs, "sleep-group");
    assert_eq!(
        group.hours[0].weekly,
        [Daily {
            days: 0b1010,
            from: time(22, 0, 0, 0),
            to: time(1, 0, 0, 0),
        }]
    );
    let visit = &group.visits[0];
    assert_eq!(
        (visit.capacity, visit.overbook, visit.needs_approval),
        (8, 2, true)
    );
}

#[test]
fn every_part_of_the_extension_is_in_the_guide() {
    let table = GUIDE.split("### The extension").nth(1).unwrap();
    let known = crate::scheduling::policy::KNOWN;
    for name in known.split([',', ' ']).filter(|name| !name.is_empty()) {
        assert!(table.contains(&format!("`{name}`")), "{name}");
    }
}

const VISIT: &str = r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-11-25T09:00:00Z","end":"2026-11-25T09:30:00Z","minutesDuration":20,"slot":[{"reference":"Slot/1"}],"requestedPeriod":[{"start":"2026","end":"2027"}],"cancelationReason":{"text":"x"},"extension":[{"url":"urn:rotunda:StructureDefinition:hold-expires","valueInstant":"2026-11-24T10:10:00Z"}],"participant":[{"actor":{"reference":"Patient/p","display":"A"},"status":"accepted","required":"required","period":{"start":"2026-01-01"},"type":[{"coding":[{"code":"ATND"}]}]}]}"#;

/// All ways to replace one value by another that should not be there.
fn damaged(doc: &Doc) -> impl Iterator<Item = Doc> {
    const OTHERS: [&str; 10] = [
        "null",
        "true",
        "-1",
        "1e400",
        "[]",
        "{}",
        "\"\"",
        "\"9999-12-31\"",
        "[null]",
        "\"#\"",
    ];
    doc.root().descendants().flat_map(move |value| {
        let replaced = move |with: &'static str| {
            let text = doc.splice(&[(value.span(), with)]);
            Doc::parse(text).unwrap()
        };
        OTHERS.into_iter().map(replaced)
    })
}

#[test]
fn no_damage_does_harm() {
    let mut docs = examples();
    docs.push(Doc::parse(VISIT).unwrap());
    docs.push(Doc::parse(VISIT.replace("\"Appointment\"", "\"Slot\"")).unwrap());
    let own: Vec<_> = docs.iter().map(|doc| Arc::new(doc.clone())).collect();
    let find = |kind: &str| {
        own.iter()
            .find(|doc| doc.resource_type() == Some(kind))
            .cloned()
    };
    let mut count = 0;
    for doc in &docs {
        for broken in damaged(doc) {
            count += 1;
            check(&broken);
            needs(&broken, "");
            let _ = Appointment::read(&broken, "");
            let _ = Slot::read(&broken, "");
            let kind = broken.resource_type().unwrap_or_default().to_owned();
            let broken = Arc::new(broken);
            let get = |reference: &str| {
                let wanted = reference.split('/').next().unwrap_or_default();
                match wanted == kind {
                    true => Some(broken.clone()),
                    false => find(wanted),
                }
            };
            let schedule = get("Schedule/x").unwrap();
            let _ = bookable(1, &schedule, &get, &defaults());
        }
    }
    assert!(count > 3000, "{count}");
}
