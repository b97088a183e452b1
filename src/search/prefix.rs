//! The comparison prefixes of ordered values: `ge2026-01-01`.

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    /// Starts after.
    Sa,
    /// Ends before.
    Eb,
    /// Approximately.
    Ap,
}

impl Prefix {
    /// The prefix with this name, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            "ge" => Self::Ge,
            "le" => Self::Le,
            "sa" => Self::Sa,
            "eb" => Self::Eb,
            "ap" => Self::Ap,
            _ => return None,
        })
    }

    /// The prefix of a value, `eq` if it has none, and the rest of the value.
    pub fn take(text: &str) -> (Self, &str) {
        match text.get(..2).and_then(Self::from_name) {
            Some(prefix) => (prefix, &text[2..]),
            None => (Self::Eq, text),
        }
    }
}
