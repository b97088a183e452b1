//! The first start.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{program::Place, support};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_an_administrator_whose_password_is_shown_once() {
    let place = Place::new();
    let server = place.serve(&[]);
    let line = server.line("first start: log in as admin with the one-time password ");
    let password = line.split_whitespace().next().unwrap().to_owned();
    assert_eq!(password.len(), 23, "{password}");
    assert!(!server.logged().contains(&password));
    let login = format!("{}/auth/login", server.root());
    assert_eq!(server.line("log in: "), login);
    assert!(
        server
            .line("token for scripts: ")
            .contains("--store sqlite:a.db")
    );
    let admin = place.json(&["user", "show", "admin"]);
    assert_eq!(admin["must_change_password"], true);
    assert_eq!(admin["roles"], serde_json::json!(["administrator"]));
    server.stop();
    let again = place.serve(&[]);
    assert!(
        !again.told.iter().any(|line| line.contains("one-time")),
        "{:?}",
        again.told
    );
    let other = place.told(&["user", "reset-password", "admin"]);
    assert!(other.contains("admin logs in once with the password ") && !other.contains(&password));
}

#[test]
fn what_the_first_start_leaves_is_for_its_owner_alone() {
    let place = Place::new();
    place.serve(&[]).stop();
    for name in ["a.db", "a.db.key", "a.db.lock"] {
        let mode = fs::metadata(place.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_that_start_first_one_makes_the_administrator() {
    let store = support::postgres::database().await;
    let place = Place::on(&store);
    // Else each would make a master key of its own.
    place.told(&["migrate"]);
    let starts: Vec<_> = std::thread::scope(|scope| {
        let start = || scope.spawn(|| place.serve(&[]));
        let both = [start(), start()];
        both.map(|one| one.join().unwrap()).into()
    });
    let told = |line: &&String| line.contains("one-time password");
    let passwords = starts.iter().flat_map(|server| &server.told).filter(told);
    assert_eq!(passwords.count(), 1);
    assert_eq!(place.json(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_says_loudly_that_it_is_open() {
    let place = Place::new();
    let open = place.serve(&["--open"]);
    assert!(open.told[0].contains("without authentication"));
    assert!(
        open.logged()
            .contains("WARNING: there is NO AUTHENTICATION")
    );
    assert!(!open.told.iter().any(|line| line.contains("password")));
    let health = |server: &super::program::Server| server.at(&server.admin, "");
    let answer = health(&open)
        .send("GET", "/health", None, &[])
        .await
        .unwrap();
    assert_eq!(answer.json()["authentication"], "none");
    assert_eq!(answer.json()["warnings"].as_array().unwrap().len(), 1);
    let refused = open
        .with("")
        .send("GET", "/admin/users", None, &[])
        .await
        .unwrap();
    assert_eq!(refused.status.as_u16(), 404);
    open.stop();
    let closed = place.serve(&[]);
    let answer = health(&closed)
        .send("GET", "/health", None, &[])
        .await
        .unwrap();
    assert_eq!(answer.json()["authentication"], "required");
    assert_eq!(answer.json()["tls"], false);
    assert_eq!(answer.json()["status"], "ready");
    assert!(!closed.logged().contains("WARNING"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_what_is_public_is_served_without_a_token() {
    let place = Place::new();
    let server = place.serve(&[]);
    for (path, status) in [
        ("/fhir/metadata", 200),
        ("/fhir/.well-known/smart-configuration", 200),
        ("/.well-known/openid-configuration", 200),
        ("/fhir/Patient", 401),
        ("/fhir/Patient/1", 401),
        ("/fhir/_history", 401),
        ("/fhir/AuditEvent", 401),
        ("/fhir", 401),
        ("/admin/users", 401),
        ("/admin/nothing", 401),
    ] {
        assert_eq!(server.status("", path).await, status, "{path}");
        let expected = if status == 401 { 401 } else { status };
        assert_eq!(server.status("at_wrong", path).await, expected, "{path}");
    }
    let mut stranger = server.with("");
    let answer = stranger
        .send("GET", "/fhir/Patient", None, &[])
        .await
        .unwrap();
    assert!(
        answer
            .header("www-authenticate")
            .unwrap()
            .starts_with("Bearer")
    );
}
