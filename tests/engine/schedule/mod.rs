//! What is checked, previewed and tidied of bookings.

use std::sync::Arc;

use aws_lc_rs::digest;
use rotunda::{
    access::{Caller, Identity},
    clock::Clock as _,
    engine::{BookingCall, ErrorKind, Target, Tidied},
};

use crate::{audit, fixture::*};

mod previews;

on_both_databases!(
    each_difference_is_found,
    a_role_that_is_of_somebody_else_is_told_apart,
    nothing_differs_after_a_random_workload,
    slots_of_all_schedules_of_an_actor_become_busy,
    holds_that_are_over_are_cancelled,
    nobody_came,
    a_hold_is_confirmed_whatever_the_rules_say_meanwhile,
    transactions_of_ihe_are_audited,
);

const HOLD: &str = "urn:rotunda:StructureDefinition:hold-expires";
const HOUR: u32 = 3_600_000;

/// The number under which `Type/id` claims, or its time is claimed.
fn number(name: &str) -> i64 {
    let hash = digest::digest(&digest::SHA256, name.as_bytes());
    i64::from_be_bytes(hash.as_ref()[..8].try_into().unwrap())
}

impl Fixture {
    async fn verify_schedule(&self) -> Vec<String> {
        let mut told = Vec::new();
        let verified = self
            .engine
            .verify_schedule(|sentence| told.push(sentence))
            .await
            .unwrap();
        assert_eq!(verified.different, told.len() as u64);
        told
    }
}

fn call(query: &[(&str, &str)]) -> BookingCall {
    let pairs = query.iter();
    BookingCall {
        pairs: pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: None,
        id: None,
        key: None,
        strict: true,
    }
}

fn role(practitioner: &str, from: &str, to: &str) -> String {
    format!(
        r#"{{"resourceType":"PractitionerRole","id":"r1","practitioner":{{"reference":"Practitioner/{practitioner}"}},"availableTime":[{{"daysOfWeek":["mon","tue","wed","thu","fri"],"availableStartTime":"{from}:00","availableEndTime":"{to}:00"}}]}}"#
    )
}

fn schedule(id: &str, actor: &str, parameters: &str) -> String {
    format!(
        r#"{{"resourceType":"Schedule","id":"{id}","actor":[{{"reference":"{actor}"}}],"extension":[{{"url":"urn:rotunda:StructureDefinition:scheduling-parameters","extension":[{{"url":"duration","valueDuration":{{"value":30,"unit":"min","system":"http://unitsofmeasure.org","code":"min"}}}}{parameters}]}}]}}"#
    )
}

fn slot(id: &str, status: &str, time: &str) -> String {
    let (start, end) = time.split_once('-').unwrap();
    format!(
        r#"{{"resourceType":"Slot","id":"{id}","schedule":{{"reference":"Schedule/s2"}},"status":"{status}","start":"2026-11-{start}:00Z","end":"2026-11-{end}:00Z"}}"#
    )
}

fn slot_of(schedule: &str, id: &str, time: &str) -> String {
    slot(id, "free", time).replace("Schedule/s2", &format!("Schedule/{schedule}"))
}

