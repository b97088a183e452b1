//! What is taken away is gone soon, everywhere, and stays gone.

use serde_json::json;

use super::{program::Place, support};

/// Users with a token each, and the patient that they may read.
async fn ward(place: &Place) -> super::program::Server {
    let server = place.serve(&[]);
    let token = place.token(&["--role", "interface-engine"]);
    let mut engine = server.with(&token);
    let patient = json!({ "resourceType": "Patient", "id": "p" }).to_string();
    let made = engine
        .send("PUT", "/fhir/Patient/p", Some(patient), &[])
        .await
        .unwrap();
    assert_eq!(made.status.as_u16(), 201, "{}", made.brief());
    server
}

const READ: &str = "/fhir/Patient/p";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_takes_away_is_gone_on_the_running_server() {
    let place = Place::new();
    let server = ward(&place).await;
    let add = |login: &str| drop(place.told(&["user", "add", login, "--role", "pharmacist"]));
    for login in ["a", "b", "c", "d", "e"] {
        add(login);
    }
    let token = |login: &str| place.token(&["--user", login]);
    let tokens = ["a", "b", "c", "d", "e"].map(token);
    for token in &tokens {
        server.becomes(token, READ, 200).await;
    }
    let [a, b, c, d, e] = tokens;
    let grants = place.json(&["token", "list", "--user", "a"]);
    place.told(&["token", "revoke", grants[0]["id"].as_str().unwrap()]);
    place.told(&["user", "set", "b", "--disable"]);
    place.told(&["user", "set", "c", "--remove-role", "pharmacist"]);
    place.told(&["user", "remove", "d"]);
    place.told(&["user", "reset-password", "e"]);
    for (token, status) in [(&a, 401), (&b, 401), (&c, 403), (&d, 401), (&e, 401)] {
        server.becomes(token, READ, status).await;
    }
    // What was disabled does not come back with its user.
    place.told(&["user", "set", "b", "--enable"]);
    add("d");
    server.stop();
    let server = place.serve(&[]);
    for token in [&a, &b, &d, &e] {
        assert_eq!(server.status(token, READ).await, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_tokens_and_what_was_revoked_stays_revoked() {
    let place = Place::new();
    let server = ward(&place).await;
    let kept = place.token(&["--role", "billing"]);
    let revoked = place.token(&["--role", "billing"]);
    let output = place.run_with(&["token", "revoke", "-"], &revoked);
    assert!(output.status.success());
    server.becomes(&kept, READ, 200).await;
    server.becomes(&revoked, READ, 401).await;
    server.stop();
    let server = place.serve(&[]);
    assert_eq!(server.status(&kept, READ).await, 200);
    assert_eq!(server.status(&revoked, READ).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_by_itself() {
    let place = Place::new();
    let server = ward(&place).await;
    let short = place.token(&["--role", "billing", "--ttl", "2s"]);
    assert_eq!(server.status(&short, READ).await, 200);
    server.becomes(&short, READ, 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_are_narrow_rotated_and_removed() {
    let place = Place::new();
    let server = ward(&place).await;
    let made = place.json(&[
        "key",
        "add",
        "lab",
        "--scope",
        "system/Patient.r",
        "--expires",
        "90d",
    ]);
    let key = made["key"].as_str().unwrap().to_owned();
    assert_eq!(server.status(&key, READ).await, 200);
    assert_eq!(server.status(&key, "/fhir/Observation/x").await, 403);
    let id = made["id"].as_str().unwrap();
    let used = place.json(&["key", "show", id]);
    assert!(
        used["last_used"].is_string() && used.get("key").is_none(),
        "{used}"
    );
    let other = format!("{}x", &key[..key.len() - 1]);
    assert_eq!(server.status(&other, READ).await, 401);
    let next = place.json(&["key", "rotate", id, "--overlap", "2s"]);
    let next_key = next["key"].as_str().unwrap();
    assert_eq!(server.status(next_key, READ).await, 200);
    server.becomes(&key, READ, 401).await;
    let next_id = next["id"].as_str().unwrap();
    place.told(&["key", "set", next_id, "--address", "10.0.0.0/8"]);
    server.becomes(next_key, READ, 401).await;
    place.told(&["key", "set", next_id, "--address", "127.0.0.0/8"]);
    server.becomes(next_key, READ, 200).await;
    place.told(&["key", "remove", next_id]);
    server.becomes(next_key, READ, 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_changed_is_changed_for_tokens_that_are_out() {
    let place = Place::new();
    let server = ward(&place).await;
    let token = place.token(&["--role", "billing"]);
    server.becomes(&token, READ, 200).await;
    place.told(&["role", "set", "billing", "--grant", "user/Account.crus"]);
    server.becomes(&token, READ, 403).await;
    place.told(&["role", "reset", "billing"]);
    server.becomes(&token, READ, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_on_one_database_both_learn_what_one_revokes() {
    let store = support::postgres::database().await;
    let place = Place::on(&store);
    let one = ward(&place).await;
    let two = place.serve(&[]);
    let admin = place.token(&["--role", "administrator"]);
    let token = place.token(&["--role", "billing"]);
    let key = place.json(&["key", "add", "x", "--scope", "system/Patient.r"]);
    let key_text = key["key"].as_str().unwrap();
    for server in [&one, &two] {
        server.becomes(&token, READ, 200).await;
        server.becomes(key_text, READ, 200).await;
    }
    let mut administrator = one.with(&admin);
    let list = administrator
        .send("GET", "/admin/tokens", None, &[])
        .await
        .unwrap()
        .json();
    let is_it = |grant: &&serde_json::Value| grant["roles"] == json!(["billing"]);
    let grant = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(is_it)
        .unwrap()["id"]
        .clone();
    for path in [
        format!("/admin/tokens/{}", grant.as_str().unwrap()),
        format!("/admin/keys/{}", key["id"].as_str().unwrap()),
    ] {
        let gone = administrator
            .send("DELETE", &path, None, &[])
            .await
            .unwrap();
        assert_eq!(gone.status.as_u16(), 204, "{}", gone.brief());
    }
    // Where it was revoked, at once.
    assert_eq!(one.status(&token, READ).await, 401);
    assert_eq!(one.status(key_text, READ).await, 401);
    two.becomes(&token, READ, 401).await;
    two.becomes(key_text, READ, 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_disabled_or_removed_has_no_tokens_any_more() {
    let place = Place::new();
    let server = ward(&place).await;
    let mut tokens = Vec::new();
    for id in ["one", "two"] {
        let scope = ["--scope", "system/Patient.rs"];
        let mut add = vec!["client", "add", "Service", "--id", id, "--confidential"];
        add.extend(scope);
        let secret = place.json(&add)["secret"].as_str().unwrap().to_owned();
        let form = format!(
            "grant_type=client_credentials&scope=system/Patient.rs&client_id={id}&client_secret={secret}"
        );
        tokens.push((id, form));
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mut stranger = server.with("");
    let mut issued = Vec::new();
    for (_, body) in &tokens {
        let body = Some(body.clone());
        let reply = stranger
            .send("POST", "/auth/token", body, &form)
            .await
            .unwrap();
        assert_eq!(reply.status.as_u16(), 200, "{}", reply.brief());
        issued.push(reply.json()["access_token"].as_str().unwrap().to_owned());
    }
    for token in &issued {
        server.becomes(token, READ, 200).await;
    }
    place.told(&["client", "set", "one", "--disable"]);
    place.told(&["client", "remove", "two"]);
    for token in &issued {
        server.becomes(token, READ, 401).await;
    }
    for (id, body) in &tokens {
        let body = Some(body.clone());
        let reply = stranger
            .send("POST", "/auth/token", body, &form)
            .await
            .unwrap();
        assert_eq!(
            reply.json()["error"],
            "invalid_client",
            "{id}: {}",
            reply.brief()
        );
    }
    place.told(&["client", "set", "one", "--enable"]);
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(server.status(&issued[0], READ).await, 401);
}
