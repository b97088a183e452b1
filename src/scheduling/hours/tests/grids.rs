//! Where visits can begin.

use super::*;

/// The starts of a window as wall clock.
fn grid(bookable: &Bookable, visit: &Visit, within: Span) -> Vec<String> {
    let open = open(bookable, within);
    starts(&open, visit)
        .map(|start| {
            let shown = bookable
                .zone
                .to_datetime(Timestamp::from_second(start).unwrap());
            shown.strftime("%d %H:%M").to_string()
        })
        .collect()
}

#[test]
fn the_grid_begins_with_the_window() {
    let day = within("2026-06-15T00:00:00Z", "2026-06-16T00:00:00Z");
    let doctor = || hours(&["mon 08:10-10:00", "mon 14:00-15:00"]);
    let clinic = bookable("UTC", vec![doctor()]);
    for (duration, interval, expected) in [
        (30, 30, "08:10 08:40 09:10 14:00 14:30"),
        (20, 45, "08:10 08:55 09:40 14:00"),
        (50, 25, "08:10 08:35 09:00 14:00"),
        (110, 15, "08:10"),
        (111, 15, ""),
    ] {
        let found = grid(&clinic, &visit(duration, interval), day);
        let expected: Vec<String> = expected
            .split_terminator(' ')
            .map(|t| format!("15 {t}"))
            .collect();
        assert_eq!(found, expected, "{duration} {interval}");
    }
    // It is the first source's, whatever cuts the window: another source, a closure, the range
    // that is asked for, the planning horizon.
    let expected = ["15 08:40", "15 09:10"];
    let visit = visit(30, 30);
    let from = within("2026-06-15T08:25:00Z", "2026-06-15T12:00:00Z");
    let mut late = doctor();
    late.closed
        .push(closed("2026-06-15T08:00", "2026-06-15T08:25"));
    late.closed.push(closed("2026-06-15T12:00", ""));
    let mut planned = clinic.clone();
    planned.planning = Some(from);
    for (subject, within) in [
        (clinic, from),
        (planned, day),
        (bookable("UTC", vec![late]), day),
        (
            bookable("UTC", vec![doctor(), hours(&["mon 08:25-12:00"])]),
            day,
        ),
    ] {
        assert_eq!(grid(&subject, &visit, within), expected);
    }
}

#[test]
fn the_grid_over_a_change_of_the_clock() {
    let night = |name: &str| bookable(name, vec![hours(&["sun 00:00-05:00"])]);
    let hourly = visit(60, 60);
    for (name, date, expected) in [
        ("America/New_York", "2026-03-08", "00:00 01:00 03:00 04:00"),
        (
            "America/New_York",
            "2026-11-01",
            "00:00 01:00 01:00 02:00 03:00 04:00",
        ),
        // By half an hour; the next day begins at midnight again.
        (
            "Australia/Lord_Howe",
            "2026-10-04",
            "00:00 01:00 02:30 03:30",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-05",
            "00:00 01:00 01:30 02:30 03:30",
        ),
        (
            "Africa/Cairo",
            "2026-04-26",
            "00:00 01:00 02:00 03:00 04:00",
        ),
    ] {
        let found = grid(&night(name), &hourly, around(date));
        let expected: Vec<String> = expected
            .split(' ')
            .map(|time| format!("{} {time}", &date[8..]))
            .collect();
        assert_eq!(found, expected, "{name} {date}");
    }
    let always = bookable("Australia/Lord_Howe", Vec::new());
    let range = within("2026-10-03T10:30:00Z", "2026-10-04T15:00:00Z");
    let found = grid(&always, &hourly, range);
    assert_eq!(found[..4], ["03 21:00", "03 22:00", "03 23:00", "04 00:00"]);
    assert_eq!(
        found[4..8],
        ["04 01:00", "04 02:30", "04 03:30", "04 04:30"]
    );
    // Half an hour is left before midnight; a visit may go on beyond it.
    assert_eq!(found[26..], ["04 23:30", "05 00:00", "05 01:00"]);
}

#[test]
fn windows_that_touch_are_one_opening() {
    let subject = bookable("UTC", vec![hours(&["mon 08:00-10:00", "mon 10:00-11:15"])]);
    let day = within("2026-06-15T00:00:00Z", "2026-06-16T00:00:00Z");
    assert_eq!(
        grid(&subject, &visit(45, 45), day),
        ["15 08:00", "15 08:45", "15 09:30", "15 10:00"]
    );
    let found = open(&subject, day);
    assert_eq!(found.len(), 2);
    for (from, to, is_covered) in [
        ("08:00", "11:15", true),
        ("09:50", "10:10", true),
        ("10:00", "10:30", true),
        ("07:59", "08:10", false),
        ("11:00", "11:16", false),
        ("12:00", "12:10", false),
    ] {
        let instant = |time: &str| at(&format!("2026-06-15T{time}:00Z"));
        assert_eq!(
            covers(&found, Span::new(instant(from), instant(to))),
            is_covered,
            "{from} {to}"
        );
    }
}

#[test]
fn overlapping_windows_keep_their_grids() {
    let subject = bookable(
        "UTC",
        vec![hours(&[
            "mon 08:00-10:00",
            "mon 09:10-11:00",
            "mon 09:20-09:40",
        ])],
    );
    let day = within("2026-06-15T00:00:00Z", "2026-06-16T00:00:00Z");
    assert_eq!(
        grid(&subject, &visit(30, 30), day),
        [
            "15 08:00", "15 08:30", "15 09:00", "15 09:10", "15 09:40", "15 10:10"
        ]
    );
}
