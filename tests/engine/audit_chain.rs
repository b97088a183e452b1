//! Whatever is done to the audit's tables behind the server's back is found.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rotunda::{
    access::{Access, Caller},
    audit::{AnchorSigner, Anchors, Sealer, verify},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::fixture::{ALL, Database, Fixture, create};

on_both_databases!(
    an_untouched_audit_has_no_differences,
    every_change_behind_the_servers_back_is_found,
    a_chain_made_anew_does_not_fit_the_anchors,
    changed_anchors_are_found,
    several_nodes_make_one_chain,
);

/// Seals what is there; anchored in the file if one is named.
pub async fn seal(fixture: &Fixture, anchors: Option<&Files>) {
    fixture.engine.recorder().flush().await.unwrap();
    let anchors = anchors.map(|files| {
        let signer = AnchorSigner::from_file(&files.key).unwrap();
        Anchors::open(&files.anchors, signer).unwrap()
    });
    let sealer = Sealer::start(
        Arc::clone(&fixture.store),
        fixture.clock.clone(),
        anchors,
        Duration::from_secs(3_600),
    );
    let end = fixture
        .store
        .audit_ends()
        .await
        .unwrap()
        .map_or(0, |(_, last)| last);
    for _ in 0..60 {
        sealer.seal_all().await.unwrap();
        let last = fixture.store.last_audit_seal().await.unwrap();
        // Other tests' transactions on the same server hold the end of the log back.
        if last.map_or(0, |seal| seal.last_seq) >= end {
            return;
        }
    }
    panic!("the audit could not be sealed");
}

/// Where anchors and key are.
pub struct Files {
    anchors: PathBuf,
    key: PathBuf,
    _folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            anchors: folder.path().join("anchors.jsonl"),
            key: folder.path().join("anchors.key"),
            _folder: folder,
        }
    }
}

async fn differences(fixture: &Fixture, files: &Files) -> Vec<String> {
    let signer = AnchorSigner::open(&files.key).unwrap();
    let anchors = Some((files.anchors.as_path(), &signer));
    let mut told = Vec::new();
    let verified = verify(&fixture.store, anchors, |sentence| told.push(sentence)).await;
    assert_eq!(verified.unwrap().different as usize, told.len());
    told
}

fn who(request: &str) -> Access {
    ALL.by(Arc::new(Caller {
        identity: Arc::default(),
        address: None,
        request: request.to_owned(),
    }))
}

