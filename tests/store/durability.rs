//! What was acknowledged survives the end of the process, whenever it comes.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use resources::model::ResourceType;
use rotunda::store::{Options, Store, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{ALL, create, entry, put, update};

const PATIENT: ResourceType = ResourceType::PATIENT;
const WRITERS: usize = 8;

/// Not a test of its own: the process that is killed. Says each version once it is committed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test below"]
async fn writer_that_is_killed() {
    let Ok(url) = std::env::var("ROTUNDA_TEST_STORE") else {
        return;
    };
    let store = std::sync::Arc::new(Store::open(&url, &Options::default()).await.unwrap());
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = std::sync::Arc::clone(&store);
        tasks.spawn(async move {
            let id = format!("w{writer}");
            loop {
                let found = store
                    .current(&[(PATIENT, &id)], &ALL)
                    .await
                    .unwrap()
                    .remove(0);
                let write = match found.map(|found| found.head) {
                    None => create(PATIENT, &id, vec![key(1)]),
                    Some(head) => {
                        update(&head, vec![key(head.version)], vec![key(head.version + 1)])
                    }
                };
                match put(&store, vec![write]).await {
                    Ok(done) => println!("done {id} {}", done.heads[0].version),
                    // PostgreSQL may still be at work on the last commit of the one before.
                    Err(StoreError::Conflict(0)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
}

fn key(version: i64) -> resources::index::Entry {
    entry(PATIENT, 1, version.to_string().as_bytes())
}

async fn every_acknowledged_version_is_there(url: &str) {
    let mut acknowledged: BTreeMap<String, i64> = BTreeMap::new();
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "durability::writer_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("ROTUNDA_TEST_STORE", url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut seen = BTreeMap::new();
            for line in output.lines().map_while(Result::ok) {
                let mut words = line.split(' ').skip_while(|word| *word != "done").skip(1);
                if let (Some(id), Some(version)) = (words.next(), words.next())
                    && let Ok(version) = version.parse::<i64>()
                {
                    seen.insert(id.to_owned(), version);
                }
            }
            seen
        });
        tokio::time::sleep(Duration::from_millis(500 + round * 170)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());

        tokio::time::sleep(Duration::from_millis(200)).await;
        let store = Store::open(url, &Options::default()).await.unwrap();
        for (id, version) in &acknowledged {
            let head = store
                .current(&[(PATIENT, id)], &ALL)
                .await
                .unwrap()
                .remove(0)
                .unwrap()
                .head;
            assert!(
                head.version >= *version,
                "{id}: {version} was acknowledged, {head:?} is there"
            );
        }
        let (defects, _) = store.defects(0, 1_000, &ALL).await.unwrap();
        assert_eq!(defects, Vec::<String>::new());
        for indexed in store.indexed(0, 100, &ALL).await.unwrap() {
            assert_eq!(indexed.entries, [key(indexed.head.version)]);
            let text = std::str::from_utf8(indexed.text.as_ref().unwrap()).unwrap();
            assert_eq!(indexed.hash, rotunda::store::text_hash(text));
        }
        store.close().await;
    }
    assert_eq!(acknowledged.len(), WRITERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_it_acknowledged_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    every_acknowledged_version_is_there(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_it_acknowledged_on_postgres() {
    every_acknowledged_version_is_there(&crate::support::postgres::database().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_and_a_closed_store_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let store = Store::open(&url, &Options::default()).await.unwrap();
    put(&store, vec![create(PATIENT, "a", vec![])])
        .await
        .unwrap();
    let second = Store::open(&url, &Options::default()).await;
    assert!(matches!(second, Err(StoreError::Open(reason)) if reason.contains("another process")));
    store.close().await;
    let store = Store::open(&url, &Options::default()).await.unwrap();
    assert!(store.current(&[(PATIENT, "a")], &ALL).await.unwrap()[0].is_some());
}
