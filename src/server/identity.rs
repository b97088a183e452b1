//! The authorization server from its configuration.

use std::sync::Arc;

use super::{StartError, federated};
use crate::{
    auth::{self, Auth, sealed::MasterKey},
    config::Config,
    engine::Engine,
    fetch::Fetcher,
    http,
    store::Store,
};

/// Opens the authorization server over an open store; the master key is made with the first.
///
/// # Errors
/// The master key is not there or not the right one; the store refuses.
pub async fn open(
    config: &Config,
    base_url: &str,
    store: &Arc<Store>,
    engine: &Arc<Engine>,
) -> Result<Auth, StartError> {
    let path = config.auth.master_key(&config.store_url()?);
    let is_new = !auth::has_master_key(store).await?;
    let master = MasterKey::from_file(&path, is_new)?;
    let settings = auth::Settings {
        brand: config.auth.brand.clone(),
        external: config.auth.external.clone(),
        issuer: issuer(config, base_url),
        base_url: base_url.to_owned(),
        user_token_seconds: config.auth.user_token_seconds,
        backend_token_seconds: config.auth.backend_token_seconds,
        offline_days: config.auth.offline_days,
    };
    let clock = Arc::new(auth::upkeep::clock(store).await?);
    let (store, engine) = (Arc::clone(store), Arc::clone(engine));
    let auth = Auth::open(settings, store, engine, clock, master).await?;
    let fetcher = Fetcher::new(&config.fetch)?;
    let auth = auth.with_fetcher(Arc::new(fetcher));
    Ok(auth.with_providers(federated::providers(config)?))
}

/// The base URL without its `/fhir`, or its origin if it ends otherwise.
fn issuer(config: &Config, base_url: &str) -> String {
    if let Some(issuer) = &config.auth.issuer {
        return issuer.trim_end_matches('/').to_owned();
    }
    if let Some(before) = base_url.strip_suffix(http::BASE_PATH) {
        return before.to_owned();
    }
    let authority = base_url.find("://").map_or(0, |at| at + 3);
    let end = base_url[authority..].find('/');
    end.map_or(base_url, |end| &base_url[..authority + end])
        .to_owned()
}
