//! Many clients at once.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::Value;

use crate::{
    client::{Answer, Client},
    server::{DATABASES, Database, Server},
};

const FHIR: (&str, &str) = ("Content-Type", "application/fhir+json");

async fn send_all(
    server: &Server,
    times: usize,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Vec<Answer> {
    join_all((0..times).map(|_| async {
        let mut client = Client::connect(server.address).await;
        client.send(method, path, headers, body.as_bytes()).await
    }))
    .await
}

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        *counted.entry(answer.status).or_default() += 1;
    }
    counted
}

async fn total(server: &Server, search: &str) -> u64 {
    let mut client = Client::connect(server.address).await;
    let answer = client.send("GET", search, &[], b"").await.json();
    answer["total"]
        .as_u64()
        .unwrap_or_else(|| panic!("no total in {answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_equal_conditional_creates_make_one_resource() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        let body = r#"{"resourceType":"Patient","identifier":[{"system":"urn:s","value":"1"}]}"#;
        let headers = [FHIR, ("If-None-Exist", "identifier=urn:s|1")];
        let answers = send_all(&server, 100, "POST", "/fhir/Patient", &headers, body).await;
        assert_eq!(
            statuses(&answers),
            BTreeMap::from([(200, 99), (201, 1)]),
            "{database:?}"
        );
        let ids: Vec<Value> = answers
            .iter()
            .map(|answer| answer.json()["id"].clone())
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(total(&server, "/fhir/Patient?_summary=count").await, 1);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditional_creates_that_differ_but_mean_the_same_make_one_resource() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        let body = r#"{"resourceType":"Patient","identifier":[{"system":"urn:s","value":"1"}],"name":[{"family":"Zaun"}]}"#;
        let conditions = ["identifier=urn:s|1", "identifier=1", "family=zaun"];
        let headers = conditions.map(|condition| [FHIR, ("If-None-Exist", condition)]);
        let answers = join_all(
            headers
                .iter()
                .map(|headers| send_all(&server, 20, "POST", "/fhir/Patient", headers, body)),
        )
        .await
        .concat();
        assert_eq!(
            statuses(&answers),
            BTreeMap::from([(200, 59), (201, 1)]),
            "{database:?}"
        );
        assert_eq!(total(&server, "/fhir/Patient?_summary=count").await, 1);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_conditional_updates_make_one_resource() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        let body = r#"{"resourceType":"Patient","identifier":[{"system":"urn:s","value":"1"}]}"#;
        let path = "/fhir/Patient?identifier=urn:s%7C1";
        let answers = send_all(&server, 100, "PUT", path, &[FHIR], body).await;
        let counted = statuses(&answers);
        assert_eq!(counted.get(&201), Some(&1), "{database:?} {counted:?}");
        assert_eq!(total(&server, "/fhir/Patient?_summary=count").await, 1);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_updates_of_the_same_version_one_wins() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        let body = r#"{"resourceType":"Patient","id":"a","active":true}"#;
        let mut client = Client::connect(server.address).await;
        let first = client
            .send("PUT", "/fhir/Patient/a", &[FHIR], body.as_bytes())
            .await;
        assert_eq!(first.status, 201);
        let headers = [FHIR, ("If-Match", "W/\"1\"")];
        let answers = send_all(&server, 50, "PUT", "/fhir/Patient/a", &headers, body).await;
        assert_eq!(
            statuses(&answers),
            BTreeMap::from([(200, 1), (412, 49)]),
            "{database:?}"
        );
        let now = client.send("GET", "/fhir/Patient/a", &[], b"").await;
        assert_eq!(now.header("etag"), Some("W/\"2\""));
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_without_a_precondition_all_happen_one_after_another() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        let body = r#"{"resourceType":"Patient","id":"a","active":true}"#;
        let answers = send_all(&server, 40, "PUT", "/fhir/Patient/a", &[FHIR], body).await;
        let mut versions: Vec<String> = answers
            .iter()
            .filter_map(|answer| answer.header("etag"))
            .map(str::to_owned)
            .collect();
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), 40, "{database:?} {:?}", statuses(&answers));
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_what_must_exist_never_brings_it_back() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        let mut client = Client::connect(server.address).await;
        let path = "/fhir/Patient/a";
        let body = r#"{"resourceType":"Patient","id":"a"}"#;
        for round in 0..30 {
            let made = client.send("PUT", path, &[FHIR], body.as_bytes()).await;
            assert_eq!(made.status, 201, "{database:?} round {round}");
            let headers = [FHIR, ("If-Match", "*")];
            let (answers, deleted) = tokio::join!(
                send_all(&server, 8, "PUT", path, &headers, body),
                send_all(&server, 1, "DELETE", path, &[], "")
            );
            assert_eq!(statuses(&deleted), BTreeMap::from([(204, 1)]));
            for answer in answers {
                assert!(matches!(answer.status, 200 | 412), "{}", answer.status);
            }
        }
        server.stop().await;
    }
}

async fn add_patients(server: &Server, prefix: &str, count: usize) {
    let mut client = Client::connect(server.address).await;
    for i in 0..count {
        let id = format!("{prefix}{i}");
        let family = (i * 37) % count;
        let body = format!(
            r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"F{family:03}"}}]}}"#
        );
        let path = format!("/fhir/Patient/{id}");
        let answer = client.send("PUT", &path, &[FHIR], body.as_bytes()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

/// All ids, following the `next` links.
async fn all_pages(server: &Server, first: &str) -> Vec<String> {
    let mut client = Client::connect(server.address).await;
    let mut ids = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = client.send("GET", &path, &[], b"").await.json();
        for entry in page["entry"].as_array().into_iter().flatten() {
            ids.push(entry["resource"]["id"].as_str().unwrap().to_owned());
        }
        next = page["link"].as_array().unwrap().iter().find_map(|link| {
            let url = link["url"].as_str()?;
            (link["relation"] == "next").then(|| url.replace(&server.origin(), ""))
        });
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_repeat_nor_skip_while_others_write() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        add_patients(&server, "old", 60).await;
        for sort in [
            "",
            "_sort=family&",
            "_sort=-family&",
            "_sort=-_lastUpdated&",
            "_sort=_id&",
        ] {
            let prefix = format!("new{}", sort.len());
            let path = format!("/fhir/Patient?{sort}_count=7");
            let (ids, ()) = tokio::join!(
                all_pages(&server, &path),
                add_patients(&server, &prefix, 40)
            );
            check_pages(database, sort, ids);
        }
        server.stop().await;
    }
}

fn check_pages(database: Database, sort: &str, mut ids: Vec<String>) {
    ids.sort();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "{database:?} {sort}: some were given twice");
    let old = ids.iter().filter(|id| id.starts_with("old")).count();
    assert_eq!(old, 60, "{database:?} {sort}: some were skipped");
}
