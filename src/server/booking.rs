//! What is tidied of bookings from time to time.

use std::{sync::Weak, time::Duration};

use crate::{config, engine::Engine};

/// How often.
const EVERY: Duration = Duration::from_secs(60);

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
