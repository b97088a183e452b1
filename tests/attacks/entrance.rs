//! Without a token, with a wrong one, and with words that claim to be one.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    hospital::CANARY,
    leaks::check,
    server::DATABASES,
    world::{Ask, World},
};

/// Requests that show or change data.
const GUARDED: &[&str] = &[
    "GET Patient",
    "GET Patient/pa",
    "HEAD Patient/pa",
    "GET Patient/pa/_history",
    "GET Patient/pa/_history/1",
    "GET _history",
    "GET Patient/_history",
    "GET AuditEvent",
    "GET $export",
    "GET Patient/$export",
    "GET $graphql?query=%7BPatient(id:%22pa%22)%7Bid%7D%7D",
    "GET $meta",
    "GET Patient/pa/$everything",
    "POST Patient/$match",
    "GET Patient/pa/$access-report",
    "GET Binary/pa-bin",
    "GET Patient/pa/Observation",
    "GET ?_type=Patient",
    "GET /fhir",
    "POST /fhir",
    "POST Patient",
    "POST Patient/_search",
    "POST _search",
    "PUT Patient/pa",
    "PATCH Patient/pa",
    "DELETE Patient/pa",
    "DELETE Patient?family=x",
    "POST Patient/$validate",
    "POST Patient/pa/$meta-add",
    "GET StructureDefinition",
    "GET $versions",
    "GET /admin",
    "GET /admin/users",
    "POST /admin/users",
    "POST /admin/tokens",
    "DELETE /admin/users/1",
];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_enters_without_a_token() {
    let world = World::new(DATABASES[0]).await;
    for line in GUARDED {
        let answer = world.ask_as_is(&Ask::new(line)).await;
        assert_eq!(answer.status, 401, "HD-01 {line}: {}", answer.text());
        let challenge = answer.header("www-authenticate").expect(line);
        assert!(challenge.starts_with("Bearer"), "{line}: {challenge}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{line}");
        assert!(check(&answer, line).is_none(), "{line}");
    }
    for line in [
        "GET metadata",
        "GET .well-known/smart-configuration",
        "GET /.well-known/openid-configuration",
    ] {
        let answer = world.ask_as_is(&Ask::new(line)).await;
        assert_eq!(answer.status, 200, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_opens_nothing() {
    let world = World::new(DATABASES[0]).await;
    let valid = world.patient("patient/*.rs").await;
    let basic = format!("Basic {}", STANDARD.encode(format!("{valid}:")));
    let admin = format!("Basic {}", STANDARD.encode("admin:admin"));
    let long = format!("Bearer {}", "x".repeat(9_000));
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290Iiwic2NvcGUiOiJzeXN0ZW0vKi4qIn0.";
    let rows: &[(&str, &str, String)] = &[
        ("JW-09", "no scheme", valid.clone()),
        ("JW-09", "nothing", String::new()),
        ("JW-09", "only the scheme", "Bearer".to_owned()),
        ("JW-09", "an empty token", "Bearer  ".to_owned()),
        ("JW-09", "the token as a name", basic),
        ("JW-10", "what never is a password", admin),
        ("JW-09", "another scheme", format!("DPoP {valid}")),
        (
            "JW-09",
            "two tokens",
            format!("Bearer {valid}, Bearer {valid}"),
        ),
        ("JW-09", "a token and more", format!("Bearer {valid} x")),
        ("JW-09", "a letter more", format!("Bearer {valid}a")),
        (
            "JW-09",
            "a letter less",
            format!("Bearer {}", &valid[..valid.len() - 1]),
        ),
        (
            "JW-09",
            "other letters",
            format!("Bearer {}", valid.to_uppercase()),
        ),
        ("JW-09", "quoted", format!("Bearer \"{valid}\"")),
        ("JW-09", "an unsigned JWT", format!("Bearer {none}")),
        ("JW-09", "much", long),
        ("JW-09", "SQL", "Bearer at_' OR 1=1--".to_owned()),
        ("JW-09", "a key without a secret", "Bearer hk_".to_owned()),
        (
            "JW-09",
            "a key with an empty secret",
            "Bearer hk_x_".to_owned(),
        ),
        (
            "JW-09",
            "another kind of token",
            format!("Bearer rt_{}", &valid[3..]),
        ),
    ];
    for (label, attack, value) in rows {
        let ask = Ask::new("GET Patient/pa").header(("Authorization", value));
        let answer = world.ask_as_is(&ask).await;
        assert_eq!(answer.status, 401, "{label} {attack}: {}", answer.text());
        assert!(!answer.text().contains(&valid), "{label} {attack}");
    }
}

/// URLs are logged: a token in one is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_in_its_header_only() {
    let world = World::new(DATABASES[0]).await;
    let token = world.patient("patient/*.rs").await;
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let asks = [
        Ask::new(&format!("GET Patient/pa?access_token={token}")),
        Ask::new(&format!("GET Patient?access_token={token}")),
        Ask::new(&format!("GET Patient/pa?token={token}")),
        Ask::new("POST Patient/_search").body(form, &format!("access_token={token}")),
        Ask::new("GET Patient/pa").header(("Cookie", &format!("access_token={token}"))),
        Ask::new("GET Patient/pa").header(("X-Authorization", &format!("Bearer {token}"))),
        Ask::new("GET Patient/pa").header(("Proxy-Authorization", &format!("Bearer {token}"))),
    ];
    for ask in asks {
        let answer = world.ask_as_is(&ask).await;
        let is_refused = [400, 401].contains(&answer.status);
        assert!(is_refused, "HD-12 {ask:?}: {}", answer.status);
        assert!(!answer.text().contains(&token), "{ask:?}");
    }
}

/// What proxies and other servers take for an identity.
const CLAIMS: &[(&str, &str)] = &[
    ("X-Patient-Id", "pb"),
    ("X-Patient", "Patient/pb"),
    ("X-Scopes", "system/*.cruds"),
    ("X-Remote-User", "root"),
    ("Remote-User", "root"),
    ("X-Forwarded-User", "root"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1;host=evil.example"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Prefix", "/fhir/Patient/pb"),
    ("X-Original-URL", "/fhir/Patient/pb"),
    ("X-Rewrite-URL", "/fhir/Patient/pb"),
    ("X-Client-Cert", "root"),
    ("X-SSL-Client-S-DN", "CN=root"),
    ("X-Tenant", "other"),
    ("X-Http-Method-Override", "DELETE"),
    ("X-Method-Override", "DELETE"),
    ("X-HTTP-Method", "DELETE"),
    ("Cookie", "rotunda=root; session=root; JSESSIONID=root"),
    ("X-Purpose-Of-Use", "BTG"),
    ("X-Break-The-Glass", "true"),
];

#[tokio::test(flavor = "multi_thread")]
async fn headers_give_no_identity_and_no_other_method() {
    let world = World::new(DATABASES[0]).await;
    let token = world.patient("patient/*.rs").await;
    let keeper = world.keeper().await;
    for claim in CLAIMS {
        let what = format!("CL-16 {claim:?}");
        let own = world
            .ask(&token, &Ask::new("GET Patient/pa").header(*claim))
            .await;
        assert_eq!(own.status, 200, "{what}: {}", own.text());
        assert!(!own.text().contains("evil.example"), "{what}");
        let other = world
            .ask(&token, &Ask::new("GET Patient/pb").header(*claim))
            .await;
        assert_eq!(other.status, 404, "{what}");
        let found = world
            .ask(&token, &Ask::new("GET Patient").header(*claim))
            .await;
        assert!(check(&found, &what).is_none(), "{what}");
        let none = world
            .ask_as_is(&Ask::new("GET Patient/pa").header(*claim))
            .await;
        assert_eq!(none.status, 401, "{what}");
    }
    for line in [
        "POST Observation/pa-vital",
        "GET Observation/pa-vital?_method=DELETE",
    ] {
        let ask = Ask::new(line).header(("X-HTTP-Method-Override", "DELETE"));
        world.ask(&keeper, &ask).await;
    }
    let there = world.line(&keeper, "GET Observation/pa-vital").await;
    assert_eq!(there.status, 200, "HD-09");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tokens_are_not_the_better_of_both() {
    let world = World::new(DATABASES[0]).await;
    let token = world.patient("patient/*.rs").await;
    let bearer = |token: &str| format!("Bearer {token}");
    for pair in [[&token, &world.root], [&world.root, &token]] {
        let ask = Ask::new("GET Patient/pb")
            .header(("Authorization", &bearer(pair[0])))
            .header(("Authorization", &bearer(pair[1])));
        let answer = world.ask_as_is(&ask).await;
        assert!(
            [400, 401].contains(&answer.status),
            "CL-16: {}",
            answer.status
        );
        assert!(!answer.text().contains(CANARY));
    }
}

/// The path is read once, and so are the words in it.
#[tokio::test(flavor = "multi_thread")]
async fn no_way_around_leads_to_another_patient() {
    let world = World::new(DATABASES[0]).await;
    let token = world.patient("patient/*.rs").await;
    for path in [
        "/fhir/Patient/pa/../pb",
        "/fhir/Patient/pa/%2e%2e/pb",
        "/fhir/Patient/pa%2f..%2fpb",
        "/fhir/./Patient/pb",
        "/fhir//Patient/pb",
        "/fhir/Patient//pb",
        "/fhir/patient/pb",
        "/fhir/Patient/%70b",
        "/fhir/Patient/%2570b",
        "/fhir/Patient/pb;x=1",
        "/fhir/Patient/pb%00",
        "/fhir/Patient/pb%0d%0aX-Patient:pa",
        "/fhir/metadata/../Patient/pb",
        "/fhir/.well-known/../Patient/pb",
        "/fhir/Patient/pa/Patient/pb",
        "/auth/../fhir/Patient/pb",
        "/fhir/Patient/pb/",
        "/fhir/Patient/pb?_id=pa",
        "/fhir/Patient/pb#Patient/pa",
    ] {
        let answer = world.line(&token, &format!("GET {path}")).await;
        assert!(
            [400, 401, 404].contains(&answer.status),
            "HD-08 {path}: {}",
            answer.status
        );
        assert!(check(&answer, path).is_none(), "HD-08 {path}");
        for (name, value) in &answer.headers {
            assert!(
                !name.eq_ignore_ascii_case("x-patient"),
                "IN-05 {path}: {value}"
            );
        }
    }
    // Percent-encoding of a letter is the letter.
    let answer = world.line(&token, "GET /fhir/Patient/p%61").await;
    assert!([200, 400, 404].contains(&answer.status));
}
