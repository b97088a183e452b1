//! What search indexes of a resource: parameters, and the keys that they give.
//!
//! The parameters of a type are compiled into one trie of JSON member names, so that indexing a
//! resource is one walk over its [`Doc`](crate::Doc); the few expressions that are no plain paths
//! run as programs beside it.

mod compile;
mod convert;
mod custom;
pub mod key;
mod layout;
mod param;
mod registry;
mod trie;

#[cfg(test)]
mod tests;

pub use custom::{Custom, Definition};
pub use layout::{Home, Pair};
pub use param::{Component, Entry, Kind, Param, ParamId, Traits};
pub use registry::{Registry, references};
