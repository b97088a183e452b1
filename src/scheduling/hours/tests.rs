//! Weeks, closures and sources together; what the others need.

mod changes;
mod every_zone;
mod grids;

use jiff::{Timestamp, civil};

use super::*;
use crate::scheduling::{bookable::Facets, claim::BufferPolicy};

const EVERY_DAY: u8 = 0x7f;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

/// `2026-03-08T07Z`, minutes as far as they are not 0.
fn brief(instant: i64) -> String {
    let text = Timestamp::from_second(instant).unwrap().to_string();
    let text = text.strip_suffix(":00Z").unwrap();
    text.strip_suffix(":00").unwrap_or(text).to_owned()
}

fn show(spans: impl IntoIterator<Item = Span>) -> String {
    let shown: Vec<String> = spans
        .into_iter()
        .map(|span| format!("{} {}", brief(span.start), brief(span.end)))
        .collect();
    shown.join(", ")
}

fn time(text: &str) -> civil::Time {
    text.parse().unwrap()
}

/// `mon-fri 08:00-12:00`, `sat 22:00-06:00`, `daily 00:00-00:00`.
fn daily(text: &str) -> Daily {
    let (days, times) = text.split_once(' ').unwrap();
    let (from, to) = times.split_once('-').unwrap();
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = |name: &str| names.iter().position(|known| *known == name).unwrap();
    let days = match days.split_once('-') {
        _ if days == "daily" => EVERY_DAY,
        Some((first, last)) => (day(first)..=day(last)).map(|day| 1 << day).sum(),
        None => 1 << day(days),
    };
    Daily {
        days,
        from: time(from),
        to: time(to),
    }
}

fn hours(week: &[&str]) -> Hours {
    Hours {
        source: "PractitionerRole/1".into(),
        weekly: week.iter().map(|text| daily(text)).collect(),
        closed: Vec::new(),
    }
}

fn closed(from: &str, to: &str) -> Closed {
    let moment = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    Closed::Local {
        from: moment(from),
        to: moment(to),
        why: String::new(),
    }
}

fn bookable(name: &str, hours: Vec<Hours>) -> Bookable {
    Bookable {
        id: "s".into(),
        rid: 1,
        actors: Vec::new(),
        visits: vec![visit(30, 30)],
        zone: zone(name),
        hours,
        planning: None,
        facets: Facets::default(),
    }
}

fn visit(duration: i64, interval: i64) -> Visit {
    Visit {
        service_types: Vec::new(),
        appointment_types: Vec::new(),
        duration: duration * 60,
        interval: interval * 60,
        before: 0,
        after: 0,
        buffers: BufferPolicy::Stack,
        notice: 0,
        horizon: 0,
        capacity: 1,
        overbook: 0,
        quotas: Vec::new(),
        patients_may_overlap: false,
        hold: 600,
        needs_approval: false,
        ..Visit::default()
    }
}

fn within(from: &str, to: &str) -> Span {
    Span::new(at(from), at(to))
}

/// From noon two days before a date to noon two days after it, UTC.
fn around(date: &str) -> Span {
    let noon = at(&format!("{date}T12:00:00Z"));
    Span::new(noon - 2 * DAY, noon + 2 * DAY)
}

#[test]
fn what_touches_or_overlaps_is_one() {
    for (week, expected) in [
        (
            &["mon 08:00-12:00", "mon 12:00-16:00"][..],
            "2026-06-15T08 2026-06-15T16",
        ),
        (
            &["mon 12:00-16:00", "mon 08:00-13:00"],
            "2026-06-15T08 2026-06-15T16",
        ),
        (
            &["mon 08:00-18:00", "mon 09:00-10:00"],
            "2026-06-15T08 2026-06-15T18",
        ),
        (&["daily 00:00-00:00"], "2026-06-13T12 2026-06-17T12"),
        (&["daily 08:00-08:00"], "2026-06-13T12 2026-06-17T12"),
        (&[], "2026-06-13T12 2026-06-17T12"),
        (&["mon 08:00-08:00"], "2026-06-15T08 2026-06-16T08"),
        (
            &["sat 10:00-14:00", "wed 10:00-14:00"],
            "2026-06-13T12 2026-06-13T14, 2026-06-17T10 2026-06-17T12",
        ),
    ] {
        let found = windows(&hours(week), &TimeZone::UTC, around("2026-06-15"));
        assert_eq!(show(found), expected, "{week:?}");
    }
    assert!(windows(&hours(&[]), &TimeZone::UTC, Span::new(5, 5)).is_empty());
    assert!(windows(&hours(&[]), &TimeZone::UTC, Span::new(6, 5)).is_empty());
}

