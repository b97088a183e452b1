//! Log-in through another provider: a second Rotunda, which is one.

use std::sync::Arc;

use rotunda::{
    auth::{
        client::{Client, HashedSecret},
        federated::Provider,
        secret,
    },
    fetch::{FetchSettings, Fetcher},
    http,
};

use crate::{
    person::Person,
    world::{DATABASES, Database, World},
};

const SECRET: &str = "the secret of this server there";

/// The provider, and a server that knows it.
async fn two(database: Database, change: impl FnOnce(&mut Provider)) -> (World, World) {
    let there = World::new(Database::Sqlite).await;
    let mut provider = Provider {
        name: "there".to_owned(),
        title: "The Other Hospital".to_owned(),
        issuer: there.issuer.clone(),
        client_id: "here".to_owned(),
        client_secret: Some(SECRET.to_owned()),
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        // SMART asks for it.
        parameters: [("aud".to_owned(), there.base.clone())].into(),
        create_users: true,
        ..Provider::default()
    };
    change(&mut provider);
    let settings = FetchSettings {
        allow: vec![there.address.to_string()],
        ..FetchSettings::default()
    };
    let fetcher = Arc::new(Fetcher::new(&settings).unwrap());
    let here = World::prepared(database, http::Settings::default(), |auth| {
        auth.with_fetcher(fetcher).with_providers(vec![provider])
    })
    .await;
    let callback = format!("{}/auth/federated/callback", here.issuer);
    let registered = Client {
        secrets: vec![HashedSecret {
            hash: secret::hash(SECRET),
            expires: None,
        }],
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        ..there.client("here", &callback, true)
    };
    there.put("here", registered).await;
    (there, here)
}

/// Goes to the provider, logs in there, and gives the address that leads back.
async fn there_and_back(there: &World, person: &mut Person, login: &str) -> String {
    person.open("/auth/login").await;
    person.sees("Log in with The Other Hospital");
    person.open("/auth/federated?provider=there").await;
    let to = person.at.strip_prefix(&there.issuer);
    let to = to
        .unwrap_or_else(|| panic!("{}: {}", person.at, person.page))
        .to_owned();
    let mut at_provider = Person::new(there);
    at_provider.log_in(&to, login).await;
    at_provider.at.clone()
}

fn path<'a>(here: &World, at: &'a str) -> &'a str {
    at.strip_prefix(&here.issuer)
        .unwrap_or_else(|| panic!("{at}"))
}

#[tokio::test]
async fn who_is_known_to_a_provider_logs_in_with_it() {
    for database in DATABASES {
        let (there, here) = two(database, |_| {}).await;
        let mut dora = Person::new(&here);
        let back = there_and_back(&there, &mut dora, "dora").await;
        dora.open(path(&here, &back)).await;
        assert_eq!(
            (dora.status, dora.at.as_str()),
            (200, "/auth/account"),
            "{}",
            dora.page
        );
        dora.sees("Dora Dunn");
        dora.sees("which keeps your password");
        assert!(!dora.page.contains("Roles"), "no roles come from there");

        // The second time it is the same account.
        let mut again = Person::new(&here);
        let back = there_and_back(&there, &mut again, "dora").await;
        again.open(path(&here, &back)).await;
        again.sees("Dora Dunn");
        dora.open("/auth/account").await;
        assert!(
            dora.page.contains("name=\"session\""),
            "there are two log-ins now"
        );
        here.stop().await;
        there.stop().await;
    }
}

#[tokio::test]
async fn an_answer_counts_once_and_in_the_browser_in_which_it_began() {
    let (there, here) = two(Database::Sqlite, |_| {}).await;
    let mut dora = Person::new(&here);
    let back = there_and_back(&there, &mut dora, "dora").await;
    let back = path(&here, &back).to_owned();
    let mut victim = Person::new(&here);
    victim.open("/auth/login").await;
    victim.open(&back).await;
    assert_eq!(
        victim.status, 410,
        "a link that somebody sent logs nobody in"
    );
    let other = back.replace("code=", "code=x");
    for (wrong, status) in [
        ("/auth/federated/callback?state=guessed&code=x", 410),
        ("/auth/federated/callback", 410),
        (other.as_str(), 502),
        (back.as_str(), 410),
    ] {
        dora.open(wrong).await;
        assert_eq!(dora.status, status, "{wrong}");
        assert!(!dora.cookies.contains_key("rotunda"));
    }
    let late = there_and_back(&there, &mut dora, "dora").await;
    here.wait(601);
    dora.open(path(&here, &late)).await;
    assert_eq!(dora.status, 410);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn strangers_stay_outside_unless_the_provider_may_bring_them() {
    let (there, here) = two(Database::Sqlite, |provider| provider.create_users = false).await;
    let mut dora = Person::new(&here);
    let back = there_and_back(&there, &mut dora, "dora").await;
    dora.open(path(&here, &back)).await;
    assert_eq!(dora.status, 403);
    dora.sees("nobody here knows you");
    let subject = there.user("dora").await.id;
    let issuer = there.issuer.clone();
    let linked = here.user("ann").await;
    let mut changed = linked.clone();
    changed.value.external = vec![(issuer, subject)];
    let records = here.auth.records();
    rotunda::auth::user::replace(records, &linked.value, &changed)
        .await
        .unwrap();
    let back = there_and_back(&there, &mut dora, "dora").await;
    dora.open(path(&here, &back)).await;
    dora.sees("Ann Able");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_provider_that_says_other_things_of_itself_is_not_asked() {
    for change in [
        |provider: &mut Provider| provider.issuer.push('/'),
        |provider: &mut Provider| provider.issuer = "http://127.0.0.1:1".to_owned(),
    ] {
        let (there, here) = two(Database::Sqlite, change).await;
        let mut dora = Person::new(&here);
        dora.open("/auth/federated?provider=there").await;
        assert_eq!(dora.status, 502);
        dora.open("/auth/federated?provider=nobody").await;
        assert_eq!(dora.status, 410);
        here.stop().await;
        there.stop().await;
    }
}
