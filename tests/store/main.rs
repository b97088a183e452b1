//! The store from outside: each behaviour on SQLite and on PostgreSQL.

#[path = "../support/mod.rs"]
mod support;

mod behaviour;
mod fixture;
mod model;
mod oracle;
