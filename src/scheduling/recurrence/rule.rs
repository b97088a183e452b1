//! The dates of a rule: period by period, all of its dates that the parts of the rule allow.

use jiff::{
    ToSpan,
    civil::{Date, Weekday},
};

use super::Until;

/// No series goes on longer: this bounds the search for dates that do not exist, like a
/// 30 February.
const YEARS: i16 = 100;

/// A rule of RFC 5545, 3.3.10.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub frequency: Frequency,
    /// Of so many periods one counts.
    pub interval: u16,
    pub count: Option<usize>,
    pub until: Option<Until>,
    pub weekdays: Vec<Day>,
    /// From 1, or from the last, -1.
    pub month_days: Vec<i8>,
    pub months: Vec<i8>,
    /// Which of a period's dates, from 1, or from the last, -1.
    pub positions: Vec<i16>,
    pub week_start: Weekday,
}

/// The length of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    /// Which one of the month or year, from 1, or from the last, -1; else each.
    pub nth: Option<i8>,
    pub weekday: Weekday,
}

impl Rule {
    /// A rule with nothing said but the period.
    pub const fn every(frequency: Frequency, interval: u16) -> Self {
        Self {
            frequency,
            interval,
            count: None,
            until: None,
            weekdays: Vec::new(),
            month_days: Vec::new(),
            months: Vec::new(),
            positions: Vec::new(),
            week_start: Weekday::Monday,
        }
    }

    /// Its dates after `first`, in order.
    pub fn after(&self, first: Date) -> impl Iterator<Item = Date> {
        let rule = self.completed(first);
        let last = first
            .checked_add(i32::from(YEARS).years())
            .unwrap_or(Date::MAX);
        let mut period = rule.period(first);
        std::iter::from_fn(move || {
            let begin = period.filter(|begin| *begin <= last)?;
            period = rule.next(begin);
            Some(rule.dates(begin))
        })
        .flatten()
        .filter(move |date| *date > first)
    }

    /// What the rule leaves to the first date.
    fn completed(&self, first: Date) -> Self {
        let mut rule = self.clone();
        let says_no_day = rule.weekdays.is_empty() && rule.month_days.is_empty();
        match rule.frequency {
            Frequency::Weekly if rule.weekdays.is_empty() => rule.weekdays.push(Day {
                nth: None,
                weekday: first.weekday(),
            }),
            Frequency::Monthly if says_no_day => rule.month_days.push(first.day()),
            Frequency::Yearly if says_no_day => {
                rule.month_days.push(first.day());
                if rule.months.is_empty() {
                    rule.months.push(first.month());
                }
            }
            _ => {}
        }
        rule
    }

    /// The beginning of the period that a date is in.
    fn period(&self, date: Date) -> Option<Date> {
        match self.frequency {
            Frequency::Daily => Some(date),
            Frequency::Weekly => {
                let days = date.weekday().since(self.week_start);
                date.checked_sub(i32::from(days).days()).ok()
            }
            Frequency::Monthly => Some(date.first_of_month()),
            Frequency::Yearly => Some(date.first_of_year()),
        }
    }

    /// The beginning of the next one that counts.
    fn next(&self, period: Date) -> Option<Date> {
        let interval = i32::from(self.interval);
        period
            .checked_add(match self.frequency {
                Frequency::Daily => interval.days(),
                Frequency::Weekly => interval.weeks(),
                Frequency::Monthly => interval.months(),
                Frequency::Yearly => interval.years(),
            })
            .ok()
    }

    /// The dates of the period that begins here.
    fn dates(&self, begin: Date) -> Vec<Date> {
        let days = match self.frequency {
            Frequency::Daily => 1,
            Frequency::Weekly => 7,
            Frequency::Monthly => usize::from(begin.days_in_month().unsigned_abs()),
            Frequency::Yearly => usize::from(begin.days_in_year().unsigned_abs()),
        };
        let dates: Vec<Date> = std::iter::successors(Some(begin), |date| date.tomorrow().ok())
            .take(days)
            .filter(|date| self.allows(*date))
            .collect();
        if self.positions.is_empty() {
            return dates;
        }
        (1..)
            .zip(&dates)
            .filter(|(position, _)| {
                let from_last = position - 1 - dates.len() as i16;
                self.positions.contains(position) || self.positions.contains(&from_last)
            })
            .map(|(_, date)| *date)
            .collect()
    }

    fn allows(&self, date: Date) -> bool {
        (self.months.is_empty() || self.months.contains(&date.month()))
            && (self.month_days.is_empty() || self.has_month_day(date))
            && (self.weekdays.is_empty() || self.weekdays.iter().any(|day| self.is_on(*day, date)))
    }

    fn has_month_day(&self, date: Date) -> bool {
        let from_last = date.day() - 1 - date.days_in_month();
        self.month_days.contains(&date.day()) || self.month_days.contains(&from_last)
    }

    fn is_on(&self, day: Day, date: Date) -> bool {
        if date.weekday() != day.weekday {
            return false;
        }
        let Some(nth) = day.nth else { return true };
        // Of a year, unless the months are named.
        let (at, of) = if self.frequency == Frequency::Yearly && self.months.is_empty() {
            (date.day_of_year(), date.days_in_year())
        } else {
            (i16::from(date.day()), i16::from(date.days_in_month()))
        };
        let which = if nth > 0 {
            (at - 1) / 7 + 1
        } else {
            -((of - at) / 7 + 1)
        };
        which == i16::from(nth)
    }
}
