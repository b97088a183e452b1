//! Ways to another patient that no list has: each was tried once, and leads nowhere.

use std::time::Duration;

use crate::{
    client::Answer,
    leaks::check,
    server::DATABASES,
    twins::without,
    world::{Ask, FORM, World},
};

/// A patient in context is one whom the user may see without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_context_opens_nobody_whom_the_roles_do_not() {
    for database in DATABASES {
        let world = World::new(database).await;
        let tokens = [
            (
                "another patient",
                world
                    .token(&["patient"], Some("Patient/pa"), "patient/*.rs", Some("pb"))
                    .await,
            ),
            (
                "a patient as user",
                world
                    .token(
                        &["patient"],
                        Some("Patient/pa"),
                        "user/*.rs patient/*.rs",
                        Some("pb"),
                    )
                    .await,
            ),
            (
                "a doctor who treats A",
                world
                    .token(
                        &["doctor"],
                        Some("Practitioner/dr"),
                        "patient/*.rs",
                        Some("pb"),
                    )
                    .await,
            ),
            (
                "a doctor who is nobody",
                world.token(&["doctor"], None, "user/*.rs", None).await,
            ),
            (
                "a doctor who treats A, by a version",
                world
                    .token(
                        &["doctor"],
                        Some("Practitioner/dr/_history/1"),
                        "user/*.rs",
                        None,
                    )
                    .await,
            ),
            (
                "whoever has no role",
                world
                    .token(&[], Some("Patient/pb"), "patient/*.rs", Some("pb"))
                    .await,
            ),
            (
                "a role that is gone",
                world
                    .token(
                        &["vanished"],
                        Some("Patient/pb"),
                        "patient/*.rs",
                        Some("pb"),
                    )
                    .await,
            ),
            (
                "two ids in one",
                world
                    .token(
                        &["patient"],
                        Some("Patient/pa,pb"),
                        "patient/*.rs",
                        Some("pa,pb"),
                    )
                    .await,
            ),
            (
                "a wildcard",
                world
                    .token(&["patient"], Some("Patient/*"), "patient/*.rs", Some("*"))
                    .await,
            ),
            (
                "a patient without an id",
                world
                    .token(
                        &["patient"],
                        Some("Patient/"),
                        "patient/*.rs user/*.rs",
                        Some(""),
                    )
                    .await,
            ),
        ];
        for (who, token) in &tokens {
            for line in [
                "GET Patient/pb",
                "GET Patient",
                "GET Observation?patient=pb",
                "GET Patient/pb/$everything",
                "GET _history",
            ] {
                let answer = world.line(token, line).await;
                let leak = check(&answer, &format!("{database:?} {line} by {who}"));
                // What is about both is A's too.
                assert!(
                    leak.is_none() || who.contains("doctor who treats A"),
                    "{leak:?}"
                );
                if line == "GET Patient/pb" {
                    assert!(
                        [401, 403, 404].contains(&answer.status),
                        "{who}: {}",
                        answer.status
                    );
                }
            }
        }
    }
}

