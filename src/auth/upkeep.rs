//! What the authorization server does by itself from time to time.

use std::{sync::Weak, time::Duration};

use resources::primitive::format_instant;

use super::{Auth, error::AuthError};
use crate::{
    clock::{Clock as _, SystemClock},
    store::Store,
};

/// The setting that holds the latest time that was seen.
const LATEST: &str = "latest-time";

/// How often the time is kept.
const EVERY: Duration = Duration::from_secs(30);

/// Milliseconds for which records stay that have expired: a clock that runs behind must find
/// what was used.
const KEPT_MS: i64 = 3_600_000;

/// The latest time that was seen before a restart: no clock may show less, or what has expired
/// would come to life again.
///
/// # Errors
/// The store refuses.
pub async fn latest_time(store: &Store) -> Result<i64, AuthError> {
    let kept = store.setting(LATEST).await?;
    let bytes = kept.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    Ok(bytes.map_or(0, i64::from_be_bytes))
}

/// The clock of a server that begins: it shows no less than the one before it has shown. If the
/// computer's clock was set back, how much more that was than what was kept is not known, so it is
/// taken to be all that it can be: what expired just before the end stays expired.
///
/// # Errors
/// The store refuses.
pub async fn clock(store: &Store) -> Result<SystemClock, AuthError> {
    let latest = latest_time(store).await?;
    let unkept = i64::try_from(EVERY.as_millis()).unwrap_or(0);
    let is_set_back = SystemClock::default().now() < latest - unkept;
    Ok(SystemClock::not_before(match is_set_back {
        true => latest + unkept,
        false => latest,
    }))
}

impl Auth {
    /// Keeps the time that is shown now, if it is the latest.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn keep_time(&self) -> Result<(), AuthError> {
        let (now, store) = (self.now(), self.records().store());
        if latest_time(store).await? < now {
            store.set_setting(LATEST, &now.to_be_bytes()).await?;
        }
        Ok(())
    }

    /// Keeps the time, removes what has long expired, and makes the next keys when it is time.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn tend(&self) -> Result<(), AuthError> {
        self.keep_time().await?;
        let store = self.records().store();
        store.sweep_records(self.now() - KEPT_MS).await?;
        self.tend_keys().await
    }

    /// When something took the form that it has now, as a FHIR instant.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn changed_at(&self, name: &str, content: &str) -> Result<String, AuthError> {
        let store = self.records().store();
        let kept = store.setting(name).await?;
        let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((of, at)) = kept.as_deref().and_then(|text| text.split_once(' '))
            && of == content
        {
            return Ok(at.to_owned());
        }
        let at = format_instant(self.now());
        let text = format!("{content} {at}");
        store.set_setting(name, text.as_bytes()).await?;
        Ok(at)
    }
}

/// Tends to an authorization server for as long as it is there.
pub async fn tend(auth: Weak<Auth>) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let Some(auth) = auth.upgrade() else { return };
        if let Err(error) = auth.tend().await {
            tracing::warn!(%error, "the upkeep of the authorization server failed");
        }
    }
}
