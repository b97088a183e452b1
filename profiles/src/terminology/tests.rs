use std::collections::HashMap;

use super::*;

/// Resources by canonical URL.
#[derive(Default)]
struct Stored(HashMap<String, Arc<Doc>>);

impl Stored {
    fn with(mut self, url: &str, text: &str) -> Self {
        self.0
            .insert(url.to_owned(), Arc::new(Doc::parse(text).unwrap()));
        self
    }
}

impl Lookup for Stored {
    fn value_set(&self, canonical: &str) -> Option<Arc<Doc>> {
        self.0.get(canonical).cloned()
    }

    fn code_system(&self, canonical: &str) -> Option<Arc<Doc>> {
        self.0.get(canonical).cloned()
    }
}

/// a > b > c, a > d, e; d has kind=x, e has kind=y; f is below c by a property.
const ANIMALS: &str = r#"{"resourceType":"CodeSystem","content":"complete","concept":[
    {"code":"a","concept":[
        {"code":"b","concept":[{"code":"c"}]},
        {"code":"d","property":[{"code":"kind","valueCode":"x"}]}]},
    {"code":"e","property":[{"code":"kind","valueCoding":{"code":"y"}}]},
    {"code":"f","property":[{"code":"parent","valueCode":"c"}]}]}"#;

