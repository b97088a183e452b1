use rotunda::engine::{ErrorKind, Target};

use crate::fixture::*;

on_both_databases!(
    references_between_entries_lead_to_what_they_become,
    entries_are_worked_on_in_the_order_of_the_standard,
    one_bad_entry_undoes_all,
    the_same_identity_twice_is_refused,
    conditional_creates_in_a_transaction_find_or_make,
    a_patch_entry_carries_json_patch_in_a_binary,
    the_values_of_a_patch_refer_to_other_entries,
    a_document_inside_a_transaction_stays_as_it_is,
    only_what_is_a_link_by_its_type_is_rewritten,
    a_get_that_cannot_be_answered_undoes_all,
    a_get_sees_what_the_transaction_does,
    entries_of_a_batch_stand_alone,
    operations_are_carried_out_inside_a_bundle,
    references_that_only_a_transaction_resolves_are_refused_elsewhere,
    preconditions_of_entries_are_written_as_in_headers,
    a_misspelt_member_of_a_bundle_is_refused,
    only_batches_and_transactions_are_carried_out,
    a_transaction_of_thousands_is_one_commit,
    parallel_transactions_over_the_same_resources_all_succeed,
    parallel_conditional_creates_in_transactions_leave_one_resource,
);

fn transaction(entries: &[&str]) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
        entries.join(",")
    )
}

fn statuses(bundle: &resources::Doc) -> Vec<String> {
    entries(bundle)
        .into_iter()
        .map(|entry| at(entry, "response.status")[..3].to_owned())
        .collect()
}

const NEW_PATIENT: &str = r#"{"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient","active":true},"request":{"method":"POST","url":"Patient"}}"#;

async fn references_between_entries_lead_to_what_they_become(on: Database) {
    let f = Fixture::new(on).await;
    f.put(
        r#"{"resourceType":"Practitioner","id":"doc","identifier":[{"system":"n","value":"1"}]}"#,
    )
    .await;
    let text = transaction(&[
        r#"{"fullUrl":"urn:uuid:o","resource":{"resourceType":"Observation","status":"final","code":{"text":"c"},"subject":{"reference":"urn:uuid:p"},"performer":[{"reference":"Practitioner?identifier=n|1"}]},"request":{"method":"POST","url":"Observation"}}"#,
        NEW_PATIENT,
    ]);
    let answer = f.bundle(&text).await.unwrap();
    assert_eq!(at(answer.root(), "type"), "transaction-response");
    assert_eq!(statuses(&answer), ["201", "201"]);
    let patient = at(entries(&answer)[1], "response.location");
    let patient = patient.strip_suffix("/_history/1").unwrap();
    let found = f
        .found(&format!(
            "Observation?subject={patient}&performer=Practitioner/doc"
        ))
        .await;
    assert_eq!(found.len(), 1);
}

async fn entries_are_worked_on_in_the_order_of_the_standard(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"old","identifier":[{"value":"x"}]}"#)
        .await;
    let answer = f
        .bundle(&transaction(&[
            r#"{"request":{"method":"GET","url":"Patient?identifier=x"}}"#,
            r#"{"resource":{"resourceType":"Patient","id":"put","identifier":[{"value":"x"}]},"request":{"method":"PUT","url":"Patient/put"}}"#,
            r#"{"resource":{"resourceType":"Patient","identifier":[{"value":"x"}]},"request":{"method":"POST","url":"Patient"}}"#,
            r#"{"request":{"method":"DELETE","url":"Patient/old"}}"#,
        ]))
        .await
        .unwrap();
    assert_eq!(statuses(&answer), ["200", "201", "201", "204"]);
    let search = entries(&answer)[0].get("resource").unwrap();
    assert_eq!(search.get("entry").unwrap().items().count(), 2);
}