async fn write(fixture: &Fixture, count: usize) {
    for number in 0..count {
        let patient = create(r#"{"resourceType":"Patient"}"#, None);
        fixture
            .one_as(patient, &who(&number.to_string()))
            .await
            .unwrap();
    }
}

/// Runs a statement on the database itself.
async fn doctor(fixture: &Fixture, sql: &str) {
    match fixture.database {
        Database::Sqlite => {
            let path = fixture.url.strip_prefix("sqlite:").unwrap();
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.busy_timeout(Duration::from_secs(5)).unwrap();
            connection.execute_batch(sql).unwrap();
        }
        Database::Postgres => {
            let mut connection = PgConnection::connect(&fixture.url).await.unwrap();
            let sql = sql
                .replace("x'", "'\\x")
                .replace("zeroblob(9)", "'\\x000000000000000000'");
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// Three blocks of five rows, each with an anchor.
async fn three_blocks(fixture: &Fixture) -> Files {
    let files = Files::new();
    for _ in 0..3 {
        write(fixture, 5).await;
        seal(fixture, Some(&files)).await;
    }
    files
}

async fn an_untouched_audit_has_no_differences(database: Database) {
    let fixture = Fixture::new(database).await;
    let files = Files::new();
    seal(&fixture, Some(&files)).await;
    assert_eq!(differences(&fixture, &files).await, Vec::<String>::new());
    let files = three_blocks(&fixture).await;
    write(&fixture, 2).await;
    assert_eq!(differences(&fixture, &files).await, Vec::<String>::new());
    let signer = AnchorSigner::open(&files.key).unwrap();
    let anchors = Some((files.anchors.as_path(), &signer));
    let verified = verify(&fixture.store, anchors, |_| {}).await.unwrap();
    assert_eq!(
        (verified.rows, verified.unsealed, verified.anchors),
        (17, 2, 3)
    );
}

async fn every_change_behind_the_servers_back_is_found(database: Database) {
    for (change, expected) in [
        (
            "UPDATE audit SET ts=ts+1 WHERE seq=3",
            "seal 1 (rows 1 to 5): a row, or the seal itself, was changed",
        ),
        (
            "UPDATE audit SET body=(SELECT body FROM audit WHERE seq=8) WHERE seq=7",
            "seal 2 (rows 6 to 10): a row, or the seal itself, was changed",
        ),
        (
            "UPDATE audit SET body=zeroblob(9) WHERE seq=11",
            "row 11 of the audit: a row of the audit cannot be read",
        ),
        (
            "UPDATE audit SET seq=-1 WHERE seq=11",
            "the audit has a row -1",
        ),
        (
            "DELETE FROM audit WHERE seq=6",
            "seal 2 (rows 6 to 10) was of 5 rows and has 4",
        ),
        (
            "DELETE FROM audit WHERE seq=10",
            "seal 2 (rows 6 to 10) was of 5 rows and has 4",
        ),
        (
            "DELETE FROM audit WHERE seq>13",
            "seal 3 (rows 11 to 15) was of 5 rows and has 3",
        ),
        (
            "DELETE FROM audit WHERE seq=4; UPDATE audit SET seq=4 WHERE seq=5",
            "seal 1 (rows 1 to 5) was of 5 rows and has 4",
        ),
        (
            "INSERT INTO audit SELECT 0, ts, body FROM audit WHERE seq=1",
            "the audit has a row 0",
        ),
        (
            "UPDATE audit_seal SET filter=zeroblob(9) WHERE number=2",
            "seal 2 (rows 6 to 10): a row, or the seal itself, was changed",
        ),
        (
            "UPDATE audit_seal SET last_ts=last_ts+1 WHERE number=2",
            "seal 2 (rows 6 to 10): a row, or the seal itself, was changed",
        ),
        (
            "UPDATE audit_seal SET hash=zeroblob(9) WHERE number=3",
            "seal 3 (rows 11 to 15) is not the one that anchor 3",
        ),
        (
            "UPDATE audit_seal SET prev_hash=zeroblob(9) WHERE number=1",
            "seal 1 (rows 1 to 5): a row, or the seal itself, was changed",
        ),
        (
            "UPDATE audit_seal SET last_seq=9 WHERE number=2",
            "seal 3 (rows 11 to 15) does not follow from the one before it",
        ),
        (
            "DELETE FROM audit_seal WHERE number=2",
            "after seal 1 comes seal 3 (rows 11 to 15): seals are missing",
        ),
        (
            "DELETE FROM audit_seal WHERE number=1",
            "after seal 0 comes seal 2 (rows 6 to 10): seals are missing",
        ),
        (
            "DELETE FROM audit WHERE seq>10; DELETE FROM audit_seal WHERE number=3",
            "the chain ends at seal 2, but 1 anchors are of later ones",
        ),
        (
            "DELETE FROM audit; DELETE FROM audit_seal",
            "the chain ends at seal 0, but 3 anchors are of later ones",
        ),
    ] {
        let fixture = Fixture::new(database).await;
        let files = three_blocks(&fixture).await;
        doctor(&fixture, change).await;
        let told = differences(&fixture, &files).await;
        assert!(
            told.iter().any(|told| told.starts_with(expected)),
            "{change}: {told:#?}"
        );
        // It is still found when the server has gone on.
        write(&fixture, 5).await;
        seal(&fixture, Some(&files)).await;
        let told = differences(&fixture, &files).await;
        assert!(!told.is_empty(), "{change}");
    }
}

async fn a_chain_made_anew_does_not_fit_the_anchors(database: Database) {
    // Somebody removes a row, forgets the seals, and lets the server seal what is left.
    let fixture = Fixture::new(database).await;
    let files = three_blocks(&fixture).await;
    doctor(
        &fixture,
        "DELETE FROM audit WHERE seq=7; DELETE FROM audit_seal",
    )
    .await;
    seal(&fixture, None).await;
    let told = differences(&fixture, &files).await;
    assert!(
        told.iter()
            .any(|told| told.contains("the chain was made anew")),
        "{told:#?}"
    );
    // Somebody restores the tables as they were, and the server goes on from there.
    let fixture = Fixture::new(database).await;
    let files = three_blocks(&fixture).await;
    doctor(
        &fixture,
        "DELETE FROM audit WHERE seq>5; DELETE FROM audit_seal WHERE number>1",
    )
    .await;
    write(&fixture, 12).await;
    seal(&fixture, Some(&files)).await;
    write(&fixture, 1).await;
    seal(&fixture, Some(&files)).await;
    let told = differences(&fixture, &files).await;
    assert!(
        told.iter().any(|told| told.contains("made anew")),
        "{told:#?}"
    );
}

async fn changed_anchors_are_found(database: Database) {
    let fixture = Fixture::new(database).await;
    let files = three_blocks(&fixture).await;
    let whole = std::fs::read_to_string(&files.anchors).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for (changed, expected) in [
        (
            format!("{}\n{}\n", lines[0], lines[2]),
            "anchor 2 does not follow the one before",
        ),
        (
            format!("{}\n{}\n", lines[1], lines[2]),
            "anchor 1 does not follow the one before",
        ),
        (
            whole.replace("\"rows\":10", "\"rows\":11"),
            "anchor 2 was not signed with the key",
        ),
    ] {
        std::fs::write(&files.anchors, changed).unwrap();
        let told = differences(&fixture, &files).await;
        assert!(
            told.iter().any(|told| told.starts_with(expected)),
            "{told:#?}"
        );
    }
    std::fs::write(&files.anchors, &whole).unwrap();
    assert_eq!(differences(&fixture, &files).await, Vec::<String>::new());
}

async fn several_nodes_make_one_chain(database: Database) {
    let fixture = Fixture::new(database).await;
    let other = fixture.beside().await;
    let files = Files::new();
    for _ in 0..5 {
        tokio::join!(write(&fixture, 7), write(&other, 7));
        tokio::join!(seal(&fixture, Some(&files)), seal(&other, None));
    }
    assert_eq!(differences(&fixture, &files).await, Vec::<String>::new());
    let last = fixture.store.last_audit_seal().await.unwrap().unwrap();
    assert_eq!(last.total, 70);
}
