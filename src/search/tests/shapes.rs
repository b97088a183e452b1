use crate::search::{Need, Resolved, plan::Clause};

use super::{clause, query, registry, show::show};

fn check(cases: &[(&str, &str)]) {
    let registry = registry();
    for (text, expected) in cases {
        assert_eq!(show(&clause(text), &registry), *expected, "{text}");
    }
}

#[test]
fn tokens() {
    check(&[
        ("Patient?identifier=s|1", "Patient.identifier in {20:1|s}"),
        ("Patient?identifier=1", "Patient.identifier in {20:1|*}"),
        ("Patient?identifier=|1", "Patient.identifier in {20:1|}"),
        (
            "Patient?identifier=s|",
            "Patient.identifier in {20:* ends |s}",
        ),
        (
            "Patient?identifier=a\\|b",
            "Patient.identifier in {20:a<7c>b|*}",
        ),
        (
            "Patient?gender=male,female",
            "Patient.gender in {20:male|*, 20:female|*}",
        ),
        (
            "Patient?gender:not=male",
            "not(Patient.gender in {20:male|*})",
        ),
        ("Patient?gender:missing=true", "not(has Patient.gender)"),
        ("Patient?gender:missing=false", "has Patient.gender"),
        (
            "Observation?code:text=Body W",
            "Observation.code in {21:body w*}",
        ),
        (
            // The hashes of "s" and "MR".
            "Patient?identifier:of-type=s|MR|1",
            "Patient.identifier in {22:<af>c<ee>L<86><02><0b>\"<09><16>l<07><b5><ad>8<9e>1}",
        ),
        ("Patient?active=true", "Patient.active in {20:true|*}"),
        ("Patient?_tag=s|t", "Patient._tag in {20:t|s}"),
        ("Patient?_id=1,2", "id in {1, 2}"),
        ("Patient?_id:not=1", "not(id in {1})"),
    ]);
}

#[test]
fn strings_and_uris() {
    check(&[
        ("Patient?family=Müll", "Patient.family in {40:mull*}"),
        (
            "Patient?family=a\\,b,c",
            "Patient.family in {40:a,b*, 40:c*}",
        ),
        ("Patient?family:exact=Ab", "Patient.family in {40:ab|Ab}"),
        (
            "Patient?family:contains=LL",
            "Patient.family in {40:* [1] has ll, 41:* [1] has ll}",
        ),
        ("ValueSet?url=http://a/b", "ValueSet.url in {50:http://a/b}"),
        (
            "ValueSet?url:below=http://a/b/",
            "ValueSet.url in {50:http://a/b, 50:http://a/b/*}",
        ),
        (
            "ValueSet?url:above=http://a/b",
            "ValueSet.url in {50:http://a/b, 50:http://a/b/, 50:http://a, 50:http://a/}",
        ),
        (
            "Patient?_profile=http://p",
            "Patient._profile in {50:http://p}",
        ),
        (
            "Patient?_source=http://p",
            "Patient._source in {50:http://p}",
        ),
    ]);
}

