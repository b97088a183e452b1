//! What was authorized, and the tokens that say so.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::AuthError,
    records::{Changes, Decides, Found, Kept, Records},
    secret,
};

/// The launch context (SMART App Launch 2.2.0, "Launch context arrives with your access_token").
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Context {
    /// The Patient's logical id.
    pub patient: Option<String>,
    /// The Encounter's logical id.
    pub encounter: Option<String>,
    /// Further resources: objects with `reference`, `canonical` or `identifier`.
    pub fhir_context: Vec<Value>,
    /// Whether the app must show whose data it shows.
    pub need_patient_banner: Option<bool>,
    /// What the user wants to do in the app.
    pub intent: Option<String>,
    /// Where the style of the EHR is described.
    pub smart_style_url: Option<String>,
    /// The organization whose data it is.
    pub tenant: Option<String>,
}

/// On whose behalf tokens are used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A user, by id.
    User(String),
    /// The client itself: a backend service.
    Client,
    /// Whoever has a token that an administrator made for these roles.
    Roles(Vec<String>),
}

/// An authorization: the tokens that come from it end with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// On whose behalf.
    pub subject: Subject,
    /// The client's id; empty for tokens that an administrator made.
    #[serde(default)]
    pub client: String,
    /// What was granted, in the order of the request. For [`Subject::Roles`] empty means all that
    /// the roles give.
    pub scopes: String,
    /// The launch context.
    #[serde(default)]
    pub context: Context,
    /// The log-in with which it ends (`online_access`, or no refresh token at all).
    #[serde(default)]
    pub session: Option<String>,
    /// The glass was broken for the patient in context: the reason.
    #[serde(default)]
    pub broken_glass: Option<String>,
    /// An id_token was issued with it.
    #[serde(default)]
    pub identified: bool,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970 from which on nothing that comes from it is valid.
    #[serde(default)]
    pub expires: Option<i64>,
}

impl Kept for Grant {
    const KIND: i64 = 8;
    const NAME: &'static str = "grant";
    const DECIDES: Decides = Decides::OnceThere;

    /// The user, for the list of apps that they let in; else the client.
    fn owner(&self) -> &str {
        match &self.subject {
            Subject::User(user) => user,
            Subject::Client | Subject::Roles(_) => &self.client,
        }
    }

    fn expires(&self) -> Option<i64> {
        self.expires
    }
}

/// An access token; its name is its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// What it comes from.
    pub grant: String,
    /// The grant's scopes or fewer.
    pub scopes: String,
    /// Milliseconds since 1970.
    pub expires: i64,
}

impl Kept for AccessToken {
    const KIND: i64 = 9;
    const NAME: &'static str = "access token";
    const DECIDES: Decides = Decides::OnceThere;

    fn owner(&self) -> &str {
        &self.grant
    }

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

/// A refresh token; its name is its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshToken {
    /// What it comes from.
    pub grant: String,
    /// Milliseconds since 1970.
    pub expires: i64,
    /// When and from where it was used. It may be used again from there for a few seconds, for an
    /// answer that got lost; later or from elsewhere, somebody has stolen it, and the grant ends.
    #[serde(default)]
    pub used: Option<(i64, String)>,
}

impl Kept for RefreshToken {
    const KIND: i64 = 10;
    const NAME: &'static str = "refresh token";
    const DECIDES: Decides = Decides::Never;

    fn owner(&self) -> &str {
        &self.grant
    }

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

/// What ends a grant and all tokens that come from it.
pub fn removal(id: &str) -> Changes {
    Changes::new()
        .remove::<Grant>(id)
        .remove_owned::<AccessToken>(id)
        .remove_owned::<RefreshToken>(id)
}

/// Ends all grants of an owner (a user or a client), or those of them that `which` picks.
///
/// # Errors
/// The store refuses.
pub async fn remove_all(
    records: &Records,
    owner: &str,
    which: impl Fn(&Grant) -> bool,
) -> Result<usize, AuthError> {
    let grants = records.all::<Grant>(Some(owner)).await?;
    let chosen = grants.iter().filter(|found| which(&found.value));
    let mut ended = 0;
    for Found { id, .. } in chosen {
        records.commit(removal(id)).await?;
        ended += 1;
    }
    Ok(ended)
}

/// A new access token of a grant: its text, and what keeps it.
///
/// # Errors
/// The computer has no randomness.
pub fn new_access(
    grant: &str,
    scopes: String,
    expires: i64,
) -> Result<(String, Changes), AuthError> {
    let text = secret::fresh("at_")?;
    let kept = AccessToken {
        grant: grant.to_owned(),
        scopes,
        expires,
    };
    let changes = Changes::new().create(&secret::hash(&text), &kept)?;
    Ok((text, changes))
}
