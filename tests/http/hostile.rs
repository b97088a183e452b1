//! Requests that want to do harm: each gets its error, and the server goes on.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use crate::{
    client::{Answer, Client},
    server::{Database, Options, Server},
};

const FHIR: (&str, &str) = ("Content-Type", "application/fhir+json");

async fn server(settings: &[(&str, &str)]) -> Server {
    let mut options = Options::default();
    for (key, value) in settings {
        options.set(key, value);
    }
    Server::start(Database::Sqlite, options).await
}

async fn post(server: &Server, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut client = Client::connect(server.address).await;
    client.send("POST", "/fhir/Patient", headers, body).await
}

async fn is_alive(server: &Server) {
    let mut client = Client::connect(server.address).await;
    let answer = client.send("GET", "/fhir/metadata", &[], b"").await;
    assert_eq!(answer.status, 200);
}

fn is_outcome(answer: &Answer) {
    let json = answer.json();
    assert_eq!(json["resourceType"], "OperationOutcome", "{json}");
    let said = json["issue"][0]["diagnostics"].as_str().unwrap();
    for leak in [
        "/home", "src/", ".rs", "SELECT", "panicked", "sqlx", "rusqlite",
    ] {
        assert!(!said.contains(leak), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_json_is_refused_and_never_an_error_of_the_server() {
    let server = server(&[]).await;
    let deep_arrays = format!(
        "{{\"resourceType\":\"Patient\",\"a\":{}",
        "[".repeat(100_000)
    );
    let deep_objects = "{\"extension\":".repeat(100_000);
    let digits = format!(
        "{{\"resourceType\":\"Patient\",\"multipleBirthInteger\":{}}}",
        "9".repeat(100_000)
    );
    let with = |text: &str| format!("{{\"resourceType\":\"Patient\",{text}}}").into_bytes();
    let bodies: Vec<Vec<u8>> = vec![
        deep_arrays.into_bytes(),
        deep_objects.into_bytes(),
        digits.into_bytes(),
        with("\"active\":NaN"),
        with("\"active\":1e999999999"),
        with("\"birthDate\":\"\\ud800\""),
        with("\"birthDate\":\"\\u0000\""),
        with("\"active\":true,\"active\":true"),
        with("\"\\u0061ctive\":true"),
        b"\xff\xfe{}".to_vec(),
        [&with("\"id\":\"")[..], b"\xc3\x28\"}"].concat(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"Patient\"".to_vec(),
        b"{}".to_vec(),
        b"\0".to_vec(),
        vec![b' '; 100_000],
    ];
    for body in bodies {
        let answer = post(&server, &[FHIR], &body).await;
        let shown: String = String::from_utf8_lossy(&body).chars().take(60).collect();
        assert!(
            (400..=422).contains(&answer.status),
            "{shown}: {}",
            answer.status
        );
        is_outcome(&answer);
    }
    is_alive(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_cut_off() {
    let server = server(&[("resource_bytes", "100000")]).await;
    let mut client = Client::connect(server.address).await;
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send_raw(head.as_bytes()).await.unwrap();
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let mut sent = 0;
    while sent < 4_000_000 && client.send_raw(chunk.as_bytes()).await.is_ok() {
        sent += 0x4000;
    }
    let answer = client
        .receive(false)
        .await
        .expect("an answer before the end");
    assert_eq!(answer.status, 413);
    is_outcome(&answer);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_length_that_is_too_much_is_refused_at_once() {
    let server = server(&[]).await;
    let mut client = Client::connect(server.address).await;
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Type: application/fhir+json\r\nContent-Length: 99999999999\r\n\r\n";
    client.send_raw(head.as_bytes()).await.unwrap();
    assert_eq!(client.receive(false).await.unwrap().status, 413);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bombs_cost_no_more_than_the_bound() {
    let server = server(&[]).await;
    let zeros = vec![b' '; 64 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::bulk::compress(&zeros, 1).unwrap();
    for (coding, packed) in [("gzip", gzip), ("zstd", zstd)] {
        let answer = post(&server, &[FHIR, ("Content-Encoding", coding)], &packed).await;
        assert_eq!(answer.status, 413, "{coding}");
        is_outcome(&answer);
    }
    let twice = [FHIR, ("Content-Encoding", "gzip, gzip")];
    assert_eq!(post(&server, &twice, b"x").await.status, 415);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_works_both_ways_for_those_who_ask() {
    let server = server(&[]).await;
    let text = format!(
        "{{\"resourceType\":\"Patient\",\"name\":[{{\"family\":\"{}\"}}]}}",
        "x".repeat(5_000)
    );
    let packed = zstd::bulk::compress(text.as_bytes(), 1).unwrap();
    let answer = post(&server, &[FHIR, ("Content-Encoding", "zstd")], &packed).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("content-encoding"), None);

    let headers = [FHIR, ("Accept-Encoding", "zstd")];
    let answer = post(&server, &headers, text.as_bytes()).await;
    assert_eq!(answer.header("content-encoding"), Some("zstd"));
    let body = zstd::bulk::decompress(&answer.body, 1 << 20).unwrap();
    assert!(String::from_utf8(body).unwrap().contains("xxxxx"));

    let headers = [FHIR, ("Accept-Encoding", "gzip")];
    let answer = post(&server, &headers, text.as_bytes()).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("vary"), Some("accept-encoding"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn smuggled_requests_get_one_refusal_and_an_end() {
    let server = server(&[]).await;
    let hidden = "GET /fhir/metadata HTTP/1.1\r\nHost: a\r\n\r\n";
    let shapes = [
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: 5, 6\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: -1\r\n\r\n",
        "Content-Length : 5\r\n\r\nhello",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        "X: a\rb\r\n\r\n",
        "X\0: a\r\n\r\n",
    ];
    for shape in shapes {
        let mut client = Client::connect(server.address).await;
        let text = format!(
            "POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Type: application/fhir+json\r\n{shape}{hidden}"
        );
        client.send_raw(text.as_bytes()).await.unwrap();
        let answer = client.receive(false).await.expect(shape);
        assert!(
            (400..=422).contains(&answer.status),
            "{shape:?}: {}",
            answer.status
        );
        let second = client.receive(false).await;
        assert!(second.is_none(), "{shape:?}: a second answer {second:?}");
    }
    // With both headers, the chunks are the body, and the connection ends.
    let mut client = Client::connect(server.address).await;
    let both = format!(
        "POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
    );
    client.send_raw(both.as_bytes()).await.unwrap();
    let mut answers = 0;
    while client.receive(false).await.is_some() {
        answers += 1;
    }
    assert!(answers <= 1, "{answers} answers");
    is_alive(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_one_host_and_it_is_this_server() {
    let mut options = Options::default();
    options.http.open = true;
    let server = Server::start(Database::Sqlite, options).await;
    let here = format!("http://{}", server.address);
    for (target, hosts, status) in [
        ("/fhir/metadata", "Host: localhost\r\n", 200),
        ("/fhir/metadata", "", 400),
        (
            "/fhir/metadata",
            "Host: localhost\r\nHost: localhost\r\n",
            400,
        ),
        ("/fhir/metadata", "Host: evil.example\r\n", 421),
        (
            "http://evil.example/fhir/metadata",
            "Host: localhost\r\n",
            421,
        ),
        (&format!("{here}/fhir/metadata"), "Host: localhost\r\n", 200),
    ] {
        let mut client = Client::connect(server.address).await;
        let request = format!("GET {target} HTTP/1.1\r\n{hosts}\r\n");
        client.send_raw(request.as_bytes()).await.unwrap();
        let answer = client.receive(false).await.expect(target);
        assert_eq!(answer.status, status, "{target} {hosts:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_given_up() {
    let server = server(&[("request_ms", "300")]).await;
    let mut client = Client::connect(server.address).await;
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Type: application/fhir+json\r\nContent-Length: 100\r\n\r\n{";
    let asked = Instant::now();
    client.send_raw(head.as_bytes()).await.unwrap();
    let answer = client.receive(false).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    is_outcome(&answer);
    assert!(asked.elapsed() < Duration::from_secs(3));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_take_nobodys_place() {
    let server = server(&[("requests", "2")]).await;
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Type: application/fhir+json\r\nContent-Length: 28\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(server.address).await;
        client.send_raw(head.as_bytes()).await.unwrap();
        slow.push(client);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    is_alive(&server).await;
    let mut first = slow.remove(0);
    first
        .send_raw(b"{\"resourceType\":\"Patient\"}  ")
        .await
        .unwrap();
    assert_eq!(first.receive(false).await.unwrap().status, 201);
    drop(slow);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_share_a_bounded_room() {
    let room = ("bodies_bytes", "300000");
    let server = server(&[
        room,
        ("resource_bytes", "200000"),
        ("bundle_bytes", "200000"),
    ])
    .await;
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Type: application/fhir+json\r\nContent-Length: 180000\r\n\r\n";
    let part = [head.as_bytes(), &[b' '; 170_000]].concat();
    let mut first = Client::connect(server.address).await;
    first.send_raw(&part).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut second = Client::connect(server.address).await;
    second.send_raw(&part).await.unwrap();
    let refused = second.receive(false).await.unwrap();
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    is_outcome(&refused);
    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = post(&server, &[FHIR], &[b' '; 180_000]).await;
    assert_eq!(answer.status, 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_at_once_are_answered_or_told_to_come_back() {
    let server = server(&[("requests", "64")]).await;
    let ask = || async {
        let mut client = Client::connect(server.address).await;
        client.send("GET", "/fhir/Patient?_count=1", &[], b"").await
    };
    let answers = futures_util::future::join_all((0..400).map(|_| ask())).await;
    for answer in &answers {
        let told = answer.status == 503 && answer.header("retry-after").is_some();
        assert!(answer.status == 200 || told, "{}", answer.status);
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_searches_are_refused_or_bounded() {
    let server = server(&[]).await;
    let many_values = format!("/fhir/Patient?name={}", "a,".repeat(5_000));
    let many_sorts = format!("/fhir/Patient?_sort={}", "family,".repeat(1_000));
    let many_params = format!("/fhir/Patient?{}", "name=a&".repeat(1_000));
    let chain = format!(
        "/fhir/Patient?{}name=a",
        "_has:Observation:patient:".repeat(12)
    );
    let searches = [
        many_values.as_str(),
        &many_sorts,
        &many_params,
        &chain,
        "/fhir/Patient?name=%27%20OR%201%3D1--",
        "/fhir/Patient?_id=%27%3BDROP%20TABLE%20version%3B--",
        "/fhir/Patient?_sort=name%3B--",
        "/fhir/Patient?name:exact=%25%25%25",
        "/fhir/Patient?name:contains=__________",
        "/fhir/Patient?_content=%22%20OR%20%2A",
        "/fhir/Patient?_filter=((((((((((",
        "/fhir/Patient?=",
        "/fhir/Patient?&&&",
        "/fhir/Patient?_count=99999999999999999999",
        "/fhir/Patient?_page=AAAA",
        "/fhir/Patient?birthdate=ge0000-00-00",
        "/fhir/Observation?value-quantity=1e999999999",
        "/fhir/Location?near=999%7C999%7C1%7Ckm",
    ];
    for search in searches {
        let asked = Instant::now();
        let mut client = Client::connect(server.address).await;
        let answer = client.send("GET", search, &[], b"").await;
        let shown: String = search.chars().take(80).collect();
        assert!(
            answer.status < 500,
            "{shown}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(asked.elapsed() < Duration::from_secs(3), "{shown}");
        if answer.status >= 400 {
            is_outcome(&answer);
        }
    }
    is_alive(&server).await;
    server.stop().await;
}
