//! Rules against an oracle that looks at one day after the other, and series in any zone.

use jiff::{ToSpan, civil::Weekday};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

const DAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Monday),
    ("TU", Weekday::Tuesday),
    ("WE", Weekday::Wednesday),
    ("TH", Weekday::Thursday),
    ("FR", Weekday::Friday),
    ("SA", Weekday::Saturday),
    ("SU", Weekday::Sunday),
];

/// A rule in the words of the oracle.
#[derive(Debug, Clone)]
struct Plain {
    frequency: &'static str,
    interval: i64,
    days: Vec<(Option<i64>, usize)>,
    month_days: Vec<i64>,
    months: Vec<i64>,
    positions: Vec<i64>,
    week_start: usize,
}

impl Plain {
    fn text(&self) -> String {
        let mut text = format!("FREQ={};INTERVAL={}", self.frequency, self.interval);
        let mut list = |name: &str, values: Vec<String>| {
            if !values.is_empty() {
                text.push_str(&format!(";{name}={}", values.join(",")));
            }
        };
        let numbers = |values: &[i64]| values.iter().map(i64::to_string).collect();
        let days = self.days.iter().map(|(nth, day)| {
            let nth = nth.map(|nth| nth.to_string()).unwrap_or_default();
            format!("{nth}{}", DAYS[*day].0)
        });
        list("BYDAY", days.collect());
        list("BYMONTHDAY", numbers(&self.month_days));
        list("BYMONTH", numbers(&self.months));
        list("BYSETPOS", numbers(&self.positions));
        list("WKST", vec![DAYS[self.week_start].0.to_owned()]);
        text
    }

    /// In which period a date is.
    fn period(&self, date: Date) -> i64 {
        let (year, month) = (i64::from(date.year()), i64::from(date.month()));
        // 1 January 1900 was a Monday.
        let monday = Date::constant(1900, 1, 1);
        let days = i64::from(date.since(monday).unwrap().get_days());
        match self.frequency {
            "DAILY" => days,
            "WEEKLY" => (days - self.week_start as i64).div_euclid(7),
            "MONTHLY" => year * 12 + month,
            _ => year,
        }
    }

    fn allows(&self, date: Date, first: Date) -> bool {
        let says_no_day = self.days.is_empty() && self.month_days.is_empty();
        if !self.months.is_empty() {
            if !self.months.contains(&i64::from(date.month())) {
                return false;
            }
        } else if self.frequency == "YEARLY" && says_no_day && date.month() != first.month() {
            return false;
        }
        match self.frequency {
            "WEEKLY" if self.days.is_empty() => return date.weekday() == first.weekday(),
            "MONTHLY" | "YEARLY" if says_no_day => return date.day() == first.day(),
            _ => {}
        }
        let day = i64::from(date.day());
        let before_end = days_while(date, 1, |other| other.month() == date.month());
        let is_month_day = self
            .month_days
            .iter()
            .any(|n| *n == day || *n == -before_end);
        if !self.month_days.is_empty() && !is_month_day {
            return false;
        }
        let is_same = |other: Date| {
            other.year() == date.year()
                && (other.month() == date.month()
                    || self.frequency == "YEARLY" && self.months.is_empty())
        };
        self.days.is_empty()
            || self.days.iter().any(|(nth, weekday)| {
                DAYS[*weekday].1 == date.weekday()
                    && nth.is_none_or(|nth| {
                        let step = if nth > 0 { -7 } else { 7 };
                        days_while(date, step, is_same) == nth.abs()
                    })
            })
    }

    /// Day by day, up to before `end`.
    fn dates(&self, first: Date, end: Date) -> Vec<Date> {
        let mut groups: Vec<(i64, Vec<Date>)> = Vec::new();
        let mut date = first.saturating_sub(366.days());
        // The last period to its end.
        while date < end.saturating_add(1.year()) {
            let period = self.period(date);
            if (period - self.period(first)) % self.interval == 0 && self.allows(date, first) {
                match groups.last_mut() {
                    Some((last, dates)) if *last == period => dates.push(date),
                    _ => groups.push((period, vec![date])),
                }
            }
            date = date.tomorrow().unwrap();
        }
        let mut found = vec![first];
        for (_, dates) in groups {
            let count = dates.len() as i64;
            for (at, date) in (1..).zip(dates) {
                let is_there = self.positions.is_empty()
                    || self.positions.contains(&at)
                    || self.positions.contains(&(at - count - 1));
                if is_there && date > first && date < end {
                    found.push(date);
                }
            }
        }
        found
    }
}

