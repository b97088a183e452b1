//! Two patients: what A has points into what B has on purpose, as attackers would have it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// Stands in every text of patient B.
pub const CANARY: &str = "kanari";
/// Ids of patient B's resources begin with it.
pub const OF_B: &str = "pb";
/// What is about both patients, and thus about one whom a doctor of A does not treat.
pub const OF_BOTH: &[&str] = &[
    "Account/pb-acct-both",
    "Appointment/pb-appt",
    "Group/pb-group",
    "List/pb-list",
    "Person/pb-person",
    "Provenance/pb-prov",
    "Schedule/pb-sched",
];
/// Resources of A that point at what B has, and at what nobody has.
pub const OF_A_INTO_EITHER: &[&str] = &["pa-into-b", "pa-into-q"];
/// The medical record number of patient B.
pub const MRN_OF_B: &str = "kanarimrn7";
/// As long, and nobody's.
pub const MRN_OF_NOBODY: &str = "kuckucmrn7";

/// A version of a resource, and where it is put.
pub struct Put {
    pub path: String,
    pub text: String,
}

/// Everything, in the order in which it is written.
pub fn resources() -> Vec<Put> {
    let mut all = shared();
    for (own, word) in [("pa", "amsel"), (OF_B, CANARY)] {
        all.extend(chart(own, word));
    }
    all.extend(crossings());
    all.iter()
        .map(|body| Put {
            path: format!(
                "{}/{}",
                body["resourceType"].as_str().unwrap(),
                body["id"].as_str().unwrap()
            ),
            text: body.to_string(),
        })
        .collect()
}

/// What in base64 stands for the canary, wherever in the text it is.
pub fn canaries() -> Vec<String> {
    let mut found = vec![CANARY.to_owned()];
    for before in 0..3 {
        let text = format!("{}{CANARY}", " ".repeat(before));
        let coded = STANDARD.encode(text);
        // The characters that depend on nothing but the canary.
        let (from, to) = match before {
            0 => (0, 8),
            1 => (2, 8),
            _ => (3, 10),
        };
        found.push(coded[from..to].to_owned());
    }
    found
}

fn reference(to: &str) -> Value {
    json!({ "reference": to })
}

fn text(word: &str) -> Value {
    json!({"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{word}</div>")})
}

fn shared() -> Vec<Value> {
    vec![
        json!({"resourceType": "Organization", "id": "org", "name": "Rotunda"}),
        json!({"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Arzt"}]}),
        json!({"resourceType": "Practitioner", "id": "other", "name": [{"family": "Fremd"}]}),
        json!({"resourceType": "Location", "id": "ward", "name": "Station"}),
        json!({"resourceType": "Medication", "id": "med", "code": {"text": "Aspirin"}}),
    ]
}

