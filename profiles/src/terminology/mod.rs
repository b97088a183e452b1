//! Terminology as far as search and bindings need it: the codes of value sets, and what a code
//! subsumes. Over R4's own code systems and value sets, and over others that the caller has.

mod code_set;
mod code_system;
mod compose;
#[cfg(test)]
mod tests;

use std::{rc::Rc, sync::Arc};

use resources::{Doc, Value, model::ResourceType, outcome::Issue};

use crate::definitions;
pub use code_set::{CodeSet, Codes};
use code_system::CodeSystem;
use compose::Expansion;

/// Where value sets and code systems come from. What it does not have is taken from R4's own.
pub trait Lookup {
    /// The ValueSet with this canonical URL (`url` or `url|version`).
    fn value_set(&self, canonical: &str) -> Option<Arc<Doc>>;
    /// The CodeSystem with this canonical URL (`url` or `url|version`).
    fn code_system(&self, canonical: &str) -> Option<Arc<Doc>>;
}

/// Nothing but R4's own definitions.
#[derive(Debug, Clone, Copy)]
pub struct Embedded;

impl Lookup for Embedded {
    fn value_set(&self, _: &str) -> Option<Arc<Doc>> {
        None
    }

    fn code_system(&self, _: &str) -> Option<Arc<Doc>> {
        None
    }
}

/// The codes of the value set with this canonical URL, `limit` at most.
///
/// # Errors
/// `not-found` if it or something that it is made of is not known, `too-costly` if it has more
/// codes, `not-supported` if it is defined in a way that cannot be computed, `invalid` if by itself.
pub fn expand(canonical: &str, lookup: &dyn Lookup, limit: usize) -> Result<CodeSet, Issue> {
    let codes = Expansion::new(lookup, limit).of_canonical(canonical)?;
    Ok(Rc::unwrap_or_clone(codes))
}

/// The codes of a ValueSet given as a resource, `limit` at most.
///
/// # Errors
/// As [`expand`].
pub fn expand_value_set(
    value_set: Value<'_>,
    lookup: &dyn Lookup,
    limit: usize,
) -> Result<CodeSet, Issue> {
    Expansion::new(lookup, limit).of_resource(value_set)
}

/// The value sets and code systems that a ValueSet is made of, by canonical URL: what to fetch
/// for a [`Lookup`] before it is expanded. Value sets among them have their own.
pub fn dependencies(value_set: Value<'_>) -> Vec<(ResourceType, String)> {
    let mut found = Vec::new();
    if compose::ready_expansion(value_set).is_some() {
        return found;
    }
    let text = |value: Value<'_>| value.as_str().map(|text| text.into_owned());
    for include in compose::parts(value_set, "include").chain(compose::parts(value_set, "exclude"))
    {
        if let Some(system) = include
            .get("system")
            .filter(|_| include.get("concept").is_none())
        {
            found.extend(text(system).map(|url| (ResourceType::CODE_SYSTEM, url)));
        }
        for imported in compose::items(include, "valueSet") {
            found.extend(text(imported).map(|url| (ResourceType::VALUE_SET, url)));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// A code and all codes that it subsumes (`:below`), sorted; `limit` at most. Just the code itself
/// if its code system does not have it.
///
/// # Errors
/// `not-found` if the code system is not known, `too-costly` if there are more codes.
pub fn descendants(
    system: &str,
    code: &str,
    lookup: &dyn Lookup,
    limit: usize,
) -> Result<Vec<String>, Issue> {
    related(system, code, lookup, limit, CodeSystem::descendants)
}

/// A code and all codes that subsume it (`:above`), sorted; `limit` at most. Just the code itself
/// if its code system does not have it.
///
/// # Errors
/// As [`descendants`].
pub fn ancestors(
    system: &str,
    code: &str,
    lookup: &dyn Lookup,
    limit: usize,
) -> Result<Vec<String>, Issue> {
    related(system, code, lookup, limit, CodeSystem::ancestors)
}

fn related(
    system: &str,
    code: &str,
    lookup: &dyn Lookup,
    limit: usize,
    walk: fn(&CodeSystem, usize) -> Vec<usize>,
) -> Result<Vec<String>, Issue> {
    let Some(doc) = code_system(system, lookup) else {
        return Err(unknown_code_system(system));
    };
    let code_system = CodeSystem::read(doc.root());
    let Some(at) = code_system.find(code) else {
        return Ok(vec![code.to_owned()]);
    };
    let found = walk(&code_system, at);
    if found.len() > limit {
        return Err(too_many(limit));
    }
    let mut codes: Vec<_> = found
        .into_iter()
        .map(|at| code_system.code(at).to_owned())
        .collect();
    codes.sort_unstable();
    Ok(codes)
}

fn value_set(canonical: &str, lookup: &dyn Lookup) -> Option<Arc<Doc>> {
    let own = || embedded(ResourceType::VALUE_SET, canonical);
    lookup.value_set(canonical).or_else(own)
}

fn code_system(canonical: &str, lookup: &dyn Lookup) -> Option<Arc<Doc>> {
    let own = || embedded(ResourceType::CODE_SYSTEM, canonical);
    lookup.code_system(canonical).or_else(own)
}

fn embedded(kind: ResourceType, canonical: &str) -> Option<Arc<Doc>> {
    let definition = definitions::by_url(kind, canonical)?;
    Doc::parse(definitions::body(definition)).ok().map(Arc::new)
}

fn unknown_code_system(system: &str) -> Issue {
    Issue::error(
        "not-found",
        format!(
            "The code system {system} is not known here with its concepts; store it as a \
             CodeSystem with content 'complete'."
        ),
    )
}

fn too_many(limit: usize) -> Issue {
    Issue::error(
        "too-costly",
        format!("There are more than {limit} codes; use a narrower value set or code."),
    )
}
