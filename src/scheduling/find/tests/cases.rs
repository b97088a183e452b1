//! What single words of a need mean.

use crate::scheduling::{
    bookable::{Bookable, Coding},
    claim::ClaimKind,
    find::{Cache, Code, Found, Named, Near, Need, Proposal, Role, Sort, find, find_at_once},
    proposal::{Part, Token},
    samples::{Book, DAY, HOUR, MINUTE, MONDAY, actor, bookable, booking, shared},
    span::Span,
};

fn coding(system: &str, code: &str) -> Coding {
    Coding {
        system: system.to_owned(),
        code: code.to_owned(),
        display: None,
    }
}

fn need() -> Need {
    let mut need = Need::new(Span::new(MONDAY, MONDAY + DAY));
    need.count = 1000;
    need.total = 1000;
    need
}

fn ask(need: &Need, bookables: &[Bookable]) -> Found {
    let bookables = shared(bookables.iter().cloned());
    find(
        need,
        &bookables,
        &Book::default(),
        &Cache::new(1 << 24),
        MONDAY,
    )
}

/// Whose there is something, in the order in which it comes first.
fn whose(need: &Need, bookables: &[Bookable]) -> Vec<usize> {
    let mut whose = Vec::new();
    for proposal in ask(need, bookables).proposals {
        if !whose.contains(&proposal.parts[0].bookable) {
            whose.push(proposal.parts[0].bookable);
        }
    }
    whose
}

fn four() -> Vec<Bookable> {
    let mut all: Vec<Bookable> = (1..=4).map(bookable).collect();
    for (at, bookable) in all.iter_mut().enumerate() {
        let facets = &mut bookable.facets;
        facets.specialties = vec![coding("s", ["a", "b", "a", "c"][at])];
        facets.locations = vec![format!("Location/{at}"), "Location/all".to_owned()];
        facets.organizations = vec![format!("Organization/{}", at % 2)];
        facets.addresses = vec![format!("{at} high street berlin")];
        facets.identifiers = vec![
            (format!("Practitioner/p{}", at + 1), format!("npi|{at}")),
            ("Location/all".to_owned(), "npi|9".to_owned()),
        ];
        facets.position = Some((52.5, 13.4 + 0.1 * at as f64));
        facets.insurances = vec![format!("InsurancePlan/{}", at / 2)];
    }
    all
}

#[test]
fn kinds_of_condition_all_hold_and_one_value_of_each() {
    let all = four();
    let found = |change: &dyn Fn(&mut Need)| {
        let mut need = need();
        need.sort = Sort::Preferred;
        change(&mut need);
        whose(&need, &all)
    };
    let code = |text: &str| vec![Code::parse(text)];
    let refer = |text: &str| vec![Named::Reference(text.to_owned())];
    let identify = |text: &str| vec![Named::Identifier(text.to_owned())];
    assert_eq!(found(&|_| ()), [0, 1, 2, 3]);
    assert_eq!(found(&|need| need.filter.specialties = code("s|a")), [0, 2]);
    assert_eq!(found(&|need| need.filter.specialties = code("a")), [0, 2]);
    assert_eq!(
        found(&|need| need.filter.specialties = code("s|")),
        [0, 1, 2, 3]
    );
    assert_eq!(found(&|need| need.filter.specialties = code("|a")), [0; 0]);
    assert_eq!(
        found(&|need| need.filter.specialties = [code("c"), code("a")].concat()),
        [3, 0, 2]
    );
    assert_eq!(
        found(&|need| {
            need.filter.specialties = code("a");
            need.filter.organizations = refer("Organization/0");
            need.filter.insurances = vec!["InsurancePlan/1".to_owned()];
        }),
        [2]
    );
    for practitioner in ["Practitioner/p2", "PractitionerRole/r2"] {
        assert_eq!(
            found(&|need| need.filter.practitioners = refer(practitioner)),
            [1]
        );
    }
    for identifier in ["npi|2", "2"] {
        assert_eq!(
            found(&|need| need.filter.practitioners = identify(identifier)),
            [2]
        );
        assert_eq!(
            found(&|need| need.filter.locations = identify(identifier)),
            [0; 0]
        );
    }
    assert_eq!(
        found(&|need| need.filter.locations = identify("npi|9")),
        [0, 1, 2, 3]
    );
    assert_eq!(
        found(&|need| need.filter.locations = refer("Location/3")),
        [3]
    );
    assert_eq!(
        found(&|need| need.filter.schedules = vec!["s4".to_owned()]),
        [3]
    );
    assert_eq!(
        found(&|need| need.filter.addresses = vec!["2 high".to_owned()]),
        [2]
    );
    assert_eq!(
        found(&|need| need.filter.actor_types = vec!["Device".to_owned()]),
        [0; 0]
    );
}