#[test]
fn references_and_chains() {
    check(&[
        ("Observation?patient=1", "Observation.patient in {30:|g1}"),
        (
            "Observation?subject=Patient/1",
            "Observation.subject in {30:|g1}",
        ),
        (
            "Observation?subject:Patient=1",
            "Observation.subject in {30:|g1}",
        ),
        (
            "Observation?subject=http://localhost/fhir/Patient/1",
            "Observation.subject in {30:|g1, 31:http://localhost/fhir/Patient/1|*}",
        ),
        (
            "Observation?subject=Patient/1/_history/3",
            "Observation.subject in {30:|g1}",
        ),
        (
            "Observation?subject=http://other/Patient/1",
            "Observation.subject in {31:http://other/Patient/1|*}",
        ),
        (
            "Observation?subject:identifier=s|1",
            "Observation.subject in {32:1|s}",
        ),
        (
            "CarePlan?instantiates-canonical=http://p|2",
            "CarePlan.instantiates-canonical in {31:http://p|2}",
        ),
        (
            "Observation?subject:Patient.organization.name=x",
            "Observation.subject -> Patient(Patient.organization -> Organization(Organization.name in {40:x*}))",
        ),
        (
            "Observation?patient.gender:not=male",
            "Observation.patient -> Patient(not(Patient.gender in {20:male|*}))",
        ),
        (
            "Observation?subject.family=x",
            "Observation.subject -> Patient(Patient.family in {40:x*})",
        ),
        (
            "Observation?subject._id=1",
            "any(Observation.subject -> Device(id in {1}), Observation.subject -> Group(id in {1}), \
             Observation.subject -> Location(id in {1}), Observation.subject -> Patient(id in {1}))",
        ),
        (
            "Patient?_has:Observation:patient:code=x",
            "<- Observation.patient(Observation.code in {20:x|*})",
        ),
        (
            "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/1",
            "<- Observation.patient(<- AuditEvent.entity(AuditEvent.agent in {30:|l1}))",
        ),
        (
            "Patient?_has:Observation:patient:encounter.status=x",
            "<- Observation.patient(Observation.encounter -> Encounter(Encounter.status in {20:x|*}))",
        ),
        ("Patient?_list=7,List/8", "<- List.item(id in {7, 8})"),
    ]);
}

#[test]
fn combinations_and_scopes() {
    check(&[
        ("Patient?", "all()"),
        (
            "Patient?name=a&name=b",
            "all(Patient.name in {40:a*}, Patient.name in {40:b*})",
        ),
        ("?_id=1", "id in {1}"),
        (
            "?_type=Group,Patient&_tag=x",
            "any(all(is Group, Group._tag in {20:x|*}), all(is Patient, Patient._tag in {20:x|*}))",
        ),
        (
            "Patient/1/Observation?code=x",
            "all(any(Observation.subject in {30:|g1}, Observation.performer in {30:|g1}), \
             Observation.code in {20:x|*})",
        ),
        (
            "Patient/1/Patient?",
            "any(id in {1}, Patient.link in {30:|g1})",
        ),
        ("Encounter/1/Encounter?", "id in {1}"),
        ("Patient/1/Organization?", "any()"),
        (
            "Patient/1/*?_type=Condition,Immunization",
            "any(all(is Condition, any(Condition.patient in {30:|g1}, Condition.asserter in {30:|g1})), \
             all(is Immunization, Immunization.patient in {30:|g1}))",
        ),
    ]);
    let everything = query("Patient/1/*?");
    assert!(everything.types.len() > 50 && everything.types.len() < 80);
}

#[test]
fn composites_frame_the_keys_of_their_last_part() {
    let registry = registry();
    let shown = |text: &str| show(&clause(text), &registry);
    let coded = shown("Observation?code-value-concept=s|c$t|v");
    assert!(coded.contains(": v|t") || coded.contains(" v|t"), "{coded}");
    assert!(!coded.contains("[-"), "{coded}");
    let any_system = shown("Observation?code-value-concept=c$t|v");
    assert!(any_system.contains("[-"), "{any_system}");
    let quantity = shown("Observation?code-value-quantity=s|c$gt5||mg");
    assert_eq!(quantity.matches("[-32]").count(), 1, "{quantity}");
    assert_eq!(quantity.matches("[-24]").count(), 1, "{quantity}");
    assert_eq!(quantity.matches("[-8]").count(), 2, "{quantity}");
}

