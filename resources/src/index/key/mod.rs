//! Index keys: the one place that knows their layout.
//!
//! Extraction builds keys here and search builds the bounds of its ranges here, so that both
//! agree. The first byte of a key is its [`space`]; the rest compares with memcmp in the order of
//! the values. Keys are stored: a change of any layout needs a reindex of every database.

mod place;
mod range;
mod string;
mod text;

pub use place::{FACE_BITS, FACES, PLACE_BITS, Vector, corners, place, unit, vector};
pub use range::{
    BOUND, bound, number_fixed, number_range, quantity_range, quantity_range_canonical,
};
pub use string::{
    MAX_CONTAINED, MAX_NORMAL, string, string_and_pieces, string_pieces, string_prefix,
    string_whole,
};
pub use text::{fold, normalise};

use crate::{
    model::ResourceType,
    primitive::{DateRange, Decimal},
};

/// The first byte of a key: what the rest of it is.
pub mod space {
    /// Date: `lo` `hi`.
    pub const DATE: u8 = 0x10;
    /// Date, for ranges wider than [`super::WIDE_DATE`] only: `hi` `lo`.
    pub const DATE_WIDE: u8 = 0x11;
    /// Token: code `00` system.
    pub const TOKEN: u8 = 0x20;
    /// Normalised text of a token.
    pub const TOKEN_TEXT: u8 = 0x21;
    /// Identifier by type: hash of the type's system, of its code, value.
    pub const TOKEN_OF_TYPE: u8 = 0x22;
    /// Local reference: type number (two bytes) and id.
    pub const REFERENCE: u8 = 0x30;
    /// Any other reference: URL `00` version.
    pub const REFERENCE_URL: u8 = 0x31;
    /// Logical reference: identifier's value `00` system.
    pub const REFERENCE_IDENTIFIER: u8 = 0x32;
    /// String: normalised text `00` text.
    pub const STRING: u8 = 0x40;
    /// Piece of a normalised text that is too long for its key in [`STRING`]; `00` ends the last.
    pub const STRING_PIECE: u8 = 0x41;
    /// URI.
    pub const URI: u8 = 0x50;
    /// Number: decimal.
    pub const NUMBER: u8 = 0x60;
    /// Quantity as written: decimal, hash of code, of unit text, of system.
    pub const QUANTITY: u8 = 0x61;
    /// Quantity in canonical UCUM units: hash of the unit, decimal.
    pub const QUANTITY_CANONICAL: u8 = 0x62;
    /// Range of numbers: low, high (each of [`super::BOUND`] bytes).
    pub const NUMBER_RANGE: u8 = 0x63;
    /// Range of quantities as written: low, high, hash of code, of unit text, of system.
    pub const QUANTITY_RANGE: u8 = 0x64;
    /// Range of quantities in canonical UCUM units: hash of the unit, low, high.
    pub const QUANTITY_RANGE_CANONICAL: u8 = 0x65;
    /// Number in a composite of three components or more: decimal of [`super::BOUND`] bytes.
    pub const NUMBER_FIXED: u8 = 0x66;
    /// Composite: hash of the first component's code, key of the second, hash of the first
    /// component's system.
    pub const COMPOSITE: u8 = 0x70;
    /// Pair: key of a reference `00` key of a date.
    pub const PAIR: u8 = 0x71;
    /// Position: code of its cell (`key/place.rs`).
    pub const NEAR: u8 = 0x80;
}

/// Ranges of dates wider than this many milliseconds (25 hours: a day in any zone is not) have a
/// key in [`space::DATE_WIDE`] too.
pub const WIDE_DATE: i64 = 25 * 3_600_000;

/// The longest original text in a string's key, and the longest text of a token, in bytes.
pub const MAX_STRING: usize = 200;
/// The longest code, system, value or identifier part in a key, in bytes.
pub const MAX_PART: usize = 256;
/// The longest URI in a key, in bytes.
pub const MAX_URI: usize = 512;

/// FNV-1a with 64 bits over the text's bytes, big-endian. It is stored in keys, so it is frozen.
pub fn hash8(text: &str) -> [u8; 8] {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.to_be_bytes()
}

/// A signed number as eight bytes that compare like it.
pub fn ordered_i64(number: i64) -> [u8; 8] {
    ((number as u64) ^ (1 << 63)).to_be_bytes()
}

/// The inverse of [`ordered_i64`], of the first eight bytes.
pub fn read_i64(bytes: &[u8]) -> Option<i64> {
    let first: [u8; 8] = bytes.get(..8)?.try_into().ok()?;
    Some((u64::from_be_bytes(first) ^ (1 << 63)) as i64)
}

