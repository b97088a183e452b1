//! Series: how they are booked, moved and changed: one, one and those that follow, all.

use resources::Doc;
use rotunda::engine::{BookingCall, BookingReply, Error, ErrorKind};

use crate::fixture::*;

on_both_databases!(
    a_series_moves_by_the_clock,
    what_follows_becomes_a_series_of_its_own,
    one_of_a_series_is_changed_by_itself,
    what_changes_of_one_changes_of_all,
    what_cannot_be_moved_is_told,
    nothing_of_others_is_touched,
);

/// From Friday 2026-11-20 on a Schedule that is always open, on the clock of Berlin.
async fn clinic(on: Database) -> Fixture {
    let f = Fixture::new(on).await;
    for n in [1, 2] {
        f.put(&format!(
            r#"{{"resourceType":"Schedule","id":"s{n}","actor":[{{"reference":"Practitioner/p{n}"}}],
            "extension":[
              {{"url":"http://hl7.org/fhir/StructureDefinition/timezone","valueCode":"Europe/Berlin"}},
              {{"url":"urn:rotunda:StructureDefinition:scheduling-parameters","extension":[
              {{"url":"duration","valueDuration":{{"value":30,"unit":"min","system":"http://unitsofmeasure.org","code":"min"}}}}]}}]}}"#
        ))
        .await;
    }
    for id in ["a", "b"] {
        f.put(&format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#))
            .await;
    }
    f
}

