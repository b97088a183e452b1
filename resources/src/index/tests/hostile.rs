//! Documents that no FHIR client would send.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 24] = [
    "name",
    "family",
    "given",
    "identifier",
    "system",
    "value",
    "type",
    "coding",
    "code",
    "text",
    "birthDate",
    "_birthDate",
    "extension",
    "url",
    "subject",
    "reference",
    "valueQuantity",
    "component",
    "effectivePeriod",
    "start",
    "end",
    "meta",
    "tag",
    "telecom",
];

/// JSON made of FHIR's names in places where they do not belong.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "null|true|false|-1\\.5e400|12|\"\"",
        "\"(Patient/1|#|urn:uuid:x|http://here/fhir/A/1|2001-02|mg|http://unitsofmeasure\\.org|a b)\"",
        "\"\\PC{0,8}\"".prop_filter("no escapes", |text| {
            !text[1..text.len() - 1].contains(['"', '\\'])
        }),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let members = proptest::collection::btree_map(
            proptest::sample::select(&NAMES[..]),
            inner.clone(),
            0..6,
        );
        let object = members.prop_map(|members| {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            format!("{{{}}}", members.join(","))
        });
        let items = proptest::collection::vec(inner, 0..4);
        let array = items.prop_map(|items| format!("[{}]", items.join(",")));
        prop_oneof![object, array]
    })
}

proptest! {
    #[test]
    fn any_document_gives_bounded_sorted_entries(text in json()) {
        let registry = Registry::builtin();
        let doc = Doc::parse(text).unwrap();
        for name in ["Patient", "Observation", "Bundle"] {
            let entries = registry.extract(kind(name), &doc, BASE_URL);
            prop_assert!(entries.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(entries.iter().all(|entry| entry.key.len() <= 1100));
        }
    }
}
