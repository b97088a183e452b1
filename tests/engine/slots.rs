//! Slots that nobody stored: what searches and reads find of them, beside stored ones.

use resources::Doc;
use rotunda::{
    access::Access,
    engine::{BookingCall, ErrorKind, Operation, Target},
};

use crate::{fixture::*, grants::granted};

on_both_databases!(
    every_parameter_finds_computed_slots,
    pages_of_stored_and_computed_slots_are_one_list,
    what_is_booked_held_and_closed_shows_at_once,
    stored_slots_hide_computed_ones,
    computed_slots_are_read_included_and_changed,
    access_to_slots_is_access_to_computed_ones,
);

const RULES: &str = "urn:rotunda:StructureDefinition:scheduling-parameters";
const ZONE: &str =
    r#"{"url":"http://hl7.org/fhir/StructureDefinition/timezone","valueCode":"Europe/Berlin"}"#;

fn minutes(name: &str, minutes: u32) -> String {
    format!(
        r#"{{"url":"{name}","valueDuration":{{"value":{minutes},"unit":"min","system":"http://unitsofmeasure.org","code":"min"}}}}"#
    )
}

fn role(to: &str) -> String {
    format!(
        r#"{{"resourceType":"PractitionerRole","id":"r1","practitioner":{{"reference":"Practitioner/p1"}},
        "specialty":[{{"coding":[{{"system":"http://snomed.info/sct","code":"394579002"}}]}}],
        "availableTime":[{{"daysOfWeek":["mon","tue","wed","thu","fri"],"availableStartTime":"09:00:00","availableEndTime":"{to}"}}]}}"#
    )
}

/// From Friday 2026-11-20 on two Schedules, a week ahead: `s1` has six half hours a day from nine,
/// `s2` two hours from ten, on the clock of Berlin.
async fn clinic(on: Database) -> Fixture {
    let f = Fixture::new(on).await;
    let week = minutes("horizon", 7 * 24 * 60);
    for text in [
        r#"{"resourceType":"Practitioner","id":"p1","identifier":[{"system":"urn:npi","value":"1"}]}"#,
        r#"{"resourceType":"Practitioner","id":"p2","identifier":[{"system":"urn:npi","value":"2"}]}"#,
        r#"{"resourceType":"Location","id":"room","status":"active"}"#,
        r#"{"resourceType":"Patient","id":"a"}"#,
        &role("12:00:00"),
        &format!(
            r#"{{"resourceType":"Schedule","id":"s1","actor":[{{"reference":"PractitionerRole/r1"}}],
            "extension":[{ZONE},{{"url":"{RULES}","extension":[{},{week}]}}]}}"#,
            minutes("duration", 30)
        ),
        &format!(
            r#"{{"resourceType":"Schedule","id":"s2","actor":[{{"reference":"Practitioner/p2"}},{{"reference":"Location/room"}}],
            "serviceCategory":[{{"coding":[{{"system":"urn:c","code":"gp"}}]}}],
            "extension":[{ZONE},{{"url":"{RULES}","extension":[
              {{"url":"serviceType","valueCodeableConcept":{{"coding":[{{"system":"urn:v","code":"new"}}]}}}},
              {{"url":"appointmentType","valueCodeableConcept":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0276","code":"CHECKUP"}}]}}}},
              {},{week},
              {{"url":"availableTime","extension":[
                {{"url":"daysOfWeek","valueCode":"mon"}},{{"url":"daysOfWeek","valueCode":"tue"}},
                {{"url":"daysOfWeek","valueCode":"wed"}},{{"url":"daysOfWeek","valueCode":"thu"}},
                {{"url":"daysOfWeek","valueCode":"fri"}},
                {{"url":"availableStartTime","valueTime":"10:00:00"}},
                {{"url":"availableEndTime","valueTime":"12:00:00"}}]}}]}}]}}"#,
            minutes("duration", 60)
        ),
    ] {
        f.put(text).await;
    }
    f
}

fn slot(id: &str, schedule: &str, status: &str, start: &str, end: &str) -> String {
    format!(
        r#"{{"resourceType":"Slot","id":"{id}","schedule":{{"reference":"Schedule/{schedule}"}},"status":"{status}","start":"2026-11-{start}Z","end":"2026-11-{end}Z"}}"#
    )
}

