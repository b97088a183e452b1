use super::*;

const NS: &str = "http://www.w3.org/1999/xhtml";

fn issues(text: &str) -> Vec<(&'static str, String)> {
    let doc = Doc::parse(text).unwrap();
    let issues = validate(&doc);
    issues
        .into_iter()
        .map(|issue| (issue.code, issue.expression.unwrap_or_default()))
        .collect()
}

fn patient(members: &str) -> String {
    format!(r#"{{"resourceType":"Patient",{members}}}"#)
}

/// A Patient with this reference to its managing organization.
fn managed(reference: &str) -> String {
    patient(&format!(r#""managingOrganization":{reference}"#))
}

const MANAGED_BY: &str = "Patient.managingOrganization.reference";

/// An EffectEvidenceSynthesis of which the unit of its estimate is the point.
fn effect(unit: &str) -> String {
    let variable = r#"{"reference":"EvidenceVariable/1"}"#;
    format!(
        r#"{{"resourceType":"EffectEvidenceSynthesis","status":"draft","population":{variable},"exposure":{variable},"exposureAlternative":{variable},"outcome":{variable},"effectEstimate":[{{"unitOfMeasure":{unit}}}]}}"#
    )
}

const EFFECT_UNIT: &str = "EffectEvidenceSynthesis.effectEstimate[0].unitOfMeasure";

fn observation(members: &str) -> String {
    format!(r#"{{"resourceType":"Observation","status":"final","code":{{"text":"a"}},{members}}}"#)
}

#[test]
fn what_the_standard_allows_passes() {
    let cases = [
        r#"{"resourceType":"Patient"}"#.to_owned(),
        patient(r#""birthDate":"1970-03","_birthDate":{"extension":[{"url":"http://a","valueTime":"10:00:00"}]}"#),
        patient(r#""_birthDate":{"extension":[{"url":"http://a","valueString":"x"}]}"#),
        patient(r#""name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]"#),
        patient(r#""name":[{"_given":[{"id":"x"}]}]"#),
        patient(r#""deceasedBoolean":false,"_deceasedBoolean":{"id":"x"}"#),
        patient(r##""contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"}"##),
        patient(&format!(r#""text":{{"status":"generated","div":"<div xmlns=\"{NS}\">a</div>"}}"#)),
        patient(r##""managingOrganization":{"reference":"urn:uuid:1"},"generalPractitioner":[{"display":"x"}]"##),
        observation(r#""valueQuantity":{"value":1.00e-3}"#),
        observation(r#""_valueString":{"extension":[{"url":"a","valueCode":"b"}]}"#),
        r#"{"resourceType":"Observation","_status":{"extension":[{"url":"a","valueCode":"b"}]},"code":{"text":"a"}}"#.to_owned(),
        r##"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a","link":[{"other":{"reference":"#"},"type":"refer"}]}]}}]}"##.to_owned(),
        r#"{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"http://a","code":"x"},{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]}}"#.to_owned(),
        managed(r#"{"reference":"Organization/a-B.1/_history/3"}"#),
        managed(r#"{"reference":"Organization?identifier=a|b"}"#),
        managed(r#"{"reference":"https://a.b/fhir/Organization/1"}"#),
        managed(r#"{"reference":"https://a.b/people/a_b"}"#),
        managed(r#"{"reference":"urn:oid:1.2.3"}"#),
        patient(r#""contained":[{"resourceType":"Patient","id":"o","meta":{"profile":["http://a"],"tag":[{"code":"t"}]}}]"#),
        patient(r#""photo":[{"contentType":"image/png"}],"extension":[{"url":"a","valueMoney":{"value":1,"currency":"EUR"}}]"#),
        effect(r#"{"coding":[{"system":"http://unitsofmeasure.org","code":"mg/dL"}]}"#),
    ];
    for text in cases {
        assert_eq!(issues(&text), [], "{text}");
    }
}

#[test]
fn each_fault_is_reported_with_code_and_place() {
    let cases: Vec<(String, &str, &str)> = vec![
        // The resource as such.
        (r#"[]"#.into(), "structure", "Resource"),
        (r#"{}"#.into(), "required", "Resource.resourceType"),
        (r#"{"resourceType":"patient"}"#.into(), "structure", "patient.resourceType"),
        (r#"{"resourceType":1}"#.into(), "structure", "Resource.resourceType"),
        (r#"{"resourceType":"DomainResource"}"#.into(), "structure", "DomainResource.resourceType"),
        // Unknown elements.
        (patient(r#""birthdate":"1970""#), "structure", "Patient.birthdate"),
        (patient(r#""deceased":true"#), "structure", "Patient.deceased"),
        (patient(r#""deceasedString":"a""#), "structure", "Patient.deceasedString"),
        (patient(r#""name":[{"resourceType":"HumanName"}]"#), "structure", "Patient.name[0].resourceType"),
        (patient(r#""_name":[{"id":"a"}]"#), "structure", "Patient.name"),
        (patient(r#""__gender":{"id":"a"}"#), "structure", "Patient.__gender"),
        // JSON types.
        (patient(r#""active":"true""#), "structure", "Patient.active"),
        (patient(r#""active":1"#), "structure", "Patient.active"),
        (patient(r#""gender":true"#), "structure", "Patient.gender"),
        (patient(r#""gender":{"value":"male"}"#), "structure", "Patient.gender"),
        (patient(r#""gender":["male"]"#), "structure", "Patient.gender"),
        (patient(r#""gender":null"#), "structure", "Patient.gender"),
        (patient(r#""name":{"family":"a"}"#), "structure", "Patient.name"),
        (patient(r#""name":["a"]"#), "structure", "Patient.name[0]"),
        (patient(r#""name":[null]"#), "structure", "Patient.name[0]"),
        (patient(r#""maritalStatus":"M""#), "structure", "Patient.maritalStatus"),
        (patient(r#""multipleBirthInteger":"2""#), "structure", "Patient.multipleBirth"),
        (observation(r#""valueQuantity":{"value":"1.0"}"#), "structure", "Observation.value.value"),
        // Empty and null.
        (patient(r#""name":[]"#), "structure", "Patient.name"),
        (patient(r#""name":[{}]"#), "structure", "Patient.name[0]"),
        (patient(r#""_gender":{}"#), "structure", "Patient.gender"),
        (patient(r#""name":[{"given":[null]}]"#), "structure", "Patient.name[0].given[0]"),
        (patient(r#""name":[{"given":["a",null],"_given":[{"id":"x"},null]}]"#), "structure", "Patient.name[0].given[1]"),
        (patient(r#""name":[{"given":["a"],"_given":[null,{"id":"x"}]}]"#), "structure", "Patient.name[0].given"),
        (patient(r#""name":[{"_given":[null]}]"#), "structure", "Patient.name[0].given[0]"),
        (patient(r#""name":[{"_given":[]}]"#), "structure", "Patient.name[0].given"),
        (patient(r#""name":[{"given":["a"],"_given":{"id":"x"}}]"#), "structure", "Patient.name[0].given"),
        // Cardinality.
        (r#"{"resourceType":"Observation","code":{"text":"a"}}"#.into(), "required", "Observation.status"),
        (r#"{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"display":"a"}}"#.into(), "required", "MedicationRequest.medication"),
        (patient(r#""contact":[{"name":{"text":"a"}}],"communication":[{"preferred":true}]"#), "required", "Patient.communication[0].language"),
        (r#"{"resourceType":"Linkage","item":[{"type":"source","resource":{"display":"a"}}],"active":true,"author":{"display":"x"},"extension":[{"valueCode":"a"}]}"#.into(), "required", "Linkage.extension[0].url"),
        // Choice.
        (patient(r#""deceasedBoolean":true,"deceasedDateTime":"2020""#), "structure", "Patient.deceased"),
        (patient(r#""deceasedBoolean":true,"_deceasedDateTime":{"id":"a"}"#), "structure", "Patient.deceased"),
        // Primitive syntax.
        (patient(r#""id":"a_b""#), "value", "Patient.id"),
        (patient(r#""birthDate":"2021-02-30""#), "value", "Patient.birthDate"),
        (patient(r#""birthDate":"2021-02-03T10:00:00Z""#), "value", "Patient.birthDate"),
        (patient(r#""deceasedDateTime":"2021-02-03T10:00:00""#), "value", "Patient.deceased"),
        (patient(r#""language":" en""#), "value", "Patient.language"),
        (patient(r#""implicitRules":"a b""#), "value", "Patient.implicitRules"),
        (patient(r#""name":[{"family":""}]"#), "value", "Patient.name[0].family"),
        (patient(r#""name":[{"family":"a\u0000b"}]"#), "value", "Patient.name[0].family"),
        (patient(r#""multipleBirthInteger":1.5"#), "value", "Patient.multipleBirth"),
        (patient(r#""multipleBirthInteger":2147483648"#), "value", "Patient.multipleBirth"),
        (patient(r#""photo":[{"data":"?"}]"#), "value", "Patient.photo[0].data"),
        (patient(r#""photo":[{"size":-1}]"#), "value", "Patient.photo[0].size"),
        (patient(r#""telecom":[{"rank":0}]"#), "value", "Patient.telecom[0].rank"),
        (patient(r#""meta":{"lastUpdated":"2020-01-01"}"#), "value", "Patient.meta.lastUpdated"),
        (patient(r#""extension":[{"url":"a","valueTime":"24:00:00"}]"#), "value", "Patient.extension[0].value"),
        (patient(r#""extension":[{"url":"a","valueOid":"1.2"}]"#), "value", "Patient.extension[0].value"),
        (patient(r#""extension":[{"url":"a","valueUuid":"urn:uuid:1"}]"#), "value", "Patient.extension[0].value"),
        // Narrative.
        (patient(r#""text":{"status":"generated","div":"a"}"#), "value", "Patient.text.div"),
        (patient(&format!(r#""text":{{"status":"generated","div":"<div xmlns=\"{NS}\"><script>a</script></div>"}}"#)), "invariant", "Patient.text.div"),
        (patient(r#""text":{"status":"generated"}"#), "required", "Patient.text.div"),
        // Extensions.
        (patient(r#""extension":[{"url":"a"}]"#), "invariant", "Patient.extension[0]"),
        (patient(r#""extension":[{"url":"a","valueCode":"b","extension":[{"url":"c","valueCode":"d"}]}]"#), "invariant", "Patient.extension[0]"),
        // References.
        (patient(r#""managingOrganization":{"reference":"Patient/1"}"#), "value", "Patient.managingOrganization"),
        (patient(r#""managingOrganization":{"reference":"http://a.b/fhir/Patient/1/_history/2"}"#), "value", "Patient.managingOrganization"),
        (patient(r#""managingOrganization":{"type":"Patient","display":"x"}"#), "value", "Patient.managingOrganization"),
        (patient(r#""managingOrganization":{"reference":"Organization/1","type":"Patient"}"#), "value", "Patient.managingOrganization.type"),
        (patient(r##""managingOrganization":{"reference":"#o"}"##), "invariant", "Patient.managingOrganization.reference"),
        (patient(r##""contained":[{"resourceType":"Patient","id":"o"}],"managingOrganization":{"reference":"#o"}"##), "value", "Patient.managingOrganization"),
        (managed(r#"{"reference":"Foo/1"}"#), "value", MANAGED_BY),
        (managed(r#"{"reference":"Foo?name=a"}"#), "value", MANAGED_BY),
        (managed(r#"{"reference":"hello"}"#), "value", MANAGED_BY),
        (managed(r#"{"reference":"Organization"}"#), "value", MANAGED_BY),
        (managed(r#"{"reference":"Organization/a_b"}"#), "value", MANAGED_BY),
        (managed(r#"{"reference":"Organization/1/"}"#), "value", MANAGED_BY),
        (managed(r#"{"reference":"/Organization/1"}"#), "value", MANAGED_BY),
        (managed(r#"{"reference":"Organization/1/_history/"}"#), "value", MANAGED_BY),
        (managed(r#"{"reference":"http://a.b/Organization/1 2"}"#), "value", MANAGED_BY),
        // Contained resources.
        (patient(r#""contained":[{"resourceType":"Organization","name":"x"}]"#), "required", "Patient.contained[0].id"),
        (patient(r##""contained":[{"resourceType":"Organization","id":"o","name":"x"},{"resourceType":"Patient","id":"o"}]"##), "invariant", "Patient.contained[1].id"),
        (patient(r#""contained":[{"resourceType":"Patient","id":"o","meta":{"versionId":"1"}}]"#), "invariant", "Patient.contained[0].meta.versionId"),
        (patient(r#""contained":[{"resourceType":"Patient","id":"o","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}}]"#), "invariant", "Patient.contained[0].meta.lastUpdated"),
        (patient(r#""contained":[{"resourceType":"Patient","id":"o","meta":{"security":[{"code":"R"}]}}]"#), "invariant", "Patient.contained[0].meta.security"),
        // Required bindings.
        (patient(r#""gender":"m""#), "code-invalid", "Patient.gender"),
        (patient(r#""link":[{"other":{"reference":"Patient/1"},"type":"twin"}]"#), "code-invalid", "Patient.link[0].type"),
        (r#"{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"text":"active"}}"#.into(), "code-invalid", "AllergyIntolerance.clinicalStatus"),
        (r#"{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"http://a","code":"active"}]}}"#.into(), "code-invalid", "AllergyIntolerance.clinicalStatus"),
        (r#"{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"code":"active"}]}}"#.into(), "code-invalid", "AllergyIntolerance.clinicalStatus"),
        (patient(r#""extension":[{"url":"a","valueMoney":{"value":1,"currency":"ZZZ"}}]"#), "code-invalid", "Patient.extension[0].value.currency"),
        (patient(r#""photo":[{"contentType":"not a mime"}]"#), "code-invalid", "Patient.photo[0].contentType"),
        (effect(r#"{"coding":[{"system":"http://a","code":"mg"}]}"#), "code-invalid", EFFECT_UNIT),
        (effect(r#"{"coding":[{"system":"http://unitsofmeasure.org","code":"spoons"}]}"#), "code-invalid", EFFECT_UNIT),
        (effect(r#"{"text":"mg"}"#), "code-invalid", EFFECT_UNIT),
        // Resources inside resources.
        (patient(r#""contained":[{"id":"a"}]"#), "required", "Patient.contained[0].resourceType"),
        (patient(r#""contained":["a"]"#), "structure", "Patient.contained[0]"),
        (patient(r#""contained":[{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Patient"}]}]"#), "invariant", "Patient.contained[0].contained"),
        (r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","gender":"m"}}]}"#.into(), "code-invalid", "Bundle.entry[0].resource.gender"),
        (r#"{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"X"}}]}]}"#.into(), "structure", "Parameters.parameter[0].part[0].resource.resourceType"),
    ];
    for (text, code, expression) in cases {
        assert_eq!(issues(&text), [(code, expression.to_owned())], "{text}");
    }
}

#[test]
fn sentences_help() {
    let cases = [
        (
            patient(r#""birthdate":"1970""#),
            "Patient has no element 'birthdate'. Did you mean birthDate?",
        ),
        (
            patient(r#""deceased":true"#),
            "Patient has no element 'deceased'. Its name carries the type, like deceasedBoolean or deceasedDateTime.",
        ),
        (
            patient(r#""name":{"family":"a"}"#),
            "name can repeat, so it must be a JSON array; put its value in [ ].",
        ),
        (
            patient(r#""gender":"m""#),
            "\"m\" is not in the required value set http://hl7.org/fhir/ValueSet/administrative-gender; use one of: female, male, other, unknown.",
        ),
        (
            managed(r#"{"reference":"Organization/a_b"}"#),
            "\"Organization/a_b\" is no reference to a resource: an id has 1 to 64 of the characters A-Z, a-z, 0-9, '-' and '.', and only /_history/ and a version can follow it.",
        ),
        (
            managed(r#"{"reference":"hello"}"#),
            "\"hello\" is no reference to a resource: it must be Type/id with a resource type of FHIR R4, an absolute URI, or # and the id of a contained resource.",
        ),
        (
            patient(r#""photo":[{"contentType":"png"}]"#),
            "\"png\" is not in the required value set http://hl7.org/fhir/ValueSet/mimetypes; write a media type like text/plain.",
        ),
        (
            r#"{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"code":"active"}]}}"#.to_owned(),
            "clinicalStatus must have a coding, with system and code, of the required value set http://hl7.org/fhir/ValueSet/allergyintolerance-clinical; use one of: active, inactive, resolved (system http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical).",
        ),
        (
            patient(r#""birthDate":"1.1.70""#),
            "birthDate has the value \"1.1.70\"; it must be an existing date like 2018, 1973-06 or 1905-08-23.",
        ),
    ];
    for (text, sentence) in cases {
        let doc = Doc::parse(text).unwrap();
        assert_eq!(validate(&doc)[0].diagnostics, sentence);
    }
}

#[test]
fn the_number_and_size_of_issues_are_bounded() {
    let many: Vec<_> = (0..1000).map(|i| format!(r#""x{i}":1"#)).collect();
    assert_eq!(issues(&patient(&many.join(","))).len(), MAX_ISSUES);
    let long = "ü".repeat(10_000);
    let doc = Doc::parse(patient(&format!(
        r#""{long}":1,"gender":"{long}","birthDate":"{long}""#
    )))
    .unwrap();
    for issue in validate(&doc) {
        assert!(issue.diagnostics.len() < 500 && issue.expression.unwrap().len() < 500);
    }
}

#[test]
fn an_inner_resource_is_reported_at_its_place() {
    let doc = Doc::parse(r#"{"a":[{"resourceType":"Patient","gender":"m"}]}"#).unwrap();
    let inner = doc.root().get("a").unwrap().items().next().unwrap();
    let issues = validate_value(inner, "Bundle.entry[7].resource");
    assert_eq!(
        issues[0].expression.as_deref(),
        Some("Bundle.entry[7].resource.gender")
    );
}

#[test]
fn cost_grows_with_size_only() {
    const MANY: usize = 40_000;
    let repeat = |part: &str| vec![part; MANY].join(",");
    let contained: Vec<_> = (0..MANY)
        .map(|i| format!(r#"{{"resourceType":"Basic","id":"{i}","code":{{"text":"a"}}}}"#))
        .collect();
    let hostile = [
        patient(&format!(
            r#""name":[{{"given":[{}],"_given":[{}]}}]"#,
            repeat("null"),
            repeat(r#"{"id":"a"}"#)
        )),
        patient(&format!(
            r##""contained":[{}],"generalPractitioner":[{}]"##,
            contained.join(","),
            repeat(r##"{"reference":"#39999"}"##)
        )),
        patient(&format!(
            r#""text":{{"status":"generated","div":"<div xmlns=\"{NS}\">{}</div>"}}"#,
            "<b>&amp;</b>".repeat(MANY)
        )),
    ];
    for text in hostile {
        // Quadratic cost would take minutes here.
        validate(&Doc::parse(text).unwrap());
    }
}
