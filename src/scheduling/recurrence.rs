//! Series of appointments: when each is.
//!
//! A rule is of dates; the time of day is that of the first appointment on the wall clock, and
//! stays what the clock shows. Where the clock leaves it out on a date, the appointment is later
//! by as much as is left out, and says so; where the clock shows it twice, it is the first of the
//! two (RFC 5545, 3.3.5 and 3.3.10).

mod rrule;
mod rule;
mod template;

use std::collections::HashSet;

use jiff::{
    civil::{Date, DateTime},
    tz::TimeZone,
};

use self::rule::Rule;
use super::wall::timestamp;

/// How many appointments a series may have.
pub const MOST: usize = 1_000;

/// What is repeated how, from an RRULE ([`Recurrence::rrule`]) or from R5's
/// `Appointment.recurrenceTemplate` ([`Recurrence::template`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Recurrence {
    /// Without one only what is added.
    rule: Option<Rule>,
    added: Vec<Moment>,
    excluded: Vec<Moment>,
    /// By their numbers.
    left_out: Vec<u32>,
    zone: Option<TimeZone>,
}

/// One appointment of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// Its place in the series, from 1; what is excluded has one too.
    pub number: u32,
    /// When it begins.
    pub start: i64,
    /// What the wall clock shows then.
    pub local: DateTime,
    /// The clock leaves out the time at which it should be; it is as much later.
    pub shifted: bool,
}

/// What is added to a series or excluded from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// At the time of day of the series.
    Date(Date),
    Local(DateTime),
    Instant(i64),
}

impl Recurrence {
    /// Reads the value of an RRULE of RFC 5545, of which these parts are known: FREQ of DAILY,
    /// WEEKLY, MONTHLY, YEARLY; INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS,
    /// WKST.
    ///
    /// # Errors
    /// The part that is wrong or not known, and why.
    pub fn rrule(text: &str) -> Result<Self, String> {
        Ok(Self::of(Some(rrule::rule(text)?)))
    }

    /// Reads the extension
    /// `http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.recurrenceTemplate`.
    ///
    /// # Errors
    /// The element that is wrong or not known, and why.
    pub fn template(extension: resources::doc::Value<'_>) -> Result<Self, String> {
        template::recurrence(extension)
    }

    const fn of(rule: Option<Rule>) -> Self {
        Self {
            rule,
            added: Vec::new(),
            excluded: Vec::new(),
            left_out: Vec::new(),
            zone: None,
        }
    }

    /// Adds the value of an RDATE: dates (at the time of day of the series), local or UTC times.
    /// What is before the first appointment is no part of the series.
    ///
    /// # Errors
    /// The one that is none of these, or that there are more than [`MOST`].
    pub fn add(&mut self, list: &str) -> Result<(), String> {
        within_bounds(self.added.len(), list.split(',').count())?;
        self.added.extend(rrule::moments(list)?);
        Ok(())
    }

    /// Excludes the value of an EXDATE: dates, local or UTC times. What is excluded counts for
    /// COUNT.
    ///
    /// # Errors
    /// The one that is none of these, or that there are more than [`MOST`].
    pub fn exclude(&mut self, list: &str) -> Result<(), String> {
        within_bounds(self.excluded.len(), list.split(',').count())?;
        self.excluded.extend(rrule::moments(list)?);
        Ok(())
    }

    /// The zone that it says it is in.
    pub const fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// True if nothing says when it ends.
    pub fn is_endless(&self) -> bool {
        self.rule
            .as_ref()
            .is_some_and(|rule| rule.count.is_none() && rule.until.is_none())
    }