/// The chart of one patient: ids begin with `own`, texts hold `word`.
fn chart(own: &str, word: &str) -> Vec<Value> {
    let id = |suffix: &str| format!("{own}-{suffix}");
    let patient = reference(&format!("Patient/{own}"));
    let to = |kind: &str, suffix: &str| reference(&format!("{kind}/{own}-{suffix}"));
    let doctor = match own {
        "pa" => reference("Practitioner/dr"),
        _ => reference("Practitioner/other"),
    };
    let identifier = json!([{"system": "urn:mrn", "value": format!("{word}mrn7")}]);
    let codes = |code: &str| json!({"coding": [{"system": "http://loinc.org", "code": code, "display": word}]});
    let category = |code: &str| json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": code}]}]);
    let value = if own == "pa" { 100 } else { 200 };
    // Laboratory and radiology have to do with one of the patients.
    let orders: &[&str] = if own == "pa" {
        &["laboratory", "imaging"]
    } else {
        &["counselling"]
    };
    let orders: Vec<Value> = orders
        .iter()
        .map(|code| json!({"coding": [{"code": code}]}))
        .collect();
    vec![
        json!({"resourceType": "Patient", "id": own, "text": text(word), "identifier": identifier,
            "name": [{"family": format!("{word}fam"), "given": [word]}], "birthDate": if own == "pa" { "1970-01-01" } else { "1950-05-05" },
            "gender": "female", "managingOrganization": reference("Organization/org"), "generalPractitioner": [doctor],
            "address": [{"city": word}], "telecom": [{"system": "phone", "value": word}],
            "meta": {"tag": [{"system": "urn:tag", "code": word}], "security": [{"system": "urn:label", "code": word}]}}),
        json!({"resourceType": "Encounter", "id": id("enc"), "status": "finished", "class": {"code": "AMB"}, "subject": patient,
            "identifier": identifier, "participant": [{"individual": doctor}], "serviceProvider": reference("Organization/org"),
            "reasonCode": [{"text": word}], "location": [{"location": reference("Location/ward")}]}),
        json!({"resourceType": "Observation", "id": id("lab"), "text": text(word), "status": "final", "category": category("laboratory"), "code": codes("4548-4"),
            "identifier": identifier, "subject": patient, "encounter": to("Encounter", "enc"), "performer": [doctor], "effectiveDateTime": "2026-01-01",
            "valueQuantity": {"value": value, "unit": "mmol/l", "system": "http://unitsofmeasure.org", "code": "mmol/L"}, "note": [{"text": word}],
            "device": to("Device", "dev"), "specimen": to("Specimen", "spec")}),
        json!({"resourceType": "Observation", "id": id("vital"), "status": "final", "category": category("vital-signs"), "code": codes("8867-4"),
            "subject": patient, "encounter": to("Encounter", "enc"), "effectiveDateTime": "2026-01-02", "valueString": word}),
        json!({"resourceType": "Specimen", "id": id("spec"), "subject": patient, "note": [{"text": word}]}),
        json!({"resourceType": "Device", "id": id("dev"), "patient": patient, "note": [{"text": word}], "serialNumber": word}),
        json!({"resourceType": "DiagnosticReport", "id": id("rep"), "status": "final", "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}],
            "code": codes("24331-1"), "subject": patient, "encounter": to("Encounter", "enc"), "result": [to("Observation", "lab")], "conclusion": word}),
        json!({"resourceType": "Condition", "id": id("cond"), "subject": patient, "encounter": to("Encounter", "enc"), "code": {"text": word}, "recorder": doctor}),
        json!({"resourceType": "MedicationRequest", "id": id("rx"), "status": "active", "intent": "order", "subject": patient, "medicationReference": reference("Medication/med"), "note": [{"text": word}]}),
        json!({"resourceType": "ServiceRequest", "id": id("order"), "status": "active", "intent": "order", "subject": patient, "category": orders, "encounter": to("Encounter", "enc"), "requester": doctor, "note": [{"text": word}]}),
        json!({"resourceType": "RelatedPerson", "id": id("kin"), "patient": patient, "name": [{"family": word}]}),
        json!({"resourceType": "Coverage", "id": id("cover"), "status": "active", "beneficiary": patient, "payor": [reference("Organization/org")], "subscriberId": word}),
        json!({"resourceType": "Account", "id": id("acct"), "status": "active", "subject": [patient], "name": word}),
        json!({"resourceType": "DocumentReference", "id": id("doc"), "status": "current", "subject": patient, "description": word,
            "content": [{"attachment": {"contentType": "text/plain", "url": format!("Binary/{own}-bin"), "data": STANDARD.encode(word)}}]}),
        json!({"resourceType": "Binary", "id": id("bin"), "contentType": "text/plain", "securityContext": patient, "data": STANDARD.encode(format!("note: {word}"))}),
        json!({"resourceType": "Task", "id": id("task"), "status": "requested", "intent": "order", "for": patient, "focus": to("ServiceRequest", "order"), "description": word}),
        json!({"resourceType": "Consent", "id": id("cons"), "status": "active", "scope": {"coding": [{"code": "treatment"}]}, "category": [{"text": word}], "patient": patient, "dateTime": "2026-01-01", "policyRule": {"text": word}}),
    ]
}