/// What nobody is named in is nobody's, and not everybody's.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_nobody_known_is_not_shown_to_patients() {
    let world = World::new(DATABASES[0]).await;
    let bodies = [
        r#"{"resourceType":"Binary","id":"pb-loose","contentType":"text/plain","data":"a2FuYXJp"}"#,
        r#"{"resourceType":"Binary","id":"pb-chain","contentType":"text/plain","securityContext":{"reference":"Binary/pa-bin"},"data":"a2FuYXJp"}"#,
        r#"{"resourceType":"Binary","id":"pb-away","contentType":"text/plain","securityContext":{"reference":"https://elsewhere.example/Patient/pa"},"data":"a2FuYXJp"}"#,
        r#"{"resourceType":"Bundle","id":"pb-document","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"x","name":[{"family":"kanari"}]}}]}"#,
        r#"{"resourceType":"Observation","id":"pb-loose","status":"final","code":{"text":"kanari"}}"#,
        r#"{"resourceType":"Observation","id":"pb-group","status":"final","code":{"text":"kanari"},"subject":{"reference":"Group/pb-group"}}"#,
        r#"{"resourceType":"Observation","id":"pb-display","status":"final","code":{"text":"kanari"},"subject":{"display":"Patient/pa","identifier":{"system":"urn:mrn","value":"amselmrn7"}}}"#,
        r#"{"resourceType":"Observation","id":"pb-elsewhere","status":"final","code":{"text":"kanari"},"subject":{"reference":"https://elsewhere.example/fhir/Patient/pa"}}"#,
        r#"{"resourceType":"Linkage","id":"pb-linkage","active":true,"item":[{"type":"source","resource":{"reference":"Patient/pa","display":"kanari"}}]}"#,
        r#"{"resourceType":"MessageHeader","id":"pb-message","eventUri":"urn:kanari","source":{"endpoint":"urn:x"},"focus":[{"reference":"Patient/pa"}]}"#,
        r#"{"resourceType":"Subscription","id":"pb-subscription","status":"off","reason":"kanari","criteria":"Patient?_id=pa","channel":{"type":"rest-hook","header":["Authorization: kanari"]}}"#,
        r#"{"resourceType":"Parameters","id":"pb-parameters","parameter":[{"name":"kanari"}]}"#,
        r#"{"resourceType":"ImmunizationEvaluation","id":"pb-evaluation","status":"completed","patient":{"reference":"Patient/pb"},"targetDisease":{"text":"kanari"},"immunizationEvent":{"reference":"Immunization/x"},"doseStatus":{"text":"x"}}"#,
        r#"{"resourceType":"GuidanceResponse","id":"pb-guidance","moduleUri":"urn:kanari","status":"success","subject":{"reference":"Patient/pb"}}"#,
    ];
    for body in bodies {
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        let path = format!(
            "PUT {}/{}",
            json["resourceType"].as_str().unwrap(),
            json["id"].as_str().unwrap()
        );
        world.ask(&world.root, &Ask::new(&path).fhir(body)).await;
    }
    let token = world.patient("patient/*.rs").await;
    for body in bodies {
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        let (kind, id) = (
            json["resourceType"].as_str().unwrap(),
            json["id"].as_str().unwrap(),
        );
        for path in [
            format!("{kind}/{id}"),
            format!("{kind}/{id}/_history"),
            format!("{kind}?_id={id}"),
            kind.to_owned(),
            format!("Patient/pa/{kind}"),
        ] {
            for accept in ["application/fhir+json", "text/plain"] {
                let answer = world
                    .ask(
                        &token,
                        &Ask::new(&format!("GET {path}")).header(("Accept", accept)),
                    )
                    .await;
                let leak = check(&answer, &path);
                assert!(leak.is_none(), "{leak:?}");
            }
        }
    }
}

/// Content that comes raw is bound by its header as a resource is by its element.
#[tokio::test(flavor = "multi_thread")]
async fn raw_content_is_not_put_into_another_record() {
    let world = World::new(DATABASES[0]).await;
    let keeper = world.keeper().await;
    for context in [
        "Patient/pb",
        "Observation/pb-lab",
        "Patient/pa/../pb",
        "",
        "Binary/pb-bin",
    ] {
        for line in ["POST Binary", "PUT Binary/raw", "PUT Binary/pb-bin"] {
            let ask = Ask::new(line)
                .body(("Content-Type", "text/plain"), "hello")
                .header(("X-Security-Context", context));
            let answer = world.ask(&keeper, &ask).await;
            assert!(
                (400..=422).contains(&answer.status),
                "{line} for '{context}': {}",
                answer.status
            );
        }
    }
    let own = Ask::new("POST Binary")
        .body(("Content-Type", "text/plain"), "hello")
        .header(("X-Security-Context", "Patient/pa"));
    assert_eq!(world.ask(&keeper, &own).await.status, 201);
    let two = own.header(("X-Security-Context", "Patient/pb"));
    let answer = world.ask(&keeper, &two).await;
    assert!(
        answer.status >= 400 || !answer.text().contains("Patient/pb"),
        "{}",
        answer.text()
    );
}

