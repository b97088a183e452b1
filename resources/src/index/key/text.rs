//! Text without what searches do not look at.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Text as searches compare it: lower case, without accents, white space folded to single
/// blanks, none at the ends.
pub fn normalise(text: &str) -> String {
    if text.is_ascii() && is_folded(text) {
        return text.to_ascii_lowercase();
    }
    let mut out = String::with_capacity(text.len());
    if text.is_ascii() {
        text.bytes()
            .for_each(|byte| push_folded(&mut out, byte.to_ascii_lowercase() as char));
    } else {
        for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
            for lower in c.to_lowercase() {
                match base_letter(lower) {
                    Some(letters) => out.push_str(letters),
                    None if is_combining_mark(lower) => {}
                    None => push_folded(&mut out, lower),
                }
            }
        }
    }
    if out.ends_with(' ') {
        out.pop();
    }
    out
}

/// Text of tokens that have no case: R4 has servers compare them without it when in doubt
/// (`search.html#token`).
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Whether ASCII text has no white space but single blanks between words.
fn is_folded(text: &str) -> bool {
    let mut last = b' ';
    for byte in text.bytes() {
        if byte < b' ' || byte == 0x7f || (byte == b' ' && last == b' ') {
            return false;
        }
        last = byte;
    }
    last != b' '
}

fn push_folded(out: &mut String, c: char) {
    if !c.is_whitespace() && !c.is_control() {
        out.push(c);
    } else if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// Letters that carry their accent without Unicode's decomposition saying so.
fn base_letter(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}
