//! The parameters that say what to return of the matches, and in which order.

use resources::{
    index::{Kind, Param, Registry, key::space},
    model::{self, ResourceType},
    outcome::Issue,
};

use super::{
    compile::{Compiler, boolean, type_named},
    fault::Fault,
    plan::{Sort, SortKey, TotalMode},
    query::{Include, Summary},
    text::{closest, split},
};

/// What the result parameters of one request ask for.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub includes: Vec<Include>,
    pub summary: Summary,
    pub elements: Vec<String>,
    pub total: TotalMode,
    pub count: Option<usize>,
    pub sort: Vec<Sort>,
    pub explain: bool,
    pub page: Option<String>,
    pub warnings: Vec<Issue>,
    /// Parameters that may be given once and were.
    seen: Vec<&'static str>,
}

/// Parameters that may be given once.
const ONCE: [&str; 10] = [
    "_sort",
    "_count",
    "_total",
    "_summary",
    "_elements",
    "_contained",
    "_containedType",
    "_explain",
    "_page",
    "_type",
];

impl Results {
    /// Takes the parameter if it is one of results; `None` if it is not.
    pub fn take(
        &mut self,
        compiler: &Compiler<'_>,
        types: &[ResourceType],
        name: &str,
        value: &str,
    ) -> Option<Result<(), Fault>> {
        if !name.starts_with('_') {
            return None;
        }
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (name, None),
        };
        if let "_include" | "_revinclude" = code {
            return Some(self.include(compiler, types, name, value));
        }
        if let "_format" | "_pretty" = name {
            return Some(Ok(()));
        }
        let once = ONCE.into_iter().find(|known| *known == code)?;
        if let Some(modifier) = modifier {
            return Some(Err(Fault::unknown(format!(
                "{code} has no modifier ':{modifier}'"
            ))));
        }
        if self.seen.contains(&once) {
            return Some(Err(Fault::invalid("it may be given once")));
        }
        self.seen.push(once);
        Some(self.set(compiler, types, once, value))
    }

    fn set(
        &mut self,
        compiler: &Compiler<'_>,
        types: &[ResourceType],
        name: &str,
        value: &str,
    ) -> Result<(), Fault> {
        match name {
            "_sort" => self.sort = sort(compiler, types, value)?,
            "_count" => self.count = Some(count(value)?),
            "_total" => self.total = total(value)?,
            "_summary" => self.summary = summary(value)?,
            "_elements" => self.elements = elements(types, value)?,
            "_contained" if value != "false" => {
                return Err(Fault::unknown(format!(
                    "'{value}' is not supported: contained resources are not searched; \
                     leave it out or write false"
                )));
            }
            "_containedType" => {
                return Err(Fault::unknown("contained resources are not searched"));
            }
            "_explain" => self.explain = boolean(value)?,
            "_page" => self.page = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn include(
        &mut self,
        compiler: &Compiler<'_>,
        types: &[ResourceType],
        name: &str,
        value: &str,
    ) -> Result<(), Fault> {
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, modifier),
            None => (name, ""),
        };
        let iterate = match modifier {
            "" => false,
            "iterate" | "recurse" => true,
            other => {
                return Err(Fault::unknown(format!(
                    "{code} has no modifier ':{other}'; it has iterate"
                )));
            }
        };
        let reverse = code == "_revinclude";
        for value in split(value, b',') {
            let includes = includes(compiler, types, value, iterate, reverse)?;
            if !iterate && let Some(include) = includes.first() {
                self.check_use(compiler, types, include, name, value);
            }
            self.includes.extend(includes);
        }
        let wildcards = types.len().max(ResourceType::all().len());
        if self
            .includes
            .iter()
            .filter(|include| include.param.is_some())
            .count()
            > compiler.limits.includes
            || self.includes.len() > compiler.limits.includes + wildcards
        {
            return Err(Fault::too_costly(format!(
                "there are more than {} includes",
                compiler.limits.includes
            )));
        }
        Ok(())
    }

    /// Warns of an include that can never find anything.
    fn check_use(
        &mut self,
        compiler: &Compiler<'_>,
        types: &[ResourceType],
        include: &Include,
        name: &str,
        value: &str,
    ) {
        let useful = if include.reverse {
            let param = include.param.and_then(|id| compiler.registry.by_id(id));
            param.is_none_or(|param| {
                param.targets.is_empty() || param.targets.iter().any(|kind| types.contains(kind))
            })
        } else {
            types.contains(&include.source)
        };
        if !useful {
            let text = format!(
                "search parameter '{name}': '{value}' cannot add anything to the matches; \
                 use {name}:iterate if it shall follow another include"
            );
            self.warnings.push(Issue::warning("informational", text));
        }
    }
}

/// `*`, `Type:*`, `Type:param` or `Type:param:Target`.
fn includes(
    compiler: &Compiler<'_>,
    types: &[ResourceType],
    value: &str,
    iterate: bool,
    reverse: bool,
) -> Result<Vec<Include>, Fault> {
    let include = |source, param, target| Include {
        source,
        param,
        target,
        iterate,
        reverse,
    };
    if value == "*" {
        let sources: Vec<ResourceType> = if reverse {
            let refers = |param: &Param| {
                param.kind == Kind::Reference
                    && (param.targets.is_empty()
                        || param.targets.iter().any(|kind| types.contains(kind)))
            };
            ResourceType::all()
                .filter(|kind| compiler.registry.of(*kind).any(refers))
                .collect()
        } else {
            types.to_vec()
        };
        return Ok(sources
            .into_iter()
            .map(|kind| include(kind, None, None))
            .collect());
    }
    let mut parts = value.split(':');
    let (Some(source), Some(code)) = (parts.next(), parts.next()) else {
        return Err(Fault::invalid(format!(
            "'{value}' is not of the form Type:parameter, Type:parameter:Target, Type:* or *"
        )));
    };
    let source = type_named(source)?;
    let target = parts.next().map(type_named).transpose()?;
    if parts.next().is_some() {
        return Err(Fault::invalid(format!("'{value}' has too many ':'")));
    }
    if code == "*" {
        return Ok(vec![include(source, None, target)]);
    }
    let param = compiler.param(source, code)?;
    if param.kind != Kind::Reference {
        return Err(Fault::invalid(format!("{source}.{code} is no reference")));
    }
    compiler.check_outside(param)?;
    if let Some(target) = target
        && !param.targets.is_empty()
        && !param.targets.contains(&target)
    {
        return Err(Fault::invalid(format!(
            "{source}.{code} does not refer to {target}"
        )));
    }
    Ok(vec![include(source, Some(param.id), target)])
}

