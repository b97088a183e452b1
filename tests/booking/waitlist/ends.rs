//! Offers that nobody accepts, or that are over for another reason.

use rotunda::engine::Tended;
use serde_json::Value;

use super::{HALF_AN_HOUR, at_once, clinic, refused, settled, tend};
use crate::{
    door::Door,
    fixture::{Database, Fixture},
    ward::{appointment, references},
};

on_both_databases!(
    what_nobody_accepts_is_offered_to_the_next,
    what_all_decline_is_free,
    an_offer_survives_a_restart,
    whoever_no_longer_waits_is_offered_nothing,
);

async fn what_nobody_accepts_is_offered_to_the_next(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &at_once(0.5, 0.75), 5, 4).await;
    tend(&f).await;
    let mut entries = Vec::new();
    for n in 0..5 {
        entries.push(door.join(ward, n, &[]).await);
        f.clock.advance(1_000);
    }
    door.cancel("b0").await;
    tend(&f).await;
    assert_eq!(door.offered("requested").await, ["t0", "t1"]);
    f.clock.advance(HALF_AN_HOUR);
    let tended = tend(&f).await;
    assert_eq!((tended.ended, tended.rounds, tended.offers), (1, 1, 2));
    assert_eq!(door.offered("failed").await, ["t0", "t1"]);
    assert_eq!(door.offered("requested").await, ["t2", "t3"]);
    refused(&door.accept(&entries[0]).await, 409, "offer-expired");
    door.decline(&entries[2]).await;
    assert_eq!(tend(&f).await, Tended::default(), "one may still accept");
    door.decline(&entries[3]).await;
    tend(&f).await;
    assert_eq!(door.offered("requested").await, ["t4"]);
    settled(&f).await;
    let booked = door.accept(&entries[4]).await;
    assert_eq!(booked.status, 200, "{booked:?}");
    settled(&f).await;
}

async fn what_all_decline_is_free(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &at_once(0.5, 0.75), 3, 4).await;
    tend(&f).await;
    let entries = [door.join(ward, 0, &[]).await, door.join(ward, 1, &[]).await];
    door.cancel("b0").await;
    tend(&f).await;
    for entry in &entries {
        let declined = door.decline(entry).await;
        assert_eq!(declined.appointment()["status"], "rejected");
    }
    let path = format!("/Appointment/{}/$decline-offer", entries[0]);
    let again = door.ask("POST", &path, Value::Null).await;
    refused(&again, 409, "offer-answered");
    tend(&f).await;
    assert_eq!(door.offered("requested").await, Vec::<String>::new());
    let own = appointment("booked", ward.time(0), "Patient/t2", "PractitionerRole/r1");
    door.must("POST", "/Appointment", own).await;
    for entry in &entries {
        let waits = door.get(&format!("/Appointment/{entry}")).await.body;
        assert_eq!(waits["status"], "waitlist", "they go on waiting");
    }
    settled(&f).await;
}

async fn an_offer_survives_a_restart(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &at_once(0.5, 0.75), 3, 4).await;
    tend(&f).await;
    let entries = [door.join(ward, 0, &[]).await, door.join(ward, 1, &[]).await];
    tend(&f).await;
    // It ends between the cancellation and the offers,
    door.cancel("b0").await;
    let f = f.beside().await;
    let mut door = Door::of(&f);
    assert_eq!(tend(&f).await.offers, 2);
    // and between the offers and the acceptance.
    let f = f.beside().await;
    let mut later = Door::of(&f);
    assert_eq!(tend(&f).await, Tended::default());
    let booked = later.accept(&entries[1]).await;
    assert_eq!(booked.status, 200, "{booked:?}");
    refused(&door.accept(&entries[0]).await, 409, "offer-taken");
    // What is over when it starts is ended.
    later.cancel("b1").await;
    tend(&f).await;
    assert_eq!(later.offered("requested").await, ["t0"]);
    f.clock.advance(HALF_AN_HOUR);
    let f = f.beside().await;
    assert_eq!(tend(&f).await.ended, 1);
    assert_eq!(Door::of(&f).offered("failed").await, ["t0"]);
    settled(&f).await;
}

async fn whoever_no_longer_waits_is_offered_nothing(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &at_once(0.5, 0.75), 4, 4).await;
    tend(&f).await;
    let mut entries = Vec::new();
    for n in 0..4 {
        entries.push(door.join(ward, n, &[]).await);
        f.clock.advance(1_000);
    }
    door.cancel("b0").await;
    tend(&f).await;
    assert_eq!(door.offered("requested").await, ["t0", "t1"]);
    door.cancel(&entries[0]).await;
    assert_eq!(tend(&f).await.withdrawn, 1);
    assert_eq!(door.offered("requested").await, ["t1"]);
    door.must(
        "DELETE",
        &format!("/Appointment/{}", entries[1]),
        Value::Null,
    )
    .await;
    tend(&f).await;
    // With the last of them the time goes on to the next.
    assert_eq!(door.offered("requested").await, ["t2", "t3"]);
    // Somebody at the desk gives the time away.
    let held = door.get("/Appointment?status=pending").await.resources();
    let held = held[0]["id"].as_str().unwrap().to_owned();
    let asked = references(&[
        ("appointment-reference", &format!("Appointment/{held}")),
        ("patient-reference", "Patient/t0"),
    ]);
    door.must("POST", "/Appointment/$book", asked).await;
    assert_eq!(tend(&f).await.withdrawn, 2);
    refused(&door.accept(&entries[2]).await, 409, "offer-taken");
    settled(&f).await;
}
