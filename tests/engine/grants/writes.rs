//! What is written.

use rotunda::engine::{Operation, Target};

use super::*;

on_both_databases!(rules_say_what_is_written, conditions_see_what_a_search_sees,);

async fn rules_say_what_is_written(on: Database) {
    let f = world(on).await;
    let lab = |subject: &str| {
        format!(
            r#""category":[{{"coding":[{{"system":"urn:c","code":"lab"}}]}}],{}"#,
            about(subject)
        )
    };
    let a_and_b = r#""subject":{"reference":"Patient/b"},"performer":[{"reference":"Patient/a"}]"#;
    let contained = r##""subject":{"reference":"Patient/a"},"contained":[{"resourceType":"Observation","id":"c","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/b"}}],"derivedFrom":[{"reference":"#c"}]"##;
    let extended = r#""subject":{"reference":"Patient/a"},"extension":[{"url":"urn:x","valueReference":{"reference":"Patient/b"}}]"#;
    let put_observation = |id: &str, members: &str| put(&observation(id, members));
    let post_observation =
        |members: &str| create(&observation("x", members).replace(r#""id":"x","#, ""), None);
    let remove = |name: &str, id: &str| delete(name, Target::Id(id.to_owned()));
    let patch = |id: &str, text: &str| Operation::Patch {
        kind: kind("Observation"),
        target: Target::Id(id.to_owned()),
        patch: doc(text),
        if_match: None,
    };
    let to_b = r#"[{"op":"replace","path":"/subject/reference","value":"Patient/b"}]"#;
    let to_a = r#"[{"op":"replace","path":"/subject/reference","value":"Patient/a"}]"#;
    let performed_by_b =
        r#"[{"op":"add","path":"/performer","value":[{"reference":"Patient/b"}]}]"#;
    let amended = r#"[{"op":"replace","path":"/status","value":"amended"}]"#;
    let binary_text = |id: &str, context: &str| {
        format!(
            r#"{{"resourceType":"Binary","id":"{id}","contentType":"text/plain","securityContext":{{"reference":"{context}"}},"data":"QQ=="}}"#
        )
    };
    let binary = |id: &str, context: &str| put(&binary_text(id, context));
    let patch_binary = |id: &str, context: &str| Operation::Patch {
        kind: kind("Binary"),
        target: Target::Id(id.to_owned()),
        patch: doc(&format!(
            r#"[{{"op":"replace","path":"/securityContext/reference","value":"{context}"}}]"#
        )),
        if_match: None,
    };
    let post_binary = |context: &str| create(&binary_text("x", context), None);
    let encounter = |patient: &str| {
        create(
            &format!(
                r#"{{"resourceType":"Encounter","status":"finished","class":{{"code":"AMB"}},"subject":{{"reference":"Patient/{patient}"}},"participant":[{{"individual":{{"reference":"Practitioner/d"}}}}]}}"#
            ),
            None,
        )
    };
    for (rules, operation, expected) in [
        // Each right is one for itself; a PUT is an update, whatever is there.
        ("user/*.cruds", post_observation(&about("Patient/b")), "ok"),
        (
            "user/Observation.ruds",
            post_observation(&about("Patient/b")),
            "403",
        ),
        (
            "user/Observation.c",
            post_observation(&about("Patient/b")),
            "ok",
        ),
        (
            "user/Observation.u",
            put_observation("new-1", &about("Patient/b")),
            "ok",
        ),
        (
            "user/Observation.crds",
            put_observation("new-1", &about("Patient/b")),
            "403",
        ),
        ("user/Observation.crds", patch("new-1", amended), "403"),
        ("user/Observation.u", patch("new-1", amended), "ok"),
        (
            "user/Observation.crus",
            remove("Observation", "new-1"),
            "403",
        ),
        ("user/Observation.d", remove("Observation", "new-1"), "ok"),
        ("user/Observation.d", remove("Observation", "never"), "ok"),
        (
            "user/Patient.cruds",
            put_observation("new-2", &about("Patient/b")),
            "403",
        ),
        // About whom.
        ("a/*.cruds", post_observation(&about("Patient/a")), "ok"),
        (
            "a/*.cruds",
            post_observation(&about("http://h/fhir/Patient/a/_history/1")),
            "ok",
        ),
        ("a/*.cruds", post_observation(&about("Patient/b")), "403"),
        (
            "a/*.cruds",
            post_observation(&about("http://h/fhir/Patient/b")),
            "403",
        ),
        (
            "a/*.cruds",
            post_observation(&about("Patient/b/_history/1")),
            "403",
        ),
        ("a/*.cruds", post_observation(a_and_b), "403"),
        ("a/*.cruds", post_observation(contained), "403"),
        ("a/*.cruds", post_observation(extended), "403"),
        (
            "a/*.cruds",
            post_observation(r#""note":[{"text":"of nobody"}]"#),
            "403",
        ),
        ("a/*.cruds b/*.cruds", post_observation(a_and_b), "403"),
        ("a+b/*.cruds", post_observation(a_and_b), "ok"),
        (
            "a/*.cruds",
            put_observation("lab-a", &about("Patient/a")),
            "ok",
        ),
        (
            "a/*.cruds",
            put_observation("lab-a", &about("Patient/b")),
            "403",
        ),
        ("a/*.cruds", patch("lab-a", to_b), "403"),
        (
            "a/*.cruds",
            put_observation("lab-b", &about("Patient/a")),
            "404",
        ),
        ("a/*.cruds", patch("lab-b", to_a), "404"),
        ("a/*.cruds", remove("Observation", "lab-b"), "404"),
        ("a/*.cruds", remove("Observation", "never"), "404"),
        (
            "a/*.cruds",
            put_observation("by-a", &about("Patient/a")),
            "403",
        ),
        ("a/*.cruds", remove("Observation", "by-a"), "403"),
        ("a/*.cruds", remove("Group", "ab"), "404"),
        (
            "a/*.cruds",
            put(r#"{"resourceType":"Patient","id":"b"}"#),
            "404",
        ),
        (
            "a/*.cruds",
            put(r#"{"resourceType":"Patient","id":"c"}"#),
            "404",
        ),
        (
            "a/*.cruds",
            create(r#"{"resourceType":"Patient"}"#, None),
            "403",
        ),
        (
            "a/*.cruds",
            put(r#"{"resourceType":"Patient","id":"a","name":[{"family":"Ab"}]}"#),
            "ok",
        ),
        (
            "a/*.cruds",
            create(r#"{"resourceType":"Organization","name":"X"}"#, None),
            "403",
        ),
        ("a/*.cruds", remove("Organization", "o"), "403"),
        (
            "a/*.cruds",
            create(r#"{"resourceType":"Bundle","type":"collection"}"#, None),
            "403",
        ),
        // What may be read, but not written.
        (
            "a/*.rs a/Observation.u?category=lab",
            put_observation("vital-a", &lab("Patient/a")),
            "403",
        ),
        (
            "a/*.rs",
            put_observation("vital-a", &about("Patient/a")),
            "403",
        ),
        (
            "a/Observation.u?category=lab",
            put_observation("vital-a", &lab("Patient/a")),
            "404",
        ),
        // Constraints hold before and after.
        (
            "user/*.rs user/Observation.u?category=lab",
            put_observation("lab-b", &lab("Patient/b")),
            "ok",
        ),
        (
            "user/*.rs user/Observation.u?category=lab",
            put_observation("lab-b", &about("Patient/b")),
            "403",
        ),
        (
            "user/*.rs user/Observation.u?category=lab",
            put_observation("vital-a", &lab("Patient/a")),
            "403",
        ),
        (
            "user/Observation.c?category=lab",
            post_observation(&lab("Patient/b")),
            "ok",
        ),
        (
            "user/Observation.c?category=lab",
            post_observation(&about("Patient/b")),
            "403",
        ),
        // Care.
        ("@d/*.cruds", post_observation(&about("Patient/a")), "ok"),
        ("@d/*.cruds", post_observation(&about("Patient/b")), "403"),
        ("@d/*.cruds", post_observation(a_and_b), "403"),
        (
            "@d/*.cruds",
            put_observation("vital-a", &about("Patient/a")),
            "ok",
        ),
        ("@d/*.cruds", patch("vital-a", amended), "ok"),
        ("@d/*.cruds", patch("vital-a", to_b), "403"),
        ("@d/*.cruds", patch("vital-a", performed_by_b), "403"),
        ("@d/*.cruds", patch("lab-b", to_a), "404"),
        (
            "@d/*.cruds",
            put_observation("lab-b", &about("Patient/a")),
            "404",
        ),
        (
            "@d/*.cruds",
            put(r#"{"resourceType":"Patient","id":"a"}"#),
            "ok",
        ),
        ("@d/*.cruds", encounter("a"), "ok"),
        ("@d/*.cruds", encounter("b"), "403"),
        (
            "@d/*.cruds",
            put(r#"{"resourceType":"Organization","id":"o","name":"P"}"#),
            "ok",
        ),
        // Consent.
        (
            "user/*.cruds -b",
            post_observation(&about("Patient/b")),
            "403",
        ),
        (
            "user/*.cruds -b",
            post_observation(&about("Patient/a")),
            "ok",
        ),
        ("user/*.cruds -b", remove("Observation", "lab-b"), "404"),
        // An id is for those to choose from whom none is hidden.
        (
            "a/*.cruds",
            put_observation("new-3", &about("Patient/a")),
            "404",
        ),
        (
            "a/*.cruds",
            put_observation("new-3", &about("Patient/b")),
            "404",
        ),
        (
            "@d/*.cruds",
            put_observation("new-3", &about("Patient/a")),
            "404",
        ),
        (
            "user/Observation.cu?category=lab a/*.rs",
            put_observation("new-3", &lab("Patient/a")),
            "404",
        ),
        (
            "user/*.rs user/Observation.cu?category=lab",
            put_observation("new-3", &lab("Patient/a")),
            "ok",
        ),
        (
            "user/*.r a/Observation.u",
            put_observation("new-4", &about("Patient/a")),
            "ok",
        ),
        (
            "user/*.r a/Observation.u",
            put_observation("new-5", &about("Patient/b")),
            "403",
        ),
        (
            "@d/*.cruds",
            put(r#"{"resourceType":"Organization","id":"p","name":"P"}"#),
            "ok",
        ),
        (
            "user/*.cruds -b",
            put_observation("new-6", &about("Patient/a")),
            "ok",
        ),
        (
            "user/*.cruds -b",
            put_observation("new-7", &about("Patient/b")),
            "403",
        ),
        (
            "user/*.cruds -b",
            put_observation("lab-b", &about("Patient/a")),
            "404",
        ),
        // Binaries are what their context is.
        ("a/*.cruds", post_binary("Patient/a"), "ok"),
        ("a/*.cruds", post_binary("Patient/b"), "403"),
        ("a/*.cruds", post_binary("Observation/by-a"), "403"),
        ("a/*.cruds", post_binary("urn:x"), "403"),
        ("a/*.cruds", binary("a", "Patient/a"), "ok"),
        ("a/*.cruds", patch_binary("a", "Patient/a"), "ok"),
        ("a/*.cruds", patch_binary("a", "Patient/b"), "403"),
        ("a/*.cruds", patch_binary("b", "Patient/a"), "404"),
        ("a/*.cruds", binary("a2", "Patient/a"), "404"),
        ("a/*.cruds", binary("a", "Patient/b"), "403"),
        ("a/*.cruds", binary("b", "Patient/a"), "404"),
        ("a/*.cruds", remove("Binary", "b"), "404"),
        ("user/*.cruds", binary("b", "Patient/b"), "ok"),
    ] {
        let done = f.one_as(operation.clone(), &granted(rules)).await;
        let came = done.map_or_else(|error| status(&error), |_| "ok".to_owned());
        assert_eq!(came, expected, "{rules}: {operation:?}");
    }
}

async fn conditions_see_what_a_search_sees(on: Database) {
    let f = world(on).await;
    let text =
        |family: &str| format!(r#"{{"resourceType":"Patient","name":[{{"family":"{family}"}}]}}"#);
    let (own, all) = (granted("a/*.cruds"), granted("user/*.cruds -b"));
    // Whether there is such a Patient must not show.
    for family in ["Bb", "Impossible", "Aa"] {
        let query = format!("family={family}");
        let search = Target::Search(query.clone());
        let update = Operation::Update {
            kind: kind("Patient"),
            target: search.clone(),
            body: doc(&text("N")),
            if_match: None,
            if_none_match_any: false,
        };
        for operation in [
            create(&text("N"), Some(&query)),
            update,
            delete("Patient", search),
        ] {
            let error = f.one_as(operation, &own).await.unwrap_err();
            assert_eq!(status(&error), "403");
        }
    }
    // A rule about all patients is enough, and does not see what is denied.
    let new = f.one_as(create(&text("Bb"), Some("family=Bb")), &all).await;
    assert_eq!(new.unwrap().status, rotunda::engine::DoneStatus::Created);
    let same = f.one_as(create(&text("Aa"), Some("family=Aa")), &all).await;
    assert_eq!(same.unwrap().status, rotunda::engine::DoneStatus::Unchanged);
    // Nothing is deleted that is not seen.
    let gone = |query: &str| delete("Observation", Target::Search(query.to_owned()));
    for (rules, query) in [
        ("a/*.cruds", "subject=Patient/b"),
        ("a/*.cruds", "subject=Patient/never"),
        ("user/Observation.ds?category=own", "category=lab"),
    ] {
        let done = f.one_as(gone(query), &granted(rules)).await;
        let status = match done {
            Ok(done) => format!("{:?} {}", done.status, done.changed),
            Err(error) => status(&error),
        };
        let expected = match query {
            // `by-a` is seen, and is not about a alone.
            "subject=Patient/b" => "403",
            _ => "NothingToDelete 0",
        };
        assert_eq!(status, expected, "{rules} {query}");
    }
    let left = found(&f, "Observation", &ALL).await;
    assert_eq!(left, "about-a by-a lab-a lab-b vital-a");
    let without = f
        .one_as(gone("category=lab"), &granted("user/Observation.d"))
        .await;
    assert_eq!(status(&without.unwrap_err()), "403");
}
