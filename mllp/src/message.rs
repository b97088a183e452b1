//! A message: its bytes as they came, its text, and where segments and fields begin.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

/// What divides a message ([HL7 v2, chapter 2, "Message delimiters"]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields: MSH-1.
    pub field: u8,
    /// Between components: the first character of MSH-2.
    pub component: u8,
    /// Between repetitions.
    pub repetition: u8,
    /// Around escape sequences; none if MSH-2 has two characters.
    pub escape: Option<u8>,
    /// Between subcomponents; none if MSH-2 has three characters.
    pub subcomponent: Option<u8>,
    /// Marks that a text was cut (2.7 and later); none in most messages.
    pub truncation: Option<u8>,
}

/// Something odd that was found, and did not stop the reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where, as `PID-5.1` or `OBX[2]-5[1].3`.
    pub place: String,
    /// What, in a sentence.
    pub text: String,
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The first segment is not MSH (nor BHS, FHS).
    #[error("the message does not begin with MSH but with `{0}`")]
    NoHeader(String),
    /// MSH ends before its delimiters do, or they are not distinct ASCII punctuation.
    #[error("MSH-1 and MSH-2 do not name usable delimiters: `{0}`")]
    Delimiters(String),
    /// More than [`Message::MOST_SEGMENTS`] segments.
    #[error("the message has more than {0} segments")]
    TooLong(usize),
}

/// How bytes are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The character set of a message whose MSH-18 is empty.
    pub charset: &'static encoding_rs::Encoding,
    /// What is taken if the bytes are not what MSH-18, or the setting, says. A [`Note`] tells.
    pub fallback: &'static encoding_rs::Encoding,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            charset: encoding_rs::UTF_8,
            fallback: encoding_rs::WINDOWS_1252,
        }
    }
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Message {
    raw: Bytes,
    text: String,
    delimiters: Delimiters,
    encoding: &'static encoding_rs::Encoding,
    segments: Vec<Span>,
    /// Beginnings of fields, in the text; those of a segment are beside each other.
    fields: Vec<u32>,
    notes: Vec<Note>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    /// Where its fields are in `fields`: the first is what follows the name.
    first: u32,
    count: u32,
}

impl Message {
    /// Segments of one message.
    pub const MOST_SEGMENTS: usize = 100_000;

    /// Reads a message in one pass. After a usable MSH nothing is refused: what is odd becomes a
    /// [`Note`].
    ///
    /// # Errors
    /// There is no usable MSH.
    pub fn parse(raw: Bytes, reading: &Reading) -> Result<Self, Unreadable> {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let encoding = reading.charset;
        let delimiters = Delimiters::of(&text)?;
        let mut message = Self {
            raw,
            text,
            delimiters,
            encoding,
            segments: Vec::new(),
            fields: Vec::new(),
            notes: Vec::new(),
        };
        message.index()?;
        Ok(message)
    }

    fn index(&mut self) -> Result<(), Unreadable> {
        let bytes = self.text.as_bytes();
        let mut start = 0;
        while start < bytes.len() {
            let rest = &bytes[start..];
            let length = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let end = start + length;
            if length > 0 {
                if self.segments.len() == Self::MOST_SEGMENTS {
                    return Err(Unreadable::TooLong(Self::MOST_SEGMENTS));
                }
                let first = self.fields.len();
                let found = memchr::memchr_iter(self.delimiters.field, &bytes[start..end]);
                self.fields.extend(found.map(|at| (start + at + 1) as u32));
                self.segments.push(Span {
                    start: start as u32,
                    end: end as u32,
                    first: first as u32,
                    count: (self.fields.len() - first) as u32,
                });
            }
            start = end + 1;
        }
        Ok(())
    }

    /// The bytes as they came.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The text, decoded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What divides it.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// The character set that it was read in.
    pub fn encoding(&self) -> &'static encoding_rs::Encoding {
        self.encoding
    }

    /// What was odd.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// All segments in their order, those that nobody knows too.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment<'_>> + Clone {
        (0..self.segments.len()).map(|at| Segment { message: self, at })
    }

    /// The segment at a place, from 0.
    pub fn segment(&self, at: usize) -> Option<Segment<'_>> {
        (at < self.segments.len()).then_some(Segment { message: self, at })
    }

    /// The first segment of a name.
    pub fn first(&self, name: &str) -> Option<Segment<'_>> {
        self.segments().find(|segment| segment.name() == name)
    }

    /// MSH.
    pub fn msh(&self) -> Segment<'_> {
        Segment {
            message: self,
            at: 0,
        }
    }
}

impl Default for Delimiters {
    /// `|^~\&`.
    fn default() -> Self {
        Self {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: Some(b'\\'),
            subcomponent: Some(b'&'),
            truncation: None,
        }
    }
}

impl Delimiters {
    /// MSH-2.
    pub fn marks(&self) -> String {
        let more = [self.escape, self.subcomponent, self.truncation];
        [self.component, self.repetition]
            .into_iter()
            .chain(more.into_iter().map_while(|mark| mark))
            .map(char::from)
            .collect()
    }

    /// The letter that stands for a delimiter in an escape sequence.
    pub(crate) fn name_of(&self, byte: u8) -> Option<char> {
        let named = [
            (Some(self.field), 'F'),
            (Some(self.component), 'S'),
            (Some(self.repetition), 'R'),
            (self.escape, 'E'),
            (self.subcomponent, 'T'),
            (self.truncation, 'P'),
        ];
        let found = named.into_iter().find(|(mark, _)| *mark == Some(byte));
        found.map(|(_, name)| name)
    }

