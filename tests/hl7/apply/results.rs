//! Results, documents and vaccinations that come again.

use serde_json::json;

use super::ward::{Ward, pid};
use crate::fixture::Database;

on_both_databases!(
    results_are_corrected,
    groups_and_parents,
    documents_follow_each_other,
    vaccinations_are_taken_back,
    a_laboratory_changes_no_address,
);

const T1: &str = "20240131100000+0100";

fn obr(number: &str, status: &str) -> String {
    format!(
        "OBR|1|ORD{number}^HOSP_A|FIL{number}^LAB|CBC^Blood count^L|||20240131110000+0100\
             |||||||||||||||20240131150000+0100||HM|{status}"
    )
}

async fn results_are_corrected(database: Database) {
    let ward = Ward::new(database).await;
    let orc = "ORC|RE|ORD1^HOSP_A|FIL1^LAB";
    ward.tell(
        "ORU^R01",
        T1,
        &[
            &pid("1"),
            orc,
            &obr("1", "P"),
            "OBX|1|NM|718-7^Hemoglobin^LN||18.4|mmol/L|7.5-10.0|H|||P",
            "OBX|2|NM|789-8^Erythrocytes^LN||4.10|10*12/L||N|||P",
        ],
    )
    .await;
    let report = ward
        .one("DiagnosticReport", &[("identifier", "FIL1")])
        .await;
    assert_eq!(report["status"], "preliminary");
    let before = ward.one("Observation", &[("code", "718-7")]).await;
    assert_eq!(before["interpretation"][0]["coding"][0]["code"], "H");
    // Only what was wrong is sent, without a flag.
    let corrected = ["OBX|1|NM|718-7^Hemoglobin^LN||8.4|mmol/L|7.5-10.0||||C"];
    ward.tell(
        "ORU^R01",
        T1,
        &[&pid("1"), orc, &obr("1", "C"), corrected[0]],
    )
    .await;
    let report = ward
        .one("DiagnosticReport", &[("identifier", "FIL1")])
        .await;
    assert_eq!(report["status"], "corrected");
    assert_eq!(report["result"].as_array().unwrap().len(), 2, "{report:#}");
    let now = ward.one("Observation", &[("code", "718-7")]).await;
    assert_eq!(
        (&now["id"], &now["status"]),
        (&before["id"], &json!("corrected"))
    );
    assert_eq!(now["valueQuantity"]["value"], json!(8.4));
    assert_eq!(now.get("interpretation"), None, "{now:#}");
    // Deleted, and never measured.
    ward.tell(
        "ORU^R01",
        T1,
        &[
            &pid("1"),
            orc,
            &obr("1", "C"),
            "OBX|1|NM|789-8^Erythrocytes^LN||4.10|10*12/L|||||W",
        ],
    )
    .await;
    let gone = ward.one("Observation", &[("code", "789-8")]).await;
    assert_eq!(gone["status"], "entered-in-error");
    let again = ward
        .tell(
            "ORU^R01",
            T1,
            &[&pid("1"), orc, &obr("1", "C"), corrected[0]],
        )
        .await;
    assert_eq!(again.made, Vec::new(), "the same again");
    assert_eq!(ward.fixture.differences().await, Vec::<String>::new());
}

async fn groups_and_parents(database: Database) {
    let ward = Ward::new(database).await;
    let culture = [
        "ORC|RE|ORD1^HOSP_A|FIL1^LAB",
        &obr("1", "F"),
        "OBX|1|CWE|600-7^Blood culture^LN|1|112283007^E. coli^SCT||||||F",
        "OBX|2|CWE|600-7^Blood culture^LN|2|3092008^S. aureus^SCT||||||F",
    ];
    let sensitivity = [
        "ORC|RE|ORD2^HOSP_A|FIL2^LAB",
        "OBR|2|ORD2^HOSP_A|FIL2^LAB|29576-6^Panel^LN|||||||||||||||||||||F|600-7&Blood culture&LN^2|||FIL1^LAB",
        "OBX|1|ST|18864-9^Ampicillin^LN||R||||||F",
    ];
    let person = pid("1");
    let all: Vec<&str> = [person.as_str()]
        .into_iter()
        .chain(culture)
        .chain(sensitivity)
        .collect();
    ward.tell("ORU^R01", T1, &all).await;
    assert_eq!(
        ward.find("DiagnosticReport", &[("status", "final")])
            .await
            .len(),
        2
    );
    let parent = ward.find("Observation", &[("code", "600-7")]).await;
    assert_eq!(parent.len(), 2);
    let parent = parent
        .iter()
        .find(|one| one["valueCodeableConcept"]["coding"][0]["code"] == "3092008")
        .unwrap();
    let child = ward.one("Observation", &[("code", "18864-9")]).await;
    let reference = format!("Observation/{}", parent["id"].as_str().unwrap());
    assert_eq!(child["derivedFrom"], json!([{"reference": reference}]));
    // Alone, later: the parent is found in the record.
    let later: Vec<&str> = [person.as_str()].into_iter().chain(sensitivity).collect();
    let again = ward.tell("ORU^R01", T1, &later).await;
    assert_eq!(again.made, Vec::new(), "{again:#?}");
}

