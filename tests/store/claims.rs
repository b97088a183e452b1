//! Claims on the time of actors: who is admitted beside whom, and that what is refused has not
//! happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use resources::model::ResourceType;
use rotunda::{
    scheduling::{
        claim::{BufferPolicy, Claim, ClaimKind, ClaimSet, NewClaim, Number, Quota, Refusal},
        span::Span,
    },
    store::{Commit, Committed, LogFilter, NewAuditRow, NewReceipt, Store, StoreError, Write},
};
use tokio::task::JoinSet;

use crate::{
    bookings::overlaps,
    fixture::{ALL, Fixture, create, put_one, update},
};

pub const APPOINTMENT: ResourceType = ResourceType::APPOINTMENT;
pub const DOCTOR: Number = Number(-77);
const DAY: i64 = 24 * 60 * 60;
/// What the tests take for the present.
pub const NOW: i64 = 1_000;

on_both_databases!(
    a_group_has_as_many_seats_as_its_strictest_member_lets_it,
    buffers_keep_their_time,
    a_quota_holds_among_many_at_once,
    a_hold_that_is_over_is_in_nobodys_way,
    who_is_forced_gets_a_seat_of_their_own,
    what_is_moved_in_one_commit_is_free_for_others_in_it,
    sets_of_one_commit_see_each_other,
    a_claim_of_any_length_is_found_from_within,
    a_receipt_that_is_over_is_replaced,
    what_is_refused_leaves_nothing,
    what_was_computed_from_an_old_version_is_a_conflict_first,
    a_walk_sees_all_claims_of_each_owner,
);

pub fn owner(id: &str) -> Number {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    Number(hasher.finish() as i64)
}

pub fn booking(actor: Number, start: i64, end: i64) -> NewClaim {
    NewClaim {
        claim: Claim {
            actor,
            owner: Number(0),
            kind: ClaimKind::Booking,
            core: Span::new(start, end),
            padded: Span::new(start, end),
            buffers: BufferPolicy::Stack,
            capacity: 1,
            seat: 0,
            expires: None,
        },
        is_forced: false,
        overbook: 0,
        quotas: Vec::new(),
    }
}

fn with(of: NewClaim, change: impl FnOnce(&mut NewClaim)) -> NewClaim {
    let mut of = of;
    change(&mut of);
    of
}

pub fn set(id: &str, claims: Vec<NewClaim>) -> ClaimSet {
    ClaimSet {
        owner: owner(id),
        claims,
        beside: Vec::new(),
    }
}

pub fn commit(writes: Vec<Write>, claims: Vec<ClaimSet>) -> Commit {
    Commit {
        writes,
        claims,
        now: NOW,
        ..Commit::default()
    }
}

/// A new Appointment with its claims.
pub async fn book(store: &Store, id: &str, claims: Vec<NewClaim>) -> Result<Committed, StoreError> {
    let commit = commit(vec![create(APPOINTMENT, id, vec![])], vec![set(id, claims)]);
    store.commit(commit, &ALL).await
}

/// The owner that is in the way.
fn by(done: Result<Committed, StoreError>) -> Number {
    match done {
        Err(StoreError::Refused {
            refusal: Refusal::Taken { by, .. },
            ..
        }) => by.owner,
        other => panic!("{other:?}"),
    }
}

pub async fn appointments(store: &Store) -> usize {
    let filter = LogFilter {
        kind: Some(APPOINTMENT),
        ..LogFilter::default()
    };
    store.log(&filter, 100_000, &ALL).await.unwrap().len()
}

async fn a_group_has_as_many_seats_as_its_strictest_member_lets_it(
    Fixture { store, .. }: &Fixture,
) {
    let group = |capacity| with(booking(DOCTOR, 0, 10), |new| new.claim.capacity = capacity);
    let mut tasks = JoinSet::new();
    for task in 0..20 {
        let store = Arc::clone(store);
        let claims = vec![group(7)];
        tasks.spawn(async move { book(&store, &format!("a{task}"), claims).await.is_ok() });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won);
    assert_eq!(won.count(), 7);
    let found = store.claims_of(&[DOCTOR], 0).await.unwrap();
    let seats: BTreeSet<u16> = found.iter().map(|claim| claim.seat).collect();
    assert_eq!(seats, (0..7).collect());
    by(book(store, "full", vec![group(9)]).await);
    let over = with(group(7), |new| new.overbook = 1);
    book(store, "over", vec![over.clone()]).await.unwrap();
    by(book(store, "over-full", vec![over]).await);
}

