//! Who did what is recorded, and found again.

use std::{net::Ipv4Addr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use resources::{Doc, model::ResourceType};
use rotunda::{
    access::{Access, Caller, Identity},
    audit::{Code, Event, Outcome},
    clock::Clock as _,
    engine::{ErrorKind, EverythingRequest, HistoryRequest, HistoryScope, Target},
    search::{
        self, SearchLimits, decode,
        memory::{Item, MemoryIndex},
        plan::TotalMode,
    },
};
use serde_json::Value;

use crate::fixture::{ALL, Database, Fixture, OPTIONS, create, delete, doc, kind, put};

on_both_databases!(
    every_request_leaves_its_trace,
    an_audit_event_has_the_shape_of_balp,
    a_page_of_several_patients_leaves_an_event_for_each,
    what_was_refused_leaves_a_trace_too,
    internal_work_leaves_no_trace,
    nobody_writes_audit_events,
    audit_events_are_searched_as_any_resource,
    pages_of_audit_events_have_each_once,
    a_transaction_is_one_row_and_an_event_for_each_resource,
    what_replaced_a_patients_resource_names_both_patients,
);

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","name":[{"family":"Secret"}]}"#;

fn observation(id: &str, patient: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"c"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
    )
}

fn anna() -> Identity {
    Identity {
        client: Some("app-1".to_owned()),
        user: Some("anna".to_owned()),
        fhir_user: Some("Practitioner/anna".to_owned()),
        roles: vec!["nurse".to_owned()],
        purpose: Some("BTG".to_owned()),
        reason: Some("unconscious".to_owned()),
        ..Identity::default()
    }
}

fn by(identity: Identity, request: &str) -> Access {
    ALL.by(Arc::new(Caller {
        identity: Arc::new(identity),
        address: Some(Ipv4Addr::new(192, 0, 2, 7).into()),
        request: request.to_owned(),
    }))
}

/// The resources of a searchset.
pub fn events(bundle: &Doc) -> Vec<Value> {
    let bundle: Value = serde_json::from_str(bundle.text()).unwrap();
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let hits = entries
        .into_iter()
        .filter(|entry| entry["search"]["mode"] == "match");
    hits.map(|entry| entry["resource"].clone()).collect()
}

pub async fn found(fixture: &Fixture, query: &str) -> Vec<Value> {
    events(&fixture.search(query).await.unwrap())
}

/// Subtype, action, outcome, data, patient.
pub fn line(event: &Value) -> String {
    let entities = event["entity"].as_array().unwrap();
    let of_role = |role: &str| {
        let entity = entities
            .iter()
            .find(|entity| entity["role"]["code"] == role);
        entity
            .and_then(|entity| entity["what"]["reference"].as_str())
            .unwrap_or("-")
    };
    let query = entities.iter().find_map(|entity| entity["query"].as_str());
    let query = query.map(|query| String::from_utf8(STANDARD.decode(query).unwrap()).unwrap());
    format!(
        "{} {} {} {} {} {}",
        event["subtype"][0]["code"].as_str().unwrap(),
        event["action"].as_str().unwrap(),
        event["outcome"].as_str().unwrap(),
        of_role("4"),
        of_role("1"),
        query.as_deref().unwrap_or("-"),
    )
}

/// The lines of the events of a request, in their order.
async fn lines(fixture: &Fixture, request: &str) -> Vec<String> {
    let query = format!("AuditEvent?entity:identifier={request}&_sort=date&_count=100");
    found(fixture, &query).await.iter().map(line).collect()
}

