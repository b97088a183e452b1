//! Reading the vendored definitions.

use std::{env, fs::File, io::BufReader, path::Path};

use serde_json::Value;

use crate::{Failure, resource_type::ResourceType};

/// The resources of one definitions Bundle.
pub fn load(name: &str) -> Result<Vec<Value>, Failure> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let path = Path::new(&root).join("r4").join(format!("{name}.json.zst"));
    let text = zstd::decode_all(BufReader::new(File::open(&path)?))?;
    let mut bundle: Value = serde_json::from_slice(&text)?;
    let entries = bundle["entry"]
        .as_array_mut()
        .ok_or("a Bundle without entries")?;
    Ok(entries
        .iter_mut()
        .map(|entry| entry["resource"].take())
        .collect())
}

/// Those of `resources` that are of the type `kind`.
pub fn of_type<'r>(resources: &'r [Value], kind: &'r str) -> impl Iterator<Item = &'r Value> {
    resources
        .iter()
        .filter(move |resource| resource["resourceType"] == kind)
}

/// A member that must be a string.
pub fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, Failure> {
    match value[name].as_str() {
        Some(text) => Ok(text),
        None => Err(format!("{name} is missing in {value}").into()),
    }
}

/// An array's items; none if there is no array.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Rust code for a resource type.
pub fn resource_type(name: &str) -> Result<String, Failure> {
    let kind = ResourceType::from_name(name).ok_or(format!("{name} is no resource type"))?;
    Ok(format!("R({})", kind.number()))
}

/// Rust code for a slice of resource types, in alphabetical order.
pub fn resource_types<'n>(names: impl Iterator<Item = &'n str>) -> Result<String, Failure> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    let code: Result<Vec<_>, _> = names.into_iter().map(resource_type).collect();
    Ok(format!("&[{}]", code?.join(",")))
}
