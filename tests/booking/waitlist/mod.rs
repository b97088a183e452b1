//! Who waits is offered what becomes free, in turn, and of those who are asked at once the first
//! who accepts has it.

mod ends;
mod sight;

use std::sync::Arc;

use rotunda::{clock::Clock as _, engine::Tended};
use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    agreement::agreed,
    door::{Answer, Door},
    fixture::{Database, Fixture},
    ward::{DAY, PARAMETERS, Ward, appointment, instant, minutes, put, references, second},
};

on_both_databases!(
    a_need_is_kept_and_read_again,
    a_cancellation_is_offered_in_turn_and_held,
    of_fifty_who_accept_at_once_one_has_it,
    two_nodes_offer_once,
    nobody_is_offered_what_they_cannot_come_to,
    an_earlier_time_frees_the_later_one,
    whatever_frees_time_is_offered,
    the_same_acceptance_again_is_answered_alike,
    nobody_came_and_it_is_said,
);

const TASK: &str = "urn:rotunda:waitlist|offer";
const HALF_AN_HOUR: u32 = 1_800_000;

/// Of how many who are asked at once.
fn at_once(acceptance: f64, target: f64) -> Vec<Value> {
    vec![
        minutes("duration", 15),
        json!({ "url": "offerAcceptance", "valueDecimal": acceptance }),
        json!({ "url": "offerTarget", "valueDecimal": target }),
    ]
}

/// A practitioner whose first quarters of an hour are booked for patients from 900 on, as `b0`…
async fn clinic(f: &Fixture, rules: &[Value], patients: usize, booked: usize) -> (Door, Ward) {
    let (mut door, ward) = (Door::of(f), Ward::of(f));
    ward.patients(&mut door, patients).await;
    ward.practitioner(&mut door, "1", rules).await;
    for n in 0..booked {
        put(
            &mut door,
            json!({ "resourceType": "Patient", "id": format!("t{}", 900 + n) }),
        )
        .await;
        let patient = format!("Patient/t{}", 900 + n);
        let mut one = appointment("booked", ward.time(n), &patient, "PractitionerRole/r1");
        one["id"] = json!(format!("b{n}"));
        put(&mut door, one).await;
    }
    (door, ward)
}

fn waits(ward: Ward, patient: usize, more: &[(&str, Value)]) -> Value {
    let mut asked = references(&[
        ("patient-reference", &format!("Patient/t{patient}")),
        ("schedule", "Schedule/s1"),
    ]);
    let parameters = asked["parameter"].as_array_mut().unwrap();
    for (name, at) in [("start", ward.day), ("end", ward.day + DAY)] {
        parameters.push(json!({ "name": name, "valueDateTime": instant(at) }));
    }
    for (name, value) in more {
        let mut one = value.clone();
        one["name"] = json!(name);
        parameters.push(one);
    }
    asked
}

impl Door {
    async fn join(&mut self, ward: Ward, patient: usize, more: &[(&str, Value)]) -> String {
        let asked = waits(ward, patient, more);
        let joined = self.must("POST", "/Appointment/$waitlist", asked).await;
        assert_eq!(joined.status, 201);
        assert_eq!(joined.appointment()["status"], "waitlist");
        joined.id()
    }

    async fn cancel(&mut self, id: &str) {
        let path = format!("/Appointment/{id}/$cancel");
        self.must("POST", &path, Value::Null).await;
    }

