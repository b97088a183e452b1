//! Times and lengths of time as administrators write and read them.

use std::fmt;

use resources::primitive::{DateRange, format_instant};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment, written as FHIR's dateTime; milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(pub i64);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_instant(self.0))
    }
}

impl std::str::FromStr for When {
    type Err = String;

    /// The beginning of a day, or a moment.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = DateRange::parse(text).map(|range| Self(range.lo));
        found
            .ok_or_else(|| format!("'{text}' is no date; write 2027-01-31 or 2027-01-31T12:00:00Z"))
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Milliseconds of a length of time: `90s`, `15m`, `1h`, `30d`, or a number of seconds.
///
/// # Errors
/// A sentence that says what to write.
pub fn duration(text: &str) -> Result<i64, String> {
    let refuse = || format!("'{text}' is no length of time; write 90s, 15m, 1h or 30d");
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: i64 = number.parse().map_err(|_| refuse())?;
    let unit = match unit {
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refuse()),
    };
    number
        .checked_mul(unit)
        .filter(|length| *length > 0)
        .ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        for (text, expected) in [
            ("90s", Some(90_000)),
            ("90", Some(90_000)),
            ("15m", Some(900_000)),
            ("1h", Some(3_600_000)),
            ("30d", Some(2_592_000_000)),
            ("0s", None),
            ("", None),
            ("h", None),
            ("-1h", None),
            ("1.5h", None),
            ("1w", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn moments_are_written_as_they_are_read() {
        let when: When = "2027-01-31".parse().unwrap();
        assert_eq!(when.to_string().parse::<When>().unwrap(), when);
        assert!("tomorrow".parse::<When>().is_err());
    }
}
