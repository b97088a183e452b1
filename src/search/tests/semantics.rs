//! Searches over small resources, indexed as the server indexes them.

use resources::{Doc, index::Kind, model::ResourceType};

use super::{BASE, query, registry};
use crate::{
    access::Access,
    search::{
        Resolved, access_clause,
        matches::Words,
        memory::{Item, MemoryIndex},
        plan::Plan,
    },
};

const RESOURCES: [&str; 14] = [
    r#"{"resourceType":"Organization","id":"o1","name":"Königliche Klinik"}"#,
    r#"{"resourceType":"Patient","id":"p1","active":true,"gender":"male","birthDate":"1974-12-25",
        "name":[{"family":"Chalmers","given":["Peter","James"]}],
        "identifier":[{"system":"urn:mrn","value":"12345","type":{"text":"Record","coding":[{"system":"http://v2","code":"MR"}]}}],
        "telecom":[{"system":"phone","value":"555 1234"},{"system":"email","value":"Anna@example.org"}],
        "managingOrganization":{"reference":"Organization/o1"}}"#,
    r#"{"resourceType":"Patient","id":"p2","gender":"female","birthDate":"1980","name":[{"family":"Müller"}],
        "meta":{"tag":[{"system":"s","code":"t"}],"profile":["http://x/p|1.0"]},
        "generalPractitioner":[{"identifier":{"system":"npi","value":"77"}}]}"#,
    r#"{"resourceType":"Patient","id":"p3","name":[{"family":"Zoë van der Berg"}]}"#,
    r#"{"resourceType":"Observation","id":"b1","status":"final","subject":{"reference":"Patient/p1"},
        "code":{"coding":[{"system":"http://loinc.org","code":"29463-7","display":"Body Weight"}],"text":"weight"},
        "effectiveDateTime":"2026-05-01T10:00:00Z",
        "valueQuantity":{"value":80.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}"#,
    r#"{"resourceType":"Observation","id":"b2","status":"preliminary","subject":{"reference":"http://localhost/fhir/Patient/p2"},
        "code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},
        "effectivePeriod":{"start":"2026-01-01","end":"2026-03-01"},
        "component":[
          {"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":107,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
          {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":60,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#,
    r#"{"resourceType":"Observation","id":"b3","status":"final","subject":{"reference":"Group/g1"},
        "code":{"coding":[{"system":"http://other","code":"29463-7"}]},
        "valueQuantity":{"value":1000,"unit":"tabs"}}"#,
    r#"{"resourceType":"AuditEvent","id":"a1","type":{"code":"rest"},"recorded":"2026-05-02T00:00:00Z",
        "agent":[{"requestor":true,"who":{"reference":"Practitioner/d1"}}],
        "source":{"observer":{"reference":"Device/v1"}},"entity":[{"what":{"reference":"Observation/b1"}}]}"#,
    r#"{"resourceType":"List","id":"l1","status":"current","mode":"working","entry":[{"item":{"reference":"Patient/p2"}}]}"#,
    r#"{"resourceType":"Location","id":"c1","name":"Berlin","position":{"latitude":52.52,"longitude":13.405}}"#,
    r#"{"resourceType":"Location","id":"c2","name":"Potsdam","position":{"latitude":52.4,"longitude":13.06},"partOf":{"reference":"Location/c1"}}"#,
    r#"{"resourceType":"CarePlan","id":"e1","status":"active","intent":"plan","subject":{"reference":"Patient/p1"},
        "instantiatesCanonical":["http://x/plan|2.0"],"instantiatesUri":["http://x/y/z"]}"#,
    r#"{"resourceType":"MolecularSequence","id":"m1","coordinateSystem":0,
        "referenceSeq":{"chromosome":{"coding":[{"system":"http://t","code":"1"}]},"windowStart":500,"windowEnd":510}}"#,
    r#"{"resourceType":"DocumentReference","id":"r1","status":"current","content":[{"attachment":{}}],
        "relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/r0"}}]}"#,
];

fn index(resources: &[&str]) -> MemoryIndex {
    let registry = registry();
    let item = |(at, text): (usize, &&str)| {
        let doc = Doc::parse(*text).unwrap();
        let kind = ResourceType::from_name(doc.resource_type().unwrap()).unwrap();
        Item {
            kind,
            id: doc
                .root()
                .get("id")
                .unwrap()
                .plain_str()
                .unwrap()
                .to_owned(),
            updated: super::NOW + at as i64,
            entries: registry.extract(kind, &doc, BASE),
            text: Some(Words::new("", text)),
        }
    };
    MemoryIndex::new(resources.iter().enumerate().map(item).collect())
}

