//! FHIR R4 as pure knowledge: documents, primitives, the element model, FHIRPath and what
//! search indexes of a resource. No I/O, no clock, no randomness.

pub mod doc;
pub mod fhirpath;
pub mod index;
pub mod model;
pub mod outcome;
pub mod patch;
pub mod primitive;
pub mod ucum;

pub use doc::{Doc, Value};
