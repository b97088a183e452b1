//! What others have published passes, and what is wrong in it is found.

#![allow(clippy::unwrap_used, reason = "in a test it is the message")]

use std::{collections::BTreeMap, fs::File, path::Path};

use profiles::{
    terminology::{self, Embedded},
    validate,
};
use resources::Doc;

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    String::from_utf8(zstd::decode_all(File::open(path).unwrap()).unwrap()).unwrap()
}

/// The examples of R4 that break R4: id, code, expression.
const INVALID: [(&str, &str, &str); 4] = [
    // A DeviceMetric's parent is a Device.
    ("DeviceMetric/example", "value", "DeviceMetric.parent"),
    // The reason is no Procedure.
    (
        "DeviceUseStatement/example",
        "value",
        "DeviceUseStatement.reasonReference[0]",
    ),
    // An organization dispenses.
    (
        "MedicationRequest/medrx0301",
        "value",
        "MedicationRequest.dispenseRequest.performer",
    ),
    // Items need a linkId; there are eight of them without.
    (
        "Questionnaire/qs1",
        "required",
        "Questionnaire.item[0].item[0].linkId",
    ),
];

#[test]
fn examples_of_the_standard_are_valid_but_for_four() {
    let mut found = Vec::new();
    let examples = data("examples.ndjson.zst");
    for line in examples.lines() {
        let doc = Doc::parse(line).unwrap();
        assert_eq!(doc.text(), line);
        let Some(first) = validate(&doc).into_iter().next() else {
            continue;
        };
        let id = doc
            .root()
            .get("id")
            .and_then(|id| id.plain_str())
            .unwrap_or_default();
        let name = format!("{}/{id}", doc.resource_type().unwrap_or_default());
        found.push((name, first.code, first.expression.unwrap_or_default()));
    }
    let found: Vec<_> = found
        .iter()
        .map(|(name, code, at)| (name.as_str(), *code, at.as_str()))
        .collect();
    assert_eq!(found, INVALID);
    assert_eq!(examples.lines().count(), 407);
}

#[test]
fn a_synthea_bundle_is_valid() {
    let doc = Doc::parse(data("synthea.json.zst")).unwrap();
    assert_eq!(validate(&doc), []);
}

#[test]
fn value_sets_have_the_codes_that_their_published_expansions_have() {
    /// They need code systems that are not in the box.
    const UNKNOWN: [&str; 3] = [
        "http://dicom.nema.org/medical/dicom/current/output/chtml/part16/sect_CID_29.html",
        "http://hl7.org/fhir/ValueSet/action-participant-role",
        "http://hl7.org/fhir/ValueSet/care-team-category",
    ];
    let expansions = Doc::parse(data("expansions.json.zst")).unwrap();
    let mut unknown = Vec::new();
    let mut more = BTreeMap::new();
    for value_set in expansions.root().members() {
        let url = value_set.name();
        let Ok(codes) = terminology::expand(url, &Embedded, 5_000) else {
            unknown.push(url);
            continue;
        };
        let mut count = 0;
        for system in value_set.members() {
            for code in system.items().filter_map(|code| code.as_str()) {
                assert!(
                    codes.contains(system.name(), &code),
                    "{url} lacks {}|{code}",
                    system.name()
                );
                count += 1;
            }
        }
        if codes.whole_systems().next().is_none() && codes.len() > count {
            more.insert(url, codes.len() - count);
        }
    }
    unknown.sort_unstable();
    assert_eq!(unknown, UNKNOWN);
    // Published expansions leave out abstract and retired codes.
    assert_eq!(more.len(), 19, "{more:?}");
}