    /// All offers, by patient: status.
    async fn offers(&mut self) -> Vec<(String, String)> {
        let found = self.get(&format!("/Task?code={TASK}&_count=500")).await;
        let mut offers: Vec<(String, String)> = found
            .resources()
            .iter()
            .map(|one| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let patient = text(&one["for"]["reference"]);
                (patient.replace("Patient/", ""), text(&one["status"]))
            })
            .collect();
        offers.sort();
        offers
    }

    /// Those with this status.
    async fn offered(&mut self, status: &str) -> Vec<String> {
        let offers = self.offers().await.into_iter();
        let with = offers.filter(|(_, own)| own == status);
        with.map(|(patient, _)| patient).collect()
    }

    async fn accept(&mut self, entry: &str) -> Answer {
        let path = format!("/Appointment/{entry}/$accept-offer");
        self.ask("POST", &path, Value::Null).await
    }

    async fn decline(&mut self, entry: &str) -> Answer {
        let path = format!("/Appointment/{entry}/$decline-offer");
        self.must("POST", &path, Value::Null).await
    }
}

async fn tend(f: &Fixture) -> Tended {
    f.engine.tend_waitlist().await.unwrap()
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
}

async fn settled(f: &Fixture) {
    agreed(&mut Door::of(f), &f.store, f.clock.now() / 1_000).await;
    let mut told = Vec::new();
    let verified = f.engine.verify_schedule(|sentence| told.push(sentence));
    verified.await.unwrap();
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(f.differences().await, Vec::<String>::new());
}

async fn a_need_is_kept_and_read_again(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &at_once(0.5, 0.75), 4, 3).await;
    tend(&f).await;
    let more = [
        ("specialty", json!({ "valueString": "http://t|general" })),
        ("specialty", json!({ "valueString": "http://t|" })),
        ("appointment-type", json!({ "valueString": "CHECKUP" })),
        ("priority", json!({ "valueInteger": 2 })),
        ("notice", json!({ "valueString": "2h" })),
        (
            "deadline",
            json!({ "valueDateTime": instant(ward.day + DAY) }),
        ),
        (
            "practitioner",
            json!({ "valueReference": { "reference": "Practitioner/p1" } }),
        ),
        (
            "flexibility",
            json!({ "valueDuration": {
            "value": 1, "system": "http://unitsofmeasure.org", "code": "d" } }),
        ),
    ];
    let entry = door.join(ward, 0, &more).await;
    let kept = door.get(&format!("/Appointment/{entry}")).await.body;
    assert_eq!(kept["priority"], 2);
    assert_eq!(kept["specialty"][0]["coding"][0]["code"], "general");
    assert_eq!(kept["appointmentType"]["coding"][0]["code"], "CHECKUP");
    assert_eq!(second(&kept["requestedPeriod"][0]["start"]), ward.day);
    assert_eq!(kept["participant"].as_array().unwrap().len(), 2);
    assert!(kept["start"].is_null());
    let parts = kept["extension"][0]["extension"].as_array().unwrap();
    let mut names: Vec<&str> = parts
        .iter()
        .map(|one| one["url"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["deadline", "flexibility", "notice", "schedule", "specialty"]
    );
    // One that is written like any other resource waits as well.
    let written = json!({
        "resourceType": "Appointment", "id": "w1", "status": "waitlist",
        "participant": [
            { "actor": { "reference": "Patient/t1" }, "status": "accepted" },
            { "actor": { "reference": "PractitionerRole/r1" }, "status": "needs-action" },
        ],
    });
    door.must("PUT", "/Appointment/w1", written.clone()).await;
    // These are about something else.
    let mut other = written.clone();
    other["id"] = json!("w2");
    other["specialty"] = json!([{ "coding": [{ "system": "http://t", "code": "other" }] }]);
    other["participant"][0]["actor"]["reference"] = json!("Patient/t2");
    door.must("PUT", "/Appointment/w2", other).await;
    let mut late = written;
    late["id"] = json!("w3");
    late["requestedPeriod"] = json!([{ "start": instant(ward.day + DAY) }]);
    late["participant"][0]["actor"]["reference"] = json!("Patient/t3");
    door.must("PUT", "/Appointment/w3", late).await;
    assert_eq!(tend(&f).await, Tended::default(), "nothing has become free");
    door.cancel("b1").await;
    let tended = tend(&f).await;
    assert_eq!((tended.rounds, tended.offers), (1, 2));
    assert_eq!(door.offered("requested").await, ["t0", "t1"]);
    let booked = door.accept("w1").await;
    assert_eq!(booked.status, 200, "{booked:?}");
    let booked = booked.appointment();
    assert_eq!(
        (&booked["id"], &booked["status"]),
        (&json!("w1"), &json!("booked"))
    );
    assert_eq!(second(&booked["start"]), ward.time(1).0);
    let people = booked["participant"].as_array().unwrap();
    assert_eq!(people.len(), 2);
    assert!(people.iter().all(|one| one["status"] == "accepted"));
    settled(&f).await;
    // What cannot be asked for.
    for (name, value) in [
        ("notice", json!({ "valueString": "soon" })),
        ("deadline", json!({ "valueDateTime": "2020-01-01" })),
        ("wish", json!({ "valueString": "x" })),
        ("recurrence", json!({ "valueString": "FREQ=DAILY;COUNT=2" })),
    ] {
        let asked = waits(ward, 0, &[(name, value)]);
        let answer = door.ask("POST", "/Appointment/$waitlist", asked).await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
    }
}

