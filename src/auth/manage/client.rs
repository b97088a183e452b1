//! Clients: SMART apps and backend services.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Made, Managed, Management, When, Wish,
    form::{Form, wrong_jwks_uri, wrong_key, wrong_name, wrong_origin, wrong_redirect, wrong_web},
    jwks, refuse,
};
use crate::auth::{
    client::{Client, HashedSecret, Proof},
    error::{AuthError, Problem},
    grant::{self, Grant},
    records::{Changes, Found},
    scope::Level,
    secret,
};

/// What an administrator writes of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientDraft {
    /// See [`Client::name`].
    pub name: String,
    /// See [`Client::jwks`].
    pub jwks: Option<Value>,
    /// See [`Client::jwks_uri`].
    pub jwks_uri: Option<String>,
    /// See [`Client::redirect_uris`].
    pub redirect_uris: Vec<String>,
    /// See [`Client::launch_uri`].
    pub launch_uri: Option<String>,
    /// See [`Client::origins`].
    pub origins: Vec<String>,
    /// See [`Client::scopes`].
    pub scopes: Vec<String>,
    /// See [`Client::access_seconds`].
    pub access_seconds: Option<u32>,
    /// See [`Client::trusted`].
    pub trusted: bool,
    /// See [`Client::contact`].
    pub contact: Option<String>,
    /// See [`Client::disabled`].
    pub disabled: bool,
}

/// Letters of a secret's hash by which it is told from others.
const HANDLE: usize = 8;
/// Secrets that a client has at a time.
const SECRETS: usize = 5;

impl Managed for Client {
    type Draft = ClientDraft;
    const FACTS: &'static [&'static str] = &["proof", "secrets", "created"];
    const WISHES: &'static [&'static str] = &["id", "confidential"];

    fn draft(&self) -> ClientDraft {
        ClientDraft {
            name: self.name.clone(),
            jwks: self.jwks.clone(),
            jwks_uri: self.jwks_uri.clone(),
            redirect_uris: self.redirect_uris.clone(),
            launch_uri: self.launch_uri.clone(),
            origins: self.origins.clone(),
            scopes: self.scopes.clone(),
            access_seconds: self.access_seconds,
            trusted: self.trusted,
            contact: self.contact.clone(),
            disabled: self.disabled,
        }
    }

    fn facts(&self) -> Vec<Value> {
        let proof = match self.proof() {
            Proof::None => "none",
            Proof::Secret => "secret",
            Proof::Key => "key",
        };
        let secrets = self
            .secrets
            .iter()
            .map(|kept| json!({ "id": handle(kept), "expires": kept.expires.map(When) }));
        vec![json!(proof), secrets.collect(), json!(When(self.created))]
    }

    async fn create(
        desk: &Management,
        wish: &Wish,
        draft: ClientDraft,
    ) -> Result<Made<Self>, AuthError> {
        let wrong = wish.id.as_deref().and_then(wrong_key);
        refuse(
            wrong
                .map(|reason| Problem::new("id", reason))
                .into_iter()
                .collect(),
        )?;
        check(&draft, wish.confidential)?;
        let mut client = Self {
            created: desk.now(),
            ..Self::default()
        };
        write(draft, &mut client);
        let mut secrets = Vec::new();
        if wish.confidential {
            secrets.push(("secret", add_secret(&mut client)?));
        }
        let id = match &wish.id {
            Some(id) => id.clone(),
            None => secret::fresh_id()?,
        };
        match desk
            .records
            .commit(Changes::new().create(&id, &client)?)
            .await
        {
            Err(AuthError::Conflict) => {
                let taken = Problem::new("id", "is taken by another client; choose another");
                return Err(AuthError::Unfit(vec![taken]));
            }
            other => other?,
        }
        let found = Found {
            id,
            version: 1,
            value: client,
        };
        Ok(Made { found, secrets })
    }

    async fn replace(
        desk: &Management,
        old: Found<Self>,
        draft: ClientDraft,
    ) -> Result<Found<Self>, AuthError> {
        check(&draft, !old.value.secrets.is_empty())?;
        let ends = draft.disabled && !old.value.disabled;
        let mut new = old;
        write(draft, &mut new.value);
        let mut changes = Changes::new().replace(&new)?;
        if ends {
            changes = changes.and(desk.revocations(&new.id).await?);
        }
        desk.records.commit(changes).await?;
        new.version += 1;
        Ok(new)
    }

    async fn remove(desk: &Management, found: Found<Self>) -> Result<(), AuthError> {
        let changes = Changes::new()
            .take(&found)
            .and(desk.revocations(&found.id).await?);
        desk.records.commit(changes).await
    }
}

/// Adds a new secret; gives its text.
fn add_secret(client: &mut Client) -> Result<String, AuthError> {
    let text = secret::fresh("cs_")?;
    client.secrets.push(HashedSecret {
        hash: secret::hash(&text),
        expires: None,
    });
    Ok(text)
}

