//! What SMART App Launch 2.2 says of answers. Nothing here sends anything: an answer goes in, and
//! what is seen or wrong comes out.

use serde_json::Value;
use url::Url;

use super::{
    jose::Jwt,
    report::{Seen, Wrong},
    web::Answer,
};

/// Capabilities that ONC's certification (§170.315(g)(10), path of STU 2.2) asks for.
const CAPABILITIES: [&str; 17] = [
    "authorize-post",
    "client-confidential-asymmetric",
    "client-confidential-symmetric",
    "client-public",
    "context-banner",
    "context-ehr-encounter",
    "context-ehr-patient",
    "context-standalone-patient",
    "context-style",
    "launch-ehr",
    "launch-standalone",
    "permission-offline",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
    "sso-openid-connect",
];

/// All that is wrong; `fine` if nothing is.
fn all_of(wrong: Vec<String>, fine: impl Into<String>) -> Seen {
    match wrong.is_empty() {
        true => Ok(fine.into()),
        false => Err(Wrong::Fail(wrong.join("; "))),
    }
}

fn has(list: &Value, word: &str) -> bool {
    let mut words = list.as_array().into_iter().flatten();
    words.any(|known| known == word)
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// True for an absolute address that is safe to use: `https`, or `http` on this computer.
fn is_address(value: &Value) -> bool {
    let url = value.as_str().and_then(|text| Url::parse(text).ok());
    url.is_some_and(|url| {
        let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        url.scheme() == "https" || url.scheme() == "http" && here
    })
}

/// An endpoint is reached with TLS 1.2 or later.
pub fn secured(addresses: &[&str]) -> Seen {
    let plain: Vec<&&str> = (addresses.iter())
        .filter(|url| !url.starts_with("https://"))
        .collect();
    match plain.is_empty() {
        true => Ok("answers by TLS 1.2 or later".to_owned()),
        false if plain.iter().all(|url| is_address(&Value::from(**url))) => {
            Err(Wrong::Skip("http on this computer".to_owned()))
        }
        false => Err(format!("{plain:?} without TLS").into()),
    }
}

/// 200 and JSON, whatever was accepted.
pub fn is_json(answer: &Answer) -> Seen {
    let kind = answer.header("content-type").unwrap_or_default();
    let is_json = kind.split(';').next().unwrap_or_default().trim() == "application/json";
    match (answer.status, is_json, answer.json().is_object()) {
        (200, true, true) => Ok(format!("200 {kind}")),
        (200, false, _) => Err(format!("Content-Type is '{kind}'").into()),
        (200, ..) => Err("the body is no JSON object".into()),
        _ => Err(answer.brief().into()),
    }
}

/// The elements of `smart-configuration`.
pub fn configuration(config: &Value) -> Seen {
    let mut wrong = Vec::new();
    let capable = |word: &str| has(&config["capabilities"], word);
    for name in [
        "grant_types_supported",
        "capabilities",
        "code_challenge_methods_supported",
    ] {
        let texts = config[name]
            .as_array()
            .filter(|all| all.iter().all(is_text));
        if texts.is_none_or(Vec::is_empty) {
            wrong.push(format!("{name} is no list of texts"));
        }
    }
    let mut addresses = vec!["token_endpoint"];
    if capable("launch-ehr") || capable("launch-standalone") {
        addresses.push("authorization_endpoint");
    }
    if capable("sso-openid-connect") {
        addresses.extend(["issuer", "jwks_uri"]);
    } else if !config["issuer"].is_null() {
        wrong.push("issuer without sso-openid-connect".to_owned());
    }
    for name in [
        "introspection_endpoint",
        "revocation_endpoint",
        "management_endpoint",
        "registration_endpoint",
    ] {
        if !config[name].is_null() {
            addresses.push(name);
        }
    }
    for name in addresses {
        if !is_address(&config[name]) {
            wrong.push(format!("{name} is no absolute address"));
        }
    }
    if !has(&config["code_challenge_methods_supported"], "S256") {
        wrong.push("no S256".to_owned());
    }
    if has(&config["code_challenge_methods_supported"], "plain") {
        wrong.push("plain challenges".to_owned());
    }
    if capable("client-confidential-asymmetric") {
        let signs = &config["token_endpoint_auth_signing_alg_values_supported"];
        if !config["scopes_supported"].is_array() {
            wrong.push("no scopes_supported".to_owned());
        }
        if !has(
            &config["token_endpoint_auth_methods_supported"],
            "private_key_jwt",
        ) {
            wrong.push("no private_key_jwt".to_owned());
        }
        if !has(signs, "RS384") && !has(signs, "ES384") {
            wrong.push("neither RS384 nor ES384".to_owned());
        }
    }
    all_of(wrong, "all required elements")
}

/// The capabilities of (g)(10).
pub fn capabilities(config: &Value) -> Seen {
    let missing = |word: &&str| !has(&config["capabilities"], word);
    let missing: Vec<&str> = CAPABILITIES
        .into_iter()
        .filter(|word| missing(word))
        .collect();
    match missing.is_empty() {
        true => Ok(format!("all {}", CAPABILITIES.len())),
        false => Err(format!("missing: {}", missing.join(" ")).into()),
    }
}

/// Pages of `origin` may read the answer.
pub fn shared_with(origin: &str, answer: &Answer) -> Seen {
    match answer.header("access-control-allow-origin") {
        Some(allowed) if allowed == "*" || allowed == origin => Ok(format!("allows {allowed}")),
        Some(other) => Err(format!("allows {other}, not {origin}").into()),
        None => Err("no Access-Control-Allow-Origin".into()),
    }
}

/// One of these statuses; of a token endpoint also an error code.
pub fn refused(answer: &Answer, statuses: &[u16], with_code: bool) -> Seen {
    let json = answer.json();
    if !statuses.contains(&answer.status) {
        return Err(format!("{} instead of {statuses:?}", answer.brief()).into());
    }
    match (with_code, json["error"].as_str()) {
        (true, None) => Err(format!("{}: no error code in {}", answer.status, answer.body).into()),
        (_, code) => Ok(format!("{} {}", answer.status, code.unwrap_or_default())),
    }
}

/// The scopes of an answer.
pub fn scopes(json: &Value) -> Vec<&str> {
    let text = json["scope"].as_str().unwrap_or_default();
    text.split_whitespace().collect()
}

/// The elements of a token answer.
pub fn tokens(json: &Value, asked: &str) -> Seen {
    let mut wrong = Vec::new();
    let scopes = scopes(json);
    let mut must = |fine: bool, text: &str| {
        if !fine {
            wrong.push(text.to_owned());
        }
    };
    must(is_text(&json["access_token"]), "no access_token");
    let kind = json["token_type"].as_str().unwrap_or_default();
    must(
        kind.eq_ignore_ascii_case("bearer"),
        "token_type is not Bearer",
    );
    must(!scopes.is_empty(), "no scope");
    let lives = &json["expires_in"];
    must(
        lives.is_null() || lives.as_f64().is_some_and(|secs| secs > 0.0),
        "expires_in is no number",
    );
    let of_patient = |scope: &&str| scope.starts_with("patient/") || *scope == "launch/patient";
    must(
        is_text(&json["patient"]) || !scopes.iter().any(of_patient),
        "no patient",
    );
    let was_asked = |scope: &str| asked.split_whitespace().any(|word| word == scope);
    let granted = |scope: &str| scopes.contains(&scope);
    must(
        is_text(&json["id_token"]) || !granted("openid"),
        "no id_token",
    );
    must(
        is_text(&json["refresh_token"]) || !granted("offline_access"),
        "no refresh_token",
    );
    must(
        granted("openid") == was_asked("openid"),
        "openid was asked for and not given",
    );
    let mut optional = |name: &str, fine: &dyn Fn(&Value) -> bool| {
        must(
            json[name].is_null() || fine(&json[name]),
            &format!("{name} has the wrong type"),
        );
    };
    optional("encounter", &is_text);
    optional("need_patient_banner", &Value::is_boolean);
    optional("smart_style_url", &is_address);
    optional("intent", &is_text);
    optional("tenant", &is_text);
    optional("fhirContext", &|context| {
        context
            .as_array()
            .is_some_and(|all| all.iter().all(is_context))
    });
    all_of(wrong, format!("scope: {}", scopes.join(" ")))
}

/// An item of `fhirContext`: it names something, and no Patient or Encounter but in another role.
fn is_context(item: &Value) -> bool {
    let reference = item["reference"].as_str().unwrap_or_default();
    let is_of_launch = item["role"].is_null() || item["role"] == "launch";
    let is_known = reference.starts_with("Patient/") || reference.starts_with("Encounter/");
    let names = ["reference", "canonical", "identifier"];
    names.iter().any(|name| !item[*name].is_null()) && !(is_known && is_of_launch)
}

/// The headers of a token answer.
pub fn not_kept(answer: &Answer) -> Seen {
    let wrong = [("cache-control", "no-store"), ("pragma", "no-cache")]
        .into_iter()
        .filter(|(name, word)| {
            !answer
                .header(name)
                .is_some_and(|value| value.contains(word))
        })
        .map(|(name, word)| format!("no {name}: {word}"));
    all_of(wrong.collect(), "Cache-Control: no-store, Pragma: no-cache")
}

/// Every scope of `narrow` is one of `wide`.
pub fn within(narrow: &Value, wide: &Value) -> Seen {
    let wide = scopes(wide);
    let more: Vec<&str> = scopes(narrow)
        .into_iter()
        .filter(|scope| !wide.contains(scope))
        .collect();
    match more.is_empty() {
        true => Ok(scopes(narrow).join(" ")),
        false => Err(format!("more than before: {}", more.join(" ")).into()),
    }
}

/// `openid-configuration`.
pub fn openid(config: &Value, issuer: &str) -> Seen {
    let mut wrong = Vec::new();
    if config["issuer"] != issuer {
        wrong.push(format!(
            "issuer is {}, and {issuer} in the token",
            config["issuer"]
        ));
    }
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        if !is_address(&config[name]) {
            wrong.push(format!("{name} is no absolute address"));
        }
    }
    for name in ["response_types_supported", "subject_types_supported"] {
        if config[name].as_array().is_none_or(Vec::is_empty) {
            wrong.push(format!("no {name}"));
        }
    }
    if !has(&config["id_token_signing_alg_values_supported"], "RS256") {
        wrong.push("no RS256".to_owned());
    }
    all_of(wrong, issuer)
}

