//! Scopes and roles: a token gives what both give, and never more than is written.

use rotunda::auth::{
    grant::Subject,
    records::Changes,
    role::BUILT_IN,
    secret,
    user::{self, Proxy, User},
};

use crate::{
    server::DATABASES,
    world::{Ask, FHIR, JSON_PATCH, World},
};

const VITAL: &str = r#"{"resourceType":"Observation","status":"final","category":[{"coding":[{"code":"vital-signs"}]}],"code":{"text":"c"},"subject":{"reference":"Patient/pa"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_scope_gives_nothing() {
    let world = World::new(DATABASES[0]).await;
    for scope in [
        "",
        " ",
        "*",
        "*.*",
        "patient/",
        "patient/*",
        "patient/*.",
        "patient/*.dus",
        "patient/*.srud",
        "patient/*.rr",
        "patient/*.crudsx",
        "patient/*.RS",
        "patient/*.rs?",
        "patient/*.rs?category",
        "patient/*.rs?category=",
        "patient/*.rs?category=a&",
        "patient/Observation.rs?nonsense=a",
        "patient/Observation.rs?_id:not=x",
        "patient/Observation.rs?patient.name=a",
        "patient/Observation.rs%3Fcategory=x",
        "patient/Nonsense.rs",
        "patient/observation.rs",
        "PATIENT/*.rs",
        "patient/*.read.write",
        "patients/*.rs",
        "patient//*.rs",
        "patient/*.rs\0",
        "patient/*.rs,user/*.rs",
        "system/*.rs",
        "openid profile launch launch/patient offline_access",
        "rotunda/admin",
    ] {
        let token = world.patient(scope).await;
        for line in [
            "GET Observation/pa-vital",
            "GET Observation",
            "GET Condition",
            "DELETE Observation/pa-vital",
        ] {
            let answer = world.line(&token, line).await;
            assert!(
                [403, 404].contains(&answer.status),
                "SC-01 '{scope}' {line}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_no_more_than_is_registered_for_it() {
    let world = World::new(DATABASES[0]).await;
    for (scopes, label) in [
        ("system/*.*", "SC-02"),
        ("system/*.cruds", "SC-02"),
        ("system/*.write", "SC-02"),
        ("system/*.cud", "SC-02"),
        ("patient/*.cruds", "SC-03"),
        ("user/*.cruds", "SC-03"),
        ("rotunda/admin", "SC-02"),
    ] {
        let token = world.program_asking(scopes, "system/*.rs").await;
        for ask in writes() {
            let answer = world.ask(&token, &ask).await;
            assert_eq!(
                refusal(&ask, &answer),
                403,
                "{label} {scopes}: {ask:?} {}",
                answer.text()
            );
        }
        let admin = world.line(&token, "GET /admin/users").await;
        assert_eq!(admin.status, 403, "{label} {scopes}");
        if label == "SC-03" || scopes == "rotunda/admin" {
            let read = world.line(&token, "GET Patient/pa").await;
            assert_eq!(read.status, 403, "{label} {scopes}");
        }
    }
    let key = world
        .api_key("patient/*.cruds user/*.cruds rotunda/admin")
        .await;
    for line in ["GET Patient/pa", "GET Patient", "GET /admin/users"] {
        assert_eq!(world.line(&key, line).await.status, 403, "SC-03 {line}");
    }
}

/// Every way to change something.
fn writes() -> Vec<Ask> {
    let named = VITAL.replacen('{', r#"{"id":"pa-vital","#, 1);
    let bundle = |kind: &str, entry: &str| {
        let text = format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}"#);
        Ask::new("POST /fhir").body(FHIR, &text)
    };
    let post =
        format!(r#"{{"resource":{VITAL},"request":{{"method":"POST","url":"Observation"}}}}"#);
    let delete = r#"{"request":{"method":"DELETE","url":"Observation/pa-vital"}}"#;
    let parameters = r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}"#;
    vec![
        Ask::new("POST Observation").fhir(VITAL),
        Ask::new("POST Observation")
            .fhir(VITAL)
            .header(("If-None-Exist", "_id=never")),
        Ask::new("PUT Observation/pa-vital").fhir(&named),
        Ask::new("PUT Observation/new").fhir(&named.replace("pa-vital", "new")),
        Ask::new("PUT Observation?_id=pa-vital").fhir(&named),
        Ask::new("PATCH Observation/pa-vital").body(
            JSON_PATCH,
            r#"[{"op":"add","path":"/status","value":"amended"}]"#,
        ),
        Ask::new("PATCH Observation?_id=pa-vital").body(
            JSON_PATCH,
            r#"[{"op":"add","path":"/status","value":"amended"}]"#,
        ),
        Ask::new("DELETE Observation/pa-vital"),
        Ask::new("DELETE Observation?_id=pa-vital"),
        Ask::new("POST Observation/pa-vital/$meta-add").fhir(parameters),
        Ask::new("POST Observation/pa-vital/$meta-delete").fhir(parameters),
        bundle("transaction", &post),
        bundle("batch", &post),
        bundle("transaction", delete),
        bundle("batch", delete),
    ]
}

/// The status, of a batch that of its entry.
fn refusal(ask: &Ask, answer: &crate::client::Answer) -> u16 {
    if !ask.body.contains("\"batch\"") {
        return answer.status;
    }
    let status = answer.json()["entry"][0]["response"]["status"].clone();
    status.as_str().unwrap()[..3].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_cannot_write() {
    for database in DATABASES {
        let world = World::new(database).await;
        let tokens = [
            world.patient("patient/*.rs").await,
            world.patient("patient/*.read").await,
            world.doctor("user/*.rs").await,
            world.program("system/*.rs").await,
            world.api_key("system/*.rs").await,
            // The scope says more than the role.
            world.patient("patient/*.cruds user/*.cruds").await,
        ];
        let before = world.history("Observation/pa-vital").await;
        for token in &tokens {
            for ask in writes() {
                let answer = world.ask(token, &ask).await;
                assert_eq!(
                    refusal(&ask, &answer),
                    403,
                    "SC-06 {ask:?}: {}",
                    answer.text()
                );
            }
        }
        assert_eq!(before, world.history("Observation/pa-vital").await, "SC-06");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_is_not_searching_and_searching_is_not_reading() {
    let world = World::new(DATABASES[0]).await;
    let reads = [
        "GET Observation/pa-lab",
        "GET Observation/pa-lab/_history/1",
        "HEAD Observation/pa-lab",
    ];
    let searches = [
        "GET Observation",
        "GET Observation?_id=pa-lab",
        "POST Observation/_search",
        "GET Patient/pa/Observation",
        "GET ?_type=Observation",
        "GET Observation?_summary=count",
    ];
    for scope in ["patient/Observation.r", "patient/Observation.s"] {
        let token = world.patient(scope).await;
        let may_read = scope.ends_with('r');
        for (lines, may) in [(&reads[..], may_read), (&searches[..], !may_read)] {
            for line in lines {
                let mut ask = Ask::new(line);
                if line.starts_with("POST") {
                    ask = ask.body(crate::world::FORM, "_count=1");
                }
                let answer = world.ask(&token, &ask).await;
                let expected = if may { 200 } else { 403 };
                assert_eq!(
                    answer.status,
                    expected,
                    "SC-05 {scope} {line}: {}",
                    answer.text()
                );
            }
        }
    }
}

/// A letter for what may be done.
const PROBES: &[(char, &str)] = &[
    ('P', "GET Patient/pa"),
    ('L', "GET Observation/pa-lab"),
    ('V', "GET Observation/pa-vital"),
    ('D', "GET DiagnosticReport/pa-rep"),
    ('M', "GET MedicationRequest/pa-rx"),
    ('C', "GET Coverage/pa-cover"),
    ('E', "GET Encounter/pa-enc"),
    ('K', "GET Condition/pa-cond"),
    ('N', "GET Consent/pa-cons"),
    ('A', "GET AuditEvent?_count=1"),
    ('b', "GET Patient/pb"),
    ('v', "POST Observation vital-signs"),
    ('l', "POST Observation laboratory"),
    ('k', "DELETE Condition/pa-cond"),
    ('s', "POST SearchParameter"),
    ('u', "GET /admin/users"),
];

/// What each role may, of the probes.
const MATRIX: &[(&str, &str)] = &[
    ("patient", "PLVDMCEKNA"),
    ("proxy", "PLVDMCEKNA"),
    ("doctor", "PLVDMCEKNAvlk"),
    ("nurse", "PLVDMCEKNAvl"),
    ("receptionist", "PCb"),
    ("laboratory", "PLDl"),
    ("radiology", "P"),
    ("pharmacist", "PLMb"),
    ("billing", "PCEb"),
    ("privacy-officer", "PNAb"),
    ("researcher", ""),
    ("interface-engine", "PLVDMCEKNAbvls"),
    ("device", "vl"),
    ("administrator", "u"),
];

fn probe(line: &str) -> Ask {
    match line {
        "DELETE Condition/pa-cond" => Ask::new(line).header(("If-Match", "W/\"99\"")),
        "POST SearchParameter" => Ask::new(line).fhir(
            r#"{"resourceType":"SearchParameter","url":"urn:x","name":"x","status":"active","description":"x","code":"x","base":["Observation"],"type":"token","expression":"Observation.code"}"#,
        ),
        line if line.starts_with("POST Observation") => {
            let category = line.rsplit(' ').next().unwrap();
            Ask::new("POST Observation").fhir(&VITAL.replace("vital-signs", category))
        }
        line => Ask::new(line),
    }
}

async fn token_of(world: &World, role: &str) -> String {
    const ALL: &str = "patient/*.cruds user/*.cruds rotunda/admin";
    let context = Some("pa");
    match role {
        "patient" => world.token(&[role], Some("Patient/pa"), ALL, context).await,
        "proxy" => {
            let user = User {
                login: secret::fresh_id().unwrap(),
                roles: vec![role.to_owned()],
                proxies: vec![Proxy {
                    patient: "pa".to_owned(),
                    until: None,
                }],
                ..User::default()
            };
            let id = user::create(world.records(), &user).await.unwrap();
            world
                .token_from(&world.grant(Subject::User(id), ALL, context))
                .await
        }
        "researcher" | "interface-engine" | "device" => world.token_of_roles(&[role]).await,
        _ => {
            world
                .token(
                    &[role],
                    Some("Practitioner/dr"),
                    "user/*.cruds rotunda/admin",
                    None,
                )
                .await
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_what_its_row_says() {
    let rows: Vec<&str> = MATRIX.iter().map(|(role, _)| *role).collect();
    let known: Vec<&str> = BUILT_IN.iter().map(|(role, ..)| *role).collect();
    assert_eq!(rows, known);
    for database in DATABASES {
        let world = World::new(database).await;
        for (role, expected) in MATRIX {
            let token = token_of(&world, role).await;
            let mut may = String::new();
            for (letter, line) in PROBES {
                let answer = world.ask(&token, &probe(line)).await;
                match answer.status {
                    200..=299 | 412 => may.push(*letter),
                    403 | 404 => {}
                    other => panic!("{role} {line}: {other} {}", answer.text()),
                }
            }
            assert_eq!(may, *expected, "SC-07 {role} on {database:?}");
        }
    }
}

/// What is taken from somebody is taken from their tokens, at once.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_something_loses_it_at_once() {
    for database in DATABASES {
        let world = World::new(database).await;
        let records = world.records();
        for what in ["role", "disabled", "gone", "grant", "proxy"] {
            let user = User {
                login: secret::fresh_id().unwrap(),
                roles: vec!["proxy".to_owned()],
                proxies: vec![Proxy {
                    patient: "pa".to_owned(),
                    until: None,
                }],
                ..User::default()
            };
            let id = user::create(records, &user).await.unwrap();
            let grant = world.grant(Subject::User(id.clone()), "patient/*.rs", Some("pa"));
            let token = world.token_from(&grant).await;
            assert_eq!(world.line(&token, "GET Patient/pa").await.status, 200);
            match what {
                "gone" => {
                    let found = records.get::<User>(&id).await.unwrap();
                    records.commit(user::removal(&found)).await.unwrap();
                }
                "grant" => {
                    rotunda::auth::grant::remove_all(records, &id, |_| true)
                        .await
                        .unwrap();
                }
                other => {
                    let mut found = records.get::<User>(&id).await.unwrap();
                    match other {
                        "role" => found.value.roles.clear(),
                        "disabled" => found.value.disabled = true,
                        _ => found.value.proxies.clear(),
                    }
                    let changes = Changes::new().replace(&found).unwrap();
                    records.commit(changes).await.unwrap();
                }
            }
            let answer = world.line(&token, "GET Patient/pa").await;
            assert!(
                [401, 403, 404].contains(&answer.status),
                "M-05 {what}: {}",
                answer.status
            );
        }
    }
}
