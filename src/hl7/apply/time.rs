//! Times of a message as FHIR has them.

use jiff::tz::TimeZone;
use mllp::message::Value;

/// A time as FHIR has it, with the precision that it has; one of day with an offset.
pub fn date_time(value: Value<'_>, zone: &TimeZone) -> Option<String> {
    let text = value.text();
    let read = mllp::time::date_time(text.trim(), zone).ok()?;
    Some(read.text)
}

/// The instant of a FHIR time, in seconds since 1970; of a date its beginning.
pub fn instant(text: &str) -> Option<i64> {
    let range = resources::primitive::DateRange::parse(text)?;
    Some(range.lo.div_euclid(1_000))
}
