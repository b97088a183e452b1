//! Records of patients as NDJSON, to be imported: what somebody who sees one patient, or those in
//! their care, costs among many others.

use std::io::{self, Write};

use clap::Parser;

use crate::data::{self, Rng};

/// Writes the resources of many patients, one a line. Each has the same: 43 Observations over
/// three years, three Encounters and two Conditions, and a CareTeam; `p7` has three more
/// Observations of a code that nobody else has (`rare-1`). The patient `big` has 20,000
/// Observations. The Practitioners are `d0`, `d1` and so on.
#[derive(Debug, Parser)]
pub struct Options {
    /// Patients: with 40,000 there are 2,020,000 resources
    #[arg(long, default_value_t = 2_000)]
    pub patients: usize,
    /// Patients in the care of one Practitioner by Encounters; by CareTeams as many again
    #[arg(long, default_value_t = 200)]
    pub in_care: usize,
}

const CODES: [&str; 20] = [
    "8867-4", "8480-6", "8462-4", "29463-7", "8302-2", "2339-0", "2093-3", "2571-8", "718-7",
    "6690-2", "777-3", "4548-4", "2160-0", "3094-0", "2951-2", "2823-3", "17861-6", "1742-6",
    "1920-8", "59408-5",
];
const OF_BIG: usize = 20_000;
const OF_EACH: usize = 43;

struct Records<W> {
    out: W,
    rng: Rng,
    carers: usize,
}

/// Writes all of it.
///
/// # Errors
/// The output cannot be written.
pub fn write(options: &Options, out: impl Write) -> io::Result<()> {
    let mut records = Records {
        out,
        rng: Rng::new(7),
        carers: (options.patients / options.in_care.max(1)).max(1),
    };
    let ids: Vec<String> = (0..options.patients).map(|at| format!("p{at}")).collect();
    for at in 0..records.carers {
        writeln!(
            records.out,
            r#"{{"resourceType":"Practitioner","id":"d{at}","name":[{{"family":"{}"}}]}}"#,
            data::family(at)
        )?;
    }
    let all: Vec<&str> = ids.iter().map(String::as_str).chain(["big"]).collect();
    for (at, id) in all.iter().enumerate() {
        records.patient(at, id)?;
    }
    // By time, as they come about: those of one patient lie far apart.
    for nth in 0..3 {
        for (at, id) in all.iter().enumerate() {
            records.encounter(at, id, nth)?;
        }
    }
    for nth in 0..OF_EACH {
        for (at, id) in ids.iter().enumerate() {
            let code = CODES[records.rng.below(CODES.len())];
            records.observation((at, id), nth, nth * 25, code)?;
        }
        let (from, to) = (nth * OF_BIG / OF_EACH, (nth + 1) * OF_BIG / OF_EACH);
        for part in from..to {
            let code = CODES[records.rng.below(CODES.len())];
            records.observation((options.patients, "big"), part, nth * 25, code)?;
        }
    }
    for part in 0..3 {
        records.observation((7, "p7"), OF_EACH + part, 1_080 + part, "rare-1")?;
    }
    records.out.flush()
}

impl<W: Write> Records<W> {
    fn patient(&mut self, at: usize, id: &str) -> io::Result<()> {
        let family = data::family(at * 37);
        let gender = ["female", "male"][at % 2];
        writeln!(
            self.out,
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"system":"urn:mrn","value":"{id}"}}],"name":[{{"family":"{family}"}}],"gender":"{gender}"}}"#
        )?;
        let carers = [at % self.carers, at / self.carers % self.carers];
        let members =
            carers.map(|carer| format!(r#"{{"member":{{"reference":"Practitioner/d{carer}"}}}}"#));
        writeln!(
            self.out,
            r#"{{"resourceType":"CareTeam","id":"t-{id}","subject":{{"reference":"Patient/{id}"}},"participant":[{}]}}"#,
            members.join(",")
        )
    }

    fn encounter(&mut self, at: usize, id: &str, nth: usize) -> io::Result<()> {
        let start = time(nth * 360 + at % 30);
        writeln!(
            self.out,
            r#"{{"resourceType":"Encounter","id":"e-{id}-{nth}","status":"finished","class":{{"code":"AMB"}},"subject":{{"reference":"Patient/{id}"}},"participant":[{{"individual":{{"reference":"Practitioner/d{}"}}}}],"period":{{"start":"{start}"}}}}"#,
            at % self.carers
        )?;
        if nth == 2 {
            return Ok(());
        }
        writeln!(
            self.out,
            r#"{{"resourceType":"Condition","id":"c-{id}-{nth}","clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}},"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"{}"}}]}},"subject":{{"reference":"Patient/{id}"}},"onsetDateTime":"{start}"}}"#,
            1_000 + self.rng.below(10)
        )
    }

    fn observation(
        &mut self,
        (at, id): (usize, &str),
        nth: usize,
        day: usize,
        code: &str,
    ) -> io::Result<()> {
        let carer = at % self.carers;
        let value = 40 + self.rng.below(160);
        writeln!(
            self.out,
            r#"{{"resourceType":"Observation","id":"o-{id}-{nth}","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},"subject":{{"reference":"Patient/{id}"}},"encounter":{{"reference":"Encounter/e-{id}-{}"}},"effectiveDateTime":"{}","performer":[{{"reference":"Practitioner/d{carer}"}}],"valueQuantity":{{"value":{value},"system":"http://unitsofmeasure.org","code":"mmol/L"}}}}"#,
            nth % 3,
            time(day + at % 20)
        )
    }
}

/// Eight o'clock on a day from 2023-12-01 on, all months taken to have 28 days.
fn time(day: usize) -> String {
    let month = 11 + day / 28;
    format!(
        "{}-{:02}-{:02}T08:00:00Z",
        2023 + month / 12,
        1 + month % 12,
        1 + day % 28
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_is_said_each_with_an_id_of_its_own() {
        let mut text = Vec::new();
        let options = Options {
            patients: 100,
            in_care: 10,
        };
        write(&options, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut ids: Vec<String> = text
            .lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                format!("{} {}", value["resourceType"], value["id"])
            })
            .collect();
        assert_eq!(ids.len(), 10 + 101 * 7 + 100 * 43 + 20_000 + 3);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), text.lines().count());
    }
}
