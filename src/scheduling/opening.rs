//! Weekly hours and exceptions, as PractitionerRole, HealthcareService, Location and our own
//! extension have them.

use jiff::{civil, tz::TimeZone};
use resources::{Value, outcome::Issue};

use super::{
    bookable::{Closed, Daily},
    element::{Ends, Extension, Moment, each, extensions, text},
};

/// The codes of the days, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ALL_DAYS: u8 = 0x7f;

/// Whole days, every day.
pub(super) const ALWAYS: Daily = Daily {
    days: ALL_DAYS,
    from: civil::Time::midnight(),
    to: civil::Time::midnight(),
};

/// When it is closed, before it is known in which zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closure {
    during: Ends,
    why: String,
}

impl Closure {
    /// As it is on the clock of a zone.
    pub fn closed(&self, zone: &TimeZone) -> Closed {
        let why = self.why.clone();
        let is_wall = |moment: Option<Moment>| matches!(moment, Some(Moment::Wall(_)));
        if is_wall(self.during.from) || is_wall(self.during.to) {
            let wall = |moment: Option<Moment>| moment?.wall(zone);
            return Closed::Local {
                from: wall(self.during.from),
                to: wall(self.during.to),
                why,
            };
        }
        Closed::Exactly {
            during: self.during.span(zone),
            why,
        }
    }
}

/// What the sub-elements of one window are called.
struct Names {
    from: &'static str,
    to: &'static str,
}

const AVAILABLE: Names = Names {
    from: "availableStartTime",
    to: "availableEndTime",
};
const OPEN: Names = Names {
    from: "openingTime",
    to: "closingTime",
};

/// One window as it stands in the resource.
#[derive(Default)]
struct Raw {
    days: u8,
    /// A day that is no day of the week.
    unknown_day: Option<String>,
    all_day: Option<bool>,
    from: Option<civil::Time>,
    to: Option<civil::Time>,
}

impl Raw {
    fn day(&mut self, code: &str) {
        match DAYS.iter().position(|day| *day == code) {
            Some(bit) => self.days |= 1 << bit,
            None => self.unknown_day = Some(code.to_owned()),
        }
    }

    fn element(value: Value<'_>, names: &Names) -> Self {
        let mut raw = Self {
            all_day: value.get("allDay").and_then(|value| value.as_bool()),
            from: time(value.get(names.from), false),
            to: time(value.get(names.to), true),
            ..Self::default()
        };
        for day in each(value, "daysOfWeek").filter_map(|day| day.as_str()) {
            raw.day(&day);
        }
        raw
    }

    /// What it means. One that says nothing but days, or nothing at all, is of whole days.
    fn daily(&self) -> Daily {
        let (from, to) = match self.all_day {
            Some(true) => (None, None),
            _ => (self.from, self.to),
        };
        Daily {
            days: match self.days {
                0 => ALL_DAYS,
                days => days,
            },
            from: from.unwrap_or_default(),
            to: to.unwrap_or_default(),
        }
    }

    /// What looks like a mistake though it can be read. `own`: in our extension, where that is
    /// an error; R4 lets the standard's elements be so.
    fn doubt(&self, own: bool, names: &Names, path: &str, issues: &mut Vec<Issue>) {
        let issue = |code, sentence: String| match own {
            true => Issue::error(code, sentence),
            false => Issue::warning(code, sentence),
        };
        let Names { from, to } = names;
        if let Some(day) = &self.unknown_day {
            let sentence = format!("'{day}' is no day; write mon, tue, wed, thu, fri, sat or sun.");
            issues.push(Issue::error("code-invalid", sentence).at(path));
        }
        let has_time = self.from.is_some() || self.to.is_some();
        if self.all_day == Some(true) && has_time {
            let sentence = format!("allDay goes with neither {from} nor {to}; it wins.");
            issues.push(issue("business-rule", sentence).at(path));
        } else if self.from.is_some() && self.to.is_none() {
            let sentence = format!("{from} without {to} is read as until midnight; say when.");
            issues.push(issue("required", sentence).at(path));
        } else if self.to.is_some() && self.from.is_none() {
            let sentence = format!("{to} without {from} is read as from midnight; say when.");
            issues.push(issue("required", sentence).at(path));
        } else if self.all_day == Some(false) && !has_time {
            let sentence = format!("Neither allDay nor {from} and {to}: read as whole days.");
            issues.push(issue("required", sentence).at(path));
        } else if self.from == self.to && self.from.is_some_and(|it| it != civil::Time::midnight())
        {
            let sentence =
                format!("{from} is {to}: read as 24 hours; use allDay if that is meant.");
            issues.push(Issue::warning("business-rule", sentence).at(path));
        }
    }
}

/// A time. As an end, the last second of the day is its end: R4 has no `24:00:00`, so that is
/// what people write.
fn time(value: Option<Value<'_>>, is_end: bool) -> Option<civil::Time> {
    let text = value?.plain_str()?;
    if !resources::primitive::is_time(text) {
        return None;
    }
    if is_end && text.starts_with("23:59:59") {
        return Some(civil::Time::midnight());
    }
    let number = |at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    // A leap second counts as second 59, as everywhere.
    civil::Time::new(number(0)?, number(3)?, number(6)?.min(59), 0).ok()
}

/// The windows of `availableTime`.
pub(super) fn available(value: Value<'_>, path: &str, issues: &mut Vec<Issue>) -> Vec<Daily> {
    windows(value, "availableTime", &AVAILABLE, path, issues)
}

