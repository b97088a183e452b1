//! Each sees and answers only the own offers.

use std::sync::Arc;

use rotunda::{
    access::{Access, Grants, Right, Rights, Rule},
    engine::{BookingCall, Error},
};
use serde_json::{Value, json};

use super::{clinic, settled, tend, waits};
use crate::{
    fixture::{Database, Fixture, doc, identities, kind},
    ward::{minutes, references},
};

on_both_databases!(nobody_sees_the_offer_of_another,);

/// What a patient may do.
fn of_patient(id: &str) -> Access {
    let rule = |kind, rights: &[Right]| Rule {
        kind,
        rights: Rights::of(rights),
        patients: vec![id.to_owned()],
        constraints: Vec::new(),
        relation: None,
        own: true,
    };
    let rules = vec![
        rule(None, &[Right::Read, Right::Search]),
        rule(Some(kind("Appointment")), &[Right::Create, Right::Update]),
    ];
    Access::granted(Arc::new(Grants::new(rules, Vec::new())))
}

fn call(id: Option<&str>, body: &Value) -> BookingCall {
    BookingCall {
        pairs: Vec::new(),
        body: (!body.is_null()).then(|| doc(&body.to_string())),
        id: id.map(str::to_owned),
        key: None,
        strict: true,
    }
}

fn status_of<T>(done: &Result<T, Error>) -> (u16, &'static str) {
    match done {
        Ok(_) => (200, ""),
        Err(error) => {
            let detail = error.issues[0].detail.as_ref();
            (error.kind.status(), detail.map_or("", |detail| detail.code))
        }
    }
}

async fn nobody_sees_the_offer_of_another(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &[minutes("duration", 15)], 3, 4).await;
    tend(&f).await;
    let (a, b) = (of_patient("t0"), of_patient("t1"));
    // Each for themselves only, and not before their turn.
    let mut entries = Vec::new();
    for (n, access) in [(0, &a), (1, &b)] {
        let asked = call(None, &waits(ward, n, &[]));
        let joined = f.engine.join_waitlist(&asked, access).await.unwrap();
        entries.push(joined.appointments[0].id.clone());
    }
    let of_b = f
        .engine
        .join_waitlist(&call(None, &waits(ward, 1, &[])), &a)
        .await;
    assert_eq!(status_of(&of_b).0, 404);
    let urgent = waits(ward, 0, &[("priority", json!({ "valueInteger": 1 }))]);
    let urgent = f.engine.join_waitlist(&call(None, &urgent), &a).await;
    assert_eq!(status_of(&urgent), (403, "staff-only"));
    door.cancel("b1").await;
    tend(&f).await;
    assert_eq!(door.offered("requested").await, ["t0", "t1"]);
    let all = door.get("/Task?status=requested").await.resources();
    let task_of = |patient: &str| {
        let own = all.iter().find(|one| one["for"]["reference"] == patient);
        own.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (of_a, of_b) = (task_of("Patient/t0"), task_of("Patient/t1"));
    for (access, own, other) in [(&a, &of_a, &of_b), (&b, &of_b, &of_a)] {
        let found = f.search_as("Task?status=requested", access).await.unwrap();
        assert_eq!(identities(&found), [format!("Task/{own}")]);
        let read = f.engine.read(kind("Task"), other, access).await;
        assert_eq!(status_of(&read).0, 404);
        // What they see names nobody else.
        let read = f.engine.read(kind("Task"), own, access).await.unwrap();
        let text = String::from_utf8(read.body.to_vec()).unwrap();
        let name = if std::ptr::eq(access, &raw const a) {
            "t1"
        } else {
            "t0"
        };
        assert!(!text.contains(&format!("Patient/{name}")), "{text}");
        // Nor do they see who holds the time.
        let round = doc(&text);
        let round = round.root().get("basedOn").unwrap().items().next().unwrap();
        let round = round
            .get("reference")
            .unwrap()
            .as_str()
            .unwrap()
            .into_owned();
        let id = round.strip_prefix("Appointment/").unwrap();
        let read = f.engine.read(kind("Appointment"), id, access).await;
        assert_eq!(status_of(&read).0, 404);
    }
    let offer = |task: &str| references(&[("offer", &format!("Task/{task}"))]);
    for (what, id, body) in [
        ("another's entry", &entries[1], Value::Null),
        ("another's offer", &entries[0], offer(&of_b)),
        ("another's both", &entries[1], offer(&of_b)),
        ("no offer", &entries[0], offer("nowhere")),
    ] {
        let done = f.engine.accept_offer(&call(Some(id), &body), &a).await;
        assert_eq!(status_of(&done).0, 404, "{what}");
        let done = f.engine.decline_offer(&call(Some(id), &body), &a).await;
        assert_eq!(status_of(&done).0, 404, "{what}");
    }
    let own = call(Some(&entries[0]), &offer(&of_a));
    let booked = f.engine.accept_offer(&own, &a).await.unwrap();
    assert_eq!(booked.appointments.len(), 1);
    let late = f
        .engine
        .accept_offer(&call(Some(&entries[1]), &offer(&of_b)), &b)
        .await;
    assert_eq!(status_of(&late), (409, "offer-taken"));
    let text = late.unwrap_err().outcome();
    assert!(!text.contains("t0"), "{text}");
    settled(&f).await;
    // The desk may do it for them.
    door.cancel("b2").await;
    tend(&f).await;
    let booked = door.accept(&entries[1]).await;
    assert_eq!(booked.status, 200, "{booked:?}");
    settled(&f).await;
}