/// What leads from one of the patients to the other.
fn crossings() -> Vec<Value> {
    let code = json!({"text": "x"});
    let (a, b) = (reference("Patient/pa"), reference("Patient/pb"));
    let dr = reference("Practitioner/dr");
    let mut all = into("pa-into-b", OF_B);
    all.extend(into("pa-into-q", "qx"));
    all.extend([
        // Of B, pointing at A.
        json!({"resourceType": "Observation", "id": "pb-focus-a", "status": "final", "code": {"text": CANARY}, "subject": b, "focus": [a], "note": [{"text": CANARY}]}),
        json!({"resourceType": "Condition", "id": "pb-evidence-a", "subject": b, "code": {"text": CANARY}, "evidence": [{"detail": [reference("Observation/pa-lab")]}]}),
        // Of both.
        json!({"resourceType": "Group", "id": "pb-group", "type": "person", "actual": true, "name": CANARY, "member": [{"entity": a}, {"entity": b}]}),
        json!({"resourceType": "Provenance", "id": "pb-prov", "target": [reference("Observation/pa-lab"), reference("Observation/pb-lab"), a, b], "recorded": "2026-01-01T00:00:00Z",
            "agent": [{"who": dr}], "reason": [{"text": CANARY}]}),
        json!({"resourceType": "List", "id": "pb-list", "status": "current", "mode": "working", "title": CANARY, "subject": b, "entry": [{"item": a}, {"item": reference("Observation/pb-lab")}]}),
        json!({"resourceType": "Appointment", "id": "pb-appt", "status": "booked",
            "start": "2026-12-01T10:00:00Z", "end": "2026-12-01T10:30:00Z", "description": CANARY,
            "participant": [{"actor": a, "status": "accepted"}, {"actor": b, "status": "accepted"}, {"actor": reference("Practitioner/other"), "status": "accepted"}]}),
        json!({"resourceType": "Account", "id": "pb-acct-both", "status": "active", "subject": [a, b], "name": CANARY}),
        json!({"resourceType": "Person", "id": "pb-person", "name": [{"family": CANARY}], "link": [{"target": a}, {"target": b}]}),
        json!({"resourceType": "Schedule", "id": "pb-sched", "actor": [a, b], "comment": CANARY}),
        json!({"resourceType": "Patient", "id": "pb-twin", "name": [{"family": CANARY}], "link": [{"other": a, "type": "seealso"}]}),
        // Once of B, and corrected to A; and the other way around.
        json!({"resourceType": "Observation", "id": "pa-was-of-b", "status": "final", "code": {"text": CANARY}, "subject": b}),
        json!({"resourceType": "Observation", "id": "pa-was-of-b", "status": "amended", "code": code, "subject": a}),
        // Of A, pointing at the version that was B's.
        json!({"resourceType": "DiagnosticReport", "id": "pa-old", "status": "final", "code": code, "subject": a,
            "result": [reference("Observation/pa-was-of-b/_history/1")]}),
        json!({"resourceType": "Observation", "id": "pb-was-of-a", "status": "final", "code": {"text": "amsel"}, "subject": a}),
        json!({"resourceType": "Observation", "id": "pb-was-of-a", "status": "amended", "code": {"text": CANARY}, "subject": b}),
    ]);
    all
}

/// What A has, with references to what somebody else has.
fn into(id: &str, other: &str) -> Vec<Value> {
    let to = |kind: &str, suffix: &str| reference(&format!("{kind}/{other}-{suffix}"));
    let (code, subject) = (json!({"text": "x"}), reference("Patient/pa"));
    vec![
        json!({"resourceType": "DiagnosticReport", "id": id, "status": "final", "code": code, "subject": subject,
            "encounter": to("Encounter", "enc"), "result": [to("Observation", "lab")], "specimen": [to("Specimen", "spec")]}),
        json!({"resourceType": "Observation", "id": id, "status": "final", "code": code, "subject": subject,
            "hasMember": [to("Observation", "lab")], "derivedFrom": [to("Observation", "vital")], "device": to("Device", "dev")}),
        json!({"resourceType": "DocumentReference", "id": id, "status": "current", "subject": subject,
            "content": [{"attachment": {"url": format!("Binary/{other}-bin")}}], "context": {"related": [to("Condition", "cond")]}}),
    ]
}
