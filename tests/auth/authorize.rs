//! Authorization requests: what goes to the log-in page, back to the app, or nowhere.

use crate::world::{CALLBACK, Database, World, query_of, with};

/// What becomes of a request in which one parameter is another.
enum Fate {
    /// The user goes on to the pages.
    Pages,
    /// The app is told this error.
    App(&'static str),
    /// A page, and no redirect.
    Page,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_goes_where_it_should() {
    use Fate::{App, Page, Pages};
    let world = World::new(Database::Sqlite).await;
    let slash = format!("{}/", world.base);
    let prefix = format!("{}x", world.base);
    let at = world.base.replacen("http://", "http://evil.example@", 1);
    let host = world.base.replacen("/fhir", ".evil.example/fhir", 1);
    let short = "a".repeat(42);
    let long = "a".repeat(129);
    let rows: &[(&str, &str, Option<&str>, Fate)] = &[
        ("control", "state", Some("x"), Pages),
        ("AU-01 no state", "state", None, Pages),
        (
            "a registered redirect with a query",
            "redirect_uri",
            Some("https://app.example/b?x=1"),
            Pages,
        ),
        ("unknown client", "client_id", Some("nobody"), Page),
        ("no client", "client_id", None, Page),
        ("AU-02 no redirect", "redirect_uri", None, Page),
        (
            "AU-02 suffix",
            "redirect_uri",
            Some("https://app.example/callback/x"),
            Page,
        ),
        (
            "AU-02 query",
            "redirect_uri",
            Some("https://app.example/callback?x"),
            Page,
        ),
        (
            "AU-02 user",
            "redirect_uri",
            Some("https://app.example@evil.example/callback"),
            Page,
        ),
        (
            "AU-02 domain",
            "redirect_uri",
            Some("https://app.example.evil.example/callback"),
            Page,
        ),
        (
            "AU-02 fragment",
            "redirect_uri",
            Some("https://app.example/callback#x"),
            Page,
        ),
        (
            "AU-02 script",
            "redirect_uri",
            Some("javascript:alert(1)"),
            Page,
        ),
        (
            "AU-02 upper case",
            "redirect_uri",
            Some("https://APP.example/callback"),
            Page,
        ),
        (
            "AU-02 path in upper case",
            "redirect_uri",
            Some("https://app.example/Callback"),
            Page,
        ),
        (
            "AU-02 line break",
            "redirect_uri",
            Some("https://app.example/callback\r\nX: y"),
            Page,
        ),
        (
            "AU-02 slash",
            "redirect_uri",
            Some("https://app.example/callback/"),
            Page,
        ),
        (
            "AU-02 plain http",
            "redirect_uri",
            Some("http://app.example/callback"),
            Page,
        ),
        (
            "AU-03 foreign aud",
            "aud",
            Some("https://evil.example/fhir"),
            App("invalid_request"),
        ),
        ("AU-03 no aud", "aud", None, App("invalid_request")),
        ("AU-03 prefix", "aud", Some(&prefix), App("invalid_request")),
        ("AU-03 user", "aud", Some(&at), App("invalid_request")),
        ("AU-03 host", "aud", Some(&host), App("invalid_request")),
        ("aud with a slash at its end", "aud", Some(&slash), Pages),
        (
            "AU-04 no challenge",
            "code_challenge",
            None,
            App("invalid_request"),
        ),
        (
            "AU-04 plain",
            "code_challenge_method",
            Some("plain"),
            App("invalid_request"),
        ),
        (
            "AU-04 no method is plain",
            "code_challenge_method",
            None,
            App("invalid_request"),
        ),
        (
            "AU-04 short",
            "code_challenge",
            Some(&short),
            App("invalid_request"),
        ),
        (
            "AU-04 long",
            "code_challenge",
            Some(&long),
            App("invalid_request"),
        ),
        (
            "AU-05 implicit",
            "response_type",
            Some("token"),
            App("unsupported_response_type"),
        ),
        (
            "AU-05 hybrid",
            "response_type",
            Some("code id_token"),
            App("unsupported_response_type"),
        ),
        ("AU-05 none", "response_type", None, App("invalid_request")),
        (
            "AU-05 fragment",
            "response_mode",
            Some("fragment"),
            App("invalid_request"),
        ),
        (
            "request object",
            "request",
            Some("eyJ"),
            App("request_not_supported"),
        ),
        (
            "request by URL",
            "request_uri",
            Some("https://evil.example"),
            App("request_uri_not_supported"),
        ),
        ("no scope", "scope", None, App("invalid_scope")),
        (
            "SC-01 nonsense",
            "scope",
            Some("nonsense patient/Observation.dus * patient/Nonsense.rs"),
            App("invalid_scope"),
        ),
        (
            "SC-02 a backend's scope",
            "scope",
            Some("system/*.rs"),
            App("invalid_scope"),
        ),
        (
            "the administrator's scope",
            "scope",
            Some("rotunda/admin"),
            App("invalid_scope"),
        ),
        (
            "unknown launch",
            "launch",
            Some("nonsense"),
            App("invalid_scope"),
        ),
        ("prompt", "prompt", Some("login consent"), Pages),
        (
            "prompt that contradicts itself",
            "prompt",
            Some("none login"),
            App("invalid_request"),
        ),
        (
            "prompt none without a session",
            "prompt",
            Some("none"),
            App("login_required"),
        ),
        ("max_age", "max_age", Some("-1"), App("invalid_request")),
    ];
    for (attack, name, value, fate) in rows {
        let asking = with(&world.asking("app", "patient/*.rs"), name, *value);
        for post in [false, true] {
            let answer = match post {
                false => world.authorize(&asking).await,
                true => world.form("/auth/authorize", &asking).await,
            };
            let location = answer.header("location").unwrap_or_default();
            match fate {
                Pages => {
                    assert_eq!(answer.status, 303, "{attack}: {}", answer.text());
                    assert!(location.starts_with(&format!("{}/auth/login?request=", world.issuer)));
                }
                App(error) => {
                    assert_eq!(answer.status, 303, "{attack}: {}", answer.text());
                    assert!(location.starts_with(CALLBACK), "{attack}: {location}");
                    let found = query_of(location, "error");
                    assert_eq!(found.as_deref(), Some(*error), "{attack}");
                    assert!(
                        query_of(location, "error_description").is_some(),
                        "{attack}"
                    );
                    assert_eq!(query_of(location, "state").as_deref(), Some("some state"));
                    assert_eq!(query_of(location, "code"), None, "{attack}");
                }
                Page => {
                    assert_eq!(answer.status, 400, "{attack}");
                    assert_eq!(location, "", "{attack}");
                    let policy = answer.header("content-security-policy").unwrap();
                    assert!(policy.contains("frame-ancestors 'none'"), "{attack}");
                }
            }
        }
    }
    for (twice, value, told) in [
        ("client_id", "app", false),
        ("redirect_uri", CALLBACK, false),
        ("state", "x", true),
        ("scope", "patient/*.rs", true),
        ("code_challenge", CALLBACK, true),
    ] {
        let mut asking = world.asking("app", "patient/*.rs");
        asking.push((twice, value));
        let answer = world.authorize(&asking).await;
        let location = answer.header("location").unwrap_or_default();
        assert_eq!(
            location.contains("error=invalid_request"),
            told,
            "{twice} twice"
        );
        assert_eq!(answer.status, if told { 303 } else { 400 }, "{twice} twice");
    }
    world.stop().await;
}
