//! Conditions of a commit, and many writers at once.

use std::sync::Arc;

use resources::{index::Registry, model::ResourceType};
use rotunda::{
    access::{Access, Denial, Grants, Right, Rights, Rule},
    search::plan::{Clause, KeyRange, Plan, TotalMode},
    store::{Commit, Guard, LogFilter, Options, Store, StoreError},
};
use tokio::task::JoinSet;

use crate::{
    fixture::{ALL, Fixture, create, entry, param, put, put_one, update},
    oracle::reference,
};

const PATIENT: ResourceType = ResourceType::PATIENT;

on_both_databases!(
    a_follower_passes_over_positions_of_commits_that_were_undone,
    of_a_hundred_guarded_commits_one_happens,
    guards_that_share_a_key_exclude_each_other,
    guards_that_one_resource_satisfies_exclude_each_other,
    a_guard_can_ask_for_the_one_resource_that_matches,
    of_many_updates_of_one_version_one_happens,
    commits_of_the_same_resources_in_other_orders_all_end,
    a_follower_sees_every_version_once_while_others_write,
    a_compartment_shows_what_belongs_to_it_and_nothing_else,
    a_log_of_which_little_is_seen_comes_in_parts_without_gaps,
    many_writes_in_one_commit_happen_together,
);

fn is(key: &[u8]) -> Clause {
    Clause::Keys {
        param: param(PATIENT, 1),
        ranges: vec![KeyRange::exact(key.to_vec())],
    }
}

fn everything(kind: ResourceType) -> Plan {
    Plan {
        types: vec![kind],
        filter: Clause::All(Vec::new()),
        sort: Vec::new(),
        limit: 1_000,
        after: None,
        total: TotalMode::None,
    }
}

async fn guarded(store: &Store, id: String, clause: Clause) -> Result<(), StoreError> {
    let entries = vec![entry(PATIENT, 1, b"x"), entry(PATIENT, 2, b"y")];
    let writes = vec![create(PATIENT, &id, entries)];
    let guards = vec![Guard {
        kind: PATIENT,
        clause,
        matches: None,
    }];
    store
        .commit(
            Commit {
                writes,
                guards,
                ..Commit::default()
            },
            &ALL,
        )
        .await
        .map(drop)
}

