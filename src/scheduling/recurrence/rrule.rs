//! RRULE, RDATE and EXDATE as text (RFC 5545, 3.3.10, 3.8.5).

use std::{ops::RangeInclusive, str::FromStr};

use jiff::{
    civil::{Date, DateTime, Time, Weekday},
    tz::Offset,
};

use super::{
    MOST, Moment, Until,
    rule::{Day, Frequency, Rule},
};

/// Values of one part; a period has fewer dates.
const LONGEST_LIST: usize = 400;

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Monday),
    ("TU", Weekday::Tuesday),
    ("WE", Weekday::Wednesday),
    ("TH", Weekday::Thursday),
    ("FR", Weekday::Friday),
    ("SA", Weekday::Saturday),
    ("SU", Weekday::Sunday),
];

pub(super) fn rule(text: &str) -> Result<Rule, String> {
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_prefix("RRULE:").unwrap_or(&text);
    let mut parts = Vec::new();
    for part in text.split_terminator(';') {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| format!("'{part}' is no part of an RRULE: NAME=value is"))?;
        if parts.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name} is there twice"));
        }
        parts.push((name, value));
    }
    let frequency = parts
        .iter()
        .find(|(name, _)| *name == "FREQ")
        .ok_or("FREQ is missing")?;
    let mut rule = Rule::every(self::frequency(frequency.1)?, 1);
    for (name, value) in parts {
        read(&mut rule, name, value).map_err(|why| format!("{name}={value}: {why}"))?;
    }
    check(&rule)?;
    Ok(rule)
}

fn frequency(value: &str) -> Result<Frequency, String> {
    match value {
        "DAILY" => Ok(Frequency::Daily),
        "WEEKLY" => Ok(Frequency::Weekly),
        "MONTHLY" => Ok(Frequency::Monthly),
        "YEARLY" => Ok(Frequency::Yearly),
        _ => Err(format!(
            "FREQ={value}: only DAILY, WEEKLY, MONTHLY and YEARLY are supported"
        )),
    }
}

fn read(rule: &mut Rule, name: &str, value: &str) -> Result<(), String> {
    match name {
        "FREQ" => {}
        "INTERVAL" => rule.interval = number(value, 1..=9_999)?,
        "COUNT" => rule.count = Some(number(value, 1..=MOST)?),
        "UNTIL" => rule.until = Some(until(value)?),
        "BYDAY" => rule.weekdays = list(value, day)?,
        "BYMONTHDAY" => rule.month_days = list(value, |text| signed(text, 31))?,
        "BYMONTH" => rule.months = list(value, |text| number(text, 1..=12))?,
        "BYSETPOS" => rule.positions = list(value, |text| signed(text, 366))?,
        "WKST" => rule.week_start = weekday(value)?,
        _ => return Err("this part is not supported".to_owned()),
    }
    Ok(())
}

/// What goes together.
fn check(rule: &Rule) -> Result<(), String> {
    if rule.count.is_some() && rule.until.is_some() {
        return Err("COUNT and UNTIL exclude each other".to_owned());
    }
    if rule.frequency == Frequency::Weekly && !rule.month_days.is_empty() {
        return Err("BYMONTHDAY cannot be with FREQ=WEEKLY".to_owned());
    }
    for day in &rule.weekdays {
        let most = match rule.frequency {
            Frequency::Daily | Frequency::Weekly => 0,
            Frequency::Monthly => 5,
            Frequency::Yearly if rule.months.is_empty() => 53,
            Frequency::Yearly => 5,
        };
        match day.nth {
            Some(_) if most == 0 => {
                return Err(
                    "BYDAY can have a number only with FREQ=MONTHLY or FREQ=YEARLY".to_owned(),
                );
            }
            Some(nth) if nth.abs() > most => {
                return Err(format!(
                    "BYDAY: there is no {nth}th such day, at most {most}"
                ));
            }
            _ => {}
        }
    }
    let says_more = [
        rule.weekdays.is_empty(),
        rule.month_days.is_empty(),
        rule.months.is_empty(),
    ]
    .contains(&false);
    if !rule.positions.is_empty() && !says_more {
        return Err("BYSETPOS needs BYDAY, BYMONTHDAY or BYMONTH".to_owned());
    }
    Ok(())
}

fn list<T>(value: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    if value.split(',').count() > LONGEST_LIST {
        return Err(format!("more than {LONGEST_LIST} values"));
    }
    value.split(',').map(read).collect()
}

fn number<T>(text: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    Some(text)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("'{text}' is no number from {least} to {most}")
        })
}

/// `1`, `+1`, `-1`; not 0.
fn signed<T>(text: &str, most: i16) -> Result<T, String>
where
    T: TryFrom<i16>,
{
    let (digits, sign) = match text.strip_prefix('-') {
        Some(digits) => (digits, -1),
        None => (text.strip_prefix('+').unwrap_or(text), 1),
    };
    number(digits, 1..=most)
        .ok()
        .and_then(|number| T::try_from(sign * number).ok())
        .ok_or_else(|| format!("'{text}' is no number from 1 to {most} or from -{most} to -1"))
}

fn weekday(text: &str) -> Result<Weekday, String> {
    WEEKDAYS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, weekday)| *weekday)
        .ok_or_else(|| format!("'{text}' is no day of the week: MO, TU, WE, TH, FR, SA or SU is"))
}

/// `MO`, `2TU`, `-1FR`.
fn day(text: &str) -> Result<Day, String> {
    let name = text.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let nth = &text[..text.len() - name.len()];
    Ok(Day {
        nth: match nth {
            "" => None,
            _ => Some(signed(nth, 53)?),
        },
        weekday: weekday(name)?,
    })
}

fn until(text: &str) -> Result<Until, String> {
    match moment(text) {
        Some(Moment::Date(date)) => Ok(Until::Date(date)),
        Some(Moment::Instant(instant)) => Ok(Until::Instant(instant)),
        _ => Err("a date (20261231) or a UTC time (20261231T230000Z) is needed".to_owned()),
    }
}

/// The value of RDATE or EXDATE.
pub(super) fn moments(list: &str) -> Result<Vec<Moment>, String> {
    list.split(',')
        .map(|text| {
            let text = text.trim();
            moment(&text.to_ascii_uppercase()).ok_or_else(|| {
                format!(
                    "'{text}' is no date (20261231), local time (20261231T090000) or \
                     UTC time (20261231T090000Z)"
                )
            })
        })
        .collect()
}

fn moment(text: &str) -> Option<Moment> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [century, year, month, day] = pairs(date)?;
    let date = Date::new(i16::from(century) * 100 + i16::from(year), month, day).ok()?;
    let Some(time) = time else {
        return Some(Moment::Date(date));
    };
    let (digits, is_utc) = match time.strip_suffix('Z') {
        Some(digits) => (digits, true),
        None => (time, false),
    };
    let [hour, minute, second] = pairs(digits)?;
    let local = DateTime::from_parts(date, Time::new(hour, minute, second, 0).ok()?);
    if is_utc {
        let instant = Offset::UTC.to_timestamp(local).ok()?;
        return Some(Moment::Instant(instant.as_second()));
    }
    Some(Moment::Local(local))
}

/// Pairs of digits.
fn pairs<const N: usize>(text: &str) -> Option<[i8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut found = [0; N];
    for (at, pair) in found.iter_mut().enumerate() {
        *pair = text[2 * at..2 * at + 2].parse().ok()?;
    }
    Some(found)
}
