//! The command line from outside: what it prints, what it refuses, what it leaves behind.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

fn rotunda(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn serving_is_refused_where_it_would_be_unsafe() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, reason) in [
        (
            &["serve", "--listen", "0.0.0.0:0"][..],
            "http.listen 0.0.0.0:0 is reachable from other computers",
        ),
        (
            &["serve", "--open", "--listen", "0.0.0.0:0"],
            "http.listen must be a loopback address",
        ),
        (
            &["serve", "--open", "--admin-listen", "0.0.0.0:0"],
            "http.admin_listen must be a loopback address",
        ),
        (
            &["serve", "--open", "--store", "mysql://x"],
            "store.url must be sqlite:FILE or postgres://",
        ),
    ] {
        let output = rotunda(folder.path(), arguments);
        assert!(!output.status.success());
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), "[http]\nlistn = 1\n").unwrap();
    let output = rotunda(folder.path(), &["config", "check", "--config", "a.toml"]);
    assert!(!output.status.success());
    assert!(stderr(&output).starts_with("rotunda: a.toml:2: http.listn: unknown field"));
    let output = rotunda(folder.path(), &["config", "print"]);
    fs::write(folder.path().join("b.toml"), stdout(&output)).unwrap();
    let output = rotunda(folder.path(), &["config", "check", "--config", "b.toml"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn every_setting_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string("docs/configuration.md").unwrap();
    for line in stdout(&rotunda(folder.path(), &["config", "print"])).lines() {
        if let Some((key, _)) = line.split_once(" = ") {
            assert!(text.contains(&format!("| `{key}` |")), "{key}");
        }
    }
}

const TRANSACTION: &str = r#"{
  "resourceType": "Bundle",
  "type": "transaction",
  "entry": [
    {"fullUrl": "urn:uuid:10000000-0000-4000-8000-000000000000",
     "resource": {"resourceType": "Patient", "gender": "robot"},
     "request": {"method": "POST", "url": "Patient"}},
    {"resource": {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                  "subject": {"reference": "urn:uuid:10000000-0000-4000-8000-000000000000"}},
     "request": {"method": "POST", "url": "Observation"}}
  ]
}"#;

const LINES: &str = r#"{"resourceType":"Patient","id":"one"}
{"resourceType":"Patient","active":true}
{"resourceType":"Patient","id":"three","birthDate":"2021-02-30"}

{"resourceType":"Patient","id":"five"
{"resourceType":"Robot","id":"six"}
{"resourceType":"Patient","id":"seven"}
"#;

fn compress(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

/// Type, id and version of everything in the store.
fn exported(folder: &Path, into: &str) -> Vec<String> {
    exported_from(folder, "sqlite:a.db", into)
}

fn exported_from(folder: &Path, store: &str, into: &str) -> Vec<String> {
    let output = rotunda(folder, &["export", into, "--store", store]);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut found = Vec::new();
    for file in fs::read_dir(folder.join(into)).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            let doc: serde_json::Value = serde_json::from_str(line).unwrap();
            found.push(format!(
                "{}/{} v{}",
                doc["resourceType"].as_str().unwrap(),
                doc["id"].as_str().unwrap(),
                doc["meta"]["versionId"].as_str().unwrap()
            ));
        }
    }
    found.sort();
    found
}