/// The key of a key set by which a token says that it was signed.
///
/// # Errors
/// There is none, or the set is wrong.
pub fn key<'a>(set: &'a Value, token: &Jwt) -> Result<&'a Value, Wrong> {
    if token.header["alg"] != "RS256" {
        return Err(format!("alg is {}, not RS256", token.header["alg"]).into());
    }
    let keys = set["keys"].as_array().ok_or("no keys")?;
    let secret = |key: &Value| !key["d"].is_null() || !key["p"].is_null();
    if keys.iter().any(secret) {
        return Err("a private key is published".into());
    }
    let named = |key: &&Value| key["kid"] == token.header["kid"] && key["kty"] == "RSA";
    let found = keys.iter().find(named);
    found.ok_or_else(|| format!("no RSA key with kid {}", token.header["kid"]).into())
}

/// The claims of an `id_token`.
pub fn claims(claims: &Value, issuer: &str, client: &str, nonce: &str, now: u64) -> Seen {
    let mut wrong = Vec::new();
    let mut must = |fine: bool, name: &str| {
        if !fine {
            wrong.push(format!("{name} is {}", claims[name]));
        }
    };
    must(claims["iss"] == issuer, "iss");
    must(
        claims["aud"] == client || has(&claims["aud"], client),
        "aud",
    );
    must(claims["exp"].as_u64().is_some_and(|exp| exp > now), "exp");
    must(
        claims["iat"].as_u64().is_some_and(|iat| iat <= now + 60),
        "iat",
    );
    let subject = claims["sub"].as_str().unwrap_or_default();
    must((1..=255).contains(&subject.len()), "sub");
    must(claims["nonce"] == nonce, "nonce");
    let user = claims["fhirUser"].as_str().unwrap_or_default();
    let kinds = [
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "RelatedPerson",
        "Person",
    ];
    let kind = user.rsplit('/').nth(1).unwrap_or_default();
    must(
        kinds.contains(&kind) && is_address(&claims["fhirUser"]),
        "fhirUser",
    );
    all_of(wrong, format!("sub {subject}, fhirUser {user}"))
}