/// How many dates, this one first, until one does not count.
fn days_while(date: Date, step: i64, counts: impl Fn(Date) -> bool) -> i64 {
    let mut at = date;
    let mut found = 0;
    while counts(at) {
        found += 1;
        at = at.saturating_add(step.days());
    }
    found
}

fn signed(most: i64) -> impl Strategy<Value = i64> + Clone {
    prop_oneof![1..=most, -most..=-1]
}

fn plain() -> impl Strategy<Value = Plain> {
    let frequency = select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]);
    let some = |most: usize| prop_oneof![Just(0), 0..=most];
    let months = some(3).prop_flat_map(|n| vec(1..=12_i64, n));
    let month_days = some(4).prop_flat_map(|n| vec(signed(31), n));
    let days = some(4).prop_flat_map(|n| vec((option::of(signed(53)), 0..7_usize), n));
    let positions = some(2).prop_flat_map(|n| vec(signed(6), n));
    (
        frequency,
        1..=5_i64,
        days,
        month_days,
        months,
        positions,
        0..7_usize,
    )
        .prop_map(
            |(frequency, interval, mut days, mut month_days, months, mut positions, week_start)| {
                for (nth, _) in &mut days {
                    *nth = match frequency {
                        "MONTHLY" => nth.map(|nth| nth.signum() * (nth.abs() % 5 + 1)),
                        "YEARLY" if months.is_empty() => *nth,
                        "YEARLY" => nth.map(|nth| nth.signum() * (nth.abs() % 5 + 1)),
                        _ => None,
                    };
                }
                if frequency == "WEEKLY" {
                    month_days.clear();
                }
                if days.is_empty() && month_days.is_empty() && months.is_empty() {
                    positions.clear();
                }
                Plain {
                    frequency,
                    interval,
                    days,
                    month_days,
                    months,
                    positions,
                    week_start,
                }
            },
        )
}

/// From 2019 on.
fn date() -> impl Strategy<Value = Date> {
    (0..3_000_i64).prop_map(|days| Date::constant(2019, 1, 1).saturating_add(days.days()))
}

proptest! {
    #[test]
    fn the_dates_of_a_rule_are_those_of_the_oracle(plain in plain(), first in date()) {
        let recurrence = rrule(&plain.text());
        let end = first.saturating_add(4.years());
        let expected = plain.dates(first, end);
        let start = first.at(9, 0, 0, 0);
        let found: Vec<Date> = recurrence
            .expand(TimeZone::UTC.to_timestamp(start).unwrap().as_second(), &TimeZone::UTC, MOST)
            .iter()
            .map(|entry| entry.local.date())
            .take_while(|date| *date < end)
            .collect();
        let most = expected.len().min(MOST);
        prop_assert_eq!(&found, &expected[..most], "{}", plain.text());
    }

    #[test]
    fn series_keep_the_time_of_day(
        plain in plain(),
        first in date(),
        minute in 0..1_440_i64,
        name in select(vec![
            NEW_YORK,
            "Europe/Berlin",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Africa/Cairo",
            "Asia/Beirut",
            "America/Havana",
            "Africa/Casablanca",
            "Antarctica/Troll",
            "Pacific/Apia",
        ]),
    ) {
        let zone = zone(name);
        let local = first.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
        let first = zone.to_timestamp(local).unwrap().as_second();
        let time = zone.to_datetime(Timestamp::from_second(first).unwrap()).time();
        let found = rrule(&plain.text()).expand(first, &zone, 200);
        prop_assert_eq!(found[0].start, first);
        for pair in found.windows(2) {
            prop_assert!(pair[0].start < pair[1].start);
            prop_assert!(pair[0].number < pair[1].number);
        }
        for entry in &found {
            let shown = zone.to_datetime(Timestamp::from_second(entry.start).unwrap());
            prop_assert_eq!(entry.local, shown);
            prop_assert_eq!(entry.shifted, shown.time() != time);
            if entry.shifted {
                // What was left out is the difference.
                let nominal = shown.date().to_datetime(time);
                let gap = zone.to_ambiguous_timestamp(nominal);
                prop_assert!(gap.is_ambiguous());
            }
        }
    }
}
