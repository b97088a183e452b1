//! The commands, beside a running server and without one.

use serde_json::json;

use super::program::Place;

#[test]
fn users_are_managed_without_a_server_too() {
    let place = Place::new();
    assert!(
        place
            .refused(&["user", "list"])
            .contains("there is no such file")
    );
    place.told(&["migrate"]);
    let kate = place.json(&[
        "user",
        "add",
        "kate",
        "--role",
        "doctor",
        "--name",
        "Kate",
        "--fhir-user",
        "Practitioner/k",
        "--proxy",
        "child",
        "--proxy",
        "other=2030-01-01",
    ]);
    assert_eq!(kate["roles"], json!(["doctor"]));
    assert_eq!(kate["proxies"][1]["until"], "2030-01-01T00:00:00.000Z");
    assert_eq!(kate["password"].as_str().unwrap().len(), 23);
    let shown = place.json(&["user", "show", "KATE"]);
    assert_eq!(shown["id"], kate["id"]);
    assert!(shown.get("password").is_none());
    let changed = place.json(&[
        "user",
        "set",
        "kate",
        "--add-role",
        "administrator",
        "--email",
        "k@example.org",
        "--login",
        "katherine",
    ]);
    assert_eq!(changed["roles"], json!(["doctor", "administrator"]));
    assert_eq!(changed["name"], "Kate");
    assert!(
        place
            .refused(&["user", "show", "kate"])
            .contains("there is no user 'kate'")
    );
    let other = place.refused(&["user", "add", "Katherine"]);
    assert!(other.contains("is taken"), "{other}");
    let last = place.refused(&["user", "remove", "katherine"]);
    assert!(last.contains("nobody who may manage"), "{last}");
    place.told(&["user", "add", "paul", "--role", "administrator"]);
    place.told(&["user", "remove", "katherine"]);
    let list = place.told(&["user", "list"]);
    assert!(
        list.starts_with("paul  administrator") && list.lines().count() == 1,
        "{list}"
    );
}

#[test]
fn a_password_comes_from_standard_input_and_from_no_argument() {
    let place = Place::new();
    place.told(&["migrate"]);
    let add = ["user", "add", "kate", "--password-stdin", "--json"];
    let weak = place.run_with(&add, "short\n");
    let told = String::from_utf8(weak.stderr).unwrap();
    assert!(
        told.contains("password: The password is too short"),
        "{told}"
    );
    assert!(place.json(&["user", "list"]).as_array().unwrap().is_empty());
    let output = place.run_with(&add, "tea with seven bees\n");
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        !told.contains("seven bees") && !told.contains("\"password\""),
        "{told}"
    );
    assert_eq!(
        place.json(&["user", "show", "kate"])["must_change_password"],
        false
    );
}

#[test]
fn clients_are_registered_and_changed() {
    let place = Place::new();
    place.told(&["migrate"]);
    let app = place.json(&[
        "client",
        "add",
        "My app",
        "--id",
        "my-app",
        "--redirect-uri",
        "http://127.0.0.1:3000/callback",
        "--scope",
        "launch/patient patient/*.rs openid fhirUser",
    ]);
    assert_eq!(
        (&app["id"], &app["proof"]),
        (&json!("my-app"), &json!("none"))
    );
    assert_eq!(app["scopes"].as_array().unwrap().len(), 4);
    let taken = place.refused(&["client", "add", "Other", "--id", "my-app", "--confidential"]);
    assert!(taken.contains("id: is taken"), "{taken}");
    let service = place.json(&[
        "client",
        "add",
        "Service",
        "--confidential",
        "--scope",
        "system/*.rs",
    ]);
    let secret = service["secret"].as_str().unwrap();
    assert!(secret.starts_with("cs_"));
    let id = service["id"].as_str().unwrap();
    let two = place.json(&["client", "add-secret", id, "--overlap", "24h"]);
    assert_ne!(two["secret"], service["secret"]);
    let secrets = two["secrets"].as_array().unwrap();
    assert!(secrets[0]["expires"].is_string() && secrets[1]["expires"].is_null());
    let old = secrets[0]["id"].as_str().unwrap();
    let one = place.json(&["client", "remove-secret", id, old]);
    assert_eq!(one["secrets"].as_array().unwrap().len(), 1);
    let last = one["secrets"][0]["id"].as_str().unwrap();
    let refused = place.refused(&["client", "remove-secret", id, last]);
    assert!(
        refused.contains("clients that prove who they are"),
        "{refused}"
    );
    let key = json!({
        "kty": "EC", "crv": "P-384", "kid": "1",
        "x": "A".repeat(64), "y": "A".repeat(64),
    });
    std::fs::write(place.path("key.json"), key.to_string()).unwrap();
    let with_key = place.json(&["client", "add-key", id, "key.json"]);
    assert_eq!(with_key["proof"], "key");
    assert_eq!(
        place.json(&["client", "remove-key", id, "1"])["proof"],
        "secret"
    );
    place.told(&["client", "set", "my-app", "--disable", "--name", "Mine"]);
    let list = place.told(&["client", "list"]);
    assert!(
        list.contains("my-app  none  Mine") && list.contains("disabled"),
        "{list}"
    );
    place.told(&["client", "remove", "my-app"]);
    assert!(
        place
            .refused(&["client", "show", "my-app"])
            .contains("there is no client")
    );
}

