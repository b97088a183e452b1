//! What a condition says before all is known of a resource: which of its parts are settled, and
//! which values the others leave possible.

use std::collections::BTreeSet;

use resources::{
    index::{
        ParamId,
        key::{self, space},
    },
    model::ResourceType,
};

use super::{
    matches::{Facts, Others, matches},
    plan::{Canonical, Clause, KeyRange, KeyTest},
};

/// Bytes of a date's key up to behind its first number.
const FIRST: usize = 9;
/// The instants of a date that is known to the second.
const SECOND: i64 = 999;

/// What is left of a condition without chains when all of a resource is known but its id and what
/// the parameters that are `open` find.
pub fn given(clause: &Clause, facts: &Facts<'_>, open: &[ParamId]) -> Clause {
    let never = || Clause::Any(Vec::new());
    let always = || Clause::All(Vec::new());
    match clause {
        Clause::All(parts) => {
            let mut left = Vec::new();
            for part in parts {
                let part = given(part, facts, open);
                if part.is_never() {
                    return never();
                }
                if !part.is_always() {
                    left.push(part);
                }
            }
            Clause::All(left)
        }
        Clause::Any(parts) => {
            let mut left = Vec::new();
            for part in parts {
                let part = given(part, facts, open);
                if part.is_always() {
                    return always();
                }
                if !part.is_never() {
                    left.push(part);
                }
            }
            Clause::Any(left)
        }
        Clause::Not(part) => {
            let part = given(part, facts, open);
            match (part.is_always(), part.is_never()) {
                (true, _) => never(),
                (_, true) => always(),
                _ => Clause::Not(Box::new(part)),
            }
        }
        Clause::Decided(part) => given(part, facts, open),
        Clause::Keys { param, .. } | Clause::HasParam(param) if open.contains(param) => {
            clause.clone()
        }
        Clause::Ids(_) => clause.clone(),
        _ if matches(clause, facts, &Nobody) => always(),
        _ => never(),
    }
}

/// True if the logical id matters.
pub fn asks_for_ids(clause: &Clause) -> bool {
    match clause {
        Clause::All(parts) | Clause::Any(parts) => parts.iter().any(asks_for_ids),
        Clause::Not(part) | Clause::Decided(part) => asks_for_ids(part),
        Clause::Ids(_) => true,
        _ => false,
    }
}

/// Chains that lead nowhere.
pub struct Nobody;

impl Others for Nobody {
    fn target(&self, _: ResourceType, _: &[&str], _: &Clause) -> bool {
        false
    }

    fn named(&self, _: ResourceType, _: Canonical, _: &[&[u8]], _: &Clause) -> bool {
        false
    }

    fn source(&self, _: ResourceType, _: ParamId, _: &[Vec<u8>], _: &Clause) -> bool {
        false
    }
}

/// The only ids of `kind` that a reference `param` may have; `None` if that cannot be told.
pub fn referred(clause: &Clause, param: ParamId, kind: ResourceType) -> Option<BTreeSet<String>> {
    only(clause, &|part| match part {
        Clause::Keys {
            param: other,
            ranges,
        } if *other == param => {
            let mut ids = BTreeSet::new();
            for range in ranges {
                match key::read_reference(&range.low).filter(|_| range.is_exact()) {
                    Some((target, id)) if target == kind => {
                        ids.insert(id.to_owned());
                    }
                    Some(_) => {}
                    None if range.low.first() == Some(&space::REFERENCE_URL) => {}
                    None if range.low.first() == Some(&space::REFERENCE_IDENTIFIER) => {}
                    None => return None,
                }
            }
            Some(ids)
        }
        _ => None,
    })
}

/// The only logical ids that a resource may have; `None` if that cannot be told.
pub fn ids(clause: &Clause) -> Option<BTreeSet<String>> {
    only(clause, &|part| match part {
        Clause::Ids(ids) => Some(ids.iter().cloned().collect()),
        _ => None,
    })
}

fn only(
    clause: &Clause,
    of: &dyn Fn(&Clause) -> Option<BTreeSet<String>>,
) -> Option<BTreeSet<String>> {
    match clause {
        Clause::All(parts) => {
            let mut all: Option<BTreeSet<String>> = None;
            for found in parts.iter().filter_map(|part| only(part, of)) {
                all = Some(match all {
                    Some(all) => &all & &found,
                    None => found,
                });
            }
            all
        }
        Clause::Any(parts) => {
            let mut all = BTreeSet::new();
            for part in parts {
                all.extend(only(part, of)?);
            }
            Some(all)
        }
        Clause::Decided(part) => only(part, of),
        other => of(other),
    }
}

