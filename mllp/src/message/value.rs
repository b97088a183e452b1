use std::{borrow::Cow, fmt};

use super::{Message, Note};
use crate::text;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Field,
    Repetition,
    Component,
    Subcomponent,
    /// MSH-1 and MSH-2: nothing divides them.
    Mark,
}

/// A field, or a part of one. What is not there is empty.
#[derive(Clone, Copy)]
pub struct Value<'m> {
    message: &'m Message,
    raw: &'m str,
    level: Level,
    segment: u32,
    field: u32,
    /// These are 0 where the value is not so deep.
    repetition: u32,
    component: u32,
    subcomponent: u32,
}

impl<'m> Value<'m> {
    pub(super) fn field(
        message: &'m Message,
        segment: usize,
        number: usize,
        raw: &'m str,
        is_mark: bool,
    ) -> Self {
        Self {
            message,
            raw,
            level: if is_mark { Level::Mark } else { Level::Field },
            segment: segment as u32,
            field: number as u32,
            repetition: 0,
            component: 0,
            subcomponent: 0,
        }
    }

    /// As it stands in the message, escapes and all.
    pub fn raw(&self) -> &'m str {
        self.raw
    }

    /// Nothing there: no change.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// `""`: to be deleted.
    pub fn is_null(&self) -> bool {
        self.raw == "\"\""
    }

    /// There, and not null.
    pub fn is_valued(&self) -> bool {
        !self.is_empty() && !self.is_null()
    }

    /// Where it is: `PID-5.1`, `OBX[2]-5[3].1`. Numbers of segments and repetitions are told
    /// from the second on.
    pub fn place(&self) -> String {
        let segment = self.message.segment(self.segment as usize);
        let segment = segment.map_or_else(String::new, |segment| segment.place());
        let mut place = format!("{segment}-{}", self.field);
        if self.repetition > 1 {
            place.push_str(&format!("[{}]", self.repetition));
        }
        for part in [self.component, self.subcomponent] {
            if part > 0 {
                place.push_str(&format!(".{part}"));
            }
        }
        place
    }

    /// Its repetitions: none if it is empty.
    pub fn repetitions(&self) -> impl Iterator<Item = Value<'m>> + 'm {
        let value = *self;
        let delimiter = match self.level {
            Level::Field => Some(self.message.delimiters.repetition),
            _ => None,
        };
        split(self.raw, delimiter)
            .filter(move |_| !value.raw.is_empty())
            .enumerate()
            .map(move |(at, raw)| Value {
                raw,
                level: value.level.max(Level::Repetition),
                repetition: match value.level {
                    Level::Field => at as u32 + 1,
                    _ => value.repetition,
                },
                ..value
            })
    }

    /// A repetition by its number, from 1.
    pub fn repetition(&self, number: usize) -> Value<'m> {
        match number.checked_sub(1).map(|at| self.repetitions().nth(at)) {
            Some(Some(repetition)) => repetition,
            _ => Value {
                raw: "",
                level: self.level.max(Level::Repetition),
                repetition: number as u32,
                ..*self
            },
        }
    }

    /// A component by its number, from 1. Of a field: of its first repetition.
    pub fn component(&self, number: usize) -> Value<'m> {
        match self.level {
            Level::Field => self.repetition(1).component(number),
            Level::Repetition => {
                let delimiter = Some(self.message.delimiters.component);
                Value {
                    raw: nth(self.raw, delimiter, number),
                    level: Level::Component,
                    component: number as u32,
                    ..*self
                }
            }
            _ if number == 1 => *self,
            _ => self.beyond(),
        }
    }

    /// Its components, of the first repetition if it is a field: none if that is empty.
    pub fn components(&self) -> impl Iterator<Item = Value<'m>> + 'm {
        let value = match self.level {
            Level::Field => self.repetition(1),
            _ => *self,
        };
        let delimiter = match value.level {
            Level::Repetition => Some(self.message.delimiters.component),
            _ => None,
        };
        split(value.raw, delimiter)
            .filter(move |_| !value.raw.is_empty())
            .enumerate()
            .map(move |(at, raw)| match value.level {
                Level::Repetition => Value {
                    raw,
                    level: Level::Component,
                    component: at as u32 + 1,
                    ..value
                },
                _ => value,
            })
    }

    /// A subcomponent by its number, from 1. Of a field or repetition: of its first component.
    pub fn subcomponent(&self, number: usize) -> Value<'m> {
        match self.level {
            Level::Field | Level::Repetition => self.component(1).subcomponent(number),
            Level::Component => {
                let delimiter = self.message.delimiters.subcomponent;
                Value {
                    raw: nth(self.raw, delimiter, number),
                    level: Level::Subcomponent,
                    subcomponent: number as u32,
                    ..*self
                }
            }
            _ if number == 1 => *self,
            _ => self.beyond(),
        }
    }

    /// Its subcomponents, of the first component if it is more: none if that is empty.
    pub fn subcomponents(&self) -> impl Iterator<Item = Value<'m>> + 'm {
        let value = match self.level {
            Level::Field | Level::Repetition => self.component(1),
            _ => *self,
        };
        let delimiter = match value.level {
            Level::Component => self.message.delimiters.subcomponent,
            _ => None,
        };
        split(value.raw, delimiter)
            .filter(move |_| !value.raw.is_empty())
            .enumerate()
            .map(move |(at, raw)| match value.level {
                Level::Component => Value {
                    raw,
                    level: Level::Subcomponent,
                    subcomponent: at as u32 + 1,
                    ..value
                },
                _ => value,
            })
    }

    fn beyond(&self) -> Value<'m> {
        Value { raw: "", ..*self }
    }

    /// Its text, escapes resolved: of the first subcomponent of the first component of the first
    /// repetition, if it has several. `""` is the text `""`: see [`is_null`](Self::is_null).
    pub fn text(&self) -> Cow<'m, str> {
        self.subcomponent(1).unescaped(&mut |_| {})
    }

    /// The same, and what is odd about escapes in it is noted.
    pub fn text_noted(&self, notes: &mut Vec<Note>) -> Cow<'m, str> {
        let value = self.subcomponent(1);
        value.unescaped(&mut |text| {
            notes.push(Note {
                place: value.place(),
                text,
            });
        })
    }

    /// All of its text, escapes resolved; delimiters in it, which a text should not have, are
    /// text. For fields of one text (ST, TX, FT), which senders often do not escape.
    pub fn full_text(&self) -> Cow<'m, str> {
        self.unescaped(&mut |_| {})
    }

    fn unescaped(&self, complain: &mut dyn FnMut(String)) -> Cow<'m, str> {
        if self.level == Level::Mark {
            return Cow::Borrowed(self.raw);
        }
        let message = self.message;
        text::unescape(self.raw, &message.delimiters, message.encoding, complain)
    }
}

fn split(raw: &str, delimiter: Option<u8>) -> impl Iterator<Item = &str> {
    // Every delimiter is ASCII punctuation, so it never stands within a character, and no
    // delimiter is NUL.
    let whole = delimiter.is_none();
    let delimiter = delimiter.map_or('\0', char::from);
    raw.split(move |c| !whole && c == delimiter)
}

fn nth(raw: &str, delimiter: Option<u8>, number: usize) -> &str {
    match number.checked_sub(1) {
        Some(before) => split(raw, delimiter).nth(before).unwrap_or(""),
        None => "",
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.raw.len())
    }
}