fn appointment(id: &str, slot: &str, start: &str, end: &str) -> String {
    format!(
        r#"{{"resourceType":"Appointment","id":"{id}","status":"booked","slot":[{{"reference":"Slot/{slot}"}}],
        "start":"2026-11-{start}Z","end":"2026-11-{end}Z",
        "participant":[{{"actor":{{"reference":"Patient/a"}},"status":"accepted"}},{{"actor":{{"reference":"PractitionerRole/r1"}},"status":"accepted"}}]}}"#
    )
}

/// All hits, page by page.
async fn pages(f: &Fixture, query: &str) -> Vec<String> {
    let (mut all, mut next) = (Vec::new(), query.to_owned());
    for _ in 0..500 {
        let page = f.search(&next).await.unwrap();
        all.extend(identities(&page));
        match link(&page, "next") {
            Some(url) => next = relative(&url),
            None => return all,
        }
    }
    panic!("{query} has no end");
}

async fn all(f: &Fixture, query: &str) -> Vec<String> {
    let page = f.search(&format!("{query}&_count=1000")).await.unwrap();
    assert_eq!(link(&page, "next"), None, "{query}");
    identities(&page)
}

async fn only(f: &Fixture, query: &str) -> String {
    let found = all(f, query).await;
    assert_eq!(found.len(), 1, "{query}: {found:?}");
    found[0].trim_start_matches("Slot/").to_owned()
}

fn total(bundle: &Doc) -> u64 {
    at(bundle.root(), "total").parse().unwrap()
}

async fn every_parameter_finds_computed_slots(on: Database) {
    let f = clinic(on).await;
    let nine = only(&f, "Slot?schedule=s1&start=2026-11-24T08:00:00Z").await;
    f.put(&appointment("x", &nine, "24T08:00:00", "24T08:30:00"))
        .await;
    for (query, expected) in [
        ("_id:missing=false", 40),
        ("schedule=s1", 30),
        ("schedule=Schedule/s2", 10),
        ("schedule=http://h/fhir/Schedule/s2", 10),
        ("schedule=s1,s2", 40),
        ("schedule=s1&schedule=s2", 0),
        ("schedule=none", 0),
        ("schedule:missing=true", 0),
        ("start=2026-11-24", 8),
        ("start=ge2026-11-24&start=lt2026-11-25", 8),
        ("start=ge2026-11-24T09:00:00Z&start=lt2026-11-25", 6),
        ("start=gt2026-11-24T09:00:00Z&start=lt2026-11-25", 4),
        ("start=ge2026-11-24T10:00:00%2B01:00&start=lt2026-11-25", 6),
        ("start=2026-11-24,2026-11-25", 16),
        ("start=ge2027-01-01", 0),
        ("start=lt2026-11-24", 16),
        ("start=lt2026-11-20", 200),
        ("status=free", 39),
        ("status=busy", 1),
        ("status=free,busy", 40),
        ("status:not=free", 1),
        ("status=busy-unavailable", 0),
        ("schedule=s1&start=ge2026-11-24&status=free", 17),
        ("schedule.actor=PractitionerRole/r1", 30),
        ("schedule.actor=Practitioner/p2", 10),
        ("schedule.actor:Practitioner.identifier=urn:npi|2", 10),
        (
            "schedule:Schedule.actor:Practitioner.identifier=urn:npi|2",
            10,
        ),
        (
            "schedule.actor:PractitionerRole.practitioner.identifier=urn:npi|1",
            30,
        ),
        ("schedule.actor:Location._id=room", 10),
        ("schedule.actor:Location._id=none", 0),
        ("specialty=http://snomed.info/sct|394579002", 30),
        ("specialty=394579002", 30),
        ("specialty:not=394579002", 10),
        ("service-type=urn:v|new", 10),
        ("service-category=gp", 10),
        ("appointment-type=CHECKUP", 10),
        ("appointment-type:missing=true", 30),
        ("identifier=urn:x|1", 0),
        ("_lastUpdated=ge2026-11-20", 40),
        ("_lastUpdated=lt2026-11-20", 0),
        ("_has:Appointment:slot:patient=a", 1),
        ("_has:Appointment:slot:patient=b", 0),
        ("_filter=status eq busy", 1),
        ("_filter=schedule eq s2 and start ge 2026-11-25", 4),
    ] {
        let query = format!("Slot?{}", query.replace(' ', "%20"));
        let found = all(&f, &query).await;
        assert_eq!(found.len(), expected, "{query}");
        let counted = f.search(&format!("{query}&_summary=count")).await.unwrap();
        assert_eq!(total(&counted), expected as u64, "{query}");
        let one = format!("{query}&_count=1&_total=accurate");
        let one = f.search(&one).await.unwrap();
        assert_eq!(total(&one), expected as u64, "{query}");
    }
    assert_eq!(only(&f, &format!("Slot?_id={nine}")).await, nine);
    let two = format!("Slot?_id={nine},none&status=busy");
    assert_eq!(only(&f, &two).await, nine);
    assert!(
        all(&f, &format!("Slot?_id={nine}&status=free"))
            .await
            .is_empty()
    );
    // What is over is found by whoever asks for it.
    f.clock.advance(5 * 24 * 3_600_000);
    assert_eq!(
        all(&f, "Slot?schedule=s2&start=lt2026-11-25").await.len(),
        50
    );
    assert_eq!(
        all(&f, "Slot?schedule=s2&start=ge2026-11-23&start=lt2026-11-25")
            .await
            .len(),
        4
    );
}

