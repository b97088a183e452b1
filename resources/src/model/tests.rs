use super::*;

fn resource_named(name: &str) -> &'static TypeDef {
    resource(ResourceType::from_name(name).unwrap())
}

#[test]
fn elements_keep_the_order_of_the_standard_and_include_inherited_ones() {
    let names: Vec<_> = resource_named("Patient")
        .elements
        .iter()
        .map(|element| element.name)
        .collect();
    assert_eq!(
        names[..11],
        [
            "id",
            "meta",
            "implicitRules",
            "language",
            "text",
            "contained",
            "extension",
            "modifierExtension",
            "identifier",
            "active",
            "name"
        ]
    );
}

#[test]
fn names_lead_to_elements_and_types() {
    let cases = [
        ("Patient", "deceasedBoolean", Some(("deceased", "boolean"))),
        ("Patient", "deceased", None),
        ("Patient", "deceasedString", None),
        ("Patient", "id", Some(("id", "id"))),
        ("Patient", "contact", Some(("contact", "Patient.contact"))),
        ("Patient.contact", "id", Some(("id", "string"))),
        ("Observation", "valueQuantity", Some(("value", "Quantity"))),
        ("Observation", "valueDateTime", Some(("value", "dateTime"))),
        (
            "Observation.component",
            "referenceRange",
            Some(("referenceRange", "Observation.referenceRange")),
        ),
        ("Bundle.entry", "resource", Some(("resource", "Resource"))),
        ("Timing", "repeat", Some(("repeat", "Timing.repeat"))),
        ("Extension", "url", Some(("url", "uri"))),
        ("string", "extension", Some(("extension", "Extension"))),
        ("string", "value", None),
    ];
    for (ty, name, expected) in cases {
        let found = data_type(ty).unwrap().property(name);
        assert_eq!(
            found.map(|found| (found.element.name, found.ty.name)),
            expected,
            "{ty}.{name}"
        );
        if let Some(found) = found {
            assert_eq!(found.ty.def().name, found.ty.name);
        }
    }
}

#[test]
fn every_resource_type_has_a_definition() {
    for kind in ResourceType::all() {
        assert_eq!(resource(kind).name, kind.name());
        assert_eq!(resource(kind).kind, TypeKind::Resource);
    }
}

#[test]
fn required_bindings_have_sorted_codes_unless_the_set_is_open() {
    let binding = |ty: &str, name: &str| {
        let property = data_type(ty).unwrap().property(name).unwrap();
        property.element.binding.unwrap()
    };
    let gender = binding("Patient", "gender");
    assert_eq!(gender.contains_code("female"), Some(true));
    assert_eq!(gender.contains_code("Female"), Some(false));
    assert_eq!(
        binding("Attachment", "contentType").codes.map(<[_]>::len),
        None
    );
    let currency = binding("Money", "currency");
    assert_eq!(currency.codes.map(<[_]>::len), Some(182));
    assert_eq!(currency.contains_code("EUR"), Some(true));
    assert_eq!(currency.contains_code("ZZZ"), Some(false));
    assert_eq!(
        binding("Task", "intent").contains_code("unknown"),
        Some(true)
    );
    assert_eq!(binding("Task", "intent").contains_code("order"), Some(true));
    for ty in &tables::TYPES {
        for codes in ty.elements.iter().filter_map(|e| e.binding?.codes) {
            assert!(codes.is_sorted());
        }
    }
}

#[test]
fn reference_targets_are_empty_where_any_type_may_stand() {
    let targets = |ty: &str, name: &str| {
        let property = data_type(ty).unwrap().property(name).unwrap();
        property
            .ty
            .targets
            .iter()
            .map(|kind| kind.name())
            .collect::<Vec<_>>()
    };
    assert_eq!(targets("Patient", "managingOrganization"), ["Organization"]);
    assert_eq!(targets("Provenance", "target"), [""; 0]);
}

#[test]
fn search_parameters_are_split_by_base_and_sorted() {
    let all = search_parameters::all();
    assert!(all.is_sorted_by_key(|row| (row.base, row.code)));
    let expression = |base: &str, code: &str| {
        let rows = search_parameters::of(ResourceType::from_name(base).unwrap());
        rows.iter()
            .find(|row| row.code == code)
            .map(|row| row.expression)
    };
    let cases = [
        (
            "AllergyIntolerance",
            "code",
            "AllergyIntolerance.code | AllergyIntolerance.reaction.substance",
        ),
        ("Observation", "code", "Observation.code"),
        ("Condition", "code", "Condition.code"),
        (
            "MedicationStatement",
            "code",
            "(MedicationStatement.medication as CodeableConcept)",
        ),
        (
            "Patient",
            "deceased",
            "Patient.deceased.exists() and Patient.deceased != false",
        ),
        ("Slot", "_lastUpdated", "Resource.meta.lastUpdated"),
        ("Patient", "_text", ""),
    ];
    for (base, code, expected) in cases {
        assert_eq!(expression(base, code), Some(expected), "{base} {code}");
    }
    assert_eq!(expression("Bundle", "_text"), None);
    for kind in ResourceType::all() {
        assert!(search_parameters::of(kind).len() < 256);
    }
}

#[test]
fn compartments_name_the_parameters_of_their_members() {
    let kind = |name| ResourceType::from_name(name).unwrap();
    let cases: [(&str, &str, &[&str]); 5] = [
        ("Patient", "Observation", &["subject", "performer"]),
        ("Patient", "Patient", &["{def}", "link"]),
        ("Encounter", "Encounter", &["{def}"]),
        ("Practitioner", "Slot", &[]),
        ("Slot", "Slot", &[]),
    ];
    for (compartment, member, expected) in cases {
        assert_eq!(
            compartments::params(kind(compartment), kind(member)),
            expected
        );
    }
    for compartment in compartments::kinds() {
        assert!(compartments::params(compartment, compartment).contains(&"{def}"));
    }
}
