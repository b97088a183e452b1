//! A clause as it stands for resources of one type.

use resources::{index::ParamId, model::ResourceType};

use crate::search::plan::Clause;

/// What is true for all.
fn everything() -> Clause {
    Clause::All(Vec::new())
}

/// What is true for none.
fn nothing() -> Clause {
    Clause::Any(Vec::new())
}

pub(super) fn is_nothing(clause: &Clause) -> bool {
    matches!(clause, Clause::Any(parts) if parts.is_empty())
}

fn is_everything(clause: &Clause) -> bool {
    matches!(clause, Clause::All(parts) if parts.is_empty())
}

/// The clause without what the type already decides, with nested lists made one.
pub(super) fn fold(clause: &Clause, kind: ResourceType) -> Clause {
    match clause {
        Clause::All(parts) => all(parts.iter().map(|part| fold(part, kind))),
        Clause::Any(parts) => any(parts.iter().map(|part| fold(part, kind))),
        Clause::Not(part) => match fold(part, kind) {
            part if is_nothing(&part) => everything(),
            part if is_everything(&part) => nothing(),
            part => Clause::Not(Box::new(part)),
        },
        Clause::Decided(part) => match fold(part, kind) {
            part if is_nothing(&part) || is_everything(&part) => part,
            part => Clause::Decided(Box::new(part)),
        },
        Clause::Type(wanted) if *wanted == kind => everything(),
        Clause::Type(_) => nothing(),
        Clause::Keys { param, ranges } if ranges.is_empty() || is_of_other(*param, kind) => {
            nothing()
        }
        Clause::Refers { param, .. } | Clause::HasParam(param) if is_of_other(*param, kind) => {
            nothing()
        }
        Clause::Ids(ids) if ids.is_empty() => nothing(),
        Clause::Refers {
            param,
            target,
            canonical,
            inner,
        } => Clause::Refers {
            param: *param,
            target: *target,
            canonical: *canonical,
            inner: Box::new(fold(inner, *target)),
        },
        Clause::ReferredBy { source, param, .. } if is_of_other(*param, *source) => nothing(),
        Clause::ReferredBy {
            source,
            param,
            canonical,
            inner,
        } => Clause::ReferredBy {
            source: *source,
            param: *param,
            canonical: *canonical,
            inner: Box::new(fold(inner, *source)),
        },
        other => other.clone(),
    }
}

/// True if the parameter is known to be another type's.
pub(super) fn is_of_other(param: ParamId, kind: ResourceType) -> bool {
    param.0 < 1 << 20 && i64::from(param.0 >> 8) != kind.number()
}

fn all(parts: impl Iterator<Item = Clause>) -> Clause {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Clause::All(inner) => kept.extend(inner),
            part if is_nothing(&part) => return nothing(),
            part => kept.push(part),
        }
    }
    one_or(kept, Clause::All)
}

fn any(parts: impl Iterator<Item = Clause>) -> Clause {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Clause::Any(inner) => kept.extend(inner),
            part if is_everything(&part) => return everything(),
            part => kept.push(part),
        }
    }
    one_or(kept, Clause::Any)
}

fn one_or(mut parts: Vec<Clause>, many: fn(Vec<Clause>) -> Clause) -> Clause {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

/// True if whatever satisfies `given` satisfies `clause`, as far as their forms show.
pub(super) fn follows(clause: &Clause, given: &Clause) -> bool {
    match (clause, given) {
        _ if clause == given => true,
        (_, Clause::Any(given)) => given.iter().all(|given| follows(clause, given)),
        (Clause::Any(parts), _) => parts.contains(given),
        _ => false,
    }
}

/// The parts of a conjunction.
pub(super) fn parts(clause: Clause) -> Vec<Clause> {
    match clause {
        Clause::All(parts) => parts,
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_something_shows_in_its_form() {
        let is = |id: &str| Clause::Ids(vec![id.to_owned()]);
        let any = |ids: &[&str]| Clause::Any(ids.iter().map(|id| is(id)).collect());
        for (clause, given, expected) in [
            (is("a"), is("a"), true),
            (is("a"), is("b"), false),
            (any(&["a", "b"]), is("b"), true),
            (any(&["a", "b"]), any(&["b", "a"]), true),
            (any(&["a", "b"]), any(&["b", "c"]), false),
            (is("a"), any(&["a", "b"]), false),
            (any(&["a", "b"]), Clause::All(vec![]), false),
        ] {
            assert_eq!(follows(&clause, &given), expected, "{clause:?} {given:?}");
        }
    }

    #[test]
    fn what_the_type_decides_disappears() {
        let patient = ResourceType::PATIENT;
        let of_slot = ParamId((ResourceType::SLOT.number() as u32) << 8 | 1);
        let has = Clause::HasParam(of_slot);
        let cases = [
            (Clause::Type(patient), everything()),
            (Clause::Type(ResourceType::SLOT), nothing()),
            (has.clone(), nothing()),
            (Clause::Not(Box::new(has.clone())), everything()),
            (
                Clause::Any(vec![has.clone(), Clause::Type(patient)]),
                everything(),
            ),
            (
                Clause::All(vec![Clause::All(vec![Clause::Ids(vec!["a".to_owned()])])]),
                Clause::Ids(vec!["a".to_owned()]),
            ),
            (
                Clause::Keys {
                    param: ParamId(1 << 20),
                    ranges: vec![],
                },
                nothing(),
            ),
        ];
        for (clause, folded) in cases {
            assert_eq!(fold(&clause, patient), folded, "{clause:?}");
        }
    }
}