#[test]
fn text_searches() {
    check(&[
        (
            "Patient?_text=Bone OR Liver",
            r#"Narrative [["bone", "liver"]]"#,
        ),
        ("Patient?_content=a b*", r#"Content [["a"], ["b*"]]"#),
        (
            "Patient?_content=a,b",
            r#"any(Content [["a"]], Content [["b"]])"#,
        ),
    ]);
}

#[test]
fn filters() {
    check(&[
        (
            r#"Patient?_filter=name co "Pet" and gender eq male"#,
            "all(Patient.name in {40:* [1] has pet, 41:* [1] has pet}, Patient.gender in {20:male|*})",
        ),
        (
            r#"Patient?_filter=not (gender eq male or active eq true)"#,
            "not(any(Patient.gender in {20:male|*}, Patient.active in {20:true|*}))",
        ),
        ("Patient?_filter=family eq x", "Patient.family in {40:x|*}"),
        ("Patient?_filter=family sw x", "Patient.family in {40:x*}"),
        (
            "Patient?_filter=family ew x",
            "Patient.family in {40:* [1] has x|, 41:* [1] has x|}",
        ),
        (
            "Patient?_filter=family ne x",
            "Patient.family in {40:..40:x|, 40:x<01>..41:}",
        ),
        (
            "Patient?_filter=family gt x",
            "Patient.family in {40:x<01>..41:}",
        ),
        (
            "Patient?_filter=family le x",
            "Patient.family in {40:..40:x<01>}",
        ),
        (
            "Patient?_filter=gender ne male",
            "Patient.gender in {20:..20:male|, 20:male<01>..21:}",
        ),
        (
            "Patient?_filter=birthdate pr false",
            "not(has Patient.birthdate)",
        ),
        (
            "Observation?_filter=patient.family eq x",
            "Observation.patient -> Patient(Patient.family in {40:x|*})",
        ),
        (
            "Observation?_filter=subject:Patient.family eq x",
            "Observation.subject -> Patient(Patient.family in {40:x|*})",
        ),
        (
            "Observation?_filter=patient re Patient/1",
            "Observation.patient in {30:|g1}",
        ),
        ("Patient?_filter=_id eq 1", "id in {1}"),
        (
            "ValueSet?_filter=url sw http://a",
            "ValueSet.url in {50:http://a*}",
        ),
    ]);
}

#[test]
fn terminology_is_asked_for_and_put_in_place() {
    let registry = registry();
    let codes = vec![
        ("s".to_owned(), "a".to_owned()),
        ("s".to_owned(), "b".to_owned()),
    ];
    for (text, need, expected) in [
        (
            "Observation?code:in=http://vs",
            Need::ValueSet("http://vs".into()),
            "Observation.code in {20:a|s, 20:b|s}",
        ),
        (
            "Observation?code:not-in=ValueSet/1",
            Need::ValueSet("ValueSet/1".into()),
            "not(Observation.code in {20:a|s, 20:b|s})",
        ),
        (
            "Observation?code:below=s|a",
            Need::Below {
                system: Some("s".into()),
                code: "a".into(),
            },
            "Observation.code in {20:a|s, 20:b|s}",
        ),
        (
            "Patient?_has:Observation:patient:code:above=a",
            Need::Above {
                system: None,
                code: "a".into(),
            },
            "<- Observation.patient(Observation.code in {20:a|s, 20:b|s})",
        ),
        (
            "Observation?_filter=code in http://vs",
            Need::ValueSet("http://vs".into()),
            "Observation.code in {20:a|s, 20:b|s}",
        ),
    ] {
        let query = query(text);
        assert_eq!(query.needs(), std::slice::from_ref(&need), "{text}");
        assert!(query.plan(&Resolved::none()).is_err(), "{text}");
        let mut resolved = Resolved::none();
        resolved.insert(need, codes.clone());
        let plan = query.plan(&resolved).unwrap();
        assert_eq!(show(&plan.filter, &registry), expected, "{text}");
    }
    assert!(query("Patient?name=x").needs().is_empty());
}

#[test]
fn bounds_of_a_single_date_become_one_scan() {
    let parts = |text: &str| match clause(text) {
        Clause::All(parts) => parts.len(),
        Clause::Keys { ranges, .. } => {
            assert!(ranges.len() <= 3, "{text}");
            1
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(parts("Slot?start=ge2026-01-01&start=lt2026-01-02"), 1);
    assert_eq!(
        parts("Slot?schedule=1&start=ge2026-01-01&start=lt2026-01-02"),
        2
    );
    assert_eq!(
        show(
            &clause("Patient?_lastUpdated=ge2026&_lastUpdated=lt2027"),
            &registry()
        ),
        "updated Some(1767225600000)..Some(1798761600000)"
    );
    assert_eq!(
        parts("Encounter?location-period=ge2026-01-01&location-period=lt2026-01-02"),
        2
    );
}
