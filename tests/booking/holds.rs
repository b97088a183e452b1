//! What is held is nobody else's until the hold ends, and then it is in nobody's way.

use rotunda::clock::Clock as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    agreement::agreed,
    door::{Answer, Door},
    fixture::{Database, Fixture},
    ward::{Ward, appointment, minutes, references},
    ways::Wanted,
};

on_both_databases!(
    a_hold_keeps_others_out_until_it_ends,
    a_hold_that_is_confirmed_in_time_is_booked_whatever_others_want,
    of_two_who_book_the_same_hold_one_gets_it,
    of_overlapping_requests_one_can_be_confirmed,
    the_same_key_at_once_books_once_and_answers_alike,
    a_patient_holds_few_times_at_once,
);

const HOLD: i64 = 600;

async fn ward(f: &Fixture, rules: &[Value]) -> (Door, Ward, Wanted) {
    let (mut door, ward) = (Door::of(f), Ward::of(f));
    ward.patients(&mut door, 32).await;
    let mut all = vec![minutes("duration", 15), minutes("holdFor", HOLD / 60)];
    all.extend(rules.to_vec());
    ward.practitioner(&mut door, "1", &all).await;
    let wanted = Wanted::new(&mut door, ward, ("s1", "PractitionerRole/r1"), None).await;
    (door, ward, wanted)
}

impl Wanted {
    async fn call(&self, door: &mut Door, name: &str, n: usize, patient: usize) -> Answer {
        let asked = references(&[
            ("appointment-reference", &self.proposal(n)),
            ("patient-reference", &format!("Patient/t{patient}")),
        ]);
        door.ask("POST", &format!("/Appointment/{name}"), asked)
            .await
    }
}

fn of(id: &str) -> Value {
    references(&[("appointment-reference", &format!("Appointment/{id}"))])
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
}

async fn a_hold_keeps_others_out_until_it_ends(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward, wanted) = ward(&f, &[]).await;
    let held = wanted.call(&mut door, "$hold", 0, 0).await;
    assert!(held.is_done(), "{held:?}");
    assert_eq!(held.appointment()["status"], "pending");
    f.clock.advance(1_000 * (HOLD as u32 - 1));
    refused(
        &wanted.call(&mut door, "$hold", 0, 1).await,
        409,
        "slot-taken",
    );
    refused(
        &wanted.call(&mut door, "$book", 0, 1).await,
        409,
        "slot-taken",
    );
    let own = appointment("booked", ward.time(0), "Patient/t1", "PractitionerRole/r1");
    refused(
        &door.ask("POST", "/Appointment", own.clone()).await,
        409,
        "slot-taken",
    );
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    // The second in which it ends.
    f.clock.advance(1_000);
    let found = door
        .get(&ward.find("schedule=Schedule/s1"))
        .await
        .resources();
    assert_eq!(found.len(), 96, "a hold that is over is found as free");
    let booked = door.ask("POST", "/Appointment", own).await;
    assert!(booked.is_done(), "{booked:?}");
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    // Whoever held it is told, and does not get it back.
    let late = door.ask("POST", "/Appointment/$book", of(&held.id())).await;
    refused(&late, 409, "hold-expired");
    let still = json!({ "name": "if-still-free", "valueBoolean": true });
    let mut asked = of(&held.id());
    asked["parameter"].as_array_mut().unwrap().push(still);
    let late = door.ask("POST", "/Appointment/$book", asked.clone()).await;
    refused(&late, 409, "slot-taken");
    door.must(
        "POST",
        &format!("/Appointment/{}/$cancel", booked.id()),
        Value::Null,
    )
    .await;
    let late = door.ask("POST", "/Appointment/$book", asked).await;
    assert!(late.is_done(), "{late:?}");
    assert_eq!(late.appointment()["status"], "booked");
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.at(ward.time(0).0), 1);
}

async fn a_hold_that_is_confirmed_in_time_is_booked_whatever_others_want(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward, wanted) = ward(&f, &[]).await;
    let mut held = Vec::new();
    for n in 0..8 {
        let answer = wanted.call(&mut door, "$hold", n, n).await;
        assert!(answer.is_done(), "{answer:?}");
        held.push(answer.id());
    }
    // In their last second they are booked while everybody wants them.
    f.clock.advance(1_000 * (HOLD as u32) - 1);
    let mut racing = JoinSet::new();
    for task in 0..32 {
        let (mut door, wanted, held) = (Door::of(&f), wanted.clone(), held.clone());
        racing.spawn(async move {
            let mut answers = Vec::new();
            for (n, held) in held.iter().enumerate() {
                let is_owner = task == n;
                let answer = match (is_owner, task % 2) {
                    (true, _) => door.ask("POST", "/Appointment/$book", of(held)).await,
                    (false, 0) => wanted.call(&mut door, "$book", n, task).await,
                    (false, _) => wanted.call(&mut door, "$hold", n, task).await,
                };
                answers.push((is_owner, answer));
            }
            answers
        });
    }
    for (is_owner, answer) in racing.join_all().await.into_iter().flatten() {
        match is_owner {
            true => assert!(answer.is_done(), "{answer:?}"),
            false => refused(&answer, 409, "slot-taken"),
        }
    }
    f.clock.advance(1_000);
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert!((0..8).all(|n| booked.at(ward.time(n).0) == 1));
}

