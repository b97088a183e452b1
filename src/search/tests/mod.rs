//! The search language, tested from text to conditions and from resources to matches.

mod dates;
mod errors;
mod granted;
mod memory;
mod numbers;
mod results;
mod semantics;
mod shapes;
mod show;

use resources::{index::Registry, model::ResourceType, outcome::Issue};

use super::{Query, Request, Resolved, Scope, SearchLimits, decode, parse, plan::Clause};

const BASE: &str = "http://localhost/fhir";
/// 2026-11-20T00:00:00Z.
const NOW: i64 = 1_795_132_800_000;

fn kind(name: &str) -> ResourceType {
    ResourceType::from_name(name).unwrap()
}

/// Parses `Type?query`, `?query` (all types) or `Type/id/Member?query` (a compartment).
fn search(text: &str, strict: bool) -> Result<Query, Vec<Issue>> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let scope = match parts.as_slice() {
        [""] => Scope::System,
        [name] => Scope::Type(kind(name)),
        [compartment, id, member] => Scope::Compartment {
            kind: kind(compartment),
            id: (*id).to_owned(),
            member: (*member != "*").then(|| kind(member)),
        },
        _ => panic!("{text}"),
    };
    let params = decode(query);
    let request = Request {
        scope,
        params: &params,
        strict,
        base_url: BASE,
        now: NOW,
    };
    parse(&request, &registry(), &SearchLimits::default())
}

fn registry() -> Registry {
    static REGISTRY: std::sync::LazyLock<Registry> = std::sync::LazyLock::new(Registry::builtin);
    REGISTRY.clone()
}

fn query(text: &str) -> Query {
    search(text, true).unwrap_or_else(|issues| panic!("{text}: {issues:?}"))
}

/// What is wrong with a strict search.
fn faults(text: &str) -> String {
    let Err(issues) = search(text, true) else {
        panic!("{text} was accepted");
    };
    let texts: Vec<String> = issues
        .iter()
        .map(|issue| format!("{}: {}", issue.code, issue.diagnostics))
        .collect();
    texts.join("; ")
}

fn clause(text: &str) -> Clause {
    query(text).plan(&Resolved::none()).unwrap().filter
}
