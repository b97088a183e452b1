//! Search parameters, one row for each base type.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use crate::{
    Failure,
    definitions::{items, of_type, resource_type, resource_types, text},
    resource_type::ResourceType,
};

/// The code of the table.
pub fn generate(resources: &[Value]) -> Result<String, Failure> {
    let mut rows = BTreeMap::new();
    for parameter in of_type(resources, "SearchParameter") {
        let code = text(parameter, "code")?;
        for base in items(&parameter["base"]).filter_map(Value::as_str) {
            for base in types_of(base)? {
                if rows.insert((base, code), row(parameter, base)?).is_some() {
                    return Err(format!("{base} has the parameter {code} twice").into());
                }
            }
        }
    }
    let mut out = String::new();
    writeln!(
        out,
        "pub(super) static ALL: [Definition; {}] = [",
        rows.len()
    )?;
    for row in rows.values() {
        writeln!(out, "{row},")?;
    }
    writeln!(out, "];")?;
    Ok(out)
}

/// A base's resource types: the abstract types stand for all of them (those without narrative
/// excluded for DomainResource).
fn types_of(base: &str) -> Result<Vec<&'static str>, Failure> {
    let bare = ["Binary", "Bundle", "Parameters"];
    match base {
        "Resource" => Ok(ResourceType::all().map(ResourceType::name).collect()),
        "DomainResource" => Ok(ResourceType::all()
            .map(ResourceType::name)
            .filter(|name| !bare.contains(name))
            .collect()),
        base => Ok(vec![
            ResourceType::from_name(base)
                .ok_or(format!("unknown base {base}"))?
                .name(),
        ]),
    }
}

fn row(parameter: &Value, base: &str) -> Result<String, Failure> {
    let expression = parameter["expression"].as_str().unwrap_or("");
    let own: Vec<_> = alternatives(expression)
        .into_iter()
        .filter(|alternative| concerns(alternative, base))
        .collect();
    if own.is_empty() != expression.is_empty() {
        return Err(format!("no alternative of {expression} is for {base}").into());
    }
    let components: Result<Vec<_>, Failure> = items(&parameter["component"])
        .map(|component| {
            let (url, expression) = (
                text(component, "definition")?,
                text(component, "expression")?,
            );
            Ok(format!("({url:?}, {expression:?})"))
        })
        .collect();
    Ok(format!(
        "Definition {{ id: {:?}, url: {:?}, code: {:?}, base: {}, kind: {:?}, expression: {:?}, targets: {}, components: &[{}] }}",
        text(parameter, "id")?,
        text(parameter, "url")?,
        text(parameter, "code")?,
        resource_type(base)?,
        text(parameter, "type")?,
        own.join(" | "),
        resource_types(items(&parameter["target"]).filter_map(Value::as_str))?,
        components?.join(","),
    ))
}

/// The operands of the outermost `|` of an expression.
fn alternatives(expression: &str) -> Vec<&str> {
    let (mut found, mut from, mut depth, mut quoted) = (Vec::new(), 0, 0, false);
    for (at, c) in expression.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            '|' if !quoted && depth == 0 => {
                found.push(expression[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(expression[from..].trim());
    found.retain(|alternative| !alternative.is_empty());
    found
}

/// Whether an alternative begins at `base`, or at no particular type.
fn concerns(alternative: &str, base: &str) -> bool {
    let start = alternative.trim_start_matches('(').trim_start();
    let end = start
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(start.len());
    let first = &start[..end];
    first == base || ResourceType::from_name(first).is_none()
}