async fn of_two_who_book_the_same_hold_one_gets_it(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, _, wanted) = ward(&f, &[]).await;
    for n in 0..10 {
        let asked = references(&[("appointment-reference", &wanted.proposal(n))]);
        let held = door.must("POST", "/Appointment/$hold", asked).await.id();
        let mut racing = JoinSet::new();
        for patient in 0..8 {
            let mut door = Door::of(&f);
            let mut asked = of(&held);
            let name = format!("Patient/t{patient}");
            let patient = &references(&[("patient-reference", &name)])["parameter"][0];
            asked["parameter"]
                .as_array_mut()
                .unwrap()
                .push(patient.clone());
            racing.spawn(async move { door.ask("POST", "/Appointment/$book", asked).await });
        }
        let answers = racing.join_all().await;
        assert_eq!(
            answers.iter().filter(|one| one.is_done()).count(),
            1,
            "{answers:?}"
        );
        for answer in answers.iter().filter(|one| !one.is_done()) {
            refused(answer, 409, "slot-taken");
        }
        let one = door.get(&format!("/Appointment/{held}")).await.body;
        let participants = one["participant"].as_array().unwrap();
        assert_eq!(participants.len(), 2, "{participants:?}");
    }
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
}

/// A request that waits for approval holds its time; holds that are over can be confirmed as long
/// as nobody else has the time.
async fn of_overlapping_requests_one_can_be_confirmed(on: Database) {
    let f = Fixture::new(on).await;
    let approval = json!({ "url": "needsApproval", "valueBoolean": true });
    let (mut door, ward, wanted) = ward(&f, &[approval]).await;
    let first = wanted.call(&mut door, "$book", 0, 0).await;
    assert_eq!(first.appointment()["status"], "pending", "{first:?}");
    refused(
        &wanted.call(&mut door, "$book", 0, 1).await,
        409,
        "slot-taken",
    );
    let confirm = |id: &str| format!("/Appointment/{id}/$confirm");
    let one = door.must("POST", &confirm(&first.id()), Value::Null).await;
    assert_eq!(one.appointment()["status"], "booked");
    // Two holds of the same time, the first of which is over; both are confirmed at once.
    for n in 1..11 {
        // Proposals are good for an hour.
        let role = "PractitionerRole/r1";
        let wanted = Wanted::new(&mut door, ward, ("s1", role), None).await;
        let one = wanted.call(&mut door, "$hold", n, 0).await.id();
        f.clock.advance(1_000 * HOLD as u32);
        let two = wanted.call(&mut door, "$hold", n, 1).await.id();
        f.clock.advance(1_000 * HOLD as u32);
        let mut racing = JoinSet::new();
        for id in [one, two] {
            let (mut door, path) = (Door::of(&f), confirm(&id));
            racing.spawn(async move { door.ask("POST", &path, Value::Null).await });
        }
        let answers = racing.join_all().await;
        assert_eq!(
            answers.iter().filter(|one| one.is_done()).count(),
            1,
            "{answers:?}"
        );
        let lost = answers.iter().find(|one| !one.is_done()).unwrap();
        refused(lost, 409, "slot-taken");
    }
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
}

