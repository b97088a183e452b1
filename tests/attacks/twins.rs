//! What is hidden answers as what never was: the same request about either gives the same answer,
//! in status, headers and body.

use crate::{
    client::Answer,
    hospital::{MRN_OF_B, MRN_OF_NOBODY, OF_A_INTO_EITHER, OF_BOTH},
    leaks::check,
    rows::{READS, Row, WRITES, of_b},
    server::DATABASES,
    world::{Ask, World},
};

/// A resource that the attacker cannot see, and one of the same type that there is not.
#[derive(Debug, Clone, Copy)]
struct Pair {
    kind: &'static str,
    hidden: &'static str,
    absent: &'static str,
}

const PAIRS: &[Pair] = &[
    pair("Patient", "pb", "qx"),
    pair("Observation", "pb-lab", "qx-lab"),
    pair("Observation", "pb-gone", "qx-gone"),
    pair("Observation", "pb-focus-a", "qx-focus-a"),
    pair("Encounter", "pb-enc", "qx-enc"),
    pair("Condition", "pb-cond", "qx-cond"),
    pair("DiagnosticReport", "pb-rep", "qx-rep"),
    pair("DocumentReference", "pb-doc", "qx-doc"),
    pair("Device", "pb-dev", "qx-dev"),
    pair("Binary", "pb-bin", "qx-bin"),
    pair("Group", "pb-group", "qx-group"),
    pair("List", "pb-list", "qx-list"),
    pair("Provenance", "pb-prov", "qx-prov"),
    pair("Appointment", "pb-appt", "qx-appt"),
    pair("Account", "pb-acct-both", "qx-acct-both"),
    pair("Person", "pb-person", "qx-person"),
    pair("Task", "pb-task", "qx-task"),
    pair("Patient", "pb-twin", "qx-twin"),
];

const fn pair(kind: &'static str, hidden: &'static str, absent: &'static str) -> Pair {
    Pair {
        kind,
        hidden,
        absent,
    }
}

/// An answer without what differs between any two: times, request ids, ids that the server made
/// up, and what was asked for.
fn told(answer: &Answer, pair: Pair) -> String {
    let mut text = format!("{}\n", answer.status);
    for (name, value) in &answer.headers {
        let lower = name.to_ascii_lowercase();
        if !["date", "x-request-id", "last-modified"].contains(&lower.as_str()) {
            text.push_str(&format!("{lower}: {value}\n"));
        }
    }
    text.push_str(&answer.text());
    for mrn in [MRN_OF_B, MRN_OF_NOBODY] {
        text = text.replace(mrn, "<mrn>");
    }
    for id in [pair.hidden, pair.absent] {
        text = text.replace(id, "<id>");
    }
    // What of A points at either.
    for own in OF_A_INTO_EITHER {
        text = text.replace(own, "<own>");
    }
    let text = text.replace("qx-", "pb-");
    let text = without(&text, "\"lastUpdated\":\"", '"');
    let text = without(&text, "\"lastModified\":\"", '"');
    without_new_ids(&text)
}

/// Leaves out what stands between `begin` and the next `end`.
pub fn without(text: &str, begin: &str, end: char) -> String {
    let mut parts = text.split(begin);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once(end).unwrap();
        out.push_str(begin);
        out.push(end);
        out.push_str(rest);
    }
    out
}

/// Ids that the server makes up are UUIDs.
fn without_new_ids(text: &str) -> String {
    let is_uuid = |word: &str| {
        word.len() == 36
            && word.matches('-').count() == 4
            && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    };
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    text.split_inclusive(ends)
        .map(|word| match is_uuid(word.trim_end_matches(ends)) {
            true => format!("<new>{}", &word[36..]),
            false => word.to_owned(),
        })
        .collect()
}

