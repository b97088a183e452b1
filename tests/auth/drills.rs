//! What changes under clients that are at work, over HTTP.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::world::{DATABASES, World, opened_with};

const DAY_MS: u32 = 86_400_000;

/// Clients that log in, refresh, read and ask without a pause.
const CLIENTS: usize = 6;

/// The names of the published keys.
fn kids(set: &Value) -> BTreeSet<String> {
    let keys = set["keys"].as_array().unwrap();
    let kids = keys
        .iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned());
    kids.collect()
}

/// One round of a client; gives the keys that its id_tokens are signed with.
async fn round(world: &World, kept: &Value, both: &BTreeSet<String>) -> Vec<String> {
    let scope = "openid fhirUser offline_access patient/*.rs";
    let tokens = world.tokens(scope, "ann").await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let refreshed = world.refresh("app", refresh, &[]).await;
    assert_eq!(refreshed.status, 200, "M-11 refresh: {}", refreshed.text());
    let published = world.get("/auth/jwks").await;
    assert_eq!(published.status, 200, "M-11: {}", published.text());
    let published = published.json();
    assert_eq!(kids(&published), *both, "M-11: both are published");
    let own = world.get("/auth/server-jwks").await;
    assert_eq!(own.status, 200, "M-11: {}", own.text());
    let mut signed = Vec::new();
    for answer in [tokens, refreshed.json()] {
        let access = answer["access_token"].as_str().unwrap();
        let read = world.fhir("GET", "Patient/a", access, "").await;
        assert_eq!(read.status, 200, "M-11 read: {}", read.text());
        let pairs = [("token", access)];
        let bearer = format!("Bearer {access}");
        let known = world
            .form_with("/auth/introspect", &[("Authorization", &bearer)], &pairs)
            .await;
        assert_eq!(known.json()["active"], true, "M-11: {}", known.text());
        let Some(id_token) = answer["id_token"].as_str() else {
            continue;
        };
        // With the set that is published, and with the one that was fetched a day ago.
        for set in [&published, kept] {
            let claims = opened_with(set, id_token);
            assert_eq!(claims["iss"], world.issuer.as_str(), "M-11");
        }
        signed.push(world.kid_of(id_token));
    }
    assert!(!signed.is_empty());
    signed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_key_is_replaced_under_load() {
    for database in DATABASES {
        let world = Arc::new(World::new(database).await);
        let first = kids(&world.get("/auth/jwks").await.json());
        assert_eq!(first.len(), 1);
        for _ in 0..89 {
            world.clock.advance(DAY_MS);
        }
        // Whoever else tends to the same database at that moment makes no third one.
        let (one, other) = tokio::join!(world.auth.tend(), world.auth.tend());
        one.unwrap();
        other.unwrap();
        // What a client fetches now is all that it has for the rest of the drill.
        let kept = Arc::new(world.get("/auth/jwks").await.json());
        let both = Arc::new(kids(&kept));
        assert_eq!(both.len(), 2, "M-11: published a day before it signs");
        world.clock.advance(DAY_MS - 20_000);
        // Not bound to a log-in: of these, the oldest make room.
        let scope = "openid offline_access patient/*.rs";
        let early = world.tokens(scope, "ann").await;

        let done = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (world, kept, both, done) =
                    (world.clone(), kept.clone(), both.clone(), done.clone());
                tokio::spawn(async move {
                    let mut signed = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        signed.extend(round(&world, &kept, &both).await);
                    }
                    signed
                })
            })
            .collect();
        // Twenty seconds before, and twenty after.
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            world.clock.advance(1_000);
            world.auth.tend().await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            let signed = client.await.expect("a client met something unexpected");
            // First with the one, then with the other, and never back.
            let changes = signed.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert_eq!(changes, 1, "M-11 {database:?}: {signed:?}");
            assert!(first.contains(&signed[0]), "M-11 {database:?}");
            assert!(
                !first.contains(&signed[signed.len() - 1]),
                "M-11 {database:?}"
            );
        }
        // What was issued before the change is as good as before.
        let set = world.get("/auth/jwks").await.json();
        opened_with(&set, early["id_token"].as_str().unwrap());
        let access = early["access_token"].as_str().unwrap();
        assert_eq!(
            world.fhir("GET", "Patient/a", access, "").await.status,
            200,
            "M-11"
        );
        // And when nothing that the old one signed is valid any more, it goes.
        world.clock.advance(2 * 3_600_000);
        world.auth.tend().await.unwrap();
        let left = kids(&world.get("/auth/jwks").await.json());
        assert_eq!(left.len(), 1, "M-11");
        assert!(left.is_disjoint(&first), "M-11");
        Arc::into_inner(world).unwrap().stop().await;
    }
}