fn found(index: &MemoryIndex, plan: &Plan) -> String {
    let ids = index.search(plan).hits.into_iter();
    let ids: Vec<&str> = ids.map(|hit| index.items()[hit.item].id.as_str()).collect();
    ids.join(" ")
}

fn check(cases: &[(&str, &str)]) {
    check_in(&RESOURCES, cases);
}

fn check_in(resources: &[&str], cases: &[(&str, &str)]) {
    let index = index(resources);
    for (text, expected) in cases {
        let plan = query(text).plan(&Resolved::none()).unwrap();
        assert_eq!(found(&index, &plan), *expected, "{text}");
    }
}

#[test]
fn strings() {
    check(&[
        ("Patient?name=peter", "p1"),
        ("Patient?name=eter", ""),
        ("Patient?name:contains=ETER", "p1"),
        ("Patient?family=mull", "p2"),
        ("Patient?family=MÜLLER", "p2"),
        ("Patient?family:exact=Müller", "p2"),
        ("Patient?family:exact=müller", ""),
        ("Patient?family=zoe  VAN", "p3"),
        ("Patient?family=chalmers,muller", "p1 p2"),
        ("Patient?given=peter&given=james", "p1"),
        ("Patient?given=peter&given=john", ""),
        ("Patient?given:missing=true", "p2 p3"),
        ("Patient?given:missing=false", "p1"),
    ]);
}

#[test]
fn tokens() {
    check(&[
        ("Patient?identifier=12345", "p1"),
        ("Patient?identifier=urn:mrn|12345", "p1"),
        ("Patient?identifier=urn:mrn|", "p1"),
        ("Patient?identifier=|12345", ""),
        ("Patient?identifier=1234", ""),
        ("Patient?identifier:of-type=http://v2|MR|12345", "p1"),
        ("Patient?identifier:of-type=http://v2|XX|12345", ""),
        ("Patient?identifier:text=rec", "p1"),
        ("Patient?gender:not=male", "p2 p3"),
        ("Patient?gender:not=male,female", "p3"),
        (
            "Patient?gender=http://hl7.org/fhir/administrative-gender|male",
            "p1",
        ),
        ("Patient?active=true", "p1"),
        ("Patient?telecom=555 1234", "p1"),
        ("Patient?email=ANNA@example.org", "p1"),
        ("Patient?email=anna@EXAMPLE.org", "p1"),
        ("Patient?_filter=email eq ANNA@EXAMPLE.org", "p1"),
        ("Patient?gender=MALE", ""),
        ("Patient?_tag=s|t", "p2"),
        ("Observation?code=29463-7", "b1 b3"),
        ("Observation?code=http://loinc.org|29463-7", "b1"),
        ("Observation?code:text=body", "b1"),
        ("Observation?code:text=WEIGHT", "b1"),
        ("Patient?_id=p1,p3", "p1 p3"),
    ]);
}

#[test]
fn strings_are_compared_to_their_end_however_long() {
    let long = |id: &str, end: &str| {
        let words = "Abc def ghi. ".repeat(60);
        format!(
            r#"{{"resourceType":"Questionnaire","id":"{id}","status":"active","title":"{words}{end}"}}"#
        )
    };
    let (a, b, c) = (long("a", "Été"), long("b", "Winter"), long("c", "winter!"));
    let resources = [a.as_str(), &b, &c];
    let whole = "abc def ghi. ".repeat(60);
    let title = |start: &str, text: &str| format!("Questionnaire?title{start}{text}");
    for (query, expected) in [
        (title(":contains=", "ete"), "a"),
        (title(":contains=", "ghi. WINTER"), "b c"),
        (title(":contains=", "winter!"), "c"),
        (title(":contains=", "summer"), ""),
        (title(":contains=", "4"), ""),
        (title("=", "abc def ghi. abc"), "a b c"),
        (title("=", &whole[..500]), "a b c"),
        (
            title(":exact=", &format!("{}Winter", "Abc def ghi. ".repeat(60))),
            "b",
        ),
        (title(":exact=", &format!("{whole}winter")), ""),
        (
            "Questionnaire?_filter=title co \"winter\"".to_owned(),
            "b c",
        ),
        ("Questionnaire?_filter=title ew \"winter\"".to_owned(), "b"),
        (
            format!("Questionnaire?_filter=title eq \"{whole}WINTER\""),
            "b",
        ),
        (
            format!("Questionnaire?_filter=title ne \"{whole}WINTER\""),
            "a c",
        ),
    ] {
        check_in(&resources, &[(&query, expected)]);
    }
    for query in [
        title("=", &whole[..600]),
        title(":contains=", &whole[..300]),
        format!("Questionnaire?_filter=title lt \"{whole}\""),
        format!("Observation?code:text={}", &whole[..300]),
    ] {
        assert!(super::faults(&query).contains("bytes"), "{query}");
    }
}