/// A doctor of A is shown what is about A and others.
fn is_shown(who: &str, pair: Pair, row: &Row) -> bool {
    let path = format!("{}/{}", pair.kind, pair.hidden);
    let leads_there = path == "Patient/pb" && row.1 == "all in the compartment";
    who == "a doctor" && (OF_BOTH.contains(&path.as_str()) || leads_there)
}

/// What stays the same whether something is hidden or absent.
async fn compare(world: &World, token: &str, who: &str, pair: Pair, row: &Row) -> Option<String> {
    let (label, attack, make) = row;
    let kind = pair.kind;
    let answer = world.ask(token, &make(kind, pair.hidden, MRN_OF_B)).await;
    let leak = check(&answer, &format!("{label} {attack}, {who}"));
    let hidden = told(&answer, pair);
    let answer = world
        .ask(token, &make(kind, pair.absent, MRN_OF_NOBODY))
        .await;
    let absent = told(&answer, pair);
    let differs = hidden != absent || answer.status >= 500;
    let said = || {
        format!("{label} {attack}, {who}, {kind}:\n--- hidden\n{hidden}\n--- absent\n{absent}\n")
    };
    leak.or_else(|| differs.then(said))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_answers_as_what_never_was() {
    for database in DATABASES {
        let world = World::new(database).await;
        let wanted = Ask::new("PUT Observation/pb-gone").fhir(&of_b("Observation", "pb-gone"));
        world.ask(&world.root, &wanted).await;
        world.line(&world.root, "DELETE Observation/pb-gone").await;
        let tokens = [
            ("the patient", world.patient("patient/*.rs").await),
            ("the patient's keeper", world.keeper().await),
            ("a doctor", world.doctor("user/*.cruds").await),
            (
                "a doctor's app for A",
                world
                    .token(
                        &["doctor"],
                        Some("Practitioner/dr"),
                        "patient/*.cruds",
                        Some("pa"),
                    )
                    .await,
            ),
            (
                "an app for laboratory values",
                world
                    .patient("patient/Observation.rs?category=laboratory")
                    .await,
            ),
        ];
        let before = world
            .line(&world.root, "GET _history?_count=1000")
            .await
            .json();
        let before = before["total"].clone();
        let mut wrong = Vec::new();
        for (who, token) in &tokens {
            for pair in PAIRS {
                for row in READS {
                    if is_shown(who, *pair, row) {
                        continue;
                    }
                    wrong.extend(compare(&world, token, who, *pair, row).await);
                }
            }
        }
        let after = world
            .line(&world.root, "GET _history?_count=1000")
            .await
            .json();
        assert!(
            wrong.is_empty(),
            "{database:?}: {} differ\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        assert_eq!(before, after["total"], "reading has changed something");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_is_refused_as_what_never_was() {
    for database in DATABASES {
        let world = World::new(database).await;
        let wanted = Ask::new("PUT Observation/pb-gone").fhir(&of_b("Observation", "pb-gone"));
        world.ask(&world.root, &wanted).await;
        world.line(&world.root, "DELETE Observation/pb-gone").await;
        let tokens = [
            ("the patient", world.patient("patient/*.rs").await),
            ("the patient's keeper", world.keeper().await),
            ("a doctor", world.doctor("user/*.cruds").await),
        ];
        let mut wrong = Vec::new();
        for pair in PAIRS {
            let path = format!("{}/{}", pair.kind, pair.hidden);
            let before = world.history(&path).await;
            for (who, token) in &tokens {
                for row in WRITES {
                    if is_shown(who, *pair, row) {
                        continue;
                    }
                    wrong.extend(compare(&world, token, who, *pair, row).await);
                    if world.history(&path).await != before {
                        wrong.push(format!("{} {}, {who}: {path} has changed", row.0, row.1));
                    }
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{database:?}: {} differ\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

/// What a scope's condition leaves out is hidden as what is another patient's.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_granular_scope_leaves_out_answers_as_what_never_was() {
    for database in DATABASES {
        let world = World::new(database).await;
        let scope = "patient/Observation.rs?category=vital-signs";
        let token = world.patient(scope).await;
        let pair = pair("Observation", "pa-lab", "qa-lab");
        let mut wrong = Vec::new();
        for row in READS {
            wrong.extend(compare(&world, &token, scope, pair, row).await);
        }
        assert!(wrong.is_empty(), "SC-04 {database:?}\n{}", wrong.join("\n"));
        let seen = world.line(&token, "GET Observation").await.json();
        assert_eq!(seen["entry"].as_array().unwrap().len(), 1, "{seen}");
        let count = world
            .line(&token, "GET Observation?_summary=count")
            .await
            .json();
        assert_eq!(count["total"], 1, "SC-04 {count}");
    }
}

/// What a Consent withholds is hidden as what never was.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_consent_withholds_answers_as_what_never_was() {
    for database in DATABASES {
        let world = World::new(database).await;
        let doctor = world.doctor("user/*.rs").await;
        let seen = world.line(&doctor, "GET Observation/pa-lab").await;
        assert_eq!(seen.status, 200, "{}", seen.text());
        let consent = r#"{"resourceType":"Consent","id":"deny","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"text":"x"}],"patient":{"reference":"Patient/pa"},"policyRule":{"text":"x"},"provision":{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Practitioner/dr"}}]}}"#;
        let made = world
            .ask(&world.root, &Ask::new("PUT Consent/deny").fhir(consent))
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        let mut wrong = Vec::new();
        for pair in [
            pair("Observation", "pa-lab", "qa-lab"),
            pair("Condition", "pa-cond", "qa-cond"),
            pair("Patient", "pa", "qa"),
        ] {
            for row in READS {
                // Consents are never withheld: who cares must know of them.
                if pair.kind == "Patient" && row.1 == "all in the compartment" {
                    continue;
                }
                wrong.extend(compare(&world, &doctor, "a doctor", pair, row).await);
            }
        }
        assert!(wrong.is_empty(), "AD-06 {database:?}\n{}", wrong.join("\n"));
        let own = world.patient("patient/*.rs").await;
        let seen = world.line(&own, "GET Observation/pa-lab").await;
        assert_eq!(seen.status, 200, "AD-06: one's own record stays open");
        world.line(&world.root, "DELETE Consent/deny").await;
        let seen = world.line(&doctor, "GET Observation/pa-lab").await;
        assert_eq!(seen.status, 200, "AD-06: {}", seen.text());
    }
}

/// How long it takes does not tell either. A measurement, for a quiet computer: on demand.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of time, to be run by hand on a quiet computer"]
async fn what_is_hidden_takes_as_long_as_what_never_was() {
    const ROUNDS: usize = 200;
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.patient("patient/*.rs").await;
        let keeper = world.keeper().await;
        let updates = WRITES.iter().filter(|row| row.1.starts_with("update"));
        let rows = READS.iter().map(|row| (&token, row));
        for (token, (label, attack, make)) in rows.chain(updates.map(|row| (&keeper, row))) {
            let mut took = [Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                for (id, took) in ["pb-lab", "qx-lab"].into_iter().zip(&mut took) {
                    let mrn = if id == "pb-lab" {
                        MRN_OF_B
                    } else {
                        MRN_OF_NOBODY
                    };
                    let begun = std::time::Instant::now();
                    world.ask(token, &make("Observation", id, mrn)).await;
                    took.push(begun.elapsed().as_secs_f64() * 1e3);
                }
            }
            let [hidden, absent] = took.map(|mut took| {
                took.sort_by(f64::total_cmp);
                took[ROUNDS / 2]
            });
            println!("{database:?} {label} {attack}: {hidden:.3} ms hidden, {absent:.3} ms absent");
            let alike =
                (hidden - absent).abs() < 4.0 || hidden / absent < 1.5 && absent / hidden < 1.5;
            assert!(alike, "CL-15 {attack}");
        }
    }
}
