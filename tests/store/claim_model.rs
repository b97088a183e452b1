//! Random bookings, moves and cancellations of random lengths, while time goes on, against a list
//! of claims in memory: the same are admitted, on the same seats, and the same are there.

use std::collections::BTreeMap;

use rotunda::{
    scheduling::{
        claim::{BufferPolicy, Claim, ClaimKind, ClaimSet, NewClaim, Number, Quota, admit},
        span::Span,
    },
    store::{Commit, Head, Store, StoreError},
};

use crate::{
    claims::{APPOINTMENT, booking, owner},
    fixture::{ALL, Fixture, create, update},
};

on_both_databases!(random_claims_are_admitted_as_by_a_list_in_memory);

const DAY: i64 = 24 * 60 * 60;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as i64
    }

    fn claim(&mut self, now: i64) -> NewClaim {
        let length = match self.below(12) {
            0 => DAY + self.below(3) * DAY,
            1 => self.below(80) * DAY,
            2 => self.below(3_000) * DAY,
            _ => 900 + self.below(3) * 900,
        };
        let start = DAY * self.below(40) + 900 * self.below(20);
        let mut new = booking(Number(self.below(4)), start, start + length);
        new.claim.kind = match self.below(10) {
            0 => ClaimKind::Taken,
            1 => ClaimKind::Blocked,
            2 => ClaimKind::Opening,
            _ => ClaimKind::Booking,
        };
        if new.claim.kind == ClaimKind::Booking {
            let (before, after) = (300 * self.below(3), 300 * self.below(3));
            new.claim.padded = new.claim.core.padded(before, after);
            let policies = [
                BufferPolicy::Stack,
                BufferPolicy::Share,
                BufferPolicy::Ignore,
            ];
            new.claim.buffers = policies[self.below(3) as usize];
            new.claim.capacity = 1 + self.below(3) as u16;
            new.is_forced = self.below(15) == 0;
            if self.below(3) == 0 {
                new.claim.expires = Some(now + self.below(4));
            }
            if self.below(3) == 0 {
                let day = start - start % DAY;
                new.quotas = vec![Quota {
                    within: Span::new(day, day + DAY * (1 + 29 * self.below(2))),
                    most: 1 + self.below(4) as u32,
                    per: "day",
                }];
            }
        }
        new
    }
}

/// The same in memory; `None` with the place of the set that is refused.
fn admitted(table: &[Claim], sets: &[ClaimSet], now: i64) -> Result<Vec<Claim>, usize> {
    let mut table = table.to_vec();
    table.retain(|claim| sets.iter().all(|set| set.owner != claim.owner));
    for (at, set) in sets.iter().enumerate() {
        for new in &set.claims {
            let mut new = new.clone();
            new.claim.owner = set.owner;
            let seat = admit(&new, &table, &set.beside, now).map_err(|_| at)?;
            table.push(Claim { seat, ..new.claim });
        }
    }
    Ok(table)
}

async fn living(store: &Store, now: i64) -> Vec<Claim> {
    let mut found = store.claims_after(None, 100_000).await.unwrap();
    found.retain(|claim| claim.is_live(now));
    found
}

async fn random_claims_are_admitted_as_by_a_list_in_memory(Fixture { store, .. }: &Fixture) {
    let mut random = Random(0x5eed_1234_5678);
    let (mut table, mut now) = (Vec::<Claim>::new(), 100);
    let mut heads: BTreeMap<String, Head> = BTreeMap::new();
    let (mut done, mut refused) = (0, 0);
    for _ in 0..700 {
        now += random.below(2);
        let (mut writes, mut claims) = (Vec::new(), Vec::new());
        for _ in 0..=random.below(3) {
            let id = format!("m{}", random.below(60));
            if claims.iter().any(|set: &ClaimSet| set.owner == owner(&id)) {
                continue;
            }
            writes.push(match heads.get(&id) {
                Some(head) => update(head, vec![], vec![]),
                None => create(APPOINTMENT, &id, vec![]),
            });
            let count = random.below(4);
            let beside = match random.below(4) {
                0 => vec![owner(&format!("m{}", random.below(60)))],
                _ => vec![],
            };
            claims.push(ClaimSet {
                owner: owner(&id),
                claims: (0..count).map(|_| random.claim(now)).collect(),
                beside,
            });
        }
        let expected = admitted(&table, &claims, now);
        let commit = Commit {
            writes,
            claims,
            now,
            ..Commit::default()
        };
        match (store.commit(commit.clone(), &ALL).await, expected) {
            (Ok(committed), Ok(next)) => {
                table = next;
                done += 1;
                for head in committed.heads {
                    heads.insert(head.id.clone(), head);
                }
            }
            (Err(StoreError::Refused { set, .. }), Err(at)) => {
                assert_eq!(set, at);
                refused += 1;
            }
            (found, expected) => panic!("{found:?} {expected:?} {commit:?}"),
        }
        table.retain(|claim| claim.is_live(now));
        // The order among the claims of an owner is that in which they were made.
        let mut expected = table.clone();
        expected.sort_by_key(|claim| claim.owner);
        assert_eq!(living(store, now).await, expected);
    }
    assert!(
        done > 150 && refused > 150,
        "{done} done, {refused} refused"
    );
    for actor in 0..4 {
        for from in [0, 10 * DAY, 100 * DAY] {
            let mut expected = table.clone();
            expected.retain(|claim| claim.actor == Number(actor) && claim.padded.end > from);
            let mut found = store.claims_of(&[Number(actor)], from).await.unwrap();
            found.retain(|claim| claim.is_live(now));
            assert!(found.is_sorted_by_key(|claim| claim.padded.start));
            let key = |claim: &Claim| (claim.owner, claim.core, claim.seat, claim.padded);
            expected.sort_by_key(key);
            found.sort_by_key(key);
            assert_eq!(found, expected);
        }
    }
}
