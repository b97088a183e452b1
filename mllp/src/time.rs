//! Dates and times of v2 as FHIR's: the precision stays, and what has a time of day gets a zone.

use jiff::{
    civil,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

/// How exact a time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
}

/// A date or time as FHIR writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FhirTime {
    /// `2026`, `2026-11`, `2026-11-24`, `2026-11-24T18:41:00+01:00`.
    pub text: String,
    /// As the message had it.
    pub precision: Precision,
    /// Milliseconds since 1970, if it has a time of day.
    pub instant: Option<i64>,
    /// The offset that the message gave.
    pub offset: Option<Offset>,
    /// What was not as it should be, though it could be read: 24:00, a local time that the clocks
    /// skipped.
    pub note: Option<&'static str>,
}

impl FhirTime {
    /// The day alone.
    pub fn date(&self) -> &str {
        self.text.get(..10).unwrap_or(&self.text)
    }

    /// Whether it can be a FHIR `instant`.
    pub fn is_instant(&self) -> bool {
        self.precision >= Precision::Minute
    }
}

/// Reads `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`. Without an offset a time of day is one
/// of `zone`.
///
/// # Errors
/// What is wrong with it.
pub fn date_time(text: &str, zone: &TimeZone) -> Result<FhirTime, String> {
    let text = text.trim();
    let (local, offset) = match text.rfind(['+', '-']) {
        Some(at) if at >= 4 => (&text[..at], Some(&text[at..])),
        _ => (
            text.strip_suffix('Z').unwrap_or(text),
            text.ends_with('Z').then_some("+0000"),
        ),
    };
    let (digits, fraction) = local.split_once('.').unwrap_or((local, ""));
    let wrong = || Err(format!("`{}` is no date or time", text.escape_debug()));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(digits) || !is_digits(fraction) || fraction.len() > 9 {
        return wrong();
    }
    let part = |from: usize, length: usize| digits[from..from + length].parse::<i16>().unwrap_or(0);
    let precision = match digits.len() {
        4 => Precision::Year,
        6 => Precision::Month,
        8 => Precision::Day,
        10 => Precision::Hour,
        12 => Precision::Minute,
        14 if fraction.is_empty() => Precision::Second,
        14 => Precision::Fraction,
        _ => return wrong(),
    };
    let year = part(0, 4);
    let month = if precision >= Precision::Month {
        part(4, 2)
    } else {
        1
    };
    let day = if precision >= Precision::Day {
        part(6, 2)
    } else {
        1
    };
    if year == 0 {
        return wrong();
    }
    let Ok(date) = civil::Date::new(year, month as i8, day as i8) else {
        return wrong();
    };
    let of_day = |text: String| {
        Ok(FhirTime {
            text,
            precision,
            instant: None,
            offset: None,
            note: None,
        })
    };
    match precision {
        Precision::Year => return of_day(format!("{year:04}")),
        Precision::Month => return of_day(format!("{year:04}-{month:02}")),
        Precision::Day => return of_day(format!("{year:04}-{month:02}-{day:02}")),
        _ => {}
    }
    let hour = part(8, 2);
    let minute = if precision >= Precision::Minute {
        part(10, 2)
    } else {
        0
    };
    let second = if precision >= Precision::Second {
        part(12, 2)
    } else {
        0
    };
    let mut note = None;
    let mut whole = date;
    let mut clock = (hour, minute, second);
    if clock == (24, 0, 0) {
        note = Some("24:00 is 00:00 of the next day");
        clock.0 = 0;
        whole = date.tomorrow().map_err(|_| "the year 10000".to_owned())?;
    }
    if clock.2 == 60 {
        note = Some("a leap second is the second before");
        clock.2 = 59;
    }
    let mut nanoseconds = fraction.parse::<i32>().unwrap_or(0);
    for _ in fraction.len()..9 {
        nanoseconds = nanoseconds.saturating_mul(10);
    }
    let Ok(time) = civil::Time::new(clock.0 as i8, clock.1 as i8, clock.2 as i8, nanoseconds)
    else {
        return wrong();
    };
    let mut at = whole.to_datetime(time);
    let is_given = offset.is_some();
    let offset = match offset {
        Some(text) => match offset_of(text) {
            Some(offset) => offset,
            None => return wrong(),
        },
        None => match zone.to_ambiguous_timestamp(at).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => {
                note = Some("the clocks showed this time twice: the first is taken");
                before
            }
            AmbiguousOffset::Gap { before, after } => {
                note = Some("the clocks skipped this time: it is counted on");
                let Ok(moved) = before.to_timestamp(at) else {
                    return wrong();
                };
                at = after.to_datetime(moved);
                after
            }
        },
    };
    let Ok(moment) = offset.to_timestamp(at) else {
        return wrong();
    };
    let (date, time) = (at.date(), at.time());
    let mut written = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    if !fraction.is_empty() {
        written.push('.');
        written.push_str(fraction);
    }
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    match minutes {
        0 => written.push('Z'),
        _ => written.push_str(&format!("{sign}{hours:02}:{rest:02}")),
    }
    Ok(FhirTime {
        text: written,
        precision,
        instant: Some(moment.as_millisecond()),
        offset: is_given.then_some(offset),
        note,
    })
}

