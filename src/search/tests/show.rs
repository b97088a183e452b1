//! Clauses as short text.

use std::fmt::Write;

use resources::index::Registry;

use crate::search::plan::{Clause, KeyRange, KeyTest, successor};

pub(super) fn show(clause: &Clause, registry: &Registry) -> String {
    let all = |parts: &[Clause]| {
        let parts: Vec<String> = parts.iter().map(|part| show(part, registry)).collect();
        parts.join(", ")
    };
    let name = |id| {
        let param = registry.by_id(id).unwrap();
        format!("{}.{}", param.base, param.code)
    };
    match clause {
        Clause::All(parts) => format!("all({})", all(parts)),
        Clause::Any(parts) => format!("any({})", all(parts)),
        Clause::Not(part) => format!("not({})", show(part, registry)),
        Clause::Decided(part) => format!("decided({})", show(part, registry)),
        Clause::Keys { param, ranges } => {
            let ranges: Vec<String> = ranges.iter().map(show_range).collect();
            format!("{} in {{{}}}", name(*param), ranges.join(", "))
        }
        Clause::HasParam(param) => format!("has {}", name(*param)),
        Clause::Type(kind) => format!("is {kind}"),
        Clause::Ids(ids) => format!("id in {{{}}}", ids.join(", ")),
        Clause::Updated { from, to } => format!("updated {from:?}..{to:?}"),
        Clause::Refers {
            param,
            target,
            canonical,
            inner,
        } => format!(
            "{} -> {}{target}({})",
            name(*param),
            canonical.map_or("", |_| "canonical "),
            show(inner, registry)
        ),
        Clause::ReferredBy {
            source: _,
            param,
            canonical,
            inner,
        } => format!(
            "<- {}{}({})",
            canonical.map_or("", |_| "canonical "),
            name(*param),
            show(inner, registry)
        ),
        Clause::Text { part, words } => format!("{part:?} {words:?}"),
    }
}

/// Bytes as text; all that is not printable ASCII in hexadecimal, space first.
fn bytes(key: &[u8]) -> String {
    let mut out = String::new();
    let (space, rest) = key.split_first().unwrap();
    write!(out, "{space:x}:").unwrap();
    for byte in rest {
        match byte {
            0 => out.push('|'),
            b'|' => out.push_str("<7c>"),
            0x20..=0x7e => out.push(char::from(*byte)),
            _ => write!(out, "<{byte:02x}>").unwrap(),
        }
    }
    out
}

fn show_range(range: &KeyRange) -> String {
    let mut out = if range.is_exact() {
        bytes(&range.low)
    } else if range.high == successor(&range.low) {
        format!("{}*", bytes(&range.low))
    } else {
        let high = range.high.as_deref().map_or_else(String::new, bytes);
        format!("{}..{high}", bytes(&range.low))
    };
    for test in &range.test {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\x00", "|");
        match test {
            KeyTest::AtLeast(at, bytes) => write!(out, " [{at}]>={}", text(bytes)),
            KeyTest::Below(at, bytes) => write!(out, " [{at}]<{}", text(bytes)),
            KeyTest::EndsWith(bytes) => write!(out, " ends {}", text(bytes)),
            KeyTest::Contains(at, bytes) => write!(out, " [{at}] has {}", text(bytes)),
            KeyTest::TailEquals { from_end, bytes } => {
                write!(out, " [-{from_end}]={}", text(bytes))
            }
        }
        .unwrap();
    }
    out
}
