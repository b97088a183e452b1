//! Random rules, claims and needs, step by step: what is found is what the model finds, from a
//! cache that lives through all changes.

use std::sync::Arc;

use super::model::{Model, is_accepted, quotas};
use crate::scheduling::{
    bookable::{Bookable, Closed, Visit},
    calendar::{Calendar, Calendars},
    claim::{Claim, ClaimKind, Number},
    find::{Cache, Filter, Need, Proposal, Role, Sort, Timing, find},
    samples::{
        Book, DAY, Dice, HOUR, MINUTE, MONDAY, actor, any_claim, any_visit, bookable, booking,
        hours, shared,
    },
    slots,
    span::Span,
};

const PATIENT: Number = Number(900);

fn any_bookable(dice: &mut Dice, number: i64, kind: &str) -> Bookable {
    let mut bookable = bookable(number);
    let mut first = actor(number);
    if kind != "PractitionerRole" {
        first.practitioner = None;
        first.reference = format!("{kind}/{number}");
    }
    bookable.actors = vec![first];
    let from = dice.one(&[7, 8, 9, 10]);
    bookable.hours = vec![hours(
        dice.one(&[0x1f, 0x7f]),
        from,
        dice.one(&[12, 15, 17]),
    )];
    if dice.chance(30) {
        bookable.hours.push(hours(0x7f, 9, 14));
    }
    if dice.chance(30) {
        let start = MONDAY + dice.pick(0, 100) * 30 * MINUTE;
        bookable.hours[0].closed.push(Closed::Exactly {
            during: Span::new(start, start + dice.pick(1, 10) * 30 * MINUTE),
            why: String::new(),
        });
    }
    if dice.chance(10) {
        bookable.planning = Some(Span::new(MONDAY + 10 * HOUR, MONDAY + 36 * HOUR));
    }
    bookable.visits = if dice.chance(12) {
        Vec::new()
    } else {
        (0..dice.pick(1, 3)).map(|_| rules(dice)).collect()
    };
    bookable.facets.locations = vec![format!("Location/{}", dice.pick(0, 2))];
    bookable.facets.name = dice.one(&["A", "B", ""]).to_owned();
    bookable
}

fn rules(dice: &mut Dice) -> Visit {
    let mut visit = any_visit(dice);
    visit.interval = visit.interval.max(5 * MINUTE);
    if dice.chance(20) {
        visit.notice = dice.pick(0, 20) * HOUR;
    }
    if dice.chance(20) {
        visit.horizon = dice.pick(10, 60) * HOUR;
    }
    if dice.chance(20) {
        visit.quotas = quotas();
    }
    visit.patients_may_overlap = dice.chance(20);
    visit
}

fn any_need(dice: &mut Dice) -> Need {
    let start = MONDAY + dice.pick(-4, 40) * HOUR + dice.one(&[0, 0, 60, 13]);
    let mut need = Need::new(Span::new(start, start + dice.pick(2, 50) * HOUR));
    need.filter.actor_types = vec!["PractitionerRole".to_owned()];
    if dice.chance(30) {
        need.duration = Some(dice.pick(1, 12) * 10 * MINUTE);
    }
    let kinds: &[&str] = dice.one(&[
        &[][..],
        &[],
        &["Location"],
        &["Location", "Device"],
        &["Location", "Location"],
        &["PractitionerRole", "Location"],
    ]);
    for kind in kinds {
        need.roles.push(Role {
            filter: Filter {
                actor_types: vec![(*kind).to_owned()],
                ..Filter::default()
            },
            offset: dice.one(&[0, 0, 0, -15 * MINUTE, 10 * MINUTE, 45]),
            length: dice.one(&[None, None, Some(20 * MINUTE), Some(90 * MINUTE)]),
            same_place: dice.chance(30),
        });
    }
    if dice.chance(40) {
        need.patients.push(PATIENT);
    }
    if dice.chance(30) {
        need.timing = Some(Timing {
            days: dice.one(&[0, 0x1f, 1, 2]),
            times: any_times(dice),
            periods: Vec::new(),
            must: dice.chance(70),
        });
    }
    if dice.chance(30) {
        need.ignore = vec![Number(dice.pick(1000, 1040))];
    }
    if dice.chance(15) {
        need.series = Some(Arc::new(|first, _| {
            (0..3).map(|day| first + day * DAY).collect()
        }));
    }
    need.count = 100_000;
    need.total = 100_000;
    need
}

fn any_times(dice: &mut Dice) -> Vec<(jiff::civil::Time, jiff::civil::Time)> {
    let time = |hour: i64| jiff::civil::time(hour as i8, 0, 0, 0);
    (0..dice.pick(0, 2))
        .map(|_| (time(dice.pick(6, 12)), time(dice.pick(8, 18))))
        .collect()
}

