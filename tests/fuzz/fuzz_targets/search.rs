//! A query: read, compiled, and its condition on keys turned into one on stored rows.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use resources::{index::Registry, model::ResourceType};
use rotunda::search::{
    Request, Resolved, Scope, SearchLimits, decode, parse, stored::stored, words,
};

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::builtin);

fuzz_target!(|text: &str| {
    words(text);
    let (kind, query) = text.split_once('?').unwrap_or(("", text));
    let kind = ResourceType::from_name(kind);
    let params = decode(query);
    let request = Request {
        scope: kind.map_or(Scope::System, Scope::Type),
        params: &params,
        strict: query.len() % 2 == 0,
        base_url: "http://here/fhir",
        now: 1_795_132_800_000,
    };
    let Ok(query) = parse(&request, &REGISTRY, &SearchLimits::default()) else {
        return;
    };
    query.needs();
    let Ok(plan) = query.plan(&Resolved::none()) else {
        return;
    };
    for &kind in &plan.types {
        stored(plan.filter.clone(), kind, &REGISTRY);
    }
});
