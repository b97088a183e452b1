//! The ids of what has none: made from content, so that neither the name of a file nor what else
//! stands in it matters.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};

/// What ids are made from: the content of a JSON text, and how many equal ones came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed([u8; 16]);

impl Seed {
    /// The seed of the first text with this content.
    pub fn of(text: &str) -> Self {
        Seeds::default().next(text.as_bytes())
    }

    /// The id of what stands at `place`, in the form of a UUID (version 8). A resource that
    /// stands alone has the place 0.
    pub fn id(&self, place: usize) -> String {
        let mut hash = Context::new(&SHA256);
        hash.update(&self.0);
        hash.update(&(place as u64).to_be_bytes());
        uuid::Builder::from_custom_bytes(short(hash))
            .into_uuid()
            .to_string()
    }
}

/// Gives seeds to the texts of one file, in their order.
///
/// Equal texts get different seeds: they are resources of their own. What is remembered of a text
/// is a number; two texts with the same one only count as equal.
#[derive(Debug, Default)]
pub struct Seeds {
    seen: HashMap<u64, u32>,
}

impl Seeds {
    /// The seed of the next text.
    pub fn next(&mut self, text: &[u8]) -> Seed {
        let content = content(text);
        let number = content[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        let before = self.seen.entry(number).or_default();
        let mut hash = Context::new(&SHA256);
        hash.update(&content);
        hash.update(&before.to_be_bytes());
        *before += 1;
        Seed(short(hash))
    }
}

/// The hash of a JSON text without the white space between its tokens.
fn content(text: &[u8]) -> [u8; 16] {
    let mut hash = Context::new(&SHA256);
    let (mut from, mut at) = (0, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at + 1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                hash.update(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    hash.update(text.get(from..).unwrap_or_default());
    short(hash)
}

/// True if the outermost object of a JSON text has the member `id`: a look that is much cheaper
/// than reading the text, and ends early where `id` comes first.
pub fn has_id(text: &[u8]) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let end = string_end(text, at + 1);
                if depth == 1 && text.get(at + 1..end) == Some(b"id") && is_name(text, end + 1) {
                    return true;
                }
                at = end;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

fn is_name(text: &[u8], end: usize) -> bool {
    let mut rest = text.get(end..).unwrap_or_default().iter();
    rest.find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// Where the string of a JSON text ends whose first letter is at `from`.
pub fn string_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn short(hash: Context) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finish().as_ref()[..16]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_follow_the_content_and_count_what_is_equal() {
        let mut seeds = Seeds::default();
        let mut next = |text: &str| seeds.next(text.as_bytes());
        let first = next(r#"{"a":"x y","b":[1]}"#);
        assert_eq!(first, Seed::of("{ \"a\" : \"x y\",\n\t\"b\":[ 1 ] }\r\n"));
        for other in [
            r#"{"a":"x y","b":[1]}"#,
            r#"{"a":"xy","b":[1]}"#,
            r#"{"a":"x \" y","b":[1]}"#,
            "{\"a\":\"x \\\" y\",\"b\":[1]} ",
        ] {
            assert_ne!(next(other), first, "{other}");
        }
        assert_ne!(first.id(0), first.id(1));
        assert_eq!(first.id(1).len(), 36);
    }

    #[test]
    fn only_an_id_of_the_outermost_object_counts() {
        for (text, expected) in [
            (r#"{"resourceType":"Patient","id":"a"}"#, true),
            (r#"{"x":{"id":"b"},"y":["\\"], "id" : "a"}"#, true),
            (r#"{"x":"id","contained":[{"id":"b"}]}"#, false),
            (r#"{"x":"\"id\":","y":1}"#, false),
            (r#"{"_id":1,"ids":2}"#, false),
            (r#"["id"]"#, false),
            (r#"{"id"#, false),
            ("", false),
        ] {
            assert_eq!(has_id(text.as_bytes()), expected, "{text}");
        }
    }
}
