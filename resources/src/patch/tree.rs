//! A document that can change: only the way to what changes is taken apart.

use crate::{
    Value,
    doc::{Kind, write_json_string},
    primitive::Decimal,
};

/// A value: as it stands in a document, or taken apart.
#[derive(Clone)]
pub(super) enum Tree<'d> {
    Raw(Value<'d>),
    Object(Vec<(String, Tree<'d>)>),
    Array(Vec<Tree<'d>>),
}

impl<'d> Tree<'d> {
    fn take_apart(&mut self) {
        let Self::Raw(value) = self else { return };
        match value.kind() {
            Kind::Object => {
                let member = |member: Value<'d>| (member.name().to_owned(), Self::Raw(member));
                *self = Self::Object(value.members().map(member).collect());
            }
            Kind::Array => *self = Self::Array(value.items().map(Self::Raw).collect()),
            _ => {}
        }
    }

    /// The member or item that a pointer's part names.
    pub(super) fn child(&mut self, part: &str) -> Option<&mut Self> {
        self.take_apart();
        match self {
            Self::Object(members) => members
                .iter_mut()
                .find(|(name, _)| name == part)
                .map(|(_, value)| value),
            Self::Array(items) => items.get_mut(number(part)?),
            Self::Raw(_) => None,
        }
    }

    /// Sets a member, or puts an item before the one that has the number now.
    pub(super) fn insert(&mut self, part: &str, added: Self) -> Result<(), String> {
        self.take_apart();
        match self {
            Self::Object(members) => {
                match members.iter_mut().find(|(name, _)| name == part) {
                    Some((_, value)) => *value = added,
                    None if needs_escapes(part) => {
                        return Err("no property has quotes, backslashes or control \
                                    characters in its name"
                            .to_owned());
                    }
                    None => members.push((part.to_owned(), added)),
                }
                Ok(())
            }
            Self::Array(items) => {
                let at = match part {
                    "-" => Some(items.len()),
                    _ => number(part).filter(|at| *at <= items.len()),
                };
                match at {
                    Some(at) => {
                        items.insert(at, added);
                        Ok(())
                    }
                    None => Err(format!(
                        "'{part}' is not a place in an array of {} items",
                        items.len()
                    )),
                }
            }
            Self::Raw(_) => Err(format!("'{part}' cannot be added to a simple value")),
        }
    }

    /// Removes a member or item.
    pub(super) fn take(&mut self, part: &str) -> Option<Self> {
        self.take_apart();
        match self {
            Self::Object(members) => {
                let at = members.iter().position(|(name, _)| name == part)?;
                Some(members.remove(at).1)
            }
            Self::Array(items) => {
                let at = number(part).filter(|at| *at < items.len())?;
                Some(items.remove(at))
            }
            Self::Raw(_) => None,
        }
    }

    /// Steps to find a child.
    pub(super) fn reach(&mut self) -> usize {
        self.take_apart();
        match self {
            Self::Object(members) => members.len(),
            Self::Raw(_) | Self::Array(_) => 1,
        }
    }

    /// Steps to insert or take a child: the items behind it move, many in one step.
    pub(super) fn shift(&mut self, part: &str) -> usize {
        const AT_ONCE: usize = 16;
        self.take_apart();
        match self {
            Self::Object(members) => members.len(),
            Self::Array(items) => {
                let behind = number(part).map_or(0, |at| items.len().saturating_sub(at));
                1 + behind / AT_ONCE
            }
            Self::Raw(_) => 1,
        }
    }

    /// Objects and arrays inside one another, and values in all.
    pub(super) fn measure(&self) -> (usize, usize) {
        match self {
            Self::Raw(value) => raw_measure(*value),
            Self::Object(members) => around(members.iter().map(|(_, value)| value.measure())),
            Self::Array(items) => around(items.iter().map(Self::measure)),
        }
    }

    /// About how many bytes a copy takes, in memory or as text.
    pub(super) fn weight(&self) -> usize {
        const NODE: usize = std::mem::size_of::<(String, Tree<'_>)>();
        NODE + match self {
            Self::Raw(value) => value.raw().len(),
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| name.len() + value.weight())
                .sum(),
            Self::Array(items) => items.iter().map(Self::weight).sum(),
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Raw(value) => value.write_compact(out),
            Self::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_json_string(out, name);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
        }
    }

    /// Equal as JSON: numbers by value, members in any order. `None` if that takes more steps than
    /// are left.
    pub(super) fn equals(&mut self, other: &Self, left: &mut usize) -> Option<bool> {
        let mut other = other.clone();
        self.take_apart();
        other.take_apart();
        *left = left.checked_sub(1)?;
        match (self, other) {
            (Self::Object(ours), Self::Object(theirs)) => {
                if ours.len() != theirs.len() {
                    return Some(false);
                }
                for (name, value) in ours {
                    *left = left.checked_sub(theirs.len())?;
                    let Some((_, same)) = theirs.iter().find(|(other, _)| other == name) else {
                        return Some(false);
                    };
                    if !value.equals(same, left)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            (Self::Array(ours), Self::Array(theirs)) => {
                if ours.len() != theirs.len() {
                    return Some(false);
                }
                for (value, other) in ours.iter_mut().zip(&theirs) {
                    if !value.equals(other, left)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            (Self::Raw(value), Self::Raw(other)) => Some(same_scalar(*value, other)),
            _ => Some(false),
        }
    }
}

fn same_scalar(value: Value<'_>, other: Value<'_>) -> bool {
    match (value.kind(), other.kind()) {
        (Kind::String, Kind::String) => value.as_str() == other.as_str(),
        (Kind::Number, Kind::Number) => Decimal::parse(value.raw()) == Decimal::parse(other.raw()),
        (kind, other) => kind == other,
    }
}

fn raw_measure(value: Value<'_>) -> (usize, usize) {
    match value.kind() {
        Kind::Object => around(value.members().map(raw_measure)),
        Kind::Array => around(value.items().map(raw_measure)),
        _ => (0, 1),
    }
}

/// Documents have no such names: see [`crate::doc::ParseErrorKind::EscapedName`].
fn needs_escapes(name: &str) -> bool {
    name.bytes()
        .any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
}

/// The measure of what holds these.
fn around(children: impl Iterator<Item = (usize, usize)>) -> (usize, usize) {
    let below = children.fold((0, 0), |(depth, size), (deeper, more)| {
        (depth.max(deeper), size + more)
    });
    (below.0 + 1, below.1 + 1)
}

/// An array index as RFC 6901 has it: digits without leading zeros.
fn number(part: &str) -> Option<usize> {
    let digits = part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (part.len() > 1 && part.starts_with('0')) {
        return None;
    }
    part.parse().ok()
}
