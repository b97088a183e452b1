//! How tokens end, who may know what they mean, and what a clock that is set back revives.

use rotunda::{
    auth::{
        client::Client,
        keys::Algorithm,
        upkeep::latest_time,
        user::{self, User},
    },
    clock::{Clock as _, SystemClock},
};
use serde_json::json;

use crate::world::{DATABASES, Database, SECRET, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gives_back_its_own_tokens_and_no_others() {
    let world = World::new(Database::Sqlite).await;
    let reads = |token: String| {
        let world = &world;
        async move { world.fhir("GET", "Patient/a", &token, "").await.status }
    };
    let tokens = world.tokens("offline_access patient/*.rs", "ann").await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    for (attack, client, token, status) in [
        ("unknown", "app", "at_nonsense", 200),
        ("AU-11 another client's", "other", access.as_str(), 400),
        (
            "AU-11 another client's refresh token",
            "other",
            &refresh,
            400,
        ),
        ("no token", "app", "", 400),
        ("unknown client", "nobody", &access, 401),
    ] {
        let pairs = [("client_id", client), ("token", token)];
        let answer = world.form("/auth/revoke", &pairs).await;
        assert_eq!(answer.status, status, "{attack}: {}", answer.text());
        assert_eq!(reads(access.clone()).await, 200, "{attack}");
    }
    let revoke = |token: String| {
        let world = &world;
        async move {
            let pairs = [
                ("client_id", "app"),
                ("token", token.as_str()),
                ("token_type_hint", "x"),
            ];
            world.form("/auth/revoke", &pairs).await.status
        }
    };
    assert_eq!(revoke(access.clone()).await, 200);
    assert_eq!(reads(access).await, 401, "AU-11");
    let next = world.refresh("app", &refresh, &[]).await.json();
    let access = next["access_token"].as_str().unwrap().to_owned();
    assert_eq!(reads(access.clone()).await, 200);
    let refresh = next["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(revoke(refresh.clone()).await, 200);
    assert_eq!(reads(access).await, 401, "all that came with it");
    assert_eq!(world.refresh("app", &refresh, &[]).await.status, 400);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_know_learns_what_a_token_means() {
    let world = World::new(Database::Sqlite).await;
    let ann = world
        .tokens("openid fhirUser launch/patient patient/*.rs", "ann")
        .await;
    let bob = world
        .code_for(&world.asking("app", "patient/*.rs"), "bob", Some("b"))
        .await;
    let bob = world
        .form("/auth/token", &world.bringing("app", &bob))
        .await
        .json();
    let admin = world.token_of_roles(&["administrator"]).await;
    let resource_server = Client {
        name: "Resource server".to_owned(),
        secrets: vec![rotunda::auth::client::HashedSecret {
            hash: rotunda::auth::secret::hash(SECRET),
            expires: None,
        }],
        scopes: vec!["rotunda/introspect".to_owned()],
        ..Client::default()
    };
    world.put("resource-server", &resource_server).await;
    let token = |tokens: &serde_json::Value| tokens["access_token"].as_str().unwrap().to_owned();
    let (ann, bob) = (token(&ann), token(&bob));
    let nothing = json!({ "active": false });
    for (attack, bearer, client, asked, active) in [
        ("own token", Some(&ann), None, ann.as_str(), true),
        ("an administrator", Some(&admin), None, &ann, true),
        (
            "a resource server",
            None,
            Some("resource-server"),
            &ann,
            true,
        ),
        ("AU-10 another user's", Some(&bob), None, &ann, false),
        ("AU-10 another client", None, Some("web"), &ann, false),
        ("AU-10 unknown", Some(&admin), None, "at_nonsense", false),
    ] {
        let header = bearer.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = header
            .iter()
            .map(|value| ("Authorization", value.as_str()))
            .collect();
        let mut pairs = vec![("token", asked)];
        if let Some(client) = client {
            pairs.extend([("client_id", client), ("client_secret", SECRET)]);
        }
        let answer = world.form_with("/auth/introspect", &headers, &pairs).await;
        assert_eq!(answer.status, 200, "{attack}: {}", answer.text());
        let json = answer.json();
        if !active {
            assert_eq!(json, nothing, "{attack}");
            continue;
        }
        assert_eq!(json["active"], true, "{attack}: {json}");
        assert_eq!(json["client_id"], "app");
        assert_eq!(json["scope"], "openid fhirUser launch/patient patient/*.rs");
        assert_eq!(json["patient"], "a");
        assert_eq!(json["iss"], world.issuer.as_str());
        assert_eq!(json["fhirUser"], format!("{}/Patient/a", world.base));
        assert_eq!(json["exp"], world.clock.now() / 1_000 + 900);
    }
    for (attack, pairs) in [
        ("nobody", vec![("token", ann.as_str())]),
        (
            "a public client",
            vec![("token", &ann), ("client_id", "app")],
        ),
    ] {
        let answer = world.form("/auth/introspect", &pairs).await;
        assert_eq!(answer.status, 401, "{attack}");
    }
    let userinfo = world
        .send(
            "GET",
            "/auth/userinfo",
            &[("Authorization", &format!("Bearer {ann}"))],
            "",
        )
        .await;
    assert_eq!(
        userinfo.json()["fhirUser"],
        format!("{}/Patient/a", world.base)
    );
    let without = world
        .send(
            "GET",
            "/auth/userinfo",
            &[("Authorization", &format!("Bearer {bob}"))],
            "",
        )
        .await;
    assert_eq!(without.status, 403);
    world.clock.advance(900_000);
    let pairs = [
        ("token", ann.as_str()),
        ("client_id", "resource-server"),
        ("client_secret", SECRET),
    ];
    assert_eq!(
        world.form("/auth/introspect", &pairs).await.json(),
        nothing,
        "expired"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_with_their_user_their_roles_and_their_client() {
    let world = World::new(Database::Sqlite).await;
    let records = world.auth.records();
    let reads = |token: String| {
        let world = &world;
        async move { world.fhir("GET", "Patient/a", &token, "").await.status }
    };
    let token = |tokens: serde_json::Value| tokens["access_token"].as_str().unwrap().to_owned();
    let ann = token(world.tokens("offline_access patient/*.rs", "ann").await);
    let dora = token(world.tokens("user/*.rs", "dora").await);
    assert_eq!(
        (reads(ann.clone()).await, reads(dora.clone()).await),
        (200, 200)
    );
    let of = |login: &'static str| async move {
        user::by_login(records, login).await.unwrap().unwrap().id
    };
    let (dora_id, ann_id) = (of("dora").await, of("ann").await);
    let no_roles = records.update::<User>(&dora_id, |user| {
        user.roles.clear();
        Ok(())
    });
    no_roles.await.unwrap();
    assert_eq!(reads(dora).await, 403, "M-05 role removed");
    let disabled = records.update::<User>(&ann_id, |user| {
        user.disabled = true;
        Ok(())
    });
    disabled.await.unwrap();
    assert_eq!(reads(ann).await, 401);
    let code = world
        .code_for(&world.asking("app", "user/*.rs"), "bob", Some("b"))
        .await;
    let bringing = world.bringing("app", &code);
    let bob = token(world.form("/auth/token", &bringing).await.json());
    assert_eq!(reads(bob.clone()).await, 404, "not bob's");
    let off = records.update::<Client>("app", |client| {
        client.disabled = true;
        Ok(())
    });
    off.await.unwrap();
    assert_eq!(reads(bob).await, 401);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_the_database_opens_a_door() {
    let world = World::new(Database::Sqlite).await;
    let asking = world.asking("app", "openid offline_access patient/*.rs");
    let request = world.ask(&asking).await;
    let (_, cookie) = world.log_in("ann").await;
    let code = world.code("app", "patient/*.rs", "ann").await;
    let tokens = world
        .tokens("openid offline_access patient/*.rs", "ann")
        .await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let session = cookie.split_once('=').unwrap().1.to_owned();
    let doors = [
        ("access token", text("access_token")),
        ("refresh token", text("refresh_token")),
        ("id_token", text("id_token")),
        ("code", code),
        ("session", session),
        ("request", request),
        ("client secret", SECRET.to_owned()),
    ];
    let bytes = world.database_files();
    assert!(bytes.len() > 10_000);
    for (name, door) in doors {
        let found = bytes
            .windows(door.len())
            .any(|part| part == door.as_bytes());
        assert!(!found, "M-13 {name}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_key_is_published_before_it_signs_and_until_nothing_needs_it() {
    let world = World::new(Database::Sqlite).await;
    let day = 86_400_000;
    let kids = || async {
        let keys = world.auth.public_keys(Algorithm::Rs256).await.unwrap();
        let keys = keys["keys"].as_array().unwrap().clone();
        let kids = keys
            .into_iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned());
        kids.collect::<Vec<String>>()
    };
    let signer = || async {
        let token = world.tokens("openid patient/*.rs", "ann").await;
        world.kid_of(token["id_token"].as_str().unwrap())
    };
    let first = kids().await;
    assert_eq!(first.len(), 1);
    assert_eq!(signer().await, first[0]);
    for _ in 0..89 {
        world.clock.advance(day);
    }
    world.auth.tend().await.unwrap();
    let both = kids().await;
    assert_eq!(both.len(), 2, "published ahead");
    assert_eq!(signer().await, first[0], "not used yet");
    world.clock.advance(day);
    let before = world.tokens("openid patient/*.rs", "ann").await;
    let next = signer().await;
    assert_ne!(next, first[0], "M-11");
    assert!(both.contains(&next));
    assert!(
        kids().await.contains(&first[0]),
        "what it signed is still valid"
    );
    world.opened(before["id_token"].as_str().unwrap()).await;
    world.clock.advance(2 * 3_600_000);
    assert_eq!(kids().await, [next], "M-11");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_across_a_restart_revives_nothing() {
    for database in DATABASES {
        let world = World::new(database).await;
        let token = world.tokens("patient/*.rs", "ann").await["access_token"].clone();
        let assertion = world.assertion("backend");
        let pairs = [
            ("grant_type", "client_credentials"),
            ("scope", "system/*.rs"),
            ("client_assertion_type", crate::assertion::TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        assert_eq!(world.form("/auth/token", &pairs).await.status, 200);
        world.clock.advance(900_000);
        world.auth.tend().await.unwrap();
        let store = world.auth.records().store();
        // The computer's clock shows years less than what the test's clock has shown.
        let after = SystemClock::not_before(latest_time(store).await.unwrap());
        assert!(after.now() >= world.clock.now(), "M-25 on {database:?}");
        let token = token.as_str().unwrap();
        assert_eq!(world.fhir("GET", "Patient/a", token, "").await.status, 401);
        // Used assertions are remembered for longer than they are valid.
        assert_eq!(world.form("/auth/token", &pairs).await.status, 401);
        world.clock.advance(3_700_000);
        world.auth.tend().await.unwrap();
        assert_eq!(world.form("/auth/token", &pairs).await.status, 401, "M-25");
        world.stop().await;
    }
}
