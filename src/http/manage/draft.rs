//! Bodies of the management.

use axum::http::{HeaderMap, StatusCode, header};
use resources::{Doc, doc::Bounds};
use serde_json::{Map, Value};

use super::super::failure::Failure;

/// Refuses what is not said to be JSON: no page of another site sends that without being asked.
///
/// # Errors
/// 415
pub fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    let known = ["application/json", "application/merge-patch+json"];
    if known.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not-supported",
        "The body must be JSON: send `Content-Type: application/json`.",
    ))
}

/// The members of a JSON object. The document is read as a resource would be: no name twice, not
/// too deep.
///
/// # Errors
/// 400
pub fn object(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    let bounds = Bounds {
        depth: 16,
        ..Bounds::default()
    };
    Doc::parse_bytes(body, &bounds)?;
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Failure::bad_request("The body must be a JSON object.")),
    }
}
