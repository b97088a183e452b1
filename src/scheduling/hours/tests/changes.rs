//! Changes of the clock, computed by hand.

use super::*;

#[test]
fn windows_at_changes_of_the_clock() {
    for (name, date, day, expected) in [
        // 02:00 -05 becomes 03:00 -04 on 8 March, 07:00Z.
        (
            "America/New_York",
            "2026-03-08",
            "sun 02:30-05:00",
            "2026-03-08T07 2026-03-08T09",
        ),
        (
            "America/New_York",
            "2026-03-08",
            "sun 01:30-02:30",
            "2026-03-08T06:30 2026-03-08T07",
        ),
        ("America/New_York", "2026-03-08", "sun 02:15-02:45", ""),
        ("America/New_York", "2026-03-08", "sun 02:00-03:00", ""),
        (
            "America/New_York",
            "2026-03-08",
            "sun 00:00-00:00",
            "2026-03-08T05 2026-03-09T04",
        ),
        (
            "America/New_York",
            "2026-03-08",
            "sat 22:00-06:00",
            "2026-03-08T03 2026-03-08T10",
        ),
        // 02:00 -04 becomes 01:00 -05 on 1 November, 06:00Z.
        (
            "America/New_York",
            "2026-11-01",
            "sun 01:30-03:00",
            "2026-11-01T05:30 2026-11-01T08",
        ),
        (
            "America/New_York",
            "2026-11-01",
            "sun 00:00-01:30",
            "2026-11-01T04 2026-11-01T06:30",
        ),
        (
            "America/New_York",
            "2026-11-01",
            "sun 01:00-02:00",
            "2026-11-01T05 2026-11-01T07",
        ),
        (
            "America/New_York",
            "2026-11-01",
            "sat 22:00-06:00",
            "2026-11-01T02 2026-11-01T11",
        ),
        (
            "America/New_York",
            "2026-11-01",
            "sun 09:00-17:00",
            "2026-11-01T14 2026-11-01T22",
        ),
        // 02:00 +01 becomes 03:00 +02 on 29 March, 01:00Z; 03:00 +02 becomes 02:00 +01 on
        // 25 October, 01:00Z.
        (
            "Europe/Berlin",
            "2026-03-29",
            "sun 02:30-04:00",
            "2026-03-29T01 2026-03-29T02",
        ),
        (
            "Europe/Berlin",
            "2026-03-29",
            "sat 22:00-06:00",
            "2026-03-28T21 2026-03-29T04",
        ),
        (
            "Europe/Berlin",
            "2026-03-29",
            "sun 13:00-14:00",
            "2026-03-29T11 2026-03-29T12",
        ),
        (
            "Europe/Berlin",
            "2026-10-25",
            "sun 02:30-04:00",
            "2026-10-25T00:30 2026-10-25T03",
        ),
        (
            "Europe/Berlin",
            "2026-10-25",
            "sun 00:00-00:00",
            "2026-10-24T22 2026-10-25T23",
        ),
        // 02:00 +10:30 becomes 02:30 +11 on 4 October, 15:30Z of the 3rd; 02:00 +11 becomes
        // 01:30 +10:30 on 5 April, 15:00Z of the 4th.
        (
            "Australia/Lord_Howe",
            "2026-10-04",
            "sun 02:15-03:00",
            "2026-10-03T15:30 2026-10-03T16",
        ),
        ("Australia/Lord_Howe", "2026-10-04", "sun 02:00-02:30", ""),
        (
            "Australia/Lord_Howe",
            "2026-10-04",
            "sun 01:45-02:15",
            "2026-10-03T15:15 2026-10-03T15:30",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-05",
            "sun 01:30-02:00",
            "2026-04-04T14:30 2026-04-04T15:30",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-05",
            "sun 01:00-01:45",
            "2026-04-04T14 2026-04-04T15:15",
        ),
        // +05:45, all year.
        (
            "Asia/Kathmandu",
            "2026-06-15",
            "mon 09:00-17:00",
            "2026-06-15T03:15 2026-06-15T11:15",
        ),
        // 00:00 +02 becomes 01:00 +03 on Friday 24 April, 22:00Z of the 23rd; 00:00 +03 of
        // Friday 30 October becomes 23:00 +02 of Thursday, 21:00Z.
        (
            "Africa/Cairo",
            "2026-04-24",
            "fri 00:00-00:00",
            "2026-04-23T22 2026-04-24T21",
        ),
        (
            "Africa/Cairo",
            "2026-04-24",
            "fri 00:30-02:00",
            "2026-04-23T22 2026-04-23T23",
        ),
        (
            "Africa/Cairo",
            "2026-04-24",
            "thu 22:00-00:00",
            "2026-04-23T20 2026-04-23T22",
        ),
        (
            "Africa/Cairo",
            "2026-10-29",
            "thu 22:00-23:30",
            "2026-10-29T19 2026-10-29T21:30",
        ),
        (
            "Africa/Cairo",
            "2026-10-29",
            "thu 00:00-00:00",
            "2026-10-28T21 2026-10-29T22",
        ),
        (
            "Africa/Cairo",
            "2026-10-29",
            "fri 00:00-01:00",
            "2026-10-29T22 2026-10-29T23",
        ),
        // 00:00 +02 of Sunday 29 March becomes 01:00 +03; 00:00 +03 of Sunday 25 October becomes
        // 23:00 +02 of Saturday.
        (
            "Asia/Beirut",
            "2026-03-29",
            "sun 00:00-00:00",
            "2026-03-28T22 2026-03-29T21",
        ),
        (
            "Asia/Beirut",
            "2026-03-29",
            "sat 22:00-06:00",
            "2026-03-28T20 2026-03-29T03",
        ),
        (
            "Asia/Beirut",
            "2026-10-25",
            "sat 23:00-00:00",
            "2026-10-24T20 2026-10-24T22",
        ),
        // 00:00 -05 becomes 01:00 -04 on 10 March, 05:00Z; 01:00 -04 becomes 00:00 -05 on
        // 3 November, 05:00Z: Saturday ends at the second midnight, Sunday begins at the first.
        (
            "America/Havana",
            "2024-03-10",
            "sun 00:30-02:00",
            "2024-03-10T05 2024-03-10T06",
        ),
        (
            "America/Havana",
            "2024-11-03",
            "sat 00:00-00:00",
            "2024-11-02T04 2024-11-03T05",
        ),
        (
            "America/Havana",
            "2024-11-03",
            "sun 00:00-00:00",
            "2024-11-03T04 2024-11-04T05",
        ),
        // For some months: 00:01 +08 becomes 03:01 +11 on 4 October, 16:01Z of the 3rd.
        (
            "Antarctica/Casey",
            "2020-10-03",
            "sun 00:00-04:00",
            "2020-10-03T16 2020-10-03T17",
        ),
        (
            "Antarctica/Casey",
            "2020-10-03",
            "sun 02:00-04:00",
            "2020-10-03T16:01 2020-10-03T17",
        ),
        // 00:00 -10 of Friday 30 December becomes 00:00 +14 of Saturday, 10:00Z of the 30th.
        ("Pacific/Apia", "2011-12-30", "fri 00:00-00:00", ""),
        ("Pacific/Apia", "2011-12-30", "fri 09:00-17:00", ""),
        (
            "Pacific/Apia",
            "2011-12-30",
            "thu 22:00-06:00",
            "2011-12-30T08 2011-12-30T10",
        ),
        (
            "Pacific/Apia",
            "2011-12-30",
            "fri 22:00-06:00",
            "2011-12-30T10 2011-12-30T16",
        ),
        (
            "Pacific/Apia",
            "2011-12-30",
            "sat 00:00-00:00",
            "2011-12-30T10 2011-12-31T10",
        ),
        (
            "Pacific/Apia",
            "2011-12-30",
            "thu 09:00-17:00",
            "2011-12-29T19 2011-12-30T03",
        ),
        // For good: 00:00 +03 of 1 November 2017 becomes 23:00 +02 of 31 October, 21:00Z.
        (
            "Africa/Khartoum",
            "2017-10-31",
            "tue 22:00-23:30",
            "2017-10-31T19 2017-10-31T21:30",
        ),
        (
            "Africa/Khartoum",
            "2017-10-31",
            "tue 09:00-17:00",
            "2017-10-31T06 2017-10-31T14",
        ),
        (
            "Africa/Khartoum",
            "2017-10-31",
            "wed 09:00-17:00",
            "2017-11-01T07 2017-11-01T15",
        ),
        // Ramadan: 03:00 +01 becomes 02:00 +00 on 15 February, 02:00Z; 02:00 +00 becomes 03:00 +01
        // on 22 March, 02:00Z.
        (
            "Africa/Casablanca",
            "2026-02-15",
            "sun 02:30-04:00",
            "2026-02-15T01:30 2026-02-15T04",
        ),
        (
            "Africa/Casablanca",
            "2026-03-01",
            "sun 13:00-17:00",
            "2026-03-01T13 2026-03-01T17",
        ),
        (
            "Africa/Casablanca",
            "2026-03-22",
            "sun 02:30-04:00",
            "2026-03-22T02 2026-03-22T03",
        ),
        (
            "Africa/Casablanca",
            "2026-03-22",
            "sun 13:00-17:00",
            "2026-03-22T12 2026-03-22T16",
        ),
    ] {
        let found = windows(&hours(&[day]), &zone(name), around(date));
        assert_eq!(show(found), expected, "{name} {date} {day}");
    }
}