#[test]
fn an_import_takes_the_good_names_the_bad_and_changes_nothing_when_repeated() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::write(folder.path().join("in/bundle.json"), TRANSACTION).unwrap();
    fs::write(folder.path().join("in/lines.ndjson.gz"), compress(LINES)).unwrap();
    let import = ["import", "in", "--store", "sqlite:a.db"];
    let output = rotunda(folder.path(), &import);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    for rejected in [
        "in/bundle.json:5: Bundle.entry[0].resource.gender: ",
        "in/lines.ndjson.gz:3: Patient/three: ",
        "in/lines.ndjson.gz:5: the text ends too early",
        "in/lines.ndjson.gz:6: \"Robot\" is not an R4 resource type",
    ] {
        assert!(told.contains(rejected), "{rejected} is not in:\n{told}");
    }
    assert!(told.contains("4 resources of 2 files"), "{told}");
    assert!(told.contains("4 rejected"), "{told}");

    let before = exported(folder.path(), "before");
    assert_eq!(before.len(), 4);
    rotunda(folder.path(), &import);
    assert_eq!(exported(folder.path(), "after"), before);

    let output = rotunda(folder.path(), &["verify", "--store", "sqlite:a.db"]);
    assert_eq!(stdout(&output), "4 resources verified, 0 differences\n");
    let schedule = ["verify", "--schedule", "--store", "sqlite:a.db"];
    assert_eq!(
        stdout(&rotunda(folder.path(), &schedule)),
        "0 Appointments and Slots verified with 0 claims, 0 differences\n"
    );
    let connection = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
    let stray = "INSERT INTO claim VALUES (1,0,0,60,0,60,2,0,0,0,1,0,NULL)";
    connection.execute(stray, []).unwrap();
    drop(connection);
    let output = rotunda(folder.path(), &schedule);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    assert!(
        told.contains("(owner 2): actor 1 from 1970-01-01"),
        "{told}"
    );
    assert!(told.ends_with("with 1 claims, 1 differences\n"), "{told}");
    let output = rotunda(folder.path(), &["reindex", "--store", "sqlite:a.db"]);
    assert_eq!(stdout(&output), "4 resources looked at, 0 mended\n");
}

/// A Bundle of each kind: the transaction would create one patient and delete another.
const BUNDLES: &str = r#"{"resourceType":"Bundle","id":"coll","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"inner1"}}]}
{"resourceType":"Bundle","id":"tx","type":"transaction","entry":[{"resource":{"resourceType":"Patient","id":"inner2"},"request":{"method":"PUT","url":"Patient/inner2"}},{"request":{"method":"DELETE","url":"Patient/keep"}}]}
{"resourceType":"Bundle","id":"doc","type":"document","identifier":{"system":"urn:x","value":"1"},"timestamp":"2026-01-01T00:00:00Z","entry":[{"fullUrl":"http://x.org/fhir/Composition/c","resource":{"resourceType":"Composition","id":"c","status":"final","type":{"text":"t"},"date":"2026-01-01","author":[{"display":"a"}],"title":"t"}}]}
{"resourceType":"Bundle","id":"set","type":"searchset","total":0}
{"resourceType":"Bundle","id":"msg","type":"message","entry":[{"fullUrl":"urn:uuid:10000000-0000-4000-8000-000000000000","resource":{"resourceType":"MessageHeader","id":"m","eventUri":"urn:e","source":{"endpoint":"urn:s"}}}]}
"#;

