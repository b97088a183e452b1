//! A message: its bytes as they came, its text, and where segments and fields begin.

mod delimiters;
mod segment;
#[cfg(test)]
mod tests;
mod value;

use std::{collections::HashMap, sync::OnceLock};

use bytes::Bytes;

pub use self::{delimiters::Delimiters, segment::Segment, value::Value};
use crate::charset;

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
    /// More than [`Message::MOST_BYTES`].
    #[error("the message has more than {0} bytes")]
    TooLarge(usize),
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
    /// Names of segments that are not as they stand: `pid` is PID.
    names: Vec<(u32, String)>,
    notes: Vec<Note>,
    /// The number of each segment among those of its name, when somebody asks first.
    occurrences: OnceLock<Vec<u32>>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    /// Where its fields are in `fields`: the first is what follows the name.
    first: u32,
    count: u32,
    /// Of a header, MSH-1 is what divides.
    header: bool,
    /// Its name is in `names`.
    renamed: bool,
}

impl Message {
    /// Segments of one message.
    pub const MOST_SEGMENTS: usize = 100_000;
    /// Bytes of one message.
    pub const MOST_BYTES: usize = 1 << 30;
    /// Notes of one message; what follows is counted, not told.
    pub const MOST_NOTES: usize = 100;

    /// Reads a message in one pass. After a usable MSH nothing is refused: what is odd becomes a
    /// [`Note`].
    ///
    /// # Errors
    /// There is no usable MSH.
    pub fn parse(raw: Bytes, reading: &Reading) -> Result<Self, Unreadable> {
        if raw.len() > Self::MOST_BYTES {
            return Err(Unreadable::TooLarge(Self::MOST_BYTES));
        }
        let mut notes = Vec::new();
        let charset::Decoded { text, encoding } = charset::decode(&raw, reading, &mut notes);
        let start = text.trim_start_matches(charset::is_lead);
        let (delimiters, odd) = Delimiters::of(start)?;
        notes.extend(odd);
        let lead = text.len() - start.len();
        let mut message = Self {
            raw,
            text,
            delimiters,
            encoding,
            segments: Vec::new(),
            fields: Vec::new(),
            names: Vec::new(),
            notes,
            occurrences: OnceLock::new(),
        };
        message.index(lead)?;
        Ok(message)
    }

    /// Finds segments and fields. The text has less than 2^32 bytes.
    fn index(&mut self, lead: usize) -> Result<(), Unreadable> {
        let text = std::mem::take(&mut self.text);
        let before = self.notes.len();
        self.fields.reserve(text.len() / 5);
        self.segments.reserve(text.len() / 100);
        let marks = memchr::memchr3_iter(b'\r', b'\n', self.delimiters.field, text.as_bytes());
        let mut start = 0;
        let mut first = 0;
        for at in marks.chain([text.len()]) {
            if text.as_bytes().get(at) == Some(&self.delimiters.field) {
                self.fields.push(at as u32 + 1);
                continue;
            }
            if at > start && at > lead {
                let skipped = match start {
                    0 => lead,
                    _ => 0,
                };
                if self.segments.len() == Self::MOST_SEGMENTS {
                    return Err(Unreadable::TooLong(Self::MOST_SEGMENTS));
                }
                self.segment_found(&text, start.max(skipped), at, first);
            }
            first = self.fields.len();
            start = at + 1;
        }
        self.text = text;
        // Now segments can say how they are called.
        let mut notes = std::mem::take(&mut self.notes);
        for note in notes.iter_mut().skip(before) {
            let at = note.place.parse().ok();
            let segment = at.and_then(|at| self.segment(at));
            note.place = segment.map_or_else(String::new, |segment| segment.place());
        }
        self.notes = notes;
        Ok(())
    }

