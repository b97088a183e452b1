//! Records of the authorization server: changed as a whole or not at all, once by whoever is first.

use std::sync::Arc;

use rotunda::store::{Expect, Record, RecordChange, StoreError};
use tokio::task::JoinSet;

use crate::fixture::Fixture;

on_both_databases!(
    a_set_of_changes_happens_as_a_whole_or_not_at_all,
    of_many_swaps_of_one_version_one_happens,
    records_are_listed_by_owner_in_pages,
    what_has_expired_is_swept,
);

fn record(id: &str, owner: &str, body: &str) -> Record {
    Record {
        kind: 7,
        id: id.to_owned(),
        owner: owner.to_owned(),
        version: 0,
        expires: None,
        body: body.as_bytes().to_vec(),
    }
}

async fn a_set_of_changes_happens_as_a_whole_or_not_at_all(f: &Fixture) {
    let add = |id: &str| RecordChange::Put(record(id, "o", "1"), Expect::Absent);
    f.store.change_records(vec![add("a")]).await.unwrap();
    let lost = f.store.change_records(vec![add("b"), add("a")]).await;
    assert!(matches!(lost, Err(StoreError::Conflict(1))), "{lost:?}");
    assert_eq!(f.store.record(7, "b").await.unwrap(), None);
    let gone = RecordChange::Remove(7, "a".to_owned(), Expect::Version(2));
    let lost = f.store.change_records(vec![add("b"), gone]).await;
    assert!(matches!(lost, Err(StoreError::Conflict(1))), "{lost:?}");
    assert_eq!(f.store.record(7, "b").await.unwrap(), None);
    let all = vec![
        RecordChange::Put(record("a", "p", "2"), Expect::Any),
        RecordChange::RemoveOwned(7, "o".to_owned()),
        add("c"),
    ];
    f.store.change_records(all).await.unwrap();
    let found = f.store.record(7, "a").await.unwrap().unwrap();
    assert_eq!((found.version, found.owner.as_str()), (2, "p"));
    assert!(f.store.record(7, "c").await.unwrap().is_some());
}

async fn of_many_swaps_of_one_version_one_happens(f: &Fixture) {
    let first = RecordChange::Put(record("one", "", "0"), Expect::Absent);
    f.store.change_records(vec![first]).await.unwrap();
    let mut tasks = JoinSet::new();
    for at in 0..20 {
        let store = Arc::clone(&f.store);
        let swap = RecordChange::Put(record("one", "", &at.to_string()), Expect::Version(1));
        tasks.spawn(async move { store.change_records(vec![swap]).await.is_ok() });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won);
    assert_eq!(won.count(), 1);
    assert_eq!(f.store.record(7, "one").await.unwrap().unwrap().version, 2);
}

async fn records_are_listed_by_owner_in_pages(f: &Fixture) {
    for (id, owner) in [("a", "x"), ("b", "y"), ("c", "x"), ("d", "x")] {
        let add = RecordChange::Put(record(id, owner, "1"), Expect::Absent);
        f.store.change_records(vec![add]).await.unwrap();
    }
    let ids = async |owner: Option<&str>, after: &str, limit| {
        let found = f.store.records(7, owner, after, limit).await.unwrap();
        found.into_iter().map(|one| one.id).collect::<String>()
    };
    assert_eq!(ids(Some("x"), "", 2).await, "ac");
    assert_eq!(ids(Some("x"), "c", 2).await, "d");
    assert_eq!(ids(None, "", 9).await, "abcd");
}

async fn what_has_expired_is_swept(f: &Fixture) {
    for (id, expires) in [("a", Some(5)), ("b", Some(50)), ("c", None)] {
        let one = Record {
            expires,
            ..record(id, "", "1")
        };
        let add = RecordChange::Put(one, Expect::Absent);
        f.store.change_records(vec![add]).await.unwrap();
    }
    assert_eq!(f.store.sweep_records(20).await.unwrap(), 1);
    assert_eq!(f.store.records(7, None, "", 9).await.unwrap().len(), 2);
}
