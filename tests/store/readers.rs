//! What readers see while others write. On SQLite they go on with a state of the resources as long
//! as nothing but the audit and records is written: nobody must notice.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use resources::model::ResourceType;
use rotunda::{
    search::plan::{Clause, KeyRange, Plan, TotalMode},
    store::{
        Commit, Expect, LogFilter, NewAuditRow, Options, Record, RecordChange, Store, StoreError,
    },
};
use tokio::task::JoinSet;

use crate::fixture::{ALL, Fixture, create, entry, param, put_one, update};

on_both_databases!(
    who_wrote_sees_it_at_once_by_every_way_to_read,
    nobody_sees_a_version_and_then_the_one_before,
    rows_of_the_audit_and_records_are_seen_at_once,
);

const PATIENT: ResourceType = ResourceType::PATIENT;

fn reads(bytes: usize) -> Commit {
    Commit {
        audit: Some(NewAuditRow {
            at: 1,
            body: vec![1; bytes],
        }),
        ..Commit::default()
    }
}

/// Adds rows to the audit until it is told to end.
async fn audit(store: Arc<Store>, ends: Arc<AtomicBool>) {
    while !ends.load(Ordering::Relaxed) {
        store.commit(reads(100), &ALL).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn number(version: i64) -> Vec<u8> {
    format!("{version:05}").into_bytes()
}

/// The version that is found by what it is indexed under.
async fn found(store: &Store, id: &str, version: i64) -> Option<i64> {
    let range = KeyRange {
        low: number(version),
        high: Some(number(version + 1)),
        test: Vec::new(),
    };
    let keys = Clause::Keys {
        param: param(PATIENT, 1),
        ranges: vec![range],
    };
    let plan = Plan {
        types: vec![PATIENT],
        filter: Clause::All(vec![keys, Clause::Ids(vec![id.to_owned()])]),
        sort: Vec::new(),
        limit: 10,
        after: None,
        total: TotalMode::None,
    };
    let mut hits = store.search(&plan, &ALL).await.unwrap().hits;
    assert!(hits.len() <= 1);
    hits.pop().map(|hit| hit.stored.head.version)
}

async fn current(store: &Store, id: &str) -> Option<i64> {
    let found = store.current(&[(PATIENT, id)], &ALL).await.unwrap();
    found[0].as_ref().map(|found| found.head.version)
}

async fn who_wrote_sees_it_at_once_by_every_way_to_read(Fixture { store, .. }: &Fixture) {
    let ends = Arc::new(AtomicBool::new(false));
    let audit = tokio::spawn(audit(Arc::clone(store), Arc::clone(&ends)));
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let id = format!("r{task}");
            let key = |version| entry(PATIENT, 1, &number(version));
            let mut head = put_one(&store, create(PATIENT, &id, vec![key(1)])).await;
            for version in 1..60 {
                assert_eq!(current(&store, &id).await, Some(version));
                assert_eq!(found(&store, &id, version).await, Some(version));
                assert_eq!(found(&store, &id, version - 1).await, None);
                let old = store.version(PATIENT, &id, version, &ALL).await.unwrap();
                assert_eq!(old.unwrap().stored.head.version, version);
                let filter = LogFilter {
                    rid: Some(head.rid),
                    ..LogFilter::default()
                };
                let log = store.log(&filter, 1, &ALL).await.unwrap();
                assert_eq!(log[0].stored.head.version, version);
                let several = [(PATIENT, id.as_str()), (PATIENT, "none")];
                let (several, _) = store
                    .current_within(&several, usize::MAX, &ALL)
                    .await
                    .unwrap();
                assert_eq!(several[0].as_ref().unwrap().head.version, version);
                let next = update(&head, vec![key(version)], vec![key(version + 1)]);
                head = put_one(&store, next).await;
            }
        });
    }
    tasks.join_all().await;
    ends.store(true, Ordering::Relaxed);
    audit.await.unwrap();
}

async fn nobody_sees_a_version_and_then_the_one_before(Fixture { store, .. }: &Fixture) {
    let ends = Arc::new(AtomicBool::new(false));
    let audit = tokio::spawn(audit(Arc::clone(store), Arc::clone(&ends)));
    let mut head = put_one(store, create(PATIENT, "a", vec![])).await;
    // The newest version that anybody has seen.
    let newest = Arc::new(AtomicI64::new(1));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (store, newest, ends) = (Arc::clone(store), Arc::clone(&newest), Arc::clone(&ends));
        tasks.spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                let before = newest.load(Ordering::SeqCst);
                let now = current(&store, "a").await.unwrap();
                assert!(now >= before, "{now} after {before}");
                newest.fetch_max(now, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        });
    }
    for _ in 0..300 {
        head = put_one(store, update(&head, vec![], vec![])).await;
    }
    ends.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    audit.await.unwrap();
}

fn record(id: &str) -> RecordChange {
    let record = Record {
        kind: 7,
        id: id.to_owned(),
        owner: String::new(),
        version: 0,
        expires: None,
        body: Vec::new(),
    };
    RecordChange::Put(record, Expect::Absent)
}

