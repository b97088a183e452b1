use proptest::prelude::*;

use super::*;

fn patched(doc: &str, patch: &str) -> Result<String, Issue> {
    apply(&Doc::parse(doc).unwrap(), &Doc::parse(patch).unwrap())
}

/// The examples of RFC 6902, appendix A, and what FHIR adds: digits and order are kept.
#[test]
fn operations_do_what_rfc_6902_says() {
    for (doc, patch, result) in [
        (
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/baz","value":"qux"}]"#,
            r#"{"foo":"bar","baz":"qux"}"#,
        ),
        (
            r#"{"foo":["bar","baz"]}"#,
            r#"[{"op":"add","path":"/foo/1","value":"qux"}]"#,
            r#"{"foo":["bar","qux","baz"]}"#,
        ),
        (
            r#"{"baz":"qux","foo":"bar"}"#,
            r#"[{"op":"remove","path":"/baz"}]"#,
            r#"{"foo":"bar"}"#,
        ),
        (
            r#"{"foo":["bar","qux","baz"]}"#,
            r#"[{"op":"remove","path":"/foo/1"}]"#,
            r#"{"foo":["bar","baz"]}"#,
        ),
        (
            r#"{"baz":"qux","foo":"bar"}"#,
            r#"[{"op":"replace","path":"/baz","value":"boo"}]"#,
            r#"{"baz":"boo","foo":"bar"}"#,
        ),
        (
            r#"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
            r#"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
            r#"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#,
        ),
        (
            r#"{"foo":["all","grass","cows","eat"]}"#,
            r#"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
            r#"{"foo":["all","cows","eat","grass"]}"#,
        ),
        (
            r#"{"baz":"qux","foo":["a",2,"c"]}"#,
            r#"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]"#,
            r#"{"baz":"qux","foo":["a",2,"c"]}"#,
        ),
        (
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/child","value":{"grandchild":{}}}]"#,
            r#"{"foo":"bar","child":{"grandchild":{}}}"#,
        ),
        (
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/baz","value":"qux","xyz":123}]"#,
            r#"{"foo":"bar","baz":"qux"}"#,
        ),
        (
            r#"{"/":9,"~1":10}"#,
            r#"[{"op":"test","path":"/~01","value":10}]"#,
            r#"{"/":9,"~1":10}"#,
        ),
        (
            r#"{"foo":["bar"]}"#,
            r#"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#,
            r#"{"foo":["bar",["abc","def"]]}"#,
        ),
        (
            r#"{"a":{"b":1.00,"c":null}}"#,
            r#"[{"op":"copy","from":"/a","path":"/d"},{"op":"replace","path":"/d/b","value":2.50}]"#,
            r#"{"a":{"b":1.00,"c":null},"d":{"b":2.50,"c":null}}"#,
        ),
        (
            r#"{"a":[1.0,{"x":1,"y":"\u0061"}]}"#,
            r#"[{"op":"test","path":"/a","value":[1.00,{"y":"a","x":1}]}]"#,
            r#"{"a":[1.0,{"x":1,"y":"\u0061"}]}"#,
        ),
        (r#"{"a":1}"#, r#"[{"op":"add","path":"","value":[]}]"#, "[]"),
        (
            r#"{"a":1}"#,
            r#"[{"op":"add","path":"/a","value":2}]"#,
            r#"{"a":2}"#,
        ),
        (
            r#"{"a":1}"#,
            r#"[{"op":"move","from":"/a","path":"/a"}]"#,
            r#"{"a":1}"#,
        ),
        (r#"{"a":1}"#, "[]", r#"{"a":1}"#),
    ] {
        assert_eq!(patched(doc, patch).as_deref(), Ok(result), "{patch}");
    }
}

#[test]
fn what_cannot_be_done_says_which_operation_and_why() {
    let doc = r#"{"baz":"qux","foo":["a",2,"c"]}"#;
    for (patch, code, reason) in [
        ("{}", "invalid", "a JSON Patch is an array of operations"),
        (
            r#"[{"path":"/a"}]"#,
            "invalid",
            "0 of the patch: it needs 'op', a string",
        ),
        (
            r#"[{"op":"add","path":"/a"}]"#,
            "invalid",
            "it needs 'value'",
        ),
        (
            r#"[{"op":"add","path":"/a\u0008b","value":1}]"#,
            "processing",
            "no property has quotes",
        ),
        (
            r#"[{"op":"set","path":"/a"}]"#,
            "invalid",
            "'set' is no operation",
        ),
        (
            r#"[{"op":"remove","path":"a"}]"#,
            "invalid",
            "'a' is not a JSON Pointer",
        ),
        (
            r#"[{"op":"remove","path":"/~2"}]"#,
            "invalid",
            "is not a JSON Pointer",
        ),
        (
            r#"[{"op":"remove","path":"/foo/0"},{"op":"remove","path":"/no"}]"#,
            "processing",
            "operation 1 of the patch: there is nothing at '/no'",
        ),
        (
            r#"[{"op":"replace","path":"/foo/3","value":1}]"#,
            "processing",
            "nothing at '/foo/3'",
        ),
        (
            r#"[{"op":"add","path":"/foo/4","value":1}]"#,
            "processing",
            "'4' is not a place",
        ),
        (
            r#"[{"op":"add","path":"/foo/01","value":1}]"#,
            "processing",
            "'01' is not a place",
        ),
        (
            r#"[{"op":"add","path":"/baz/x","value":1}]"#,
            "processing",
            "simple value",
        ),
        (
            r#"[{"op":"add","path":"/x/y","value":1}]"#,
            "processing",
            "nothing at '/x'",
        ),
        (
            r#"[{"op":"remove","path":""}]"#,
            "processing",
            "whole resource",
        ),
        (
            r#"[{"op":"move","from":"/foo","path":"/foo/0"}]"#,
            "invalid",
            "into itself",
        ),
        (
            r#"[{"op":"test","path":"/baz","value":"x"}]"#,
            "conflict",
            "'test' expects",
        ),
        (
            r#"[{"op":"test","path":"/foo/1","value":"2"}]"#,
            "conflict",
            "'test' expects",
        ),
    ] {
        let issue = patched(doc, patch).unwrap_err();
        assert_eq!(issue.code, code, "{patch}");
        assert!(issue.diagnostics.contains(reason), "{}", issue.diagnostics);
    }
}

#[test]
fn copies_of_copies_are_bounded() {
    let doubling = r#"{"op":"copy","from":"/a","path":"/a/-"}"#;
    let wide = format!("[{}]", vec![doubling; 60].join(","));
    let issue = patched(r#"{"a":["x"]}"#, &wide).unwrap_err();
    assert_eq!(issue.code, "too-costly");
    let text = "x".repeat(1024 * 1024);
    let doc = format!(r#"{{"a":"{text}"}}"#);
    let copies: Vec<_> = (0..20)
        .map(|n| format!(r#"{{"op":"copy","from":"/a","path":"/b{n}"}}"#))
        .collect();
    let issue = patched(&doc, &format!("[{}]", copies.join(","))).unwrap_err();
    assert_eq!(issue.code, "too-costly");
}

#[test]
fn the_steps_of_a_patch_are_bounded() {
    let array = |item: &str, times| format!("[{}]", vec![item; times].join(","));
    let doc = format!(r#"{{"a":{},"b":{{}}}}"#, array("0", 200_000));
    let members: Vec<_> = (0..5_000).map(|n| format!(r#""m{n}":{n}"#)).collect();
    let wide = format!(r#"{{"o":{{{}}}}}"#, members.join(","));
    let moves = r#"{"op":"move","from":"/a/0","path":"/a/199998"}"#;
    let whole =
        r#"{"op":"move","from":"/a","path":"/b/a"},{"op":"move","from":"/b/a","path":"/a"}"#;
    let test = format!(
        r#"{{"op":"test","path":"/o","value":{{{}}}}}"#,
        members.join(",")
    );
    let find = r#"{"op":"replace","path":"/o/m4999","value":1}"#;
    for (doc, operation, times) in [
        (&doc, moves, 20_000),
        (&doc, whole, 1_000),
        (&wide, &test, 2),
        (&wide, find, 10_000),
    ] {
        let issue = patched(doc, &array(operation, times)).unwrap_err();
        assert_eq!(issue.code, "too-costly", "{}", issue.diagnostics);
    }
    let few = array(r#"{"op":"remove","path":"/a/0"}"#, 100);
    assert!(patched(&doc, &few).is_ok());
    let list = format!(r#"{{"a":{}}}"#, array("0", 10_000));
    let all = array(r#"{"op":"remove","path":"/a/0"}"#, 10_000);
    assert_eq!(patched(&list, &all).unwrap(), r#"{"a":[]}"#);
}

#[test]
fn the_result_is_not_deeper_than_documents_may_be() {
    let doc = format!(r#"{{"a":{}{}}}"#, "[".repeat(60), "]".repeat(60));
    let patch = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        let path = format!("/a{}/-", "/0".repeat(59));
        format!(r#"[{{"op":"add","path":"{path}","value":{open}{close}}}]"#)
    };
    assert!(patched(&doc, &patch(3)).is_ok());
    assert_eq!(patched(&doc, &patch(4)).unwrap_err().code, "processing");
}

proptest! {
    #[test]
    fn what_comes_out_is_json(
        operations in proptest::collection::vec(
            ("add|remove|replace|copy|move|test", "(/a|/b|/0|/-){0,3}", "(/a|/b|/0){0,2}"),
            0..6,
        ),
    ) {
        let operations: Vec<_> = operations
            .iter()
            .map(|(op, path, from)| {
                format!(r#"{{"op":"{op}","path":"{path}","from":"{from}","value":{{"a":[1]}}}}"#)
            })
            .collect();
        let patch = format!("[{}]", operations.join(","));
        if let Ok(text) = patched(r#"{"a":[{"b":1.50}],"b":{"a":[]}}"#, &patch) {
            prop_assert_eq!(Doc::parse(text.clone()).unwrap().into_text(), text);
        }
    }
}