async fn a_cancellation_is_offered_in_turn_and_held(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &[minutes("duration", 15)], 15, 4).await;
    tend(&f).await;
    let mut entries = Vec::new();
    for n in 0..14 {
        // The later they came, the more urgent three of them are.
        let priority = match n {
            11 => 2,
            12 => 1,
            13 => 9,
            _ => 0,
        };
        let urgent = [("priority", json!({ "valueInteger": priority }))];
        entries.push(door.join(ward, n, &urgent).await);
        f.clock.advance(1_000);
    }
    door.cancel("b2").await;
    let tended = tend(&f).await;
    assert_eq!((tended.rounds, tended.offers), (1, 10));
    let mut wanted: Vec<String> = (0..7).chain(11..14).map(|n| format!("t{n}")).collect();
    wanted.sort();
    assert_eq!(door.offered("requested").await, wanted);
    assert_eq!(tend(&f).await, Tended::default());
    // It says what and until when.
    let task = door
        .get(&format!("/Task?focus=Appointment/{}", entries[0]))
        .await;
    let task = task.resources().remove(0);
    let until = second(&task["restriction"]["period"]["end"]);
    assert_eq!(until, f.clock.now() / 1_000 + 1_800);
    assert_eq!(second(&task["input"][0]["valueInstant"]), ward.time(2).0);
    // Nobody else has the time meanwhile, in whatever way they want it.
    let own = appointment("booked", ward.time(2), "Patient/t14", "PractitionerRole/r1");
    refused(
        &door.ask("POST", "/Appointment", own.clone()).await,
        409,
        "slot-taken",
    );
    let found = door
        .get(&ward.find("schedule=Schedule/s1"))
        .await
        .resources();
    assert!(
        found
            .iter()
            .all(|one| second(&one["start"]) != ward.time(2).0)
    );
    settled(&f).await;
    // The hold ends by itself, whether or not anybody looks after those who wait.
    f.clock.advance(HALF_AN_HOUR);
    door.must("POST", "/Appointment", own).await;
    refused(&door.accept(&entries[0]).await, 409, "offer-expired");
    tend(&f).await;
    assert_eq!(door.offered("failed").await, wanted);
    assert_eq!(door.offered("requested").await, Vec::<String>::new());
    settled(&f).await;
}