#[test]
fn ranges_are_neither_their_bounds_nor_less() {
    const RANGES: [&str; 4] = [
        r#"{"resourceType":"Condition","id":"n1","subject":{"reference":"Patient/p1"},
        "onsetRange":{"low":{"value":20,"unit":"a","system":"http://unitsofmeasure.org","code":"a"},
        "high":{"value":40,"unit":"a","system":"http://unitsofmeasure.org","code":"a"}}}"#,
        r#"{"resourceType":"Condition","id":"n2","subject":{"reference":"Patient/p1"},
        "onsetRange":{"low":{"value":20,"unit":"a","system":"http://unitsofmeasure.org","code":"a"}}}"#,
        r#"{"resourceType":"Condition","id":"n3","subject":{"reference":"Patient/p1"},
        "onsetAge":{"value":30,"unit":"a","system":"http://unitsofmeasure.org","code":"a"}}"#,
        r#"{"resourceType":"RiskAssessment","id":"k1","status":"final","subject":{"reference":"Patient/p1"},
        "prediction":[{"probabilityRange":{"low":{"value":10},"high":{"value":20}}}]}"#,
    ];
    check_in(
        &RANGES,
        &[
            ("Condition?onset-age=20", ""),
            ("Condition?onset-age=30", "n3"),
            ("Condition?onset-age=sa25", "n3"),
            ("Condition?onset-age=sa19", "n1 n2 n3"),
            ("Condition?onset-age=eb35", "n3"),
            ("Condition?onset-age=gt39", "n1 n2"),
            ("Condition?onset-age=gt50", "n2"),
            ("Condition?onset-age=lt21", "n1 n2"),
            ("Condition?onset-age=ap40", "n1 n2"),
            ("Condition?onset-age=ne30", "n1 n2"),
            ("Condition?onset-age=gt50||a", "n2"),
            ("Condition?onset-age=gt50||mo", ""),
            (
                "Condition?onset-age=gt470|http://unitsofmeasure.org|mo",
                "n1 n2",
            ),
            (
                "Condition?onset-age=gt490|http://unitsofmeasure.org|mo",
                "n2",
            ),
            ("Condition?_filter=onset-age gt 50", "n2"),
            ("RiskAssessment?probability=15", ""),
            ("RiskAssessment?probability=gt15", "k1"),
            ("RiskAssessment?probability=sa15", ""),
        ],
    );
}

#[test]
fn dates_and_quantities() {
    check(&[
        ("Patient?birthdate=1974", "p1"),
        ("Patient?birthdate=lt1980", "p1"),
        ("Patient?birthdate=le1980", "p1 p2"),
        ("Patient?birthdate=le1980-01-01", "p1"),
        ("Patient?birthdate=ne1974-12-25", "p2"),
        ("Observation?date=ge2026-02&date=lt2026-04", "b2"),
        ("Observation?date=2026", "b1 b2"),
        ("Observation?date=sa2026-04", "b1"),
        ("Observation?date=eb2026-04", "b2"),
        ("Observation?date:missing=true", "b3"),
        ("Observation?value-quantity=80.5", "b1"),
        (
            "Observation?value-quantity=82|http://unitsofmeasure.org|kg",
            "",
        ),
        (
            "Observation?value-quantity=80500|http://unitsofmeasure.org|g",
            "b1",
        ),
        ("Observation?value-quantity=gt100", "b3"),
        ("Observation?value-quantity=gt100||tabs", "b3"),
        ("Patient?_lastUpdated=ge2026-11-20T00:00:00.002Z", "p2 p3"),
        ("Patient?_lastUpdated=lt2026-11-20T00:00:00.002Z", "p1"),
        ("Patient?_lastUpdated=ne2026-11-20T00:00:00.002Z", "p1 p3"),
    ]);
}

