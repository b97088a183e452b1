//! Pools, groups, moves and swaps: what many change at once is conserved.

use std::sync::Arc;

use rotunda::clock::Clock as _;
use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    agreement::agreed,
    door::Door,
    fixture::{Database, Fixture},
    ward::{Ward, appointment, instant, minutes, references},
    ways::transaction,
};

on_both_databases!(
    a_pool_of_ten_is_booked_ten_times_at_once,
    appointments_that_move_at_random_are_conserved,
    two_swap_their_times_in_one_transaction,
    a_slot_is_freed_with_its_appointment_in_one_transaction,
    a_group_is_filled_exactly,
    a_patient_is_in_one_place_at_a_time,
);

async fn a_pool_of_ten_is_booked_ten_times_at_once(on: Database) {
    const CLIENTS: usize = 100;
    let f = Fixture::new(on).await;
    let (mut door, ward) = (Door::of(&f), Ward::of(&f));
    ward.patients(&mut door, CLIENTS).await;
    for n in 0..10 {
        ward.practitioner(&mut door, &n.to_string(), &[minutes("duration", 15)])
            .await;
    }
    let (start, end) = ward.time(0);
    let find = format!(
        "/Appointment/$find?specialty=http://t|general&_count=50&start={}&end={}",
        instant(start),
        instant(end)
    );
    let barrier = Arc::new(Barrier::new(CLIENTS));
    let mut racing = JoinSet::new();
    for client in 0..CLIENTS {
        let (mut door, find, barrier) = (Door::of(&f), find.clone(), Arc::clone(&barrier));
        racing.spawn(async move {
            let proposals = door.get(&find).await.resources();
            assert_eq!(proposals.len(), 10);
            barrier.wait().await;
            for proposal in proposals {
                let asked = references(&[
                    (
                        "appointment-reference",
                        &format!("Appointment/{}", proposal["id"].as_str().unwrap()),
                    ),
                    ("patient-reference", &format!("Patient/t{client}")),
                ]);
                let answer = door.ask("POST", "/Appointment/$book", asked).await;
                if answer.is_done() {
                    return true;
                }
                assert_eq!(
                    (answer.status, answer.code()),
                    (409, "slot-taken"),
                    "{answer:?}"
                );
            }
            false
        });
    }
    let won = racing
        .join_all()
        .await
        .into_iter()
        .filter(|won| *won)
        .count();
    assert_eq!(won, 10);
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.at(start), 10);
}

async fn appointments_that_move_at_random_are_conserved(on: Database) {
    const MANY: usize = 60;
    let f = Fixture::new(on).await;
    let (mut door, ward) = (Door::of(&f), Ward::of(&f));
    ward.patients(&mut door, MANY).await;
    ward.practitioner(&mut door, "1", &[minutes("duration", 5)])
        .await;
    let time = move |n: usize| {
        let start = ward.day + n as i64 * 300;
        (start, start + 300)
    };
    for n in 0..MANY {
        let patient = format!("Patient/t{n}");
        let mut one = appointment("booked", time(n), &patient, "PractitionerRole/r1");
        one["id"] = json!(format!("m{n}"));
        door.must("PUT", &format!("/Appointment/m{n}"), one).await;
    }
    let mut racing = JoinSet::new();
    for task in 0..32_usize {
        let mut door = Door::of(&f);
        racing.spawn(async move {
            let mut random = task as u64 * 7_919 + 1;
            let mut moved = 0;
            for _ in 0..30 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let who = (random >> 33) as usize % MANY;
                let to = (random >> 43) as usize % (MANY + 12);
                let asked = json!({ "resourceType": "Parameters", "parameter": [
                    { "name": "start", "valueDateTime": instant(time(to).0) } ] });
                let path = format!("/Appointment/m{who}/$reschedule");
                let answer = door.ask("POST", &path, asked).await;
                match answer.is_done() {
                    true => moved += 1,
                    false => assert_eq!(answer.status, 409, "{answer:?}"),
                }
            }
            moved
        });
    }
    let moved: usize = racing.join_all().await.into_iter().sum();
    assert!(moved > 30, "{moved}");
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.appointments.len(), MANY);
    assert_eq!(f.differences().await, Vec::<String>::new());
}

async fn two_swap_their_times_in_one_transaction(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = (Door::of(&f), Ward::of(&f));
    ward.patients(&mut door, 2).await;
    ward.practitioner(&mut door, "1", &[minutes("duration", 15)])
        .await;
    let with_times = |times: [usize; 2]| {
        let entries = times.iter().enumerate().map(|(n, time)| {
            let patient = format!("Patient/t{n}");
            let with = "PractitionerRole/r1";
            let mut one = appointment("booked", ward.time(*time), &patient, with);
            one["id"] = json!(format!("w{n}"));
            json!({ "resource": one,
                "request": { "method": "PUT", "url": format!("Appointment/w{n}") } })
        });
        transaction(entries.collect())
    };
    for times in [[0, 1], [1, 0], [0, 1], [1, 2], [2, 1]] {
        door.must("POST", "/", with_times(times)).await;
        let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
        assert!(times.iter().all(|time| booked.at(ward.time(*time).0) == 1));
    }
    let both = door.ask("POST", "/", with_times([3, 3])).await;
    assert_eq!(both.status, 409, "{both:?}");
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.at(ward.time(3).0), 0);
}

