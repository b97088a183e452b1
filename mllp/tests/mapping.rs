//! What messages become: the tables hold together, all samples give resources that R4 accepts,
//! and important fields are where they belong.

use std::{fs, path::Path};

use bytes::Bytes;
use jiff::tz::TimeZone;
use mllp::{
    Message,
    map::{Made, Mapped, Mapper, Overlay, Site},
    message::Reading,
};
use resources::Doc;
use serde_json::{Value as Json, json};

fn read(raw: impl Into<Bytes>) -> Message {
    Message::parse(raw.into(), &Reading::default()).unwrap()
}

fn site() -> Site {
    Site {
        zone: TimeZone::get("Europe/Amsterdam").unwrap(),
        ..Site::default()
    }
}

fn map(text: &str) -> Mapped {
    let message = read(text.replace('\n', "\r"));
    let mapped = Mapper::new(None).map(&message, &site());
    assert_eq!(issues(&mapped), Vec::<String>::new());
    mapped
}

fn sample(name: &str) -> Mapped {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("samples")
        .join(name);
    let mapped = Mapper::new(None).map(&read(fs::read(file).unwrap()), &site());
    assert_eq!(issues(&mapped), Vec::<String>::new(), "{name}");
    mapped
}

fn all<'m>(mapped: &'m Mapped, kind: &str) -> Vec<&'m Made> {
    let made = mapped.resources.iter();
    made.filter(|made| made.json["resourceType"] == kind)
        .collect()
}

fn one<'m>(mapped: &'m Mapped, kind: &str) -> &'m Json {
    let found = all(mapped, kind);
    assert_eq!(found.len(), 1, "{kind}");
    &found[0].json
}

/// The resource that a reference of the same message means.
fn behind<'m>(mapped: &'m Mapped, reference: &Json) -> &'m Json {
    let place = reference["reference"].as_str().unwrap();
    let place: usize = place.strip_prefix('#').unwrap().parse().unwrap();
    &mapped.resources[place].json
}

fn issues(mapped: &Mapped) -> Vec<String> {
    let mut found = Vec::new();
    for made in &mapped.resources {
        let text = with_references(&made.json, mapped).to_string();
        let doc = Doc::parse(text.as_str()).unwrap();
        for issue in profiles::validate(&doc) {
            found.push(format!("{}: {issue:?}", made.role));
        }
    }
    found
}

/// With references as they will be, so that their targets are checked.
fn with_references(json: &Json, mapped: &Mapped) -> Json {
    match json {
        Json::Object(map) => {
            let members = map.iter().map(|(name, value)| {
                let place = value.as_str().and_then(|text| text.strip_prefix('#'));
                let place = place.filter(|_| name == "reference");
                let value = match place {
                    Some(place) => {
                        let at: usize = place.parse().unwrap();
                        let kind = mapped.resources[at].json["resourceType"].as_str().unwrap();
                        json!(format!("{kind}/{place}"))
                    }
                    None => with_references(value, mapped),
                };
                (name.clone(), value)
            });
            Json::Object(members.collect())
        }
        Json::Array(items) => {
            let items = items.iter().map(|item| with_references(item, mapped));
            Json::Array(items.collect())
        }
        _ => json.clone(),
    }
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn all_that_the_tables_name_is_there() {
    assert_eq!(
        Mapper::new(None).problems(),
        Vec::<String>::new().as_slice()
    );
}

#[test]
fn every_sample_gives_resources_that_r4_accepts() {
    let mut found = Vec::new();
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("samples"),
        &mut found,
    );
    let mapper = Mapper::new(None);
    let (mut messages, mut resources) = (0, 0);
    for file in found {
        let raw = Bytes::from(fs::read(&file).unwrap());
        for message in mllp::batch::split(raw).messages {
            let Ok(message) = Message::parse(message.raw, &Reading::default()) else {
                continue;
            };
            let mapped = mapper.map(&message, &site());
            assert_eq!(issues(&mapped), Vec::<String>::new(), "{}", file.display());
            // Each field with a value is told of, mapped or not.
            let valued = message.segments().flat_map(|segment| {
                let first = if segment.at() == 0 { 3 } else { 1 };
                (first..=segment.fields()).filter(move |number| !segment.field(*number).is_empty())
            });
            assert_eq!(mapped.fields.len(), valued.count(), "{}", file.display());
            messages += 1;
            resources += mapped.resources.len();
        }
    }
    assert!(messages > 450 && resources > 3000, "{messages} {resources}");
}

