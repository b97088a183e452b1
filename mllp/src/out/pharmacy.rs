//! Prescriptions: MedicationRequests as RDE^O11, OMP^O09 or ORM^O01.

use bytes::Bytes;
use serde_json::Value as Json;

use super::{
    Destination, Pharmacy, Related,
    fields::{Row, fill, many, one},
    json::{all, first, text, value},
    order::{Control, Timing, about, orc},
    patient::{notes, texts},
    types::{self, Scope},
};
use crate::write::{Composite, SegmentWriter, Writer};

/// A message for a MedicationRequest, as the destination takes it.
pub fn prescription(
    to: &Destination,
    control_id: &str,
    time: i64,
    control: Control,
    request: &Json,
    related: &Related<'_>,
) -> Bytes {
    let kind = match to.forms.pharmacy {
        Pharmacy::Rde if to.version() < crate::ack::Version(2, 4, 0) => ["RDE", "O01", "RDE_O01"],
        Pharmacy::Rde => ["RDE", "O11", "RDE_O11"],
        Pharmacy::Omp => ["OMP", "O09", "OMP_O09"],
        Pharmacy::Orm => ["ORM", "O01", "ORM_O01"],
    };
    let mut writer = to.begin(control_id, time, kind);
    let scope = Scope {
        to,
        related,
        resource: request,
    };
    about(&mut writer, &scope);
    let timings = timings(&scope);
    let with_tq1 = !to.is_old() && to.forms.pharmacy != Pharmacy::Orm;
    let first_timing = timings.first();
    orc(
        &mut writer,
        &scope,
        control,
        time,
        first_timing.filter(|_| !with_tq1),
    );
    let times = |writer: &mut Writer| {
        for timing in timings.iter().filter(|_| with_tq1) {
            timing.segment(writer);
        }
    };
    match to.forms.pharmacy {
        Pharmacy::Rde => {
            rxe(&mut writer, &scope, first_timing);
            remarks(&mut writer, request);
            times(&mut writer);
        }
        Pharmacy::Omp | Pharmacy::Orm => {
            times(&mut writer);
            rxo(&mut writer, &scope);
            remarks(&mut writer, request);
        }
    }
    rxr(&mut writer, &scope);
    rxc(&mut writer, &scope);
    writer.finish()
}

/// The first dosage is in RXE or RXO; texts of the others would be lost.
fn remarks(writer: &mut Writer, request: &Json) {
    let others = all(request, "dosageInstruction").skip(1);
    let others = others.map(|dosage| value(dosage, "text"));
    let notes_of = texts(request, "note.text");
    let for_patient =
        all(request, "dosageInstruction").map(|dosage| value(dosage, "patientInstruction"));
    notes(writer, others.chain(for_patient).chain(notes_of));
}

fn timings(scope: &Scope<'_>) -> Vec<Timing> {
    let request = scope.resource;
    let mut timings: Vec<Timing> = all(request, "dosageInstruction")
        .map(|dosage| {
            let mut timing = Timing {
                priority: priority(request, dosage).to_owned(),
                said: value(dosage, "text"),
                ..Timing::default()
            };
            if let Some(found) = first(dosage, "timing") {
                timing.repeat(scope, found);
            }
            if timing.start.is_empty() {
                let path = "dispenseRequest.validityPeriod.start";
                timing.start = types::time(text(request, path), &scope.to.zone);
            }
            timing
        })
        .collect();
    timings.retain(|timing| !timing.is_empty());
    timings
}

fn priority(request: &Json, dosage: &Json) -> &'static str {
    let needed = first(dosage, "asNeededBoolean").and_then(Json::as_bool) == Some(true);
    match needed || first(dosage, "asNeededCodeableConcept").is_some() {
        true => "PRN",
        false => super::codes::of(super::codes::PRIORITY, text(request, "priority")),
    }
}

/// What is given: of the request itself, or of its Medication.
fn give_code(scope: &Scope<'_>) -> Composite {
    let request = scope.resource;
    if let Some(code) = first(request, "medicationCodeableConcept") {
        return types::cwe(scope, code);
    }
    let Some(reference) = first(request, "medicationReference") else {
        return Composite::new();
    };
    match scope
        .resolve(reference)
        .and_then(|medication| first(medication, "code"))
    {
        Some(code) => types::cwe(scope, code),
        None => Composite::of(&["", text(reference, "display")]),
    }
}

/// The form of the Medication.
fn dose_form(scope: &Scope<'_>) -> Composite {
    let reference = first(scope.resource, "medicationReference");
    let medication = reference.and_then(|reference| scope.resolve(reference));
    let form = medication.and_then(|medication| first(medication, "form"));
    form.map(|form| types::cwe(scope, form)).unwrap_or_default()
}

const LEAST: &str = "dosageInstruction.doseAndRate.doseRange.low";
const MOST: &str = "dosageInstruction.doseAndRate.doseRange.high";
const DOSE: &str = "dosageInstruction.doseAndRate.doseQuantity";