fn stored() -> Stored {
    Stored::default()
        .with("urn:s", ANIMALS)
        .with("urn:part", r#"{"resourceType":"CodeSystem","content":"fragment","concept":[{"code":"p"}]}"#)
        .with("urn:v", &compose(r#""include":[{"system":"urn:s","concept":[{"code":"b"},{"code":"e"}]},{"system":"urn:t","concept":[{"code":"t"}]}]"#))
        .with("urn:loop", &compose(r#""include":[{"valueSet":["urn:loop2"]}]"#))
        .with("urn:loop2", &compose(r#""include":[{"valueSet":["urn:loop"]}]"#))
}

fn compose(parts: &str) -> String {
    format!(r#"{{"resourceType":"ValueSet","compose":{{{parts}}}}}"#)
}

fn filter(property: &str, op: &str, value: &str) -> String {
    compose(&format!(
        r#""include":[{{"system":"urn:s","filter":[{{"property":"{property}","op":"{op}","value":"{value}"}}]}}]"#
    ))
}

fn expanded(text: &str) -> Result<String, &'static str> {
    let doc = Doc::parse(text).unwrap();
    let codes = expand_value_set(doc.root(), &stored(), 100).map_err(|issue| issue.code)?;
    let whole = codes.whole_systems().map(|system| format!("{system}|*"));
    let listed = codes
        .pairs()
        .map(|(system, code)| format!("{system}|{code}"));
    let all: Vec<_> = whole.chain(listed).collect();
    Ok(all.join(" ").replace("urn:", ""))
}

#[test]
fn a_value_set_has_the_codes_that_its_compose_says() {
    let cases = [
        (
            compose(r#""include":[{"system":"urn:s"}]"#),
            Ok("s|a s|b s|c s|d s|e s|f"),
        ),
        (compose(r#""include":[{"system":"urn:x"}]"#), Ok("x|*")),
        (
            compose(r#""include":[{"system":"urn:part"}]"#),
            Ok("part|*"),
        ),
        (
            compose(r#""include":[{"valueSet":["urn:v"]}]"#),
            Ok("s|b s|e t|t"),
        ),
        (
            compose(r#""include":[{"system":"urn:s","valueSet":["urn:v"]}]"#),
            Ok("s|b s|e"),
        ),
        (
            compose(r#""include":[{"system":"urn:x","valueSet":["urn:v"]}]"#),
            Ok(""),
        ),
        (
            compose(r#""include":[{"system":"urn:s"}],"exclude":[{"valueSet":["urn:v"]}]"#),
            Ok("s|a s|c s|d s|f"),
        ),
        (
            compose(r#""include":[{"system":"urn:x"}],"exclude":[{"system":"urn:x"}]"#),
            Ok(""),
        ),
        (
            compose(
                r#""include":[{"system":"urn:x"}],"exclude":[{"system":"urn:x","concept":[{"code":"1"}]}]"#,
            ),
            Err("not-supported"),
        ),
        (
            compose(r#""include":[{"valueSet":["urn:none"]}]"#),
            Err("not-found"),
        ),
        (
            compose(r#""include":[{"valueSet":["urn:loop"]}]"#),
            Err("invalid"),
        ),
        (
            compose(
                r#""include":[{"system":"urn:x","filter":[{"property":"concept","op":"is-a","value":"b"}]}]"#,
            ),
            Err("not-found"),
        ),
        (filter("concept", "is-a", "b"), Ok("s|b s|c s|f")),
        (filter("concept", "is-a", "none"), Ok("")),
        (filter("concept", "descendent-of", "b"), Ok("s|c s|f")),
        (filter("concept", "is-not-a", "b"), Ok("s|a s|d s|e")),
        (filter("concept", "generalizes", "c"), Ok("s|a s|b s|c")),
        (filter("kind", "=", "x"), Ok("s|d")),
        (filter("kind", "in", "x, y"), Ok("s|d s|e")),
        (filter("kind", "not-in", "x"), Ok("s|a s|b s|c s|e s|f")),
        (filter("kind", "exists", "true"), Ok("s|d s|e")),
        (filter("kind", "exists", "false"), Ok("s|a s|b s|c s|f")),
        (filter("parent", "=", "a"), Ok("s|b s|d")),
        (filter("child", "=", "c"), Ok("s|b")),
        (filter("code", "=", "e"), Ok("s|e")),
        (filter("code", "regex", ".*"), Err("not-supported")),
        (
            compose(r#""include":[{"system":"urn:s","filter":[{"op":"="}]}]"#),
            Err("invalid"),
        ),
        (r#"{"resourceType":"ValueSet"}"#.to_owned(), Ok("")),
    ];
    for (text, expected) in cases {
        assert_eq!(expanded(&text), expected.map(str::to_owned), "{text}");
    }
}

#[test]
fn an_expansion_counts_if_it_is_complete() {
    let with = |expansion: &str| {
        format!(
            r#"{{"resourceType":"ValueSet","compose":{{"include":[{{"system":"urn:s","concept":[{{"code":"a"}}]}}]}},"expansion":{expansion}}}"#
        )
    };
    let one = r#"[{"system":"urn:y","code":"1","contains":[{"system":"urn:y","code":"2"}]},{"abstract":true,"system":"urn:y","code":"3"}]"#;
    let cases = [
        (format!(r#"{{"contains":{one}}}"#), "y|1 y|2"),
        (format!(r#"{{"total":3,"contains":{one}}}"#), "y|1 y|2"),
        (format!(r#"{{"total":4,"contains":{one}}}"#), "s|a"),
        (format!(r#"{{"offset":1,"contains":{one}}}"#), "s|a"),
        (r#"{"total":0}"#.to_owned(), ""),
        (r#"{"timestamp":"2020"}"#.to_owned(), "s|a"),
    ];
    for (expansion, expected) in cases {
        assert_eq!(
            expanded(&with(&expansion)).as_deref(),
            Ok(expected),
            "{expansion}"
        );
    }
}

#[test]
fn the_number_of_codes_is_bounded() {
    let code = |result: Result<CodeSet, Issue>| {
        result.map_err(|issue| issue.code).map(|codes| codes.len())
    };
    let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
    assert_eq!(code(expand(gender, &Embedded, 4)), Ok(4));
    assert_eq!(code(expand(gender, &Embedded, 3)), Err("too-costly"));
    assert_eq!(
        descendants("urn:s", "a", &stored(), 3).map_err(|issue| issue.code),
        Err("too-costly")
    );
}

#[test]
fn codes_below_and_above_are_found() {
    let stored = stored();
    let below = |code| descendants("urn:s", code, &stored, 100).unwrap().join(" ");
    let above = |code| ancestors("urn:s", code, &stored, 100).unwrap().join(" ");
    assert_eq!(below("a"), "a b c d f");
    assert_eq!(below("e"), "e");
    assert_eq!(below("none"), "none");
    assert_eq!(above("f"), "a b c f");
    assert_eq!(above("a"), "a");
    let unknown = descendants("urn:none", "a", &stored, 100);
    assert_eq!(unknown.unwrap_err().code, "not-found");
    let role = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
    let mothers = descendants(role, "MTH", &Embedded, 100).unwrap();
    assert!(mothers.iter().any(|code| code == "ADOPTM"), "{mothers:?}");
}

#[test]
fn a_code_system_that_goes_in_circles_ends() {
    let circle = r#"{"resourceType":"CodeSystem","content":"complete","concept":[
        {"code":"a","property":[{"code":"parent","valueCode":"b"}]},
        {"code":"b","property":[{"code":"parent","valueCode":"a"}]}]}"#;
    let stored = Stored::default().with("urn:s", circle);
    assert_eq!(descendants("urn:s", "a", &stored, 100).unwrap(), ["a", "b"]);
}

#[test]
fn what_is_stored_goes_before_what_is_embedded() {
    let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
    let own = compose(r#""include":[{"system":"urn:own","concept":[{"code":"x"}]}]"#);
    let stored = Stored::default().with(gender, &own);
    assert!(
        expand(gender, &stored, 10)
            .unwrap()
            .contains("urn:own", "x")
    );
    assert!(
        !expand(gender, &Embedded, 10)
            .unwrap()
            .contains("urn:own", "x")
    );
}

#[test]
fn dependencies_name_what_must_be_fetched() {
    let doc = Doc::parse(compose(
        r#""include":[{"system":"urn:s"},{"system":"urn:t","concept":[{"code":"1"}]},{"valueSet":["urn:v"]}],"exclude":[{"system":"urn:u"}]"#,
    ))
    .unwrap();
    let found: Vec<_> = dependencies(doc.root())
        .into_iter()
        .map(|(kind, url)| format!("{kind} {url}"))
        .collect();
    assert_eq!(
        found,
        ["CodeSystem urn:s", "CodeSystem urn:u", "ValueSet urn:v"]
    );
}

#[test]
fn value_sets_that_import_each_other_many_times_are_computed_once_each() {
    let mut stored = Stored::default();
    for level in 0..28 {
        let next = format!(r#"{{"valueSet":["urn:{}"]}}"#, level + 1);
        let text = compose(&format!(r#""include":[{next},{next}],"exclude":[{next}]"#));
        stored = stored.with(&format!("urn:{level}"), &text);
    }
    let last = compose(r#""include":[{"system":"urn:s","concept":[{"code":"a"}]}]"#);
    let stored = stored.with("urn:28", &last);
    assert_eq!(expand("urn:0", &stored, 100).unwrap().len(), 0);
}

#[test]
fn the_work_of_an_expansion_is_bounded() {
    let codes: Vec<_> = (0..5_000).map(|n| format!(r#"{{"code":"{n}"}}"#)).collect();
    let many = compose(&format!(
        r#""include":[{{"system":"urn:x","concept":[{}]}}]"#,
        codes.join(",")
    ));
    let again = vec![r#"{"valueSet":["urn:many"]}"#; 20_000].join(",");
    let stored = Stored::default()
        .with("urn:many", &many)
        .with("urn:all", &compose(&format!(r#""include":[{again}]"#)));
    let refused = expand("urn:all", &stored, 10_000).unwrap_err();
    assert_eq!(refused.code, "too-costly");
}