async fn rows_of_the_audit_and_records_are_seen_at_once(Fixture { store, .. }: &Fixture) {
    put_one(store, create(PATIENT, "a", vec![])).await;
    for round in 1..30 {
        // Each connection has a state.
        for _ in 0..16 {
            assert_eq!(current(store, "a").await, Some(1));
        }
        store.commit(reads(10), &ALL).await.unwrap();
        let (_, last) = store.audit_ends().await.unwrap().unwrap();
        let rows = store.audit_rows((0, last), 100, usize::MAX).await.unwrap();
        assert_eq!(rows.len(), round);
        let id = round.to_string();
        store.change_records(vec![record(&id)]).await.unwrap();
        assert!(store.record(7, &id).await.unwrap().is_some());
        store.set_setting("s", id.as_bytes()).await.unwrap();
        let setting = store.setting("s").await.unwrap().unwrap();
        assert_eq!(setting, id.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_writes_is_seen() {
    let Fixture { store, url, .. } = &Fixture::sqlite().await;
    put_one(store, create(PATIENT, "a", vec![])).await;
    let options = Options {
        beside: true,
        ..Options::default()
    };
    let beside = Store::open(url, &options).await.unwrap();
    for round in 0..20 {
        for _ in 0..16 {
            assert_eq!(current(store, "a").await, Some(1));
        }
        let id = round.to_string();
        beside.change_records(vec![record(&id)]).await.unwrap();
        assert!(store.record(7, &id).await.unwrap().is_some());
        beside.set_setting("s", id.as_bytes()).await.unwrap();
        let setting = store.setting("s").await.unwrap().unwrap();
        assert_eq!(setting, id.as_bytes());
        store
            .change_records(vec![record(&format!("{id} here"))])
            .await
            .unwrap();
        let here = beside.record(7, &format!("{id} here")).await.unwrap();
        assert!(here.is_some());
    }
    beside.close().await;
    // No program may change a resource. If one does, it is seen when the server has written.
    let other = rusqlite::Connection::open(url.strip_prefix("sqlite:").unwrap()).unwrap();
    other.execute_batch("UPDATE resource SET ver=9").unwrap();
    store.commit(reads(10), &ALL).await.unwrap();
    // The look comes after the answer.
    store.health().await.unwrap();
    for _ in 0..16 {
        assert_eq!(current(store, "a").await, Some(9));
    }
}

async fn small_log() -> (tempfile::TempDir, Arc<Store>, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let options = Options {
        checkpoint_pages: 250,
        ..Options::default()
    };
    let url = format!("sqlite:{}", path.display());
    let store = Store::open(&url, &options).await.unwrap();
    put_one(&store, create(PATIENT, "a", vec![])).await;
    let log = folder.path().join("store.db-wal");
    (folder, Arc::new(store), log)
}

fn size(log: &Path) -> u64 {
    std::fs::metadata(log).unwrap().len()
}

/// More than what the writer moves itself, and what comes meanwhile: 1 MiB, 8 MiB, and as much
/// again.
const BOUND: u64 = 20 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_moved_while_others_read_all_the_time() {
    let (_folder, store, log) = small_log().await;
    let ends = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (store, ends) = (Arc::clone(&store), Arc::clone(&ends));
        tasks.spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                assert_eq!(current(&store, "a").await, Some(1));
                tokio::task::yield_now().await;
            }
        });
    }
    // 60 MiB of the audit.
    for _ in 0..600 {
        store.commit(reads(100 << 10), &ALL).await.unwrap();
        assert!(size(&log) < BOUND, "{}", size(&log));
    }
    ends.store(true, Ordering::Relaxed);
    tasks.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_and_reads_no_more_does_not_keep_the_log() {
    let (_folder, store, log) = small_log().await;
    for _ in 0..16 {
        assert_eq!(current(&store, "a").await, Some(1));
    }
    for _ in 0..600 {
        store.commit(reads(100 << 10), &ALL).await.unwrap();
        assert!(size(&log) < BOUND, "{}", size(&log));
    }
    for _ in 0..16 {
        assert_eq!(current(&store, "a").await, Some(1));
    }
    store.commit(reads(100 << 10), &ALL).await.unwrap();
    // After a pause nothing is left of it.
    let begin = Instant::now();
    while size(&log) > 0 {
        assert!(begin.elapsed() < Duration::from_secs(10), "{}", size(&log));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Statistics are refreshed and the log is emptied although somebody reads.
#[tokio::test(flavor = "multi_thread")]
async fn who_optimizes_does_not_wait_for_readers() {
    let (_folder, store, log) = small_log().await;
    for _ in 0..16 {
        assert_eq!(current(&store, "a").await, Some(1));
    }
    store.commit(reads(100 << 10), &ALL).await.unwrap();
    let begin = Instant::now();
    let optimized: Result<(), StoreError> = store.optimize().await;
    optimized.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert_eq!(size(&log), 0);
}
