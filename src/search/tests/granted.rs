//! Rules and denials as conditions.

use std::sync::Arc;

use resources::index::Registry;

use super::{kind, show::show};
use crate::{
    access::{Access, Denial, Grants, Relation, Right, Rights, Rule},
    search::{About, access_clause, granted},
};

fn rule(name: &str, patients: &[&str], constraints: &[(&str, &str)]) -> Rule {
    Rule {
        kind: (name != "*").then(|| kind(name)),
        rights: Rights::of(&[Right::Read, Right::Search]),
        patients: patients.iter().map(|id| (*id).to_owned()).collect(),
        constraints: constraints
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        relation: None,
        own: false,
    }
}

fn denial(patient: &str, names: &[&str], constraints: &[(&str, &str)]) -> Denial {
    Denial {
        patient: patient.to_owned(),
        kinds: names.iter().map(|name| kind(name)).collect(),
        constraints: rule("*", &[], constraints).constraints,
    }
}

/// What reading a resource of the type asks; `all` if nothing, `none` if no rule covers it.
fn asked(rules: &[Rule], denials: &[Denial], name: &str) -> String {
    let grants = Grants::new(rules.to_vec(), denials.to_vec());
    let rights = Rights::of(&[Right::Read]);
    if granted(&grants, kind(name), rights).rules.is_empty() {
        return "none".to_owned();
    }
    let access = Access::granted(Arc::new(grants)).to(Right::Read);
    let registry = Registry::builtin();
    access_clause(&access, kind(name), &registry)
        .map_or_else(|| "all".to_owned(), |clause| show(&clause, &registry))
}

#[test]
fn rules_become_one_condition() {
    let of_a = |name: &str| rule(name, &["a"], &[]);
    let own = "Immunization.patient in {[1e 00 47 a]}";
    let cases = [
        (vec![], "Patient", "none"),
        (vec![rule("*", &[], &[])], "Immunization", "all"),
        (vec![rule("Patient", &[], &[])], "Immunization", "none"),
        (vec![of_a("*")], "Patient", "id in {a}"),
        (vec![of_a("*")], "Immunization", own),
        (
            vec![rule("Immunization", &[], &[("_id", "i,j")])],
            "Immunization",
            "id in {i, j}",
        ),
        (vec![of_a("*")], "Organization", "all"),
        (vec![of_a("*")], "MessageHeader", "none"),
        // What stands before another rule, or after it, does not matter.
        (vec![of_a("*"), rule("*", &[], &[])], "Immunization", "all"),
        (vec![of_a("*"), of_a("Immunization")], "Immunization", own),
    ];
    for (rules, name, expected) in cases {
        let asked = asked(&rules, &[], name);
        let expected = expected.replace("[1e 00 47 a]", &reference());
        assert_eq!(asked, expected, "{rules:?} on {name}");
    }
}

/// Patient/a as [`show`] has its key.
fn reference() -> String {
    let shown = asked(&[rule("*", &["a"], &[])], &[], "Immunization");
    let from = shown.find('{').unwrap();
    shown[from + 1..shown.len() - 1].to_owned()
}

#[test]
fn rules_for_the_same_patients_share_their_membership() {
    let of = |status: &str| rule("Immunization", &["a"], &[("status", status)]);
    let both = asked(&[of("completed"), of("not-done")], &[], "Immunization");
    assert_eq!(both.matches("Immunization.patient").count(), 1, "{both}");
    assert_eq!(both.matches("Immunization.status").count(), 2, "{both}");
    let other = rule("Immunization", &["b"], &[]);
    let three = asked(&[of("completed"), other], &[], "Immunization");
    assert_eq!(three.matches("Immunization.patient").count(), 2, "{three}");
}

