//! Appointments that are told, and that are asked for.

use rotunda::engine::Operation;
use serde_json::json;

use super::ward::{Ward, codes, pid};
use crate::fixture::{ALL, Database, doc, kind};

on_both_databases!(
    an_appointment_takes_its_course,
    a_fact_over_a_booking_is_stored_and_flagged,
    what_was_sent_earlier_is_ignored,
    time_is_blocked_and_open_again,
    services_come_and_go,
    requests_can_lose,
);

fn sch(number: &str, start: &str, end: &str, status: &str) -> String {
    format!(
        "SCH|P{number}^HOSP_A|F{number}^SCHED||||WHY^The reason|CHK^Check-up^L|NORMAL^^HL70277|30|min|^^30^{start}^{end}\
             |||||9012^Clerk^Cleo||||9012^Clerk^Cleo|||||{status}"
    )
}

const AIP: &str = "AIP|1|A|5678^Attending^Ada|ATND";

async fn tell(ward: &Ward, event: &str, time: &str, sch: &str) -> rotunda::hl7::Applied {
    ward.tell(
        &format!("SIU^{event}"),
        time,
        &[sch, &pid("1"), "RGS|1|A", AIP],
    )
    .await
}

async fn an_appointment_takes_its_course(database: Database) {
    let ward = Ward::new(database).await;
    let day = |hour: &str| format!("20261215{hour}0000+0100");
    let (nine, ten, eleven) = (day("09"), day("10"), day("11"));
    let cases = [
        (
            "S12",
            &nine,
            &ten,
            "Booked",
            "booked",
            "2026-12-15T09:00:00+01:00",
        ),
        (
            "S14",
            &nine,
            &ten,
            "",
            "booked",
            "2026-12-15T09:00:00+01:00",
        ),
        (
            "S13",
            &ten,
            &eleven,
            "Booked",
            "booked",
            "2026-12-15T10:00:00+01:00",
        ),
        (
            "S14",
            &ten,
            &eleven,
            "Started",
            "checked-in",
            "2026-12-15T10:00:00+01:00",
        ),
        (
            "S14",
            &ten,
            &eleven,
            "COMPLETE",
            "fulfilled",
            "2026-12-15T10:00:00+01:00",
        ),
        (
            "S26",
            &ten,
            &eleven,
            "Noshow",
            "noshow",
            "2026-12-15T10:00:00+01:00",
        ),
        (
            "S15",
            &ten,
            &eleven,
            "Cancelled",
            "cancelled",
            "2026-12-15T10:00:00+01:00",
        ),
        // What happened elsewhere is kept, whatever may follow here.
        (
            "S12",
            &nine,
            &ten,
            "Booked",
            "booked",
            "2026-12-15T09:00:00+01:00",
        ),
        (
            "S17",
            &nine,
            &ten,
            "Deleted",
            "entered-in-error",
            "2026-12-15T09:00:00+01:00",
        ),
    ];
    for (number, (event, start, end, told, status, at)) in cases.into_iter().enumerate() {
        let time = format!("202611200{number}0000+0100");
        tell(&ward, event, &time, &sch("1", start, end, told)).await;
        let now = ward.one("Appointment", &[("identifier", "F1")]).await;
        assert_eq!(
            (&now["status"], &now["start"]),
            (&json!(status), &json!(at)),
            "{event}: {now:#}"
        );
        let reason = now.get("cancelationReason").is_some();
        assert_eq!(
            reason,
            matches!(status, "cancelled" | "noshow"),
            "{event}: {now:#}"
        );
    }
    let now = ward.one("Appointment", &[("identifier", "F1")]).await;
    let patient = format!(
        "Patient/{}",
        ward.patient("1").await["id"].as_str().unwrap()
    );
    let actors: Vec<&str> = now["participant"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["actor"]["reference"].as_str())
        .collect();
    assert!(actors.contains(&patient.as_str()), "{now:#}");
    assert!(
        actors.iter().any(|one| one.starts_with("Practitioner/")),
        "{now:#}"
    );
    let refused = ward.ask("SIU^S12", "20261120", &["SCH||", &pid("1")]).await;
    assert_eq!(codes(refused)[0].1, "101");
}

