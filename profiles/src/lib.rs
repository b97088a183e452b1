//! StructureDefinitions as validators, and the R4 definitions themselves.

pub mod definitions;
mod structure;
pub mod terminology;

pub use structure::{MAX_ISSUES, validate, validate_value};