async fn one_bad_entry_undoes_all(on: Database) {
    let f = Fixture::new(on).await;
    for (bad, kind, place) in [
        (
            r#"{"resource":{"resourceType":"Patient","bogus":1},"request":{"method":"POST","url":"Patient"}}"#,
            ErrorKind::Unprocessable,
            "Bundle.entry[1].resource.bogus",
        ),
        (
            r#"{"resource":{"resourceType":"Observation","status":"final","code":{"text":"c"},"subject":{"reference":"urn:uuid:none"}},"request":{"method":"POST","url":"Observation"}}"#,
            ErrorKind::Invalid,
            "Bundle.entry[1]",
        ),
        (
            r#"{"resource":{"resourceType":"Observation","status":"final","code":{"text":"c"},"subject":{"reference":"Patient?identifier=none"}},"request":{"method":"POST","url":"Observation"}}"#,
            ErrorKind::PreconditionFailed,
            "",
        ),
        (
            r#"{"resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/a","ifMatch":"W/\"3\""}}"#,
            ErrorKind::PreconditionFailed,
            "Bundle.entry[1]",
        ),
        (
            r#"{"request":{"method":"DELETE","url":"Patient"}}"#,
            ErrorKind::Invalid,
            "Bundle.entry[1]",
        ),
        (
            r#"{"resource":{"resourceType":"Patient"},"request":{"method":"FETCH","url":"Patient"}}"#,
            ErrorKind::Invalid,
            "Bundle.entry[1]",
        ),
        (
            r#"{"resource":{"resourceType":"Patient"}}"#,
            ErrorKind::Invalid,
            "Bundle.entry[1]",
        ),
    ] {
        let error = f
            .bundle(&transaction(&[NEW_PATIENT, bad]))
            .await
            .unwrap_err();
        assert_eq!(error.kind, kind, "{bad}: {error:?}");
        let said = error.issues[0].expression.clone().unwrap_or_default();
        assert_eq!(said, place, "{bad}: {error:?}");
    }
    assert!(f.found("Patient").await.is_empty());
}