#[test]
fn references_chains_and_reverse_chains() {
    check(&[
        ("Observation?subject=p1", "b1"),
        ("Observation?subject=Patient/p2", "b2"),
        ("Observation?subject=http://localhost/fhir/Patient/p1", "b1"),
        ("Observation?subject:Group=g1", "b3"),
        ("Observation?patient=p1,p2", "b1 b2"),
        ("Patient?general-practitioner:identifier=npi|77", "p2"),
        ("Observation?subject.family=chal", "b1"),
        ("Observation?subject:Patient.organization.name=konig", "b1"),
        ("Observation?patient.gender:not=male", "b2"),
        ("Patient?_has:Observation:patient:code=29463-7", "p1"),
        (
            "Patient?_has:Observation:subject:status=preliminary,final",
            "p1 p2",
        ),
        (
            "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/d1",
            "p1",
        ),
        (
            "Patient?_has:Observation:patient:subject:Patient.organization.name=konig",
            "p1",
        ),
        (
            "Organization?_has:Patient:organization:_has:Observation:patient:status=final",
            "o1",
        ),
        ("Patient?_list=l1", "p2"),
        ("Location?partof.name=berlin", "c2"),
        ("CarePlan?instantiates-canonical=http://x/plan", "e1"),
        ("CarePlan?instantiates-canonical=http://x/plan|2.0", "e1"),
        ("CarePlan?instantiates-canonical=http://x/plan|3.0", ""),
        (
            "CarePlan?instantiates-canonical:below=http://x/plan|2",
            "e1",
        ),
        (
            "CarePlan?instantiates-canonical:below=http://x/plan|2.0",
            "e1",
        ),
        ("CarePlan?instantiates-canonical:below=http://x/plan|3", ""),
    ]);
}

#[test]
fn the_first_part_of_a_composite_may_be_a_system_alone() {
    const CODED: [&str; 1] = [
        r#"{"resourceType":"Observation","id":"b4","status":"cancelled",
        "code":{"coding":[{"system":"http://loinc.org","code":"1"}]},
        "valueCodeableConcept":{"coding":[{"system":"http://v","code":"pos"}]}}"#,
    ];
    check_in(
        &CODED,
        &[
            ("Observation?code-value-concept=http://loinc.org|$pos", "b4"),
            (
                "Observation?code-value-concept=http://loinc.org|$http://v|pos",
                "b4",
            ),
            ("Observation?code-value-concept=http://loinc.org|$|pos", ""),
            ("Observation?code-value-concept=http://loinc.org|$po", ""),
            ("Observation?code-value-concept=http://other|$pos", ""),
        ],
    );
}

#[test]
fn uris_composites_positions_and_text() {
    check(&[
        ("CarePlan?instantiates-uri=http://x/y/z", "e1"),
        ("CarePlan?instantiates-uri:below=http://x/y", "e1"),
        ("CarePlan?instantiates-uri:below=http://x/", "e1"),
        ("CarePlan?instantiates-uri:below=http://x/y/zz", ""),
        ("CarePlan?instantiates-uri:above=http://x/y/z/a", "e1"),
        ("CarePlan?instantiates-uri:above=http://x/y/zz", ""),
        ("Patient?_profile=http://x/p", "p2"),
        ("Patient?_profile=http://x/p|1.0", "p2"),
        ("Observation?code-value-quantity=29463-7$gt80", "b1 b3"),
        (
            "Observation?code-value-quantity=http://loinc.org|29463-7$gt80",
            "b1",
        ),
        (
            "Observation?code-value-quantity=http://loinc.org|29463-7$lt81000|http://unitsofmeasure.org|g",
            "b1",
        ),
        ("Observation?code-value-quantity=29463-7$gt80||tabs", "b3"),
        (
            "Observation?component-code-value-quantity=8480-6$gt100",
            "b2",
        ),
        ("Observation?component-code-value-quantity=8462-4$gt100", ""),
        (
            "Observation?component-code-value-quantity=http://loinc.org|8462-4$60|http://unitsofmeasure.org|mm[Hg]",
            "b2",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=1$500$gt505",
            "m1",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=http://t|1$500$510",
            "m1",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=1$500$gt510",
            "",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=1$lt501$gt509",
            "m1",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=1$lt501$gt510",
            "",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=1$lt500$gt509",
            "",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=http://t|1$gt1$ne1",
            "m1",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=http://u|1$gt1$gt1",
            "",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=http://t|$500$510",
            "m1",
        ),
        (
            "MolecularSequence?chromosome-window-coordinate=http://u|$500$510",
            "",
        ),
        (
            "Observation?code-value-quantity=http://loinc.org|$gt80",
            "b1",
        ),
        ("Observation?code-value-quantity=http://loinc.org|$gt81", ""),
        (
            "MolecularSequence?chromosome-window-coordinate=1$501$gt505",
            "",
        ),
        (
            "DocumentReference?relationship=replaces$DocumentReference/r0",
            "r1",
        ),
        (
            "DocumentReference?relationship=appends$DocumentReference/r0",
            "",
        ),
        ("Location?near=52.52|13.4|5|km", "c1"),
        ("Location?near=52.52|13.4|50", "c1 c2"),
        ("Location?near=0|0|50", ""),
        ("Location?_content=berlin", "c1"),
        ("Location?_content=pots*", "c2"),
        ("Location?_content=berlin OR potsdam", "c1 c2"),
    ]);
}

