//! What apps find out before they begin.

use serde_json::Value;

use crate::world::{Database, World};

#[tokio::test(flavor = "multi_thread")]
async fn discovery_says_what_there_is_to_everybody() {
    let world = World::new(Database::Sqlite).await;
    let smart = "/fhir/.well-known/smart-configuration";
    for accept in [
        "*/*",
        "application/json",
        "application/fhir+json",
        "text/html",
    ] {
        let headers = [
            ("Accept", accept),
            ("Origin", "https://evil.example"),
            ("X-Forwarded-Host", "evil.example"),
        ];
        let answer = world.send("GET", smart, &headers, "").await;
        assert_eq!(answer.status, 200, "SM-01 {accept}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(!answer.text().contains("evil"), "HD-06");
    }
    let json = world.get(smart).await.json();
    let has = |name: &str, value: &str| {
        let listed = json[name].as_array().unwrap_or_else(|| panic!("no {name}"));
        listed.iter().any(|one| one == value)
    };
    assert!(has("code_challenge_methods_supported", "S256"));
    assert!(!has("code_challenge_methods_supported", "plain"));
    for capability in [
        "launch-standalone",
        "launch-ehr",
        "client-public",
        "client-confidential-symmetric",
        "client-confidential-asymmetric",
        "sso-openid-connect",
        "context-standalone-patient",
        "context-ehr-patient",
        "context-ehr-encounter",
        "context-banner",
        "context-style",
        "permission-offline",
        "permission-online",
        "permission-patient",
        "permission-user",
        "permission-v1",
        "permission-v2",
        "authorize-post",
    ] {
        assert!(has("capabilities", capability), "SM-01 {capability}");
    }
    for algorithm in ["RS384", "ES384"] {
        assert!(has(
            "token_endpoint_auth_signing_alg_values_supported",
            algorithm
        ));
    }
    assert_eq!(json["issuer"], world.issuer.as_str());
    for (name, url) in json.as_object().unwrap() {
        if name.ends_with("_endpoint") || name.ends_with("_uri") || name.ends_with("_bundle") {
            assert!(
                url.as_str().unwrap().starts_with(&world.issuer),
                "{name}: {url}"
            );
        }
    }
    let openid = world.get("/.well-known/openid-configuration").await.json();
    assert_eq!(openid["issuer"], json["issuer"]);
    assert_eq!(openid["jwks_uri"], json["jwks_uri"]);
    assert_eq!(
        openid["id_token_signing_alg_values_supported"],
        serde_json::json!(["RS256"])
    );
    let path = path_of(&world, &json["jwks_uri"]);
    let keys = world.get(&path).await.json();
    let keys = keys["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!(key["kty"], "RSA", "SM-02");
        assert!(key["kid"].is_string() && key["n"].is_string() && key["e"].is_string());
        for private in ["d", "p", "q", "dp", "dq", "qi", "x5c", "k"] {
            assert!(key.get(private).is_none(), "SM-02 {private}");
        }
    }
    world.stop().await;
}

fn path_of(world: &World, url: &Value) -> String {
    url.as_str()
        .unwrap()
        .strip_prefix(&world.issuer)
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_capability_statement_says_how_to_get_in() {
    let world = World::new(Database::Sqlite).await;
    let headers = [("Origin", "https://anything.example")];
    let answer = world.send("GET", "/fhir/metadata", &headers, "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let security = answer.json()["rest"][0]["security"].clone();
    assert_eq!(security["cors"], true);
    assert_eq!(security["service"][0]["coding"][0]["code"], "SMART-on-FHIR");
    let uris = security["extension"][0]["extension"].as_array().unwrap();
    let token = uris.iter().find(|uri| uri["url"] == "token").unwrap();
    assert_eq!(token["valueUri"], format!("{}/auth/token", world.issuer));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_registered_origins_may_call_and_others_may_not() {
    let world = World::new(Database::Sqlite).await;
    for (attack, origin, allowed) in [
        ("registered", "https://spa.example", true),
        ("of a redirect", "https://app.example", true),
        ("HD-05 foreign", "https://evil.example", false),
        ("HD-05 null", "null", false),
        ("HD-05 suffix", "https://spa.example.evil.example", false),
    ] {
        for (method, path) in [
            ("GET", "/fhir/Patient/a"),
            ("POST", "/auth/token"),
            ("OPTIONS", "/auth/token"),
            ("OPTIONS", "/fhir/Patient/a"),
        ] {
            let headers = [
                ("Origin", origin),
                ("Access-Control-Request-Method", "POST"),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ];
            let answer = world.send(method, path, &headers, "").await;
            let found = answer.header("access-control-allow-origin");
            assert_eq!(
                found,
                allowed.then_some(origin),
                "{attack}: {method} {path}"
            );
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            let varies = answer
                .headers
                .iter()
                .any(|(name, value)| name == "vary" && value.contains("origin"));
            assert!(varies, "{attack}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_sent_from_the_pages_of_the_server_only() {
    let world = World::new(Database::Sqlite).await;
    for (attack, origin) in [
        ("M-07 foreign", "https://evil.example"),
        ("M-07 of a registered app", "https://spa.example"),
        ("M-07 null", "null"),
    ] {
        for path in ["/auth/consent", "/auth/login", "/auth/logout"] {
            let headers = [
                ("Origin", origin),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ];
            let answer = world.send("POST", path, &headers, "a=b").await;
            assert_eq!(answer.status, 403, "{attack}: {path}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brands_are_for_patient_apps() {
    let world = World::new(Database::Sqlite).await;
    let headers = [("Origin", "https://anything.example")];
    let answer = world.send("GET", "/auth/brands", &headers, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let tag = answer.header("etag").unwrap().to_owned();
    assert!(tag.starts_with("W/"));
    let bundle = answer.json();
    assert_eq!(
        (&bundle["resourceType"], &bundle["type"]),
        (&"Bundle".into(), &"collection".into())
    );
    assert!(bundle["timestamp"].is_string() && bundle["meta"]["lastUpdated"].is_string());
    let resource = |kind: &str| {
        let entries = bundle["entry"].as_array().unwrap();
        let mut found = entries
            .iter()
            .map(|entry| &entry["resource"])
            .filter(|one| one["resourceType"] == kind);
        found.next().unwrap_or_else(|| panic!("no {kind}")).clone()
    };
    let endpoint = resource("Endpoint");
    assert_eq!(endpoint["address"], world.base.as_str());
    let organization = resource("Organization");
    let reference = format!("Endpoint/{}", endpoint["id"].as_str().unwrap());
    assert_eq!(organization["endpoint"][0]["reference"], reference.as_str());
    assert_eq!(organization["telecom"].as_array().unwrap().len(), 1);
    let smart = world
        .get("/fhir/.well-known/smart-configuration")
        .await
        .json();
    assert_eq!(
        smart["user_access_brand_identifier"],
        organization["identifier"][0]
    );
    for resource in [&bundle, &endpoint, &organization] {
        let issues = profiles::validate(&resources::Doc::parse(resource.to_string()).unwrap());
        assert!(issues.is_empty(), "{issues:?} in {resource}");
    }
    world.clock.advance(1_000_000);
    let again = world
        .send("GET", "/auth/brands", &[("If-None-Match", &tag)], "")
        .await;
    assert_eq!(again.status, 304);
    assert_eq!(
        world.get("/auth/brands").await.json()["timestamp"],
        bundle["timestamp"]
    );
    let style = world.get("/auth/smart-style.json").await.json();
    assert!(style["color_background"].is_string());
    world.stop().await;
}