async fn every_request_leaves_its_trace(database: Database) {
    let fixture = Fixture::new(database).await;
    let engine = &fixture.engine;
    let who = |request| by(anna(), request);
    fixture.one_as(put(PATIENT), &who("r1")).await.unwrap();
    fixture
        .one_as(put(&observation("o1", "p1")), &who("r2"))
        .await
        .unwrap();
    fixture
        .one_as(put(&observation("o1", "p1")), &who("r3"))
        .await
        .unwrap();
    engine
        .read(kind("Patient"), "p1", &who("r4"))
        .await
        .unwrap();
    engine
        .vread(kind("Observation"), "o1", 1, &who("r5"))
        .await
        .unwrap();
    fixture
        .search_as("Observation?patient=p1", &who("r6"))
        .await
        .unwrap();
    fixture
        .search_as("Observation?patient=p2", &who("r7"))
        .await
        .unwrap();
    let history = HistoryRequest {
        scope: HistoryScope::Instance(kind("Observation"), "o1".to_owned()),
        params: decode("_count=5"),
        strict: true,
    };
    engine.history(&history, &who("r8")).await.unwrap();
    let everything = EverythingRequest {
        kind: kind("Patient"),
        id: Some("p1".to_owned()),
        strict: true,
        params: Vec::new(),
    };
    engine.everything(&everything, &who("r9")).await.unwrap();
    let unchanged = create(r#"{"resourceType":"Patient"}"#, Some("_id=p1"));
    fixture.one_as(unchanged, &who("r10")).await.unwrap();
    let one = || Target::Id("o1".to_owned());
    fixture
        .one_as(delete("Observation", one()), &who("r11"))
        .await
        .unwrap();
    fixture
        .one_as(delete("Observation", one()), &who("r12"))
        .await
        .unwrap();
    for (request, expected) in [
        ("r1", "update U 0 Patient/p1/_history/1 Patient/p1 -"),
        ("r2", "update U 0 Observation/o1/_history/1 Patient/p1 -"),
        ("r3", "update U 0 Observation/o1/_history/2 Patient/p1 -"),
        ("r4", "read R 0 Patient/p1/_history/1 Patient/p1 -"),
        ("r5", "vread R 0 Observation/o1/_history/1 Patient/p1 -"),
        ("r6", "search-type E 0 - Patient/p1 Observation?patient=p1"),
        ("r7", "search-type E 0 - - Observation?patient=p2"),
        (
            "r8",
            "history-instance E 0 Observation/o1 Patient/p1 Observation/o1/_history?_count=5",
        ),
        (
            "r9",
            "operation E 0 Patient/p1 Patient/p1 Patient/p1/$everything",
        ),
        ("r10", "read R 0 Patient/p1/_history/1 Patient/p1 -"),
        ("r11", "delete D 0 Observation/o1/_history/3 Patient/p1 -"),
        ("r12", "delete D 0 Observation/o1 - -"),
    ] {
        assert_eq!(lines(&fixture, request).await, [expected], "{request}");
    }
}

async fn an_audit_event_has_the_shape_of_balp(database: Database) {
    let fixture = Fixture::new(database).await;
    let who = by(anna(), "balp-1");
    fixture.put(PATIENT).await;
    fixture
        .engine
        .read(kind("Patient"), "p1", &who)
        .await
        .unwrap();
    let [event] = &found(&fixture, "AuditEvent?patient=p1").await[..] else {
        panic!("one event")
    };
    let expected = serde_json::json!({
        "resourceType": "AuditEvent",
        "id": "1-0",
        "meta": {
            "versionId": "1",
            "lastUpdated": "2026-11-20T00:00:00.000Z",
            "profile": ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"]
        },
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read", "display": "read"}],
        "action": "R",
        "recorded": "2026-11-20T00:00:00.000Z",
        "outcome": "0",
        "purposeOfEvent": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "BTG"}], "text": "unconscious"}],
        "agent": [
            {
                "type": {"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110152", "display": "Destination Role ID"}]},
                "who": {"identifier": {"value": "app-1"}},
                "requestor": false,
                "network": {"address": "192.0.2.7", "type": "2"}
            },
            {
                "type": {"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110153", "display": "Source Role ID"}]},
                "who": {"display": "http://h/fhir"},
                "requestor": false,
                "network": {"address": "http://h/fhir", "type": "5"}
            },
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP", "display": "information recipient"}]},
                "role": [{"coding": [{"system": "urn:rotunda:role", "code": "nurse"}]}],
                "who": {"reference": "Practitioner/anna", "identifier": {"value": "anna"}},
                "name": "anna",
                "requestor": true,
                "purposeOfUse": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "BTG"}], "text": "unconscious"}]
            }
        ],
        "source": {
            "site": "http://h/fhir",
            "observer": {"display": "Rotunda"},
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4", "display": "Application Server"}]
        },
        "entity": [
            {
                "what": {"reference": "Patient/p1/_history/1"},
                "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "2", "display": "System Object"},
                "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "4", "display": "Domain Resource"}
            },
            {
                "what": {"reference": "Patient/p1"},
                "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "1", "display": "Person"},
                "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1", "display": "Patient"}
            },
            {
                "what": {"identifier": {"value": "balp-1"}},
                "type": {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
            }
        ]
    });
    assert_eq!(event, &expected);
    let read = fixture.read("AuditEvent", "1-0").await.unwrap();
    assert_eq!(
        &serde_json::from_slice::<Value>(&read.body).unwrap(),
        &expected
    );
    for missing in ["1-1", "9-0", "01-0", "x", "1", "-1-0"] {
        let error = fixture.read("AuditEvent", missing).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{missing}");
    }
}

