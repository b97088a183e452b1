//! A condition on what parameters find, as one on the rows that are stored for it.
//!
//! The inverse of [`Registry::rows`]: whoever asks the store's index goes through here, once.

use resources::{
    index::{Home, Pair, ParamId, Registry, key},
    model::ResourceType,
};

use super::plan::{Clause, KeyRange, KeyTest, successor};

/// References times ranges of dates that one condition on a pair may have.
const MAX_PAIRED: usize = 64;

/// The clause for resources of `kind`, in terms of stored rows.
pub fn stored(clause: Clause, kind: ResourceType, registry: &Registry) -> Clause {
    let within = |clause: Box<Clause>, kind| Box::new(stored(*clause, kind, registry));
    match clause {
        Clause::All(parts) => {
            let parts = paired(parts, registry.pairs(kind));
            let each = parts.into_iter().map(|part| stored(part, kind, registry));
            Clause::All(each.collect())
        }
        Clause::Any(parts) => {
            let each = parts.into_iter().map(|part| stored(part, kind, registry));
            Clause::Any(each.collect())
        }
        Clause::Not(part) => Clause::Not(within(part, kind)),
        Clause::Decided(part) => Clause::Decided(within(part, kind)),
        Clause::Keys { param, ranges } => match registry.home(kind, param) {
            Some(Home {
                param: home,
                target: Some(target),
            }) => keys_at(param, ranges, (home, target)),
            _ => {
                let each = |param| Clause::Keys {
                    param,
                    ranges: ranges.clone(),
                };
                any(holders(param, kind, registry).into_iter().map(each))
            }
        },
        Clause::HasParam(param) => match registry.home(kind, param) {
            Some(Home {
                param: home,
                target: Some(target),
            }) => Clause::Any(vec![
                Clause::Keys {
                    param: home,
                    ranges: vec![KeyRange::prefix(key::reference_prefix(target))],
                },
                Clause::HasParam(param),
            ]),
            _ => any(holders(param, kind, registry)
                .into_iter()
                .map(Clause::HasParam)),
        },
        Clause::Refers {
            param,
            target,
            canonical,
            inner,
        } => Clause::Refers {
            param: reference_home(registry, kind, param),
            target,
            canonical,
            inner: within(inner, target),
        },
        Clause::ReferredBy {
            source,
            param,
            canonical,
            inner,
        } => Clause::ReferredBy {
            source,
            param: reference_home(registry, source, param),
            canonical,
            inner: within(inner, source),
        },
        other => other,
    }
}

/// The parameters whose rows give the order of what `param` finds, and what the keys of these
/// rows begin with: `space`, or more where other resources' keys are among them.
pub fn sorted_by(
    param: ParamId,
    space: u8,
    kind: ResourceType,
    registry: &Registry,
) -> (Vec<ParamId>, Vec<u8>) {
    match registry.home(kind, param) {
        Some(Home {
            param: home,
            target: Some(target),
        }) if space == key::space::REFERENCE => (vec![home], key::reference_prefix(target)),
        _ => (holders(param, kind, registry), vec![space]),
    }
}

/// The parameters whose rows hold what `param` finds.
fn holders(param: ParamId, kind: ResourceType, registry: &Registry) -> Vec<ParamId> {
    let param = reference_home(registry, kind, param);
    let parts = registry.parts(kind, param);
    std::iter::once(param)
        .chain(parts.iter().copied())
        .collect()
}

fn any(parts: impl Iterator<Item = Clause>) -> Clause {
    let mut parts: Vec<Clause> = parts.collect();
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            Clause::Any(parts)
        }
    }
}

fn reference_home(registry: &Registry, kind: ResourceType, param: ParamId) -> ParamId {
    registry.home(kind, param).map_or(param, |home| home.param)
}

/// Ranges of `param`'s keys: those of local references to the home's type are found there.
fn keys_at(
    param: ParamId,
    ranges: Vec<KeyRange>,
    (home, target): (ParamId, ResourceType),
) -> Clause {
    let prefix = key::reference_prefix(target);
    let end = successor(&prefix);
    let (mut there, mut here) = (Vec::new(), Vec::new());
    for range in ranges {
        let is_apart = end.as_ref().is_some_and(|end| range.low >= *end)
            || range.high.as_ref().is_some_and(|high| *high <= prefix);
        if is_apart {
            here.push(range);
            continue;
        }
        let is_inside = range.low >= prefix
            && range
                .high
                .as_ref()
                .is_some_and(|high| end.as_ref().is_none_or(|end| high <= end));
        if !is_inside {
            here.push(range.clone());
        }
        there.push(KeyRange {
            low: range.low.max(prefix.clone()),
            high: match (range.high, end.clone()) {
                (Some(high), Some(end)) => Some(high.min(end)),
                (high, end) => high.or(end),
            },
            test: range.test,
        });
    }
    let found = [(home, there), (param, here)];
    any(found
        .into_iter()
        .filter(|(_, ranges)| !ranges.is_empty())
        .map(|(param, ranges)| Clause::Keys { param, ranges }))
}

/// The parts, with one for both where a reference and a date that are stored as a pair are asked.
fn paired(mut parts: Vec<Clause>, pairs: &[Pair]) -> Vec<Clause> {
    for pair in pairs {
        let place = |param, fits: fn(&[KeyRange]) -> bool| {
            parts.iter().position(|part| match part {
                Clause::Keys { param: of, ranges } => *of == param && fits(ranges),
                _ => false,
            })
        };
        let reference = place(pair.reference, |ranges| {
            ranges
                .iter()
                .all(|range| range.is_exact() && range.test.is_empty())
        });
        let date = place(pair.date, |ranges| {
            ranges.iter().all(|range| !range.low.is_empty())
        });
        let (Some(reference), Some(date)) = (reference, date) else {
            continue;
        };
        let Some(both) = both(pair, &parts[reference], &parts[date]) else {
            continue;
        };
        parts[reference] = both;
        parts.remove(date);
    }
    parts
}

fn both(pair: &Pair, reference: &Clause, date: &Clause) -> Option<Clause> {
    let (
        Clause::Keys {
            ranges: references, ..
        },
        Clause::Keys { ranges: dates, .. },
    ) = (reference, date)
    else {
        return None;
    };
    if references.len() * dates.len() > MAX_PAIRED {
        return None;
    }
    let mut ranges = Vec::with_capacity(references.len() * dates.len());
    for reference in references {
        let prefix = key::pair_prefix(&reference.low);
        for date in dates {
            ranges.push(KeyRange {
                low: [&*prefix, &date.low].concat(),
                high: match &date.high {
                    Some(high) => Some([&*prefix, high].concat()),
                    None => successor(&prefix),
                },
                test: date
                    .test
                    .iter()
                    .map(|test| behind(prefix.len(), test))
                    .collect(),
            });
        }
    }
    Some(Clause::Keys {
        param: pair.id,
        ranges,
    })
}

/// The test of a key as one of a key with `by` bytes more before it.
fn behind(by: usize, test: &KeyTest) -> KeyTest {
    match test.clone() {
        KeyTest::AtLeast(at, bytes) => KeyTest::AtLeast(by + at, bytes),
        KeyTest::Below(at, bytes) => KeyTest::Below(by + at, bytes),
        KeyTest::Contains(at, bytes) => KeyTest::Contains(by + at, bytes),
        from_end @ (KeyTest::EndsWith(_) | KeyTest::TailEquals { .. }) => from_end,
    }
}
