//! The conditions of a transaction see what it deletes and what it makes.

use resources::Doc;
use rotunda::engine::{Error, ErrorKind};

use crate::fixture::*;

on_both_databases!(
    a_conditional_reference_finds_what_the_bundle_makes,
    a_conditional_reference_sees_what_the_bundle_makes_of_a_stored_resource,
    a_condition_does_not_see_what_the_bundle_deletes,
    one_resource_cannot_be_meant_by_two_entries,
    a_condition_is_the_same_however_it_is_written,
    many_conditional_creates_refer_to_each_other_in_reasonable_time,
);

fn transaction(entries: &[String]) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
        entries.join(",")
    )
}

fn patient(members: &str, request: &str) -> String {
    format!(r#"{{"resource":{{"resourceType":"Patient",{members}}},"request":{{{request}}}}}"#)
}

/// A patient with an identifier.
fn with(value: &str, request: &str) -> String {
    let members = format!(r#""identifier":[{{"system":"http://t","value":"{value}"}}]"#);
    patient(&members, request)
}

fn remove(url: &str) -> String {
    format!(r#"{{"request":{{"method":"DELETE","url":"{url}"}}}}"#)
}

fn observation(subject: &str) -> String {
    format!(
        r#"{{"resource":{{"resourceType":"Observation","status":"final","code":{{"text":"c"}},"subject":{{"reference":"{subject}"}}}},"request":{{"method":"POST","url":"Observation"}}}}"#
    )
}

const POST: &str = r#""method":"POST","url":"Patient""#;
const ONCE: &str = r#""method":"POST","url":"Patient","ifNoneExist":"identifier=http://t|X""#;
const PUT: &str = r#""method":"PUT","url":"Patient?identifier=http://t|X""#;
const REFERENCE: &str = "Patient?identifier=http://t|X";

/// `Type/id` of what an entry became.
fn became(answer: &Doc, entry: usize) -> String {
    let location = at(entries(answer)[entry], "response.location");
    location.split("/_history/").next().unwrap().to_owned()
}

async fn subjects(f: &Fixture) -> Vec<String> {
    let found = f.search("Observation").await.unwrap();
    entries(&found)
        .into_iter()
        .map(|entry| at(entry, "resource.subject.reference"))
        .collect()
}

async fn a_conditional_reference_finds_what_the_bundle_makes(on: Database) {
    let f = Fixture::new(on).await;
    let bundle = transaction(&[observation(REFERENCE), with("X", POST), with("Y", POST)]);
    let answer = f.bundle(&bundle).await.unwrap();
    assert_eq!(subjects(&f).await, [became(&answer, 1)]);
    // Now there would be two.
    let error = f.bundle(&bundle).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::MultipleMatches);
}

async fn a_conditional_reference_sees_what_the_bundle_makes_of_a_stored_resource(on: Database) {
    let f = Fixture::new(on).await;
    f.put(
        r#"{"resourceType":"Patient","id":"was","identifier":[{"system":"http://t","value":"X"}]}"#,
    )
    .await;
    f.put(r#"{"resourceType":"Patient","id":"will"}"#).await;
    let put = |id: &str, value: &str| {
        patient(
            &format!(r#""id":"{id}","identifier":[{{"system":"http://t","value":"{value}"}}]"#),
            &format!(r#""method":"PUT","url":"Patient/{id}""#),
        )
    };
    for (was, will, expected) in [
        ("X", "Y", Ok("Patient/was")),
        ("Y", "X", Ok("Patient/will")),
        ("Y", "Y", Err(ErrorKind::PreconditionFailed)),
        ("X", "X", Err(ErrorKind::MultipleMatches)),
    ] {
        let bundle = transaction(&[put("was", was), put("will", will), observation(REFERENCE)]);
        let answer = f.bundle(&bundle).await;
        match expected {
            Ok(subject) => {
                let made = became(&answer.unwrap(), 2);
                let id = made.strip_prefix("Observation/").unwrap();
                let text = f.read("Observation", id).await.unwrap();
                let made = doc(text.text().unwrap());
                assert_eq!(at(made.root(), "subject.reference"), subject);
            }
            Err(kind) => assert_eq!(answer.unwrap_err().kind, kind, "{was} {will}"),
        }
    }
}

async fn a_condition_does_not_see_what_the_bundle_deletes(on: Database) {
    let f = Fixture::new(on).await;
    f.put(
        r#"{"resourceType":"Patient","id":"old","identifier":[{"system":"http://t","value":"X"}]}"#,
    )
    .await;
    for deletion in ["Patient/old", REFERENCE] {
        let error = f
            .bundle(&transaction(&[observation(REFERENCE), remove(deletion)]))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{deletion}");
    }
    let answer = f
        .bundle(&transaction(&[
            observation(REFERENCE),
            with("X", ONCE),
            remove("Patient/old"),
        ]))
        .await
        .unwrap();
    let new = became(&answer, 1);
    assert_ne!(new, "Patient/old");
    assert_eq!(subjects(&f).await, [&*new]);
    let gone = f.read("Patient", "old").await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::Gone);
    let answer = f
        .bundle(&transaction(&[with("X", PUT), remove(&new)]))
        .await
        .unwrap();
    assert_ne!(became(&answer, 0), new);
    assert_eq!(f.found(REFERENCE).await, [became(&answer, 0)]);
}

async fn one_resource_cannot_be_meant_by_two_entries(on: Database) {
    let f = Fixture::new(on).await;
    f.put(
        r#"{"resourceType":"Patient","id":"s","identifier":[{"system":"http://t","value":"S"}]}"#,
    )
    .await;
    let put_s = r#""method":"PUT","url":"Patient?identifier=http://t|S""#;
    let once_active = r#""method":"POST","url":"Patient","ifNoneExist":"identifier=http://t|X&active:missing=true""#;
    for (pair, place) in [
        ([with("X", POST), with("X", PUT)], 1),
        ([with("X", POST), with("X", ONCE)], 1),
        ([with("X", ONCE), with("X", once_active)], 0),
        ([with("S", put_s), with("S", POST)], 0),
    ] {
        let error: Error = f.bundle(&transaction(&pair)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{pair:?}");
        let expected = format!("Bundle.entry[{place}]");
        assert_eq!(error.issues[0].expression, Some(expected), "{pair:?}");
    }
    assert_eq!(f.found("Patient").await, ["Patient/s"]);
    // The same resource by its id and by a condition that only asks whether it is there.
    let put = patient(
        r#""id":"s","identifier":[{"system":"http://t","value":"S"}]"#,
        r#""method":"PUT","url":"Patient/s""#,
    );
    let once = r#""method":"POST","url":"Patient","ifNoneExist":"identifier=http://t|S""#;
    f.bundle(&transaction(&[put, with("S", once)]))
        .await
        .unwrap();
}

async fn a_condition_is_the_same_however_it_is_written(on: Database) {
    let f = Fixture::new(on).await;
    let escaped = ONCE.replace("http://t|X", "http%3A%2F%2Ft%7CX");
    // Neither of the resources has the identifier.
    let pair = [with("1", ONCE), with("2", &escaped)];
    let error = f.bundle(&transaction(&pair)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let answer = f
        .bundle(&transaction(&[with("1", &escaped), observation(REFERENCE)]))
        .await
        .unwrap();
    assert_eq!(subjects(&f).await, [became(&answer, 0)]);
}

async fn many_conditional_creates_refer_to_each_other_in_reasonable_time(on: Database) {
    let f = Fixture::new(on).await;
    let count = 1_000;
    let mut parts = Vec::new();
    for number in 0..count {
        let request = format!(
            r#""method":"POST","url":"Patient","ifNoneExist":"identifier=http://t|{number}""#
        );
        parts.push(with(&number.to_string(), &request));
        let other = (number + 1) % count;
        parts.push(observation(&format!(
            "Patient?identifier=http://t%7C{other}"
        )));
    }
    let answer = f.bundle(&transaction(&parts)).await.unwrap();
    assert_eq!(entries(&answer).len(), 2 * count);
    let counted = f
        .search("Observation?patient.identifier=http://t|7&_summary=count")
        .await
        .unwrap();
    assert_eq!(at(counted.root(), "total"), "1");
}
