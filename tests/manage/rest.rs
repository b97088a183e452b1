//! The management over REST.

use conformance::client::{Connection, Reply};
use serde_json::{Value, json};

use super::program::{Place, Server};

const JSON: (&str, &str) = ("content-type", "application/json");

pub async fn send(connection: &mut Connection, method: &str, path: &str, body: &Value) -> Reply {
    let body = (!body.is_null()).then(|| body.to_string());
    connection.send(method, path, body, &[JSON]).await.unwrap()
}

pub fn start() -> (Place, Server) {
    let place = Place::new();
    let server = place.serve(&[]);
    (place, server)
}

pub fn administrator(place: &Place, server: &Server) -> Connection {
    server.with(&place.token(&["--role", "administrator"]))
}

/// A kind, one of it as it is posted, a change of it, and the secret that the answer shows.
fn kinds() -> Vec<(&'static str, Value, Value, Option<&'static str>)> {
    vec![
        (
            "users",
            json!({
                "login": "kate", "name": "Kate", "roles": ["doctor"], "email": "k@example.org",
                "fhir_user": "Practitioner/k", "proxies": [{"patient": "a", "until": "2030-01-01"}],
                "external": [{"issuer": "https://idp.example.org", "subject": "7"}],
                "password": "tea with seven bees",
            }),
            json!({ "name": "Katherine", "email": null }),
            None,
        ),
        (
            "users",
            json!({ "login": "paul" }),
            json!({ "disabled": true }),
            Some("password"),
        ),
        (
            "clients",
            json!({
                "id": "my-app", "name": "App", "redirect_uris": ["https://app.example.org/cb"],
                "scopes": ["patient/*.rs"], "origins": ["https://other.example.org"],
                "launch_uri": "https://app.example.org/launch", "access_seconds": 60,
                "trusted": true, "contact": "x", "confidential": true,
            }),
            json!({ "name": "Other", "trusted": false }),
            Some("secret"),
        ),
        (
            "keys",
            json!({
                "name": "Engine", "scopes": ["system/*.crus"], "addresses": ["10.0.0.0/8"],
                "expires": "2030-01-01T00:00:00Z",
            }),
            json!({ "addresses": [] }),
            Some("key"),
        ),
        (
            "roles",
            json!({ "id": "porter", "title": "Porter", "grants": ["user/Location.rs"] }),
            json!({ "care_relation": true }),
            None,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_made_read_changed_and_removed() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    for (kind, posted, change, secret) in kinds() {
        let made = send(&mut to, "POST", &format!("/admin/{kind}"), &posted).await;
        assert_eq!(made.status.as_u16(), 201, "{kind}: {}", made.brief());
        let path = made.header("location").unwrap().to_owned();
        assert!(path.starts_with(&format!("/admin/{kind}/")), "{path}");
        assert_eq!(made.header("etag"), Some("W/\"1\""));
        let mut shown = made.json();
        let text = secret.map(|name| shown.as_object_mut().unwrap().remove(name).unwrap());
        if let Some(text) = text {
            assert!(text.as_str().unwrap().len() > 20);
        }
        // It is as it was posted, and without the secret.
        let read = send(&mut to, "GET", &path, &Value::Null).await;
        assert_eq!(read.json(), shown, "{kind}");
        for (name, value) in posted.as_object().unwrap() {
            let is_written =
                !["password", "confidential", "expires", "proxies"].contains(&name.as_str());
            assert!(
                !is_written || shown[name] == *value,
                "{kind}.{name}: {shown}"
            );
        }
        // What was read can be written back.
        let same = send(&mut to, "PUT", &path, &shown).await;
        assert_eq!(
            (same.status.as_u16(), same.header("etag")),
            (200, Some("W/\"2\"")),
            "{}",
            same.brief()
        );
        let changed = send(&mut to, "PATCH", &path, &change).await;
        assert_eq!(changed.status.as_u16(), 200, "{}", changed.brief());
        let mut expected = shown.clone();
        expected["version"] = json!(3);
        expected
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(changed.json(), expected, "{kind}");
        // Only who has seen the latest version changes it.
        for method in ["PUT", "PATCH", "DELETE"] {
            let old = [JSON, ("if-match", "W/\"2\"")];
            let body = Some(shown.to_string());
            let stale = to.send(method, &path, body, &old).await.unwrap();
            assert_eq!(stale.status.as_u16(), 412, "{method} {}", stale.brief());
        }
        let new = [JSON, ("if-match", "W/\"3\"")];
        let gone = to.send("DELETE", &path, None, &new).await.unwrap();
        assert_eq!(gone.status.as_u16(), 204, "{}", gone.brief());
        assert_eq!(
            send(&mut to, "GET", &path, &Value::Null)
                .await
                .status
                .as_u16(),
            404
        );
        let wrong = to
            .send("GET", &format!("/admin/{kind}"), None, &[])
            .await
            .unwrap();
        assert!(!wrong.brief().contains(shown["id"].as_str().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    for number in 0..5 {
        let client = json!({
            "id": format!("c{number}"), "name": "c", "confidential": true,
        });
        assert!(
            send(&mut to, "POST", "/admin/clients", &client)
                .await
                .status
                .is_success()
        );
    }
    let mut found = Vec::new();
    let mut next = Some("/admin/clients?limit=2".to_owned());
    let mut pages = 0;
    while let Some(path) = next {
        let page = send(&mut to, "GET", &path, &Value::Null).await.json();
        let ids = page["items"].as_array().unwrap().iter();
        found.extend(ids.map(|one| one["id"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!(
        (found, pages),
        (
            ["c0", "c1", "c2", "c3", "c4"].map(str::to_owned).to_vec(),
            3
        )
    );
    let roles = send(&mut to, "GET", "/admin/roles", &Value::Null)
        .await
        .json();
    assert!(roles["items"].as_array().unwrap().len() >= 14);
    for wrong in ["limit=0", "limit=501", "limit=x"] {
        let refused = send(
            &mut to,
            "GET",
            &format!("/admin/users?{wrong}"),
            &Value::Null,
        )
        .await;
        assert_eq!(refused.status.as_u16(), 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_actions_of_a_user_a_client_and_a_key() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    let user = send(
        &mut to,
        "POST",
        "/admin/users",
        &json!({"login": "kate", "roles": ["billing"]}),
    )
    .await;
    let user = user.header("location").unwrap().to_owned();
    let order = json!({ "user": "kate", "ttl": "15m", "scope": "user/Patient.rs" });
    let token = send(&mut to, "POST", "/admin/tokens", &order).await;
    assert_eq!(token.status.as_u16(), 201, "{}", token.brief());
    let text = token.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(token.json()["scope"], "user/Patient.rs");
    assert_eq!(server.status(&text, "/fhir/Patient").await, 200);
    let grant = token.header("location").unwrap();
    let shown = send(&mut to, "GET", grant, &Value::Null).await;
    assert!(!shown.brief().contains(&text));
    let out = send(&mut to, "POST", &format!("{user}/logout"), &Value::Null).await;
    assert_eq!(out.status.as_u16(), 204);
    assert_eq!(server.status(&text, "/fhir/Patient").await, 401);
    let reset = send(&mut to, "POST", &format!("{user}/password"), &Value::Null).await;
    assert_eq!(reset.json()["password"].as_str().unwrap().len(), 23);
    let given = json!({ "password": "tea with seven bees" });
    let given = send(&mut to, "POST", &format!("{user}/password"), &given).await;
    assert_eq!(given.status.as_u16(), 204, "{}", given.brief());
    let factor = send(
        &mut to,
        "DELETE",
        &format!("{user}/second-factor"),
        &Value::Null,
    )
    .await;
    assert_eq!(factor.status.as_u16(), 204);
    let client = json!({ "id": "c", "name": "c", "confidential": true });
    send(&mut to, "POST", "/admin/clients", &client).await;
    let overlap = json!({ "overlap": "24h" });
    let secret = send(&mut to, "POST", "/admin/clients/c/secrets", &overlap).await;
    assert!(secret.json()["secret"].as_str().unwrap().starts_with("cs_"));
    let first = secret.json()["secrets"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let gone = send(
        &mut to,
        "DELETE",
        &format!("/admin/clients/c/secrets/{first}"),
        &Value::Null,
    )
    .await;
    assert_eq!(gone.json()["secrets"].as_array().unwrap().len(), 1);
    let key = json!({ "name": "k", "scopes": ["system/Patient.rs"] });
    let key = send(&mut to, "POST", "/admin/keys", &key).await;
    let path = format!("{}/rotate", key.header("location").unwrap());
    let next = send(&mut to, "POST", &path, &overlap).await;
    assert_eq!(next.status.as_u16(), 201, "{}", next.brief());
    for text in [&key.json()["key"], &next.json()["key"]] {
        assert_eq!(
            server.status(text.as_str().unwrap(), "/fhir/Patient").await,
            200
        );
    }
    let sessions = send(&mut to, "GET", "/admin/sessions?user=x", &Value::Null).await;
    assert_eq!(sessions.json(), json!({ "items": [], "next": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_of_an_administrator_manages() {
    let (place, server) = start();
    place.told(&["user", "add", "kate", "--role", "doctor"]);
    place.told(&[
        "user",
        "add",
        "alma",
        "--role",
        "administrator",
        "--role",
        "doctor",
    ]);
    let key = place.json(&["key", "add", "k", "--scope", "system/*.cruds"]);
    for (arguments, status) in [
        (&["--user", "kate"][..], 403),
        (&["--role", "doctor"], 403),
        (&["--user", "alma"], 200),
        (&["--user", "alma", "--scope", "user/*.cruds"], 403),
        (&["--user", "alma", "--scope", "rotunda/admin"], 200),
        (&["--user", "kate", "--scope", "rotunda/admin"], 403),
        (&["--role", "administrator"], 200),
        (&["--role", "administrator", "--scope", "user/*.rs"], 403),
    ] {
        let token = place.token(arguments);
        for path in [
            "/admin/users",
            "/admin/clients",
            "/admin/roles",
            "/admin/tokens",
            "/admin/sessions",
            "/admin/keys",
        ] {
            assert_eq!(
                server.status(&token, path).await,
                status,
                "{arguments:?} {path}"
            );
        }
    }
    let key = key["key"].as_str().unwrap();
    assert_eq!(server.status(key, "/admin/users").await, 403);
    // An administrator reads no record.
    let token = place.token(&["--role", "administrator"]);
    assert_eq!(server.status(&token, "/fhir/Patient").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_methods_that_are_not_there_are_refused() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    for (method, path, status) in [
        ("GET", "/admin", 404),
        ("GET", "/admin/robots", 404),
        ("GET", "/admin/users/nobody", 404),
        ("GET", "/admin/users/..%2fkeys", 404),
        ("PUT", "/admin/users", 405),
        ("POST", "/admin/users/nobody", 405),
        ("GET", "/admin/users/nobody/password", 405),
        ("POST", "/admin/users/nobody/robots", 404),
        ("POST", "/admin/tokens/x", 405),
        ("PUT", "/admin/sessions", 405),
        ("DELETE", "/admin/roles/nobody", 404),
        ("DELETE", "/admin/tokens/at_x", 404),
    ] {
        let reply = to.send(method, path, None, &[]).await.unwrap();
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{method} {path}: {}",
            reply.brief()
        );
        assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_stand_in_the_audit() {
    let (place, server) = start();
    let mut to = administrator(&place, &server);
    let user = json!({ "login": "paul", "roles": ["nobody"] });
    assert_eq!(
        send(&mut to, "POST", "/admin/users", &user)
            .await
            .status
            .as_u16(),
        422
    );
    let key = json!({ "name": "k", "scopes": ["system/Patient.rs"] });
    let key = send(&mut to, "POST", "/admin/keys", &key).await;
    let path = key.header("location").unwrap();
    place.told(&["user", "add", "kate", "--role", "doctor"]);
    place.told(&["user", "set", "kate", "--disable"]);
    let officer = place.token(&["--role", "privacy-officer"]);
    let mut officer = server.with(&officer);
    let began = std::time::Instant::now();
    loop {
        let all = officer
            .send("GET", "/fhir/AuditEvent?_count=100", None, &[])
            .await
            .unwrap();
        let text = String::from_utf8(all.body.to_vec()).unwrap();
        let wanted = [
            "POST /admin/users 422".to_owned(),
            format!("POST {path} 201"),
            "user add kate".to_owned(),
            "user set kate".to_owned(),
            "token for roles administrator".to_owned(),
        ];
        let missing: Vec<_> = wanted
            .iter()
            .filter(|wanted| !text.contains(*wanted))
            .collect();
        if missing.is_empty() {
            return;
        }
        assert!(
            began.elapsed() < super::program::SOON,
            "{missing:?} in {text}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
