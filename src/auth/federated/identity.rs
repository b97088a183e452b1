//! From an id_token to a user of this server.

use serde_json::{Map, Value};

use super::{
    super::{
        jws::Unproven,
        records::Found,
        user::{self, User},
    },
    Auth, AuthError, Trouble,
    provider::{Metadata, Provider},
};

/// Algorithms of id_tokens.
const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];
/// Milliseconds by which clocks may differ.
const SKEW_MS: i64 = 60_000;
/// Bytes of a subject (OpenID Connect Core 1.0, section 2).
const LONGEST_SUBJECT: usize = 255;

/// Who somebody is at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identified {
    issuer: String,
    subject: String,
    name: Option<String>,
    email: Option<String>,
    /// Roles or groups there; `None` if they are not looked at.
    roles: Option<Vec<String>>,
}

impl Auth {
    /// Checks an id_token as OpenID Connect Core 1.0 says (section 3.1.3.7).
    pub(super) async fn check_id_token(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        token: &str,
        nonce: &str,
    ) -> Result<Identified, Trouble> {
        let refuse = |why: &str| format!("its id_token is not taken: {why}");
        let token = Unproven::read(token).map_err(refuse)?;
        let kid = token.of_header("kid").unwrap_or_default();
        let keys = self.keys_at(&metadata.jwks_uri, kid).await?;
        token.check(&keys, &ALGORITHMS).map_err(refuse)?;
        claims(&token, provider, nonce, self.now()).map_err(refuse)
    }

    /// The user whom a provider has identified; a new one, if it may make some. Somebody is known
    /// by issuer and subject only: an e-mail address at a provider proves nothing here.
    pub(super) async fn user_at(
        &self,
        provider: &Provider,
        who: &Identified,
    ) -> Result<Option<Found<User>>, AuthError> {
        let records = &self.records;
        let found = user::by_external(records, &who.issuer, &who.subject).await?;
        let found = match found {
            Some(found) => found,
            None if !provider.create_users => return Ok(None),
            None => self.new_user(provider, who).await?,
        };
        if found.value.disabled {
            return Ok(None);
        }
        self.with_roles(provider, who, found).await.map(Some)
    }

    async fn new_user(
        &self,
        provider: &Provider,
        who: &Identified,
    ) -> Result<Found<User>, AuthError> {
        let login: String = format!("{}:{}", provider.name, who.subject);
        let login: String = login
            .chars()
            .filter(|c| !c.is_control())
            .take(100)
            .collect();
        let person = User {
            name: who.name.clone().unwrap_or_else(|| login.clone()),
            login,
            email: who.email.clone(),
            external: vec![(who.issuer.clone(), who.subject.clone())],
            created: self.now(),
            ..User::default()
        };
        let id = user::create(&self.records, &person).await?;
        self.records.get::<User>(&id).await
    }

    /// Gives and takes the roles about which the provider has a say; others stay as they are.
    async fn with_roles(
        &self,
        provider: &Provider,
        who: &Identified,
        found: Found<User>,
    ) -> Result<Found<User>, AuthError> {
        let Some(theirs) = &who.roles else {
            return Ok(found);
        };
        let roles = merged(&found.value.roles, theirs, provider);
        if roles == found.value.roles {
            return Ok(found);
        }
        let set = |user: &mut User| {
            user.roles = merged(&user.roles, theirs, provider);
            Ok(())
        };
        self.records.update::<User>(&found.id, set).await
    }
}

fn merged(own: &[String], theirs: &[String], provider: &Provider) -> Vec<String> {
    let governed = |role: &String| provider.roles.values().any(|of| of == role);
    let mut roles: Vec<String> = own.iter().filter(|role| !governed(role)).cloned().collect();
    for (there, here) in &provider.roles {
        if theirs.contains(there) && !roles.contains(here) {
            roles.push(here.clone());
        }
    }
    // In the order that they had, so that the same is the same.
    roles.sort_by_key(|role| own.iter().position(|of| of == role).unwrap_or(usize::MAX));
    roles
}

