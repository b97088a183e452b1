//! The server from outside, over TCP, on SQLite and on PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets something unexpected has to fail"
)]

#[path = "../support/mod.rs"]
mod support;

mod case;
mod cases;
mod client;
mod json;
mod pattern;
mod server;

mod assignment;
mod connections;
mod hardening;
mod hostile;
mod operator;
mod parameters;
mod races;
mod tls;
