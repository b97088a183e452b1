//! Nothing is learned of what is hidden from what an answer counts, orders or leaves out.

use serde_json::Value;

use crate::{
    leaks::check,
    server::DATABASES,
    world::{Ask, World},
};

/// Label, a query that would be true of B, and the same with what nobody has.
const ORACLES: &[(&str, &str, &str)] = &[
    (
        "CL-05",
        "Patient?_has:Observation:patient:value-quantity=gt180",
        "Patient?_has:Observation:patient:value-quantity=gt99999",
    ),
    (
        "CL-05",
        "Practitioner?_has:Observation:performer:value-quantity=gt180",
        "Practitioner?_has:Observation:performer:value-quantity=gt99999",
    ),
    (
        "CL-05",
        "Practitioner?_has:Patient:general-practitioner:birthdate=1950-05-05",
        "Practitioner?_has:Patient:general-practitioner:birthdate=1950-05-06",
    ),
    (
        "CL-05",
        "Organization?_has:Patient:organization:birthdate=1950-05-05",
        "Organization?_has:Patient:organization:birthdate=1950-05-06",
    ),
    (
        "CL-05",
        "Organization?_has:Patient:organization:_has:Observation:patient:value-quantity=gt180",
        "Organization?_has:Patient:organization:_has:Observation:patient:value-quantity=gt99999",
    ),
    (
        "CL-05",
        "Organization?_has:Patient:organization:_has:Encounter:patient:_has:Observation:encounter:value-quantity=gt180",
        "Organization?_has:Patient:organization:_has:Encounter:patient:_has:Observation:encounter:value-quantity=gt99999",
    ),
    (
        "CL-05",
        "Organization?_has:Encounter:service-provider:participant=Practitioner/other",
        "Organization?_has:Encounter:service-provider:participant=Practitioner/nobody",
    ),
    (
        "CL-05",
        "Organization?_has:Coverage:payor:beneficiary=Patient/pb",
        "Organization?_has:Coverage:payor:beneficiary=Patient/qx",
    ),
    (
        "CL-05",
        "Medication?_has:MedicationRequest:medication:patient=pb",
        "Medication?_has:MedicationRequest:medication:patient=qx",
    ),
    (
        "CL-05",
        "Location?_has:Encounter:location:patient=pb",
        "Location?_has:Encounter:location:patient=qx",
    ),
    (
        "CL-05",
        "Patient?_has:Group:member:_id=pb-group",
        "Patient?_has:Group:member:_id=qx-group",
    ),
    (
        "CL-05",
        "Patient?_has:Observation:focus:status=final",
        "Patient?_has:Observation:focus:status=amended",
    ),
    (
        "CL-05",
        "Patient?_has:Provenance:target:agent=Practitioner/dr",
        "Patient?_has:Provenance:target:agent=Practitioner/nobody",
    ),
    (
        "CL-05",
        "Observation?_has:Provenance:target:recorded=2026-01-01",
        "Observation?_has:Provenance:target:recorded=2027-01-01",
    ),
    (
        "CL-05",
        "Observation?_has:Condition:evidence-detail:subject=Patient/pb",
        "Observation?_has:Condition:evidence-detail:subject=Patient/qx",
    ),
    (
        "CL-05",
        "Patient?_has:Patient:link:_id=pb-twin",
        "Patient?_has:Patient:link:_id=qx-twin",
    ),
    (
        "CL-05",
        "Patient?_has:Person:patient:_id=pb-person",
        "Patient?_has:Person:patient:_id=qx-person",
    ),
    (
        "CL-05",
        "Patient?_has:Schedule:actor:_id=pb-sched",
        "Patient?_has:Schedule:actor:_id=qx-sched",
    ),
    (
        "CL-05",
        "DiagnosticReport?result.value-quantity=gt180",
        "DiagnosticReport?result.value-quantity=gt99999",
    ),
    (
        "CL-05",
        "DiagnosticReport?result.patient.birthdate=1950-05-05",
        "DiagnosticReport?result.patient.birthdate=1950-05-06",
    ),
    (
        "CL-05",
        "DiagnosticReport?encounter.participant=Practitioner/other",
        "DiagnosticReport?encounter.participant=Practitioner/nobody",
    ),
    (
        "CL-05",
        "DiagnosticReport?encounter.patient=pb",
        "DiagnosticReport?encounter.patient=qx",
    ),
    (
        "CL-05",
        "DiagnosticReport?specimen.patient=pb",
        "DiagnosticReport?specimen.patient=qx",
    ),
    (
        "CL-05",
        "Observation?has-member.value-quantity=gt180",
        "Observation?has-member.value-quantity=gt99999",
    ),
    (
        "CL-05",
        "Observation?derived-from.date=2026-01-02",
        "Observation?derived-from.date=2026-03-03",
    ),
    (
        "CL-05",
        "Observation?device.patient=pb",
        "Observation?device.patient=qx",
    ),
    (
        "CL-05",
        "Observation?device.patient.birthdate=1950-05-05",
        "Observation?device.patient.birthdate=1950-05-06",
    ),
    (
        "CL-05",
        "Observation?_filter=has-member.value-quantity%20gt%20180",
        "Observation?_filter=has-member.value-quantity%20gt%2099999",
    ),
    (
        "CL-05",
        "DocumentReference?related.code:text=kanari",
        "DocumentReference?related.code:text=kuckuc",
    ),
    (
        "CL-05",
        "Task?_has:Task:part-of:patient=pb",
        "Task?_has:Task:part-of:patient=qx",
    ),
    (
        "CL-05",
        "AuditEvent?entity=Patient/pb",
        "AuditEvent?entity=Patient/qx",
    ),
    ("CL-05", "AuditEvent?patient=pb", "AuditEvent?patient=qx"),
    (
        "CL-05",
        "Patient?_has:AuditEvent:entity:agent=Practitioner/dr",
        "Patient?_has:AuditEvent:entity:agent=Practitioner/nobody",
    ),
];

