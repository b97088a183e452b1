//! The account page.

use crate::{
    person::Person,
    world::{Database, PASSWORD, World},
};

#[tokio::test]
async fn log_ins_are_listed_and_ended() {
    let world = World::new(Database::Sqlite).await;
    let mut ann = Person::logged_in(&world, "ann").await;
    let mut phone = Person::logged_in(&world, "ann").await;
    let mut other = Person::logged_in(&world, "dora").await;
    ann.open("/auth/account").await;
    let sessions = "/auth/account/sessions";
    let id = |page: &str| {
        let button = page.split("name=\"session\" value=\"").nth(1)?;
        Some(button.split('"').next()?.to_owned())
    };
    let phones = id(&ann.page).unwrap();
    other.open("/auth/account").await;
    other.send(sessions, &[("session", &phones)]).await;
    phone.open("/auth/account").await;
    assert_eq!(phone.at, "/auth/account", "others cannot end it");
    ann.send(sessions, &[("session", &phones)]).await;
    ann.sees("The log-in has ended.");
    phone.open("/auth/account").await;
    assert_eq!(phone.at, "/auth/login");

    phone.log_in("/auth/login", "ann").await;
    ann.open("/auth/account").await;
    ann.send(sessions, &[("all", "sessions")]).await;
    phone.open("/auth/account").await;
    assert_eq!(phone.at, "/auth/login");
    ann.open("/auth/account").await;
    assert_eq!(ann.at, "/auth/account");
    assert_eq!(id(&ann.page), None);
    world.stop().await;
}

#[tokio::test]
async fn a_changed_password_ends_the_other_log_ins() {
    let world = World::new(Database::Sqlite).await;
    let mut ann = Person::logged_in(&world, "ann").await;
    let mut phone = Person::logged_in(&world, "ann").await;
    ann.open("/auth/account/password").await;
    let action = "/auth/account/password";
    let new = "nine tall lighthouses";
    let sent = [("old", "wrong"), ("new", new), ("again", new)];
    ann.send(action, &sent).await;
    assert_eq!(ann.status, 401);
    let sent = [("old", PASSWORD), ("new", new), ("again", new)];
    ann.send(action, &sent).await;
    ann.sees("Your password is changed.");
    phone.open("/auth/account").await;
    assert_eq!(phone.at, "/auth/login");
    phone
        .send("/auth/login", &[("login", "ann"), ("password", new)])
        .await;
    assert_eq!(phone.at, "/auth/account");
    world.stop().await;
}