#[test]
fn closed_over_a_change_of_the_clock() {
    for (date, from, to, expected) in [
        // 02:00 to 03:00 is left out.
        (
            "2026-03-29",
            "2026-03-29T00:00",
            "2026-03-29T02:30",
            "2026-03-29T01 2026-03-29T22",
        ),
        (
            "2026-03-29",
            "2026-03-29T02:30",
            "2026-03-30T00:00",
            "2026-03-28T23 2026-03-29T01",
        ),
        // 02:00 to 03:00 comes twice.
        (
            "2026-10-25",
            "2026-10-25T00:00",
            "2026-10-25T02:30",
            "2026-10-25T01:30 2026-10-25T23",
        ),
        (
            "2026-10-25",
            "2026-10-25T02:30",
            "2026-10-26T00:00",
            "2026-10-24T22 2026-10-25T00:30",
        ),
    ] {
        let mut hours = hours(&["sun 00:00-00:00"]);
        hours.closed.push(closed(from, to));
        let found = windows(&hours, &zone("Europe/Berlin"), around(date));
        assert_eq!(show(found), expected, "{from} {to}");
    }
}

#[test]
fn ranges_of_limits_are_local() {
    for (per, name, instant, expected) in [
        (
            Per::Day,
            "Asia/Kathmandu",
            "2026-06-15T18:14:00Z",
            "2026-06-14T18:15 2026-06-15T18:15",
        ),
        (
            Per::Day,
            "Asia/Kathmandu",
            "2026-06-15T18:15:00Z",
            "2026-06-15T18:15 2026-06-16T18:15",
        ),
        (
            Per::Day,
            "America/New_York",
            "2026-03-08T12:00:00Z",
            "2026-03-08T05 2026-03-09T04",
        ),
        (
            Per::Day,
            "Africa/Cairo",
            "2026-04-24T00:00:00Z",
            "2026-04-23T22 2026-04-24T21",
        ),
        (
            Per::Day,
            "Africa/Cairo",
            "2026-10-29T21:30:00Z",
            "2026-10-28T21 2026-10-29T22",
        ),
        (
            Per::Day,
            "America/Havana",
            "2024-11-03T04:30:00Z",
            "2024-11-03T04 2024-11-04T05",
        ),
        (
            Per::Week,
            "Europe/Berlin",
            "2026-03-29T12:00:00Z",
            "2026-03-22T23 2026-03-29T22",
        ),
        (
            Per::Week,
            "Europe/Berlin",
            "2026-03-29T22:00:00Z",
            "2026-03-29T22 2026-04-05T22",
        ),
        (
            Per::Week,
            "Pacific/Apia",
            "2011-12-29T20:00:00Z",
            "2011-12-26T10 2012-01-01T10",
        ),
        (
            Per::Month,
            "Europe/Berlin",
            "2026-10-25T12:00:00Z",
            "2026-09-30T22 2026-10-31T23",
        ),
        (
            Per::Month,
            "UTC",
            "2028-02-29T23:59:59Z",
            "2028-02-01T00 2028-03-01T00",
        ),
        (
            Per::Month,
            "UTC",
            "1968-02-29T23:59:59Z",
            "1968-02-01T00 1968-03-01T00",
        ),
        // The 7th has begun when 00:01 becomes 23:01 of the 6th.
        (
            Per::Day,
            "America/Goose_Bay",
            "2010-11-07T03:30:00Z",
            "2010-11-06T03 2010-11-07T04",
        ),
    ] {
        let found = local_range(per, at(instant), &zone(name));
        assert_eq!(show([found]), expected, "{per:?} {name} {instant}");
    }
}
