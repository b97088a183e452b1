//! R5's `Appointment.recurrenceTemplate` as an extension of R4.

use std::collections::BTreeMap;

use jiff::{
    civil::{Date, Weekday},
    tz::TimeZone,
};
use resources::doc::Value;

use super::{
    MOST, Moment, Recurrence, Until,
    rule::{Day, Frequency, Rule},
};

const DAYS: [(&str, &str, Weekday); 7] = [
    ("monday", "mon", Weekday::Monday),
    ("tuesday", "tue", Weekday::Tuesday),
    ("wednesday", "wed", Weekday::Wednesday),
    ("thursday", "thu", Weekday::Thursday),
    ("friday", "fri", Weekday::Friday),
    ("saturday", "sat", Weekday::Saturday),
    ("sunday", "sun", Weekday::Sunday),
];

const WEEKS: [(&str, i8); 5] = [
    ("first", 1),
    ("second", 2),
    ("third", 3),
    ("fourth", 4),
    ("last", -1),
];

/// UCUM's units as R5 names frequencies, and the part that says more.
const KINDS: [(&str, Frequency, &str); 4] = [
    ("d", Frequency::Daily, ""),
    ("wk", Frequency::Weekly, "weeklyTemplate"),
    ("mo", Frequency::Monthly, "monthlyTemplate"),
    ("a", Frequency::Yearly, "yearlyTemplate"),
];

/// The parts of the template, and which may be there more than once.
const PARTS: [(&str, bool); 10] = [
    ("timezone", false),
    ("recurrenceType", false),
    ("lastOccurrenceDate", false),
    ("occurrenceCount", false),
    ("occurrenceDate", true),
    ("weeklyTemplate", false),
    ("monthlyTemplate", false),
    ("yearlyTemplate", false),
    ("excludingDate", true),
    ("excludingRecurrenceId", true),
];

const MONTHLY: [(&str, bool); 4] = [
    ("dayOfMonth", false),
    ("nthWeekOfMonth", false),
    ("dayOfWeek", false),
    ("monthInterval", false),
];

pub(super) fn recurrence(extension: Value<'_>) -> Result<Recurrence, String> {
    let template = Parts::of(extension, "recurrenceTemplate", &PARTS)?;
    let kinds = template.codes("recurrenceType", "valueCodeableConcept")?;
    let first = kinds
        .first()
        .ok_or_else(|| template.missing("recurrenceType"))?;
    let (frequency, own) = kinds
        .iter()
        .find_map(|kind| KINDS.iter().find(|(code, ..)| code == kind))
        .map(|(_, frequency, own)| (*frequency, *own))
        .ok_or_else(|| {
            format!(
                "recurrenceTemplate.recurrenceType: '{first}' is none of the UCUM codes d, wk, \
                 mo, a"
            )
        })?;
    for other in ["weeklyTemplate", "monthlyTemplate", "yearlyTemplate"] {
        if other != own && template.has(other) {
            return Err(format!(
                "recurrenceTemplate.{other} does not go with the recurrenceType"
            ));
        }
    }

    let mut rule = match template.one(own) {
        Some(part) => detailed(frequency, part)?,
        None => Rule::every(frequency, 1),
    };
    rule.count = template.integer("occurrenceCount", MOST)?;
    rule.until = template.date("lastOccurrenceDate")?.map(Until::Date);

    let dates = template.dates("occurrenceDate")?;
    let mut recurrence = Recurrence::of(None);
    if dates.is_empty() {
        recurrence.rule = Some(rule);
    } else {
        fits(&rule, &dates, template.has(own))?;
    }
    recurrence.added = dates.into_iter().map(Moment::Date).collect();
    recurrence.excluded = template
        .dates("excludingDate")?
        .into_iter()
        .map(Moment::Date)
        .collect();
    for part in template.all("excludingRecurrenceId") {
        let number = template.positive(*part, "excludingRecurrenceId", usize::MAX)?;
        recurrence
            .left_out
            .push(u32::try_from(number).unwrap_or(u32::MAX));
    }
    recurrence.zone = template.zone()?;
    Ok(recurrence)
}