/// The windows of `hoursOfOperation`.
pub(super) fn operation(value: Value<'_>, path: &str, issues: &mut Vec<Issue>) -> Vec<Daily> {
    windows(value, "hoursOfOperation", &OPEN, path, issues)
}

fn windows(
    value: Value<'_>,
    name: &str,
    names: &Names,
    path: &str,
    issues: &mut Vec<Issue>,
) -> Vec<Daily> {
    each(value, name)
        .enumerate()
        .map(|(i, window)| {
            let raw = Raw::element(window, names);
            raw.doubt(false, names, &format!("{path}.{name}[{i}]"), issues);
            raw.daily()
        })
        .collect()
}

/// What `notAvailable` closes.
pub(super) fn not_available(value: Value<'_>, path: &str, issues: &mut Vec<Issue>) -> Vec<Closure> {
    let mut closures = Vec::new();
    for (i, one) in each(value, "notAvailable").enumerate() {
        let path = format!("{path}.notAvailable[{i}]");
        let why = text(one, "description").unwrap_or_default().into_owned();
        let period = one.get("during");
        closures.extend(closure(period, why, "during", false, &path, issues));
    }
    closures
}

/// One exception. `None` if it does not say when: that closes nothing, rather than everything.
fn closure(
    period: Option<Value<'_>>,
    why: String,
    name: &str,
    own: bool,
    path: &str,
    issues: &mut Vec<Issue>,
) -> Option<Closure> {
    let issue = |code, sentence: &str| match own {
        true => Issue::error(code, sentence),
        false => Issue::warning(code, sentence),
    };
    let during = period.map(Ends::of).unwrap_or_default();
    let at = match period {
        Some(_) => format!("{path}.{name}"),
        None => path.to_owned(),
    };
    if during.is_open() {
        let sentence = "Without a start or an end of 'during' it closes nothing; say when.";
        issues.push(issue("required", sentence).at(at));
        return None;
    }
    if during.is_backwards() {
        let sentence = "The end comes before the start, so it closes nothing.";
        issues.push(issue("invariant", sentence).at(at));
        return None;
    }
    Some(Closure { during, why })
}

/// A window as our extension has it.
pub(super) fn own_window(
    extension: &Extension<'_>,
    path: &str,
    issues: &mut Vec<Issue>,
) -> Option<Daily> {
    let before = issues.len();
    let mut raw = Raw::default();
    let mut seen = Vec::new();
    for part in extensions(extension.value) {
        let at = format!("{path}.extension[{}]", part.at);
        let name = part.url.as_ref();
        if name != "daysOfWeek" && seen.contains(&part.url) {
            issues.push(twice(name).at(&at));
        }
        seen.push(part.url.clone());
        match name {
            "daysOfWeek" => {
                if let Some(day) = typed(&part, "valueCode", &at, issues)
                    && let Some(day) = day.as_str()
                {
                    raw.day(&day);
                }
            }
            "allDay" => {
                raw.all_day =
                    typed(&part, "valueBoolean", &at, issues).and_then(|value| value.as_bool());
            }
            "availableStartTime" => {
                raw.from = time(typed(&part, "valueTime", &at, issues), false);
            }
            "availableEndTime" => {
                raw.to = time(typed(&part, "valueTime", &at, issues), true);
            }
            _ => issues.push(
                unknown(
                    name,
                    "daysOfWeek, allDay, availableStartTime, availableEndTime",
                )
                .at(&at),
            ),
        }
    }
    raw.doubt(true, &AVAILABLE, path, issues);
    (issues.len() == before || seen_no_error(&issues[before..])).then(|| raw.daily())
}

/// An exception as our extension has it.
pub(super) fn own_closure(
    extension: &Extension<'_>,
    path: &str,
    issues: &mut Vec<Issue>,
) -> Option<Closure> {
    let mut why = String::new();
    let mut period = None;
    let mut name = String::new();
    for part in extensions(extension.value) {
        let at = format!("{path}.extension[{}]", part.at);
        match part.url.as_ref() {
            "description" => {
                if let Some(value) = typed(&part, "valueString", &at, issues) {
                    why = value.as_str().unwrap_or_default().into_owned();
                }
            }
            "during" if period.is_some() => issues.push(twice("during").at(&at)),
            "during" => {
                period = typed(&part, "valuePeriod", &at, issues);
                name = format!("extension[{}].valuePeriod", part.at);
            }
            url => issues.push(unknown(url, "description, during").at(&at)),
        }
    }
    closure(period, why, &name, true, path, issues)
}

fn seen_no_error(issues: &[Issue]) -> bool {
    issues
        .iter()
        .all(|issue| issue.severity < resources::outcome::Severity::Error)
}

/// The value of an extension that must be of one type.
pub(super) fn typed<'d>(
    part: &Extension<'d>,
    name: &str,
    path: &str,
    issues: &mut Vec<Issue>,
) -> Option<Value<'d>> {
    let found = part.typed(name);
    if found.is_none() {
        let url = &part.url;
        let sentence = match part.any_value() {
            Some(other) => format!("{url} takes {name}, not {}.", other.name()),
            None => format!("{url} takes {name}."),
        };
        issues.push(Issue::error("value", sentence).at(path));
    }
    found
}

/// A sub-extension that nobody knows.
pub(super) fn unknown(url: &str, known: &str) -> Issue {
    let sentence = format!("'{url}' is not known here; there are {known}.");
    Issue::error("extension", sentence)
}

/// A sub-extension that stands twice.
pub(super) fn twice(url: &str) -> Issue {
    Issue::error("structure", format!("{url} stands twice; keep one."))
}
