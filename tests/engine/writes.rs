use rotunda::{
    access::Access,
    engine::{DoneStatus, ErrorKind, IfMatch, Operation, Target},
};

use crate::fixture::*;

on_both_databases!(
    a_resource_lives_through_create_update_delete_and_back,
    what_contradicts_the_address_or_the_standard_is_refused,
    if_match_and_if_none_match_guard_an_update,
    a_patch_changes_what_it_names,
    conditional_writes_follow_what_they_match,
    a_conditional_delete_of_several_needs_the_setting_and_has_a_bound,
    a_hundred_parallel_conditional_creates_leave_one_resource,
    parallel_updates_without_if_match_all_succeed,
    an_update_without_change_makes_no_version_if_so_set,
    without_update_create_only_the_server_gives_ids,
);

async fn a_resource_lives_through_create_update_delete_and_back(on: Database) {
    let f = Fixture::new(on).await;
    let done = f
        .one(create(
            r#"{"resourceType":"Patient","meta":{"versionId":"7","profile":["http://p"]},"active":true}"#,
            None,
        ))
        .await
        .unwrap();
    assert_eq!(done.status, DoneStatus::Created);
    let resource = done.resource.unwrap();
    let id = resource.id.clone();
    assert_eq!(
        resource.text().unwrap(),
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","meta":{{"versionId":"1","lastUpdated":"2026-11-20T00:00:00.000Z","profile":["http://p"]}},"active":true}}"#
        )
    );
    assert_eq!(f.read("Patient", &id).await.unwrap(), resource);

    f.clock.advance(1_000);
    let text = format!(r#"{{"resourceType":"Patient","id":"{id}","active":false}}"#);
    let updated = f.one(put(&text)).await.unwrap();
    assert_eq!(updated.status, DoneStatus::Updated);
    assert_eq!(updated.resource.unwrap().version, 2);

    let gone = f
        .one(delete("Patient", Target::Id(id.clone())))
        .await
        .unwrap();
    assert_eq!(gone.status, DoneStatus::Deleted);
    assert_eq!(gone.resource.unwrap().version, 3);
    let error = f.read("Patient", &id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Gone);
    let again = f
        .one(delete("Patient", Target::Id(id.clone())))
        .await
        .unwrap();
    assert_eq!(again.status, DoneStatus::NothingToDelete);
    assert_eq!(f.found("Patient").await, Vec::<String>::new());

    let back = f.one(put(&text)).await.unwrap();
    assert_eq!(back.status, DoneStatus::Created);
    assert_eq!(back.resource.unwrap().version, 4);
    let first = f.engine.vread(kind("Patient"), &id, 1, &ALL).await.unwrap();
    assert_eq!(first, resource);
    let deletion = f.engine.vread(kind("Patient"), &id, 3, &ALL).await;
    assert_eq!(deletion.unwrap_err().kind, ErrorKind::Gone);
    let missing = f.engine.vread(kind("Patient"), &id, 9, &ALL).await;
    assert_eq!(missing.unwrap_err().kind, ErrorKind::NotFound);
}

