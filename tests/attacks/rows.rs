//! Requests about one resource: what asks, and what would change something.

use crate::world::{Ask, FHIR, FORM, JSON_PATCH};

/// Label, attack, request.
pub type Row = (&'static str, &'static str, fn(&str, &str, &str) -> Ask);

/// What asks; `k` is the type, `id` the logical id, `mrn` an identifier.
pub const READS: &[Row] = &[
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
    ("AD-04", "who saw it", |k, id, _| {
        get(format!("{k}/{id}/$access-report"))
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
pub const WRITES: &[Row] = &[
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
    ("WR-02", "update that would create", |k, id, _| {
        ask("PUT", format!("{k}/{id}")).fhir(&of_a(k, id))
    }),
    ("WR-02", "update that would only create", |k, id, _| {
        ask("PUT", format!("{k}/{id}"))
            .fhir(&of_a(k, id))
            .header(("If-None-Match", "*"))
    }),
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
    ("WR-03", "update by an identifier", |k, _, mrn| {
        ask("PUT", format!("{k}?identifier={mrn}")).fhir(&of_a(k, ""))
    }),
    ("WR-03", "patch by an identifier", |k, _, mrn| {
        ask("PATCH", format!("{k}?identifier={mrn}")).body(JSON_PATCH, "[]")
    }),
    (
        "WR-03",
        "deletion by what is known of the patient",
        |_, _, mrn| ask("DELETE", format!("Observation?patient.identifier={mrn}")),
    ),
    (
        "WR-03",
        "creation unless a part has a patient",
        |_, _, mrn| {
            ask("POST", "Observation".to_owned())
                .fhir(&of_a("Observation", ""))
                .header((
                    "If-None-Exist",
                    &format!("has-member.subject:Patient.identifier={mrn}"),
                ))
        },
    ),
    (
        "WR-03",
        "creation unless there is something with it",
        |_, id, _| {
            ask("POST", "Observation".to_owned())
                .fhir(&of_a("Observation", ""))
                .header((
                    "If-None-Exist",
                    &format!("_id=never,{id}&_has:DiagnosticReport:result:status=final"),
                ))
        },
    ),
    (
        "WR-03",
        "reference by what is known of the patient",
        |_, _, mrn| {
            let body = referring("", &format!("Observation?patient.identifier={mrn}"));
            bundle("transaction", &entry("POST", "Observation", &body, ""))
        },
    ),
    (
        "WR-03",
        "creation in a batch unless the identifier is there",
        |_, _, mrn| {
            let body = of_a("Observation", "");
            let unless = format!(",\"ifNoneExist\":\"identifier={mrn}\"");
            bundle("batch", &entry("POST", "Observation", &body, &unless))
        },
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
    (
        "WR-03",
        "update by a condition, with the id",
        |k, id, mrn| ask("PUT", format!("{k}?identifier={mrn}")).fhir(&of_a(k, id)),
    ),
    (
        "WR-04",
        "update that would create in a batch",
        |k, id, _| {
            bundle(
                "batch",
                &entry("PUT", &format!("{k}/{id}"), &of_a(k, id), ""),
            )
        },
    ),
    (
        "WR-04",
        "update that would create in a transaction",
        |k, id, _| {
            bundle(
                "transaction",
                &entry("PUT", &format!("{k}/{id}"), &of_a(k, id), ""),
            )
        },
    ),
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

/// The same of B.
pub fn of_b(kind: &str, id: &str) -> String {
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
