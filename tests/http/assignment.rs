//! Booking by what is needed: who of several gets it, and who comes without having booked.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client},
    server::{DATABASES, Server},
};

const FHIR: (&str, &str) = ("Content-Type", "application/fhir+json");
const RULES: &str = "urn:rotunda:StructureDefinition:scheduling-parameters";

async fn send(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let mut client = Client::connect(server.address).await;
    let path = format!("/fhir/{path}");
    let body = body.to_string();
    client.send(method, &path, &[FHIR], body.as_bytes()).await
}

async fn get(server: &Server, path: &str) -> Value {
    let mut client = Client::connect(server.address).await;
    client
        .send("GET", &format!("/fhir/{path}"), &[], b"")
        .await
        .json()
}

/// So many doctors of one specialty, always open, with these rules beside.
async fn doctors(server: &Server, count: usize, more: &[Value]) {
    let mut rules = vec![
        json!({"url": "duration", "valueDuration": {"value": 30, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}}),
        json!({"url": "availableTime", "extension": [{"url": "allDay", "valueBoolean": true}]}),
    ];
    rules.extend_from_slice(more);
    for at in 0..count {
        let practitioner = json!({"reference": format!("Practitioner/d{at}")});
        for body in [
            json!({"resourceType": "Practitioner", "id": format!("d{at}"), "name": [{"family": "Arzt"}]}),
            json!({"resourceType": "Schedule", "id": format!("s{at}"), "actor": [practitioner],
                "specialty": [{"coding": [{"system": "urn:s", "code": "heart"}]}],
                "extension": [{"url": RULES, "extension": rules}]}),
        ] {
            let path = format!(
                "{}/{}",
                body["resourceType"].as_str().unwrap(),
                body["id"].as_str().unwrap()
            );
            let answer = send(server, "PUT", &path, &body).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
    }
}

/// As many patients, each with a need of one's own.
async fn needs(server: &Server, count: usize, of: &[(&str, &str)]) -> Vec<Value> {
    let mut needs = Vec::new();
    for at in 0..count {
        let path = format!("Patient/p{at}");
        let body = json!({"resourceType": "Patient", "id": format!("p{at}")});
        let answer = send(server, "PUT", &path, &body).await;
        assert!(answer.status < 300, "{}", answer.text());
        let patient = json!({"name": "patient-reference", "valueReference": {"reference": path}});
        let mut all = vec![
            patient,
            json!({"name": "specialty", "valueString": "urn:s|heart"}),
        ];
        all.extend(
            of.iter()
                .map(|(name, value)| json!({"name": name, "valueString": value})),
        );
        needs.push(json!({"resourceType": "Parameters", "parameter": all}));
    }
    needs
}

fn first(answer: &Answer) -> Value {
    answer.json()["entry"][0]["resource"].clone()
}

fn doctor(appointment: &Value) -> String {
    let participants = appointment["participant"].as_array().unwrap();
    let references = participants
        .iter()
        .map(|one| one["actor"]["reference"].as_str().unwrap());
    let mut doctors = references.filter(|one| one.starts_with("Practitioner/"));
    doctors.next().unwrap().to_owned()
}

/// How often each doctor was booked.
fn dealt(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut dealt = BTreeMap::new();
    for answer in answers.iter().filter(|answer| answer.status == 201) {
        *dealt.entry(doctor(&first(answer))).or_default() += 1;
    }
    dealt
}

/// From tomorrow's first free time on: start and end of so many times in a row.
async fn window(server: &Server, times: usize) -> (String, String) {
    let found = get(server, "Appointment/$find?schedule=s0&_count=100").await;
    let entries = found["entry"].as_array().unwrap();
    let time = |at: usize, end: &str| entries[at]["resource"][end].as_str().unwrap().to_owned();
    (time(4, "start"), time(3 + times, "end"))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_doctors_are_booked_ten_times_at_one_instant() {
    for database in DATABASES {
        for (operation, assignment) in [
            ("$book", "earliest"),
            ("$book", "fair"),
            ("$hold", "preferred"),
        ] {
            let server = Server::plain(database).await;
            doctors(&server, 10, &[]).await;
            let (start, end) = window(&server, 1).await;
            let of = [
                ("start", &*start),
                ("end", &*end),
                ("assignment", assignment),
            ];
            let needs = needs(&server, 100, &of).await;
            let path = format!("Appointment/{operation}");
            let answers = needs.iter().map(|need| send(&server, "POST", &path, need));
            let answers = join_all(answers).await;
            let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
            for answer in &answers {
                *statuses.entry(answer.status).or_default() += 1;
            }
            let expected = BTreeMap::from([(201, 10), (409, 90)]);
            assert_eq!(statuses, expected, "{database:?} {assignment}");
            let dealt = dealt(&answers);
            assert!(
                dealt.len() == 10 && dealt.values().all(|count| *count == 1),
                "{dealt:?}"
            );
            let lost = answers.iter().find(|answer| answer.status == 409).unwrap();
            assert_eq!(
                lost.text().matches("valuePeriod").count(),
                3,
                "{}",
                lost.text()
            );
            server.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_bookings_are_dealt_out_evenly() {
    for database in DATABASES {
        for assignment in ["fair", "least-loaded"] {
            let server = Server::plain(database).await;
            doctors(&server, 10, &[]).await;
            let (start, end) = window(&server, 40).await;
            let of = [
                ("start", &*start),
                ("end", &*end),
                ("assignment", assignment),
            ];
            let needs = needs(&server, 100, &of).await;
            let answers = needs
                .iter()
                .map(|need| send(&server, "POST", "Appointment/$book", need));
            let answers = join_all(answers).await;
            let dealt = dealt(&answers);
            assert!(
                dealt.len() == 10 && dealt.values().all(|count| *count == 10),
                "{database:?} {assignment}: {dealt:?}"
            );
            server.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_little_to_do_is_booked_first() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        doctors(&server, 3, &[]).await;
        let (start, end) = window(&server, 10).await;
        // d0 has one long appointment, d1 two short ones.
        let add = |who: &str, count: usize| {
            let of = [("start", &*start), ("end", &*end), ("practitioner", who)];
            let server = &server;
            let of: Vec<(String, String)> = of
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            async move {
                let of: Vec<(&str, &str)> = of.iter().map(|(a, b)| (&**a, &**b)).collect();
                for need in needs(server, count, &of).await {
                    let answer = send(server, "POST", "Appointment/$book", &need).await;
                    assert_eq!(answer.status, 201, "{}", answer.text());
                }
            }
        };
        add("d1", 2).await;
        add("d2", 3).await;
        let long = json!({"resourceType": "Appointment", "status": "booked", "start": start, "end": end,
            "participant": [{"actor": {"reference": "Practitioner/d0"}, "status": "accepted"}]});
        let answer = send(&server, "POST", "Appointment", &long).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        // d0 is full; of the others d1 has less.
        for assignment in ["fair", "least-loaded"] {
            let of = [
                ("start", &*start),
                ("end", &*end),
                ("assignment", assignment),
            ];
            let need = needs(&server, 4, &of).await.remove(3);
            let answer = send(&server, "POST", "Appointment/$book", &need).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
            let given = doctor(&first(&answer));
            match assignment {
                "fair" => assert_eq!(given, "Practitioner/d1"),
                _ => assert_ne!(given, "Practitioner/d0"),
            }
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_need_is_booked_once_and_refused_with_words() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        doctors(&server, 1, &[]).await;
        let (start, end) = window(&server, 1).await;
        let of = [("start", &*start), ("end", &*end)];
        let need = needs(&server, 1, &of).await.remove(0);
        let mut client = Client::connect(server.address).await;
        let key = [FHIR, ("Idempotency-Key", "n-1")];
        let body = need.to_string();
        let path = "/fhir/Appointment/$book";
        let once = client.send("POST", path, &key, body.as_bytes()).await;
        let again = client.send("POST", path, &key, body.as_bytes()).await;
        assert_eq!((once.status, again.status), (201, 201), "{}", again.text());
        assert_eq!(first(&once)["id"], first(&again)["id"]);
        let refused = send(&server, "POST", "Appointment/$book", &need).await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(
            refused.text().contains("nothing-free"),
            "{}",
            refused.text()
        );
        let mut wrong = need.clone();
        let name = json!({"name": "assignment", "valueString": "random"});
        wrong["parameter"].as_array_mut().unwrap().push(name);
        let refused = send(&server, "POST", "Appointment/$book", &wrong).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_walks_in_is_seen_now() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        let notice = json!({"url": "minimumNotice", "valueDuration": {"value": 2, "unit": "h", "system": "http://unitsofmeasure.org", "code": "h"}});
        let overbook = json!({"url": "overbook", "valueUnsignedInt": 1});
        doctors(&server, 1, &[notice, overbook]).await;
        let of = [("walk-in", "true"), ("status", "arrived")];
        let needs = needs(&server, 3, &of).await;
        let there = send(&server, "POST", "Appointment/$book", &needs[0]).await;
        assert_eq!(there.status, 201, "{}", there.text());
        let there = first(&there);
        assert_eq!(there["status"], "arrived");
        assert_eq!(there["appointmentType"]["coding"][0]["code"], "WALKIN");
        // One more by the policy, and no third.
        let over = send(&server, "POST", "Appointment/$book", &needs[1]).await;
        assert_eq!(over.status, 201, "{}", over.text());
        assert!(over.text().contains("overbooked"), "{}", over.text());
        let full = send(&server, "POST", "Appointment/$book", &needs[2]).await;
        assert_eq!(full.status, 409, "{}", full.text());
        // What took place can go on, though two are there at once.
        let path = format!("Appointment/{}", there["id"].as_str().unwrap());
        let mut done = there.clone();
        done["status"] = json!("fulfilled");
        let done = send(&server, "PUT", &path, &done).await;
        assert_eq!(done.status, 200, "{}", done.text());
        // The notice of two hours holds for everybody else.
        let mut booked = there.clone();
        booked["status"] = json!("booked");
        booked.as_object_mut().unwrap().remove("appointmentType");
        let late = send(&server, "POST", "Appointment", &booked).await;
        assert_eq!(late.status, 422, "{}", late.text());
        assert!(late.text().contains("min-notice"), "{}", late.text());
        server.stop().await;
    }
}
