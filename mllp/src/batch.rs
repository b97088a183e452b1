//! Files and batches: FHS, BHS, BTS and FTS around messages, or several messages in one text.

use bytes::Bytes;

use crate::message::{Delimiters, Note};

/// What bytes hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The messages, each as it came.
    pub messages: Vec<Part>,
    /// FHS and BHS as they came, in their order: whoever answers a batch needs them.
    pub headers: Vec<Bytes>,
    /// Counts that are wrong, trailers that are missing, lines that belong to no message.
    pub notes: Vec<Note>,
    /// Whether it is one (FHS, BHS or several messages), and not one message.
    pub is_batch: bool,
}

/// A message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it begins in the bytes.
    pub offset: usize,
    /// Its bytes, with its line ends.
    pub raw: Bytes,
    /// BHS-11, by which the sender knows the batch; empty if there is none.
    pub batch: String,
}

enum Line {
    FileHeader,
    BatchHeader,
    Message,
    BatchTrailer,
    FileTrailer,
    Other,
}

/// Divides bytes into messages. Bytes in UTF-16 or with no batch around one message stay whole.
/// Each header has delimiters of its own, so nothing but their names is looked at.
pub fn split(raw: Bytes) -> Batch {
    let mut batch = Batch::default();
    let mut open: Option<usize> = None;
    let mut state = State::default();
    let mut other = 0;
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        let length = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let blank = rest[..length]
            .iter()
            .take_while(|byte| is_lead(**byte))
            .count();
        let start = at + blank;
        let line = &raw[start..at + length];
        let kind = state.meant(kind(line), open.is_some(), &raw[at + length..]);
        if !matches!(kind, Line::Other) {
            if let Some(from) = open.take() {
                batch.push(&raw, from, at, &state);
            }
            state.line(&kind, line, &mut batch);
        }
        match kind {
            Line::FileHeader | Line::BatchHeader => {
                batch.headers.push(raw.slice(start..at + length));
                batch.is_batch = true;
            }
            Line::BatchTrailer | Line::FileTrailer => batch.is_batch = true,
            Line::Message => open = Some(start),
            Line::Other if open.is_none() && !line.is_empty() => other += 1,
            Line::Other => {}
        }
        at += length + 1;
    }
    if let Some(from) = open {
        batch.push(&raw, from, raw.len(), &state);
    }
    if batch.messages.is_empty() && !batch.is_batch {
        // No MSH: what it is, the parser will say.
        batch.messages.push(Part {
            offset: 0,
            raw,
            batch: String::new(),
        });
        return batch;
    }
    state.end(&mut batch);
    if other > 0 {
        batch.note("", format!("{other} lines that belong to no message"));
    }
    if batch.messages.len() == 1 && !batch.is_batch && other == 0 {
        // What stands before MSH and after it is the message's too.
        batch.messages[0].offset = 0;
        batch.messages[0].raw = raw;
    }
    batch.is_batch |= batch.messages.len() > 1;
    batch
}

impl Batch {
    fn push(&mut self, raw: &Bytes, from: usize, to: usize, state: &State) {
        self.messages.push(Part {
            offset: from,
            raw: raw.slice(from..to),
            batch: state
                .batch
                .as_ref()
                .map_or(String::new(), |open| open.id.clone()),
        });
    }

    fn note(&mut self, place: &str, text: String) {
        self.notes.push(Note {
            place: place.to_owned(),
            text,
        });
    }
}

#[derive(Default)]
struct State {
    /// Batches so far, and the one that is open.
    batches: usize,
    batch: Option<Open>,
    file: Option<Open>,
}

struct Open {
    id: String,
    /// How many messages, or batches, were there before.
    before: usize,
}

impl State {
    /// A header is one if what follows it is one, and a trailer if something is open that it
    /// ends: else they are lines of the message that they are in.
    fn meant(&self, kind: Line, in_message: bool, rest: &[u8]) -> Line {
        let is_meant = match kind {
            Line::FileHeader | Line::BatchHeader => match next_kind(rest) {
                Line::Message | Line::BatchHeader => true,
                Line::Other => false,
                _ => !in_message,
            },
            Line::BatchTrailer => self.batches > 0,
            Line::FileTrailer => self.file.is_some() || self.batches > 0,
            Line::Message | Line::Other => true,
        };
        if is_meant { kind } else { Line::Other }
    }