/// The offset at the end of a FHIR time, `Z` or `+01:00` (a fraction may stand before it).
pub fn offset(text: &str) -> Option<Offset> {
    match text.ends_with('Z') {
        true => Some(Offset::UTC),
        false => offset_of(text.get(text.rfind(['+', '-'])?..)?),
    }
}

/// `+0100`, `-05`, `+01:00`.
fn offset_of(text: &str) -> Option<Offset> {
    let (sign, digits) = text.split_at(1);
    let digits = digits.replace(':', "");
    let (hours, minutes) = match digits.len() {
        2 => (digits.parse::<i32>().ok()?, 0),
        4 => (digits[..2].parse().ok()?, digits[2..].parse::<i32>().ok()?),
        _ => return None,
    };
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60;
    Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()
}

/// Reads `HH[MM[SS[.S…]]]` as a FHIR `time`. An offset has no place in one.
///
/// # Errors
/// What is wrong with it.
pub fn time_of_day(text: &str) -> Result<String, String> {
    let text = text.trim();
    let wrong = || Err(format!("`{}` is no time of day", text.escape_debug()));
    let (digits, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !digits
        .bytes()
        .chain(fraction.bytes())
        .all(|byte| byte.is_ascii_digit())
    {
        return wrong();
    }
    let padded = match digits.len() {
        2 | 4 | 6 => format!("{digits:0<6}"),
        _ => return wrong(),
    };
    let (hour, minute, second) = (&padded[..2], &padded[2..4], &padded[4..]);
    if hour > "23" || minute > "59" || second > "59" {
        return wrong();
    }
    let dot = if fraction.is_empty() { "" } else { "." };
    Ok(format!("{hour}:{minute}:{second}{dot}{fraction}"))
}

/// A moment as v2 has it: to the second, or to the millisecond if it has one, with the offset.
pub(crate) fn zoned(time: jiff::Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset(time);
    let local: jiff::civil::DateTime = offset.to_datetime(time);
    let minutes = offset.seconds() / 60;
    let millis = local.millisecond();
    let fraction = match millis {
        0 => String::new(),
        _ => format!(".{millis:03}"),
    };
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}{fraction}{}{:02}{:02}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second(),
        if minutes < 0 { '-' } else { '+' },
        minutes.abs() / 60,
        minutes.abs() % 60,
    )
}

/// A moment written with the offset that `zone` has then.
pub fn of_instant(milliseconds: i64, zone: &TimeZone) -> Option<String> {
    // To the second, as the standard's moments are.
    let moment = jiff::Timestamp::from_second(milliseconds.div_euclid(1_000)).ok()?;
    let text = zoned(moment, zone);
    date_time(&text, zone).ok().map(|time| time.text)
}
