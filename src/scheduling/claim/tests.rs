//! Who is admitted beside whom: tables, and a model that counts second by second.

use proptest::prelude::*;

use super::*;

const A: Number = Number(7);

/// A booking of a seat from `start` to `end`, without buffers.
fn booking(owner: i64, start: i64, end: i64) -> Claim {
    Claim {
        actor: A,
        owner: Number(owner),
        kind: ClaimKind::Booking,
        core: Span::new(start, end),
        padded: Span::new(start, end),
        buffers: BufferPolicy::Stack,
        capacity: 1,
        seat: 0,
        expires: None,
    }
}

fn of(kind: ClaimKind, owner: i64, start: i64, end: i64) -> Claim {
    Claim {
        kind,
        ..booking(owner, start, end)
    }
}

fn new(claim: Claim) -> NewClaim {
    NewClaim {
        claim,
        is_forced: false,
        overbook: 0,
        quotas: Vec::new(),
    }
}

/// The seat, or the owner that is in the way.
fn seat(new: &NewClaim, others: &[Claim]) -> Result<u16, i64> {
    admit(new, others, &[], 100).map_err(|refusal| match refusal {
        Refusal::Taken { by, .. } => by.owner.0,
        Refusal::Quota { quota, .. } => -i64::from(quota.most),
    })
}

#[test]
fn kinds_stand_in_each_others_way_or_not() {
    use ClaimKind::{Blocked, Booking, Opening, Taken};
    let refused = [
        (Booking, Booking),
        (Booking, Taken),
        (Booking, Blocked),
        (Taken, Booking),
        (Taken, Taken),
    ];
    for kind in [Booking, Taken, Blocked, Opening] {
        for other in [Booking, Taken, Blocked, Opening] {
            let others = [of(other, 2, 10, 20)];
            let found = seat(&new(of(kind, 1, 15, 25)), &others);
            let expected = match refused.contains(&(kind, other)) {
                true => Err(2),
                false => Ok(0),
            };
            assert_eq!(found, expected, "{kind:?} beside {other:?}");
            let next = seat(&new(of(kind, 1, 20, 25)), &others);
            assert_eq!(next, Ok(0), "{kind:?} after {other:?}");
            let forced = NewClaim {
                is_forced: true,
                ..new(of(kind, 1, 15, 25))
            };
            let second = u16::from((kind, other) == (Booking, Booking));
            assert_eq!(
                seat(&forced, &others),
                Ok(second),
                "{kind:?} over {other:?}"
            );
        }
    }
}

#[test]
fn the_first_in_the_way_is_named() {
    let others = [booking(3, 30, 40), booking(2, 10, 20), booking(4, 18, 19)];
    assert_eq!(seat(&new(booking(1, 0, 100)), &others), Err(2));
}

#[test]
fn own_claims_those_beside_other_actors_and_holds_that_are_over_are_not_in_the_way() {
    let hold = |expires| Claim {
        expires: Some(expires),
        ..booking(2, 10, 20)
    };
    let elsewhere = Claim {
        actor: Number(8),
        ..booking(2, 10, 20)
    };
    let one = new(booking(1, 10, 20));
    assert_eq!(seat(&one, &[hold(101)]), Err(2));
    assert_eq!(seat(&one, &[hold(100)]), Ok(0));
    assert_eq!(seat(&one, &[elsewhere]), Ok(0));
    // The owner's other claim keeps its seat: no two may have the same at the same time.
    assert_eq!(seat(&one, &[booking(1, 15, 25)]), Ok(1));
    let slot = of(ClaimKind::Taken, 2, 10, 20);
    assert_eq!(admit(&one, &[slot], &[Number(2)], 100), Ok(0));
    let other = [booking(2, 10, 20)];
    assert_eq!(admit(&one, &other, &[Number(2)], 100), Ok(1));
}

#[test]
fn the_more_lenient_of_two_buffer_policies_decides() {
    use BufferPolicy::{Ignore, Share, Stack};
    // The first is from 100 to 200 with 20 after it; the second begins there, with 10 before it.
    let table = [
        (Stack, Stack, 230),
        (Stack, Share, 220),
        (Share, Stack, 220),
        (Share, Share, 220),
        (Ignore, Stack, 200),
        (Stack, Ignore, 200),
        (Share, Ignore, 200),
        (Ignore, Ignore, 200),
    ];
    for (mine, theirs, earliest) in table {
        let other = Claim {
            padded: Span::new(100, 220),
            buffers: theirs,
            ..booking(2, 100, 200)
        };
        for start in 190..240 {
            let claim = Claim {
                padded: Span::new(start - 10, start + 50),
                buffers: mine,
                ..booking(1, start, start + 50)
            };
            let found = seat(&new(claim), &[other]).is_ok();
            assert_eq!(found, start >= earliest, "{mine:?} {theirs:?} {start}");
        }
    }
}