/// Dates instead of a template: what else is said must not contradict them.
fn fits(rule: &Rule, dates: &[Date], has_template: bool) -> Result<(), String> {
    if has_template {
        return Err(
            "recurrenceTemplate.occurrenceDate is for series without a weekly, monthly or yearly \
             template"
                .to_owned(),
        );
    }
    // The first appointment may be among the dates or not.
    if let Some(count) = rule.count
        && count != dates.len()
        && count != dates.len() + 1
    {
        return Err(format!(
            "recurrenceTemplate.occurrenceCount is {count}, but there are {} of occurrenceDate",
            dates.len()
        ));
    }
    if let Some(Until::Date(last)) = rule.until
        && let Some(late) = dates.iter().find(|date| **date > last)
    {
        return Err(format!(
            "recurrenceTemplate.occurrenceDate: {late} is after the lastOccurrenceDate {last}"
        ));
    }
    Ok(())
}

fn detailed(frequency: Frequency, part: Value<'_>) -> Result<Rule, String> {
    match frequency {
        Frequency::Daily => Ok(Rule::every(frequency, 1)),
        Frequency::Weekly => weekly(part),
        Frequency::Monthly => monthly(part),
        Frequency::Yearly => {
            let name = "recurrenceTemplate.yearlyTemplate";
            let yearly = Parts::of(part, name, &[("yearInterval", false)])?;
            let interval = yearly.interval("yearInterval")?;
            let interval = interval.ok_or_else(|| yearly.missing("yearInterval"))?;
            Ok(Rule::every(frequency, interval))
        }
    }
}

fn weekly(part: Value<'_>) -> Result<Rule, String> {
    let mut known = vec![("weekInterval", false)];
    known.extend(DAYS.map(|(name, _, _)| (name, false)));
    let weekly = Parts::of(part, "recurrenceTemplate.weeklyTemplate", &known)?;
    let interval = weekly.interval("weekInterval")?.unwrap_or(1);
    let mut rule = Rule::every(Frequency::Weekly, interval);
    for (name, _, weekday) in DAYS {
        if weekly.boolean(name)? {
            rule.weekdays.push(Day { nth: None, weekday });
        }
    }
    Ok(rule)
}

fn monthly(part: Value<'_>) -> Result<Rule, String> {
    let name = "recurrenceTemplate.monthlyTemplate";
    let monthly = Parts::of(part, name, &MONTHLY)?;
    let interval = monthly.interval("monthInterval")?;
    let interval = interval.ok_or_else(|| monthly.missing("monthInterval"))?;
    let mut rule = Rule::every(Frequency::Monthly, interval);

    let day = monthly.integer("dayOfMonth", 31)?;
    let week = monthly.codes("nthWeekOfMonth", "valueCoding")?;
    let weekday = monthly.codes("dayOfWeek", "valueCoding")?;
    match (day, week.first(), weekday.first()) {
        (None, None, None) => {}
        (Some(day), None, None) => rule.month_days.extend(i8::try_from(day)),
        (None, Some(week), Some(weekday)) => {
            let (_, nth) = WEEKS.iter().find(|(code, _)| code == week).ok_or_else(|| {
                format!(
                    "{name}.nthWeekOfMonth: '{week}' is none of first, second, third, \
                         fourth, last"
                )
            })?;
            let (_, _, weekday) = DAYS
                .iter()
                .find(|(_, code, _)| code == weekday)
                .ok_or_else(|| {
                    format!(
                        "{name}.dayOfWeek: '{weekday}' is none of mon, tue, wed, thu, fri, sat, sun"
                    )
                })?;
            rule.weekdays.push(Day {
                nth: Some(*nth),
                weekday: *weekday,
            });
        }
        (Some(_), ..) => {
            return Err(format!(
                "{name} has either dayOfMonth or nthWeekOfMonth and dayOfWeek"
            ));
        }
        (None, ..) => {
            return Err(format!(
                "{name}.nthWeekOfMonth and {name}.dayOfWeek need each other"
            ));
        }
    }
    Ok(rule)
}

/// The extensions inside one, by their names.
struct Parts<'d> {
    name: &'static str,
    parts: BTreeMap<&'d str, Vec<Value<'d>>>,
}

