//! The providers of federated log-in from their configuration.

use super::StartError;
use crate::{
    auth::federated::Provider,
    config::{Config, ConfigError, Oidc},
};

/// The providers, with their secrets.
///
/// # Errors
/// The file of a secret cannot be read.
pub fn providers(config: &Config) -> Result<Vec<Provider>, StartError> {
    config.auth.oidc.iter().map(provider).collect()
}

fn provider(oidc: &Oidc) -> Result<Provider, StartError> {
    let client_secret = match &oidc.client_secret_file {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
                place: path.display().to_string(),
                key: "auth.oidc.client_secret_file".to_owned(),
                reason: format!("cannot be read: {error}"),
            })?;
            Some(text.trim().to_owned())
        }
    };
    Ok(Provider {
        name: oidc.name.clone(),
        title: oidc.title.clone().unwrap_or_else(|| oidc.name.clone()),
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret,
        scopes: oidc.scopes.clone(),
        parameters: oidc.parameters.clone(),
        roles_claim: oidc.roles_claim.clone(),
        roles: oidc.roles.clone(),
        create_users: oidc.create_users,
    })
}
