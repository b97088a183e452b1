use rotunda::engine::ErrorKind;

use crate::fixture::*;

on_both_databases!(
    includes_add_what_is_referred_to_once,
    pages_link_to_the_next_and_tokens_are_good_for_one_search,
    paging_shows_every_built_in_resource_while_others_are_replaced,
    counting_returns_no_resources,
    subsets_are_tagged,
    compartments_and_the_whole_server_are_searched,
    unknown_parameters_are_refused_or_named_in_a_warning,
    value_sets_and_hierarchies_are_looked_up,
);

async fn hospital(on: Database) -> Fixture {
    let f = Fixture::new(on).await;
    for text in [
        r#"{"resourceType":"Organization","id":"org","name":"Hospital","partOf":{"reference":"Organization/top"}}"#,
        r#"{"resourceType":"Organization","id":"top","name":"Trust"}"#,
        r#"{"resourceType":"Practitioner","id":"doc"}"#,
        r#"{"resourceType":"Patient","id":"a","gender":"female","name":[{"family":"Abel"}],"managingOrganization":{"reference":"Organization/org"},"contact":[{"gender":"male"}]}"#,
        r#"{"resourceType":"Patient","id":"b","gender":"male","name":[{"family":"Baker"}]}"#,
        r#"{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/a"},"performer":[{"reference":"Practitioner/doc"}]}"#,
        r#"{"resourceType":"Observation","id":"o2","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"subject":{"reference":"Patient/b"}}"#,
        r#"{"resourceType":"Encounter","id":"e","status":"planned","class":{"code":"AMB"},"subject":{"reference":"Patient/a"}}"#,
    ] {
        f.put(text).await;
    }
    f
}

async fn includes_add_what_is_referred_to_once(on: Database) {
    let f = hospital(on).await;
    for (query, expected) in [
        (
            "Observation?_include=Observation:subject",
            vec!["Observation/o1", "Observation/o2", "Patient/a", "Patient/b"],
        ),
        (
            "Observation?_id=o1&_include=*",
            vec!["Observation/o1", "Patient/a", "Practitioner/doc"],
        ),
        (
            "Observation?_id=o1&_include=Observation:subject&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
            vec![
                "Observation/o1",
                "Organization/org",
                "Organization/top",
                "Patient/a",
            ],
        ),
        (
            "Patient?_id=a&_revinclude=Observation:subject&_revinclude=Encounter:patient",
            vec!["Encounter/e", "Observation/o1", "Patient/a"],
        ),
        (
            "Patient?_id=b&_revinclude=*",
            vec!["Observation/o2", "Patient/b"],
        ),
    ] {
        assert_eq!(f.found(query).await, expected, "{query}");
    }
    let page = f
        .search("Observation?_id=o1&_include=Observation:patient")
        .await
        .unwrap();
    let modes: Vec<String> = entries(&page)
        .into_iter()
        .map(|entry| at(entry, "search.mode"))
        .collect();
    assert_eq!(modes, ["match", "include"]);
}

async fn pages_link_to_the_next_and_tokens_are_good_for_one_search(on: Database) {
    let f = hospital(on).await;
    let first = f.search("Patient?_count=1&_total=accurate").await.unwrap();
    assert_eq!(at(first.root(), "total"), "2");
    assert_eq!(
        link(&first, "self").unwrap(),
        "http://h/fhir/Patient?_count=1&_total=accurate"
    );
    let next = link(&first, "next").unwrap();
    let second = f.search(&relative(&next)).await.unwrap();
    assert!(link(&second, "next").is_none());
    assert_ne!(identities(&first), identities(&second));
    let token = next.split_once("_page=").unwrap().1;
    for url in [
        format!("Patient?_count=2&_total=accurate&_page={token}"),
        format!("Group?_count=1&_total=accurate&_page={token}"),
        format!("Patient?_count=1&_total=accurate&_page={token}x"),
        "Patient?_page=abcdefghijklmnopqrstuvwxyz".to_owned(),
    ] {
        let error = f.search(&url).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{url}");
    }
}