impl<'d> Parts<'d> {
    fn of(
        extension: Value<'d>,
        name: &'static str,
        known: &[(&str, bool)],
    ) -> Result<Self, String> {
        let mut parts: BTreeMap<&str, Vec<Value<'_>>> = BTreeMap::new();
        for part in extension
            .get("extension")
            .into_iter()
            .flat_map(|all| all.items())
        {
            let url = part.get("url").and_then(|url| url.plain_str());
            let url = url.ok_or_else(|| format!("{name}: an extension has no url"))?;
            let Some((_, repeats)) = known.iter().find(|(known, _)| *known == url) else {
                return Err(format!("{name}.{url} is not known"));
            };
            let found = parts.entry(url).or_default();
            if !repeats && !found.is_empty() {
                return Err(format!("{name}.{url} is there twice"));
            }
            if found.len() >= MOST {
                return Err(format!("{name}.{url} is there more than {MOST} times"));
            }
            found.push(part);
        }
        Ok(Self { name, parts })
    }

    fn all(&self, part: &str) -> &[Value<'d>] {
        self.parts.get(part).map_or(&[], Vec::as_slice)
    }

    fn one(&self, part: &str) -> Option<Value<'d>> {
        self.all(part).first().copied()
    }

    fn has(&self, part: &str) -> bool {
        self.parts.contains_key(part)
    }

    fn missing(&self, part: &str) -> String {
        format!("{}.{part} is missing", self.name)
    }

    fn wrong(&self, part: &str, what: &str) -> String {
        format!("{}.{part}: {what} is needed", self.name)
    }

    fn positive(&self, value: Value<'d>, part: &str, most: usize) -> Result<usize, String> {
        value
            .get("valuePositiveInt")
            .and_then(|number| number.number()?.parse().ok())
            .filter(|number| (1..=most).contains(number))
            .ok_or_else(|| match most {
                usize::MAX => self.wrong(part, "a valuePositiveInt"),
                _ => self.wrong(part, &format!("a valuePositiveInt from 1 to {most}")),
            })
    }

    fn integer(&self, part: &str, most: usize) -> Result<Option<usize>, String> {
        self.one(part)
            .map(|value| self.positive(value, part, most))
            .transpose()
    }

    fn interval(&self, part: &str) -> Result<Option<u16>, String> {
        let number = self.integer(part, 9_999)?;
        Ok(number.and_then(|number| u16::try_from(number).ok()))
    }

    fn boolean(&self, part: &str) -> Result<bool, String> {
        self.one(part).map_or(Ok(false), |value| {
            value
                .get("valueBoolean")
                .and_then(|value| value.as_bool())
                .ok_or_else(|| self.wrong(part, "a valueBoolean"))
        })
    }

    fn dates(&self, part: &str) -> Result<Vec<Date>, String> {
        self.all(part)
            .iter()
            .map(|value| {
                value
                    .get("valueDate")
                    .and_then(|date| whole(date.plain_str()?))
                    .ok_or_else(|| self.wrong(part, "a valueDate with month and day"))
            })
            .collect()
    }

    fn date(&self, part: &str) -> Result<Option<Date>, String> {
        Ok(self.dates(part)?.first().copied())
    }

    /// The codes of a Coding or CodeableConcept; none if it is not there.
    fn codes(&self, part: &str, kind: &str) -> Result<Vec<&'d str>, String> {
        let Some(value) = self.one(part) else {
            return Ok(Vec::new());
        };
        let concept = value.get(kind).into_iter();
        let codes: Vec<&str> = concept
            .flat_map(|concept| concept.get("coding").unwrap_or(concept).each())
            .filter_map(|coding| coding.get("code")?.plain_str())
            .collect();
        if codes.is_empty() {
            return Err(self.wrong(part, &format!("a {kind} with a code")));
        }
        Ok(codes)
    }

    fn zone(&self) -> Result<Option<TimeZone>, String> {
        let names = self.codes("timezone", "valueCodeableConcept")?;
        let Some(first) = names.first() else {
            return Ok(None);
        };
        names
            .iter()
            .find_map(|name| TimeZone::get(name).ok())
            .map(Some)
            .ok_or_else(|| format!("{}.timezone: '{first}' is no IANA time zone", self.name))
    }
}

/// `2026-12-31`; FHIR's dates may also have less.
fn whole(text: &str) -> Option<Date> {
    let has_form = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    has_form.then(|| text.parse().ok()).flatten()
}
