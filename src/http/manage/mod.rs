//! Users, clients, roles and tokens over REST, for administrators and their scripts.

use axum::{
    body::Body,
    http::{StatusCode, request::Parts},
};

use super::{Reply, Server, authenticate, failure::Failure, head, load::Working};

/// Whether a path is one of the management.
pub fn is_under(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// Answers a request to the management.
///
/// # Errors
/// 401 without a token, 403 unless the token has `rotunda/admin`.
pub async fn answer(
    server: &Server,
    _working: &Working<'_>,
    parts: &Parts,
    _body: Body,
) -> Result<Reply, Failure> {
    head::check(server, parts)?;
    let admitted = authenticate::admitted(server, parts).await?;
    if !admitted.admin {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Managing users, clients, roles and tokens needs a token of an administrator with \
             the scope rotunda/admin.",
        ));
    }
    Err(Failure::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "There is nothing to manage at this address.",
    ))
}
