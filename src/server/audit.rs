//! The audit's seals and anchors, of which the engine knows nothing.

use std::{sync::Arc, time::Duration};

use super::StartError;
use crate::{
    audit::{AnchorSigner, Anchors, Sealer},
    clock::SystemClock,
    config::Config,
    store::Store,
};

/// Begins to seal and to anchor.
///
/// # Errors
/// The anchors or their key cannot be read or made.
pub fn start(config: &Config, store: &Arc<Store>) -> Result<Arc<Sealer>, StartError> {
    let url = config.store_url()?;
    let signer = AnchorSigner::from_file(&config.audit.anchor_key(&url))?;
    let anchors = Anchors::open(&config.audit.anchors(&url), signer)?;
    Ok(Sealer::start(
        Arc::clone(store),
        Arc::new(SystemClock::default()),
        Some(anchors),
        Duration::from_secs(config.audit.anchor_seconds.into()),
    ))
}