fn call(id: Option<&str>, parameters: &[(&str, &str)], resource: Option<&str>) -> BookingCall {
    let texts = parameters
        .iter()
        .map(|(name, text)| format!(r#"{{"name":"{name}","valueString":"{text}"}}"#));
    let resource =
        resource.map(|text| format!(r#"{{"name":"appointment-resource","resource":{text}}}"#));
    let all: Vec<String> = texts.chain(resource).collect();
    BookingCall {
        pairs: Vec::new(),
        body: Some(doc(&format!(
            r#"{{"resourceType":"Parameters","parameter":[{}]}}"#,
            all.join(",")
        ))),
        id: id.map(str::to_owned),
        key: None,
        strict: true,
    }
}

fn appointment(start: &str, end: &str, patient: &str) -> String {
    format!(
        r#"{{"resourceType":"Appointment","status":"booked","start":"{start}","end":"{end}","participant":[
        {{"actor":{{"reference":"Practitioner/p1"}},"status":"accepted"}},
        {{"actor":{{"reference":"Patient/{patient}"}},"status":"accepted"}}]}}"#
    )
}

/// Ids in the order of their times.
async fn weekly(f: &Fixture, patient: &str, hour: u32, count: usize) -> Vec<String> {
    let first = appointment(
        &format!("2027-03-15T{hour:02}:00:00+01:00"),
        &format!("2027-03-15T{hour:02}:30:00+01:00"),
        patient,
    );
    let rule = format!("FREQ=WEEKLY;COUNT={count};BYDAY=MO");
    let call = call(None, &[("recurrence", &rule)], Some(&first));
    let done = f.engine.book_appointment(&call, &ALL).await.unwrap();
    assert_eq!(done.appointments.len(), count);
    done.appointments.into_iter().map(|one| one.id).collect()
}

async fn moved(f: &Fixture, id: &str, parameters: &[(&str, &str)]) -> Result<BookingReply, Error> {
    let call = call(Some(id), parameters, None);
    f.engine.reschedule_appointment(&call, &ALL).await
}

async fn read(f: &Fixture, id: &str) -> Doc {
    let stored = f.read("Appointment", id).await.unwrap();
    doc(std::str::from_utf8(&stored.body).unwrap())
}

async fn starts(f: &Fixture, ids: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for id in ids {
        all.push(at(read(f, id).await.root(), "start"));
    }
    all
}

/// The value of an extension, by the end of its URL.
fn extension(doc: &Doc, name: &str) -> Option<String> {
    let all = doc.root().get("extension")?;
    let one = all.items().find(|one| at(*one, "url").ends_with(name))?;
    let value = one.members().find(|member| member.name() != "url")?;
    Some(match value.get("reference") {
        Some(reference) => reference.as_str().unwrap().into_owned(),
        None => value.raw().trim_matches('"').to_owned(),
    })
}

async fn agree(f: &Fixture) {
    let mut told = Vec::new();
    let verified = f.engine.verify_schedule(|sentence| told.push(sentence));
    verified.await.unwrap();
    assert_eq!(told, Vec::<String>::new());
}

fn code(error: &Error) -> (ErrorKind, &str) {
    let detail = error.issues[0].detail.as_ref().unwrap();
    (error.kind, detail.code)
}

async fn a_series_moves_by_the_clock(on: Database) {
    let f = clinic(on).await;
    // The clock is set on 2027-03-28.
    let ids = weekly(&f, "a", 9, 4).await;
    let day = ["03-15", "03-22", "03-29", "04-05"];
    let zone = ["+01:00", "+01:00", "+02:00", "+02:00"];
    let expected = |hour: &str| -> Vec<String> {
        let both = day.iter().zip(zone);
        both.map(|(day, zone)| format!("2027-{day}T{hour}{zone}"))
            .collect()
    };
    assert_eq!(starts(&f, &ids).await, expected("09:00:00"));
    // Named is one in the middle, and the length changes too.
    let to = [
        ("start", "2027-03-22T10:15:00+01:00"),
        ("end", "2027-03-22T11:00:00+01:00"),
        ("scope", "all"),
    ];
    let done = moved(&f, &ids[1], &to).await.unwrap();
    assert_eq!(done.appointments.len(), 4);
    assert_eq!(done.appointments[0].id, ids[1]);
    assert_eq!(starts(&f, &ids).await, expected("10:15:00"));
    for (id, zone) in ids.iter().zip(zone) {
        let end = at(read(&f, id).await.root(), "end");
        assert!(end.ends_with(&format!("T11:00:00{zone}")), "{end}");
    }
    let rule = extension(&read(&f, &ids[0]).await, "recurrence-rule");
    assert_eq!(rule.as_deref(), Some("FREQ=WEEKLY;COUNT=4;BYDAY=MO"));
    agree(&f).await;
    // A week later each takes the time of the next one, in one commit.
    let to = [("start", "2027-03-22T10:15:00+01:00"), ("scope", "all")];
    moved(&f, &ids[0], &to).await.unwrap();
    let now = starts(&f, &ids).await;
    assert_eq!(now[..3], expected("10:15:00")[1..]);
    assert_eq!(now[3], "2027-04-12T10:15:00+02:00");
    agree(&f).await;
}

async fn what_follows_becomes_a_series_of_its_own(on: Database) {
    let f = clinic(on).await;
    let ids = weekly(&f, "a", 9, 5).await;
    let to = [
        ("start", "2027-03-30T09:00:00+02:00"),
        ("scope", "following"),
    ];
    let done = moved(&f, &ids[2], &to).await.unwrap();
    assert_eq!(done.appointments.len(), 3);
    assert_eq!(
        starts(&f, &ids).await,
        [
            "2027-03-15T09:00:00+01:00",
            "2027-03-22T09:00:00+01:00",
            "2027-03-30T09:00:00+02:00",
            "2027-04-06T09:00:00+02:00",
            "2027-04-13T09:00:00+02:00"
        ]
    );
    let head = read(&f, &ids[0]).await;
    let rule = extension(&head, "recurrence-rule");
    assert_eq!(rule.as_deref(), Some("FREQ=WEEKLY;BYDAY=MO;COUNT=2"));
    let new = read(&f, &ids[2]).await;
    // It is no longer on Mondays.
    assert_eq!(extension(&new, "recurrence-rule"), None);
    assert_eq!(extension(&new, "originatingAppointment"), None);
    for (n, id) in ids[3..].iter().enumerate() {
        let one = read(&f, id).await;
        let number = extension(&one, "recurrenceId");
        assert_eq!(number, Some((n + 2).to_string()));
        let of = extension(&one, "originatingAppointment");
        assert_eq!(of, Some(format!("Appointment/{}", ids[2])));
    }
    for (head, members) in [(0, 0..2), (2, 2..5)] {
        let query = format!("Appointment?identifier=urn:rotunda:series|{}", ids[head]);
        let mut members: Vec<String> = ids[members]
            .iter()
            .map(|id| format!("Appointment/{id}"))
            .collect();
        members.sort();
        assert_eq!(f.found(&query).await, members);
    }
    // The two series go their own ways, and the clock's time of day keeps the rule.
    let to = [
        ("start", "2027-03-15T08:00:00+01:00"),
        ("scope", "following"),
    ];
    let done = moved(&f, &ids[0], &to).await.unwrap();
    assert_eq!(done.appointments.len(), 2);
    let rule = extension(&read(&f, &ids[0]).await, "recurrence-rule");
    assert_eq!(rule.as_deref(), Some("FREQ=WEEKLY;BYDAY=MO;COUNT=2"));
    let cancel = call(Some(&ids[2]), &[("scope", "all")], None);
    let done = f.engine.cancel_appointment(&cancel, &ALL).await.unwrap();
    assert_eq!(done.appointments.len(), 3);
    agree(&f).await;
}

async fn one_of_a_series_is_changed_by_itself(on: Database) {
    let f = clinic(on).await;
    let ids = weekly(&f, "a", 9, 3).await;
    moved(&f, &ids[1], &[("start", "2027-03-23T12:00:00+01:00")])
        .await
        .unwrap();
    let one = read(&f, &ids[1]).await;
    assert_eq!(
        extension(&one, "occurrenceChanged").as_deref(),
        Some("true")
    );
    assert_eq!(extension(&one, "recurrenceId").as_deref(), Some("2"));
    let to = [("start", "2027-03-15T10:00:00+01:00"), ("scope", "all")];
    moved(&f, &ids[0], &to).await.unwrap();
    assert_eq!(
        starts(&f, &ids).await,
        [
            "2027-03-15T10:00:00+01:00",
            "2027-03-23T13:00:00+01:00",
            "2027-03-29T10:00:00+02:00"
        ]
    );
    let wrong = moved(&f, &ids[0], &[("start", "2027-03-16"), ("scope", "some")]).await;
    assert_eq!(wrong.unwrap_err().kind, ErrorKind::Invalid);
    // One that is in no series is all of it.
    let single = appointment("2027-05-03T09:00:00Z", "2027-05-03T09:30:00Z", "b");
    let call = call(None, &[], Some(&single));
    let single = f.engine.book_appointment(&call, &ALL).await.unwrap();
    let to = [("start", "2027-05-04T09:00:00Z"), ("scope", "following")];
    let done = moved(&f, &single.appointments[0].id, &to).await.unwrap();
    assert_eq!(done.appointments.len(), 1);
    agree(&f).await;
}

async fn what_changes_of_one_changes_of_all(on: Database) {
    let f = clinic(on).await;
    let ids = weekly(&f, "a", 9, 4).await;
    let changed = |doc: &Doc, scope: &'static str, edits: &[(&str, &str)]| {
        let mut text = doc.text().to_owned();
        for (from, to) in edits {
            assert!(text.contains(from), "{from} {text}");
            text = text.replace(from, to);
        }
        call(None, &[("scope", scope)], Some(&text))
    };
    // Another practitioner, a comment, and half an hour later.
    let one = read(&f, &ids[1]).await;
    let edits = [
        ("Practitioner/p1", "Practitioner/p2"),
        (
            r#""status":"booked""#,
            r#""status" : "booked", "comment":"bring the film""#,
        ),
        ("T09:30:00", "T10:00:00"),
        ("T09:00:00", "T09:30:00"),
    ];
    let call = changed(&one, "following", &edits);
    let done = f.engine.book_appointment(&call, &ALL).await.unwrap();
    assert_eq!(done.appointments.len(), 3);
    for (n, id) in ids.iter().enumerate() {
        let one = read(&f, id).await;
        let is_changed = n > 0;
        let text = one.text();
        assert_eq!(text.contains("Practitioner/p2"), is_changed, "{text}");
        assert_eq!(text.contains("bring the film"), is_changed);
        assert_eq!(
            text.contains("T09:30:00+0") && text.contains("T10:00:00+0"),
            is_changed
        );
        assert!(text.contains("Patient/a"));
    }
    agree(&f).await;
    // Cancelled together.
    let one = read(&f, &ids[2]).await;
    let call = changed(
        &one,
        "all",
        &[(r#""status":"booked""#, r#""status":"cancelled""#)],
    );
    let done = f.engine.book_appointment(&call, &ALL).await.unwrap();
    assert_eq!(done.appointments.len(), 3);
    agree(&f).await;
}

async fn what_cannot_be_moved_is_told(on: Database) {
    let f = clinic(on).await;
    let ids = weekly(&f, "a", 9, 4).await;
    let taken = appointment(
        "2027-03-29T10:00:00+02:00",
        "2027-03-29T10:30:00+02:00",
        "b",
    );
    let taken = call(None, &[], Some(&taken));
    f.engine.book_appointment(&taken, &ALL).await.unwrap();
    let before = starts(&f, &ids).await;
    let all = [("start", "2027-03-15T10:00:00+01:00"), ("scope", "all")];
    let error = moved(&f, &ids[0], &all).await.unwrap_err();
    assert_eq!(code(&error), (ErrorKind::Conflict, "slot-taken"));
    assert!(error.outcome().contains("none of the 4 appointments"));
    assert_eq!(starts(&f, &ids).await, before);
    let some = [all[0], all[1], ("all-or-nothing", "false")];
    let done = moved(&f, &ids[0], &some).await.unwrap();
    assert_eq!(done.appointments.len(), 3);
    let told: Vec<&str> = done
        .refused
        .iter()
        .map(|issue| issue.diagnostics.as_str())
        .collect();
    assert_eq!(told.len(), 1);
    assert!(
        told[0]
            .starts_with("the appointment of 2027-03-29T09:00:00+02:00: Practitioner/p1 is booked"),
        "{told:?}"
    );
    let now = starts(&f, &ids).await;
    assert_eq!(now[2], before[2]);
    assert!([0, 1, 3].iter().all(|n| now[*n].contains("T10:00:00")));
    // By weeks each makes room for the one before it.
    let ids = weekly(&f, "b", 14, 4).await;
    let some = [
        ("start", "2027-03-22T14:00:00+01:00"),
        ("scope", "all"),
        ("all-or-nothing", "false"),
    ];
    let done = moved(&f, &ids[0], &some).await.unwrap();
    assert_eq!((done.appointments.len(), done.refused.len()), (4, 0));
    // What is booked anew tells the same.
    let first = appointment(
        "2027-03-15T10:00:00+01:00",
        "2027-03-15T10:30:00+01:00",
        "b",
    );
    let some = [
        ("recurrence", "FREQ=WEEKLY;COUNT=4"),
        ("all-or-nothing", "false"),
    ];
    let call = call(None, &some, Some(&first));
    let done = f.engine.book_appointment(&call, &ALL).await;
    let error = done.unwrap_err();
    assert_eq!(code(&error), (ErrorKind::Conflict, "slot-taken"));
    agree(&f).await;
}

async fn nothing_of_others_is_touched(on: Database) {
    let f = clinic(on).await;
    let ids = weekly(&f, "a", 9, 3).await;
    // Somebody else says to be of the series.
    let other = appointment(
        "2027-03-16T09:00:00+01:00",
        "2027-03-16T09:30:00+01:00",
        "b",
    );
    let identifier = format!(
        r#""status":"booked","id":"x","identifier":[{{"system":"urn:rotunda:series","value":"{}"}}]"#,
        ids[0]
    );
    let other = other.replace(r#""status":"booked""#, &identifier);
    f.put(&other).await;
    let to = [("start", "2027-03-15T10:00:00+01:00"), ("scope", "all")];
    let done = moved(&f, &ids[0], &to).await.unwrap();
    assert_eq!(done.appointments.len(), 3);
    let other = read(&f, "x").await;
    assert_eq!(at(other.root(), "start"), "2027-03-16T09:00:00+01:00");
    // What is over stays, and what was cancelled.
    let cancel = call(Some(&ids[1]), &[], None);
    f.engine.cancel_appointment(&cancel, &ALL).await.unwrap();
    let to = [
        ("start", "2027-03-15T11:00:00+01:00"),
        ("scope", "following"),
    ];
    let done = moved(&f, &ids[0], &to).await.unwrap();
    assert_eq!(done.appointments.len(), 2);
    assert!(starts(&f, &ids).await[1].contains("T10:00:00"));
    agree(&f).await;
}