struct World {
    dice: Dice,
    bookables: Vec<Arc<Bookable>>,
    book: Book,
    now: i64,
    owner: i64,
    cache: Cache,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut all = Vec::new();
        for number in 1..=dice.pick(1, 4) {
            all.push(any_bookable(&mut dice, number, "PractitionerRole"));
        }
        for number in 101..=dice.pick(101, 105) {
            all.push(any_bookable(&mut dice, number, "Location"));
        }
        for number in 201..=dice.pick(200, 203) {
            all.push(any_bookable(&mut dice, number, "Device"));
        }
        if dice.chance(30) {
            // Somebody with a room of their own, and the same person elsewhere.
            let last = all.last().unwrap().actors[0].clone();
            all[0].actors.push(last);
            let mut other = any_bookable(&mut dice, 50, "PractitionerRole");
            other.actors[0].number = Number(1);
            all.push(other);
        }
        let mut world = Self {
            dice,
            bookables: shared(all),
            book: Book::default(),
            now: MONDAY - HOUR,
            owner: 1000,
            cache: Cache::new(1 << 30),
        };
        for _ in 0..world.dice.pick(0, 30) {
            world.claim();
        }
        world
    }

    fn claim(&mut self) {
        let at = self.dice.pick(0, self.bookables.len() as i64 + 1) as usize;
        let Some(bookable) = self.bookables.get(at) else {
            let days = Span::new(MONDAY, MONDAY + 2 * DAY);
            let claim = any_claim(&mut self.dice, PATIENT.0, self.owner, days, self.now);
            self.owner += 1;
            return self.book.add(claim);
        };
        let days = Span::new(MONDAY, MONDAY + 4 * DAY);
        let claim = any_claim(
            &mut self.dice,
            bookable.actors[0].number.0,
            self.owner,
            days,
            self.now,
        );
        self.owner += 1;
        self.book.add(claim);
        if self.dice.chance(30) {
            let start = MONDAY + self.dice.pick(0, 120) * 30 * MINUTE + self.dice.one(&[0, 0, 30]);
            let end = start + self.dice.pick(1, 8) * 20 * MINUTE;
            let opening = Claim {
                kind: ClaimKind::Opening,
                capacity: self.dice.one(&[1, 1, 2]),
                ..booking(0, self.owner, start, end)
            };
            self.owner += 1;
            let openings = self.book.openings.entry(bookable.rid).or_default();
            openings.replace(opening.owner, vec![opening]);
        }
    }

    fn step(&mut self) {
        match self.dice.pick(0, 6) {
            0 => self.now += self.dice.one(&[1, 59, 60, 600, 3600]),
            1 => self.claim(),
            2 => {
                let owner = Number(self.dice.pick(1000, self.owner + 1));
                for calendar in self.book.calendars.values_mut() {
                    calendar.replace(owner, Vec::new());
                }
            }
            3 => {
                let at = self.dice.pick(0, self.bookables.len() as i64) as usize;
                let mut changed = Bookable::clone(&self.bookables[at]);
                changed.hours[0].weekly[0].from =
                    jiff::civil::time(self.dice.one(&[6, 8]), 0, 0, 0);
                self.bookables[at] = Arc::new(changed);
            }
            _ => {}
        }
    }

    fn found(&self, need: &Need) -> Vec<Proposal> {
        let found = find(need, &self.bookables, &self.book, &self.cache, self.now);
        assert_eq!(found.total, found.proposals.len());
        assert!(!found.truncated);
        found.proposals
    }

    /// Books a proposal as the store would.
    fn book(&mut self, proposal: &Proposal, need: &Need) {
        let mut new = Vec::new();
        for part in &proposal.parts {
            let bookable = &self.bookables[part.bookable];
            let visit = part.visit.map_or_else(
                || slots::without_rules(part.core.seconds()),
                |visit| bookable.visits[visit].clone(),
            );
            let owner = Number(self.owner);
            let mut claims = slots::claims(bookable, &visit, part.core, owner, None);
            if part.visit.is_none() {
                let openings = slots::openings(bookable, part.core, &self.book, self.now);
                let opening = openings.iter().find(|opening| opening.core == part.core);
                for claim in &mut claims {
                    claim.claim.capacity = opening.unwrap().capacity;
                }
            }
            new.extend(claims);
        }
        for claim in &new {
            assert!(is_accepted(claim, &self.book, &[], self.now, &need.ignore));
        }
        for claim in new {
            let mut claim = claim.claim;
            claim.expires = self.dice.chance(30).then_some(self.now + 600);
            self.book.add(claim);
        }
        self.owner += 1;
    }
}

