use proptest::prelude::*;

use super::{faults, search};

#[test]
fn unknown_names_are_refused_with_a_suggestion_or_ignored_with_a_warning() {
    for (text, says) in [
        ("Patient?nmae=x", "did you mean 'name'?"),
        ("Patient?birthDate=2000", "did you mean 'birthdate'?"),
        ("Patient?quux=x", "Patient has no search parameter 'quux'"),
        (
            "Patient?name:like=x",
            "they have missing, exact and contains",
        ),
        ("Patient?gender:exact=x", "token parameters"),
        ("Patient?birthdate:exact=2000", "date parameters"),
        (
            "Patient?_lastUpdated:not=2000",
            "_lastUpdated has no modifier",
        ),
        ("Patient?_query=x", "no named queries"),
        (
            "Patient?_contained=true",
            "contained resources are not searched",
        ),
        ("Patient?_sort=nmae", "did you mean 'name'?"),
        ("Location?_sort=near", "has no order"),
        ("Patient?_elements=nam", "did you mean 'name'?"),
        (
            "Observation?subject.nosuch=x",
            "no search parameter 'nosuch'",
        ),
        (
            "Patient?_include:all=Patient:organization",
            "it has iterate",
        ),
        ("Patient?name=", "it has no value"),
        ("?name=x", "has no search parameter 'name'"),
    ] {
        let found = faults(text);
        assert!(found.contains(says), "{text}: {found}");
        assert!(found.starts_with("not-supported"), "{text}: {found}");
        let lenient = search(text, false).unwrap();
        assert!(lenient.accepted.is_empty(), "{text}");
        assert_eq!(lenient.warnings.len(), 1, "{text}");
        assert!(
            lenient.warnings[0].diagnostics.contains("was ignored"),
            "{text}"
        );
    }
}