async fn what_contradicts_the_address_or_the_standard_is_refused(on: Database) {
    let f = Fixture::new(on).await;
    let patient = kind("Patient");
    let update = |text: &str, id: &str| Operation::Update {
        kind: patient,
        target: Target::Id(id.to_owned()),
        body: doc(text),
        if_match: None,
        if_none_match_any: false,
    };
    for (operation, kind) in [
        (
            update(r#"{"resourceType":"Group","id":"a"}"#, "a"),
            ErrorKind::Invalid,
        ),
        (
            update(r#"{"resourceType":"Patient","id":"b"}"#, "a"),
            ErrorKind::Invalid,
        ),
        (
            update(r#"{"resourceType":"Patient"}"#, "a"),
            ErrorKind::Invalid,
        ),
        (
            update(r#"{"resourceType":"Patient","id":"a_b"}"#, "a_b"),
            ErrorKind::Invalid,
        ),
        (
            update(r#"{"resourceType":"Patient","id":"a","bogus":1}"#, "a"),
            ErrorKind::Unprocessable,
        ),
        (
            Operation::Patch {
                kind: patient,
                target: Target::Id("a".to_owned()),
                patch: doc("[]"),
                if_match: None,
            },
            ErrorKind::NotFound,
        ),
    ] {
        let said = format!("{operation:?}");
        assert_eq!(f.one(operation).await.unwrap_err().kind, kind, "{said}");
    }
    assert_eq!(f.found("Patient").await, Vec::<String>::new());
}

async fn if_match_and_if_none_match_guard_an_update(on: Database) {
    let f = Fixture::new(on).await;
    let text = r#"{"resourceType":"Patient","id":"a"}"#;
    let update = |if_match, if_none_match_any| Operation::Update {
        kind: kind("Patient"),
        target: Target::Id("a".to_owned()),
        body: doc(text),
        if_match,
        if_none_match_any,
    };
    let failed = |result: Result<rotunda::engine::Done, rotunda::engine::Error>| {
        assert_eq!(result.unwrap_err().kind, ErrorKind::PreconditionFailed);
    };
    let (first, any) = (Some(IfMatch::Version(1)), Some(IfMatch::Any));
    failed(f.one(update(first, false)).await);
    failed(f.one(update(any, false)).await);
    f.one(update(None, true)).await.unwrap();
    failed(f.one(update(None, true)).await);
    f.one(update(first, false)).await.unwrap();
    failed(f.one(update(first, false)).await);
    f.one(update(any, false)).await.unwrap();
    assert_eq!(f.read("Patient", "a").await.unwrap().version, 3);
    let own = |id: &str| Access::compartment(kind("Patient"), id.to_owned());
    // Whether there is something that may not be seen does not show.
    let hidden = f.one_as(update(any, false), &own("b")).await.unwrap_err();
    assert_eq!(hidden.kind, ErrorKind::NotFound);
    f.one_as(update(any, false), &own("a")).await.unwrap();
    f.one(delete("Patient", Target::Id("a".to_owned())))
        .await
        .unwrap();
    failed(f.one(update(any, false)).await);
}

async fn a_patch_changes_what_it_names(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"valueQuantity":{"value":1.00}}"#)
        .await;
    let patch = |text: &str| Operation::Patch {
        kind: kind("Observation"),
        target: Target::Id("o".to_owned()),
        patch: doc(text),
        if_match: None,
    };
    let done = f
        .one(patch(
            r#"[{"op":"replace","path":"/status","value":"amended"}]"#,
        ))
        .await
        .unwrap();
    let text = done.resource.unwrap();
    let text = text.text().unwrap();
    assert!(
        text.contains(r#""status":"amended""#) && text.contains("1.00"),
        "{text}"
    );
    assert_eq!(
        f.found("Observation?status=amended").await,
        ["Observation/o"]
    );
    assert!(f.found("Observation?status=final").await.is_empty());
    for bad in [
        r#"[{"op":"replace","path":"/id","value":"p"}]"#,
        r#"[{"op":"remove","path":"/status"}]"#,
        r#"[{"op":"remove","path":"/nothing"}]"#,
    ] {
        let error = f.one(patch(bad)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unprocessable, "{bad}");
    }
}

async fn conditional_writes_follow_what_they_match(on: Database) {
    let f = Fixture::new(on).await;
    let text = r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}]}"#;
    let first = f.one(create(text, Some("identifier=s|1"))).await.unwrap();
    assert_eq!(first.status, DoneStatus::Created);
    let second = f.one(create(text, Some("identifier=s|1"))).await.unwrap();
    assert_eq!(second.status, DoneStatus::Unchanged);
    let id = first.resource.unwrap().id;
    assert_eq!(second.resource.unwrap().id, id);

    let update = |text: &str, query: &str| Operation::Update {
        kind: kind("Patient"),
        target: Target::Search(query.to_owned()),
        body: doc(text),
        if_match: None,
        if_none_match_any: false,
    };
    let done = f.one(update(text, "identifier=s|1")).await.unwrap();
    assert_eq!(
        (done.status, done.resource.unwrap().id),
        (DoneStatus::Updated, id.clone())
    );
    let named =
        r#"{"resourceType":"Patient","id":"named","identifier":[{"system":"s","value":"1"}]}"#;
    let error = f.one(update(named, "identifier=s|1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let done = f.one(update(named, "identifier=s|2")).await.unwrap();
    assert_eq!(done.resource.unwrap().id, "named");
    let error = f.one(update(text, "identifier=s|1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::MultipleMatches);
    let error = f
        .one(create(text, Some("identifier=s|1")))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::MultipleMatches);

    let all = || delete("Patient", Target::Search("identifier=s|1".to_owned()));
    let error = f.one(all()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::MultipleMatches);
    for query in ["", "_count=3"] {
        let error = f
            .one(delete("Patient", Target::Search(query.to_owned())))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error.kind,
                ErrorKind::PreconditionFailed | ErrorKind::Invalid
            ),
            "{query}"
        );
    }
    assert_eq!(f.found("Patient").await.len(), 2);
}

async fn a_conditional_delete_of_several_needs_the_setting_and_has_a_bound(on: Database) {
    let f = Fixture::with(on, |settings| {
        settings.conditional_delete_multiple = true;
        settings.limits.conditional_delete = 3;
    })
    .await;
    let all = || delete("Patient", Target::Search("active=true".to_owned()));
    for count in [1, 3, 4] {
        for _ in 0..count {
            f.one(create(r#"{"resourceType":"Patient","active":true}"#, None))
                .await
                .unwrap();
        }
        match f.one(all()).await {
            Ok(done) => assert_eq!(done.changed, count),
            Err(error) => assert_eq!((error.kind, count), (ErrorKind::TooCostly, 4)),
        }
    }
    assert_eq!(f.found("Patient").await.len(), 4);
}

async fn a_hundred_parallel_conditional_creates_leave_one_resource(on: Database) {
    let f = Fixture::new(on).await;
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let engine = f.engine.clone();
        tasks.push(tokio::spawn(async move {
            let text = r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}]}"#;
            let done = engine
                .submit(vec![create(text, Some("identifier=s|1"))], &ALL)
                .await
                .unwrap();
            done[0].resource.clone().unwrap().id
        }));
    }
    let mut ids = std::collections::BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(f.found("Patient").await.len(), 1);
}

async fn parallel_updates_without_if_match_all_succeed(on: Database) {
    let f = Fixture::new(on).await;
    let mut tasks = Vec::new();
    for _ in 0..60 {
        let engine = f.engine.clone();
        tasks.push(tokio::spawn(async move {
            let operation = put(r#"{"resourceType":"Patient","id":"a"}"#);
            engine.submit(vec![operation], &ALL).await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(f.read("Patient", "a").await.unwrap().version, 60);
}

async fn an_update_without_change_makes_no_version_if_so_set(on: Database) {
    let f = Fixture::with(on, |settings| settings.skip_unchanged_updates = true).await;
    let text = r#"{"resourceType":"Patient","id":"a","active":true}"#;
    f.put(text).await;
    let done = f.one(put(text)).await.unwrap();
    assert_eq!(done.status, DoneStatus::Unchanged);
    assert_eq!(done.resource.unwrap().version, 1);
}

async fn without_update_create_only_the_server_gives_ids(on: Database) {
    let f = Fixture::with(on, |settings| settings.update_create = false).await;
    let text = r#"{"resourceType":"Patient","id":"a"}"#;
    let error = f.one(put(text)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotAllowed);
}
