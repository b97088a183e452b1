//! Key sets of others (RFC 7517): those of clients, inline or at a URL, and of other issuers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::{Auth, client::Client, refusal::Refusal};

/// Milliseconds for which a key set is kept whose server says nothing about that.
const DEFAULT_MS: i64 = 60_000;
/// Milliseconds for which a key set is kept at most.
const LONGEST_MS: i64 = 3_600_000;
/// Milliseconds between two looks for a key that is not in a set: it may be new.
const PAUSE_MS: i64 = 30_000;
/// Key sets that are kept at a time.
const KEPT: usize = 1_000;

#[derive(Debug, Clone)]
struct Kept {
    keys: Arc<Vec<Value>>,
    at: i64,
    until: i64,
}

/// Key sets that were fetched, by their URLs.
#[derive(Debug, Default)]
pub struct Fetched(Mutex<HashMap<String, Kept>>);

impl Fetched {
    fn get(&self, url: &str) -> Option<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(url).cloned()
    }

    fn put(&self, url: &str, one: Kept) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(url.to_owned(), one);
    }
}

/// The keys of a set that is there.
pub fn keys(set: &Value) -> Vec<Value> {
    let keys = set["keys"].as_array();
    keys.cloned().unwrap_or_default()
}

impl Auth {
    /// The keys with which a client signs, as far as they may have this `kid`.
    ///
    /// # Errors
    /// `invalid_client` if its key set cannot be fetched.
    pub(super) async fn keys_of_client(
        &self,
        client: &Client,
        kid: &str,
    ) -> Result<Vec<Value>, Refusal> {
        let mut all = client.jwks.as_ref().map(keys).unwrap_or_default();
        if let Some(url) = &client.jwks_uri {
            let fetched = self.keys_at(url, kid).await.map_err(|reason| {
                tracing::warn!(url, reason, "the keys of a client cannot be fetched");
                Refusal::new(
                    "invalid_client",
                    "The registered jwks_uri of the client cannot be read; see that it answers \
                     with a JWK Set over https.",
                )
            })?;
            let new = fetched.iter().filter(|key| !all.contains(key));
            let new: Vec<Value> = new.cloned().collect();
            all.extend(new);
        }
        Ok(all)
    }

    /// The keys at a URL: kept no longer than its server allows, and looked up again if there is
    /// none with this `kid`.
    ///
    /// # Errors
    /// Why they cannot be fetched.
    pub(super) async fn keys_at(&self, url: &str, kid: &str) -> Result<Arc<Vec<Value>>, String> {
        let now = self.now();
        if let Some(kept) = self.fetched.get(url)
            && now < kept.until
        {
            let has = kept.keys.iter().any(|key| key["kid"] == kid);
            if has || now < kept.at + PAUSE_MS {
                return Ok(kept.keys);
            }
        }
        let fetcher = self.fetcher.as_ref().ok_or("nothing is fetched here")?;
        let fetched = fetcher
            .get_json(url)
            .await
            .map_err(|error| error.to_string())?;
        let set: Value = fetched.json().map_err(|error| error.to_string())?;
        let keys = Arc::new(keys(&set));
        let allowed = fetched.max_age.map_or(DEFAULT_MS, |age| {
            i64::try_from(age.as_millis()).unwrap_or(LONGEST_MS)
        });
        if allowed > 0 {
            let kept = Kept {
                keys: Arc::clone(&keys),
                at: now,
                until: now + allowed.min(LONGEST_MS),
            };
            self.fetched.put(url, kept);
        }
        Ok(keys)
    }
}
