//! Attacks, by people who have a token and want more than it gives. Each row of a table says in
//! words what is tried; its label is for those who keep the list.
//!
//! What belongs to patient B says [`hospital::CANARY`] in each of its texts, and has an id that
//! begins with [`hospital::OF_B`]: no answer to anybody else may hold either.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets something unexpected has to fail"
)]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "shared with the tests of HTTP")]
#[path = "../http/client.rs"]
mod client;
#[allow(dead_code, reason = "shared with the tests of HTTP")]
#[path = "../http/server.rs"]
mod server;

mod hospital;
mod practice;
mod rows;
mod world;

mod booking;
mod content;
mod detours;
mod entrance;
mod hardening;
mod inference;
mod leaks;
mod privacy;
mod races;
mod scopes;
mod twins;
mod writes;
