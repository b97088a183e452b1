//! An interface engine that others wrote: python-hl7's client and server, as they come.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use super::{
    fixture::{Fixture, Plan},
    pins::{Authority, NAME},
    wire::adt,
};
use crate::fixture::Database;

on_both_databases!(
    a_client_of_python_hl7_is_answered,
    a_client_of_python_hl7_is_answered_over_tls
);

const MESSAGES: usize = 20;

fn python() -> Command {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/python");
    let mut python = Command::new(format!("{folder}/venv/bin/python"));
    python.arg("engine.py").current_dir(folder);
    python
}

/// Sends messages by python-hl7 on one connection; the codes and control ids of the answers.
async fn send(port: u16, tls: &[String], messages: Vec<String>) -> Vec<String> {
    let mut client = python();
    client
        .args(["send", "127.0.0.1", &port.to_string()])
        .args(tls);
    let client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut client = client.expect("tests/run.sh makes the venv");
    let sent = tokio::task::spawn_blocking(move || -> Output {
        let mut lines = client.stdin.take().unwrap();
        for message in messages {
            writeln!(lines, "{}", message.trim_end().replace('\r', "\\r")).unwrap();
        }
        drop(lines);
        client.wait_with_output().unwrap()
    });
    let sent = sent.await.unwrap();
    assert!(sent.status.success());
    let told = String::from_utf8(sent.stdout).unwrap();
    told.lines().map(str::to_owned).collect()
}

async fn exchange(database: Database, plan: Plan, tls: &[String]) {
    let f = Fixture::new(database, plan).await;
    let ids = 0..MESSAGES;
    let messages = ids
        .clone()
        .map(|n| adt(&format!("C{n}"), &n.to_string(), ("", "")));
    let answers = send(f.address.port(), tls, messages.collect()).await;
    let expected: Vec<String> = ids.map(|n| format!("AA C{n}")).collect();
    assert_eq!(answers, expected);
    assert_eq!(f.settled().await.len(), MESSAGES);
    f.stop().await;
}

async fn a_client_of_python_hl7_is_answered(database: Database) {
    exchange(database, Plan::default(), &[]).await;
}

async fn a_client_of_python_hl7_is_answered_over_tls(database: Database) {
    let authority = Authority::new();
    let plan = Plan {
        tls: Some(authority.tls()),
        ..Plan::default()
    };
    let files = authority.client_files("python");
    let tls: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .chain([NAME.to_owned()])
        .collect();
    exchange(database, plan, &tls).await;
}
