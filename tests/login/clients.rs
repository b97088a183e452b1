//! SMART's own libraries, unmodified, complete their launch and read data: JavaScript's
//! `fhirclient` on a server and in a browser, and Python's.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use axum::{Router, http::header, response::Html, routing::get};
use rotunda::{
    auth::{
        client::{Client, HashedSecret},
        secret,
    },
    http,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    client,
    person::Person,
    webdriver::Browser,
    world::{Database, PASSWORD, World},
};

const SECRET: &str = "the secret of the app on a server";
const SCOPE: &str = "openid fhirUser launch/patient patient/Patient.rs patient/Observation.rs \
                     offline_access";

fn folder() -> String {
    format!("{}/tests/clients", env!("CARGO_MANIFEST_DIR"))
}

/// An app that runs on a server of its own.
struct App {
    address: SocketAddr,
    process: Child,
    _input: Option<ChildStdin>,
}

impl App {
    fn start(world: &World, program: &[&str], folder: &str) -> Self {
        let mut command = Command::new(program[0]);
        let mut process = command
            .args(&program[1..])
            .current_dir(folder)
            .env("ISS", &world.base)
            .env("CLIENT_ID", "server-app")
            .env("CLIENT_SECRET", SECRET)
            .env("SCOPE", SCOPE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program:?} ({error}); tests/run.sh installs it"));
        let mut port = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("the app says its port");
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            _input: process.stdin.take(),
            process,
        }
    }

    async fn get(&self, path: &str) -> client::Answer {
        let mut http = client::Client::connect(self.address).await;
        let host = self.address.to_string();
        http.send("GET", path, &[("Host", &host)], b"").await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The user lets the app in; gives what it says that it read.
async fn launch(program: &[&str], folder: &str) -> Value {
    let world = World::new(Database::Sqlite).await;
    let app = App::start(&world, program, folder);
    let callback = format!("http://{}/callback", app.address);
    let registered = Client {
        secrets: vec![HashedSecret {
            hash: secret::hash(SECRET),
            expires: None,
        }],
        ..world.client("server-app", &callback, false)
    };
    world.put("server-app", registered).await;

    let sent = app.get("/launch").await;
    assert!(matches!(sent.status, 302 | 303 | 307), "{}", sent.text());
    let to = sent.header("location").unwrap();
    let path = to
        .strip_prefix(&world.issuer)
        .unwrap_or_else(|| panic!("{to}"));
    let mut ann = Person::new(&world);
    ann.log_in(path, "ann").await;
    let scopes = ann.boxes("scope");
    let mut ticked: Vec<(&str, &str)> = scopes
        .iter()
        .map(|scope| ("scope", scope.as_str()))
        .collect();
    ticked.push(("answer", "allow"));
    ann.send("/auth/consent", &ticked).await;
    let back = ann
        .at
        .split_once("/callback")
        .unwrap_or_else(|| panic!("{}", ann.at))
        .1;
    let said = app.get(&format!("/callback{back}")).await;
    assert_eq!(said.status, 200, "{}", said.text());
    drop(app);
    world.stop().await;
    said.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_with_the_javascript_library_on_its_server_reads_data() {
    let folder = format!("{}/javascript", folder());
    let said = launch(&["node", "app.mjs"], &folder).await;
    let expected = json!({
        "patient": "a", "observations": 1, "user": "Patient/a", "refreshed": true,
    });
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_with_the_python_library_reads_data() {
    let folder = format!("{}/python", folder());
    let python = format!("{folder}/venv/bin/python");
    let said = launch(&[&python, "app.py"], &folder).await;
    let expected = json!({ "patient": "a", "observations": 1, "refreshed": true });
    assert_eq!(said, expected);
}

const LAUNCH: &str = r#"<!doctype html><script src="/fhir-client.js"></script><script>
  FHIR.oauth2.authorize({ iss: "ISS", clientId: "browser-app", scope: "SCOPE",
    redirectUri: "/callback", pkceMode: "required" });
</script>"#;

const CALLBACK: &str = r#"<!doctype html><h1>App</h1><pre></pre><script src="/fhir-client.js"></script><script>
  const say = (text) => { document.querySelector("pre").textContent = text; };
  FHIR.oauth2.ready().then(async (client) => {
    const patient = await client.patient.read();
    const observations = await client.patient.request("Observation", { flat: true });
    const user = await client.user.read();
    say(`done ${patient.id} ${observations.length} ${user.resourceType}/${user.id}`);
  }).catch((error) => say(`failed ${error.stack}`));
</script>"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_with_the_javascript_library_in_a_browser_reads_data() {
    let library = format!("{}/javascript/node_modules/fhirclient/build", folder());
    let library = Path::new(&library).join("fhir-client.min.js");
    let library = std::fs::read_to_string(library).expect("tests/run.sh installs fhirclient");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Another origin than the server's; browsers take localhost for a secure context.
    let origin = format!("http://localhost:{port}");
    let settings = http::Settings {
        cors_origins: vec![origin.clone()],
        ..http::Settings::default()
    };
    let world = World::with(Database::Sqlite, settings).await;
    let launch = LAUNCH.replace("ISS", &world.base).replace("SCOPE", SCOPE);
    let script = move || async move { ([(header::CONTENT_TYPE, "text/javascript")], library) };
    let router = Router::new()
        .route("/launch", get(move || async move { Html(launch) }))
        .route("/callback", get(|| async { Html(CALLBACK) }))
        .route("/fhir-client.js", get(script));
    tokio::spawn(async move { axum::serve(listener, router).await });
    world
        .register("browser-app", &format!("{origin}/callback"), false)
        .await;

    let browser = Browser::start(true).await;
    browser.open(&format!("{origin}/launch")).await;
    browser.arrives("/auth/login").await;
    browser.write("#login", "ann").await;
    browser.write("#password", PASSWORD).await;
    browser.click("main button[type=submit]").await;
    browser.arrives("/auth/consent").await;
    browser.click("button[value=allow]").await;
    browser.arrives("/callback").await;
    let mut said = String::new();
    for _ in 0..100 {
        said = browser.text().await;
        if said.contains("done") || said.contains("failed") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(said.contains("done a 1 Patient/a"), "{said}");
    browser.stop().await;
    world.stop().await;
}
