//! What every answer carries, what pages of other origins get, and what a request cannot make the
//! server say of itself: tables of headers and routes, on a closed server.

use crate::{
    client::Answer,
    hospital::CANARY,
    leaks::check,
    server::{DATABASES, Database, Options},
    world::{Ask, FHIR, FORM, World},
};

/// What shows or refuses what is about a patient: what is asked, with whose token, the status.
const ON_DATA: &[(&str, &str, u16)] = &[
    ("GET Patient/pa", "own", 200),
    ("HEAD Patient/pa", "own", 200),
    ("GET Patient/pa?_elements=id", "own", 200),
    ("GET Patient/pa/_history", "own", 200),
    ("GET Patient/pa/_history/1", "own", 200),
    ("GET Patient", "own", 200),
    ("GET Patient?_summary=count", "own", 200),
    ("GET Observation?patient=pa", "own", 200),
    ("GET Patient/pa/Observation", "own", 200),
    ("GET Patient/pa/$everything", "own", 200),
    ("GET Patient/pa/$access-report", "own", 200),
    ("GET Binary/pa-bin", "own", 200),
    ("GET _history", "own", 200),
    ("GET Patient/pb", "own", 404),
    ("GET Patient/none", "own", 404),
    ("GET Nonsense/1", "own", 404),
    ("GET Patient?nonsense=1", "own", 400),
    ("DELETE Patient/pa", "own", 403),
    ("GET Patient/pa", "none", 401),
    ("POST Patient", "none", 401),
    ("GET Patient/pa", "wrong", 401),
    ("GET /admin/users", "own", 403),
    ("GET /auth/userinfo", "none", 401),
];

/// What each of these answers has; `None` is nothing.
const CARRIED: &[(&str, Option<&str>)] = &[
    ("x-content-type-options", Some("nosniff")),
    ("cache-control", Some("no-store")),
    ("x-frame-options", Some("DENY")),
    ("referrer-policy", Some("no-referrer")),
    ("cross-origin-resource-policy", Some("same-origin")),
    ("server", None),
    ("x-powered-by", None),
    ("via", None),
    ("x-aspnet-version", None),
    ("set-cookie", None),
    ("access-control-allow-credentials", None),
];