async fn a_page_of_several_patients_leaves_an_event_for_each(database: Database) {
    let fixture = Fixture::new(database).await;
    for patient in ["a", "b", "c"] {
        fixture.put(&PATIENT.replace("p1", patient)).await;
        fixture
            .put(&observation(&format!("o{patient}"), patient))
            .await;
    }
    let who = by(anna(), "page");
    fixture
        .search_as("Observation?_include=Observation:subject", &who)
        .await
        .unwrap();
    let mut seen = lines(&fixture, "page").await;
    seen.sort();
    let expected = ["a", "b", "c"].map(|patient| {
        format!("search-type E 0 - Patient/{patient} Observation?_include=Observation:subject")
    });
    assert_eq!(seen, expected);
    assert_eq!(fixture.store.audit_ends().await.unwrap(), Some((1, 1)));
}

async fn what_was_refused_leaves_a_trace_too(database: Database) {
    let fixture = Fixture::new(database).await;
    fixture.put(PATIENT).await;
    fixture.put(&observation("o1", "p1")).await;
    let who = |request| by(anna(), request);
    let other = |request: &str| {
        Access::compartment(kind("Patient"), "p2".to_owned()).by(Arc::new(Caller {
            identity: Arc::default(),
            address: None,
            request: request.to_owned(),
        }))
    };
    let engine = &fixture.engine;
    engine
        .read(kind("Patient"), "none", &who("r1"))
        .await
        .unwrap_err();
    engine
        .read(kind("Patient"), "p1", &other("r2"))
        .await
        .unwrap_err();
    fixture
        .search_as("Patient?nonsense=Secret", &who("r3"))
        .await
        .unwrap_err();
    let bad = create(r#"{"resourceType":"Patient","nonsense":1}"#, None);
    fixture.one_as(bad, &who("r4")).await.unwrap_err();
    let hidden = put(&observation("o1", "p2"));
    fixture.one_as(hidden, &other("r5")).await.unwrap_err();
    for (request, expected) in [
        ("r1", "read R 4 Patient/none - -"),
        ("r2", "read R 4 Patient/p1 - -"),
        ("r3", "search-type E 4 - - Patient?nonsense=Secret"),
        ("r4", "create C 4 - - -"),
        ("r5", "update U 4 Observation/o1 - -"),
    ] {
        assert_eq!(lines(&fixture, request).await, [expected], "{request}");
    }
    let denied = Caller {
        identity: Arc::default(),
        address: None,
        request: "r6".to_owned(),
    };
    let event = Event::plain(&denied, fixture.clock.now(), Code::Denied, Outcome::Serious);
    engine
        .recorder()
        .record(&event.saying("401 login"))
        .await
        .unwrap();
    let [event] = &found(&fixture, "AuditEvent?outcome=8").await[..] else {
        panic!("one denial")
    };
    assert_eq!(event["subtype"][0]["code"], "AuthZ-Role");
    assert_eq!(event["outcomeDesc"], "401 login");
}

async fn internal_work_leaves_no_trace(database: Database) {
    let fixture = Fixture::new(database).await;
    fixture.put(PATIENT).await;
    fixture.read("Patient", "p1").await.unwrap();
    fixture.search("Patient?_id=p1").await.unwrap();
    fixture.engine.recorder().flush().await.unwrap();
    assert_eq!(fixture.store.audit_ends().await.unwrap(), None);
}

async fn nobody_writes_audit_events(database: Database) {
    let fixture = Fixture::new(database).await;
    let who = by(anna(), "r1");
    fixture.one_as(put(PATIENT), &who).await.unwrap();
    let event = fixture.read("AuditEvent", "1-0").await.unwrap();
    let text = String::from_utf8(event.body.to_vec()).unwrap();
    let writes = [
        create(&text, None),
        put(&text),
        delete("AuditEvent", Target::Id("1-0".to_owned())),
        delete("AuditEvent", Target::Search("action=U".to_owned())),
    ];
    for write in writes {
        let error = fixture.one(write).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotAllowed, "{error}");
    }
    for kind in ["batch", "transaction"] {
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{{"resource":{text},"request":{{"method":"POST","url":"AuditEvent"}}}}]}}"#
        );
        let answer = fixture.engine.bundle(doc(&bundle), &OPTIONS, &ALL).await;
        match answer {
            Ok(answer) => assert!(answer.contains("405 Method Not Allowed"), "{answer}"),
            Err(error) => assert_eq!(error.kind, ErrorKind::NotAllowed),
        }
    }
    let error = fixture
        .engine
        .submit_as_is(vec![put(&text)], &ALL)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotAllowed);
    let again = fixture.read("AuditEvent", "1-0").await.unwrap();
    assert_eq!(again, event);
}

