//! Rotunda: a FHIR R4 and HL7 v2 interoperability server.

pub mod access;
pub mod config;
pub mod limits;
pub mod search;
pub mod store;