async fn of_fifty_who_accept_at_once_one_has_it(on: Database) {
    const MANY: usize = 50;
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &at_once(0.05, 0.93), MANY, 3).await;
    tend(&f).await;
    let mut entries = Vec::new();
    for n in 0..MANY {
        entries.push(door.join(ward, n, &[]).await);
    }
    for round in 0..3 {
        door.cancel(&format!("b{round}")).await;
        assert_eq!(tend(&f).await.offers as usize, MANY - round);
        let barrier = Arc::new(Barrier::new(entries.len()));
        let mut racing = JoinSet::new();
        for entry in entries.clone() {
            let (mut door, barrier) = (Door::of(&f), Arc::clone(&barrier));
            racing.spawn(async move {
                barrier.wait().await;
                let answer = door.accept(&entry).await;
                (entry, answer)
            });
        }
        let mut winner = None;
        for (entry, answer) in racing.join_all().await {
            if answer.status == 200 {
                assert_eq!(winner.replace(entry), None);
            } else {
                refused(&answer, 409, "offer-taken");
                let issues = answer.body["issue"].as_array().unwrap();
                let free = issues
                    .iter()
                    .filter(|one| one["details"]["coding"][0]["code"] == "alternative");
                assert_eq!(free.count(), 3, "{answer:?}");
            }
        }
        let winner = winner.unwrap();
        entries.retain(|entry| *entry != winner);
        assert_eq!(door.offered("completed").await.len(), round + 1);
        assert_eq!(door.offered("requested").await, Vec::<String>::new());
        let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
        assert_eq!(booked.at(ward.time(round).0), 1);
        tend(&f).await;
        assert_eq!(door.offered("requested").await, Vec::<String>::new());
    }
    settled(&f).await;
}

async fn two_nodes_offer_once(on: Database) {
    let one = Fixture::new(on).await;
    let (mut door, ward) = clinic(&one, &at_once(0.2, 0.7), 12, 6).await;
    let two = one.beside().await;
    for f in [&one, &two] {
        tend(f).await;
    }
    for n in 0..12 {
        door.join(ward, n, &[]).await;
    }
    for f in [&one, &two] {
        tend(f).await;
    }
    for n in 0..3 {
        one.clock.advance(1_000);
        let mut door = Door::of([&one, &two][n % 2]);
        door.cancel(&format!("b{n}")).await;
        let (a, b) = tokio::join!(one.engine.tend_waitlist(), two.engine.tend_waitlist());
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.rounds + b.rounds, 1, "{a:?} {b:?}");
        assert_eq!(a.offers + b.offers, 6, "{a:?} {b:?}");
    }
    assert_eq!(door.offered("requested").await.len(), 18);
    let found = door.get("/Appointment?status=pending").await.resources();
    assert_eq!(found.len(), 3);
    // Both see that they are over; what comes after is offered once too.
    one.clock.advance(HALF_AN_HOUR);
    let (a, b) = tokio::join!(one.engine.tend_waitlist(), two.engine.tend_waitlist());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.ended + b.ended, 3, "{a:?} {b:?}");
    tend(&one).await;
    tend(&two).await;
    let found = door.get("/Appointment?status=pending").await.resources();
    assert_eq!(found.len(), 3);
    assert_eq!(door.offered("requested").await.len(), 18);
    settled(&one).await;
}

async fn nobody_is_offered_what_they_cannot_come_to(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &[minutes("duration", 15)], 8, 4).await;
    ward.practitioner(&mut door, "2", &[minutes("duration", 15)])
        .await;
    tend(&f).await;
    // One is elsewhere then, one needs a week to come, one waits no longer, one has declined to
    // be asked for short appointments, one wants another practitioner.
    let elsewhere = appointment("booked", ward.time(1), "Patient/t0", "PractitionerRole/r2");
    door.must("POST", "/Appointment", elsewhere).await;
    door.join(ward, 0, &[]).await;
    door.join(ward, 1, &[("notice", json!({ "valueString": "7d" }))])
        .await;
    let soon = f.clock.now() / 1_000 + 60;
    door.join(
        ward,
        2,
        &[("deadline", json!({ "valueDateTime": instant(soon) }))],
    )
    .await;
    door.join(ward, 3, &[("duration", json!({ "valueInteger": 60 }))])
        .await;
    let other = json!({ "valueReference": { "reference": "Practitioner/p2" } });
    door.join(ward, 4, &[("practitioner", other)]).await;
    // Twice on the list is one offer.
    door.join(ward, 5, &[]).await;
    door.join(ward, 5, &[]).await;
    f.clock.advance(120_000);
    door.cancel("b1").await;
    tend(&f).await;
    assert_eq!(door.offered("requested").await, ["t5"]);
    settled(&f).await;
}