/// The fields of a dose, from the least amount on: amounts, units.
fn dose(segment: &mut SegmentWriter<'_>, scope: &Scope<'_>, from: usize) {
    let request = scope.resource;
    let quantity = [DOSE, LEAST, MOST]
        .into_iter()
        .find_map(|path| first(request, path));
    let amount = |path: &str| value(request, &format!("{path}.value"));
    let least = match amount(DOSE) {
        amount_of if amount_of.is_empty() => amount(LEAST),
        amount_of => amount_of,
    };
    // Required; nobody said how much.
    let least = if least.is_empty() {
        "0".to_owned()
    } else {
        least
    };
    segment.text(from, &least).text(from + 1, &amount(MOST));
    match quantity {
        Some(quantity) => segment.repeat(from + 2, &types::unit(scope, quantity)),
        None => segment.components(from + 2, &["", "as directed"]),
    };
}

const RXE: &[Row] = &[
    one(7, "dosageInstruction.text", instruction),
    one(10, "dispenseRequest.quantity.value", types::st),
    one(11, "dispenseRequest.quantity", types::unit),
    one(12, "dispenseRequest.numberOfRepeatsAllowed", types::st),
    one(13, "requester", types::xcn),
    many(27, "reasonCode", types::cwe),
];

/// A text as CWE.
fn instruction(_: &Scope<'_>, json: &Json) -> Composite {
    Composite::of(&["", json.as_str().unwrap_or("")])
}

fn rxe(writer: &mut Writer, scope: &Scope<'_>, timing: Option<&Timing>) {
    let (code, form) = (give_code(scope), dose_form(scope));
    let mut rxe = writer.segment("RXE");
    fill(&mut rxe, RXE, scope, scope.resource);
    if scope.to.is_old()
        && let Some(timing) = timing
    {
        rxe.repeat(1, &timing.quantity());
    }
    rxe.repeat(2, &code);
    dose(&mut rxe, scope, 3);
    rxe.repeat(6, &form).text(9, substitution(scope.resource));
}

/// Table 0167.
fn substitution(request: &Json) -> &'static str {
    match first(request, "substitution.allowedBoolean").and_then(Json::as_bool) {
        Some(true) => "G",
        Some(false) => "N",
        None => "",
    }
}

const RXO: &[Row] = &[
    one(6, "dosageInstruction.text", instruction),
    one(11, "dispenseRequest.quantity.value", types::st),
    one(12, "dispenseRequest.quantity", types::unit),
    one(13, "dispenseRequest.numberOfRepeatsAllowed", types::st),
    one(14, "requester", types::xcn),
    many(20, "reasonCode", types::cwe),
];

fn rxo(writer: &mut Writer, scope: &Scope<'_>) {
    let (code, form) = (give_code(scope), dose_form(scope));
    let mut rxo = writer.segment("RXO");
    fill(&mut rxo, RXO, scope, scope.resource);
    rxo.repeat(1, &code);
    dose(&mut rxo, scope, 2);
    rxo.repeat(5, &form).text(9, substitution(scope.resource));
}

const RXR: &[Row] = &[
    one(1, "route", types::cwe),
    one(2, "site", types::cwe),
    one(4, "method", types::cwe),
];

/// One for each way; one at least, which is required.
fn rxr(writer: &mut Writer, scope: &Scope<'_>) {
    let dosages = all(scope.resource, "dosageInstruction");
    let ways: Vec<&Json> = dosages
        .filter(|dosage| first(dosage, "route").is_some())
        .collect();
    let mut written: Vec<(Option<&Json>, Option<&Json>)> = Vec::new();
    for way in &ways {
        let one = (first(way, "route"), first(way, "site"));
        if !written.contains(&one) {
            written.push(one);
            fill(&mut writer.segment("RXR"), RXR, scope, way);
        }
    }
    if ways.is_empty() {
        writer
            .segment("RXR")
            .components(1, &["OTH", "Other/Miscellaneous", "HL70162"]);
    }
}

/// One for each ingredient of a Medication that has several.
fn rxc(writer: &mut Writer, scope: &Scope<'_>) {
    let reference = first(scope.resource, "medicationReference");
    let Some(medication) = reference.and_then(|reference| scope.resolve(reference)) else {
        return;
    };
    let ingredients: Vec<&Json> = all(medication, "ingredient").collect();
    if ingredients.len() < 2 {
        return;
    }
    for ingredient in ingredients {
        let mut rxc = writer.segment("RXC");
        let active = first(ingredient, "isActive").and_then(Json::as_bool);
        rxc.text(1, if active == Some(false) { "B" } else { "A" });
        if let Some(item) = first(ingredient, "itemCodeableConcept") {
            rxc.repeat(2, &types::cwe(scope, item));
        }
        rxc.text(3, &value(ingredient, "strength.numerator.value"));
        if let Some(strength) = first(ingredient, "strength.numerator") {
            rxc.repeat(4, &types::unit(scope, strength));
        }
    }
}
