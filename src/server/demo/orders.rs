//! What laboratory and radiology of the demo hospital have to do: the hospital's own orders are
//! all for the laboratory, and done.

use serde_json::{Value, json};

const SNOMED: &str = "http://snomed.info/sct";
const LOINC: &str = "http://loinc.org";
const REQUESTER: &str = "Practitioner/practitioner-01";
const RADIOLOGIST: &str = "Practitioner/demo-radiology";

/// Patients who wait for the laboratory, for radiology, and with images taken.
const LABORATORY: [u8; 2] = [1, 3];
const WAITING: [u8; 2] = [1, 5];
const EXAMINED: [u8; 3] = [2, 4, 7];

/// Orders, and of those for radiology that are done, images and reports.
pub(super) fn orders() -> impl Iterator<Item = Value> {
    let laboratory = LABORATORY.into_iter().map(|number| {
        let category = coded(SNOMED, "108252007", "Laboratory procedure");
        let code = coded(
            LOINC,
            "2160-0",
            "Creatinine [Mass/volume] in Serum or Plasma",
        );
        order("laboratory", number, "active", &category, &code)
    });
    let waiting = WAITING.into_iter().map(|number| imaging(number, "active"));
    let examined = EXAMINED
        .into_iter()
        .flat_map(|number| [imaging(number, "completed"), study(number), report(number)]);
    laboratory.chain(waiting).chain(examined)
}

fn imaging(number: u8, status: &str) -> Value {
    let category = coded(SNOMED, "363679005", "Imaging");
    order("imaging", number, status, &category, &chest())
}

fn order(department: &str, number: u8, status: &str, category: &Value, code: &Value) -> Value {
    json!({
        "resourceType": "ServiceRequest",
        "id": format!("demo-order-{department}-{number:02}"),
        "status": status,
        "intent": "order",
        "category": [category],
        "code": code,
        "subject": patient(number),
        "authoredOn": "2026-11-23T09:12:00-05:00",
        "requester": { "reference": REQUESTER },
    })
}

fn study(number: u8) -> Value {
    json!({
        "resourceType": "ImagingStudy",
        "id": format!("demo-study-{number:02}"),
        "status": "available",
        "basedOn": [based_on(number)],
        "subject": patient(number),
        "started": "2026-11-23T10:30:00-05:00",
        "numberOfSeries": 1,
        "numberOfInstances": 2,
        "description": "Chest, two views",
    })
}

fn report(number: u8) -> Value {
    json!({
        "resourceType": "DiagnosticReport",
        "id": format!("demo-imaging-report-{number:02}"),
        "status": "final",
        "basedOn": [based_on(number)],
        "category": [coded("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology")],
        "code": chest(),
        "subject": patient(number),
        "effectiveDateTime": "2026-11-23T10:30:00-05:00",
        "issued": "2026-11-23T11:45:00-05:00",
        "performer": [{ "reference": RADIOLOGIST }],
        "imagingStudy": [{ "reference": format!("ImagingStudy/demo-study-{number:02}") }],
        "conclusion": "Heart and lungs without pathological findings.",
    })
}

fn chest() -> Value {
    coded(LOINC, "36643-5", "XR Chest 2 Views")
}

fn patient(number: u8) -> Value {
    json!({ "reference": format!("Patient/patient-{number:02}") })
}

fn based_on(number: u8) -> Value {
    json!({ "reference": format!("ServiceRequest/demo-order-imaging-{number:02}") })
}

fn coded(system: &str, code: &str, display: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code, "display": display }] })
}