#[test]
fn all_sources_are_open_and_none_is_closed() {
    let mut doctor = hours(&["mon-fri 08:00-18:00"]);
    let mut house = hours(&["mon-sat 07:00-12:00", "mon-sat 13:00-20:00"]);
    let mut subject = bookable("Europe/Berlin", vec![doctor.clone(), house.clone()]);
    let day = within("2026-06-15T00:00:00Z", "2026-06-15T22:00:00Z");
    let shown = |bookable: &Bookable, within| show(open(bookable, within).iter().map(|w| w.span));
    assert_eq!(
        shown(&subject, day),
        "2026-06-15T06 2026-06-15T10, 2026-06-15T11 2026-06-15T16"
    );

    house
        .closed
        .push(closed("2026-06-15T09:00", "2026-06-15T10:30"));
    doctor
        .closed
        .push(closed("2026-06-15T10:00", "2026-06-15T11:00"));
    doctor.closed.push(Closed::Exactly {
        during: within("2026-06-15T15:00:00Z", "2026-06-15T19:00:00Z"),
        why: "training".into(),
    });
    subject.hours = vec![doctor.clone(), house];
    assert_eq!(
        shown(&subject, day),
        "2026-06-15T06 2026-06-15T07, 2026-06-15T09 2026-06-15T10, 2026-06-15T11 2026-06-15T15"
    );
    assert_eq!(
        show(windows(&doctor, &subject.zone, day)),
        "2026-06-15T06 2026-06-15T08, 2026-06-15T09 2026-06-15T15"
    );

    subject.planning = Some(within("2026-06-15T06:30:00Z", "2026-06-15T11:15:00Z"));
    assert_eq!(
        shown(&subject, day),
        "2026-06-15T06:30 2026-06-15T07, 2026-06-15T09 2026-06-15T10, 2026-06-15T11 2026-06-15T11:15"
    );

    for (from, to, expected) in [
        ("", "", ""),
        ("", "2026-06-15T12:00", "2026-06-15T10 2026-06-15T16"),
        ("2026-06-15T12:00", "", "2026-06-15T06 2026-06-15T10"),
        (
            "2026-06-15T12:00",
            "2026-06-15T12:00",
            "2026-06-15T06 2026-06-15T16",
        ),
        (
            "2026-06-15T13:00",
            "2026-06-15T12:00",
            "2026-06-15T06 2026-06-15T16",
        ),
        ("-009999-01-01T00:00", "9999-12-31T23:59", ""),
    ] {
        let mut hours = hours(&["mon-fri 08:00-18:00"]);
        hours.closed.push(closed(from, to));
        assert_eq!(
            shown(&bookable("Europe/Berlin", vec![hours]), day),
            expected,
            "{from} {to}"
        );
    }
}

#[test]
fn a_source_without_a_week_only_closes() {
    let mut holidays = hours(&[]);
    holidays
        .closed
        .push(closed("2026-06-15T12:00", "2026-06-15T13:00"));
    let day = within("2026-06-15T00:00:00Z", "2026-06-16T00:00:00Z");
    let subject = bookable("UTC", vec![holidays.clone(), hours(&["daily 08:20-15:00"])]);
    let found = open(&subject, day);
    assert_eq!(
        show(found.iter().map(|window| window.span)),
        "2026-06-15T08:20 2026-06-15T12, 2026-06-15T13 2026-06-15T15"
    );
    assert!(
        found
            .iter()
            .all(|window| window.anchor == at("2026-06-15T08:20:00Z"))
    );
    // And without anybody's week it is always open, from midnight to midnight.
    let found = open(&bookable("Asia/Kathmandu", vec![holidays]), day);
    let anchors: Vec<String> = found.iter().map(|window| brief(window.anchor)).collect();
    assert_eq!(
        anchors,
        ["2026-06-14T18:15", "2026-06-14T18:15", "2026-06-15T18:15"]
    );
}

#[test]
fn the_ends_of_time_do_no_harm() {
    let subject = bookable("Europe/Berlin", vec![hours(&["mon 08:00-12:00"])]);
    for within in [
        Span::new(i64::MIN, i64::MIN + 1_000_000),
        Span::new(i64::MAX - 1_000_000, i64::MAX),
        Span::new(known().end - DAY, i64::MAX),
        Span::new(i64::MIN, known().start + DAY),
    ] {
        assert!(open(&subject, within).len() < 3);
        let range = local_range(Per::Month, within.start, &subject.zone);
        assert!(!range.is_empty());
    }
}

#[test]
fn what_is_asked_for_does_not_change_what_is_open() {
    let subject = bookable(
        "America/New_York",
        vec![
            hours(&["daily 22:00-10:00", "daily 08:00-23:00", "sun 01:30-02:30"]),
            hours(&["mon-sun 00:00-12:15", "daily 12:45-00:00"]),
        ],
    );
    let all = within("2026-10-20T00:00:00Z", "2026-11-10T00:00:00Z");
    let whole = open(&subject, all);
    for start in (all.start..all.end).step_by(17_000) {
        for length in [1_000, 40_000, 300_000] {
            let part = Span::new(start, (start + length).min(all.end));
            let expected: Vec<Window> = whole
                .iter()
                .map(|window| Window {
                    span: meet(window.span, part),
                    ..*window
                })
                .filter(|window| !window.span.is_empty())
                .collect();
            assert_eq!(open(&subject, part), expected, "{}", brief(start / 60 * 60));
        }
    }
}
