//! What a patient's own access lets be written and seen.

use resources::{
    index::Registry,
    model::{ResourceType, compartments},
};
use rotunda::{
    access::Access,
    engine::{DoneStatus, Error, ErrorKind, HistoryScope, IfMatch, Operation, Target},
};

use crate::{fixture::*, minimal::minimal};

on_both_databases!(
    a_compartment_bounds_what_may_be_written,
    nothing_tells_what_is_hidden_from_what_never_was,
    an_id_out_of_sight_cannot_be_chosen_taken_or_not,
    ones_own_deleted_resource_can_be_brought_back,
    every_member_of_the_patients_compartment_can_be_written,
    a_deletion_is_shown_to_whom_the_deleted_version_was,
);

fn own() -> Access {
    Access::compartment(kind("Patient"), "a".to_owned())
}

fn observation(id: &str, patient: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"c"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
    )
}

fn matching(operation: Operation, version: i64) -> Operation {
    match operation {
        Operation::Update {
            kind, target, body, ..
        } => Operation::Update {
            kind,
            target,
            body,
            if_match: Some(IfMatch::Version(version)),
            if_none_match_any: false,
        },
        Operation::Delete { kind, target, .. } => Operation::Delete {
            kind,
            target,
            if_match: Some(IfMatch::Version(version)),
        },
        other => other,
    }
}

fn only_new(operation: Operation) -> Operation {
    match operation {
        Operation::Update {
            kind, target, body, ..
        } => Operation::Update {
            kind,
            target,
            body,
            if_match: None,
            if_none_match_any: true,
        },
        other => other,
    }
}

fn patch(id: &str, text: &str, if_match: Option<i64>) -> Operation {
    Operation::Patch {
        kind: kind("Observation"),
        target: Target::Id(id.to_owned()),
        patch: doc(text),
        if_match: if_match.map(IfMatch::Version),
    }
}

fn remove(id: &str) -> Operation {
    delete("Observation", Target::Id(id.to_owned()))
}

/// Patients `a` and `b`; `alive` and `dead` are observations of `b`, the one deleted.
async fn two_patients(on: Database) -> Fixture {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a"}"#).await;
    f.put(r#"{"resourceType":"Patient","id":"b"}"#).await;
    f.put(&observation("alive", "b")).await;
    f.put(&observation("dead", "b")).await;
    f.one(remove("dead")).await.unwrap();
    f
}

async fn a_compartment_bounds_what_may_be_written(on: Database) {
    let f = two_patients(on).await;
    f.put(&observation("of-a", "a")).await;
    f.one_as(put(&observation("of-a", "a")), &own())
        .await
        .unwrap();
    for (operation, kind) in [
        (create(&observation("x", "b"), None), ErrorKind::Forbidden),
        (put(&observation("new", "b")), ErrorKind::NotFound),
        (put(&observation("of-a", "b")), ErrorKind::Forbidden),
        (put(&observation("alive", "a")), ErrorKind::NotFound),
        (remove("alive"), ErrorKind::NotFound),
    ] {
        let error = f.one_as(operation, &own()).await.unwrap_err();
        assert_eq!(error.kind, kind);
    }
    let seen = f.search_as("Observation", &own()).await.unwrap();
    assert_eq!(identities(&seen), ["Observation/of-a"]);
}

async fn nothing_tells_what_is_hidden_from_what_never_was(on: Database) {
    type Attempt = fn(&str) -> Operation;
    let f = two_patients(on).await;
    let attempts: [(Attempt, ErrorKind); 11] = [
        (
            |id| {
                patch(
                    id,
                    r#"[{"op":"test","path":"/status","value":"final"}]"#,
                    None,
                )
            },
            ErrorKind::NotFound,
        ),
        (
            |id| {
                patch(
                    id,
                    r#"[{"op":"test","path":"/status","value":"amended"}]"#,
                    None,
                )
            },
            ErrorKind::NotFound,
        ),
        (|id| patch(id, "[]", Some(1)), ErrorKind::NotFound),
        (|id| patch(id, "[]", Some(7)), ErrorKind::NotFound),
        (|id| remove(id), ErrorKind::NotFound),
        (|id| matching(remove(id), 1), ErrorKind::NotFound),
        (|id| matching(remove(id), 7), ErrorKind::NotFound),
        (
            |id| matching(put(&observation(id, "a")), 1),
            ErrorKind::NotFound,
        ),
        (
            |id| matching(put(&observation(id, "a")), 7),
            ErrorKind::NotFound,
        ),
        (|id| put(&observation(id, "b")), ErrorKind::NotFound),
        (
            |id| {
                put(&format!(
                    r#"{{"resourceType":"Observation","id":"{id}","bogus":1}}"#
                ))
            },
            ErrorKind::NotFound,
        ),
    ];
    let said = |error: &Error, id: &str| format!("{error:?}").replace(id, "<id>");
    for (at, (attempt, kind)) in attempts.into_iter().enumerate() {
        let mut answers = Vec::new();
        for id in ["alive", "dead", "never"] {
            let error = f.one_as(attempt(id), &own()).await.unwrap_err();
            assert_eq!(error.kind, kind, "attempt {at} at {id}");
            answers.push(said(&error, id));
        }
        assert_eq!(answers[0], answers[2], "attempt {at}");
        assert_eq!(answers[1], answers[2], "attempt {at}");
    }
    assert_eq!(f.read("Observation", "alive").await.unwrap().version, 1);
}

async fn an_id_out_of_sight_cannot_be_chosen_taken_or_not(on: Database) {
    let f = two_patients(on).await;
    for id in ["alive", "dead", "never"] {
        let by_condition = Operation::Update {
            kind: kind("Observation"),
            target: Target::Search("identifier=none".to_owned()),
            body: doc(&observation(id, "a")),
            if_match: None,
            if_none_match_any: false,
        };
        for attempt in [
            put(&observation(id, "a")),
            only_new(put(&observation(id, "a"))),
            by_condition,
        ] {
            let error = f.one_as(attempt, &own()).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound);
            let said = &error.issues[0];
            let expected = format!(
                "Observation/{id} is not known to you; create a new resource with \
                 POST Observation, which gives it an id"
            );
            assert_eq!((said.code, &said.diagnostics), ("not-found", &expected));
        }
    }
}