fn sort(compiler: &Compiler<'_>, types: &[ResourceType], value: &str) -> Result<Vec<Sort>, Fault> {
    let mut out: Vec<Sort> = Vec::new();
    for piece in split(value, b',') {
        let (code, descending) = match piece.strip_prefix('-') {
            Some(code) => (code, true),
            None => (piece, false),
        };
        let by = match code {
            "_id" => SortKey::Id,
            "_lastUpdated" => SortKey::Updated,
            _ => sort_keys(compiler, types, code)?,
        };
        if out.iter().any(|sort| sort.by == by) {
            return Err(Fault::invalid(format!("'{code}' is there twice")));
        }
        out.push(Sort { by, descending });
    }
    if out.len() > compiler.limits.sorts {
        return Err(Fault::too_costly(format!(
            "there are more than {} criteria",
            compiler.limits.sorts
        )));
    }
    Ok(out)
}

fn sort_keys(
    compiler: &Compiler<'_>,
    types: &[ResourceType],
    code: &str,
) -> Result<SortKey, Fault> {
    let mut params = Vec::with_capacity(types.len());
    let mut order = None;
    let mut missing = None;
    for kind in types {
        let param = match compiler.param(*kind, code) {
            Ok(param) => param,
            Err(fault) => {
                missing = missing.or(Some(fault));
                continue;
            }
        };
        let Some(space) = order_of(param, compiler.registry) else {
            return Err(Fault::unknown(format!(
                "{kind}.{code} has no order; sort by a date, string, token, number, quantity, \
                 uri or reference parameter"
            )));
        };
        if order.is_some_and(|order| order != space) {
            return Err(Fault::unknown(format!(
                "'{code}' is of different types for the resources searched"
            )));
        }
        order = Some(space);
        params.push(param.id);
    }
    match (order, missing) {
        (Some(space), _) => Ok(SortKey::Keys { params, space }),
        (None, Some(fault)) => Err(fault),
        (None, None) => Err(Fault::unknown(format!("nothing can be sorted by '{code}'"))),
    }
}

/// The space of keys that carries the order of a parameter.
fn order_of(param: &Param, registry: &Registry) -> Option<u8> {
    match param.kind {
        Kind::Date => Some(space::DATE),
        Kind::String if matches!(param.code.as_str(), "_text" | "_content") => None,
        Kind::String => Some(space::STRING),
        Kind::Token if param.code == "_query" => None,
        Kind::Token => Some(space::TOKEN),
        Kind::Number => Some(space::NUMBER),
        Kind::Quantity => Some(space::QUANTITY),
        Kind::Uri => Some(space::URI),
        Kind::Reference if registry.traits(param).urls => Some(space::REFERENCE_URL),
        Kind::Reference => Some(space::REFERENCE),
        Kind::Composite | Kind::Special => None,
    }
}

fn count(value: &str) -> Result<usize, Fault> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::invalid(format!(
            "'{value}' is not a whole number from 0"
        )));
    }
    Ok(value.parse().unwrap_or(usize::MAX))
}

fn total(value: &str) -> Result<TotalMode, Fault> {
    match value {
        "none" => Ok(TotalMode::None),
        "estimate" => Ok(TotalMode::Estimate),
        "accurate" => Ok(TotalMode::Accurate),
        _ => Err(Fault::invalid(format!(
            "'{value}' is none of none, estimate, accurate"
        ))),
    }
}

fn summary(value: &str) -> Result<Summary, Fault> {
    match value {
        "false" => Ok(Summary::False),
        "true" => Ok(Summary::True),
        "text" => Ok(Summary::Text),
        "data" => Ok(Summary::Data),
        "count" => Ok(Summary::Count),
        _ => Err(Fault::invalid(format!(
            "'{value}' is none of true, text, data, count, false"
        ))),
    }
}

/// `name` or `Type.name`, separated by commas.
fn elements(types: &[ResourceType], value: &str) -> Result<Vec<String>, Fault> {
    let mut out = Vec::new();
    for piece in split(value, b',') {
        let (kinds, name) = match piece.split_once('.') {
            Some((kind, name)) => (vec![type_named(kind)?], name),
            None => (types.to_vec(), piece),
        };
        let has = |kind: &ResourceType| {
            let elements = model::resource(*kind).elements;
            name == "resourceType" || elements.iter().any(|element| element.name == name)
        };
        if !kinds.iter().any(has) {
            let known = kinds
                .iter()
                .take(1)
                .flat_map(|kind| model::resource(*kind).elements);
            let hint = closest(name, known.map(|element| element.name))
                .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
            return Err(Fault::unknown(format!(
                "there is no element '{name}'{hint}"
            )));
        }
        out.push(piece.to_owned());
    }
    Ok(out)
}