#[test]
fn what_export_writes_import_reads_and_stored_transactions_are_not_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::write(folder.path().join("in/Bundle.ndjson"), BUNDLES).unwrap();
    let keep = r#"{"resourceType":"Patient","id":"keep"}"#;
    fs::write(folder.path().join("in/Patient.ndjson"), keep).unwrap();
    let output = rotunda(folder.path(), &["import", "in", "--store", "sqlite:a.db"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let first = exported(folder.path(), "out");
    let bundles = ["coll", "doc", "msg", "set", "tx"].map(|id| format!("Bundle/{id} v1"));
    assert_eq!(
        first,
        [&bundles[..], &["Patient/keep v1".to_owned()]].concat()
    );

    let output = rotunda(folder.path(), &["import", "out", "--store", "sqlite:b.db"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(exported_from(folder.path(), "sqlite:b.db", "again"), first);
}

#[test]
fn the_type_of_a_bundle_and_the_kind_of_file_say_what_is_done_with_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.ndjson"), BUNDLES).unwrap();
    for (line, name) in BUNDLES.lines().zip(["coll", "tx", "doc", "set", "msg"]) {
        fs::write(folder.path().join(format!("{name}.json")), line).unwrap();
    }
    for (arguments, store, expected) in [
        (
            &["a.ndjson"][..],
            "sqlite:a.db",
            &[
                "Bundle/coll",
                "Bundle/doc",
                "Bundle/msg",
                "Bundle/set",
                "Patient/inner2",
            ][..],
        ),
        (
            &["coll.json", "tx.json", "doc.json", "set.json", "msg.json"],
            "sqlite:b.db",
            &[
                "Bundle/doc",
                "Bundle/msg",
                "Patient/inner1",
                "Patient/inner2",
            ],
        ),
    ] {
        let import = [&["import"], arguments, &["--store", store]].concat();
        let output = rotunda(folder.path(), &import);
        assert!(output.status.success(), "{}", stderr(&output));
        let into = store.replace(':', "-");
        let expected: Vec<String> = expected.iter().map(|name| format!("{name} v1")).collect();
        assert_eq!(exported_from(folder.path(), store, &into), expected);
    }
}

/// An export's lines that hold all of `parts`.
fn holding(folder: &Path, out: &str, file: &str, parts: &[&str]) -> usize {
    let text = fs::read_to_string(folder.join(out).join(file)).unwrap_or_default();
    let holds = |line: &&str| parts.iter().all(|part| line.contains(part));
    text.lines().filter(holds).count()
}

#[test]
fn a_file_that_was_mended_or_renamed_brings_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let lines = concat!(
        r#"{"resourceType":"Patient","name":[{"family":"Good"}]}"#,
        "\n",
        r#"{"resourceType":"Patient","name":[{"family":"Good"}]}"#,
        "\n",
        r#"{"resourceType":"Patient","gender":"robot"}"#,
        "\n",
    );
    let import = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        let output = rotunda(folder.path(), &["import", name, "--store", "sqlite:a.db"]);
        (output.status.code(), stderr(&output))
    };
    assert_eq!(import("a.ndjson", lines).0, Some(1));
    let before = exported(folder.path(), "before");
    assert_eq!(before.len(), 2, "equal lines are resources of their own");

    let mended = lines.replace("robot", "other");
    assert_eq!(import("a.ndjson", &mended).0, Some(0));
    let after = exported(folder.path(), "after");
    assert_eq!(after.len(), 3);
    assert!(before.iter().all(|name| after.contains(name)), "{after:?}");

    let (code, told) = import("b.ndjson", &mended);
    assert_eq!(code, Some(0));
    assert!(told.contains("1 files were imported before"), "{told}");
    import(
        "c.ndjson",
        &format!("{{\"resourceType\":\"Basic\"}}\n{mended}"),
    );
    let with_more = exported(folder.path(), "with-more");
    assert!(after.iter().all(|name| with_more.contains(name)));
}

#[test]
fn an_unchanged_file_is_tried_again_only_where_it_was_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let lines = concat!(
        r#"{"resourceType":"Patient","id":"e1","name":[{"family":"old"}]}"#,
        "\n",
        r#"{"resourceType":"Patient","id":"e2","gender":"robot"}"#,
        "\n",
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:10000000-0000-4000-8000-000000000000","resource":{"resourceType":"Patient","name":[{"family":"old"}]},"request":{"method":"POST","url":"Patient"}},{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:10000000-0000-4000-8000-000000000000"},"performer":[{"reference":"Practitioner?identifier=urn:x|1"}]},"request":{"method":"POST","url":"Observation"}}]}"#,
    );
    fs::write(folder.path().join("a.ndjson"), lines).unwrap();
    let import = |name: &str| {
        let output = rotunda(folder.path(), &["import", name, "--store", "sqlite:a.db"]);
        (output.status.code(), stderr(&output))
    };
    let (code, told) = import("a.ndjson");
    assert_eq!(code, Some(1));
    assert!(told.contains("a.ndjson:2: Patient/e2: "), "{told}");

    let edited = [
        r#"{"resourceType":"Patient","id":"e1","name":[{"family":"EDITED"}]}"#,
        "\n",
        r#"{"resourceType":"Practitioner","id":"p","identifier":[{"system":"urn:x","value":"1"}]}"#,
    ];
    fs::write(folder.path().join("b.ndjson"), edited.concat()).unwrap();
    assert_eq!(import("b.ndjson").0, Some(0));
    let (code, told) = import("a.ndjson");
    assert_eq!(code, Some(1));
    assert!(told.contains("a.ndjson:2: Patient/e2: "), "{told}");
    assert!(told.contains("1 rejected"), "{told}");

    let found = exported(folder.path(), "out");
    assert!(found.contains(&"Patient/e1 v2".to_owned()), "{found:?}");
    let holds = |file: &str, parts: &[&str]| holding(folder.path(), "out", file, parts);
    assert_eq!(holds("Patient.ndjson", &["\"e1\"", "EDITED"]), 1);
    assert_eq!(
        holds("Observation.ndjson", &["Practitioner/p", "Patient/"]),
        1
    );
}

