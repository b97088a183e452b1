//! Writing messages: escapes, empty fields and the character set are its business.

use bytes::Bytes;
use encoding_rs::Encoding;

use crate::{
    message::Delimiters,
    text::{self, Lines},
};

/// A message in the making.
///
/// ```
/// use mllp::{message::Delimiters, write::Writer};
/// let mut writer = Writer::new(Delimiters::default(), encoding_rs::UTF_8, "2.5.1");
/// writer.segment("MSH").text(3, "ROTUNDA").components(9, &["ADT", "A08"]);
/// writer.segment("PID").text(1, "1").components(5, &["O'Neil & Sons", "Ada"]);
/// assert_eq!(
///     &writer.finish()[..],
///     &b"MSH|^~\\&|ROTUNDA||||||ADT^A08\rPID|1||||O'Neil \\T\\ Sons^Ada\r"[..],
/// );
/// ```
#[derive(Debug)]
pub struct Writer {
    text: String,
    delimiters: Delimiters,
    encoding: &'static Encoding,
    version: String,
    fields: Vec<String>,
    name: String,
}

impl Writer {
    /// An empty message.
    pub fn new(delimiters: Delimiters, encoding: &'static Encoding, version: &str) -> Self {
        Self {
            text: String::new(),
            delimiters,
            encoding,
            version: version.to_owned(),
            fields: Vec::new(),
            name: String::new(),
        }
    }

    /// The version of the standard that is written.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Begins a segment; it is written when what this gives is dropped. A header (MSH, FHS, BHS)
    /// has its delimiters by itself.
    pub fn segment(&mut self, name: &str) -> SegmentWriter<'_> {
        self.fields.clear();
        self.name.clear();
        self.name.push_str(name);
        SegmentWriter { writer: self }
    }

    /// All of it, in the character set.
    pub fn finish(self) -> Bytes {
        encode(&self.text, self.encoding)
    }

    /// As text.
    pub fn as_text(&self) -> &str {
        &self.text
    }

    fn end_segment(&mut self) {
        let delimiter = char::from(self.delimiters.field);
        let header = matches!(self.name.as_str(), "MSH" | "FHS" | "BHS");
        self.text.push_str(&self.name);
        let last = self.fields.iter().rposition(|field| !field.is_empty());
        let mut from = 0;
        if header {
            self.text.push(delimiter);
            self.text.push_str(&self.delimiters.marks());
            from = 2;
        }
        for field in self
            .fields
            .get(from..last.map_or(0, |last| last + 1))
            .unwrap_or(&[])
        {
            self.text.push(delimiter);
            self.text.push_str(field);
        }
        self.text.push('\r');
    }
}

/// A segment in the making. Fields may come in any order; those at the end that are empty are not
/// written.
#[derive(Debug)]
pub struct SegmentWriter<'w> {
    writer: &'w mut Writer,
}

