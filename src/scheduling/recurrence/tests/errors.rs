//! What is refused, and how.

use super::*;

#[test]
fn rules_that_are_wrong() {
    for (rule, why) in [
        ("", "FREQ is missing"),
        ("COUNT=3", "FREQ is missing"),
        ("FREQ", "'FREQ' is no part of an RRULE: NAME=value is"),
        (
            "FREQ=DAILY;;COUNT=3",
            "'' is no part of an RRULE: NAME=value is",
        ),
        ("FREQ=DAILY;COUNT=3;COUNT=4", "COUNT is there twice"),
        (
            "FREQ=HOURLY",
            "FREQ=HOURLY: only DAILY, WEEKLY, MONTHLY and YEARLY are supported",
        ),
        (
            "FREQ=MINUTELY;INTERVAL=90",
            "FREQ=MINUTELY: only DAILY, WEEKLY, MONTHLY and YEARLY are supported",
        ),
        (
            "FREQ=DAILY;BYHOUR=9",
            "BYHOUR=9: this part is not supported",
        ),
        (
            "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
            "BYWEEKNO=20: this part is not supported",
        ),
        (
            "FREQ=YEARLY;BYYEARDAY=1,100",
            "BYYEARDAY=1,100: this part is not supported",
        ),
        (
            "FREQ=DAILY;X-THING=1",
            "X-THING=1: this part is not supported",
        ),
        (
            "FREQ=DAILY; COUNT=1",
            " COUNT=1: this part is not supported",
        ),
        (
            "FREQ=DAILY;INTERVAL=0",
            "INTERVAL=0: '0' is no number from 1 to 9999",
        ),
        (
            "FREQ=DAILY;INTERVAL=-1",
            "INTERVAL=-1: '-1' is no number from 1 to 9999",
        ),
        (
            "FREQ=DAILY;INTERVAL=+1",
            "INTERVAL=+1: '+1' is no number from 1 to 9999",
        ),
        (
            "FREQ=DAILY;COUNT=",
            "COUNT=: '' is no number from 1 to 1000",
        ),
        (
            "FREQ=DAILY;COUNT=1001",
            "COUNT=1001: '1001' is no number from 1 to 1000",
        ),
        (
            "FREQ=DAILY;COUNT=99999999999999999999",
            "COUNT=99999999999999999999: '99999999999999999999' is no number from 1 to 1000",
        ),
        (
            "FREQ=DAILY;UNTIL=20261231T090000",
            "UNTIL=20261231T090000: a date (20261231) or a UTC time (20261231T230000Z) is needed",
        ),
        (
            "FREQ=DAILY;UNTIL=20261331",
            "UNTIL=20261331: a date (20261231) or a UTC time (20261231T230000Z) is needed",
        ),
        (
            "FREQ=DAILY;UNTIL=2026-12-31",
            "UNTIL=2026-12-31: a date (20261231) or a UTC time (20261231T230000Z) is needed",
        ),
        (
            "FREQ=DAILY;COUNT=3;UNTIL=20261231",
            "COUNT and UNTIL exclude each other",
        ),
        (
            "FREQ=WEEKLY;BYDAY=XX",
            "BYDAY=XX: 'XX' is no day of the week: MO, TU, WE, TH, FR, SA or SU is",
        ),
        (
            "FREQ=WEEKLY;BYDAY=MO,",
            "BYDAY=MO,: '' is no day of the week: MO, TU, WE, TH, FR, SA or SU is",
        ),
        (
            "FREQ=MONTHLY;BYDAY=0MO",
            "BYDAY=0MO: '0' is no number from 1 to 53 or from -53 to -1",
        ),
        (
            "FREQ=MONTHLY;BYDAY=--1MO",
            "BYDAY=--1MO: '--1' is no number from 1 to 53 or from -53 to -1",
        ),
        (
            "FREQ=MONTHLY;BYDAY=ÄMO",
            "BYDAY=ÄMO: 'Ä' is no number from 1 to 53 or from -53 to -1",
        ),
        (
            "FREQ=MONTHLY;BYDAY=6MO",
            "BYDAY: there is no 6th such day, at most 5",
        ),
        (
            "FREQ=YEARLY;BYMONTH=3;BYDAY=-6MO",
            "BYDAY: there is no -6th such day, at most 5",
        ),
        (
            "FREQ=WEEKLY;BYDAY=2MO",
            "BYDAY can have a number only with FREQ=MONTHLY or FREQ=YEARLY",
        ),
        (
            "FREQ=DAILY;BYDAY=-1MO",
            "BYDAY can have a number only with FREQ=MONTHLY or FREQ=YEARLY",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=0",
            "BYMONTHDAY=0: '0' is no number from 1 to 31 or from -31 to -1",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=32",
            "BYMONTHDAY=32: '32' is no number from 1 to 31 or from -31 to -1",
        ),
        (
            "FREQ=WEEKLY;BYMONTHDAY=1",
            "BYMONTHDAY cannot be with FREQ=WEEKLY",
        ),
        (
            "FREQ=YEARLY;BYMONTH=13",
            "BYMONTH=13: '13' is no number from 1 to 12",
        ),
        (
            "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=367",
            "BYSETPOS=367: '367' is no number from 1 to 366 or from -366 to -1",
        ),
        (
            "FREQ=MONTHLY;BYSETPOS=1",
            "BYSETPOS needs BYDAY, BYMONTHDAY or BYMONTH",
        ),
        (
            "FREQ=WEEKLY;WKST=1MO",
            "WKST=1MO: '1MO' is no day of the week: MO, TU, WE, TH, FR, SA or SU is",
        ),
    ] {
        assert_eq!(Recurrence::rrule(rule), Err(why.to_owned()), "{rule}");
    }
    let long = format!("FREQ=MONTHLY;BYMONTHDAY=1{}", ",1".repeat(400));
    assert!(
        Recurrence::rrule(&long)
            .unwrap_err()
            .ends_with("more than 400 values")
    );
}

#[test]
fn dates_that_are_wrong() {
    for list in [
        "",
        "20260101,",
        "2026-01-01",
        "20260230",
        "20260101T0900",
        "20260101T250000",
        "20260101T090000+0100",
        "20260101T090000Z/PT1H",
        "2026010१",
        "20260101Z",
    ] {
        let mut recurrence = rrule("FREQ=DAILY;COUNT=3");
        let before = recurrence.clone();
        let why = recurrence.add(list).unwrap_err();
        assert!(
            why.contains("is no date (20261231), local time"),
            "{list}: {why}"
        );
        assert_eq!(recurrence.exclude(list), Err(why), "{list}");
        assert_eq!(recurrence, before);
    }
}

#[test]
fn lists_have_bounds() {
    let list = vec!["20260101"; MOST].join(",");
    let mut recurrence = rrule("FREQ=DAILY;COUNT=3");
    recurrence.add(&list).unwrap();
    recurrence.exclude(&list).unwrap();
    assert_eq!(
        recurrence.add("20260102").unwrap_err(),
        "more than 1000 dates"
    );
    assert_eq!(
        recurrence.exclude("20260102").unwrap_err(),
        "more than 1000 dates"
    );
}