#[test]
fn a_constraint_that_is_not_understood_allows_nothing_and_denies_all() {
    for (name, value) in [
        ("nonsense", "1"),
        ("status:not", "completed"),
        ("status", ""),
        ("date", "2026"),
        ("patient.name", "a"),
        ("_has:Observation:patient:code", "x"),
        ("_text", "x"),
        ("_profile", "http://x"),
        ("status", "completed,"),
    ] {
        let constrained = rule("Immunization", &[], &[(name, value)]);
        let asked_of = asked(&[constrained], &[], "Immunization");
        assert_eq!(asked_of, "none", "{name}={value}");
        let open = [rule("*", &[], &[])];
        let denied = denial("a", &[], &[(name, value)]);
        let whole = denial("a", &[], &[]);
        let with = |denial| asked(&open, &[denial], "Immunization");
        assert_eq!(with(denied), with(whole), "{name}={value}");
    }
}

#[test]
fn denials_are_about_what_belongs_to_the_patient() {
    let open = [rule("*", &[], &[])];
    for (names, name, expected) in [
        (&[][..], "Patient", "not(id in {a})"),
        (&["Observation"][..], "Patient", "all"),
        (&[][..], "Organization", "all"),
        (&[][..], "MessageHeader", "all"),
        (&[][..], "Binary", "any()"),
    ] {
        let denial = denial("a", names, &[]);
        assert_eq!(asked(&open, &[denial], name), expected, "{names:?} {name}");
    }
}

#[test]
fn denials_of_many_patients_are_one_condition() {
    let open = [rule("*", &[], &[])];
    let ids: Vec<String> = (0..1000).map(|number| format!("p{number}")).collect();
    let denials: Vec<Denial> = ids.iter().map(|id| denial(id, &[], &[])).collect();
    let shown = asked(&open, &denials, "Immunization");
    assert_eq!(shown.matches("Immunization.patient").count(), 1);
    assert_eq!(shown.matches(',').count(), 999);
}

#[test]
fn what_several_patients_share_is_for_rules_about_all_of_them() {
    for (name, is_of_several) in [
        ("Appointment", true),
        ("Group", true),
        ("List", true),
        ("Coverage", false),
        ("Observation", false),
    ] {
        let asked = asked(&[rule("*", &["a"], &[])], &[], name);
        assert_eq!(asked.contains("not("), is_of_several, "{asked}");
    }
}

#[test]
fn what_is_written_must_be_about_whom_the_rule_is() {
    let carer = Rule {
        relation: Some(Relation::Care("Practitioner/d".to_owned())),
        ..rule("*", &[], &[])
    };
    let wrong = Rule {
        relation: Some(Relation::Care("urn:x".to_owned())),
        ..rule("*", &[], &[])
    };
    let about = |rule: &Rule, name: &str| {
        let grants = Grants::new(vec![rule.clone()], vec![]);
        let found = granted(&grants, kind(name), Rights::of(&[Right::Read]));
        found.rules.first().map(|condition| condition.about.clone())
    };
    let of_a = rule("*", &["a"], &[]);
    assert_eq!(about(&rule("*", &[], &[]), "Patient"), Some(About::All));
    let a = About::These(vec!["a".to_owned()]);
    assert_eq!(about(&of_a, "Observation"), Some(a));
    assert_eq!(about(&of_a, "Organization"), Some(About::All));
    assert_eq!(about(&of_a, "Binary"), Some(About::Context));
    assert!(matches!(about(&carer, "Group"), Some(About::Related(_))));
    assert_eq!(about(&carer, "Bundle"), None);
    assert!(matches!(
        about(&wrong, "Observation"),
        Some(About::Related(_))
    ));
    assert_eq!(asked(&[wrong], &[], "Observation"), "any()");
}

#[test]
fn what_is_made_of_rules_is_made_once_for_each_type_and_rights() {
    let grants = Grants::new(vec![rule("*", &["a"], &[])], vec![]);
    let of = |name, rights: &[Right]| granted(&grants, kind(name), Rights::of(rights));
    let read = of("Patient", &[Right::Read]);
    assert!(Arc::ptr_eq(&read, &of("Patient", &[Right::Read])));
    assert!(!Arc::ptr_eq(&read, &of("Patient", &[Right::Search])));
    assert!(!Arc::ptr_eq(&read, &of("Group", &[Right::Read])));
    assert!(of("Patient", &[Right::Create]).rules.is_empty());
    assert!(
        !of("Patient", &[Right::Create, Right::Read])
            .rules
            .is_empty()
    );
}
