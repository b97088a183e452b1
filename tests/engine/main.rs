//! The engine over a real store: what clients are promised, without HTTP, on both databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

#[path = "../support/mod.rs"]
mod support;

#[macro_use]
mod fixture;

mod access;
mod answers;
mod audit;
mod audit_chain;
mod audit_report;
mod bundles;
mod conditions;
mod grants;
mod leaks;
mod minimal;
mod moments;
mod operations;
mod parameters;
mod reads;
mod schedule;
mod searches;
mod series;
mod slots;
mod upkeep;
mod writes;
