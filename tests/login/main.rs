//! The pages that people see, from outside: over TCP, and in a real browser.

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

mod browser;
mod person;
mod smtp;
mod webdriver;
mod world;

mod account;
mod audit;
mod clients;
mod consent;
mod federated;
mod log_in;
mod reset;
