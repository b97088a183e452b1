//! R4's own definitions as resources, embedded compressed. Nothing happens at start-up; reading a
//! definition decompresses the block that it is in.

mod blocks;
#[cfg(test)]
mod tests;

use resources::model::ResourceType;

/// `meta.lastUpdated` of every definition: when R4 4.0.1 was published.
pub const LAST_UPDATED: &str = "2019-10-31T22:29:23.356Z";

/// [`LAST_UPDATED`] in milliseconds since 1970.
pub const LAST_UPDATED_MS: i64 = 1_572_560_963_356;

/// One definition of the standard.
#[derive(Debug)]
pub struct Definition {
    /// `StructureDefinition`, `SearchParameter`, `ValueSet`, `CodeSystem`, `OperationDefinition` or
    /// `CompartmentDefinition`.
    pub kind: ResourceType,
    /// Logical id.
    pub id: &'static str,
    /// Canonical URL.
    pub url: &'static str,
    /// Business version; empty if it has none.
    pub version: &'static str,
    /// Computer-friendly name.
    pub name: &'static str,
    block: u16,
    start: u32,
    end: u32,
}

/// A row of the generated index.
#[allow(
    clippy::too_many_arguments,
    reason = "it only keeps the generated text short"
)]
const fn d(
    kind: &'static str,
    id: &'static str,
    url: &'static str,
    version: &'static str,
    name: &'static str,
    block: u16,
    start: u32,
    end: u32,
) -> Definition {
    Definition {
        kind: kind_of(kind),
        id,
        url,
        version,
        name,
        block,
        start,
        end,
    }
}

const fn kind_of(name: &str) -> ResourceType {
    match name.as_bytes() {
        b"CodeSystem" => ResourceType::CODE_SYSTEM,
        b"CompartmentDefinition" => ResourceType::COMPARTMENT_DEFINITION,
        b"OperationDefinition" => ResourceType::OPERATION_DEFINITION,
        b"SearchParameter" => ResourceType::SEARCH_PARAMETER,
        b"StructureDefinition" => ResourceType::STRUCTURE_DEFINITION,
        b"ValueSet" => ResourceType::VALUE_SET,
        _ => panic!("a definition of a type that is not served"),
    }
}

include!(concat!(env!("OUT_DIR"), "/definitions.rs"));

/// All definitions, sorted by type, then id.
pub fn all() -> &'static [Definition] {
    &ALL
}

/// The definitions of one type, sorted by id.
pub fn of(kind: ResourceType) -> &'static [Definition] {
    let from = ALL.partition_point(|one| one.kind < kind);
    let to = ALL.partition_point(|one| one.kind <= kind);
    &ALL[from..to]
}

/// The definition with this type and id.
pub fn find(kind: ResourceType, id: &str) -> Option<&'static Definition> {
    let at = ALL
        .binary_search_by(|one| (one.kind, one.id).cmp(&(kind, id)))
        .ok()?;
    Some(&ALL[at])
}

/// The definition with this type and canonical URL (`url` or `url|version`).
pub fn by_url(kind: ResourceType, canonical: &str) -> Option<&'static Definition> {
    // Six v2 tables have a URL with a bar in it.
    if let Some(found) = exact_url(kind, canonical) {
        return Some(found);
    }
    let (url, version) = canonical.split_once('|')?;
    exact_url(kind, url).filter(|found| found.version == version)
}

fn exact_url(kind: ResourceType, url: &str) -> Option<&'static Definition> {
    let row = |at: &u16| &ALL[usize::from(*at)];
    let at = BY_URL
        .binary_search_by(|at| (row(at).kind, row(at).url).cmp(&(kind, url)))
        .ok()?;
    Some(row(&BY_URL[at]))
}

/// The definition as a resource: JSON without white space, `meta.versionId` "1" and
/// [`LAST_UPDATED`] in place.
pub fn body(definition: &Definition) -> String {
    let block = blocks::read(usize::from(definition.block));
    block[definition.start as usize..definition.end as usize].to_owned()
}
