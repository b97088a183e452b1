//! Queries: patients by what is known of them (Q22), a patient's numbers elsewhere (Q23), and a
//! patient's appointments.

use bytes::Bytes;
use mllp::{
    ack::{Code, Problem},
    message::Value,
    write::{Composite, Writer},
};
use resources::model::ResourceType;
use serde_json::Value as Json;

use super::{
    Lost,
    identity::{Identifier, json_of},
    work::Work,
};

/// What a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Patients who match.
    Candidates,
    /// The other identifiers of a patient.
    Identifiers,
    /// Appointments of a patient.
    Appointments,
}

/// Queries by the event of MSH-9, or by the name in QPD-1, and the event and structure of the
/// answer.
const QUERIES: &[(&str, Asked, &str, &str)] = &[
    ("Q22", Asked::Candidates, "K22", "RSP_K21"),
    ("Q21", Asked::Candidates, "K21", "RSP_K21"),
    ("Q23", Asked::Identifiers, "K23", "RSP_K23"),
    ("Q11", Asked::Appointments, "K11", "RSP_K11"),
];

/// Parameters of QPD-3, and what searches by them.
const PARAMETERS: &[(&str, &str)] = &[
    ("PID.3.1", "identifier"),
    ("PID.3", "identifier"),
    ("PID.5.1.1", "family"),
    ("PID.5.1", "family"),
    ("PID.5.2", "given"),
    ("PID.7.1", "birthdate"),
    ("PID.7", "birthdate"),
    ("PID.8", "gender"),
    ("PID.11.3", "address-city"),
    ("PID.11.5", "address-postalcode"),
    ("PID.13.1", "phone"),
];

/// Matches that are answered if the query does not say how many.
const MOST: usize = 50;

/// The state of an answer (QAK-2).
struct Outcome {
    status: &'static str,
    total: usize,
    problems: Vec<Problem>,
}

impl Outcome {
    /// QPD-3 names nobody.
    fn unknown_patient() -> Self {
        let problem = Problem::error("QPD-3", "204", "no patient has this identifier");
        Self {
            status: "AE",
            total: 0,
            problems: vec![problem],
        }
    }
}