#[test]
fn filters() {
    check(&[
        (r#"Patient?_filter=name eq "peter""#, "p1"),
        (r#"Patient?_filter=name co "ll""#, "p2"),
        (
            "Patient?_filter=family ew mers or birthdate ge 1980",
            "p1 p2",
        ),
        ("Patient?_filter=not (gender pr true)", "p3"),
        ("Observation?_filter=subject.family eq müller", "b2"),
        ("Observation?_filter=date po 2026-02-15", "b2"),
        (
            "Observation?_filter=value-quantity gt 1|http://unitsofmeasure.org|kg",
            "b1",
        ),
        ("Patient?_filter=gender ne male", "p2"),
        ("Patient?_filter=family gt d and family lt n", "p2"),
    ]);
}

#[test]
fn scopes_and_sorting() {
    check(&[
        ("?_type=Patient,Location&_sort=_id", "c1 c2 p1 p2 p3"),
        ("?_tag=s|t", "p2"),
        ("Patient/p1/Observation?", "b1"),
        ("Patient/p1/*?", "p1 b1 e1"),
        ("Patient/p1/*?_type=CarePlan", "e1"),
        ("Practitioner/d1/AuditEvent?", "a1"),
        ("Patient?_sort=-family", "p3 p2 p1"),
        ("Patient?_sort=birthdate", "p1 p2 p3"),
        ("Patient?_sort=-birthdate", "p2 p1 p3"),
        ("Observation?_sort=status,-_lastUpdated", "b3 b1 b2"),
    ]);
}

#[test]
fn a_compartment_shows_itself_and_what_refers_to_it() {
    let index = index(&RESOURCES);
    let registry = registry();
    let access = Access::compartment(ResourceType::PATIENT, "p1".to_owned());
    let visible = |item: &&Item| {
        let clause = access_clause(&access, item.kind, &registry).unwrap();
        let at = index.get(item.kind, &item.id).unwrap();
        index.satisfies(at, &clause)
    };
    let ids: Vec<&str> = index
        .items()
        .iter()
        .filter(visible)
        .map(|item| item.id.as_str())
        .collect();
    assert_eq!(ids, ["p1", "b1", "e1"]);
    assert_eq!(
        access_clause(&Access::system("test"), ResourceType::PATIENT, &registry),
        None
    );
}

#[test]
fn every_built_in_parameter_can_be_searched_by() {
    let value = |kind: Kind| match kind {
        Kind::Number => "5",
        Kind::Date => "2026",
        Kind::String => "x",
        Kind::Token => "s|c",
        Kind::Reference => "x1",
        Kind::Quantity => "5||mg",
        Kind::Uri => "http://x",
        Kind::Special => "1|1",
        Kind::Composite => "",
    };
    for param in registry().all() {
        let text = match (param.code.as_str(), param.kind) {
            ("_query", _) => continue,
            (_, Kind::Composite) => {
                let values: Vec<&str> = (param.components.iter())
                    .map(|component| value(component.kind))
                    .collect();
                assert!(values.len() > 1, "{}.{}", param.base, param.code);
                values.join("$")
            }
            (_, kind) => value(kind).to_owned(),
        };
        let text = format!("{}?{}={text}", param.base, param.code);
        query(&text).plan(&Resolved::none()).unwrap();
    }
}
