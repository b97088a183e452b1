//! Admissions, transfers, discharges and what takes them back.

use rotunda::hl7::Failure;
use serde_json::json;

use super::ward::{Ward, codes, pid, pv1};
use crate::fixture::Database;

on_both_databases!(
    a_visit_takes_its_course,
    cancels_restore_what_was,
    cancels_without_a_version_before,
    what_is_empty_stays_and_null_deletes,
    parallel_messages_make_one_of_each,
    what_nobody_changed_is_not_written,
    a_patient_needs_an_identifier,
    two_records_of_one_person_stay_two,
    a_visit_is_of_one_patient,
    beds_are_swapped,
    every_version_has_its_source_and_provenance,
    clients_elements_are_kept,
);

const T1: &str = "20240131100000+0100";
const T2: &str = "20240201110000+0100";
const T3: &str = "20240202120000+0100";

async fn a_visit_takes_its_course(database: Database) {
    let ward = Ward::new(database).await;
    let person = pid("1");
    let (first, second) = (pv1("W1^101^02", "V1"), pv1("ICU^7^01", "V1"));
    // Event, bed, status after it, bed after it, places so far.
    let course = [
        ("A05", &first, "planned", None, 1),
        ("A01", &first, "in-progress", Some("W1"), 1),
        ("A02", &second, "in-progress", Some("ICU"), 2),
        ("A08", &second, "in-progress", Some("ICU"), 2),
        ("A21", &second, "onleave", Some("ICU"), 2),
        ("A22", &second, "in-progress", Some("ICU"), 2),
        ("A03", &second, "finished", None, 2),
    ];
    for (event, visit, status, bed, places) in course {
        let kind = format!("ADT^{event}");
        ward.tell(&kind, T2, &[&person, visit]).await;
        let now = ward.visit("V1").await;
        assert_eq!(now["status"], status, "{event}: {now:#}");
        if event != "A05" {
            let (name, count) = ward.bed(&now).await;
            assert_eq!(count, places, "{event}: {now:#}");
            match bed {
                Some(bed) => assert!(name.unwrap().contains(bed), "{event}: {now:#}"),
                None => assert_eq!(name, None, "{event}"),
            }
        }
    }
    let now = ward.visit("V1").await;
    assert_eq!(now["period"]["end"], "2024-02-01T11:00:00+01:00", "{now:#}");
    assert_eq!(now["statusHistory"].as_array().unwrap().len(), 4, "{now:#}");
    assert_eq!(ward.fixture.differences().await, Vec::<String>::new());
}

async fn cancels_restore_what_was(database: Database) {
    let ward = Ward::new(database).await;
    let person = pid("1");
    let (first, second) = (pv1("W1^101^02", "V1"), pv1("ICU^7^01", "V1"));
    ward.tell("ADT^A05", T1, &[&person, &first]).await;
    let planned = ward.visit("V1").await;
    ward.tell("ADT^A01", T1, &[&person, &first]).await;
    let admitted = ward.visit("V1").await;
    ward.tell("ADT^A02", T2, &[&person, &second]).await;
    let moved = ward.visit("V1").await;
    ward.tell("ADT^A03", T3, &[&person, &second]).await;
    // What is taken back, and what is as it was before.
    ward.tell("ADT^A13", T3, &[&person, &second]).await;
    let now = ward.visit("V1").await;
    for member in ["status", "location", "period", "statusHistory"] {
        assert_eq!(now[member], moved[member], "{member} {now:#}");
    }
    ward.tell("ADT^A12", T3, &[&person, &first]).await;
    let now = ward.visit("V1").await;
    assert_eq!(now["location"], admitted["location"], "{now:#}");
    ward.tell("ADT^A11", T3, &[&person, &first]).await;
    let now = ward.visit("V1").await;
    assert_eq!(now["status"], planned["status"], "{now:#}");
    assert_eq!(now["period"], planned["period"], "{now:#}");
    ward.tell("ADT^A38", T3, &[&person, &first]).await;
    assert_eq!(ward.visit("V1").await["status"], "cancelled");
    ward.tell("ADT^A23", T3, &[&person, &first]).await;
    assert_eq!(ward.visit("V1").await["status"], "entered-in-error");
    ward.tell("ADT^A29", T3, &[&person]).await;
    let found = ward.one("Patient", &[("identifier", "1")]).await;
    assert_eq!(found["active"], false);
    ward.tell("ADT^A28", T3, &[&person]).await;
    assert_eq!(ward.patient("1").await["active"], true);
}

