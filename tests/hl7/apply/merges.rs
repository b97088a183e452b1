//! Records that are one, that move, and that get other numbers.

use serde_json::json;

use super::ward::{Ward, codes, pid, pv1};
use crate::fixture::Database;

on_both_databases!(
    patients_are_merged,
    a_merge_is_undone,
    visits_and_accounts_are_merged,
    visits_move_to_another_patient,
    accounts_move_to_another_patient,
    numbers_change,
    records_are_linked,
);

const T1: &str = "20240131100000+0100";
const T2: &str = "20240201110000+0100";

fn mrg(number: &str) -> String {
    format!("MRG|{number}^^^HOSP_A^MR")
}

async fn patients_are_merged(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell("ADT^A01", T1, &[&pid("1"), &pv1("W1^1^1", "V1")])
        .await;
    ward.tell(
        "ADT^A01",
        T1,
        &[
            &pid("2"),
            &pv1("W1^1^2", "V2"),
            "AL1|1|DA|7980^Penicillin^RXNORM",
        ],
    )
    .await;
    let (remains, goes) = (ward.patient("1").await, ward.patient("2").await);
    let to = format!("Patient/{}", remains["id"].as_str().unwrap());
    let from = format!("Patient/{}", goes["id"].as_str().unwrap());
    ward.tell("ADT^A40", T2, &[&pid("1"), &mrg("2")]).await;

    assert_eq!(ward.visit("V2").await["subject"]["reference"], *to);
    let allergies = ward.find("AllergyIntolerance", &[("patient", &to)]).await;
    assert_eq!(allergies.len(), 1);
    for name in ["Encounter", "AllergyIntolerance"] {
        assert!(ward.find(name, &[("patient", &from)]).await.is_empty());
    }
    let gone = ward.read(&from).await;
    assert_eq!(gone["active"], false);
    assert_eq!(
        gone["link"],
        json!([{"other": {"reference": to}, "type": "replaced-by"}])
    );
    let now = ward.read(&to).await;
    assert_eq!(
        now["link"],
        json!([{"other": {"reference": from}, "type": "replaces"}])
    );
    let identifiers = now["identifier"].as_array().unwrap();
    assert!(
        identifiers
            .iter()
            .any(|one| one["value"] == "2" && one["use"] == "old"),
        "{now:#}"
    );
    // Whoever still says the old number means the one who remains.
    ward.tell("ADT^A08", T2, &["PID|1||2^^^HOSP_A^MR||Renamed^Tilda"])
        .await;
    assert_eq!(ward.read(&to).await["name"][0]["family"], "Renamed");
    assert_eq!(ward.read(&from).await, gone);
    // The same again does nothing.
    let again = ward
        .tell(
            "ADT^A40",
            T2,
            &["PID|1||1^^^HOSP_A^MR||Renamed^Tilda", &mrg("2")],
        )
        .await;
    assert_eq!(again.made, Vec::new(), "{again:#?}");
    assert_eq!(ward.fixture.differences().await, Vec::<String>::new());

    let refused = ward.ask("ADT^A40", T2, &[&pid("1")]).await;
    assert_eq!(codes(refused), [("MRG".to_owned(), "100")]);
    // Two at once, and one that nobody knows.
    ward.tell("ADT^A28", T2, &[&pid("3")]).await;
    ward.tell("ADT^A40", T2, &[&pid("1"), &mrg("3"), &pid("4"), &mrg("5")])
        .await;
    assert_eq!(ward.find("Patient", &[("active", "false")]).await.len(), 2);
    let fourth = ward.patient("4").await;
    assert_eq!(
        fourth["identifier"].as_array().unwrap().len(),
        2,
        "{fourth:#}"
    );
}