#[test]
fn bad_values_are_errors_even_when_lenient() {
    for (text, says) in [
        (
            "Patient?birthdate=2000-13",
            "'2000-13' is not a date that exists",
        ),
        ("Patient?birthdate=ge", "is not a date"),
        ("Patient?birthdate=xx2000", "is not a date"),
        ("Patient?_lastUpdated=yesterday", "is not a date"),
        ("RiskAssessment?probability=high", "'high' is not a number"),
        ("Observation?value-quantity=x|s|mg", "'x' is not a number"),
        ("Observation?value-quantity=1|2|3|4", "too many '|'"),
        ("Patient?identifier=a|b|c", "too many '|'"),
        ("Patient?identifier=|", "'|' alone is no token"),
        ("Patient?name=a,,b", "an empty value between commas"),
        (
            "Patient?gender:missing=yes",
            "'yes' is neither true nor false",
        ),
        (
            "Patient?identifier:of-type=a|b",
            "type-system|type-code|value",
        ),
        ("Observation?subject=Patiant/1", "is no reference"),
        ("Observation?subject:Patient=Group/1", "is a Group"),
        (
            "Location?partof:below=http://x/y",
            "a canonical with a version",
        ),
        ("Observation?subject:below=Patient/1", "without a hierarchy"),
        (
            "Observation?subject:Medication=1",
            "does not refer to Medication",
        ),
        (
            "Observation?subject:Patiant.name=x",
            "did you mean 'Patient'?",
        ),
        (
            "Observation?code.name=x",
            "Observation.code is no reference",
        ),
        ("Patient?_has:Observation:patient=x", "_has takes a type"),
        (
            "Patient?_has:Obs:patient:code=x",
            "'Obs' is no resource type",
        ),
        (
            "Patient?_has:Observation:code:code=x",
            "Observation.code is no reference",
        ),
        (
            "Patient?_has:Observation:encounter:code=x",
            "does not refer to Patient",
        ),
        ("Patient?_list=$current-problems", "functional list"),
        ("Patient?_count=-1", "'-1' is not a whole number"),
        ("Patient?_count=1&_count=2", "it may be given once"),
        ("Patient?_total=yes", "none of none, estimate, accurate"),
        ("Patient?_summary=all", "none of true, text"),
        ("Patient?_sort=name,-name", "'name' is there twice"),
        (
            "Patient?_include=organization",
            "is not of the form Type:parameter",
        ),
        (
            "Patient?_include=Patient:name",
            "Patient.name is no reference",
        ),
        (
            "Patient?_include=Patient:organization:Group",
            "does not refer to Group",
        ),
        (
            "Patient?_type=Observation",
            "Observation is not among the types",
        ),
        ("?_type=Patiant", "did you mean 'Patient'?"),
        ("Patient?_text=\"a b\"", "phrases in quotation marks"),
        ("Location?near=x|y", "is not a number from -90 to 90"),
        ("ValueSet?url:below=urn:oid:1", "has no path"),
        ("Observation?code-value-quantity=a", "must have 2 values"),
        (
            "MolecularSequence?chromosome-window-coordinate=1$x$5",
            "'x' is not a number",
        ),
        ("Patient?_filter=name", "a comparison"),
        ("Patient?_filter=name zz x", "'zz' does not go with string"),
        (
            "Patient?_filter=name[use eq x].given eq y",
            "conditions on the same repetition",
        ),
        (
            "Patient?_filter=_has:Observation:patient:code eq y",
            "_has cannot stand in a filter",
        ),
        (
            "Observation?subject=%23p1",
            "contained resources cannot be searched",
        ),
    ] {
        let found = faults(text);
        assert!(found.contains(says), "{text}: {found}");
        assert!(search(text, false).is_err(), "{text}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let found = faults("Patient?birthdate=x&nmae=y&_count=z");
    assert_eq!(found.matches("search parameter '").count(), 4, "{found}");
}

#[test]
fn limits_are_kept() {
    let huge = faults(&format!("Patient?birthdate={}", "9".repeat(60_000)));
    assert!(
        huge.len() < 1000 && huge.contains("is not a date"),
        "{huge}"
    );
    let many = vec!["x"; 501].join(",");
    let names = vec!["name=x"; 101].join("&");
    let chain = ["partof"; 7].join(".");
    let includes = vec!["_include=Patient:organization"; 33].join("&");
    let nested = format!("{}name eq x{}", "(".repeat(20), ")".repeat(20));
    for (text, says) in [
        (format!("Patient?name={many}"), "501 values"),
        (format!("Patient?{names}"), "101 parameters"),
        (format!("Location?{chain}.name=x"), "follows more than"),
        (format!("Patient?{includes}"), "more than 32 includes"),
        (format!("Patient?_filter={nested}"), "nested too deeply"),
        (
            format!("Patient?name={}", "x".repeat(70_000)),
            "is longer than",
        ),
        ("List?item.item.item._id=x".to_owned(), "conditions"),
        (
            "List?_filter=item.item.item._id eq x".to_owned(),
            "conditions",
        ),
    ] {
        let found = faults(&text);
        assert!(found.contains(says), "{found}");
        assert!(found.starts_with("too-costly"), "{found}");
        assert!(found.len() < 2000);
    }
}

proptest! {
    #[test]
    fn any_query_is_parsed_or_refused(
        name in "[a-z_:.A-Z-]{0,20}|\\PC{0,10}|_has:Observation:patient:[a-z.:_]{0,10}",
        value in "\\PC{0,30}",
    ) {
        let text = format!("Patient?{}", crate::search::encode([(name.as_str(), value.as_str())]));
        drop(search(&text, true));
        drop(search(&text, false));
    }

    #[test]
    fn any_value_of_a_known_parameter_is_parsed_or_refused(
        name in prop::sample::select(vec![
            "code", "code:text", "code:in", "code:of-type", "date", "value-quantity", "subject",
            "subject:identifier", "subject:Patient", "value-string:contains", "value-string:exact",
            "code-value-quantity", "combo-code-value-concept", "_filter", "_text", "_sort",
            "_include", "_revinclude", "_elements", "_id", "_lastUpdated", "_list", "_profile:below",
            "_profile:above", "derived-from",
        ]),
        value in "[-a-z0-9|$,\\\\.:/*()\" ]{0,30}|\\PC{0,20}",
    ) {
        let text =
            format!("Observation?{}", crate::search::encode([(name, value.as_str())]));
        drop(search(&text, true));
    }
}