/// What introspection says of a token that is good.
pub fn introspection(json: &Value, tokens: &Value, client: &str) -> Seen {
    let mut wrong = Vec::new();
    let sorted = |json: &Value| {
        let mut all: Vec<String> = scopes(json).into_iter().map(str::to_owned).collect();
        all.sort_unstable();
        all
    };
    if json["active"] != true {
        wrong.push(format!("active is {}", json["active"]));
    }
    if json["client_id"] != client {
        wrong.push(format!("client_id is {}", json["client_id"]));
    }
    if sorted(json) != sorted(tokens) {
        wrong.push(format!("scope is {}", json["scope"]));
    }
    if !json["exp"].is_u64() {
        wrong.push(format!("exp is {}", json["exp"]));
    }
    for name in ["patient", "encounter"] {
        if json[name] != tokens[name] {
            wrong.push(format!("{name} is {}", json[name]));
        }
    }
    let identified = !tokens["id_token"].is_null();
    if identified && !(is_text(&json["iss"]) && is_text(&json["sub"])) {
        wrong.push("no iss or sub".to_owned());
    }
    all_of(wrong, "active, with the same scopes and context")
}

/// What introspection says of any other token, and nothing more.
pub fn inactive(json: &Value) -> Seen {
    match json.as_object() {
        Some(all) if json["active"] == false && all.len() == 1 => Ok("active is false".to_owned()),
        _ => Err(json.to_string().into()),
    }
}

