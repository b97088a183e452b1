//! Every zone and each change of its clock from 2020 to 2037, against an oracle that knows
//! nothing but what the clock shows at an instant, and looks at one after the other.

use std::collections::{BTreeMap, HashMap};

use jiff::{civil, tz::TimeZone};

use super::*;

const HOUR: i64 = 3_600;

/// Most clocks are set at a multiple of this only, and all windows begin and end at one: what
/// holds at each such instant holds up to the next. Where one is set at another, every minute is
/// looked at.
const QUARTER: i64 = 900;
const MINUTE: i64 = 60;

/// Everything that is told apart near a change: so far before and after it.
const FAR: i64 = 6 * DAY;

/// What is compared.
const NEAR: i64 = 2 * DAY;

/// What the clock shows, at one instant after the other.
struct Shown {
    step: i64,
    instants: Vec<(i64, civil::DateTime)>,
    /// For each time that is shown: when first and when last.
    when: BTreeMap<civil::DateTime, (i64, i64)>,
}

impl Shown {
    fn around(change: i64, zone: &TimeZone, step: i64) -> Self {
        let instants: Vec<(i64, civil::DateTime)> = (change - FAR..=change + FAR)
            .step_by(step as usize)
            .map(|instant| (instant, shown(zone, instant)))
            .collect();
        let mut when = BTreeMap::new();
        for (instant, local) in &instants {
            when.entry(*local).or_insert((*instant, *instant)).1 = *instant;
        }
        Self {
            step,
            instants,
            when,
        }
    }

    /// When a window begins: it is shown for the first time, or something later is, because the
    /// clock leaves it out.
    fn begins(&self, local: civil::DateTime) -> Option<i64> {
        self.when
            .range(local..)
            .next()
            .map(|(_, (first, _))| *first)
    }

    /// When it ends: it is shown for the last time, or left out.
    fn ends(&self, local: civil::DateTime) -> Option<i64> {
        match self.when.get(&local) {
            Some((_, last)) => Some(*last),
            None => self.begins(local),
        }
    }

    /// The instants in `within` that lie in a window that begins on one of `days`.
    fn open(&self, from: civil::Time, to: civil::Time, days: u8, within: Span) -> Vec<Span> {
        let mut windows = Vec::new();
        let mut date = self.instants[0].1.date();
        let last = self.instants[self.instants.len() - 1].1.date();
        while date <= last {
            if days & (1 << date.weekday().to_monday_zero_offset()) != 0 {
                let end = if to > from {
                    date
                } else {
                    date.tomorrow().unwrap()
                };
                let start = self.begins(date.to_datetime(from)).unwrap_or(i64::MAX);
                let end = self.ends(end.to_datetime(to)).unwrap_or(i64::MAX);
                windows.push((start, end));
            }
            date = date.tomorrow().unwrap();
        }
        let mut open: Vec<Span> = Vec::new();
        for (instant, _) in &self.instants {
            let is_open = windows
                .iter()
                .any(|(start, end)| start <= instant && instant < end);
            if !is_open || *instant < within.start || *instant >= within.end {
                continue;
            }
            match open.last_mut() {
                Some(span) if span.end == *instant => span.end += self.step,
                _ => open.push(Span::new(*instant, instant + self.step)),
            }
        }
        open
    }
}

fn shown(zone: &TimeZone, instant: i64) -> civil::DateTime {
    zone.to_datetime(Timestamp::from_second(instant).unwrap())
}

fn offset(zone: &TimeZone, instant: i64) -> i32 {
    zone.to_offset(Timestamp::from_second(instant).unwrap())
        .seconds()
}

/// When the clock is set, found by looking at it every day, without asking for it; and how far
/// apart to look at it to see all.
fn changes(zone: &TimeZone) -> (Vec<i64>, i64) {
    let (mut found, mut step) = (Vec::new(), QUARTER);
    let (mut day, end) = (at("2020-01-01T00:00:00Z"), at("2038-01-01T00:00:00Z"));
    let mut before = offset(zone, day);
    while day < end {
        let next = day + DAY;
        let after = offset(zone, next);
        if after != before {
            let (mut old, mut new) = (day, next);
            while new - old > 1 {
                let middle = i64::midpoint(old, new);
                if offset(zone, middle) == before {
                    old = middle;
                } else {
                    new = middle;
                }
            }
            for seconds in [new, i64::from(after), i64::from(before)] {
                assert_eq!(seconds % MINUTE, 0);
                if seconds % QUARTER != 0 {
                    step = MINUTE;
                }
            }
            found.push(new);
        }
        (before, day) = (after, next);
    }
    (found, step)
}