#[test]
fn an_entry_that_is_tried_again_refers_to_what_the_others_became() {
    let folder = tempfile::tempdir().unwrap();
    let transaction = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"http://x.org/fhir/Patient/7","resource":{"resourceType":"Patient","id":"7"},
         "request":{"method":"POST","url":"Patient"}},
        {"fullUrl":"http://x.org/fhir/Observation/o","request":{"method":"PUT","url":"Observation/o","ifMatch":"W/\"1\""},
         "resource":{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/7"}}}]}"#;
    let before =
        r#"{"resourceType":"Observation","id":"o","status":"preliminary","code":{"text":"x"}}"#;
    fs::write(folder.path().join("a.json"), transaction).unwrap();
    fs::write(folder.path().join("b.json"), before).unwrap();
    let import = |name: &str| {
        let output = rotunda(folder.path(), &["import", name, "--store", "sqlite:a.db"]);
        (output.status.code(), stderr(&output))
    };
    let (code, told) = import("a.json");
    assert_eq!(code, Some(1));
    assert!(told.contains("a.json:4: Bundle.entry[1]"), "{told}");
    assert_eq!(import("b.json").0, Some(0));
    let (code, told) = import("a.json");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 resources of 1 files"), "{told}");

    let found = exported(folder.path(), "out");
    let patient = found[1].strip_suffix(" v1").unwrap();
    assert_eq!(found, ["Observation/o v2", &format!("{patient} v1")]);
    let refers = holding(folder.path(), "out", "Observation.ndjson", &[patient]);
    assert_eq!(refers, 1, "{patient}");
}

#[test]
fn a_change_in_the_middle_of_a_long_file_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: usize, family: &str| {
        format!(
            "{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\"name\":[{{\"family\":\"{family}\",\"text\":\"{:30000}\"}}]}}\n",
            "x"
        )
    };
    let lines = |family: &str| -> String {
        let family = |id| if id == 60 { family } else { "same" };
        (0..120).map(|id| line(id, family(id))).collect()
    };
    for (family, out) in [("aaaa", "first"), ("bbbb", "second")] {
        fs::write(folder.path().join("a.ndjson"), lines(family)).unwrap();
        let output = rotunda(
            folder.path(),
            &["import", "a.ndjson", "--store", "sqlite:a.db"],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        exported(folder.path(), out);
        assert_eq!(holding(folder.path(), out, "Patient.ndjson", &[family]), 1);
    }
}

#[test]
fn an_import_can_end_with_the_first_rejection() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lines.ndjson"), LINES).unwrap();
    let output = rotunda(
        folder.path(),
        &["import", "--stop-on-error", "lines.ndjson"],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("stopped early"));
}

#[test]
fn references_to_what_a_later_file_brings_are_resolved_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let refers = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=urn:x|1"}},"request":{"method":"POST","url":"Observation"}}]}"#;
    let brings = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}]},"request":{"method":"POST","url":"Patient"}}]}"#;
    fs::write(folder.path().join("a.json"), refers).unwrap();
    fs::write(folder.path().join("b.json"), brings).unwrap();
    let import = ["import", "a.json", "b.json", "--store", "sqlite:a.db"];
    let output = rotunda(folder.path(), &import);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("2 resources of 2 files"));
}

