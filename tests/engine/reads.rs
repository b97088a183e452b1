use rotunda::{
    access::Access,
    engine::{ErrorKind, HistoryScope, Target},
    search::decode,
};

use crate::fixture::*;

on_both_databases!(
    history_pages_through_all_versions_newest_first,
    history_by_time,
    definitions_of_the_standard_are_there_without_rows,
    stored_and_built_in_definitions_are_one_ordered_list,
    a_compartment_bounds_what_is_read,
    an_old_version_is_shown_by_what_it_says_itself,
    a_compartment_bounds_includes_and_the_record,
);

async fn history_pages_through_all_versions_newest_first(on: Database) {
    let f = Fixture::new(on).await;
    for at in 0..5 {
        f.put(&format!(
            r#"{{"resourceType":"Patient","id":"a","language":"l{at}"}}"#
        ))
        .await;
        f.clock.advance(1_000);
    }
    f.put(r#"{"resourceType":"Group","id":"g","type":"person","actual":true}"#)
        .await;
    f.one(delete("Patient", Target::Id("a".to_owned())))
        .await
        .unwrap();
    let instance = || HistoryScope::Instance(kind("Patient"), "a".to_owned());

    let whole = f.history(instance(), "").await.unwrap();
    assert_eq!(at(whole.root(), "total"), "6");
    let tags: Vec<String> = entries(&whole)
        .into_iter()
        .map(|entry| at(entry, "response.etag"))
        .collect();
    assert_eq!(
        tags,
        (1..7)
            .rev()
            .map(|n| format!("W/\"{n}\""))
            .collect::<Vec<_>>()
    );
    let newest = entries(&whole)[0];
    assert_eq!(at(newest, "request.method"), "DELETE");
    assert!(newest.get("resource").is_none());
    // An update made it, which a replay must repeat to give it the same id.
    assert_eq!(at(entries(&whole)[5], "request.method"), "PUT");
    assert_eq!(at(entries(&whole)[5], "response.status"), "201 Created");

    for scope in [
        instance(),
        HistoryScope::Type(kind("Patient")),
        HistoryScope::System,
    ] {
        let mut seen = 0;
        let mut query = "_count=2".to_owned();
        loop {
            let page = f.history(scope.clone(), &query).await.unwrap();
            assert!(entries(&page).len() <= 2);
            seen += entries(&page).len();
            let Some(next) = link(&page, "next") else {
                break;
            };
            query = next.split_once('?').unwrap().1.to_owned();
        }
        assert_eq!(seen, if scope == HistoryScope::System { 7 } else { 6 });
    }
}

async fn history_by_time(on: Database) {
    let f = Fixture::new(on).await;
    for id in ["a", "b"] {
        for _ in 0..3 {
            f.put(&format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#))
                .await;
            f.clock.advance(10_000);
        }
    }
    let patients = || HistoryScope::Type(kind("Patient"));
    for (query, count) in [
        ("_since=2026-11-20T00:00:20Z", 4),
        ("_since=2026-11-20T01:00:00Z", 0),
        ("_at=2026-11-20T00:00:15Z", 1),
        ("_at=2026-11-20T00:00:35Z", 2),
        ("_at=2026-11-20", 6),
        ("_at=2026-11-19", 0),
    ] {
        let page = f.history(patients(), query).await.unwrap();
        assert_eq!(entries(&page).len(), count, "{query}");
    }
    for query in ["_since=yesterday", "_count=x", "_page=abc", "name=x"] {
        let error = f.history(patients(), query).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{query}");
    }
    let nobody = HistoryScope::Instance(kind("Patient"), "none".to_owned());
    assert_eq!(
        f.history(nobody, "").await.unwrap_err().kind,
        ErrorKind::NotFound
    );
}

async fn definitions_of_the_standard_are_there_without_rows(on: Database) {
    let f = Fixture::new(on).await;
    let patient = f.read("StructureDefinition", "Patient").await.unwrap();
    assert!(patient.text().unwrap().contains("DomainResource"));
    let url = "http://hl7.org/fhir/ValueSet/administrative-gender";
    assert_eq!(
        f.found(&format!("ValueSet?url={url}")).await,
        ["ValueSet/administrative-gender"]
    );
    let error = f
        .one(delete(
            "ValueSet",
            Target::Id("administrative-gender".to_owned()),
        ))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotAllowed);

    // What a user stores hides what is built in, even after it was deleted.
    f.put(&format!(
        r#"{{"resourceType":"ValueSet","id":"administrative-gender","status":"draft","url":"{url}"}}"#
    ))
    .await;
    let found = f.search(&format!("ValueSet?url={url}")).await.unwrap();
    assert_eq!(identities(&found).len(), 1);
    assert!(found.text().contains(r#""status":"draft""#));
    f.one(delete(
        "ValueSet",
        Target::Id("administrative-gender".to_owned()),
    ))
    .await
    .unwrap();
    let error = f
        .read("ValueSet", "administrative-gender")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Gone);
    assert!(f.found(&format!("ValueSet?url={url}")).await.is_empty());
}

async fn stored_and_built_in_definitions_are_one_ordered_list(on: Database) {
    let f = Fixture::new(on).await;
    for id in ["AAA", "Mmm", "zzz"] {
        f.put(&format!(
            r#"{{"resourceType":"CompartmentDefinition","id":"{id}","name":"{id}","url":"http://x/{id}","status":"draft","code":"Patient","search":true}}"#
        ))
        .await;
    }
    let whole = f
        .search("CompartmentDefinition?_sort=_id&_total=accurate")
        .await
        .unwrap();
    let expected = identities(&whole);
    assert_eq!(at(whole.root(), "total"), expected.len().to_string());
    assert_eq!(expected.len(), 8);
    for sort in ["", "&_sort=_id", "&_sort=-name"] {
        let mut seen = Vec::new();
        let mut next = Some(format!("CompartmentDefinition?_count=3{sort}"));
        while let Some(url) = next {
            let page = f.search(&url).await.unwrap();
            seen.extend(identities(&page));
            next = link(&page, "next").map(|url| relative(&url));
        }
        if sort == "&_sort=_id" {
            assert_eq!(seen, expected);
        }
        seen.sort();
        let mut all = expected.clone();
        all.sort();
        assert_eq!(seen, all, "{sort}");
    }
}

async fn a_compartment_bounds_what_is_read(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a"}"#).await;
    f.put(r#"{"resourceType":"Patient","id":"b"}"#).await;
    let access = Access::compartment(kind("Patient"), "a".to_owned());
    assert!(f.engine.read(kind("Patient"), "a", &access).await.is_ok());
    let hidden = f.engine.read(kind("Patient"), "b", &access).await;
    assert_eq!(hidden.unwrap_err().kind, ErrorKind::NotFound);
    let request = rotunda::engine::HistoryRequest {
        scope: HistoryScope::System,
        params: decode(""),
        strict: true,
    };
    let history = doc(&f.engine.history(&request, &access).await.unwrap());
    assert_eq!(identities(&history), ["Patient/a"]);
}

async fn an_old_version_is_shown_by_what_it_says_itself(on: Database) {
    let f = Fixture::new(on).await;
    for patient in ["a", "b"] {
        f.put(&format!(r#"{{"resourceType":"Patient","id":"{patient}"}}"#))
            .await;
    }
    for patient in ["b", "a"] {
        f.put(&format!(
            r#"{{"resourceType":"Observation","id":"o","status":"final","code":{{"text":"c"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
        ))
        .await;
    }
    let access = Access::compartment(kind("Patient"), "a".to_owned());
    let version = async |number| {
        f.engine
            .vread(kind("Observation"), "o", number, &access)
            .await
    };
    assert!(version(2).await.is_ok());
    assert_eq!(version(1).await.unwrap_err().kind, ErrorKind::NotFound);
    let request = rotunda::engine::HistoryRequest {
        scope: HistoryScope::Instance(kind("Observation"), "o".to_owned()),
        params: Vec::new(),
        strict: true,
    };
    let history = doc(&f.engine.history(&request, &access).await.unwrap());
    assert_eq!(entries(&history).len(), 1);
}

async fn a_compartment_bounds_includes_and_the_record(on: Database) {
    let f = Fixture::new(on).await;
    for text in [
        r#"{"resourceType":"Practitioner","id":"doc"}"#,
        r#"{"resourceType":"Patient","id":"a","generalPractitioner":[{"reference":"Practitioner/doc"}],"link":[{"other":{"reference":"Patient/b"},"type":"seealso"}]}"#,
        r#"{"resourceType":"Patient","id":"b"}"#,
        r#"{"resourceType":"Observation","id":"of-a","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/a"}}"#,
        r#"{"resourceType":"Observation","id":"of-b","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/b"},"focus":[{"reference":"Patient/a"}]}"#,
    ] {
        f.put(text).await;
    }
    let access = Access::compartment(kind("Patient"), "a".to_owned());
    for (query, expected) in [
        (
            "Patient?_include=*&_revinclude=*",
            vec!["Patient/a", "Observation/of-a"],
        ),
        (
            "ValueSet?url=http://hl7.org/fhir/ValueSet/administrative-gender",
            vec![],
        ),
        ("Observation?subject=Patient/b", vec![]),
        ("Practitioner", vec![]),
    ] {
        let found = f.search_as(query, &access).await.unwrap();
        assert_eq!(identities(&found), expected, "{query}");
    }
    let everything = rotunda::engine::EverythingRequest {
        kind: kind("Patient"),
        id: Some("a".to_owned()),
        params: Vec::new(),
        strict: true,
    };
    let record = doc(&f.engine.everything(&everything, &access).await.unwrap());
    let mut found = identities(&record);
    found.sort();
    assert_eq!(found, ["Observation/of-a", "Patient/a"]);
    let other = rotunda::engine::EverythingRequest {
        id: Some("b".to_owned()),
        ..everything
    };
    let error = f.engine.everything(&other, &access).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}
