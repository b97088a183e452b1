//! Broken glass, the audit of what is tried, and what the log must not say.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use rotunda::auth::grant::{Grant, Subject};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    hospital::{CANARY, OF_BOTH},
    leaks::check,
    server::DATABASES,
    world::{Ask, FORM, JSON_PATCH, World},
};

/// A doctor's token for one patient, for whom the glass is broken.
async fn broken_glass(world: &World, roles: &[&str], fhir_user: &str, patient: &str) -> String {
    let user = world.user(roles, Some(fhir_user)).await;
    let grant = Grant {
        broken_glass: Some("unconscious in the emergency room".to_owned()),
        ..world.grant(Subject::User(user), "user/*.cruds", Some(patient))
    };
    world.token_from(&grant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_glass_opens_one_patient_to_those_who_may() {
    for database in DATABASES {
        let world = World::new(database).await;
        let doctor = world.doctor("user/*.rs").await;
        assert_eq!(
            world.line(&doctor, "GET Patient/pb").await.status,
            404,
            "CL-17"
        );
        let open = broken_glass(&world, &["doctor"], "Practitioner/dr", "pb").await;
        assert_eq!(
            world.line(&open, "GET Patient/pb").await.status,
            200,
            "CL-17"
        );
        // It is for that patient, not for one more.
        assert_eq!(
            world.line(&open, "GET Patient/pa").await.status,
            404,
            "CL-17"
        );
        let elsewhere = broken_glass(&world, &["doctor"], "Practitioner/dr", "pa").await;
        assert_eq!(
            world.line(&elsewhere, "GET Patient/pb").await.status,
            404,
            "CL-17"
        );
        // A patient has no glass to break.
        let patient = broken_glass(&world, &["patient"], "Patient/pa", "pb").await;
        for line in [
            "GET Patient/pb",
            "GET Observation?patient=pb",
            "GET Patient/pb/$everything",
        ] {
            let answer = world.line(&patient, line).await;
            assert!(
                check(&answer, line).is_none(),
                "CL-17 {line}: {}",
                answer.text()
            );
        }
        let found = audited(&world, "AuditEvent?entity=Patient/pb&_count=100").await;
        assert!(found.contains("\"BTG\""), "CL-17: {found}");
    }
}

/// What the audit says to who may read it, once it is written.
async fn audited(world: &World, query: &str) -> String {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let officer = world
        .token(&["privacy-officer"], None, "user/*.rs", None)
        .await;
    let answer = world.line(&officer, &format!("GET {query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_tried_leaves_a_trace_without_the_token() {
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.patient("patient/*.rs").await;
        let rows: &[(&str, &str, &str)] = &[
            ("AD-01", "read", "GET Patient/pa"),
            ("AD-01", "search", "GET Observation?patient=pa&code=4548-4"),
            ("AD-01", "denied-read", "GET Patient/pb"),
            ("AD-01", "denied-write", "DELETE Observation/pa-lab"),
            ("AD-01", "history", "GET Patient/pa/_history"),
            ("AD-01", "everything", "GET Patient/pa/$everything"),
        ];
        for (_, id, line) in rows {
            let ask = Ask::new(line).header(("X-Request-Id", &format!("attack-{id}")));
            world.ask(&token, &ask).await;
        }
        let stranger = Ask::new("GET Patient/pa").header(("X-Request-Id", "attack-stranger"));
        world.ask_as_is(&stranger).await;
        let all = audited(&world, "AuditEvent?_count=1000").await;
        for (label, id, line) in rows {
            let traced = all.contains(&format!("attack-{id}"));
            assert!(traced, "{database:?} {label} {line} left no trace");
        }
        assert!(
            !all.contains(&token),
            "{database:?} AD-01: a token is in the audit"
        );
        assert!(
            !all.contains(&token[3..]),
            "{database:?} AD-01: a token is in the audit"
        );
    }
}

/// Label, what is asked, the body of a form, what the audit says was done, its outcome and query.
type Searched = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const SEARCHES: &[Searched] = &[
    (
        "by a parameter",
        "GET Observation?patient=pa&code=4548-4",
        "",
        "search-type",
        "0",
        "Observation?patient=pa&code=4548-4",
    ),
    (
        "by a name that nobody has",
        "GET Patient?name=geheimwort",
        "",
        "search-type",
        "0",
        "Patient?name=geheimwort",
    ),
    (
        "by letters that are encoded",
        "GET Patient?name=geheimwort%20%C3%A4%26x",
        "",
        "search-type",
        "0",
        "Patient?name=geheimwort%20%C3%A4%26x",
    ),
    (
        "by a form",
        "POST Patient/_search?gender=female",
        "name=geheimwort",
        "search-type",
        "0",
        "Patient?gender=female&name=geheimwort",
    ),
    (
        "in a compartment",
        "GET Patient/pa/Observation?code=geheimwort",
        "",
        "search-type",
        "0",
        "Patient/pa/Observation?code=geheimwort",
    ),
    (
        "over types",
        "GET ?_type=Patient,Observation&_id=geheimwort",
        "",
        "search-system",
        "0",
        "?_type=Patient,Observation&_id=geheimwort",
    ),
    (
        "through a chain",
        "GET Observation?subject:Patient.name=geheimwort",
        "",
        "search-type",
        "0",
        "Observation?subject:Patient.name=geheimwort",
    ),
    (
        "by what is refused",
        "GET Patient?nonsense=geheimwort",
        "",
        "search-type",
        "4",
        "Patient?nonsense=geheimwort",
    ),
];

/// A search is in the audit as it was sent, in base64, once, and nowhere in clear; with who asked,
/// by what, and whose data the answer held.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_has_a_search_as_it_was_asked() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.patient("patient/*.rs").await;
        for (number, (label, line, form, ..)) in SEARCHES.iter().enumerate() {
            let mut ask = Ask::new(line).header(("X-Request-Id", &format!("search-{number}")));
            if !form.is_empty() {
                ask = ask.body(FORM, form);
            }
            let answer = world.ask(&token, &ask).await;
            assert!(answer.status < 500, "AD-03 {label}: {}", answer.text());
        }
        let all = audited(&world, "AuditEvent?_count=1000").await;
        let all: serde_json::Value = serde_json::from_str(&all).unwrap();
        let all = all["entry"].as_array().unwrap();
        for (number, (label, _, _, done, outcome, query)) in SEARCHES.iter().enumerate() {
            let what = format!("AD-03 {database:?} {label}");
            let name = format!("search-{number}");
            let of_request = |event: &&serde_json::Value| {
                let entities = event["entity"].as_array().unwrap().iter();
                let mut ids = entities.filter(|entity| entity["type"]["code"] == "XrequestId");
                ids.any(|id| id["what"]["identifier"]["value"] == name.as_str())
            };
            let events: Vec<&serde_json::Value> = all
                .iter()
                .map(|entry| &entry["resource"])
                .filter(of_request)
                .collect();
            assert_eq!(events.len(), 1, "{what}: {events:?}");
            let event = events[0];
            assert_eq!(event["type"]["code"], "rest", "{what}");
            assert_eq!(event["subtype"][0]["code"], *done, "{what}");
            assert_eq!(event["action"], "E", "{what}");
            assert_eq!(event["outcome"], *outcome, "{what}");
            assert!(event["recorded"].is_string(), "{what}");
            // The app, the server and the user, who asks.
            let agents = event["agent"].as_array().unwrap();
            let kinds: Vec<&str> = agents
                .iter()
                .map(|agent| agent["type"]["coding"][0]["code"].as_str().unwrap())
                .collect();
            assert_eq!(kinds, ["110153", "110152", "IRCP"], "{what}");
            assert_eq!(agents[2]["who"]["reference"], "Patient/pa", "{what}");
            let asking: Vec<bool> = agents
                .iter()
                .map(|agent| agent["requestor"].as_bool().unwrap())
                .collect();
            assert_eq!(asking, [false, false, true], "{what}");
            assert_eq!(agents[0]["network"]["address"], "127.0.0.1", "{what}");
            // One query, of its kind.
            let entities = event["entity"].as_array().unwrap();
            let queries: Vec<&serde_json::Value> = entities
                .iter()
                .filter(|entity| !entity["query"].is_null())
                .collect();
            assert_eq!(queries.len(), 1, "{what}: {entities:?}");
            let (kind, role) = (&queries[0]["type"], &queries[0]["role"]);
            let place = "http://terminology.hl7.org/CodeSystem/";
            assert_eq!(
                kind["system"],
                format!("{place}audit-entity-type"),
                "{what}"
            );
            assert_eq!(kind["code"], "2", "{what}");
            assert_eq!(role["system"], format!("{place}object-role"), "{what}");
            assert_eq!(role["code"], "24", "{what}");
            let coded = queries[0]["query"].as_str().unwrap();
            let asked = String::from_utf8(STANDARD.decode(coded).unwrap()).unwrap();
            assert_eq!(asked, *query, "{what}");
            // Only the patient of the answer, and no word of the search in clear.
            for entity in entities
                .iter()
                .filter(|entity| entity["role"]["code"] == "1")
            {
                assert_eq!(entity["what"]["reference"], "Patient/pa", "{what}");
            }
            let clear = event.to_string();
            assert!(!clear.contains("geheimwort"), "{what}: {clear}");
            assert!(!clear.contains(&token[3..]), "{what}: {clear}");
        }
    }
}

/// The audit of A shows A who looked, and nothing of what else they looked at.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_shows_a_patient_nothing_of_another() {
    for database in DATABASES {
        let world = World::new(database).await;
        world.role("ward", &["user/*.rs"]).await;
        let nurse = world
            .token(&["ward"], Some("Practitioner/dr"), "user/*.rs", None)
            .await;
        for line in [
            "GET Patient?name=kanarifam,amselfam",
            "GET Observation?patient=pa,pb",
            "GET Patient?_revinclude=*",
            "GET Group/pb-group",
            "GET Appointment/pb-appt",
            "GET Provenance/pb-prov",
            "GET Patient/pa/$everything",
            "GET Patient/$everything",
            "GET _history",
            "GET Observation/pa-was-of-b/_history",
        ] {
            let answer = world.line(&nurse, line).await;
            assert_eq!(answer.status, 200, "{line}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let token = world.patient("patient/*.rs").await;
        let mut seen = 0;
        let report = world.line(&token, "GET Patient/pa/$access-report").await;
        assert_eq!(report.status, 200, "AD-04: {}", report.text());
        for query in [
            "Patient/pa/$access-report",
            "AuditEvent?_count=1000",
            "AuditEvent?patient=pa&_include=*&_count=1000",
            "Patient/pa/AuditEvent?_count=1000",
            "AuditEvent?_revinclude=*&_include=AuditEvent:entity&_count=1000",
            "Patient?_id=pa&_revinclude=AuditEvent:patient&_revinclude=AuditEvent:entity&_count=1000",
            "AuditEvent?entity=Patient/pb",
            "AuditEvent?patient=pb",
            "Patient/pb/AuditEvent",
        ] {
            let answer = world.line(&token, &format!("GET {query}")).await;
            let leak = check(&answer, &format!("AD-04 {database:?} {query}"));
            assert!(leak.is_none(), "{leak:?}");
            let text = answer.text();
            let own: serde_json::Value = answer.json();
            for entry in own["entry"].as_array().into_iter().flatten() {
                if entry["resource"]["resourceType"] != "AuditEvent" {
                    continue;
                }
                let mut resource = entry["resource"].to_string();
                // These are about A as well, or were, or mention A.
                let more = ["Observation/pb-was-of-a", "Observation/pb-focus-a"];
                for both in OF_BOTH.iter().chain(&more) {
                    resource = resource.replace(both, "");
                }
                let of_b = resource.contains("/pb") || decoded(&entry["resource"]).contains("pb");
                assert!(!of_b, "AD-04 {database:?} {query}: {resource}");
            }
            seen += usize::from(text.contains("\"AuditEvent\""));
        }
        assert!(seen > 2, "{database:?}: {seen}");
    }
}

/// The queries in an AuditEvent.
fn decoded(event: &serde_json::Value) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let entities = event["entity"].as_array().into_iter().flatten();
    let queries = entities.filter_map(|entity| STANDARD.decode(entity["query"].as_str()?).ok());
    queries
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

/// All that is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_holds_no_token_no_name_and_no_search() {
    let log = Log::default();
    // Other tests of this process log here too, which makes it only harder.
    tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .init();
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.patient("patient/*.rs").await;
        let secret = "geheimnisvollername";
        let asks = [
            Ask::new(&format!("GET Patient?name={secret}")),
            Ask::new(&format!("GET Patient?{secret}={secret}")),
            Ask::new(&format!("GET Patient/{secret}")),
            Ask::new(&format!("GET {secret}/1")),
            Ask::new(&format!("GET /{secret}")),
            Ask::new(&format!(
                "GET Patient?_sort={secret}&_include={secret}:{secret}"
            )),
            Ask::new("POST Patient/_search").body(FORM, &format!("family={secret}")),
            Ask::new("POST Patient").fhir(&format!(
                r#"{{"resourceType":"Patient","name":[{{"family":"{secret}"}}]}}"#
            )),
            Ask::new("POST Patient").fhir(&format!(
                r#"{{"resourceType":"Patient","{secret}":{secret}"#
            )),
            Ask::new("POST Patient").fhir(&format!(r#"{{"resourceType":"Patient","{secret}":1}}"#)),
            Ask::new("PATCH Patient/pa").body(
                JSON_PATCH,
                &format!(r#"[{{"op":"test","path":"/{secret}","value":"{secret}"}}]"#),
            ),
            Ask::new(&format!("{secret} Patient/pa")),
            Ask::new("GET Patient/pa").header(("X-Request-Id", &format!("\u{1b}[31m{secret}"))),
            Ask::new("GET Patient/pa").header(("User-Agent", secret)),
            Ask::new("GET Patient/pa").header(("Accept", secret)),
            Ask::new("GET Patient/pa").header(("Prefer", secret)),
            Ask::new("GET Patient/pa").header(("If-None-Match", secret)),
            Ask::new(&format!("GET Patient/pa?access_token={secret}")),
        ];
        for ask in &asks {
            for token in [&token, &world.root, &format!("at_{secret}")] {
                let answer = world.ask(token, ask).await;
                assert!(answer.status < 500, "IN-06 {ask:?}: {}", answer.status);
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let said = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        assert!(said.contains("rotunda"), "nothing is logged");
        for (what, text) in [
            ("a name", secret),
            ("a canary", CANARY),
            ("a token", token.as_str()),
            ("a token", world.root.as_str()),
            ("an escape", "\u{1b}"),
        ] {
            let line = said
                .lines()
                .find(|line| line.to_lowercase().contains(&text.to_lowercase()));
            assert!(
                line.is_none(),
                "IN-06 {database:?}: {what} is in the log: {line:?}"
            );
        }
    }
}
