//! Breaking the glass: a patient outside of one's care, with a reason, for an hour.

use super::{
    Auth,
    bearer::Admitted,
    error::AuthError,
    grant::{self, Context, Grant, Subject},
    issue::Answer,
    scope::{Level, Scopes},
    secret,
};

/// Milliseconds for which the glass is broken.
pub const LIFE_MS: i64 = 60 * 60_000;

impl Auth {
    /// A token with which the holder of another reaches one patient outside of their care. It
    /// ends after an hour, and with the log-in of the first.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn break_glass(
        &self,
        admitted: &Admitted,
        patient: &str,
        reason: &str,
    ) -> Result<Answer, AuthError> {
        let now = self.now();
        let scopes = admitted
            .scopes
            .resources()
            .filter(|scope| scope.level == Level::User);
        let scopes = scopes.cloned().map(super::scope::Scope::Resource).collect();
        let first = match &admitted.grant {
            Some(id) => self.records().find::<Grant>(id).await?,
            None => None,
        };
        let grant = Grant {
            subject: Subject::User(admitted.identity.user.clone().unwrap_or_default()),
            client: admitted.identity.client.clone().unwrap_or_default(),
            scopes: Scopes(scopes).to_string(),
            context: Context {
                patient: Some(patient.to_owned()),
                ..Context::default()
            },
            session: first.and_then(|grant| grant.value.session),
            broken_glass: Some(reason.to_owned()),
            identified: false,
            created: now,
            expires: Some(now + LIFE_MS),
        };
        let id = secret::fresh_id()?;
        let (text, changes) = grant::new_access(&id, grant.scopes.clone(), now + LIFE_MS)?;
        self.records().commit(changes.create(&id, &grant)?).await?;
        let mut answer = Answer::new();
        answer.insert("access_token".to_owned(), text.into());
        answer.insert("token_type".to_owned(), "Bearer".into());
        answer.insert("expires_in".to_owned(), (LIFE_MS / 1_000).into());
        answer.insert("scope".to_owned(), grant.scopes.into());
        answer.insert("patient".to_owned(), patient.into());
        Ok(answer)
    }
}
