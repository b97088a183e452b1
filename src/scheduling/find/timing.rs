//! Which times somebody would like, by the wall clock.

use jiff::{Timestamp, civil, tz::TimeZone};

use super::bits::{Bits, span_of};
use crate::scheduling::span::Span;

const DAY: i64 = 86_400;

/// Times that somebody would like, or must have, an appointment to begin at. What is empty is
/// any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timing {
    /// Days of the week: bit 0 is Monday; 0 is any.
    pub days: u8,
    /// Times of day, from one to before the other; over midnight if the second is not later.
    pub times: Vec<(civil::Time, civil::Time)>,
    /// Periods.
    pub periods: Vec<Span>,
    /// Other times are not looked at; else they come behind if the order is by preference.
    pub must: bool,
}

impl Timing {
    /// Whether an appointment may begin at an instant.
    pub fn fits(&self, zone: &TimeZone, start: i64) -> bool {
        let offset = zone.to_offset(timestamp(start)).seconds();
        let local = start + i64::from(offset);
        let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let is_in = |(from, to): (i64, i64)| (from..to).contains(&second);
        self.is_on(day)
            && self.seconds().into_iter().any(is_in)
            && (self.periods.is_empty()
                || self
                    .periods
                    .iter()
                    .any(|period| (period.start..period.end).contains(&start)))
    }

    /// The minutes of a block that fit.
    pub fn bits(&self, zone: &TimeZone, block: i64) -> Bits {
        let mut bits = Bits::none();
        let span = span_of(block);
        let seconds = self.seconds();
        let first = timestamp(span.start);
        let mut changes: Vec<(i64, i64)> =
            vec![(span.start, i64::from(zone.to_offset(first).seconds()))];
        for change in zone.following(first) {
            let at = change.timestamp().as_second();
            if at >= span.end {
                break;
            }
            changes.push((at, i64::from(change.offset().seconds())));
        }
        for (at, &(from, offset)) in changes.iter().enumerate() {
            let until = changes.get(at + 1).map_or(span.end, |next| next.0);
            let days = (from + offset).div_euclid(DAY)..=(until + offset).div_euclid(DAY);
            for day in days.filter(|day| self.is_on(*day)) {
                let midnight = day * DAY - offset;
                for &(first, end) in &seconds {
                    let start = (midnight + first).max(from);
                    bits.fill(block, Span::new(start, (midnight + end).min(until)), true);
                }
            }
        }
        if !self.periods.is_empty() {
            let mut periods = Bits::none();
            for period in &self.periods {
                periods.fill(block, *period, true);
            }
            bits.and(&periods);
        }
        bits
    }

    fn is_on(&self, day: i64) -> bool {
        // 1970 began on a Thursday.
        self.days == 0 || self.days >> (day + 3).rem_euclid(7) & 1 == 1
    }

    /// The times as seconds from midnight, none of them over midnight.
    fn seconds(&self) -> Vec<(i64, i64)> {
        if self.times.is_empty() {
            return vec![(0, DAY)];
        }
        let second = |time: civil::Time| {
            i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
        };
        let mut seconds = Vec::new();
        for &(from, to) in &self.times {
            let (from, to) = (second(from), second(to));
            if from < to {
                seconds.push((from, to));
            } else {
                seconds.extend([(0, to), (from, DAY)]);
            }
        }
        seconds
    }
}

fn timestamp(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduling::{
        find::bits::block_of,
        samples::{Dice, HOUR, MONDAY},
    };

    #[test]
    fn the_bits_are_the_minutes_that_fit() {
        let mut dice = Dice::new(9);
        for name in [
            "UTC",
            "Europe/Berlin",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
        ] {
            let zone = TimeZone::get(name).unwrap();
            for _ in 0..20 {
                // Over a year, so that the clock is set in some blocks.
                let block = block_of(MONDAY) + dice.pick(0, 46);
                let time = |dice: &mut Dice| civil::time(dice.pick(0, 24) as i8, 30, 0, 0);
                let start = span_of(block).start;
                let timing = Timing {
                    days: dice.one(&[0, 1, 0x1f, 0x60]),
                    times: (0..dice.pick(0, 3))
                        .map(|_| (time(&mut dice), time(&mut dice)))
                        .collect(),
                    periods: (0..dice.one(&[0, 0, 2]))
                        .map(|_| start + dice.pick(0, 150) * HOUR)
                        .map(|start| Span::new(start, start + 30 * HOUR))
                        .collect(),
                    must: true,
                };
                let bits = timing.bits(&zone, block);
                for minute in 0..super::super::bits::MINUTES {
                    let at = start + minute * 60;
                    assert_eq!(
                        bits.has(block, at),
                        timing.fits(&zone, at),
                        "{name} {at} {timing:?}"
                    );
                }
            }
        }
    }
}
