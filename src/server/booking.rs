//! What is tidied of bookings from time to time, and who looks after those who wait.

use std::{sync::Weak, time::Duration};

use crate::{config, engine::Engine};

/// How often those who wait are looked after if nobody says that there is a reason: what other
/// nodes do, and what ends.
const LOOK: Duration = Duration::from_secs(1);
/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// Offers what becomes free to those who wait, for as long as the engine is there.
pub async fn tend(engine: Weak<Engine>) {
    let Some(wake) = engine.upgrade().map(|engine| engine.waitlist_wake()) else {
        return;
    };
    loop {
        // Either is a reason.
        let _ = tokio::time::timeout(LOOK, wake.notified()).await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        if let Err(error) = engine.tend_waitlist().await {
            tracing::warn!(%error, "those who wait could not be looked after");
            drop(engine);
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Tidies for as long as the engine is there.
pub async fn tidy(engine: Weak<Engine>, scheduling: config::Scheduling) {
    let minutes = i64::from(scheduling.no_show_after_minutes);
    let no_show_after = (minutes > 0).then_some(minutes * 60);
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        match engine.tidy_bookings(no_show_after).await {
            Ok(tidied) => tracing::debug!(?tidied, "bookings were tidied"),
            Err(error) => tracing::warn!(%error, "bookings could not be tidied"),
        }
    }
}