async fn pages_of_stored_and_computed_slots_are_one_list(on: Database) {
    let f = clinic(on).await;
    for text in [
        slot("a", "s1", "free", "24T08:00:00", "24T08:30:00"),
        slot("b", "s1", "busy", "24T09:00:00", "24T09:30:00"),
        slot("c", "s2", "busy-unavailable", "25T09:00:00", "25T10:00:00"),
        slot("d", "s1", "free", "24T12:00:00", "24T12:30:00"),
        slot("e", "s1", "free", "26T05:00:00", "26T05:30:00"),
        slot("f", "s2", "free", "20T05:00:00", "20T05:30:00"),
    ] {
        f.put(&text).await;
    }
    for filter in [
        "",
        "&status=free",
        "&schedule=s1",
        "&start=2026-11-24",
        "&status:not=free",
    ] {
        for sort in [
            "",
            "start",
            "-start",
            "_id",
            "-_id",
            "status,-start",
            "schedule,start",
        ] {
            let query = format!("Slot?_format=json{filter}");
            let query = match sort {
                "" => query,
                sort => format!("{query}&_sort={sort}"),
            };
            let expected = all(&f, &query).await;
            let mut unique = expected.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), expected.len(), "{query}");
            for count in [1, 3, 20, 43] {
                let found = pages(&f, &format!("{query}&_count={count}")).await;
                assert_eq!(found, expected, "{query} by {count}");
            }
            if let "start" | "-start" = sort {
                let page = f.search(&format!("{query}&_count=1000")).await.unwrap();
                let starts = entries(&page).into_iter().map(|entry| {
                    let text = at(entry, "resource.start");
                    resources::primitive::DateRange::parse(&text).unwrap().lo
                });
                let starts: Vec<i64> = starts.collect();
                assert!(match sort {
                    "start" => starts.is_sorted(),
                    _ => starts.is_sorted_by(|a, b| a >= b),
                });
            }
        }
    }
    assert_eq!(all(&f, "Slot?_sort=start").await.len(), 43);
}

