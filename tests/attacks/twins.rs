//! What is hidden answers as what never was: the same request about either gives the same answer,
//! in status, headers and body.

use crate::{
    client::Answer,
    hospital::{MRN_OF_B, MRN_OF_NOBODY, OF_A_INTO_EITHER, OF_BOTH},
    leaks::check,
    server::DATABASES,
    world::{Ask, FHIR, FORM, JSON_PATCH, World},
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

/// Label, attack, request.
type Row = (&'static str, &'static str, fn(&str, &str, &str) -> Ask);

/// What asks; `k` is the type, `id` the logical id, `mrn` an identifier.
const READS: &[Row] = &[
    ("CL-02", "read", |k, id, _| get(format!("{k}/{id}"))),
    ("CL-02", "head", |k, id, _| ask("HEAD", format!("{k}/{id}"))),
    ("CL-02", "some elements", |k, id, _| {
        get(format!("{k}/{id}?_elements=id"))
    }),
    ("CL-02", "summary", |k, id, _| {
        get(format!("{k}/{id}?_summary=true"))
    }),
    ("CL-02", "pretty", |k, id, _| {
        get(format!("{k}/{id}?_pretty=true"))
    }),
    ("CL-02", "an ETag that fits", |k, id, _| {
        get(format!("{k}/{id}")).header(("If-None-Match", "W/\"1\""))
    }),
    ("CL-02", "any ETag", |k, id, _| {
        get(format!("{k}/{id}")).header(("If-None-Match", "*"))
    }),
    ("CL-02", "not since tomorrow", |k, id, _| {
        get(format!("{k}/{id}")).header(("If-Modified-Since", "Fri, 31 Dec 2100 00:00:00 GMT"))
    }),
    ("CL-02", "first version", |k, id, _| {
        get(format!("{k}/{id}/_history/1"))
    }),
    ("CL-02", "second version", |k, id, _| {
        get(format!("{k}/{id}/_history/2"))
    }),
    ("CL-02", "head of a version", |k, id, _| {
        ask("HEAD", format!("{k}/{id}/_history/1"))
    }),
    ("CL-08", "history", |k, id, _| {
        get(format!("{k}/{id}/_history"))
    }),
    ("CL-08", "history since", |k, id, _| {
        get(format!("{k}/{id}/_history?_since=2020-01-01T00:00:00Z"))
    }),
    ("CL-08", "history at", |k, id, _| {
        get(format!("{k}/{id}/_history?_at=2100-01-01T00:00:00Z"))
    }),
    ("CL-08", "number of versions", |k, id, _| {
        get(format!("{k}/{id}/_history?_summary=count"))
    }),
    ("CL-08", "history without entries", |k, id, _| {
        get(format!("{k}/{id}/_history?_count=0"))
    }),
    ("CL-09", "meta", |k, id, _| get(format!("{k}/{id}/$meta"))),
    ("CL-09", "meta of a version", |k, id, _| {
        get(format!("{k}/{id}/_history/1/$meta"))
    }),
    ("CL-09", "everything", |k, id, _| {
        get(format!("{k}/{id}/$everything"))
    }),
    ("CL-09", "validate what is stored", |k, id, _| {
        get(format!("{k}/{id}/$validate"))
    }),
    ("CL-09", "validate a deletion", |k, id, _| {
        ask("POST", format!("{k}/{id}/$validate?mode=delete"))
    }),
    ("CL-09", "validate an update", |k, id, _| {
        ask("POST", format!("{k}/{id}/$validate?mode=update")).fhir(&of_a(k, id))
    }),
    (
        "CL-09",
        "validate a creation that refers to it",
        |k, id, _| {
            ask("POST", "Observation/$validate?mode=create".to_owned())
                .fhir(&referring("v", &format!("{k}/{id}")))
        },
    ),
    ("CL-11", "raw", |k, id, _| {
        get(format!("{k}/{id}")).header(("Accept", "text/plain"))
    }),
    ("CL-11", "raw of a version", |k, id, _| {
        get(format!("{k}/{id}/_history/1")).header(("Accept", "*/*"))
    }),
    ("CL-11", "part of raw", |k, id, _| {
        get(format!("{k}/{id}"))
            .header(("Accept", "text/plain"))
            .header(("Range", "bytes=0-3"))
    }),
    ("CL-03", "search by id", |k, id, _| {
        get(format!("{k}?_id={id}"))
    }),
    ("CL-03", "search by id, posted", |k, id, _| {
        ask("POST", format!("{k}/_search")).body(FORM, &format!("_id={id}"))
    }),
    ("CL-03", "system search by id", |k, id, _| {
        get(format!("?_type={k},Patient&_id={id}"))
    }),
    ("CL-03", "several ids", |k, id, _| {
        get(format!("{k}?_id=pa,{id}"))
    }),
    ("CL-03", "what is not it", |k, id, _| {
        get(format!("{k}?_id:not={id}"))
    }),
    ("CL-03", "by identifier", |k, _, mrn| {
        get(format!("{k}?identifier={mrn}"))
    }),
    ("CL-03", "by filter", |k, id, _| {
        get(format!("{k}?_filter=_id eq {id}").replace(' ', "%20"))
    }),
    ("CL-03", "by words", |k, _, mrn| {
        get(format!("{k}?_content={mrn}"))
    }),
    ("CL-03", "by words of the narrative", |k, _, mrn| {
        get(format!("{k}?_text={mrn}"))
    }),
    ("CL-03", "on a list", |k, id, _| {
        get(format!("{k}?_list={id}"))
    }),
    ("CL-03", "what refers to it", |k, id, _| {
        get(format!("Observation?subject={k}/{id}"))
    }),
    ("CL-03", "what refers to it by its address", |k, id, _| {
        get(format!(
            "Observation?subject=http://test.invalid/fhir/{k}/{id}"
        ))
    }),
    ("CL-03", "what refers to its identifier", |_, _, mrn| {
        get(format!("Observation?subject:identifier={mrn}"))
    }),
    ("CL-03", "what has it for a part", |_, id, _| {
        get(format!("DiagnosticReport?result=Observation/{id}&_count=0"))
    }),
    ("CL-03", "in the compartment", |k, id, _| {
        get(format!("{k}/{id}/Observation"))
    }),
    ("CL-03", "all in the compartment", |k, id, _| {
        get(format!("{k}/{id}/*"))
    }),
    ("CL-03", "in the compartment, posted", |k, id, _| {
        ask("POST", format!("{k}/{id}/Observation/_search")).body(FORM, "status=final")
    }),
    ("CL-04", "with what it includes", |k, id, _| {
        get(format!("{k}?_id={id}&_include=*&_revinclude=*"))
    }),
    ("CL-05", "chained to its name", |_, _, mrn| {
        get(format!("Observation?patient.identifier={mrn}"))
    }),
    ("CL-05", "chained over two hops", |_, _, mrn| {
        get(format!(
            "DiagnosticReport?result.subject:Patient.identifier={mrn}"
        ))
    }),
    ("CL-05", "chained over three hops", |_, _, mrn| {
        get(format!(
            "DiagnosticReport?result.encounter.subject:Patient.identifier={mrn}"
        ))
    }),
    ("CL-05", "chained through what it links", |_, _, mrn| {
        get(format!("Patient?link:Patient.identifier={mrn}"))
    }),
    ("CL-05", "from the practitioner back", |_, _, mrn| {
        get(format!(
            "Practitioner?_has:Patient:general-practitioner:identifier={mrn}"
        ))
    }),
    (
        "CL-05",
        "from the organization back over two hops",
        |_, _, mrn| {
            get(format!(
                "Organization?_has:Patient:organization:_has:Observation:patient:identifier={mrn}"
            ))
        },
    ),
    ("CL-05", "from the medication back", |_, id, _| {
        get(format!(
            "Medication?_has:MedicationRequest:medication:patient=Patient/{id}"
        ))
    }),
    ("CL-05", "from A back to what mentions A", |_, _, mrn| {
        get(format!("Patient?_has:Group:member:identifier={mrn}"))
    }),
    ("CL-05", "by what refers to A and is not A's", |_, id, _| {
        get(format!("Patient?_has:Observation:focus:_id={id}"))
    }),
    ("CL-05", "by a list's name", |_, id, _| {
        get(format!("Patient?_has:List:item:_id={id}"))
    }),
    ("CL-06", "count", |k, id, _| {
        get(format!("{k}?_id={id}&_summary=count"))
    }),
    ("CL-06", "exact total", |k, id, _| {
        get(format!("{k}?_id={id}&_total=accurate&_count=0"))
    }),
    ("CL-06", "estimated total", |k, id, _| {
        get(format!("{k}?_id={id}&_total=estimate"))
    }),
    ("CL-06", "how the search was run", |k, id, _| {
        get(format!("{k}?_id={id}&_explain=true"))
    }),
    ("CL-12", "entry of a batch", |k, id, _| {
        bundle("batch", &entry("GET", &format!("{k}/{id}"), "", ""))
    }),
    ("CL-12", "entry of a batch with an address", |k, id, _| {
        bundle(
            "batch",
            &entry("GET", &format!("http://test.invalid/fhir/{k}/{id}"), "", ""),
        )
    }),
    ("CL-12", "entry of a batch by a way around", |k, id, _| {
        bundle(
            "batch",
            &entry("GET", &format!("metadata/../{k}/{id}"), "", ""),
        )
    }),
    ("CL-12", "entry that has not changed", |k, id, _| {
        bundle(
            "batch",
            &entry(
                "GET",
                &format!("{k}/{id}"),
                "",
                ",\"ifNoneMatch\":\"W/\\\"1\\\"\"",
            ),
        )
    }),
    ("CL-12", "history in a batch", |k, id, _| {
        bundle(
            "batch",
            &entry("GET", &format!("{k}/{id}/_history"), "", ""),
        )
    }),
    ("CL-12", "everything in a batch", |k, id, _| {
        bundle(
            "batch",
            &entry("GET", &format!("{k}/{id}/$everything"), "", ""),
        )
    }),
    ("CL-12", "search in a transaction", |k, id, _| {
        bundle(
            "transaction",
            &entry("GET", &format!("{k}?_id={id}"), "", ""),
        )
    }),
    ("CL-12", "read in a transaction", |k, id, _| {
        bundle("transaction", &entry("GET", &format!("{k}/{id}"), "", ""))
    }),
];

/// What changes; or tells, by the way in which it does not.
const WRITES: &[Row] = &[
    ("WR-02", "update that must meet a version", |k, id, _| {
        ask("PUT", format!("{k}/{id}"))
            .fhir(&of_a(k, id))
            .header(("If-Match", "W/\"1\""))
    }),
    (
        "WR-02",
        "update that must meet another version",
        |k, id, _| {
            ask("PUT", format!("{k}/{id}"))
                .fhir(&of_a(k, id))
                .header(("If-Match", "W/\"7\""))
        },
    ),
    ("WR-02", "update into B's record", |k, id, _| {
        ask("PUT", format!("{k}/{id}")).fhir(&of_b(k, id))
    }),
    ("WR-02", "update with what is no resource", |k, id, _| {
        ask("PUT", format!("{k}/{id}")).fhir(&format!(
            "{{\"resourceType\":\"{k}\",\"id\":\"{id}\",\"bogus\":1}}"
        ))
    }),
    ("WR-02", "empty patch", |k, id, _| {
        ask("PATCH", format!("{k}/{id}")).body(JSON_PATCH, "[]")
    }),
    ("WR-02", "patch that must meet a version", |k, id, _| {
        ask("PATCH", format!("{k}/{id}"))
            .body(JSON_PATCH, "[]")
            .header(("If-Match", "W/\"1\""))
    }),
    ("WR-02", "patch that tests what holds", |k, id, _| {
        let test = format!(r#"[{{"op":"test","path":"/resourceType","value":"{k}"}}]"#);
        ask("PATCH", format!("{k}/{id}")).body(JSON_PATCH, &test)
    }),
    (
        "WR-02",
        "patch that tests what does not hold",
        |k, id, _| {
            ask("PATCH", format!("{k}/{id}"))
                .body(JSON_PATCH, r#"[{"op":"test","path":"/id","value":"x"}]"#)
        },
    ),
    ("WR-02", "deletion", |k, id, _| {
        ask("DELETE", format!("{k}/{id}"))
    }),
    ("WR-02", "deletion of a version", |k, id, _| {
        ask("DELETE", format!("{k}/{id}")).header(("If-Match", "W/\"1\""))
    }),
    ("WR-02", "tag", |k, id, _| {
        ask("POST", format!("{k}/{id}/$meta-add")).fhir(r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}"#)
    }),
    ("WR-02", "untag", |k, id, _| {
        ask("POST", format!("{k}/{id}/$meta-delete")).fhir(r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}"#)
    }),
    ("WR-03", "deletion by id as a condition", |k, id, _| {
        ask("DELETE", format!("{k}?_id={id}"))
    }),
    ("WR-03", "deletion by identifier", |k, _, mrn| {
        ask("DELETE", format!("{k}?identifier={mrn}"))
    }),
    ("WR-03", "patch by a condition", |k, id, _| {
        ask("PATCH", format!("{k}?_id={id}")).body(JSON_PATCH, "[]")
    }),
    (
        "WR-03",
        "update by a condition, into B's record",
        |k, _, mrn| ask("PUT", format!("{k}?identifier={mrn}")).fhir(&of_b(k, "")),
    ),
    (
        "WR-03",
        "creation unless the identifier is there",
        |_, _, mrn| {
            ask("POST", "Observation".to_owned())
                .fhir(&of_a("Observation", ""))
                .header(("If-None-Exist", &format!("identifier={mrn}")))
        },
    ),
    ("WR-03", "creation unless B has something", |_, id, _| {
        ask("POST", "Observation".to_owned())
            .fhir(&of_a("Observation", ""))
            .header(("If-None-Exist", &format!("subject=Patient/{id}")))
    }),
    (
        "WR-03",
        "creation of a Patient unless there is one",
        |_, _, mrn| {
            ask("POST", "Patient".to_owned())
                .fhir(r#"{"resourceType":"Patient"}"#)
                .header(("If-None-Exist", &format!("identifier={mrn}")))
        },
    ),
    ("WR-03", "reference by a condition", |_, _, mrn| {
        let body = referring("", &format!("Observation?identifier={mrn}"));
        bundle("transaction", &entry("POST", "Observation", &body, ""))
    }),
    (
        "WR-03",
        "reference to a patient by a condition",
        |_, _, mrn| {
            let body = referring("", &format!("Patient?identifier={mrn}"));
            bundle("transaction", &entry("POST", "Observation", &body, ""))
        },
    ),
    ("WR-03", "reference", |k, id, _| {
        ask("POST", "Observation".to_owned()).fhir(&referring("", &format!("{k}/{id}")))
    }),
    ("WR-04", "deletion in a batch", |k, id, _| {
        bundle("batch", &entry("DELETE", &format!("{k}/{id}"), "", ""))
    }),
    ("WR-04", "deletion in a transaction", |k, id, _| {
        bundle(
            "transaction",
            &entry("DELETE", &format!("{k}/{id}"), "", ""),
        )
    }),
    (
        "WR-04",
        "update in a transaction that must meet a version",
        |k, id, _| {
            bundle(
                "transaction",
                &entry(
                    "PUT",
                    &format!("{k}/{id}"),
                    &of_a(k, id),
                    ",\"ifMatch\":\"W/\\\"1\\\"\"",
                ),
            )
        },
    ),
    (
        "WR-04",
        "update in a batch that must meet a version",
        |k, id, _| {
            bundle(
                "batch",
                &entry(
                    "PUT",
                    &format!("{k}/{id}"),
                    &of_a(k, id),
                    ",\"ifMatch\":\"W/\\\"9\\\"\"",
                ),
            )
        },
    ),
];

fn ask(method: &str, path: String) -> Ask {
    Ask::new(&format!("{method} {path}"))
}

fn get(path: String) -> Ask {
    ask("GET", path)
}

fn bundle(kind: &str, entry: &str) -> Ask {
    let body = format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}"#);
    Ask::new("POST /fhir").body(FHIR, &body)
}

fn entry(method: &str, url: &str, resource: &str, more: &str) -> String {
    let resource = match resource {
        "" => String::new(),
        text => format!(r#""resource":{text},"#),
    };
    format!(r#"{{{resource}"request":{{"method":"{method}","url":"{url}"{more}}}}}"#)
}

/// What A could have, under this type and id.
fn of_a(kind: &str, id: &str) -> String {
    of(kind, id, "Patient/pa")
}

fn of_b(kind: &str, id: &str) -> String {
    of(kind, id, "Patient/pb")
}

fn of(kind: &str, id: &str, patient: &str) -> String {
    let id = match id {
        "" => String::new(),
        id => format!(r#""id":"{id}","#),
    };
    let subject = format!(r#"{{"reference":"{patient}"}}"#);
    let rest = match kind {
        "Patient" => r#""gender":"male""#.to_owned(),
        "Observation" => format!(r#""status":"final","code":{{"text":"c"}},"subject":{subject}"#),
        "Encounter" => {
            format!(r#""status":"finished","class":{{"code":"AMB"}},"subject":{subject}"#)
        }
        "Condition" => format!(r#""subject":{subject}"#),
        "DiagnosticReport" => {
            format!(r#""status":"final","code":{{"text":"c"}},"subject":{subject}"#)
        }
        "DocumentReference" => {
            format!(
                r#""status":"current","content":[{{"attachment":{{"url":"urn:x"}}}}],"subject":{subject}"#
            )
        }
        "Device" => format!(r#""patient":{subject}"#),
        "Binary" => format!(r#""contentType":"text/plain","securityContext":{subject}"#),
        "Group" => format!(r#""type":"person","actual":true,"member":[{{"entity":{subject}}}]"#),
        "List" => format!(r#""status":"current","mode":"working","subject":{subject}"#),
        "Provenance" => format!(
            r#""target":[{subject}],"recorded":"2026-01-01T00:00:00Z","agent":[{{"who":{{"reference":"Practitioner/dr"}}}}]"#
        ),
        "Appointment" => format!(
            r#""status":"proposed","participant":[{{"actor":{subject},"status":"accepted"}}]"#
        ),
        "Account" => format!(r#""status":"active","subject":[{subject}]"#),
        "Person" => format!(r#""link":[{{"target":{subject}}}]"#),
        "Task" => format!(r#""status":"requested","intent":"order","for":{subject}"#),
        other => panic!("what is a {other} of a patient?"),
    };
    format!(r#"{{"resourceType":"{kind}",{id}{rest}}}"#)
}

/// An Observation of A that refers to something else.
fn referring(id: &str, to: &str) -> String {
    let own = of_a("Observation", id);
    format!(
        r#"{},"hasMember":[{{"reference":"{to}"}}]}}"#,
        &own[..own.len() - 1]
    )
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
fn without(text: &str, begin: &str, end: char) -> String {
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
