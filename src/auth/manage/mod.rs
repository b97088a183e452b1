//! What administrators do: users, clients, API keys, roles, tokens and sessions. The command line
//! and the REST API call this and add nothing; it needs no engine and no master key, so that it
//! works beside a running server.

mod client;
mod draft;
mod first;
mod form;
mod jwks;
mod key;
mod last;
pub mod role;
pub mod session;
pub mod token;
mod user;
mod when;

use std::{future::Future, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    error::{AuthError, Problem},
    password::{HashError, Passwords},
    records::{Found, Kept, Records},
};
use crate::clock::Clock;

pub use client::ClientDraft;
pub use draft::{members, merged, read};
pub use first::{FIRST_LOGIN, First};
pub use key::KeyDraft;
pub use role::RoleDraft;
pub use token::TokenOrder;
pub use user::{ExternalDraft, ProxyDraft, UserDraft};
pub use when::{When, duration};

/// The records of the authorization server, for administrators.
#[derive(Clone)]
pub struct Management {
    records: Records,
    passwords: Passwords,
    clock: Arc<dyn Clock>,
}

/// What was made, with the secrets that are shown this once.
#[derive(Debug)]
pub struct Made<T> {
    /// As it is kept.
    pub found: Found<T>,
    /// Name and text of each secret: `password`, `secret`, `key`.
    pub secrets: Vec<(&'static str, String)>,
}

/// What an administrator chooses when something is made, beside the draft.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    /// Its name, instead of one that the server makes.
    pub id: Option<String>,
    /// A user's password, instead of a one-time password.
    pub password: Option<String>,
    /// A client gets a secret.
    pub confidential: bool,
}

/// A kind of record that administrators make, change and remove.
pub trait Managed: Kept + Clone {
    /// What they write of it.
    type Draft: Serialize + DeserializeOwned + Default + Send + Sync + 'static;
    /// What is shown beside the draft; in a draft it is not looked at, so that what was read can
    /// be written back.
    const FACTS: &'static [&'static str];

    /// What of a [`Wish`] is looked at.
    const WISHES: &'static [&'static str];

    /// What they wrote of it.
    fn draft(&self) -> Self::Draft;

    /// The facts, in the order of their names in [`Managed::FACTS`].
    fn facts(&self) -> Vec<Value>;

    /// Makes one.
    ///
    /// # Errors
    /// [`AuthError::Unfit`], [`AuthError::Invalid`]; the store refuses.
    fn create(
        desk: &Management,
        wish: &Wish,
        draft: Self::Draft,
    ) -> impl Future<Output = Result<Made<Self>, AuthError>> + Send;

    /// Writes another draft over one as it was read.
    ///
    /// # Errors
    /// [`AuthError::Conflict`] if it has changed since; as [`Managed::create`].
    fn replace(
        desk: &Management,
        old: Found<Self>,
        draft: Self::Draft,
    ) -> impl Future<Output = Result<Found<Self>, AuthError>> + Send;

    /// Removes one as it was read, and what goes with it: sessions, grants, tokens.
    ///
    /// # Errors
    /// As [`Managed::replace`].
    fn remove(
        desk: &Management,
        found: Found<Self>,
    ) -> impl Future<Output = Result<(), AuthError>> + Send;

    /// One by its name.
    ///
    /// # Errors
    /// [`AuthError::Unknown`]; the store refuses.
    fn get(
        desk: &Management,
        id: &str,
    ) -> impl Future<Output = Result<Found<Self>, AuthError>> + Send {
        desk.records.get(id)
    }

    /// Some in the order of their names after `after`.
    ///
    /// # Errors
    /// The store refuses.
    fn list(
        desk: &Management,
        after: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Found<Self>>, AuthError>> + Send {
        desk.records.list(None, after, limit)
    }
}

/// One as it is shown: its name, what administrators wrote of it, the facts, and its version.
/// Never a secret, nor the hash of one.
pub fn shown<T: Managed>(found: &Found<T>) -> Value {
    let mut all = Map::new();
    all.insert("id".to_owned(), json!(found.id));
    if let Ok(Value::Object(draft)) = serde_json::to_value(found.value.draft()) {
        all.extend(draft);
    }
    for (name, fact) in T::FACTS.iter().zip(found.value.facts()) {
        all.insert((*name).to_owned(), fact);
    }
    all.insert("version".to_owned(), json!(found.version));
    Value::Object(all)
}

impl Management {
    /// What administrators do with these records.
    pub fn new(records: Records, passwords: Passwords, clock: Arc<dyn Clock>) -> Self {
        Self {
            records,
            passwords,
            clock,
        }
    }

    /// What is kept.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Up to `limit` of a kind behind `after` that `lives` lets through.
    async fn living<T: Kept>(
        &self,
        owner: Option<&str>,
        after: &str,
        limit: usize,
        lives: impl Fn(&T) -> bool,
    ) -> Result<Vec<Found<T>>, AuthError> {
        let mut after = after.to_owned();
        let mut all = Vec::new();
        loop {
            let page = self.records.list::<T>(owner, &after, limit).await?;
            let is_last = page.len() < limit;
            if let Some(last) = page.last() {
                after.clone_from(&last.id);
            }
            all.extend(page.into_iter().filter(|found| lives(&found.value)));
            if is_last || all.len() >= limit {
                all.truncate(limit);
                return Ok(all);
            }
        }
    }

    /// A password's hash.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] if too many wait for theirs.
    pub async fn hash(&self, password: &str) -> Result<String, AuthError> {
        match self.passwords.hash(password).await {
            Ok(hash) => Ok(hash),
            Err(HashError::Failed(error)) => Err(error),
            Err(busy @ HashError::Busy) => Err(AuthError::Invalid(busy.to_string())),
        }
    }
}

/// All problems as one error, if there are any.
fn refuse(problems: Vec<Problem>) -> Result<(), AuthError> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(AuthError::Unfit(problems)),
    }
}