/// Requests of several people, on several days.
pub async fn busy(fixture: &Fixture) {
    for patient in ["p1", "p2"] {
        fixture.put(&PATIENT.replace("p1", patient)).await;
    }
    for round in 0..12 {
        let identity = Identity {
            fhir_user: Some(format!("Practitioner/{}", round % 3)),
            user: Some(format!("user{}", round % 3)),
            ..anna()
        };
        let who = by(identity, &format!("r{round}"));
        let patient = ["p1", "p2", "none"][round % 3];
        let engine = &fixture.engine;
        match round % 4 {
            0 => drop(engine.read(kind("Patient"), patient, &who).await),
            1 => drop(
                fixture
                    .search_as("Patient?name=Secret", &who)
                    .await
                    .unwrap(),
            ),
            2 => drop(
                fixture
                    .one_as(put(&observation("o", patient)), &who)
                    .await
                    .unwrap(),
            ),
            _ => drop(
                fixture
                    .search_as("Observation?patient=p1", &who)
                    .await
                    .unwrap(),
            ),
        }
        if round % 5 == 4 {
            engine.recorder().flush().await.unwrap();
        }
        fixture.clock.advance(7 * 3_600_000 + 1);
    }
}

/// What a search over all events in memory finds.
fn expected(fixture: &Fixture, query: &str, all: &MemoryIndex) -> Vec<String> {
    let registry = fixture.engine.registry();
    let params = decode(query);
    let request = search::Request {
        scope: search::Scope::Type(ResourceType::AUDIT_EVENT),
        params: &params,
        strict: true,
        base_url: &fixture.engine.settings().base_url,
        now: fixture.clock.now(),
    };
    let query = search::parse(&request, &registry, &SearchLimits::default()).unwrap();
    let mut plan = query.plan(&search::Resolved::default()).unwrap();
    plan.limit = usize::MAX;
    plan.total = TotalMode::None;
    let found = all.search(&plan);
    found
        .hits
        .iter()
        .map(|hit| all.items()[hit.item].id.clone())
        .collect()
}

