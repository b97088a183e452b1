mod hostile;
mod posted;

use std::collections::BTreeSet;

use super::*;
use crate::{
    Doc,
    model::{ResourceType, search_parameters},
    primitive::{DateRange, Decimal, format_instant},
};

const BASE_URL: &str = "http://here/fhir";

fn kind(name: &str) -> ResourceType {
    ResourceType::from_name(name).unwrap()
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

/// The keys of one parameter, in words where they are short, else as they are.
fn keys(registry: &Registry, text: &str, code: &str) -> Vec<Vec<u8>> {
    let doc = Doc::parse(text).unwrap();
    let kind = kind(doc.resource_type().unwrap());
    let id = registry.param(kind, code).unwrap().id;
    let entries = registry.extract(kind, &doc, BASE_URL);
    let own = entries.into_iter().filter(|entry| entry.param == id);
    own.map(|entry| entry.key).collect()
}

fn show(key: &[u8]) -> String {
    let text = String::from_utf8_lossy(&key[1..]).replace('\0', "|");
    match key[0] {
        key::space::DATE | key::space::DATE_WIDE => {
            let at = |from: usize| match key::read_i64(&key[from..]).unwrap() {
                i64::MIN => "-".into(),
                i64::MAX => "+".into(),
                ms => format_instant(ms),
            };
            format!("{:02x} {} {}", key[0], at(1), at(9))
        }
        key::space::REFERENCE => {
            let (kind, id) = key::read_reference(key).unwrap();
            format!("30 {}/{id}", kind.name())
        }
        key::space::TOKEN_OF_TYPE => {
            let hash = |from: usize| u64::from_be_bytes(key[from..from + 8].try_into().unwrap());
            let value = String::from_utf8_lossy(&key[17..]);
            format!("22 {:016x}|{:016x}|{value}", hash(1), hash(9))
        }
        space => format!("{space:02x} {text}"),
    }
}

fn shown(text: &str, code: &str) -> Vec<String> {
    let keys = keys(&Registry::builtin(), text, code);
    keys.iter().map(|key| show(key)).collect()
}

#[test]
fn every_built_in_parameter_compiles() {
    let registry = Registry::builtin();
    let mut refused = Vec::new();
    for kind in ResourceType::all() {
        refused.extend(registry.refused(kind));
    }
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(registry.all().count(), search_parameters::all().len());
}

#[test]
fn numbers_lead_to_parameters() {
    let registry = Registry::builtin();
    for param in registry.all() {
        assert_eq!(registry.by_id(param.id).unwrap().code, param.code);
        let same = registry.param(param.base, &param.code).unwrap();
        assert_eq!(same.id, param.id);
    }
    assert!(registry.by_id(ParamId(0)).is_none());
    assert!(registry.by_id(ParamId(u32::MAX)).is_none());
}

#[test]
fn components_have_the_kind_of_their_definitions() {
    let registry = Registry::builtin();
    let kinds = |base, code| {
        let param = registry.param(kind(base), code).unwrap();
        let kinds = param.components.iter().map(|component| component.kind);
        kinds.collect::<Vec<_>>()
    };
    for (base, code, expected) in [
        (
            "Observation",
            "code-value-quantity",
            vec![Kind::Token, Kind::Quantity],
        ),
        (
            "Observation",
            "combo-code-value-concept",
            vec![Kind::Token, Kind::Token],
        ),
        (
            "DocumentReference",
            "relationship",
            vec![Kind::Token, Kind::Reference],
        ),
        (
            "MolecularSequence",
            "chromosome-window-coordinate",
            vec![Kind::Token, Kind::Number, Kind::Number],
        ),
    ] {
        assert_eq!(kinds(base, code), expected, "{code}");
    }
}

#[test]
fn values_of_each_type_give_the_keys_of_r4() {
    for (resource, code, expected) in [
        // token
        (
            r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"1",
                "type":{"coding":[{"system":"v2","code":"MR"}],"text":"Medical Record"}},{"value":"2"}]}"#,
            "identifier",
            // The hashes of "v2" and "MR".
            vec![
                "20 1|s",
                "20 2|",
                "21 medical record",
                "22 08cf0e07b5709641|09166c07b5ad389e|1",
            ],
        ),
        (
            r#"{"resourceType":"Patient","gender":"male"}"#,
            "gender",
            vec!["20 male|http://hl7.org/fhir/administrative-gender"],
        ),
        (
            r#"{"resourceType":"Patient","active":false}"#,
            "active",
            vec!["20 false|"],
        ),
        (
            r#"{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},
                {"system":"email","value":"a@b"},{"value":"2"}]}"#,
            "phone",
            vec!["20 1|"],
        ),
        (
            r#"{"resourceType":"Condition","code":{"text":"Fièvre","coding":[
                {"system":"s","code":"1","display":"Fever"},{"code":"x"}]}}"#,
            "code",
            vec!["20 1|s", "20 x|", "21 fever", "21 fievre"],
        ),
        (
            r#"{"resourceType":"Patient","meta":{"tag":[{"system":"s","code":"t"}]}}"#,
            "_tag",
            vec!["20 t|s"],
        ),
        // string
        (
            r#"{"resourceType":"Patient","name":[{"family":"Müller","given":["Jo","Ann"],"use":"old"}]}"#,
            "name",
            vec!["40 ann|Ann", "40 jo|Jo", "40 muller|Müller"],
        ),
        (
            r#"{"resourceType":"Patient","address":[{"line":["1 Main St"],"city":"Bonn","use":"home"}]}"#,
            "address",
            vec!["40 1 main st|1 Main St", "40 bonn|Bonn"],
        ),
        // reference
        (
            r##"{"resourceType":"Observation","subject":{"reference":"Patient/1/_history/2"}}"##,
            "patient",
            vec!["30 Patient/1"],
        ),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"Group/1"}}"#,
            "patient",
            vec![],
        ),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"http://here/fhir/Group/1"}}"#,
            "subject",
            vec!["30 Group/1"],
        ),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"http://there/fhir/Patient/1"}}"#,
            "patient",
            vec!["31 http://there/fhir/Patient/1|"],
        ),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"urn:uuid:1","type":"Patient"}}"#,
            "patient",
            vec!["31 urn:uuid:1|"],
        ),
        (
            r#"{"resourceType":"Observation","subject":{"identifier":{"system":"s","value":"1"}}}"#,
            "subject",
            vec!["32 1|s"],
        ),
        (
            r#"{"resourceType":"Observation","subject":{"identifier":{"value":"1"},"type":"Group"}}"#,
            "patient",
            vec![],
        ),
        (
            r##"{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],
                "subject":{"reference":"#p"}}"##,
            "subject",
            vec![],
        ),
        (
            r#"{"resourceType":"CarePlan","instantiatesCanonical":["http://x/plan|1.0#a"]}"#,
            "instantiates-canonical",
            vec!["31 http://x/plan|1.0"],
        ),
        (
            r#"{"resourceType":"Bundle","type":"document","entry":[
                {"resource":{"resourceType":"Composition","id":"c"}},
                {"resource":{"resourceType":"Composition","id":"d"}}]}"#,
            "composition",
            vec!["30 Composition/c"],
        ),
        (
            r#"{"resourceType":"Library","relatedArtifact":[{"type":"depends-on","resource":"http://x/a"},
                {"type":"successor","resource":"http://x/b"}]}"#,
            "depends-on",
            vec!["31 http://x/a|"],
        ),
        // date
        (
            r#"{"resourceType":"Patient","birthDate":"2001-02-03"}"#,
            "birthdate",
            vec!["10 2001-02-03T00:00:00.000Z 2001-02-03T23:59:59.999Z"],
        ),
        (
            r#"{"resourceType":"Encounter","period":{"start":"2001-02-03T10:00:00+01:00"}}"#,
            "date",
            vec![
                "10 2001-02-03T09:00:00.000Z +",
                "11 + 2001-02-03T09:00:00.000Z",
            ],
        ),
        (
            r#"{"resourceType":"Encounter","period":{"end":"2001"}}"#,
            "date",
            vec![
                "10 - 2001-12-31T23:59:59.999Z",
                "11 2001-12-31T23:59:59.999Z -",
            ],
        ),
        (
            r#"{"resourceType":"Encounter","period":{"id":"x"}}"#,
            "date",
            vec![],
        ),
        (
            r#"{"resourceType":"ServiceRequest","occurrenceTiming":{"event":["2001-01-05","2001-01-01T10:00:00Z"],
                "repeat":{"boundsPeriod":{"start":"2001-01-02","end":"2001-01-03"}}}}"#,
            "occurrence",
            vec![
                "10 2001-01-01T10:00:00.000Z 2001-01-05T23:59:59.999Z",
                "11 2001-01-05T23:59:59.999Z 2001-01-01T10:00:00.000Z",
            ],
        ),
        // uri
        (
            r#"{"resourceType":"Patient","meta":{"profile":["http://x/p|2"]}}"#,
            "_profile",
            vec!["50 http://x/p", "50 http://x/p|2"],
        ),
        (
            r#"{"resourceType":"ValueSet","url":"urn:oid:1.2"}"#,
            "url",
            vec!["50 urn:oid:1.2"],
        ),
        // what other tables answer
        (
            r#"{"resourceType":"Patient","id":"1","text":{"status":"empty"}}"#,
            "_id",
            vec![],
        ),
    ] {
        assert_eq!(shown(resource, code), expected, "{code} of {resource}");
    }
}

