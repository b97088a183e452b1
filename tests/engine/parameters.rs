use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rotunda::{
    engine::{Engine, ErrorKind, Settings, Target},
    store::{Parameter, Store},
};

use crate::fixture::*;

on_both_databases!(
    a_posted_parameter_is_indexed_online,
    what_cannot_be_indexed_is_refused_with_the_reason,
    posted_parameters_and_page_tokens_outlive_the_engine,
    a_parameter_posted_to_one_node_is_in_force_on_all_before_it_is_ready,
);

fn parameter(code: &str, expression: &str, status: &str) -> String {
    format!(
        r#"{{"resourceType":"SearchParameter","id":"sp","url":"http://x/sp","name":"SP","status":"{status}","description":"d","code":"{code}","base":["Patient"],"type":"token","expression":"{expression}"}}"#
    )
}

/// Searches until the parameter is indexed; what it says until then must be that it is not.
async fn when_indexed(f: &Fixture, query: &str) -> Vec<String> {
    for _ in 0..2_000 {
        match f.search(query).await {
            Ok(found) => return identities(&found),
            Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not indexed in time");
}

async fn a_posted_parameter_is_indexed_online(on: Database) {
    let f = Fixture::new(on).await;
    for at in 0..500 {
        let married = if at % 100 == 0 { "M" } else { "S" };
        f.put(&format!(
            r#"{{"resourceType":"Patient","id":"p{at}","maritalStatus":{{"coding":[{{"code":"{married}"}}]}}}}"#
        ))
        .await;
    }
    assert!(f.search("Patient?married=M").await.is_err());
    f.put(&parameter("married", "Patient.maritalStatus", "active"))
        .await;
    assert_eq!(when_indexed(&f, "Patient?married=M").await.len(), 5);

    f.put(r#"{"resourceType":"Patient","id":"p0"}"#).await;
    f.put(r#"{"resourceType":"Patient","id":"new","maritalStatus":{"coding":[{"code":"M"}]}}"#)
        .await;
    assert_eq!(when_indexed(&f, "Patient?married=M").await.len(), 5);

    f.put(&parameter("married", "Patient.gender", "active"))
        .await;
    assert!(when_indexed(&f, "Patient?married=M").await.is_empty());

    f.one(delete("SearchParameter", Target::Id("sp".to_owned())))
        .await
        .unwrap();
    let error = f.search("Patient?married=M").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

async fn what_cannot_be_indexed_is_refused_with_the_reason(on: Database) {
    let f = Fixture::new(on).await;
    for (code, expression) in [
        (
            "odd",
            "Patient.name.where(given.count() > iif(true, 1, 2)).select(",
        ),
        ("gender", "Patient.gender"),
        ("odd", "Patient.nothing"),
    ] {
        let error = f.one(put(&parameter(code, expression, "active"))).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unprocessable, "{expression}");
        assert!(!error.issues[0].diagnostics.is_empty());
    }
    f.put(&parameter("taken", "Patient.maritalStatus", "active"))
        .await;
    let other = parameter("taken", "Patient.gender", "active")
        .replace("\"sp\"", "\"other\"")
        .replace("http://x/sp", "http://x/other");
    let error = f.one(put(&other)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unprocessable);
    f.put(&parameter("odd", "Patient.nothing(", "draft")).await;
    assert!(f.search("Patient?odd=1").await.is_err());
}

async fn posted_parameters_and_page_tokens_outlive_the_engine(on: Database) {
    let f = Fixture::new(on).await;
    f.put(&parameter("married", "Patient.maritalStatus", "active"))
        .await;
    for id in ["a", "b"] {
        f.put(&format!(
            r#"{{"resourceType":"Patient","id":"{id}","maritalStatus":{{"coding":[{{"code":"M"}}]}}}}"#
        ))
        .await;
    }
    when_indexed(&f, "Patient?married=M").await;
    let first = f.search("Patient?married=M&_count=1").await.unwrap();
    let next = relative(&link(&first, "next").unwrap());

    let store: Arc<Store> = f.store.clone();
    let settings = Settings {
        base_url: "http://h/fhir".to_owned(),
        ..Settings::default()
    };
    let engine = Engine::open(store, settings, f.clock.clone())
        .await
        .unwrap();
    let again = Fixture { engine, ..f };
    let second = again.search(&next).await.unwrap();
    assert_eq!(identities(&second).len(), 1);
    assert_ne!(identities(&first), identities(&second));
}

/// Writes patients, every third of whom is married, until told to stop; how many.
async fn write_until(node: &Fixture, name: &str, stop: &AtomicBool) -> usize {
    let mut at = 0;
    while !stop.load(Ordering::Relaxed) {
        let status = if at % 3 == 0 { "M" } else { "S" };
        node.put(&format!(
            r#"{{"resourceType":"Patient","id":"{name}{at}","gender":"male","maritalStatus":{{"coding":[{{"code":"{status}"}}]}}}}"#
        ))
        .await;
        at += 1;
    }
    at
}

/// Searches until the node knows the parameter and it is indexed. What is found must be all that
/// was written before: `least`.
async fn when_known(node: &Fixture, query: &str, least: usize) {
    for _ in 0..2_000 {
        match node.search(query).await {
            Ok(found) => {
                let total = at(found.root(), "total").parse::<usize>().unwrap();
                assert!(total >= least, "{total} of {least}");
                return;
            }
            Err(error) => assert!(
                matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Invalid),
                "{error:?}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not known in time");
}

async fn a_parameter_posted_to_one_node_is_in_force_on_all_before_it_is_ready(on: Database) {
    let a = Fixture::new(on).await;
    let b = a.beside().await;
    for turn in 0..3 {
        let stop = AtomicBool::new(false);
        let names = [format!("a{turn}-"), format!("b{turn}-")];
        let post = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            // Each turn the parameter becomes another one.
            let expression = ["Patient.maritalStatus", "Patient.gender"][turn % 2];
            a.put(&parameter("married", expression, "active")).await;
            let query = "Patient?married=M,male&_summary=count";
            tokio::join!(when_known(&a, query, 1), when_known(&b, query, 1));
            stop.store(true, Ordering::Relaxed);
        };
        let (of_a, of_b, ()) = tokio::join!(
            write_until(&a, &names[0], &stop),
            write_until(&b, &names[1], &stop),
            post
        );
        let of_turn = match turn % 2 {
            0 => of_a.div_ceil(3) + of_b.div_ceil(3),
            _ => of_a + of_b,
        };
        let query = "Patient?married=M,male&_summary=count";
        let mut totals = Vec::new();
        for node in [&a, &b] {
            when_known(node, query, of_turn).await;
            totals.push(at(node.search(query).await.unwrap().root(), "total"));
            assert_eq!(
                node.differences().await,
                Vec::<String>::new(),
                "turn {turn}"
            );
        }
        assert_eq!(totals[0], totals[1]);
    }
    b.one(delete("SearchParameter", Target::Id("sp".to_owned())))
        .await
        .unwrap();
    for _ in 0..2_000 {
        match a.search("Patient?married=M").await {
            Err(error) if error.kind == ErrorKind::Invalid => break,
            Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable),
            Ok(_) => panic!("it answers by a parameter that is gone"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let removed = async {
        while a
            .store
            .parameters()
            .await
            .unwrap()
            .1
            .iter()
            .any(Parameter::is_unfinished)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), removed)
        .await
        .unwrap();
    assert_eq!(b.differences().await, Vec::<String>::new());
}