/// From when to before when, in milliseconds, an instant may be that `param` finds, known to the
/// second at least.
pub fn instants(clause: &Clause, param: ParamId) -> (i64, i64) {
    const ANY: (i64, i64) = (i64::MIN, i64::MAX);
    let join = |a: (i64, i64), b: (i64, i64)| match (a.0 < a.1, b.0 < b.1) {
        (true, true) => (a.0.min(b.0), a.1.max(b.1)),
        (true, false) => a,
        _ => b,
    };
    match clause {
        Clause::All(parts) => parts.iter().fold(ANY, |all, part| {
            let one = instants(part, param);
            (all.0.max(one.0), all.1.min(one.1))
        }),
        Clause::Any(parts) => parts
            .iter()
            .map(|part| instants(part, param))
            .fold((0, 0), join),
        Clause::Decided(part) => instants(part, param),
        Clause::Keys {
            param: other,
            ranges,
        } if *other == param => ranges.iter().filter_map(instants_of).fold((0, 0), join),
        _ => ANY,
    }
}

fn instants_of(range: &KeyRange) -> Option<(i64, i64)> {
    let number = |key: &[u8]| key::read_i64(key.get(1..)?);
    if range.low.first() != Some(&space::DATE) {
        return None;
    }
    let mut from = number(&range.low).unwrap_or(i64::MIN);
    let high = range.high.as_deref();
    let mut to = match high.filter(|high| high.first() == Some(&space::DATE)) {
        // What is longer has keys with its first number below it.
        Some(high) => {
            let more = i64::from(high.len() > FIRST);
            number(high).map_or(i64::MAX, |to| to.saturating_add(more))
        }
        None => i64::MAX,
    };
    for test in &range.test {
        match test {
            KeyTest::AtLeast(9, end) => {
                let end = key::read_i64(end).unwrap_or(i64::MIN);
                from = from.max(end.saturating_sub(SECOND));
            }
            KeyTest::Below(9, end) => to = to.min(key::read_i64(end).unwrap_or(i64::MAX)),
            _ => {}
        }
    }
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use resources::{index::Registry, primitive::DateRange};

    use super::*;
    use crate::search::{Request, Resolved, Scope, SearchLimits, parse};

    fn clause(query: &[(&str, &str)]) -> (Clause, Registry) {
        let registry = Registry::builtin();
        let params: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let request = Request {
            scope: Scope::Type(ResourceType::SLOT),
            params: &params,
            strict: true,
            base_url: "http://h/fhir",
            now: 0,
        };
        let query = parse(&request, &registry, &SearchLimits::default()).unwrap();
        (query.plan(&Resolved::none()).unwrap().filter, registry)
    }

    #[test]
    fn the_times_that_a_condition_on_start_leaves() {
        let ms = |text: &str| DateRange::parse(text).unwrap().lo;
        let at = ms("2026-12-01T10:00:00Z");
        let day = ms("2026-12-01T00:00:00Z");
        let next = ms("2026-12-02T00:00:00Z");
        let any = (i64::MIN, i64::MAX);
        for (query, from, to) in [
            (&[("start", "ge2026-12-01T10:00:00Z")][..], at, i64::MAX),
            (&[("start", "gt2026-12-01T10:00:00Z")], at + 1, i64::MAX),
            (&[("start", "lt2026-12-01T10:00:00Z")], i64::MIN, at),
            (&[("start", "lt2026-12-01")], i64::MIN, day),
            (&[("start", "2026-12-01")], day, next),
            (
                &[
                    ("start", "ge2026-12-01"),
                    ("start", "lt2026-12-01T10:00:00Z"),
                ],
                day,
                at,
            ),
            (&[("start:missing", "false")], any.0, any.1),
            (&[("status", "free")], any.0, any.1),
            (&[("start", "2026-12-01,2026-12-01T10:00:00Z")], day, next),
        ] {
            let (clause, registry) = clause(query);
            let param = registry.param(ResourceType::SLOT, "start").unwrap().id;
            let (low, high) = instants(&clause, param);
            // Never less than what there is, and not much more.
            let near = |a: i64, b: i64| a.abs_diff(b) <= 999;
            assert!(near(low, from) && low <= from, "{query:?}: {low} {from}");
            assert!(near(high, to) && high >= to, "{query:?}: {high} {to}");
        }
    }

    #[test]
    fn what_a_condition_refers_to() {
        for (query, expected) in [
            (&[("schedule", "a")][..], Some("a")),
            (&[("schedule", "Schedule/a,b")], Some("a b")),
            (&[("schedule", "a,b"), ("schedule", "b,c")], Some("b")),
            (&[("schedule:missing", "false")], None),
            (&[("status", "free")], None),
        ] {
            let (clause, registry) = clause(query);
            let param = registry.param(ResourceType::SLOT, "schedule").unwrap().id;
            let found = referred(&clause, param, ResourceType::SCHEDULE);
            let found = found.map(|ids| ids.into_iter().collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), expected, "{query:?}");
        }
    }
}
