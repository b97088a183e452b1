//! What attackers try first: each gets a refusal that tells them nothing, and the server goes on.

use std::time::{Duration, Instant};

use rotunda::http::Proxies;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::{
    client::{Answer, Client},
    server::{Database, Options, Server},
};

const FHIR: (&str, &str) = ("Content-Type", "application/fhir+json");
/// Stands in a resource that nobody asks for by its name.
const CANARY: &str = "Kanarienvogel";

/// A server with the canary as `Patient/b`.
async fn server() -> Server {
    let server = Server::plain(Database::Sqlite).await;
    let body = format!(r#"{{"resourceType":"Patient","id":"b","name":[{{"family":"{CANARY}"}}]}}"#);
    let answer = send(&server, "PUT", "/fhir/Patient/b", &[FHIR], body.as_bytes()).await;
    assert_eq!(answer.status, 201);
    server
}

async fn send(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut client = Client::connect(server.address).await;
    client.send(method, path, headers, body).await
}

/// Sends bytes and gives all that comes back.
async fn send_raw(server: &Server, bytes: &[u8]) -> Option<Answer> {
    let mut client = Client::connect(server.address).await;
    let _ = client.send_raw(bytes).await;
    client.receive(false).await
}

async fn is_alive(server: &Server) {
    let asked = Instant::now();
    let answer = send(server, "GET", "/fhir/Patient/b", &[], b"").await;
    assert_eq!(answer.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(3));
}

/// An OperationOutcome that says nothing of how the server is made.
fn tells_nothing(answer: &Answer, asked: &str) {
    let said = answer.text();
    assert_eq!(answer.json()["resourceType"], "OperationOutcome", "{asked}");
    for leak in [
        CANARY, "/root", "/home", "src/", ".rs", ".db", "SELECT", "sqlite", "postgres", "panicked",
        "axum", "hyper", "tokio", "rotunda/", "0x",
    ] {
        let found = said.to_lowercase().contains(&leak.to_lowercase());
        assert!(!found, "{asked}: {leak} is in {said}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(!said.contains(version), "{asked}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_forgotten_routes() {
    let server = server().await;
    for path in [
        "/metrics",
        "/health",
        "/health/live",
        "/health/ready",
        "/debug/pprof/",
        "/debug/vars",
        "/actuator",
        "/actuator/env",
        "/actuator/heapdump",
        "/.env",
        "/.git/config",
        "/.svn/entries",
        "/backup",
        "/rotunda.db",
        "/rotunda.db.key",
        "/server-status",
        "/console",
        "/swagger",
        "/swagger-ui/index.html",
        "/v2/api-docs",
        "/openapi.json",
        "/graphql",
        "/fhir/$graphql",
        "/fhir/metrics",
        "/fhir/swagger-ui/",
        "/fhir/.env",
        "/robots.txt",
        "/wp-login.php",
        "/cgi-bin/test.cgi",
        "/phpmyadmin/",
    ] {
        let answer = send(&server, "GET", path, &[], b"").await;
        assert!(
            [400, 404].contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        tells_nothing(&answer, path);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_do_not_tell_how_the_server_is_made() {
    let server = server().await;
    for (method, path, body) in [
        ("POST", "/fhir/Patient", "{\"resourceType\":\"Patient\","),
        (
            "POST",
            "/fhir/Patient",
            "{\"resourceType\":\"Patient\",\"x\":1}",
        ),
        ("POST", "/fhir/Patient", "<Patient/>"),
        ("POST", "/fhir/Patient", "\u{0}"),
        (
            "POST",
            "/fhir",
            "{\"resourceType\":\"Bundle\",\"type\":\"x\"}",
        ),
        (
            "PUT",
            "/fhir/Patient/b",
            "{\"resourceType\":\"Observation\"}",
        ),
        ("PATCH", "/fhir/Patient/b", "[{\"op\":\"x\"}]"),
        ("BREW", "/fhir/Patient/b", ""),
        ("GET", "/fhir/Patient/%00", ""),
        ("GET", "/fhir/Patient/b/_history/x", ""),
        ("GET", "/fhir/Patient?_count=abc", ""),
        ("GET", "/fhir/Patient?name=%00", ""),
        ("GET", "/fhir/Patient?name=%ff", ""),
        ("GET", "/fhir/Patient?_sort=%27%20OR%201%3D1--", ""),
        ("GET", "/fhir/Patient?%27%20OR%201%3D1--=x", ""),
        ("GET", "/fhir/Patient?_page=../../etc/passwd", ""),
        ("GET", "/fhir/Patient/$nothing", ""),
        ("GET", "/fhir/Patient?access_token=abc", ""),
        ("GET", "/fhir/Patient/b?access_token=abc", ""),
        (
            "POST",
            "/fhir/Patient?access_token=abc",
            "{\"resourceType\":\"Patient\"}",
        ),
    ] {
        let answer = send(&server, method, path, &[FHIR], body.as_bytes()).await;
        let shown = format!("{method} {path} {body}");
        assert!(
            (400..500).contains(&answer.status),
            "{shown}: {}",
            answer.status
        );
        tells_nothing(&answer, &shown);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_can_be_read_in_two_ways_lead_nowhere() {
    let server = server().await;
    for path in [
        "/./fhir/Patient/b",
        "/fhir/./Patient/b",
        "/fhir/x/../Patient/b",
        "/fhir/%2e/Patient/b",
        "/fhir/%2e%2e/fhir/Patient/b",
        "/fhir/..%2fPatient/b",
        "/fhir/..%5cPatient/b",
        "//fhir/Patient/b",
        "/fhir//Patient/b",
        "/fhir/Patient//b",
        "/fhir/Patient/b//",
        "/fhir/Patient%2fb",
        "/fhir/Patient%5cb",
        "/fhir\\Patient\\b",
        "/fhir/Patient;x=1/b",
        "/fhir/Patient/b;x",
        "/fhir/Patient/b%00",
        "/fhir/Patient/b%00.json",
        "/fhir/Patient/b%0a",
        "/fhir/Patient/b%20",
        "/fhir/Patient/%2562",
        "/fhir/Patient/%c0%62",
        "/fhir/patient/b",
        "/fhir/PATIENT/b",
        "/FHIR/Patient/b",
        "/fhir/Patient/b.json",
        "/fhir/Patient/b~",
        "/fhir/Patient/B",
    ] {
        let answer = send(&server, "GET", path, &[], b"").await;
        assert!(
            [400, 404].contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        assert!(!answer.text().contains(CANARY), "{path}");
    }
    is_alive(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_and_connect_do_nothing_and_echo_nothing() {
    let server = server().await;
    // HTTP/2 is not spoken, whoever begins with it.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answer = send_raw(&server, preface).await;
    assert!(answer.is_none_or(|answer| answer.status == 400));
    for target in [
        "/fhir/Patient/b",
        "/fhir",
        "/",
        "*",
        "evil.example:443",
        "127.0.0.1:22",
    ] {
        for method in ["TRACE", "CONNECT", "TRACK", "DEBUG"] {
            let request =
                format!("{method} {target} HTTP/1.1\r\nHost: a\r\nX-Secret: {CANARY}\r\n\r\n");
            let answer = send_raw(&server, request.as_bytes()).await.expect(&request);
            let refused = [400, 404, 405, 501].contains(&answer.status);
            assert!(refused, "{request}: {}", answer.status);
            assert!(!answer.text().contains(CANARY), "{request}");
            assert!(!answer.text().contains("SSH"), "{request}");
        }
    }
    is_alive(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_much_are_refused() {
    let server = server().await;
    let line = |name: usize| format!("X-{name}: a\r\n");
    let many: String = (0..2_000).map(line).collect();
    for (what, uri, headers, statuses) in [
        (
            "200 kB URI",
            format!("/fhir/Patient?name={}", "a".repeat(200_000)),
            String::new(),
            &[414, 431][..],
        ),
        (
            "200 kB path",
            format!("/fhir/Patient/{}", "a".repeat(200_000)),
            String::new(),
            &[414, 431],
        ),
        (
            "20 kB URI",
            format!("/fhir/Patient?name={}", "a".repeat(20_000)),
            String::new(),
            &[414],
        ),
        (
            "2,000 headers",
            "/fhir/metadata".to_owned(),
            many,
            &[400, 431],
        ),
        (
            "a header of 1 MiB",
            "/fhir/metadata".to_owned(),
            format!("X: {}\r\n", "a".repeat(1 << 20)),
            &[431],
        ),
        (
            "a header of 40 kB",
            "/fhir/metadata".to_owned(),
            format!("X: {}\r\n", "a".repeat(40_000)),
            &[431],
        ),
        (
            "a name of 100 kB",
            "/fhir/metadata".to_owned(),
            format!("{}: a\r\n", "X".repeat(100_000)),
            &[400, 431],
        ),
    ] {
        let request = format!("GET {uri} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let asked = Instant::now();
        let answer = send_raw(&server, request.as_bytes()).await.expect(what);
        assert!(
            statuses.contains(&answer.status),
            "{what}: {}",
            answer.status
        );
        assert!(asked.elapsed() < Duration::from_secs(2), "{what}");
        is_alive(&server).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_that_are_too_much_are_refused_or_bounded() {
    let server = server().await;
    let entry = r#"{"request":{"method":"GET","url":"Patient/none"}}"#;
    let many = vec![entry; 50_000].join(",");
    let cycle = |number: usize| {
        let next = (number + 1) % 300;
        format!(
            r#"{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{number:012}","resource":{{"resourceType":"Patient","link":[{{"type":"seealso","other":{{"reference":"urn:uuid:00000000-0000-4000-8000-{next:012}"}}}}]}},"request":{{"method":"POST","url":"Patient"}}}}"#
        )
    };
    let cycles: Vec<String> = (0..300).map(cycle).collect();
    let bundle = |kind: &str, entries: &str| {
        format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}"#)
    };
    let nested = (0..40).fold(bundle("batch", ""), |inner, _| {
        bundle(
            "batch",
            &format!(r#"{{"resource":{inner},"request":{{"method":"POST","url":""}}}}"#),
        )
    });
    let inside = bundle(
        "batch",
        &format!(
            r#"{{"resource":{},"request":{{"method":"POST","url":"Bundle"}}}}"#,
            bundle("transaction", entry)
        ),
    );
    for (what, body, statuses) in [
        (
            "50,000 entries",
            bundle("batch", &many),
            &[400, 413, 422][..],
        ),
        (
            "a cycle of references",
            bundle("transaction", &cycles.join(",")),
            &[200],
        ),
        ("40 nested Bundles", nested, &[200, 400, 413, 422]),
        ("a Bundle as a resource", inside, &[200]),
    ] {
        let asked = Instant::now();
        let answer = send(&server, "POST", "/fhir", &[FHIR], body.as_bytes()).await;
        assert!(
            statuses.contains(&answer.status),
            "{what}: {}",
            answer.status
        );
        assert!(asked.elapsed() < Duration::from_secs(8), "{what}");
        assert!(!answer.text().contains(CANARY), "{what}");
        is_alive(&server).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_keep_nobody_out() {
    let server = server().await;
    let mut idle = Vec::new();
    for number in 0..1_000 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if number % 2 == 0 {
            // Half of them have been used.
            let mut client = Client::over(stream);
            assert_eq!(
                client
                    .send("HEAD", "/fhir/Patient/b", &[], b"")
                    .await
                    .status,
                200
            );
            stream = client.into_stream();
        }
        idle.push(stream);
    }
    is_alive(&server).await;
    // They were not thrown out either: there is room for them.
    let mut last = idle.pop().unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(50), last.read(&mut [0; 1])).await;
    assert!(waiting.is_err(), "{waiting:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_sends_too_much_is_told_when_to_come_back() {
    let mut options = Options::default();
    options.set("address_requests_per_second", "2");
    options.http.proxies = Proxies {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..Proxies::default()
    };
    let server = Server::start(Database::Sqlite, options).await;
    let mut client = Client::connect(server.address).await;
    let mut from = async |address: &str| {
        let headers = [("X-Forwarded-For", address)];
        client.send("GET", "/fhir/metadata", &headers, b"").await
    };
    let mut refused = None;
    for number in 0..100 {
        // What stands to the left is the client's invention, and changes nothing.
        let answer = from(&format!("10.0.0.{number}, 192.0.2.1")).await;
        if answer.status == 429 {
            refused = Some((number, answer));
            break;
        }
        assert_eq!(answer.status, 200);
    }
    let (passed, answer) = refused.expect("a refusal");
    assert!((20..40).contains(&passed), "{passed}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    tells_nothing(&answer, "too much");
    assert_eq!(from("192.0.2.2").await.status, 200);
    server.stop().await;
}
