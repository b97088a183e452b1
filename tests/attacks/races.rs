//! Many at once, each with a token: no write is lost, and nothing is made twice.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use crate::{
    client::Answer,
    server::DATABASES,
    world::{Ask, JSON_PATCH, World},
};

/// The status of an answer, or of the one entry of a batch that it is.
fn status(answer: &Answer) -> u16 {
    if answer.status != 200 || !answer.text().contains("\"batch-response\"") {
        return answer.status;
    }
    let json = answer.json();
    let status = json["entry"][0]["response"]["status"].as_str().unwrap();
    status[..3].parse().unwrap()
}

async fn at_once(world: &World, token: &str, asks: &[Ask]) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for answer in join_all(asks.iter().map(|ask| world.ask(token, ask))).await {
        *counted.entry(status(&answer)).or_default() += 1;
    }
    counted
}

fn observation(id: &str, value: &str) -> String {
    let id = match id {
        "" => String::new(),
        id => format!(r#""id":"{id}","#),
    };
    format!(
        r#"{{"resourceType":"Observation",{id}"status":"final","code":{{"text":"c"}},"subject":{{"reference":"Patient/pa"}},"identifier":[{{"system":"urn:race","value":"{value}"}}]}}"#
    )
}

fn bundle(kind: &str, resource: &str, request: &str) -> Ask {
    let resource = match resource {
        "" => String::new(),
        text => format!(r#""resource":{text},"#),
    };
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{{{resource}"request":{{{request}}}}}]}}"#
    );
    Ask::new("POST /fhir").fhir(&text)
}

/// Who may write Observations of patient A: by the own record, by care, without a bound.
async fn writers(world: &World) -> [(&'static str, String); 3] {
    [
        ("the patient's keeper", world.keeper().await),
        ("a doctor", world.doctor("user/*.cruds").await),
        ("an engine", world.program("system/*.cruds").await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_change_the_same_version_one_wins() {
    const TIMES: usize = 20;
    type Way = (&'static str, fn(&str, usize) -> Ask, u16);
    const WAYS: &[Way] = &[
        (
            "updates",
            |id, number| {
                Ask::new(&format!("PUT Observation/{id}"))
                    .fhir(&observation(id, &format!("v{number}")))
                    .header(("If-Match", "W/\"1\""))
            },
            200,
        ),
        (
            "patches",
            |id, number| {
                let patch = format!(
                    r#"[{{"op":"replace","path":"/identifier/0/value","value":"v{number}"}}]"#
                );
                Ask::new(&format!("PATCH Observation/{id}"))
                    .body(JSON_PATCH, &patch)
                    .header(("If-Match", "W/\"1\""))
            },
            200,
        ),
        (
            "updates in batches",
            |id, number| {
                let request =
                    format!(r#""method":"PUT","url":"Observation/{id}","ifMatch":"W/\"1\"""#);
                bundle("batch", &observation(id, &format!("v{number}")), &request)
            },
            200,
        ),
        (
            "updates in transactions",
            |id, number| {
                let request =
                    format!(r#""method":"PUT","url":"Observation/{id}","ifMatch":"W/\"1\"""#);
                let text = observation(id, &format!("v{number}"));
                bundle("transaction", &text, &request)
            },
            200,
        ),
        (
            "deletions",
            |id, _| Ask::new(&format!("DELETE Observation/{id}")).header(("If-Match", "W/\"1\"")),
            204,
        ),
    ];
    for database in DATABASES {
        let world = World::new(database).await;
        for (who, token) in writers(&world).await {
            for (way, make, won) in WAYS {
                let what = format!("WR-07 {database:?} {way} by {who}");
                let made = Ask::new("POST Observation").fhir(&observation("", "v"));
                let made = world.ask(&token, &made).await;
                assert_eq!(made.status, 201, "{what}: {}", made.text());
                let id = made.json()["id"].as_str().unwrap().to_owned();
                let asks: Vec<Ask> = (0..TIMES).map(|number| make(&id, number)).collect();
                let counted = at_once(&world, &token, &asks).await;
                let expected = BTreeMap::from([(*won, 1), (412, TIMES - 1)]);
                assert_eq!(counted, expected, "{what}");
                let history = world
                    .line(&world.root, &format!("GET Observation/{id}/_history"))
                    .await;
                assert_eq!(history.json()["total"], 2, "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_create_what_must_be_new_one_does() {
    const TIMES: usize = 30;
    type Way = (&'static str, fn(&str) -> Ask);
    const WAYS: &[Way] = &[
        ("creations", |value| {
            Ask::new("POST Observation")
                .fhir(&observation("", value))
                .header(("If-None-Exist", &format!("identifier=urn:race|{value}")))
        }),
        ("updates by a condition", |value| {
            let line = format!("PUT Observation?identifier=urn:race%7C{value}");
            Ask::new(&line).fhir(&observation("", value))
        }),
        ("creations in batches", |value| {
            let unless = format!(
                r#""method":"POST","url":"Observation","ifNoneExist":"identifier=urn:race|{value}""#
            );
            bundle("batch", &observation("", value), &unless)
        }),
        ("creations in transactions", |value| {
            let unless = format!(
                r#""method":"POST","url":"Observation","ifNoneExist":"identifier=urn:race|{value}""#
            );
            bundle("transaction", &observation("", value), &unless)
        }),
    ];
    for database in DATABASES {
        let world = World::new(database).await;
        for (number, (who, token)) in writers(&world).await.into_iter().enumerate() {
            for (at, (way, make)) in WAYS.iter().enumerate() {
                let what = format!("WR-08 {database:?} {way} by {who}");
                let value = format!("n{number}-{at}");
                let asks = vec![make(&value); TIMES];
                let counted = at_once(&world, &token, &asks).await;
                let is_done = counted.keys().all(|one| [200, 201].contains(one));
                assert!(is_done, "{what}: {counted:?}");
                let found = world
                    .line(
                        &world.root,
                        &format!("GET Observation?identifier=urn:race%7C{value}"),
                    )
                    .await
                    .json();
                let found = found["entry"].as_array().unwrap();
                assert_eq!(found.len(), 1, "{what}: {counted:?}");
            }
        }
        // A condition on Patient is for those who see all patients; for the others it makes none.
        let text = r#"{"resourceType":"Patient","identifier":[{"system":"urn:race","value":"p"}]}"#;
        let ask = Ask::new("POST Patient")
            .fhir(text)
            .header(("If-None-Exist", "identifier=urn:race|p"));
        let asks = vec![ask; TIMES];
        for (who, token) in writers(&world).await {
            let counted = at_once(&world, &token, &asks).await;
            let expected = match who {
                "an engine" => BTreeMap::from([(200, TIMES - 1), (201, 1)]),
                _ => BTreeMap::from([(403, TIMES)]),
            };
            assert_eq!(counted, expected, "WR-08 {database:?} Patients by {who}");
        }
    }
}