async fn race(store: &Arc<Store>, clauses: impl Iterator<Item = Clause>) -> usize {
    let mut tasks = JoinSet::new();
    for (at, clause) in clauses.enumerate() {
        let store = Arc::clone(store);
        tasks.spawn(async move { guarded(&store, format!("p{at}"), clause).await });
    }
    let mut done = 0;
    while let Some(result) = tasks.join_next().await {
        match result.unwrap() {
            Ok(()) => done += 1,
            Err(StoreError::Guard(0)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    done
}

async fn of_a_hundred_guarded_commits_one_happens(fixture: &Fixture) {
    let clauses = std::iter::repeat_with(|| is(b"x")).take(100);
    assert_eq!(race(&fixture.store, clauses).await, 1);
    let found = fixture
        .store
        .search(&everything(PATIENT), &ALL)
        .await
        .unwrap();
    assert_eq!(found.hits.len(), 1);
}

async fn guards_that_share_a_key_exclude_each_other(fixture: &Fixture) {
    let clauses = (0..20).map(|at| {
        let ids = Clause::Ids((0..=at).map(|at| format!("p{at}")).collect());
        Clause::Any(vec![is(b"x"), Clause::All(vec![is(b"x"), ids])])
    });
    assert_eq!(race(&fixture.store, clauses).await, 1);
}

/// What the guards ask for has nothing in common but the resource that each would make.
async fn guards_that_one_resource_satisfies_exclude_each_other(fixture: &Fixture) {
    let clauses = (0..40).map(|at| match at % 4 {
        0 => is(b"x"),
        1 => Clause::Keys {
            param: param(PATIENT, 1),
            ranges: vec![KeyRange::prefix(b"x".to_vec())],
        },
        2 => Clause::Keys {
            param: param(PATIENT, 2),
            ranges: vec![KeyRange::exact(b"y".to_vec())],
        },
        _ => Clause::HasParam(param(PATIENT, 1)),
    });
    assert_eq!(race(&fixture.store, clauses).await, 1);
}

async fn a_guard_can_ask_for_the_one_resource_that_matches(Fixture { store, .. }: &Fixture) {
    let head = put_one(store, create(PATIENT, "a", vec![entry(PATIENT, 1, b"x")])).await;
    let attempt = |matches, id: &str| Commit {
        writes: vec![create(PATIENT, id, vec![])],
        guards: vec![Guard {
            kind: PATIENT,
            clause: is(b"x"),
            matches,
        }],
        ..Commit::default()
    };
    store
        .commit(attempt(Some(head.rid), "b"), &ALL)
        .await
        .unwrap();
    let other = store.commit(attempt(Some(head.rid + 1), "c"), &ALL).await;
    assert!(matches!(other, Err(StoreError::Guard(0))));
    put_one(store, create(PATIENT, "d", vec![entry(PATIENT, 1, b"x")])).await;
    let two = store.commit(attempt(Some(head.rid), "e"), &ALL).await;
    assert!(matches!(two, Err(StoreError::Guard(0))));
    let found = store
        .current(&[(PATIENT, "c"), (PATIENT, "e")], &ALL)
        .await
        .unwrap();
    assert_eq!(found, vec![None, None]);
}

async fn of_many_updates_of_one_version_one_happens(Fixture { store, .. }: &Fixture) {
    let head = put_one(store, create(PATIENT, "a", vec![])).await;
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let (store, write) = (Arc::clone(store), update(&head, vec![], vec![]));
        tasks.spawn(async move { put(&store, vec![write]).await });
    }
    let mut done = 0;
    while let Some(result) = tasks.join_next().await {
        match result.unwrap() {
            Ok(_) => done += 1,
            Err(StoreError::Conflict(0)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(done, 1);
}

async fn commits_of_the_same_resources_in_other_orders_all_end(Fixture { store, .. }: &Fixture) {
    let ids: Vec<String> = (0..6).map(|at| format!("p{at}")).collect();
    put(
        store,
        ids.iter().map(|id| create(PATIENT, id, vec![])).collect(),
    )
    .await
    .unwrap();
    let mut tasks = JoinSet::new();
    for turn in 0..24 {
        let (store, mut ids) = (Arc::clone(store), ids.clone());
        tasks.spawn(async move {
            ids.rotate_left(turn % 6);
            if turn % 2 == 0 {
                ids.reverse();
            }
            loop {
                let keys: Vec<_> = ids.iter().map(|id| (PATIENT, id.as_str())).collect();
                let heads = store.current(&keys, &ALL).await.unwrap();
                let writes = heads
                    .iter()
                    .map(|found| update(&found.as_ref().unwrap().head, vec![], vec![]))
                    .collect();
                match put(&store, writes).await {
                    Ok(_) => break,
                    Err(StoreError::Conflict(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    let found = store.current(&[(PATIENT, "p3")], &ALL).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().head.version, 25);
}

async fn a_follower_sees_every_version_once_while_others_write(Fixture { store, .. }: &Fixture) {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            for turn in 0..EACH {
                put_one(
                    &store,
                    create(PATIENT, &format!("p{writer}-{turn}"), vec![]),
                )
                .await;
            }
        });
    }
    let (mut position, mut seen) = (0, Vec::new());
    while seen.len() < WRITERS * EACH {
        let found = store.log_after(position, 7, &ALL).await.unwrap();
        for version in found {
            assert!(version.stored.head.vid > position);
            position = version.stored.head.vid;
            seen.push(version.stored.head.id);
        }
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    assert!(store.log_after(position, 7, &ALL).await.unwrap().is_empty());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), WRITERS * EACH);
}

async fn a_follower_passes_over_positions_of_commits_that_were_undone(
    Fixture { store, .. }: &Fixture,
) {
    let follow = async |after: i64, ids: &[&str]| {
        let waiting = async {
            loop {
                let found = store.log_after(after, 7, &ALL).await.unwrap();
                if found.len() == ids.len() {
                    return found;
                }
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        let limit = std::time::Duration::from_secs(20);
        let found = tokio::time::timeout(limit, waiting).await.unwrap();
        let heads = found.iter().map(|version| &version.stored.head);
        assert_eq!(heads.map(|head| head.id.as_str()).collect::<Vec<_>>(), ids);
        found.last().map_or(after, |last| last.stored.head.vid)
    };
    let head = put_one(store, create(PATIENT, "p1", vec![])).await;
    put_one(store, update(&head, vec![], vec![])).await;
    let position = follow(0, &["p1", "p1"]).await;
    // The commit takes a position, and is undone.
    for _ in 0..3 {
        put(store, vec![update(&head, vec![], vec![])])
            .await
            .unwrap_err();
    }
    // The follower looks when there is nothing but that.
    for _ in 0..20 {
        assert!(store.log_after(position, 7, &ALL).await.unwrap().is_empty());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    put_one(store, create(PATIENT, "p2", vec![])).await;
    follow(position, &["p2"]).await;
}

async fn a_compartment_shows_what_belongs_to_it_and_nothing_else(Fixture { store, .. }: &Fixture) {
    let observation = ResourceType::OBSERVATION;
    let subject = Registry::builtin()
        .param(observation, "subject")
        .unwrap()
        .id;
    let about = |patient: &str| {
        vec![resources::index::Entry {
            param: subject,
            key: reference(PATIENT, patient),
        }]
    };
    let writes = vec![
        create(PATIENT, "a", vec![]),
        create(PATIENT, "b", vec![]),
        create(observation, "of-a", about("a")),
        create(observation, "of-b", about("b")),
        create(ResourceType::LOCATION, "l", vec![]),
    ];
    put(store, writes).await.unwrap();
    let own = Access::compartment(PATIENT, "a".to_owned());
    let keys = [
        (PATIENT, "a"),
        (PATIENT, "b"),
        (observation, "of-a"),
        (observation, "of-b"),
        (ResourceType::LOCATION, "l"),
    ];
    let visible = [true, false, true, false, false];
    let found = store.current(&keys, &own).await.unwrap();
    assert_eq!(
        found.iter().map(Option::is_some).collect::<Vec<_>>(),
        visible
    );
    for ((kind, id), visible) in keys.into_iter().zip(visible) {
        let version = store.version(kind, id, 1, &own).await.unwrap();
        assert_eq!(version.is_some(), visible, "{kind}/{id}");
    }
    let mut plan = everything(observation);
    plan.types = vec![PATIENT, observation, ResourceType::LOCATION];
    plan.total = TotalMode::Accurate;
    let page = store.search(&plan, &own).await.unwrap();
    let ids: Vec<&str> = page
        .hits
        .iter()
        .map(|hit| hit.stored.head.id.as_str())
        .collect();
    assert_eq!((ids, page.total), (vec!["of-a", "a"], Some((2, true))));
    // A hop does not lead to what cannot be seen: nobody refers to the hidden observation.
    plan.types = vec![PATIENT];
    plan.filter = Clause::ReferredBy {
        source: observation,
        param: subject,
        canonical: None,
        inner: Box::new(Clause::Ids(vec!["of-b".to_owned()])),
    };
    assert!(store.search(&plan, &own).await.unwrap().hits.is_empty());
    assert_eq!(store.search(&plan, &ALL).await.unwrap().hits.len(), 1);
    let log = store.log(&LogFilter::default(), 10, &own).await.unwrap();
    let mut ids: Vec<_> = log
        .into_iter()
        .map(|version| version.stored.head.id)
        .collect();
    ids.sort();
    assert_eq!(ids, ["a", "of-a"]);
}

async fn a_log_of_which_little_is_seen_comes_in_parts_without_gaps(Fixture { url, .. }: &Fixture) {
    // On a second store, or the same database again, that looks at next to nothing at once.
    let options = Options {
        candidates: 10,
        ..Options::default()
    };
    let url = match url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{path}.second"),
        None => url.clone(),
    };
    let store = Store::open(&url, &options).await.unwrap();
    let observation = ResourceType::OBSERVATION;
    let subject = Registry::builtin()
        .param(observation, "subject")
        .unwrap()
        .id;
    // More of `a` than is collected at once, of `b` less, and of `c` so many that none are counted.
    fn whose(at: usize) -> &'static str {
        match at {
            _ if at.is_multiple_of(11) => "b",
            _ if at.is_multiple_of(3) => "a",
            _ => "c",
        }
    }
    let observations = (0..150).map(|at| {
        let about = resources::index::Entry {
            param: subject,
            key: resources::index::key::reference(PATIENT, whose(at)),
        };
        create(observation, &format!("o{at}"), vec![about])
    });
    let patients = ["a", "b", "c"].map(|id| create(PATIENT, id, vec![]));
    let writes: Vec<_> = patients.into_iter().chain(observations).collect();
    for chunk in writes.chunks(20) {
        put(&store, chunk.to_vec()).await.unwrap();
    }
    let rights = Rights::of(&[Right::Read, Right::Search]);
    let rule = |patient: Option<&str>| Rule {
        kind: None,
        rights,
        patients: patient.map(str::to_owned).into_iter().collect(),
        constraints: Vec::new(),
        relation: None,
        own: false,
    };
    let denial = Denial {
        patient: "c".to_owned(),
        kinds: Vec::new(),
        constraints: Vec::new(),
    };
    let own = |patient| Grants::new(vec![rule(Some(patient))], Vec::new());
    for (grants, seen) in [
        (own("a"), "a"),
        (own("b"), "b"),
        (own("c"), "c"),
        (own("nobody"), ""),
        (Grants::new(vec![rule(None)], vec![denial]), "ab"),
    ] {
        let access = Access::granted(Arc::new(grants)).to(Right::Search);
        for kind in [None, Some(observation), Some(PATIENT)] {
            let is_seen = |id: &&str| {
                let id: &str = id;
                let number = id.strip_prefix('o').map(|at| at.parse().unwrap());
                let is_of_type = match number {
                    Some(_) => kind != Some(PATIENT),
                    None => kind != Some(observation),
                };
                let owner = match number {
                    Some(at) => whose(at),
                    None => id,
                };
                is_of_type && seen.contains(owner)
            };
            let ids: Vec<String> = ["a", "b", "c"]
                .map(str::to_owned)
                .into_iter()
                .chain((0..150).map(|at| format!("o{at}")))
                .collect();
            let expected = ids.iter().map(String::as_str).filter(is_seen);
            let expected: Vec<&str> = expected.rev().collect();
            let mut filter = LogFilter {
                kind,
                ..LogFilter::default()
            };
            let mut found = Vec::new();
            loop {
                let part = store.log_within(&filter, (4, usize::MAX), &access);
                let part = part.await.unwrap();
                let new = part.entries.into_iter().map(|entry| entry.stored.head.id);
                found.extend(new);
                if part.reached.is_none() {
                    break;
                }
                assert!(part.reached < filter.below || filter.below.is_none());
                filter.below = part.reached;
            }
            assert_eq!(found, expected, "{seen} {kind:?}");
        }
    }
}

async fn many_writes_in_one_commit_happen_together(Fixture { store, .. }: &Fixture) {
    let each = |at: usize| create(PATIENT, &format!("p{at}"), vec![entry(PATIENT, 1, b"x")]);
    let writes: Vec<_> = (0..2_500).map(each).collect();
    let heads = put(store, writes).await.unwrap().heads;
    assert!(heads.windows(2).all(|pair| pair[0].vid < pair[1].vid));
    let names: Vec<String> = (0..2_500).map(|at| format!("p{at}")).collect();
    let keys: Vec<_> = names.iter().map(|id| (PATIENT, id.as_str())).collect();
    let found = store.current(&keys, &ALL).await.unwrap();
    for (found, head) in found.into_iter().zip(heads) {
        assert_eq!(found.unwrap().head, head);
    }
    let plan = Plan {
        filter: is(b"x"),
        total: TotalMode::Accurate,
        limit: 0,
        ..everything(PATIENT)
    };
    assert_eq!(
        store.search(&plan, &ALL).await.unwrap().total,
        Some((2_500, true))
    );
}