fn claims(
    token: &Unproven<'_>,
    provider: &Provider,
    nonce: &str,
    now: i64,
) -> Result<Identified, &'static str> {
    let is = |name: &str, value: &str| token.text(name) == Some(value);
    if !is("iss", &provider.issuer) {
        return Err("its iss is another");
    }
    let client = provider.client_id.as_str();
    if !token.is_for(client) {
        return Err("its aud is another");
    }
    let several = token.claims.get("aud").and_then(Value::as_array);
    let must_say = several.is_some_and(|aud| aud.len() > 1) || token.claims.contains_key("azp");
    if must_say && !is("azp", client) {
        return Err("its azp is another");
    }
    let is_over = token.time("exp").is_none_or(|exp| exp + SKEW_MS <= now);
    if token.has_bad_time() || is_over {
        return Err("it has expired, or does not say when it does");
    }
    let later = |name: &str| token.time(name).is_some_and(|at| at > now + SKEW_MS);
    if later("iat") || later("nbf") {
        return Err("it is from the future");
    }
    if !is("nonce", nonce) {
        return Err("its nonce is another");
    }
    let subject = token.text("sub").unwrap_or_default();
    if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
        return Err("its sub is none");
    }
    let short = |name: &str| {
        let text = token.text(name)?.trim();
        (!text.is_empty() && text.len() <= 200).then(|| text.to_owned())
    };
    let verified = token.claims.get("email_verified") == Some(&Value::Bool(true));
    let claim = provider.roles_claim.as_deref();
    Ok(Identified {
        issuer: provider.issuer.clone(),
        subject: subject.to_owned(),
        name: short("name").or_else(|| short("preferred_username")),
        email: short("email").filter(|_| verified),
        roles: claim.map(|claim| texts(&token.claims, claim)),
    })
}

/// The texts of a claim: one, or a list; `realm_access.roles` goes into an object.
fn texts(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    let mut names = path.split('.');
    let first = claims.get(path).or_else(|| {
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |at, name| at.get(name))
    });
    match first {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(all)) => {
            let texts = all.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn provider() -> Provider {
        let role = |there: &str, here: &str| (there.to_owned(), here.to_owned());
        Provider {
            issuer: "https://idp.example".to_owned(),
            client_id: "rotunda".to_owned(),
            roles_claim: Some("realm_access.roles".to_owned()),
            roles: [role("physician", "doctor"), role("care", "nurse")].into(),
            ..Provider::default()
        }
    }

    fn good() -> Value {
        json!({
            "iss": "https://idp.example", "aud": "rotunda", "sub": "s", "exp": 2_000, "iat": 1_000,
            "nonce": "n", "name": "Kate", "email": "k@x.example",
            "realm_access": {"roles": ["physician", "admin"]},
        })
    }

    fn read(claims: &Value) -> Result<Identified, &'static str> {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}.x", part(&json!({"alg": "RS256"})), part(claims));
        super::claims(&Unproven::read(&text).unwrap(), &provider(), "n", 1_500_000)
    }

    #[test]
    fn each_claim_of_an_id_token_counts() {
        let who = read(&good()).unwrap();
        assert_eq!(
            (who.subject.as_str(), who.name.as_deref()),
            ("s", Some("Kate"))
        );
        assert_eq!(who.email, None, "nobody verified it");
        assert_eq!(who.roles.unwrap(), ["physician", "admin"]);
        for (claim, value, taken) in [
            ("iss", json!("https://idp.example/"), false),
            ("aud", json!("other"), false),
            ("aud", json!(["rotunda"]), true),
            ("aud", json!(["rotunda", "other"]), false),
            ("azp", json!("rotunda"), true),
            ("azp", json!("other"), false),
            ("exp", json!(1_441), true),
            ("exp", json!(1_440), false),
            ("exp", json!("2000"), false),
            ("exp", Value::Null, false),
            ("iat", json!(1_561), false),
            ("nbf", json!(1_561), false),
            ("nonce", json!("m"), false),
            ("nonce", Value::Null, false),
            ("sub", json!(""), false),
            ("sub", json!("s".repeat(256)), false),
            ("email_verified", json!(true), true),
        ] {
            let mut claims = good();
            claims[claim] = value.clone();
            assert_eq!(read(&claims).is_ok(), taken, "{claim}: {value}");
        }
    }

    #[test]
    fn a_provider_governs_the_roles_that_it_maps_only() {
        let all =
            |roles: &[&str]| -> Vec<String> { roles.iter().map(|&role| role.to_owned()).collect() };
        for (own, theirs, expected) in [
            (&[][..], &["physician"][..], &["doctor"][..]),
            (&["doctor", "billing"], &["care"], &["billing", "nurse"]),
            (&["billing"], &["administrator", "admin"], &["billing"]),
            (
                &["nurse", "doctor"],
                &["care", "physician"],
                &["nurse", "doctor"],
            ),
        ] {
            let found = merged(&all(own), &all(theirs), &provider());
            assert_eq!(found, all(expected), "{own:?} {theirs:?}");
        }
    }
}