async fn what_is_booked_held_and_closed_shows_at_once(on: Database) {
    let f = clinic(on).await;
    let other = f.beside().await;
    let nine = only(&f, "Slot?schedule=s1&start=2026-11-24T08:00:00Z").await;
    assert_eq!(all(&other, "Slot?status=busy").await.len(), 0);
    f.put(&appointment("x", &nine, "24T08:00:00", "24T08:30:00"))
        .await;
    for f in [&f, &other] {
        assert_eq!(only(f, "Slot?status=busy").await, nine);
    }
    f.one(delete("Appointment", Target::Id("x".to_owned())))
        .await
        .unwrap();
    assert_eq!(all(&f, "Slot?status=busy").await.len(), 0);

    let call = |pairs: &[(&str, &str)], body: Option<Doc>| BookingCall {
        pairs: pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body,
        id: None,
        key: None,
        strict: true,
    };
    let asked = call(&[("practitioner", "p1"), ("patient", "a")], None);
    let found = doc(&f.engine.find_appointments(&asked, &ALL).await.unwrap());
    let proposal = at(entries(&found)[0], "resource.id");
    let body = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"appointment-reference","valueReference":{{"reference":"Appointment/{proposal}"}}}}]}}"#
    );
    f.engine
        .hold_appointment(&call(&[], Some(doc(&body))), &ALL)
        .await
        .unwrap();
    assert_eq!(all(&f, "Slot?status=busy-tentative").await.len(), 1);
    assert_eq!(all(&f, "Slot?status=free").await.len(), 39);
    f.clock.advance(11 * 60_000);
    assert_eq!(all(&f, "Slot?status=free").await.len(), 40);

    f.put(&role("10:00:00")).await;
    for f in [&f, &other] {
        assert_eq!(all(f, "Slot?schedule=s1").await.len(), 10);
    }
}

async fn stored_slots_hide_computed_ones(on: Database) {
    let f = clinic(on).await;
    let tuesday = "Slot?schedule=s1&start=2026-11-24";
    assert_eq!(all(&f, tuesday).await.len(), 6);
    let nine = only(&f, "Slot?schedule=s1&start=2026-11-24T08:00:00Z").await;
    for status in ["free", "busy", "busy-tentative", "busy-unavailable"] {
        let text = slot("a", "s1", status, "24T08:00:00", "24T08:30:00");
        f.put(&text).await;
        let found = all(&f, tuesday).await;
        assert_eq!(found.len(), 6, "{status}: {found:?}");
        assert!(found.contains(&"Slot/a".to_owned()), "{status}");
        assert_eq!(
            f.read("Slot", &nine).await.unwrap_err().kind,
            ErrorKind::NotFound
        );
    }
    // One that was an error, of another length or of another Schedule hides nothing.
    for text in [
        slot("a", "s1", "entered-in-error", "24T08:00:00", "24T08:30:00"),
        slot("a", "s1", "busy", "24T08:00:00", "24T09:00:00"),
        slot("a", "s1", "free", "24T08:05:00", "24T08:35:00"),
    ] {
        f.put(&text).await;
        assert_eq!(all(&f, tuesday).await.len(), 7, "{text}");
    }
    f.put(&slot("a", "s2", "busy", "24T09:00:00", "24T10:00:00"))
        .await;
    assert_eq!(all(&f, tuesday).await.len(), 6);
    assert_eq!(all(&f, "Slot?schedule=s2&start=2026-11-24").await.len(), 2);
    // By its id, even when it is deleted.
    f.put(&slot(&nine, "s1", "free", "24T18:00:00", "24T18:30:00"))
        .await;
    assert_eq!(all(&f, tuesday).await.len(), 6);
    f.one(delete("Slot", Target::Id(nine.clone())))
        .await
        .unwrap();
    assert_eq!(all(&f, tuesday).await.len(), 5);
    assert_eq!(
        f.read("Slot", &nine).await.unwrap_err().kind,
        ErrorKind::Gone
    );
}

