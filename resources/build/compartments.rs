//! Compartments: by which parameters a resource belongs to one.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use crate::{
    Failure,
    definitions::{items, of_type, resource_type, text},
    resource_type::ResourceType,
};

/// The code of the table, sorted by compartment, then member.
pub fn generate(resources: &[Value]) -> Result<String, Failure> {
    let mut rows = BTreeMap::new();
    for definition in of_type(resources, "CompartmentDefinition") {
        let compartment = text(definition, "code")?;
        for member in items(&definition["resource"]) {
            let name = text(member, "code")?;
            if ResourceType::from_name(name).is_none() {
                return Err(format!("{compartment} compartment: unknown type {name}").into());
            }
            let mut params: Vec<_> = items(&member["param"]).filter_map(Value::as_str).collect();
            // R4 writes it for three of the five, and means it for all of them.
            if name == compartment && !params.contains(&"{def}") {
                params.insert(0, "{def}");
            }
            if !params.is_empty() {
                rows.insert((compartment, name), params);
            }
        }
    }
    let mut out = String::new();
    writeln!(out, "static ROWS: [Row; {}] = [", rows.len())?;
    for ((compartment, member), params) in rows {
        let (compartment, member) = (resource_type(compartment)?, resource_type(member)?);
        writeln!(out, "({compartment}, {member}, &{params:?}),")?;
    }
    writeln!(out, "];")?;
    Ok(out)
}
