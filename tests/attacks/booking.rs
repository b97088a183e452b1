//! Booking with a token: a patient for the own record only, and what is offered only; staff as
//! far as their roles go; nobody learns from it what others have.

use serde_json::{Value, json};

use crate::{
    client::Answer,
    hospital::CANARY,
    practice::{
        OVERBOOKED, Practice, RULES, appointment, at, code, minutes, operation, post, proposal,
        reference,
    },
    server::DATABASES,
    world::{Ask, JSON_PATCH, World},
};

fn transaction(kind: &str, resource: &Value) -> Ask {
    let bundle = json!({"resourceType": "Bundle", "type": kind,
        "entry": [{"resource": resource, "request": {"method": "POST", "url": "Appointment"}}]});
    Ask::new("POST /fhir").fhir(&bundle.to_string())
}

/// What names another patient, by id.
fn for_another(time: &Value, id: &str) -> Vec<(&'static str, Ask)> {
    let patient = format!("Patient/{id}");
    let of_other = at(time, "booked", &[&patient, "Practitioner/dr"]);
    let mut proposed = time.clone();
    proposed["participant"]
        .as_array_mut()
        .unwrap()
        .push(json!({"actor": reference(&patient), "status": "needs-action"}));
    let by_proposal = |name: &str, own: bool| {
        let mut of = vec![
            ("appointment-reference", proposal(time)),
            ("patient-reference", reference(&patient)),
        ];
        if own {
            of.push(("patient-reference", reference("Patient/pa")));
        }
        operation(&format!("POST Appointment/${name}"), &of)
    };
    vec![
        ("booked", post(&of_other)),
        (
            "held",
            post(&at(time, "pending", &[&patient, "Practitioner/dr"])),
        ),
        (
            "asked for",
            post(&at(time, "proposed", &[&patient, "Practitioner/dr"])),
        ),
        (
            "of both",
            post(&at(
                time,
                "booked",
                &["Patient/pa", &patient, "Practitioner/dr"],
            )),
        ),
        ("$book a proposal", by_proposal("book", false)),
        ("$book for both", by_proposal("book", true)),
        ("$hold a proposal", by_proposal("hold", false)),
        (
            "$book a resource",
            operation(
                "POST Appointment/$book",
                &[("appointment-resource", of_other.clone())],
            ),
        ),
        (
            "$book the Appointment itself",
            Ask::new("POST Appointment/$book").fhir(&of_other.to_string()),
        ),
        (
            "$book a proposal as it came, with another",
            operation(
                "POST Appointment/$book",
                &[("appointment-resource", proposed)],
            ),
        ),
        (
            "$hold a resource",
            operation(
                "POST Appointment/$hold",
                &[("appointment-resource", of_other.clone())],
            ),
        ),
        ("in a transaction", transaction("transaction", &of_other)),
        ("in a batch", transaction("batch", &of_other)),
        (
            "found for another",
            Ask::new(&format!(
                "GET Appointment/$find?schedule=dr-hours&patient={id}"
            )),
        ),
    ]
}

