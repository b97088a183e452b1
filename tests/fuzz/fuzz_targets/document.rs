//! A body: read, checked, indexed, written again. What was read once and written is read as the
//! same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use resources::{
    Doc,
    doc::Bounds,
    index::Registry,
    model::ResourceType,
};

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::builtin);

fuzz_target!(|bytes: &[u8]| {
    let Ok(doc) = Doc::parse_bytes(bytes, &Bounds::default()) else {
        return;
    };
    let mut compact = String::new();
    doc.root().write_compact(&mut compact);
    let again = Doc::parse(compact.as_str()).expect("what was written is read");
    let mut twice = String::new();
    again.root().write_compact(&mut twice);
    assert_eq!(compact, twice);
    assert_eq!(doc.node_count(), again.node_count());
    profiles::validate(&doc);
    if let Some(kind) = doc.resource_type().and_then(ResourceType::from_name) {
        let rows = REGISTRY.rows(kind, &doc, "http://here/fhir");
        assert!(rows.is_sorted());
    }
});