async fn buffers_keep_their_time(Fixture { store, .. }: &Fixture) {
    let at = |start: i64, buffers| {
        with(booking(DOCTOR, start, start + 100), |new| {
            new.claim.padded = new.claim.core.padded(20, 30);
            new.claim.buffers = buffers;
        })
    };
    use BufferPolicy::{Ignore, Share, Stack};
    book(store, "a", vec![at(1_000, Stack)]).await.unwrap();
    by(book(store, "b", vec![at(1_149, Stack)]).await);
    book(store, "b", vec![at(1_150, Stack)]).await.unwrap();
    by(book(store, "c", vec![at(1_269, Share)]).await);
    book(store, "c", vec![at(1_280, Share)]).await.unwrap();
    by(book(store, "d", vec![at(1_379, Ignore)]).await);
    book(store, "d", vec![at(1_380, Ignore)]).await.unwrap();
    book(store, "e", vec![at(1_480, Ignore)]).await.unwrap();
    assert_eq!(overlaps(store, &[DOCTOR]).await, (5, 0));
}

async fn a_quota_holds_among_many_at_once(Fixture { store, .. }: &Fixture) {
    let limited = |start: i64| {
        with(booking(DOCTOR, start, start + 10), |new| {
            new.quotas = vec![Quota {
                within: Span::new(0, DAY),
                most: 5,
                per: "day",
            }];
        })
    };
    let mut tasks = JoinSet::new();
    for task in 0..24 {
        let store = Arc::clone(store);
        let claims = vec![limited(task * 3_000)];
        tasks.spawn(async move { book(&store, &format!("a{task}"), claims).await });
    }
    let mut won = 0;
    for done in tasks.join_all().await {
        match done {
            Ok(_) => won += 1,
            Err(StoreError::Refused {
                refusal: Refusal::Quota { quota, .. },
                ..
            }) => assert_eq!((quota.most, quota.per), (5, "day")),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won, 5);
    book(store, "tomorrow", vec![limited(DAY)]).await.unwrap();
}

async fn a_hold_that_is_over_is_in_nobodys_way(Fixture { store, .. }: &Fixture) {
    let hold = |expires| {
        with(booking(DOCTOR, 0, 10), |new| {
            new.claim.expires = Some(expires)
        })
    };
    book(store, "hold", vec![hold(NOW + 1)]).await.unwrap();
    assert_eq!(
        by(book(store, "a", vec![booking(DOCTOR, 5, 9)]).await),
        owner("hold")
    );
    let late = |id: &str| Commit {
        now: NOW + 1,
        ..commit(
            vec![create(APPOINTMENT, id, vec![])],
            vec![set(id, vec![booking(DOCTOR, 5, 9)])],
        )
    };
    store.commit(late("b"), &ALL).await.unwrap();
    let found = store.claims_of(&[DOCTOR], 0).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].owner, found[0].seat), (owner("b"), 0));
    assert_eq!(by(store.commit(late("c"), &ALL).await), owner("b"));
    // Whoever has a hold and confirms it in time keeps it.
    let other = with(booking(DOCTOR, 100, 110), |new| {
        new.claim.expires = Some(NOW + 1)
    });
    let head = book(store, "d", vec![other]).await.unwrap().heads.remove(0);
    let confirm = commit(
        vec![update(&head, vec![], vec![])],
        vec![set("d", vec![booking(DOCTOR, 100, 110)])],
    );
    store.commit(confirm, &ALL).await.unwrap();
    let found = store.claims_by(&[owner("d"), owner("b")]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|claim| claim.expires.is_none()));
}

async fn who_is_forced_gets_a_seat_of_their_own(Fixture { store, .. }: &Fixture) {
    let blocked = with(booking(DOCTOR, 0, 100), |new| {
        new.claim.kind = ClaimKind::Blocked
    });
    book(store, "off", vec![blocked]).await.unwrap();
    by(book(store, "a", vec![booking(DOCTOR, 0, 10)]).await);
    let forced = with(booking(DOCTOR, 0, 10), |new| new.is_forced = true);
    for id in ["a", "b", "c"] {
        book(store, id, vec![forced.clone()]).await.unwrap();
    }
    let found = store.claims_of(&[DOCTOR], 0).await.unwrap();
    let seats = found
        .iter()
        .filter(|claim| claim.kind == ClaimKind::Booking)
        .map(|claim| claim.seat);
    assert_eq!(seats.collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2]));
}

