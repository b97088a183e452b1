//! Many at once: what counts once counts once.

use futures_util::future::join_all;

use crate::world::{DATABASES, World};

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_bring_the_same_code_none_keeps_a_token() {
    for database in DATABASES {
        let world = World::new(database).await;
        let code = world
            .code("app", "offline_access patient/*.rs", "ann")
            .await;
        let pairs = world.bringing("app", &code);
        let answers = join_all((0..20).map(|_| world.form("/auth/token", &pairs))).await;
        let (given, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(given.len(), 1, "{database:?}");
        for answer in refused {
            assert_eq!(answer.json()["error"], "invalid_grant");
        }
        // One of them has stolen it; nobody knows which.
        let token = given[0].json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(world.fhir("GET", "Patient/a", &token, "").await.status, 401);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refreshes_at_once_from_one_place_are_one_app_that_repeats_itself() {
    for database in DATABASES {
        let world = World::new(database).await;
        let tokens = world.tokens("offline_access patient/*.rs", "ann").await;
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let answers = join_all((0..10).map(|_| world.refresh("app", refresh, &[]))).await;
        for answer in answers {
            assert_eq!(answer.status, 200, "{database:?}: {}", answer.text());
        }
        world.clock.advance(11_000);
        assert_eq!(world.refresh("app", refresh, &[]).await.status, 400);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_answers_to_one_request_one_counts() {
    for database in DATABASES {
        let world = World::new(database).await;
        let name = world.ask(&world.asking("app", "patient/*.rs")).await;
        let (session, _) = world.log_in("ann").await;
        let request = world.auth.request(&name).await.unwrap().unwrap();
        let choice = rotunda::auth::code::Choice {
            scopes: request.value.asked(),
            patient: Some("a".to_owned()),
            encounter: None,
        };
        let answers = (0..10).map(|_| world.auth.approve(&request, &session, choice.clone()));
        let given = join_all(answers)
            .await
            .into_iter()
            .filter(Result::is_ok)
            .count();
        assert_eq!(given, 1, "{database:?}");
        world.stop().await;
    }
}
