//! Nobody books what somebody has: races, holds, moves and crashes, through the engine and over
//! HTTP, on both databases.

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

mod agreement;
mod crash;
mod door;
mod holds;
mod model;
mod moves;
mod nodes;
mod race;
mod waitlist;
mod ward;
mod ways;