async fn ones_own_deleted_resource_can_be_brought_back(on: Database) {
    let f = two_patients(on).await;
    f.put(&observation("mine", "a")).await;
    f.one_as(remove("mine"), &own()).await.unwrap();
    let again = f.one_as(remove("mine"), &own()).await.unwrap();
    assert_eq!(again.status, DoneStatus::NothingToDelete);
    let error = f.one_as(patch("mine", "[]", None), &own()).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::Gone);
    let back = f.one_as(put(&observation("mine", "a")), &own()).await;
    assert_eq!(back.unwrap().status, DoneStatus::Created);
}

/// By each parameter of the CompartmentDefinition: created, read, changed and deleted.
async fn every_member_of_the_patients_compartment_can_be_written(on: Database) {
    let f = two_patients(on).await;
    let registry = Registry::builtin();
    let mut tried = 0;
    // AuditEvents are the server's own.
    let written = ResourceType::all().filter(|kind| *kind != ResourceType::AUDIT_EVENT);
    for member in written {
        for code in compartments::params(kind("Patient"), member) {
            let Some(param) = registry.param(member, code) else {
                continue;
            };
            let text = |id: &str, patient: &str| minimal(member, id, &param.expression, patient);
            let what = format!("{member} by {code}: {}", text("x", "a"));
            let made = f.one_as(create(&text("x", "a"), None), &own()).await;
            let made = made.expect(&what);
            assert_eq!(made.status, DoneStatus::Created, "{what}");
            let id = made.resource.unwrap().id;
            let text = |patient: &str| text(&id, patient);
            f.engine.read(member, &id, &own()).await.expect(&what);
            let again = f.one_as(put(&text("a")), &own()).await;
            assert_eq!(again.expect(&what).status, DoneStatus::Updated, "{what}");
            let away = f.one_as(put(&text("b")), &own()).await.unwrap_err();
            assert_eq!(away.kind, ErrorKind::Forbidden, "{what}");
            let gone = f
                .one_as(delete(member.name(), Target::Id(id.clone())), &own())
                .await;
            assert_eq!(gone.expect(&what).status, DoneStatus::Deleted, "{what}");
            tried += 1;
        }
    }
    assert!(tried > 90, "{tried}");
}

async fn a_deletion_is_shown_to_whom_the_deleted_version_was(on: Database) {
    let f = two_patients(on).await;
    for patient in ["a", "b", "a"] {
        f.put(&observation("o", patient)).await;
        f.one(remove("o")).await.unwrap();
    }
    f.put(&observation("o", "a")).await;
    let request = rotunda::engine::HistoryRequest {
        scope: HistoryScope::Instance(kind("Observation"), "o".to_owned()),
        params: Vec::new(),
        strict: true,
    };
    let history = doc(&f.engine.history(&request, &own()).await.unwrap());
    let shown: Vec<String> = entries(&history)
        .into_iter()
        .map(|entry| at(entry, "response.etag"))
        .collect();
    let expected = [7, 6, 5, 2, 1].map(|version| format!("W/\"{version}\""));
    assert_eq!(shown, expected);
    for (version, kind_of_error) in [(2, ErrorKind::Gone), (4, ErrorKind::NotFound)] {
        let read = f
            .engine
            .vread(kind("Observation"), "o", version, &own())
            .await;
        assert_eq!(read.unwrap_err().kind, kind_of_error, "version {version}");
    }
}
