//! Is one JSON part of another? Numbers compare as written, so that `1.0` is not `1.00`.

use resources::{Doc, Value, doc::Kind};

use crate::pattern::{Names, fits};

/// What is missing or different in `actual`; members that `expected` does not name are free. An
/// array fits item by item; `"..."` as its last item lets more follow, `"${*}"` fits anything.
///
/// # Errors
/// The first difference.
pub fn part_of(expected: &str, actual: &str, names: &mut Names) -> Result<(), String> {
    let expected = Doc::parse(expected).map_err(|e| format!("the expectation: {e}"))?;
    let actual = Doc::parse(actual).map_err(|e| format!("the answer is not JSON: {e}"))?;
    compare("$", expected.root(), actual.root(), names)
}

fn compare(
    path: &str,
    expected: Value<'_>,
    actual: Value<'_>,
    names: &mut Names,
) -> Result<(), String> {
    let differ = || {
        Err(format!(
            "{path}: expected {} but got {}",
            shown(expected),
            shown(actual)
        ))
    };
    match expected.kind() {
        Kind::Object if actual.is_object() => {
            for member in expected.members() {
                let path = format!("{path}.{}", member.name());
                match actual.get(member.name()) {
                    Some(found) => compare(&path, member, found, names)?,
                    None if member.is_null() => {}
                    None => return Err(format!("{path}: is missing")),
                }
            }
            Ok(())
        }
        Kind::Array if actual.is_array() => compare_items(path, expected, actual, names),
        Kind::String => {
            let pattern = expected.as_str().unwrap_or_default();
            if pattern == "${*}" {
                return Ok(());
            }
            match actual.as_str() {
                Some(text) if fits(&pattern, &text, names) => Ok(()),
                _ => differ(),
            }
        }
        _ if expected.raw() == actual.raw() => Ok(()),
        _ => differ(),
    }
}

fn compare_items(
    path: &str,
    expected: Value<'_>,
    actual: Value<'_>,
    names: &mut Names,
) -> Result<(), String> {
    let mut wanted: Vec<Value<'_>> = expected.items().collect();
    let open = wanted
        .last()
        .is_some_and(|last| last.plain_str() == Some("..."));
    if open {
        wanted.pop();
    }
    let got = actual.items().count();
    if got < wanted.len() || (got > wanted.len() && !open) {
        return Err(format!(
            "{path}: expected {} items but got {got}",
            wanted.len()
        ));
    }
    for (i, (expected, actual)) in wanted.into_iter().zip(actual.items()).enumerate() {
        compare(&format!("{path}[{i}]"), expected, actual, names)?;
    }
    Ok(())
}

fn shown(value: Value<'_>) -> String {
    value.raw().chars().take(300).collect()
}