/// Types, total and the ids of what an answer has.
fn gist(json: &Value) -> String {
    let entries = json["entry"].as_array().into_iter().flatten();
    let urls: Vec<String> = entries.map(|entry| entry["fullUrl"].to_string()).collect();
    let issues = json["issue"].as_array().into_iter().flatten();
    let codes: Vec<String> = issues.map(|issue| issue["code"].to_string()).collect();
    format!(
        "{} {} {urls:?} {codes:?}",
        json["resourceType"], json["total"]
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_what_is_hidden_is_answered_as_one_about_nothing() {
    for database in DATABASES {
        let world = World::new(database).await;
        let tokens = [
            world.patient("patient/*.rs").await,
            world
                .token(
                    &["doctor"],
                    Some("Practitioner/dr"),
                    "patient/*.rs",
                    Some("pa"),
                )
                .await,
            world
                .token(&["nurse"], None, "patient/*.rs", Some("pa"))
                .await,
        ];
        let mut wrong = Vec::new();
        let mut told = 0;
        for (label, holds, does_not) in ORACLES {
            for more in ["", "&_summary=count", "&_total=accurate", "&_count=1"] {
                for token in &tokens {
                    let answer = world.line(token, &format!("GET {holds}{more}")).await;
                    wrong.extend(check(&answer, &format!("{label} {holds}")));
                    let hidden = (answer.status, gist(&answer.json()));
                    let answer = world.line(token, &format!("GET {does_not}{more}")).await;
                    let nothing = (answer.status, gist(&answer.json()));
                    if hidden != nothing {
                        wrong.push(format!(
                            "{label} {holds}{more}: {hidden:?} is not {nothing:?}"
                        ));
                    }
                }
            }
            let root = |query: &str| format!("GET {query}&_total=accurate");
            let with = world.line(&world.root, &root(holds)).await.json();
            let without = world.line(&world.root, &root(does_not)).await.json();
            told += usize::from(gist(&with) != gist(&without));
        }
        assert!(wrong.is_empty(), "{database:?}\n{}", wrong.join("\n"));
        // Who may see B is told by most of the questions, so that they ask something.
        assert!(told * 4 > ORACLES.len() * 3, "{told} of {}", ORACLES.len());
    }
}

/// What is counted is what is shown.
#[tokio::test(flavor = "multi_thread")]
async fn counts_are_of_what_is_shown() {
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.patient("patient/*.rs").await;
        for query in [
            "Observation?",
            "Patient?",
            "Group?",
            "Condition?code:missing=false",
            "?_type=Observation,Patient,Device",
            "Patient/pa/*?",
            "Observation?_id:not=x",
        ] {
            let join = if query.ends_with('?') { "" } else { "&" };
            let all = world
                .line(&token, &format!("GET {query}{join}_count=1000"))
                .await
                .json();
            let shown = all["entry"].as_array().map_or(0, Vec::len);
            for more in [
                "_summary=count",
                "_total=accurate&_count=0",
                "_total=accurate&_count=1",
            ] {
                let counted = world
                    .line(&token, &format!("GET {query}{join}{more}"))
                    .await
                    .json();
                assert_eq!(counted["total"], shown, "CL-06 {database:?} {query}{more}");
            }
        }
    }
}

/// A link to a page is no right to see it.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_page_is_for_whoever_asks() {
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.patient("patient/*.rs").await;
        let other = world
            .token(&["patient"], Some("Patient/pb"), "patient/*.rs", Some("pb"))
            .await;
        for query in [
            "Observation?_count=1",
            "Observation?_count=1&_sort=-_lastUpdated",
            "Observation?_count=1&_sort=code",
            "Observation?_count=1&_include=*",
            "Patient?_count=1&_revinclude=*",
            "?_count=1&_type=Patient,Observation",
            "Observation/_history?_count=1",
            "_history?_count=1",
            "Patient/pb/$everything?_count=1",
            "Patient/pb/*?_count=1",
        ] {
            let mut next = Some(format!("/fhir/{query}"));
            let mut pages = 0;
            while let Some(path) = next.take().filter(|_| pages < 60) {
                pages += 1;
                let line = format!("GET {path}");
                let page = world.line(&world.root, &line).await;
                assert_eq!(page.status, 200, "{path}: {}", page.text());
                let stranger = world.ask_as_is(&Ask::new(&line)).await;
                assert_eq!(stranger.status, 401, "CL-07 {path}");
                let mine = world.line(&token, &line).await;
                let leak = check(&mine, &format!("CL-07 {database:?} {query}, page {pages}"));
                assert!(leak.is_none(), "{leak:?}");
                next = link(&page.json());
            }
            assert!(pages > 1, "{query}");
        }
        // Neither are one's own pages another's.
        let mine = world.line(&token, "GET Observation?_count=1").await.json();
        let theirs = world
            .line(&other, &format!("GET {}", link(&mine).unwrap()))
            .await;
        assert!(!theirs.text().contains("amsel"), "CL-07 {}", theirs.text());
    }
}

