//! The behaviour suite.

use resources::model::ResourceType;
use rotunda::store::{Change, StoreError};

use crate::fixture::{ALL, Fixture, create, delete, entry, put, put_one, update};

const PATIENT: ResourceType = ResourceType::PATIENT;

macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::fixture::Fixture::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::fixture::Fixture::postgres().await).await;
            })+
        }
    };
}

on_both_databases!(
    a_version_is_read_as_it_was_written,
    a_write_from_an_old_head_conflicts_and_leaves_nothing,
    a_deletion_keeps_its_history,
);

async fn a_version_is_read_as_it_was_written(Fixture { store, .. }: &Fixture) {
    let head = put_one(store, create(PATIENT, "a", vec![entry(PATIENT, 1, b"x")])).await;
    assert_eq!(head.rid >> 44, PATIENT.number());
    let found = store
        .current(&[(PATIENT, "a"), (PATIENT, "b")], &ALL)
        .await
        .unwrap();
    assert_eq!(found[0].as_ref().unwrap().head, head);
    assert_eq!(found[1], None);
    let next = put_one(store, update(&head, vec![], vec![])).await;
    assert_eq!((next.rid, next.version), (head.rid, 2));
    let first = store.version(PATIENT, "a", 1, &ALL).await.unwrap().unwrap();
    assert_eq!(first.stored.head, head);
    assert_eq!(first.change, Change::Create);
    assert_eq!(first.stored.body, crate::fixture::body(PATIENT, "a", 1));
    assert_eq!(store.version(PATIENT, "a", 3, &ALL).await.unwrap(), None);
}

async fn a_write_from_an_old_head_conflicts_and_leaves_nothing(Fixture { store, .. }: &Fixture) {
    let head = put_one(store, create(PATIENT, "a", vec![])).await;
    put_one(store, update(&head, vec![], vec![])).await;
    let stale = vec![create(PATIENT, "b", vec![]), update(&head, vec![], vec![])];
    assert!(matches!(
        put(store, stale).await,
        Err(StoreError::Conflict(1))
    ));
    let again = vec![create(PATIENT, "a", vec![])];
    assert!(matches!(
        put(store, again).await,
        Err(StoreError::Conflict(0))
    ));
    assert_eq!(
        store.current(&[(PATIENT, "b")], &ALL).await.unwrap(),
        vec![None]
    );
}

async fn a_deletion_keeps_its_history(Fixture { store, .. }: &Fixture) {
    let head = put_one(store, create(PATIENT, "a", vec![entry(PATIENT, 1, b"x")])).await;
    let gone = put_one(store, delete(&head, vec![entry(PATIENT, 1, b"x")])).await;
    assert!(gone.deleted);
    let found = store
        .current(&[(PATIENT, "a")], &ALL)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(found.head, gone);
    assert!(found.body.is_empty());
    let deletion = store.version(PATIENT, "a", 2, &ALL).await.unwrap().unwrap();
    assert_eq!(deletion.change, Change::Delete);
    let back = put_one(store, update(&gone, vec![], vec![])).await;
    assert_eq!((back.version, back.deleted), (3, false));
}
