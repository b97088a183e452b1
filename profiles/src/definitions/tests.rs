use resources::Doc;

use super::*;
use crate::validate;

#[test]
fn every_definition_is_a_valid_resource_with_meta_in_place() {
    let mut invalid = Vec::new();
    for definition in all() {
        let body = body(definition);
        let doc = Doc::parse(body.as_str()).unwrap();
        assert_eq!(doc.text(), body, "no white space in {}", definition.url);
        let root = doc.root();
        let text = |name: &str| {
            root.get(name)
                .and_then(|value| value.as_str())
                .unwrap_or_default()
        };
        assert_eq!(text("resourceType"), definition.kind.name());
        assert_eq!(text("id"), definition.id);
        assert_eq!(text("url"), definition.url);
        assert_eq!(text("version"), definition.version);
        assert_eq!(text("name"), definition.name);
        let meta = root.get("meta").unwrap();
        assert_eq!(meta.get("versionId").unwrap().raw(), "\"1\"");
        assert_eq!(
            meta.get("lastUpdated").unwrap().as_str().unwrap(),
            LAST_UPDATED
        );
        for issue in validate(&doc) {
            invalid.push(format!("{} {issue:?}", definition.url));
        }
    }
    assert_eq!(invalid, [""; 0]);
}

#[test]
fn definitions_are_found_by_id_and_by_url() {
    for definition in all() {
        let found = find(definition.kind, definition.id).unwrap();
        assert!(std::ptr::eq(found, definition));
        assert_eq!(
            by_url(definition.kind, definition.url).unwrap().url,
            definition.url
        );
    }
    let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
    let value_set = |url: &str| by_url(ResourceType::VALUE_SET, url).map(|found| found.id);
    assert_eq!(value_set(gender), Some("administrative-gender"));
    assert_eq!(
        value_set(&format!("{gender}|4.0.1")),
        Some("administrative-gender")
    );
    assert_eq!(value_set(&format!("{gender}|5")), None);
    assert_eq!(value_set("http://a"), None);
    assert!(find(ResourceType::PATIENT, "a").is_none());
}

#[test]
fn all_types_are_there() {
    let counts: Vec<_> = [
        ResourceType::CODE_SYSTEM,
        ResourceType::COMPARTMENT_DEFINITION,
        ResourceType::OPERATION_DEFINITION,
        ResourceType::SEARCH_PARAMETER,
        ResourceType::STRUCTURE_DEFINITION,
        ResourceType::VALUE_SET,
    ]
    .into_iter()
    .map(|kind| of(kind).len())
    .collect();
    assert_eq!(counts, [1062, 5, 46, 1375, 656, 1316]);
}
