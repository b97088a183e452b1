use resources::index::key::space;

use super::{kind, query, registry, search};
use crate::search::{
    Include, Resolved, Summary, encode,
    plan::{Sort, SortKey, TotalMode},
};

#[test]
fn sorting() {
    let registry = registry();
    let param = |name: &str, code: &str| registry.param(kind(name), code).unwrap().id;
    let sort = query("Patient?_sort=family,-birthdate,_id,-_lastUpdated").sort;
    let keys = |param, space| SortKey::Keys {
        params: vec![param],
        space,
    };
    let expected = [
        (keys(param("Patient", "family"), space::STRING), false),
        (keys(param("Patient", "birthdate"), space::DATE), true),
        (SortKey::Id, false),
        (SortKey::Updated, true),
    ];
    let expected = expected.map(|(by, descending)| Sort { by, descending });
    assert_eq!(sort, expected);
    for (code, space) in [
        ("code", space::TOKEN),
        ("subject", space::REFERENCE),
        ("value-quantity", space::QUANTITY),
        ("_profile", space::URI),
    ] {
        let sort = query(&format!("Observation?_sort={code}")).sort;
        assert_eq!(
            sort[0].by,
            keys(param("Observation", code), space),
            "{code}"
        );
    }
    let both = query("?_type=Patient,Practitioner&_sort=family").sort;
    let params = vec![param("Patient", "family"), param("Practitioner", "family")];
    let space = space::STRING;
    assert_eq!(both[0].by, SortKey::Keys { params, space });
}

#[test]
fn pages_and_totals() {
    for (text, count, total) in [
        ("Patient?", 20, TotalMode::None),
        ("Patient?_count=5", 5, TotalMode::None),
        ("Patient?_count=0", 0, TotalMode::Accurate),
        ("Patient?_summary=count", 0, TotalMode::Accurate),
        (
            "Patient?_count=99999999999999999999999",
            1000,
            TotalMode::None,
        ),
        ("Patient?_total=accurate", 20, TotalMode::Accurate),
        ("Patient?_total=estimate", 20, TotalMode::Estimate),
    ] {
        let plan = query(text).plan(&Resolved::none()).unwrap();
        assert_eq!((plan.limit, plan.total), (count, total), "{text}");
    }
    assert_eq!(query("Patient?_count=1001").warnings.len(), 1);
    let query = query("Patient?_page=abc&name=x");
    assert_eq!(query.page.as_deref(), Some("abc"));
    assert_eq!(query.accepted, [("name".to_owned(), "x".to_owned())]);
}

#[test]
fn includes() {
    let registry = registry();
    let param = |name: &str, code: &str| registry.param(kind(name), code).map(|param| param.id);
    let include = |source: &str, param, target: Option<&str>, iterate, reverse| Include {
        source: kind(source),
        param,
        target: target.map(kind),
        iterate,
        reverse,
    };
    let subject = param("Observation", "subject");
    for (text, expected) in [
        (
            "Observation?_include=Observation:subject",
            include("Observation", subject, None, false, false),
        ),
        (
            "Observation?_include=Observation:subject:Patient",
            include("Observation", subject, Some("Patient"), false, false),
        ),
        (
            "Observation?_include=*",
            include("Observation", None, None, false, false),
        ),
        (
            "Observation?_include:iterate=Patient:*",
            include("Patient", None, None, true, false),
        ),
        (
            "Patient?_revinclude:recurse=Provenance:target",
            include(
                "Provenance",
                param("Provenance", "target"),
                None,
                true,
                true,
            ),
        ),
    ] {
        let query = query(text);
        assert_eq!(query.includes, [expected], "{text}");
        assert!(query.warnings.is_empty(), "{text}");
    }
    let all = query("Patient?_revinclude=*").includes;
    assert!(all.contains(&include("Observation", None, None, false, true)));
    assert!(!all.contains(&include("Organization", None, None, false, true)));
    for useless in [
        "Patient?_include=Observation:subject",
        "Patient?_revinclude=Observation:encounter",
    ] {
        assert_eq!(query(useless).warnings.len(), 1, "{useless}");
    }
}

#[test]
fn parts_of_resources() {
    assert_eq!(query("Patient?_summary=true").summary, Summary::True);
    assert_eq!(query("Patient?_summary=data").summary, Summary::Data);
    assert_eq!(query("Patient?").summary, Summary::False);
    let elements = query("Patient?_elements=name,Patient.active").elements;
    assert_eq!(elements, ["name", "Patient.active"]);
    assert!(query("Patient?_explain=true").explain);
}

#[test]
fn what_took_part_makes_the_self_link() {
    let text = "Patient?name=a%20b&nosuch=1&_format=json&_count=5&identifier=s%7C1";
    let query = search(text, false).unwrap();
    let pairs = query
        .accepted
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(
        encode(pairs),
        "name=a%20b&_format=json&_count=5&identifier=s%7C1"
    );
}
