//! Log-in, second factor, and what guessing costs.

use std::time::{Duration, Instant};

use totp_rs::{Builder, Secret};

use crate::{
    person::Person,
    world::{DATABASES, Database, PASSWORD, World},
};

#[tokio::test]
async fn somebody_logs_in_with_their_password_and_out_again() {
    for database in DATABASES {
        let world = World::new(database).await;
        let mut ann = Person::new(&world);
        ann.open("/auth/account").await;
        assert_eq!(ann.at, "/auth/login");
        ann.send("/auth/login", &[("login", "ann"), ("password", "wrong")])
            .await;
        assert_eq!(ann.status, 401);
        ann.sees("The log-in name or the password is not right.");
        ann.send("/auth/login", &[("login", " Ann"), ("password", PASSWORD)])
            .await;
        assert_eq!((ann.status, ann.at.as_str()), (200, "/auth/account"));
        ann.sees("Ann Able");

        let cookies = ann.cookies.clone();
        ann.send("/auth/logout", &[]).await;
        assert_eq!(ann.at, "/auth/login");
        assert!(!ann.cookies.contains_key("rotunda"));
        ann.cookies = cookies;
        ann.open("/auth/account").await;
        assert_eq!(ann.at, "/auth/login", "the old cookie is worth nothing");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_session_is_another_after_each_log_in_and_ends_when_idle() {
    let world = World::new(Database::Sqlite).await;
    let mut ann = Person::new(&world);
    ann.cookies
        .insert("rotunda".to_owned(), "se_planted".to_owned());
    ann.log_in("/auth/login", "ann").await;
    let first = ann.cookies["rotunda"].clone();
    assert_ne!(first, "se_planted");
    let mut again = Person::logged_in(&world, "ann").await;
    assert_ne!(first, again.cookies["rotunda"]);

    world.wait(14 * 60);
    ann.open("/auth/account").await;
    assert_eq!(ann.at, "/auth/account");
    world.wait(2 * 60);
    again.open("/auth/account").await;
    assert_eq!(again.at, "/auth/login", "16 minutes without a request");
    for _ in 0..12 * 60 / 14 {
        world.wait(14 * 60);
        ann.open("/auth/account").await;
    }
    world.wait(14 * 60);
    ann.open("/auth/account").await;
    assert_eq!(ann.at, "/auth/login", "12 hours are over");
    world.stop().await;
}

#[tokio::test]
async fn who_has_no_account_gets_the_same_answer_in_the_same_time() {
    let world = World::new(Database::Sqlite).await;
    world.change("mum", |user| user.disabled = true).await;
    let attempts = [
        ("ann", "wrong password"),
        ("nobody", "wrong password"),
        ("mum", PASSWORD),
        ("", ""),
    ];
    let mut answers = Vec::new();
    let mut took = [Duration::MAX; 4];
    let mut hash = Duration::MAX;
    // In turns, so that what else the computer does hits all of them.
    for _ in 0..6 {
        world.wait(3_600);
        let begun = Instant::now();
        world.auth.passwords().check("a", None).await.unwrap();
        hash = hash.min(begun.elapsed());
        for (at, (login, password)) in attempts.into_iter().enumerate() {
            let mut person = Person::new(&world);
            person.open("/auth/login").await;
            let begun = Instant::now();
            let fields = [("login", login), ("password", password)];
            person.send("/auth/login", &fields).await;
            took[at] = took[at].min(begun.elapsed());
            let begin = person.page.split("csrf").next().unwrap().to_owned();
            answers.push((person.status, begin));
        }
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    // Without a hash it would be a twentieth; the rest is for what else the computer does.
    let all_hash = took.iter().all(|took| *took * 3 > hash);
    assert!(all_hash, "each costs a hash ({hash:?}): {took:?}");
    world.stop().await;
}

#[tokio::test]
async fn guessing_is_slowed_down_and_locks_nobody_out() {
    for database in DATABASES {
        let world = World::new(database).await;
        let mut ann = Person::logged_in(&world, "ann").await;
        ann.send("/auth/logout", &[]).await;

        for login in ["ann", "nobody"] {
            let mut stranger = Person::new(&world);
            stranger.open("/auth/login").await;
            let mut statuses = Vec::new();
            for _ in 0..8 {
                let fields = [("login", login), ("password", "a guess")];
                stranger.send("/auth/login", &fields).await;
                statuses.push(stranger.status);
            }
            assert_eq!(
                statuses,
                [401, 401, 401, 401, 401, 429, 429, 429],
                "{login}"
            );
            assert_eq!(stranger.header("retry-after"), Some("1"));
            stranger.sees("Try again in a second.");
            world.wait(3);
            stranger
                .send("/auth/login", &[("login", login), ("password", "a guess")])
                .await;
            assert_eq!(stranger.status, 401);
            stranger
                .send("/auth/login", &[("login", login), ("password", "a guess")])
                .await;
            assert_eq!(
                stranger.header("retry-after"),
                Some("2"),
                "longer than before"
            );
        }
        // Even the right password waits, from where nobody logged in before …
        let mut stranger = Person::new(&world);
        stranger.open("/auth/login").await;
        let fields = [("login", "ann"), ("password", "a guess")];
        stranger.send("/auth/login", &fields).await;
        let mut elsewhere = Person::new(&world);
        elsewhere.log_in("/auth/login", "ann").await;
        assert_eq!(elsewhere.status, 429);
        // … but not from where they did.
        ann.log_in("/auth/login", "ann").await;
        assert_eq!(ann.at, "/auth/account");
        world.wait(5);
        elsewhere
            .send("/auth/login", &[("login", "ann"), ("password", PASSWORD)])
            .await;
        assert_eq!(elsewhere.at, "/auth/account");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused() {
    let world = World::new(Database::Sqlite).await;
    let mut person = Person::new(&world);
    person.open("/auth/login").await;
    let fields = [("login", "ann"), ("password", PASSWORD)];
    person.post("/auth/login", &fields, &[]).await;
    assert_eq!(person.status, 403, "without the token");
    let mut other = Person::new(&world);
    other.open("/auth/login").await;
    let cookies = std::mem::take(&mut other.cookies);
    other.send("/auth/login", &fields).await;
    assert_eq!(other.status, 403, "without the cookie");
    other.cookies = cookies;

    let mut ann = Person::logged_in(&world, "ann").await;
    let csrf = ann.page.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap().to_owned();
    for action in [
        "/auth/logout",
        "/auth/consent",
        "/auth/account/sessions",
        "/auth/account/apps",
        "/auth/account/password",
        "/auth/account/second-factor",
    ] {
        if action == "/auth/consent" {
            continue;
        }
        ann.post(action, &[("csrf", "guessed"), ("all", "apps")], &[])
            .await;
        assert_eq!(ann.status, 403, "{action}");
        let sent = [("csrf", csrf.as_str())];
        ann.post(action, &sent, &[("Origin", "https://evil.example")])
            .await;
        assert_eq!(ann.status, 403, "{action}");
        ann.post(action, &sent, &[("Sec-Fetch-Site", "cross-site")])
            .await;
        assert_eq!(ann.status, 403, "{action}");
    }
    ann.open("/auth/account").await;
    assert_eq!(ann.at, "/auth/account", "nothing of it was done");
    world.stop().await;
}

#[tokio::test]
async fn pages_cannot_be_framed_kept_or_made_to_run_anything() {
    let world = World::new(Database::Sqlite).await;
    let evil = "\"><script>alert(1)</script>";
    let more = [("login_hint", evil)];
    let asking = world.asking("app", "https://app.example/callback", "openid", &more);
    let mut person = Person::new(&world);
    person.open(&asking).await;
    assert_eq!(person.status, 200, "{}", person.page);
    assert!(!person.page.contains("<script"), "{}", person.page);
    person.sees("&lt;script&gt;");
    person.sees("The app &lt;b&gt;");
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' \
          https://app.example; frame-ancestors 'none'; base-uri 'none'",
        ),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(person.header(name), Some(value));
    }
    world.stop().await;
}

#[tokio::test]
async fn a_password_that_somebody_else_gave_must_be_changed() {
    let world = World::new(Database::Sqlite).await;
    world
        .change("ann", |user| user.must_change_password = true)
        .await;
    let mut ann = Person::new(&world);
    ann.log_in("/auth/login", "ann").await;
    assert_eq!(ann.at, "/auth/new-password");
    assert!(!ann.cookies.contains_key("rotunda"));
    for (new, again, said) in [
        ("short", "short", "too short"),
        ("a new password!", "another password", "not the same"),
        (PASSWORD, PASSWORD, "the password that you have"),
        ("password1234", "password1234", "guessed first"),
    ] {
        ann.send("/auth/new-password", &[("new", new), ("again", again)])
            .await;
        assert_eq!(ann.status, 422, "{new}");
        ann.sees(said);
    }
    let new = "eight tall lighthouses";
    ann.send("/auth/new-password", &[("new", new), ("again", new)])
        .await;
    assert_eq!(ann.at, "/auth/account");
    let mut again = Person::new(&world);
    again.log_in("/auth/login", "ann").await;
    assert_eq!(again.status, 401, "the old one is worth nothing");
    again
        .send("/auth/login", &[("login", "ann"), ("password", new)])
        .await;
    assert_eq!(again.at, "/auth/account");
    world.stop().await;
}

/// The code of an authenticator app.
pub fn code_of(seed: &str, world: &World) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for letter in seed.chars() {
        bits = bits << 5 | u32::try_from(LETTERS.find(letter).unwrap()).unwrap();
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
            bits &= (1 << held) - 1;
        }
    }
    let secret = Secret::new_stack(bytes.try_into().unwrap());
    let totp = Builder::new().with_secret(secret).build().unwrap();
    use rotunda::clock::Clock as _;
    let seconds = u64::try_from(world.clock.now() / 1_000).unwrap();
    totp.generate(seconds).to_string()
}

/// Turns the second factor on; gives the seed and the recovery codes.
pub async fn set_up(world: &World, person: &mut Person) -> (String, Vec<String>) {
    person.open("/auth/account/second-factor").await;
    let action = "/auth/account/second-factor";
    person.send(action, &[("password", "wrong")]).await;
    assert_eq!(person.status, 401);
    person.send(action, &[("password", PASSWORD)]).await;
    person.sees("<svg");
    let seed = person.page.split("<code>").nth(1).unwrap();
    let seed = seed.split('<').next().unwrap().to_owned();
    let confirm = "/auth/account/second-factor/confirm";
    person.send(confirm, &[("code", "000000")]).await;
    assert_eq!(person.status, 422);
    person
        .send(confirm, &[("code", &code_of(&seed, world))])
        .await;
    let codes = person.page.split("<ul class=\"codes\">").nth(1).unwrap();
    let codes = codes.split("</ul>").next().unwrap();
    let codes = codes.split("<li>").skip(1);
    let codes = codes.map(|code| code.split('<').next().unwrap().to_owned());
    (seed, codes.collect())
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let world = World::new(Database::Sqlite).await;
    let mut ann = Person::logged_in(&world, "ann").await;
    let (seed, codes) = set_up(&world, &mut ann).await;
    assert_eq!(codes.len(), 10);

    let mut again = Person::new(&world);
    again.log_in("/auth/login", "ann").await;
    assert_eq!(again.at, "/auth/code");
    again.open("/auth/account").await;
    assert_eq!(again.at, "/auth/login", "the password alone is not enough");
    again.log_in("/auth/login", "ann").await;
    again
        .send("/auth/code", &[("code", &code_of(&seed, &world))])
        .await;
    assert_eq!(again.status, 401, "this code was used to set it up");
    world.wait(30);
    let code = code_of(&seed, &world);
    again.send("/auth/code", &[("code", &code)]).await;
    assert_eq!(again.at, "/auth/account");

    let mut third = Person::new(&world);
    third.log_in("/auth/login", "ann").await;
    third.send("/auth/code", &[("code", &code)]).await;
    assert_eq!(third.status, 401, "a code is good once");
    third
        .send("/auth/code", &[("code", &codes[3].to_uppercase())])
        .await;
    assert_eq!(third.at, "/auth/account", "{}", third.page);
    let mut fourth = Person::new(&world);
    fourth.log_in("/auth/login", "ann").await;
    fourth.send("/auth/code", &[("code", &codes[3])]).await;
    assert_eq!(fourth.status, 401, "a recovery code is good once");
    third.open("/auth/account").await;
    third.sees("9 recovery codes are left");
    world.stop().await;
}

#[tokio::test]
async fn codes_cannot_be_guessed() {
    let world = World::new(Database::Sqlite).await;
    let mut ann = Person::logged_in(&world, "ann").await;
    set_up(&world, &mut ann).await;
    let mut stranger = Person::new(&world);
    let mut looked_at = 0;
    for guess in 0..40 {
        if stranger.at != "/auth/code" {
            stranger.log_in("/auth/login", "ann").await;
        }
        stranger
            .send("/auth/code", &[("code", &format!("{guess:06}"))])
            .await;
        looked_at += u32::from(stranger.status == 401 || stranger.at == "/auth/login");
    }
    assert_eq!(looked_at, 5, "the rest was too early");
    world.stop().await;
}