#[test]
fn patients_are_found_by_whether_they_have_died() {
    for (deceased, expected) in [
        ("", "20 false|"),
        (r#","deceasedBoolean":false"#, "20 false|"),
        (r#","deceasedBoolean":true"#, "20 true|"),
        (r#","deceasedDateTime":"2001""#, "20 true|"),
    ] {
        let patient = format!(r#"{{"resourceType":"Patient"{deceased}}}"#);
        assert_eq!(shown(&patient, "deceased"), [expected], "{deceased}");
    }
}

#[test]
fn quantities_are_indexed_as_written_and_in_canonical_units() {
    let registry = Registry::builtin();
    let observation = r#"{"resourceType":"Observation","valueQuantity":
        {"value":1500.0,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}"#;
    let expected = [
        key::quantity(&decimal("1500"), "mg", "mg", "http://unitsofmeasure.org"),
        key::quantity_canonical(&decimal("1.5"), "g"),
    ];
    assert_eq!(keys(&registry, observation, "value-quantity"), expected);

    let other = r#"{"resourceType":"Observation","valueQuantity":{"value":3,"unit":"tabs"}}"#;
    let expected = [key::quantity(&decimal("3"), "", "tabs", "")];
    assert_eq!(keys(&registry, other, "value-quantity"), expected);

    let invoice = r#"{"resourceType":"Invoice","totalNet":{"value":9.90,"currency":"EUR"}}"#;
    let expected = [key::quantity(
        &decimal("9.9"),
        "EUR",
        "EUR",
        "urn:iso:std:iso:4217",
    )];
    assert_eq!(keys(&registry, invoice, "totalnet"), expected);

    let risk = r#"{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":0.5},
        {"probabilityRange":{"low":{"value":0.1},"high":{"value":0.2}}}]}"#;
    let range = (Some(decimal("0.1")), Some(decimal("0.2")));
    let expected = [
        key::number(&decimal("0.5")),
        key::number_range(range.0, range.1),
    ];
    assert_eq!(keys(&registry, risk, "probability"), expected);
}

#[test]
fn ranges_are_one_key_of_both_bounds() {
    let registry = Registry::builtin();
    let ucum = "http://unitsofmeasure.org";
    for (low, high, expected) in [
        (Some("500"), Some("2000"), (Some("0.5"), Some("2"))),
        (Some("500"), None, (Some("0.5"), None)),
        (None, Some("500"), (None, Some("0.5"))),
        (Some("2000"), Some("500"), (Some("2"), Some("2"))),
    ] {
        let bound = |name: &str, value: Option<&str>| {
            let unit = format!(r#""unit":"x","system":"{ucum}","code":"mg""#);
            value.map(|value| format!(r#""{name}":{{"value":{value},{unit}}}"#))
        };
        let bounds: Vec<String> = [bound("low", low), bound("high", high)]
            .into_iter()
            .flatten()
            .collect();
        let text = format!(
            r#"{{"resourceType":"Condition","onsetRange":{{{}}}}}"#,
            bounds.join(",")
        );
        let number = |text: Option<&str>| text.map(decimal);
        let written = match (low, high) {
            (Some("2000"), Some(_)) => (number(low), number(low)),
            both => (number(both.0), number(both.1)),
        };
        let expected = [
            key::quantity_range(written, "mg", "x", ucum),
            key::quantity_range_canonical(number(expected.0), number(expected.1), "g"),
        ];
        assert_eq!(keys(&registry, &text, "onset-age"), expected, "{text}");
    }
}

#[test]
fn composites_join_the_parts_of_one_value() {
    let registry = Registry::builtin();
    let observation = r#"{"resourceType":"Observation","component":[
        {"code":{"coding":[{"system":"s","code":"sys"}]},"valueQuantity":{"value":120}},
        {"code":{"coding":[{"system":"s","code":"dia"}]},"valueQuantity":{"value":80}},
        {"code":{"coding":[{"system":"s","code":"none"}]}}]}"#;
    let part = |code, value| {
        let quantity = key::quantity(&decimal(value), "", "", "");
        key::composite(code, "s", &quantity)
    };
    let mut expected = vec![part("sys", "120"), part("dia", "80")];
    expected.sort();
    let found = keys(&registry, observation, "component-code-value-quantity");
    assert_eq!(found, expected);
    assert!(
        found[0].starts_with(&key::composite_prefix("dia"))
            || found[1].starts_with(&key::composite_prefix("dia"))
    );

    let document = r#"{"resourceType":"DocumentReference","relatesTo":[
        {"code":"replaces","target":{"reference":"DocumentReference/1"}}]}"#;
    let target = key::reference(kind("DocumentReference"), "1");
    let system = "http://hl7.org/fhir/document-relationship-type";
    let expected = [key::composite("replaces", system, &target)];
    assert_eq!(keys(&registry, document, "relationship"), expected);

    let sequence = r#"{"resourceType":"MolecularSequence",
        "referenceSeq":{"chromosome":{"coding":[{"code":"1"}]}},"variant":[{"start":5,"end":7}]}"#;
    let both = [
        key::number_fixed(&decimal("5")),
        key::number_fixed(&decimal("7")),
    ]
    .concat();
    let expected = [key::composite("1", "", &both)];
    assert_eq!(
        keys(&registry, sequence, "chromosome-variant-coordinate"),
        expected
    );
}

