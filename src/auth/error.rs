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
    /// The master key is missing or is not the one that sealed what the store holds.
    #[error("{0}")]
    MasterKey(String),
}
