//! Times of a message as FHIR has them.

use jiff::{civil, tz::TimeZone};
use mllp::message::Value;

/// A time as FHIR has it, with the precision that it has; one of day with an offset.
pub fn date_time(value: Value<'_>, zone: &TimeZone) -> Option<String> {
    let text = value.text();
    read(text.trim(), zone)
}

fn read(text: &str, zone: &TimeZone) -> Option<String> {
    let (digits, offset) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    let digits = digits.split('.').next().unwrap_or(digits);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to);
    let year = part(0, 4)?;
    let Some(month) = part(4, 6) else {
        return Some(year.to_owned());
    };
    let Some(day) = part(6, 8) else {
        return Some(format!("{year}-{month}"));
    };
    let number = |text: &str| text.parse::<i8>().ok();
    let date = civil::Date::new(year.parse().ok()?, number(month)?, number(day)?).ok()?;
    let Some(hour) = part(8, 10) else {
        return Some(date.to_string());
    };
    let minute = part(10, 12).unwrap_or("00");
    let second = part(12, 14).unwrap_or("00");
    let (mut date, mut hour) = (date, number(hour)?);
    if hour == 24 {
        date = date.tomorrow().ok()?;
        hour = 0;
    }
    let time = civil::Time::new(hour, number(minute)?, number(second)?, 0).ok()?;
    let local = date.to_datetime(time);
    let zoned = match offset {
        Some(offset) => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let hours: i32 = offset.get(1..3)?.parse().ok()?;
            let minutes: i32 = offset.get(3..5).unwrap_or("00").parse().ok()?;
            let offset = jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60));
            TimeZone::fixed(offset.ok()?).to_ambiguous_zoned_datetime(local).compatible().ok()?
        }
        None => zone.clone().to_ambiguous_zoned_datetime(local).compatible().ok()?,
    };
    Some(zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

/// The instant of a FHIR time, in seconds since 1970; of a date its beginning.
pub fn instant(text: &str) -> Option<i64> {
    let range = resources::primitive::DateRange::parse(text)?;
    Some(range.lo.div_euclid(1_000))
}