/// `23T10:00-23T10:30`, and who takes part between spaces; `Slot/x1` is a Slot.
fn appointment(id: &str, status: &str, time: &str, who: &str) -> String {
    let (start, end) = time.split_once('-').unwrap();
    let (slots, actors): (Vec<&str>, Vec<&str>) = who
        .split_whitespace()
        .partition(|one| one.starts_with("Slot/"));
    let slots: Vec<String> = slots
        .iter()
        .map(|one| format!(r#"{{"reference":"{one}"}}"#))
        .collect();
    let slots = match slots.is_empty() {
        true => String::new(),
        false => format!(r#""slot":[{}],"#, slots.join(",")),
    };
    let actors: Vec<String> = actors
        .iter()
        .map(|one| format!(r#"{{"actor":{{"reference":"{one}"}},"status":"accepted"}}"#))
        .collect();
    format!(
        r#"{{"resourceType":"Appointment","id":"{id}","status":"{status}","start":"2026-11-{start}:00Z","end":"2026-11-{end}:00Z",{slots}"participant":[{}]}}"#,
        actors.join(",")
    )
}

fn held(id: &str, time: &str, who: &str, until: &str) -> String {
    let hold =
        format!(r#""status":"pending","extension":[{{"url":"{HOLD}","valueInstant":"{until}"}}]"#);
    appointment(id, "pending", time, who).replace(r#""status":"pending""#, &hold)
}

/// A role with hours, a Schedule of posted Slots, and a room for two.
async fn practice(on: Database) -> Fixture {
    let f = Fixture::new(on).await;
    for id in ["a", "b", "c"] {
        f.put(&format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#))
            .await;
    }
    f.put(&role("p1", "09:00", "17:00")).await;
    f.put(&schedule("s1", "PractitionerRole/r1", "")).await;
    f.put(r#"{"resourceType":"Schedule","id":"s2","actor":[{"reference":"Practitioner/p9"}]}"#)
        .await;
    f.put(r#"{"resourceType":"Location","id":"l1"}"#).await;
    f.put(&schedule(
        "s3",
        "Location/l1",
        r#",{"url":"capacity","valuePositiveInt":2}"#,
    ))
    .await;
    f.put(&slot("x1", "free", "23T10:00-23T10:30")).await;
    f.put(&slot("x2", "free", "23T11:00-23T11:30")).await;
    f.put(&slot("x3", "busy-unavailable", "23T12:00-23T12:30"))
        .await;
    f
}

async fn each_difference_is_found(on: Database) {
    let f = practice(on).await;
    let booked = appointment(
        "a1",
        "booked",
        "23T10:00-23T10:30",
        "PractitionerRole/r1 Patient/a",
    );
    f.put(&booked).await;
    for (id, patient) in [("l1", "a"), ("l2", "b")] {
        let who = format!("Location/l1 Patient/{patient}");
        f.put(&appointment(id, "booked", "23T13:00-23T13:30", &who))
            .await;
    }
    f.put(&appointment(
        "g1",
        "cancelled",
        "23T10:00-23T10:30",
        "PractitionerRole/r1 Patient/b",
    ))
    .await;
    f.put(&appointment(
        "x1",
        "booked",
        "23T10:00-23T10:30",
        "Slot/x1 Patient/b",
    ))
    .await;
    assert_eq!(f.verify_schedule().await, Vec::<String>::new());

    if matches!(on, Database::Postgres) {
        f.damage("ALTER TABLE claim DROP CONSTRAINT claim_once")
            .await;
    }
    let own =
        |name: &str, actor: &str| format!("owner={} AND actor={}", number(name), number(actor));
    let of_doctor = own("Appointment/a1", "Practitioner/p1");
    let of_patient = own("Appointment/a1", "Patient/a");
    let stray = |owner: i64, actor: i64| {
        format!(
            "INSERT INTO claim (actor,size,padded_start,padded_end,core_start,core_end,owner,n,
                                kind,buffers,capacity,seat)
             SELECT {actor},size,padded_start,padded_end,core_start,core_end,{owner},7,
                    kind,buffers,capacity,seat FROM claim WHERE {of_doctor}"
        )
    };
    let again = |text: &str| ("put", text.to_owned());
    let sql = |text: &str| ("sql", text.to_owned());
    let during = "from 2026-11-23T10:00:00.000Z to 2026-11-23T10:30:00.000Z";
    let slot_claim = own("Slot/x2", "Schedule/s2");
    let closed = own("Slot/x3", "Practitioner/p9");
    let x2 = slot("x2", "free", "23T11:00-23T11:30");
    let x3 = slot("x3", "busy-unavailable", "23T12:00-23T12:30");
    let booked_x1 = appointment("x1", "booked", "23T10:00-23T10:30", "Slot/x1 Patient/b");
    let over = format!(
        "UPDATE claim SET core_start=core_start+3600, core_end=core_end+3600,
                padded_start=padded_start+3600, padded_end=padded_end+3600 WHERE {}",
        own("Appointment/x1", "Practitioner/p9")
    );
    let cases: Vec<(String, (&str, String), Vec<String>)> = vec![
        (
            format!("DELETE FROM claim WHERE {of_doctor}"),
            again(&booked),
            vec![format!(
                "Appointment/a1: it does not claim the time of Practitioner/p1 {during}, so"
            )],
        ),
        (
            format!("DELETE FROM claim WHERE owner={}", number("Appointment/a1")),
            again(&booked),
            vec![
                "Appointment/a1: it does not claim the time of Practitioner/p1".to_owned(),
                "Appointment/a1: it does not claim the time of Patient/a".to_owned(),
            ],
        ),
        (
            format!(
                "UPDATE claim SET core_start=core_start-600, padded_start=padded_start-600
                 WHERE {of_doctor}"
            ),
            again(&booked),
            vec![format!(
                "Appointment/a1: it claims the time of Practitioner/p1 \
                 from 2026-11-23T09:50:00.000Z to 2026-11-23T10:30:00.000Z, but takes it {during}"
            )],
        ),
        (
            format!("UPDATE claim SET actor=12345 WHERE {of_patient}"),
            again(&booked),
            vec![
                "Appointment/a1: it does not claim the time of Patient/a".to_owned(),
                "Appointment/a1: it claims the time of actor 12345".to_owned(),
            ],
        ),
        (
            format!("UPDATE claim SET expires=1 WHERE {of_doctor}"),
            again(&booked),
            vec![
                "it claims the time of Practitioner/p1 until 1970-01-01T00:00:01.000Z, but says \
                 that it has it for good"
                    .to_owned(),
            ],
        ),
        (
            format!("UPDATE claim SET kind=1 WHERE {of_doctor}"),
            again(&booked),
            vec!["it claims the time of Practitioner/p1 as busy".to_owned()],
        ),
        (
            stray(77, 999),
            sql("DELETE FROM claim WHERE owner=77"),
            vec![format!(
                "(owner 77): actor 999 {during}; nothing can be booked"
            )],
        ),
        (
            stray(number("Appointment/g1"), number("Practitioner/p1") + 1),
            sql("DELETE FROM claim WHERE n=7"),
            vec!["Appointment/g1: it is cancelled, and still claims the time of".to_owned()],
        ),
        (
            stray(number("Appointment/l1"), number("Practitioner/p1")),
            sql("DELETE FROM claim WHERE n=7"),
            vec![
                "Appointment/l1: it claims the time of Practitioner/p1".to_owned(),
                "Practitioner/p1 is booked twice: by Appointment/".to_owned(),
            ],
        ),
        (
            format!(
                "UPDATE claim SET seat=0 WHERE actor={}",
                number("Location/l1")
            ),
            sql(&format!(
                "UPDATE claim SET seat=1 WHERE {}",
                own("Appointment/l2", "Location/l1")
            )),
            vec!["Location/l1 is booked twice: by Appointment/l".to_owned()],
        ),
        (
            format!("DELETE FROM claim WHERE {slot_claim}"),
            again(&x2),
            vec!["Slot/x2: it does not claim the time of Schedule/s2".to_owned()],
        ),
        (
            format!("UPDATE claim SET kind=1 WHERE {slot_claim}"),
            again(&x2),
            vec!["Slot/x2: it claims the time of Schedule/s2 as busy, but it is free".to_owned()],
        ),
        (
            format!("UPDATE claim SET core_end=core_end-60 WHERE {closed}"),
            again(&x3),
            vec!["Slot/x3: it claims the time of Practitioner/p9 from".to_owned()],
        ),
        (
            format!("UPDATE claim SET actor=4 WHERE {closed}"),
            again(&x3),
            vec!["Slot/x3: it claims the time of actor 4, but is Practitioner/p9's now".to_owned()],
        ),
        (
            over,
            again(&booked_x1),
            vec![
                "Appointment/x1: it claims the time of Practitioner/p9 from".to_owned(),
                "Slot/x1: it is busy because it was booked, but nothing is booked".to_owned(),
                "Slot/x2: it is free, but from".to_owned(),
            ],
        ),
    ];
    for (damage, (how, repair), sentences) in cases {
        f.damage(&damage).await;
        let told = f.verify_schedule().await;
        assert_eq!(told.len(), sentences.len(), "{damage}: {told:#?}");
        for sentence in sentences {
            let is_told = told.iter().any(|one| one.contains(&sentence));
            assert!(is_told, "{damage}: {sentence}: {told:#?}");
        }
        match how {
            "put" => drop(f.put(&repair).await),
            _ => f.damage(&repair).await,
        }
        assert_eq!(f.verify_schedule().await, Vec::<String>::new(), "{damage}");
    }
}

async fn a_role_that_is_of_somebody_else_is_told_apart(on: Database) {
    let f = practice(on).await;
    let booked = appointment(
        "a1",
        "booked",
        "23T10:00-23T10:30",
        "PractitionerRole/r1 Patient/a",
    );
    f.put(&booked).await;
    // Of the same practitioner, whom it names itself.
    let plain = appointment("a2", "booked", "23T11:00-23T11:30", "Practitioner/p1");
    f.put(&plain).await;
    f.put(&role("p2", "09:00", "17:00")).await;
    let told = f.verify_schedule().await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with(
            "Appointment/a1: PractitionerRole/r1 is Practitioner/p2 now, but the time from \
             2026-11-23T10:00:00.000Z"
        ),
        "{told:?}"
    );
    f.put(&booked).await;
    assert_eq!(f.verify_schedule().await, Vec::<String>::new());
}

/// Numbers that look random, and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

async fn nothing_differs_after_a_random_workload(on: Database) {
    let f = practice(on).await;
    let mut random = Random(4);
    let (mut done, mut refused) = (0, 0);
    for _ in 0..200 {
        let day = 23 + random.below(2);
        let hour = 9 + random.below(4);
        let (from, to) = [("00", "30"), ("15", "45")][random.below(2) as usize];
        let time = format!("{day}T{hour:02}:{from}-{day}T{hour:02}:{to}");
        let patient = ["a", "b", "c"][random.below(3) as usize];
        let who = [
            "PractitionerRole/r1",
            "Practitioner/p1 Location/l1",
            "Location/l1",
            "Slot/x1",
            "Slot/x2",
            "Practitioner/p9",
        ][random.below(6) as usize];
        let time = match who {
            "Slot/x1" => "23T10:00-23T10:30".to_owned(),
            "Slot/x2" => "23T11:00-23T11:30".to_owned(),
            _ => time,
        };
        let who = format!("{who} Patient/{patient}");
        let id = format!("a{}", random.below(25));
        let operation = match random.below(12) {
            0..=5 => put(&appointment(&id, "booked", &time, &who)),
            6..=7 => {
                let until = (f.clock.now() + i64::from(HOUR) / 6) / 1_000 * 1_000;
                let until = resources::primitive::format_instant(until);
                put(&held(&id, &time, &who, &until))
            }
            8 => put(&appointment(&id, "cancelled", &time, &who)),
            9 => delete("Appointment", Target::Id(id)),
            10 => {
                let status = ["free", "busy", "busy-unavailable"][random.below(3) as usize];
                put(&slot("x2", status, "23T11:00-23T11:30"))
            }
            _ => {
                f.clock.advance(HOUR / 12);
                continue;
            }
        };
        match f.one(operation).await {
            Ok(_) => done += 1,
            Err(error) => {
                let is_known = matches!(
                    error.kind,
                    ErrorKind::Conflict | ErrorKind::Unprocessable | ErrorKind::Gone
                );
                assert!(is_known, "{error:?}");
                refused += 1;
            }
        }
    }
    assert!(done > 40 && refused > 20, "{done} {refused}");
    assert_eq!(f.verify_schedule().await, Vec::<String>::new());
    f.clock.advance(HOUR);
    assert_eq!(f.verify_schedule().await, Vec::<String>::new());
    f.engine.tidy_bookings(None).await.unwrap();
    assert_eq!(f.verify_schedule().await, Vec::<String>::new());
    assert_eq!(
        f.engine.tidy_bookings(None).await.unwrap(),
        Tidied::default()
    );
    // Another node sees the same.
    let beside = f.beside().await;
    assert_eq!(beside.verify_schedule().await, Vec::<String>::new());
}

async fn slots_of_all_schedules_of_an_actor_become_busy(on: Database) {
    let f = practice(on).await;
    // One more Schedule of p9, one with a room, and one with another doctor in the same room.
    let plain = |id: &str, actors: &[&str]| {
        let actors = actors
            .iter()
            .map(|one| format!(r#"{{"reference":"{one}"}}"#));
        let actors: Vec<String> = actors.collect();
        format!(
            r#"{{"resourceType":"Schedule","id":"{id}","actor":[{}]}}"#,
            actors.join(",")
        )
    };
    f.put(&plain("t1", &["Practitioner/p9"])).await;
    f.put(r#"{"resourceType":"Location","id":"l2","physicalType":{"coding":[{"code":"ro"}]}}"#)
        .await;
    f.put(&plain("t2", &["Practitioner/p9", "Location/l2"]))
        .await;
    f.put(&plain("t3", &["Practitioner/p8", "Location/l2"]))
        .await;
    f.put(&slot_of("t1", "y1", "23T10:00-23T11:00")).await;
    f.put(&slot_of("t1", "y2", "23T11:00-23T12:00")).await;
    f.put(&slot_of("t2", "y3", "23T10:00-23T10:30")).await;
    f.put(&slot_of("t3", "y4", "23T10:00-23T10:30")).await;
    let busy = async || f.found("Slot?status=busy&start=2026-11-23").await;
    let agree = async || assert_eq!(f.verify_schedule().await, Vec::<String>::new());
    // Whether a Slot is named or not, those of the other Schedules are busy, and as free again.
    let doctor = "Practitioner/p9 Patient/a";
    for (id, who) in [("o0", "Slot/x1 Patient/a"), ("o1", doctor)] {
        f.put(&appointment(id, "booked", "23T10:00-23T10:30", who))
            .await;
        assert_eq!(busy().await, ["Slot/x1", "Slot/y1", "Slot/y3"]);
        agree().await;
        f.put(&appointment(id, "booked", "23T11:30-23T12:00", doctor))
            .await;
        assert_eq!(busy().await, ["Slot/y2"]);
        agree().await;
        f.put(&appointment(id, "cancelled", "23T11:30-23T12:00", doctor))
            .await;
        assert_eq!(busy().await, Vec::<String>::new());
        agree().await;
    }
    // A Slot of two is busy as long as one of them is, and nobody forgets the other.
    f.put(&appointment(
        "o2",
        "booked",
        "23T10:00-23T10:30",
        "Practitioner/p9 Patient/a",
    ))
    .await;
    f.put(&appointment(
        "o3",
        "booked",
        "23T10:00-23T10:30",
        "Slot/y4 Patient/b",
    ))
    .await;
    assert_eq!(busy().await, ["Slot/x1", "Slot/y1", "Slot/y3", "Slot/y4"]);
    agree().await;
    let beside = f.beside().await;
    beside
        .one(delete("Appointment", Target::Id("o2".to_owned())))
        .await
        .unwrap();
    assert_eq!(busy().await, ["Slot/y3", "Slot/y4"]);
    agree().await;
    // What takes half of a Slot goes while something else takes the other half.
    for n in 0..20 {
        let half = |half: usize, status| {
            let time = ["23T11:00-23T11:30", "23T11:30-23T12:00"][half];
            f.one(put(&appointment(
                &format!("h{n}-{half}"),
                status,
                time,
                doctor,
            )))
        };
        half(0, "booked").await.unwrap();
        let (gone, come) = tokio::join!(half(0, "cancelled"), half(1, "booked"));
        gone.unwrap();
        come.unwrap();
        agree().await;
        half(1, "cancelled").await.unwrap();
        agree().await;
    }
}

async fn holds_that_are_over_are_cancelled(on: Database) {
    let f = practice(on).await;
    f.put(&held(
        "h1",
        "23T10:00-23T10:30",
        "Slot/x1 Patient/a",
        "2026-11-20T00:10:00.000Z",
    ))
    .await;
    // One that waits for approval is not held.
    f.put(&appointment(
        "w1",
        "pending",
        "23T11:00-23T11:30",
        "PractitionerRole/r1 Patient/a",
    ))
    .await;
    assert_eq!(f.found("Slot?status=busy&schedule=s2").await, ["Slot/x1"]);
    assert_eq!(f.engine.tidy_bookings(None).await.unwrap().holds, 0);
    f.clock.advance(HOUR / 5);
    assert_eq!(f.verify_schedule().await, Vec::<String>::new());
    let tidied = f.engine.tidy_bookings(None).await.unwrap();
    assert_eq!((tidied.holds, tidied.no_shows), (1, 0));
    let read = f.read("Appointment", "h1").await.unwrap();
    let text = String::from_utf8(read.body.to_vec()).unwrap();
    let held = doc(&text);
    assert_eq!(at(held.root(), "status"), "cancelled");
    assert_eq!(at(held.root(), "participant.0.status"), "declined");
    assert!(at(held.root(), "cancelationReason.text").contains("hold"));
    assert_eq!(
        f.found("Slot?status=free&schedule=s2").await,
        ["Slot/x1", "Slot/x2"]
    );
    let beside = f.beside().await;
    assert_eq!(beside.engine.tidy_bookings(None).await.unwrap().holds, 0);
    assert_eq!(f.read("Appointment", "w1").await.unwrap().version, 1);
    assert_eq!(f.verify_schedule().await, Vec::<String>::new());
}

async fn nobody_came(on: Database) {
    let f = practice(on).await;
    for (id, status, time) in [
        ("n1", "booked", "23T10:00-23T10:30"),
        ("n2", "arrived", "23T11:00-23T11:30"),
        ("n3", "booked", "24T10:00-24T10:30"),
    ] {
        f.put(&appointment(
            id,
            status,
            time,
            "PractitionerRole/r1 Patient/a",
        ))
        .await;
    }
    // 10:29 and 10:30 of that day.
    f.clock.advance(3 * 24 * HOUR + 10 * HOUR + 29 * HOUR / 60);
    assert_eq!(f.engine.tidy_bookings(None).await.unwrap().no_shows, 0);
    let half = Some(1_800);
    assert_eq!(f.engine.tidy_bookings(half).await.unwrap().no_shows, 0);
    f.clock.advance(HOUR / 60);
    assert_eq!(f.engine.tidy_bookings(half).await.unwrap().no_shows, 1);
    assert_eq!(
        f.found("Appointment?status=noshow").await,
        ["Appointment/n1"]
    );
    assert_eq!(f.engine.tidy_bookings(half).await.unwrap().no_shows, 0);
    assert_eq!(f.verify_schedule().await, Vec::<String>::new());
    // Long ago nobody looked.
    f.clock.advance(40 * 24 * HOUR);
    assert_eq!(f.engine.tidy_bookings(half).await.unwrap().no_shows, 0);
}

async fn a_hold_is_confirmed_whatever_the_rules_say_meanwhile(on: Database) {
    let f = practice(on).await;
    let time = "23T10:00-23T10:30";
    let who = "PractitionerRole/r1 Patient/a";
    let tentative =
        held("h1", time, who, "2026-11-20T00:10:00.000Z").replace("\"accepted\"", "\"tentative\"");
    f.put(&tentative).await;
    f.put(&role("p1", "13:00", "17:00")).await;
    f.clock.advance(HOUR / 10);
    f.put(&appointment("h1", "booked", time, who)).await;
    // Once it is over it is like new.
    let until = "2026-11-20T00:16:00.000Z";
    let late = held("h2", "23T13:00-23T13:30", who, until);
    f.put(&late).await;
    f.put(&role("p1", "15:00", "17:00")).await;
    f.clock.advance(HOUR);
    let late = put(&appointment("h2", "booked", "23T13:00-23T13:30", who));
    let error = f.one(late).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unprocessable);
}

async fn transactions_of_ihe_are_audited(on: Database) {
    let f = practice(on).await;
    let by = ALL.by(Arc::new(Caller {
        identity: Arc::new(Identity {
            user: Some("anna".to_owned()),
            ..Identity::default()
        }),
        address: None,
        request: "r".to_owned(),
    }));
    let engine = &f.engine;
    let find = [("schedule", "s1"), ("patient", "a"), ("_count", "1")];
    let found = doc(&engine.find_appointments(&call(&find), &by).await.unwrap());
    let proposal = identities(&found).remove(0);
    engine
        .find_appointments(&call(&find[..1]), &by)
        .await
        .unwrap();
    let missing = [("schedule", "s1"), ("patient", "nobody")];
    engine
        .find_appointments(&call(&missing), &by)
        .await
        .unwrap_err();
    let proposed = [("appointment-reference", proposal.as_str())];
    let held = engine
        .hold_appointment(&call(&proposed), &by)
        .await
        .unwrap();
    let id = format!("Appointment/{}", held.appointments[0].id);
    let held = [("appointment-reference", id.as_str())];
    engine.book_appointment(&call(&held), &by).await.unwrap();
    let lines = async |code: &str| -> Vec<String> {
        let query = format!("AuditEvent?subtype=urn:ihe:event-type-code|{code}&_sort=date");
        let events = audit::found(&f, &query).await;
        events.iter().map(audit::line).collect()
    };
    let mut finds = lines("ITI-115").await;
    finds.sort();
    assert_eq!(
        finds,
        [
            "ITI-115 E 0 - Patient/a Appointment/$find?schedule=s1&patient=a&_count=1",
            "ITI-115 E 4 - Patient/nobody Appointment/$find?schedule=s1&patient=nobody",
        ]
    );
    assert_eq!(
        lines("ITI-116").await,
        [format!("ITI-116 E 0 {id}/_history/1 Patient/a -")]
    );
    assert_eq!(
        lines("ITI-117").await,
        [format!("ITI-117 E 0 {id}/_history/2 Patient/a -")]
    );
    // The writes are there too.
    let writes = audit::found(&f, "AuditEvent?action=C,U").await;
    assert_eq!(writes.len(), 2);
}
