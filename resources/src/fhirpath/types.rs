//! Names of types, and which type is a kind of which.

use super::Refused;
use crate::model::{self, TypeDef, TypeKind};

/// The type that an expression names. R4's own expressions write primitive types both ways
/// (`dateTime` and `DateTime`).
pub(super) fn named(name: &str) -> Result<&'static TypeDef, Refused> {
    let short = name.strip_prefix("FHIR.").unwrap_or(name);
    let lower = || {
        let first = short.chars().next()?.to_ascii_lowercase();
        let primitive = model::data_type(&format!("{first}{}", short.get(1..)?))?;
        matches!(primitive.kind, TypeKind::Primitive(_)).then_some(primitive)
    };
    match model::data_type(short).or_else(lower) {
        Some(def) => Ok(def),
        None => Refused::new(format!("'{name}' is not a FHIR R4 type")),
    }
}

/// Whether every value of type `name` is one of type `general`.
pub fn is_a(name: &str, general: &str) -> bool {
    let mut name = name;
    loop {
        if name == general {
            return true;
        }
        match parent(name) {
            Some(next) => name = next,
            None => return false,
        }
    }
}

fn parent(name: &str) -> Option<&'static str> {
    Some(match name {
        "code" | "id" | "markdown" => "string",
        "url" | "canonical" | "oid" | "uuid" => "uri",
        "unsignedInt" | "positiveInt" => "integer",
        "Age" | "Count" | "Distance" | "Duration" => "Quantity",
        "Bundle" | "Binary" | "Parameters" | "DomainResource" => "Resource",
        "Resource" => return None,
        _ => match model::data_type(name)?.kind {
            TypeKind::Resource => "DomainResource",
            _ => return None,
        },
    })
}

/// Whether the type stands for any resource.
pub(super) fn is_abstract(def: &TypeDef) -> bool {
    matches!(def.name, "Resource" | "DomainResource")
}