fn handle(kept: &HashedSecret) -> &str {
    kept.hash.get(..HANDLE).unwrap_or(&kept.hash)
}

fn write(draft: ClientDraft, client: &mut Client) {
    *client = Client {
        name: draft.name,
        jwks: draft.jwks,
        jwks_uri: draft.jwks_uri,
        redirect_uris: draft.redirect_uris,
        launch_uri: draft.launch_uri,
        origins: draft.origins,
        scopes: draft.scopes,
        access_seconds: draft.access_seconds,
        trusted: draft.trusted,
        contact: draft.contact,
        disabled: draft.disabled,
        secrets: std::mem::take(&mut client.secrets),
        created: client.created,
    };
}

fn check(draft: &ClientDraft, has_secret: bool) -> Result<(), AuthError> {
    let mut form = Form::default();
    let no_name = draft
        .name
        .trim()
        .is_empty()
        .then_some("must be there: users are shown it");
    form.check("name", no_name.or_else(|| wrong_name(&draft.name)));
    form.each("redirect_uris", &draft.redirect_uris, |uri| {
        wrong_redirect(uri)
    });
    form.check(
        "launch_uri",
        draft.launch_uri.as_deref().and_then(wrong_web),
    );
    form.each("origins", &draft.origins, |origin| wrong_origin(origin));
    form.scopes("scopes", &draft.scopes);
    form.check("contact", draft.contact.as_deref().and_then(wrong_name));
    form.check(
        "jwks_uri",
        draft.jwks_uri.as_deref().and_then(wrong_jwks_uri),
    );
    if let Some(set) = &draft.jwks {
        jwks::check(&mut form, "jwks", set);
    }
    let both = draft.jwks.is_some() && draft.jwks_uri.is_some();
    form.check(
        "jwks_uri",
        both.then_some("must not be there beside jwks: give one of them"),
    );
    let seconds = draft
        .access_seconds
        .is_none_or(|seconds| (30..=3_600).contains(&seconds));
    form.check(
        "access_seconds",
        (!seconds).then_some("must be from 30 to 3600"),
    );
    let is_public = !has_secret && draft.jwks.is_none() && draft.jwks_uri.is_none();
    let asks = Client {
        scopes: draft.scopes.clone(),
        ..Client::default()
    }
    .allowed();
    let of_system = asks.resources().any(|scope| scope.level == Level::System);
    let reason = "system/ scopes are for clients that prove who they are: give it a secret, jwks \
                  or jwks_uri";
    form.check("scopes", (is_public && of_system).then_some(reason));
    let no_way = is_public && draft.redirect_uris.is_empty();
    let reason = "must not be empty for a public client: its users have to come back to it";
    form.check("redirect_uris", no_way.then_some(reason));
    refuse(form.0)
}

impl Management {
    /// Gives a client another secret; those that it has end after `overlap` milliseconds.
    ///
    /// # Errors
    /// [`AuthError::Conflict`]; [`AuthError::Invalid`]; the store refuses.
    pub async fn add_secret(
        &self,
        mut client: Found<Client>,
        overlap: Option<i64>,
    ) -> Result<Made<Client>, AuthError> {
        let now = self.now();
        let kept = &mut client.value.secrets;
        kept.retain(|one| one.expires.is_none_or(|at| now < at));
        if kept.len() >= SECRETS {
            let reason = format!("a client has at most {SECRETS} secrets; remove one first");
            return Err(AuthError::Invalid(reason));
        }
        if let Some(end) = overlap.map(|overlap| now + overlap) {
            for one in kept.iter_mut() {
                one.expires = Some(one.expires.map_or(end, |at| at.min(end)));
            }
        }
        let text = add_secret(&mut client.value)?;
        self.records
            .commit(Changes::new().replace(&client)?)
            .await?;
        client.version += 1;
        Ok(Made {
            found: client,
            secrets: vec![("secret", text)],
        })
    }

    /// Removes a secret by the beginning of its hash.
    ///
    /// # Errors
    /// [`AuthError::Unknown`]; as [`Managed::replace`].
    pub async fn remove_secret(
        &self,
        mut client: Found<Client>,
        name: &str,
    ) -> Result<Found<Client>, AuthError> {
        let before = client.value.secrets.len();
        client.value.secrets.retain(|kept| handle(kept) != name);
        if client.value.secrets.len() == before {
            return Err(AuthError::Unknown("secret", name.to_owned()));
        }
        let draft = client.value.draft();
        check(&draft, !client.value.secrets.is_empty())?;
        self.records
            .commit(Changes::new().replace(&client)?)
            .await?;
        client.version += 1;
        Ok(client)
    }

    /// What ends everything that a client was granted, by whomever.
    async fn revocations(&self, client: &str) -> Result<Changes, AuthError> {
        let grants = self.records.all::<Grant>(None).await?;
        let its = grants.iter().filter(|found| found.value.client == client);
        Ok(its.fold(Changes::new(), |changes, found| {
            changes.and(grant::removal(&found.id))
        }))
    }
}
