//! EHR launches: what an EHR tells of its context before it opens an app (SMART App Launch 2.2.0,
//! "Launch App: EHR Launch").

use serde::{Deserialize, Serialize};

use super::{
    Auth,
    error::AuthError,
    grant::Context,
    records::{Changes, Found, Kept},
    secret,
};

/// Milliseconds until an app must have asked.
pub const LIFE_MS: i64 = 5 * 60_000;

/// A launch; its name is the hash of its handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// The app that is opened.
    pub client: String,
    /// The user who opens it; anybody who may see the patient, if the EHR does not say.
    pub user: Option<String>,
    /// What is open.
    pub context: Context,
    /// Milliseconds since 1970.
    pub created: i64,
}

impl Kept for Launch {
    const KIND: i64 = 22;
    const NAME: &'static str = "launch";

    fn owner(&self) -> &str {
        &self.client
    }

    fn expires(&self) -> Option<i64> {
        Some(self.created + LIFE_MS)
    }
}

impl Auth {
    /// Keeps a launch; gives its handle.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn launch(&self, launch: &Launch) -> Result<String, AuthError> {
        let handle = secret::fresh("")?;
        let changes = Changes::new().create(&secret::hash(&handle), launch)?;
        self.records().commit(changes).await?;
        Ok(handle)
    }

    /// The launch with this handle, if it is for this client and still waits.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn launched(
        &self,
        handle: &str,
        client: &str,
    ) -> Result<Option<Found<Launch>>, AuthError> {
        let (id, now) = (secret::hash(handle), self.now());
        let found = self.records().find_valid::<Launch>(&id, now).await?;
        Ok(found.filter(|launch| launch.value.client == client))
    }

    /// What uses a launch up: once. Its time is not looked at: it was when the app asked.
    pub(super) async fn used_launch(&self, id: &str) -> Result<Changes, AuthError> {
        match self.records().find::<Launch>(id).await? {
            Some(found) => Ok(Changes::new().take(&found)),
            None => Err(AuthError::Invalid(
                "The app was launched with a handle that was used before; launch it again."
                    .to_owned(),
            )),
        }
    }
}
