//! JWTs with which clients prove who they are (SMART App Launch 2.2.0, "Client Authentication:
//! Asymmetric"; RFC 7523).

use serde::{Deserialize, Serialize};

use super::{
    Auth,
    client::{Client, Proof},
    error::AuthError,
    jws::Unproven,
    records::{Changes, Decides, Found, Kept},
    refusal::Refusal,
    secret,
};

/// What `client_assertion_type` must be.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What clients may sign with.
const ALGORITHMS: [&str; 2] = ["RS384", "ES384"];

/// Milliseconds that an assertion may be valid from now on.
const LIFE_MS: i64 = 5 * 60_000;
/// Milliseconds by which a client's clock may go before ours.
const SKEW_MS: i64 = 30_000;
/// Bytes of the longest `jti` that is taken.
const LONGEST_JTI: usize = 1_024;

/// A `jti` that was used; its name is the hash of client and `jti`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jti {
    /// When the assertion ends, and with it the danger; milliseconds since 1970.
    expires: i64,
}

impl Kept for Jti {
    const KIND: i64 = 23;
    const NAME: &'static str = "used assertion";
    const DECIDES: Decides = Decides::Never;

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

impl Auth {
    /// The client that signed this assertion, for the endpoint at `endpoint` or the token
    /// endpoint. Of several who send the same one, one is believed.
    ///
    /// # Errors
    /// `invalid_client` with what is wrong.
    pub(super) async fn client_of_assertion(
        &self,
        text: &str,
        endpoints: &[String],
    ) -> Result<Found<Client>, Refusal> {
        let token = Unproven::read(text).map_err(refuse)?;
        let issuer = token.text("iss").ok_or_else(|| refuse("it has no iss"))?;
        if token.text("sub") != Some(issuer) {
            return Err(refuse("its iss and sub must both be the client_id"));
        }
        let client = self.client(issuer).await?;
        let client = client
            .filter(|client| client.value.proof() == Proof::Key)
            .ok_or_else(|| refuse("there is no such client, or none with keys"))?;
        check_header(&token, &client.value)?;
        let expires = self.check_claims(&token, endpoints)?;
        let kid = token.of_header("kid").unwrap_or_default();
        let keys = self.keys_of_client(&client.value, kid).await?;
        token.check(&keys, &ALGORITHMS).map_err(refuse)?;
        self.use_once(&client.id, token.text("jti").unwrap_or_default(), expires)
            .await?;
        Ok(client)
    }

    /// When it ends, if it is valid now.
    fn check_claims(&self, token: &Unproven<'_>, endpoints: &[String]) -> Result<i64, Refusal> {
        let now = self.now();
        if !endpoints.iter().any(|endpoint| token.is_for(endpoint)) {
            return Err(refuse("its aud is not the token endpoint's URL"));
        }
        if token.has_bad_time() {
            return Err(refuse("its exp, nbf and iat must be numbers of seconds"));
        }
        let expires = token.time("exp").ok_or_else(|| refuse("it has no exp"))?;
        if expires <= now {
            return Err(refuse("its exp has passed"));
        }
        if expires > now + LIFE_MS + SKEW_MS {
            return Err(refuse("its exp is more than five minutes ahead"));
        }
        let begins = |name| token.time(name).is_some_and(|at| at > now + SKEW_MS);
        if begins("nbf") || begins("iat") {
            return Err(refuse("its nbf or iat has not come yet"));
        }
        match token.text("jti") {
            Some(jti) if (1..=LONGEST_JTI).contains(&jti.len()) => Ok(expires),
            _ => Err(refuse("it needs a jti of 1 to 1024 characters")),
        }
    }

    async fn use_once(&self, client: &str, jti: &str, expires: i64) -> Result<(), Refusal> {
        let name = secret::hash(&format!("{client}\n{jti}"));
        let used = Changes::new().create(&name, &Jti { expires })?;
        match self.records().commit(used).await {
            Err(AuthError::Conflict) => Err(refuse("its jti was used before")),
            other => Ok(other?),
        }
    }
}

fn check_header(token: &Unproven<'_>, client: &Client) -> Result<(), Refusal> {
    let is_jwt = |typ: &str| typ.eq_ignore_ascii_case("JWT");
    if token.header.contains_key("typ") && !token.of_header("typ").is_some_and(is_jwt) {
        return Err(refuse("its typ must be JWT"));
    }
    if token.header.contains_key("jku")
        && (client.jwks_uri.is_none() || token.of_header("jku") != client.jwks_uri.as_deref())
    {
        return Err(refuse("its jku is not the jwks_uri that is registered"));
    }
    for name in ["jwk", "x5u"] {
        if token.header.contains_key(name) {
            return Err(refuse("keys in its header are not taken; register them"));
        }
    }
    Ok(())
}

fn refuse(reason: &str) -> Refusal {
    Refusal::new(
        "invalid_client",
        format!("The client_assertion is not taken: {reason}."),
    )
}
