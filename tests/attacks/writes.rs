//! What a token may write: about its own patient, and nothing about another.

use crate::{
    leaks::check,
    server::DATABASES,
    world::{Ask, FHIR, JSON_PATCH, World},
};

/// Label, attack, type, body of something that names B. `{base}` is the server.
const ABOUT_B: &[(&str, &str, &str, &str)] = &[
    (
        "WR-01",
        "an Observation of B",
        "Observation",
        r#""status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pb"}"#,
    ),
    (
        "WR-01",
        "of B, performed by A",
        "Observation",
        r#""status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pb"},"performer":[{"reference":"Patient/pa"}]"#,
    ),
    (
        "WR-01",
        "of A, performed by B",
        "Observation",
        r#""status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pa"},"performer":[{"reference":"Patient/pb"}]"#,
    ),
    (
        "WR-01",
        "of A, with B in focus",
        "Observation",
        r#""status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pa"},"focus":[{"reference":"Patient/pb"}]"#,
    ),
    (
        "WR-01",
        "by the address of B",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"{base}/Patient/pb"}"#,
    ),
    (
        "WR-01",
        "by a version of B",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"Patient/pb/_history/1"}"#,
    ),
    (
        "WR-01",
        "by a fragment of B",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"Patient/pb#x"}"#,
    ),
    (
        "WR-01",
        "by a way around",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"Patient/pa/../pb"}"#,
    ),
    (
        "WR-01",
        "by the address in capitals",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"{BASE}/Patient/pb"}"#,
    ),
    (
        "WR-01",
        "by the address with encoded letters",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"{base}/Patient/%70b"}"#,
    ),
    (
        "WR-01",
        "by the address with an encoded type",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"{base}/Pat%69ent/pb"}"#,
    ),
    (
        "WR-01",
        "by a way around with the address",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"{base}/Patient/pa/../pb"}"#,
    ),
    (
        "WR-01",
        "by encoded letters",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"Patient/%70b"}"#,
    ),
    (
        "WR-01",
        "by escaped letters",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"Patient/\u0070b"}"#,
    ),
    (
        "WR-01",
        "by escaped letters of the name",
        "Observation",
        r#""status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subj\u0065ct":{"reference":"Patient/pb"}"#,
    ),
    (
        "WR-01",
        "by what it contains",
        "Observation",
        r##""contained":[{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/pb"}}]}],"status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"#g"}"##,
    ),
    (
        "WR-01",
        "by an extension",
        "Observation",
        r#""status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pa"},"extension":[{"url":"urn:x","valueReference":{"reference":"Patient/pb"}}]"#,
    ),
    (
        "WR-01",
        "by what a modifier says",
        "Observation",
        r#""status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pa"},"modifierExtension":[{"url":"urn:x","valueReference":{"reference":"Patient/pb"}}]"#,
    ),
    (
        "WR-01",
        "an Appointment of both",
        "Appointment",
        r#""status":"booked","participant":[{"actor":{"reference":"Patient/pa"},"status":"accepted"},{"actor":{"reference":"Patient/pb"},"status":"accepted"}]"#,
    ),
    (
        "WR-01",
        "a Consent of B",
        "Consent",
        r#""status":"active","scope":{"text":"x"},"category":[{"text":"x"}],"patient":{"reference":"Patient/pb"},"performer":[{"reference":"Patient/pa"}],"policyRule":{"text":"x"}"#,
    ),
    (
        "WR-01",
        "a Group of both",
        "Group",
        r#""type":"person","actual":true,"member":[{"entity":{"reference":"Patient/pa"}},{"entity":{"reference":"Patient/pb"}}]"#,
    ),
    (
        "WR-01",
        "a List of B",
        "List",
        r#""status":"current","mode":"working","subject":{"reference":"Patient/pb"},"source":{"reference":"Patient/pa"}"#,
    ),
    (
        "WR-01",
        "a Provenance over both",
        "Provenance",
        r#""target":[{"reference":"Patient/pa"},{"reference":"Patient/pb"}],"recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"reference":"Patient/pa"}}]"#,
    ),
    (
        "WR-01",
        "a Binary of B",
        "Binary",
        r#""contentType":"text/plain","securityContext":{"reference":"Patient/pb"},"data":"aGk=""#,
    ),
    (
        "WR-01",
        "a Binary of what B has",
        "Binary",
        r#""contentType":"text/plain","securityContext":{"reference":"Observation/pb-lab"},"data":"aGk=""#,
    ),
    ("WR-01", "a Patient", "Patient", r#""gender":"male""#),
    (
        "WR-01",
        "a Patient linked with B",
        "Patient",
        r#""link":[{"other":{"reference":"Patient/pb"},"type":"seealso"}]"#,
    ),
    (
        "WR-01",
        "a Person who is both",
        "Person",
        r#""link":[{"target":{"reference":"Patient/pa"}},{"target":{"reference":"Patient/pb"}}]"#,
    ),
    (
        "WR-01",
        "a relative of B",
        "RelatedPerson",
        r#""patient":{"reference":"Patient/pb"}"#,
    ),
    (
        "WR-01",
        "an Account of both",
        "Account",
        r#""status":"active","subject":[{"reference":"Patient/pa"},{"reference":"Patient/pb"}]"#,
    ),
    (
        "WR-01",
        "an Encounter of B, for a care relation",
        "Encounter",
        r#""status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/pb"},"participant":[{"individual":{"reference":"Practitioner/dr"}}]"#,
    ),
    (
        "WR-01",
        "a CareTeam of B, for a care relation",
        "CareTeam",
        r#""subject":{"reference":"Patient/pb"},"participant":[{"member":{"reference":"Practitioner/dr"}},{"member":{"reference":"Patient/pa"}}]"#,
    ),
    (
        "WR-01",
        "an Appointment of B, for a care relation",
        "Appointment",
        r#""status":"booked","participant":[{"actor":{"reference":"Patient/pb"},"status":"accepted"},{"actor":{"reference":"Practitioner/dr"},"status":"accepted"}]"#,
    ),
    (
        "WR-01",
        "a Task for B",
        "Task",
        r#""status":"requested","intent":"order","for":{"reference":"Patient/pb"},"requester":{"reference":"Patient/pa"}"#,
    ),
    (
        "WR-01",
        "a Device of B",
        "Device",
        r#""patient":{"reference":"Patient/pb"}"#,
    ),
    (
        "WR-01",
        "what is about nobody",
        "Observation",
        r#""status":"final","code":{"text":"c"}"#,
    ),
    (
        "WR-01",
        "how everything is searched",
        "SearchParameter",
        r#""url":"urn:x","name":"x","status":"active","description":"x","code":"x","base":["Observation"],"type":"reference","expression":"Observation.subject""#,
    ),
    (
        "WR-01",
        "what everybody must have",
        "StructureDefinition",
        r#""url":"urn:x","name":"x","status":"active","kind":"resource","abstract":false,"type":"Observation""#,
    ),
    (
        "WR-01",
        "what codes mean",
        "ValueSet",
        r#""url":"urn:x","status":"active""#,
    ),
    (
        "WR-01",
        "a colleague",
        "Practitioner",
        r#""name":[{"family":"x"}]"#,
    ),
    ("WR-01", "a hospital", "Organization", r#""name":"x""#),
    (
        "WR-01",
        "a message",
        "MessageHeader",
        r#""eventUri":"urn:x","source":{"endpoint":"urn:x"}"#,
    ),
    (
        "WR-01",
        "a document about B",
        "Bundle",
        r#""type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"pb"}}]"#,
    ),
    (
        "WR-06",
        "an AuditEvent",
        "AuditEvent",
        r#""type":{"code":"rest"},"recorded":"2026-01-01T00:00:00Z","agent":[{"requestor":true,"who":{"reference":"Patient/pa"}}],"source":{"observer":{"display":"x"}}"#,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_that_is_about_another_patient() {
    for database in DATABASES {
        let world = World::new(database).await;
        let keeper = world.keeper().await;
        let doctor = world
            .token(&["doctor"], Some("Practitioner/dr"), "user/*.cruds", None)
            .await;
        let app = world
            .token(
                &["doctor"],
                Some("Practitioner/dr"),
                "patient/*.cruds",
                Some("pa"),
            )
            .await;
        let before = log(&world).await;
        for (who, token) in [
            ("keeper", &keeper),
            ("doctor", &doctor),
            ("doctor's app", &app),
        ] {
            for (label, attack, kind, body) in ABOUT_B {
                let body = body
                    .replace("{base}", &world.server.base)
                    .replace("{BASE}", &world.server.base.to_uppercase());
                let body = format!(r#"{{"resourceType":"{kind}",{body}}}"#);
                let named = body.replacen('{', r#"{"id":"new","#, 1);
                let in_bundle = |kind_of: &str| {
                    let entry = format!(
                        r#"{{"resource":{body},"request":{{"method":"POST","url":"{kind}"}}}}"#
                    );
                    let text = format!(
                        r#"{{"resourceType":"Bundle","type":"{kind_of}","entry":[{entry}]}}"#
                    );
                    Ask::new("POST /fhir").fhir(&text)
                };
                let asks = [
                    Ask::new(&format!("POST {kind}")).fhir(&body),
                    Ask::new(&format!("PUT {kind}/new")).fhir(&named),
                    Ask::new(&format!("PUT {kind}?_id=new")).fhir(&named),
                    Ask::new(&format!("POST {kind}"))
                        .fhir(&body)
                        .header(("If-None-Exist", "_id=never")),
                    in_bundle("transaction"),
                    in_bundle("batch"),
                ];
                for ask in asks {
                    let what = format!(
                        "{database:?} {label} {attack}, {who}, {} {}",
                        ask.method, ask.path
                    );
                    let answer = world.ask(token, &ask).await;
                    assert!(check(&answer, &what).is_none(), "{what}");
                    if ask.body.contains("\"batch\"") && answer.status == 200 {
                        let status = answer.json()["entry"][0]["response"]["status"].to_string();
                        assert!(status.starts_with("\"4"), "{what}: {}", answer.text());
                    } else {
                        assert!(
                            (400..=422).contains(&answer.status),
                            "{what}: {} {}",
                            answer.status,
                            answer.text()
                        );
                    }
                }
            }
        }
        assert_eq!(before, log(&world).await, "{database:?}");
    }
}

/// The newest version that was written.
async fn log(world: &World) -> String {
    let answer = world.line(&world.root, "GET _history?_count=1").await;
    let json = answer.json();
    format!("{} {}", json["total"], json["entry"])
}

/// What A has is not given to B, and what B has is not taken.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_between_records() {
    for database in DATABASES {
        let world = World::new(database).await;
        let tokens = [
            ("keeper", world.keeper().await),
            (
                "doctor",
                world
                    .token(&["doctor"], Some("Practitioner/dr"), "user/*.cruds", None)
                    .await,
            ),
        ];
        let body = |id: &str, patient: &str| {
            format!(
                r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"c"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
            )
        };
        let patch = |path: &str, value: &str| {
            format!(r#"[{{"op":"replace","path":"{path}","value":{value}}}]"#)
        };
        let b = r#"{"reference":"Patient/pb"}"#;
        let rows: Vec<(&str, &str, Ask)> = vec![
            (
                "WR-02",
                "out, by update",
                Ask::new("PUT Observation/pa-lab").fhir(&body("pa-lab", "pb")),
            ),
            (
                "WR-02",
                "out, by a patch of the subject",
                Ask::new("PATCH Observation/pa-lab").body(JSON_PATCH, &patch("/subject", b)),
            ),
            (
                "WR-02",
                "out, by a patch of the reference",
                Ask::new("PATCH Observation/pa-lab")
                    .body(JSON_PATCH, &patch("/subject/reference", "\"Patient/pb\"")),
            ),
            (
                "WR-02",
                "out, by a patch that adds",
                Ask::new("PATCH Observation/pa-lab").body(
                    JSON_PATCH,
                    r#"[{"op":"add","path":"/performer","value":[{"reference":"Patient/pb"}]}]"#,
                ),
            ),
            (
                "WR-02",
                "out, by a condition",
                Ask::new("PUT Observation?_id=pa-lab").fhir(&body("pa-lab", "pb")),
            ),
            (
                "WR-02",
                "into nobody's",
                Ask::new("PATCH Observation/pa-lab")
                    .body(JSON_PATCH, r#"[{"op":"remove","path":"/subject"}]"#),
            ),
            (
                "WR-02",
                "in, by update",
                Ask::new("PUT Observation/pb-lab").fhir(&body("pb-lab", "pa")),
            ),
            (
                "WR-02",
                "in, by a patch",
                Ask::new("PATCH Observation/pb-lab")
                    .body(JSON_PATCH, &patch("/subject/reference", "\"Patient/pa\"")),
            ),
            (
                "WR-02",
                "in, by a condition",
                Ask::new("PUT Observation?identifier=kanarimrn7").fhir(&body("pb-lab", "pa")),
            ),
            (
                "WR-02",
                "in, where both are named",
                Ask::new("PUT Observation/pb-focus-a").fhir(&body("pb-focus-a", "pa")),
            ),
            (
                "WR-02",
                "what was A's",
                Ask::new("PUT Observation/pb-was-of-a").fhir(&body("pb-was-of-a", "pa")),
            ),
            (
                "WR-02",
                "the patient itself",
                Ask::new("PUT Patient/pb").fhir(r#"{"resourceType":"Patient","id":"pb"}"#),
            ),
            (
                "WR-02",
                "the Appointment of both",
                Ask::new("DELETE Appointment/pb-appt"),
            ),
            (
                "WR-02",
                "the Group of both",
                Ask::new("DELETE Group/pb-group"),
            ),
            (
                "WR-03",
                "all that there are",
                Ask::new("DELETE Observation?subject=Patient/pb"),
            ),
            (
                "WR-03",
                "all that refer to A",
                Ask::new("DELETE Observation?focus=Patient/pa"),
            ),
            (
                "WR-04",
                "one id in the address, another in the body",
                Ask::new("PUT Observation/pa-lab").fhir(&body("pb-lab", "pa")),
            ),
            (
                "WR-04",
                "one fullUrl, another request",
                bundle(&format!(
                    r#"{{"fullUrl":"{base}/Observation/pa-lab","resource":{body},"request":{{"method":"PUT","url":"Observation/pb-lab"}}}}"#,
                    base = world.server.base,
                    body = body("pa-lab", "pa")
                )),
            ),
            (
                "WR-04",
                "a way around",
                bundle(&format!(
                    r#"{{"resource":{},"request":{{"method":"PUT","url":"Observation/pa-lab/../pb-lab"}}}}"#,
                    body("pb-lab", "pa")
                )),
            ),
            (
                "WR-04",
                "the address of B's",
                bundle(&format!(
                    r#"{{"resource":{},"request":{{"method":"PUT","url":"{}/Observation/pb-lab"}}}}"#,
                    body("pb-lab", "pa"),
                    world.server.base
                )),
            ),
            (
                "WR-04",
                "a fullUrl that is B",
                bundle(
                    r#"{"fullUrl":"urn:uuid:0f1e2d3c-0000-4000-8000-000000000001","resource":{"resourceType":"Observation","status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/pa"}],"subject":{"reference":"urn:uuid:0f1e2d3c-0000-4000-8000-000000000002"}},"request":{"method":"POST","url":"Observation"}},
                   {"fullUrl":"urn:uuid:0f1e2d3c-0000-4000-8000-000000000002","resource":{"resourceType":"Patient","id":"pb"},"request":{"method":"PUT","url":"Patient/pb"}}"#,
                ),
            ),
            (
                "WR-04",
                "two of one fullUrl",
                bundle(&format!(
                    r#"{{"fullUrl":"urn:uuid:0f1e2d3c-0000-4000-8000-000000000001","resource":{0},"request":{{"method":"PUT","url":"Observation/pa-lab"}}}},
                   {{"fullUrl":"urn:uuid:0f1e2d3c-0000-4000-8000-000000000001","resource":{1},"request":{{"method":"PUT","url":"Observation/pb-lab"}}}}"#,
                    body("pa-lab", "pa"),
                    body("pb-lab", "pa")
                )),
            ),
        ];
        let paths = [
            "Observation/pa-lab",
            "Observation/pb-lab",
            "Observation/pb-focus-a",
            "Observation/pb-was-of-a",
            "Patient/pb",
            "Appointment/pb-appt",
            "Group/pb-group",
        ];
        let before = histories(&world, &paths).await;
        for (who, token) in &tokens {
            for (label, attack, ask) in &rows {
                let what = format!("{database:?} {label} {attack}, {who}");
                let answer = world.ask(token, ask).await;
                assert!(check(&answer, &what).is_none(), "{what}");
                // A deletion of nothing is done.
                let nothing = ask.method == "DELETE" && answer.status == 204;
                assert!(
                    (400..=422).contains(&answer.status) || nothing,
                    "{what}: {} {}",
                    answer.status,
                    answer.text()
                );
                assert_eq!(before, histories(&world, &paths).await, "{what}");
            }
        }
    }
}

fn bundle(entries: &str) -> Ask {
    let body = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}"#);
    Ask::new("POST /fhir").body(FHIR, &body)
}

async fn histories(world: &World, paths: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for path in paths {
        all.push(world.history(path).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_transaction_with_a_forbidden_part_nothing_is_stored() {
    for database in DATABASES {
        let world = World::new(database).await;
        let keeper = world.keeper().await;
        let own = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pa"}}"#;
        let good =
            format!(r#"{{"resource":{own},"request":{{"method":"POST","url":"Observation"}}}}"#);
        let bad = [
            r#"{"request":{"method":"DELETE","url":"Observation/pb-lab"}}"#.to_owned(),
            r#"{"request":{"method":"GET","url":"Observation/pb-lab"}}"#.to_owned(),
            good.replace("Patient/pa", "Patient/pb"),
            good.replace("final", "nonsense\u{7}"),
            r#"{"resource":{"resourceType":"AuditEvent"},"request":{"method":"POST","url":"AuditEvent"}}"#.to_owned(),
        ];
        let before = log(&world).await;
        for last in bad {
            let entries = format!("{},{last}", vec![good.as_str(); 20].join(","));
            let answer = world.ask(&keeper, &bundle(&entries)).await;
            assert!(
                (400..=422).contains(&answer.status),
                "WR-10 {last}: {}",
                answer.status
            );
            assert_eq!(before, log(&world).await, "{database:?} WR-10 {last}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_sets_is_not_the_clients() {
    let world = World::new(DATABASES[0]).await;
    let keeper = world.keeper().await;
    let body = r#"{"resourceType":"Observation","id":"mine","meta":{"versionId":"99","lastUpdated":"1999-01-01T00:00:00Z"},"status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pa"}}"#;
    let answer = world
        .ask(&keeper, &Ask::new("POST Observation").fhir(body))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let location = answer.header("location").unwrap().to_owned();
    assert!(!location.contains("/mine"), "WR-05 {location}");
    let json = answer.json();
    assert_eq!(json["meta"]["versionId"], "1", "WR-05");
    assert!(
        !json["meta"]["lastUpdated"].to_string().contains("1999"),
        "WR-05"
    );
}

/// Nobody writes the audit, whatever they may.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_tampers_with_the_audit() {
    let world = World::new(DATABASES[0]).await;
    let administrator = world
        .token(&["administrator"], None, "rotunda/admin", None)
        .await;
    let officer = world
        .token(&["privacy-officer"], None, "user/*.cruds", None)
        .await;
    world.line(&world.root, "GET Patient/pa").await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let found = world.line(&officer, "GET AuditEvent?_count=1").await.json();
    let id = found["entry"][0]["resource"]["id"]
        .as_str()
        .expect("an AuditEvent")
        .to_owned();
    let event = found["entry"][0]["resource"].to_string();
    for token in [&world.root, &administrator, &officer] {
        let asks = [
            Ask::new("POST AuditEvent").fhir(&event),
            Ask::new(&format!("PUT AuditEvent/{id}")).fhir(&event),
            Ask::new("PUT AuditEvent/mine").fhir(&event.replace(&id, "mine")),
            Ask::new(&format!("PATCH AuditEvent/{id}")).body(JSON_PATCH, r#"[{"op":"replace","path":"/outcome","value":"8"}]"#),
            Ask::new(&format!("DELETE AuditEvent/{id}")),
            Ask::new("DELETE AuditEvent?date=gt2000"),
            Ask::new(&format!("POST AuditEvent/{id}/$meta-add")).fhir(r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}"#),
            bundle(&format!(r#"{{"request":{{"method":"DELETE","url":"AuditEvent/{id}"}}}}"#)),
            bundle(&format!(r#"{{"resource":{event},"request":{{"method":"POST","url":"AuditEvent"}}}}"#)),
        ];
        for ask in asks {
            let answer = world.ask(token, &ask).await;
            let what = format!("WR-06 {} {}", ask.method, ask.path);
            assert!(
                [403, 404, 405].contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    let there = world.line(&officer, &format!("GET AuditEvent/{id}")).await;
    assert_eq!(there.json(), found["entry"][0]["resource"], "WR-06");
}

/// What is deleted is gone, and can be read as it was by whoever could.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_is_not_erased() {
    let world = World::new(DATABASES[0]).await;
    let keeper = world.keeper().await;
    let deleted = world.line(&keeper, "DELETE Observation/pa-vital").await;
    assert_eq!(deleted.status, 204, "AD-08");
    let read = world.line(&world.root, "GET Observation/pa-vital").await;
    assert_eq!(read.status, 410, "AD-08");
    let old = world
        .line(&world.root, "GET Observation/pa-vital/_history/1")
        .await;
    assert_eq!(old.status, 200, "AD-08");
    // Whose it was decides what others are told, and nobody has it now.
    let read = world.line(&keeper, "GET Observation/pa-vital").await;
    assert!([404, 410].contains(&read.status), "AD-08: {}", read.status);
    let other = world.patient("patient/Condition.rs").await;
    let read = world.line(&other, "GET Observation/pa-vital").await;
    assert_eq!(read.status, 403, "AD-08: no scope for the type");
}
