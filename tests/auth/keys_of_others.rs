//! Key sets at a URL, and tokens of other issuers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rotunda::{
    auth::{client::Client, external::External},
    clock::Clock as _,
    fetch::{FetchSettings, Fetcher},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    assertion::{Keys, TYPE, With},
    world::{Database, World},
};

/// A host that publishes the keys and counts who asks.
struct Publisher {
    url: String,
    host: String,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    async fn of(set: &Value, cache_control: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let (body, count) = (set.to_string(), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut head = [0; 4_096];
                let _ = stream.read(&mut head).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: \
                     {cache_control}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            url: format!("http://{host}/jwks"),
            host,
            asked,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn fetcher(&self) -> Fetcher {
        let settings = FetchSettings {
            allow: vec![self.host.clone()],
            ..FetchSettings::default()
        };
        Fetcher::new(&settings).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_at_a_url_are_kept_as_long_as_their_server_allows() {
    for (cache_control, asked_again) in [("max-age=60", 1), ("no-store", 3)] {
        let publisher = Publisher::of(&Keys::get().set(), cache_control).await;
        let world = World::with(Database::Sqlite, Some(publisher.fetcher()), Vec::new()).await;
        let by_url = |url: &str| Client {
            jwks_uri: Some(url.to_owned()),
            scopes: vec!["system/*.rs".to_owned()],
            ..Client::default()
        };
        world.put("by-url", &by_url(&publisher.url)).await;
        world
            .put("inside", &by_url("http://169.254.169.254/jwks"))
            .await;
        let send = |client: &'static str, kid: &'static str, jku: Option<String>| {
            let world = &world;
            async move {
                let mut header = json!({ "alg": "RS384", "kid": kid, "typ": "JWT" });
                if let Some(jku) = jku {
                    header["jku"] = json!(jku);
                }
                let assertion = world.keys.sign(With::Rs384, &header, &world.claims(client));
                let pairs = [
                    ("grant_type", "client_credentials"),
                    ("scope", "system/*.rs"),
                    ("client_assertion_type", TYPE),
                    ("client_assertion", assertion.as_str()),
                ];
                world.form("/auth/token", &pairs).await.status
            }
        };
        for _ in 0..2 {
            assert_eq!(send("by-url", "r", None).await, 200);
        }
        let own = Some(publisher.url.clone());
        assert_eq!(send("by-url", "r", own).await, 200, "the registered jku");
        assert_eq!(publisher.asked(), asked_again, "{cache_control}");
        let other = Some(format!("{}?x", publisher.url));
        assert_eq!(send("by-url", "r", other).await, 401, "JW-05 another jku");
        assert_eq!(
            send("inside", "r", None).await,
            401,
            "SS-03 an address inside"
        );
        assert_eq!(publisher.asked(), asked_again, "JW-05");
        if asked_again == 1 {
            assert_eq!(send("by-url", "new", None).await, 401);
            assert_eq!(
                publisher.asked(),
                1,
                "a name that is made up asks nobody at once"
            );
            world.clock.advance(31_000);
            assert_eq!(send("by-url", "new", None).await, 401);
            assert_eq!(publisher.asked(), 2, "a new key is found in time");
            world.clock.advance(61_000);
            assert_eq!(send("by-url", "r", None).await, 200);
            assert_eq!(publisher.asked(), 3);
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_issuer_count_as_far_as_the_configuration_goes() {
    let publisher = Publisher::of(&Keys::get().set(), "max-age=600").await;
    let issuer = External {
        issuer: "https://idp.example".to_owned(),
        audience: "https://fhir.example/fhir".to_owned(),
        algorithms: vec!["RS384".to_owned()],
        jwks_url: Some(publisher.url.clone()),
        jwks_file: None,
        roles: vec!["patient".to_owned()],
        scope_claim: "scope".to_owned(),
        patient_claim: "patient".to_owned(),
        fhir_user_claim: "fhirUser".to_owned(),
    };
    assert!(issuer.problems().is_empty());
    let world = World::with(Database::Sqlite, Some(publisher.fetcher()), vec![issuer]).await;
    let now = world.clock.now() / 1_000;
    let claims = json!({
        "iss": "https://idp.example", "aud": "https://fhir.example/fhir", "sub": "7",
        "exp": now + 600, "scope": "patient/*.cruds user/*.rs", "patient": "a",
        "fhirUser": "Patient/a",
    });
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let header = |alg: &str| json!({ "alg": alg, "kid": "r" });
    for (attack, with, header, claims, status) in [
        ("control", With::Rs384, header("RS384"), claims.clone(), 200),
        (
            "scopes in a list",
            With::Rs384,
            header("RS384"),
            changed("scope", json!(["patient/*.rs"])),
            200,
        ),
        (
            "another patient",
            With::Rs384,
            header("RS384"),
            changed("patient", json!("b")),
            200,
        ),
        (
            "no scopes",
            With::Rs384,
            header("RS384"),
            changed("scope", json!("openid")),
            403,
        ),
        (
            "beyond the roles",
            With::Rs384,
            header("RS384"),
            changed("scope", json!("system/*.rs")),
            403,
        ),
        (
            "other issuer",
            With::Rs384,
            header("RS384"),
            changed("iss", json!("https://evil.example")),
            401,
        ),
        (
            "other audience",
            With::Rs384,
            header("RS384"),
            changed("aud", json!("x")),
            401,
        ),
        (
            "expired",
            With::Rs384,
            header("RS384"),
            changed("exp", json!(now)),
            401,
        ),
        (
            "exp in quotes",
            With::Rs384,
            header("RS384"),
            changed("exp", json!("9999999999")),
            401,
        ),
        (
            "not yet",
            With::Rs384,
            header("RS384"),
            changed("nbf", json!(now + 60)),
            401,
        ),
        (
            "another algorithm",
            With::Rs256,
            header("RS256"),
            claims.clone(),
            401,
        ),
        ("HMAC", With::Hmac, header("HS256"), claims.clone(), 401),
        (
            "unsigned",
            With::Nothing,
            header("none"),
            claims.clone(),
            401,
        ),
        (
            "foreign key",
            With::Foreign,
            header("RS384"),
            claims.clone(),
            401,
        ),
    ] {
        let token = world.keys.sign(with, &header, &claims);
        let answer = world.fhir("GET", "Patient/a", &token, "").await;
        assert_eq!(answer.status, status, "{attack}: {}", answer.text());
        if attack == "control" {
            let foreign = world.fhir("GET", "Patient/b", &token, "").await;
            assert_eq!(foreign.status, 404, "{attack}");
            let patient = r#"{"resourceType":"Patient","id":"a"}"#;
            let write = world.fhir("PUT", "Patient/a", &token, patient).await;
            assert_eq!(write.status, 403, "{attack}: beyond the roles");
        }
    }
    world.stop().await;
}
