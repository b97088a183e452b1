//! Which client sends a request, and whether it is that client (RFC 6749, section 2.3).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;

use super::{
    Auth, assertion,
    client::{Client, Proof},
    parameters::Parameters,
    records::Found,
    refusal::Refusal,
    secret,
};

/// With what a client comes.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'r> {
    /// The value of the Authorization header, if there is one.
    pub authorization: Option<&'r str>,
    /// The form.
    pub parameters: &'r Parameters,
    /// The URL of the endpoint, which an assertion may name beside the token endpoint's.
    pub endpoint: &'r str,
}

impl Auth {
    /// The client that sends a request, proven as well as it is registered to.
    ///
    /// # Errors
    /// `invalid_client`, or `invalid_request` if it tries in several ways.
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
    ) -> Result<Found<Client>, Refusal> {
        let parameters = credentials.parameters;
        let secret = parameters.get("client_secret");
        let assertion = parameters.get("client_assertion");
        let basic = credentials.authorization.map(basic).transpose()?;
        let ways = [basic.is_some(), secret.is_some(), assertion.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(Refusal::new(
                "invalid_request",
                "The client authenticates in several ways; use one.",
            ));
        }
        let named = parameters.get("client_id");
        let client = if let Some(assertion) = assertion {
            self.by_assertion(parameters, assertion, credentials.endpoint)
                .await?
        } else if parameters.get("client_assertion_type").is_some() {
            return Err(refuse(
                "There is a client_assertion_type and no client_assertion.",
            ));
        } else if let Some((id, secret)) = &basic {
            self.by_secret(id, secret).await?
        } else {
            let id = named.ok_or_else(|| refuse("The request does not say which client it is."))?;
            match secret {
                Some(secret) => self.by_secret(id, secret).await?,
                None => self.public(id).await?,
            }
        };
        match named {
            Some(id) if id != client.id => Err(refuse(
                "The client_id is not that of the client that authenticates.",
            )),
            _ => Ok(client),
        }
    }

    async fn by_assertion(
        &self,
        parameters: &Parameters,
        assertion: &str,
        endpoint: &str,
    ) -> Result<Found<Client>, Refusal> {
        if parameters.get("client_assertion_type") != Some(assertion::TYPE) {
            return Err(refuse(&format!(
                "The client_assertion_type must be {}.",
                assertion::TYPE
            )));
        }
        let endpoints = [self.endpoint("token"), endpoint.to_owned()];
        self.client_of_assertion(assertion, &endpoints).await
    }

    async fn by_secret(&self, id: &str, given: &str) -> Result<Found<Client>, Refusal> {
        let given = secret::hash(given);
        let client = self.client(id).await?;
        let now = self.now();
        let is_right = |client: &Client| {
            let valid = |expires: Option<i64>| expires.is_none_or(|at| now < at);
            let mut secrets = client.secrets.iter();
            client.proof() == Proof::Secret
                && secrets.any(|kept| valid(kept.expires) && secret::same(&kept.hash, &given))
        };
        client
            .filter(|client| is_right(&client.value))
            .ok_or_else(|| refuse("The client is unknown, or its secret is wrong or has expired."))
    }

    async fn public(&self, id: &str) -> Result<Found<Client>, Refusal> {
        let client = self.client(id).await?;
        client
            .filter(|client| client.value.proof() == Proof::None)
            .ok_or_else(|| {
                refuse("The client is unknown, or must authenticate as it is registered to.")
            })
    }

    /// The URL of an endpoint.
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/auth/{name}", self.settings().issuer)
    }
}

/// Name and secret out of `Basic …`, each form-encoded (RFC 6749, section 2.3.1).
fn basic(header: &str) -> Result<(String, String), Refusal> {
    let decoded = || {
        let (scheme, text) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(BASE64_STANDARD.decode(text.trim()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        let form = |text: &str| {
            let spaced = text.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
            Some(decoded.into_owned())
        };
        Some((form(id)?, form(secret)?))
    };
    decoded().ok_or_else(|| {
        refuse("The Authorization header must be Basic with client_id and client_secret.")
    })
}

fn refuse(sentence: &str) -> Refusal {
    Refusal::new("invalid_client", sentence)
}
