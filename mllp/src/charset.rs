//! Character sets: what MSH-18 says, what the bytes are, and text of them.

use encoding_rs::Encoding;

use crate::message::{Note, Reading};

/// Bytes as text.
pub(crate) struct Decoded {
    pub text: String,
    pub encoding: &'static Encoding,
}

/// Table 0211, as far as it is known here.
enum Named {
    One(&'static Encoding),
    Ascii,
    /// Sets of one byte and of two, changed by escape sequences (ISO 2022).
    Switched,
    Unknown,
}

fn named(name: &str) -> Named {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    Named::One(match plain.as_str() {
        "ASCII" | "ISOIR6" | "USASCII" => return Named::Ascii,
        "ISOIR14" | "ISOIR87" | "ISOIR159" | "ISO2022JP" => return Named::Switched,
        "88591" | "ISO88591" | "ISOIR100" | "LATIN1" => encoding_rs::WINDOWS_1252,
        "88592" | "ISOIR101" => encoding_rs::ISO_8859_2,
        "88593" | "ISOIR109" => encoding_rs::ISO_8859_3,
        "88594" | "ISOIR110" => encoding_rs::ISO_8859_4,
        "88595" | "ISOIR144" => encoding_rs::ISO_8859_5,
        "88596" | "ISOIR127" => encoding_rs::ISO_8859_6,
        "88597" | "ISOIR126" => encoding_rs::ISO_8859_7,
        "88598" | "ISOIR138" => encoding_rs::ISO_8859_8_I,
        "88599" | "ISOIR148" => encoding_rs::WINDOWS_1254,
        "885910" => encoding_rs::ISO_8859_10,
        "885911" | "ISOIR166" => encoding_rs::WINDOWS_874,
        "885913" => encoding_rs::ISO_8859_13,
        "885914" => encoding_rs::ISO_8859_14,
        "885915" => encoding_rs::ISO_8859_15,
        "885916" => encoding_rs::ISO_8859_16,
        "UNICODE" | "UNICODEUTF8" | "UTF8" | "UTF" => encoding_rs::UTF_8,
        "UNICODEUTF16" | "UTF16" => encoding_rs::UTF_16BE,
        "GB180302000" | "GB18030" | "GB2312" | "GBK" | "ISOIR58" => encoding_rs::GB18030,
        "BIG5" => encoding_rs::BIG5,
        "KSX1001" | "ISOIR149" | "EUCKR" => encoding_rs::EUC_KR,
        _ => match Encoding::for_label(name.trim().as_bytes()) {
            Some(encoding) => encoding,
            None => return Named::Unknown,
        },
    })
}

/// The character set of a name of table 0211, or of the web.
pub fn named_encoding(name: &str) -> Option<&'static Encoding> {
    match named(name) {
        Named::One(encoding) => Some(encoding),
        Named::Ascii => Some(encoding_rs::WINDOWS_1252),
        Named::Switched | Named::Unknown => None,
    }
}

