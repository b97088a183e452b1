//! Many who want the time of the same actors at once: nobody gets what somebody has, whoever waits
//! holds nothing, and without locks all of this fails.

use std::sync::Arc;

use rotunda::{
    scheduling::claim::Number,
    store::{Commit, Options, Store, StoreError},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;

use crate::{
    claims::{APPOINTMENT, DOCTOR, NOW, appointments, book, booking, commit, owner, receipt, set},
    fixture::{ALL, Fixture, create, update},
};

on_both_databases!(
    of_many_who_race_for_the_same_spans_one_gets_each,
    bookings_of_several_actors_in_any_order_all_end,
    very_many_actors_at_once_are_claimed_like_few,
    of_many_with_the_same_receipt_one_happens,
    what_is_given_back_is_had_by_the_next,
);

/// All claims of actors, each with the others: how many pairs have the same seat at a time.
pub async fn overlaps(store: &Store, actors: &[Number]) -> (usize, usize) {
    let found = store.claims_of(actors, 0).await.unwrap();
    let pairs = found.iter().enumerate().map(|(at, one)| {
        let rest = found[at + 1..].iter();
        let same = rest.filter(|other| {
            other.actor == one.actor
                && other.seat == one.seat
                && other.exclusive().overlaps(one.exclusive())
        });
        same.count()
    });
    (found.len(), pairs.sum())
}

/// Everybody walks over the same spans: how many bookings there are in the end.
async fn race(stores: &[Arc<Store>], tasks: usize, spans: i64) -> usize {
    let mut racing = JoinSet::new();
    for task in 0..tasks {
        let store = Arc::clone(&stores[task % stores.len()]);
        racing.spawn(async move {
            let mut won = 0;
            for span in 0..spans {
                let start = 10_000 + span * 900;
                let patient = Number(task as i64 + 1);
                let claims = vec![
                    booking(patient, start, start + 900),
                    booking(DOCTOR, start, start + 900),
                ];
                match book(&store, &format!("a{task}-{span}"), claims).await {
                    Ok(_) => won += 1,
                    Err(StoreError::Refused { set: 0, .. }) => {}
                    // Only without locks: the constraint was faster.
                    Err(StoreError::Conflict(0)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            won
        });
    }
    racing.join_all().await.into_iter().sum()
}

async fn of_many_who_race_for_the_same_spans_one_gets_each(Fixture { store, .. }: &Fixture) {
    assert_eq!(race(&[Arc::clone(store)], 64, 200).await, 200);
    assert_eq!(overlaps(store, &[DOCTOR]).await, (200, 0));
    assert_eq!(appointments(store).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_database_race_as_one() {
    let first = Fixture::postgres().await;
    let second = Store::open(&first.url, &Options::default()).await.unwrap();
    let stores = [Arc::clone(&first.store), Arc::new(second)];
    assert_eq!(race(&stores, 32, 100).await, 100);
    assert_eq!(overlaps(&first.store, &[DOCTOR]).await, (100, 0));
    assert_eq!(appointments(&first.store).await, 100);
}

/// Who waits learns from those before: what is told must be so.
#[tokio::test(flavor = "multi_thread")]
async fn what_those_who_wait_are_told_is_so() {
    let Fixture { store, url, .. } = &Fixture::postgres().await;
    let mut direct = PgConnection::connect(url).await.unwrap();
    let lock = format!("SELECT pg_advisory_lock({})", DOCTOR.0);
    direct.execute(AssertSqlSafe(lock)).await.unwrap();
    let one = |id: &str, start: i64| {
        let writes = vec![create(APPOINTMENT, id, vec![])];
        commit(
            writes,
            vec![set(id, vec![booking(DOCTOR, start, start + 10)])],
        )
    };
    // Stands in its own way.
    let mut itself = one("a", 0);
    itself.writes.extend(one("b", 0).writes);
    itself.claims.extend(one("b", 0).claims);
    let answered = |commit: Commit| Commit {
        receipt: Some(receipt(9, i64::MAX)),
        ..commit
    };
    let mut tasks = Vec::new();
    for commit in [
        itself,
        one("c", 5),
        // The same resource again, another at the time, the time that is left, a request twice.
        one("c", 5),
        one("d", 5),
        one("e", 15),
        answered(one("f", 30)),
        answered(one("g", 30)),
        one("h", 30),
    ] {
        let store = Arc::clone(store);
        tasks.push(tokio::spawn(
            async move { store.commit(commit, &ALL).await },
        ));
        // So that they queue in this order.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    direct.close().await.unwrap();
    let mut done = Vec::new();
    for task in tasks {
        done.push(match task.await.unwrap() {
            Ok(_) => "done",
            Err(StoreError::Refused { set: 1, .. }) => "refused itself",
            Err(StoreError::Refused { .. }) => "refused",
            Err(StoreError::Conflict(0)) => "conflict",
            Err(StoreError::Repeated) => "repeated",
            Err(error) => panic!("{error}"),
        });
    }
    let expected = [
        "refused itself",
        "done",
        "conflict",
        "refused",
        "done",
        "done",
        "repeated",
        "refused",
    ];
    assert_eq!(done, expected);
}

/// Somebody else has the doctor's time locked: of those who wait for it, one has a connection.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_actor_holds_no_connection() {
    let url = crate::support::postgres::database().await;
    let options = Options {
        connections: 2,
        ..Options::default()
    };
    let store = Arc::new(Store::open(&url, &options).await.unwrap());
    let mut direct = PgConnection::connect(&url).await.unwrap();
    let lock = format!("SELECT pg_advisory_lock({})", DOCTOR.0);
    direct.execute(AssertSqlSafe(lock)).await.unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let store = Arc::clone(&store);
        let claims = vec![booking(DOCTOR, 0, 10)];
        tasks.spawn(async move { book(&store, &format!("a{task}"), claims).await.is_ok() });
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let other = vec![booking(Number(1), 0, 10)];
    book(&store, "other", other).await.unwrap();
    assert_eq!(store.claims_of(&[DOCTOR], 0).await.unwrap(), []);
    direct.close().await.unwrap();
    let won = tasks.join_all().await.into_iter().filter(|won| *won);
    assert_eq!(won.count(), 1);
}

async fn without_locks(url: &str) -> Arc<Store> {
    let options = Options {
        without_claim_locks: true,
        ..Options::default()
    };
    Arc::new(Store::open(url, &options).await.unwrap())
}

/// The proof that the race above can fail.
#[tokio::test(flavor = "multi_thread")]
async fn without_locks_the_race_overlaps_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = without_locks(&format!("sqlite:{}/a.db", folder.path().display())).await;
    let won = race(&[Arc::clone(&store)], 64, 50).await;
    let (claims, pairs) = overlaps(&store, &[DOCTOR]).await;
    assert_eq!(won, claims);
    assert!(pairs > 0, "{claims} claims of 50 spans");
}

/// The same on PostgreSQL: with the constraint nobody overlaps all the same, though commits get in
/// each other's way; without it they do.
#[tokio::test(flavor = "multi_thread")]
async fn without_locks_the_constraint_holds_on_postgres_and_without_it_the_race_overlaps() {
    let url = crate::support::postgres::database().await;
    let store = without_locks(&url).await;
    let won = race(&[Arc::clone(&store)], 16, 20).await;
    assert_eq!(overlaps(&store, &[DOCTOR]).await, (won, 0));
    assert!(won <= 20);

    let url = crate::support::postgres::database().await;
    let store = without_locks(&url).await;
    let mut direct = PgConnection::connect(&url).await.unwrap();
    direct
        .execute("ALTER TABLE claim DROP CONSTRAINT claim_once")
        .await
        .unwrap();
    let won = race(&[Arc::clone(&store)], 16, 50).await;
    let (claims, pairs) = overlaps(&store, &[DOCTOR]).await;
    assert_eq!(won, claims);
    assert!(pairs > 0, "{claims} claims of 50 spans");
}

/// Book, cancel, and again: in the end nobody is in the way of anybody.
async fn what_is_given_back_is_had_by_the_next(Fixture { store, .. }: &Fixture) {
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut won = 0;
            for at in 0..30 {
                let id = format!("a{task}-{at}");
                match book(&store, &id, vec![booking(DOCTOR, 0, 10)]).await {
                    Ok(mut done) => {
                        won += 1;
                        let writes = vec![update(&done.heads.remove(0), vec![], vec![])];
                        let cancel = commit(writes, vec![set(&id, vec![])]);
                        store.commit(cancel, &ALL).await.unwrap();
                        assert!(store.claims_by(&[owner(&id)]).await.unwrap().is_empty());
                    }
                    Err(StoreError::Refused { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            won
        });
    }
    let won: usize = tasks.join_all().await.into_iter().sum();
    assert!(won > 0);
    assert_eq!(overlaps(store, &[DOCTOR]).await, (0, 0));
    book(store, "last", vec![booking(DOCTOR, 0, 10)])
        .await
        .unwrap();
}

async fn bookings_of_several_actors_in_any_order_all_end(Fixture { store, .. }: &Fixture) {
    let actors: Vec<Number> = (1..=5).map(Number).collect();
    let mut tasks = JoinSet::new();
    for task in 0..24 {
        let (store, mut actors) = (Arc::clone(store), actors.clone());
        tasks.spawn(async move {
            actors.rotate_left(task % 5);
            if task % 2 == 0 {
                actors.reverse();
            }
            let mut won = 0;
            for span in 0..20 {
                let claims = actors[..3]
                    .iter()
                    .map(|actor| booking(*actor, span * 10, span * 10 + 10));
                match book(&store, &format!("a{task}-{span}"), claims.collect()).await {
                    Ok(_) => won += 1,
                    Err(StoreError::Refused { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            won
        });
    }
    let won: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(overlaps(store, &actors).await, (won * 3, 0));
    assert_eq!(won, 20, "three of five leave too few for another");
}

/// On PostgreSQL these wait for everybody instead of locking each actor.
async fn very_many_actors_at_once_are_claimed_like_few(Fixture { store, .. }: &Fixture) {
    let actors: Vec<Number> = (1..=200).map(Number).collect();
    let mut tasks = JoinSet::new();
    for task in 0..12 {
        let (store, actors) = (Arc::clone(store), actors.clone());
        tasks.spawn(async move {
            let few = if task % 3 == 0 { 200 } else { 1 };
            let (mut won, mut claimed) = (0, 0);
            for span in 0..15 {
                let from = if few == 1 { task * 7 } else { 0 };
                let claims = actors[from..from + few]
                    .iter()
                    .map(|actor| booking(*actor, span * 10, span * 10 + 10));
                match book(&store, &format!("a{task}-{span}"), claims.collect()).await {
                    Ok(_) => {
                        won += 1;
                        claimed += few;
                    }
                    Err(StoreError::Refused { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            (won, claimed)
        });
    }
    let done = tasks.join_all().await;
    let claimed: usize = done.iter().map(|done| done.1).sum();
    assert_eq!(overlaps(store, &actors).await, (claimed, 0));
    assert!(done.iter().map(|done| done.0).sum::<i32>() >= 15);
}

async fn of_many_with_the_same_receipt_one_happens(Fixture { store, .. }: &Fixture) {
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let store = Arc::clone(store);
        let id = format!("a{task}");
        // Half of them claim nothing, half claim the same.
        let claims = match task % 2 {
            0 => vec![set(&id, vec![booking(DOCTOR, 0, 10)])],
            _ => vec![],
        };
        let commit = Commit {
            receipt: Some(receipt(7, NOW * 1_000 + 1)),
            ..commit(vec![create(APPOINTMENT, &id, vec![])], claims)
        };
        tasks.spawn(async move { store.commit(commit, &ALL).await });
    }
    let mut won = 0;
    for done in tasks.join_all().await {
        match done {
            Ok(_) => won += 1,
            Err(StoreError::Repeated) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(appointments(store).await, 1);
    let kept = store.receipt(&[7; 32]).await.unwrap().unwrap();
    assert_eq!((kept.request, kept.answer), ([8; 32], vec![7; 5]));
    assert_eq!(store.receipt(&[8; 32]).await.unwrap(), None);
    // What is repeated is told so, even if it could not happen any more.
    let again = Commit {
        receipt: Some(receipt(7, NOW * 1_000 + 1)),
        ..commit(
            vec![
                create(APPOINTMENT, "a0", vec![]),
                create(APPOINTMENT, "a1", vec![]),
            ],
            vec![],
        )
    };
    let again = store.commit(again, &ALL).await;
    assert!(matches!(again, Err(StoreError::Repeated)), "{again:?}");
}
