//! `rotunda serve --demo`.

use serde_json::Value;

use super::program::Place;

async fn total(server: &super::program::Server, token: &str, kind: &str) -> Option<u64> {
    let path = format!("/fhir/{kind}?_summary=count");
    let reply = server
        .with(token)
        .send("GET", &path, None, &[])
        .await
        .unwrap();
    (reply.status.as_u16() == 200).then(|| reply.json()["total"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_demo_user_sees_what_the_role_gives() {
    let place = Place::new();
    let server = place.serve(&["--demo"]);
    // Of 23 patients the laboratory has done orders, of two more it has some to do.
    for (login, patients, observations, accounts) in [
        ("patient", Some(1), Some(13), Some(0)),
        ("proxy", Some(1), Some(13), Some(0)),
        ("doctor", Some(24), Some(668), Some(0)),
        ("receptionist", Some(40), None, None),
        ("laboratory", Some(25), Some(188), None),
        ("radiology", Some(5), Some(0), None),
        ("billing", Some(40), None, Some(0)),
        ("privacy-officer", Some(40), None, None),
        ("researcher", None, None, None),
        ("administrator", None, None, None),
    ] {
        let token = place.token(&["--user", login]);
        let found = [
            total(&server, &token, "Patient").await,
            total(&server, &token, "Observation").await,
            total(&server, &token, "Account").await,
        ];
        assert_eq!(found, [patients, observations, accounts], "{login}");
    }
    let nurse = place.token(&["--user", "nurse"]);
    assert_eq!(total(&server, &nurse, "Patient").await, Some(10));
    let radiology = place.token(&["--user", "radiology"]);
    for (kind, expected) in [
        ("ServiceRequest", 5),
        ("ImagingStudy", 3),
        ("DiagnosticReport", 3),
    ] {
        assert_eq!(
            total(&server, &radiology, kind).await,
            Some(expected),
            "{kind}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_says_how_to_begin_and_has_new_secrets_at_each_start() {
    let place = Place::new();
    let server = place.serve(&["--demo"]);
    let curl = server.line("curl -H 'Authorization: Bearer ").to_owned();
    let (token, rest) = curl.split_once("' '").unwrap();
    let path = rest
        .trim_end_matches('\'')
        .strip_prefix(server.root())
        .unwrap();
    assert_eq!(server.status(token, path).await, 200);
    let backend: Value =
        serde_json::from_str(server.line("demo-backend       private key ")).unwrap();
    let api_key = server
        .line("API key of a demo interface engine: ")
        .to_owned();
    let password = server
        .line("demo users, each named after its role, all with the password ")
        .to_owned();
    let users = place.json(&["user", "list"]).as_array().unwrap().len();
    server.stop();
    let server = place.serve(&["--demo"]);
    assert_eq!(
        place.json(&["user", "list"]).as_array().unwrap().len(),
        users
    );
    assert_ne!(
        server.line("demo users, each named after its role, all with the password "),
        password
    );
    let client = place.json(&["client", "show", "demo-backend"]);
    assert_eq!(client["jwks"]["keys"].as_array().unwrap().len(), 1);
    assert_ne!(client["jwks"]["keys"][0]["kid"], backend["kid"]);
    assert_eq!(
        server.status(&api_key, "/fhir/Patient/patient-01").await,
        401
    );
    assert_eq!(place.json(&["key", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn the_demo_is_for_this_computer_only() {
    let place = Place::new();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["serve", "--demo", "--listen", "127.0.0.1:0"])
        .env("ROTUNDA__HTTP__BASE_URL", "https://fhir.example.org/fhir")
        .current_dir(&place.folder)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && told.contains("for loopback addresses only"),
        "{told}"
    );
    assert_eq!(std::fs::read_dir(&place.folder).unwrap().count(), 0);
}