async fn a_merge_is_undone(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell("ADT^A01", T1, &[&pid("1"), &pv1("W1^1^1", "V1")])
        .await;
    ward.tell("ADT^A01", T1, &[&pid("2"), &pv1("W1^1^2", "V2")])
        .await;
    let goes = ward.patient("2").await;
    let from = format!("Patient/{}", goes["id"].as_str().unwrap());
    ward.tell("ADT^A40", T2, &[&pid("1"), &mrg("2")]).await;
    let merged = ward.patient("1").await;
    let id = merged["meta"]["source"]
        .as_str()
        .unwrap()
        .rsplit('#')
        .next()
        .unwrap()
        .to_owned();
    // Something happens to the visit after the merge.
    ward.tell("ADT^A03", T2, &[&pid("1"), &pv1("W1^1^2", "V2")])
        .await;
    let undone = ward.applier.undo(id.parse().unwrap()).await.unwrap();
    assert_eq!(
        undone.len(),
        4,
        "two patients, the visit, a Provenance: {undone:?}"
    );
    let visit = ward.visit("V2").await;
    assert_eq!(visit["subject"]["reference"], *from);
    assert_eq!(
        visit["status"], "finished",
        "what came after the merge stays"
    );
    let now = ward.read(&from).await;
    assert_eq!(
        (now.get("active"), now.get("link")),
        (goes.get("active"), None),
        "{now:#}"
    );
    let first = ward.patient("1").await;
    assert_eq!(
        (
            first.get("link"),
            first["identifier"].as_array().unwrap().len()
        ),
        (None, 1)
    );
    ward.tell("ADT^A08", T2, &["PID|1||2^^^HOSP_A^MR||Own^Name"])
        .await;
    assert_eq!(ward.read(&from).await["name"][0]["family"], "Own");
}

async fn visits_and_accounts_are_merged(database: Database) {
    let ward = Ward::new(database).await;
    let with_account =
        |account: &str| format!("PID|1||1^^^HOSP_A^MR||T^T|||||||||||||{account}^^^HOSP_A^AN");
    ward.tell("ADT^A01", T1, &[&with_account("A1"), &pv1("W1^1^1", "V1")])
        .await;
    ward.tell(
        "ADT^A01",
        T1,
        &[
            &with_account("A2"),
            &pv1("W1^1^1", "V2"),
            "DG1|1||J18.9^Pneumonia^I10",
        ],
    )
    .await;
    let remains = ward.visit("V1").await;
    ward.tell(
        "ADT^A42",
        T2,
        &[
            &pid("1"),
            "MRG|1^^^HOSP_A^MR||||V2^^^HOSP_A^VN",
            &pv1("W1^1^1", "V1"),
        ],
    )
    .await;
    let visits = ward.find("Encounter", &[("identifier", "V2")]).await;
    let gone = visits
        .iter()
        .find(|one| one["id"] != remains["id"])
        .unwrap();
    assert_eq!(gone["status"], "entered-in-error");
    let to = format!("Encounter/{}", remains["id"].as_str().unwrap());
    assert_eq!(ward.find("Condition", &[("encounter", &to)]).await.len(), 1);

    ward.tell(
        "ADT^A41",
        T2,
        &[&with_account("A1"), "MRG|1^^^HOSP_A^MR||A2^^^HOSP_A^AN"],
    )
    .await;
    let accounts = ward.find("Account", &[("identifier", "A2")]).await;
    assert_eq!(
        accounts.len(),
        2,
        "the old number leads to both: {accounts:#?}"
    );
    assert!(accounts.iter().any(|one| one["status"] == "inactive"));
}

async fn visits_move_to_another_patient(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell(
        "ADT^A01",
        T1,
        &[
            &pid("2"),
            &pv1("W1^1^2", "V1"),
            "DG1|1||J18.9^Pneumonia^I10",
        ],
    )
    .await;
    ward.tell(
        "ADT^A45",
        T2,
        &[
            &pid("1"),
            "MRG|2^^^HOSP_A^MR||||V1^^^HOSP_A^VN",
            &pv1("W1^1^2", "V1"),
        ],
    )
    .await;
    let to = format!(
        "Patient/{}",
        ward.patient("1").await["id"].as_str().unwrap()
    );
    assert_eq!(ward.visit("V1").await["subject"]["reference"], *to);
    assert_eq!(ward.find("Condition", &[("patient", &to)]).await.len(), 1);
}

