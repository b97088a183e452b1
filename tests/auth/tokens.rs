//! The token endpoint: codes, refresh tokens, and what is no grant.

use rotunda::auth::records::Changes;
use serde_json::Value;

use crate::world::{CHALLENGE, Database, SECRET, VERIFIER, World, with};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_app_gets_its_tokens_and_reads_its_patient_only() {
    let world = World::new(Database::Sqlite).await;
    let scope = "launch/patient openid fhirUser offline_access patient/*.rs patient/Nonsense.rs";
    let code = world.code("app", scope, "ann").await;
    let answer = world
        .form("/auth/token", &world.bringing("app", &code))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 900);
    assert_eq!(tokens["patient"], "a");
    assert_eq!(
        text(&tokens, "scope"),
        "launch/patient openid fhirUser offline_access patient/*.rs"
    );
    let token = text(&tokens, "access_token");
    assert_eq!(world.fhir("GET", "Patient/a", token, "").await.status, 200);
    assert_eq!(world.fhir("GET", "Patient/b", token, "").await.status, 404);
    let id_token = world.opened(text(&tokens, "id_token")).await;
    assert_eq!(id_token["iss"], world.issuer.as_str());
    assert_eq!(id_token["aud"], "app");
    assert_eq!(id_token["nonce"], "some nonce");
    assert_eq!(id_token["amr"], serde_json::json!(["pwd"]));
    let own = format!("{}/Patient/a", world.base);
    assert_eq!(id_token["fhirUser"], own.as_str());
    assert!(id_token["exp"].as_i64() > id_token["iat"].as_i64());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_come_back_in_the_spelling_in_which_they_were_asked_for() {
    let world = World::new(Database::Sqlite).await;
    for (login, asked, granted) in [
        ("ann", "patient/*.read", "patient/*.read"),
        (
            "ann",
            "patient/Observation.read",
            "patient/Observation.read",
        ),
        ("ann", "patient/*.rs", "patient/*.rs"),
        (
            "ann",
            "patient/Observation.rs?category=laboratory",
            "patient/Observation.rs?category=laboratory",
        ),
        // More than the role gives is not granted.
        ("ann", "patient/Observation.*", "patient/Observation.read"),
        (
            "dora",
            "user/Observation.cruds user/Patient.cruds",
            "user/Observation.cruds user/Patient.rs",
        ),
        ("dora", "user/*.dus user/Patient.r", "user/Patient.r"),
    ] {
        let tokens = world.tokens(asked, login).await;
        assert_eq!(tokens["scope"], granted, "{asked}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_grant_gets_no_token() {
    let world = World::new(Database::Sqlite).await;
    let form = "application/x-www-form-urlencoded";
    let rows: &[(&str, &str, &str, &str, &str)] = &[
        (
            "AU-07 password",
            "POST",
            form,
            "grant_type=password&username=ann&password=x&client_id=app",
            "unsupported_grant_type",
        ),
        (
            "AU-07 implicit",
            "POST",
            form,
            "grant_type=implicit&client_id=app",
            "unsupported_grant_type",
        ),
        (
            "AU-07 assertion",
            "POST",
            form,
            "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer",
            "unsupported_grant_type",
        ),
        (
            "AU-07 no grant",
            "POST",
            form,
            "client_id=app",
            "invalid_request",
        ),
        ("AU-07 empty", "POST", form, "", "invalid_request"),
        (
            "AU-07 empty grant",
            "POST",
            form,
            "grant_type=&client_id=app",
            "invalid_request",
        ),
        (
            "AU-07 JSON",
            "POST",
            "application/json",
            r#"{"grant_type":"client_credentials"}"#,
            "invalid_request",
        ),
        ("AU-07 GET", "GET", form, "", "invalid_request"),
        (
            "twice",
            "POST",
            form,
            "grant_type=refresh_token&grant_type=refresh_token&client_id=app",
            "invalid_request",
        ),
        (
            "JW-08 no client",
            "POST",
            form,
            "grant_type=client_credentials&scope=system/*.rs",
            "invalid_client",
        ),
        (
            "unknown client",
            "POST",
            form,
            "grant_type=authorization_code&client_id=nobody&code=x",
            "invalid_client",
        ),
        (
            "a public client for itself",
            "POST",
            form,
            "grant_type=client_credentials&client_id=app&scope=system/*.rs",
            "unauthorized_client",
        ),
        (
            "unknown code",
            "POST",
            form,
            "grant_type=authorization_code&client_id=app&code=x",
            "invalid_grant",
        ),
        (
            "unknown refresh token",
            "POST",
            form,
            "grant_type=refresh_token&client_id=app&refresh_token=x",
            "invalid_grant",
        ),
        (
            "a secret in the form that is wrong",
            "POST",
            form,
            "grant_type=authorization_code&client_id=web&client_secret=x&code=x",
            "invalid_client",
        ),
        (
            "a confidential client without its secret",
            "POST",
            form,
            "grant_type=authorization_code&client_id=web&code=x",
            "invalid_client",
        ),
        (
            "a public client with a secret",
            "POST",
            form,
            "grant_type=authorization_code&client_id=app&client_secret=x&code=x",
            "invalid_client",
        ),
        (
            "a client with keys and a secret",
            "POST",
            form,
            "grant_type=authorization_code&client_id=keyed&client_secret=x&code=x",
            "invalid_client",
        ),
    ];
    for (attack, method, content_type, body, error) in rows {
        let headers = [("Content-Type", *content_type)];
        let answer = world.send(method, "/auth/token", &headers, body).await;
        let expected = if *error == "invalid_client" { 401 } else { 400 };
        assert_eq!(answer.status, expected, "{attack}: {}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{attack}"
        );
        let json = answer.json();
        assert_eq!(json["error"], *error, "{attack}");
        assert!(text(&json, "error_description").len() > 10, "{attack}");
        assert!(json.get("access_token").is_none(), "{attack}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_for_its_client_its_redirect_and_who_knows_the_verifier() {
    let world = World::new(Database::Sqlite).await;
    let wrong = VERIFIER.replace('d', "e");
    let rows: &[(&str, &str, Option<&str>)] = &[
        ("M-02 other client", "client_id", Some("other")),
        (
            "M-02 other redirect",
            "redirect_uri",
            Some("https://app.example/b?x=1"),
        ),
        ("M-02 no redirect", "redirect_uri", None),
        ("M-02 wrong verifier", "code_verifier", Some(&wrong)),
        (
            "M-02 the challenge as verifier",
            "code_verifier",
            Some(CHALLENGE),
        ),
        ("M-02 empty verifier", "code_verifier", Some("")),
        ("M-02 no verifier", "code_verifier", None),
    ];
    for (attack, name, value) in rows {
        let code = world.code("app", "patient/*.rs", "ann").await;
        let right = world.bringing("app", &code);
        let answer = world.form("/auth/token", &with(&right, name, *value)).await;
        assert_eq!(answer.status, 400, "{attack}");
        assert_eq!(answer.json()["error"], "invalid_grant", "{attack}");
        assert_eq!(
            world.form("/auth/token", &right).await.status,
            200,
            "{attack}"
        );
    }
    let code = world.code("app", "patient/*.rs", "ann").await;
    world.clock.advance(60_000);
    let answer = world
        .form("/auth/token", &world.bringing("app", &code))
        .await;
    assert_eq!(answer.json()["error"], "invalid_grant", "after a minute");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_comes_twice_ends_what_came_from_it() {
    let world = World::new(Database::Sqlite).await;
    let code = world
        .code("app", "offline_access patient/*.rs", "ann")
        .await;
    let bringing = world.bringing("app", &code);
    let tokens = world.form("/auth/token", &bringing).await.json();
    let token = text(&tokens, "access_token");
    assert_eq!(world.fhir("GET", "Patient/a", token, "").await.status, 200);
    let again = world.form("/auth/token", &bringing).await;
    assert_eq!(
        (again.status, &again.json()["error"]),
        (400, &Value::from("invalid_grant"))
    );
    assert_eq!(world.fhir("GET", "Patient/a", token, "").await.status, 401);
    let refresh = world
        .refresh("app", text(&tokens, "refresh_token"), &[])
        .await;
    assert_eq!(refresh.json()["error"], "invalid_grant");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confidential_app_proves_itself_in_each_way_that_it_is_registered_for() {
    let world = World::new(Database::Sqlite).await;
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let basic = |secret: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("web:{secret}")));
    let right = basic(SECRET);
    let wrong = basic("wrong");
    for (header, secret, error) in [
        (Some(&right), None, None),
        (None, Some(SECRET), None),
        (Some(&wrong), None, Some("invalid_client")),
        (Some(&right), Some(SECRET), Some("invalid_request")),
    ] {
        let code = world.code("web", "patient/*.rs", "ann").await;
        let pairs = with(&world.bringing("web", &code), "client_secret", secret);
        let headers: Vec<(&str, &str)> = header
            .iter()
            .map(|value| ("Authorization", value.as_str()))
            .collect();
        let answer = world.form_with("/auth/token", &headers, &pairs).await;
        let json = answer.json();
        match error {
            None => assert_eq!(answer.status, 200, "{json}"),
            Some(error) => assert_eq!(json["error"], error),
        }
    }
    let code = world.code("keyed", "patient/*.rs", "ann").await;
    let assertion = world.assertion("keyed");
    let mut pairs = world.bringing("keyed", &code);
    pairs.push(("client_assertion_type", crate::assertion::TYPE));
    pairs.push(("client_assertion", &assertion));
    assert_eq!(world.form("/auth/token", &pairs).await.status, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_rotate_never_widen_and_tell_of_their_theft() {
    let world = World::new(Database::Sqlite).await;
    let tokens = world
        .tokens(
            "offline_access patient/Patient.rs patient/Observation.rs",
            "ann",
        )
        .await;
    let first = text(&tokens, "refresh_token").to_owned();
    let wider = [("scope", "patient/*.rs")];
    let answer = world.refresh("app", &first, &wider).await;
    assert_eq!(answer.json()["error"], "invalid_scope", "AU-12 wider");
    let answer = world.refresh("other", &first, &[]).await;
    assert_eq!(
        answer.json()["error"],
        "invalid_grant",
        "AU-12 other client"
    );

    let fewer = [("scope", "patient/Patient.r")];
    let second = world.refresh("app", &first, &fewer).await.json();
    assert_eq!(second["scope"], "patient/Patient.r");
    let token = text(&second, "access_token").to_owned();
    assert_eq!(world.fhir("GET", "Patient/a", &token, "").await.status, 200);
    // Fewer at one time are not fewer for ever.
    let third = world
        .refresh("app", text(&second, "refresh_token"), &[])
        .await;
    let third = third.json();
    assert_eq!(third["scope"], tokens["scope"]);
    assert_eq!(third["patient"], "a");

    // The answer may have got lost: for a few seconds the same one counts again.
    world.clock.advance(9_000);
    assert_eq!(world.refresh("app", &first, &[]).await.status, 200);
    world.clock.advance(2_000);
    let stolen = world.refresh("app", &first, &[]).await;
    assert_eq!(stolen.json()["error"], "invalid_grant", "AU-12 reuse");
    let family = world
        .refresh("app", text(&third, "refresh_token"), &[])
        .await;
    assert_eq!(family.json()["error"], "invalid_grant", "AU-12 family");
    assert_eq!(world.fhir("GET", "Patient/a", &token, "").await.status, 401);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_access_lasts_for_months_and_online_access_for_the_session() {
    let world = World::new(Database::Sqlite).await;
    let days = |number: u32| (0..number).for_each(|_| world.clock.advance(86_400_000));
    let mut refresh = text(
        &world.tokens("offline_access patient/*.rs", "ann").await,
        "refresh_token",
    )
    .to_owned();
    for _ in 0..3 {
        days(90);
        let answer = world.refresh("app", &refresh, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        refresh = text(&answer.json(), "refresh_token").to_owned();
    }
    days(101);
    assert_eq!(world.refresh("app", &refresh, &[]).await.status, 400);

    let online = world.tokens("online_access patient/*.rs", "ann").await;
    let online = text(&online, "refresh_token");
    world.clock.advance(3_600_000);
    let answer = world.refresh("app", online, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sessions = world
        .auth
        .records()
        .all::<rotunda::auth::session::Session>(None);
    for session in sessions.await.unwrap() {
        let ended = Changes::new().take(&session);
        world.auth.records().commit(ended).await.unwrap();
    }
    let online = answer.json();
    let token = text(&online, "access_token");
    assert_eq!(world.fhir("GET", "Patient/a", token, "").await.status, 401);
    let answer = world
        .refresh("app", text(&online, "refresh_token"), &[])
        .await;
    assert_eq!(answer.json()["error"], "invalid_grant");

    let without = world.tokens("patient/*.rs", "ann").await;
    assert!(without.get("refresh_token").is_none());
    world.stop().await;
}
