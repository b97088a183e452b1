//! Hours, claims and appointments as values: what follows from what, without a store, a clock or
//! a network. The engine reads resources into these values, asks, and writes what comes of it.
//!
//! The one truth of busy time is the set of claims ([`claim`]); free time is never stored, it is
//! rules ([`bookable`]) minus claims.

pub mod bookable;
pub mod claim;
pub mod hours;
pub mod recurrence;
pub mod span;
mod wall;