fn key(proposal: &Proposal) -> (i64, i64, usize, Option<usize>) {
    let leader = proposal.parts[0];
    (proposal.start, proposal.end, leader.bookable, leader.visit)
}

#[test]
fn what_is_found_is_what_there_is() {
    let mut sizes = Vec::new();
    for seed in 0..60 {
        let mut world = World::new(seed);
        for step in 0..8 {
            let need = any_need(&mut world.dice);
            let context = format!("seed {seed} step {step}");
            let found = world.found(&need);
            let model = Model {
                need: &need,
                bookables: &world.bookables,
                book: &world.book,
                now: world.now,
            };
            let mut keys: Vec<_> = found.iter().map(key).collect();
            assert!(keys.is_sorted_by_key(|key| key.0), "{context}");
            for proposal in &found {
                assert_eq!(model.complaint(proposal), None, "{context} {proposal:?}");
            }
            keys.sort_unstable();
            let expected = model.all();
            let missing = expected.iter().find(|key| !keys.contains(key));
            let wrong = keys.iter().find(|key| !expected.contains(key));
            assert_eq!((missing, wrong), (None, None), "{context} {need:?}");
            assert_eq!(keys, expected, "{context}");
            sizes.push(found.len());
            parts_of_the_answer(&world, &need, &found);
            if !found.is_empty() {
                let at = world.dice.pick(0, found.len() as i64) as usize;
                if need.ignore.is_empty() && need.series.is_none() {
                    world.book(&found[at], &need);
                }
            }
            for _ in 0..3 {
                world.step();
            }
        }
    }
    let full = sizes.iter().filter(|size| **size > 0).count();
    assert!(full > sizes.len() / 3, "{full} of {}", sizes.len());
}

/// Fewer, fewer of each, in another order: of the same.
fn parts_of_the_answer(world: &World, need: &Need, all: &[Proposal]) {
    let ask = |change: &dyn Fn(&mut Need)| {
        let mut need = need.clone();
        change(&mut need);
        find(
            &need,
            &world.bookables,
            &world.book,
            &world.cache,
            world.now,
        )
    };
    let first = ask(&|need| (need.count, need.total) = (7, 0));
    assert_eq!(first.proposals, all[..all.len().min(7)]);
    assert_eq!(first.truncated, all.len() >= 7);
    let counted = ask(&|need| (need.count, need.total) = (3, 20));
    assert_eq!(counted.proposals, all[..all.len().min(3)]);
    assert_eq!(counted.total, all.len().min(20));
    assert_eq!(counted.truncated, all.len() > 20);

    let person = |proposal: &Proposal| {
        let bookable = &world.bookables[proposal.parts[0].bookable];
        bookable.actors[0].practitioner.clone()
    };
    let mut seen = Vec::new();
    let once: Vec<Proposal> = all
        .iter()
        .filter(|proposal| {
            let is_new = !seen.contains(&person(proposal));
            seen.push(person(proposal));
            is_new
        })
        .cloned()
        .collect();
    assert_eq!(ask(&|need| need.per_practitioner = Some(1)).proposals, once);

    let mut preferred = all.to_vec();
    preferred.sort_by_key(|proposal| (!proposal.is_preferred, proposal.rank));
    assert_eq!(
        ask(&|need| need.sort = Sort::Preferred).proposals,
        preferred
    );
}

#[test]
fn a_small_cache_forgets_and_answers_the_same() {
    let mut world = World::new(3);
    let small = Cache::new(20_000);
    for _ in 0..40 {
        let need = any_need(&mut world.dice);
        let found = find(&need, &world.bookables, &world.book, &small, world.now);
        assert_eq!(found.proposals, world.found(&need));
        world.step();
    }
}

#[test]
fn nothing_is_kept_longer_than_it_is_true() {
    let bookables = shared([bookable(1)]);
    let mut book = Book::default();
    let cache = Cache::new(1 << 20);
    let mut need = Need::new(Span::new(MONDAY, MONDAY + DAY));
    need.count = 100;
    need.total = 100;
    let total = |book: &Book, now| find(&need, &bookables, book, &cache, now).total;
    assert_eq!(total(&book, MONDAY), 16);
    let mut hold = booking(1, 1, MONDAY + 9 * HOUR, MONDAY + 10 * HOUR);
    hold.expires = Some(MONDAY + 60);
    book.add(hold);
    for (now, expected) in [(0, 14), (59, 14), (60, 16), (59, 14), (61, 16)] {
        assert_eq!(total(&book, MONDAY + now), expected, "{now}");
    }
    book.calendars.insert(Number(1), Calendar::default());
    assert_eq!(total(&book, MONDAY), 16);
    assert!(book.of(Number(1)).is_some());
}
