//! A provider, and what it says of itself (OpenID Connect Discovery 1.0).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Auth, Trouble, told};

/// A provider through which one can log in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provider {
    /// Its name in addresses.
    pub name: String,
    /// What the log-in page calls it.
    pub title: String,
    /// Its issuer, letter by letter.
    pub issuer: String,
    /// What this server is called there.
    pub client_id: String,
    /// The secret of this server there.
    pub client_secret: Option<String>,
    /// What is asked for; `openid` among it.
    pub scopes: Vec<String>,
    /// What else is said when the browser is sent there: `acr_values`, `hd`, `aud`.
    pub parameters: BTreeMap<String, String>,
    /// The claim of the id_token that says somebody's roles or groups.
    pub roles_claim: Option<String>,
    /// What roles or groups there are as roles here; others count nothing.
    pub roles: BTreeMap<String, String>,
    /// Whom nobody here knows gets an account. Else only who was linked to one can log in.
    pub create_users: bool,
}

/// What a provider says of itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub jwks_uri: String,
}

impl Auth {
    pub(super) async fn metadata(&self, provider: &Provider) -> Result<Metadata, Trouble> {
        let fetcher = self.fetcher.as_deref().ok_or("nothing is fetched here")?;
        let issuer = provider.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let fetched = fetcher.get_json(&url).await.map_err(told)?;
        let metadata: Metadata = fetched.json().map_err(told)?;
        if metadata.issuer != provider.issuer {
            return Err(format!("it says that its issuer is {:?}", metadata.issuer));
        }
        Ok(metadata)
    }
}