async fn a_fact_over_a_booking_is_stored_and_flagged(database: Database) {
    let ward = Ward::new(database).await;
    let (nine, ten, eleven) = (
        "20261215090000+0100",
        "20261215100000+0100",
        "20261215110000+0100",
    );
    tell(
        &ward,
        "S12",
        "20261120080000+0100",
        &sch("1", nine, ten, "Booked"),
    )
    .await;
    let other = [
        "SCH|P2^HOSP_A|F2^SCHED||||WHY||||min|^^30^20261215090000+0100^20261215100000+0100||||||||||||||Booked",
        "PID|1||2^^^HOSP_A^MR||Other^Person",
        "RGS|1|A",
        AIP,
    ];
    ward.tell("SIU^S12", "20261120080000+0100", &other).await;
    let first = ward.one("Appointment", &[("identifier", "F1")]).await;
    let second = ward.one("Appointment", &[("identifier", "F2")]).await;
    assert_eq!(first["meta"].get("tag"), None);
    assert_eq!(second["status"], "booked");
    assert_eq!(second["meta"]["tag"][0]["code"], "overlap", "{second:#}");
    let extensions = second["extension"].as_array().unwrap();
    assert!(
        extensions
            .iter()
            .any(|one| one["url"].as_str().unwrap().ends_with(":overbooked"))
    );
    let reference = format!("Appointment/{}", second["id"].as_str().unwrap());
    let task = ward.one("Task", &[("focus", &reference)]).await;
    assert_eq!(task["status"], "requested");
    assert!(
        task["description"].as_str().unwrap().contains("is booked"),
        "{task:#}"
    );
    assert_eq!(ward.fixture.differences().await, Vec::<String>::new());
    // It moves to a time that is free.
    let moved = other[0].replace(ten, eleven).replace(nine, ten);
    ward.tell(
        "SIU^S13",
        "20261120090000+0100",
        &[&moved, other[1], other[2], AIP],
    )
    .await;
    let second = ward.one("Appointment", &[("identifier", "F2")]).await;
    assert_eq!(second["meta"].get("tag"), None, "{second:#}");
    assert_eq!(
        ward.one("Task", &[("focus", &reference)]).await["status"],
        "completed"
    );
}

async fn what_was_sent_earlier_is_ignored(database: Database) {
    let ward = Ward::new(database).await;
    let (nine, ten, eleven) = (
        "20261215090000+0100",
        "20261215100000+0100",
        "20261215110000+0100",
    );
    tell(
        &ward,
        "S12",
        "20261120080000+0100",
        &sch("1", nine, ten, "Booked"),
    )
    .await;
    tell(
        &ward,
        "S13",
        "20261120100000+0100",
        &sch("1", ten, eleven, "Booked"),
    )
    .await;
    let late = tell(
        &ward,
        "S13",
        "20261120090000+0100",
        &sch("1", nine, ten, "Booked"),
    )
    .await;
    assert_eq!(late.made, Vec::new());
    assert!(
        late.notes.iter().any(|note| note.place == "MSH-7"),
        "{late:#?}"
    );
    let now = ward.one("Appointment", &[("identifier", "F1")]).await;
    assert_eq!(now["start"], "2026-12-15T10:00:00+01:00");
}

async fn time_is_blocked_and_open_again(database: Database) {
    let ward = Ward::new(database).await;
    let (nine, ten) = ("20261215090000+0100", "20261215100000+0100");
    let block = sch("5", nine, ten, "Blocked");
    let aip = "AIP|1|A|5678^Attending^Ada|ATND";
    ward.tell("SIU^S23", "20261120080000+0100", &[&block, "RGS|1|A", aip])
        .await;
    let slot = ward.one("Slot", &[("identifier", "F5")]).await;
    assert_eq!(slot["status"], "busy-unavailable");
    assert!(
        ward.find("Appointment", &[("identifier", "F5")])
            .await
            .is_empty()
    );
    // The same again is the same.
    ward.tell("SIU^S23", "20261120080000+0100", &[&block, "RGS|1|A", aip])
        .await;
    ward.one("Slot", &[("identifier", "F5")]).await;
    // A client cannot book it.
    let practitioner = ward.one("Practitioner", &[("identifier", "5678")]).await;
    let wanted = format!(
        r#"{{"resourceType":"Appointment","status":"booked","start":"2026-12-15T09:00:00+01:00","end":"2026-12-15T09:30:00+01:00","participant":[{{"actor":{{"reference":"Practitioner/{}"}},"status":"accepted"}}]}}"#,
        practitioner["id"].as_str().unwrap()
    );
    let book = || {
        vec![Operation::Create {
            kind: kind("Appointment"),
            body: doc(&wanted),
            if_none_exist: None,
        }]
    };
    ward.fixture.engine.submit(book(), &ALL).await.unwrap_err();
    ward.tell("SIU^S24", "20261120090000+0100", &[&block, "RGS|1|A", aip])
        .await;
    assert!(ward.find("Slot", &[("identifier", "F5")]).await.is_empty());
    ward.fixture.engine.submit(book(), &ALL).await.unwrap();
}