async fn the_same_identity_twice_is_refused(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a","identifier":[{"value":"x"}]}"#)
        .await;
    let put_a = r#"{"resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/a"}}"#;
    let condition = r#"{"resource":{"resourceType":"Patient","identifier":[{"value":"x"}]},"request":{"method":"PUT","url":"Patient?identifier=x"}}"#;
    let delete_a = r#"{"request":{"method":"DELETE","url":"Patient/a"}}"#;
    let create_once = r#"{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=new"}}"#;
    for pair in [
        [put_a, put_a],
        [put_a, condition],
        [put_a, delete_a],
        [create_once, create_once],
        [NEW_PATIENT, &NEW_PATIENT.replace("true", "false")],
    ] {
        let error = f.bundle(&transaction(&pair)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{pair:?}");
    }
    assert_eq!(f.read("Patient", "a").await.unwrap().version, 1);
}

async fn conditional_creates_in_a_transaction_find_or_make(on: Database) {
    let f = Fixture::new(on).await;
    let text = transaction(&[
        r#"{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","identifier":[{"value":"x"}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=x"}}"#,
        r#"{"resource":{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"subject":{"reference":"urn:uuid:1"}},"request":{"method":"POST","url":"Encounter"}}"#,
    ]);
    let first = f.bundle(&text).await.unwrap();
    assert_eq!(statuses(&first), ["201", "201"]);
    let second = f.bundle(&text).await.unwrap();
    assert_eq!(statuses(&second), ["200", "201"]);
    let location = |answer: &resources::Doc| at(entries(answer)[0], "response.location");
    assert_eq!(location(&first), location(&second));
    let patient = location(&first);
    let patient = patient.strip_suffix("/_history/1").unwrap();
    assert_eq!(
        f.found(&format!("Encounter?subject={patient}")).await.len(),
        2
    );
}

fn patch(url: &str, operations: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let data = STANDARD.encode(operations);
    format!(
        r#"{{"resource":{{"resourceType":"Binary","contentType":"application/json-patch+json","data":"{data}"}},"request":{{"method":"PATCH","url":"{url}"}}}}"#
    )
}

async fn a_patch_entry_carries_json_patch_in_a_binary(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a","active":true}"#)
        .await;
    let entry = patch(
        "Patient/a",
        r#"[{"op":"replace","path":"/active","value":false}]"#,
    );
    let answer = f.bundle(&transaction(&[&entry])).await.unwrap();
    assert_eq!(statuses(&answer), ["200"]);
    let text = f.read("Patient", "a").await.unwrap();
    assert!(text.text().unwrap().contains(r#""active":false"#));
}

async fn the_values_of_a_patch_refer_to_other_entries(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a"}"#).await;
    f.put(r#"{"resourceType":"Organization","id":"o","identifier":[{"value":"x"}]}"#)
        .await;
    let entry = patch(
        "Patient/a",
        r#"[{"op":"add","path":"/link","value":[{"other":{"reference":"urn:uuid:p"},"type":"seealso"}]},{"op":"add","path":"/managingOrganization","value":{"reference":"Organization?identifier=x"}},{"op":"test","path":"/link/0/other/reference","value":"urn:uuid:p"}]"#,
    );
    let answer = f
        .bundle(&transaction(&[NEW_PATIENT, &entry]))
        .await
        .unwrap();
    let new = at(entries(&answer)[0], "response.location").replace("/_history/1", "");
    let changed = f.read("Patient", "a").await.unwrap();
    let changed = doc(changed.text().unwrap());
    assert_eq!(at(changed.root(), "link.0.other.reference"), new);
    assert_eq!(
        at(changed.root(), "managingOrganization.reference"),
        "Organization/o"
    );
    let unknown = patch(
        "Patient/a",
        r#"[{"op":"add","path":"/generalPractitioner","value":[{"reference":"urn:uuid:none"}]}]"#,
    );
    let error = f.bundle(&transaction(&[&unknown])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

async fn a_document_inside_a_transaction_stays_as_it_is(on: Database) {
    let f = Fixture::new(on).await;
    let document = r#"{"resourceType":"Bundle","id":"d","type":"document","entry":[{"fullUrl":"urn:uuid:c","resource":{"resourceType":"Composition","status":"final","type":{"text":"t"},"date":"2026-11-20","title":"t","author":[{"reference":"urn:uuid:a"}],"subject":{"reference":"Patient?identifier=none"}}},{"fullUrl":"urn:uuid:a","resource":{"resourceType":"Practitioner"}}]}"#;
    let put = format!(
        r#"{{"fullUrl":"urn:uuid:x","resource":{document},"request":{{"method":"PUT","url":"Bundle/d"}}}}"#
    );
    f.bundle(&transaction(&[&put])).await.unwrap();
    let stored = f.read("Bundle", "d").await.unwrap();
    let entry = &document[document.find(r#""entry""#).unwrap()..];
    assert!(stored.text().unwrap().ends_with(entry));
}

async fn only_what_is_a_link_by_its_type_is_rewritten(on: Database) {
    let f = Fixture::new(on).await;
    let put = |kind: &str, members: &str| {
        format!(
            r#"{{"resource":{{"resourceType":"{kind}","id":"l",{members}}},"request":{{"method":"PUT","url":"{kind}/l"}}}}"#
        )
    };
    let answer = f
        .bundle(&transaction(&[
            NEW_PATIENT,
            &put("Person", r#""name":[{"text":"urn:uuid:p"}],"link":[{"target":{"reference":"urn:uuid:p","type":"Patient"}}]"#),
            &put("QuestionnaireResponse", r#""status":"completed","questionnaire":"urn:uuid:p","item":[{"linkId":"1","answer":[{"valueUri":"urn:uuid:p"}]}]"#),
        ]))
        .await
        .unwrap();
    let new = at(entries(&answer)[0], "response.location").replace("/_history/1", "");
    let read = async |kind| doc(f.read(kind, "l").await.unwrap().text().unwrap());
    let (person, response) = (read("Person").await, read("QuestionnaireResponse").await);
    for (doc, path, expected) in [
        (&person, "name.0.text", "urn:uuid:p"),
        (&person, "link.0.target.reference", &*new),
        (&response, "questionnaire", "urn:uuid:p"),
        (&response, "item.0.answer.0.valueUri", &*new),
    ] {
        assert_eq!(at(doc.root(), path), expected, "{path}");
    }
}

fn get(url: &str) -> String {
    format!(r#"{{"request":{{"method":"GET","url":"{url}"}}}}"#)
}

async fn a_get_that_cannot_be_answered_undoes_all(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a"}"#).await;
    f.put(r#"{"resourceType":"Patient","id":"gone"}"#).await;
    f.one(delete("Patient", Target::Id("gone".to_owned())))
        .await
        .unwrap();
    let delete_a = r#"{"request":{"method":"DELETE","url":"Patient/a"}}"#;
    for (url, kind) in [
        ("Patient/none", ErrorKind::NotFound),
        ("Patient/gone", ErrorKind::Gone),
        ("Patient/a", ErrorKind::Gone),
        ("Patient/a/_history/2", ErrorKind::Gone),
        ("Patient/a/_history/3", ErrorKind::NotFound),
        ("Patient/none/_history", ErrorKind::NotFound),
        ("Patient/none/$everything", ErrorKind::NotFound),
        ("Patient/a/$everything", ErrorKind::Gone),
        ("Patient?bogus=1", ErrorKind::Invalid),
        ("Patient?birthdate=x", ErrorKind::Invalid),
        ("Patient?_page=x", ErrorKind::Invalid),
        ("?_type=Bogus", ErrorKind::Invalid),
        ("Patient/a/Observation?bogus=1", ErrorKind::Invalid),
        ("_history?_since=x", ErrorKind::Invalid),
        ("Patient/none/_history?_count=x", ErrorKind::Invalid),
        ("Patient/none/$everything?_count=x", ErrorKind::Invalid),
        ("Bogus/1", ErrorKind::Invalid),
    ] {
        let bundle = transaction(&[NEW_PATIENT, delete_a, &get(url)]);
        let error = f.bundle(&bundle).await.unwrap_err();
        assert_eq!(error.kind, kind, "{url}: {error:?}");
        let place = error.issues[0].expression.clone().unwrap_or_default();
        assert!(place.starts_with("Bundle.entry[2]"), "{url}: {error:?}");
    }
    assert_eq!(f.found("Patient").await, ["Patient/a"]);
}

async fn a_get_sees_what_the_transaction_does(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a"}"#).await;
    let put = r#"{"resource":{"resourceType":"Patient","id":"new"},"request":{"method":"PUT","url":"Patient/new"}}"#;
    let delete_a = r#"{"request":{"method":"DELETE","url":"Patient/a"}}"#;
    let gets = [
        "Patient/new",
        "Patient/new/_history/1",
        "Patient/new/_history",
        "Patient/new/$everything",
        "Patient/a/_history",
        "Patient/a/_history/1",
        "Patient?_id=new",
    ]
    .map(get);
    let mut parts: Vec<&str> = gets.iter().map(String::as_str).collect();
    parts.extend([put, delete_a]);
    let answer = f.bundle(&transaction(&parts)).await.unwrap();
    assert_eq!(
        statuses(&answer),
        [
            "200", "200", "200", "200", "200", "200", "200", "201", "204"
        ]
    );
    let found = entries(&answer)[6].get("resource").unwrap();
    assert_eq!(at(found, "entry.0.resource.id"), "new");
}

async fn operations_are_carried_out_inside_a_bundle(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a","meta":{"tag":[{"code":"t"}]}}"#)
        .await;
    let post = |url: &str, resource: &str| {
        format!(r#"{{"resource":{resource},"request":{{"method":"POST","url":"{url}"}}}}"#)
    };
    let patient = r#"{"resourceType":"Patient","bogus":1}"#;
    let parts = [
        (get("$meta"), "Parameters"),
        (get("Patient/$meta"), "Parameters"),
        (get("Patient/a/$meta"), "Parameters"),
        (get("Patient/a/_history/1/$meta"), "Parameters"),
        (post("Patient/_search?_tag=t", "{}"), "Bundle"),
        (post("Patient/$validate", patient), "OperationOutcome"),
        (get("Patient/a/$everything"), "Bundle"),
    ];
    for kind in ["transaction", "batch"] {
        let texts: Vec<&str> = parts.iter().map(|(text, _)| text.as_str()).collect();
        let bundle = transaction(&texts).replace("transaction", kind);
        let answer = f.bundle(&bundle).await.unwrap();
        for (entry, (text, answered)) in entries(&answer).into_iter().zip(&parts) {
            assert_eq!(at(entry, "response.status"), "200 OK", "{text}");
            assert_eq!(at(entry, "resource.resourceType"), *answered, "{text}");
        }
        let found = entries(&answer)[4];
        assert_eq!(at(found, "resource.entry.0.resource.id"), "a");
    }
    for refused in [
        get("Patient/_search"),
        get("Patient/none/$meta"),
        post("Patient/$meta", "{}"),
        post("Patient/$validate?mode=x", patient),
    ] {
        let error = f.bundle(&transaction(&[NEW_PATIENT, &refused])).await;
        let place = error.unwrap_err().issues[0].expression.clone();
        assert_eq!(place.as_deref(), Some("Bundle.entry[1]"), "{refused}");
    }
    assert_eq!(f.found("Patient").await, ["Patient/a"]);
}

async fn references_that_only_a_transaction_resolves_are_refused_elsewhere(on: Database) {
    let f = Fixture::new(on).await;
    let observation = |subject: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"c"}},"subject":{{"reference":"{subject}"}}}}"#
        )
    };
    let error = f
        .one(create(&observation("Patient?identifier=x"), None))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let place = error.issues[0].expression.as_deref();
    assert_eq!(place, Some("Observation.subject.reference"));
    // A URN is a URI like any other, where no entry has it.
    let stranger = "urn:uuid:0e5a9ae8-8b3f-4f2b-9d6e-0a1f3f1f2a11";
    f.one(create(&observation(stranger), None)).await.unwrap();

    let post = |subject: &str| {
        format!(
            r#"{{"resource":{},"request":{{"method":"POST","url":"Observation"}}}}"#,
            observation(subject)
        )
    };
    let answer = f
        .bundle(&format!(
            r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#,
            [
                NEW_PATIENT,
                &post("urn:uuid:p"),
                &post("Patient?identifier=x"),
                &post(stranger)
            ]
            .join(",")
        ))
        .await
        .unwrap();
    assert_eq!(statuses(&answer), ["201", "400", "400", "201"]);
    for entry in [1, 2] {
        assert_eq!(
            at(
                entries(&answer)[entry],
                "response.outcome.issue.0.expression.0"
            ),
            format!("Bundle.entry[{entry}].resource.subject.reference")
        );
    }
}

async fn preconditions_of_entries_are_written_as_in_headers(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a","identifier":[{"value":"x"}]}"#)
        .await;
    let put = |id: &str| {
        format!(
            r#"{{"resource":{{"resourceType":"Patient","id":"{id}","identifier":[{{"value":"x"}}]}},"request":{{"method":"PUT","url":"Patient/{id}","ifMatch":"*"}}}}"#
        )
    };
    let once = r#"{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"Patient?identifier=x"}}"#;
    let by_search = r#"{"resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Patient?identifier=x","ifMatch":"*"}}"#;
    for (kind, wanted) in [("transaction", "412"), ("batch", "412")] {
        let bundle = |entry: &str| {
            format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}"#)
        };
        let answer = f.bundle(&bundle(&put("a"))).await.unwrap();
        assert_eq!(statuses(&answer), ["200"]);
        let answer = f.bundle(&bundle(once)).await.unwrap();
        assert_eq!(statuses(&answer), ["200"]);
        for (entry, status) in [(&*put("b"), wanted), (by_search, "400")] {
            let said = match f.bundle(&bundle(entry)).await {
                Ok(answer) => statuses(&answer).remove(0),
                Err(error) => error.kind.status().to_string(),
            };
            assert_eq!(said, status, "{kind}: {entry}");
        }
    }
    assert_eq!(f.found("Patient").await, ["Patient/a"]);
}

async fn a_misspelt_member_of_a_bundle_is_refused(on: Database) {
    let f = Fixture::new(on).await;
    for kind in ["transaction", "batch"] {
        let with = |members: &str| {
            format!(r#"{{"resourceType":"Bundle","type":"{kind}",{members},"entry":[]}}"#)
        };
        let error = f.bundle(&with(r#""foo":1"#)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert_eq!(error.issues[0].expression.as_deref(), Some("Bundle.foo"));
        let known = r#""id":"x","meta":{},"_type":{"id":"t"},"timestamp":"2026-11-20T00:00:00Z""#;
        f.bundle(&with(known)).await.unwrap();
    }
}

async fn entries_of_a_batch_stand_alone(on: Database) {
    let f = Fixture::new(on).await;
    let answer = f
        .bundle(&format!(
            r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#,
            [
                r#"{"resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/a"}}"#,
                r#"{"resource":{"resourceType":"Patient","bogus":1},"request":{"method":"POST","url":"Patient"}}"#,
                r#"{"request":{"method":"GET","url":"Patient/a"}}"#,
                r#"{"request":{"method":"GET","url":"Patient/a","ifNoneMatch":"W/\"1\""}}"#,
                r#"{"request":{"method":"GET","url":"Patient/b"}}"#,
                r#"{"request":{"method":"GET","url":"Nothing/b"}}"#,
                r#"{"request":{"method":"DELETE","url":"Patient/b"}}"#,
            ]
            .join(",")
        ))
        .await
        .unwrap();
    assert_eq!(at(answer.root(), "type"), "batch-response");
    assert_eq!(
        statuses(&answer),
        ["201", "422", "200", "304", "404", "400", "204"]
    );
    let failed = entries(&answer)[1];
    assert_eq!(
        at(failed, "response.outcome.issue.0.expression.0"),
        "Bundle.entry[1].resource.bogus"
    );
    assert_eq!(
        at(entries(&answer)[2], "fullUrl"),
        "http://h/fhir/Patient/a"
    );
}

async fn only_batches_and_transactions_are_carried_out(on: Database) {
    let f = Fixture::with(on, |settings| settings.limits.bundle_entries = 1).await;
    for (text, kind) in [
        (
            r#"{"resourceType":"Bundle","type":"collection"}"#.to_owned(),
            ErrorKind::Invalid,
        ),
        (
            r#"{"resourceType":"Bundle"}"#.to_owned(),
            ErrorKind::Invalid,
        ),
        (
            r#"{"resourceType":"Patient"}"#.to_owned(),
            ErrorKind::Invalid,
        ),
        (
            transaction(&[NEW_PATIENT, NEW_PATIENT]),
            ErrorKind::TooLarge,
        ),
    ] {
        assert_eq!(f.bundle(&text).await.unwrap_err().kind, kind, "{text}");
    }
    let empty = f
        .bundle(r#"{"resourceType":"Bundle","type":"transaction"}"#)
        .await
        .unwrap();
    assert!(entries(&empty).is_empty());
}

async fn a_transaction_of_thousands_is_one_commit(on: Database) {
    let f = Fixture::new(on).await;
    let mut parts = vec![NEW_PATIENT.to_owned()];
    for at in 0..3_000 {
        parts.push(format!(
            r#"{{"fullUrl":"urn:uuid:o{at}","resource":{{"resourceType":"Observation","status":"final","code":{{"text":"c{at}"}},"subject":{{"reference":"urn:uuid:p"}}}},"request":{{"method":"POST","url":"Observation"}}}}"#
        ));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let answer = f.bundle(&transaction(&parts)).await.unwrap();
    assert_eq!(entries(&answer).len(), 3_001);
    let counted = f.search("Observation?_summary=count").await.unwrap();
    assert_eq!(at(counted.root(), "total"), "3000");
}

async fn parallel_transactions_over_the_same_resources_all_succeed(on: Database) {
    let f = Fixture::new(on).await;
    let put = |id: &str| {
        format!(
            r#"{{"resource":{{"resourceType":"Patient","id":"{id}"}},"request":{{"method":"PUT","url":"Patient/{id}"}}}}"#
        )
    };
    let mut tasks = Vec::new();
    for at in 0..20 {
        let engine = f.engine.clone();
        let mut parts = [put("a"), put("b"), put("c")];
        parts.rotate_left(at % 3);
        let text = transaction(&[&parts[0], &parts[1], &parts[2]]);
        tasks.push(tokio::spawn(async move {
            engine.bundle(doc(&text), &OPTIONS, &ALL).await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for id in ["a", "b", "c"] {
        assert_eq!(f.read("Patient", id).await.unwrap().version, 20);
    }
}

async fn parallel_conditional_creates_in_transactions_leave_one_resource(on: Database) {
    let f = Fixture::new(on).await;
    let mut tasks = Vec::new();
    for at in 0..30 {
        let engine = f.engine.clone();
        let other = format!(
            r#"{{"resource":{{"resourceType":"Encounter","id":"e{at}","status":"planned","class":{{"code":"AMB"}},"subject":{{"reference":"urn:uuid:1"}}}},"request":{{"method":"PUT","url":"Encounter/e{at}"}}}}"#
        );
        let text = transaction(&[
            r#"{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","identifier":[{"value":"x"}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=x"}}"#,
            &other,
        ]);
        tasks.push(tokio::spawn(async move {
            engine.bundle(doc(&text), &OPTIONS, &ALL).await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let patients = f.found("Patient").await;
    assert_eq!(patients.len(), 1);
    let query = format!("Encounter?subject={}&_summary=count", patients[0]);
    let counted = f.search(&query).await.unwrap();
    assert_eq!(at(counted.root(), "total"), "30");
}