/// A date; an open start is `i64::MIN`, an open end `i64::MAX`.
pub fn date(range: DateRange) -> Vec<u8> {
    two_dates(space::DATE, range.lo, range.hi)
}

/// A date's second key, if its range is wide enough to need one.
pub fn date_wide(range: DateRange) -> Option<Vec<u8>> {
    let width = range.hi.saturating_sub(range.lo);
    (width > WIDE_DATE).then(|| two_dates(space::DATE_WIDE, range.hi, range.lo))
}

fn two_dates(space: u8, first: i64, second: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(space);
    key.extend(ordered_i64(first));
    key.extend(ordered_i64(second));
    key
}

/// A code and its system; no system is the empty one.
pub fn token(code: &str, system: &str) -> Vec<u8> {
    joined(space::TOKEN, &[code, system])
}

/// What the keys of a code in any system begin with.
pub fn token_prefix(code: &str) -> Vec<u8> {
    joined(space::TOKEN, &[code, ""])
}

/// What the keys of any code in a system end in.
pub fn token_suffix(system: &str) -> Vec<u8> {
    let mut suffix = vec![0];
    push_part(&mut suffix, system, MAX_PART);
    suffix
}

/// The text of a coded value or an identifier's type, for `:text`: normalised, cut.
pub fn token_text(text: &str) -> Vec<u8> {
    let mut key = vec![space::TOKEN_TEXT];
    key.extend(cut(&normalise(text), MAX_STRING).as_bytes());
    key
}

/// An identifier with a coding of its type, for `:of-type`.
pub fn token_of_type(type_system: &str, type_code: &str, value: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(17 + value.len().min(MAX_PART + 8));
    key.push(space::TOKEN_OF_TYPE);
    key.extend(hash8(type_system));
    key.extend(hash8(type_code));
    push_part(&mut key, value, MAX_PART);
    key
}

/// A reference to a resource of this server.
pub fn reference(kind: ResourceType, id: &str) -> Vec<u8> {
    let mut key = reference_prefix(kind);
    key.extend(id.as_bytes());
    key
}

/// What the keys of local references to a type begin with.
pub fn reference_prefix(kind: ResourceType) -> Vec<u8> {
    let mut key = Vec::with_capacity(40);
    key.push(space::REFERENCE);
    key.extend((kind.number() as u16).to_be_bytes());
    key
}

/// The type and id in a key of [`reference()`]; `None` for keys of other spaces.
pub fn read_reference(key: &[u8]) -> Option<(ResourceType, &str)> {
    let (head, id) = key.split_at_checked(3)?;
    if head[0] != space::REFERENCE {
        return None;
    }
    let number = u16::from_be_bytes([head[1], head[2]]);
    let kind = ResourceType::from_number(i64::from(number))?;
    Some((kind, std::str::from_utf8(id).ok()?))
}

/// A canonical (`url` and version, the empty one if it has none), or any other URL or URN that
/// is not local (with the empty version).
pub fn reference_url(url: &str, version: &str) -> Vec<u8> {
    let mut key = reference_url_prefix(url);
    push_part(&mut key, version, MAX_PART);
    key
}

/// What the keys of all versions of a canonical begin with.
pub fn reference_url_prefix(url: &str) -> Vec<u8> {
    let mut key = vec![space::REFERENCE_URL];
    push_part(&mut key, url, MAX_URI);
    key.push(0);
    key
}

/// The URL and the version in a key of [`reference_url`]; `None` for keys of other spaces.
pub fn read_reference_url(key: &[u8]) -> Option<(&str, &str)> {
    let rest = key.strip_prefix(&[space::REFERENCE_URL])?;
    std::str::from_utf8(rest).ok()?.split_once('\0')
}

/// A canonical's URL and its version; the fragment (`#…`) is no part of either.
pub fn split_canonical(text: &str) -> (&str, &str) {
    let text = text.split_once('#').map_or(text, |(head, _)| head);
    text.split_once('|').unwrap_or((text, ""))
}

/// The identifier of a logical reference.
pub fn reference_identifier(value: &str, system: &str) -> Vec<u8> {
    joined(space::REFERENCE_IDENTIFIER, &[value, system])
}

/// What the keys of logical references by a value in any system begin with.
pub fn reference_identifier_prefix(value: &str) -> Vec<u8> {
    joined(space::REFERENCE_IDENTIFIER, &[value, ""])
}

