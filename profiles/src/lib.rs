//! StructureDefinitions as validators, and the R4 definitions themselves.

mod structure;

pub use structure::{MAX_ISSUES, validate, validate_value};
