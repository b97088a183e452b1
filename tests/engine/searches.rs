use rotunda::engine::ErrorKind;

use crate::fixture::*;

on_both_databases!(
    lists_as_long_as_the_bounds_allow_are_answered,
    what_no_database_takes_is_too_costly,
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

/// As many values as the bounds allow, the last of which is the one that is there.
async fn lists_as_long_as_the_bounds_allow_are_answered(on: Database) {
    let f = Fixture::new(on).await;
    f.put(r#"{"resourceType":"Patient","id":"p","name":[{"family":"Zwiebel"}],"birthDate":"2001-02-03"}"#)
        .await;
    for (id, code) in [("a", "c9999"), ("b", "other")] {
        f.put(&format!(
            r#"{{"resourceType":"Observation","id":"{id}","status":"final","category":[{{"coding":[{{"system":"urn:c","code":"{code}"}}]}}],"code":{{"coding":[{{"system":"urn:c","code":"{code}"}}]}},"subject":{{"reference":"Patient/p"}},"effectiveDateTime":"2020-01-02T03:04:05Z","valueQuantity":{{"value":4.5,"system":"http://unitsofmeasure.org","code":"mg"}}}}"#
        ))
        .await;
    }
    for (id, first) in [("few", 9_400), ("many", 0)] {
        let codes: Vec<String> = (first..10_000)
            .map(|at| format!(r#"{{"code":"c{at}"}}"#))
            .collect();
        f.put(&format!(
            r#"{{"resourceType":"ValueSet","id":"{id}","url":"urn:vs:{id}","status":"active","compose":{{"include":[{{"system":"urn:c","concept":[{}]}}]}}}}"#,
            codes.join(",")
        ))
        .await;
    }
    let list = |last: &str, value: &dyn Fn(usize) -> String| -> String {
        let mut values: Vec<String> = (0..499).map(value).collect();
        values.push(last.to_owned());
        values.join(",")
    };
    let codes = list("c9999", &|at| format!("x{at}"));
    let whole = list("urn:c|c9999", &|at| format!("urn:c|x{at}"));
    let days = list("2020-01-02", &|at| {
        format!("{}-{:02}", 1900 + at / 12, at % 12 + 1)
    });
    let after = list("gt2019", &|at| format!("gt{}", 2100 + at));
    let names = list("wieb", &|at| format!("n{at}"));
    let starts = list("zwieb", &|at| format!("n{at}"));
    let births = list("2001-02-03", &|at| format!("{}", 2100 + at));
    let quantities = list("4.5", &|at| format!("{}", 10 + at));
    let subjects = list("Patient/p", &|at| format!("Patient/x{at}"));
    let pairs = list("c9999$4.5", &|at| format!("x{at}$4.5"));
    let systems = list("urn:c|", &|at| format!("urn:{at}|"));
    let both = ["Observation/a", "Observation/b"].as_slice();
    let one = ["Observation/a"].as_slice();
    for (query, expected) in [
        ("Observation?code:in=urn:vs:few".to_owned(), one),
        ("Observation?code:in=urn:vs:many".to_owned(), one),
        ("Observation?code:not-in=urn:vs:many".to_owned(), &both[1..]),
        (
            "Observation?code:in=urn:vs:many&date=2020&_sort=-date".to_owned(),
            one,
        ),
        ("Observation?_id=a,b&code:in=urn:vs:many".to_owned(), one),
        (format!("Observation?code={codes}"), one),
        (format!("Observation?code:not={codes}"), &both[1..]),
        (format!("Observation?code={whole}&_sort=code"), one),
        (format!("Observation?code={systems}"), both),
        (format!("Observation?code={codes}&category={codes}"), one),
        (
            format!("Observation?category={codes}&code={whole}&date={days}&_sort=date"),
            one,
        ),
        (format!("Observation?date={days}"), both),
        (format!("Observation?date={days}&_id=a"), one),
        (format!("Observation?date={after}&_total=accurate"), both),
        (format!("Observation?value-quantity={quantities}"), both),
        (format!("Observation?code-value-quantity={pairs}"), one),
        (format!("Observation?subject={subjects}"), both),
        (format!("Observation?subject={subjects}&date={days}"), both),
        (
            format!("Observation?subject:Patient.name:contains={names}"),
            both,
        ),
        (
            format!("Patient?_has:Observation:subject:code={codes}"),
            &["Patient/p"],
        ),
        (format!("Patient?name:contains={names}"), &["Patient/p"]),
        (format!("Patient?name={starts}"), &["Patient/p"]),
        (
            format!(
                "Patient?{}",
                vec![format!("name:contains={names}"); 40].join("&")
            ),
            &["Patient/p"],
        ),
        (
            format!("Patient?birthdate={births}&name:contains={names}"),
            &["Patient/p"],
        ),
    ] {
        let shown = &query[..query.len().min(60)];
        match f.search(&query).await {
            Ok(found) => {
                let mut found = identities(&found);
                found.sort();
                assert_eq!(found, expected, "{shown}");
            }
            Err(error) => panic!("{shown}: {error:?}"),
        }
    }
}

/// Bounds can be set higher than a database can follow.
async fn what_no_database_takes_is_too_costly(on: Database) {
    let f = Fixture::with(on, |settings| settings.limits.search_values = 100_000).await;
    f.put(r#"{"resourceType":"Patient","id":"p"}"#).await;
    let ids: Vec<String> = (0..5_000).map(|at| format!("x{at}")).collect();
    for (name, times) in [("_id", 20), ("identifier", 20)] {
        let query = format!(
            "Patient?{}",
            vec![format!("{name}={}", ids.join(",")); times].join("&")
        );
        match f.search(&query).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::TooCostly, "{error:?}");
                assert_eq!(error.issues[0].code, "too-costly");
            }
        }
    }
}