async fn audit_events_are_searched_as_any_resource(database: Database) {
    let fixture = Fixture::new(database).await;
    busy(&fixture).await;
    let registry = fixture.engine.registry();
    let all = found(&fixture, "AuditEvent?_count=1000&_sort=-date").await;
    assert!(all.len() > 15, "{}", all.len());
    let mut items = Vec::new();
    for event in all.iter().rev() {
        let text = event.to_string();
        let event = doc(&text);
        let issues = profiles::validate(&event);
        assert!(issues.is_empty(), "{issues:?} {text}");
        let updated = event
            .root()
            .get("recorded")
            .unwrap()
            .plain_str()
            .unwrap()
            .to_owned();
        let updated = resources::primitive::DateRange::parse(&updated).unwrap();
        items.push(Item {
            kind: ResourceType::AUDIT_EVENT,
            id: event
                .root()
                .get("id")
                .unwrap()
                .plain_str()
                .unwrap()
                .to_owned(),
            updated: updated.lo,
            entries: registry.extract(ResourceType::AUDIT_EVENT, &event, "http://h/fhir"),
            text: None,
        });
    }
    let index = MemoryIndex::new(items);
    let ids = format!("_id={},9-9", all[3]["id"].as_str().unwrap());
    for sealed in [false, true] {
        if sealed {
            crate::audit_chain::seal(&fixture, None).await;
        }
        for query in [
            "patient=p1",
            "patient=Patient/p2",
            "patient=p1,p2",
            "patient=none",
            "patient=http://h/fhir/Patient/p1",
            "agent=Practitioner/1",
            "agent=Practitioner/9",
            "agent:identifier=app-1",
            "agent:identifier=|user2",
            "agent:identifier=x|user2",
            "agent-name=user1",
            "agent-role=nurse",
            "address=192.0.2.7",
            "entity=Patient/p1",
            "entity=Observation/o",
            "entity:identifier=r3",
            "entity-role=24",
            "action=R",
            "action=R,U",
            "action:not=R",
            "outcome=4",
            "outcome:missing=true",
            "type=rest",
            "type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest",
            "type=http://terminology.hl7.org/CodeSystem/audit-event-type|",
            "subtype=read",
            "subtype=http://hl7.org/fhir/restful-interaction|search-type",
            "subtype:not=read",
            "policy:missing=true",
            "date=2026-11-20",
            "date=ge2026-11-21&date=lt2026-11-22",
            "date=ne2026-11-21",
            "date=gt2026-11-21T14:00:00Z",
            "date=2026-11-20,2026-11-22",
            "date=sa2026-11-21",
            "date=eb2026-11-21",
            "date=le2026-11-21T00:00:00Z",
            "date=ap2026-11-21",
            "_lastUpdated=2026-11-21",
            "_lastUpdated=gt2026-11-21&patient=p1",
            "patient=p1&date=2026-11-20&action=E&agent=Practitioner/1",
            "patient=p1&agent=Practitioner/1,Practitioner/2&subtype=search-type",
            "_filter=patient eq Patient/p1 and action eq E",
            "_filter=patient eq Patient/p1 or outcome eq 4",
            "_filter=not (patient eq Patient/p1)",
            &ids,
            "",
        ] {
            for sort in ["_sort=-date", "_sort=date", "_sort=_lastUpdated"] {
                let text = format!("{query}&{sort}");
                let text = text.trim_start_matches('&');
                let mut expected = expected(&fixture, text, &index);
                let mut got: Vec<String> =
                    found(&fixture, &format!("AuditEvent?{text}&_count=1000"))
                        .await
                        .iter()
                        .map(|event| event["id"].as_str().unwrap().to_owned())
                        .collect();
                let count = fixture
                    .search(&format!("AuditEvent?{query}&_summary=count"))
                    .await;
                let count = count.unwrap().root().get("total").unwrap().raw().to_owned();
                assert_eq!(count, got.len().to_string(), "{text}");
                if sort == "_sort=-date" {
                    expected.sort();
                    got.sort();
                }
                assert_eq!(got, expected, "{text}");
            }
        }
    }
    for wrong in ["_sort=action", "_sort=_id", "patient.name=Secret"] {
        assert!(
            fixture
                .search(&format!("AuditEvent?{wrong}"))
                .await
                .is_err(),
            "{wrong}"
        );
    }
}

