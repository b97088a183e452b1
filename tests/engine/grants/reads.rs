//! What is read and found.

use rotunda::{
    access::Access,
    engine::{HistoryRequest, HistoryScope},
    search::decode,
};

use super::*;

on_both_databases!(
    rules_say_what_is_read_and_found,
    denials_take_away_what_rules_give,
    old_versions_are_shown_to_whom_they_and_their_resource_are,
    what_no_rule_covers_is_refused_whatever_is_stored,
);

/// Rules, type, what is read, and what is found if that is something else.
const READS: &str = "
user/*.rs                                                         | Patient      | a b
user/*.rs                                                         | Observation  | lab-a vital-a lab-b by-a about-a
user/*.rs                                                         | Binary       | a b lab none
user/*.rs                                                         | Bundle       | x
user/Patient.rs                                                   | Observation  | 403
user/Observation.r                                                | Observation  | lab-a vital-a lab-b by-a about-a | 403
user/Observation.s                                                | Observation  | 403                              | lab-a vital-a lab-b by-a about-a
user/Observation.cud                                              | Observation  | 403
user/Observation.rs?category=urn:c|lab                            | Observation  | lab-a lab-b
user/Observation.rs?category=lab,own                              | Observation  | lab-a lab-b by-a
user/Observation.rs?category=lab&patient=Patient/b                | Observation  | lab-b
user/Observation.rs?category=lab user/Observation.rs?category=own | Observation  | lab-a lab-b by-a
user/Observation.rs?nonsense=1                                    | Observation  | 403
user/Observation.rs?category:not=lab                              | Observation  | 403
user/Observation.rs?date=2026                                     | Observation  | 403
user/Observation.rs?category=                                     | Observation  | 403
user/*.rs?category=lab                                            | Patient      | 403
user/*.rs?category=lab                                            | Observation  | lab-a lab-b
a/*.rs                                                            | Patient      | a
a/*.rs                                                            | Observation  | lab-a vital-a by-a
a/Observation.rs                                                  | Patient      | 403
a/Observation.rs?category=lab                                     | Observation  | lab-a
a/Observation.rs?category=lab a/Observation.rs?category=own       | Observation  | lab-a by-a
a/Observation.rs?category=lab b/Observation.rs?category=own       | Observation  | lab-a by-a
a/Observation.r a/Observation.s?category=lab                      | Observation  | lab-a vital-a by-a               | lab-a
a/*.rs                                                            | Group        | a
a/*.rs                                                            | List         | a
a/*.rs                                                            | Appointment  | a
a/*.rs                                                            | Provenance   |
b/*.rs                                                            | Group        |
a+b/*.rs                                                          | Group        | ab
a+b/*.rs                                                          | Patient      |
a+b/*.rs                                                          | Observation  | by-a
a/*.rs b/*.rs                                                     | Patient      | a b
a/*.rs                                                            | Device       | a
a/*.rs                                                            | Organization | o
a/Observation.rs                                                  | Organization | 403
a/*.rs                                                            | Bundle       | 403
a/*.rs user/Binary.rs                                             | Binary       | a b lab none
@d/*.rs                                                           | Patient      | a
@d/*.rs                                                           | Observation  | lab-a vital-a by-a
@d/Observation.rs?category=lab                                    | Observation  | lab-a
@d/*.rs                                                           | Encounter    | ea
@d/*.rs                                                           | Group        | a
@d/*.rs                                                           | Organization | o
a/Organization.r                                                  | Organization | o                                | 403
a/*.rs                                                            | Binary       | a lab                            |
a/Binary.r                                                        | Binary       |                                  | 403
a/Binary.r a/Patient.r                                            | Binary       | a                                | 403
a/Binary.r a/Patient.s                                            | Binary       | a                                | 403
@d/*.rs                                                           | Binary       | a lab                            |
                                                                  | Patient      | 403
user/Practitioner.r?_id=d | Practitioner | d | 403
user/Practitioner.rs?_id=e,d | Practitioner | d
user/Practitioner.rs?_id=e | Practitioner |
@nobody/*.rs                                                      | Patient      |
@nobody/*.rs                                                      | Observation  |
@d/*.rs b/*.rs                                                    | Patient      | a b
";

async fn rules_say_what_is_read_and_found(on: Database) {
    let f = world(on).await;
    for row in rows(READS) {
        let (rules, name, read) = (row[0], row[1], row[2]);
        let search = row.get(3).copied();
        let access = granted(rules);
        let seen = readable(&f, name, &access).await;
        assert_eq!(seen, read, "{rules} reads {name}");
        let expected = sorted(search.unwrap_or(read));
        let searched = found(&f, name, &access).await;
        assert_eq!(searched, expected, "{rules} finds {name}");
        for query in [
            "_sort=-_id",
            "_sort=_lastUpdated",
            "_count=1000&_total=accurate",
        ] {
            let again = found(&f, &format!("{name}?{query}"), &access).await;
            assert_eq!(again, expected, "{rules} finds {name}?{query}");
        }
        let counted = f
            .search_as(&format!("{name}?_summary=count"), &access)
            .await;
        match counted {
            Ok(counted) => {
                let number = expected.split_whitespace().count().to_string();
                assert_eq!(at(counted.root(), "total"), number, "{rules} counts {name}");
            }
            Err(error) => assert_eq!(status(&error), expected, "{rules} counts {name}"),
        }
    }
    let everything = granted("user/*.rs");
    let all = found(&f, "?_count=1000", &everything).await;
    assert_eq!(all, found(&f, "?_count=1000", &ALL).await);
}

/// As [`READS`].
const DENIED: &str = "
user/*.rs -b                          | Patient      | a
user/*.rs -b                          | Observation  | lab-a vital-a
user/*.rs -b/Observation              | Observation  | lab-a vital-a
user/*.rs -b/Observation              | Patient      | a b
user/*.rs -b/Observation?category=lab | Observation  | lab-a vital-a by-a about-a
user/*.rs -b/Observation?nonsense=1   | Observation  | lab-a vital-a
user/*.rs -b                          | Organization | o
user/*.rs -b                          | Binary       | a lab none                 |
user/*.rs -a -b                       | Patient      |
a/*.rs -b                             | Observation  | lab-a vital-a
a/*.rs -a                             | Patient      |
@d/*.rs -a/Observation                | Observation  |
";

async fn denials_take_away_what_rules_give(on: Database) {
    let f = world(on).await;
    for row in rows(DENIED) {
        let (rules, name, read) = (row[0], row[1], row[2]);
        let search = row.get(3).copied();
        let access = granted(rules);
        assert_eq!(
            readable(&f, name, &access).await,
            read,
            "{rules} reads {name}"
        );
        let expected = sorted(search.unwrap_or(read));
        assert_eq!(
            found(&f, name, &access).await,
            expected,
            "{rules} finds {name}"
        );
    }
}

async fn old_versions_are_shown_to_whom_they_and_their_resource_are(on: Database) {
    let f = world(on).await;
    for patient in ["a", "b", "a"] {
        f.put(&observation("moved", &about(&format!("Patient/{patient}"))))
            .await;
    }
    f.put(&observation("left", &about("Patient/a"))).await;
    f.put(&observation("left", &about("Patient/b"))).await;
    let history = |scope, access: Access| {
        let engine = f.engine.clone();
        async move {
            let request = HistoryRequest {
                scope,
                params: decode("_count=1000"),
                strict: true,
            };
            match engine.history(&request, &access).await {
                Ok(text) => entries(&doc(&text))
                    .into_iter()
                    .map(|entry| {
                        format!("{}{}", at(entry, "resource.id"), at(entry, "response.etag"))
                    })
                    .map(|entry| entry.replace("W/\"", "@").replace('"', ""))
                    .collect::<Vec<_>>()
                    .join(" "),
                Err(error) => status(&error),
            }
        }
    };
    let one = |name: &str, id: &str| HistoryScope::Instance(kind(name), id.to_owned());
    let of = |name: &str| HistoryScope::Type(kind(name));
    for (rules, scope, expected) in [
        (
            "user/*.rs",
            one("Observation", "moved"),
            "moved@3 moved@2 moved@1",
        ),
        ("a/*.rs", one("Observation", "moved"), "moved@3 moved@1"),
        ("b/*.rs", one("Observation", "moved"), "404"),
        ("a/*.rs", one("Observation", "left"), "404"),
        ("b/*.rs", one("Observation", "left"), "left@2"),
        ("@d/*.rs", one("Observation", "moved"), "moved@3 moved@1"),
        (
            "user/*.rs -b",
            one("Observation", "moved"),
            "moved@3 moved@1",
        ),
        ("a/Observation.s", one("Observation", "moved"), "403"),
        ("a/Observation.r", of("Observation"), "403"),
        (
            "a/Observation.s",
            of("Observation"),
            "moved@3 moved@1 by-a@1 vital-a@1 lab-a@1",
        ),
        ("a/Observation.s?category=lab", of("Observation"), "lab-a@1"),
        (
            "a/Observation.s a/Patient.s a/Group.r",
            HistoryScope::System,
            "moved@3 moved@1 by-a@1 vital-a@1 lab-a@1 a@1",
        ),
        ("a/Observation.r", HistoryScope::System, "403"),
        ("a/Binary.r a/Patient.r", one("Binary", "a"), "a@1"),
        ("a/Binary.r a/Patient.r", one("Binary", "b"), "404"),
        ("a/Binary.s a/Patient.r", of("Binary"), ""),
    ] {
        let what = format!("{rules}: {scope:?}");
        assert_eq!(history(scope, granted(rules)).await, expected, "{what}");
    }
    for (rules, name, id, version, expected) in [
        ("a/*.rs", "Observation", "moved", 1, "ok"),
        ("a/*.rs", "Observation", "moved", 2, "404"),
        ("a/*.rs", "Observation", "moved", 9, "404"),
        ("b/*.rs", "Observation", "moved", 2, "404"),
        ("a/*.rs", "Observation", "left", 1, "404"),
        ("a/*.s", "Observation", "moved", 1, "403"),
        ("a/*.rs", "Binary", "a", 1, "ok"),
        ("a/*.rs", "Binary", "b", 1, "404"),
    ] {
        let read = f
            .engine
            .vread(kind(name), id, version, &granted(rules))
            .await;
        let came = read.map_or_else(|error| status(&error), |_| "ok".to_owned());
        assert_eq!(came, expected, "{rules}: {name}/{id} {version}");
    }
}

async fn what_no_rule_covers_is_refused_whatever_is_stored(on: Database) {
    let f = world(on).await;
    let access = granted("a/Patient.rs user/Observation.c");
    for (id, version) in [("lab-a", 1), ("never", 1), ("lab-a", 7)] {
        let error = f
            .engine
            .vread(kind("Observation"), id, version, &access)
            .await;
        let error = error.unwrap_err();
        assert_eq!(status(&error), "403");
        assert_eq!(error.issues[0].code, "forbidden");
        let text = &error.issues[0].diagnostics;
        assert!(text.contains("Observation.r"), "{text}");
        assert!(!text.contains(id), "{text}");
    }
    // Of several types those that are covered are searched.
    let both = found(&f, "?_type=Observation,Patient", &access).await;
    assert_eq!(both, "a");
    let none = found(&f, "?_type=Observation,Group", &access).await;
    assert_eq!(none, "403");
    let everything = rotunda::engine::EverythingRequest {
        kind: kind("Patient"),
        id: Some("a".to_owned()),
        params: Vec::new(),
        strict: true,
    };
    let record = doc(&f.engine.everything(&everything, &access).await.unwrap());
    assert_eq!(identities(&record), ["Patient/a"]);
    let error = f
        .engine
        .everything(&everything, &granted("a/Observation.rs"))
        .await;
    assert_eq!(status(&error.unwrap_err()), "403");
}
