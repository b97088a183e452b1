//! Types and elements out of StructureDefinition snapshots.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

use serde_json::Value;

use crate::{
    Failure,
    bindings::Bindings,
    definitions::{items, of_type, resource_types, text},
    resource_type::ResourceType,
};

const DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";
const FHIR_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type";

/// One type of the standard, or one element with children of its own.
struct Type<'d> {
    kind: String,
    /// Snapshot elements directly below, in order.
    elements: Vec<&'d Value>,
}

type Types<'d> = BTreeMap<&'d str, Type<'d>>;

/// The code of the type tables.
pub fn generate(
    data_types: &[Value],
    resources: &[Value],
    mut bindings: Bindings,
) -> Result<String, Failure> {
    let mut types = Types::new();
    let definitions =
        of_type(data_types, "StructureDefinition").chain(of_type(resources, "StructureDefinition"));
    for definition in definitions.filter(|found| found["derivation"] != "constraint") {
        add(&mut types, definition)?;
    }
    let numbers: HashMap<&str, usize> = types
        .keys()
        .enumerate()
        .map(|(number, name)| (*name, number))
        .collect();

    let mut out = String::new();
    let mut uses = Uses {
        numbers: &numbers,
        known: BTreeMap::new(),
    };
    let mut table = String::new();
    for (number, (name, one)) in types.iter().enumerate() {
        let count = one.elements.len();
        writeln!(out, "static E{number}: [Element; {count}] = [")?;
        for element in &one.elements {
            writeln!(out, "{},", element_code(element, &mut uses, &mut bindings)?)?;
        }
        writeln!(out, "];")?;
        writeln!(table, "t({name:?}, TypeKind::{}, &E{number}),", one.kind)?;
    }
    for (code, number) in &uses.known {
        writeln!(out, "static U{number}: &[TypeUse] = {code};")?;
    }
    bindings.generate(&mut out)?;
    writeln!(
        out,
        "pub(super) static TYPES: [TypeDef; {}] = [\n{table}];",
        types.len()
    )?;
    let of_resources: Option<Vec<_>> = ResourceType::all()
        .map(|kind| numbers.get(kind.name()))
        .collect();
    let of_resources = of_resources.ok_or("a resource type has no StructureDefinition")?;
    let count = of_resources.len();
    writeln!(
        out,
        "pub(super) static RESOURCES: [u16; {count}] = {of_resources:?};"
    )?;
    Ok(out)
}

/// Adds the type of a StructureDefinition and the nested ones of its elements.
fn add<'d>(types: &mut Types<'d>, definition: &'d Value) -> Result<(), Failure> {
    let root = text(definition, "type")?;
    let kind = match text(definition, "kind")? {
        "primitive-type" => format!("Primitive(Primitive::{})", upper_camel(root)),
        "resource" => "Resource".into(),
        _ => "Complex".into(),
    };
    let elements = Vec::new();
    types.insert(root, Type { kind, elements });
    for element in items(&definition["snapshot"]["element"]) {
        let path = text(element, "path")?;
        let Some((parent, name)) = path.rsplit_once('.') else {
            continue;
        };
        let own_value = parent == root && name == "value" && definition["kind"] == "primitive-type";
        if own_value || element["max"] == "0" {
            continue;
        }
        types
            .entry(parent)
            .or_insert_with(|| Type {
                kind: "Backbone".into(),
                elements: Vec::new(),
            })
            .elements
            .push(element);
    }
    Ok(())
}

/// The distinct lists of types, each of which becomes one static.
struct Uses<'n> {
    numbers: &'n HashMap<&'n str, usize>,
    known: BTreeMap<String, usize>,
}

impl Uses<'_> {
    fn of_element(&mut self, element: &Value) -> Result<String, Failure> {
        let path = text(element, "path")?;
        let mut uses = Vec::new();
        if let Some(reference) = element["contentReference"].as_str() {
            uses.push(self.code(reference.trim_start_matches('#'), "&[]")?);
        }
        for one in items(&element["type"]) {
            let name = match text(one, "code")? {
                "BackboneElement" | "Element" if self.numbers.contains_key(path) => path,
                name if name.starts_with("http://hl7.org/fhirpath/") => system_type(path, one)?,
                name => name,
            };
            let targets = items(&one["targetProfile"])
                .filter_map(Value::as_str)
                .map(|url| url.strip_prefix(DEFINITION).unwrap_or(url));
            let targets: Vec<_> = targets.collect();
            let any = targets.contains(&"Resource")
                || targets.iter().any(|t| ResourceType::from_name(t).is_none());
            let targets = if any {
                "&[]".into()
            } else {
                resource_types(targets.into_iter())?
            };
            uses.push(self.code(name, &targets)?);
        }
        if uses.is_empty() {
            return Err(format!("{path} has no type").into());
        }
        let next = self.known.len();
        let number = *self
            .known
            .entry(format!("&[{}]", uses.join(",")))
            .or_insert(next);
        Ok(format!("U{number}"))
    }

    fn code(&self, name: &str, targets: &str) -> Result<String, Failure> {
        let number = self
            .numbers
            .get(name)
            .ok_or(format!("there is no type {name}"))?;
        Ok(format!("u({name:?}, {number}, {targets})"))
    }
}

/// The FHIR type of an element whose type is given as one of FHIRPath's.
fn system_type<'v>(path: &str, one: &'v Value) -> Result<&'v str, Failure> {
    if path.ends_with(".id") && ResourceType::from_name(path.trim_end_matches(".id")).is_some()
        || matches!(path, "Resource.id" | "DomainResource.id")
    {
        return Ok("id");
    }
    match items(&one["extension"]).find(|extension| extension["url"] == FHIR_TYPE) {
        Some(extension) => text(extension, "valueUrl"),
        None => Ok("string"),
    }
}

fn element_code(
    element: &Value,
    uses: &mut Uses,
    bindings: &mut Bindings,
) -> Result<String, Failure> {
    let path = text(element, "path")?;
    let name = path.rsplit('.').next().unwrap_or(path);
    let (name, choice) = match name.strip_suffix("[x]") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let max = match text(element, "max")? {
        "*" => "u16::MAX",
        max => max,
    };
    let flag = |name: &str| element[name].as_bool().unwrap_or(false);
    Ok(format!(
        "Element {{ name: {name:?}, choice: {choice}, min: {}, max: {max}, summary: {}, modifier: {}, types: {}, binding: {} }}",
        element["min"],
        flag("isSummary"),
        flag("isModifier"),
        uses.of_element(element)?,
        bindings.of_element(element),
    ))
}

fn upper_camel(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
