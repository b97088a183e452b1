//! Tokens that a client gives back (RFC 7009).

use super::{
    Auth,
    client::Client,
    grant::{self, AccessToken, Grant, RefreshToken},
    parameters::Parameters,
    records::{Changes, Found},
    refusal::Refusal,
    secret,
};

impl Auth {
    /// Ends a token of this client: with a refresh token all that came with it, with an access
    /// token what cannot go on without it. One that is unknown has ended already.
    ///
    /// # Errors
    /// `invalid_request` without a token; `unauthorized_client` for another client's.
    pub async fn revoke(
        &self,
        client: &Found<Client>,
        parameters: &Parameters,
    ) -> Result<(), Refusal> {
        let id = secret::hash(parameters.need("token")?);
        let records = self.records();
        let access = records.find::<AccessToken>(&id).await?;
        let refresh = records.find::<RefreshToken>(&id).await?;
        let grant = match (&access, &refresh) {
            (Some(token), _) => &token.value.grant,
            (None, Some(token)) => &token.value.grant,
            (None, None) => return Ok(()),
        };
        let Some(grant) = records.find::<Grant>(grant).await? else {
            return Ok(());
        };
        if grant.value.client != client.id {
            return Err(Refusal::new(
                "unauthorized_client",
                "The token was issued to another client.",
            ));
        }
        let refreshable = records.list::<RefreshToken>(Some(&grant.id), "", 1).await?;
        let changes = match access.is_some() && !refreshable.is_empty() {
            true => Changes::new().remove::<AccessToken>(&id),
            false => grant::removal(&grant.id),
        };
        Ok(records.commit(changes).await?)
    }
}
