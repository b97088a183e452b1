//! Parameters that users post.

use super::*;

fn custom(id: u32, base: &str, definition: &str) -> Custom {
    let doc = Doc::parse(definition).unwrap();
    Custom {
        id: ParamId(id),
        base: kind(base),
        definition: Definition::parse(&doc).unwrap(),
    }
}

#[test]
fn posted_parameters_are_indexed_beside_the_others() {
    let first = ParamId::FIRST_CUSTOM.0;
    let registry = Registry::builtin()
        .with_custom(vec![
            custom(
                first,
                "Patient",
                r#"{"resourceType":"SearchParameter","url":"http://x/colour","code":"eye-colour",
                    "type":"token","base":["Patient"],
                    "expression":"Patient.extension('http://x/eyes').value.as(Coding)"}"#,
            ),
            custom(
                first + 1,
                "Patient",
                r#"{"resourceType":"SearchParameter","url":"http://x/born","code":"born-at",
                    "type":"date","base":["Patient"],
                    "expression":"Patient.birthDate.extension('http://x/time').value as dateTime"}"#,
            ),
            custom(
                first + 2,
                "Patient",
                r#"{"resourceType":"SearchParameter","url":"http://x/both","code":"name-gender",
                    "type":"composite","base":["Patient"],"expression":"Patient","component":[
                    {"definition":"http://hl7.org/fhir/SearchParameter/individual-gender","expression":"gender"},
                    {"definition":"http://hl7.org/fhir/SearchParameter/Patient-name","expression":"name"}]}"#,
            ),
        ])
        .unwrap();
    let patient = r#"{"resourceType":"Patient","gender":"male","name":[{"family":"X"}],
        "birthDate":"2001-01-01","_birthDate":{"extension":[
            {"url":"http://x/time","valueDateTime":"2001-01-01T10:00:00Z"}]},
        "extension":[{"url":"http://x/eyes","valueCoding":{"system":"s","code":"blue"}},
            {"url":"http://x/hair","valueCoding":{"system":"s","code":"red"}}]}"#;
    assert_eq!(
        keys(&registry, patient, "eye-colour"),
        [key::token("blue", "s")]
    );
    let born = DateRange::parse("2001-01-01T10:00:00Z").unwrap();
    assert_eq!(keys(&registry, patient, "born-at"), [key::date(born)]);
    let system = "http://hl7.org/fhir/administrative-gender";
    let both = key::composite("male", system, &key::string("X"));
    assert_eq!(keys(&registry, patient, "name-gender"), [both]);
    assert_eq!(registry.by_id(ParamId(first)).unwrap().code, "eye-colour");
    assert_eq!(keys(&registry, patient, "birthdate").len(), 1);
}

#[test]
fn posted_parameters_that_cannot_be_used_are_refused_with_the_reason() {
    let definition = |code: &str, kind: &str, expression: &str| {
        format!(
            r#"{{"resourceType":"SearchParameter","url":"http://x/{code}","code":"{code}",
                "type":"{kind}","base":["Patient"],"expression":"{expression}"}}"#
        )
    };
    for (code, kind, expression, reason) in [
        (
            "name",
            "string",
            "Patient.name",
            "the code 'name' of Patient is taken by",
        ),
        (
            "x",
            "string",
            "Patient.name.trace('x')",
            "the function trace() is not supported",
        ),
        (
            "x",
            "string",
            "Patient.nickname",
            "Patient has no element 'nickname'",
        ),
        (
            "x",
            "date",
            "Patient.name",
            "values of type HumanName cannot be searched by a date",
        ),
        (
            "x",
            "token",
            "Observation.code",
            "the expression never has a value for Patient",
        ),
        (
            "x",
            "composite",
            "Patient",
            "a composite needs two components",
        ),
    ] {
        let custom = custom(1 << 20, "Patient", &definition(code, kind, expression));
        let issue = Registry::builtin().with_custom(vec![custom]).unwrap_err();
        assert!(issue.diagnostics.contains(reason), "{}", issue.diagnostics);
    }
    for (text, place) in [
        (
            definition("_x", "string", "Patient.name"),
            "SearchParameter.code",
        ),
        (
            definition("x", "special", "Patient.name"),
            "SearchParameter.type",
        ),
        (
            definition("x", "string", "a").replace("Patient", "Pat"),
            "SearchParameter.base",
        ),
        (
            definition("x", "string", "a").replace("url", "uri"),
            "SearchParameter",
        ),
    ] {
        let issue = Definition::parse(&Doc::parse(text).unwrap()).unwrap_err();
        assert_eq!(issue.expression.as_deref(), Some(place));
    }
}

#[test]
fn targets_are_those_that_the_elements_can_have() {
    let registry = Registry::builtin();
    let targets = |base: &str, code: &str| {
        let base = ResourceType::from_name(base).unwrap();
        let param = registry.param(base, code).unwrap();
        let names: Vec<_> = param.targets.iter().map(|kind| kind.name()).collect();
        names.join(" ")
    };
    for (base, code, expected) in [
        ("Observation", "patient", "Patient"),
        ("AllergyIntolerance", "patient", "Patient"),
        ("DeviceUseStatement", "patient", "Group Patient"),
        ("Observation", "subject", "Device Group Location Patient"),
        ("Encounter", "practitioner", "Practitioner"),
        ("AuditEvent", "patient", "Patient"),
    ] {
        assert_eq!(targets(base, code), expected, "{base}.{code}");
    }
}
