//! `userinfo`: who holds a token (OpenID Connect Core 1.0, section 5.3).

use axum::http::StatusCode;
use serde_json::json;

use super::{
    super::{Reply, authenticate, failure::Failure},
    Visit,
    token::private,
};
use crate::auth::{scope::Scope, user::User};

/// Says who holds the token.
///
/// # Errors
/// 401; 403 for a token without the scope openid.
pub async fn answer(visit: &Visit<'_>) -> Result<Reply, Failure> {
    let admitted = authenticate::admitted(visit.server, visit.parts).await?;
    let user = match &admitted.identity.user {
        Some(id) if admitted.scopes.has(&Scope::OpenId) => {
            visit.auth.records().find::<User>(id).await?
        }
        _ => None,
    };
    let user = user.ok_or_else(|| Failure {
        challenge: Some("Bearer error=\"insufficient_scope\", scope=\"openid\""),
        ..Failure::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "This address needs a token of a user with the scope openid.",
        )
    })?;
    let mut claims = json!({ "sub": user.id });
    visit
        .auth
        .add_person(&mut claims, &user.value, &admitted.scopes);
    Ok(private(&claims))
}
