//! Why the authorization server could not do what was asked.

use crate::{engine, store::StoreError};

/// Why the authorization server could not do what was asked. What a client did wrong in the words
/// of OAuth is another type, beside the endpoints.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The store does not answer or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The operating system gives no random bytes.
    #[error("the computer has no source of randomness")]
    NoRandomness,
    /// A record, key or sealed secret cannot be read.
    #[error("a record of the authorization server is damaged: {0}")]
    Damaged(String),
    /// Another request changed the same record first.
    #[error("somebody else changed the same record at the same time; try again")]
    Conflict,
    /// There is no such thing.
    #[error("there is no {0} '{1}'")]
    Unknown(&'static str, String),
    /// What an administrator or user gave does not fit; a sentence that says what to do.
    #[error("{0}")]
    Invalid(String),
    /// What an administrator wrote does not fit, element by element.
    #[error("{}", sentences(.0))]
    Unfit(Vec<Problem>),
    /// The master key is missing or is not the one that sealed what the store holds.
    #[error("{0}")]
    MasterKey(String),
}

/// What does not fit of what an administrator wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `redirect_uris[0]`.
    pub element: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl Problem {
    /// A problem of one element.
    pub fn new(element: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            element: element.into(),
            reason: reason.into(),
        }
    }
}

fn sentences(problems: &[Problem]) -> String {
    let lines = problems
        .iter()
        .map(|one| format!("{}: {}", one.element, one.reason));
    lines.collect::<Vec<_>>().join("\n")
}
