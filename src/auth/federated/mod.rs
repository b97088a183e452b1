//! Log-in through another provider (OpenID Connect Core 1.0, with the code flow): it proves who
//! somebody is. What they may do is said here, at most by their roles there, never by scopes of
//! its tokens.

mod identity;
mod provider;

use std::{pin::Pin, sync::Arc};

use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, Client as OAuthClient, ClientId, ClientSecret,
    CsrfToken, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, StandardRevocableToken, StandardTokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
        BasicTokenType,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    Auth, AuthError,
    login::{Outcome, Visitor},
    records::{Changes, Kept},
    secret,
};
use crate::fetch::{FetchError, Fetcher};
use identity::Identified;
use provider::Metadata;
pub use provider::Provider;

/// Milliseconds that somebody has for the log-in at the provider.
const LIFE_MS: i64 = 10 * 60_000;
/// The purpose under which verifiers of PKCE are sealed.
const VERIFIER: &str = "federated log-in";

/// A log-in that goes on at a provider; its name is the hash of `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journey {
    provider: String,
    /// The verifier of PKCE, sealed.
    verifier: Vec<u8>,
    nonce: String,
    /// The hash of the cookie of the browser in which it began.
    browser: String,
    /// The authorization request that waits here.
    request: Option<String>,
    expires: i64,
}

impl Kept for Journey {
    const KIND: i64 = 33;
    const NAME: &'static str = "log-in at a provider";

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

/// How a log-in at a provider ended.
#[derive(Debug)]
pub enum Arrived {
    /// The next step here.
    Here(Outcome),
    /// The provider says that it is somebody whom nobody here knows; the provider's title.
    Stranger(String),
    /// The log-in is not one that began in this browser, or too long ago.
    Gone,
    /// The provider does not do as it should, or cannot be reached; a sentence for people. The
    /// log says more.
    Failed(&'static str),
}

/// The id_token beside the access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct IdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Client = OAuthClient<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// The fetcher as the library wants it.
struct Http(Arc<Fetcher>);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.send(request))
    }
}

/// Why a log-in at a provider did not work; for the log.
type Trouble = String;

fn told(error: impl std::fmt::Display) -> Trouble {
    error.to_string()
}