async fn cancels_without_a_version_before(database: Database) {
    let ward = Ward::new(database).await;
    let cases = [
        ("A11", "cancelled"),
        ("A12", "in-progress"),
        ("A13", "in-progress"),
        ("A23", "entered-in-error"),
        ("A25", "in-progress"),
        ("A26", "in-progress"),
        ("A27", "cancelled"),
        ("A32", "in-progress"),
        ("A33", "in-progress"),
        ("A38", "cancelled"),
        ("A52", "in-progress"),
        ("A53", "onleave"),
        ("A55", "in-progress"),
        ("A62", "in-progress"),
    ];
    for (number, (event, status)) in cases.into_iter().enumerate() {
        let visit = format!("V{number}");
        let kind = format!("ADT^{event}");
        ward.tell(&kind, T1, &[&pid("1"), &pv1("W1^101^02", &visit)])
            .await;
        let now = ward.visit(&visit).await;
        assert_eq!(now["status"], status, "{event}: {now:#}");
    }
}

async fn what_is_empty_stays_and_null_deletes(database: Database) {
    let ward = Ward::new(database).await;
    let whole = "PID|1||1^^^HOSP_A^MR~9^^^NAT^NI||Testperson^Tilda^Q||19700412|F|||Street 1^^Town\
                 ||+31205550100^PRN^PH|+31205550199^WPN^PH||M";
    ward.tell("ADT^A28", T1, &[whole]).await;
    let before = ward.patient("1").await;
    ward.tell("ADT^A31", T2, &["PID|1||1^^^HOSP_A^MR||Testperson^Tilda^Q"])
        .await;
    assert_eq!(ward.patient("1").await, before, "empty is no change");
    // The one telephone number, not the other.
    ward.tell(
        "ADT^A08",
        T2,
        &["PID|1||1^^^HOSP_A^MR||Testperson^Tilda||||||||+31205550177^PRN^PH"],
    )
    .await;
    let now = ward.patient("1").await;
    let numbers: Vec<&str> = now["telecom"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["use"].as_str().unwrap())
        .collect();
    assert_eq!(numbers, ["home", "work"], "{now:#}");
    assert_eq!(now["name"][0]["given"], json!(["Tilda"]));
    ward.tell(
        "ADT^A08",
        T3,
        &["PID|1||1^^^HOSP_A^MR||Testperson^Tilda||\"\"||||\"\"||\"\"|\"\"||\"\""],
    )
    .await;
    let now = ward.patient("1").await;
    for gone in ["birthDate", "address", "telecom", "maritalStatus"] {
        assert_eq!(now.get(gone), None, "{gone}: {now:#}");
    }
    assert_eq!(now["gender"], "female");
    assert_eq!(now["identifier"].as_array().unwrap().len(), 2, "{now:#}");
}

async fn parallel_messages_make_one_of_each(database: Database) {
    let ward = std::sync::Arc::new(Ward::new(database).await);
    let mut running = Vec::new();
    for number in 0..16 {
        let ward = std::sync::Arc::clone(&ward);
        running.push(tokio::spawn(async move {
            let visit = pv1("W1^101^02", &format!("V{}", number % 4));
            let mut result = ward.ask("ADT^A08", T1, &[&pid("1"), &visit]).await;
            // As the pump does.
            while let Err(Failure::Later(_)) = result {
                result = ward.ask("ADT^A08", T1, &[&pid("1"), &visit]).await;
            }
            result.unwrap();
        }));
    }
    for one in running {
        one.await.unwrap();
    }
    assert_eq!(ward.find("Patient", &[("identifier", "1")]).await.len(), 1);
    assert_eq!(
        ward.find("Practitioner", &[("identifier", "5678")])
            .await
            .len(),
        1
    );
    assert_eq!(
        ward.find("Encounter", &[("status", "in-progress")])
            .await
            .len(),
        4
    );
    let beds = ward.find("Location", &[("name", "02")]).await;
    assert_eq!(beds.len(), 1, "{beds:#?}");
}

async fn what_nobody_changed_is_not_written(database: Database) {
    let ward = Ward::new(database).await;
    let segments = [pid("1"), pv1("W1^101^02", "V1")];
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let first = ward.tell("ADT^A01", T1, &segments).await;
    assert!(first.made.len() >= 5, "{first:#?}");
    let again = ward.tell("ADT^A08", T2, &segments).await;
    assert_eq!(again.made, Vec::new());
    assert_eq!(again.patients, first.patients);
}

async fn a_patient_needs_an_identifier(database: Database) {
    let ward = Ward::new(database).await;
    let refused = ward
        .ask(
            "ADT^A01",
            T1,
            &["PID|1||||Testperson^Tilda", &pv1("W1", "V1")],
        )
        .await;
    assert_eq!(codes(refused), [("PID-3".to_owned(), "101")]);
    let refused = ward.ask("ADT^A99", T1, &[&pid("1")]).await;
    assert_eq!(codes(refused), [("MSH-9.2".to_owned(), "201")]);
    let refused = ward.ask("ZZZ^Z01", T1, &[&pid("1")]).await;
    assert_eq!(codes(refused), [("MSH-9.1".to_owned(), "200")]);
}

