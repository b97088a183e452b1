//! Token searches: `code`, `system|code`, `|code`, `system|`.

use std::borrow::Cow;

use resources::index::key::{self, space};

use super::{
    fault::Fault,
    plan::{KeyRange, KeyTest},
    text::{split, unescape},
};

/// A token as it was asked for. `system` is `None` if any will do, empty if there must be none;
/// `code` is `None` if any will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub system: Option<Cow<'a, str>>,
    pub code: Option<Cow<'a, str>>,
}

impl<'a> Token<'a> {
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        let mut parts = split(text, b'|');
        let first = parts.next().unwrap_or_default();
        let second = parts.next();
        if parts.next().is_some() {
            return Err(Fault::invalid(format!(
                "'{text}' has too many '|'; write \\| for one that is part of the code"
            )));
        }
        let (system, code) = match second {
            None => (None, Some(unescape(first))),
            Some("") => (Some(unescape(first)), None),
            Some(code) => (Some(unescape(first)), Some(unescape(code))),
        };
        if code.is_none() && system.as_deref() == Some("") {
            return Err(Fault::invalid(
                "'|' alone is no token; write code, system|code, |code or system|",
            ));
        }
        Ok(Self { system, code })
    }

    /// The keys of codes; `folded` ones are stored without their case.
    pub fn codes(&self, folded: bool) -> KeyRange {
        let code = self.code.as_deref().filter(|_| folded).map(key::fold);
        let code = code.as_deref().or(self.code.as_deref());
        range(self.system.as_deref(), code, space::TOKEN, key::token)
    }

    /// The keys of logical references, whose identifiers look like tokens.
    pub fn identifiers(&self) -> KeyRange {
        range(
            self.system.as_deref(),
            self.code.as_deref(),
            space::REFERENCE_IDENTIFIER,
            key::reference_identifier,
        )
    }
}

fn range(
    system: Option<&str>,
    code: Option<&str>,
    space: u8,
    key: fn(&str, &str) -> Vec<u8>,
) -> KeyRange {
    match (system, code) {
        (Some(system), Some(code)) => KeyRange::exact(key(code, system)),
        (None, Some(code)) => KeyRange::prefix(key(code, "")),
        (Some(system), None) => {
            KeyRange::prefix(vec![space]).with(KeyTest::EndsWith(key::token_suffix(system)))
        }
        (None, None) => KeyRange::prefix(vec![space]),
    }
}

/// The keys of a token parameter.
pub(super) fn token(text: &str, folded: bool) -> Result<Vec<KeyRange>, Fault> {
    Ok(vec![Token::parse(text)?.codes(folded)])
}

/// The entries with this code of this system; an empty system is none.
pub(super) fn coded(system: &str, code: &str) -> KeyRange {
    KeyRange::exact(key::token(code, system))
}

/// The entries with any code of this system.
pub(super) fn any_of(system: &str) -> KeyRange {
    KeyRange::prefix(vec![space::TOKEN]).with(KeyTest::EndsWith(key::token_suffix(system)))
}

/// `:of-type`: `type system|type code|value` of identifiers.
pub(super) fn of_type(text: &str) -> Result<Vec<KeyRange>, Fault> {
    let parts: Vec<_> = split(text, b'|').map(unescape).collect();
    let [system, code, value] = parts.as_slice() else {
        return Err(Fault::invalid(format!(
            "'{text}' is not of the form type-system|type-code|value"
        )));
    };
    if code.is_empty() || value.is_empty() {
        return Err(Fault::invalid(format!(
            "'{text}' needs a type code and a value: type-system|type-code|value"
        )));
    }
    Ok(vec![KeyRange::exact(key::token_of_type(
        system, code, value,
    ))])
}