async fn what_is_moved_in_one_commit_is_free_for_others_in_it(Fixture { store, .. }: &Fixture) {
    let mut heads = BTreeMap::new();
    for (id, start) in [("a", 0), ("b", 10), ("c", 20)] {
        let claims = vec![
            booking(DOCTOR, start, start + 10),
            booking(Number(9), start, start + 10),
        ];
        let head = book(store, id, claims).await.unwrap().heads.remove(0);
        heads.insert(id, head);
    }
    let to = |id: &str, start: i64| {
        let claims = vec![booking(DOCTOR, start, start + 10)];
        (update(&heads[id], vec![], vec![]), set(id, claims))
    };
    let before = store.claims_after(None, 100).await.unwrap();
    // The last cannot be moved to where it is taken: nobody moves.
    let (writes, claims) = [to("a", 10), to("b", 25)].into_iter().unzip();
    let refused = store.commit(commit(writes, claims), &ALL).await;
    assert!(
        matches!(refused, Err(StoreError::Refused { set: 1, .. })),
        "{refused:?}"
    );
    assert_eq!(store.claims_after(None, 100).await.unwrap(), before);
    // All in a circle.
    let (writes, claims) = [to("a", 10), to("b", 20), to("c", 0)].into_iter().unzip();
    store.commit(commit(writes, claims), &ALL).await.unwrap();
    let found = store.claims_of(&[DOCTOR, Number(9)], 0).await.unwrap();
    let owners: Vec<Number> = found.iter().map(|claim| claim.owner).collect();
    assert_eq!(owners, [owner("c"), owner("a"), owner("b")]);
    // Cancelled: all is free.
    let head = store.current(&[(APPOINTMENT, "c")], &ALL).await.unwrap();
    let head = head[0].as_ref().unwrap().head.clone();
    let cancel = commit(vec![update(&head, vec![], vec![])], vec![set("c", vec![])]);
    store.commit(cancel, &ALL).await.unwrap();
    book(store, "d", vec![booking(DOCTOR, 0, 10)])
        .await
        .unwrap();
}

async fn sets_of_one_commit_see_each_other(Fixture { store, .. }: &Fixture) {
    let both = |second: i64| {
        commit(
            vec![
                create(APPOINTMENT, "a", vec![]),
                create(APPOINTMENT, "b", vec![]),
            ],
            vec![
                set("a", vec![booking(DOCTOR, 0, 10)]),
                set("b", vec![booking(DOCTOR, second, second + 10)]),
            ],
        )
    };
    let refused = store.commit(both(9), &ALL).await;
    assert!(
        matches!(refused, Err(StoreError::Refused { set: 1, .. })),
        "{refused:?}"
    );
    assert_eq!(appointments(store).await, 0);
    store.commit(both(10), &ALL).await.unwrap();
    assert_eq!(overlaps(store, &[DOCTOR]).await, (2, 0));
    // An Appointment and the Slot that it names, and one that is the same person twice.
    let slot = with(booking(DOCTOR, 50, 60), |new| {
        new.claim.kind = ClaimKind::Taken
    });
    let twice = vec![booking(DOCTOR, 50, 60), booking(DOCTOR, 55, 60)];
    let beside = ClaimSet {
        beside: vec![owner("slot")],
        ..set("c", twice)
    };
    let named = commit(
        vec![
            create(ResourceType::SLOT, "slot", vec![]),
            create(APPOINTMENT, "c", vec![]),
        ],
        vec![set("slot", vec![slot]), beside],
    );
    store.commit(named, &ALL).await.unwrap();
    assert_eq!(store.claims_by(&[owner("c")]).await.unwrap().len(), 2);
}

async fn a_claim_of_any_length_is_found_from_within(Fixture { store, .. }: &Fixture) {
    for (at, days) in [1, 2, 31, 33, 1_000, 2_000, 40_000_000]
        .into_iter()
        .enumerate()
    {
        let actor = Number(at as i64);
        let away = with(booking(actor, 0, days * DAY - 5), |new| {
            new.claim.kind = ClaimKind::Blocked;
        });
        book(store, &format!("away{at}"), vec![away]).await.unwrap();
        for start in [0, days * DAY / 2, days * DAY - 6] {
            let inside = book(store, "a", vec![booking(actor, start, start + 1)]).await;
            assert_eq!(
                by(inside),
                owner(&format!("away{at}")),
                "{days} days, {start}"
            );
            let found = store.claims_of(&[actor], start).await.unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].core, Span::new(0, days * DAY - 5));
        }
        let end = days * DAY - 5;
        assert_eq!(store.claims_of(&[actor], end).await.unwrap(), []);
        book(store, &format!("b{at}"), vec![booking(actor, end, end + 1)])
            .await
            .unwrap();
    }
}

pub fn receipt(key: u8, expires: i64) -> NewReceipt {
    NewReceipt {
        key: [key; 32],
        request: [key + 1; 32],
        expires,
        answer: vec![key; 5],
    }
}