    fn line(&mut self, kind: &Line, line: &[u8], batch: &mut Batch) {
        match kind {
            Line::FileHeader => {
                if self.file.is_some() {
                    batch.note("FTS", "a file begins within a file".to_owned());
                }
                self.file = Some(Open {
                    id: field(line, 11),
                    before: self.batches,
                });
            }
            Line::BatchHeader => {
                if self.batch.is_some() {
                    batch.note(
                        "BTS",
                        "a batch begins before the one before it ends".to_owned(),
                    );
                }
                self.batches += 1;
                self.batch = Some(Open {
                    id: field(line, 11),
                    before: batch.messages.len(),
                });
            }
            Line::BatchTrailer => match self.batch.take() {
                Some(open) => {
                    let there = batch.messages.len() - open.before;
                    check(batch, "BTS-1", &field(line, 1), there, "messages");
                }
                None => batch.note("BTS", "a batch ends that did not begin".to_owned()),
            },
            Line::FileTrailer => match self.file.take() {
                Some(open) => {
                    let there = self.batches - open.before;
                    check(batch, "FTS-1", &field(line, 1), there, "batches");
                }
                None => batch.note("FTS", "a file ends that did not begin".to_owned()),
            },
            Line::Message | Line::Other => {}
        }
    }

    fn end(&self, batch: &mut Batch) {
        if self.batch.is_some() {
            batch.note("BTS", "the batch has no end: it may be cut off".to_owned());
        }
        if self.file.is_some() {
            batch.note("FTS", "the file has no end: it may be cut off".to_owned());
        }
    }
}

fn check(batch: &mut Batch, place: &str, said: &str, there: usize, what: &str) {
    let said = said.trim();
    if !said.is_empty() && said.parse() != Ok(there) {
        batch.note(
            place,
            format!("says `{said}` {what}, and there are {there}"),
        );
    }
}

fn kind(line: &[u8]) -> Line {
    let Some((name, rest)) = line.split_at_checked(3) else {
        return Line::Other;
    };
    let delimited = rest.first().is_none_or(u8::is_ascii_punctuation);
    match name {
        b"MSH" if rest.first().is_some_and(u8::is_ascii_punctuation) => Line::Message,
        b"FHS" if delimited => Line::FileHeader,
        b"BHS" if delimited => Line::BatchHeader,
        b"BTS" if delimited => Line::BatchTrailer,
        b"FTS" if delimited => Line::FileTrailer,
        _ => Line::Other,
    }
}

/// The kind of the next line with something in it; at the end, a trailer.
fn next_kind(rest: &[u8]) -> Line {
    let lines = rest.split(|byte| matches!(byte, b'\r' | b'\n'));
    let mut lines = lines.map(|line| {
        let blank = line.iter().take_while(|byte| is_lead(**byte)).count();
        &line[blank..]
    });
    lines
        .find(|line| !line.is_empty())
        .map_or(Line::FileTrailer, kind)
}

/// What may stand before a header in its line: blanks, VT, a byte order mark.
fn is_lead(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0B | 0 | 0x1C | 0xEF | 0xBB | 0xBF)
}

/// A field of a header or trailer, by its number.
fn field(line: &[u8], number: usize) -> String {
    let Some(delimiter) = line.get(3) else {
        return String::new();
    };
    let header = matches!(line[..3], [b'F' | b'B', b'H', b'S']);
    let index = if header { number - 1 } else { number };
    let value = line.split(|byte| byte == delimiter).nth(index);
    String::from_utf8_lossy(value.unwrap_or(b"")).into_owned()
}

/// FHS and BHS before, BTS and FTS after messages, as one text.
pub fn join(delimiters: Delimiters, id: &str, messages: &[Bytes]) -> Bytes {
    let mut writer = crate::write::Writer::new(delimiters, encoding_rs::UTF_8, "");
    writer.segment("BHS").text(11, id);
    let mut bytes = writer.finish().to_vec();
    for message in messages {
        bytes.extend_from_slice(message);
        if !message.ends_with(b"\r") {
            bytes.push(b'\r');
        }
    }
    let mut writer = crate::write::Writer::new(delimiters, encoding_rs::UTF_8, "");
    writer.segment("BTS").text(1, &messages.len().to_string());
    bytes.extend_from_slice(&writer.finish());
    Bytes::from(bytes)
}
