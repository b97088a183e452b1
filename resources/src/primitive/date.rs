//! Dates: text of any precision to the range of milliseconds that it stands for.

/// What a date, dateTime or instant stands for: the milliseconds from `lo` to `hi` since
/// 1970-01-01T00:00:00Z, both inclusive. A text without a zone is taken as UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateRange {
    /// The first millisecond.
    pub lo: i64,
    /// The last millisecond.
    pub hi: i64,
}

const DAY: i64 = 86_400_000;

impl DateRange {
    /// Reads `yyyy`, `yyyy-MM`, `yyyy-MM-dd`, `yyyy-MM-ddThh:mm` (which only searches may use)
    /// and `yyyy-MM-ddThh:mm:ss[.fff]`, the latter two with `Z`, an offset or no zone. A leap
    /// second counts as second 59. `None` if the text is none of these or no such date exists.
    pub fn parse(text: &str) -> Option<Self> {
        Parts::parse(text).map(|parts| parts.range())
    }

    /// As [`DateRange::parse`], of the value of a query. A `+` that is not escaped arrives as a
    /// blank, and where a zone's sign belongs a blank can be nothing else.
    pub fn parse_query(text: &str) -> Option<Self> {
        const ZONE: usize = " hh:mm".len();
        let sign = text.len().checked_sub(ZONE);
        match sign.filter(|at| text.as_bytes()[*at] == b' ') {
            Some(at) => Self::parse(&format!("{}+{}", &text[..at], &text[at + 1..])),
            None => Self::parse(text),
        }
    }

    /// True if both ranges have a millisecond in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.lo <= other.hi && other.lo <= self.hi
    }

    /// True if every millisecond of `other` is in this range.
    pub fn contains(&self, other: &Self) -> bool {
        self.lo <= other.lo && other.hi <= self.hi
    }
}

/// How much of a date its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Year,
    Month,
    Day,
    Minute,
    Second,
}

struct Parts {
    precision: Precision,
    year: i64,
    month: i64,
    day: i64,
    /// Milliseconds of the day, as written.
    time: i64,
    /// Milliseconds that the last written digit of the time stands for.
    unit: i64,
    /// Milliseconds east of UTC; `None` if no zone is written.
    offset: Option<i64>,
}

impl Parts {
    fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut parts = Self {
            precision: Precision::Year,
            year: number(bytes, 0, 4)?,
            month: 1,
            day: 1,
            time: 0,
            unit: 0,
            offset: None,
        };
        if parts.year == 0 {
            return None;
        }
        if bytes.len() == 4 {
            return Some(parts);
        }
        parts.precision = Precision::Month;
        parts.month = after(bytes, 4, b'-').and_then(|at| number(bytes, at, 2))?;
        if !(1..=12).contains(&parts.month) {
            return None;
        }
        if bytes.len() == 7 {
            return Some(parts);
        }
        parts.precision = Precision::Day;
        parts.day = after(bytes, 7, b'-').and_then(|at| number(bytes, at, 2))?;
        if parts.day < 1 || parts.day > days_in_month(parts.year, parts.month) {
            return None;
        }
        if bytes.len() == 10 {
            return Some(parts);
        }
        parts.clock(bytes)
    }

    fn clock(mut self, bytes: &[u8]) -> Option<Self> {
        let at = after(bytes, 10, b'T')?;
        let (time, unit, used) = parse_time(&bytes[at..])?;
        self.time = time;
        self.unit = unit;
        self.precision = if unit == 60_000 {
            Precision::Minute
        } else {
            Precision::Second
        };
        let zone = &bytes[at + used..];
        self.offset = match zone {
            [] => None,
            b"Z" => Some(0),
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let hours = number(zone, 1, 2)?;
                let minutes = number(zone, 4, 2)?;
                if hours > 14 || minutes > 59 || (hours == 14 && minutes > 0) {
                    return None;
                }
                let offset = (hours * 60 + minutes) * 60_000;
                Some(if *sign == b'-' { -offset } else { offset })
            }
            _ => return None,
        };
        Some(self)
    }

    fn range(&self) -> DateRange {
        let start = days_from_civil(self.year, self.month, self.day) * DAY;
        let end = match self.precision {
            Precision::Year => days_from_civil(self.year + 1, 1, 1) * DAY,
            Precision::Month if self.month == 12 => days_from_civil(self.year + 1, 1, 1) * DAY,
            Precision::Month => days_from_civil(self.year, self.month + 1, 1) * DAY,
            Precision::Day => start + DAY,
            Precision::Minute | Precision::Second => {
                let lo = start + self.time - self.offset.unwrap_or(0);
                return DateRange {
                    lo,
                    hi: lo + self.unit - 1,
                };
            }
        };
        DateRange {
            lo: start,
            hi: end - 1,
        }
    }
}

