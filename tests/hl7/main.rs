//! HL7 v2: what messages do to the record, on both databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "shared with the tests of the engine")]
#[path = "../engine/fixture.rs"]
#[macro_use]
mod fixture;

mod apply;
mod outbound;
mod program;
mod pump;