impl Work<'_> {
    /// QBP.
    pub async fn query(&mut self) -> Result<(), Lost> {
        for item in &mut self.items {
            item.is_left_out = true;
        }
        let Some(qpd) = self.message.first("QPD") else {
            return Err(super::work::content(
                "QPD",
                "100",
                "the segment with the query is missing",
            ));
        };
        let event = self.event();
        let name = qpd.field(1).component(1).text().into_owned();
        let known = QUERIES.iter().find(|(own, ..)| *own == event);
        let known = known.or_else(|| QUERIES.iter().find(|(own, ..)| *own == name));
        let Some((_, asked, answer, structure)) = known else {
            let names: Vec<&str> = QUERIES.iter().map(|(name, ..)| *name).collect();
            let text = format!(
                "this query is not answered here; these are: {}",
                names.join(", ")
            );
            return Err(super::work::content("QPD-1", "201", text));
        };
        let most = self.message.first("RCP").and_then(|rcp| {
            let text = rcp.field(2).component(1).text();
            text.trim().parse::<usize>().ok()
        });
        let most = most.unwrap_or(MOST).clamp(1, MOST);
        let mut rows: Vec<Json> = Vec::new();
        let outcome = match asked {
            Asked::Candidates => self.candidates(qpd.field(3), &mut rows).await?,
            Asked::Identifiers => self.others(qpd.field(3), qpd.field(4), &mut rows).await?,
            Asked::Appointments => self.appointments(qpd.field(3), &mut rows).await?,
        };
        rows.truncate(most);
        self.answer = Some(self.respond(&outcome, &rows, (answer, structure)));
        Ok(())
    }

    async fn candidates(&self, wanted: Value<'_>, rows: &mut Vec<Json>) -> Result<Outcome, Lost> {
        let mut params: Vec<(String, String)> = Vec::new();
        let mut problems = Vec::new();
        for one in wanted.repetitions() {
            let name = one.component(1).text().into_owned();
            let value = one.component(2).text().into_owned();
            if value.is_empty() {
                continue;
            }
            let key = name.trim_start_matches('@');
            let Some((_, param)) = PARAMETERS.iter().find(|(own, _)| *own == key) else {
                let text = format!("nothing is searched by {name}; the others are");
                problems.push(Problem::warning("QPD-3", "103", text));
                continue;
            };
            let value = match *param {
                "birthdate" => dashed(&value),
                "gender" => match value.as_str() {
                    "M" => "male".to_owned(),
                    "F" => "female".to_owned(),
                    "O" | "A" => "other".to_owned(),
                    _ => "unknown".to_owned(),
                },
                _ => super::identity::escaped(value.trim_end_matches('*')),
            };
            params.push(((*param).to_owned(), value));
        }
        if params.is_empty() {
            let text = "the query names nothing that patients are searched by";
            problems.push(Problem::error("QPD-3", "101", text));
            return Ok(Outcome {
                status: "AE",
                total: 0,
                problems,
            });
        }
        let params: Vec<(&str, &str)> = params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let found = self
            .matching(ResourceType::PATIENT, &params, MOST + 1)
            .await?;
        let found = found.iter().map(json_of);
        rows.extend(found.filter(|one| super::identity::replaced_by(one).is_none()));
        Ok(Outcome {
            status: if rows.is_empty() { "NF" } else { "OK" },
            total: rows.len(),
            problems,
        })
    }

    async fn others(
        &self,
        number: Value<'_>,
        wanted: Value<'_>,
        rows: &mut Vec<Json>,
    ) -> Result<Outcome, Lost> {
        let numbers = self.identifiers_of(number);
        let Some(found) = self.find_patient(&numbers, "QPD-3").await? else {
            return Ok(Outcome::unknown_patient());
        };
        // The domains are as those of identifiers: `^^^NATID`.
        let mut domains: Vec<String> = Vec::new();
        for one in wanted.repetitions() {
            let raw = format!("x{}", one.raw());
            let mapped = self.map_field(("ADT", "A08"), "PID", 3, &raw);
            let patient = mapped
                .iter()
                .find(|item| item.kind == ResourceType::PATIENT);
            domains.extend(
                patient
                    .map(|item| Identifier::all(&item.made))
                    .into_iter()
                    .flatten()
                    .map(|one| one.system),
            );
        }
        let mut patient = json_of(&found);
        if let Some(Json::Array(all)) = patient.get_mut("identifier") {
            all.retain(|one| {
                Identifier::of(one).is_some_and(|one| {
                    !one.is_old
                        && !numbers
                            .iter()
                            .any(|own| own.system == one.system && own.value == one.value)
                        && (domains.is_empty() || domains.contains(&one.system))
                })
            });
            if all.is_empty() {
                return Ok(Outcome {
                    status: "NF",
                    total: 0,
                    problems: Vec::new(),
                });
            }
        }
        rows.push(patient);
        Ok(Outcome {
            status: "OK",
            total: 1,
            problems: Vec::new(),
        })
    }

    async fn appointments(&self, number: Value<'_>, rows: &mut Vec<Json>) -> Result<Outcome, Lost> {
        let numbers = self.identifiers_of(number);
        let Some(found) = self.find_patient(&numbers, "QPD-3").await? else {
            return Ok(Outcome::unknown_patient());
        };
        let patient = format!("Patient/{}", found.id);
        let params = [
            ("patient", patient.as_str()),
            ("status", "booked,pending,arrived,checked-in"),
        ];
        let found = self
            .matching(ResourceType::APPOINTMENT, &params, MOST + 1)
            .await?;
        rows.extend(found.iter().map(json_of));
        Ok(Outcome {
            status: if rows.is_empty() { "NF" } else { "OK" },
            total: rows.len(),
            problems: Vec::new(),
        })
    }

    fn respond(&self, outcome: &Outcome, rows: &[Json], (event, structure): (&str, &str)) -> Bytes {
        let code = match outcome.status {
            "AE" => Code::AE,
            _ => Code::AA,
        };
        let mut writer = self.reply(&["RSP", event, structure], code, &outcome.problems);
        let qpd = self.message.first("QPD");
        let own = |number: usize| qpd.map_or("", |qpd| qpd.field(number).raw());
        let mut qak = writer.segment("QAK");
        qak.raw(1, own(2)).text(2, outcome.status).raw(3, own(1));
        qak.text(4, &outcome.total.to_string())
            .text(5, &rows.len().to_string())
            .text(6, &outcome.total.saturating_sub(rows.len()).to_string());
        drop(qak);
        let mut echo = writer.segment("QPD");
        for number in 1..=qpd.map_or(0, |qpd| qpd.fields()) {
            echo.raw(number, own(number));
        }
        drop(echo);
        for (number, row) in rows.iter().enumerate() {
            match row.get("resourceType").and_then(Json::as_str) {
                Some("Patient") => pid(&mut writer, number + 1, row),
                _ => sch(&mut writer, row),
            }
        }
        writer.finish()
    }
}

