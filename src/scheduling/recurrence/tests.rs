//! Series over changes of the clock, what is added and excluded, bounds; what the others need.
//! Rules are tested in `standard`, against RFC 5545 and against an oracle that looks at one day
//! after the other, templates in `templates`, what is refused in `errors`,
//! what the clock shows in `every_zone`.

mod errors;
mod every_zone;
mod oracle;
mod standard;
mod templates;

use jiff::{Timestamp, civil::Time};

use super::*;

const NEW_YORK: &str = "America/New_York";

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// `1997-09-02T09:00`, or with seconds and Z for an instant.
fn instant(text: &str, zone: &TimeZone) -> i64 {
    if text.ends_with('Z') {
        return text.parse::<Timestamp>().unwrap().as_second();
    }
    let local: DateTime = text.parse().unwrap();
    zone.to_timestamp(local).unwrap().as_second()
}

fn rrule(text: &str) -> Recurrence {
    Recurrence::rrule(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn series(rule: &str, first: &str, name: &str, most: usize) -> Vec<Occurrence> {
    let zone = zone(name);
    rrule(rule).expand(instant(first, &zone), &zone, most)
}

/// `2026-03-08 03:30!`: shifted ones have an exclamation mark.
fn show(series: &[Occurrence]) -> Vec<String> {
    series
        .iter()
        .map(|entry| {
            let mark = if entry.shifted { "!" } else { "" };
            format!("{}{mark}", entry.local.strftime("%F %H:%M"))
        })
        .collect()
}

/// The instants as `2026-03-08T07:30Z`.
fn instants(series: &[Occurrence]) -> Vec<String> {
    series
        .iter()
        .map(|entry| {
            let start = Timestamp::from_second(entry.start).unwrap();
            start.strftime("%FT%H:%MZ").to_string()
        })
        .collect()
}

#[test]
fn series_over_changes_of_the_clock() {
    for (name, first, rule, expected) in [
        (
            NEW_YORK,
            "2026-03-07T09:00",
            "FREQ=DAILY;COUNT=3",
            "2026-03-07T14:00Z 2026-03-08T13:00Z 2026-03-09T13:00Z",
        ),
        // 02:30 does not exist on the 8th: with the offset of before it is 03:30.
        (
            NEW_YORK,
            "2026-03-07T02:30",
            "FREQ=DAILY;COUNT=3",
            "2026-03-07T07:30Z 2026-03-08T07:30Z 2026-03-09T06:30Z",
        ),
        // 01:30 comes twice on 1 November: the first.
        (
            NEW_YORK,
            "2026-10-31T01:30",
            "FREQ=DAILY;COUNT=3",
            "2026-10-31T05:30Z 2026-11-01T05:30Z 2026-11-02T06:30Z",
        ),
        // Unless the series begins with the second.
        (
            NEW_YORK,
            "2026-11-01T06:30:00Z",
            "FREQ=DAILY;COUNT=2",
            "2026-11-01T06:30Z 2026-11-02T06:30Z",
        ),
        // By half an hour.
        (
            "Australia/Lord_Howe",
            "2026-10-03T02:15",
            "FREQ=DAILY;COUNT=3",
            "2026-10-02T15:45Z 2026-10-03T15:45Z 2026-10-04T15:15Z",
        ),
        // Midnight does not exist on 24 April.
        (
            "Africa/Cairo",
            "2026-04-17T00:00",
            "FREQ=WEEKLY;COUNT=3",
            "2026-04-16T22:00Z 2026-04-23T22:00Z 2026-04-30T21:00Z",
        ),
        // The 30th does not exist: it would be the 31st, which is there already.
        (
            "Pacific/Apia",
            "2011-12-29T09:00",
            "FREQ=DAILY;COUNT=3",
            "2011-12-29T19:00Z 2011-12-30T19:00Z 2011-12-31T19:00Z",
        ),
        (
            "Pacific/Apia",
            "2011-12-23T09:00",
            "FREQ=WEEKLY;COUNT=3",
            "2011-12-23T19:00Z 2011-12-30T19:00Z 2012-01-05T19:00Z",
        ),
        // Another offset for good.
        (
            "Africa/Khartoum",
            "2017-10-25T09:00",
            "FREQ=WEEKLY;COUNT=2",
            "2017-10-25T06:00Z 2017-11-01T07:00Z",
        ),
        (
            "Africa/Casablanca",
            "2026-02-10T09:00",
            "FREQ=WEEKLY;INTERVAL=3;COUNT=3",
            "2026-02-10T08:00Z 2026-03-03T09:00Z 2026-03-24T08:00Z",
        ),
    ] {
        let found = instants(&series(rule, first, name, 10));
        assert_eq!(found.join(" "), expected, "{name} {first} {rule}");
    }
}

#[test]
fn what_is_shifted_says_so() {
    for (name, first, rule, expected) in [
        (
            NEW_YORK,
            "2026-03-07T02:30",
            "FREQ=DAILY;COUNT=3",
            ["2026-03-07 02:30", "2026-03-08 03:30!", "2026-03-09 02:30"],
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-03T02:15",
            "FREQ=DAILY;COUNT=3",
            ["2026-10-03 02:15", "2026-10-04 02:45!", "2026-10-05 02:15"],
        ),
        (
            "Asia/Beirut",
            "2026-03-22T00:00",
            "FREQ=WEEKLY;COUNT=3",
            ["2026-03-22 00:00", "2026-03-29 01:00!", "2026-04-05 00:00"],
        ),
        (
            "Pacific/Apia",
            "2011-12-29T09:00",
            "FREQ=DAILY;COUNT=3",
            ["2011-12-29 09:00", "2011-12-31 09:00", "2012-01-01 09:00"],
        ),
        (
            "Pacific/Apia",
            "2011-12-23T09:00",
            "FREQ=WEEKLY;COUNT=3",
            ["2011-12-23 09:00", "2011-12-31 09:00!", "2012-01-06 09:00"],
        ),
    ] {
        assert_eq!(
            show(&series(rule, first, name, 10)),
            expected,
            "{name} {first} {rule}"
        );
    }
}

#[test]
fn ten_years_of_weeks_keep_the_time_of_day() {
    for name in [
        NEW_YORK,
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Asia/Beirut",
    ] {
        let zone = zone(name);
        let first = instant("2026-01-05T09:15", &zone);
        let found = rrule("FREQ=WEEKLY;COUNT=520").expand(first, &zone, MOST);
        assert_eq!(found.len(), 520);
        let mut offsets = Vec::new();
        for (week, entry) in found.iter().enumerate() {
            let offset = zone.to_offset(Timestamp::from_second(entry.start).unwrap());
            let days = (entry.start + i64::from(offset.seconds())).div_euclid(86_400);
            let since = days - (first.div_euclid(86_400) + i64::from(name.starts_with("Austr")));
            assert_eq!(since, 7 * week as i64, "{name}");
            assert_eq!(entry.local.time(), Time::constant(9, 15, 0, 0));
            assert!(!entry.shifted);
            offsets.push(offset);
        }
        offsets.dedup();
        assert!(offsets.len() >= 20, "{name} {}", offsets.len());
    }
}

#[test]
fn added_and_excluded() {
    for (rule, added, excluded, expected) in [
        (
            "FREQ=WEEKLY;COUNT=4",
            "",
            "20260914",
            "1 2026-09-07 09:00, 3 2026-09-21 09:00, 4 2026-09-28 09:00",
        ),
        // As local time, and as instant.
        (
            "FREQ=WEEKLY;COUNT=4",
            "",
            "20260914T090000,20260921T130000Z",
            "1 2026-09-07 09:00, 4 2026-09-28 09:00",
        ),
        // Not at that time.
        (
            "FREQ=WEEKLY;COUNT=2",
            "",
            "20260914T100000",
            "1 2026-09-07 09:00, 2 2026-09-14 09:00",
        ),
        // The first as well.
        ("FREQ=WEEKLY;COUNT=2", "", "20260907", "2 2026-09-14 09:00"),
        (
            "FREQ=WEEKLY;COUNT=2",
            "20260908,20260915T140000,20260909T133000Z",
            "",
            "1 2026-09-07 09:00, 2 2026-09-08 09:00, 3 2026-09-09 09:30, 4 2026-09-14 09:00, \
             5 2026-09-15 14:00",
        ),
        // What is there already, and what is before the first.
        (
            "FREQ=WEEKLY;COUNT=2",
            "20260914,20260907,20260901",
            "",
            "1 2026-09-07 09:00, 2 2026-09-14 09:00",
        ),
        (
            "FREQ=WEEKLY;COUNT=2",
            "20260908",
            "20260908",
            "1 2026-09-07 09:00, 3 2026-09-14 09:00",
        ),
    ] {
        let mut recurrence = rrule(rule);
        if !added.is_empty() {
            recurrence.add(added).unwrap();
        }
        if !excluded.is_empty() {
            recurrence.exclude(excluded).unwrap();
        }
        let zone = zone(NEW_YORK);
        let found = recurrence.expand(instant("2026-09-07T09:00", &zone), &zone, 10);
        let shown: Vec<String> = found
            .iter()
            .zip(show(&found))
            .map(|(entry, text)| format!("{} {text}", entry.number))
            .collect();
        assert_eq!(shown.join(", "), expected, "{rule} {added} {excluded}");
    }
}

#[test]
fn a_shifted_one_is_excluded_by_either_time() {
    for excluded in [
        "20260308T023000",
        "20260308T033000",
        "20260308T073000Z",
        "20260308",
    ] {
        let mut recurrence = rrule("FREQ=DAILY;COUNT=3");
        recurrence.exclude(excluded).unwrap();
        let zone = zone(NEW_YORK);
        let found = recurrence.expand(instant("2026-03-07T02:30", &zone), &zone, 10);
        assert_eq!(
            show(&found),
            ["2026-03-07 02:30", "2026-03-09 02:30"],
            "{excluded}"
        );
    }
}

#[test]
fn until_is_inclusive() {
    for (until, count) in [
        ("20260921", 3),
        ("20260920", 2),
        // 09:00 in New York is 13:00 UTC.
        ("20260921T130000Z", 3),
        ("20260921T125959Z", 2),
        ("20260907", 1),
        // It begins later than it ends; the first is there all the same.
        ("20200101", 1),
    ] {
        let rule = format!("FREQ=WEEKLY;UNTIL={until}");
        let found = series(&rule, "2026-09-07T09:00", NEW_YORK, 10);
        assert_eq!(found.len(), count, "{until}");
    }
    // The local date counts: 20:00 of 31 December is 1 January in UTC.
    let found = series(
        "FREQ=DAILY;UNTIL=20261231",
        "2026-12-30T20:00",
        NEW_YORK,
        10,
    );
    assert_eq!(show(&found), ["2026-12-30 20:00", "2026-12-31 20:00"]);
}

#[test]
fn no_series_is_without_end() {
    for (rule, most, expected) in [
        ("FREQ=DAILY", 0, 0),
        ("FREQ=DAILY", 1, 1),
        ("FREQ=DAILY", 7, 7),
        ("FREQ=DAILY", MOST, MOST),
        ("FREQ=DAILY", usize::MAX, MOST + 1),
        ("FREQ=DAILY;COUNT=1000", usize::MAX, MOST),
        ("FREQ=DAILY;UNTIL=99991231", usize::MAX, MOST + 1),
        // Dates that do not exist.
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", MOST, 1),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", MOST, 1),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", MOST, 1),
        ("FREQ=DAILY;INTERVAL=9999;BYMONTH=2;BYMONTHDAY=30", MOST, 1),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31;BYMONTH=4", MOST, 1),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2", MOST, 1),
        ("FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1", MOST, 1),
        ("FREQ=YEARLY;INTERVAL=9999", MOST, 1),
        // A hundred years.
        ("FREQ=YEARLY", MOST, 101),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", MOST, 1 + 24),
    ] {
        let found = series(rule, "2026-09-07T09:00", NEW_YORK, most);
        assert_eq!(found.len(), expected, "{rule} {most}");
        assert_eq!(
            rrule(rule).is_endless(),
            !rule.contains("COUNT") && !rule.contains("UNTIL")
        );
    }
    // As many as were asked for are left if some are excluded.
    let mut recurrence = rrule("FREQ=DAILY");
    recurrence.exclude("20260907,20260908,20260910").unwrap();
    let zone = zone(NEW_YORK);
    let found = recurrence.expand(instant("2026-09-07T09:00", &zone), &zone, 3);
    assert_eq!(
        show(&found),
        ["2026-09-09 09:00", "2026-09-11 09:00", "2026-09-12 09:00"]
    );
    // At the ends of time.
    for first in [i64::MIN, i64::MAX, 253_402_207_200, -377_705_023_201] {
        let found = rrule("FREQ=DAILY;COUNT=5").expand(first, &zone, 10);
        assert!((1..=5).contains(&found.len()), "{first}");
    }
}

#[test]
fn the_first_is_one_even_if_the_rule_does_not_meet_it() {
    // A Monday.
    let found = series(
        "FREQ=WEEKLY;BYDAY=TU;COUNT=3",
        "2026-09-07T09:00",
        NEW_YORK,
        10,
    );
    assert_eq!(
        show(&found),
        ["2026-09-07 09:00", "2026-09-08 09:00", "2026-09-15 09:00"]
    );
}