async fn computed_slots_are_read_included_and_changed(on: Database) {
    let f = clinic(on).await;
    let found = f
        .search("Slot?schedule=s2&_count=1&_include=Slot:schedule&_include:iterate=Schedule:actor")
        .await
        .unwrap();
    let ids = identities(&found);
    for id in ["Schedule/s2", "Location/room", "Practitioner/p2"] {
        assert!(ids.contains(&id.to_owned()), "{ids:?}");
    }
    assert_eq!(ids.len(), 4, "{ids:?}");
    let first = entries(&found)[0].get("resource").unwrap();
    assert_eq!(at(first, "schedule.reference"), "Schedule/s2");
    assert_eq!(at(first, "status"), "free");
    assert_eq!(at(first, "start"), "2026-11-20T10:00:00+01:00");
    assert_eq!(at(first, "end"), "2026-11-20T11:00:00+01:00");
    assert_eq!(at(first, "serviceType.0.coding.0.code"), "new");
    assert_eq!(at(first, "appointmentType.coding.0.code"), "CHECKUP");
    let id = at(first, "id");
    let read = f.read("Slot", &id).await.unwrap();
    assert_eq!(read.text().unwrap(), first.raw());
    let checked = faults(read.text().unwrap());
    assert_eq!(checked, Vec::<String>::new());
    for wrong in ["s2.x.y", "s2.1.1", "none.1.1", &id[1..]] {
        let error = f.read("Slot", wrong).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{wrong}");
    }

    let nine = only(&f, "Slot?schedule=s1&start=2026-11-24T08:00:00Z").await;
    f.put(&appointment("x", &nine, "24T08:00:00", "24T08:30:00"))
        .await;
    let found = f.found("Appointment?_id=x&_include=Appointment:slot").await;
    assert_eq!(found, ["Appointment/x".to_owned(), format!("Slot/{nine}")]);
    let found = f
        .found(&format!("Slot?_id={nine}&_revinclude=Appointment:slot"))
        .await;
    assert_eq!(found, ["Appointment/x".to_owned(), format!("Slot/{nine}")]);

    let patch = |status: &str| Operation::Patch {
        kind: kind("Slot"),
        target: Target::Id(id.clone()),
        if_match: None,
        patch: doc(&format!(
            r#"[{{"op":"replace","path":"/status","value":"{status}"}}]"#
        )),
    };
    let error = f.one(delete("Slot", Target::Id(id.clone()))).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::NotAllowed);
    f.one(patch("busy-unavailable")).await.unwrap();
    let stored = f.read("Slot", &id).await.unwrap();
    assert_eq!(stored.version, 1);
    let after = doc(stored.text().unwrap());
    assert_eq!(at(after.root(), "status"), "busy-unavailable");
    assert_eq!(at(after.root(), "start"), "2026-11-20T10:00:00+01:00");
    assert_eq!(all(&f, "Slot?schedule=s2").await.len(), 10);
    assert_eq!(only(&f, "Slot?schedule=s2&status:not=free").await, id);
    f.one(patch("free")).await.unwrap();
    assert_eq!(f.read("Slot", &id).await.unwrap().version, 2);
}

/// What is wrong with the structure of a resource.
fn faults(text: &str) -> Vec<String> {
    let issues = profiles::validate(&doc(text)).into_iter();
    issues.map(|issue| format!("{issue:?}")).collect()
}

async fn access_to_slots_is_access_to_computed_ones(on: Database) {
    let f = clinic(on).await;
    let nine = only(&f, "Slot?schedule=s1&start=2026-11-24T08:00:00Z").await;
    let ten = only(&f, "Slot?schedule=s2&start=2026-11-24T09:00:00Z").await;
    f.put(&appointment("x", &nine, "24T08:00:00", "24T08:30:00"))
        .await;
    let seen = async |rules: &str, query: &str| -> Vec<String> {
        let page = f.search_as(query, &granted(rules)).await.unwrap();
        identities(&page)
    };
    let reads =
        async |access: &Access, id: &str| f.engine.read(kind("Slot"), id, access).await.is_ok();
    assert_eq!(seen("user/Slot.rs", "Slot?_count=100").await.len(), 40);
    for (rules, expected, nine_too, ten_too) in [
        ("user/Slot.rs?status=free", 39, false, true),
        ("user/Slot.rs?schedule=Schedule/s1", 30, true, false),
        ("user/Slot.rs?service-type=new", 10, false, true),
        ("user/Slot.rs?_id=none", 0, false, false),
    ] {
        assert_eq!(
            seen(rules, "Slot?_count=100").await.len(),
            expected,
            "{rules}"
        );
        let access = granted(rules);
        assert_eq!(reads(&access, &nine).await, nine_too, "{rules}");
        assert_eq!(reads(&access, &ten).await, ten_too, "{rules}");
    }
    // A chain ends where nothing may be seen.
    let chain = "Slot?schedule.actor=Practitioner/p2";
    assert!(seen("user/Slot.rs", chain).await.is_empty());
    assert_eq!(seen("user/Slot.rs user/Schedule.rs", chain).await.len(), 10);
    let error = f.search_as("Slot", &granted("user/Patient.rs")).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::Forbidden);
    assert!(!reads(&granted("user/Patient.rs"), &ten).await);
}
