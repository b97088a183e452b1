//! Search text -> typed query -> [`plan::Plan`]. No SQL here.
//!
//! [`parse()`] reads names and values into a [`Query`]; [`Query::plan`] gives the conditions on
//! index keys that the store runs, once terminology has answered [`Query::needs`].

mod compare;
mod compartment;
mod compile;
mod composite;
mod date;
mod encode;
mod expression;
mod fault;
mod filter;
mod granted;
mod hops;
pub mod matches;
pub mod memory;
mod near;
mod number;
mod parse;
pub mod partly;
mod patients;
pub mod plan;
mod prefix;
mod query;
mod reference;
mod relation;
mod results;
mod single;
pub mod stored;
mod string;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod values;
mod words;

pub use compartment::access_clause;
pub use date::during;
pub use encode::{condition, decode, encode};
pub use granted::{About, Condition, Granted, granted};
pub use near::circle;
pub use parse::parse;
pub use query::{Include, Need, Query, Request, Resolved, Scope, SearchLimits, Summary};
pub use relation::{Related, relations, with_known};
pub use words::words;