/// Reads bytes as what MSH-18 says, or the setting if it says nothing, or else what they are.
pub(crate) fn decode(raw: &[u8], reading: &Reading, notes: &mut Vec<Note>) -> Decoded {
    let mut note = |text: String| {
        notes.push(Note {
            place: "MSH-18".to_owned(),
            text,
        });
    };
    if let Some(encoding) = utf16(raw) {
        let (text, broken) = encoding.decode_without_bom_handling(raw);
        if broken {
            note("UTF-16 with halves of characters, which are lost".to_owned());
        }
        let text = text.into_owned();
        let says = text_of_header(text.trim_start_matches(is_lead).as_bytes());
        if let Some(says) = says
            .first()
            .filter(|says| !says.to_uppercase().contains("16"))
        {
            note(format!("the bytes are UTF-16, not `{says}`"));
        }
        return Decoded { text, encoding };
    }
    let start = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
    let lead = start.iter().position(|byte| !is_lead(char::from(*byte)));
    let declared = text_of_header(&start[lead.unwrap_or(0)..]);
    let first = declared.first().map_or("", |name| name.trim());
    if raw.is_ascii() && memchr::memchr(ESCAPE, raw).is_none() {
        // Nothing to decide, but for the answer.
        let encoding = match named(first) {
            Named::One(encoding) if encoding.is_ascii_compatible() => encoding,
            Named::Switched => encoding_rs::ISO_2022_JP,
            Named::One(_) => {
                note(format!("the bytes are ASCII, not `{first}`"));
                encoding_rs::UTF_8
            }
            Named::Unknown if !first.is_empty() => {
                note(format!("no character set `{first}` is known here"));
                reading.charset
            }
            _ if reading.charset.is_ascii_compatible() => reading.charset,
            _ => encoding_rs::UTF_8,
        };
        let text = String::from_utf8_lossy(raw).into_owned();
        return Decoded { text, encoding };
    }
    let wanted = match named(first) {
        _ if declared.len() > 1 && !is_utf8(first) => return switched(raw, &declared, &mut note),
        Named::Switched => return switched(raw, &declared, &mut note),
        _ if !is_utf8(first) && has_designator(raw) => {
            note("escape sequences of ISO 2022 that MSH-18 does not tell of".to_owned());
            return switched(raw, &declared, &mut note);
        }
        Named::One(encoding) if encoding.is_ascii_compatible() => encoding,
        Named::One(_) => {
            note(format!("the bytes are not `{first}`"));
            reading.charset
        }
        Named::Ascii if raw.is_ascii() => encoding_rs::UTF_8,
        Named::Ascii => {
            note(format!("bytes above 127, and MSH-18 says `{first}`"));
            reading.charset
        }
        Named::Unknown => {
            if !first.is_empty() {
                note(format!("no character set `{first}` is known here"));
            }
            reading.charset
        }
    };
    // Latin-1 that happens to be UTF-8 is UTF-8.
    if wanted == encoding_rs::WINDOWS_1252
        && let Ok(text) = std::str::from_utf8(raw)
    {
        if !text.is_ascii() {
            note("the bytes are UTF-8, not Latin-1".to_owned());
        }
        return Decoded {
            text: text.to_owned(),
            encoding: encoding_rs::UTF_8,
        };
    }
    let tries = [wanted, encoding_rs::UTF_8, reading.fallback];
    for encoding in tries {
        let text = encoding.decode_without_bom_handling_and_without_replacement(raw);
        if let Some(text) = text {
            if encoding != wanted {
                let (wanted, encoding) = (wanted.name(), encoding.name());
                note(format!("the bytes are not {wanted}: read as {encoding}"));
            }
            return Decoded {
                text: text.into_owned(),
                encoding,
            };
        }
    }
    let (text, _) = reading.fallback.decode_without_bom_handling(raw);
    note(format!(
        "the bytes are neither {} nor {}: what is neither is lost from the text",
        wanted.name(),
        reading.fallback.name(),
    ));
    Decoded {
        text: text.into_owned(),
        encoding: reading.fallback,
    }
}

/// What may stand before MSH.
pub(crate) fn is_lead(c: char) -> bool {
    matches!(c, '\u{FEFF}' | '\r' | '\n' | '\t' | '\u{B}' | ' ' | '\0')
}

fn is_utf8(name: &str) -> bool {
    matches!(named(name), Named::One(encoding) if encoding == encoding_rs::UTF_8)
}

