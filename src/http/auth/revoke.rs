//! `POST revoke` and `POST introspect`

use axum::{body::Body, http::header};

use super::{
    super::{Reply, authenticate, failure::Failure},
    Visit, form,
    oauth_error::OAuthError,
    token::{client, private},
};
use crate::auth::{introspect::Asker, parameters::Parameters, refusal::Refusal};

/// Ends a token.
///
/// # Errors
/// The body cannot be read.
pub async fn revoke(visit: &Visit<'_>, body: Body) -> Result<Reply, Failure> {
    let parameters = match form::of_body(visit, body).await? {
        Ok(parameters) => parameters,
        Err(error) => return Ok(error.reply()),
    };
    let revoke = async {
        parameters.check_once()?;
        let client = client(visit, &parameters, "revoke").await?;
        visit.auth.revoke(&client, &parameters).await
    };
    Ok(match revoke.await {
        Ok(()) => Reply::default(),
        Err(refusal) => OAuthError::from(refusal).reply(),
    })
}

/// Says what a token means.
///
/// # Errors
/// The body cannot be read; 401 for a bearer token that is not valid.
pub async fn introspect(visit: &Visit<'_>, body: Body) -> Result<Reply, Failure> {
    let parameters = match form::of_body(visit, body).await? {
        Ok(parameters) => parameters,
        Err(error) => return Ok(error.reply()),
    };
    if is_bearer(visit) {
        let admitted = authenticate::admitted(visit.server, visit.parts).await?;
        return Ok(tell(visit, &parameters, Asker::Bearer(&admitted)).await);
    }
    let client = match client(visit, &parameters, "introspect").await {
        Ok(client) => client,
        Err(refusal) => return Ok(OAuthError::from(refusal).reply()),
    };
    // Who says a public client's name has proven nothing.
    if client.value.proof() == crate::auth::client::Proof::None {
        let error = OAuthError::new(
            "invalid_client",
            "A public client introspects with its access token as Bearer.",
        );
        return Ok(error.reply());
    }
    Ok(tell(visit, &parameters, Asker::Client(&client)).await)
}

fn is_bearer(visit: &Visit<'_>) -> bool {
    let value = visit.parts.headers.get(header::AUTHORIZATION);
    let text = value.and_then(|value| value.to_str().ok());
    text.and_then(|text| text.split_once(' '))
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

async fn tell(visit: &Visit<'_>, parameters: &Parameters, asker: Asker<'_>) -> Reply {
    let told = async {
        parameters.check_once()?;
        let token = parameters.need("token")?;
        Ok::<_, Refusal>(visit.auth.introspect(token, asker).await?)
    };
    match told.await {
        Ok(meaning) => private(&meaning),
        Err(refusal) => OAuthError::from(refusal).reply(),
    }
}