impl Auth {
    /// The providers through which one can log in.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|known| known.name == name)
    }

    /// Begins a log-in at a provider in the browser with this cookie; gives where to send it.
    ///
    /// # Errors
    /// The store refuses; in it, why the provider cannot be asked.
    pub async fn begin_journey(
        &self,
        provider: &str,
        cookie: &str,
        request: Option<String>,
    ) -> Result<Result<String, Arrived>, AuthError> {
        let Some(provider) = self.provider(provider) else {
            return Ok(Err(Arrived::Gone));
        };
        let metadata = match self.metadata(provider).await {
            Ok(metadata) => metadata,
            Err(trouble) => return Ok(Err(failed(provider, &trouble))),
        };
        let state = secret::fresh("")?;
        let nonce = secret::fresh("")?;
        // Not by the library, whose randomness is another.
        let verifier = PkceCodeVerifier::new(secret::fresh("")?);
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let url = match self.address(provider, &metadata, (&state, &nonce), challenge) {
            Ok(url) => url,
            Err(trouble) => return Ok(Err(failed(provider, &trouble))),
        };
        let verifier = verifier.secret().as_bytes();
        let journey = Journey {
            provider: provider.name.clone(),
            verifier: self.master.seal(VERIFIER, verifier)?,
            nonce,
            browser: secret::hash(cookie),
            request,
            expires: self.now() + LIFE_MS,
        };
        let changes = Changes::new().create(&secret::hash(&state), &journey)?;
        self.records.commit(changes).await?;
        Ok(Ok(url))
    }

    fn address(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        (state, nonce): (&str, &str),
        challenge: PkceCodeChallenge,
    ) -> Result<String, Trouble> {
        let authorize = AuthUrl::new(metadata.authorization_endpoint.clone()).map_err(told)?;
        let client = self.client_at(provider)?.set_auth_uri(authorize);
        let state = state.to_owned();
        let scopes = provider.scopes.iter().cloned().map(Scope::new);
        let mut request = client
            .authorize_url(|| CsrfToken::new(state))
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .add_extra_param("nonce", nonce);
        for (name, value) in &provider.parameters {
            request = request.add_extra_param(name, value);
        }
        let (url, _state) = request.url();
        Ok(url.to_string())
    }

    fn client_at(&self, provider: &Provider) -> Result<Client, Trouble> {
        let back = format!("{}/auth/federated/callback", self.settings.issuer);
        let client = Client::new(ClientId::new(provider.client_id.clone()))
            .set_redirect_uri(RedirectUrl::new(back).map_err(told)?);
        Ok(match &provider.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
            None => client,
        })
    }

    /// What comes back from a provider, in the browser with this cookie.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn end_journey(
        &self,
        cookie: &str,
        back: &Back<'_>,
        visitor: &Visitor,
    ) -> Result<Arrived, AuthError> {
        let (id, now) = (secret::hash(back.state), self.now());
        let Some(found) = self.records.find_valid::<Journey>(&id, now).await? else {
            return Ok(Arrived::Gone);
        };
        if !secret::same(&found.value.browser, &secret::hash(cookie)) {
            return Ok(Arrived::Gone);
        }
        match self.records.commit(Changes::new().take(&found)).await {
            Err(AuthError::Conflict) => return Ok(Arrived::Gone),
            other => other?,
        }
        let journey = found.value;
        let Some(provider) = self.provider(&journey.provider) else {
            return Ok(Arrived::Gone);
        };
        let identified = match self.identified(provider, &journey, back).await {
            Ok(identified) => identified,
            Err(trouble) => return Ok(failed(provider, &trouble)),
        };
        let Some(user) = self.user_at(provider, &identified).await? else {
            return Ok(Arrived::Stranger(provider.title.clone()));
        };
        let amr = vec!["fed".to_owned()];
        let outcome = self.go_on(user, amr, journey.request, visitor).await?;
        Ok(Arrived::Here(outcome))
    }

    /// Who it is, by the provider's id_token.
    async fn identified(
        &self,
        provider: &Provider,
        journey: &Journey,
        back: &Back<'_>,
    ) -> Result<Identified, Trouble> {
        // RFC 9207: the answer of another provider is not taken for this one's.
        if back.issuer.is_some_and(|issuer| issuer != provider.issuer) {
            return Err("the answer is another provider's".to_owned());
        }
        let code = match (back.error, back.code) {
            (Some(error), _) => return Err(format!("it answers {error:?}")),
            (None, Some(code)) => AuthorizationCode::new(code.to_owned()),
            (None, None) => return Err("it gives no code".to_owned()),
        };
        let metadata = self.metadata(provider).await?;
        let token = TokenUrl::new(metadata.token_endpoint.clone()).map_err(told)?;
        let client = self.client_at(provider)?.set_token_uri(token);
        let verifier = self
            .master
            .open(VERIFIER, &journey.verifier)
            .map_err(told)?;
        let verifier = String::from_utf8(verifier).map_err(told)?;
        let fetcher = self.fetcher.clone().ok_or("nothing is fetched here")?;
        let answer = client
            .exchange_code(code)
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .request_async(&Http(fetcher))
            .await
            .map_err(|error| format!("it gives no token: {error}"))?;
        let token = answer.extra_fields().id_token.as_deref();
        let token = token.ok_or("it gives no id_token")?;
        self.check_id_token(provider, &metadata, token, &journey.nonce)
            .await
    }
}

/// What a provider sends the browser back with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Back<'b> {
    /// `state`
    pub state: &'b str,
    /// `code`
    pub code: Option<&'b str>,
    /// `error`
    pub error: Option<&'b str>,
    /// `iss`
    pub issuer: Option<&'b str>,
}

fn failed(provider: &Provider, trouble: &str) -> Arrived {
    let name = &provider.name;
    tracing::warn!(
        provider = name,
        trouble,
        "a log-in at a provider did not work"
    );
    Arrived::Failed(
        "The log-in at the other organization did not work. Try again, or ask whoever manages \
         this server.",
    )
}