fn dashed(date: &str) -> String {
    match date.len() {
        8.. => format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..8]),
        6 | 7 => format!("{}-{}", &date[..4], &date[4..6]),
        _ => date.to_owned(),
    }
}

fn text<'j>(json: &'j Json, path: &str) -> &'j str {
    json.pointer(path)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

/// The authority of a system: its name here, or its OID.
fn authority(system: &str) -> (String, String) {
    match system.strip_prefix("urn:oid:") {
        Some(oid) => (String::new(), oid.to_owned()),
        None => (
            system.rsplit(':').next().unwrap_or_default().to_owned(),
            String::new(),
        ),
    }
}

fn identifier(json: &Json) -> Option<Composite> {
    let one = Identifier::of(json)?;
    let (name, oid) = authority(&one.system);
    let shown = text(json, "/assigner/display");
    let name = if name.is_empty() {
        shown.to_owned()
    } else {
        name
    };
    let mut value = Composite::new();
    value.set(1, &one.value).sub(4, 1, &name);
    if !oid.is_empty() {
        value.sub(4, 2, &oid).sub(4, 3, "ISO");
    }
    value.set(5, &one.kind);
    Some(value)
}

fn pid(writer: &mut Writer, number: usize, patient: &Json) {
    let list = |name: &str| {
        patient
            .get(name)
            .and_then(Json::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut pid = writer.segment("PID");
    pid.text(1, &number.to_string());
    for one in list("identifier").iter().filter_map(identifier) {
        pid.repeat(3, &one);
    }
    for name in list("name") {
        let mut value = Composite::new();
        value
            .set(1, text(&name, "/family"))
            .set(2, text(&name, "/given/0"))
            .set(3, text(&name, "/given/1"))
            .set(5, text(&name, "/prefix/0"));
        pid.repeat(5, &value);
    }
    pid.text(7, &text(patient, "/birthDate").replace('-', ""));
    pid.text(
        8,
        match text(patient, "/gender") {
            "male" => "M",
            "female" => "F",
            "other" => "O",
            "unknown" => "U",
            _ => "",
        },
    );
    for address in list("address") {
        let mut value = Composite::new();
        value
            .set(1, text(&address, "/line/0"))
            .set(2, text(&address, "/line/1"))
            .set(3, text(&address, "/city"))
            .set(4, text(&address, "/state"))
            .set(5, text(&address, "/postalCode"))
            .set(6, text(&address, "/country"));
        pid.repeat(11, &value);
    }
    for telecom in list("telecom")
        .iter()
        .filter(|one| text(one, "/use") != "work")
    {
        let mut value = Composite::new();
        value.set(1, text(telecom, "/value"));
        pid.repeat(13, &value);
    }
}

fn sch(writer: &mut Writer, appointment: &Json) {
    let list = appointment
        .get("identifier")
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default();
    let of = |kind: &str| {
        list.iter()
            .filter_map(Identifier::of)
            .find(|one| one.kind == kind)
    };
    let mut sch = writer.segment("SCH");
    for (field, kind) in [(1, "PLAC"), (2, "FILL")] {
        match of(kind) {
            Some(one) => {
                sch.components(field, &[&one.value, &authority(&one.system).0]);
            }
            None if kind == "FILL" => {
                sch.components(field, &[text(appointment, "/id"), "ROTUNDA"]);
            }
            None => {}
        }
    }
    let status = match text(appointment, "/status") {
        "booked" => "Booked",
        "pending" => "Pending",
        "cancelled" => "Cancelled",
        "checked-in" | "arrived" => "Started",
        other => other,
    };
    sch.components(25, &[status, status, "HL70278"]);
    drop(sch);
    let mut tq1 = writer.segment("TQ1");
    tq1.text(1, "1")
        .text(7, &super::siu::dtm(text(appointment, "/start")))
        .text(8, &super::siu::dtm(text(appointment, "/end")));
}
