//! Errors in the words of OAuth (RFC 6749, sections 4.1.2.1 and 5.2).

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{super::Reply, json};

pub use crate::auth::refusal::OAuthError;

impl OAuthError {
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
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"rotunda\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        reply
    }
}
