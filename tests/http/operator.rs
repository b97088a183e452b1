//! What the operator sees: logs without anyone's data, metrics, health.

use std::{
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use rotunda::http::{Connections, Health, Metrics, admin_router, serve};
use tokio::net::TcpListener;

use crate::{
    client::Client,
    server::{Database, Server},
};

/// All that is logged by this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .json()
            .with_env_filter("rotunda=trace,hyper=debug")
            .with_writer(move || writer.clone())
            .init();
        log
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_name_requests_and_nobody() {
    let log = log();
    let server = Server::plain(Database::Sqlite).await;
    let mut client = Client::connect(server.address).await;
    const NAME: &str = "Zwiebelfisch";
    let patient =
        format!(r#"{{"resourceType":"Patient","id":"{NAME}","name":[{{"family":"{NAME}"}}]}}"#);
    let broken = format!("{{\"{NAME}\":");
    let invalid = format!(r#"{{"resourceType":"Patient","birthDate":"{NAME}"}}"#);
    let requests = [
        ("PUT", format!("/fhir/Patient/{NAME}"), patient),
        ("GET", format!("/fhir/Patient/{NAME}"), String::new()),
        ("GET", format!("/fhir/Patient?name={NAME}"), String::new()),
        ("GET", format!("/fhir/Patient?{NAME}=1"), String::new()),
        ("GET", format!("/fhir/{NAME}"), String::new()),
        ("POST", "/fhir/Patient".to_owned(), broken),
        ("POST", "/fhir/Patient".to_owned(), invalid),
        (NAME, "/fhir".to_owned(), String::new()),
    ];
    let headers = [
        ("Content-Type", "application/fhir+json"),
        ("User-Agent", NAME),
        ("X-Request-Id", "seen-by-the-log"),
    ];
    for (method, path, body) in &requests {
        client.send(method, path, &headers, body.as_bytes()).await;
    }
    server.stop().await;
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    let told = logged.lines().find(|line| line.contains(NAME));
    assert_eq!(told, None);
    assert!(logged.contains("seen-by-the-log"));
    let update = logged
        .lines()
        .find(|line| line.contains("\"interaction\":\"update\""));
    let update: serde_json::Value = serde_json::from_str(update.unwrap()).unwrap();
    let fields = &update["fields"];
    assert_eq!(fields["method"], "PUT");
    assert_eq!(fields["resource"], "Patient");
    assert!(fields["us"].as_u64().unwrap() > 0);
}

const HERE: (&str, &str) = ("Host", "localhost");

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_stand_on_the_admin_listener() {
    let metrics = Metrics::install().unwrap();
    let server = Server::plain(Database::Sqlite).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = listener.local_addr().unwrap();
    let router = admin_router(server.engine.clone(), Some(metrics), Health::default());
    let bounds = Connections::from(&server.engine.settings().limits);
    let admin_task = tokio::spawn(serve(listener, router, bounds, std::future::pending()));

    let mut client = Client::connect(server.address).await;
    client.send("GET", "/fhir/metadata", &[], b"").await;
    client.send("GET", "/fhir/Patient/nobody", &[], b"").await;

    let mut operator = Client::connect(admin).await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(
            operator.send("GET", path, &[HERE], b"").await.status,
            200,
            "{path}"
        );
    }
    let page = operator.send("GET", "/metrics", &[HERE], b"").await.text();
    for wanted in [
        r#"rotunda_http_requests_total{interaction="read",status="4xx"}"#,
        r#"rotunda_http_requests_total{interaction="capabilities",status="2xx"}"#,
        "rotunda_http_request_duration_seconds_bucket",
        "rotunda_http_requests_in_flight",
        "rotunda_store_takes_writes 1",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
    // A page whose name was pointed at this computer gets nothing.
    let foreign = ("Host", "evil.example:9090");
    let answer = operator.send("GET", "/metrics", &[foreign], b"").await;
    assert_eq!(answer.status, 421);
    drop(operator);
    admin_task.abort();
    let _ = admin_task.await;
    server.stop().await;
}
