//! Escapes: how text stands within delimiters, and how it is read.

use std::borrow::Cow;

use encoding_rs::Encoding;

use crate::{
    charset::{Set, designator},
    message::Delimiters,
};

/// How a line end within a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// As `\X0D\`, `\X0A\`: what it is.
    Hexadecimal,
    /// As `\.br\`: in formatted text.
    Break,
}

/// Text as it stands in a message. Without an escape character, delimiters become spaces.
pub fn escape<'t>(text: &'t str, delimiters: &Delimiters, lines: Lines) -> Cow<'t, str> {
    let is_special = |byte: u8| byte < 0x20 && byte != b'\t' || delimiters.name_of(byte).is_some();
    let Some(first) = text.bytes().position(is_special) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    let mut chars = text[first..].chars().peekable();
    while let Some(c) = chars.next() {
        let byte = u8::try_from(c).unwrap_or(b' ');
        if !c.is_ascii() || !is_special(byte) {
            out.push(c);
            continue;
        }
        let Some(mark) = delimiters.escape.map(char::from) else {
            out.push(' ');
            continue;
        };
        out.push(mark);
        match (delimiters.name_of(byte), c) {
            (Some(name), _) => out.push(name),
            (_, '\r' | '\n') if lines == Lines::Break => {
                if c == '\r' && chars.peek() == Some(&'\n') {
                    chars.next();
                }
                out.push_str(".br");
            }
            _ => {
                out.push('X');
                for half in [byte >> 4, byte & 15] {
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
                }
            }
        }
        out.push(mark);
    }
    Cow::Owned(out)
}

/// Text of what stands in a message. What is no escape sequence stays as it is; `complain` is told
/// of it.
pub(crate) fn unescape<'t>(
    raw: &'t str,
    delimiters: &Delimiters,
    encoding: &'static Encoding,
    complain: &mut dyn FnMut(String),
) -> Cow<'t, str> {
    let Some(mark) = delimiters.escape else {
        return Cow::Borrowed(raw);
    };
    let Some(first) = memchr::memchr(mark, raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let mut reader = Reader {
        out: String::with_capacity(raw.len()),
        bytes: Vec::new(),
        encoding,
        low: Set::Ascii,
    };
    reader.literal(&raw[..first], complain);
    let mut rest = &raw[first..];
    while !rest.is_empty() {
        // The rest begins with the mark.
        let body = memchr::memchr(mark, &rest.as_bytes()[1..]).map(|length| &rest[1..=length]);
        let taken = match body {
            Some(body) if reader.sequence(body, delimiters, complain) => body.len() + 2,
            Some(body) => {
                complain(format!("`{body}` is no escape sequence: kept as text"));
                reader.literal(&rest[..1], complain);
                1
            }
            None => {
                complain("an escape sequence without an end: kept as text".to_owned());
                reader.literal(&rest[..1], complain);
                1
            }
        };
        rest = &rest[taken..];
        let next = memchr::memchr(mark, rest.as_bytes()).unwrap_or(rest.len());
        reader.literal(&rest[..next], complain);
        rest = &rest[next..];
    }
    reader.flush(complain);
    Cow::Owned(reader.out)
}

struct Reader {
    out: String,
    /// Of `\X..\`, not yet decoded: a character may be in two sequences.
    bytes: Vec<u8>,
    encoding: &'static Encoding,
    /// What letters stand for after `\C..\` or `\M..\`.
    low: Set,
}

impl Reader {
    fn literal(&mut self, text: &str, complain: &mut dyn FnMut(String)) {
        if text.is_empty() {
            return;
        }
        self.flush(complain);
        if self.low == Set::Ascii {
            self.out.push_str(text);
            return;
        }
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let width = self.low.width();
            let bytes = rest.as_bytes().get(..width);
            let graphic = bytes.filter(|bytes| bytes.iter().all(u8::is_ascii_graphic));
            match graphic {
                Some(bytes) if self.low.decode(bytes, &mut self.out) => rest = &rest[width..],
                _ => {
                    self.out.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
    }

    /// What is between two marks; false if it is no sequence.
    fn sequence(
        &mut self,
        body: &str,
        delimiters: &Delimiters,
        complain: &mut dyn FnMut(String),
    ) -> bool {
        if let Some(digits) = body.strip_prefix('X') {
            let Some(bytes) = hexadecimal(digits) else {
                return false;
            };
            self.bytes.extend(bytes);
            return true;
        }
        let text = match body {
            "F" => char::from(delimiters.field),
            "S" => char::from(delimiters.component),
            "R" => char::from(delimiters.repetition),
            "T" => char::from(delimiters.subcomponent.unwrap_or(b'&')),
            "E" => char::from(delimiters.escape.unwrap_or(b'\\')),
            "P" => char::from(delimiters.truncation.unwrap_or(b'#')),
            // Highlighting begins and ends.
            "H" | "N" => return true,
            _ => return self.other(body, delimiters, complain),
        };
        self.flush(complain);
        self.out.push(text);
        true
    }

    fn other(
        &mut self,
        body: &str,
        delimiters: &Delimiters,
        complain: &mut dyn FnMut(String),
    ) -> bool {
        if let Some(command) = body.strip_prefix('.') {
            let Some(text) = formatting(command) else {
                return false;
            };
            self.flush(complain);
            self.out.push_str(&text);
            return true;
        }
        if let Some(digits) = body.strip_prefix(['C', 'M'])
            && let Some(bytes) = hexadecimal(digits)
        {
            return match designator(&bytes) {
                Some((length, false, set)) if length == bytes.len() => {
                    self.flush(complain);
                    self.low = set;
                    true
                }
                _ => false,
            };
        }
        // Of the sender's own; nobody else knows it.
        if body.len() > 1
            && body.starts_with('Z')
            && body.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            self.flush(complain);
            let mark = char::from(delimiters.escape.unwrap_or(b'\\'));
            self.out.push(mark);
            self.out.push_str(body);
            self.out.push(mark);
            return true;
        }
        false
    }

    fn flush(&mut self, complain: &mut dyn FnMut(String)) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let decode = |encoding: &'static Encoding| {
            encoding.decode_without_bom_handling_and_without_replacement(&bytes)
        };
        // In UTF-16 and in no set at all, a byte is a byte.
        let narrow = match self.encoding.is_ascii_compatible() {
            true => self.encoding,
            false => encoding_rs::UTF_8,
        };
        match decode(narrow) {
            Some(text) => self.out.push_str(&text),
            None => {
                let name = narrow.name();
                complain(format!(
                    "bytes of `\\X..\\` are not {name}: read as Latin-1"
                ));
                let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(&bytes);
                self.out.push_str(&text);
            }
        }
    }
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks(2)
        .map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8))
        .collect()
}

/// A command of formatted text, as plain text.
fn formatting(command: &str) -> Option<String> {
    const MOST: usize = 200;
    let (name, argument) = command.split_at_checked(2)?;
    let argument = argument.trim();
    let number = match argument.strip_prefix('+').unwrap_or(argument) {
        "" => 1,
        digits => digits.parse::<i32>().ok()?,
    };
    let times = usize::try_from(number).unwrap_or(0).min(MOST);
    Some(match name {
        "br" if argument.is_empty() => "\n".to_owned(),
        "ce" if argument.is_empty() => "\n".to_owned(),
        "sp" => "\n".repeat(times),
        "sk" => " ".repeat(times),
        "in" | "ti" | "fi" | "nf" => String::new(),
        _ => return None,
    })
}
