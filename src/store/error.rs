//! Why the store could not do what was asked.

use super::messages::MessageId;
use crate::scheduling::claim::Refusal;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The write with this index was computed from a head that is no longer the newest.
    #[error("write {0} was computed from a version that is no longer the newest")]
    Conflict(usize),
    /// The guard with this index does not hold.
    #[error("guard {0} of the commit does not hold")]
    Guard(usize),
    /// What was to be written was computed with search parameters that are no longer in force.
    #[error("the search parameters have changed since the write was computed")]
    Outdated,
    /// What a set of the commit claims cannot be had; nothing happened.
    #[error("claims {set} of the commit are refused: {refusal:?}")]
    Refused {
        /// Which of [`Commit::claims`](super::Commit::claims).
        set: usize,
        /// What is in the way.
        refusal: Refusal,
    },
    /// The receipt of the commit is there already; nothing happened.
    #[error("the request has been answered before")]
    Repeated,
    /// The same message has come before; this is its number. Nothing happened.
    #[error("the message has come before, as {0}")]
    Duplicate(MessageId),
    /// A message of the commit is not in the state that the commit expects; nothing happened.
    #[error("a message of the commit was worked on by somebody else")]
    Settled,
    /// The database does not answer; it may later. Whether a commit happened is not known.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The queue of waiting commits is full.
    #[error("too many writes are waiting")]
    Busy,
    /// The query took longer than allowed.
    #[error("the query took longer than {0} ms")]
    Timeout(u64),
    /// The query has more conditions than the database takes.
    #[error("the query is too large for the database: {0}")]
    TooLarge(String),
    /// The disk is full or refuses writes.
    #[error("the storage refuses writes: {0}")]
    Storage(String),
    /// The page position is not one of this store's.
    #[error("not a page position of this search")]
    Position,
    /// What is stored contradicts itself; needs an operator.
    #[error("the store is damaged ({0}); restore it from a backup")]
    Damaged(String),
    /// The words for full-text search are damaged; they can be made anew from the log.
    #[error("the words for full-text search are damaged: {0}")]
    Words(String),
    /// The store cannot do this (yet); the text says what.
    #[error("the store does not support {0}")]
    NotSupported(&'static str),
    /// The database cannot be opened; the text says what to do about it.
    #[error("{0}")]
    Open(String),
    /// The database refused a statement of ours: a defect of this program.
    #[error("the database refused a statement: {0}")]
    Failed(String),
}