#[test]
fn buffers_count_beside_a_slot_as_well() {
    use BufferPolicy::{Ignore, Share, Stack};
    let slot = of(ClaimKind::Blocked, 2, 100, 200);
    for (buffers, expected) in [(Stack, Err(2)), (Share, Err(2)), (Ignore, Ok(0))] {
        let claim = Claim {
            padded: Span::new(195, 300),
            buffers,
            ..booking(1, 210, 300)
        };
        assert_eq!(seat(&new(claim), &[slot]), expected, "{buffers:?}");
    }
}

#[test]
fn the_strictest_capacity_counts_and_overbooking_lifts_it() {
    let with = |owner, capacity, seat| Claim {
        capacity,
        seat,
        ..booking(owner, 10, 20)
    };
    let three = [with(2, 3, 0), with(3, 3, 1)];
    assert_eq!(seat(&new(with(1, 3, 0)), &three), Ok(2));
    assert_eq!(seat(&new(with(1, 2, 0)), &three), Err(2));
    let strict = [with(2, 3, 0), with(3, 2, 1)];
    assert_eq!(seat(&new(with(1, 3, 0)), &strict), Err(2));
    let over = NewClaim {
        overbook: 1,
        ..new(with(1, 3, 0))
    };
    assert_eq!(seat(&over, &strict), Ok(2));
    let full = [with(2, 3, 0), with(3, 2, 1), with(4, 3, 2)];
    assert_eq!(seat(&over, &full), Err(2));
    assert_eq!(seat(&new(with(1, 0, 0)), &[]), Err(1));
    let hole = [with(2, 3, 0), with(3, 3, 2)];
    assert_eq!(seat(&new(with(1, 3, 0)), &hole), Ok(1));
}

#[test]
fn a_quota_counts_owners_whose_bookings_begin_in_its_range() {
    let limited = |most, start| NewClaim {
        quotas: vec![Quota {
            within: Span::new(0, 100),
            most,
            per: "day",
        }],
        ..new(booking(1, start, start + 5))
    };
    let others = [
        booking(2, -5, 5),
        booking(3, 10, 20),
        booking(3, 30, 40),
        booking(4, 99, 110),
        booking(5, 100, 110),
        Claim {
            expires: Some(50),
            ..booking(6, 60, 70)
        },
        of(ClaimKind::Taken, 7, 80, 90),
    ];
    assert_eq!(seat(&limited(3, 50), &others), Ok(0));
    assert_eq!(seat(&limited(2, 50), &others), Err(-2));
    // Not in the range itself.
    assert_eq!(seat(&limited(2, 200), &others), Ok(0));
    let forced = NewClaim {
        is_forced: true,
        ..limited(0, 50)
    };
    assert_eq!(seat(&forced, &others), Ok(0));
}

fn policy() -> impl Strategy<Value = BufferPolicy> {
    prop_oneof![
        Just(BufferPolicy::Stack),
        Just(BufferPolicy::Share),
        Just(BufferPolicy::Ignore)
    ]
}

fn any_kind() -> impl Strategy<Value = ClaimKind> {
    prop_oneof![
        6 => Just(ClaimKind::Booking),
        1 => Just(ClaimKind::Taken),
        1 => Just(ClaimKind::Blocked),
        1 => Just(ClaimKind::Opening)
    ]
}

prop_compose! {
    fn any_new()(
        owner in 1..12_i64,
        kind in any_kind(),
        start in 0..60_i64,
        length in 1..12_i64,
        before in 0..4_i64,
        after in 0..4_i64,
        buffers in policy(),
        capacity in 1..4_u16,
        expires in prop_oneof![3 => Just(None), 1 => (90..110_i64).prop_map(Some)],
        (is_forced, overbook) in (prop::bool::weighted(0.1), 0..2_u16),
        most in prop_oneof![2 => Just(None), 1 => (0..5_u32).prop_map(Some)],
    ) -> NewClaim {
        let core = Span::new(start, start + length);
        let padded = match kind {
            ClaimKind::Booking => core.padded(before, after),
            _ => core,
        };
        let actor = A;
        NewClaim {
            claim: Claim {
                actor, owner: Number(owner), kind, core, padded, buffers, capacity, seat: 0, expires,
            },
            is_forced,
            overbook,
            quotas: most.map(|most| Quota { within: Span::new(20, 40), most, per: "day" }).into_iter().collect(),
        }
    }
}

