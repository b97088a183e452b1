//! When somebody would like to come, and how often.

use std::sync::Arc;

use jiff::{civil, tz::TimeZone};
use resources::Value;

use super::{Error, asked::Asked};
use crate::scheduling::{
    find::{Series, Timing},
    recurrence::Recurrence,
};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Appointments of a series.
pub const LONGEST_SERIES: usize = 200;

/// The preferred times of a FHIR Timing: `repeat.dayOfWeek`, `repeat.timeOfDay` (an hour from
/// each), `repeat.when` (`MORN`, `AFT`, `EVE`). With `must` in place of a wish.
pub fn timing(asked: &Asked) -> Result<Option<Timing>, Error> {
    let Some(doc) = asked.complex("timing")?.into_iter().next() else {
        return Ok(None);
    };
    let mut timing = Timing::default();
    let repeat = doc.root().get("repeat");
    let texts = |name: &str| -> Vec<String> {
        let list = repeat.and_then(|repeat| repeat.get(name));
        let texts = list
            .iter()
            .flat_map(Value::each)
            .filter_map(|one| one.as_str());
        texts.map(|text| text.into_owned()).collect()
    };
    for day in texts("dayOfWeek") {
        let at = DAYS.iter().position(|known| *known == day);
        let at = at.ok_or_else(|| {
            Error::invalid(format!(
                "timing: dayOfWeek '{day}' is not one of {}",
                DAYS.join(", ")
            ))
        })?;
        timing.days |= 1 << at;
    }
    for text in texts("timeOfDay") {
        let from: civil::Time = text
            .parse()
            .map_err(|_| Error::invalid(format!("timing: '{text}' is no time of day")))?;
        let to = from.wrapping_add(jiff::Span::new().hours(1));
        timing.times.push((from, to));
    }
    for when in texts("when") {
        let (from, to) = match when.as_str() {
            "MORN" => (6, 12),
            "AFT" => (12, 17),
            "EVE" => (17, 22),
            "NIGHT" => (22, 6),
            _ => {
                return Err(Error::invalid(format!(
                    "timing: '{when}' is not understood"
                )));
            }
        };
        timing
            .times
            .push((civil::time(from, 0, 0, 0), civil::time(to, 0, 0, 0)));
    }
    timing.must = asked.is_set("timing-required");
    Ok(Some(timing))
}

/// The series of a call: `recurrence` is an RRULE (RFC 5545), or R5's recurrenceTemplate as an
/// extension.
pub fn recurrence(asked: &Asked) -> Result<Option<Recurrence>, Error> {
    let wrong = |text: String| Error::invalid(format!("recurrence: {text}"));
    if let Some(text) = asked.text("recurrence") {
        return Recurrence::rrule(text).map(Some).map_err(wrong);
    }
    match asked.complex("recurrence")?.first() {
        Some(doc) => Recurrence::template(doc.root()).map(Some).map_err(wrong),
        None => Ok(None),
    }
}

/// The starts that must all be free.
pub fn series(asked: &Asked) -> Result<Option<Arc<Series>>, Error> {
    let Some(recurrence) = recurrence(asked)? else {
        return Ok(None);
    };
    let most = asked
        .number("occurrence-count")?
        .map_or(LONGEST_SERIES, |most| most as usize);
    let most = most.clamp(1, LONGEST_SERIES);
    Ok(Some(Arc::new(move |first: i64, zone: &TimeZone| {
        let all = recurrence.expand(first, zone, most);
        all.into_iter().map(|one| one.start).collect()
    })))
}
