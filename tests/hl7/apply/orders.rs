//! Orders and their control codes.

use super::ward::{Ward, codes, pid};
use crate::fixture::Database;

on_both_databases!(
    control_codes_do_what_they_say,
    what_cannot_be_done_is_answered,
    numbers_are_their_owners,
    children_have_parents,
);

const T1: &str = "20240131100000+0100";

fn order(code: &str, placer: &str, filler: &str, status: &str) -> [String; 2] {
    [
        format!("ORC|{code}|{placer}|{filler}|G1^HOSP_A|{status}||||20240131103000+0100"),
        format!("OBR|1|{placer}|{filler}|CBC^Blood count^L|||20240131110000+0100"),
    ]
}

async fn send(ward: &Ward, order: &[String; 2]) -> Option<String> {
    let applied = ward
        .tell("ORM^O01", T1, &[&pid("1"), &order[0], &order[1]])
        .await;
    applied
        .answer
        .map(|answer| String::from_utf8(answer.to_vec()).unwrap())
}

fn answered(answer: Option<&String>) -> Option<String> {
    let answer = answer?;
    let orc = answer
        .split('\r')
        .find(|segment| segment.starts_with("ORC"))?;
    Some(orc.split('|').nth(1)?.to_owned())
}

async fn control_codes_do_what_they_say(database: Database) {
    let ward = Ward::new(database).await;
    let (placer, filler) = ("O1^HOSP_A", "F1^LAB");
    let cases = [
        ("NW", "", "", "active", Some("OK")),
        ("OK", filler, "IP", "active", None),
        ("XO", filler, "", "active", Some("XR")),
        ("HD", filler, "", "on-hold", Some("HR")),
        ("RL", filler, "", "active", Some("OR")),
        ("SC", filler, "HD", "on-hold", None),
        ("SC", filler, "IP", "active", None),
        ("UC", filler, "", "active", None),
        ("RE", filler, "", "active", None),
        ("SN", filler, "", "active", Some("NA")),
        ("RE", filler, "CM", "completed", None),
    ];
    for (code, filler, orc5, status, answer) in cases {
        let told = send(&ward, &order(code, placer, filler, orc5)).await;
        assert_eq!(
            answered(told.as_ref()).as_deref(),
            answer,
            "{code}: {told:?}"
        );
        let now = ward.one("ServiceRequest", &[("identifier", "O1")]).await;
        assert_eq!(now["status"], status, "{code}: {now:#}");
        assert_eq!(now["code"]["coding"][0]["code"], "CBC", "{now:#}");
    }
    for (number, (code, status)) in [
        ("CA", "revoked"),
        ("DC", "revoked"),
        ("OC", "revoked"),
        ("UA", "revoked"),
        ("OH", "on-hold"),
    ]
    .into_iter()
    .enumerate()
    {
        let placer = format!("P{number}^HOSP_A");
        send(&ward, &order("NW", &placer, "", "")).await;
        send(&ward, &order(code, &placer, "", "")).await;
        let now = ward
            .one("ServiceRequest", &[("identifier", &format!("P{number}"))])
            .await;
        assert_eq!(now["status"], status, "{code}");
    }
}

async fn what_cannot_be_done_is_answered(database: Database) {
    let ward = Ward::new(database).await;
    let unknown = send(&ward, &order("CA", "O9^HOSP_A", "", "")).await;
    assert_eq!(answered(unknown.as_ref()).as_deref(), Some("UC"));
    assert!(unknown.unwrap().contains("MSA|AA|"));
    assert!(
        ward.find("ServiceRequest", &[("identifier", "O9")])
            .await
            .is_empty()
    );
    send(&ward, &order("NW", "O1^HOSP_A", "", "")).await;
    send(&ward, &order("RE", "O1^HOSP_A", "F1^LAB", "CM")).await;
    let late = send(&ward, &order("CA", "O1^HOSP_A", "F1^LAB", "")).await;
    assert_eq!(answered(late.as_ref()).as_deref(), Some("UC"));
    assert_eq!(
        ward.one("ServiceRequest", &[("identifier", "O1")]).await["status"],
        "completed"
    );
}

async fn numbers_are_their_owners(database: Database) {
    let ward = Ward::new(database).await;
    send(&ward, &order("NW", "O1^HOSP_A", "", "")).await;
    send(&ward, &order("OK", "O1^HOSP_A", "F1^LAB", "")).await;
    // The placer gives no other filler's number, nor the filler another placer's.
    let [orc, obr] = order("XO", "O1^HOSP_A", "F2^LAB", "");
    let refused = ward.ask("ORM^O01", T1, &[&pid("1"), &orc, &obr]).await;
    assert_eq!(codes(refused), [("ORC-3".to_owned(), "204")]);
    let [orc, obr] = order("SC", "O2^HOSP_A", "F1^LAB", "IP");
    let refused = ward.ask("ORM^O01", T1, &[&pid("1"), &orc, &obr]).await;
    assert_eq!(codes(refused), [("ORC-2".to_owned(), "204")]);
    // Nor does anybody give it to another patient.
    let [orc, obr] = order("SC", "O1^HOSP_A", "F1^LAB", "IP");
    let refused = ward.ask("ORM^O01", T1, &[&pid("2"), &orc, &obr]).await;
    assert_eq!(codes(refused), [("ORC".to_owned(), "205")]);
}

async fn children_have_parents(database: Database) {
    let ward = Ward::new(database).await;
    let ([orc1, obr1], [orc2, obr2]) = (
        order("PA", "O1^HOSP_A", "F1^LAB", ""),
        order("CH", "O2^HOSP_A", "F2^LAB", ""),
    );
    ward.tell("ORM^O01", T1, &[&pid("1"), &orc1, &obr1, &orc2, &obr2])
        .await;
    let parent = ward.one("ServiceRequest", &[("identifier", "O1")]).await;
    let child = ward.one("ServiceRequest", &[("identifier", "O2")]).await;
    let reference = format!("ServiceRequest/{}", parent["id"].as_str().unwrap());
    assert_eq!(child["basedOn"][0]["reference"], *reference, "{child:#}");
}
