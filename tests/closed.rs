//! A server as it starts by default: nothing without a token, save what says where to get one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use client::{Answer, Client};

#[path = "http/client.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod client;

/// The program, in a folder of its own, with nothing but addresses set.
struct Program {
    child: Child,
    address: SocketAddr,
    base: String,
    _folder: tempfile::TempDir,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_rotunda"))
            .args(["serve", "--log", "json", "--store", "sqlite:a.db"])
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["authentication"], true);
        Self {
            child,
            address: told["listen"].as_str().unwrap().parse().unwrap(),
            base: told["fhir"].as_str().unwrap().to_owned(),
            _folder: folder,
        }
    }

    async fn send(&self, request: &str, headers: &[(&str, &str)]) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let mut client = Client::connect(self.address).await;
        let body: &[u8] = match method {
            "POST" | "PUT" | "PATCH" => br#"{"resourceType":"Patient","id":"b"}"#,
            _ => b"",
        };
        let mut all = vec![("Content-Type", "application/fhir+json")];
        all.extend_from_slice(headers);
        client.send(method, path, &all, body).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn nothing_is_served_without_a_token() {
    let program = Program::start();
    for request in [
        "GET /fhir",
        "GET /fhir?_type=Patient",
        "GET /fhir/Patient",
        "HEAD /fhir/Patient",
        "GET /fhir/Patient?name=a&_summary=count",
        "GET /fhir/Patient/b",
        "GET /fhir/Patient/b?_format=json",
        "GET /fhir/Patient/b/_history",
        "GET /fhir/Patient/b/_history/1",
        "GET /fhir/Patient/b/Observation",
        "GET /fhir/Patient/_history",
        "GET /fhir/_history",
        "GET /fhir/AuditEvent",
        "GET /fhir/Binary/x",
        "GET /fhir/StructureDefinition/Patient",
        "GET /fhir/SearchParameter",
        "GET /fhir/ValueSet/$expand?url=x",
        "GET /fhir/Patient/b/$everything",
        "GET /fhir/$export",
        "GET /fhir/$graphql?query={Patient{id}}",
        "POST /fhir",
        "POST /fhir/_search",
        "POST /fhir/Patient",
        "POST /fhir/Patient/_search",
        "POST /fhir/Patient/$validate",
        "PUT /fhir/Patient/b",
        "PUT /fhir/Patient?identifier=a",
        "PATCH /fhir/Patient/b",
        "DELETE /fhir/Patient/b",
        "DELETE /fhir/Patient?name=a",
        "GET /admin",
        "GET /admin/users",
        "POST /admin/clients",
    ] {
        for credentials in [
            None,
            Some("Bearer x"),
            Some("Bearer at_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            Some("Bearer "),
            Some("Basic YWRtaW46YWRtaW4="),
            Some("Bearer null"),
            Some("bearer undefined"),
        ] {
            let headers: Vec<_> = credentials
                .map(|value| ("Authorization", value))
                .into_iter()
                .collect();
            let answer = program.send(request, &headers).await;
            let shown = format!("{request} {credentials:?}");
            assert_eq!(answer.status, 401, "{shown}: {}", answer.text());
            let challenge = answer.header("www-authenticate").expect(&shown);
            assert!(challenge.starts_with("Bearer"), "{shown}: {challenge}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{shown}");
        }
    }
    for request in [
        "GET /fhir/Patient?access_token=x",
        "GET /fhir/Patient/b?access_token=x",
    ] {
        let answer = program.send(request, &[]).await;
        assert!([400, 401].contains(&answer.status), "{request}");
    }
}

#[tokio::test]
async fn what_is_public_says_the_same_whatever_a_request_claims() {
    let program = Program::start();
    let origin = program.base.trim_end_matches("/fhir");
    for path in [
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
        "/.well-known/openid-configuration",
    ] {
        let request = format!("GET {path}");
        let plain = program.send(&request, &[]).await;
        assert_eq!(plain.status, 200, "{path}");
        assert!(plain.text().contains(origin), "{path}");
        for (name, value) in [
            ("Host", "evil.example"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "gopher"),
            ("X-Forwarded-Prefix", "/evil"),
            ("Forwarded", "host=evil.example;proto=gopher"),
            ("X-Original-URL", "/evil"),
            ("X-Rewrite-URL", "/evil"),
        ] {
            let poisoned = program.send(&request, &[(name, value)]).await;
            assert_eq!(poisoned.status, 200, "{path} {name}");
            assert_eq!(poisoned.text(), plain.text(), "{path} {name}");
        }
    }
    for path in [
        "/.well-known/security.txt",
        "/.well-known/",
        "/fhir/.well-known/x",
        "/auth/",
        "/auth",
    ] {
        let answer = program.send(&format!("GET {path}"), &[]).await;
        assert!(
            [303, 400, 401, 404].contains(&answer.status),
            "{path}: {}",
            answer.status
        );
    }
}