async fn services_come_and_go(database: Database) {
    let ward = Ward::new(database).await;
    let (nine, ten) = ("20261215090000+0100", "20261215100000+0100");
    let count = |one: &serde_json::Value| {
        one["participant"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| {
                one["actor"]["reference"]
                    .as_str()
                    .is_some_and(|it| it.starts_with("Practitioner/"))
            })
            .count()
    };
    tell(
        &ward,
        "S12",
        "20261120080000+0100",
        &sch("1", nine, ten, "Booked"),
    )
    .await;
    let before = count(&ward.one("Appointment", &[("identifier", "F1")]).await);
    let head = sch("1", nine, ten, "Booked");
    ward.tell(
        "SIU^S18",
        "20261120090000+0100",
        &[&head, &pid("1"), "RGS|1|U", "AIP|1|A|777^Added^Anna|CNSLT"],
    )
    .await;
    let added = count(&ward.one("Appointment", &[("identifier", "F1")]).await);
    assert_eq!(added, before + 1);
    ward.tell(
        "SIU^S22",
        "20261120100000+0100",
        &[&head, &pid("1"), "RGS|1|U", "AIP|1|D|777^Added^Anna|CNSLT"],
    )
    .await;
    assert_eq!(
        count(&ward.one("Appointment", &[("identifier", "F1")]).await),
        before
    );
}

async fn requests_can_lose(database: Database) {
    let ward = Ward::new(database).await;
    let ask = |number: &str, patient: &str| {
        [
            format!(
                "ARQ|P{number}^HOSP_A|||||NEW|CHK^Check-up^L||30|min|20261215080000+0100^20261215170000+0100||||9012^Clerk^Cleo"
            ),
            pid(patient),
            "RGS|1|A".to_owned(),
            "AIS|1|A|CHK30^Check-up^L|20261215090000+0100|0|min|30|min".to_owned(),
            "AIP|1|A|5678^Attending^Ada|ATND||20261215090000+0100|||30|min".to_owned(),
        ]
    };
    let send = async |event: &str, segments: &[String; 5]| {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let applied = ward
            .tell(&format!("SRM^{event}"), "20261120080000+0100", &segments)
            .await;
        (
            String::from_utf8(applied.answer.unwrap().to_vec()).unwrap(),
            applied.made,
        )
    };
    let (won, _) = send("S01", &ask("1", "1")).await;
    assert!(
        won.contains("SRR^S01") && won.contains("MSA|AA|") && won.contains("\rSCH|P1"),
        "{won}"
    );
    let (lost, made) = send("S01", &ask("2", "2")).await;
    assert!(
        lost.contains("MSA|AE|") && lost.contains("207") && lost.contains("slot-taken"),
        "{lost}"
    );
    assert_eq!(made, Vec::new());
    assert!(
        ward.find("Patient", &[("identifier", "2")])
            .await
            .is_empty(),
        "nothing half done"
    );
    let (unknown, _) = send("S04", &ask("9", "1")).await;
    assert!(
        unknown.contains("MSA|AE|") && unknown.contains("204"),
        "{unknown}"
    );
    let (cancelled, _) = send("S04", &ask("1", "1")).await;
    assert!(
        cancelled.contains("MSA|AA|") && cancelled.contains("Cancelled"),
        "{cancelled}"
    );
    let (won, _) = send("S01", &ask("2", "2")).await;
    assert!(won.contains("MSA|AA|"), "{won}");
}