/// The addresses of the endpoints of a User Access Brands Bundle.
///
/// # Errors
/// The Bundle is wrong.
pub fn brands(bundle: &Value) -> Result<Vec<String>, Wrong> {
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |kind: &str| -> Vec<&Value> {
        let all = entries.iter().map(|entry| &entry["resource"]);
        all.filter(|resource| resource["resourceType"] == kind)
            .collect()
    };
    if bundle["type"] != "collection" || !is_text(&bundle["timestamp"]) {
        return Err("no collection with a timestamp".into());
    }
    let (organizations, endpoints) = (of("Organization"), of("Endpoint"));
    if organizations.is_empty() || endpoints.is_empty() {
        return Err("no Organization or no Endpoint".into());
    }
    let referred: Vec<&str> = (organizations.iter())
        .flat_map(|one| one["endpoint"].as_array().into_iter().flatten())
        .filter_map(|one| one["reference"].as_str())
        .collect();
    let mut addresses = Vec::new();
    for endpoint in endpoints {
        let id = endpoint["id"].as_str().unwrap_or_default();
        let is_its = |to: &&&str| to.ends_with(&format!("Endpoint/{id}")) || to.ends_with(id);
        if id.is_empty() || !referred.iter().any(|to| is_its(&to)) {
            return Err(format!("no Organization has the Endpoint {id}").into());
        }
        match endpoint["address"].as_str() {
            Some(address) if is_address(&endpoint["address"]) => addresses.push(address.to_owned()),
            _ => return Err(format!("Endpoint {id} has no address").into()),
        }
    }
    Ok(addresses)
}
