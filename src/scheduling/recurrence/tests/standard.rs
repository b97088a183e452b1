//! The examples of RFC 5545, 3.8.5.3, that the supported parts cover.

use super::*;

/// Dates as the standard lists them: `1997 Sep 2,4; Oct 1; 1998 Jan 3`.
fn dates(text: &str) -> Vec<Date> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut year = 0;
    let mut found = Vec::new();
    for part in text.split("; ") {
        let words: Vec<&str> = part.split(' ').collect();
        let [rest @ .., month, days] = words.as_slice() else {
            panic!("{part}");
        };
        if let [new] = rest {
            year = new.parse().unwrap();
        }
        let month = MONTHS.iter().position(|name| name == month).unwrap() + 1;
        for days in days.split(',') {
            let (first, last) = days.split_once('-').unwrap_or((days, days));
            for day in first.parse::<i8>().unwrap()..=last.parse().unwrap() {
                found.push(Date::new(year, month as i8, day).unwrap());
            }
        }
    }
    found
}

/// First date, rule, whether these are all, dates.
const EXAMPLES: &[(&str, &str, bool, &str)] = &[
    ("1997-09-02", "FREQ=DAILY;COUNT=10", true, "1997 Sep 2-11"),
    (
        "1997-09-02",
        "FREQ=DAILY;UNTIL=19971224T000000Z",
        true,
        "1997 Sep 2-30; Oct 1-31; Nov 1-30; Dec 1-23",
    ),
    (
        "1997-09-02",
        "FREQ=DAILY;INTERVAL=2",
        false,
        "1997 Sep 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30; \
         Oct 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30; Nov 1,3,5",
    ),
    (
        "1997-09-02",
        "FREQ=DAILY;INTERVAL=10;COUNT=5",
        true,
        "1997 Sep 2,12,22; Oct 2,12",
    ),
    (
        "1998-01-01",
        "FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
        true,
        "1998 Jan 1-31; 1999 Jan 1-31; 2000 Jan 1-31",
    ),
    (
        "1998-01-01",
        "FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1",
        true,
        "1998 Jan 1-31; 1999 Jan 1-31; 2000 Jan 1-31",
    ),
    (
        "1997-09-02",
        "FREQ=WEEKLY;COUNT=10",
        true,
        "1997 Sep 2,9,16,23,30; Oct 7,14,21,28; Nov 4",
    ),
    (
        "1997-09-02",
        "FREQ=WEEKLY;UNTIL=19971224T000000Z",
        true,
        "1997 Sep 2,9,16,23,30; Oct 7,14,21,28; Nov 4,11,18,25; Dec 2,9,16,23",
    ),
    (
        "1997-09-02",
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
        false,
        "1997 Sep 2,16,30; Oct 14,28; Nov 11,25; Dec 9,23; 1998 Jan 6,20; Feb 3,17",
    ),
    (
        "1997-09-02",
        "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        true,
        "1997 Sep 2,4,9,11,16,18,23,25,30; Oct 2",
    ),
    (
        "1997-09-02",
        "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
        true,
        "1997 Sep 2,4,9,11,16,18,23,25,30; Oct 2",
    ),
    (
        "1997-09-01",
        "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
        true,
        "1997 Sep 1,3,5,15,17,19,29; Oct 1,3,13,15,17,27,29,31; Nov 10,12,14,24,26,28; \
         Dec 8,10,12,22",
    ),
    (
        "1997-09-02",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
        true,
        "1997 Sep 2,4,16,18,30; Oct 2,14,16",
    ),
    (
        "1997-09-05",
        "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
        true,
        "1997 Sep 5; Oct 3; Nov 7; Dec 5; 1998 Jan 2; Feb 6; Mar 6; Apr 3; May 1; Jun 5",
    ),
    (
        "1997-09-05",
        "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR",
        true,
        "1997 Sep 5; Oct 3; Nov 7; Dec 5",
    ),
    (
        "1997-09-07",
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        true,
        "1997 Sep 7,28; Nov 2,30; 1998 Jan 4,25; Mar 1,29; May 3,31",
    ),
    (
        "1997-09-22",
        "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
        true,
        "1997 Sep 22; Oct 20; Nov 17; Dec 22; 1998 Jan 19; Feb 16",
    ),
    (
        "1997-09-28",
        "FREQ=MONTHLY;BYMONTHDAY=-3",
        false,
        "1997 Sep 28; Oct 29; Nov 28; Dec 29; 1998 Jan 29; Feb 26",
    ),
    (
        "1997-09-02",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
        true,
        "1997 Sep 2,15; Oct 2,15; Nov 2,15; Dec 2,15; 1998 Jan 2,15",
    ),
    (
        "1997-09-30",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        true,
        "1997 Sep 30; Oct 1,31; Nov 1,30; Dec 1,31; 1998 Jan 1,31; Feb 1",
    ),
    (
        "1997-09-10",
        "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        true,
        "1997 Sep 10-15; 1999 Mar 10-13",
    ),
    (
        "1997-09-02",
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
        false,
        "1997 Sep 2,9,16,23,30; Nov 4,11,18,25; 1998 Jan 6,13,20,27; Mar 3,10,17,24,31",
    ),
    (
        "1997-06-10",
        "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
        true,
        "1997 Jun 10; Jul 10; 1998 Jun 10; Jul 10; 1999 Jun 10; Jul 10; 2000 Jun 10; Jul 10; \
         2001 Jun 10; Jul 10",
    ),
    (
        "1997-03-10",
        "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
        true,
        "1997 Mar 10; 1999 Jan 10; Feb 10; Mar 10; 2001 Jan 10; Feb 10; Mar 10; \
         2003 Jan 10; Feb 10; Mar 10",
    ),
    (
        "1997-05-19",
        "FREQ=YEARLY;BYDAY=20MO",
        false,
        "1997 May 19; 1998 May 18; 1999 May 17",
    ),
    (
        "1997-03-13",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
        false,
        "1997 Mar 13,20,27; 1998 Mar 5,12,19,26; 1999 Mar 4,11,18,25",
    ),
    (
        "1997-06-05",
        "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
        false,
        "1997 Jun 5,12,19,26; Jul 3,10,17,24,31; Aug 7,14,21,28; \
         1998 Jun 4,11,18,25; Jul 2,9,16,23,30; Aug 6,13,20,27",
    ),
    (
        "1997-09-13",
        "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        false,
        "1997 Sep 13; Oct 11; Nov 8; Dec 13; 1998 Jan 10; Feb 7; Mar 7; Apr 11; May 9; Jun 13",
    ),
    (
        "1996-11-05",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        false,
        "1996 Nov 5; 2000 Nov 7; 2004 Nov 2",
    ),
    (
        "1997-09-04",
        "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
        true,
        "1997 Sep 4; Oct 7; Nov 6",
    ),
    (
        "1997-09-29",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        false,
        "1997 Sep 29; Oct 30; Nov 27; Dec 30; 1998 Jan 29; Feb 26; Mar 30",
    ),
    (
        "1997-08-05",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
        true,
        "1997 Aug 5,10,19,24",
    ),
    (
        "1997-08-05",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
        true,
        "1997 Aug 5,17,19,31",
    ),
    (
        "2007-01-15",
        "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
        true,
        "2007 Jan 15,30; Feb 15; Mar 15,30",
    ),
    // Not of the standard: dates that do not exist in each period, and other spellings.
    (
        "2026-01-31",
        "FREQ=MONTHLY;COUNT=5",
        true,
        "2026 Jan 31; Mar 31; May 31; Jul 31; Aug 31",
    ),
    (
        "2024-02-29",
        "freq=yearly;count=3",
        true,
        "2024 Feb 29; 2028 Feb 29; 2032 Feb 29",
    ),
    (
        "2026-01-30",
        "RRULE:FREQ=MONTHLY;BYDAY=5FR;COUNT=4",
        true,
        "2026 Jan 30; May 29; Jul 31; Oct 30",
    ),
    (
        "2026-12-25",
        "FREQ=YEARLY;BYDAY=-1FR,+1MO;COUNT=4",
        true,
        "2026 Dec 25; 2027 Jan 4; Dec 31; 2028 Jan 3",
    ),
];

#[test]
fn the_examples_of_the_standard() {
    for (first, rule, is_all, expected) in EXAMPLES {
        let expected = dates(expected);
        let most = if *is_all { MOST } else { expected.len() };
        let found = series(rule, &format!("{first}T09:00"), NEW_YORK, most);
        let found_dates: Vec<Date> = found.iter().map(|entry| entry.local.date()).collect();
        assert_eq!(found_dates, expected, "{first} {rule}");
        for (at, entry) in found.iter().enumerate() {
            assert_eq!(entry.local.time(), Time::constant(9, 0, 0, 0), "{rule}");
            assert_eq!(entry.number as usize, at + 1, "{rule}");
        }
    }
}

#[test]
fn friday_the_thirteenth() {
    let mut recurrence = rrule("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13");
    recurrence.exclude("19970902T090000").unwrap();
    let zone = zone(NEW_YORK);
    let found = recurrence.expand(instant("1997-09-02T09:00", &zone), &zone, 5);
    let found: Vec<Date> = found.iter().map(|entry| entry.local.date()).collect();
    assert_eq!(
        found,
        dates("1998 Feb 13; Mar 13; Nov 13; 1999 Aug 13; 2000 Oct 13")
    );
}
