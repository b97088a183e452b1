use super::*;
use crate::scheduling::claim::{NewClaim, admit};
use crate::scheduling::samples::{Dice, MINUTE, MONDAY, any_claim, any_visit, booking, visit};

const NOW: i64 = MONDAY;

/// Whether the store would accept it.
fn is_admitted(claims: &[Claim], core: Span, visit: &Visit, now: i64, ignore: &[Number]) -> bool {
    let new = NewClaim {
        claim: Claim {
            owner: Number(-1),
            padded: core.padded(visit.before, visit.after),
            buffers: visit.buffers,
            capacity: visit.capacity,
            ..booking(1, -1, core.start, core.end)
        },
        is_forced: false,
        overbook: 0,
        quotas: Vec::new(),
    };
    admit(&new, claims, ignore, now).is_ok()
}

#[test]
fn a_start_is_free_exactly_if_the_visit_would_be_admitted() {
    let mut tried = [0; 4];
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let within = Span::new(MONDAY, MONDAY + 12 * 3600);
        let mut claims: Vec<Claim> = (0..dice.pick(0, 14))
            .map(|owner| any_claim(&mut dice, 1, owner, within, NOW))
            .collect();
        if dice.chance(20) {
            claims.push(booking(1, 3, MONDAY, MONDAY + 3600));
        }
        let calendar = Calendar::new(claims.clone());
        let visit = any_visit(&mut dice);
        let ignore = if dice.chance(30) {
            vec![Number(dice.pick(0, 6))]
        } else {
            Vec::new()
        };
        let mut taken = Vec::new();
        calendar.taken_starts(&visit, within, NOW, &ignore, |span| taken.push(span));
        for _ in 0..200 {
            let start = dice.pick(within.start / 30, within.end / 30) * 30;
            let core = Span::new(start, start + visit.duration);
            let state = calendar.state(core, &visit, NOW, &ignore);
            let free = is_admitted(&claims, core, &visit, NOW, &ignore);
            assert_eq!(
                state == SlotState::Free,
                free,
                "seed {seed} {core:?} {state:?}"
            );
            let is_taken = taken
                .iter()
                .any(|span| (span.start..span.end).contains(&start));
            assert_eq!(is_taken, !free, "seed {seed} {core:?}");
            if let SlotState::Tentative(at) = state {
                assert!(is_admitted(&claims, core, &visit, at, &ignore));
                assert!(!is_admitted(&claims, core, &visit, at - 1, &ignore));
            }
            if state == SlotState::Busy || state == SlotState::Unavailable {
                assert!(!is_admitted(&claims, core, &visit, i64::MAX, &ignore));
            }
            tried[match state {
                SlotState::Free => 0,
                SlotState::Busy => 1,
                SlotState::Tentative(_) => 2,
                SlotState::Unavailable => 3,
            }] += 1;
        }
    }
    assert!(tried.iter().all(|count| *count > 500), "{tried:?}");
}

#[test]
fn what_an_owner_claims_replaces_what_it_claimed() {
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let within = Span::new(MONDAY, MONDAY + 86_400);
        let mut all: Vec<Claim> = Vec::new();
        let mut calendar = Calendar::default();
        for _ in 0..40 {
            let owner = dice.pick(0, 12);
            let new: Vec<Claim> = (0..dice.pick(0, 3))
                .map(|_| any_claim(&mut dice, 1, owner, within, NOW))
                .collect();
            let version = calendar.version();
            calendar.replace(Number(owner), new.clone());
            assert_ne!(calendar.version(), version);
            all.retain(|claim| claim.owner != Number(owner));
            all.extend(new);
            let fresh = Calendar::new(all.clone());
            let sorted = |calendar: &Calendar| {
                let mut claims = calendar.claims.clone();
                claims.sort_by_key(|claim| (order(claim), claim.core.start, claim.seat));
                claims
                    .iter()
                    .map(|claim| (claim.owner, claim.core))
                    .collect::<Vec<_>>()
            };
            assert_eq!(sorted(&calendar), sorted(&fresh));
            assert_eq!(calendar.reach, fresh.reach);
            assert_eq!(calendar.owners, fresh.owners);
            assert_eq!(
                calendar.has(Number(owner)),
                all.iter().any(|c| c.owner.0 == owner)
            );
        }
    }
}

#[test]
fn a_hold_is_over_without_anybody_doing_anything() {
    let hold = Claim {
        expires: Some(NOW + 60),
        ..booking(1, 1, MONDAY, MONDAY + 30 * MINUTE)
    };
    let calendar = Calendar::new(vec![hold]);
    let core = hold.core;
    let state = |now| calendar.state(core, &visit(), now, &[]);
    assert_eq!(state(NOW), SlotState::Tentative(NOW + 60));
    assert_eq!(state(NOW + 59), SlotState::Tentative(NOW + 60));
    assert_eq!(state(NOW + 60), SlotState::Free);
    assert_eq!(calendar.expiry(NOW), Some(NOW + 60));
    assert_eq!(calendar.expiry(NOW + 60), None);
}

#[test]
fn appointments_that_begin_in_a_range_count_once_each() {
    let day = Span::new(MONDAY, MONDAY + 86_400);
    let mut claims = vec![
        booking(1, 1, MONDAY - 60, MONDAY + 60),
        booking(1, 2, MONDAY, MONDAY + 60),
        booking(1, 3, MONDAY + 600, MONDAY + 660),
        booking(1, 3, MONDAY + 660, MONDAY + 720),
        booking(1, 4, MONDAY + 86_400, MONDAY + 86_460),
    ];
    claims[1].expires = Some(NOW + 60);
    let calendar = Calendar::new(claims);
    assert_eq!(calendar.beginning(day, NOW, &[]), 2);
    assert_eq!(calendar.beginning(day, NOW + 60, &[]), 1);
    assert_eq!(calendar.beginning(day, NOW, &[Number(3)]), 1);
}