#[test]
fn a_patient_is_who_pid_says() {
    let mapped = sample("own/adt_a01.hl7");
    let patient = one(&mapped, "Patient");
    assert_eq!(patient["identifier"][0]["value"], "100200300");
    assert_eq!(
        patient["identifier"][0]["system"],
        "urn:rotunda:authority:HOSP_A"
    );
    assert_eq!(patient["identifier"][0]["type"]["coding"][0]["code"], "MR");
    assert_eq!(
        patient["identifier"][1]["system"],
        "urn:oid:2.16.840.1.113883.2.4.6.3"
    );
    assert_eq!(
        patient["name"],
        json!([
            {"use": "official", "family": "Testperson", "given": ["Tilda", "Q"], "prefix": ["Mevr"]},
            {"use": "maiden", "family": "Voorbeeld", "given": ["Tilda"]},
        ])
    );
    assert_eq!(patient["birthDate"], "1970-04-12");
    assert_eq!(patient["gender"], "female");
    assert_eq!(
        patient["address"],
        json!([{
            "use": "home", "line": ["1 Sample Street"], "city": "Sampleton", "state": "ST",
            "postalCode": "1000 AA", "country": "NLD",
        }])
    );
    assert_eq!(
        patient["telecom"],
        json!([
            {"system": "phone", "use": "home", "value": "+31 20 5550100"},
            {"system": "email", "value": "tilda@example.org"},
            {"system": "phone", "use": "work", "value": "+31-20-5550199"},
        ])
    );
    assert_eq!(patient["maritalStatus"]["coding"][0]["code"], "M");
    assert_eq!(patient["deceasedBoolean"], false);
    let doctor = behind(&mapped, &patient["generalPractitioner"][0]);
    assert_eq!(doctor["name"][0]["family"], "Generalist");
}

