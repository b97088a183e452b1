//! The five compartments of R4.

use super::ResourceType;

/// Compartment, member type, codes of the reference parameters.
type Row = (ResourceType, ResourceType, &'static [&'static str]);

/// The search parameters by which a `member` belongs to a compartment of this type; `{def}` says
/// that the compartment's own resource does. Empty if no resource of the type does.
pub fn params(compartment: ResourceType, member: ResourceType) -> &'static [&'static str] {
    match ROWS.binary_search_by_key(&(compartment, member), |row| (row.0, row.1)) {
        Ok(at) => ROWS[at].2,
        Err(_) => &[],
    }
}

/// The types that have compartments.
pub fn kinds() -> [ResourceType; 5] {
    [
        ResourceType::DEVICE,
        ResourceType::ENCOUNTER,
        ResourceType::PATIENT,
        ResourceType::PRACTITIONER,
        ResourceType::RELATED_PERSON,
    ]
}

/// A resource type by its number.
#[allow(
    non_snake_case,
    reason = "short in the generated text, and it reads as a constructor"
)]
const fn R(number: u8) -> ResourceType {
    ResourceType::from_table(number)
}

include!(concat!(env!("OUT_DIR"), "/compartments.rs"));
