//! EHR launches, and breaking the glass.

use rotunda::auth::code::Choice;
use serde_json::json;

use crate::world::{Database, World, with};

const JSON: (&str, &str) = ("Content-Type", "application/json");

impl World {
    /// A launch that a user begins: its handle.
    async fn launched(&self, login: &str, body: serde_json::Value) -> String {
        let token = self.tokens("user/*.rs", login).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        let answer = self.with_token(&token, "/auth/launch", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let json = answer.json();
        let url = json["launch_url"].as_str().unwrap();
        assert!(url.starts_with("https://app.example/launch?iss="), "{url}");
        json["launch"].as_str().unwrap().to_owned()
    }

    async fn with_token(
        &self,
        token: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> crate::client::Answer {
        let bearer = format!("Bearer {token}");
        let headers = [JSON, ("Authorization", bearer.as_str())];
        self.send("POST", path, &headers, &body.to_string()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_an_ehr_opens_gets_its_context() {
    let world = World::new(Database::Sqlite).await;
    let handle = world
        .launched(
            "dora",
            json!({
                "client_id": "app", "patient": "a", "encounter": "e", "intent": "order",
                "need_patient_banner": false, "tenant": "north",
                "fhirContext": [{ "reference": "ImagingStudy/1" }],
            }),
        )
        .await;
    let mut asking = world.asking("app", "launch openid fhirUser patient/*.rs");
    asking.push(("launch", &handle));
    let code = world.code_for(&asking, "dora", None).await;
    let tokens = world
        .form("/auth/token", &world.bringing("app", &code))
        .await
        .json();
    for (name, value) in [
        ("patient", json!("a")),
        ("encounter", json!("e")),
        ("intent", json!("order")),
        ("need_patient_banner", json!(false)),
        ("tenant", json!("north")),
        ("fhirContext", json!([{ "reference": "ImagingStudy/1" }])),
        (
            "smart_style_url",
            json!(format!("{}/auth/smart-style.json", world.issuer)),
        ),
    ] {
        assert_eq!(tokens[name], value, "{name} in {tokens}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_is_for_its_client_its_user_and_five_minutes_and_counts_once() {
    let world = World::new(Database::Sqlite).await;
    let begin = || world.launched("dora", json!({ "client_id": "app", "patient": "a" }));
    let refused = |client: &'static str, handle: String| {
        let world = &world;
        async move {
            let mut asking = world.asking(client, "launch patient/*.rs");
            asking.push(("launch", &handle));
            let answer = world.authorize(&asking).await;
            let location = answer.header("location").unwrap_or_default().to_owned();
            location.contains("error=invalid_request")
        }
    };
    assert!(refused("app", "nonsense".to_owned()).await, "unknown");
    assert!(refused("other", begin().await).await, "M-03 other client");
    let late = begin().await;
    world.clock.advance(300_000);
    assert!(refused("app", late).await, "M-03 late");

    let handle = begin().await;
    let mut asking = world.asking("app", "launch patient/*.rs");
    asking.push(("launch", &handle));
    let (first, second) = (world.ask(&asking).await, world.ask(&asking).await);
    let approve = |name: String, login: &'static str| {
        let world = &world;
        async move {
            let (session, _) = world.log_in(login).await;
            let request = world.auth.request(&name).await.unwrap().unwrap();
            let choice = Choice {
                scopes: request.value.asked(),
                ..Choice::default()
            };
            world.auth.approve(&request, &session, choice).await
        }
    };
    let other = approve(first.clone(), "ann").await;
    assert!(
        other.unwrap_err().to_string().contains("somebody else"),
        "M-03 other user"
    );
    assert!(approve(first, "dora").await.is_ok());
    let again = approve(second, "dora").await;
    assert!(
        again.unwrap_err().to_string().contains("used before"),
        "M-03 replay"
    );
    assert!(refused("app", handle).await, "M-03 replay");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opens_an_app_may_do_so_with_what_is_theirs() {
    let world = World::new(Database::Sqlite).await;
    let user = world.tokens("user/*.rs", "ann").await["access_token"].clone();
    let patient = world.tokens("patient/*.rs", "ann").await["access_token"].clone();
    let (user, patient) = (user.as_str().unwrap(), patient.as_str().unwrap());
    for (attack, token, body, status) in [
        (
            "control",
            user,
            json!({ "client_id": "app", "patient": "a" }),
            201,
        ),
        (
            "another's patient",
            user,
            json!({ "client_id": "app", "patient": "b" }),
            422,
        ),
        (
            "no such patient",
            user,
            json!({ "client_id": "app", "patient": "x" }),
            422,
        ),
        (
            "no such app",
            user,
            json!({ "client_id": "nobody", "patient": "a" }),
            422,
        ),
        (
            "a backend",
            user,
            json!({ "client_id": "backend", "patient": "a" }),
            422,
        ),
        (
            "encounter alone",
            user,
            json!({ "client_id": "app", "encounter": "e" }),
            422,
        ),
        (
            "unknown member",
            user,
            json!({ "client_id": "app", "admin": true }),
            400,
        ),
        (
            "for somebody else",
            user,
            json!({ "client_id": "app", "user": "dora" }),
            422,
        ),
        (
            "a token of a patient app",
            patient,
            json!({ "client_id": "app", "patient": "a" }),
            403,
        ),
        ("no token", "at_x", json!({ "client_id": "app" }), 401),
    ] {
        let answer = world.with_token(token, "/auth/launch", &body).await;
        assert_eq!(answer.status, status, "{attack}: {}", answer.text());
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_gives_no_more_than_was_asked_for_and_no_foreign_patient() {
    let world = World::new(Database::Sqlite).await;
    for (attack, login, asked, ticked, patient, granted) in [
        (
            "control",
            "ann",
            "patient/*.rs",
            "patient/*.rs",
            Some("a"),
            Some("patient/*.rs"),
        ),
        (
            "M-04 fewer",
            "ann",
            "patient/*.rs openid",
            "patient/Observation.r",
            Some("a"),
            Some("patient/Observation.r"),
        ),
        (
            "M-04 more than was asked for",
            "ann",
            "patient/Observation.rs",
            "patient/*.cruds",
            Some("a"),
            Some("patient/Observation.rs"),
        ),
        (
            "M-04 another scope",
            "ann",
            "patient/*.rs",
            "user/*.rs",
            Some("a"),
            None,
        ),
        ("M-04 nothing", "ann", "patient/*.rs", "", Some("a"), None),
        (
            "M-04 another's patient",
            "ann",
            "patient/*.rs",
            "patient/*.rs",
            Some("b"),
            None,
        ),
        (
            "M-04 no such patient",
            "dora",
            "patient/*.rs",
            "patient/*.rs",
            Some("x"),
            None,
        ),
        (
            "M-04 a patient outside of one's care",
            "dora",
            "patient/*.rs",
            "patient/*.rs",
            Some("b"),
            None,
        ),
        (
            "M-04 no patient",
            "ann",
            "patient/*.rs",
            "patient/*.rs",
            None,
            None,
        ),
        (
            "a nurse's patient",
            "dora",
            "patient/*.rs",
            "patient/*.rs",
            Some("a"),
            Some("patient/*.rs"),
        ),
        (
            "no patient is needed",
            "dora",
            "user/*.rs",
            "user/*.rs",
            None,
            Some("user/*.rs"),
        ),
        (
            "an administrator has nothing clinical",
            "root",
            "user/*.rs",
            "user/*.rs",
            None,
            None,
        ),
    ] {
        let name = world.ask(&world.asking("app", asked)).await;
        let (session, _) = world.log_in(login).await;
        let request = world.auth.request(&name).await.unwrap().unwrap();
        let choice = Choice {
            scopes: rotunda::auth::scope::Scopes::parse(ticked),
            patient: patient.map(str::to_owned),
            encounter: None,
        };
        let url = world.auth.approve(&request, &session, choice).await;
        match granted {
            None => assert!(url.is_err(), "{attack}"),
            Some(granted) => {
                let url = url.unwrap_or_else(|error| panic!("{attack}: {error}"));
                let code = crate::world::query_of(&url, "code").unwrap();
                let answer = world
                    .form("/auth/token", &world.bringing("app", &code))
                    .await;
                assert_eq!(answer.json()["scope"], granted, "{attack}");
            }
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_to_the_app() {
    let world = World::new(Database::Sqlite).await;
    let asking = with(&world.asking("app", "patient/*.rs"), "state", Some("a&b=c"));
    let name = world.ask(&asking).await;
    let request = world.auth.request(&name).await.unwrap().unwrap();
    let url = world.auth.deny(&request).await.unwrap();
    let of = |name| crate::world::query_of(&url, name);
    assert_eq!(of("error").as_deref(), Some("access_denied"));
    assert_eq!(of("state").as_deref(), Some("a&b=c"));
    assert!(world.auth.request(&name).await.unwrap().is_none());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_glass_is_broken_with_a_reason_by_who_may() {
    let world = World::new(Database::Sqlite).await;
    let nurse = world.tokens("user/*.rs", "dora").await["access_token"].clone();
    let app = world.tokens("patient/*.rs", "dora").await["access_token"].clone();
    let patient = world.tokens("user/*.rs", "ann").await["access_token"].clone();
    let text = nurse.as_str().unwrap();
    let before = world.fhir("GET", "Patient/b", text, "").await;
    assert_eq!(before.status, 404, "outside of one's care");
    let body = |patient: &str, reason: &str| json!({ "patient": patient, "code": "ETREAT", "reason": reason });
    for (attack, token, body, status) in [
        ("CL-17 patient", &patient, body("b", "curious"), 403),
        ("CL-17 patient app", &app, body("b", "unconscious"), 403),
        ("CL-17 no reason", &nurse, body("b", ""), 400),
        ("CL-17 blank reason", &nurse, body("b", "  "), 400),
        ("no such patient", &nurse, body("x", "unconscious"), 404),
        (
            "with a reason",
            &nurse,
            body("b", "unconscious, allergies unknown"),
            200,
        ),
    ] {
        let answer = world
            .with_token(token.as_str().unwrap(), "/auth/break-glass", &body)
            .await;
        assert_eq!(answer.status, status, "{attack}: {}", answer.text());
        if status == 200 {
            let tokens = answer.json();
            let token = tokens["access_token"].as_str().unwrap().to_owned();
            assert_eq!(tokens["patient"], "b");
            let admitted = world.auth.admit(&token, None).await.unwrap();
            assert_eq!(admitted.identity.purpose.as_deref(), Some("BTG"));
            assert!(!admitted.break_glass);
            assert_eq!(world.fhir("GET", "Patient/b", &token, "").await.status, 200);
            world.clock.advance(3_600_000);
            assert_eq!(world.fhir("GET", "Patient/b", &token, "").await.status, 401);
        }
    }
    world.stop().await;
}