#[test]
fn roles_are_edited_and_become_again_as_they_were() {
    let place = Place::new();
    place.told(&["migrate"]);
    let doctor = place.json(&["role", "show", "doctor"]);
    assert_eq!(
        (&doctor["origin"], &doctor["care_relation"]),
        (&json!("built-in"), &json!(true))
    );
    let edited = place.json(&[
        "role",
        "set",
        "doctor",
        "--care-relation",
        "false",
        "--remove-grant",
        "rotunda/break-glass",
        "--add-grant",
        "user/Observation.rs?category=laboratory",
    ]);
    assert_eq!(
        (&edited["origin"], &edited["care_relation"]),
        (&json!("edited"), &json!(false))
    );
    let grants = edited["grants"].as_array().unwrap();
    assert!(!grants.contains(&json!("rotunda/break-glass")));
    assert!(grants.contains(&json!("user/Observation.rs?category=laboratory")));
    place.told(&["role", "reset", "doctor"]);
    assert_eq!(place.json(&["role", "show", "doctor"]), doctor);
    place.told(&[
        "role",
        "set",
        "porter",
        "--title",
        "Porter",
        "--grant",
        "user/Location.rs user/Patient.rs",
    ]);
    let order =
        |text: &str| place.json(&["role", "set", "porter", "--order", text])["orders"].clone();
    let lab = "ServiceRequest?category=laboratory&status=active";
    assert_eq!(order(lab), json!([lab]));
    let wrong = place.refused(&["role", "set", "porter", "--order", "Slot?status=free"]);
    assert!(
        wrong.contains("orders[0]: 'Slot?status=free' is no order"),
        "{wrong}"
    );
    assert_eq!(order(""), json!([]));
    place.told(&["user", "add", "p", "--role", "porter"]);
    let used = place.refused(&["role", "reset", "porter"]);
    assert!(used.contains("1 users have the role"), "{used}");
    place.told(&["user", "set", "p", "--remove-role", "porter"]);
    place.told(&["role", "reset", "porter"]);
    assert!(
        place
            .refused(&["role", "show", "porter"])
            .contains("there is no role")
    );
    let wrong = place.refused(&["role", "set", "x", "--grant", "user/Robot.rs"]);
    assert!(
        wrong.contains("grants[0]: 'user/Robot.rs' is no scope"),
        "{wrong}"
    );
    // Nobody could manage any more.
    place.told(&["user", "add", "a", "--role", "administrator"]);
    let last = place.refused(&[
        "role",
        "set",
        "administrator",
        "--remove-grant",
        "rotunda/admin",
    ]);
    assert!(last.contains("nobody who may manage"), "{last}");
}

#[test]
fn what_a_command_takes_is_in_its_help() {
    let place = Place::new();
    for command in ["user", "client", "key", "role", "token"] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_rotunda"))
            .args([command, "--help"])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && told.contains("list"), "{told}");
    }
    assert!(
        place
            .refused(&["token", "--role", "doctor"])
            .contains("there is no such file")
    );
    place.told(&["migrate"]);
    for (arguments, wanted) in [
        (&["token"][..], "roles: give roles or a user"),
        (&["token", "--role", "nobody"], "there is no role 'nobody'"),
        (&["token", "--role", "patient"], "name the patient"),
        (
            &["token", "--role", "doctor", "--ttl", "25h"],
            "ttl: at most 24h",
        ),
        (
            &["token", "--role", "doctor", "--ttl", "soon"],
            "is no length of time",
        ),
        (
            &["token", "--role", "doctor", "--scope", "all"],
            "'all' is no scope",
        ),
        (&["token", "--user", "nobody"], "there is no user 'nobody'"),
        (
            &["token", "revoke", "nothing"],
            "there is no grant 'nothing'",
        ),
    ] {
        let told = place.refused(arguments);
        assert!(told.contains(wanted), "{arguments:?}: {told}");
    }
}