    /// A line that is not empty. Its fields are all from `first` on.
    fn segment_found(&mut self, text: &str, start: usize, end: usize, first: usize) {
        let line = &text[start..end];
        let blank = line.len() - line.trim_start_matches(charset::is_lead).len();
        if blank == line.len() {
            return;
        }
        let at = self.segments.len();
        let start = start + blank;
        let count = self.fields.len() - first;
        let name_end = match count {
            0 => end,
            _ => self.fields[first] as usize - 1,
        };
        let name = &text.as_bytes()[start..name_end];
        let mut span = Span {
            start: start as u32,
            end: end as u32,
            first: first as u32,
            count: count as u32,
            header: matches!(name, b"MSH" | b"BHS" | b"FHS"),
            renamed: false,
        };
        if !is_name(name) {
            let trimmed = text[start..name_end].trim();
            let upper = trimmed.to_ascii_uppercase();
            // A line without fields that is three small letters may as well be a word.
            if is_name(upper.as_bytes()) && (count > 0 || trimmed == upper) {
                self.note(at, || {
                    format!("`{}` is read as {upper}", &text[start..name_end])
                });
                span.header = matches!(upper.as_str(), "MSH" | "BHS" | "FHS");
                span.renamed = true;
                self.names.push((at as u32, upper));
            } else {
                let before = self.segments.last().copied();
                self.note(at, || match before {
                    Some(before) => format!(
                        "a line that does not begin with the name of a segment: perhaps a line \
                         end within field {} of the one before",
                        before.count + u32::from(before.header),
                    ),
                    None => "a line that does not begin with the name of a segment".to_owned(),
                });
            }
        }
        if span.header && at > 0 {
            self.note(at, || {
                "a second header: this is more than one message".to_owned()
            });
        }
        if blank > 0 && at > 0 {
            self.note(at, || "blanks before the name of the segment".to_owned());
        }
        self.segments.push(span);
    }

    /// Notes something about the segment at a place.
    fn note(&mut self, at: usize, text: impl FnOnce() -> String) {
        match self.notes.len() {
            count if count < Self::MOST_NOTES => self.notes.push(Note {
                place: at.to_string(),
                text: text(),
            }),
            Self::MOST_NOTES => self.notes.push(Note {
                place: String::new(),
                text: "and more of this kind".to_owned(),
            }),
            _ => {}
        }
    }

    /// The bytes as they came.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The text, decoded; a byte order mark is still there.
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

    /// All segments of a name.
    pub fn named<'m>(&'m self, name: &'m str) -> impl Iterator<Item = Segment<'m>> + Clone {
        self.segments()
            .filter(move |segment| segment.name() == name)
    }

    /// MSH.
    pub fn msh(&self) -> Segment<'_> {
        Segment {
            message: self,
            at: 0,
        }
    }

    fn occurrences(&self) -> &[u32] {
        self.occurrences.get_or_init(|| {
            let mut counts: HashMap<&str, u32> = HashMap::new();
            self.segments()
                .map(|segment| {
                    let count = counts.entry(segment.name()).or_default();
                    *count += 1;
                    *count
                })
                .collect()
        })
    }

    /// What stands at a place: `PID-5.1`, `OBX[2]-5[1].3.1`. Nothing if there is no such segment,
    /// or the place is not written so; what is not in the segment is empty.
    pub fn get(&self, place: &str) -> Option<Value<'_>> {
        let (name, rest) = place.split_once('-')?;
        let (name, number) = indexed(name)?;
        let mut named = self.segments().filter(|segment| segment.name() == name);
        let segment = named.nth(number?.checked_sub(1)?)?;
        let mut parts = rest.split('.');
        let (field, repetition) = indexed(parts.next()?)?;
        let mut value = segment.field(field.parse().ok()?);
        if rest.contains('[') {
            value = value.repetition(repetition?);
        }
        for (depth, part) in parts.enumerate() {
            let number = part.parse().ok().filter(|number| *number > 0)?;
            value = match depth {
                0 => value.component(number),
                1 => value.subcomponent(number),
                _ => return None,
            };
        }
        Some(value)
    }

    /// What follows the last segment: its line end, and blank lines.
    pub fn tail(&self) -> &str {
        let end = self.segments.last().map_or(0, |span| span.end as usize);
        &self.text[end..]
    }
}

fn is_name(name: &[u8]) -> bool {
    let follows = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    matches!(name, [b'A'..=b'Z', b, c] if follows(b) && follows(c))
}

/// `OBX[2]` as `OBX` and 2; the number is 1 unless said.
fn indexed(text: &str) -> Option<(&str, Option<usize>)> {
    match text.split_once('[') {
        None => Some((text, Some(1))),
        Some((name, number)) => Some((name, Some(number.strip_suffix(']')?.parse().ok()?))),
    }
}