    /// The appointments of the series that begins at `first`, in order, `most` or up to one more
    /// than [`MOST`] at most: who wants to know whether there are more asks for one more. `zone`
    /// is where it takes place, unless it says itself.
    ///
    /// `first` always is one, even if the rule does not meet it, unless it is excluded.
    pub fn expand(&self, first: i64, zone: &TimeZone, most: usize) -> Vec<Occurrence> {
        let most = most.min(MOST + 1);
        let zone = self.zone.as_ref().unwrap_or(zone);
        // Each of what is excluded is one appointment of a rule at most.
        let enough = most + self.excluded.len() + self.left_out.len();

        let mut all = self.regular(first, zone, enough);
        let time = at(first, zone).nominal.time();
        let added = self.added.iter().filter_map(|moment| match moment {
            Moment::Date(date) => shown(date.to_datetime(time), zone),
            Moment::Local(local) => shown(*local, zone),
            Moment::Instant(instant) => Some(at(*instant, zone)),
        });
        all.extend(added.filter(|entry| entry.start > first));
        all.sort_by_key(|entry| (entry.start, entry.is_shifted));
        all.dedup_by_key(|entry| entry.start);

        let excluded = Excluded::of(self, zone);
        (1..)
            .zip(all)
            .filter(|(number, entry)| !excluded.has(*number, entry))
            .take(most)
            .map(|(number, entry)| Occurrence {
                number,
                start: entry.start,
                local: zone.to_datetime(timestamp(entry.start)),
                shifted: entry.is_shifted,
            })
            .collect()
    }

    /// What comes of the first and the rule.
    fn regular(&self, first: i64, zone: &TimeZone, enough: usize) -> Vec<Entry> {
        let start = at(first, zone);
        let mut found = vec![start];
        let Some(rule) = &self.rule else {
            return found;
        };
        let enough = rule.count.map_or(enough, |count| enough.min(count));
        for date in rule.after(start.nominal.date()) {
            if found.len() >= enough {
                break;
            }
            let Some(entry) = shown(date.to_datetime(start.nominal.time()), zone) else {
                break;
            };
            if rule.until.is_some_and(|until| !until.allows(&entry)) {
                break;
            }
            // What a day that does not exist is shifted to may be the next one.
            if let Some(last) = found.last().filter(|last| last.start >= entry.start) {
                if !last.is_shifted {
                    continue;
                }
                found.pop();
            }
            found.push(entry);
        }
        found
    }
}

/// What is excluded, to be looked up.
#[derive(Default)]
struct Excluded {
    numbers: HashSet<u32>,
    dates: HashSet<Date>,
    /// Local times as they should be.
    nominal: HashSet<DateTime>,
    starts: HashSet<i64>,
}

impl Excluded {
    fn of(recurrence: &Recurrence, zone: &TimeZone) -> Self {
        let mut excluded = Self {
            numbers: recurrence.left_out.iter().copied().collect(),
            ..Self::default()
        };
        for moment in &recurrence.excluded {
            match moment {
                Moment::Date(date) => {
                    excluded.dates.insert(*date);
                }
                // Of one that is shifted either the time that it should have or the one it has.
                Moment::Local(local) => {
                    excluded.nominal.insert(*local);
                    excluded
                        .starts
                        .extend(shown(*local, zone).map(|entry| entry.start));
                }
                Moment::Instant(instant) => {
                    excluded.starts.insert(*instant);
                }
            }
        }
        excluded
    }

    fn has(&self, number: u32, entry: &Entry) -> bool {
        self.numbers.contains(&number)
            || self.dates.contains(&entry.nominal.date())
            || self.nominal.contains(&entry.nominal)
            || self.starts.contains(&entry.start)
    }
}

fn within_bounds(before: usize, new: usize) -> Result<(), String> {
    if before + new > MOST {
        return Err(format!("more than {MOST} dates"));
    }
    Ok(())
}

/// Up to when, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The local date.
    Date(Date),
    Instant(i64),
}

impl Until {
    fn allows(self, entry: &Entry) -> bool {
        match self {
            Self::Date(last) => entry.nominal.date() <= last,
            Self::Instant(last) => entry.start <= last,
        }
    }
}

/// An appointment with the local time at which it should be.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: i64,
    nominal: DateTime,
    is_shifted: bool,
}

fn at(instant: i64, zone: &TimeZone) -> Entry {
    Entry {
        start: instant,
        nominal: zone.to_datetime(timestamp(instant)),
        is_shifted: false,
    }
}

/// When the clock shows this; `None` beyond the end of time.
fn shown(nominal: DateTime, zone: &TimeZone) -> Option<Entry> {
    let instant = zone.to_ambiguous_timestamp(nominal);
    let is_shifted = matches!(instant.offset(), jiff::tz::AmbiguousOffset::Gap { .. });
    Some(Entry {
        start: instant.compatible().ok()?.as_second(),
        nominal,
        is_shifted,
    })
}

#[cfg(test)]
mod tests;
