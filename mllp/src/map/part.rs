//! A field's repetition, a component or a subcomponent, and its parts.

use std::borrow::Cow;

use crate::message::Value;

/// A value, and how deep it is.
#[derive(Debug, Clone, Copy)]
pub struct Part<'m> {
    /// The value.
    pub value: Value<'m>,
    /// 0 for a repetition, 1 for a component, 2 for a subcomponent.
    pub depth: u8,
}

impl<'m> Part<'m> {
    /// A repetition of a field.
    pub fn repetition(value: Value<'m>) -> Self {
        Self { value, depth: 0 }
    }

    /// A part by its number, from 1; itself for 0.
    pub fn part(self, number: u16) -> Self {
        let value = match (self.depth, number) {
            (_, 0) => return self,
            (0, _) => self.value.component(number as usize),
            (1, _) => self.value.subcomponent(number as usize),
            (_, 1) => return self,
            _ => self.value.component(usize::MAX),
        };
        Self {
            value,
            depth: self.depth + 1,
        }
    }

    /// Whether there is something, and not null.
    pub fn is_valued(self) -> bool {
        self.value.is_valued() && !self.is_blank()
    }

    /// Delimiters only.
    fn is_blank(self) -> bool {
        self.depth < 2 && {
            let raw = self.value.raw();
            !raw.is_empty()
                && raw
                    .bytes()
                    .all(|byte| byte == b'^' || byte == b'&' || byte == b' ')
        }
    }

    /// The text of its first part, escapes resolved, without blanks around it.
    pub fn text(self) -> Cow<'m, str> {
        trim(self.value.text())
    }
}

/// Without blanks around it, and without the control characters that FHIR does not allow.
pub fn trim(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    if text.bytes().any(is_control) {
        let kept: String = text
            .chars()
            .filter(|character| !u8::try_from(*character).is_ok_and(is_control))
            .collect();
        return Cow::Owned(kept.trim().to_owned());
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => match text.trim().len() == text.len() {
            true => Cow::Owned(text),
            false => Cow::Owned(text.trim().to_owned()),
        },
    }
}
