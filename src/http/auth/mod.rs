//! The authorization server over HTTP: what apps call (OAuth 2.0, OpenID Connect, SMART App
//! Launch), and the pages that people see.

mod authorize;
mod brands;
mod cookie;
mod discovery;
mod endpoint;
mod form;
mod glass;
mod launch;
mod oauth_error;
mod pages;
mod revoke;
mod token;
mod userinfo;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header, request::Parts},
};

use super::{BASE_PATH, Reply, Server, cors, failure::Failure, head, load::Working};
use crate::auth::Auth;
use endpoint::Endpoint;

/// The path of the endpoints and pages.
pub const PATH: &str = "/auth";

/// Where discovery is, under the FHIR base.
const SMART_CONFIGURATION: &str = "/.well-known/smart-configuration";

/// Whether a path is one of the authorization server.
pub fn is_under(path: &str) -> bool {
    path == PATH
        || path.starts_with("/auth/")
        || path.starts_with("/.well-known/")
        || path.strip_prefix(BASE_PATH) == Some(SMART_CONFIGURATION)
}

/// Whether pages of all origins may read what is at a path: what the server can do, and where.
pub fn is_public(path: &str) -> bool {
    path.strip_prefix(BASE_PATH) == Some("/metadata")
        || Endpoint::of(path).is_some_and(Endpoint::is_public)
}

/// What the endpoints and pages need.
struct Visit<'r> {
    server: &'r Server,
    auth: &'r Auth,
    working: &'r Working<'r>,
    parts: &'r Parts,
}

/// Answers a request to the authorization server.
///
/// # Errors
/// What is wrong with it, unless its own endpoint has a form for that.
pub async fn answer(
    server: &Server,
    working: &Working<'_>,
    parts: &Parts,
    body: Body,
) -> Result<Reply, Failure> {
    let path = parts.uri.path();
    let endpoint = Endpoint::of(path);
    head::check_shape(server, parts)?;
    let Some(auth) = &server.settings.auth else {
        head::check(server, parts)?;
        return Err(Failure::is_open());
    };
    // Nothing that a browser sends by itself counts at an endpoint, so it does not matter whose
    // page makes it do so. To the pages only their own forms are sent.
    if endpoint.is_none() && !cors::is_own(parts, &auth.settings().issuer) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Forms are sent from the pages of this server only; open the page anew.",
        ));
    }
    let visit = Visit {
        server,
        auth,
        working,
        parts,
    };
    let Some(endpoint) = endpoint else {
        let page = pages::answer(&visit, body).await;
        return page.map_err(|_body| nothing_here());
    };
    endpoint.answer(&visit, body).await
}

fn nothing_here() -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "The authorization server has nothing at this address.",
    )
}

/// A JSON answer.
fn json(status: StatusCode, value: &serde_json::Value) -> Reply {
    let mut reply = Reply::new(Bytes::from(value.to_string()));
    *reply.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(header::CONTENT_TYPE, json);
    reply
}
