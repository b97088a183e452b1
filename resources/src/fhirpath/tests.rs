use proptest::prelude::*;

use super::*;
use crate::{
    Doc,
    model::{self, ResourceType},
};

const PATIENT: &str = r##"{"resourceType":"Patient","id":"p","active":true,
  "contained":[{"resourceType":"Organization","id":"o"}],
  "name":[{"use":"official","family":"Chalmers","given":["Peter","James"]},
          {"use":"usual","given":["Jim"]}],
  "telecom":[{"system":"phone","value":"1"},{"system":"email","value":"a@b"}],
  "_birthDate":{"extension":[{"url":"http://x/time","valueDateTime":"1974-12-25T14:35:45Z"}]},
  "birthDate":"1974-12-25",
  "deceasedDateTime":"2015-02-14",
  "generalPractitioner":[{"reference":"Practitioner/1"},{"reference":"#o"},
     {"reference":"http://here/fhir/PractitionerRole/2"},{"type":"Practitioner","display":"?"}],
  "multipleBirthInteger":2}"##;

fn patient() -> &'static crate::model::TypeDef {
    model::resource(ResourceType::from_name("Patient").unwrap())
}

fn show(item: &Item<'_>) -> String {
    match item {
        Item::Node(node) => node.value.map_or("-".into(), |value| value.raw().into()),
        Item::Boolean(value) => value.to_string(),
        Item::Text(text) => text.to_string(),
        Item::Number(number) => format!("{number:?}"),
    }
}

/// The values by evaluation, and by paths if there are any.
fn both(expression: &str) -> (Vec<String>, Option<Vec<String>>) {
    let doc = Doc::parse(PATIENT).unwrap();
    let expr = parse(expression).unwrap();
    let environment = Environment {
        resource: doc.root(),
        def: patient(),
        base_url: "http://here/fhir",
    };
    let root = Item::Node(Node::new(doc.root(), Typed::of(patient())));
    let evaluated = environment
        .evaluate(&expr, &root)
        .iter()
        .map(show)
        .collect();
    let walked = paths(&expr, patient(), patient()).unwrap().map(|paths| {
        let mut out = Vec::new();
        for path in &paths {
            path.walk(doc.root(), &environment, &mut |value| {
                out.push(value.raw().to_owned());
            });
        }
        out
    });
    (evaluated, walked)
}

#[test]
fn expressions_yield_the_same_by_path_and_by_evaluation() {
    for (expression, expected) in [
        ("Patient.active", "true"),
        ("Resource.id", "\"p\""),
        ("DomainResource.id", "\"p\""),
        ("Observation.id", ""),
        ("Patient.name.given", "\"Peter\" \"James\" \"Jim\""),
        ("name.where(use = 'usual').given", "\"Jim\""),
        ("name.where(use='x' or given='Jim').given", "\"Jim\""),
        (
            "name.where(family.exists() and use != 'old').family",
            "\"Chalmers\"",
        ),
        ("name.where(family.empty()).given", "\"Jim\""),
        ("Patient.name[1].given", "\"Jim\""),
        ("Patient.name.first().given[1]", "\"James\""),
        ("Patient.telecom.where(system='email').value", "\"a@b\""),
        ("(Patient.deceased as dateTime)", "\"2015-02-14\""),
        (
            "Patient.deceased.as(DateTime) | Patient.birthDate",
            "\"2015-02-14\" \"1974-12-25\"",
        ),
        ("Patient.deceased.ofType(boolean)", ""),
        ("Patient.multipleBirth as integer", "2"),
        (
            "Patient.generalPractitioner.where(resolve() is Practitioner).reference",
            "\"Practitioner/1\"",
        ),
        (
            "Patient.generalPractitioner.where(resolve() is PractitionerRole).reference",
            "\"http://here/fhir/PractitionerRole/2\"",
        ),
        (
            "Patient.generalPractitioner.where(resolve() is Organization).reference",
            "\"#o\"",
        ),
        (
            "Patient.birthDate.extension('http://x/time').value.as(dateTime)",
            "\"1974-12-25T14:35:45Z\"",
        ),
        ("Patient.contained.ofType(Organization).id", "\"o\""),
        ("name.where($this.use = 'usual').given", "\"Jim\""),
        ("%resource.birthDate", "\"1974-12-25\""),
    ] {
        let (evaluated, walked) = both(expression);
        assert_eq!(evaluated.join(" "), expected, "{expression}");
        let walked = walked.expect(expression);
        assert_eq!(walked.join(" "), expected, "{expression}");
    }
}

#[test]
fn what_is_no_path_is_evaluated() {
    for (expression, expected) in [
        (
            "Patient.deceased.exists() and Patient.deceased != false",
            "true",
        ),
        ("Patient.photo.exists()", "false"),
        ("Patient.name.given.first()", "\"Peter\""),
        ("Patient.name.given[2]", "\"Jim\""),
        ("Patient.multipleBirth = 2.0", "true"),
        ("(active = false).not()", "true"),
        ("Patient.photo.url = 'x'", ""),
    ] {
        let (evaluated, walked) = both(expression);
        assert_eq!(evaluated.join(" "), expected, "{expression}");
        assert_eq!(walked, None, "{expression}");
    }
}

#[test]
fn what_is_not_supported_is_refused_with_the_reason() {
    for (expression, reason) in [
        ("", "the expression ends too early"),
        ("Patient.", "a name expected at the end"),
        (
            "Patient.name.family.replace('a','b')",
            "the function replace() is not supported",
        ),
        ("Patient.name + 'x'", "'+' is not supported here"),
        ("Patient.name where", "'where' is not supported here"),
        ("Patient.name.as(Foo)", "'Foo' is not a FHIR R4 type"),
        ("%ucum", "the variable %ucum is not supported"),
        ("Patient.nom", "Patient has no element 'nom'"),
        (
            "Patient.deceasedBoolean",
            "write 'deceased as boolean' instead of 'deceasedBoolean'",
        ),
        (
            "Patient.link.other.resolve()",
            "resolve() is only supported before 'is'",
        ),
        (
            "Patient.name.where(colour = 'x')",
            "HumanName has no element 'colour'",
        ),
        ("Patient.name[a]", "only a number can stand in '[]'"),
        ("'abc", "a string that does not end"),
        ("Patient.name; drop", "';' cannot stand here"),
    ] {
        let refused = parse(expression)
            .and_then(|expr| paths(&expr, patient(), patient()))
            .unwrap_err();
        assert_eq!(refused.0, reason, "{expression}");
    }
    let deep = format!("{}active{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(parse(&deep).unwrap_err().0, "nested deeper than 32 levels");
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "[a-zP.()\\[\\]'|=! @%$0-9]{0,40}") {
        if let Ok(expr) = parse(&text) {
            let _ = paths(&expr, patient(), patient());
        }
    }
}