async fn a_slot_is_freed_with_its_appointment_in_one_transaction(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = (Door::of(&f), Ward::of(&f));
    ward.patients(&mut door, 1).await;
    ward.practitioner(&mut door, "2", &[]).await;
    ward.slots(&mut door, "s2", "x", 1).await;
    let with = |appointment_status: &str, slot_status: &str| {
        let role = "PractitionerRole/r2";
        let mut one = appointment(appointment_status, ward.time(0), "Patient/t0", role);
        one["id"] = json!("a");
        one["slot"] = json!([{ "reference": "Slot/x0" }]);
        let slot = ward.slot("s2", "x0", 0, slot_status);
        transaction(vec![
            json!({ "resource": slot, "request": { "method": "PUT", "url": "Slot/x0" } }),
            json!({ "resource": one, "request": { "method": "PUT", "url": "Appointment/a" } }),
        ])
    };
    let lie = door.ask("POST", "/", with("booked", "free")).await;
    assert_eq!(lie.status, 409, "{lie:?}");
    door.must("POST", "/", with("booked", "busy")).await;
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    let lie = door.ask("POST", "/", with("booked", "free")).await;
    assert_eq!(lie.status, 409, "{lie:?}");
    door.must("POST", "/", with("cancelled", "free")).await;
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.appointments, Vec::<Value>::new());
    let free = door.get("/Slot?status=free").await.resources();
    assert_eq!(free.len(), 1);
}

async fn a_group_is_filled_exactly(on: Database) {
    const SEATS: usize = 7;
    let f = Fixture::new(on).await;
    let (mut door, ward) = (Door::of(&f), Ward::of(&f));
    ward.patients(&mut door, 32).await;
    let rules = [
        minutes("duration", 15),
        json!({ "url": "capacity", "valuePositiveInt": SEATS }),
    ];
    ward.practitioner(&mut door, "1", &rules).await;
    let mut racing = JoinSet::new();
    for task in 0..32 {
        let mut door = Door::of(&f);
        racing.spawn(async move {
            let mut won = Vec::new();
            for n in 0..8 {
                let patient = format!("Patient/t{task}");
                let one = appointment("booked", ward.time(n), &patient, "PractitionerRole/r1");
                let answer = door.ask("POST", "/Appointment", one).await;
                match answer.is_done() {
                    true => won.push((n, answer.id())),
                    false => assert_eq!(answer.status, 409, "{answer:?}"),
                }
            }
            won
        });
    }
    let won: Vec<(usize, String)> = racing.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 8 * SEATS);
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert!((0..8).all(|n| booked.at(ward.time(n).0) == SEATS));
    // Who leaves makes room for one.
    let (_, id) = won.iter().find(|(n, _)| *n == 3).unwrap();
    door.must("POST", &format!("/Appointment/{id}/$cancel"), Value::Null)
        .await;
    let time = ward.time(3);
    let again = |patient| appointment("booked", time, patient, "PractitionerRole/r1");
    ward.patients(&mut door, 34).await;
    door.must("POST", "/Appointment", again("Patient/t32"))
        .await;
    let full = door.ask("POST", "/Appointment", again("Patient/t33")).await;
    assert_eq!(full.status, 409, "{full:?}");
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
}

async fn a_patient_is_in_one_place_at_a_time(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = (Door::of(&f), Ward::of(&f));
    ward.patients(&mut door, 1).await;
    for n in 0..8 {
        ward.practitioner(&mut door, &n.to_string(), &[minutes("duration", 15)])
            .await;
    }
    let mut racing = JoinSet::new();
    for n in 0..8 {
        let mut door = Door::of(&f);
        let role = format!("PractitionerRole/r{n}");
        let one = appointment("booked", ward.time(0), "Patient/t0", &role);
        racing.spawn(async move { door.ask("POST", "/Appointment", one).await });
    }
    let answers = racing.join_all().await;
    assert_eq!(answers.iter().filter(|one| one.is_done()).count(), 1);
    for answer in answers.iter().filter(|one| !one.is_done()) {
        assert_eq!(
            (answer.status, answer.code()),
            (422, "patient-overlap"),
            "{answer:?}"
        );
    }
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.at(ward.time(0).0), 1);
    let find = door
        .get(&ward.find("specialty=http://t|general&patient=Patient/t0"))
        .await;
    let at = find.resources();
    let (start, _) = ward.time(0);
    let same = at
        .iter()
        .filter(|one| crate::ward::second(&one["start"]) == start);
    assert_eq!(
        same.count(),
        0,
        "a patient is proposed a time that they have not"
    );
}
