//! `POST break-glass`

use axum::{body::Body, http::StatusCode};
use resources::model::ResourceType;
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{Reply, authenticate, failure::Failure},
    Visit,
    launch::read,
    token::private,
};
use crate::{access::Access, auth::scope::Level};

/// Characters of a reason at most.
const LONGEST: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The Patient's logical id.
    patient: String,
    /// A code for the reason.
    #[serde(default)]
    code: String,
    /// Why, in words.
    reason: String,
}

/// Gives a token for a patient outside of the sender's care.
///
/// # Errors
/// 401; 403 without the right to; 400 without a reason; 404 without such a patient.
pub async fn answer(visit: &Visit<'_>, body: Body) -> Result<Reply, Failure> {
    let admitted = authenticate::admitted(visit.server, visit.parts).await?;
    let mut levels = admitted.scopes.resources().map(|scope| scope.level);
    let is_of_user = admitted.identity.user.is_some() && levels.any(|level| level == Level::User);
    if !admitted.break_glass || !is_of_user {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The glass is broken with a token for user/ scopes of somebody whose role has \
             rotunda/break-glass.",
        ));
    }
    let asked: Asked = read(visit, body).await?;
    let reason = format!("{} {}", asked.code.trim(), asked.reason.trim());
    let reason = reason.trim();
    if asked.reason.trim().is_empty() || reason.chars().count() > LONGEST {
        return Err(Failure::bad_request(
            "Say in reason why the glass must be broken, in 1 to 1000 characters.",
        ));
    }
    // Who may break the glass may know which patients there are.
    let all = Access::system("whoever breaks the glass names any patient");
    visit
        .auth
        .engine()
        .read(ResourceType::PATIENT, &asked.patient, &all)
        .await?;
    let answer = visit
        .auth
        .break_glass(&admitted, &asked.patient, reason)
        .await?;
    Ok(private(&Value::Object(answer)))
}