async fn an_earlier_time_frees_the_later_one(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &at_once(0.5, 0.75), 3, 6).await;
    tend(&f).await;
    // Patient 904 has the fifth quarter, and would come earlier; others wait for anything.
    let replaces = json!({ "valueReference": { "reference": "Appointment/b4" } });
    let entry = door.join(ward, 904, &[("replaces", replaces)]).await;
    f.clock.advance(1_000);
    door.join(ward, 0, &[]).await;
    door.cancel("b5").await;
    tend(&f).await;
    assert_eq!(
        door.offered("requested").await,
        ["t0"],
        "a later time is no good"
    );
    door.cancel("b1").await;
    tend(&f).await;
    assert_eq!(door.offered("requested").await, ["t0", "t0", "t904"]);
    let booked = door.accept(&entry).await;
    assert_eq!(booked.status, 200, "{booked:?}");
    let both: Vec<Value> = booked.resources();
    assert_eq!(both.len(), 2);
    assert_eq!(
        (&both[1]["id"], &both[1]["status"]),
        (&json!("b4"), &json!("cancelled"))
    );
    assert_eq!(second(&booked.appointment()["start"]), ward.time(1).0);
    settled(&f).await;
    // The time that was given up is offered next.
    let tended = tend(&f).await;
    assert_eq!((tended.rounds, tended.offers), (1, 1));
    let all = door.get("/Task?status=requested").await.resources();
    let starts: Vec<i64> = all
        .iter()
        .map(|one| second(&one["input"][0]["valueInstant"]))
        .collect();
    assert!(starts.contains(&ward.time(4).0), "{starts:?}");
    settled(&f).await;
}

async fn whatever_frees_time_is_offered(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &[minutes("duration", 15)], 3, 8).await;
    ward.practitioner(&mut door, "2", &[]).await;
    tend(&f).await;
    let mut asked = waits(ward, 0, &[]);
    let parameters = asked["parameter"].as_array_mut().unwrap();
    parameters.retain(|one| one["name"] != "schedule");
    let entry = door
        .must("POST", "/Appointment/$waitlist", asked)
        .await
        .id();
    tend(&f).await;
    let to = |n: usize| {
        let (start, _) = ward.time(n);
        json!({ "resourceType": "Parameters", "parameter": [
            { "name": "start", "valueDateTime": instant(start) } ] })
    };
    for way in [
        "moved",
        "patched",
        "deleted",
        "held",
        "opened",
        "posted",
        "unblocked",
    ] {
        let time = match way {
            "moved" => {
                door.must("POST", "/Appointment/b0/$reschedule", to(30))
                    .await;
                ward.time(0)
            }
            "patched" => {
                let patch =
                    json!([{ "op": "replace", "path": "/status", "value": "entered-in-error" }]);
                door.must("PATCH", "/Appointment/b1", patch).await;
                ward.time(1)
            }
            "deleted" => {
                door.must("DELETE", "/Appointment/b2", Value::Null).await;
                ward.time(2)
            }
            "held" => {
                let mut held = appointment(
                    "pending",
                    ward.time(40),
                    "Patient/t1",
                    "PractitionerRole/r1",
                );
                let until = f.clock.now() / 1_000 + 600;
                held["extension"] = json!([{
                    "url": rotunda::scheduling::appointment::HOLD_EXPIRES,
                    "valueInstant": instant(until) }]);
                door.must("POST", "/Appointment", held).await;
                assert_eq!(tend(&f).await, Tended::default(), "held");
                f.clock.advance(600_000);
                ward.time(40)
            }
            "opened" => {
                let (start, _) = ward.time(50);
                let hours = json!({ "url": "availableTime", "extension": [
                    { "url": "availableStartTime", "valueTime": "21:30:00" },
                    { "url": "availableEndTime", "valueTime": "21:45:00" } ] });
                assert_eq!(start, ward.day + 21 * 3_600 + 1_800);
                let schedule = json!({
                    "resourceType": "Schedule", "id": "s3",
                    "actor": [{ "reference": "Device/d3" }],
                    "planningHorizon": { "start": instant(ward.day), "end": instant(ward.day + DAY) },
                    "extension": [{ "url": PARAMETERS, "extension": [minutes("duration", 15), hours] }],
                });
                put(&mut door, schedule).await;
                ward.time(50)
            }
            "posted" => {
                ward.slots(&mut door, "s2", "x", 1).await;
                ward.time(0)
            }
            _ => {
                put(&mut door, ward.slot("s2", "y", 9, "busy-unavailable")).await;
                assert_eq!(tend(&f).await, Tended::default(), "blocked");
                put(&mut door, ward.slot("s2", "y", 9, "free")).await;
                ward.time(9)
            }
        };
        let tended = tend(&f).await;
        assert_eq!((tended.rounds, tended.offers), (1, 1), "{way}");
        let open = door.get("/Task?status=requested").await.resources();
        assert_eq!(
            second(&open[0]["input"][0]["valueInstant"]),
            time.0,
            "{way}"
        );
        settled(&f).await;
        if way == "posted" {
            break_in(&mut door, &entry, time).await;
            settled(&f).await;
            let back = json!([{ "op": "replace", "path": "/status", "value": "waitlist" }]);
            door.must("PATCH", &format!("/Appointment/{entry}"), back)
                .await;
        } else {
            door.decline(&entry).await;
        }
        tend(&f).await;
        let own: Vec<String> = door.offered("requested").await;
        assert_eq!(own, Vec::<String>::new(), "{way}");
    }
}