/// Whether it is UTF-16, and with which byte first.
fn utf16(raw: &[u8]) -> Option<&'static Encoding> {
    let mut rest = raw;
    loop {
        match rest {
            [0xFF, 0xFE, ..] | [b'A'..=b'Z', 0, b'A'..=b'Z', 0, ..] => {
                return Some(encoding_rs::UTF_16LE);
            }
            [0xFE, 0xFF, ..] | [0, b'A'..=b'Z', 0, b'A'..=b'Z', ..] => {
                return Some(encoding_rs::UTF_16BE);
            }
            [b'\r' | b'\n' | b' ' | 0x0B, 0, more @ ..]
            | [0, b'\r' | b'\n' | b' ' | 0x0B, more @ ..] => rest = more,
            _ => return None,
        }
    }
}

/// The repetitions of MSH-18, from what begins with MSH. None if it is empty.
fn text_of_header(start: &[u8]) -> Vec<String> {
    let (Some(field), Some(repetition)) = (start.get(3), start.get(5)) else {
        return Vec::new();
    };
    if !start[..3].eq_ignore_ascii_case(b"MSH") {
        return Vec::new();
    }
    let length = memchr::memchr2(b'\r', b'\n', start).unwrap_or(start.len());
    let mut fields = start[..length].split(|byte| byte == field);
    // The first is MSH, the second MSH-2.
    let Some(value) = fields.nth(17).filter(|value| !value.is_empty()) else {
        return Vec::new();
    };
    let names = value.split(|byte| byte == repetition);
    names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .take(16)
        .collect()
}

const ESCAPE: u8 = 0x1B;

/// A set that bytes stand for, of those that ISO 2022 changes between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Set {
    Ascii,
    /// JIS X 0201, its right half.
    Katakana,
    /// JIS X 0208.
    Kanji,
    /// JIS X 0212.
    MoreKanji,
    Korean,
    Chinese,
    One(&'static Encoding),
}

/// What follows ESC, whether it is about bytes above 127, and what they become.
const DESIGNATORS: &[(&[u8], bool, Set)] = &[
    (b"(B", false, Set::Ascii),
    (b"(J", false, Set::Ascii),
    (b"(I", false, Set::Katakana),
    (b")I", true, Set::Katakana),
    (b"$B", false, Set::Kanji),
    (b"$@", false, Set::Kanji),
    (b"$(B", false, Set::Kanji),
    (b"$(D", false, Set::MoreKanji),
    (b"$)C", true, Set::Korean),
    (b"$)A", true, Set::Chinese),
    (b"-A", true, Set::One(encoding_rs::WINDOWS_1252)),
    (b"-B", true, Set::One(encoding_rs::ISO_8859_2)),
    (b"-C", true, Set::One(encoding_rs::ISO_8859_3)),
    (b"-D", true, Set::One(encoding_rs::ISO_8859_4)),
    (b"-L", true, Set::One(encoding_rs::ISO_8859_5)),
    (b"-G", true, Set::One(encoding_rs::ISO_8859_6)),
    (b"-F", true, Set::One(encoding_rs::ISO_8859_7)),
    (b"-H", true, Set::One(encoding_rs::ISO_8859_8_I)),
    (b"-M", true, Set::One(encoding_rs::WINDOWS_1254)),
    (b"-T", true, Set::One(encoding_rs::WINDOWS_874)),
    (b"-b", true, Set::One(encoding_rs::ISO_8859_15)),
];

/// What bytes after ESC change: their length, whether it is about bytes above 127, and the set.
pub(crate) fn designator(after: &[u8]) -> Option<(usize, bool, Set)> {
    let found = DESIGNATORS
        .iter()
        .find(|(mark, ..)| after.starts_with(mark));
    found.map(|(mark, high, set)| (mark.len(), *high, *set))
}

fn has_designator(raw: &[u8]) -> bool {
    memchr::memchr_iter(ESCAPE, raw).any(|at| designator(&raw[at + 1..]).is_some())
}

