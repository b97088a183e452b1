//! Recorded answers pass, and each that says something wrong fails.

use serde_json::{Value, json};

use super::{
    jose::Jwt,
    limits,
    report::{Report, Seen, Wrong},
    rules, services,
    web::Answer,
};

/// What makes an answer wrong: a path of elements, and what stands there; null is nothing.
type Change = (&'static str, Value);

fn changed(good: &Value, (path, value): &Change) -> Value {
    let mut wrong = good.clone();
    wrong[*path] = value.clone();
    wrong
}

/// The good one passes, and each changed one fails.
fn each_counts(good: &Value, check: impl Fn(&Value) -> Seen, changes: &[Change]) {
    assert!(check(good).is_ok(), "{:?}", check(good));
    for change in changes {
        let seen = check(&changed(good, change));
        assert!(matches!(seen, Err(Wrong::Fail(_))), "{change:?}: {seen:?}");
    }
}

fn configuration() -> Value {
    json!({
        "issuer": "https://h.example", "jwks_uri": "https://h.example/jwks",
        "authorization_endpoint": "https://h.example/authorize",
        "token_endpoint": "https://h.example/token",
        "introspection_endpoint": "https://h.example/introspect",
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES384"],
        "capabilities": [
            "authorize-post", "client-confidential-asymmetric", "client-confidential-symmetric",
            "client-public", "context-banner", "context-ehr-encounter", "context-ehr-patient",
            "context-standalone-patient", "context-style", "launch-ehr", "launch-standalone",
            "permission-offline", "permission-patient", "permission-user", "permission-v1",
            "permission-v2", "sso-openid-connect",
        ],
    })
}

#[test]
fn each_element_of_the_configuration_counts() {
    let plain = json!(["S256", "plain"]);
    each_counts(
        &configuration(),
        rules::configuration,
        &[
            ("issuer", Value::Null),
            ("jwks_uri", json!("/jwks")),
            ("authorization_endpoint", Value::Null),
            ("token_endpoint", json!("http://h.example/token")),
            ("introspection_endpoint", json!(1)),
            ("grant_types_supported", json!("authorization_code")),
            ("code_challenge_methods_supported", json!([])),
            ("code_challenge_methods_supported", plain),
            ("scopes_supported", Value::Null),
            ("token_endpoint_auth_methods_supported", json!(["none"])),
            (
                "token_endpoint_auth_signing_alg_values_supported",
                json!(["HS256"]),
            ),
            ("capabilities", json!([])),
            ("capabilities", json!(["launch-ehr"])),
        ],
    );
    let fewer = ("capabilities", json!(["launch-ehr", "client-public"]));
    each_counts(&configuration(), rules::capabilities, &[fewer]);
}

fn token() -> Value {
    json!({
        "access_token": "a", "token_type": "Bearer", "expires_in": 900, "patient": "1",
        "scope": "launch/patient openid offline_access patient/Patient.rs",
        "id_token": "i", "refresh_token": "r", "need_patient_banner": true,
        "smart_style_url": "https://h.example/style",
        "fhirContext": [{"reference": "ImagingStudy/1"}, {"reference": "Patient/2", "role": "urn:x"}],
    })
}

#[test]
fn each_element_of_a_token_counts() {
    let asked = "launch/patient openid offline_access patient/Patient.rs";
    each_counts(
        &token(),
        |json| rules::tokens(json, asked),
        &[
            ("access_token", Value::Null),
            ("token_type", json!("mac")),
            ("scope", Value::Null),
            ("scope", json!("launch/patient patient/Patient.rs")),
            ("expires_in", json!("900")),
            ("patient", Value::Null),
            ("id_token", Value::Null),
            ("refresh_token", Value::Null),
            ("need_patient_banner", json!("true")),
            ("smart_style_url", json!("style")),
            ("fhirContext", json!({"reference": "ImagingStudy/1"})),
            ("fhirContext", json!([{"type": "ImagingStudy"}])),
            ("fhirContext", json!([{"reference": "Patient/1"}])),
        ],
    );
    let wider = ("scope", json!("patient/*.rs"));
    each_counts(&token(), |json| rules::within(json, &token()), &[wider]);
}

#[test]
fn each_claim_and_the_key_count() {
    let good = json!({
        "iss": "https://h.example", "aud": "app", "exp": 2_000, "iat": 1_000, "sub": "s",
        "nonce": "n", "fhirUser": "https://h.example/fhir/Practitioner/1",
    });
    each_counts(
        &good,
        |json| rules::claims(json, "https://h.example", "app", "n", 1_500),
        &[
            ("iss", json!("https://h.example/")),
            ("aud", json!("other")),
            ("exp", json!(1_500)),
            ("exp", json!("2000")),
            ("iat", json!(1_600)),
            ("sub", json!("")),
            ("sub", json!("s".repeat(256))),
            ("nonce", Value::Null),
            ("fhirUser", json!("Practitioner/1")),
            ("fhirUser", json!("https://h.example/fhir/Device/1")),
        ],
    );
    // RFC 7515, appendix A.2: RS256 over a known text.
    let key = json!({
        "kty": "RSA", "kid": "k", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    });
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let mut jwt = Jwt::read(&format!("{signed}.{signature}")).unwrap();
    assert!(jwt.check(&key).is_ok());
    let other = Jwt::read(&format!("eyJhbGciOiJSUzI1NiJ9.e30.{signature}")).unwrap();
    assert!(other.check(&key).is_err());
    let mut small = key.clone();
    small["n"] = json!("ofgW");
    assert!(jwt.check(&small).is_err());
    jwt.header["kid"] = json!("k");
    let check = |set: &Value| rules::key(set, &jwt).map(|key| key["kid"].to_string());
    let mut private = key.clone();
    private["d"] = json!("x");
    let unnamed = changed(&key, &("kid", json!("l")));
    each_counts(
        &json!({"keys": [key]}),
        check,
        &[
            ("keys", json!([])),
            ("keys", json!([private])),
            ("keys", json!([unnamed])),
        ],
    );
    jwt.header["alg"] = json!("none");
    assert!(rules::key(&json!({"keys": []}), &jwt).is_err());
}

#[test]
fn what_introspection_and_openid_say_counts() {
    let good = json!({
        "active": true, "client_id": "app", "exp": 2_000, "patient": "1", "iss": "i", "sub": "s",
        "scope": "patient/Patient.rs offline_access openid launch/patient",
    });
    each_counts(
        &good,
        |json| rules::introspection(json, &token(), "app"),
        &[
            ("active", json!("true")),
            ("client_id", json!("other")),
            ("exp", json!("2000")),
            ("patient", json!("2")),
            ("encounter", json!("1")),
            ("scope", json!("openid")),
            ("sub", Value::Null),
        ],
    );
    let inactive = json!({"active": false});
    let changes = [("active", json!(true)), ("scope", json!("openid"))];
    each_counts(&inactive, rules::inactive, &changes);
    let openid = json!({
        "issuer": "https://h.example", "jwks_uri": "https://h.example/jwks",
        "authorization_endpoint": "https://h.example/a", "token_endpoint": "https://h.example/t",
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    each_counts(
        &openid,
        |json| rules::openid(json, "https://h.example"),
        &[
            ("issuer", json!("https://other.example")),
            ("jwks_uri", Value::Null),
            ("response_types_supported", json!([])),
            ("subject_types_supported", Value::Null),
            ("id_token_signing_alg_values_supported", json!(["none"])),
        ],
    );
}

fn answer(status: u16, headers: &[(&str, &str)], body: &Value) -> Answer {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Answer {
        status,
        headers: headers.iter().map(own).collect(),
        body: body.to_string(),
    }
}

#[test]
fn statuses_and_headers_count() {
    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
    let kept = [("cache-control", "no-store"), ("pragma", "no-cache")];
    let service = json!({"access_token": "a", "token_type": "bearer", "scope": "system/Patient.rs", "expires_in": 300});
    let longer = json!({"access_token": "a", "token_type": "bearer", "scope": "x", "expires_in": 300, "refresh_token": "r"});
    let all = [JSON, kept[0], kept[1]];
    let allowed = |origin| answer(200, &[("access-control-allow-origin", origin)], &json!({}));
    let shared = |origin| rules::shared_with("https://a.example", &allowed(origin));
    let error = json!({"error": "invalid_grant"});
    let refused =
        |status, body: &Value| rules::refused(&answer(status, &[], body), &[400, 401], true);
    for (seen, passes) in [
        (rules::is_json(&answer(200, &[JSON], &json!({}))), true),
        (
            rules::is_json(&answer(200, &[("content-type", "text/html")], &json!({}))),
            false,
        ),
        (rules::is_json(&answer(404, &[JSON], &json!({}))), false),
        (rules::is_json(&answer(200, &[JSON], &json!([]))), false),
        (rules::not_kept(&answer(200, &kept, &json!({}))), true),
        (rules::not_kept(&answer(200, &kept[..1], &json!({}))), false),
        (rules::not_kept(&answer(200, &kept[1..], &json!({}))), false),
        (services::service(&answer(200, &all, &service)), true),
        (services::service(&answer(200, &all, &longer)), false),
        (services::service(&answer(200, &all[..1], &service)), false),
        (shared("*"), true),
        (shared("https://a.example"), true),
        (shared("https://b.example"), false),
        (refused(400, &error), true),
        (refused(401, &error), true),
        (refused(200, &error), false),
        (refused(500, &error), false),
        (refused(400, &json!({})), false),
        (rules::secured(&["https://h.example/a"]), true),
        (
            rules::secured(&["https://h.example/a", "http://h.example/b"]),
            false,
        ),
    ] {
        assert_eq!(seen.is_ok(), passes, "{seen:?}");
    }
    assert!(matches!(
        rules::secured(&["http://127.0.0.1:1/a"]),
        Err(Wrong::Skip(_))
    ));
}

#[test]
fn brands_and_categories_count() {
    let organization = json!({"resourceType": "Organization", "id": "o", "endpoint": [{"reference": "Endpoint/e"}]});
    let endpoint =
        json!({"resourceType": "Endpoint", "id": "e", "address": "https://h.example/fhir"});
    let lost = changed(&endpoint, &("id", json!("f")));
    let nowhere = changed(&endpoint, &("address", Value::Null));
    let entries = |all: &[&Value]| {
        all.iter()
            .map(|one| json!({"resource": one}))
            .collect::<Value>()
    };
    let good = json!({"type": "collection", "timestamp": "2026-01-01T00:00:00Z", "entry": entries(&[&organization, &endpoint])});
    each_counts(
        &good,
        |json| rules::brands(json).map(|all| all.join(" ")),
        &[
            ("type", json!("searchset")),
            ("timestamp", Value::Null),
            ("entry", json!([])),
            ("entry", entries(&[&organization])),
            ("entry", entries(&[&organization, &lost])),
            ("entry", entries(&[&organization, &nowhere])),
        ],
    );
    let of = |code: &str| json!({"resourceType": "Observation", "id": code, "category": [{"coding": [{"system": "s", "code": code}]}]});
    let all = json!({"entry": entries(&[&of("a"), &of("b")])});
    let others = ("entry", entries(&[&of("a"), &of("b")]));
    each_counts(
        &json!({"entry": entries(&[&of("a")])}),
        |json| limits::of_category(json, &all, "s|a"),
        &[others, ("entry", json!([]))],
    );
    let same = json!({"entry": entries(&[&of("a")])});
    let unsure = limits::of_category(&same, &same, "s|a");
    assert!(matches!(unsure, Err(Wrong::Skip(_))), "{unsure:?}");
}

#[test]
fn a_report_counts_what_it_says() {
    let mut report = Report::default();
    report.note("6.1", Ok("seen".to_owned()));
    report.note("8.1", Err("not so".into()));
    report.rest("6", "cannot");
    let lines: Vec<String> = report.lines.iter().map(ToString::to_string).collect();
    for (line, (begins, ends)) in lines.iter().zip([
        ("pass  6.1   introspection says what", ": seen"),
        ("fail  8.1   the brands are public", ": not so"),
        ("skip  6.2   of what is no token", ": cannot"),
    ]) {
        assert!(line.starts_with(begins) && line.ends_with(ends), "{line}");
    }
    let counts = ["pass", "fail", "skip"].map(|word| report.count(word));
    assert_eq!((counts, lines.len()), ([1, 1, 1], 3));
}