    fn of(text: &str) -> Result<Self, Unreadable> {
        let start: String = text.chars().take(12).collect();
        if !text.starts_with("MSH") {
            return Err(Unreadable::NoHeader(start));
        }
        let bytes = text.as_bytes();
        let field = *bytes
            .get(3)
            .ok_or_else(|| Unreadable::Delimiters(start.clone()))?;
        let rest = &bytes[4..];
        let length = rest
            .iter()
            .position(|byte| [field, b'\r', b'\n'].contains(byte))
            .unwrap_or(rest.len());
        let marks = &rest[..length];
        if !(2..=5).contains(&marks.len()) || !marks.iter().all(u8::is_ascii_punctuation) {
            return Err(Unreadable::Delimiters(start));
        }
        Ok(Self {
            field,
            component: marks[0],
            repetition: marks[1],
            escape: marks.get(2).copied(),
            subcomponent: marks.get(3).copied(),
            truncation: marks.get(4).copied(),
        })
    }
}

/// A segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    message: &'m Message,
    at: usize,
}

impl<'m> Segment<'m> {
    fn span(&self) -> Span {
        self.message.segments[self.at]
    }

    /// Its place in the message, from 0.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Its name: `PID`.
    pub fn name(&self) -> &'m str {
        let span = self.span();
        let end = match span.count {
            0 => span.end,
            _ => self.message.fields[span.first as usize] - 1,
        };
        &self.message.text[span.start as usize..end as usize]
    }

    /// All of it, without its end.
    pub fn raw(&self) -> &'m str {
        let span = self.span();
        &self.message.text[span.start as usize..span.end as usize]
    }

    /// The number of its last field.
    pub fn fields(&self) -> usize {
        self.span().count as usize + usize::from(self.is_header())
    }

    /// MSH, BHS and FHS, of which the first field is the delimiter before the second.
    fn is_header(&self) -> bool {
        matches!(self.name(), "MSH" | "BHS" | "FHS")
    }

    /// A field by its number in the standard, from 1; empty if it is not there.
    pub fn field(&self, number: usize) -> Value<'m> {
        let span = self.span();
        let header = self.is_header();
        let raw = match (header, number) {
            (true, 1) => {
                let start = span.start as usize + 3;
                self.message.text.get(start..start + 1).unwrap_or("")
            }
            _ => {
                let index = number.wrapping_sub(if header { 2 } else { 1 });
                if index < span.count as usize {
                    let at = span.first as usize + index;
                    let start = self.message.fields[at];
                    let end = match index + 1 == span.count as usize {
                        true => span.end,
                        false => self.message.fields[at + 1] - 1,
                    };
                    &self.message.text[start as usize..end as usize]
                } else {
                    ""
                }
            }
        };
        Value {
            message: self.message,
            raw,
            // Nothing divides the delimiters themselves.
            level: match header && number <= 2 {
                true => Level::Subcomponent,
                false => Level::Field,
            },
        }
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name only: what is in it is a patient's.
        f.write_str(self.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Field,
    Repetition,
    Component,
    Subcomponent,
}

/// A field, or a part of one. What is not there is empty.
#[derive(Clone, Copy)]
pub struct Value<'m> {
    message: &'m Message,
    raw: &'m str,
    level: Level,
}

impl<'m> Value<'m> {
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

    /// Its repetitions: none if it is empty.
    pub fn repetitions(&self) -> impl Iterator<Item = Value<'m>> + 'm {
        let message = self.message;
        let delimiter = match self.level {
            Level::Field => Some(message.delimiters.repetition),
            _ => None,
        };
        let (raw, level) = (self.raw, self.level.max(Level::Repetition));
        split(raw, delimiter)
            .filter(move |_| !raw.is_empty())
            .map(move |raw| Value {
                message,
                raw,
                level,
            })
    }

    /// A component by its number, from 1. Of a field: of its first repetition.
    pub fn component(&self, number: usize) -> Value<'m> {
        match self.level {
            Level::Field => match self.repetitions().next() {
                Some(first) => first.component(number),
                None => self.part("", Level::Component),
            },
            Level::Repetition => {
                let delimiter = Some(self.message.delimiters.component);
                self.part(nth(self.raw, delimiter, number), Level::Component)
            }
            _ => self.part(if number == 1 { self.raw } else { "" }, self.level),
        }
    }

    /// A subcomponent by its number, from 1. Of a field or repetition: of its first component.
    pub fn subcomponent(&self, number: usize) -> Value<'m> {
        match self.level {
            Level::Field | Level::Repetition => self.component(1).subcomponent(number),
            _ => {
                let delimiter = match self.level {
                    Level::Component => self.message.delimiters.subcomponent,
                    _ => None,
                };
                self.part(nth(self.raw, delimiter, number), Level::Subcomponent)
            }
        }
    }

    fn part(&self, raw: &'m str, level: Level) -> Value<'m> {
        Value {
            message: self.message,
            raw,
            level,
        }
    }

    /// Its text, escapes resolved: of the first subcomponent of the first component of the first
    /// repetition, if it has several.
    pub fn text(&self) -> Cow<'m, str> {
        Cow::Borrowed(self.subcomponent(1).raw)
    }
}

fn split(raw: &str, delimiter: Option<u8>) -> impl Iterator<Item = &str> {
    // Every delimiter is ASCII, so it never stands within a character.
    let delimiter = delimiter.map_or('\u{0}', char::from);
    raw.split(delimiter)
}

fn nth(raw: &str, delimiter: Option<u8>, number: usize) -> &str {
    match number.checked_sub(1) {
        Some(before) => split(raw, delimiter).nth(before).unwrap_or(""),
        None => "",
    }
}

impl<'m> Value<'m> {
    /// All of its text, escapes resolved; delimiters in it, which a text should not have, are
    /// text.
    pub fn full_text(&self) -> Cow<'m, str> {
        Cow::Borrowed(self.raw)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.raw.len())
    }
}
