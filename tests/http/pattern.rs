//! Text with `${name}` in it: filled in where a request is made, matched and remembered where an
//! answer is looked at.

use std::collections::BTreeMap;

/// What names stand for.
pub type Names = BTreeMap<String, String>;

/// The text with all names replaced by what they stand for.
pub fn fill(text: &str, names: &Names) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_name(rest) {
        out.push_str(before);
        match names.get(name) {
            Some(value) => out.push_str(value),
            None => panic!("${{{name}}} stands for nothing yet"),
        }
        rest = after;
    }
    out + rest
}

/// True if `text` fits; names that stand for nothing yet then stand for what was there.
/// `${*}` fits anything.
pub fn fits(pattern: &str, text: &str, names: &mut Names) -> bool {
    let Some((before, name, after)) = next_name(pattern) else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    if let Some(value) = names.get(name) {
        let value = value.clone();
        return rest
            .strip_prefix(value.as_str())
            .is_some_and(|rest| fits(after, rest, names));
    }
    // As short as possible, but all of the rest if nothing follows.
    let ends: Vec<usize> = if after.is_empty() {
        vec![rest.len()]
    } else {
        rest.char_indices()
            .map(|(at, _)| at)
            .chain([rest.len()])
            .collect()
    };
    for end in ends {
        let mut tried = names.clone();
        if name != "*" {
            tried.insert(name.to_owned(), rest[..end].to_owned());
        }
        if fits(after, &rest[end..], &mut tried) {
            *names = tried;
            return true;
        }
    }
    false
}

fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

#[test]
fn names_are_bound_once_and_compared_afterwards() {
    let mut names = Names::new();
    assert!(fits(
        "/Patient/${id}/_history/${v}",
        "/Patient/a-1/_history/2",
        &mut names
    ));
    assert_eq!(names["id"], "a-1");
    assert!(fits("${*}/${id}", "x/y/a-1", &mut names));
    assert!(!fits("x/${id}", "x/a-2", &mut names));
    assert_eq!(fill("${id}:${v}", &names), "a-1:2");
}
