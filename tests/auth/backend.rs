//! Backend services: what they sign, and what they may ask for.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rotunda::clock::Clock as _;
use serde_json::{Value, json};

use crate::{
    assertion::{TYPE, With},
    world::{DATABASES, Database, World, with},
};

impl World {
    /// The parameters of a backend service that brings this assertion.
    fn as_backend<'a>(&self, assertion: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("grant_type", "client_credentials"),
            ("scope", "system/*.rs"),
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion),
        ]
    }

    /// An assertion in which header and claims are otherwise.
    fn signed(&self, with: With, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let alg = match with {
            With::Es384 => "ES384",
            _ => "RS384",
        };
        let kid = if with == With::Es384 { "e" } else { "r" };
        let mut header = json!({ "alg": alg, "kid": kid, "typ": "JWT" });
        let mut claims = self.claims("backend");
        change(&mut header, &mut claims);
        self.keys.sign(with, &header, &claims)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_signs_is_believed_if_all_of_it_is_right() {
    use With::{Es384, Foreign, Hmac, Nothing, Rs256, Rs384};
    let world = World::new(Database::Sqlite).await;
    let now = world.clock.now() / 1_000;
    type Change = Box<dyn FnOnce(&mut Value, &mut Value)>;
    let claim = |name: &'static str, value: Value| -> Change {
        Box::new(move |_, claims| claims[name] = value)
    };
    let head = |name: &'static str, value: Value| -> Change {
        Box::new(move |header, _| header[name] = value)
    };
    let without = |name: &'static str| -> Change {
        Box::new(move |header, claims| {
            for part in [header, claims] {
                part.as_object_mut().unwrap().remove(name);
            }
        })
    };
    let token_url = format!("{}/auth/token", world.issuer);
    let rows: Vec<(&str, With, Change, bool)> = vec![
        ("JW-01 RS384", Rs384, claim("x", json!(1)), true),
        ("JW-01 ES384", Es384, claim("x", json!(1)), true),
        (
            "several audiences",
            Rs384,
            claim("aud", json!(["x", token_url])),
            true,
        ),
        ("no typ", Rs384, without("typ"), true),
        (
            "a certificate thumbprint",
            Rs384,
            head("x5t", json!("x")),
            true,
        ),
        ("JW-02 none", Nothing, head("alg", json!("none")), false),
        ("JW-02 None", Nothing, head("alg", json!("None")), false),
        ("JW-02 nOnE", Nothing, head("alg", json!("nOnE")), false),
        ("JW-02 stripped", Nothing, claim("x", json!(1)), false),
        ("JW-03 HS256", Hmac, head("alg", json!("HS256")), false),
        ("JW-03 HS384", Hmac, head("alg", json!("HS384")), false),
        ("JW-03 HS512", Hmac, head("alg", json!("HS512")), false),
        ("RS256", Rs256, head("alg", json!("RS256")), false),
        (
            "another algorithm than it says",
            Rs256,
            claim("x", json!(1)),
            false,
        ),
        ("JW-04 same kid", Foreign, claim("x", json!(1)), false),
        (
            "JW-04 embedded",
            Foreign,
            head("jwk", world.keys.set()["keys"][3].clone()),
            false,
        ),
        ("JW-04 no kid", Rs384, without("kid"), false),
        (
            "JW-04 path",
            Rs384,
            head("kid", json!("../../dev/null")),
            false,
        ),
        ("JW-04 list", Rs384, head("kid", json!(["r"])), false),
        ("JW-04 crit", Rs384, head("crit", json!(["exp"])), false),
        (
            "JW-04 b64",
            Rs384,
            Box::new(|header: &mut Value, _: &mut Value| {
                header["b64"] = json!(false);
                header["crit"] = json!(["b64"]);
            }),
            false,
        ),
        (
            "two keys of one name and type",
            Rs384,
            head("kid", json!("twice")),
            false,
        ),
        (
            "two keys of one name, one of the type",
            Rs384,
            head("kid", json!("both")),
            true,
        ),
        (
            "a key of another type",
            Rs384,
            head("kid", json!("e")),
            false,
        ),
        (
            "JW-05 jku",
            Rs384,
            head("jku", json!("http://169.254.169.254/jwks")),
            false,
        ),
        (
            "JW-05 jku of a file",
            Rs384,
            head("jku", json!("file:///etc/passwd")),
            false,
        ),
        (
            "JW-05 x5u",
            Rs384,
            head("x5u", json!("http://127.0.0.1/x")),
            false,
        ),
        ("JW-06 iss", Rs384, claim("iss", json!("backend2")), false),
        ("JW-06 sub", Rs384, claim("sub", json!("backend2")), false),
        ("JW-06 no iss", Rs384, without("iss"), false),
        (
            "JW-06 unknown",
            Rs384,
            Box::new(|_: &mut Value, claims: &mut Value| {
                claims["iss"] = json!("nobody");
                claims["sub"] = json!("nobody");
            }),
            false,
        ),
        (
            "JW-06 aud",
            Rs384,
            claim("aud", json!("https://evil.example/token")),
            false,
        ),
        (
            "JW-06 aud of the issuer only",
            Rs384,
            claim("aud", json!(world.issuer)),
            false,
        ),
        ("JW-06 no aud", Rs384, without("aud"), false),
        ("JW-06 expired", Rs384, claim("exp", json!(now - 1)), false),
        (
            "JW-06 a day",
            Rs384,
            claim("exp", json!(now + 86_400)),
            false,
        ),
        (
            "JW-06 six minutes",
            Rs384,
            claim("exp", json!(now + 360)),
            false,
        ),
        ("JW-06 no exp", Rs384, without("exp"), false),
        (
            "JW-06 exp in quotes",
            Rs384,
            claim("exp", json!((now + 200).to_string())),
            false,
        ),
        (
            "JW-06 nbf in quotes",
            Rs384,
            claim("nbf", json!(now.to_string())),
            false,
        ),
        (
            "JW-06 nbf ahead",
            Rs384,
            claim("nbf", json!(now + 100)),
            false,
        ),
        (
            "JW-06 iat ahead",
            Rs384,
            claim("iat", json!(now + 3_600)),
            false,
        ),
        ("JW-06 no jti", Rs384, without("jti"), false),
        ("JW-06 empty jti", Rs384, claim("jti", json!("")), false),
        (
            "typ of an access token",
            Rs384,
            head("typ", json!("at+jwt")),
            false,
        ),
    ];
    for (attack, with, change, believed) in rows {
        let assertion = world.signed(with, change);
        let answer = world
            .form("/auth/token", &world.as_backend(&assertion))
            .await;
        let json = answer.json();
        match believed {
            true => assert_eq!(answer.status, 200, "{attack}: {json}"),
            false => {
                assert_eq!(answer.status, 401, "{attack}: {json}");
                assert_eq!(json["error"], "invalid_client", "{attack}");
            }
        }
    }
    let right = world.assertion("backend");
    let parts: Vec<&str> = right.split('.').collect();
    for (attack, text) in [
        ("JW-02 two segments", parts[..2].join(".")),
        ("JW-02 four segments", format!("{right}.x")),
        (
            "JW-02 empty signature",
            format!("{}.{}.", parts[0], parts[1]),
        ),
        ("not a JWT", "nonsense".to_owned()),
        ("padding", format!("{right}=")),
        ("long", "a".repeat(20_000)),
    ] {
        let answer = world.form("/auth/token", &world.as_backend(&text)).await;
        assert_eq!(answer.json()["error"], "invalid_client", "{attack}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_what_it_is_registered_for_and_no_more() {
    let world = World::new(Database::Sqlite).await;
    for (attack, client, scope, granted) in [
        ("control", "backend", "system/*.rs", Some("system/*.rs")),
        ("v1", "backend", "system/*.read", Some("system/*.read")),
        (
            "one type",
            "backend",
            "system/Patient.rs",
            Some("system/Patient.rs"),
        ),
        ("SC-01 out of order", "backend", "system/*.srud", None),
        ("SC-01 unknown type", "backend", "system/Nonsense.rs", None),
        ("SC-01 star", "backend", "*", None),
        ("SC-01 escaped", "backend", "system/Patient.rs%3F", None),
        (
            "SC-01 some of them",
            "backend",
            "nonsense system/Patient.r",
            Some("system/Patient.r"),
        ),
        ("SC-02 all", "backend", "system/*.*", Some("system/*.read")),
        (
            "SC-02 cruds",
            "backend",
            "system/*.cruds",
            Some("system/*.rs"),
        ),
        ("SC-02 write", "backend", "system/*.write", None),
        ("SC-02 cud", "backend", "system/*.cud", None),
        ("SC-03 patient", "backend", "patient/*.rs", None),
        ("SC-03 user", "backend", "user/*.rs", None),
        ("SC-03 administrator", "backend", "rotunda/admin", None),
        ("JW-08 no scope", "backend", "", None),
        (
            "writing",
            "backend2",
            "system/*.cruds",
            Some("system/*.cruds"),
        ),
    ] {
        let assertion = world.assertion(client);
        let pairs = with(&world.as_backend(&assertion), "scope", Some(scope));
        let answer = world.form("/auth/token", &pairs).await;
        let json = answer.json();
        match granted {
            Some(granted) => {
                assert_eq!(json["scope"], granted, "{attack}: {json}");
                assert_eq!(json["expires_in"], 300, "{attack}");
                assert!(json.get("refresh_token").is_none(), "{attack}");
                assert!(json.get("id_token").is_none(), "{attack}");
            }
            None => assert_eq!(json["error"], "invalid_scope", "{attack}"),
        }
    }
    for (attack, name, value) in [
        (
            "JW-08 bad type",
            "client_assertion_type",
            Some("jwt-bearer"),
        ),
        ("JW-08 no type", "client_assertion_type", None),
        ("JW-08 no assertion", "client_assertion", None),
        ("JW-08 second client_id", "client_id", Some("backend2")),
        ("two ways", "client_secret", Some("x")),
    ] {
        let assertion = world.assertion("backend");
        let pairs = with(&world.as_backend(&assertion), name, value);
        let answer = world.form("/auth/token", &pairs).await;
        assert!(matches!(answer.status, 400 | 401), "{attack}");
        assert!(answer.json()["error"].is_string(), "{attack}");
    }
    let secret = [
        ("grant_type", "client_credentials"),
        ("scope", "system/*.rs"),
        ("client_id", "secretive"),
        ("client_secret", crate::world::SECRET),
    ];
    let answer = world.form("/auth/token", &secret).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(world.fhir("GET", "Patient/b", &token, "").await.status, 200);
    let patient = r#"{"resourceType":"Patient","id":"b"}"#;
    let answer = world.fhir("PUT", "Patient/b", &token, patient).await;
    assert_eq!(answer.status, 403, "SC-06 write with a read token");
    world.clock.advance(300_000);
    assert_eq!(world.fhir("GET", "Patient/b", &token, "").await.status, 401);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_bring_the_same_assertion_one_is_believed() {
    for database in DATABASES {
        let world = World::new(database).await;
        let assertion = world.assertion("backend");
        let pairs = world.as_backend(&assertion);
        let answers = join_all((0..20).map(|_| world.form("/auth/token", &pairs))).await;
        let mut counted = BTreeMap::new();
        for answer in answers {
            *counted.entry(answer.status).or_insert(0) += 1;
        }
        assert_eq!(
            counted,
            BTreeMap::from([(200, 1), (401, 19)]),
            "JW-07 on {database:?}"
        );
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_no_bearer_token() {
    let world = World::new(Database::Sqlite).await;
    let assertion = world.assertion("backend");
    let id_token = world.tokens("openid patient/*.rs", "ann").await["id_token"].clone();
    let unsigned = world.keys.sign(
        With::Nothing,
        &json!({ "alg": "none" }),
        &world.claims("app"),
    );
    let hmac = world
        .keys
        .sign(With::Hmac, &json!({ "alg": "HS256" }), &world.claims("app"));
    for (attack, token) in [
        ("JW-09 unsigned", unsigned.as_str()),
        ("JW-09 HMAC", &hmac),
        ("JW-09 id_token", id_token.as_str().unwrap()),
        ("JW-09 assertion", &assertion),
        ("JW-09 prefix", "at_"),
        (
            "JW-09 another",
            "at_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ),
        ("JW-09 key", "hk_1_2"),
        ("JW-09 quotes", "' OR 1=1--"),
    ] {
        let answer = world.fhir("GET", "Patient/a", token, "").await;
        assert_eq!(answer.status, 401, "{attack}");
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer"),
            "{attack}"
        );
    }
    world.stop().await;
}
