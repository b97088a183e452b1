//! Origins of the pages of clients, for CORS (SMART App Launch 2.2.0, "Considerations for
//! Cross-Origin Resource Sharing").

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use url::Url;

use super::{Auth, client::Client, error::AuthError};

/// Milliseconds for which the origins are taken as they were.
const FRESH_MS: i64 = 10_000;
/// Milliseconds between two looks for an origin that is not among them.
const PAUSE_MS: i64 = 1_000;

/// The origins of all clients, and when they were read.
#[derive(Debug, Default)]
pub struct Origins(RwLock<Option<(i64, Arc<HashSet<String>>)>>);

impl Auth {
    /// Whether pages of this origin belong to a client.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn knows_origin(&self, origin: &str) -> Result<bool, AuthError> {
        let now = self.now();
        let kept = {
            let kept = self.origins.0.read();
            kept.unwrap_or_else(PoisonError::into_inner).clone()
        };
        if let Some((at, origins)) = kept {
            let known = origins.contains(origin);
            let pause = if known { FRESH_MS } else { PAUSE_MS };
            if now < at + pause {
                return Ok(known);
            }
        }
        let clients = self.records().all::<Client>(None).await?;
        let enabled = clients.iter().filter(|client| !client.value.disabled);
        let origins: HashSet<String> = enabled.flat_map(|client| of(&client.value)).collect();
        let known = origins.contains(origin);
        let fresh = Some((now, Arc::new(origins)));
        *self
            .origins
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(known)
    }
}

/// The origins of a client: those that are registered, and those of its redirects.
fn of(client: &Client) -> Vec<String> {
    let urls = client.origins.iter().chain(&client.redirect_uris);
    let origins = urls.filter_map(|url| Some(Url::parse(url).ok()?.origin()));
    let on_the_web = origins.filter(url::Origin::is_tuple);
    on_the_web
        .map(|origin| origin.ascii_serialization())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_those_of_pages() {
        let client = Client {
            origins: vec!["https://spa.example/".to_owned(), "nonsense".to_owned()],
            redirect_uris: vec![
                "https://app.example:8443/cb".to_owned(),
                "com.example.app:/cb".to_owned(),
            ],
            ..Client::default()
        };
        assert_eq!(
            of(&client),
            ["https://spa.example", "https://app.example:8443"]
        );
    }
}