impl Set {
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Ascii | Self::Katakana | Self::One(_) => 1,
            _ => 2,
        }
    }

    /// The text of one character.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut String) -> bool {
        let high: Vec<u8> = bytes.iter().map(|byte| byte | 0x80).collect();
        let (encoding, bytes) = match (self, high.as_slice()) {
            (Self::Ascii, _) => {
                out.push(char::from(bytes[0] & 0x7F));
                return true;
            }
            (Self::Katakana, [byte @ 0xA1..=0xDF]) => {
                let c = char::from_u32(0xFF61 + u32::from(byte - 0xA1));
                out.extend(c);
                return c.is_some();
            }
            (Self::MoreKanji, [first, second]) => {
                (encoding_rs::EUC_JP, vec![0x8F, *first, *second])
            }
            (Self::Kanji, _) => (encoding_rs::EUC_JP, high),
            (Self::Korean, _) => (encoding_rs::EUC_KR, high),
            (Self::Chinese, _) => (encoding_rs::GBK, high),
            (Self::One(encoding), _) => (encoding, high),
            (Self::Katakana | Self::MoreKanji, _) => return false,
        };
        match encoding.decode_without_bom_handling_and_without_replacement(&bytes) {
            Some(text) => {
                out.push_str(&text);
                true
            }
            None => false,
        }
    }
}

/// Text of several sets. Each line begins with the first of them.
fn switched(raw: &[u8], declared: &[String], note: &mut dyn FnMut(String)) -> Decoded {
    let first = declared.first().map_or("", |name| name.trim());
    let mut encoding = encoding_rs::ISO_2022_JP;
    let start = match named(first) {
        Named::One(found) if found == encoding_rs::EUC_KR => Set::Korean,
        Named::One(found) if found == encoding_rs::GB18030 => Set::Chinese,
        Named::One(found) if found.is_single_byte() => Set::One(found),
        _ if declared
            .iter()
            .any(|name| matches!(named(name), Named::Switched)) =>
        {
            Set::Katakana
        }
        _ => Set::One(encoding_rs::WINDOWS_1252),
    };
    if let Named::One(found) = named(first)
        && found.is_ascii_compatible()
    {
        encoding = found;
    }
    for name in declared {
        if matches!(named(name), Named::Unknown) && !name.trim().is_empty() {
            note(format!("no character set `{}` is known here", name.trim()));
        }
    }
    let mut text = String::with_capacity(raw.len() + raw.len() / 2);
    let (mut low, mut high) = (Set::Ascii, start);
    let mut lost = 0;
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        if byte == ESCAPE
            && let Some((length, is_high, set)) = designator(&raw[at + 1..])
        {
            match is_high {
                true => high = set,
                false => low = set,
            }
            at += 1 + length;
            continue;
        }
        if byte <= 0x20 || byte == 0x7F {
            if matches!(byte, b'\r' | b'\n') {
                (low, high) = (Set::Ascii, start);
            }
            text.push(char::from(byte));
            at += 1;
            continue;
        }
        let set = if byte < 0x80 { low } else { high };
        let bytes = raw.get(at..at + set.width()).unwrap_or(&raw[at..=at]);
        // The second of two is not a line end: the first was then alone.
        let whole = bytes.len() == set.width() && bytes.iter().all(|byte| byte & 0x7F > 0x20);
        if whole && set.decode(bytes, &mut text) {
            at += bytes.len();
        } else {
            lost += 1;
            text.push(char::REPLACEMENT_CHARACTER);
            at += 1;
        }
    }
    if lost > 0 {
        note(format!(
            "{lost} bytes are of no character set, and are lost from the text"
        ));
    }
    Decoded { text, encoding }
}

/// The set of a name of table 0211, to write in; UTF-8 if there is none.
pub(crate) fn encoding(name: &str) -> &'static Encoding {
    match named(name) {
        Named::One(encoding) => encoding,
        Named::Switched => encoding_rs::ISO_2022_JP,
        Named::Ascii | Named::Unknown => match name.trim_start().starts_with('~') {
            // Several sets, of which the first is ASCII.
            true => encoding_rs::ISO_2022_JP,
            false => encoding_rs::UTF_8,
        },
    }
}
