//! What patients are told of who saw their data.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use resources::model::ResourceType;
use rotunda::{
    access::{Access, Caller, Grants, Identity, Right, Rights, Rule},
    engine::{AccessReportRequest, ErrorKind},
    search::decode,
};
use serde_json::Value;

use crate::{
    audit::{busy, events, found, line},
    fixture::{Database, Fixture, doc, kind},
};

on_both_databases!(
    a_patient_sees_the_events_about_himself,
    a_patient_is_told_who_saw_his_data_and_others_are_not,
);

/// The events as whoever sees only some of them does: of a search only the type is told, since its
/// parameters may name other patients.
fn shown_to_some(all: &[Value]) -> Vec<Value> {
    let mut all = all.to_vec();
    for event in &mut all {
        let entities = event["entity"].as_array_mut().unwrap();
        entities.retain_mut(|entity| {
            let Some(query) = entity.get_mut("query") else {
                return true;
            };
            let text = STANDARD.decode(query.as_str().unwrap()).unwrap();
            let text = String::from_utf8(text).unwrap();
            let kind = text.split(['?', '/']).next().unwrap();
            *query = STANDARD.encode(kind).into();
            !kind.is_empty()
        });
    }
    all
}

async fn a_patient_sees_the_events_about_himself(database: Database) {
    let fixture = Fixture::new(database).await;
    busy(&fixture).await;
    let own = Access::compartment(kind("Patient"), "p1".to_owned());
    let all = found(&fixture, "AuditEvent?patient=p1&_count=1000").await;
    let bundle = fixture
        .search_as("AuditEvent?_count=1000", &own)
        .await
        .unwrap();
    assert_eq!(events(&bundle), shown_to_some(&all));
    assert_ne!(
        events(&bundle),
        all,
        "what others searched for is not shown"
    );
    let of_other = found(&fixture, "AuditEvent?patient=p2").await;
    let other = of_other[0]["id"].as_str().unwrap();
    let error = fixture
        .engine
        .read(kind("AuditEvent"), other, &own)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    let id = all[0]["id"].as_str().unwrap();
    fixture
        .engine
        .read(kind("AuditEvent"), id, &own)
        .await
        .unwrap();
}

fn granted(kind_name: &str, patients: &[&str], fhir_user: &str) -> Access {
    let rule = Rule {
        kind: ResourceType::from_name(kind_name),
        rights: Rights::of(&[Right::Read, Right::Search]),
        patients: patients.iter().map(|id| (*id).to_owned()).collect(),
        constraints: Vec::new(),
        relation: None,
        own: false,
    };
    let grants = Grants::new(vec![rule], Vec::new());
    Access::granted(Arc::new(grants)).by(Arc::new(Caller {
        identity: Arc::new(Identity {
            fhir_user: Some(fhir_user.to_owned()),
            ..Identity::default()
        }),
        address: None,
        request: "report".to_owned(),
    }))
}

async fn a_patient_is_told_who_saw_his_data_and_others_are_not(database: Database) {
    let fixture = Fixture::new(database).await;
    busy(&fixture).await;
    let engine = &fixture.engine;
    let request = |id: &str, params: &str, table| AccessReportRequest {
        id: id.to_owned(),
        params: decode(params),
        strict: true,
        table,
    };
    let report = async |id: &str, params: &str, access: &Access| {
        let text = engine
            .access_report(&request(id, params, false), access)
            .await?;
        Ok::<_, rotunda::engine::Error>(events(&doc(&text)))
    };
    let all = found(&fixture, "AuditEvent?patient=p1&_count=1000").await;
    assert!(all.len() > 3);
    let patient = granted("*", &["p1"], "Patient/p1");
    let officer = granted("AuditEvent", &[], "Practitioner/privacy");
    let doctor = granted("*", &["p1"], "Practitioner/1");
    let other = granted("*", &["p2"], "Patient/p2");
    let clerk = granted("Patient", &[], "Practitioner/2");
    let seen = report("p1", "_count=1000", &patient).await.unwrap();
    assert_eq!(seen, shown_to_some(&all));
    // What others searched for may be about others.
    assert!(seen.iter().all(|event| !line(event).contains('?')));
    // Reading the report is in the report.
    let again = report("p1", "_count=1000", &officer).await.unwrap();
    assert_eq!(again.len(), all.len() + 1);
    assert_eq!(
        line(&again[0]),
        "operation E 0 Patient/p1 Patient/p1 Patient/p1/$access-report?_count=1000"
    );
    let day = report("p1", "date=2026-11-20", &officer).await.unwrap();
    assert_eq!(
        day,
        found(&fixture, "AuditEvent?patient=p1&date=2026-11-20").await
    );
    for (id, access, expected) in [
        ("p1", &other, ErrorKind::NotFound),
        ("p2", &patient, ErrorKind::NotFound),
        ("p2", &doctor, ErrorKind::NotFound),
        ("p1", &clerk, ErrorKind::Forbidden),
    ] {
        let error = report(id, "", access).await.unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
    }
    assert!(!report("p1", "", &doctor).await.unwrap().is_empty());
    report("p1", "nonsense=1", &patient).await.unwrap_err();

    let request_two = request("p1", "_count=2", false);
    let first = engine.access_report(&request_two, &patient).await.unwrap();
    let first: Value = serde_json::from_str(&first).unwrap();
    let links = first["link"].as_array().unwrap();
    let next = links
        .iter()
        .find(|link| link["relation"] == "next")
        .unwrap();
    let next = next["url"].as_str().unwrap();
    let query = next
        .strip_prefix("http://h/fhir/Patient/p1/$access-report?")
        .unwrap();
    let second = report("p1", query, &patient).await.unwrap();
    assert_eq!(second.len(), 2);

    let request = request("p1", "date=le2026-11-20T23:00:00Z", true);
    let table = engine.access_report(&request, &patient).await.unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("date,user,fhirUser,roles,client,"),
        "{table}"
    );
    let last = lines[lines.len() - 1];
    assert!(
        last.starts_with(
            "2026-11-20T00:00:00.000Z,user0,Practitioner/0,nurse,app-1,192.0.2.7,read,Patient,\
             Patient/p1,BTG,unconscious,Success,r0,"
        ),
        "{table}"
    );
}