/// A URI. One that is longer than [`MAX_URI`] keeps its beginning and its hash.
pub fn uri(text: &str) -> Vec<u8> {
    let mut key = vec![space::URI];
    push_part(&mut key, text, MAX_URI);
    key
}

/// A number.
pub fn number(value: &Decimal) -> Vec<u8> {
    let mut key = vec![space::NUMBER];
    value.write_key(&mut key);
    key
}

/// A quantity as written; what it lacks is empty.
pub fn quantity(value: &Decimal, code: &str, unit: &str, system: &str) -> Vec<u8> {
    let mut key = quantity_bound(value);
    key.extend(hash8(code));
    key.extend(hash8(unit));
    key.extend(hash8(system));
    key
}

/// What the keys of quantities with this value begin with, whatever the unit; as the bound of a
/// range it stands before all of them.
pub fn quantity_bound(value: &Decimal) -> Vec<u8> {
    let mut key = Vec::with_capacity(40);
    key.push(space::QUANTITY);
    value.write_key(&mut key);
    key
}

/// A quantity after [`crate::ucum::canonicalise`].
pub fn quantity_canonical(value: &Decimal, unit: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(24);
    key.push(space::QUANTITY_CANONICAL);
    key.extend(hash8(unit));
    value.write_key(&mut key);
    key
}

/// A composite: its first component as code and system (see [`composite_first`] for components
/// that are no tokens), then the keys of the others, one after the other.
pub fn composite(code: &str, system: &str, rest: &[u8]) -> Vec<u8> {
    let mut key = composite_prefix(code);
    key.extend(rest);
    key.extend(composite_suffix(system));
    key
}

/// What the keys of composites end in whose first component has this system.
pub fn composite_suffix(system: &str) -> [u8; 8] {
    part_hash(system)
}

/// The hash of a part as it stands in a token's key, where long parts are cut.
fn part_hash(part: &str) -> [u8; 8] {
    if part.len() <= MAX_PART {
        return hash8(part);
    }
    let mut cut = Vec::new();
    push_part(&mut cut, part, MAX_PART);
    hash8(&String::from_utf8_lossy(&cut))
}

/// What the keys of composites with this first component begin with.
pub fn composite_prefix(code: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.push(space::COMPOSITE);
    key.extend(part_hash(code));
    key
}

/// The two texts that stand for the first component of a composite: of a token its code and
/// system; of any other key its bytes in hexadecimal, and nothing.
pub fn composite_first(key: &[u8]) -> (String, String) {
    if let [space::TOKEN, rest @ ..] = key {
        let end = rest.iter().position(|byte| *byte == 0);
        let (code, system) = rest.split_at(end.unwrap_or(rest.len()));
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        return (text(code), text(system.get(1..).unwrap_or_default()));
    }
    let hex = key.iter().map(|byte| format!("{byte:02x}")).collect();
    (hex, String::new())
}

/// A reference and a date, by their keys.
pub fn pair(reference: &[u8], date: &[u8]) -> Vec<u8> {
    let mut key = pair_prefix(reference);
    key.extend(date);
    key
}

/// What the keys of pairs with this reference begin with.
pub fn pair_prefix(reference: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(reference.len() + 19);
    key.push(space::PAIR);
    key.extend(reference);
    key.push(0);
    key
}

/// A position in degrees.
pub fn near(latitude: f64, longitude: f64) -> Vec<u8> {
    near_code(place(vector(latitude, longitude)))
}

/// The position whose code is this, or the first of a range of them.
pub fn near_code(code: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(space::NEAR);
    key.extend(code.to_be_bytes());
    key
}

fn joined(space: u8, parts: &[&str]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len() + 1).sum();
    let mut key = Vec::with_capacity(length.min(4 * MAX_PART));
    key.push(space);
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            key.push(0);
        }
        push_part(&mut key, part, MAX_PART);
    }
    key
}

/// Appends a part of a key. What is longer than `max` keeps its beginning and the hash of the
/// whole. A zero byte, which ends a part, becomes a blank; no FHIR string may hold one.
fn push_part(key: &mut Vec<u8>, part: &str, max: usize) {
    let from = key.len();
    if part.len() <= max {
        key.extend(part.as_bytes());
    } else {
        key.extend(cut(part, max - 16).as_bytes());
        key.extend(hash8(part).iter().flat_map(|byte| {
            [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
        }));
    }
    if part.as_bytes().contains(&0) {
        for byte in key[from..].iter_mut().filter(|byte| **byte == 0) {
            *byte = b' ';
        }
    }
}

/// The beginning of `text` that has at most `max` bytes and ends between characters.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests;
