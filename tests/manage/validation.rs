//! What an administrator writes is checked, and each problem names its element.

use serde_json::{Value, json};

use super::rest::{administrator, send, start};

fn app(changes: Value) -> Value {
    let mut app = json!({ "name": "App", "redirect_uris": ["https://app.example.org/cb"] });
    app.as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_the_element_named() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    for (path, body, status, wanted) in [
        ("users", json!({}), 422, "login"),
        ("users", json!({"login": "a", "colour": 1}), 422, "colour"),
        ("users", json!({"login": 1}), 422, "login"),
        (
            "users",
            json!({"login": "a", "roles": ["nobody"]}),
            422,
            "roles[0]",
        ),
        (
            "users",
            json!({"login": "a", "roles": "doctor"}),
            422,
            "roles",
        ),
        (
            "users",
            json!({"login": "a", "fhir_user": "Organization/1"}),
            422,
            "fhir_user",
        ),
        (
            "users",
            json!({"login": "a", "proxies": [{"patient": "Patient/1"}]}),
            422,
            "proxies[0]",
        ),
        (
            "users",
            json!({"login": "a", "proxies": [{"patient": "1", "until": "soon"}]}),
            422,
            "proxies",
        ),
        (
            "users",
            json!({"login": "a", "email": "nobody"}),
            422,
            "email",
        ),
        (
            "users",
            json!({"login": "a", "password": "short"}),
            422,
            "password",
        ),
        (
            "users",
            json!({"login": "a", "hash": "$argon2id$"}),
            422,
            "hash",
        ),
        ("users", json!({"login": "ADMIN"}), 422, "taken"),
        ("users", json!([]), 400, "JSON object"),
        ("clients", json!({}), 422, "name"),
        ("clients", json!({"name": "x"}), 422, "redirect_uris"),
        (
            "clients",
            app(json!({"redirect_uris": ["javascript:alert(1)"]})),
            422,
            "redirect_uris[0]",
        ),
        (
            "clients",
            app(json!({"redirect_uris": ["https://a.example/", "*"]})),
            422,
            "redirect_uris[1]",
        ),
        (
            "clients",
            app(json!({"redirect_uris": ["http://app.example.org/"]})),
            422,
            "redirect_uris[0]",
        ),
        (
            "clients",
            app(json!({"scopes": ["system/*.cruds"]})),
            422,
            "scopes",
        ),
        ("clients", app(json!({"scopes": ["all"]})), 422, "scopes[0]"),
        (
            "clients",
            app(json!({"origins": ["https://a.example/path"]})),
            422,
            "origins[0]",
        ),
        (
            "clients",
            app(json!({"jwks_uri": "http://127.0.0.1/keys"})),
            422,
            "jwks_uri",
        ),
        (
            "clients",
            app(json!({"jwks": {"keys": [{"kty": "oct", "k": "x"}]}})),
            422,
            "jwks.keys[0]",
        ),
        (
            "clients",
            app(json!({"jwks": {"keys": []}, "jwks_uri": "https://a.example/"})),
            422,
            "jwks_uri",
        ),
        (
            "clients",
            app(json!({"access_seconds": 86_400})),
            422,
            "access_seconds",
        ),
        (
            "clients",
            app(json!({"secrets": [{"hash": "x"}], "trusted": "yes"})),
            422,
            "trusted",
        ),
        ("clients", app(json!({"id": "a/b"})), 422, "id"),
        ("keys", json!({"name": "k", "scopes": []}), 422, "scopes"),
        (
            "keys",
            json!({"name": "k", "scopes": ["user/*.rs"]}),
            422,
            "scopes[0]",
        ),
        (
            "keys",
            json!({"name": "k", "scopes": ["rotunda/admin"]}),
            422,
            "scopes[0]",
        ),
        (
            "keys",
            json!({"name": "k", "scopes": ["system/*.rs"], "addresses": ["home"]}),
            422,
            "addresses",
        ),
        ("roles", json!({"id": "doctor"}), 422, "id"),
        ("roles", json!({"title": "x"}), 422, "id"),
        (
            "roles",
            json!({"id": "x", "grants": ["user/Observation.rs?colour=red"]}),
            422,
            "grants[0]",
        ),
        (
            "tokens",
            json!({"roles": ["doctor"], "user": "admin"}),
            422,
            "roles",
        ),
        (
            "tokens",
            json!({"roles": ["doctor"], "ttl": "1y"}),
            422,
            "ttl",
        ),
        (
            "tokens",
            json!({"roles": ["doctor"], "forever": true}),
            422,
            "forever",
        ),
    ] {
        let refused = send(&mut to, "POST", &format!("/admin/{path}"), &body).await;
        let brief = refused.brief();
        assert_eq!(
            refused.status.as_u16(),
            status,
            "{path} {body:.200}: {brief}"
        );
        let outcome = refused.json();
        let issues = outcome["issue"].as_array().unwrap().iter();
        let mut named = issues.map(|issue| match &issue["expression"][0] {
            Value::String(expression) => expression == wanted,
            _ => issue["diagnostics"].as_str().unwrap().contains(wanted),
        });
        assert!(named.any(|named| named), "{path} {wanted}: {brief}");
    }
    for kind in ["clients", "keys"] {
        let all = send(&mut to, "GET", &format!("/admin/{kind}"), &Value::Null)
            .await
            .json();
        assert_eq!(all["items"], json!([]), "nothing is half-made");
    }
    let users = send(&mut to, "GET", "/admin/users", &Value::Null)
        .await
        .json();
    assert_eq!(users["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_must_say_that_they_are_json_and_name_nothing_twice() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    for (kind, body, status) in [
        ("application/x-www-form-urlencoded", "login=a", 415),
        ("text/plain", r#"{"login": "a"}"#, 415),
        ("application/json", r#"{"login": "a", "login": "b"}"#, 400),
        ("application/json", "{", 400),
        ("application/json; charset=utf-8", r#"{"login": "a"}"#, 201),
    ] {
        let kind = [("content-type", kind)];
        let body = Some(body.to_owned());
        let reply = to.send("POST", "/admin/users", body, &kind).await.unwrap();
        assert_eq!(reply.status.as_u16(), status, "{kind:?}: {}", reply.brief());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    let body = json!({ "login": "a", "name": "x".repeat(200_000) }).to_string();
    let json = [("content-type", "application/json")];
    // The server may close while the rest is being sent.
    if let Ok(reply) = to.send("POST", "/admin/users", Some(body), &json).await {
        assert_eq!(reply.status.as_u16(), 413, "{}", reply.brief());
    }
    assert_eq!(place.json(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_stays() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    let admin = place.json(&["user", "show", "admin"]);
    let path = format!("/admin/users/{}", admin["id"].as_str().unwrap());
    let ways = [
        ("DELETE", path.as_str(), Value::Null),
        ("PATCH", &path, json!({"disabled": true})),
        ("PATCH", &path, json!({"roles": []})),
        ("PATCH", "/admin/roles/administrator", json!({"grants": []})),
    ];
    for (method, path, body) in &ways {
        let refused = send(&mut to, method, path, body).await;
        assert_eq!(
            refused.status.as_u16(),
            422,
            "{method} {body}: {}",
            refused.brief()
        );
        assert!(
            refused.brief().contains("nobody who may manage"),
            "{}",
            refused.brief()
        );
    }
    let second = json!({"login": "second", "roles": ["administrator"]});
    let second = send(&mut to, "POST", "/admin/users", &second).await;
    let second = second.header("location").unwrap().to_owned();
    // Of two who remove each other at the same time, one stays.
    let mut other = administrator(&place, &server);
    let (one, two) = tokio::join!(
        send(&mut to, "DELETE", &path, &Value::Null),
        send(&mut other, "DELETE", &second, &Value::Null),
    );
    let statuses = [one.status.as_u16(), two.status.as_u16()];
    assert_eq!(
        statuses.iter().filter(|status| **status == 204).count(),
        1,
        "{statuses:?}"
    );
    let left = place.json(&["user", "list"]);
    assert_eq!(left.as_array().unwrap().len(), 1);
}
