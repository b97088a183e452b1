//! Sessions of people in browsers.

use serde_json::{Value, json};

use super::{Management, When};
use crate::auth::{
    error::AuthError,
    grant::{self, Grant},
    records::{Changes, Found},
    session::Session,
};

/// A session as it is shown. Its name is the hash of a cookie, from which nobody gets the cookie.
pub fn shown(found: &Found<Session>) -> Value {
    let session = &found.value;
    json!({
        "id": found.id,
        "user": session.user,
        "created": When(session.created),
        "seen": When(session.seen),
        "authenticated_by": session.amr,
        "address": session.address,
        "agent": session.agent,
    })
}

impl Management {
    /// Sessions in which the browser is still logged in, in the order of names after `after`.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn sessions(
        &self,
        user: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Found<Session>>, AuthError> {
        let now = self.now();
        let lives = |session: &Session| session.is_valid(now);
        self.living(user, after, limit, lives).await
    }

    /// Ends a session, and what apps were granted for its time.
    ///
    /// # Errors
    /// [`AuthError::Unknown`]; the store refuses.
    pub async fn end_session(&self, id: &str) -> Result<(), AuthError> {
        let session = self.records.get::<Session>(id).await?;
        let mut changes = Changes::new().remove::<Session>(id);
        for found in self.records.all::<Grant>(Some(&session.value.user)).await? {
            if found.value.session.as_deref() == Some(id) {
                changes = changes.and(grant::removal(&found.id));
            }
        }
        self.records.commit(changes).await
    }
}
