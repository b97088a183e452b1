//! Search text -> typed query -> [`plan::Plan`]. No SQL here.

pub mod encode;
mod filter;
pub mod matches;
pub mod memory;
pub mod plan;
mod query;
mod text;
mod token;
mod words;

pub use encode::encode;
pub use query::{Include, Need, Query, Request, Resolved, Scope, SearchLimits, Summary};
