//! Escapes: how text stands within delimiters, and how it is read.

use std::borrow::Cow;

use crate::message::Delimiters;

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