#[test]
fn a_visit_is_what_pv1_says() {
    let mapped = sample("own/adt_a01.hl7");
    let visit = one(&mapped, "Encounter");
    assert_eq!(visit["status"], "in-progress");
    assert_eq!(visit["class"]["code"], "IMP");
    assert_eq!(visit["identifier"][0]["value"], "V1002003");
    assert_eq!(visit["period"]["start"], "2024-01-31T10:00:00+01:00");
    let roles: Vec<_> = visit["participant"]
        .as_array()
        .unwrap()
        .iter()
        .map(|participant| {
            participant["type"][0]["coding"][0]["code"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(roles, ["ATND", "REF", "CON", "ADM"]);
    let bed = behind(&mapped, &visit["location"][0]["location"]);
    let room = behind(&mapped, &bed["partOf"]);
    let ward = behind(&mapped, &room["partOf"]);
    assert_eq!(
        (&bed["name"], &room["name"], &ward["name"]),
        (&json!("02"), &json!("101"), &json!("WARD1"))
    );
    // A diagnosis is a Condition of the patient and of the visit.
    let condition = behind(&mapped, &visit["diagnosis"][0]["condition"]);
    assert_eq!(condition["code"]["coding"][0]["code"], "J18.9");
    assert_eq!(
        condition["code"]["coding"][0]["system"],
        "http://hl7.org/fhir/sid/icd-10"
    );
    assert_eq!(
        behind(&mapped, &condition["subject"])["resourceType"],
        "Patient"
    );
}

#[test]
fn an_allergy_and_an_insurance_are_of_the_patient() {
    let mapped = sample("own/adt_a01.hl7");
    let allergy = one(&mapped, "AllergyIntolerance");
    assert_eq!(allergy["category"], json!(["medication"]));
    assert_eq!(allergy["code"]["coding"][0]["display"], "Penicillin");
    assert_eq!(allergy["reaction"][0]["severity"], "severe");
    assert_eq!(allergy["reaction"][0]["manifestation"][0]["text"], "Rash");
    assert_eq!(allergy["onsetDateTime"], "2010-03-01");
    let coverage = one(&mapped, "Coverage");
    assert_eq!(coverage["class"][0]["value"], "PLAN1");
    assert_eq!(
        behind(&mapped, &coverage["payor"][0])["name"],
        "Sample Insurance"
    );
}

#[test]
fn every_type_of_value_has_its_place() {
    let mapped = sample("own/oru_r01_all_value_types.hl7");
    let values = all(&mapped, "Observation");
    let value = |at: usize| &values[at].json;
    assert_eq!(values.len(), 20);
    assert_eq!(value(0)["valueQuantity"]["unit"], "mmol/L");
    assert_eq!(
        value(0)["valueQuantity"]["system"],
        "http://unitsofmeasure.org"
    );
    assert_eq!(value(0)["interpretation"][0]["coding"][0]["code"], "N");
    assert_eq!(value(0)["referenceRange"][0]["text"], "7.5-10.0");
    assert_eq!(value(1)["valueQuantity"]["comparator"], "<");
    assert_eq!(value(2)["valueRatio"]["denominator"]["value"], 128);
    assert_eq!(value(3)["valueString"], "amber");
    assert_eq!(value(4)["valueString"], "Line one\nLine two & more");
    assert_eq!(
        value(6)["valueCodeableConcept"]["coding"][0]["code"],
        "278149003"
    );
    assert_eq!(value(7)["status"], "preliminary");
    assert_eq!(value(8)["valueDateTime"], "2024-01-10");
    assert_eq!(value(9)["valueTime"], "11:05:00");
    assert_eq!(value(10)["valueDateTime"], "2024-01-29");
    assert_eq!(value(11)["status"], "cancelled");
    // A number that is none is a text, and is told of.
    assert_eq!(value(12)["valueString"], "not a number");
    assert!(value(12).get("valueQuantity").is_none());
    assert!(mapped.notes.iter().any(|note| note.place == "OBX[13]-5"));
    assert_eq!(value(13)["valueString"], "1 2 3 -1\n0 2 4 1");
    assert_eq!(
        value(14)["extension"][0]["valueAttachment"]["contentType"],
        "application/pdf"
    );
    assert_eq!(
        value(15)["extension"][0]["valueAttachment"]["url"],
        "https://example.org/img/1"
    );
    assert_eq!(value(16)["valueString"], "Doe Jane");
    assert_eq!(value(17)["valueString"], "whatever x");
    assert_eq!(value(18)["status"], "corrected");
    assert_eq!(value(19)["status"], "entered-in-error");
    assert_eq!(value(19)["note"][0]["text"], "Comment on the last result");
    let report = one(&mapped, "DiagnosticReport");
    assert_eq!(report["result"].as_array().unwrap().len(), 20);
    assert_eq!(report["identifier"][1]["type"]["coding"][0]["code"], "FILL");
    assert_eq!(report["status"], "final");
}

#[test]
fn an_appointment_has_its_time_and_who_takes_part() {
    let mapped = sample("own/siu_s12.hl7");
    let appointment = one(&mapped, "Appointment");
    assert_eq!(appointment["status"], "booked");
    assert_eq!(appointment["start"], "2024-02-15T09:30:00+01:00");
    assert_eq!(appointment["end"], "2024-02-15T10:00:00+01:00");
    assert_eq!(appointment["minutesDuration"], 30);
    assert_eq!(appointment["identifier"][1]["value"], "FILL2002");
    assert_eq!(
        appointment["comment"],
        "Patient needs an interpreter (nl&fr)."
    );
    assert_eq!(appointment["serviceType"][0]["coding"][0]["code"], "CHK30");
    let kinds: Vec<_> = appointment["participant"]
        .as_array()
        .unwrap()
        .iter()
        .map(|participant| {
            behind(&mapped, &participant["actor"])["resourceType"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "Practitioner",
            "Practitioner",
            "Patient",
            "Device",
            "Location",
            "Practitioner"
        ]
    );
    assert_eq!(
        appointment["participant"][4]["period"]["end"],
        "2024-02-15T10:00:00+01:00"
    );
}

#[test]
fn an_appointment_says_by_its_event_what_no_field_says() {
    let with = |event: &str| {
        let mapped = map(&format!(
            "MSH|^~\\&|A|B|C|D|20240101||SIU^{event}|1|P|2.3\nSCH|1|2||||NOSHOW|||30|min|^^^20240215093000\nPID|||7||Doe"
        ));
        let appointment = one(&mapped, "Appointment");
        (
            appointment["status"].clone(),
            appointment["end"].clone(),
            appointment["cancelationReason"].clone(),
        )
    };
    // The end is the start and the duration; the zone is the site's.
    assert_eq!(with("S12").0, "booked");
    assert_eq!(with("S12").1, "2024-02-15T10:00:00+01:00");
    assert_eq!(with("S15").0, "cancelled");
    assert_eq!(with("S17").0, "entered-in-error");
    assert_eq!(with("S26").0, "noshow");
    assert_eq!(with("S26").2["coding"][0]["code"], "NOSHOW");
}

#[test]
fn blocked_time_is_a_slot() {
    let mapped = sample("own/siu_s23.hl7");
    assert!(all(&mapped, "Appointment").is_empty());
    let slot = one(&mapped, "Slot");
    assert_eq!(slot["status"], "busy-unavailable");
    assert_eq!(slot["start"], "2024-02-15T09:30:00+01:00");
    assert_eq!(slot["end"], "2024-02-15T10:00:00+01:00");
    let schedule = behind(&mapped, &slot["schedule"]);
    assert_eq!(schedule["actor"].as_array().unwrap().len(), 3);
    assert_eq!(one(&sample("own/siu_s24.hl7"), "Slot")["status"], "free");
}

#[test]
fn an_order_has_its_numbers_and_who_asked() {
    let mapped = sample("own/orm_o01_nw.hl7");
    let order = one(&mapped, "ServiceRequest");
    assert_eq!(order["status"], "active");
    assert_eq!(order["intent"], "order");
    assert_eq!(order["identifier"][0]["type"]["coding"][0]["code"], "PLAC");
    assert_eq!(
        behind(&mapped, &order["requester"])["name"][0]["family"],
        "Attending"
    );
    assert_eq!(
        behind(&mapped, &order["subject"])["resourceType"],
        "Patient"
    );
    for (sample_of, status) in [
        ("cr", "revoked"),
        ("oc", "revoked"),
        ("dc", "revoked"),
        ("ca", "active"),
    ] {
        let mapped = sample(&format!("own/orm_o01_{sample_of}.hl7"));
        assert_eq!(
            one(&mapped, "ServiceRequest")["status"],
            status,
            "{sample_of}"
        );
    }
}

#[test]
fn two_orders_are_two() {
    let mapped = map(
        "MSH|^~\\&|A|B|C|D|20240101||ORM^O01|1|P|2.3\nPID|||7||Doe\nORC|NW|1^A\nOBR|1|1^A||X^X\nNTE|1||one\nORC|NW|2^A\nOBR|2|2^A||Y^Y\nNTE|1||two\nORC|NW|3^A\nRXO|Z^Drug|5||mg",
    );
    let orders = all(&mapped, "ServiceRequest");
    assert_eq!(orders.len(), 2);
    for (order, (code, note)) in orders.iter().zip([("X", "one"), ("Y", "two")]) {
        assert_eq!(order.json["code"]["coding"][0]["code"], code);
        assert_eq!(order.json["note"], json!([{"text": note}]));
    }
    let drug = one(&mapped, "MedicationRequest");
    assert_eq!(drug["identifier"][0]["value"], "3");
    assert_eq!(drug["medicationCodeableConcept"]["coding"][0]["code"], "Z");
}

#[test]
fn a_prescription_is_one_resource_of_many_segments() {
    let mapped = sample("own/rde_o11_nw.hl7");
    let drug = one(&mapped, "MedicationRequest");
    assert_eq!(
        drug["medicationCodeableConcept"]["coding"][0]["code"],
        "197361"
    );
    assert_eq!(drug["identifier"][0]["value"], "RX401");
    let dosage = drug["dosageInstruction"].as_array().unwrap();
    assert_eq!(dosage.len(), 1);
    assert_eq!(dosage[0]["doseAndRate"][0]["doseQuantity"]["value"], 500);
    assert_eq!(dosage[0]["route"]["coding"][0]["code"], "PO");
    assert_eq!(
        dosage[0]["timing"]["repeat"]["boundsPeriod"]["start"],
        "2024-01-31T12:00:00+01:00"
    );
    assert_eq!(drug["dispenseRequest"]["quantity"]["value"], 21);
    assert_eq!(
        one(&sample("own/rds_o13.hl7"), "MedicationDispense")["quantity"]["value"],
        21
    );
    let given = sample("own/ras_o17.hl7");
    assert_eq!(
        one(&given, "MedicationAdministration")["status"],
        "completed"
    );
}

#[test]
fn a_vaccination_and_a_document() {
    let mapped = sample("own/vxu_v04.hl7");
    let shot = all(&mapped, "Immunization")[0];
    assert_eq!(shot.json["status"], "completed");
    assert!(shot.json["vaccineCode"]["coding"][0]["code"].is_string());
    assert!(shot.json["lotNumber"].is_string());
    let taken_back = sample("own/vxu_v04_delete.hl7");
    assert_eq!(
        all(&taken_back, "Immunization")[0].json["status"],
        "entered-in-error"
    );
    let mapped = sample("own/mdm_t02.hl7");
    let document = one(&mapped, "DocumentReference");
    assert!(document["masterIdentifier"]["value"].is_string());
    assert!(document["content"][0]["attachment"]["data"].is_string());
}

#[test]
fn merges_name_the_former_patient() {
    let mapped = sample("own/adt_a40_merge_patient.hl7");
    let patients = all(&mapped, "Patient");
    assert_eq!(patients.len(), 2);
    assert_eq!(patients[1].role, "Patient[2]");
    assert_eq!(patients[1].json["active"], false);
    assert_eq!(patients[1].json["link"][0]["type"], "replaced-by");
    assert_eq!(
        behind(&mapped, &patients[1].json["link"][0]["other"]),
        &patients[0].json
    );
}

#[test]
fn null_deletes_and_empty_does_not() {
    let mapped = sample("own/adt_a08_null_deletes.hl7");
    let patient = all(&mapped, "Patient")[0];
    assert!(!patient.nulls.is_empty());
    assert!(patient.nulls.iter().all(|path| !path.contains('[')));
    assert!(
        all(&sample("own/adt_a08_empty_keeps.hl7"), "Patient")[0]
            .nulls
            .is_empty()
    );
}

#[test]
fn segments_in_any_order_are_found() {
    let mapped = map(
        "MSH|^~\\&|A|B|C|D|20240101||SIU^S12|1|P|2.3\nAIL|1||CLIN1\nAIP|1||5678^Doe^J\nAIS|1||CHK^Check\nZZ1|x\nSCH|1|2\nPID|||7||Doe\nAIL|2||CLIN2",
    );
    let appointments = all(&mapped, "Appointment");
    assert_eq!(appointments.len(), 1);
    // Two places, a doctor and the patient.
    assert_eq!(
        appointments[0].json["participant"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert!(
        mapped
            .fields
            .iter()
            .any(|field| field.name == "ZZ1-1" && field.reached.is_empty())
    );
}

#[test]
fn unknown_codes_stay_with_their_system() {
    let mapped = map("MSH|^~\\&|A|B|C|D|20240101||ADT^A08|1|P|2.5\nPID|||7||Doe|||Q||||||||QQ^Odd");
    let patient = one(&mapped, "Patient");
    assert!(patient.get("gender").is_none());
    assert_eq!(
        patient["maritalStatus"]["coding"],
        json!([{"system": "http://terminology.hl7.org/CodeSystem/v2-0002", "code": "QQ", "display": "Odd"}])
    );
    let places: Vec<_> = mapped
        .notes
        .iter()
        .map(|note| note.place.as_str())
        .collect();
    assert_eq!(places, ["PID-8", "PID-16"]);
}

#[test]
fn authorities_become_systems() {
    let text = "MSH|^~\\&|APP|FAC|C|D|20240101||ADT^A08|1|P|2.5\nPID|||1^^^HOSP~2^^^&1.2.3&ISO~3^^^&7A8B&UUID~4^^^&http://x.org/y&URI~5~6^^^LOCAL||Doe";
    let message = read(text.replace('\n', "\r"));
    let mut site = site();
    site.authorities
        .insert("LOCAL".to_owned(), "https://local.example/ids".to_owned());
    let mapped = Mapper::new(None).map(&message, &site);
    let systems: Vec<_> = one(&mapped, "Patient")["identifier"]
        .as_array()
        .unwrap()
        .iter()
        .map(|identifier| identifier["system"].as_str().unwrap())
        .collect();
    assert_eq!(
        systems,
        [
            "urn:rotunda:authority:HOSP",
            "urn:oid:1.2.3",
            "urn:uuid:7a8b",
            "http://x.org/y",
            "urn:rotunda:sender:FAC:APP",
            "https://local.example/ids",
        ]
    );
}

#[test]
fn a_site_has_rows_of_its_own() {
    let overlay = Overlay::parse(
        "Action,Table,Identifier,Data Type,Computable ANTLR,FHIR Attribute,Data Type Mapping,Vocabulary Mapping,Assignment\n\
         add,PID[Patient],PID-27,CWE,IF PID-27 VALUED,extension[9].valueCodeableConcept,CWE[CodeableConcept],,\n\
         add,PID[Patient],PID-27,CWE,,extension[9].url,,,\"\"\"https://x.example/veteran\"\"\"\n\
         remove,PID[Patient],PID-8,,,gender,,,\n",
    )
    .unwrap();
    let message = read(
        "MSH|^~\\&|A|B|C|D|20240101||ADT^A08|1|P|2.5\rPID|||7||Doe|||F|||||||||||||||||||V^Veteran",
    );
    let mapped = Mapper::new(Some(&overlay)).map(&message, &site());
    assert_eq!(issues(&mapped), Vec::<String>::new());
    let patient = one(&mapped, "Patient");
    assert!(patient.get("gender").is_none());
    assert_eq!(patient["extension"][0]["url"], "https://x.example/veteran");
    assert_eq!(
        patient["extension"][0]["valueCodeableConcept"]["coding"][0]["code"],
        "V"
    );
}

#[test]
fn an_overlay_that_is_wrong_says_where() {
    let wrong = Overlay::parse(
        "Action,Table,Identifier,Data Type,Computable ANTLR,FHIR Attribute,Data Type Mapping,Vocabulary Mapping,Assignment\n\
         change,PID[Patient],PID-8,,,gender,,,\n\
         remove,PID[Patient],PID-8,,,birthDate,,,\n\
         add,PID[Patient],PID-27,CWE,IF PID-27 VALUED AND,x,,,\n\
         add,PID[Patient],PID-27,CWE,,noSuchElement,CWE[CodeableConcept],,\n",
    )
    .unwrap_err();
    let lines: Vec<_> = wrong
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(lines, ["line 2", "line 3", "line 4", "line 5"], "{wrong:?}");
}
