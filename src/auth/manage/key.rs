//! API keys, for engines that cannot do OAuth.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Made, Managed, Management, When, Wish,
    form::{Form, wrong_name},
    refuse,
};
use crate::auth::{
    client::ApiKey,
    error::AuthError,
    records::{Changes, Found},
    scope::{Level, ResourceScope},
    secret,
};
use crate::network::Network;

/// What an administrator writes of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyDraft {
    /// See [`ApiKey::name`].
    pub name: String,
    /// See [`ApiKey::scopes`].
    pub scopes: Vec<String>,
    /// See [`ApiKey::addresses`].
    pub addresses: Vec<Network>,
    /// See [`ApiKey::expires`].
    pub expires: Option<When>,
}

impl Managed for ApiKey {
    type Draft = KeyDraft;
    const FACTS: &'static [&'static str] = &["last_used", "created"];
    const WISHES: &'static [&'static str] = &[];

    fn draft(&self) -> KeyDraft {
        KeyDraft {
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            addresses: self.addresses.clone(),
            expires: self.expires.map(When),
        }
    }

    fn facts(&self) -> Vec<Value> {
        vec![json!(self.last_used.map(When)), json!(When(self.created))]
    }

    async fn create(desk: &Management, _: &Wish, draft: KeyDraft) -> Result<Made<Self>, AuthError> {
        let (made, changes) = desk.new_key(draft)?;
        desk.records.commit(changes).await?;
        Ok(made)
    }

    async fn replace(
        desk: &Management,
        old: Found<Self>,
        draft: KeyDraft,
    ) -> Result<Found<Self>, AuthError> {
        check(&draft)?;
        let mut new = old;
        write(draft, &mut new.value);
        desk.records.commit(Changes::new().replace(&new)?).await?;
        new.version += 1;
        Ok(new)
    }

    async fn remove(desk: &Management, found: Found<Self>) -> Result<(), AuthError> {
        desk.records.commit(Changes::new().take(&found)).await
    }
}

fn write(draft: KeyDraft, key: &mut ApiKey) {
    key.name = draft.name;
    key.scopes = draft.scopes;
    key.addresses = draft.addresses;
    key.expires = draft.expires.map(|at| at.0);
}

fn check(draft: &KeyDraft) -> Result<(), AuthError> {
    let mut form = Form::default();
    let no_name = draft
        .name
        .trim()
        .is_empty()
        .then_some("must say what the key is for");
    form.check("name", no_name.or_else(|| wrong_name(&draft.name)));
    form.scopes("scopes", &draft.scopes);
    form.each("scopes", &draft.scopes, |text| {
        let other = ResourceScope::parse(text).is_none_or(|scope| scope.level != Level::System);
        other.then_some("a key has system/ scopes only: there is no user behind it")
    });
    let none = draft
        .scopes
        .is_empty()
        .then_some("must not be empty: the key could do nothing");
    form.check("scopes", none);
    refuse(form.0)
}

impl Management {
    fn new_key(&self, draft: KeyDraft) -> Result<(Made<ApiKey>, Changes), AuthError> {
        check(&draft)?;
        let id = secret::fresh_id()?;
        let text = secret::fresh("")?;
        let mut key = ApiKey {
            hash: secret::hash(&text),
            created: self.now(),
            ..ApiKey::default()
        };
        write(draft, &mut key);
        let changes = Changes::new().create(&id, &key)?;
        let secrets = vec![("key", format!("hk_{id}_{text}"))];
        let found = Found {
            id,
            version: 1,
            value: key,
        };
        Ok((Made { found, secrets }, changes))
    }

    /// Makes a key that follows another; the other ends after `overlap` milliseconds.
    ///
    /// # Errors
    /// [`AuthError::Conflict`]; the store refuses.
    pub async fn rotate_key(
        &self,
        mut old: Found<ApiKey>,
        overlap: i64,
    ) -> Result<Made<ApiKey>, AuthError> {
        let now = self.now();
        let length = old.value.expires.map(|at| at - old.value.created);
        let next = KeyDraft {
            // As long as the one before.
            expires: length.map(|length| When(now + length)),
            ..old.value.draft()
        };
        let (made, changes) = self.new_key(next)?;
        let end = now.saturating_add(overlap);
        old.value.expires = Some(old.value.expires.map_or(end, |at| at.min(end)));
        self.records
            .commit(changes.and(Changes::new().replace(&old)?))
            .await?;
        Ok(made)
    }
}
