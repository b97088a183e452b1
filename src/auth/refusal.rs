//! What a client or user did wrong, in the words of OAuth.

use super::error::AuthError;

/// An error of RFC 6749 (sections 4.1.2.1 and 5.2) and its relatives.
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
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The client, or the person who uses it, must do something else.
    #[error("{}: {}", .0.error, .0.description)]
    Client(OAuthError),
    /// The server could not.
    #[error(transparent)]
    Server(#[from] AuthError),
}

impl Refusal {
    /// A client's error with this code and sentence.
    pub fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self::Client(OAuthError::new(error, description))
    }
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self::Client(error)
    }
}

impl From<Refusal> for OAuthError {
    /// What a client may know: of the server's own troubles only that there are some.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Client(error) => error,
            Refusal::Server(error) => {
                tracing::error!(%error, "the authorization server failed");
                let code = match error {
                    AuthError::Conflict | AuthError::Store(_) => "temporarily_unavailable",
                    _ => "server_error",
                };
                Self::new(code, "The server failed; try again in a while.")
            }
        }
    }
}
