use super::*;
use crate::scheduling::samples::{Book, HOUR, MINUTE, MONDAY, bookable, booking, visit};

fn states(bookable: &Bookable, book: &Book, within: Span, now: i64) -> Vec<(i64, SlotState)> {
    slots(bookable, &bookable.visits[0], within, book, now)
        .map(|slot| ((slot.start - MONDAY) / MINUTE, slot.state))
        .collect()
}

#[test]
fn slots_are_rules_minus_claims() {
    let bookable = bookable(1);
    let mut book = Book::default();
    book.add(booking(1, 1, MONDAY + 10 * HOUR, MONDAY + 11 * HOUR));
    let mut hold = booking(1, 2, MONDAY + 12 * HOUR, MONDAY + 12 * HOUR + 60);
    hold.expires = Some(MONDAY + 600);
    book.add(hold);
    let mut blocked = booking(1, 3, MONDAY + 16 * HOUR, MONDAY + 24 * HOUR);
    blocked.kind = ClaimKind::Blocked;
    book.add(blocked);
    let day = Span::new(MONDAY, MONDAY + DAY);
    let found = states(&bookable, &book, day, MONDAY);
    assert_eq!(found.len(), 16);
    for (minute, state) in found {
        let expected = match minute {
            600 | 630 => SlotState::Busy,
            720 => SlotState::Tentative(MONDAY + 600),
            960.. => SlotState::Unavailable,
            _ => SlotState::Free,
        };
        assert_eq!(state, expected, "{minute}");
    }
    let later = states(&bookable, &book, day, MONDAY + 600);
    assert_eq!(later[6], (720, SlotState::Free));
    // What is past is not booked any more.
    assert_eq!(
        states(&bookable, &book, day, MONDAY + DAY)[0],
        (540, SlotState::Unavailable)
    );
}

#[test]
fn slots_come_lazily_and_end_with_the_horizon() {
    let mut bookable = bookable(1);
    bookable.visits[0].horizon = 35 * DAY;
    let book = Book::default();
    let all = Span::new(MONDAY, MONDAY + 10_000 * DAY);
    let visit = &bookable.visits[0];
    let found: Vec<ComputedSlot> = slots(&bookable, visit, all, &book, MONDAY).collect();
    assert_eq!(found.len(), 25 * 16);
    assert!(found.is_sorted_by_key(|slot| slot.start));
    bookable.planning = Some(Span::new(MONDAY + DAY, MONDAY + 2 * DAY));
    let visit = &bookable.visits[0];
    assert_eq!(slots(&bookable, visit, all, &book, MONDAY).count(), 16);
}

#[test]
fn a_used_up_limit_makes_the_rest_of_the_day_unavailable() {
    let mut bookable = bookable(1);
    bookable.visits[0].quotas = vec![(Per::Day, 2)];
    let mut book = Book::default();
    for n in 0..2 {
        let start = MONDAY + (9 + n) * HOUR;
        book.add(booking(1, n, start, start + 30 * MINUTE));
    }
    let two_days = Span::new(MONDAY, MONDAY + 2 * DAY);
    let found = states(&bookable, &book, two_days, MONDAY);
    let free = found.iter().filter(|(_, state)| *state == SlotState::Free);
    assert_eq!(free.count(), 16);
    assert_eq!(found[1].1, SlotState::Unavailable);
    assert_eq!(found[0].1, SlotState::Busy);
}

#[test]
fn an_opening_is_open_beside_the_hours_and_joins_them() {
    let bookable = bookable(1);
    let mut book = Book::default();
    let mut opening = booking(1, 1, MONDAY + 17 * HOUR, MONDAY + 18 * HOUR);
    opening.kind = ClaimKind::Opening;
    book.openings
        .insert(bookable.rid, Calendar::new(vec![opening]));
    let is_open = |from: i64, to: i64| {
        let core = Span::new(MONDAY + from * MINUTE, MONDAY + to * MINUTE);
        is_open(&bookable, core, &book, MONDAY)
    };
    assert!(is_open(16 * 60, 17 * 60 + 30));
    assert!(is_open(17 * 60, 18 * 60));
    assert!(!is_open(17 * 60, 18 * 60 + 1));
    assert!(!is_open(8 * 60, 9 * 60));
    let within = Span::new(MONDAY, MONDAY + DAY);
    let open = OpenTime::of(&bookable, within, &book, MONDAY);
    let mut starts = Vec::new();
    open.starts(&bookable.visits[0], |start| {
        starts.push((start - MONDAY) / MINUTE)
    });
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts, (18..36).map(|half| half * 30).collect::<Vec<_>>());
}

#[test]
fn the_id_of_a_slot_says_which_it_is() {
    let mut bookable = bookable(7);
    for id in [
        "a",
        "a.b.c",
        "r1.2",
        "x".repeat(55).as_str(),
        "x".repeat(64).as_str(),
        ".",
        "R",
    ] {
        bookable.id = id.to_owned();
        for (start, duration) in [
            (MONDAY, 1800),
            (MONDAY + 17, 1800),
            (0, 61),
            (-60, 60),
            (-7, 5),
        ] {
            let slot = ComputedSlot {
                start,
                end: start + duration,
                state: SlotState::Free,
            };
            let text = SlotId::text(&bookable, &slot);
            assert!(text.len() <= 64, "{text}");
            let parsed = SlotId::parse(&text).unwrap();
            assert_eq!((parsed.start, parsed.duration), (start, duration), "{text}");
            let expected = if id.len() < 52 || id.len() == 55 && text.starts_with('x') {
                ScheduleName::Id(id.to_owned())
            } else {
                ScheduleName::Rid(bookable.rid)
            };
            assert_eq!(parsed.schedule, expected, "{text}");
        }
    }
    for text in [
        "",
        "a",
        "a.b",
        "a..b",
        "a.b.0",
        ".hi3sg.u",
        "a.hi3sg.0u",
        "a.hi3sg.uu.",
        "a.HI3SG.u",
    ] {
        assert_eq!(SlotId::parse(text), None, "{text}");
    }
    let mut visit = visit();
    visit.duration = 0;
    let within = Span::new(MONDAY, MONDAY + DAY);
    assert_eq!(
        slots(&bookable, &visit, within, &Book::default(), MONDAY).count(),
        0
    );
}

#[test]
fn a_slot_is_found_by_its_id_while_the_rules_offer_it() {
    let bookable = bookable(1);
    let book = Book::default();
    let at = |minute: i64, duration| {
        slot_at(&bookable, MONDAY + minute * MINUTE, duration, &book, MONDAY).map(|(at, _)| at)
    };
    assert_eq!(at(540, 1800), Some(0));
    assert_eq!(at(541, 1800), None);
    assert_eq!(at(540, 1801), None);
    assert_eq!(at(1020, 1800), None);
}
