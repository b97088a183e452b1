//! How much one answer holds.

use rotunda::engine::{EverythingRequest, HistoryScope, MetaScope};

use crate::fixture::{ALL, Database, Fixture, at, entries, identities, kind, link};

on_both_databases!(
    pages_of_large_resources_end_early_and_lose_none,
    what_does_not_fit_beside_the_matches_is_said,
    entries_behind_a_full_answer_are_refused,
    two_large_matches_are_never_taken_for_one,
);

/// Twelve patients of about 1,000 bytes and their practice; answers hold two and a half.
async fn hospital(on: Database) -> Fixture {
    let f = Fixture::with(on, |settings| settings.limits.answer_bytes = 2_500).await;
    f.put(r#"{"resourceType":"Organization","id":"o","name":"o"}"#)
        .await;
    let long = "x".repeat(900);
    for n in 0..12 {
        f.put(&format!(
            r#"{{"resourceType":"Patient","id":"p{n:02}","birthDate":"2001-01-{:02}","gender":"male",
               "managingOrganization":{{"reference":"Organization/o"}},"name":[{{"text":"{long}"}}]}}"#,
            20 - n
        ))
        .await;
    }
    f
}

async fn pages_of_large_resources_end_early_and_lose_none(on: Database) {
    let f = hospital(on).await;
    let upwards: Vec<String> = (0..12).map(|n| format!("Patient/p{n:02}")).collect();
    let downwards: Vec<String> = upwards.iter().rev().cloned().collect();
    for (query, expected) in [
        ("Patient?_count=100", &upwards),
        ("Patient?_count=100&gender=male", &upwards),
        ("Patient?_count=100&birthdate=gt1990", &downwards),
        ("Patient?_count=100&_sort=-birthdate", &upwards),
        ("Patient?_count=100&_sort=birthdate&gender=male", &downwards),
        ("Patient?_count=100&_sort=_id", &upwards),
        ("Patient?_count=100&_lastUpdated=gt1990", &upwards),
        ("?_count=100&_type=Patient,Observation,Device", &upwards),
    ] {
        let mut found = Vec::new();
        let mut next = Some(query.to_owned());
        while let Some(url) = next {
            let page = f.search(&url).await.unwrap();
            let here = identities(&page);
            assert!((1..=3).contains(&here.len()), "{query}: {here:?}");
            found.extend(here);
            let path = query.split_once('?').unwrap().0;
            next = link(&page, "next").map(|url| {
                let (_, query) = url.split_once('?').unwrap();
                format!("{path}?{query}")
            });
        }
        if !query.contains("_sort") {
            // Without an order any will do, if it is the same from page to page.
            let mut sorted = found.clone();
            sorted.sort();
            assert_eq!(sorted, upwards, "{query}");
        } else {
            assert_eq!(&found, expected, "{query}");
        }
    }
    let mut found = Vec::new();
    let mut query = "_count=100".to_owned();
    loop {
        let scope = HistoryScope::Type(kind("Patient"));
        let page = f.history(scope, &query).await.unwrap();
        let here = identities(&page);
        assert!((1..=3).contains(&here.len()), "{here:?}");
        found.extend(here);
        let Some(next) = link(&page, "next") else {
            break;
        };
        query = next.split_once('?').unwrap().1.to_owned();
    }
    assert_eq!(found, downwards);
}

async fn what_does_not_fit_beside_the_matches_is_said(on: Database) {
    let f = hospital(on).await;
    let query = "Organization?_revinclude=Patient:organization";
    let page = f.search(query).await.unwrap();
    assert!((2..=4).contains(&identities(&page).len()));
    assert!(
        page.text().contains("too large together"),
        "{}",
        page.text()
    );
    let page = f.search("Patient?_id=p01&_include=*").await.unwrap();
    assert_eq!(identities(&page), ["Patient/p01", "Organization/o"]);
    assert!(!page.text().contains("too large together"));

    let request = EverythingRequest {
        kind: kind("Patient"),
        id: None,
        params: vec![("_count".to_owned(), "100".to_owned())],
        strict: true,
    };
    let text = f.engine.everything(&request, &ALL).await.unwrap();
    let page = crate::fixture::doc(&text);
    assert!(link(&page, "next").is_some());
    assert!((1..=4).contains(&identities(&page).len()));
    let meta = f.engine.meta(&MetaScope::System, &ALL).await.unwrap();
    assert!(meta.contains("valueMeta"));
}

async fn entries_behind_a_full_answer_are_refused(on: Database) {
    let f = hospital(on).await;
    for name in ["batch", "transaction"] {
        let one = r#"{"request":{"method":"GET","url":"Patient?_count=100"}}"#;
        let all = vec![one; 200].join(",");
        let text = format!(r#"{{"resourceType":"Bundle","type":"{name}","entry":[{all}]}}"#);
        let answer = f.bundle(&text).await.unwrap();
        let all = entries(&answer);
        assert_eq!(all.len(), 200);
        let given = all.iter().filter(|entry| entry.get("resource").is_some());
        assert!((1..100).contains(&given.count()), "{name}");
        let last = all[199].get("response").unwrap();
        assert_eq!(at(last, "outcome.issue.0.code"), "too-costly", "{name}");
    }
}

async fn two_large_matches_are_never_taken_for_one(on: Database) {
    let f = Fixture::with(on, |settings| settings.limits.answer_bytes = 1).await;
    for id in ["a", "b"] {
        f.put(&format!(
            r#"{{"resourceType":"Patient","id":"{id}","gender":"male"}}"#
        ))
        .await;
    }
    let read = f
        .engine
        .read_matching(kind("Patient"), "gender=male", &ALL)
        .await;
    let refused = read.unwrap_err();
    assert_eq!(refused.issues[0].code, "multiple-matches");
}