/// A posted Slot is held, and then booked, with its offer.
async fn break_in(door: &mut Door, entry: &str, time: (i64, i64)) {
    let slot = door.get("/Slot/x0").await.body;
    assert_eq!(slot["status"], "busy");
    let booked = door.accept(entry).await;
    assert_eq!(booked.status, 200, "{booked:?}");
    assert_eq!(second(&booked.appointment()["start"]), time.0);
    let slot = door.get("/Slot/x0").await.body;
    assert_eq!(slot["status"], "busy");
}

async fn the_same_acceptance_again_is_answered_alike(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = clinic(&f, &[minutes("duration", 15)], 3, 4).await;
    tend(&f).await;
    let entry = door.join(ward, 0, &[]).await;
    door.join(ward, 1, &[]).await;
    door.cancel("b0").await;
    tend(&f).await;
    let path = format!("/Appointment/{entry}/$accept-offer");
    let mut racing = JoinSet::new();
    for _ in 0..8 {
        let (mut door, path) = (Door::of(&f), path.clone());
        racing.spawn(async move { door.ask_once("k", "POST", &path, Value::Null).await });
    }
    let answers = racing.join_all().await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body, answers[0].body);
        assert_eq!(answer.resources().len(), 1, "{answer:?}");
    }
    settled(&f).await;
}

async fn nobody_came_and_it_is_said(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, _) = clinic(&f, &[minutes("duration", 15)], 1, 2).await;
    let asked = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "reason", "valueString": "urn:why|weather" } ] });
    let missed = door.must("POST", "/Appointment/b0/$no-show", asked).await;
    assert_eq!(missed.appointment()["status"], "noshow");
    let reason = &missed.appointment()["cancelationReason"]["coding"][0];
    assert_eq!(reason["code"], "weather");
    door.cancel("b1").await;
    let late = door
        .ask("POST", "/Appointment/b1/$no-show", Value::Null)
        .await;
    refused(&late, 422, "illegal-transition");
    settled(&f).await;
}