/// What a form says and what its address says are both asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_and_its_address_do_not_outbid_one_another() {
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.patient("patient/*.rs").await;
        for (path, form) in [
            ("Observation/_search?patient=pa", "patient=pb"),
            ("Observation/_search?patient=pb", "patient=pa"),
            ("Observation/_search", "patient=pa&patient=pb"),
            ("Observation/_search", "subject=Patient/pb,Patient/pa"),
            (
                "Observation/_search",
                "_filter=subject eq Patient/pb or subject eq Patient/pa",
            ),
            ("Patient/_search", "_id=pb"),
            ("Patient/_search", "name:contains=kanari&_summary=count"),
            ("Patient/pa/Observation/_search", "patient=pb"),
            ("Patient/pb/Observation/_search", "patient=pa"),
            ("_search", "_type=Patient,Group&_id=pb,pb-group"),
            ("_search?_type=Patient", "_type=Group"),
            (
                "Patient/_search",
                "_include=*&_revinclude=*&_revinclude:iterate=*:*",
            ),
            ("Group/_search", "member=Patient/pa&_include=Group:member"),
        ] {
            let ask = Ask::new(&format!("POST {path}")).body(FORM, form);
            let answer = world.ask(&token, &ask).await;
            let leak = check(&answer, &format!("CL-03 {database:?} {path} {form}"));
            assert!(leak.is_none(), "{leak:?}");
            if form.contains("count") {
                assert_eq!(answer.json()["total"], 0, "CL-06 {path} {form}");
            }
        }
    }
}

/// Numbers of AuditEvents can be guessed; what they show cannot be had by it.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_audit_events_shows_only_ones_own() {
    let world = World::new(DATABASES[0]).await;
    for line in [
        "GET Patient/pb",
        "GET Observation?patient=pb",
        "GET Patient/pa",
    ] {
        world.line(&world.root, line).await;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    let token = world.patient("patient/*.rs").await;
    let mut seen = 0;
    for row in 0..70 {
        for number in 0..3 {
            let line = format!("GET AuditEvent/{row}-{number}");
            let answer = world.line(&token, &line).await;
            assert!([200, 404].contains(&answer.status), "{line}");
            assert!(
                !answer.text().contains("Patient/pb"),
                "{line}: {}",
                answer.text()
            );
            assert!(check(&answer, &line).is_none(), "{line}");
            seen += usize::from(answer.status == 200);
        }
    }
    assert!(seen > 0, "there are events about A");
}

