use proptest::prelude::*;

use super::*;

fn kind_of(text: &str) -> ParseErrorKind {
    Doc::parse(text)
        .map(|doc| doc.into_text())
        .unwrap_err()
        .kind
}

#[test]
fn text_comes_back_as_it_came_without_spaces() {
    let doc =
        Doc::parse("{ \"a\" : [ 1.00 , -0.10e+5, \"x\\u00e9\\n\" ],\r\n\t\"b\": {} }").unwrap();
    assert_eq!(doc.text(), r#"{"a":[1.00,-0.10e+5,"x\u00e9\n"],"b":{}}"#);
    let a = doc.root().get("a").unwrap();
    let items: Vec<_> = a.items().collect();
    assert_eq!(items[0].number(), Some("1.00"));
    assert_eq!(items[2].as_str().unwrap(), "x\u{e9}\n");
    assert_eq!(a.member_span(), 1..32);
}

#[test]
fn surrogate_pairs_are_one_character() {
    let doc = Doc::parse(r#""\ud83d\ude00""#).unwrap();
    assert_eq!(doc.root().as_str().unwrap(), "\u{1f600}");
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    use ParseErrorKind::*;
    let cases: &[(&str, ParseErrorKind)] = &[
        ("", UnexpectedEnd),
        ("{", UnexpectedEnd),
        ("[1,]", Unexpected(']')),
        ("{\"a\":1,}", Unexpected('}')),
        ("{\"a\" 1}", Unexpected('1')),
        ("01", Number),
        ("1.", Number),
        ("-", Number),
        ("1e", Number),
        ("\"\\x\"", String),
        ("\"\\ud800\"", String),
        ("\"\u{1}\"", String),
        ("nul", Unexpected('n')),
        ("1 2", Trailing),
        ("{\"\\u0061\":1}", EscapedName),
        ("{\"a\":1,\"b\":2,\"a\":3}", DuplicateName("a".into())),
        ("\u{e9}", Unexpected('\u{e9}')),
    ];
    for (text, kind) in cases {
        assert_eq!(&kind_of(text), kind, "{text}");
    }
    let error = Doc::parse("{\n  \"a\": tru\n}").unwrap_err();
    assert_eq!((error.line, error.column), (2, 8));
}

#[test]
fn duplicates_are_found_in_large_objects_too() {
    let mut text = std::string::String::from("{");
    for i in 0..1000 {
        text.push_str(&format!("\"m{i}\":{i},"));
    }
    text.push_str("\"m500\":1}");
    assert_eq!(kind_of(&text), ParseErrorKind::DuplicateName("m500".into()));
}

#[test]
fn depth_is_bounded() {
    let deep = "[".repeat(65) + &"]".repeat(65);
    assert_eq!(kind_of(&deep), ParseErrorKind::TooDeep(64));
    assert!(Doc::parse("[".repeat(64) + &"]".repeat(64)).is_ok());
}

#[test]
fn splicing_replaces_spans() {
    let doc = Doc::parse(r#"{"a":"x","b":[1,2]}"#).unwrap();
    let a = doc.root().get("a").unwrap().span();
    let b = doc.root().get("b").unwrap().span();
    assert_eq!(doc.splice(&[(a, "null"), (b, "3")]), r#"{"a":null,"b":3}"#);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map("[a-zA-Z_]{1,8}", inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn same(ours: super::Value<'_>, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match theirs {
        Json::Null => ours.is_null(),
        Json::Bool(b) => ours.as_bool() == Some(*b),
        Json::Number(n) => ours.number() == Some(&n.to_string()),
        Json::String(s) => ours.as_str().as_deref() == Some(s),
        Json::Array(items) => {
            ours.items().count() == items.len() && ours.items().zip(items).all(|(a, b)| same(a, b))
        }
        Json::Object(map) => {
            ours.members().count() == map.len()
                && map
                    .iter()
                    .all(|(name, value)| ours.get(name).is_some_and(|member| same(member, value)))
        }
    }
}

proptest! {
    #[test]
    fn reads_whatever_serde_json_writes(json in any_json()) {
        for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
            let doc = Doc::parse(text.as_str()).unwrap();
            prop_assert!(same(doc.root(), &json));
            prop_assert_eq!(doc.text(), json.to_string());
            prop_assert!(doc.node_count() <= Doc::values_at_most(text.as_bytes()));
            let mut pretty = String::new();
            doc.root().write_pretty(&mut pretty, 0);
            let again = Doc::parse(pretty).unwrap();
            prop_assert_eq!(again.text(), doc.text());
        }
    }

    #[test]
    fn never_panics_and_agrees_on_what_is_json(text in "[\\[\\]{}\",:0-9a-z\\\\ .eE+-]{0,40}") {
        let ours = Doc::parse(text.clone());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        if theirs.is_err() {
            prop_assert!(ours.is_err());
        }
    }

    #[test]
    fn strings_survive_writing_and_reading(text in any::<String>()) {
        let mut json = String::new();
        write_json_string(&mut json, &text);
        let doc = Doc::parse(json).unwrap();
        prop_assert_eq!(doc.root().as_str().unwrap(), text);
    }
}
