//! Rotunda: a FHIR R4 and HL7 v2 interoperability server.

pub mod access;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod fetch;
pub mod hl7;
pub mod http;
pub mod import;
pub mod key_file;
pub mod limits;
pub mod mail;
pub mod network;
pub mod scheduling;
pub mod search;
pub mod server;
pub mod store;
pub mod tls;
pub mod upkeep;