/// Reads `hh:mm[:ss[.f…]]`: milliseconds of the day, of the last digit, and bytes used.
fn parse_time(bytes: &[u8]) -> Option<(i64, i64, usize)> {
    let hour = number(bytes, 0, 2)?;
    let minute = after(bytes, 2, b':').and_then(|at| number(bytes, at, 2))?;
    if hour > 23 || minute > 59 {
        return None;
    }
    let minutes = (hour * 60 + minute) * 60_000;
    let Some(at) = after(bytes, 5, b':') else {
        return Some((minutes, 60_000, 5));
    };
    let second = number(bytes, at, 2)?;
    if second > 60 {
        return None;
    }
    let seconds = minutes + second.min(59) * 1000;
    let Some(at) = after(bytes, 8, b'.') else {
        return Some((seconds, 1000, 8));
    };
    let digits = bytes[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 {
        return None;
    }
    let kept = digits.min(3);
    let unit = [100, 10, 1][kept - 1];
    let fraction = number(bytes, at, kept)? * unit;
    Some((seconds + fraction, unit, at + digits))
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<i64> {
    bytes
        .get(at..at + len)?
        .iter()
        .try_fold(0, |value, byte| match byte {
            b'0'..=b'9' => Some(value * 10 + i64::from(byte - b'0')),
            _ => None,
        })
}

fn after(bytes: &[u8], at: usize, expected: u8) -> Option<usize> {
    (bytes.get(at) == Some(&expected)).then_some(at + 1)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years are counted from
/// March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Milliseconds since 1970 as an instant in UTC: `2026-11-20T10:00:00.123Z`.
pub fn format_instant(ms: i64) -> String {
    let (year, month, day) = civil_from_days(ms.div_euclid(DAY));
    let time = ms.rem_euclid(DAY);
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, milli) = (time / 1000 % 60, time % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// True for a FHIR `date` that exists.
pub fn is_date(text: &str) -> bool {
    Parts::parse(text).is_some_and(|parts| parts.precision <= Precision::Day)
}

/// True for a FHIR `dateTime` that exists: with a time it needs seconds and a zone.
pub fn is_date_time(text: &str) -> bool {
    Parts::parse(text).is_some_and(|parts| match parts.precision {
        Precision::Minute => false,
        Precision::Second => parts.offset.is_some(),
        _ => true,
    })
}

/// True for a FHIR `instant` that exists: known to the second at least, with a zone.
pub fn is_instant(text: &str) -> bool {
    Parts::parse(text)
        .is_some_and(|parts| parts.precision == Precision::Second && parts.offset.is_some())
}

/// True for a FHIR `time`: `hh:mm:ss[.fff]`, no zone.
pub fn is_time(text: &str) -> bool {
    parse_time(text.as_bytes()).is_some_and(|(_, unit, used)| unit < 60_000 && used == text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(text: &str) -> i64 {
        DateRange::parse(text).unwrap().lo
    }

    #[test]
    fn a_blank_in_a_query_stands_for_the_plus_of_a_zone() {
        let plus = DateRange::parse("2026-11-20T10:00:00+01:00");
        assert!(plus.is_some());
        assert_eq!(DateRange::parse_query("2026-11-20T10:00:00 01:00"), plus);
        assert_eq!(DateRange::parse_query("2026-11-20T10:00:00+01:00"), plus);
        for text in [
            "2026-11-20 10:00",
            "2026-11-20 ",
            " 01:00",
            "é 01:00",
            "2026 11:20",
        ] {
            assert_eq!(DateRange::parse_query(text), None, "{text}");
        }
    }

    #[test]
    fn partial_dates_cover_their_whole_period() {
        for (text, lo, hi) in [
            (
                "1970",
                "1970-01-01T00:00:00.000Z",
                "1970-12-31T23:59:59.999Z",
            ),
            (
                "2024-02",
                "2024-02-01T00:00:00.000Z",
                "2024-02-29T23:59:59.999Z",
            ),
            (
                "2026-12",
                "2026-12-01T00:00:00.000Z",
                "2026-12-31T23:59:59.999Z",
            ),
            (
                "1900-02",
                "1900-02-01T00:00:00.000Z",
                "1900-02-28T23:59:59.999Z",
            ),
            (
                "0001-01-01",
                "0001-01-01T00:00:00.000Z",
                "0001-01-01T23:59:59.999Z",
            ),
            (
                "2026-11-20T10:30",
                "2026-11-20T10:30:00.000Z",
                "2026-11-20T10:30:59.999Z",
            ),
            (
                "2026-11-20T10:30:05",
                "2026-11-20T10:30:05.000Z",
                "2026-11-20T10:30:05.999Z",
            ),
            (
                "2026-11-20T10:30:05.1Z",
                "2026-11-20T10:30:05.100Z",
                "2026-11-20T10:30:05.199Z",
            ),
            (
                "2026-11-20T10:30:05.1239Z",
                "2026-11-20T10:30:05.123Z",
                "2026-11-20T10:30:05.123Z",
            ),
            (
                "2026-11-20T00:30:00+01:00",
                "2026-11-19T23:30:00.000Z",
                "2026-11-19T23:30:00.999Z",
            ),
            (
                "2026-11-20T23:30:00-05:30",
                "2026-11-21T05:00:00.000Z",
                "2026-11-21T05:00:00.999Z",
            ),
            (
                "2016-12-31T23:59:60Z",
                "2016-12-31T23:59:59.000Z",
                "2016-12-31T23:59:59.999Z",
            ),
        ] {
            let range = DateRange::parse(text).unwrap();
            assert_eq!(format_instant(range.lo), lo, "{text}");
            assert_eq!(format_instant(range.hi), hi, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "20",
            "0000",
            "2026-13",
            "2026-00",
            "2026-02-29",
            "2026-2-1",
            "2026-04-31",
            "2026-11-20T",
            "2026-11-20T24:00:00Z",
            "2026-11-20T10:60:00Z",
            "2026-11-20T10:00:61Z",
            "2026-11-20T10:00:00.Z",
            "2026-11-20T10:00:00+15:00",
            "2026-11-20T10:00:00+14:01",
            "2026-11-20 10:00:00",
            "2026-11-20T10:00:00z",
            "2026-11-20Z",
            "+2026",
            "2026-11-20T1é",
        ] {
            assert_eq!(DateRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_type_has_its_own_precision() {
        for (text, date, date_time, instant) in [
            ("2026", true, true, false),
            ("2026-11-20", true, true, false),
            ("2026-11-20T10:00Z", false, false, false),
            ("2026-11-20T10:00:00", false, false, false),
            ("2026-11-20T10:00:00Z", false, true, true),
            ("2026-11-20T10:00:00.5+01:00", false, true, true),
        ] {
            assert_eq!(is_date(text), date, "{text}");
            assert_eq!(is_date_time(text), date_time, "{text}");
            assert_eq!(is_instant(text), instant, "{text}");
        }
        assert!(is_time("10:00:00") && is_time("23:59:59.25"));
        assert!(!is_time("10:00") && !is_time("10:00:00Z") && !is_time("24:00:00"));
    }

    proptest! {
        #[test]
        fn formatting_and_parsing_are_inverse(at in -62_135_596_800_000i64..253_402_300_799_999) {
            let text = format_instant(at);
            prop_assert!(is_instant(&text));
            prop_assert_eq!(ms(&text), at);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,30}|[0-9TZ:.+-]{0,30}") {
            if let Some(range) = DateRange::parse(&text) {
                prop_assert!(range.lo <= range.hi);
            }
        }
    }
}