async fn two_records_of_one_person_stay_two(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell("ADT^A28", T1, &["PID|1||1^^^HOSP_A^MR~9^^^NAT^NI||A^B"])
        .await;
    ward.tell("ADT^A28", T1, &["PID|1||2^^^HOSP_A^MR~9^^^NAT^NI||A^B"])
        .await;
    assert_ne!(ward.patient("1").await["id"], ward.patient("2").await["id"]);
    // The national number alone does not say which.
    let refused = ward.ask("ADT^A08", T1, &["PID|1||9^^^NAT^NI||A^B"]).await;
    assert_eq!(codes(refused), [("PID-3".to_owned(), "205")]);
    // A corrected one does not make another patient.
    ward.tell("ADT^A08", T1, &["PID|1||2^^^HOSP_A^MR~8^^^NAT^NI||A^B"])
        .await;
    ward.tell("ADT^A08", T1, &["PID|1||9^^^NAT^NI||A^C"]).await;
    assert_eq!(ward.patient("1").await["name"][0]["given"], json!(["C"]));
}

async fn a_visit_is_of_one_patient(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell("ADT^A01", T1, &[&pid("1"), &pv1("W1^101^02", "V1")])
        .await;
    let refused = ward
        .ask("ADT^A08", T1, &[&pid("2"), &pv1("W1^101^02", "V1")])
        .await;
    assert_eq!(codes(refused), [("PV1".to_owned(), "205")]);
    assert!(
        ward.find("Patient", &[("identifier", "2")])
            .await
            .is_empty()
    );
}

async fn beds_are_swapped(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell("ADT^A01", T1, &[&pid("1"), &pv1("W1^101^01", "V1")])
        .await;
    ward.tell("ADT^A01", T1, &[&pid("2"), &pv1("W1^101^02", "V2")])
        .await;
    ward.tell(
        "ADT^A17",
        T2,
        &[
            &pid("1"),
            &pv1("W1^101^02", "V1"),
            &pid("2"),
            &pv1("W1^101^01", "V2"),
        ],
    )
    .await;
    for (visit, bed) in [("V1", "bd:02"), ("V2", "bd:01")] {
        let now = ward.visit(visit).await;
        let (name, count) = ward.bed(&now).await;
        assert!(name.as_ref().unwrap().ends_with(bed), "{visit} {name:?}");
        assert_eq!(count, 2, "{now:#}");
    }
}

async fn every_version_has_its_source_and_provenance(database: Database) {
    let ward = Ward::new(database).await;
    let applied = ward
        .tell("ADT^A01", T1, &[&pid("1"), &pv1("W1^101^02", "V1")])
        .await;
    let patient = ward.patient("1").await;
    let source = patient["meta"]["source"].as_str().unwrap();
    assert!(source.starts_with("urn:rotunda:hl7:ward#"), "{source}");
    let reference = format!("Patient/{}", patient["id"].as_str().unwrap());
    let provenance = ward.one("Provenance", &[("target", &reference)]).await;
    let targets = provenance["target"].as_array().unwrap();
    assert_eq!(
        targets.len() + 1,
        applied.made.len(),
        "all that was made, and itself"
    );
    assert!(targets.contains(&json!({"reference": format!("{reference}/_history/1")})));
    let id = source.rsplit('#').next().unwrap();
    assert_eq!(provenance["entity"][0]["what"]["identifier"]["value"], id);
}

async fn clients_elements_are_kept(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell("ADT^A28", T1, &[&pid("1")]).await;
    let mut patient = ward.patient("1").await;
    patient["photo"] = json!([{"url": "http://x/1.png"}]);
    patient["extension"] = json!([{"url": "http://x/weight", "valueDecimal": 80}]);
    let id = patient["id"].as_str().unwrap().to_owned();
    let text = patient
        .to_string()
        .replace("\"valueDecimal\":80", "\"valueDecimal\":80.50");
    let update = rotunda::engine::Operation::Update {
        kind: crate::fixture::kind("Patient"),
        target: rotunda::engine::Target::Id(id.clone()),
        body: crate::fixture::doc(&text),
        if_match: None,
        if_none_match_any: false,
    };
    ward.fixture
        .engine
        .submit(vec![update], &crate::fixture::ALL)
        .await
        .unwrap();
    ward.tell("ADT^A08", T2, &["PID|1||1^^^HOSP_A^MR||Other^Tilda"])
        .await;
    let stored = ward
        .fixture
        .engine
        .read(crate::fixture::kind("Patient"), &id, &crate::fixture::ALL)
        .await
        .unwrap();
    let text = String::from_utf8(stored.body.to_vec()).unwrap();
    assert!(
        text.contains("80.50") && text.contains("1.png") && text.contains("Other"),
        "{text}"
    );
}
