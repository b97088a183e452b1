//! The first administrator.

use super::Management;
use crate::auth::{
    error::AuthError,
    secret,
    user::{self, User},
};

/// The log-in name of the first administrator.
pub const FIRST_LOGIN: &str = "admin";

/// The first administrator, who was made just now.
#[derive(Debug)]
pub struct First {
    /// The log-in name.
    pub login: &'static str,
    /// The one-time password; kept as a hash only.
    pub password: String,
}

impl Management {
    /// Makes the first administrator if there is no user at all. Of several nodes that start at
    /// the same time on one database, one makes it.
    ///
    /// # Errors
    /// The store refuses; the computer has no randomness.
    pub async fn first_administrator(&self) -> Result<Option<First>, AuthError> {
        if !self.records.list::<User>(None, "", 1).await?.is_empty() {
            return Ok(None);
        }
        let password = secret::fresh_password()?;
        let user = User {
            login: FIRST_LOGIN.to_owned(),
            name: "Administrator".to_owned(),
            roles: vec!["administrator".to_owned()],
            password: Some(self.hash(&password).await?),
            must_change_password: true,
            created: self.now(),
            ..User::default()
        };
        let id = secret::fresh_id()?;
        match self.records.commit(user::creation(&id, &user)?).await {
            Ok(()) => Ok(Some(First {
                login: FIRST_LOGIN,
                password,
            })),
            // Another node was faster: the log-in name is taken.
            Err(AuthError::Conflict) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
