//! Patients whom an order makes somebody's business.

use rotunda::engine::{HistoryRequest, HistoryScope, Operation, Target};

use super::*;

on_both_databases!(
    orders_say_what_is_read_and_found,
    orders_say_what_is_written,
    who_has_no_order_any_more_is_not_seen_any_more,
);

/// Of b there is an order for the laboratory; of a only one that was taken back, and one for
/// somebody else.
const ORDERS: [(&str, &str, &str, &str); 3] = [
    ("of-b", "b", "lab", "active"),
    ("revoked", "a", "lab", "revoked"),
    ("imaging", "a", "img", "completed"),
];

fn order((id, patient, category, status): (&str, &str, &str, &str)) -> String {
    format!(
        r#"{{"resourceType":"ServiceRequest","id":"{id}","status":"{status}","intent":"order","category":[{{"coding":[{{"system":"urn:c","code":"{category}"}}]}}],{}}}"#,
        about(&format!("Patient/{patient}"))
    )
}

async fn ordered(on: Database) -> Fixture {
    let f = world(on).await;
    for one in ORDERS {
        f.put(&order(one)).await;
    }
    f
}

/// `LAB` and `IMG` in the tables.
fn of(rules: &str) -> String {
    rules
        .replace(
            "LAB",
            "@ServiceRequest?category=lab&status=active,completed",
        )
        .replace("IMG", "@ServiceRequest?category=urn:c|img")
}