impl SegmentWriter<'_> {
    /// The highest field.
    const FIELDS: usize = 255;

    fn slot(&mut self, number: usize) -> &mut String {
        let at = number.clamp(1, Self::FIELDS) - 1;
        let fields = &mut self.writer.fields;
        if fields.len() <= at {
            fields.resize(at + 1, String::new());
        }
        &mut fields[at]
    }

    /// A field that is one text.
    pub fn text(&mut self, number: usize, text: &str) -> &mut Self {
        let escaped = self.escape(text, Lines::Hexadecimal);
        *self.slot(number) = escaped;
        self
    }

    /// A field of formatted text (FT, TX): line ends become `\.br\`.
    pub fn formatted(&mut self, number: usize, text: &str) -> &mut Self {
        let escaped = self.escape(text, Lines::Break);
        *self.slot(number) = escaped;
        self
    }

    /// A field of components.
    pub fn components(&mut self, number: usize, components: &[&str]) -> &mut Self {
        let mut value = Composite::new();
        for (at, component) in components.iter().enumerate() {
            value.set(at + 1, component);
        }
        let written = self.written(&value);
        *self.slot(number) = written;
        self
    }

    /// One more repetition of a field. An empty one is none.
    pub fn repeat(&mut self, number: usize, value: &Composite) -> &mut Self {
        let written = self.written(value);
        if written.is_empty() {
            return self;
        }
        let delimiter = char::from(self.writer.delimiters.repetition);
        let slot = self.slot(number);
        if !slot.is_empty() {
            slot.push(delimiter);
        }
        slot.push_str(&written);
        self
    }

    /// What is to be deleted: `""`.
    pub fn null(&mut self, number: usize) -> &mut Self {
        self.raw(number, "\"\"")
    }

    /// A field as it is to stand in the message, in its delimiters.
    pub fn raw(&mut self, number: usize, text: &str) -> &mut Self {
        text.clone_into(self.slot(number));
        self
    }

    fn escape(&self, text: &str, lines: Lines) -> String {
        text::escape(text, &self.writer.delimiters, lines).into_owned()
    }

    fn written(&self, value: &Composite) -> String {
        let delimiters = &self.writer.delimiters;
        let mut written = String::new();
        let last = value
            .0
            .iter()
            .rposition(|parts| parts.iter().any(|part| !part.is_empty()));
        let components = value.0.iter().take(last.map_or(0, |last| last + 1));
        for (at, parts) in components.enumerate() {
            if at > 0 {
                written.push(char::from(delimiters.component));
            }
            let last = parts.iter().rposition(|part| !part.is_empty());
            for (at, part) in parts
                .iter()
                .take(last.map_or(0, |last| last + 1))
                .enumerate()
            {
                match (at, delimiters.subcomponent) {
                    (0, _) => {}
                    (_, Some(delimiter)) => written.push(char::from(delimiter)),
                    // There is no way to write it.
                    (_, None) => break,
                }
                written.push_str(&self.escape(part, Lines::Hexadecimal));
            }
        }
        written
    }
}

impl Drop for SegmentWriter<'_> {
    fn drop(&mut self) {
        self.writer.end_segment();
    }
}

/// One repetition of a field: components of subcomponents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Composite(Vec<Vec<String>>);

impl Composite {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Components from the first on.
    pub fn of(components: &[&str]) -> Self {
        Self(
            components
                .iter()
                .map(|text| vec![(*text).to_owned()])
                .collect(),
        )
    }

    /// Sets a component, numbered from 1.
    pub fn set(&mut self, component: usize, text: &str) -> &mut Self {
        self.sub(component, 1, text)
    }

    /// Sets a subcomponent of a component, both numbered from 1.
    pub fn sub(&mut self, component: usize, subcomponent: usize, text: &str) -> &mut Self {
        let (component, subcomponent) = (component.max(1), subcomponent.max(1));
        if self.0.len() < component {
            self.0.resize(component, Vec::new());
        }
        let parts = &mut self.0[component - 1];
        if parts.len() < subcomponent {
            parts.resize(subcomponent, String::new());
        }
        text.clone_into(&mut parts[subcomponent - 1]);
        self
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().flatten().all(String::is_empty)
    }
}

/// Text as bytes of a character set; what the set does not have becomes `?`.
pub fn encode(text: &str, encoding: &'static Encoding) -> Bytes {
    if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE {
        let little = encoding == encoding_rs::UTF_16LE;
        let pair = |unit: u16| match little {
            true => unit.to_le_bytes(),
            false => unit.to_be_bytes(),
        };
        return text.encode_utf16().flat_map(pair).collect();
    }
    if encoding == encoding_rs::UTF_8 {
        return Bytes::copy_from_slice(text.as_bytes());
    }
    let mut encoder = encoding.new_encoder();
    let mut bytes = Vec::with_capacity(text.len() + 16);
    let mut rest = text;
    loop {
        let needed = encoder
            .max_buffer_length_from_utf8_without_replacement(rest.len())
            .unwrap_or(rest.len() * 4 + 16);
        bytes.reserve(needed + 16);
        let (result, read) =
            encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut bytes, true);
        rest = &rest[read..];
        match result {
            encoding_rs::EncoderResult::InputEmpty => return Bytes::from(bytes),
            encoding_rs::EncoderResult::OutputFull => {}
            encoding_rs::EncoderResult::Unmappable(_) => {
                if encoding == encoding_rs::ISO_2022_JP {
                    // Back to ASCII, whatever set it was in.
                    bytes.extend_from_slice(b"\x1B(B");
                    encoder = encoding.new_encoder();
                }
                bytes.push(b'?');
            }
        }
    }
}
