//! Every small damage to a valid resource is found.
#![allow(clippy::unwrap_used, reason = "in a test it is the message")]

use std::{fs::File, ops::Range, path::Path};

use profiles::validate;
use resources::{Doc, Value, doc::Kind};

/// A span of the text, and what shall stand there.
type Edit = (Range<usize>, String);

/// What can be done to a value so that the result must be invalid.
const DAMAGES: [fn(Value<'_>) -> Option<Edit>; 5] = [renamed, emptied, retyped, nulled, wrapped];

fn renamed(value: Value<'_>) -> Option<Edit> {
    let member = !value.name().is_empty();
    member.then(|| {
        (
            value.member_span(),
            format!("\"{}X\":{}", value.name(), value.raw()),
        )
    })
}

fn emptied(value: Value<'_>) -> Option<Edit> {
    let empty = if value.is_array() { "[]" } else { "{}" };
    Some((value.span(), empty.to_owned()))
}

fn retyped(value: Value<'_>) -> Option<Edit> {
    let other = match value.kind() {
        Kind::String => "1".to_owned(),
        Kind::Number | Kind::True | Kind::False => format!("\"{}\"", value.raw()),
        Kind::Object | Kind::Array => "true".to_owned(),
        Kind::Null => return None,
    };
    Some((value.span(), other))
}

fn nulled(value: Value<'_>) -> Option<Edit> {
    (!value.is_null()).then(|| (value.span(), "null".to_owned()))
}

fn wrapped(value: Value<'_>) -> Option<Edit> {
    let other = match value.items().next() {
        Some(first) => first.raw().to_owned(),
        None => format!("[{}]", value.raw()),
    };
    Some((value.span(), other))
}

#[test]
fn one_damaged_value_makes_a_valid_resource_invalid() {
    /// One of so many values is damaged, a different one in each way; all would take minutes.
    const EVERY: u32 = 61;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/examples.ndjson.zst");
    let examples = String::from_utf8(zstd::decode_all(File::open(path).unwrap()).unwrap()).unwrap();
    let mut tried = 0;
    let mut missed = Vec::new();
    for (line, text) in examples.lines().enumerate() {
        let doc = Doc::parse(text).unwrap();
        if !validate(&doc).is_empty() {
            continue;
        }
        for value in doc.root().descendants().skip(1) {
            for (number, damage) in DAMAGES.iter().enumerate() {
                if (value.index() + line as u32) % EVERY != number as u32 * 12 {
                    continue;
                }
                let Some(edit) = damage(value) else { continue };
                let damaged = doc.splice(std::slice::from_ref(&edit));
                // A name that is there already makes it no JSON that FHIR accepts.
                let Ok(damaged) = Doc::parse(damaged) else {
                    continue;
                };
                tried += 1;
                if validate(&damaged).is_empty() {
                    missed.push(format!("line {}: {} -> {}", line + 1, value.raw(), edit.1));
                }
            }
        }
    }
    assert_eq!(missed, [""; 0]);
    assert!(tried > 2_000, "{tried}");
}
