//! What is kept, and where: no secret in clear in the database, the log or the process.

use std::{fs, sync::Arc};

use conformance::client::Connection;
use rotunda::{
    auth::{Auth, Settings, brand::Brand, sealed::MasterKey},
    clock::SystemClock,
    engine::{self, Engine},
    store::{Options, Store},
};
use serde_json::{Value, json};

use super::program::Place;

async fn post(connection: &mut Connection, path: &str, body: Value) -> Value {
    let json = [("content-type", "application/json")];
    let body = Some(body.to_string());
    let reply = connection.send("POST", path, body, &json).await.unwrap();
    assert!(reply.status.is_success(), "{}", reply.brief());
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_clear_in_files_or_in_the_process() {
    let place = Place::new();
    let server = place.serve(&["--demo"]);
    let first = server.line("first start: log in as admin with the one-time password ");
    let mut secrets = vec![first.split_whitespace().next().unwrap().to_owned()];
    for beginning in [
        "demo users, each named after its role, all with the password ",
        "demo-confidential  secret ",
        "API key of a demo interface engine: ",
    ] {
        secrets.push(server.line(beginning).to_owned());
    }
    let private: Value =
        serde_json::from_str(server.line("demo-backend       private key ")).unwrap();
    secrets.push(private["d"].as_str().unwrap().to_owned());
    let admin = place.token(&["--role", "administrator"]);
    let mut administrator = server.with(&admin);
    let user = post(&mut administrator, "/admin/users", json!({"login": "kate"})).await;
    secrets.push(user["password"].as_str().unwrap().to_owned());
    let chosen = "tea with seven bees";
    post(
        &mut administrator,
        "/admin/users",
        json!({"login": "paul", "password": chosen}),
    )
    .await;
    secrets.push(chosen.to_owned());
    let client = json!({"name": "c", "confidential": true, "scopes": ["system/*.rs"]});
    let client = post(&mut administrator, "/admin/clients", client).await;
    secrets.push(client["secret"].as_str().unwrap().to_owned());
    let key = post(
        &mut administrator,
        "/admin/keys",
        json!({"name": "k", "scopes": ["system/*.rs"]}),
    )
    .await;
    let key = key["key"].as_str().unwrap();
    assert_eq!(server.status(key, "/fhir/Patient/patient-01").await, 200);
    secrets.push(key.splitn(3, '_').nth(2).unwrap().to_owned());
    let token = post(
        &mut administrator,
        "/admin/tokens",
        json!({"user": "doctor"}),
    )
    .await;
    secrets.push(token["access_token"].as_str().unwrap().to_owned());
    secrets.push(admin);
    let key_file = fs::read_to_string(place.path("a.db.key")).unwrap();
    secrets.push(key_file.trim().to_owned());

    let mut texts = vec![("the log".to_owned(), server.logged().into_bytes())];
    for name in ["a.db", "a.db-wal", "a.db-shm"] {
        texts.push((name.to_owned(), fs::read(place.path(name)).unwrap()));
    }
    for name in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{name}", server.id());
        texts.push((name.to_owned(), fs::read(path).unwrap()));
    }
    assert!(
        texts
            .iter()
            .any(|(name, text)| name == "a.db-wal" && text.len() > 10_000)
    );
    for secret in &secrets {
        assert!(secret.len() >= 16, "{secret}");
        for (name, text) in &texts {
            let stands = text
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!stands, "{secret} stands in {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_and_recovery_codes_of_second_factors_are_not_kept_in_clear() {
    let place = Place::new();
    place.serve(&[]).stop();
    let user = place.json(&["user", "show", "admin"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = format!("sqlite:{}", place.path("a.db").display());
    let store = Arc::new(Store::open(&url, &Options::default()).await.unwrap());
    let clock = Arc::new(SystemClock::default());
    let settings = engine::Settings::default();
    let engine = Engine::open(Arc::clone(&store), settings, clock.clone())
        .await
        .unwrap();
    let settings = Settings {
        issuer: "http://127.0.0.1".to_owned(),
        base_url: "http://127.0.0.1/fhir".to_owned(),
        user_token_seconds: 900,
        backend_token_seconds: 300,
        offline_days: 100,
        brand: Brand::default(),
        external: Vec::new(),
    };
    let master = MasterKey::from_file(&place.path("a.db.key"), false).unwrap();
    let auth = Auth::open(settings, Arc::clone(&store), engine, clock, master)
        .await
        .unwrap();
    let mut secrets = auth.new_recovery_codes(&user).await.unwrap();
    secrets.push(auth.new_totp(&user).await.unwrap().text());
    assert!(secrets.len() > 5);
    for name in ["a.db", "a.db-wal"] {
        let text = fs::read(place.path(name)).unwrap();
        for secret in &secrets {
            let bare = secret.replace([' ', '-'], "");
            for form in [secret, &bare] {
                let stands = text.windows(form.len()).any(|part| part == form.as_bytes());
                assert!(!stands, "{form} stands in {name}");
            }
        }
    }
}
