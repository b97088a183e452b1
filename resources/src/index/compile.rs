//! From a parameter's expressions to what indexing does with them.

use super::{Kind, Param, Traits, convert::Converter};
use crate::{
    fhirpath::{Expr, Path, Refused, Step, parse, paths},
    model::{self, ResourceType, TypeDef},
};

/// What indexing does for one parameter.
#[derive(Debug)]
pub(super) enum Program {
    /// Nothing: the store answers it from other tables.
    Nothing,
    /// Converts the values at the ends of paths.
    Paths(Vec<(Path, Converter)>),
    /// At the ends of the paths, combines the parts.
    Composite(Vec<(Path, Vec<Part>)>),
    /// Evaluates the expression.
    Computed(Expr),
}

impl Program {
    /// What is to be known of the keys to search for them.
    pub(super) fn traits(&self, kind: Kind) -> Traits {
        let of = |part: &Part| {
            let each = part.iter().map(|(_, converter)| converter.traits());
            each.fold(Traits::default(), Traits::and)
        };
        match self {
            Self::Nothing => Traits::default(),
            Self::Paths(part) => of(part),
            Self::Composite(paths) => paths
                .iter()
                .flat_map(|(_, parts)| parts.iter().map(of))
                .fold(Traits::default(), Traits::and),
            // What comes out of an expression is known only when it does.
            Self::Computed(_) => Traits {
                ranges: matches!(kind, Kind::Number | Kind::Quantity),
                urls: kind == Kind::Reference,
                ..Traits::default()
            },
        }
    }
}

/// The values of one component of a composite.
pub(super) type Part = Vec<(Path, Converter)>;

/// Parameters that have columns or tables of their own.
const NOT_INDEXED: [&str; 2] = ["_id", "_lastUpdated"];

/// What to do for a parameter.
///
/// # Errors
/// Why its expression cannot be used.
pub(super) fn compile(param: &Param) -> Result<Program, Refused> {
    if param.expression.is_empty() || NOT_INDEXED.contains(&param.code.as_str()) {
        return Ok(Program::Nothing);
    }
    let resource = model::resource(param.base);
    let expr = parse(&param.expression)?;
    let Some(found) = paths(&expr, resource, resource)? else {
        if param.kind == Kind::Composite {
            let reason = "the expression of a composite must be a plain path";
            return Err(Refused(reason.into()));
        }
        return Ok(Program::Computed(expr));
    };
    if found.is_empty() {
        let base = param.base.name();
        let reason = format!("the expression never has a value for {base}");
        return Err(Refused(reason));
    }
    if param.kind != Kind::Composite {
        return converted(found, param.kind, &param.targets).map(Program::Paths);
    }
    let composite = |path: Path| {
        let parts = parts(param, path.typed.def, resource)?;
        Ok((path, parts))
    };
    let all: Result<_, Refused> = found.into_iter().map(composite).collect();
    all.map(Program::Composite)
}

fn parts(
    param: &Param,
    focus: &'static TypeDef,
    resource: &'static TypeDef,
) -> Result<Vec<Part>, Refused> {
    if param.components.len() < 2 {
        return Err(Refused("a composite needs two components".into()));
    }
    let many = param.components.len() > 2;
    let part = |component: &super::Component| {
        let expr = parse(&component.expression)?;
        match paths(&expr, focus, resource)? {
            Some(found) => {
                let part = converted(found, component.kind, &component.targets)?;
                let bare = |(path, converter): (Path, Converter)| {
                    let converter = converter.bare();
                    (path, if many { converter.fixed() } else { converter })
                };
                Ok(part.into_iter().map(bare).collect())
            }
            None => Err(Refused(format!(
                "the component '{}' must be a plain path",
                component.expression
            ))),
        }
    };
    param.components.iter().map(part).collect()
}

fn converted(found: Vec<Path>, kind: Kind, targets: &[ResourceType]) -> Result<Part, Refused> {
    let types: Vec<_> = found.iter().map(|path| path.typed.def.name).collect();
    let usable: Part = found
        .into_iter()
        .filter_map(|path| {
            let converter = Converter::new(kind, &path.typed, targets)?;
            Some(narrowed(path, converter))
        })
        .collect();
    if usable.is_empty() {
        let types = types.join(", ");
        let kind = kind.code();
        return Err(Refused(format!(
            "values of type {types} cannot be searched by a {kind} parameter"
        )));
    }
    // A search cannot tell by its value what it is compared with, so all or none have a case.
    if usable.iter().all(|(_, converter)| converter.is_contact()) {
        let folded = |(path, converter): (Path, Converter)| (path, converter.folded());
        return Ok(usable.into_iter().map(folded).collect());
    }
    Ok(usable)
}

/// Turns `where(resolve() is Patient)` at the end of a path into the converter's target.
fn narrowed(mut path: Path, converter: Converter) -> (Path, Converter) {
    if converter.is_reference()
        && let Some(Step::Guard(Expr::Is(input, name), _)) = path.steps.last()
        && **input == Expr::Resolve(Expr::Focus.into())
        && let Some(target) = ResourceType::from_name(name.name())
    {
        path.steps.pop();
        return (path, converter.only(target));
    }
    (path, converter)
}
