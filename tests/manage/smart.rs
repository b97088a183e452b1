//! The black-box checker of SMART App Launch finds nothing wrong with the demo.

use std::fs;

use clap::Parser as _;
use conformance::smart::{CHECKS, Options, run};
use serde_json::json;

use super::program::Place;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn the_smart_checker_finds_nothing_wrong() {
    let place = Place::new();
    let server = place.serve(&["--demo"]);
    let password = server.line("demo users, each named after its role, all with the password ");
    let password = password.to_owned();
    let secret = server.line("demo-confidential  secret ").to_owned();
    let key = place.path("key.json");
    fs::write(&key, server.line("demo-backend       private key ")).unwrap();
    // A doctor opens the app for a patient in their care.
    let token = place.token(&["--user", "doctor"]);
    let body = json!({ "client_id": "demo-app", "patient": "patient-01" }).to_string();
    let launched = server
        .with(&token)
        .send("POST", "/auth/launch", Some(body), &[JSON])
        .await
        .unwrap();
    let launch_url = launched.json()["launch_url"].as_str().map(str::to_owned);
    assert!(launch_url.is_some(), "{}", launched.brief());
    let launch_url = launch_url.unwrap();
    let arguments = [
        ("--base", server.base.as_str()),
        ("--client", "demo-app"),
        ("--confidential", "demo-confidential"),
        ("--secret", &secret),
        ("--login", "patient"),
        ("--password", &password),
        ("--launch-url", &launch_url),
        ("--ehr-login", "doctor"),
        ("--ehr-password", &password),
        ("--backend", "demo-backend"),
        ("--backend-key", key.to_str().unwrap()),
    ];
    let arguments = arguments
        .into_iter()
        .flat_map(|(name, value)| [name, value]);
    let options = Options::try_parse_from(["smart-check"].into_iter().chain(arguments));
    let report = run(options.unwrap());
    let report = report.await.unwrap();
    let lines: Vec<String> = report.lines.iter().map(ToString::to_string).collect();
    let all = lines.join("\n");
    assert_eq!(report.count("fail"), 0, "{all}");
    // There is no TLS here.
    let skipped: Vec<&str> = (report.lines.iter())
        .filter(|line| line.word() == "skip")
        .map(|line| line.number)
        .collect();
    assert_eq!(skipped, ["2.1", "7.1"], "{all}");
    assert_eq!(report.lines.len(), CHECKS.len(), "{all}");
}