/// A second of the claim, as the model sees it.
#[derive(Clone, Copy, PartialEq)]
enum Second {
    Out,
    Buffer,
    Core,
}

fn second(claim: &Claim, at: i64) -> Second {
    let is_in = |span: Span| span.start <= at && at < span.end;
    match (is_in(claim.core), is_in(claim.padded)) {
        (true, _) => Second::Core,
        (false, true) => Second::Buffer,
        _ => Second::Out,
    }
}

/// The same second by second: is there one that both cannot have?
fn collide(a: &Claim, b: &Claim) -> bool {
    (-10..90).any(|at| match (second(a, at), second(b, at)) {
        (Second::Out, _) | (_, Second::Out) => false,
        (Second::Core, Second::Core) => true,
        (Second::Buffer, Second::Buffer) => {
            a.buffers == BufferPolicy::Stack && b.buffers == BufferPolicy::Stack
        }
        _ => a.buffers != BufferPolicy::Ignore && b.buffers != BufferPolicy::Ignore,
    })
}

fn model(new: &NewClaim, others: &[Claim], beside: &[Number], now: i64) -> bool {
    let claim = &new.claim;
    let (mut slots, mut blocks, mut bookings, mut strictest) = (0, 0, 0, claim.capacity);
    let mut owners = std::collections::BTreeSet::new();
    for other in others {
        let is_over = other.expires.is_some_and(|expires| expires <= now);
        if is_over || other.owner == claim.owner || beside.contains(&other.owner) {
            continue;
        }
        if other.kind == ClaimKind::Booking && (20..40).contains(&other.core.start) {
            owners.insert(other.owner);
        }
        if collide(claim, other) {
            match other.kind {
                ClaimKind::Taken => slots += 1,
                ClaimKind::Blocked => blocks += 1,
                ClaimKind::Booking => {
                    bookings += 1;
                    strictest = strictest.min(other.capacity);
                }
                ClaimKind::Opening => {}
            }
        }
    }
    let within = (20..40).contains(&claim.core.start);
    let quota = new
        .quotas
        .iter()
        .all(|quota| !within || owners.len() < quota.most as usize);
    new.is_forced
        || match claim.kind {
            ClaimKind::Booking => {
                slots + blocks == 0 && bookings < u32::from(strictest + new.overbook) && quota
            }
            ClaimKind::Taken => slots + bookings == 0,
            _ => true,
        }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// One after the other, with the table growing: each is admitted if the model says so, no two
    /// of one seat have a second in common, and what was not forced or overbooked keeps to its
    /// capacity at each second.
    #[test]
    fn a_model_that_counts_seconds_agrees(
        news in prop::collection::vec(any_new(), 1..40),
        beside in prop::collection::vec((1..12_i64).prop_map(Number), 0..3),
    ) {
        let now = 100;
        let mut table: Vec<Claim> = Vec::new();
        for new in &news {
            let found = admit(new, &table, &beside, now);
            prop_assert_eq!(found.is_ok(), model(new, &table, &beside, now), "{:?} {:?}", new, found);
            if let Err(Refusal::Taken { by, .. }) = &found {
                prop_assert!(by.is_live(now) && collide(by, &new.claim));
            }
            if let Ok(seat) = found {
                let added = Claim { seat, ..new.claim };
                for other in table.iter().filter(|other| other.is_live(now)) {
                    let both = [other.kind, added.kind] == [ClaimKind::Booking; 2];
                    let same = both && other.seat == seat;
                    prop_assert!(!(same && other.exclusive().overlaps(added.exclusive())));
                    prop_assert!(!(same && collide(other, &added)));
                }
                if !new.is_forced && new.overbook == 0 && beside.is_empty() && added.kind == ClaimKind::Booking {
                    for at in added.core.start..added.core.end {
                        let there = table.iter().filter(|other| {
                            other.is_live(now)
                                && other.kind == ClaimKind::Booking
                                && other.owner != added.owner
                                && second(other, at) == Second::Core
                        });
                        prop_assert!(there.count() < usize::from(added.capacity));
                    }
                }
                table.push(added);
            }
        }
    }
}
