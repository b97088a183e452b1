//! The element model of FHIR R4: what R4's StructureDefinitions say, as static tables.

mod resource_type;

pub use resource_type::ResourceType;
