//! The authorization server from outside, over TCP: what apps and services do, and what attackers
//! try.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets something unexpected has to fail"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../http/client.rs"]
#[allow(dead_code, reason = "another test program uses the rest")]
mod client;

mod assertion;
mod world;

mod authorize;
mod backend;
mod discovery;
mod drills;
mod keys_of_others;
mod launch;
mod lifetime;
mod races;
mod tokens;
