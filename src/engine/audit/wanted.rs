//! What every AuditEvent that a clause matches must have, as far as it shows without making the
//! AuditEvent: its time, and marks.

use std::collections::HashSet;

use resources::{
    index::{
        Registry,
        key::{self, space},
    },
    model::ResourceType,
};

use crate::{
    audit::{self, About, Mark, Wanted},
    search::plan::{Clause, KeyRange, KeyTest, successor},
};

/// A clause as the audit can look for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// What must be there.
    pub wanted: Wanted,
    /// One of these logical ids.
    pub ids: Option<Vec<String>>,
    /// The clause may ask for more than that.
    pub is_open: bool,
    /// The clause follows references, which is not done from here.
    pub follows: bool,
}

/// What a clause needs.
pub fn needs(clause: &Clause, registry: &Registry) -> Needs {
    let mut needs = Needs::default();
    add(&mut needs, clause, registry);
    needs
}

fn add(needs: &mut Needs, clause: &Clause, registry: &Registry) {
    match clause {
        Clause::All(parts) => parts.iter().for_each(|part| add(needs, part, registry)),
        Clause::Type(kind) if *kind == ResourceType::AUDIT_EVENT => {}
        Clause::Ids(ids) if needs.ids.is_none() => needs.ids = Some(ids.clone()),
        Clause::Updated { from, to } => {
            let wanted = &mut needs.wanted;
            wanted.from = from.map_or(wanted.from, |from| from.max(wanted.from));
            wanted.before = to.map_or(wanted.before, |to| to.min(wanted.before));
        }
        Clause::Keys { param, ranges } => {
            let code = registry
                .by_id(*param)
                .map_or("", |param| param.code.as_str());
            if code == "date" {
                add_time(needs, ranges);
                return;
            }
            match one_of(code, ranges) {
                Some((marks, is_exact)) => {
                    needs.wanted.marks.push(marks);
                    needs.is_open |= !is_exact;
                }
                None => needs.is_open = true,
            }
        }
        Clause::Any(parts) => {
            needs.is_open = true;
            let mut union = HashSet::new();
            for part in parts {
                let of_part = self::needs(part, registry);
                needs.follows |= of_part.follows;
                match of_part.wanted.marks.into_iter().next() {
                    Some(marks) => union.extend(marks),
                    None => {
                        needs.follows |=
                            parts.iter().any(|part| self::needs(part, registry).follows);
                        return;
                    }
                }
            }
            needs.wanted.marks.push(union);
        }
        Clause::Refers { .. } | Clause::ReferredBy { .. } => {
            needs.is_open = true;
            needs.follows = true;
        }
        Clause::Not(part) => {
            needs.is_open = true;
            needs.follows |= self::needs(part, registry).follows;
        }
        _ => needs.is_open = true,
    }
}

/// The instants in some of the ranges.
fn add_time(needs: &mut Needs, ranges: &[KeyRange]) {
    // Events are instants, which have no keys among those of wide ranges.
    let spans: Vec<(i64, i64)> = ranges
        .iter()
        .filter(|range| range.low.first() == Some(&space::DATE))
        .map(instants)
        .collect();
    let wanted = &mut needs.wanted;
    let from = spans.iter().map(|span| span.0).min().unwrap_or(i64::MAX);
    let before = spans.iter().map(|span| span.1).max().unwrap_or(i64::MIN);
    wanted.from = wanted.from.max(from);
    wanted.before = wanted.before.min(before);
    needs.is_open |= spans.len() > 1;
}

fn instants(range: &KeyRange) -> (i64, i64) {
    let first = |key: &[u8]| key.get(1..).and_then(key::read_i64);
    let mut from = first(&range.low).unwrap_or(i64::MIN);
    let mut before = range.high.as_deref().and_then(first).unwrap_or(i64::MAX);
    for test in &range.test {
        match test {
            KeyTest::AtLeast(9, bytes) => {
                from = from.max(key::read_i64(bytes).unwrap_or(i64::MIN));
            }
            KeyTest::Below(9, bytes) => {
                before = before.min(key::read_i64(bytes).unwrap_or(i64::MAX));
            }
            _ => {}
        }
    }
    (from, before)
}

/// The marks of all ranges, and whether whatever has one of them matches.
fn one_of(code: &str, ranges: &[KeyRange]) -> Option<(HashSet<Mark>, bool)> {
    let about = match code {
        "patient" => About::Patient,
        "agent" => About::Agent,
        "entity" => About::Entity,
        "action" => About::Action,
        "outcome" => About::Outcome,
        "type" => About::Type,
        "subtype" => About::Subtype,
        _ => return None,
    };
    let mut marks = HashSet::new();
    let mut all_exact = true;
    for range in ranges {
        let (mark, is_exact) = mark(about, range)?;
        all_exact &= is_exact;
        marks.insert(mark);
    }
    Some((marks, all_exact))
}

fn mark(about: About, range: &KeyRange) -> Option<(Mark, bool)> {
    let is_exact = range.is_exact() && range.test.is_empty();
    if let Some((kind, id)) = key::read_reference(&range.low) {
        return is_exact.then(|| (audit::reference(about, kind, id), true));
    }
    // A value with any system, or with one.
    let (space, rest) = range.low.split_first()?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let value = std::str::from_utf8(&rest[..end]).ok()?;
    let begins = range.low.get(..end + 2)?;
    let narrow = range.is_exact() || (begins == range.low && range.high == successor(begins));
    // Longer ones are cut in keys.
    if !narrow || value.len() >= key::MAX_PART {
        return None;
    }
    match *space {
        space::TOKEN => Some((audit::code(about, value), false)),
        space::REFERENCE_IDENTIFIER if about != About::Patient => {
            Some((audit::identifier(about, value), false))
        }
        _ => None,
    }
}
