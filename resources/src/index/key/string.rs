//! Strings: found by the beginning of their normalised text, by any part of it, or exactly.

use super::{MAX_STRING, cut, hash8, normalise, space};

/// The longest normalised text in a string's key, in bytes. Longer ones go on in pieces.
pub const MAX_NORMAL: usize = 512;
/// The longest text that is sure to lie within one piece wherever it is, in bytes.
pub const MAX_CONTAINED: usize = MAX_NORMAL / 2;

/// Stands before the hash of a text that was cut. No normalised text has it.
const CUT: u8 = 1;

/// A string: its normalised text, and its own.
pub fn string(text: &str) -> Vec<u8> {
    whole_and_exact(&normalise(text), text)
}

/// The key of a string and its [`string_pieces`].
pub fn string_and_pieces(text: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let normalised = normalise(text);
    (whole_and_exact(&normalised, text), pieces(&normalised))
}

fn whole_and_exact(normalised: &str, text: &str) -> Vec<u8> {
    let mut key = whole(normalised, text.len().min(MAX_STRING));
    let from = key.len();
    if text.len() <= MAX_STRING {
        key.extend(text.as_bytes());
    } else {
        key.extend(cut(text, MAX_STRING - 16).as_bytes());
        push_hash(&mut key, text);
    }
    // A zero byte, which no FHIR string may hold, ends the normalised text.
    for byte in key[from..].iter_mut().filter(|byte| **byte == 0) {
        *byte = b' ';
    }
    key
}

/// What the keys of strings begin with whose normalised text begins with that of `text`, which
/// must not be longer than [`MAX_NORMAL`].
pub fn string_prefix(text: &str) -> Vec<u8> {
    let mut key = vec![space::STRING];
    key.extend(cut(&normalise(text), MAX_NORMAL).as_bytes());
    key
}

/// What the keys of strings begin with whose normalised text is that of `text`.
pub fn string_whole(text: &str) -> Vec<u8> {
    whole(&normalise(text), 0)
}

fn whole(normalised: &str, room: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + normalised.len().min(MAX_NORMAL + 17) + room);
    key.push(space::STRING);
    key.extend(cut(normalised, MAX_NORMAL).as_bytes());
    if normalised.len() > MAX_NORMAL {
        key.push(CUT);
        push_hash(&mut key, normalised);
    }
    key.push(0);
    key
}

/// The pieces of a text that is too long for its key. Each begins in the middle of the one before,
/// the first in the middle of the key.
pub fn string_pieces(text: &str) -> Vec<Vec<u8>> {
    pieces(&normalise(text))
}

fn pieces(normalised: &str) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut from = MAX_CONTAINED;
    let mut reached = MAX_NORMAL;
    while reached < normalised.len() {
        reached = from + MAX_NORMAL;
        let start = normalised.floor_char_boundary(from);
        let mut key = vec![space::STRING_PIECE];
        key.extend(cut(&normalised[start..], reached - start).as_bytes());
        if reached >= normalised.len() {
            key.push(0);
        }
        pieces.push(key);
        from += MAX_CONTAINED;
    }
    pieces
}

/// A hash in letters that no normalised text has, so that nothing is found in it.
fn push_hash(key: &mut Vec<u8>, text: &str) {
    let letters = hash8(text);
    key.extend(
        letters
            .iter()
            .flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]),
    );
}