#[test]
fn positions_are_indexed() {
    let location = r#"{"resourceType":"Location","position":{"longitude":7.1,"latitude":50.7}}"#;
    let expected = [key::near(50.7, 7.1)];
    assert_eq!(keys(&Registry::builtin(), location, "near"), expected);
}

#[test]
fn what_a_part_finds_is_stored_once() {
    let registry = Registry::builtin();
    let text = r#"{"resourceType":"Patient",
        "name":[{"text":"Ada Byron","family":"Byron","given":["Ada","Ada"],"prefix":["Lady"]}],
        "telecom":[{"system":"phone","value":"1"},{"system":"email","value":"a@b"},
                   {"system":"fax","value":"2"},{"system":"fax","value":"1"}],
        "address":[{"line":["1 High St"],"city":"Ely","state":"CB","postalCode":"7","country":"GB"}]}"#;
    let patient = kind("Patient");
    let doc = Doc::parse(text).unwrap();
    let rows = registry.rows(patient, &doc, "http://x");
    let found = registry.extract(patient, &doc, "http://x");
    let table = [
        ("name", 2, vec!["family", "given"]),
        ("telecom", 1, vec!["email", "phone"]),
        (
            "address",
            1,
            vec![
                "address-city",
                "address-country",
                "address-postalcode",
                "address-state",
            ],
        ),
    ];
    for (whole, own, parts) in table {
        let number = |code: &str| registry.param(patient, code).unwrap().id;
        let of = |entries: &[Entry], param| -> BTreeSet<Vec<u8>> {
            let of_param = entries.iter().filter(|entry| entry.param == param);
            of_param.map(|entry| entry.key.clone()).collect()
        };
        let stored = registry.parts(patient, number(whole));
        let mut codes: Vec<&str> = (parts.iter().copied())
            .filter(|code| stored.contains(&number(code)))
            .collect();
        codes.sort_unstable();
        assert_eq!(codes, parts, "{whole}");
        assert_eq!(stored.len(), parts.len(), "{whole}");
        let mut all = of(&rows, number(whole));
        assert_eq!(all.len(), own, "{whole} has rows of its own for the rest");
        all.extend(stored.iter().flat_map(|part| of(&rows, *part)));
        assert_eq!(all, of(&found, number(whole)), "{whole} is all of them");
    }
}

