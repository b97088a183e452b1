//! What a user chose on the way to consent, and what they agreed to before.

use serde::{Deserialize, Serialize};

use super::{
    Auth, AuthError,
    records::{Changes, Found, Kept},
    request::{LIFE_MS, Pending},
    scope::Scopes,
    secret,
    session::Session,
};

/// Days after which somebody is asked again.
const REMEMBERED_MS: i64 = 180 * 86_400_000;

/// The patient and the encounter that a user chose for a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// The Patient's logical id.
    pub patient: Option<String>,
    /// The Encounter's logical id.
    pub encounter: Option<String>,
    /// They were asked for an encounter, and may have chosen none.
    pub encounter_asked: bool,
    /// Milliseconds since 1970.
    pub expires: i64,
}

impl Kept for Selection {
    const KIND: i64 = 35;
    const NAME: &'static str = "selection";

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

/// What a user agreed to and does not want to be asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Agreed {
    user: String,
    /// What could be granted when they were asked.
    asked: String,
    /// To what of it they agreed.
    granted: String,
    expires: i64,
}

impl Kept for Agreed {
    const KIND: i64 = 34;
    const NAME: &'static str = "consent choice";

    fn owner(&self) -> &str {
        &self.user
    }

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

fn selection_key(request: &Found<Pending>, session: &Found<Session>) -> String {
    secret::hash(&format!("{} {}", request.id, session.id))
}

fn agreed_key(user: &str, client: &str) -> String {
    secret::hash(&format!("{user} {client}"))
}

impl Auth {
    /// What the user chose for a request in this session so far.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn selection(
        &self,
        request: &Found<Pending>,
        session: &Found<Session>,
    ) -> Result<Selection, AuthError> {
        let key = selection_key(request, session);
        let found = self.records.find_valid::<Selection>(&key, self.now());
        Ok(found.await?.map(|found| found.value).unwrap_or_default())
    }

    /// Keeps what the user chose.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn select(
        &self,
        request: &Found<Pending>,
        session: &Found<Session>,
        mut selection: Selection,
    ) -> Result<(), AuthError> {
        selection.expires = request.value.created + LIFE_MS;
        let key = selection_key(request, session);
        let changes = Changes::new().set(&key, &selection)?;
        self.records.commit(changes).await
    }

    /// What a user agreed to before for this client, if nothing is asked now that was not asked
    /// then.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn agreed(
        &self,
        user: &str,
        client: &str,
        asked: &Scopes,
    ) -> Result<Option<Scopes>, AuthError> {
        let key = agreed_key(user, client);
        let found = self.records.find_valid::<Agreed>(&key, self.now()).await?;
        Ok(found.and_then(|found| {
            let before = Scopes::parse(&found.value.asked);
            let nothing_new = asked.0.iter().all(|scope| before.has(scope));
            let granted = Scopes::parse(&found.value.granted).within(asked);
            (nothing_new && !granted.0.is_empty()).then_some(granted)
        }))
    }

    /// Remembers what a user agreed to.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn remember(
        &self,
        user: &str,
        client: &str,
        (asked, granted): (&Scopes, &Scopes),
    ) -> Result<(), AuthError> {
        let agreed = Agreed {
            user: user.to_owned(),
            asked: asked.to_string(),
            granted: granted.to_string(),
            expires: self.now() + REMEMBERED_MS,
        };
        let key = agreed_key(user, client);
        let changes = Changes::new().set(&key, &agreed)?;
        self.records.commit(changes).await
    }

    /// Ends what a client was granted by a user, and asks them again next time.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn revoke_app(&self, user: &str, client: &str) -> Result<(), AuthError> {
        let changes = Changes::new().remove::<Agreed>(&agreed_key(user, client));
        self.records.commit(changes).await?;
        let of_it = |grant: &super::grant::Grant| grant.client == client;
        super::grant::remove_all(&self.records, user, of_it).await?;
        Ok(())
    }

    /// Forgets to what a user agreed, for all apps.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn forget_agreed(&self, user: &str) -> Result<(), AuthError> {
        let changes = Changes::new().remove_owned::<Agreed>(user);
        self.records.commit(changes).await
    }
}
