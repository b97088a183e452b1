//! Users, clients, keys, roles, tokens and sessions, from outside: the program on the command
//! line, beside a running server, and the server's REST resources.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod clock;
mod commands;
mod crowd;
mod demo;
mod drills;
mod first;
mod kept;
mod messages;
mod program;
mod rest;
mod smart;
mod validation;

#[allow(
    dead_code,
    reason = "shared with the tests of the authorization server"
)]
#[path = "../auth/assertion.rs"]
mod assertion;
#[path = "../support/mod.rs"]
mod support;
