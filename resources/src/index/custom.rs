//! Parameters that users post.

use super::{Component, Kind, Param, ParamId};
use crate::{Doc, Value, model::ResourceType, outcome::Issue};

/// What a SearchParameter resource says.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its canonical URL.
    pub url: String,
    /// Its name in a search.
    pub code: String,
    /// What its values are.
    pub kind: Kind,
    /// The types whose resources it finds; `Resource` and `DomainResource` are spelled out.
    pub bases: Vec<ResourceType>,
    /// FHIRPath of the values.
    pub expression: String,
    /// The types that a reference may point to; empty if any.
    pub targets: Vec<ResourceType>,
    /// Canonical URLs and expressions of the parts of a composite.
    pub components: Vec<(String, String)>,
}

/// A posted parameter for one of its types.
#[derive(Debug, Clone)]
pub struct Custom {
    /// Its number, from [`ParamId::FIRST_CUSTOM`] on; one for each type.
    pub id: ParamId,
    /// The type whose resources it finds.
    pub base: ResourceType,
    /// What the SearchParameter says.
    pub definition: Definition,
}

impl Definition {
    /// Reads a SearchParameter resource.
    ///
    /// # Errors
    /// What it lacks to be used for indexing.
    pub fn parse(doc: &Doc) -> Result<Self, Issue> {
        let root = doc.root();
        let kind = text(root, "type")?;
        let kind = Kind::from_code(&kind)
            .filter(|kind| *kind != Kind::Special)
            .ok_or_else(|| {
                let reason = format!("search parameters of type '{kind}' are not supported");
                Issue::error("not-supported", reason).at("SearchParameter.type")
            })?;
        let code = text(root, "code")?;
        let readable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if code.is_empty() || code.starts_with('_') || !code.chars().all(readable) {
            let reason =
                "a code must be made of letters, digits, '-' and '_', and not begin with '_'";
            return Err(Issue::error("value", reason).at("SearchParameter.code"));
        }
        let components = root.get("component");
        Ok(Self {
            url: text(root, "url")?,
            code,
            kind,
            bases: bases(root)?,
            expression: text(root, "expression")?,
            targets: types(root, "target"),
            components: components
                .iter()
                .flat_map(Value::each)
                .map(|part| Ok((text(part, "definition")?, text(part, "expression")?)))
                .collect::<Result<_, Issue>>()?,
        })
    }
}

impl Custom {
    /// The parameter, its components found among `known` ones of the same type.
    pub(super) fn param(&self, known: &[Param]) -> Result<Param, Issue> {
        let definition = &self.definition;
        let component = |(url, expression): &(String, String)| {
            let bare = super::key::split_canonical(url).0;
            match known.iter().find(|param| param.url == bare) {
                Some(param) if param.kind != Kind::Composite => Ok(Component {
                    code: param.code.clone(),
                    url: param.url.clone(),
                    kind: param.kind,
                    expression: expression.clone(),
                    targets: param.targets.clone(),
                }),
                _ => {
                    let base = self.base.name();
                    let reason = format!("'{url}' is not a search parameter of {base}");
                    Err(Issue::error("not-found", reason).at("SearchParameter.component"))
                }
            }
        };
        Ok(Param {
            id: self.id,
            base: self.base,
            code: definition.code.clone(),
            url: definition.url.clone(),
            kind: definition.kind,
            expression: definition.expression.clone(),
            targets: definition.targets.clone(),
            components: definition
                .components
                .iter()
                .map(component)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn text(value: Value<'_>, name: &str) -> Result<String, Issue> {
    match value.get(name).and_then(|text| text.as_str()) {
        Some(text) => Ok(text.into_owned()),
        None => {
            let reason = format!("a search parameter needs '{name}' to be used for indexing");
            Err(Issue::error("required", reason).at("SearchParameter"))
        }
    }
}

fn names(root: Value<'_>, name: &str) -> Vec<String> {
    let list = root.get(name);
    list.iter()
        .flat_map(Value::each)
        .filter_map(|item| item.as_str())
        .map(Into::into)
        .collect()
}

fn types(root: Value<'_>, name: &str) -> Vec<ResourceType> {
    let names = names(root, name);
    names
        .iter()
        .filter_map(|name| ResourceType::from_name(name))
        .collect()
}

fn bases(root: Value<'_>) -> Result<Vec<ResourceType>, Issue> {
    let mut bases = Vec::new();
    for name in names(root, "base") {
        match name.as_str() {
            "Resource" => bases.extend(ResourceType::all()),
            "DomainResource" => bases.extend(
                ResourceType::all()
                    .filter(|kind| !matches!(kind.name(), "Bundle" | "Binary" | "Parameters")),
            ),
            _ => match ResourceType::from_name(&name) {
                Some(kind) => bases.push(kind),
                None => {
                    let reason = format!("'{name}' is not a resource type");
                    return Err(Issue::error("value", reason).at("SearchParameter.base"));
                }
            },
        }
    }
    bases.sort_unstable();
    bases.dedup();
    if bases.is_empty() {
        let reason = "a search parameter needs a base to be used for indexing";
        return Err(Issue::error("required", reason).at("SearchParameter.base"));
    }
    Ok(bases)
}
