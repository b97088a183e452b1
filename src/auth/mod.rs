//! Who somebody is and what they may do: the authorization server. It yields [`Access`] values;
//! the engine never sees a token.
//!
//! What it keeps are records ([`records`]), each kind a type: users, roles, clients, sessions,
//! grants and tokens. Secrets that need not be read again are kept as hashes, others sealed under
//! a master key that is not in the database ([`sealed`]).
//!
//! [`Access`]: crate::access::Access

mod assertion;
pub mod authorize;
pub mod bearer;
pub mod brand;
pub mod client;
pub mod code;
pub mod consent;
pub mod credentials;
pub mod decide;
mod error;
pub mod external;
pub mod federated;
pub mod glass;
pub mod grant;
pub mod introspect;
pub mod issue;
mod jwks;
mod jws;
pub mod keys;
pub mod launch;
pub mod login;
pub mod manage;
pub mod origins;
pub mod parameters;
pub mod password;
pub mod records;
pub mod refusal;
pub mod request;
pub mod reset;
mod revoke;
pub mod role;
pub mod scope;
pub mod sealed;
pub mod secret;
pub mod selection;
pub mod session;
pub mod throttle;
pub mod totp;
pub mod upkeep;
pub mod user;

use std::sync::Arc;

pub use error::{AuthError, Problem};

use crate::{clock::Clock, engine::Engine, fetch::Fetcher, store::Store};
use bearer::Decisions;
use brand::Brand;
use consent::Consents;
use external::External;
use federated::Provider;
use jwks::Fetched;
use keys::Keys;
use manage::Management;
use origins::Origins;
use password::Passwords;
use records::Records;
use sealed::MasterKey;

/// What an operator decides about the authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The issuer of OpenID Connect: the server's URL without path, or with the path before
    /// `/fhir`. The endpoints are under it, at `/auth/…`.
    pub issuer: String,
    /// The FHIR base URL: the only `aud` there is.
    pub base_url: String,
    /// Seconds that an access token of a user lives.
    pub user_token_seconds: u32,
    /// Seconds that an access token of a backend service lives.
    pub backend_token_seconds: u32,
    /// Days that a refresh token for `offline_access` lives after its last use.
    pub offline_days: u32,
    /// The organization, as patient apps show it.
    pub brand: Brand,
    /// Other issuers whose tokens are taken.
    pub external: Vec<External>,
}

/// The authorization server.
pub struct Auth {
    settings: Settings,
    records: Records,
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    master: Arc<MasterKey>,
    keys: Keys,
    decisions: Decisions,
    management: Management,
    passwords: Passwords,
    consents: Consents,
    fetcher: Option<Arc<Fetcher>>,
    fetched: Fetched,
    providers: Vec<Provider>,
    origins: Origins,
}

/// The setting by which a master key is recognized.
const CHECK: &str = "master-key-check";

/// Whether a store was ever used with a master key.
///
/// # Errors
/// The store refuses.
pub async fn has_master_key(store: &Store) -> Result<bool, AuthError> {
    Ok(store.setting(CHECK).await?.is_some())
}

impl Auth {
    /// The authorization server over an open store.
    ///
    /// # Errors
    /// [`AuthError::MasterKey`] if the store was used with another master key; the store refuses.
    pub async fn open(
        settings: Settings,
        store: Arc<Store>,
        engine: Arc<Engine>,
        clock: Arc<dyn Clock>,
        master: MasterKey,
    ) -> Result<Self, AuthError> {
        let check = master.seal(CHECK, b"rotunda")?;
        let kept = store.setting_or(CHECK, &check).await?;
        master.open(CHECK, &kept)?;
        let records = Records::new(store);
        let passwords = Passwords::default();
        let settings = Settings {
            brand: settings.brand.or_server(&settings.issuer),
            ..settings
        };
        let auth = Self {
            settings,
            management: Management::new(records.clone(), passwords.clone(), Arc::clone(&clock)),
            records,
            engine,
            clock,
            master: Arc::new(master),
            keys: Keys::default(),
            decisions: Decisions::default(),
            passwords,
            consents: Consents::default(),
            fetcher: None,
            fetched: Fetched::default(),
            providers: Vec::new(),
            origins: Origins::default(),
        };
        auth.tend_keys().await?;
        Ok(auth)
    }

    /// The same, able to fetch the keys that clients and other issuers publish.
    #[must_use]
    pub fn with_fetcher(mut self, fetcher: Arc<Fetcher>) -> Self {
        self.fetcher = Some(fetcher);
        self
    }

    /// The same, with log-in through these providers.
    #[must_use]
    pub fn with_providers(mut self, providers: Vec<Provider>) -> Self {
        self.providers = providers;
        self
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is kept.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// What administrators do.
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// The engine, for what pages show of resources.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn master_key(&self) -> Arc<MasterKey> {
        Arc::clone(&self.master)
    }

    /// The key that seals.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// What makes and checks hashes of passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }
}
