//! The smallest resource of a type that refers to a patient, made from the element model.

use resources::model::{Element, Primitive, ResourceType, TypeDef, TypeKind, TypeUse, resource};

/// `kind/id` with what the standard requires, and a reference to `Patient/patient` where the
/// first path of `expression` leads.
pub fn minimal(kind: ResourceType, id: &str, expression: &str, patient: &str) -> String {
    let own = format!("{kind}.");
    let path = expression
        .split('|')
        .filter_map(|path| path.trim().trim_start_matches('(').strip_prefix(&own))
        .next()
        .unwrap();
    let path = path.split(" as ").next().unwrap();
    let path = path.split(".where(").next().unwrap();
    let path: Vec<&str> = path.trim_end_matches(')').split('.').collect();
    let mut members = members(resource(kind), &path, patient);
    if kind == ResourceType::APPOINTMENT {
        // Few may lack a time (app-3).
        members = members.replace(r#""status":"arrived""#, r#""status":"proposed""#);
    }
    format!(r#"{{"resourceType":"{kind}","id":"{id}",{members}}}"#)
}

fn members(def: &TypeDef, path: &[&str], patient: &str) -> String {
    let on_path = |element: &Element| path.first() == Some(&element.name);
    let mut wanted: Vec<&Element> = def
        .elements
        .iter()
        .filter(|element| element.min > 0 || on_path(element))
        .collect();
    if wanted.is_empty() {
        let plain = |element: &&Element| !["id", "extension"].contains(&element.name);
        wanted.extend(def.elements.iter().find(plain));
    }
    let member = |element: &Element| {
        let (ty, path) = if on_path(element) {
            let reference = element.types.iter().find(|ty| ty.name == "Reference");
            (reference.or(element.types.first()), &path[1..])
        } else {
            (element.types.first(), &[][..])
        };
        let ty = ty.unwrap();
        let value = if on_path(element) && path.is_empty() {
            format!(r#"{{"reference":"Patient/{patient}"}}"#)
        } else {
            value(element, ty, path, patient)
        };
        let value = match element.repeats() {
            true => format!("[{value}]"),
            false => value,
        };
        format!("\"{}\":{value}", name(element, ty))
    };
    wanted.into_iter().map(member).collect::<Vec<_>>().join(",")
}

fn name(element: &Element, ty: &TypeUse) -> String {
    if !element.choice {
        return element.name.to_owned();
    }
    let (first, rest) = ty.name.split_at(1);
    format!("{}{}{rest}", element.name, first.to_uppercase())
}

fn value(element: &Element, ty: &TypeUse, path: &[&str], patient: &str) -> String {
    let TypeKind::Primitive(primitive) = ty.def().kind else {
        return format!("{{{}}}", members(ty.def(), path, patient));
    };
    match primitive {
        Primitive::Boolean => "true".to_owned(),
        Primitive::Integer
        | Primitive::Decimal
        | Primitive::UnsignedInt
        | Primitive::PositiveInt => "1".to_owned(),
        Primitive::Instant => "\"2026-11-20T00:00:00Z\"".to_owned(),
        Primitive::Date | Primitive::DateTime => "\"2026-11-20\"".to_owned(),
        Primitive::Time => "\"10:00:00\"".to_owned(),
        Primitive::Base64Binary => "\"AAAA\"".to_owned(),
        // Its value set has no list.
        Primitive::Code if element.name == "contentType" => "\"text/plain\"".to_owned(),
        Primitive::Code => {
            let codes = element.binding.and_then(|binding| binding.codes);
            let code = codes.and_then(|codes| codes.first());
            format!("\"{}\"", code.map_or("en", |(_, code)| code))
        }
        _ => "\"urn:x\"".to_owned(),
    }
}
