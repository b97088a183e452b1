//! Practitioners, their Schedules and patients, and the times that all of them want.

use rotunda::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::{
    door::Door,
    fixture::{Fixture, START},
};

pub const PARAMETERS: &str = "urn:rotunda:StructureDefinition:scheduling-parameters";
pub const MINUTE: i64 = 60;
pub const DAY: i64 = 86_400;

/// A day on which everything is open, in UTC.
#[derive(Debug, Clone, Copy)]
pub struct Ward {
    /// Its first second.
    pub day: i64,
}

/// Start and end.
pub type Time = (i64, i64);

impl Ward {
    /// Three days after the tests' clock began.
    pub fn of(_: &Fixture) -> Self {
        Self {
            day: START / 1_000 + 3 * DAY,
        }
    }

    /// Three days from now.
    pub fn real() -> Self {
        let now = SystemClock::default().now() / 1_000;
        Self {
            day: now - now % DAY + 3 * DAY,
        }
    }

    /// The `n`th quarter of an hour from nine.
    pub fn time(&self, n: usize) -> Time {
        let start = self.day + 9 * 60 * MINUTE + n as i64 * 15 * MINUTE;
        (start, start + 15 * MINUTE)
    }

    /// `$find` for all of the day, and for `more`.
    pub fn find(&self, more: &str) -> String {
        let (start, end) = (instant(self.day), instant(self.day + DAY));
        format!("/Appointment/$find?start={start}&end={end}&_count=200&{more}")
    }

    /// Patients `t0` and so on.
    pub async fn patients(&self, door: &mut Door, many: usize) {
        for n in 0..many {
            let id = format!("t{n}");
            put(door, json!({ "resourceType": "Patient", "id": id })).await;
        }
    }

    /// Practitioner `p{name}` in the role `r{name}`, with Schedule `s{name}`.
    pub async fn practitioner(&self, door: &mut Door, name: &str, rules: &[Value]) {
        let practitioner = format!("p{name}");
        put(
            door,
            json!({ "resourceType": "Practitioner", "id": practitioner }),
        )
        .await;
        put(
            door,
            json!({
                "resourceType": "PractitionerRole", "id": format!("r{name}"),
                "practitioner": { "reference": format!("Practitioner/{practitioner}") },
                "code": [{ "coding": [{ "system": "http://t", "code": "doctor" }] }],
            }),
        )
        .await;
        self.schedule(
            door,
            &format!("s{name}"),
            &format!("PractitionerRole/r{name}"),
            rules,
        )
        .await;
    }

    /// A Schedule; without rules it has only the Slots that are posted.
    pub async fn schedule(&self, door: &mut Door, id: &str, actor: &str, rules: &[Value]) {
        let mut schedule = json!({
            "resourceType": "Schedule", "id": id, "actor": [{ "reference": actor }],
            "specialty": [{ "coding": [{ "system": "http://t", "code": "general" }] }],
        });
        if !rules.is_empty() {
            let mut parts = rules.to_vec();
            parts.push(always());
            schedule["extension"] = json!([{ "url": PARAMETERS, "extension": parts }]);
        }
        put(door, schedule).await;
    }

    /// Stored Slots `{prefix}{n}` of a Schedule, all free.
    pub async fn slots(&self, door: &mut Door, schedule: &str, prefix: &str, times: usize) {
        for n in 0..times {
            put(
                door,
                self.slot(schedule, &format!("{prefix}{n}"), n, "free"),
            )
            .await;
        }
    }

    pub fn slot(&self, schedule: &str, id: &str, n: usize, status: &str) -> Value {
        let (start, end) = self.time(n);
        json!({
            "resourceType": "Slot", "id": id, "status": status,
            "schedule": { "reference": format!("Schedule/{schedule}") },
            "start": instant(start), "end": instant(end),
        })
    }
}

/// Open at all times.
pub fn always() -> Value {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let mut parts: Vec<Value> = days
        .iter()
        .map(|day| json!({ "url": "daysOfWeek", "valueCode": day }))
        .collect();
    parts.push(json!({ "url": "allDay", "valueBoolean": true }));
    json!({ "url": "availableTime", "extension": parts })
}

/// A rule that is a number of minutes.
pub fn minutes(name: &str, minutes: i64) -> Value {
    json!({ "url": name, "valueDuration": {
        "value": minutes, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min",
    } })
}

/// An Appointment of a patient with others.
pub fn appointment(status: &str, (start, end): Time, patient: &str, with: &str) -> Value {
    let accepted =
        |reference: &str| json!({ "actor": { "reference": reference }, "status": "accepted" });
    json!({
        "resourceType": "Appointment", "status": status,
        "start": instant(start), "end": instant(end),
        "participant": [accepted(patient), accepted(with)],
    })
}

/// Parameters of references, by name.
pub fn references(given: &[(&str, &str)]) -> Value {
    let parameters: Vec<Value> = given
        .iter()
        .map(|(name, reference)| json!({ "name": name, "valueReference": { "reference": reference } }))
        .collect();
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

pub async fn put(door: &mut Door, resource: Value) {
    let kind = resource["resourceType"].as_str().unwrap();
    let path = format!("/{kind}/{}", resource["id"].as_str().unwrap());
    door.must("PUT", &path, resource).await;
}

pub fn instant(second: i64) -> String {
    resources::primitive::format_instant(second * 1_000)
}

/// The second of an instant.
pub fn second(instant: &Value) -> i64 {
    let range = resources::primitive::DateRange::parse(instant.as_str().unwrap());
    range.unwrap().lo / 1_000
}
