//! A new password by mail.

use rotunda::mail::{Mail, Mailer};

use crate::{
    person::Person,
    smtp::MailServer,
    world::{DATABASES, Database, PASSWORD, World},
};

const NEW: &str = "ten tall lighthouses";

async fn asks(world: &World, login: &str) -> Person {
    let mut person = Person::new(world);
    person.open("/auth/forgot").await;
    person.send("/auth/forgot", &[("login", login)]).await;
    assert_eq!(person.status, 200, "{}", person.page);
    person
}

/// The link in a mail.
fn link(mail: &str) -> String {
    // A long line is broken in transfer (quoted-printable).
    let mail = mail.replace("=\n", "").replace("=3D", "=");
    let at = mail
        .find("/auth/reset?token=")
        .unwrap_or_else(|| panic!("{mail}"));
    mail[at..].split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail_once() {
    for database in DATABASES {
        let server = MailServer::start().await;
        server.is_busy(2);
        let world = World::mailing(database, server.mailer()).await;
        let mut phone = Person::logged_in(&world, "ann").await;
        let known = asks(&world, "ann").await;
        let (to, text) = server.mail(0).await;
        assert_eq!(to, "ann@hospital.example");
        assert!(text.contains("Subject: A new password"), "{text}");
        assert!(
            text.contains("From: Rotunda <rotunda@hospital.example>"),
            "{text}"
        );
        let unknown = asks(&world, "nobody").await;
        assert_eq!(known.page, unknown.page);

        let link = link(&text);
        let mut person = Person::new(&world);
        person.open(&link).await;
        assert_eq!(person.status, 200, "{}", person.page);
        person
            .send("/auth/reset", &[("new", "short"), ("again", "short")])
            .await;
        assert_eq!(person.status, 422);
        person
            .send("/auth/reset", &[("new", NEW), ("again", NEW)])
            .await;
        person.sees("Your new password is set");
        phone.open("/auth/account").await;
        assert_eq!(phone.at, "/auth/login", "all log-ins have ended");
        phone
            .send("/auth/login", &[("login", "ann"), ("password", PASSWORD)])
            .await;
        assert_eq!(phone.status, 401);
        phone
            .send("/auth/login", &[("login", "ann"), ("password", NEW)])
            .await;
        assert_eq!(phone.at, "/auth/account");
        person.open(&link).await;
        assert_eq!(person.status, 410, "a link is good once");
        assert_eq!(server.count(), 1);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_link_is_good_for_half_an_hour_and_mails_are_few() {
    let server = MailServer::start().await;
    let world = World::mailing(Database::Sqlite, server.mailer()).await;
    for _ in 0..5 {
        asks(&world, "ann").await;
    }
    let (_, text) = server.mail(2).await;
    let mut person = Person::new(&world);
    world.wait(29 * 60);
    person.open(&link(&text)).await;
    assert_eq!(person.status, 200);
    world.wait(2 * 60);
    person
        .send("/auth/reset", &[("new", NEW), ("again", NEW)])
        .await;
    assert_eq!(person.status, 410);
    asks(&world, "ann").await;
    let (_, text) = server.mail(3).await;
    person.open(&link(&text)).await;
    assert_eq!(person.status, 200);
    assert_eq!(server.count(), 4, "three in half an hour");
    for guess in ["", "pr_guess", "%00"] {
        person.open(&format!("/auth/reset?token={guess}")).await;
        assert_ne!(person.status, 200, "{guess}");
    }
    world.stop().await;
}

#[tokio::test]
async fn who_has_no_address_or_no_password_gets_no_mail() {
    let server = MailServer::start().await;
    let world = World::mailing(Database::Sqlite, server.mailer()).await;
    world.change("ann", |user| user.email = None).await;
    world.change("mum", |user| user.password = None).await;
    world.change("dora", |user| user.disabled = true).await;
    for login in ["ann", "mum", "dora"] {
        asks(&world, login).await;
    }
    world.change("dora", |user| user.disabled = false).await;
    asks(&world, "dora").await;
    server.mail(0).await;
    assert_eq!(server.count(), 1);
    world.stop().await;
}

#[tokio::test]
async fn mail_goes_over_tls_to_a_server_that_proves_who_it_is() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let server = MailServer::start_tls().await;
    let mail = |text: &str| Mail {
        to: (String::new(), "ann@hospital.example".to_owned()),
        subject: "Ärger".to_owned(),
        text: text.to_owned(),
    };
    let mut settings = server.settings();
    settings.credentials = Some(("rotunda".to_owned(), "secret".to_owned()));
    let trusting = Mailer::start(settings.clone()).unwrap();
    settings.authority = None;
    let distrusting = Mailer::start(settings).unwrap();
    distrusting.send(mail("to whom?"));
    trusting.send(mail("hello"));
    let (_, text) = server.mail(0).await;
    assert!(text.contains("hello"), "{text}");
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(
        server.count(),
        1,
        "nothing went to a server that is not known"
    );
    let plain = BASE64_STANDARD.encode("\0rotunda\0secret");
    assert_eq!(server.shown(), [format!("AUTH PLAIN {plain}")]);
    for smtp in ["mail.example", "http://mail.example", "smtp://", ""] {
        let mut settings = server.settings();
        settings.smtp = smtp.to_owned();
        assert!(Mailer::start(settings).is_err(), "{smtp}");
    }
}
