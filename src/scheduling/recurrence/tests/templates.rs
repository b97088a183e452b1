//! R5's templates as extensions.

use resources::doc::Doc;

use super::*;

/// `recurrenceType=wk weeklyTemplate(monday=true weekInterval=2)` as an extension.
fn extension(url: &str, text: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(['=', '(']).unwrap();
        let (name, after) = rest.split_at(end);
        if let Some(inner) = after.strip_prefix('(') {
            let (inner, after) = inner.split_once(')').unwrap();
            parts.push(extension(name, inner));
            rest = after.trim_start();
            continue;
        }
        let (value, after) = after[1..].split_once(' ').unwrap_or((&after[1..], ""));
        parts.push(format!(r#"{{"url":"{name}",{}}}"#, typed(name, value)));
        rest = after.trim_start();
    }
    format!(r#"{{"url":"{url}","extension":[{}]}}"#, parts.join(","))
}

fn typed(name: &str, value: &str) -> String {
    match name {
        "timezone" | "recurrenceType" => {
            let codings: Vec<String> = value
                .split('|')
                .map(|code| format!(r#"{{"code":"{code}"}}"#))
                .collect();
            format!(
                r#""valueCodeableConcept":{{"coding":[{}]}}"#,
                codings.join(",")
            )
        }
        "nthWeekOfMonth" | "dayOfWeek" => format!(r#""valueCoding":{{"code":"{value}"}}"#),
        _ if name.ends_with("Date") => format!(r#""valueDate":"{value}""#),
        _ if name.ends_with("day") => format!(r#""valueBoolean":{value}"#),
        _ => format!(r#""valuePositiveInt":{value}"#),
    }
}

fn template(text: &str) -> Result<Recurrence, String> {
    let url =
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.recurrenceTemplate";
    let doc = Doc::parse(extension(url, text)).unwrap();
    Recurrence::template(doc.root())
}

#[test]
fn series_by_template() {
    for (text, expected) in [
        (
            "recurrenceType=d occurrenceCount=3",
            "1 2026-09-07 09:00, 2 2026-09-08 09:00, 3 2026-09-09 09:00",
        ),
        (
            "recurrenceType=local|wk occurrenceCount=2",
            "1 2026-09-07 09:00, 2 2026-09-14 09:00",
        ),
        (
            "recurrenceType=wk occurrenceCount=4 \
             weeklyTemplate(monday=true tuesday=false thursday=true weekInterval=2)",
            "1 2026-09-07 09:00, 2 2026-09-10 09:00, 3 2026-09-21 09:00, 4 2026-09-24 09:00",
        ),
        (
            "recurrenceType=wk lastOccurrenceDate=2026-09-21 weeklyTemplate(weekInterval=1)",
            "1 2026-09-07 09:00, 2 2026-09-14 09:00, 3 2026-09-21 09:00",
        ),
        // Whichever comes first.
        (
            "recurrenceType=wk lastOccurrenceDate=2026-09-21 occurrenceCount=2",
            "1 2026-09-07 09:00, 2 2026-09-14 09:00",
        ),
        (
            "recurrenceType=mo occurrenceCount=3",
            "1 2026-09-07 09:00, 2 2026-10-07 09:00, 3 2026-11-07 09:00",
        ),
        (
            "recurrenceType=mo occurrenceCount=3 monthlyTemplate(dayOfMonth=31 monthInterval=1)",
            "1 2026-09-07 09:00, 2 2026-10-31 09:00, 3 2026-12-31 09:00",
        ),
        (
            "recurrenceType=mo occurrenceCount=3 \
             monthlyTemplate(nthWeekOfMonth=first dayOfWeek=mon monthInterval=2)",
            "1 2026-09-07 09:00, 2 2026-11-02 09:00, 3 2027-01-04 09:00",
        ),
        (
            "recurrenceType=mo occurrenceCount=3 \
             monthlyTemplate(nthWeekOfMonth=last dayOfWeek=sun monthInterval=1)",
            "1 2026-09-07 09:00, 2 2026-09-27 09:00, 3 2026-10-25 09:00",
        ),
        (
            "recurrenceType=a occurrenceCount=3 yearlyTemplate(yearInterval=2)",
            "1 2026-09-07 09:00, 2 2028-09-07 09:00, 3 2030-09-07 09:00",
        ),
        (
            "recurrenceType=wk occurrenceCount=5 excludingDate=2026-09-14 excludingDate=2026-10-05 \
             excludingRecurrenceId=3",
            "1 2026-09-07 09:00, 4 2026-09-28 09:00",
        ),
        (
            "recurrenceType=d occurrenceDate=2026-09-10 occurrenceDate=2026-09-08",
            "1 2026-09-07 09:00, 2 2026-09-08 09:00, 3 2026-09-10 09:00",
        ),
        (
            "recurrenceType=wk occurrenceCount=2 occurrenceDate=2026-09-07 \
             occurrenceDate=2026-09-08 lastOccurrenceDate=2026-09-08",
            "1 2026-09-07 09:00, 2 2026-09-08 09:00",
        ),
    ] {
        let recurrence = template(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        let zone = zone(NEW_YORK);
        let found = recurrence.expand(instant("2026-09-07T09:00", &zone), &zone, MOST);
        let shown: Vec<String> = found
            .iter()
            .zip(show(&found))
            .map(|(entry, text)| format!("{} {text}", entry.number))
            .collect();
        assert_eq!(shown.join(", "), expected, "{text}");
    }
}

#[test]
fn its_own_zone_counts() {
    let recurrence =
        template("timezone=Europe/Berlin recurrenceType=wk occurrenceCount=2").unwrap();
    assert_eq!(recurrence.zone(), Some(&zone("Europe/Berlin")));
    let zone = zone(NEW_YORK);
    let first = instant("2026-10-19T07:00:00Z", &zone);
    let found = recurrence.expand(first, &zone, 10);
    assert_eq!(show(&found), ["2026-10-19 09:00", "2026-10-26 09:00"]);
    assert_eq!(instants(&found), ["2026-10-19T07:00Z", "2026-10-26T08:00Z"]);
}

#[test]
fn templates_that_are_wrong() {
    for (text, why) in [
        ("", "recurrenceTemplate.recurrenceType is missing"),
        (
            "recurrenceType=weekly",
            "recurrenceTemplate.recurrenceType: 'weekly' is none of the UCUM codes d, wk, mo, a",
        ),
        (
            "recurrenceType=d dailyTemplate()",
            "recurrenceTemplate.dailyTemplate is not known",
        ),
        (
            "recurrenceType=d recurrenceType=d",
            "recurrenceTemplate.recurrenceType is there twice",
        ),
        (
            "recurrenceType=wk monthlyTemplate(monthInterval=1)",
            "recurrenceTemplate.monthlyTemplate does not go with the recurrenceType",
        ),
        (
            "recurrenceType=d weeklyTemplate(monday=true)",
            "recurrenceTemplate.weeklyTemplate does not go with the recurrenceType",
        ),
        (
            "recurrenceType=wk weeklyTemplate(montag=true)",
            "recurrenceTemplate.weeklyTemplate.montag is not known",
        ),
        (
            "recurrenceType=wk weeklyTemplate(monday=1)",
            "recurrenceTemplate.weeklyTemplate.monday: a valueBoolean is needed",
        ),
        (
            "recurrenceType=wk weeklyTemplate(weekInterval=0)",
            "recurrenceTemplate.weeklyTemplate.weekInterval: a valuePositiveInt from 1 to 9999 \
             is needed",
        ),
        (
            "recurrenceType=mo monthlyTemplate(dayOfMonth=3)",
            "recurrenceTemplate.monthlyTemplate.monthInterval is missing",
        ),
        (
            "recurrenceType=mo monthlyTemplate(dayOfMonth=32 monthInterval=1)",
            "recurrenceTemplate.monthlyTemplate.dayOfMonth: a valuePositiveInt from 1 to 31 is \
             needed",
        ),
        (
            "recurrenceType=mo monthlyTemplate(dayOfMonth=3 dayOfWeek=mon monthInterval=1)",
            "recurrenceTemplate.monthlyTemplate has either dayOfMonth or nthWeekOfMonth and \
             dayOfWeek",
        ),
        (
            "recurrenceType=mo monthlyTemplate(dayOfWeek=mon monthInterval=1)",
            "recurrenceTemplate.monthlyTemplate.nthWeekOfMonth and \
             recurrenceTemplate.monthlyTemplate.dayOfWeek need each other",
        ),
        (
            "recurrenceType=mo monthlyTemplate(nthWeekOfMonth=fifth dayOfWeek=mon monthInterval=1)",
            "recurrenceTemplate.monthlyTemplate.nthWeekOfMonth: 'fifth' is none of first, second, \
             third, fourth, last",
        ),
        (
            "recurrenceType=mo monthlyTemplate(nthWeekOfMonth=last dayOfWeek=MO monthInterval=1)",
            "recurrenceTemplate.monthlyTemplate.dayOfWeek: 'MO' is none of mon, tue, wed, thu, \
             fri, sat, sun",
        ),
        (
            "recurrenceType=a yearlyTemplate()",
            "recurrenceTemplate.yearlyTemplate.yearInterval is missing",
        ),
        (
            "recurrenceType=d occurrenceCount=1001",
            "recurrenceTemplate.occurrenceCount: a valuePositiveInt from 1 to 1000 is needed",
        ),
        (
            "recurrenceType=d occurrenceCount=1.5",
            "recurrenceTemplate.occurrenceCount: a valuePositiveInt from 1 to 1000 is needed",
        ),
        (
            "recurrenceType=d lastOccurrenceDate=2026-12",
            "recurrenceTemplate.lastOccurrenceDate: a valueDate with month and day is needed",
        ),
        (
            "recurrenceType=d excludingDate=2026-02-30",
            "recurrenceTemplate.excludingDate: a valueDate with month and day is needed",
        ),
        (
            "recurrenceType=d excludingRecurrenceId=0",
            "recurrenceTemplate.excludingRecurrenceId: a valuePositiveInt is needed",
        ),
        (
            "recurrenceType=d timezone=Europe/Atlantis",
            "recurrenceTemplate.timezone: 'Europe/Atlantis' is no IANA time zone",
        ),
        (
            "recurrenceType=wk occurrenceDate=2026-09-08 weeklyTemplate(monday=true)",
            "recurrenceTemplate.occurrenceDate is for series without a weekly, monthly or yearly \
             template",
        ),
        (
            "recurrenceType=d occurrenceDate=2026-09-08 occurrenceCount=3",
            "recurrenceTemplate.occurrenceCount is 3, but there are 1 of occurrenceDate",
        ),
        (
            "recurrenceType=d occurrenceDate=2026-09-08 lastOccurrenceDate=2026-09-07",
            "recurrenceTemplate.occurrenceDate: 2026-09-08 is after the lastOccurrenceDate \
             2026-09-07",
        ),
    ] {
        assert_eq!(template(text), Err(why.to_owned()), "{text}");
    }
    for (json, why) in [
        (
            r#"{"extension":[{"valueDate":"2026-01-01"}]}"#,
            "recurrenceTemplate: an extension has no url",
        ),
        (
            r#"{"valueString":"x"}"#,
            "recurrenceTemplate.recurrenceType is missing",
        ),
        (
            r#"{"extension":[{"url":"recurrenceType","valueCode":"d"}]}"#,
            "recurrenceTemplate.recurrenceType: a valueCodeableConcept with a code is needed",
        ),
        (
            r#"{"extension":[{"url":"recurrenceType","valueCodeableConcept":{"text":"d"}}]}"#,
            "recurrenceTemplate.recurrenceType: a valueCodeableConcept with a code is needed",
        ),
    ] {
        let doc = Doc::parse(json).unwrap();
        assert_eq!(
            Recurrence::template(doc.root()),
            Err(why.to_owned()),
            "{json}"
        );
    }
    let many = "excludingDate=2026-01-01 ".repeat(1_001);
    assert_eq!(
        template(&format!("recurrenceType=d {many}")).unwrap_err(),
        "recurrenceTemplate.excludingDate is there more than 1000 times"
    );
}