async fn the_same_key_at_once_books_once_and_answers_alike(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward, wanted) = ward(&f, &[]).await;
    for n in 0..12 {
        let key = format!("key-{n}");
        let (path, body) = match n % 4 {
            0 | 1 => {
                let asked = references(&[
                    ("appointment-reference", &wanted.proposal(n)),
                    ("patient-reference", "Patient/t0"),
                ]);
                let name = ["$book", "$hold"][n % 4];
                (format!("/Appointment/{name}"), asked)
            }
            2 => {
                let held = wanted.call(&mut door, "$hold", n, 0).await.id();
                (format!("/Appointment/{held}/$confirm"), Value::Null)
            }
            _ => {
                let with = "PractitionerRole/r1";
                let own = appointment("booked", ward.time(n), "Patient/t0", with);
                ("/Appointment".to_owned(), own)
            }
        };
        let mut racing = JoinSet::new();
        for _ in 0..12 {
            let (mut door, key, path, body) =
                (Door::of(&f), key.clone(), path.clone(), body.clone());
            racing.spawn(async move { door.ask_once(&key, "POST", &path, body).await });
        }
        let answers = racing.join_all().await;
        for answer in &answers {
            assert!(answer.is_done(), "{path}: {answer:?}");
            assert_eq!(
                (answer.status, &answer.body),
                (answers[0].status, &answers[0].body)
            );
        }
        let again = door.ask_once(&key, "POST", &path, body).await;
        assert_eq!(again.body, answers[0].body);
        let other = door.ask_once(&key, "POST", &path, json!({ "resourceType": "Parameters" }));
        assert_eq!(
            other.await.status,
            422,
            "the key was used for something else"
        );
    }
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.appointments.len(), 12);
}

async fn a_patient_holds_few_times_at_once(on: Database) {
    const MOST: usize = 5;
    let f = Fixture::new(on).await;
    let (mut door, ward, wanted) = ward(&f, &[]).await;
    let nodes = [Door::of(&f), Door::of(&f.beside().await)];
    // By operation and as a resource, from two nodes, all at once.
    let until = resources::primitive::format_instant(f.clock.now() + HOLD * 1_000);
    let mut racing = JoinSet::new();
    for n in 0..24 {
        let Door::Engine(engine) = &nodes[n % 2] else {
            unreachable!()
        };
        let mut door = Door::Engine(std::sync::Arc::clone(engine));
        let (wanted, until) = (wanted.clone(), until.clone());
        racing.spawn(async move {
            if n % 3 < 2 {
                return wanted.call(&mut door, "$hold", n, 0).await;
            }
            let role = "PractitionerRole/r1";
            let mut own = appointment("pending", ward.time(n), "Patient/t0", role);
            own["extension"] = json!([{
                "url": rotunda::scheduling::appointment::HOLD_EXPIRES, "valueInstant": until }]);
            door.ask("POST", "/Appointment", own).await
        });
    }
    let answers = racing.join_all().await;
    let held = answers.iter().filter(|one| one.is_done());
    let held: Vec<String> = held.map(Answer::id).collect();
    assert_eq!(held.len(), MOST, "{answers:?}");
    for answer in answers.iter().filter(|one| !one.is_done()) {
        refused(answer, 422, "limit-reached");
        let text = answer.body.to_string();
        assert!(text.contains("Patient/t0 holds 5 times already"), "{text}");
        assert!(!text.contains("alternative"), "{text}");
    }
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    let mut told = Vec::new();
    f.engine
        .verify_schedule(|sentence| told.push(sentence))
        .await
        .unwrap();
    assert_eq!(told, Vec::<String>::new());
    // Neither what is needed nor another time helps; who books and who is somebody else may.
    let needed = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "schedule", "valueString": "s1" },
        { "name": "patient-reference", "valueReference": { "reference": "Patient/t0" } } ] });
    let answer = door.ask("POST", "/Appointment/$hold", needed).await;
    refused(&answer, 422, "limit-reached");
    assert!(wanted.call(&mut door, "$book", 30, 0).await.is_done());
    assert!(wanted.call(&mut door, "$hold", 31, 1).await.is_done());
    // A hold that is held again is the same one.
    let again = door.ask("POST", "/Appointment/$hold", of(&held[0])).await;
    assert!(again.is_done(), "{again:?}");
    // One that is booked or released makes room for one.
    for (n, name) in ["$book", "$release"].into_iter().enumerate() {
        let path = match name {
            "$book" => "/Appointment/$book".to_owned(),
            _ => format!("/Appointment/{}/$release", held[n]),
        };
        door.must("POST", &path, of(&held[n])).await;
        let next = wanted.call(&mut door, "$hold", 32 + 2 * n, 0).await;
        assert!(next.is_done(), "{next:?}");
        let next = wanted.call(&mut door, "$hold", 33 + 2 * n, 0).await;
        refused(&next, 422, "limit-reached");
    }
    // Those that are over do not count.
    f.clock.advance(1_000 * HOLD as u32);
    for n in 40..40 + MOST {
        let next = wanted.call(&mut door, "$hold", n, 0).await;
        assert!(next.is_done(), "{next:?}");
    }
    let next = wanted.call(&mut door, "$hold", 50, 0).await;
    refused(&next, 422, "limit-reached");
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    f.engine.tidy_bookings(None).await.unwrap();
    agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
}