async fn documents_follow_each_other(database: Database) {
    let ward = Ward::new(database).await;
    let document = |number: &str, parent: &str| {
        format!(
            "TXA|1|DS^Discharge summary^HL70270|TX|20240204150000+0100|||20240204160000+0100|||||{number}^HOSP_A|{parent}||||AU||AV"
        )
    };
    let text = "OBX|1|TX|18842-5^Discharge summary^LN||Good condition.||||||F";
    ward.tell("MDM^T02", T1, &[&pid("1"), &document("D1", ""), text])
        .await;
    ward.tell(
        "MDM^T06",
        T1,
        &[&pid("1"), &document("D2", "D1^HOSP_A"), text],
    )
    .await;
    ward.tell(
        "MDM^T10",
        T1,
        &[&pid("1"), &document("D3", "D1^HOSP_A"), text],
    )
    .await;
    let first = ward.one("DocumentReference", &[("identifier", "D1")]).await;
    assert_eq!(first["status"], "superseded");
    let reference = format!("DocumentReference/{}", first["id"].as_str().unwrap());
    for (number, how) in [("D2", "appends"), ("D3", "replaces")] {
        let one = ward
            .one("DocumentReference", &[("identifier", number)])
            .await;
        assert_eq!(
            one["relatesTo"],
            json!([{"code": how, "target": {"reference": reference}}])
        );
    }
    ward.tell("MDM^T11", T1, &[&pid("1"), &document("D3", "")])
        .await;
    let gone = ward.one("DocumentReference", &[("identifier", "D3")]).await;
    assert_eq!(gone["status"], "entered-in-error");
}

async fn vaccinations_are_taken_back(database: Database) {
    let ward = Ward::new(database).await;
    let orc = "ORC|RE||IZ1^HOSP_A";
    ward.tell(
        "VXU^V04",
        T1,
        &[
            &pid("1"),
            orc,
            "RXA|0|1|20240131103000+0100||208^Vaccine^CVX|0.3|mL||00^New^NIP001|||||||||||CP|A",
        ],
    )
    .await;
    let given = ward.one("Immunization", &[("vaccine-code", "208")]).await;
    assert_eq!(given["status"], "completed");
    ward.tell(
        "VXU^V04",
        T1,
        &[
            &pid("1"),
            orc,
            "RXA|0|1|20240131103000+0100||208^Vaccine^CVX|999||||||||||||||CP|D",
        ],
    )
    .await;
    let gone = ward.one("Immunization", &[("vaccine-code", "208")]).await;
    assert_eq!(
        (&gone["id"], &gone["status"]),
        (&given["id"], &json!("entered-in-error"))
    );
}

async fn a_laboratory_changes_no_address(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell(
        "ADT^A28",
        T1,
        &["PID|1||1^^^HOSP_A^MR||A^B||||||Street 1^^Town"],
    )
    .await;
    ward.tell(
        "ORU^R01",
        T1,
        &[
            "PID|1||1^^^HOSP_A^MR||X^Y||19700412||||Elsewhere^^City",
            &obr("1", "F"),
            "OBX|1|ST|1^A^L||x||||||F",
        ],
    )
    .await;
    let now = ward.patient("1").await;
    assert_eq!(now["address"][0]["city"], "Town");
    assert_eq!(now["name"][0]["family"], "A");
    assert_eq!(
        now["birthDate"], "1970-04-12",
        "what was not known is added"
    );
}
