//! Errors in the words of OAuth (RFC 6749, sections 4.1.2.1 and 5.2).

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{super::Reply, json};

/// What an app did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// The code of the standard: `invalid_grant`.
    pub error: &'static str,
    /// A sentence that says what to do.
    pub description: String,
}

impl OAuthError {
    /// An error with this code and sentence.
    pub fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            error,
            description: description.into(),
        }
    }

    /// As the answer of an endpoint: 401 for a client that is not who it says, else 400.
    pub fn reply(&self) -> Reply {
        let status = match self.error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        let mut reply = json(
            status,
            &json!({ "error": self.error, "error_description": self.description }),
        );
        let headers = reply.headers_mut();
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"rotunda\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        reply
    }
}
