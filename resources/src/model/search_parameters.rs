//! The search parameters of R4, as published.

use super::ResourceType;

/// One search parameter of one resource type.
#[derive(Debug)]
pub struct Definition {
    /// Id of the SearchParameter.
    pub id: &'static str,
    /// Canonical URL of the SearchParameter.
    pub url: &'static str,
    /// The name in a search.
    pub code: &'static str,
    /// The resource type.
    pub base: ResourceType,
    /// `number`, `date`, `string`, `token`, `reference`, `composite`, `quantity`, `uri`, `special`.
    pub kind: &'static str,
    /// FHIRPath: those alternatives that concern `base`. Empty for `_text`, `_content`, `_query`.
    pub expression: &'static str,
    /// What a reference may point to.
    pub targets: &'static [ResourceType],
    /// Components of a composite: URL of the parameter, and FHIRPath relative to `expression`.
    pub components: &'static [(&'static str, &'static str)],
}

/// All of them, sorted by base, then code. Parameters of `Resource` and `DomainResource` are
/// given to each type.
pub fn all() -> &'static [Definition] {
    &ALL
}

/// Those of one resource type, sorted by code.
pub fn of(base: ResourceType) -> &'static [Definition] {
    let from = ALL.partition_point(|row| row.base < base);
    let to = ALL.partition_point(|row| row.base <= base);
    &ALL[from..to]
}

/// A resource type by its number.
#[allow(
    non_snake_case,
    reason = "short in the generated text, and it reads as a constructor"
)]
const fn R(number: u8) -> ResourceType {
    ResourceType::from_table(number)
}

include!(concat!(env!("OUT_DIR"), "/search_parameters.rs"));