async fn sent(world: &World, tokens: &[(&str, String)], line: &str, who: &str) -> Answer {
    let token = tokens.iter().find(|(known, _)| *known == who);
    match token {
        Some((_, token)) => world.line(token, line).await,
        None => world.ask_as_is(&Ask::new(line)).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_patients_are_for_nobodys_cache_and_tell_no_version() {
    // Where TLS ends, at the server or at its proxy, is known by the address that it has.
    for (address, hsts) in [
        (None, None),
        (
            Some("https://fhir.example.org/fhir"),
            Some("max-age=31536000"),
        ),
    ] {
        let mut options = Options {
            closed: true,
            ..Options::default()
        };
        if let Some(address) = address {
            options.set("base_url", address);
        }
        let world = World::with(Database::Sqlite, options).await;
        let tokens = [
            ("own", world.patient("patient/*.rs").await),
            ("wrong", "at_nonsense".to_owned()),
        ];
        for (line, who, status) in ON_DATA {
            let what = format!("HD-04 {line} by {who} at {address:?}");
            let answer = sent(&world, &tokens, line, who).await;
            assert_eq!(answer.status, *status, "{what}: {}", answer.text());
            for (name, expected) in CARRIED {
                assert_eq!(answer.header(name), *expected, "{what}: {name}");
            }
            assert_eq!(
                answer.header("strict-transport-security"),
                hsts,
                "{what}: HSTS"
            );
            let policy = answer.header("content-security-policy").expect(&what);
            assert!(
                policy.contains("frame-ancestors 'none'"),
                "{what}: {policy}"
            );
            assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
            for (name, value) in &answer.headers {
                let said = format!("{name}: {value}").to_lowercase();
                for told in [
                    env!("CARGO_PKG_VERSION"),
                    "rotunda/",
                    "hyper",
                    "axum",
                    "sqlite",
                    CANARY,
                ] {
                    assert!(!said.contains(told), "{what}: {said}");
                }
            }
        }
    }
}

/// Pages that want what is not theirs.
const FOREIGN: &[&str] = &[
    "https://evil.example",
    "http://evil.example",
    "null",
    "https://app.example.org.evil.example",
    "https://evil.example/app.example.org",
    "http://127.0.0.1",
    "http://localhost",
    "file://",
    "*",
    "https://app.example.org:444",
    "HTTPS://APP.EXAMPLE.ORG/",
];

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_foreign_origins_get_discovery_and_no_more() {
    let mut options = Options {
        closed: true,
        ..Options::default()
    };
    options.set("cors", "https://app.example.org");
    let world = World::with(Database::Sqlite, options).await;
    let token = world.keeper().await;
    let allowed = "access-control-allow-origin";
    for origin in FOREIGN {
        for path in [
            "metadata",
            ".well-known/smart-configuration",
            "/.well-known/openid-configuration",
            "/auth/jwks",
            "/auth/brands",
        ] {
            let what = format!("HD-05 {path} for {origin}");
            let ask = Ask::new(&format!("GET {path}")).header(("Origin", origin));
            let answer = world.ask_as_is(&ask).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text());
            assert_eq!(answer.header(allowed), Some("*"), "{what}");
            let credentials = answer.header("access-control-allow-credentials");
            assert_eq!(credentials, None, "{what}");
        }
        for (line, body) in [
            ("GET Patient/pa", None),
            ("HEAD Patient/pa", None),
            ("GET Patient/none", None),
            ("GET Observation?patient=pa", None),
            ("GET Binary/pa-bin", None),
            ("POST Observation/_search", Some((FORM, "patient=pa"))),
            ("OPTIONS Patient/pa", None),
            ("OPTIONS Observation", None),
            ("OPTIONS /auth/token", None),
            ("POST /auth/token", Some((FORM, "grant_type=x"))),
            ("POST /auth/introspect", Some((FORM, "token=x"))),
            ("GET /auth/userinfo", None),
            ("GET /admin/users", None),
            (
                "POST Observation",
                Some((
                    FHIR,
                    r#"{"resourceType":"Observation","status":"final","code":{"text":"cors"},"subject":{"reference":"Patient/pa"}}"#,
                )),
            ),
            ("DELETE Observation/pa-vital", None),
        ] {
            for with_token in [true, false] {
                let what = format!("HD-05 {line} for {origin}, token: {with_token}");
                let mut ask = Ask::new(line)
                    .header(("Origin", origin))
                    .header(("Access-Control-Request-Method", "DELETE"))
                    .header(("Access-Control-Request-Headers", "authorization"))
                    .header(("Cookie", "rotunda=x"));
                if let Some((kind, text)) = body {
                    ask = ask.body(kind, text);
                }
                let answer = match with_token {
                    true => world.ask(&token, &ask).await,
                    false => world.ask_as_is(&ask).await,
                };
                assert!(answer.status < 500, "{what}: {}", answer.status);
                for (name, value) in &answer.headers {
                    let is_let = name.starts_with("access-control-allow");
                    assert!(!is_let, "{what}: {name}: {value}");
                }
                let varies = answer
                    .headers
                    .iter()
                    .any(|(name, value)| name == "vary" && value.contains("origin"));
                assert!(varies, "{what}: caches must not mix this up");
                // What a foreign page sends changes nothing.
                if line.starts_with("DELETE") || line == "POST Observation" {
                    assert!([401, 403].contains(&answer.status), "{what}");
                }
            }
        }
    }
    let there = world.line(&token, "GET Observation/pa-vital").await;
    assert_eq!(there.status, 200, "HD-05: nothing is deleted");
    let made = world.line(&token, "GET Observation?code:text=cors").await;
    assert!(
        made.json()["entry"].as_array().is_none_or(Vec::is_empty),
        "HD-05: nothing is made"
    );
    // The one that is known is let in, without credentials of the browser.
    let ask = Ask::new("GET Patient/pa").header(("Origin", "https://app.example.org"));
    let answer = world.ask(&token, &ask).await;
    assert_eq!(
        answer.header(allowed),
        Some("https://app.example.org"),
        "HD-05"
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        None,
        "HD-05"
    );
}

/// What claims that the server is called otherwise.
const POISON: &[&[(&str, &str)]] = &[
    &[("Host", "evil.example")],
    &[("Host", "evil.example:443")],
    &[("Host", "127.0.0.1@evil.example")],
    &[("X-Forwarded-Host", "evil.example")],
    &[
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
    ],
    &[("X-Forwarded-Server", "evil.example")],
    &[("X-Forwarded-Prefix", "//evil.example")],
    &[("X-Forwarded-Port", "6666"), ("X-Forwarded-Proto", "evil")],
    &[("Forwarded", "host=evil.example;proto=https")],
    &[(
        "Forwarded",
        "for=127.0.0.1;host=\"evil.example\";by=evil.example",
    )],
    &[("X-Original-Host", "evil.example")],
    &[("X-Host", "evil.example")],
    &[("X-Base-Url", "https://evil.example/fhir")],
    &[("X-Original-URL", "https://evil.example/fhir")],
    &[("Origin", "https://evil.example")],
    &[("Referer", "https://evil.example/")],
];

#[tokio::test(flavor = "multi_thread")]
async fn issuer_and_links_come_from_the_configuration() {
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.keeper().await;
        let observation = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/pa"}}"#;
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{observation},"request":{{"method":"POST","url":"Observation"}}}}]}}"#
        );
        for poison in POISON {
            for (line, body) in [
                ("GET .well-known/smart-configuration", None),
                ("GET /.well-known/openid-configuration", None),
                ("GET metadata", None),
                ("GET /auth/brands", None),
                ("GET /auth/jwks", None),
                ("GET /auth/authorize?client_id=x", None),
                ("GET /auth/login", None),
                ("GET /auth/userinfo", None),
                ("POST /auth/token", Some((FORM, "grant_type=x"))),
                ("GET Observation?_count=1", None),
                ("POST Observation/_search", Some((FORM, "_count=1"))),
                ("GET Patient/pa/_history?_count=1", None),
                ("GET _history?_count=1", None),
                ("GET Patient/pa/$everything?_count=1", None),
                ("GET Patient/pb", None),
                ("POST Observation", Some((FHIR, observation))),
                ("POST /fhir", Some((FHIR, bundle.as_str()))),
            ] {
                let what = format!("HD-06 {database:?} {line} with {poison:?}");
                let mut ask = Ask::new(line);
                if let Some((kind, text)) = body {
                    ask = ask.body(kind, text);
                }
                for header in *poison {
                    ask = ask.header(*header);
                }
                let answer = world.ask(&token, &ask).await;
                assert!(answer.status < 500, "{what}: {}", answer.status);
                assert!(check(&answer, &what).is_none(), "{what}");
                let said = format!("{:?} {}", answer.headers, answer.text());
                assert!(!said.contains("evil"), "{what}: {said}");
                assert!(!said.contains("6666"), "{what}: {said}");
                if let Some(location) = answer.header("location") {
                    let origin = world.server.origin();
                    let is_own = location.starts_with(&origin) || location.starts_with('/');
                    assert!(is_own, "{what}: {location}");
                }
                let json: serde_json::Value =
                    serde_json::from_str(&answer.text()).unwrap_or_default();
                let base = &world.server.base;
                for link in json["link"].as_array().into_iter().flatten() {
                    let url = link["url"].as_str().unwrap();
                    assert!(url.starts_with(base.as_str()), "{what}: {url}");
                }
                if let Some(issuer) = json["issuer"].as_str() {
                    assert_eq!(issuer, base.trim_end_matches("/fhir"), "{what}");
                }
            }
        }
    }
}
