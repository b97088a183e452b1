use rotunda::{
    engine::{ErrorKind, Operation, Target},
    upkeep::{self, Mended, Rules},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::fixture::*;

on_both_databases!(
    damage_is_seen_and_mended,
    words_that_are_gone_are_seen_and_made_anew,
);

impl Fixture {
    fn rules(&self) -> Rules<'_> {
        let (registry, generation) = self.engine.search_parameters();
        Rules {
            registry,
            generation,
            base_url: &self.engine.settings().base_url,
        }
    }

    async fn verify(&self) -> Vec<String> {
        let mut told = Vec::new();
        let report = |sentence| told.push(sentence);
        let looked = upkeep::verify(&self.store, &self.rules(), report)
            .await
            .unwrap();
        assert_eq!(looked.different, told.len() as u64);
        told
    }

    async fn reindex(&self) -> Mended {
        let mended = upkeep::reindex(&self.store, || self.rules(), |_| {})
            .await
            .unwrap();
        self.engine.rebuild_texts().await.unwrap();
        mended
    }

    /// Changes the database behind the server's back.
    pub async fn damage(&self, sql: &str) {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch(sql).unwrap();
            // No other program should do that. The server notices when it writes itself.
            self.store.set_setting("changed", b"").await.unwrap();
        } else {
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// Two patients, one of them deleted, and words of both taken in.
async fn patients(on: Database) -> Fixture {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"a","name":[{"family":"Alpha"}]}"#)
        .await;
    f.put(r#"{"resourceType":"Patient","id":"gone"}"#).await;
    f.one(Operation::Delete {
        kind: kind("Patient"),
        target: Target::Id("gone".to_owned()),
        if_match: None,
    })
    .await
    .unwrap();
    assert_eq!(f.found("Patient?_content=alpha").await, ["Patient/a"]);
    assert_eq!(f.verify().await, Vec::<String>::new());
    f
}

async fn damage_is_seen_and_mended(on: Database) {
    let f = patients(on).await;
    let key = match on {
        Database::Sqlite => "x'20'",
        Database::Postgres => r"'\x20'::bytea",
    };
    let stray = format!("INSERT INTO entry (param, key, rid) VALUES (1, {key}, 1)");
    let left = format!(
        "INSERT INTO entry (param, key, rid) SELECT 1, {key}, rid FROM resource WHERE id='gone'"
    );
    for (sql, sentence) in [
        (
            "UPDATE resource SET updated=1 WHERE id='a'",
            "Patient/a: the head is dated 1970-01-01T00:00:00.001Z, its text 2026-11-20T00:00:00.000Z",
        ),
        (
            "UPDATE version SET ts=1 WHERE ver=1 AND rid=(SELECT rid FROM resource WHERE id='a')",
            "Patient/a: version 1 is dated 1970-01-01T00:00:00.001Z in the log and \
             2026-11-20T00:00:00.000Z in its text",
        ),
        (
            "UPDATE version SET ts=1 WHERE op=2; UPDATE resource SET updated=1 WHERE id='gone'",
            "the deletion, version 2, is dated before the version before it",
        ),
        (
            "UPDATE resource SET updated=1 WHERE id='gone'",
            "head and log disagree about the date of its deletion",
        ),
        (&stray, "1 index entries belong to no resource"),
        (&left, "deleted, but 1 index entries are left"),
        (
            "DELETE FROM entry WHERE rid=(SELECT rid FROM resource WHERE id='a')",
            "Patient/a: index entries are missing of",
        ),
    ] {
        f.damage(sql).await;
        let told = f.verify().await;
        assert_eq!(told.len(), 1, "{sql}: {told:?}");
        assert!(told[0].contains(sentence), "{told:?}");
        let mended = f.reindex().await;
        assert!(mended.strays + mended.dates + mended.reindexed > 0, "{sql}");
        assert_eq!(f.verify().await, Vec::<String>::new(), "{sql}");
    }
}

async fn words_that_are_gone_are_seen_and_made_anew(on: Database) {
    let f = patients(on).await;
    let (ahead, damages): (&str, &[&str]) = match on {
        Database::Sqlite => (
            "x'00000000000000FF'",
            &[
                "DELETE FROM fulltext_data",
                "DELETE FROM fulltext_docsize",
                "DELETE FROM fulltext_data; DELETE FROM fulltext_idx; DELETE FROM fulltext_docsize",
                "DELETE FROM fulltext",
            ],
        ),
        Database::Postgres => (r"'\x00000000000000FF'::bytea", &["TRUNCATE fulltext"]),
    };
    let ahead = format!("UPDATE setting SET value={ahead} WHERE key='fulltext'");
    for sql in damages.iter().copied().chain([ahead.as_str()]) {
        f.damage(sql).await;
        let told = f.verify().await;
        assert_eq!(told.len(), 1, "{sql}: {told:?}");
        assert!(told[0].contains("full-text search"), "{told:?}");
        f.reindex().await;
        assert_eq!(f.verify().await, Vec::<String>::new(), "{sql}");
        assert_eq!(f.found("Patient?_content=alpha").await, ["Patient/a"]);
    }
}

/// Without anybody's help: the log has all words.
#[tokio::test]
async fn a_search_for_words_heals_what_is_damaged() {
    let f = patients(Database::Sqlite).await;
    for sql in [
        "DELETE FROM fulltext_data",
        "DELETE FROM fulltext_data WHERE id > 10",
    ] {
        f.damage(sql).await;
        let error = f.search("Patient?_content=alpha").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{sql}");
        assert_eq!(error.retry_after, Some(1));
        assert_eq!(f.found("Patient?_content=alpha").await, ["Patient/a"]);
    }
}