/// Rules, type, what is read, and what is found if that is something else.
const READS: &str = "
LAB/*.rs                                 | Patient      | b
LAB/*.rs                                 | Observation  | lab-b by-a about-a
LAB/Observation.rs?category=lab          | Observation  | lab-b
LAB/Observation.rs?category=lab          | Patient      | 403
LAB/*.rs                                 | Group        |
LAB/*.rs                                 | Appointment  |
LAB/*.rs                                 | Provenance   |
LAB/*.rs                                 | Device       | b
LAB/*.rs                                 | Organization | o
LAB/*.rs                                 | Bundle       | 403
LAB/*.rs                                 | Binary       | b |
IMG/*.rs                                 | Patient      | a
IMG/*.rs                                 | Group        | a
LAB/*.rs IMG/*.rs                        | Patient      | a b
LAB/*.rs @d/*.rs                         | Patient      | a b
LAB/*.rs @d/*.rs                         | Group        | a
LAB/*.rs -b                              | Patient      |
@ServiceRequest/*.rs                     | Patient      | a b
@ServiceRequest?category=lab/*.rs        | Patient      | a b
@ServiceRequest?status=draft/*.rs        | Patient      |
@ServiceRequest?_id=imaging/*.rs         | Patient      | a
@MedicationRequest/*.rs                  | Patient      |
@ServiceRequest?nonsense=1/*.rs          | Patient      |
@ServiceRequest?status:not=draft/*.rs    | Patient      |
@Slot/*.rs                               | Patient      |
@Slot/*.rs                               | Observation  |
";

/// Rules, a search, what it finds and includes.
const HOPS: &str = "
LAB/*.rs                                 | ServiceRequest                                    | of-b
LAB/ServiceRequest.rs?category=lab       | ServiceRequest?status=revoked                     |
LAB/*.rs                                 | Observation?subject:Patient.family=Bb             | about-a by-a lab-b
LAB/*.rs                                 | Observation?subject:Patient.family=Aa             |
LAB/*.rs                                 | Patient?_has:ServiceRequest:patient:status=active | b
LAB/*.rs                                 | Patient?_has:ServiceRequest:patient:status=revoked |
LAB/*.rs                                 | Patient?_has:Observation:patient:category=vital   |
LAB/*.rs                                 | Observation?_id=lab-b&_include=*                  | b lab-b
LAB/*.rs                                 | Patient/a/Observation                             | by-a
LAB/*.rs                                 | Patient?_revinclude=ServiceRequest:patient        | b of-b
LAB/Patient.rs                           | Patient                                           | b
LAB/Patient.rs                           | Patient?_has:ServiceRequest:patient:status=active |
";

async fn orders_say_what_is_read_and_found(on: Database) {
    let f = ordered(on).await;
    for row in rows(READS) {
        let (rules, name, read) = (of(row[0]), row[1], row[2]);
        let access = granted(&rules);
        let seen = readable(&f, name, &access).await;
        assert_eq!(seen, read, "{rules} reads {name}");
        let expected = sorted(row.get(3).copied().unwrap_or(read));
        for query in ["", "?_sort=-_id", "?_sort=_lastUpdated&_total=accurate"] {
            let searched = found(&f, &format!("{name}{query}"), &access).await;
            assert_eq!(searched, expected, "{rules} finds {name}{query}");
        }
    }
    for row in rows(HOPS) {
        let (rules, query, expected) = (of(row[0]), row[1], row[2]);
        let ids = found(&f, query, &granted(&rules)).await;
        assert_eq!(ids, expected, "{rules}: {query}");
    }
}

async fn orders_say_what_is_written(on: Database) {
    let f = ordered(on).await;
    let post = |members: &str| {
        let body = observation("x", members).replace(r#""id":"x","#, "");
        create(&body, None)
    };
    let a_and_b = r#""subject":{"reference":"Patient/b"},"performer":[{"reference":"Patient/a"}]"#;
    let request = |patient: &str, category: &str| {
        let body = order(("x", patient, category, "active")).replace(r#""id":"x","#, "");
        create(&body, None)
    };
    let remove = |name: &str, id: &str| delete(name, Target::Id(id.to_owned()));
    let cases: Vec<(&str, Operation, &str)> = vec![
        ("LAB/*.cruds", post(&about("Patient/b")), "ok"),
        ("LAB/*.cruds", post(&about("Patient/a")), "403"),
        ("LAB/*.cruds", post(&about("Patient/never")), "403"),
        ("LAB/*.cruds", post(a_and_b), "403"),
        ("LAB/*.cruds IMG/*.cruds", post(a_and_b), "403"),
        ("@ServiceRequest/*.cruds", post(a_and_b), "ok"),
        (
            "LAB/*.cruds",
            put(&observation("lab-b", &about("Patient/b"))),
            "ok",
        ),
        (
            "LAB/*.cruds",
            put(&observation("lab-b", &about("Patient/a"))),
            "403",
        ),
        (
            "LAB/*.cruds",
            put(&observation("lab-a", &about("Patient/b"))),
            "404",
        ),
        ("LAB/*.cruds", remove("Observation", "lab-a"), "404"),
        // Nobody gets into a record by an order of their own.
        ("LAB/*.cruds", request("a", "lab"), "403"),
        ("LAB/*.cruds", request("b", "img"), "ok"),
        (
            "LAB/*.cruds",
            put(&order(("own", "a", "lab", "active"))),
            "404",
        ),
        (
            "LAB/*.cruds",
            put(&order(("revoked", "a", "lab", "active"))),
            "404",
        ),
        // Nor does a PUT tell which ids are free.
        (
            "LAB/*.cruds",
            put(&order(("more", "b", "img", "active"))),
            "404",
        ),
        (
            "LAB/*.cruds",
            put(r#"{"resourceType":"Organization","id":"o","name":"P"}"#),
            "ok",
        ),
    ];
    for (rules, operation, expected) in cases {
        let rules = of(rules);
        let done = f.one_as(operation.clone(), &granted(&rules)).await;
        let came = done.map_or_else(|error| status(&error), |_| "ok".to_owned());
        assert_eq!(came, expected, "{rules}: {operation:?}");
    }
}

async fn who_has_no_order_any_more_is_not_seen_any_more(on: Database) {
    let f = ordered(on).await;
    // The same decision, as for a token that goes on.
    let access = granted(&of("LAB/*.rs"));
    let history = async || {
        let request = HistoryRequest {
            scope: HistoryScope::Type(kind("Patient")),
            params: Vec::new(),
            strict: true,
        };
        identities(&doc(&f.engine.history(&request, &access).await.unwrap())).join(" ")
    };
    let seen = async |expected: &str| {
        assert_eq!(readable(&f, "Patient", &access).await, expected);
        assert_eq!(found(&f, "Patient", &access).await, expected);
        for id in ["a", "b"] {
            let old = f.engine.vread(kind("Patient"), id, 1, &access).await;
            assert_eq!(old.is_ok(), expected.contains(id), "{id}");
            assert_eq!(
                history().await.contains(&format!("Patient/{id}")),
                old.is_ok()
            );
        }
    };
    seen("b").await;
    f.put(&order(("of-b", "b", "lab", "completed"))).await;
    seen("b").await;
    f.put(&order(("of-b", "b", "lab", "entered-in-error")))
        .await;
    seen("").await;
    f.put(&order(("of-b", "b", "lab", "active"))).await;
    f.put(&order(("revoked", "a", "lab", "active"))).await;
    seen("a b").await;
    // The order is of somebody else, and the other is gone.
    f.put(&order(("of-b", "a", "lab", "active"))).await;
    seen("a").await;
    for id in ["of-b", "revoked"] {
        let gone = delete("ServiceRequest", Target::Id(id.to_owned()));
        f.one_as(gone, &ALL).await.unwrap();
    }
    seen("").await;
}
