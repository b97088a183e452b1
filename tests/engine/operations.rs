use rotunda::{
    engine::{ErrorKind, EverythingRequest, MetaScope, ValidateRequest},
    search::decode,
};

use crate::fixture::*;

on_both_databases!(
    everything_is_the_record_and_what_it_refers_to,
    meta_is_shown_added_to_and_taken_from,
    validate_says_what_a_write_would_say,
);

async fn record(on: Database) -> Fixture {
    let f = Fixture::new(on).await;
    for text in [
        r#"{"resourceType":"Practitioner","id":"doc"}"#,
        r#"{"resourceType":"Patient","id":"a","meta":{"tag":[{"system":"t","code":"1"}]},"generalPractitioner":[{"reference":"Practitioner/doc"}]}"#,
        r#"{"resourceType":"Patient","id":"b"}"#,
        r#"{"resourceType":"Encounter","id":"e","status":"planned","class":{"code":"AMB"},"subject":{"reference":"Patient/a"}}"#,
        r#"{"resourceType":"Observation","id":"of-a","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/a"},"encounter":{"reference":"Encounter/e"}}"#,
        r#"{"resourceType":"Observation","id":"of-b","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/b"}}"#,
    ] {
        f.put(text).await;
        f.clock.advance(1_000);
    }
    f
}

/// An empty id asks for all.
async fn everything(f: &Fixture, name: &str, id: &str, query: &str) -> resources::Doc {
    let request = EverythingRequest {
        kind: kind(name),
        id: Some(id.to_owned()).filter(|id| !id.is_empty()),
        params: decode(query),
        strict: true,
    };
    doc(&f.engine.everything(&request, &ALL).await.unwrap())
}

async fn everything_is_the_record_and_what_it_refers_to(on: Database) {
    let f = record(on).await;
    for (name, id, query, expected) in [
        (
            "Patient",
            "a",
            "",
            vec![
                "Encounter/e",
                "Observation/of-a",
                "Patient/a",
                "Practitioner/doc",
            ],
        ),
        (
            "Patient",
            "a",
            "_type=Observation",
            vec!["Observation/of-a"],
        ),
        (
            "Patient",
            "a",
            "_since=2026-11-20T00:00:04Z",
            vec!["Observation/of-a"],
        ),
        (
            "Patient",
            "",
            "",
            vec![
                "Encounter/e",
                "Observation/of-a",
                "Observation/of-b",
                "Patient/a",
                "Patient/b",
                "Practitioner/doc",
            ],
        ),
        (
            "Encounter",
            "e",
            "",
            vec!["Encounter/e", "Observation/of-a", "Patient/a"],
        ),
    ] {
        let mut found = identities(&everything(&f, name, id, query).await);
        found.sort();
        assert_eq!(found, expected, "{name}/{id} {query}");
    }
    let mut matches = Vec::new();
    let mut query = "_count=1".to_owned();
    loop {
        let page = everything(&f, "Patient", "a", &query).await;
        let found = identities(&page);
        matches.push(found[0].clone());
        let Some(next) = link(&page, "next") else {
            break;
        };
        query = next.split_once('?').unwrap().1.to_owned();
    }
    matches.sort();
    assert_eq!(matches, ["Encounter/e", "Observation/of-a", "Patient/a"]);
}

async fn meta_is_shown_added_to_and_taken_from(on: Database) {
    let f = record(on).await;
    let patient = kind("Patient");
    let parameters = |meta: &str| {
        doc(&format!(
            r#"{{"resourceType":"Parameters","parameter":[{{"name":"meta","valueMeta":{meta}}}]}}"#
        ))
    };
    let body = parameters(r#"{"tag":[{"system":"t","code":"2"}],"profile":["http://p"]}"#);
    let meta = doc(&f.engine.meta_add(patient, "a", &body, &ALL).await.unwrap());
    let value = meta
        .root()
        .get("parameter")
        .unwrap()
        .items()
        .next()
        .unwrap();
    assert_eq!(at(value, "valueMeta.versionId"), "2");
    assert_eq!(at(value, "valueMeta.tag.1.code"), "2");
    assert_eq!(
        f.found("Patient?_tag=t|2&_profile=http://p").await,
        ["Patient/a"]
    );
    let body = parameters(r#"{"tag":[{"system":"t","code":"1"}]}"#);
    f.engine
        .meta_delete(patient, "a", &body, &ALL)
        .await
        .unwrap();
    assert!(f.found("Patient?_tag=t|1").await.is_empty());
    for scope in [
        MetaScope::System,
        MetaScope::Type(patient),
        MetaScope::Instance(patient, "a".to_owned()),
    ] {
        let meta = f.engine.meta(&scope, &ALL).await.unwrap();
        assert!(
            meta.contains(r#""code":"2""#) && meta.contains("http://p"),
            "{meta}"
        );
        assert!(!meta.contains(r#""code":"1""#), "{meta}");
    }
    let error = f.engine.meta_add(patient, "a", &doc("{}"), &ALL).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::Invalid);
}

async fn validate_says_what_a_write_would_say(on: Database) {
    let f = record(on).await;
    let validate = async |id: Option<&str>, body: Option<&str>, mode: Option<&str>| {
        let request = ValidateRequest {
            kind: kind("Patient"),
            id: id.map(str::to_owned),
            body: body.map(doc),
            mode: mode.map(str::to_owned),
            profile: None,
        };
        f.engine.validate(&request, &ALL).await
    };
    let good = r#"{"resourceType":"Patient","id":"a"}"#;
    let bad = r#"{"resourceType":"Patient","birthDate":"2021-02-30"}"#;
    let wrapped = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"mode","valueCode":"create"}},{{"name":"resource","resource":{bad}}}]}}"#
    );
    let fine = |issues: &[resources::outcome::Issue]| {
        issues
            .iter()
            .all(|issue| issue.severity < resources::outcome::Severity::Error)
    };
    assert!(fine(&validate(None, Some(good), None).await.unwrap()));
    assert!(!fine(&validate(None, Some(bad), None).await.unwrap()));
    assert!(!fine(&validate(None, Some(&wrapped), None).await.unwrap()));
    assert!(fine(&validate(Some("a"), None, None).await.unwrap()));
    assert!(!fine(
        &validate(Some("b"), Some(good), Some("update"))
            .await
            .unwrap()
    ));
    assert!(fine(
        &validate(Some("a"), None, Some("delete")).await.unwrap()
    ));
    assert!(!fine(
        &validate(Some("x"), None, Some("delete")).await.unwrap()
    ));
    for (body, mode) in [(None, None), (Some(good), Some("guess"))] {
        let error = validate(None, body, mode).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
    }
}