fn status(answer: &Answer) -> u16 {
    let json = answer.json();
    match json["entry"][0]["response"]["status"].as_str() {
        Some(status) if json["type"] == "batch-response" => status[..3].parse().unwrap(),
        _ => answer.status,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_booked_by_another_patient() {
    for database in DATABASES {
        let practice = Practice::new(World::new(database).await).await;
        let time = practice.times("dr-hours", "").await.remove(0);
        let before = practice.state().await;
        let there = for_another(&time, "pb");
        let nowhere = for_another(&time, "qx");
        for ((what, ask), (_, twin)) in there.iter().zip(&nowhere) {
            let told = practice.ask(&practice.a, ask).await;
            let twin = practice.ask(&practice.a, twin).await;
            assert!(
                [403, 404].contains(&status(&told)),
                "{what}: {}",
                told.text()
            );
            let of_twin = twin.text().replace("qx", "pb");
            let (told, of_twin) = (without_time(&told.text()), without_time(&of_twin));
            assert_eq!(told, of_twin, "{what}");
            assert!(!told.contains(CANARY), "{what}: {told}");
        }
        // What was found for B, in the hands of A.
        let of_b = practice.times("dr-hours", "pb").await.remove(0);
        let mine = ("patient-reference", reference("Patient/pa"));
        for (what, of) in [
            ("as it is", vec![("appointment-reference", proposal(&of_b))]),
            (
                "for both",
                vec![("appointment-reference", proposal(&of_b)), mine],
            ),
            ("whole", vec![("appointment-resource", of_b.clone())]),
        ] {
            for name in ["book", "hold"] {
                let ask = operation(&format!("POST Appointment/${name}"), &of);
                let told = practice.ask(&practice.a, &ask).await;
                assert!([403, 404].contains(&told.status), "{what}: {}", told.text());
                assert!(
                    !told.text().contains("Patient/pb"),
                    "{what}: {}",
                    told.text()
                );
            }
        }
        assert_eq!(practice.state().await, before, "something was left");
        practice.world.server.stop().await;
    }
}

/// Without what says when it was answered.
fn without_time(text: &str) -> String {
    let mark = "\"lastUpdated\":\"";
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(mark);
        out.push_str(part.split_once('"').map_or("", |(_, rest)| rest));
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_takes_only_what_is_offered() {
    for database in DATABASES {
        let practice = Practice::new(World::new(database).await).await;
        let times = practice.times("dr-hours", "").await;
        let time = &times[0];
        let asked = practice.times("other-hours", "").await.remove(0);
        let own = ["Patient/pa", "Practitioner/dr"];
        let of_b = &practice.of_b;
        let mut long = at(time, "booked", &own);
        long["end"] = times[20]["end"].clone();
        let mut overbooked = at(time, "booked", &own);
        overbooked["extension"] = json!([{"url": OVERBOOKED, "valueBoolean": true}]);
        let mut hidden = at(time, "booked", &own);
        hidden["start"] = times[2]["start"].clone();
        hidden["end"] = times[2]["end"].clone();
        hidden["id"] = json!(of_b);
        let moved = json!([{"op": "replace", "path": "/status", "value": "cancelled"}]).to_string();
        let slot = time["slot"][0]["reference"].as_str().unwrap();
        let schedule = json!({"resourceType": "Schedule", "id": "dr-hours", "actor": [reference("Practitioner/dr"), reference("Patient/pa")]});
        let other_slot = json!({"resourceType": "Slot", "schedule": reference("Schedule/dr-hours"), "status": "busy",
            "start": time["start"], "end": time["end"]});
        let mut computed = other_slot.clone();
        computed["id"] = json!(slot.trim_start_matches("Slot/"));
        let before = practice.state().await;
        let keeper = practice.world.keeper().await;
        let rows: Vec<(&str, Ask)> = vec![
            ("arrived", post(&at(time, "arrived", &own))),
            ("checked in", post(&at(time, "checked-in", &own))),
            ("fulfilled", post(&at(time, "fulfilled", &own))),
            ("no show", post(&at(time, "noshow", &own))),
            ("over others", post(&overbooked)),
            (
                "$book over others",
                operation(
                    "POST Appointment/$book",
                    &[
                        ("appointment-reference", proposal(time)),
                        ("patient-reference", reference("Patient/pa")),
                        ("overbook", json!(true)),
                    ],
                ),
            ),
            ("ten hours", post(&long)),
            (
                "whoever offers nothing",
                post(&at(time, "booked", &["Patient/pa", "Practitioner/idle"])),
            ),
            (
                "what needs approval",
                post(&at(&asked, "booked", &["Patient/pa", "Practitioner/other"])),
            ),
            (
                "for nobody",
                post(&at(time, "booked", &["Practitioner/dr"])),
            ),
            (
                "another's, replaced",
                Ask::new(&format!("PUT Appointment/{of_b}")).fhir(&hidden.to_string()),
            ),
            (
                "another's, patched",
                Ask::new(&format!("PATCH Appointment/{of_b}")).body(JSON_PATCH, &moved),
            ),
            (
                "another's, cancelled",
                operation(&format!("POST Appointment/{of_b}/$cancel"), &[]),
            ),
            (
                "another's, released",
                operation(&format!("POST Appointment/{of_b}/$release"), &[]),
            ),
            (
                "another's, confirmed",
                operation(&format!("POST Appointment/{of_b}/$confirm"), &[]),
            ),
            (
                "another's, moved",
                operation(
                    &format!("POST Appointment/{of_b}/$reschedule"),
                    &[("appointment-reference", proposal(time))],
                ),
            ),
            (
                "another's, in exchange",
                operation(
                    "POST Appointment/$book",
                    &[
                        ("appointment-reference", proposal(time)),
                        ("patient-reference", reference("Patient/pa")),
                        (
                            "cancelled-appt-id",
                            reference(&format!("Appointment/{of_b}")),
                        ),
                    ],
                ),
            ),
            (
                "another's, looked away from",
                Ask::new(&format!(
                    "GET Appointment/$find?schedule=dr-hours&ignore-appointment={of_b}"
                )),
            ),
            ("a Slot", post(&other_slot)),
            (
                "a computed Slot",
                Ask::new(&format!("PUT {slot}")).fhir(&computed.to_string()),
            ),
            ("a Schedule", post(&schedule)),
            (
                "the Schedule",
                Ask::new("PUT Schedule/dr-hours").fhir(&schedule.to_string()),
            ),
            (
                "hours",
                Ask::new("PATCH PractitionerRole/dr-role")
                    .body(JSON_PATCH, r#"[{"op":"remove","path":"/availableTime"}]"#),
            ),
        ];
        for (what, ask) in &rows {
            let mut whose = vec![&practice.a];
            if *what != "another's, looked away from" {
                whose.push(&keeper);
            }
            for token in whose {
                let told = practice.ask(token, ask).await;
                assert!(
                    [403, 404].contains(&told.status),
                    "{what}: {} {}",
                    told.status,
                    told.text()
                );
                assert!(!told.text().contains(CANARY), "{what}: {}", told.text());
            }
        }
        assert_eq!(practice.state().await, before, "something was left");
        practice.world.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_books_moves_and_cancels_the_own() {
    for database in DATABASES {
        let practice = Practice::new(World::new(database).await).await;
        let a = &practice.a;
        let line = "GET Appointment/$find?practitioner=Practitioner/dr&patient=pa&_count=5";
        let times = practice.found(a, line).await;
        let book = |time: &Value| {
            operation(
                "POST Appointment/$book",
                &[("appointment-reference", proposal(time))],
            )
        };
        let hold = operation(
            "POST Appointment/$hold",
            &[("appointment-reference", proposal(&times[0]))],
        );
        let held = practice.ask(a, &hold).await;
        assert_eq!(held.status, 201, "{}", held.text());
        let id = appointment(&held)["id"].as_str().unwrap().to_owned();
        // B is told that the time is taken, and nothing of whose it is.
        let of_both = at(&times[0], "booked", &["Patient/pb", "Practitioner/dr"]);
        let lost = practice.ask(&practice.b, &post(&of_both)).await;
        assert_eq!((lost.status, code(&lost).as_str()), (409, "slot-taken"));
        assert!(!lost.text().contains("pa"), "{}", lost.text());
        let own = operation(
            "POST Appointment/$book",
            &[(
                "appointment-reference",
                reference(&format!("Appointment/{id}")),
            )],
        );
        let booked = practice.ask(a, &own).await;
        assert_eq!(
            appointment(&booked)["status"],
            "booked",
            "{}",
            booked.text()
        );
        // At the same time with somebody else: only A is told, and only of the own.
        let elsewhere = at(&times[0], "pending", &["Patient/pa", "Practitioner/other"]);
        let overlap = practice.ask(a, &post(&elsewhere)).await;
        assert_eq!(
            (overlap.status, code(&overlap).as_str()),
            (422, "patient-overlap")
        );
        let elsewhere = at(&times[0], "pending", &["Patient/pb", "Practitioner/other"]);
        let free = practice.ask(&practice.b, &post(&elsewhere)).await;
        assert_eq!(free.status, 201, "{}", free.text());
        let overlap = practice
            .ask(
                a,
                &post(&at(
                    &times[0],
                    "pending",
                    &["Patient/pa", "Practitioner/other"],
                )),
            )
            .await;
        assert!(!overlap.text().contains("Patient/pb"), "{}", overlap.text());
        let moved = operation(
            &format!("POST Appointment/{id}/$reschedule"),
            &[("appointment-reference", proposal(&times[2]))],
        );
        let moved = practice.ask(a, &moved).await;
        assert_eq!(moved.status, 200, "{}", moved.text());
        assert_eq!(moved.json()["start"], times[2]["start"]);
        // What each sees.
        let seen = practice.world.line(a, "GET Appointment").await.text();
        assert!(
            seen.contains(&id) && !seen.contains(CANARY) && !seen.contains(&practice.of_b),
            "{seen}"
        );
        for line in [
            "GET Slot?schedule=dr-hours".to_owned(),
            format!("GET {}", times[0]["slot"][0]["reference"].as_str().unwrap()),
            "GET Appointment/$find?schedule=dr-hours".to_owned(),
            "GET Slot?schedule=dr-hours&_revinclude=Appointment:slot".to_owned(),
        ] {
            let told = practice.world.line(&practice.b, &line).await.text();
            assert!(
                !told.contains("Patient/pa") && !told.contains(&id),
                "{line}: {told}"
            );
        }
        let cancelled = practice
            .ask(
                a,
                &operation(&format!("POST Appointment/{id}/$cancel"), &[]),
            )
            .await;
        assert_eq!(
            appointment(&cancelled)["status"],
            "cancelled",
            "{}",
            cancelled.text()
        );
        let again = practice.ask(a, &book(&times[1])).await;
        assert_eq!(again.status, 201, "{}", again.text());
        practice.world.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_approval_is_confirmed_by_the_staff() {
    for database in DATABASES {
        let practice = Practice::new(World::new(database).await).await;
        let a = &practice.a;
        let time = practice.times("other-hours", "pa").await.remove(0);
        let hold = operation(
            "POST Appointment/$hold",
            &[("appointment-reference", proposal(&time))],
        );
        let held = practice.ask(a, &hold).await;
        let id = appointment(&held)["id"].as_str().unwrap().to_owned();
        let on = |name: &str| operation(&format!("POST Appointment/{id}/${name}"), &[]);
        let told = practice.ask(a, &on("confirm")).await;
        assert_eq!((told.status, code(&told).as_str()), (403, "needs-approval"));
        let asked = practice.ask(a, &on("book")).await;
        let asked = appointment(&asked);
        assert_eq!(
            (&asked["status"], &asked["extension"]),
            (&json!("pending"), &Value::Null)
        );
        let patch = r#"[{"op":"replace","path":"/status","value":"booked"}]"#;
        let patch = Ask::new(&format!("PATCH Appointment/{id}")).body(JSON_PATCH, patch);
        for ask in [on("confirm"), on("book"), patch] {
            let told = practice.ask(a, &ask).await;
            assert_eq!((told.status, code(&told).as_str()), (403, "needs-approval"));
        }
        let desk = practice
            .world
            .token(&["receptionist"], None, "user/*.cruds", None)
            .await;
        let confirmed = practice.ask(&desk, &on("confirm")).await;
        assert_eq!(
            appointment(&confirmed)["status"],
            "booked",
            "{}",
            confirmed.text()
        );
        // What was confirmed for one time is not for another.
        let later = practice.times("other-hours", "").await.remove(3);
        let moved = [("appointment-reference", proposal(&later))];
        let moved = operation(&format!("POST Appointment/{id}/$reschedule"), &moved);
        let told = practice.ask(a, &moved).await;
        assert_eq!((told.status, code(&told).as_str()), (403, "needs-approval"));
        practice.world.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_books_for_all_and_decides() {
    for database in DATABASES {
        let practice = Practice::new(World::new(database).await).await;
        let desk = practice
            .world
            .token(&["receptionist"], None, "user/*.cruds", None)
            .await;
        // Opened on a patient, an app is still the desk's.
        let on_a = practice
            .world
            .token(
                &["receptionist"],
                None,
                "patient/*.cruds launch/patient",
                Some("pa"),
            )
            .await;
        let line = "GET Appointment/$find?schedule=dr-hours&patient=pa&_count=5";
        let times = practice.found(&desk, line).await;
        let booked = operation(
            "POST Appointment/$book",
            &[("appointment-reference", proposal(&times[0]))],
        );
        let booked = practice.ask(&desk, &booked).await;
        assert_eq!(booked.status, 201, "{}", booked.text());
        let mut over = at(&times[0], "booked", &["Patient/pb", "Practitioner/dr"]);
        over["extension"] = json!([{"url": OVERBOOKED, "valueBoolean": true}]);
        let over = practice.ask(&desk, &post(&over)).await;
        assert_eq!(over.status, 201, "{}", over.text());
        let mut over = at(&times[1], "booked", &["Patient/pa", "Practitioner/dr"]);
        over["extension"] = json!([{"url": OVERBOOKED, "valueBoolean": true}]);
        let over = practice.ask(&on_a, &post(&over)).await;
        assert_eq!(over.status, 201, "{}", over.text());
        let id = appointment(&booked)["id"].as_str().unwrap().to_owned();
        let arrived = r#"[{"op":"replace","path":"/status","value":"arrived"}]"#;
        let arrived = Ask::new(&format!("PATCH Appointment/{id}")).body(JSON_PATCH, arrived);
        let arrived = practice.ask(&desk, &arrived).await;
        assert_eq!(arrived.status, 200, "{}", arrived.text());
        // A patient changes nothing of what took place.
        let comment = r#"[{"op":"add","path":"/comment","value":"x"}]"#;
        let comment = Ask::new(&format!("PATCH Appointment/{id}")).body(JSON_PATCH, comment);
        let told = practice.ask(&practice.a, &comment).await;
        assert_eq!((told.status, code(&told).as_str()), (403, "staff-only"));
        // Whoever may find the Slots of one Schedule finds no others.
        let world = &practice.world;
        world
            .role("narrow", &["user/Slot.rs?schedule=Schedule/dr-hours"])
            .await;
        let narrow = world.token(&["narrow"], None, "user/*.cruds", None).await;
        for (schedule, is_there) in [("dr-hours", true), ("other-hours", false)] {
            let line = format!("GET Appointment/$find?schedule={schedule}");
            let found = practice.found(&narrow, &line).await;
            assert_eq!(!found.is_empty(), is_there, "{schedule}");
        }
        let all = practice.found(&narrow, "GET Appointment/$find").await;
        assert!(!all.is_empty() && !json!(all).to_string().contains("other-role"));
        practice.world.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_edits_the_own_hours() {
    for database in DATABASES {
        let practice = Practice::new(World::new(database).await).await;
        let doctor = practice.world.doctor("user/*.cruds").await;
        let nurse = practice
            .world
            .token(&["nurse"], Some("Practitioner/dr"), "user/*.cruds", None)
            .await;
        let patch = |role: &str, text: &str| {
            Ask::new(&format!("PATCH PractitionerRole/{role}")).body(JSON_PATCH, text)
        };
        let closed = r#"[{"op":"add","path":"/notAvailable","value":[{"description":"Urlaub","during":{"start":"2020-01-01","end":"2199-01-01"}}]}]"#;
        let open = r#"[{"op":"remove","path":"/notAvailable"}]"#;
        let given =
            r#"[{"op":"replace","path":"/practitioner/reference","value":"Practitioner/other"}]"#;
        let taken =
            r#"[{"op":"replace","path":"/practitioner/reference","value":"Practitioner/dr"}]"#;
        let schedule = json!({"resourceType": "Schedule", "id": "dr-hours", "actor": [reference("Practitioner/dr"), reference("Practitioner/other")]});
        for (whose, token, ask) in [
            ("a nurse's", &nurse, patch("dr-role", closed)),
            ("another's", &doctor, patch("other-role", closed)),
            ("given away", &doctor, patch("dr-role", given)),
            ("taken over", &doctor, patch("other-role", taken)),
            (
                "a Schedule",
                &doctor,
                Ask::new("PUT Schedule/dr-hours").fhir(&schedule.to_string()),
            ),
            ("a new Schedule", &doctor, post(&schedule)),
        ] {
            let told = practice.ask(token, &ask).await;
            assert_eq!(told.status, 403, "{whose}: {}", told.text());
        }
        let told = practice.ask(&doctor, &patch("dr-role", closed)).await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert_eq!(practice.times("dr-hours", "").await, Vec::<Value>::new());
        let told = practice.ask(&doctor, &patch("dr-role", open)).await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert!(!practice.times("dr-hours", "").await.is_empty());
        practice.world.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_series_of_others_are_no_way_in() {
    for database in DATABASES {
        let practice = Practice::new(World::new(database).await).await;
        let key = ("Idempotency-Key", "k-1");
        let times = practice.times("dr-hours", "pb").await;
        let book = operation(
            "POST Appointment/$book",
            &[("appointment-reference", proposal(&times[0]))],
        )
        .header(key);
        let first = practice.ask(&practice.b, &book).await;
        assert_eq!(first.status, 201, "{}", first.text());
        // The same key and the same request, and another one.
        let told = practice.ask(&practice.a, &book).await;
        assert!([403, 404].contains(&told.status), "{}", told.text());
        assert!(!told.text().contains("pb"), "{}", told.text());
        let mine = practice.times("dr-hours", "pa").await.remove(3);
        let own = operation(
            "POST Appointment/$book",
            &[("appointment-reference", proposal(&mine))],
        )
        .header(key);
        let told = practice.ask(&practice.a, &own).await;
        assert_eq!(told.status, 201, "{}", told.text());
        // Tokens of roles have no user; the patient tells them apart.
        use rotunda::auth::grant::Subject;
        let of_roles = |id: &'static str| {
            let world = &practice.world;
            let grant = world.grant(Subject::Roles(vec!["patient".to_owned()]), "", Some(id));
            async move { world.token_from(&grant).await }
        };
        let (a, b) = (of_roles("pa").await, of_roles("pb").await);
        let times = practice.times("dr-hours", "").await;
        let key = ("Idempotency-Key", "k-2");
        let of_b = post(&at(&times[5], "booked", &["Patient/pb", "Practitioner/dr"])).header(key);
        let of_a = post(&at(&times[6], "booked", &["Patient/pa", "Practitioner/dr"])).header(key);
        for (token, ask, expected) in [(&b, &of_b, 201), (&a, &of_b, 403), (&a, &of_a, 201)] {
            let told = practice.ask(token, ask).await;
            assert_eq!(told.status, expected, "{}", told.text());
        }
        // A says that the own Appointment is one of B's series.
        let times = practice.times("dr-hours", "").await;
        let series = operation(
            "POST Appointment/$book",
            &[
                ("appointment-reference", proposal(&times[10])),
                ("patient-reference", reference("Patient/pb")),
                ("recurrence", json!("FREQ=WEEKLY;COUNT=3")),
            ],
        );
        let series = practice.ask(&practice.b, &series).await;
        assert_eq!(series.status, 201, "{}", series.text());
        let identifier = appointment(&series)["identifier"].clone();
        let head = identifier[0]["value"].as_str().unwrap().to_owned();
        let mut into = at(&times[12], "booked", &["Patient/pa", "Practitioner/dr"]);
        into["identifier"] = identifier;
        let into = practice.ask(&practice.a, &post(&into)).await;
        assert_eq!(into.status, 201, "{}", into.text());
        let id = into.json()["id"].as_str().unwrap().to_owned();
        let all = operation(
            &format!("POST Appointment/{id}/$cancel"),
            &[("scope", json!("all"))],
        );
        let told = practice.ask(&practice.a, &all).await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert!(!told.text().contains("Patient/pb"), "{}", told.text());
        let kept = practice
            .world
            .line(&practice.b, &format!("GET Appointment/{head}"))
            .await;
        assert_eq!(kept.json()["status"], "booked");
        practice.world.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_patient_is_offered_to_nobody_else() {
    for database in DATABASES {
        let practice = Practice::new(World::new(database).await).await;
        let rules = json!([{"url": RULES, "extension": [{"url": "duration", "valueDuration": minutes(30)},
            {"url": "availableTime", "extension": [{"url": "allDay", "valueBoolean": true}]}]}]);
        let of_b = json!({"resourceType": "Schedule", "id": "pb-hours", "comment": CANARY,
            "actor": [{"reference": "Patient/pb", "display": CANARY}], "extension": rules});
        let put = Ask::new("PUT Schedule/pb-hours").fhir(&of_b.to_string());
        let put = practice.ask(&practice.world.root, &put).await;
        assert_eq!(put.status, 201, "{}", put.text());
        let time = practice.times("pb-hours", "").await.remove(0);
        for line in [
            "GET Appointment/$find?schedule=pb-hours",
            "GET Appointment/$find?_count=1000",
            "GET $bulk-publish",
            "GET $bulk-publish?type=Schedule&part=0",
            "GET $bulk-publish?type=Slot&part=0",
            "GET Slot?_count=1000",
            "GET Slot?schedule=pb-hours",
            "GET Slot?schedule=pb-hours&_include=Slot:schedule",
            "GET Slot?_sort=-start&_count=1000",
        ] {
            let told = practice.world.line(&practice.a, line).await;
            assert_eq!(told.status, 200, "{line}: {}", told.text());
            let told = told.text();
            let is_told = told.contains(CANARY) || told.contains("Patient/pb");
            assert!(
                !is_told && !told.contains("Schedule/pb-hours"),
                "{line}: {told}"
            );
        }
        let slot = time["slot"][0]["reference"].as_str().unwrap();
        for who in [&practice.a, &practice.b] {
            let told = practice.world.line(who, &format!("GET {slot}")).await;
            let expected = if who == &practice.a { 404 } else { 200 };
            assert_eq!(told.status, expected, "{}", told.text());
        }
        let published = practice
            .world
            .line(&practice.a, "GET $bulk-publish?type=Slot&part=0")
            .await;
        assert!(published.text().contains("Schedule/dr-hours"));
        // The patient sees the own.
        let own = practice
            .found(&practice.b, "GET Appointment/$find?schedule=pb-hours")
            .await;
        assert!(!own.is_empty());
        // Who names a Slot of it takes no time of B.
        let mut mine = at(&time, "booked", &["Patient/pa"]);
        mine["slot"] = time["slot"].clone();
        practice.ask(&practice.a, &post(&mine)).await;
        assert_eq!(
            practice.times("pb-hours", "").await[0]["start"],
            time["start"]
        );
        practice.world.server.stop().await;
    }
}
