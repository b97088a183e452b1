//! A resource as bytes: JSON text and the positions of what is in it.
//!
//! [`Doc`] keeps the text that came in and one flat list of nodes over it. Nothing is copied or
//! converted: a number stays its source slice, so a decimal keeps every digit; the order of
//! members stays the order of the text. A `Doc` is read-only; [`Doc::splice`] makes new text.

mod parse;
mod value;

use std::ops::Range;

pub use parse::{Bounds, ParseError, ParseErrorKind};
pub use value::{Items, Kind, Members, Value};

/// A parsed JSON text (RFC 8259, with unique member names, as FHIR R4 `json.html` asks).
#[derive(Debug, Clone)]
pub struct Doc {
    text: String,
    nodes: Vec<Node>,
    compact: bool,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// The text has escapes between start and end (strings only).
    escaped: bool,
    name_start: u32,
    name_len: u32,
    start: u32,
    end: u32,
    /// Index of the node after this one's whole subtree.
    next: u32,
}

impl Doc {
    /// Parses `text` within the default [`Bounds`].
    ///
    /// # Errors
    /// The first place where the text is not JSON, has a member twice, or exceeds a bound.
    pub fn parse(text: impl Into<String>) -> Result<Self, ParseError> {
        Self::parse_within(text, &Bounds::default())
    }

    /// Parses `text` within `bounds`. The result holds text without white space between tokens.
    ///
    /// # Errors
    /// As [`Doc::parse`].
    pub fn parse_within(text: impl Into<String>, bounds: &Bounds) -> Result<Self, ParseError> {
        let doc = parse::parse(text.into(), bounds)?;
        if doc.compact {
            return Ok(doc);
        }
        let mut tight = String::with_capacity(doc.text.len());
        doc.root().write_compact(&mut tight);
        parse::parse(tight, bounds)
    }

    /// Parses bytes that should be UTF-8 JSON.
    ///
    /// # Errors
    /// As [`Doc::parse`], and [`ParseErrorKind::Utf8`].
    pub fn parse_bytes(bytes: &[u8], bounds: &Bounds) -> Result<Self, ParseError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse_within(text.strip_prefix('\u{feff}').unwrap_or(text), bounds),
            Err(error) => Err(ParseError::at(
                bytes,
                error.valid_up_to(),
                ParseErrorKind::Utf8,
            )),
        }
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value::new(self, 0)
    }

    /// The text, without white space between tokens.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text, given away.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Memory that each value takes beside the text.
    pub const VALUE_BYTES: usize = size_of::<Node>();

    /// How many values a JSON text can hold at most, without reading it as JSON: each one but
    /// the outermost begins behind a comma or as the first of an object or array.
    pub fn values_at_most(text: &[u8]) -> usize {
        let mut values = 1;
        let mut opened = false;
        for byte in text {
            values += usize::from(*byte == b',');
            values += usize::from(opened && !matches!(byte, b']' | b'}'));
            opened = matches!(byte, b'[' | b'{');
        }
        values
    }

    /// How many values the document holds, nested ones included.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The value with this [`Value::index`]; `None` if there is none.
    pub fn at(&self, index: u32) -> Option<Value<'_>> {
        ((index as usize) < self.nodes.len()).then(|| Value::new(self, index))
    }

    /// New text in which each span is replaced. Spans come from [`Value::span`], are sorted by
    /// start and do not overlap.
    pub fn splice<S: AsRef<str>>(&self, edits: &[(Range<usize>, S)]) -> String {
        let grown: usize = edits.iter().map(|(_, with)| with.as_ref().len()).sum();
        let mut out = String::with_capacity(self.text.len() + grown);
        let mut from = 0;
        for (span, with) in edits {
            out.push_str(&self.text[from..span.start]);
            out.push_str(with.as_ref());
            from = span.end;
        }
        out.push_str(&self.text[from..]);
        out
    }

    /// The value of the root's `resourceType`, if it is a string.
    pub fn resource_type(&self) -> Option<&str> {
        self.root().get("resourceType")?.plain_str()
    }
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x00..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

#[cfg(test)]
mod tests;
