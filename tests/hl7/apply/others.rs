//! Queries, master files, charges and the pharmacy.

use super::ward::{Ward, codes, pid};
use crate::fixture::Database;

on_both_databases!(
    patients_are_asked_for,
    staff_changes_by_master_files_only,
    charges_are_made_once,
    the_pharmacy_speaks_of_prescriptions,
);

const T1: &str = "20240131100000+0100";

async fn patients_are_asked_for(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell(
        "ADT^A28",
        T1,
        &["PID|1||1^^^HOSP_A^MR~9^^^NAT^NI||Testperson^Tilda||19700412|F"],
    )
    .await;
    ward.tell(
        "ADT^A28",
        T1,
        &["PID|1||2^^^HOSP_A^MR||Testperson^Theo||19800101|M"],
    )
    .await;
    let ask = async |kind: &str, qpd: &str| {
        let applied = ward.tell(kind, T1, &[qpd, "RCP|I|10^RD"]).await;
        assert_eq!(applied.made, Vec::new());
        String::from_utf8(applied.answer.unwrap().to_vec()).unwrap()
    };
    let found = ask(
        "QBP^Q22",
        "QPD|Q22^Find Candidates^HL7|T1|@PID.5.1.1^Testp~@PID.7^19700412",
    )
    .await;
    assert!(
        found.contains("RSP^K22") && found.contains("QAK|T1|OK|"),
        "{found}"
    );
    assert_eq!(found.matches("\rPID|").count(), 1, "{found}");
    assert!(
        found.contains("Testperson^Tilda") && found.contains("|19700412|F"),
        "{found}"
    );
    let both = ask("QBP^Q22", "QPD|Q22^Find Candidates^HL7|T2|@PID.5.1.1^Testp").await;
    assert_eq!(both.matches("\rPID|").count(), 2, "{both}");
    let nobody = ask(
        "QBP^Q22",
        "QPD|Q22^Find Candidates^HL7|T3|@PID.5.1.1^Nobody",
    )
    .await;
    assert!(
        nobody.contains("QAK|T3|NF|") && nobody.contains("MSA|AA|"),
        "{nobody}"
    );
    let other = ask(
        "QBP^Q23",
        "QPD|Q23^Get Corresponding IDs^HL7|T4|1^^^HOSP_A^MR|^^^NAT",
    )
    .await;
    assert!(
        other.contains("|9^^^NAT") && !other.contains("|1^^^HOSP_A^MR\rPID"),
        "{other}"
    );
    let unknown = ask(
        "QBP^Q23",
        "QPD|Q23^Get Corresponding IDs^HL7|T5|77^^^HOSP_A^MR|^^^NAT",
    )
    .await;
    assert!(
        unknown.contains("MSA|AE|") && unknown.contains("204"),
        "{unknown}"
    );
    let refused = ward.ask("QBP^Q99", T1, &["QPD|Q99^X^HL7|T6|x"]).await;
    assert_eq!(codes(refused), [("QPD-1".to_owned(), "201")]);
}

async fn staff_changes_by_master_files_only(database: Database) {
    let ward = Ward::new(database).await;
    let file = |action: &str, name: &str| {
        [
            "MFI|PRA^Practitioner^HL70175||UPD|||NE".to_owned(),
            format!("MFE|{action}|MF001|20240131|5678^^HOSP_A|CWE"),
            format!("STF|5678^^HOSP_A|5678^^^HOSP_A|{name}^Ada|P|F|19651101|A"),
        ]
    };
    let send = async |action: &str, name: &str| {
        let segments = file(action, name);
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        ward.tell("MFN^M02", T1, &segments).await;
        ward.one("Practitioner", &[("identifier", "5678")]).await
    };
    assert_eq!(
        send("MAD", "Attending").await["name"][0]["family"],
        "Attending"
    );
    let visit = "PV1|1|I|W1||||5678^Somebody^Else^^^^^^HOSP_A||||||||||||V1^^^HOSP_A^VN";
    ward.tell("ADT^A01", T1, &[&pid("1"), visit]).await;
    let now = ward.one("Practitioner", &[("identifier", "5678")]).await;
    assert_eq!(
        now["name"][0]["family"], "Attending",
        "who is only named stays"
    );
    assert_eq!(send("MUP", "Married").await["name"][0]["family"], "Married");
    assert_eq!(send("MDC", "Married").await["active"], false);
    assert_eq!(send("MAC", "Married").await["active"], true);
}

async fn charges_are_made_once(database: Database) {
    let ward = Ward::new(database).await;
    let charge =
        "FT1|1|TR001||20240131|20240201|CG^Charge^HL70017|99213^Office visit^CPT|||1|75.00&EUR";
    ward.tell("DFT^P03", T1, &[&pid("1"), charge]).await;
    ward.one("ChargeItem", &[("code", "99213")]).await;
    let again = ward.tell("DFT^P03", T1, &[&pid("1"), charge]).await;
    assert_eq!(again.made, Vec::new());
}

async fn the_pharmacy_speaks_of_prescriptions(database: Database) {
    let ward = Ward::new(database).await;
    let order = |code: &str| {
        [
            format!("ORC|{code}|RX1^HOSP_A|||||||20240131103000+0100"),
            "RXE|^^^20240131120000+0100^^R|197361^Amoxicillin^RXNORM|500||mg^milligram^UCUM|CAP^Capsule^L||||21|CAP|1"
                .to_owned(),
        ]
    };
    for (code, status) in [
        ("NW", "active"),
        ("HD", "on-hold"),
        ("RL", "active"),
        ("XO", "active"),
        ("DC", "stopped"),
    ] {
        let [orc, rxe] = order(code);
        let applied = ward.tell("RDE^O11", T1, &[&pid("1"), &orc, &rxe]).await;
        let answer = String::from_utf8(applied.answer.unwrap().to_vec()).unwrap();
        assert!(answer.contains("RRE^O12"), "{answer}");
        let now = ward
            .one("MedicationRequest", &[("identifier", "RX1")])
            .await;
        assert_eq!(now["status"], status, "{code}: {now:#}");
    }
    let dispense =
        |time: &str| format!("RXD|1|197361^Amoxicillin^RXNORM|{time}|21|CAP^Capsule^L||RXN1");
    for time in [
        "20240131130000+0100",
        "20240202130000+0100",
        "20240202130000+0100",
    ] {
        ward.tell(
            "RDS^O13",
            T1,
            &[&pid("1"), "ORC|RE|RX1^HOSP_A|PH1^PHARM", &dispense(time)],
        )
        .await;
    }
    let patient = format!(
        "Patient/{}",
        ward.patient("1").await["id"].as_str().unwrap()
    );
    assert_eq!(
        ward.find("MedicationDispense", &[("patient", &patient)])
            .await
            .len(),
        2
    );
    let now = ward
        .one("MedicationRequest", &[("identifier", "RX1")])
        .await;
    assert_eq!(now["status"], "stopped", "what is over stays so: {now:#}");
}
