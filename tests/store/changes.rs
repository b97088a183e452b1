//! Who keeps something of resources in memory is told what changed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use resources::model::ResourceType;
use rotunda::store::Seen;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;

use crate::{
    claims::{APPOINTMENT, commit},
    fixture::{ALL, Fixture, create, delete, put_one},
};

on_both_databases!(who_follows_changes_misses_nothing_that_was_acknowledged);

async fn who_follows_changes_misses_nothing_that_was_acknowledged(Fixture { store, .. }: &Fixture) {
    let slot = ResourceType::SLOT;
    put_one(store, create(APPOINTMENT, "before", vec![])).await;
    let kinds = vec![APPOINTMENT, slot];
    let seen = store.start_seen(kinds.clone()).await.unwrap();
    let all = store.changed(&mut Seen::new(kinds)).await.unwrap();
    assert_eq!(all, [(APPOINTMENT, "before".to_owned())]);
    let seen = Arc::new(tokio::sync::Mutex::new((seen, HashSet::new())));
    let mut tasks = JoinSet::new();
    for task in 0..12 {
        let (store, seen) = (Arc::clone(store), Arc::clone(&seen));
        tasks.spawn(async move {
            for at in 0..40 {
                let kind = [APPOINTMENT, slot, ResourceType::PATIENT][at % 3];
                let id = format!("r{task}-{at}");
                // One of three makes several at once, which takes longer.
                let more = (0..at % 3 * 7).map(|n| create(kind, &format!("{id}-{n}"), vec![]));
                let writes = more.chain([create(kind, &id, vec![])]).collect();
                store.commit(commit(writes, vec![]), &ALL).await.unwrap();
                let (seen, names) = &mut *seen.lock().await;
                names.extend(store.changed(seen).await.unwrap());
                let is_named = names.contains(&(kind, id.clone()));
                assert_eq!(is_named, kind != ResourceType::PATIENT, "{id}");
            }
        });
    }
    tasks.join_all().await;
    let (seen, names) = &mut *seen.lock().await;
    assert!(!names.contains(&(APPOINTMENT, "before".to_owned())));
    assert_eq!(store.changed(seen).await.unwrap(), []);
    let head = store
        .current(&[(APPOINTMENT, "before")], &ALL)
        .await
        .unwrap();
    let head = head[0].as_ref().unwrap().head.clone();
    put_one(store, delete(&head, vec![])).await;
    let changed = store.changed(seen).await.unwrap();
    assert_eq!(changed, [(APPOINTMENT, "before".to_owned())]);
}

/// A commit has taken its place in the log before many others, and appears after all of them.
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_changes_misses_no_commit_that_took_long() {
    let Fixture { store, url, .. } = &Fixture::postgres().await;
    let old = put_one(store, create(APPOINTMENT, "old", vec![])).await;
    let mut seen = store.start_seen(vec![APPOINTMENT]).await.unwrap();
    let mut slow = PgConnection::connect(url).await.unwrap();
    let text = format!(
        "BEGIN; SELECT pg_current_xact_id();
         INSERT INTO version (vid,rid,ver,ts,op,hash,body)
         SELECT nextval('version_vid'),rid,2,ts,op,hash,body FROM version WHERE rid={}",
        old.rid
    );
    slow.execute(AssertSqlSafe(text)).await.unwrap();
    for at in 0..200 {
        let id = format!("a{at}");
        put_one(store, create(APPOINTMENT, &id, vec![])).await;
        let changed = store.changed(&mut seen).await.unwrap();
        assert_eq!(changed, [(APPOINTMENT, id)]);
        // Who begins now waits for it, but not for ever, and is told more than is new.
        if at == 100 {
            let looking = store.start_seen(vec![APPOINTMENT]);
            let mut late = tokio::time::timeout(Duration::from_secs(60), looking).await;
            let late = late.as_mut().unwrap().as_mut().unwrap();
            assert!(!store.changed(late).await.unwrap().is_empty());
        }
    }
    slow.execute("COMMIT").await.unwrap();
    let changed = store.changed(&mut seen).await.unwrap();
    assert_eq!(changed, [(APPOINTMENT, "old".to_owned())]);
    for at in 0..200 {
        put_one(store, create(APPOINTMENT, &format!("b{at}"), vec![])).await;
        assert_eq!(store.changed(&mut seen).await.unwrap().len(), 1);
    }
}