async fn paging_shows_every_built_in_resource_while_others_are_replaced(on: Database) {
    for query in [
        "CompartmentDefinition?_count=2",
        "CompartmentDefinition?_count=2&_sort=code",
    ] {
        let f = Fixture::new(on).await;
        let all = f.found("CompartmentDefinition?").await;
        assert!(all.len() >= 5, "{all:?}");
        let mut page = f.search(query).await.unwrap();
        let mut seen = identities(&page);
        let first = seen[0].split_once('/').unwrap().1.to_owned();
        f.put(&format!(
            r#"{{"resourceType":"CompartmentDefinition","id":"{first}","url":"http://x/{first}","name":"N","status":"draft","code":"Patient","search":true}}"#
        ))
        .await;
        while let Some(next) = link(&page, "next") {
            page = f.search(&relative(&next)).await.unwrap();
            seen.extend(identities(&page));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen, all, "{query}");
    }
}

async fn counting_returns_no_resources(on: Database) {
    let f = hospital(on).await;
    for query in ["Patient?_count=0", "Patient?_summary=count"] {
        let page = f.search(query).await.unwrap();
        assert_eq!(at(page.root(), "total"), "2", "{query}");
        assert!(entries(&page).is_empty(), "{query}");
        assert!(link(&page, "next").is_none());
    }
}

async fn subsets_are_tagged(on: Database) {
    let f = hospital(on).await;
    let page = f.search("Patient?_id=a&_elements=name").await.unwrap();
    let resource = entries(&page)[0].get("resource").unwrap();
    assert_eq!(at(resource, "meta.tag.0.code"), "SUBSETTED");
    assert!(resource.get("name").is_some() && resource.get("gender").is_none());
    let page = f.search("Patient?_id=a&_summary=true").await.unwrap();
    assert!(page.text().contains("gender") && !page.text().contains("contact"));
}

async fn compartments_and_the_whole_server_are_searched(on: Database) {
    let f = hospital(on).await;
    assert_eq!(f.found("Patient/a/Observation").await, ["Observation/o1"]);
    assert_eq!(
        f.found("Patient/a/*").await,
        ["Encounter/e", "Observation/o1", "Patient/a"]
    );
    assert_eq!(
        f.found("?_type=Encounter,Organization").await,
        ["Encounter/e", "Organization/org", "Organization/top"]
    );
}

async fn unknown_parameters_are_refused_or_named_in_a_warning(on: Database) {
    let f = hospital(on).await;
    let error = f.search("Patient?bogus=1").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let request = rotunda::engine::SearchRequest {
        scope: rotunda::engine::Scope::Type(kind("Patient")),
        params: rotunda::search::decode("bogus=1&gender=male"),
        strict: false,
        explain: false,
    };
    let page = doc(&f.engine.search(&request, &ALL).await.unwrap());
    assert_eq!(
        link(&page, "self").unwrap(),
        "http://h/fhir/Patient?gender=male"
    );
    assert_eq!(identities(&page), ["Patient/b"]);
    let last = *entries(&page).last().unwrap();
    assert_eq!(at(last, "search.mode"), "outcome");
}

async fn value_sets_and_hierarchies_are_looked_up(on: Database) {
    let f = hospital(on).await;
    f.put(r#"{"resourceType":"ValueSet","id":"vitals","url":"http://x/vitals","status":"active","compose":{"include":[{"system":"http://loinc.org","concept":[{"code":"8867-4"}]}]}}"#)
        .await;
    for (query, expected) in [
        (
            "Observation?code:in=http://x/vitals",
            vec!["Observation/o1"],
        ),
        (
            "Observation?code:in=ValueSet/vitals",
            vec!["Observation/o1"],
        ),
        (
            "Observation?code:not-in=http://x/vitals",
            vec!["Observation/o2"],
        ),
    ] {
        assert_eq!(f.found(query).await, expected, "{query}");
    }
    let error = f
        .search("Observation?code:in=http://x/none")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}