async fn pages_of_audit_events_have_each_once(database: Database) {
    let fixture = Fixture::new(database).await;
    busy(&fixture).await;
    for query in [
        "_sort=-date",
        "_sort=date",
        "patient=p1&_sort=date",
        "action:not=R",
    ] {
        let all: Vec<Value> = found(&fixture, &format!("AuditEvent?{query}&_count=1000")).await;
        let mut paged = Vec::new();
        let mut next = format!("AuditEvent?{query}&_count=3&_total=accurate");
        loop {
            let bundle = fixture.search(&next).await.unwrap();
            paged.extend(events(&bundle));
            let bundle: Value = serde_json::from_str(bundle.text()).unwrap();
            assert_eq!(bundle["total"], all.len(), "{query}");
            let links = bundle["link"].as_array().unwrap();
            let Some(link) = links.iter().find(|link| link["relation"] == "next") else {
                break;
            };
            let url = link["url"].as_str().unwrap();
            next = url.strip_prefix("http://h/fhir/").unwrap().to_owned();
            if !query.ends_with("_sort=date") {
                let who = by(anna(), "meanwhile");
                let _ = fixture.engine.read(kind("Group"), "x", &who).await;
                fixture.clock.advance(1);
                next = next.replace("&_total=accurate", "");
                break;
            }
        }
        if query.ends_with("_sort=date") && query != "_sort=-date" {
            assert_eq!(paged, all, "{query}");
        } else {
            assert_eq!(paged[..], all[..3], "{query}");
        }
    }
}

async fn a_transaction_is_one_row_and_an_event_for_each_resource(database: Database) {
    let fixture = Fixture::new(database).await;
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"fullUrl":"urn:uuid:0a8ef1c4-3c49-4b8b-9e1c-3d0c3f0c7f01","resource":{{"resourceType":"Patient"}},"request":{{"method":"POST","url":"Patient"}}}},
            {{"resource":{},"request":{{"method":"PUT","url":"Observation/o1"}}}},
            {{"request":{{"method":"GET","url":"Observation/o1"}}}}]}}"#,
        observation("o1", "p9")
    );
    let who = by(anna(), "t1");
    fixture
        .engine
        .bundle(doc(&bundle), &OPTIONS, &who)
        .await
        .unwrap();
    let mut seen = lines(&fixture, "t1").await;
    seen.sort();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[0].starts_with("create C 0 Patient/"), "{seen:?}");
    assert_eq!(
        seen[1..],
        [
            "read R 0 Observation/o1/_history/1 Patient/p9 -",
            "update U 0 Observation/o1/_history/1 Patient/p9 -"
        ]
    );
    assert_eq!(fixture.store.audit_ends().await.unwrap(), Some((1, 2)));
    let refused = bundle.replace("\"code\"", "\"kode\"");
    fixture
        .engine
        .bundle(doc(&refused), &OPTIONS, &by(anna(), "t2"))
        .await
        .unwrap_err();
    let seen = lines(&fixture, "t2").await;
    assert_eq!(seen.len(), 2, "{seen:?}");
}

async fn what_replaced_a_patients_resource_names_both_patients(database: Database) {
    let fixture = Fixture::new(database).await;
    fixture.put(&observation("o1", "p1")).await;
    fixture
        .one_as(put(&observation("o1", "p2")), &by(anna(), "r1"))
        .await
        .unwrap();
    let mut seen = lines(&fixture, "r1").await;
    seen.sort();
    let expected = ["p1", "p2"]
        .map(|patient| format!("update U 0 Observation/o1/_history/2 Patient/{patient} -"));
    assert_eq!(seen, expected);
}