#[test]
fn the_nearest_come_first_and_none_too_far() {
    let all = four();
    let mut need = need();
    need.sort = Sort::Nearest;
    need.filter.near = Some(Near {
        latitude: 52.5,
        longitude: 13.7,
        within: 10.0,
    });
    assert_eq!(whose(&need, &all), [3, 2]);
    let distance = ask(&need, &all).proposals.last().unwrap().distance.unwrap();
    assert!((6.7..6.8).contains(&distance), "{distance}");
}

#[test]
fn a_visit_is_chosen_by_type_then_by_length() {
    let mut one = bookable(1);
    let visit = one.visits[0].clone();
    for (code, minutes) in [("long", 60), ("short", 10), ("other", 60)] {
        let mut visit = visit.clone();
        visit.service_types = vec![coding("t", code)];
        visit.duration = minutes * MINUTE;
        one.visits.push(visit);
    }
    one.visits[0].service_types = vec![coding("t", "any")];
    let chosen = |types: &[&str], duration: Option<i64>| {
        let mut need = need();
        need.filter.service_types = types.iter().map(|text| Code::parse(text)).collect();
        need.duration = duration.map(|minutes| minutes * MINUTE);
        let found = ask(&need, std::slice::from_ref(&one)).proposals;
        let mut chosen: Vec<(usize, i64)> = found
            .iter()
            .map(|it| (it.parts[0].visit.unwrap(), (it.end - it.start) / MINUTE))
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    };
    assert_eq!(chosen(&[], None), [(0, 30)]);
    assert_eq!(chosen(&[], Some(60)), [(1, 60)]);
    assert_eq!(chosen(&[], Some(45)), [(0, 45)]);
    assert_eq!(chosen(&["long", "t|short"], None), [(1, 60), (2, 10)]);
    assert_eq!(chosen(&["long", "other"], Some(60)), [(1, 60), (3, 60)]);
    assert_eq!(chosen(&["what"], None), []);
}

#[test]
fn a_doctor_a_room_and_a_device_are_one_proposal() {
    let mut all = vec![bookable(1)];
    for (number, kind) in [(101, "Location"), (102, "Location"), (201, "Device")] {
        let mut bookable = bookable(number);
        bookable.actors = vec![actor(number)];
        bookable.actors[0].reference = format!("{kind}/{number}");
        bookable.actors[0].practitioner = None;
        all.push(bookable);
    }
    let mut need = need();
    need.filter.actor_types = vec!["PractitionerRole".to_owned()];
    for kind in ["Device", "Location", "Location"] {
        let mut role = Role::default();
        role.filter.actor_types = vec![kind.to_owned()];
        need.roles.push(role);
    }
    need.roles[1].offset = -15 * MINUTE;
    need.roles[1].length = Some(HOUR);
    let found = ask(&need, &all);
    // Not at nine, as the first room would be needed before it opens, nor at the end.
    assert_eq!(found.proposals.len(), 14);
    let first = &found.proposals[0];
    assert_eq!(first.start, MONDAY + 9 * HOUR + 30 * MINUTE);
    let parts: Vec<usize> = first.parts.iter().map(|part| part.bookable).collect();
    assert_eq!(parts, [0, 3, 1, 2]);
    let bookables = shared(all.iter().cloned());
    let token = first.token(&bookables, Some(34 << 44 | 5), MONDAY);
    assert_eq!(token.patient, Some(5));
    assert_eq!(token.parts[2].offset, -15 * MINUTE);
    assert_eq!(token.parts[2].duration, Some(HOUR));
    assert_eq!(token.parts[0], Part::new(1, Some(0)));
    let sign = |_: &[u8]| [7; 32];
    let text = token.seal(&sign).unwrap();
    assert_eq!(Token::open(&text, &sign, MONDAY, 60), Ok(token));
    // A third room there is not.
    need.roles.push(need.roles[2].clone());
    assert_eq!(ask(&need, &all).total, 0);
}

