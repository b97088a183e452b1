//! Authorization requests that are in order and wait for their user: between an app's redirect to
//! `/auth/authorize` and the user's answer on the pages.

use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::{
    Auth,
    client::Client,
    error::AuthError,
    grant::Context,
    records::{Changes, Decides, Found, Kept},
    refusal::OAuthError,
    scope::Scopes,
    secret,
    session::Session,
};

/// Milliseconds that a user has for log-in and consent.
pub const LIFE_MS: i64 = 10 * 60_000;

/// An authorization request that waits for its user. Its name is the hash of what stands in the
/// pages' URLs as `request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// Who asks.
    pub client: String,
    /// Where the answer goes: one of the client's, letter by letter.
    pub redirect_uri: String,
    /// What is asked for, as far as the client may ask for it.
    pub scopes: String,
    /// Given back as it came.
    pub state: Option<String>,
    /// The S256 challenge of PKCE (RFC 7636).
    pub challenge: String,
    /// Goes into the id_token.
    pub nonce: Option<String>,
    /// The launch context, in an EHR launch.
    pub context: Context,
    /// In an EHR launch, the hash of its handle, and the user for whom it is.
    pub launch: Option<(String, Option<String>)>,
    /// The words of OpenID Connect's `prompt`: `none`, `login`, `consent`, `select_account`.
    pub prompt: Vec<String>,
    /// Whom the app expects to log in.
    pub login_hint: Option<String>,
    /// Seconds that a log-in may be old.
    pub max_age: Option<i64>,
    /// Milliseconds since 1970.
    pub created: i64,
}

impl Kept for Pending {
    const KIND: i64 = 20;
    const NAME: &'static str = "authorization request";
    const DECIDES: Decides = Decides::Never;

    fn owner(&self) -> &str {
        &self.client
    }

    fn expires(&self) -> Option<i64> {
        Some(self.created + LIFE_MS)
    }
}

impl Pending {
    /// What is asked for.
    pub fn asked(&self) -> Scopes {
        Scopes::parse(&self.scopes)
    }

    /// True if this log-in is too old for the request, or it wants one of its own, so that the
    /// user must log in again.
    pub fn needs_log_in(&self, session: &Session, now: i64) -> bool {
        let is_for_this = session.created >= self.created;
        let wants_own = self.prompt.iter().any(|word| word == "login");
        let too_old = |seconds: i64| session.created + seconds.saturating_mul(1_000) <= now;
        !is_for_this && (wants_own || self.max_age.is_some_and(too_old))
    }

    /// The redirect that tells the app what went wrong (RFC 6749, section 4.1.2.1).
    pub fn failed(&self, error: &OAuthError) -> String {
        let mut pairs = vec![
            ("error", error.error),
            ("error_description", &error.description),
        ];
        pairs.extend(self.state.as_deref().map(|state| ("state", state)));
        redirect(&self.redirect_uri, &pairs)
    }
}

/// A redirect URI, letter by letter, with these parameters after those that it has.
pub fn redirect(uri: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let query = query.extend_pairs(pairs).finish();
    let mark = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{mark}{query}")
}

impl Auth {
    /// Keeps a request that is in order; gives what stands for it in URLs.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn keep_request(&self, pending: &Pending) -> Result<String, AuthError> {
        let name = secret::fresh("rq_")?;
        let changes = Changes::new().create(&secret::hash(&name), pending)?;
        self.records().commit(changes).await?;
        Ok(name)
    }

    /// The request for which `name` stands in URLs, if it still waits.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn request(&self, name: &str) -> Result<Option<Found<Pending>>, AuthError> {
        let (id, now) = (secret::hash(name), self.now());
        self.records().find_valid(&id, now).await
    }

    /// The client that asks, unless it was disabled meanwhile.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn client(&self, id: &str) -> Result<Option<Found<Client>>, AuthError> {
        let found = self.records().find::<Client>(id).await?;
        Ok(found.filter(|client| !client.value.disabled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_may_be_as_old_as_the_app_allows() {
        let asked = |prompt: &str, max_age: Option<i64>| Pending {
            client: String::new(),
            redirect_uri: String::new(),
            scopes: String::new(),
            state: None,
            challenge: String::new(),
            nonce: None,
            context: Context::default(),
            launch: None,
            prompt: vec![prompt.to_owned()],
            login_hint: None,
            max_age,
            created: 100_000,
        };
        let session = |created: i64| Session {
            user: String::new(),
            created,
            seen: created,
            amr: Vec::new(),
            address: String::new(),
            agent: String::new(),
            csrf: String::new(),
        };
        for (prompt, max_age, began, again) in [
            ("consent", None, 0, false),
            ("login", None, 99_999, true),
            ("login", None, 100_001, false),
            ("", Some(60), 50_000, false),
            ("", Some(60), 30_000, true),
            ("", Some(0), 99_999, true),
            ("", Some(0), 100_001, false),
        ] {
            let found = asked(prompt, max_age).needs_log_in(&session(began), 105_000);
            assert_eq!(found, again, "{prompt} {max_age:?} {began}");
        }
    }

    #[test]
    fn redirects_keep_what_is_registered_and_escape_what_is_added() {
        for (uri, state, expected) in [
            ("https://a.example/cb", "x", "https://a.example/cb?state=x"),
            (
                "https://a.example/cb?k=1",
                "a&b=c\r\n",
                "https://a.example/cb?k=1&state=a%26b%3Dc%0D%0A",
            ),
            (
                "com.example.app:/cb",
                "ü",
                "com.example.app:/cb?state=%C3%BC",
            ),
        ] {
            assert_eq!(redirect(uri, &[("state", state)]), expected);
        }
    }
}
