use super::*;
use crate::scheduling::{
    samples::{Book, Dice, HOUR, MINUTE, MONDAY, bookable, booking, visit},
    slots::slots,
};

fn list(dice: &mut Dice) -> Vec<Arc<Bookable>> {
    let numbers = 1..=dice.pick(1, 5);
    numbers
        .map(|number| {
            let mut one = bookable(number);
            one.visits[0].notice = dice.pick(0, 30) * HOUR;
            one.visits[0].horizon = dice.pick(2, 40) * DAY;
            if dice.chance(50) {
                let mut other = visit();
                other.duration = dice.one(&[30, 45, 60]) * MINUTE;
                other.interval = dice.one(&[15, 30, 45]) * MINUTE;
                other.horizon = dice.pick(2, 40) * DAY;
                one.visits.push(other);
            }
            if dice.chance(20) {
                one.planning = Some(Span::new(MONDAY + 3 * DAY, MONDAY + 12 * DAY));
            }
            Arc::new(one)
        })
        .collect()
}

fn book(dice: &mut Dice) -> Book {
    let mut book = Book::default();
    for owner in 0..dice.pick(0, 30) {
        let start = MONDAY + dice.pick(0, 20 * 48) * 30 * MINUTE;
        let mut claim = booking(dice.pick(1, 6), 100 + owner, start, start + 30 * MINUTE);
        if dice.chance(30) {
            claim.expires = Some(MONDAY + dice.pick(0, 48) * HOUR);
        }
        book.add(claim);
    }
    book
}

/// In the order of [`Walk`], by the plain way.
fn plain(bookables: &[Arc<Bookable>], within: Span, order: Order, now: i64) -> Vec<Spot> {
    let book = Book::default();
    let mut all = Vec::new();
    for bookable in bookables {
        for visit in &bookable.visits {
            all.extend(slots(bookable, visit, within, &book, now).map(|slot| Spot {
                rid: bookable.rid,
                start: slot.start,
                duration: slot.end - slot.start,
            }));
        }
    }
    match order {
        Order::Schedules => all.sort_unstable(),
        Order::Times => all.sort_unstable_by_key(|spot| (spot.start, spot.rid, spot.duration)),
        Order::TimesBackwards => {
            all.sort_unstable_by_key(|spot| (-spot.start, spot.rid, spot.duration));
        }
    }
    all.dedup();
    all
}

#[test]
fn pages_joined_are_all_slots_in_order() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let (bookables, cache) = (list(&mut dice), Cache::new(1 << 24));
        let now = MONDAY + dice.pick(0, 5 * 24) * HOUR;
        let from = MONDAY + dice.pick(-3, 9) * DAY;
        let within = Span::new(from, from + dice.pick(1, 40) * DAY);
        for order in [Order::Schedules, Order::Times, Order::TimesBackwards] {
            let expected = plain(&bookables, within, order, now);
            let page = usize::try_from(dice.pick(1, 20)).unwrap();
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let mut walk = Walk::new(&bookables, within, order, after, (&cache, now));
                let some: Vec<Offer> = walk.by_ref().take(page).collect();
                found.extend(some.iter().map(|offer| walk.spot(offer)));
                after = found.last().copied();
                if some.len() < page {
                    break;
                }
            }
            assert_eq!(found, expected, "seed {seed}, {order:?}");
        }
    }
}

#[test]
fn a_walk_that_pauses_goes_on_where_it_was() {
    let mut pauses = 0;
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let bookables = list(&mut dice);
        let now = MONDAY + dice.pick(0, 5 * 24) * HOUR;
        let from = MONDAY + dice.pick(-3, 9) * DAY;
        let within = Span::new(from, from + dice.pick(1, 40) * DAY);
        for order in [Order::Schedules, Order::Times, Order::TimesBackwards] {
            let (warm, cold) = (Cache::new(1 << 24), Cache::new(1 << 24));
            let expected: Vec<Offer> =
                Walk::new(&bookables, within, order, None, (&warm, now)).collect();
            let mut walk = Walk::new(&bookables, within, order, None, (&cold, now));
            let mut found = Vec::new();
            let each = usize::try_from(dice.pick(1, 200)).unwrap();
            loop {
                let most = walk.toil() + each;
                match walk.step(most) {
                    Step::Offer(offer) => found.push(offer),
                    Step::Paused => pauses += 1,
                    Step::Done => break,
                }
            }
            assert_eq!(found, expected, "seed {seed}, {order:?}");
            // With hours that are expanded it takes less, and costs the same.
            let mut again = Walk::new(&bookables, within, order, None, (&cold, now));
            assert_eq!(again.by_ref().count(), expected.len());
            assert_eq!(again.cost(), walk.cost());
            assert!(again.toil() <= walk.toil());
        }
    }
    assert!(pauses > 100, "{pauses}");
}

#[test]
fn a_slot_is_as_free_as_the_best_of_its_visits() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let (bookables, book) = (list(&mut dice), book(&mut dice));
        let now = MONDAY + dice.pick(0, 48) * HOUR;
        let within = Span::new(MONDAY, MONDAY + 12 * DAY);
        let cache = Cache::new(1 << 24);
        for offer in Walk::new(&bookables, within, Order::Times, None, (&cache, now)) {
            let bookable = &bookables[offer.bookable];
            assert_eq!(
                offer_at(bookable, offer.span, now).map(|found| found.visits),
                Some(offer.visits)
            );
            let (state, set) = state_of(bookable, &offer, &book, now);
            let only = Span::new(offer.span.start, offer.span.start + 1);
            let states: Vec<(u64, SlotState)> = (bookable.visits.iter().enumerate())
                .filter(|(_, visit)| visit.duration == offer.span.seconds())
                .filter_map(|(at, visit)| {
                    let slot = slots(bookable, visit, only, &book, now).next()?;
                    Some((1 << at, slot.state))
                })
                .collect();
            assert_eq!(
                states.iter().map(|(one, _)| one).sum::<u64>(),
                offer.visits,
                "seed {seed}"
            );
            let any_free = states.iter().any(|(_, state)| *state == SlotState::Free);
            assert_eq!(state == SlotState::Free, any_free);
            for (one, other) in states {
                let same = std::mem::discriminant(&other) == std::mem::discriminant(&state);
                assert_eq!(set & one != 0, same, "seed {seed}");
            }
        }
    }
}

#[test]
fn places_are_read_back() {
    let spot = Spot {
        rid: 33 << 44 | 5,
        start: -60,
        duration: 1_800,
    };
    assert_eq!(Spot::read(&spot.write()), Some(spot));
    assert_eq!(Spot::read("1.2"), None);
}
