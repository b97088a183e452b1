//! `rotunda hl7` from outside.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

const ADT: &str = "MSH|^~\\&|HIS|HOSP|ROTUNDA||20261124180000+0000||ADT^A08^ADT_A01|C1|P|2.5.1\r\
                   EVN||20261124180000+0000\r\
                   PID|1||77^^^HOSP^MR||Lovelace^Ada||18151210|F|||||||||||||||||||VET\r\
                   PV1|1|O\r";

fn rotunda(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Sends two messages to a listener that answers so; the output of the sender, and what was
/// saved.
fn exchange(answer: &str) -> (Output, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let second = ADT.replace("|C1|", "|C2|");
    fs::write(folder.path().join("two.hl7"), format!("{ADT}{second}")).unwrap();
    let mut listener = Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["hl7", "listen", "127.0.0.1:0", "--save", "got"])
        .args(["--answer", answer, "--count", "2"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(listener.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    let sent = rotunda(
        folder.path(),
        &[
            "hl7",
            "send",
            "two.hl7",
            "--to",
            &address,
            "--timeout",
            "20",
        ],
    );
    listener.wait().unwrap();
    let read = |name: &str| fs::read(folder.path().join("got").join(name)).unwrap();
    (sent, vec![read("000001.hl7"), read("000002.hl7")])
}

#[test]
fn what_is_sent_is_acknowledged_and_arrives_as_it_was() {
    let (sent, got) = exchange("auto");
    assert!(sent.status.success(), "{}", told(&sent));
    assert!(told(&sent).contains("ADT^A08 C2: AA"), "{}", told(&sent));
    assert_eq!(got[0], ADT.as_bytes());
    let (sent, _) = exchange("ae");
    assert!(!sent.status.success());
    assert!(told(&sent).contains("2 of 2 messages were not taken"));
}

#[test]
fn messages_are_shown_as_trees_and_as_fhir() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("adt.hl7"), ADT).unwrap();
    fs::write(
        folder.path().join("overlay.csv"),
        "Action,Table,Identifier,Data Type,Computable ANTLR,FHIR Attribute,Data Type Mapping,\
         Vocabulary Mapping,Assignment\n\
         add,PID[Patient],PID-27,,IF PID-27 VALUED,extension[9].valueString,,,\n\
         add,PID[Patient],PID-27,,IF PID-27 VALUED,extension[9].url,,,\"\"\"http://example.org/v\"\"\"\n",
    )
    .unwrap();
    let tree = rotunda(folder.path(), &["hl7", "parse", "adt.hl7"]);
    assert!(told(&tree).contains("PID-5.1"), "{}", told(&tree));
    let mapped = rotunda(folder.path(), &["hl7", "map", "adt.hl7"]);
    let text = told(&mapped);
    assert!(text.contains("\"family\": \"Lovelace\""), "{text}");
    assert!(text.contains("PID-5 -> Patient.name"), "{text}");
    assert!(!text.contains("http://example.org/v"), "{text}");
    let with = [
        "hl7",
        "map",
        "adt.hl7",
        "--overlay",
        "overlay.csv",
        "--json",
    ];
    let text = told(&rotunda(folder.path(), &with));
    assert!(text.contains("http://example.org/v"), "{text}");
    // What an overlay changes is shown beside the check of the configuration.
    fs::write(
        folder.path().join("rotunda.toml"),
        "[[hl7.channels]]\nname = \"his\"\noverlay = \"overlay.csv\"\n",
    )
    .unwrap();
    let check = [
        "config",
        "check",
        "--config",
        "rotunda.toml",
        "--sample",
        "adt.hl7",
    ];
    let checked = rotunda(folder.path(), &check);
    let text = told(&checked);
    assert!(checked.status.success(), "{text}");
    assert!(
        text.contains("+ ") && text.contains("http://example.org/v"),
        "{text}"
    );
    fs::write(
        folder.path().join("overlay.csv"),
        "Action,Table,Computable ANTLR\nadd,,\n",
    )
    .unwrap();
    let checked = rotunda(folder.path(), &check);
    assert!(!checked.status.success());
    assert!(told(&checked).contains("line 2"), "{}", told(&checked));
}