/// What the clock does around an instant; zones with the same behave the same there.
fn behaviour(zone: &TimeZone, change: i64, step: i64) -> Vec<(i64, i32)> {
    let mut found: Vec<(i64, i32)> = Vec::new();
    for instant in (change - FAR..=change + FAR).step_by(step as usize) {
        let offset = offset(zone, instant);
        if found.last().is_none_or(|(_, last)| *last != offset) {
            found.push((instant, offset));
        }
    }
    found
}

fn every_zone() -> Vec<(String, TimeZone)> {
    let zones: Vec<(String, TimeZone)> = jiff::tz::db()
        .available()
        .map(|name| (name.to_string(), zone(name.as_str())))
        .collect();
    assert!(zones.len() > 550, "{}", zones.len());
    zones
}

const WINDOWS: [&str; 9] = [
    "00:00-01:00",
    "00:00-00:00",
    "01:30-02:30",
    "02:30-03:00",
    "02:30-04:30",
    "13:00-17:00",
    "22:00-06:00",
    "22:00-02:30",
    "23:00-00:30",
];

#[test]
fn windows_in_every_zone_at_every_change() {
    let mut oracles: HashMap<Vec<(i64, i32)>, Vec<Vec<Span>>> = HashMap::new();
    let mut seen = 0;
    for (name, zone) in every_zone() {
        let (changes, step) = changes(&zone);
        seen += changes.len();
        for change in changes {
            let within = Span::new(change - NEAR, change + NEAR);
            // All days, and only that on which the clock is set.
            let day = 1 << shown(&zone, change).weekday().to_monday_zero_offset();
            let hours = WINDOWS.iter().flat_map(|times| {
                [EVERY_DAY, day].map(|days| Daily {
                    days,
                    ..daily(&format!("daily {times}"))
                })
            });
            let expected = oracles
                .entry(behaviour(&zone, change, step))
                .or_insert_with(|| {
                    let shown = Shown::around(change, &zone, step);
                    hours
                        .clone()
                        .map(|daily| shown.open(daily.from, daily.to, daily.days, within))
                        .collect()
                });
            for (daily, expected) in hours.zip(expected) {
                let hours = Hours {
                    source: String::new(),
                    weekly: vec![daily],
                    closed: Vec::new(),
                };
                assert_eq!(
                    windows(&hours, &zone, within),
                    *expected,
                    "{name} {} {daily:?}",
                    brief(change)
                );
            }
        }
    }
    assert!(seen > 5_000, "{seen}");
    assert!(oracles.len() > 500, "{}", oracles.len());
}

#[test]
fn ranges_of_limits_hold_their_instant_in_every_zone() {
    let mut seen = std::collections::HashSet::new();
    for (name, zone) in every_zone() {
        let (changes, step) = changes(&zone);
        for change in changes {
            if !seen.insert(behaviour(&zone, change, step)) {
                continue;
            }
            for instant in (change - 30 * HOUR..change + 30 * HOUR).step_by(1_800) {
                let date = shown(&zone, instant).date();
                let range = local_range(Per::Day, instant, &zone);
                let near = Span::new(range.start - HOUR, range.end + HOUR);
                for other in (near.start..near.end).step_by(step as usize) {
                    assert_eq!(
                        range.start <= other && other < range.end,
                        shown(&zone, other).date() == date,
                        "{name} {} {}",
                        brief(instant),
                        brief(other)
                    );
                }
                for per in [Per::Week, Per::Month] {
                    let longer = local_range(per, instant, &zone);
                    assert!(longer.contains(range), "{name} {per:?} {}", brief(instant));
                }
            }
        }
    }
}