/// Whoever does not see all there is cannot learn by a PUT which ids are taken: of what is there,
/// what was there and what never was, one is told the same, and nothing comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn choosing_an_id_does_not_tell_whether_it_is_taken() {
    type Way = fn(&str, &str) -> Ask;
    const WAYS: &[(&str, Way)] = &[
        ("update", |id, body| put(id, body)),
        ("update that must meet a version", |id, body| {
            put(id, body).header(("If-Match", "W/\"1\""))
        }),
        ("update that must meet another version", |id, body| {
            put(id, body).header(("If-Match", "W/\"7\""))
        }),
        ("update that must meet any", |id, body| {
            put(id, body).header(("If-Match", "*"))
        }),
        ("update that must meet none", |id, body| {
            put(id, body).header(("If-None-Match", "*"))
        }),
        ("update with what is no resource", |id, _| {
            put(
                id,
                &format!(r#"{{"resourceType":"Observation","id":"{id}","bogus":1}}"#),
            )
        }),
        ("update by a condition that nothing meets", |id, body| {
            Ask::new("PUT Observation?identifier=never").fhir(&body.replace("{id}", id))
        }),
        ("update by the id as a condition", |id, body| {
            Ask::new(&format!("PUT Observation?_id={id}")).fhir(&body.replace("{id}", id))
        }),
        ("in a batch", |id, body| bundle("batch", id, body, "")),
        ("in a batch, to meet a version", |id, body| {
            bundle("batch", id, body, r#","ifMatch":"W/\"1\"""#)
        }),
        ("in a batch, to meet none", |id, body| {
            bundle("batch", id, body, r#","ifNoneMatch":"*""#)
        }),
        ("in a transaction", |id, body| {
            bundle("transaction", id, body, "")
        }),
        ("in a transaction, to meet a version", |id, body| {
            bundle("transaction", id, body, r#","ifMatch":"W/\"1\"""#)
        }),
        ("in a transaction, to meet none", |id, body| {
            bundle("transaction", id, body, r#","ifNoneMatch":"*""#)
        }),
    ];
    fn put(id: &str, body: &str) -> Ask {
        Ask::new(&format!("PUT Observation/{id}")).fhir(&body.replace("{id}", id))
    }
    fn bundle(kind: &str, id: &str, body: &str, more: &str) -> Ask {
        let body = body.replace("{id}", id);
        let entry = format!(
            r#"{{"resource":{body},"request":{{"method":"PUT","url":"Observation/{id}"{more}}}}}"#
        );
        let text = format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}"#);
        Ask::new("POST /fhir").fhir(&text)
    }
    /// What is told, whatever the id.
    fn told(answer: &Answer, id: &str) -> String {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
        let text = without(&answer.text(), "\"lastUpdated\":\"", '"');
        format!("{} {headers:?} {text}", answer.status).replace(id, "<id>")
    }
    let body = |patient: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"{{id}}","status":"final","code":{{"text":"c"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
        )
    };
    for database in DATABASES {
        let world = World::new(database).await;
        let gone = Ask::new("PUT Observation/pb-old").fhir(&body("pb").replace("{id}", "pb-old"));
        world.ask(&world.root, &gone).await;
        world.line(&world.root, "DELETE Observation/pb-old").await;
        let doctors =
            |scopes, patient| world.token(&["doctor"], Some("Practitioner/dr"), scopes, patient);
        let tokens = [
            ("the patient's keeper", world.keeper().await),
            ("a doctor", doctors("user/*.cruds", None).await),
            (
                "a doctor's app",
                doctors("patient/*.cruds", Some("pa")).await,
            ),
            (
                "a monitor",
                world
                    .program("system/Observation.cruds?category=vital-signs")
                    .await,
            ),
        ];
        let log = async || {
            let answer = world.line(&world.root, "GET _history?_count=1").await;
            answer.json()["total"].clone()
        };
        let before = log().await;
        for (who, token) in &tokens {
            for (way, make) in WAYS {
                for patient in ["pa", "pb"] {
                    let what = format!("WR-03 {database:?} {way}, {who}, about {patient}");
                    let body = body(patient);
                    let mut all = Vec::new();
                    for id in ["pb-lab", "pb-old", "qx-lab"] {
                        let answer = world.ask(token, &make(id, &body)).await;
                        assert!(check(&answer, &what).is_none(), "{what}");
                        let text = answer.text();
                        assert!(text.contains("not-found"), "{what}: {text}");
                        assert!(text.contains("POST Observation"), "{what}: {text}");
                        all.push(told(&answer, id));
                    }
                    assert_eq!(all[0], all[2], "{what}: hidden and absent");
                    assert_eq!(all[1], all[2], "{what}: deleted and absent");
                }
            }
        }
        assert_eq!(before, log().await, "{database:?}: something came of it");

        // What the server gives an id is theirs to make, and then to change.
        let (_, keeper) = &tokens[0];
        let unnamed = body("pa").replace(r#""id":"{id}","#, "");
        let line = "PUT Observation?identifier=never";
        for ask in [Ask::new("POST Observation"), Ask::new(line)] {
            let made = world.ask(keeper, &ask.fhir(&unnamed)).await;
            assert_eq!(made.status, 201, "{}", made.text());
            let id = made.json()["id"].as_str().unwrap().to_owned();
            let change = put(&id, &body("pa")).header(("If-Match", "W/\"1\""));
            assert_eq!(world.ask(keeper, &change).await.status, 200);
        }
        // From whom nothing is hidden, an id is no secret.
        for (id, scopes) in [
            ("all", "system/*.cruds"),
            ("seen", "system/*.rs system/Observation.cu?status=final"),
            ("replaced", "system/Observation.u"),
        ] {
            let token = world.program(scopes).await;
            let made = world.ask(&token, &put(id, &body("pb"))).await;
            assert_eq!(made.status, 201, "{scopes}: {}", made.text());
        }
    }
}

/// A reference by identifier is about the patient who has it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_about_whoever_has_an_identifier() {
    let world = World::new(DATABASES[0]).await;
    let keeper = world.keeper().await;
    let identifier = r#""identifier":{"system":"urn:mrn","value":"kanarimrn7"}"#;
    for (about, expected) in [
        (
            format!(r#""subject":{{"type":"Patient",{identifier}}}"#),
            403,
        ),
        (format!(r#""subject":{{{identifier}}}"#), 403),
        (
            format!(
                r#""subject":{{"reference":"Patient/pa"}},"focus":[{{"type":"Patient",{identifier}}}]"#
            ),
            403,
        ),
        // One's own, with the identifier beside the reference; and somebody who is no patient.
        (
            format!(
                r#""subject":{{"reference":"Patient/pa",{identifier}}},"device":{{"type":"Device",{identifier}}}"#
            ),
            201,
        ),
    ] {
        let body = format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"c"}},"performer":[{{"reference":"Patient/pa"}}],{about}}}"#
        );
        let post = Ask::new("POST Observation").fhir(&body);
        let answer = world.ask(&keeper, &post).await;
        assert_eq!(answer.status, expected, "WR-01 {about}: {}", answer.text());
    }
}