#[test]
fn posted_slots_are_offered_whole_if_they_are_of_the_type() {
    let mut one = bookable(1);
    one.visits.clear();
    one.facets.service_types = vec![coding("t", "check")];
    let mut book = Book::default();
    for (owner, hour, minutes) in [(1, 9, 20), (2, 12, 45), (3, 23, 120)] {
        let start = MONDAY + hour * HOUR;
        let mut opening = booking(0, owner, start, start + minutes * MINUTE);
        opening.kind = ClaimKind::Opening;
        let calendar = book.openings.entry(one.rid).or_default();
        calendar.replace(opening.owner, vec![opening]);
    }
    let bookables = shared([one]);
    let cache = Cache::new(1 << 20);
    let found = |book: &Book, change: &dyn Fn(&mut Need)| {
        let mut need = need();
        change(&mut need);
        let found = find(&need, &bookables, book, &cache, MONDAY);
        let minutes = |it: &Proposal| ((it.start - MONDAY) / HOUR, (it.end - it.start) / MINUTE);
        found.proposals.iter().map(minutes).collect::<Vec<_>>()
    };
    // The last one ends behind the day.
    assert_eq!(found(&book, &|_| ()), [(9, 20), (12, 45)]);
    assert_eq!(
        found(&book, &|need| need.duration = Some(30 * MINUTE)),
        [(12, 45)]
    );
    let of_type = |text: &str| vec![Code::parse(text)];
    let check = |need: &mut Need| need.filter.service_types = of_type("check");
    assert_eq!(found(&book, &check), [(9, 20), (12, 45)]);
    let other = |need: &mut Need| need.filter.service_types = of_type("other");
    assert_eq!(found(&book, &other), []);
    let later = |need: &mut Need| need.within.end = MONDAY + 2 * DAY;
    assert_eq!(found(&book, &later), [(9, 20), (12, 45), (23, 120)]);
    book.add(booking(
        1,
        9,
        MONDAY + 12 * HOUR,
        MONDAY + 12 * HOUR + MINUTE,
    ));
    assert_eq!(found(&book, &|_| ()), [(9, 20)]);
}

#[test]
fn the_work_is_bounded() {
    let all = four();
    let mut need = need();
    need.within.end = MONDAY + 400 * DAY;
    need.work = 30;
    let found = ask(&need, &all);
    assert!(found.truncated && found.total < 100, "{}", found.total);
}

#[test]
fn what_takes_more_than_a_moment_is_left_until_hours_are_expanded() {
    let many = 200;
    let bookables = shared((1..=many).map(bookable));
    let (cache, book) = (Cache::new(1 << 28), Book::default());
    let mut need = Need::new(Span::new(MONDAY, MONDAY + 30 * DAY));
    need.filter.actor_types = vec!["PractitionerRole".to_owned()];
    let at_once = |need: &Need, cache: &Cache| find_at_once(need, &bookables, &book, cache, MONDAY);
    assert_eq!(at_once(&need, &cache), None);
    // Each time some more is done, and it ends.
    let found = (0..many).find_map(|_| at_once(&need, &cache)).unwrap();
    assert!(!found.proposals.is_empty());
    let again = at_once(&need, &cache);
    assert_eq!(again.as_ref(), Some(&found));
    assert_eq!(
        find(&need, &bookables, &book, &Cache::new(1 << 28), MONDAY),
        found
    );
    // A few are done at once.
    need.filter.schedules = vec![bookables[0].id.clone()];
    assert!(at_once(&need, &Cache::new(1 << 28)).is_some());
    // Nothing is free for weeks: that is looked through elsewhere.
    let mut full = Book::default();
    for number in 1..=many {
        full.add(booking(
            number,
            1_000 + number,
            MONDAY - DAY,
            MONDAY + 31 * DAY,
        ));
    }
    need.filter.schedules.clear();
    need.within.end = MONDAY + 400 * DAY;
    assert_eq!(find_at_once(&need, &bookables, &full, &cache, MONDAY), None);
}
