//! Which parameters have at most one value per resource.

use resources::{
    index::Param,
    model::{self, Primitive, ResourceType, TypeKind},
};

/// True if a resource can have at most one value of the date parameter: its path has no element
/// that repeats, and leads to types that are one range of time.
pub(super) fn is_single(param: &Param) -> bool {
    path_is_single(param.base, &param.expression)
}

fn path_is_single(base: ResourceType, expression: &str) -> bool {
    let Some(path) = expression
        .strip_prefix(base.name())
        .and_then(|rest| rest.strip_prefix('.'))
    else {
        return false;
    };
    let mut ty = model::resource(base);
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let Some(element) = ty.elements.iter().find(|element| element.name == name) else {
            return false;
        };
        if element.max != 1 {
            return false;
        }
        if names.peek().is_none() {
            return element.types.iter().all(|ty| is_period(ty.def()));
        }
        match element.types {
            [only] => ty = only.def(),
            _ => return false,
        }
    }
    false
}

fn is_period(ty: &model::TypeDef) -> bool {
    match ty.kind {
        TypeKind::Primitive(primitive) => matches!(
            primitive,
            Primitive::Date | Primitive::DateTime | Primitive::Instant
        ),
        _ => matches!(ty.name, "Period" | "Timing"),
    }
}

#[cfg(test)]
mod tests {
    use resources::index::Registry;

    use super::*;

    #[test]
    fn only_paths_without_repetition_are_single() {
        let registry = Registry::builtin();
        for (kind, code, expected) in [
            ("Slot", "start", true),
            ("Observation", "date", true),
            ("Encounter", "date", true),
            ("Patient", "birthdate", true),
            ("Appointment", "date", true),
            ("Encounter", "location-period", false),
            ("Practitioner", "birthdate", false),
        ] {
            let kind = ResourceType::from_name(kind).unwrap();
            let single = registry.param(kind, code).map(is_single);
            assert_eq!(single.unwrap_or(false), expected, "{kind} {code}");
        }
    }
}
