//! Hours, claims and appointments as values: what follows from what, without a store, a clock or
//! a network. The engine reads resources into these values, asks, and writes what comes of it.
//!
//! The one truth of busy time is the set of claims ([`claim`]); free time is never stored, it is
//! rules ([`bookable`]) minus claims.

pub mod appointment;
pub mod bookable;
pub mod calendar;
pub mod claim;
mod element;
pub mod facets;
pub mod find;
pub mod hours;
pub mod ics;
pub mod offers;
mod opening;
pub mod policy;
pub mod proposal;
pub mod recurrence;
pub mod rules;
pub mod slots;
pub mod span;
pub mod status;
pub mod waitlist;
mod wall;

#[cfg(test)]
mod samples;
