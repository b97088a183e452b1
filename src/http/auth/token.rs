//! `POST token`

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::Value;

use super::{
    super::{Reply, authenticate, failure::Failure},
    Visit, form, json,
    oauth_error::OAuthError,
};
use crate::auth::{
    client::Client, credentials::Credentials, parameters::Parameters, records::Found,
    refusal::Refusal,
};

/// Answers a request for tokens.
///
/// # Errors
/// The body cannot be read.
pub async fn answer(visit: &Visit<'_>, body: Body) -> Result<Reply, Failure> {
    if visit.parts.method != Method::POST {
        let error = OAuthError::new("invalid_request", "Tokens are asked for with POST.");
        let mut reply = error.reply();
        let allow = HeaderValue::from_static("POST, OPTIONS");
        reply.headers_mut().insert(header::ALLOW, allow);
        return Ok(reply);
    }
    let parameters = match form::of_body(visit, body).await? {
        Ok(parameters) => parameters,
        Err(error) => return Ok(error.reply()),
    };
    Ok(match tokens(visit, &parameters).await {
        Ok(answer) => private(&Value::Object(answer)),
        Err(refusal) => OAuthError::from(refusal).reply(),
    })
}

async fn tokens(
    visit: &Visit<'_>,
    parameters: &Parameters,
) -> Result<crate::auth::issue::Answer, Refusal> {
    parameters.check_once()?;
    let auth = visit.auth;
    match parameters.need("grant_type")? {
        "authorization_code" => {
            let client = client(visit, parameters, "token").await?;
            auth.for_code(&client, parameters).await
        }
        "refresh_token" => {
            let client = client(visit, parameters, "token").await?;
            let address = authenticate::address(visit.parts);
            let address = address.map_or(String::new(), |address| address.to_string());
            auth.for_refresh(&client, parameters, &address).await
        }
        "client_credentials" => {
            let client = client(visit, parameters, "token").await?;
            auth.for_client(&client, parameters).await
        }
        _ => Err(Refusal::new(
            "unsupported_grant_type",
            "The grant_type must be authorization_code, refresh_token or client_credentials.",
        )),
    }
}

/// The client that sends a request to the endpoint `name`.
///
/// # Errors
/// `invalid_client`
pub async fn client(
    visit: &Visit<'_>,
    parameters: &Parameters,
    name: &str,
) -> Result<Found<Client>, Refusal> {
    let header = visit.parts.headers.get(header::AUTHORIZATION);
    let endpoint = visit.auth.endpoint(name);
    let credentials = Credentials {
        authorization: header.map(|value| value.to_str().unwrap_or_default()),
        parameters,
        endpoint: &endpoint,
    };
    visit.auth.authenticate(credentials).await
}

/// JSON for one client only, which nobody may keep.
pub fn private(value: &Value) -> Reply {
    let mut reply = json(StatusCode::OK, value);
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}