/// Where the next page is, below the server.
fn link(bundle: &Value) -> Option<String> {
    let links = bundle["link"].as_array()?;
    let next = links.iter().find(|link| link["relation"] == "next")?;
    let url = next["url"].as_str()?;
    Some(url[url.find("/fhir")?..].to_owned())
}

/// A page's position that somebody made up is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_was_tampered_with_is_refused() {
    let world = World::new(DATABASES[0]).await;
    let token = world.patient("patient/*.rs").await;
    let first = world.line(&token, "GET Observation?_count=1").await.json();
    let next = link(&first).expect("a next page");
    let at = next.find("_page=").map(|at| at + 6).expect("a position");
    for place in [at, at + 5, next.len() - 1] {
        let mut bytes = next.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let answer = world.line(&token, &format!("GET {changed}")).await;
        assert!(
            [400, 404, 410].contains(&answer.status),
            "CL-07 {changed}: {}",
            answer.status
        );
    }
    // Nor does a position fit another search.
    for other in [
        "Condition?",
        "Observation?patient=pb&",
        "Patient/pb/Observation?",
    ] {
        let moved = format!("/fhir/{other}_count=1&{}", &next[at - 6..]);
        let answer = world.line(&token, &format!("GET {moved}")).await;
        assert!(check(&answer, &moved).is_none(), "CL-07 {moved}");
    }
}