#[test]
fn entries_are_sorted_and_unique_and_tell_what_is_referred_to() {
    let registry = Registry::builtin();
    let doc = Doc::parse(
        r#"{"resourceType":"Observation","code":{"coding":[{"code":"a"},{"code":"a"}]},
            "subject":{"reference":"Patient/1"}}"#,
    )
    .unwrap();
    let entries = registry.extract(kind("Observation"), &doc, BASE_URL);
    assert!(entries.windows(2).all(|pair| pair[0] < pair[1]));
    let found: Vec<_> = references(&entries)
        .map(|(param, kind, id)| {
            let code = &registry.by_id(param).unwrap().code;
            format!("{code} {}/{id}", kind.name())
        })
        .collect();
    assert_eq!(found, ["patient Patient/1", "subject Patient/1"]);
}

#[test]
fn values_of_the_wrong_json_type_give_no_entries() {
    let registry = Registry::builtin();
    for resource in [
        r#"{"resourceType":"Patient","name":"x","identifier":5,"birthDate":{"a":1},"active":"yes","gender":7}"#,
        r#"{"resourceType":"Patient","name":[["x"]],"telecom":[null],"birthDate":"soon","meta":[1]}"#,
        r#"{"resourceType":"Patient","name":{"family":["A"],"given":{"x":"B"}},"deceasedBoolean":false}"#,
    ] {
        let doc = Doc::parse(resource).unwrap();
        registry.extract(kind("Patient"), &doc, BASE_URL);
    }
}