#[test]
fn an_import_that_was_killed_goes_on_without_duplicates() {
    const PATIENTS: usize = 4_000;
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..PATIENTS)
        .map(|n| format!("{{\"resourceType\":\"Patient\",\"name\":[{{\"family\":\"{n}\"}}]}}\n"))
        .collect();
    fs::write(folder.path().join("patients.ndjson"), lines).unwrap();
    let import = ["import", "patients.ndjson", "--store", "sqlite:a.db"];
    for pause in [150, 400] {
        let mut killed = Command::new(env!("CARGO_BIN_EXE_rotunda"))
            .args(import)
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let output = rotunda(folder.path(), &import);
    assert!(output.status.success(), "{}", stderr(&output));
    let found = exported(folder.path(), "out");
    assert_eq!(found.len(), PATIENTS);
    assert!(found.iter().all(|name| name.ends_with(" v1")));
}

#[test]
fn verify_sees_damage_and_reindex_mends_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let lines = concat!(
        r#"{"resourceType":"Patient","id":"a","gender":"male","birthDate":"1970-01-01"}"#,
        "\n",
        r#"{"resourceType":"Patient","id":"b","gender":"female"}"#
    );
    fs::write(folder.path().join("lines.ndjson"), lines).unwrap();
    let store = ["--store", "sqlite:a.db"];
    let imported = rotunda(
        folder.path(),
        &["import", "lines.ndjson", store[0], store[1]],
    );
    assert!(imported.status.success(), "{}", stderr(&imported));
    let change = |sql: &str| {
        let connection = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0);
    };
    let verify = || {
        let output = rotunda(folder.path(), &["verify", store[0], store[1]]);
        (output.status.code(), stdout(&output))
    };
    assert_eq!(verify().0, Some(0));

    change(
        "DELETE FROM entry WHERE key >= x'10' AND key < x'11' AND rid IN (SELECT rid FROM resource WHERE id='a')",
    );
    change("INSERT INTO entry (param, key, rid) VALUES (1, x'20', 1)");
    let (code, told) = verify();
    assert_eq!(code, Some(1));
    assert!(
        told.contains("Patient/a: index entries are missing of"),
        "{told}"
    );
    assert!(
        told.contains("1 index entries belong to no resource"),
        "{told}"
    );

    let output = rotunda(folder.path(), &["reindex", store[0], store[1]]);
    assert_eq!(
        stdout(&output),
        "2 resources looked at, 1 mended\n1 index entries of no resource removed\n"
    );
    assert_eq!(verify().0, Some(0));

    change("DELETE FROM fulltext_config");
    let (code, told) = verify();
    assert_eq!(code, Some(1));
    assert!(told.contains("full-text search are damaged"), "{told}");
    rotunda(folder.path(), &["reindex", store[0], store[1]]);
    assert_eq!(verify().0, Some(0));

    change(
        "UPDATE version SET body = CAST('{\"resourceType\":\"Patient\",\"id\":\"b\"}' AS BLOB)
         WHERE rid = (SELECT rid FROM resource WHERE id='b')",
    );
    let (code, told) = verify();
    assert_eq!(code, Some(1));
    assert!(told.contains("does not have the hash beside it"), "{told}");

    // A text that cannot even be unpacked does not end the look at the others.
    change(
        "UPDATE version SET body = substr(body, 1, length(body) / 2)
         WHERE rid = (SELECT rid FROM resource WHERE id='a')",
    );
    let (code, told) = verify();
    assert_eq!(code, Some(1));
    assert!(
        told.contains("version 1 is damaged: it cannot be unpacked"),
        "{told}"
    );
    assert!(
        told.contains("Patient/a: its text cannot be read"),
        "{told}"
    );
    assert!(told.contains("does not have the hash beside it"), "{told}");
}