async fn a_receipt_that_is_over_is_replaced(Fixture { store, .. }: &Fixture) {
    let with_receipt = |expires| Commit {
        receipt: Some(receipt(1, expires)),
        ..commit(vec![], vec![])
    };
    store.commit(with_receipt(NOW * 1_000), &ALL).await.unwrap();
    store
        .commit(with_receipt(NOW * 1_000 + 5), &ALL)
        .await
        .unwrap();
    let again = store.commit(with_receipt(NOW * 1_000 + 9), &ALL).await;
    assert!(matches!(again, Err(StoreError::Repeated)), "{again:?}");
    let kept = store.receipt(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(kept.expires, NOW * 1_000 + 5);
    assert_eq!(store.sweep_receipts(NOW * 1_000 + 5).await.unwrap(), 0);
    assert_eq!(store.sweep_receipts(NOW * 1_000 + 6).await.unwrap(), 1);
    assert_eq!(store.receipt(&[1; 32]).await.unwrap(), None);
}

async fn what_is_refused_leaves_nothing(Fixture { store, .. }: &Fixture) {
    book(store, "a", vec![booking(DOCTOR, 0, 10)])
        .await
        .unwrap();
    let head = book(store, "b", vec![booking(DOCTOR, 10, 20)])
        .await
        .unwrap()
        .heads
        .remove(0);
    let before = store.claims_after(None, 100).await.unwrap();
    let refused = Commit {
        receipt: Some(receipt(3, i64::MAX)),
        audit: Some(NewAuditRow {
            at: 1,
            body: vec![1],
        }),
        ..commit(
            vec![
                update(&head, vec![], vec![]),
                create(APPOINTMENT, "c", vec![]),
            ],
            vec![
                set("b", vec![booking(DOCTOR, 20, 30)]),
                set("c", vec![booking(Number(3), 0, 10), booking(DOCTOR, 5, 8)]),
            ],
        )
    };
    let done = store.commit(refused.clone(), &ALL).await;
    assert!(
        matches!(done, Err(StoreError::Refused { set: 1, .. })),
        "{done:?}"
    );
    assert_eq!(store.claims_after(None, 100).await.unwrap(), before);
    assert_eq!(store.receipt(&[3; 32]).await.unwrap(), None);
    assert_eq!(store.audit_ends().await.unwrap(), None);
    assert_eq!(appointments(store).await, 2);
    // The same with nothing in its way leaves all of it.
    let mut admitted = refused;
    admitted.claims[1].claims.pop();
    store.commit(admitted, &ALL).await.unwrap();
    assert_eq!(store.claims_after(None, 100).await.unwrap().len(), 3);
    assert!(store.receipt(&[3; 32]).await.unwrap().is_some());
    assert!(store.audit_ends().await.unwrap().is_some());
    assert_eq!(appointments(store).await, 4);
}

async fn what_was_computed_from_an_old_version_is_a_conflict_first(
    Fixture { store, .. }: &Fixture,
) {
    book(store, "a", vec![booking(DOCTOR, 0, 10)])
        .await
        .unwrap();
    let head = book(store, "b", vec![booking(DOCTOR, 10, 20)])
        .await
        .unwrap()
        .heads
        .remove(0);
    put_one(store, update(&head, vec![], vec![])).await;
    let stale = commit(
        vec![update(&head, vec![], vec![])],
        vec![set("b", vec![booking(DOCTOR, 0, 10)])],
    );
    let done = store.commit(stale, &ALL).await;
    assert!(matches!(done, Err(StoreError::Conflict(0))), "{done:?}");
    assert_eq!(
        store.claims_by(&[owner("b")]).await.unwrap()[0].core.start,
        10
    );
}

async fn a_walk_sees_all_claims_of_each_owner(Fixture { store, .. }: &Fixture) {
    for at in 0..10_i64 {
        let claims = (0..5).map(|n| booking(Number(n), at * 10, at * 10 + 10));
        book(store, &format!("a{at}"), claims.collect())
            .await
            .unwrap();
    }
    for limit in [1, 3, 5, 7, 100] {
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let found = store.claims_after(after, limit).await.unwrap();
            let Some(last) = found.last() else { break };
            after = Some(last.owner);
            seen.extend(found);
        }
        assert_eq!(seen.len(), 50);
        assert!(seen.is_sorted_by_key(|claim| (claim.owner, claim.actor)));
    }
    let found = store.claims_of(&[Number(2), Number(0)], 85).await.unwrap();
    let starts: Vec<_> = found
        .iter()
        .map(|claim| (claim.actor.0, claim.core.start))
        .collect();
    assert_eq!(starts, [(0, 80), (0, 90), (2, 80), (2, 90)]);
}
