//! Who sends a request: the token in its head, and the decision that comes with it.

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, StatusCode, header, request::Parts};

use super::{Server, client::ClientAddress, failure::Failure};
use crate::{
    access::{Access, Caller, Identity},
    audit::{Code, Outcome},
    auth::{
        AuthError,
        bearer::{Admitted, Refused},
    },
};

/// The address of the client.
pub fn address(parts: &Parts) -> Option<IpAddr> {
    let ClientAddress(client) = parts.extensions.get()?;
    Some(*client)
}

/// What the sender of a request may see and do. While the server is open: everything.
///
/// # Errors
/// 401, or 503 if the token cannot be looked up.
pub async fn access(server: &Server, parts: &Parts, request: &str) -> Result<Access, Failure> {
    let address = address(parts);
    let (access, identity) = match &server.settings.auth {
        None => (
            Access::system("the server is open to all"),
            Arc::<Identity>::default(),
        ),
        Some(_) => {
            let admitted = admitted(server, parts).await?;
            (admitted.access.clone(), Arc::clone(&admitted.identity))
        }
    };
    Ok(access.by(Arc::new(Caller {
        identity,
        address,
        request: request.to_owned(),
    })))
}

/// Who holds the token of a request.
///
/// # Errors
/// As [`access`]; 429 if client or user sends too much; 404 while the server is open, which has no authorization server.
pub async fn admitted(server: &Server, parts: &Parts) -> Result<Arc<Admitted>, Failure> {
    let auth = server.settings.auth.as_ref().ok_or_else(Failure::is_open)?;
    let token = bearer(&parts.headers)?;
    match auth.admit(token, address(parts)).await {
        Ok(admitted) => {
            server.rates.check_caller(&admitted.identity)?;
            Ok(admitted)
        }
        Err(Refused::Invalid) => Err(Failure::bad_token()),
        Err(Refused::Failed(error)) => Err(error.into()),
    }
}

/// Records that somebody was not let in: without what the request asked for, which may be anything.
///
/// # Errors
/// The audit takes no more.
pub async fn record_denial(
    server: &Server,
    parts: &Parts,
    request: &str,
    failure: &Failure,
) -> Result<(), Failure> {
    if failure.status != StatusCode::UNAUTHORIZED {
        return Ok(());
    }
    let nobody = Caller {
        identity: Arc::default(),
        address: address(parts),
        request: request.to_owned(),
    };
    let event = server.engine.event(&nobody, Code::Denied, Outcome::Serious);
    let recorder = server.engine.recorder();
    let done = recorder.record(&event.saying("401 login")).await;
    done.map_err(|error| crate::engine::Error::from(error).into())
}

/// What stands after `Bearer `.
fn bearer(headers: &HeaderMap) -> Result<&str, Failure> {
    /// Tokens of this server are shorter; those of other issuers are not much longer.
    const LONGEST: usize = 8_192;
    let value = headers.get(header::AUTHORIZATION);
    let value = value.ok_or_else(Failure::no_token)?;
    let text = value.to_str().map_err(|_| Failure::bad_token())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(Failure::bad_token)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > LONGEST {
        return Err(Failure::bad_token());
    }
    Ok(token)
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        let status = match error {
            AuthError::Store(error) => return crate::engine::Error::from(error).into(),
            AuthError::Engine(error) => return error.into(),
            AuthError::Conflict => StatusCode::CONFLICT,
            AuthError::Unknown(..) => StatusCode::NOT_FOUND,
            AuthError::Unfit(problems) => return Self::unfit(&problems),
            AuthError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            AuthError::NoRandomness | AuthError::Damaged(_) | AuthError::MasterKey(_) => {
                tracing::error!(%error, "the authorization server failed");
                return Self::fault();
            }
        };
        let code = match status {
            StatusCode::CONFLICT => "conflict",
            StatusCode::NOT_FOUND => "not-found",
            _ => "invalid",
        };
        Self::new(status, code, error.to_string())
    }
}