async fn accounts_move_to_another_patient(database: Database) {
    let ward = Ward::new(database).await;
    let account = "PID|1||2^^^HOSP_A^MR||T^T|||||||||||||A1^^^HOSP_A^AN";
    ward.tell("ADT^A28", T1, &[account]).await;
    ward.tell(
        "ADT^A44",
        T2,
        &[
            "PID|1||1^^^HOSP_A^MR||T^T|||||||||||||A1^^^HOSP_A^AN",
            "MRG|2^^^HOSP_A^MR||A1^^^HOSP_A^AN",
        ],
    )
    .await;
    let to = format!(
        "Patient/{}",
        ward.patient("1").await["id"].as_str().unwrap()
    );
    let found = ward.one("Account", &[("identifier", "A1")]).await;
    assert_eq!(found["subject"], json!([{"reference": to}]));
}

async fn numbers_change(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell("ADT^A01", T1, &[&pid("1"), &pv1("W1^1^1", "V1")])
        .await;
    let before = ward.patient("1").await;
    ward.tell("ADT^A47", T2, &[&pid("7"), &mrg("1")]).await;
    let now = ward.patient("7").await;
    assert_eq!(now["id"], before["id"]);
    let old = now["identifier"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["value"] == "1")
        .unwrap();
    assert_eq!(old["use"], "old");
    // A number of somebody else is no correction.
    ward.tell("ADT^A28", T2, &[&pid("8")]).await;
    let refused = ward.ask("ADT^A47", T2, &[&pid("8"), &mrg("7")]).await;
    assert_eq!(codes(refused), [("PID-3".to_owned(), "205")]);

    let visit = ward.visit("V1").await;
    ward.tell(
        "ADT^A50",
        T2,
        &[
            &pid("7"),
            "MRG|7^^^HOSP_A^MR||||V1^^^HOSP_A^VN",
            &pv1("W1^1^1", "V9"),
        ],
    )
    .await;
    assert_eq!(ward.visit("V9").await["id"], visit["id"]);
    // A06 with the number of the visit that became this one.
    ward.tell(
        "ADT^A07",
        T2,
        &[
            &pid("7"),
            "MRG|7^^^HOSP_A^MR||||V9^^^HOSP_A^VN",
            &pv1("W1^1^1", "V10").replace("|I|", "|O|"),
        ],
    )
    .await;
    let now = ward.visit("V10").await;
    assert_eq!(now["id"], visit["id"]);
    assert_eq!(
        (
            &now["class"]["code"],
            &now["classHistory"][0]["class"]["code"]
        ),
        (&json!("AMB"), &json!("IMP"))
    );
}

async fn records_are_linked(database: Database) {
    let ward = Ward::new(database).await;
    ward.tell("ADT^A24", T1, &[&pid("1"), "PV1|1|N", &pid("2"), "PV1|2|N"])
        .await;
    let (first, second) = (ward.patient("1").await, ward.patient("2").await);
    for (one, other) in [(&first, &second), (&second, &first)] {
        let reference = format!("Patient/{}", other["id"].as_str().unwrap());
        assert_eq!(
            one["link"],
            json!([{"other": {"reference": reference}, "type": "seealso"}])
        );
    }
    assert!(
        ward.find("Encounter", &[("status", "in-progress,unknown")])
            .await
            .is_empty()
    );
    ward.tell("ADT^A37", T1, &[&pid("1"), "PV1|1|N", &pid("2"), "PV1|2|N"])
        .await;
    assert_eq!(ward.patient("1").await.get("link"), None);
}
