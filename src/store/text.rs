//! Resource texts as the database keeps them: packed by zstd with a dictionary of FHIR, which
//! leaves a fifth of them.
//!
//! A text that does not get smaller is kept as it is. The two tell themselves apart: what zstd
//! packed begins with four bytes that no UTF-8 text begins with.

use std::{cell::RefCell, sync::LazyLock};

use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
    zstd_safe::{get_dict_id_from_dict, get_dict_id_from_frame, get_frame_content_size},
};

/// Every dictionary that texts were ever packed with; the last is the one in use. Stored texts
/// need theirs for ever: see `dictionary/README.md`.
const DICTIONARIES: [&[u8]; 1] = [include_bytes!("dictionary/32769.zdict")];

/// Level 1 takes 5 µs for a Patient of 1.9 kB, level 3 takes 6; what they leave is 390 and 347
/// bytes, and over all types a sixth less. To unpack takes 2 µs after either.
const LEVEL: i32 = 3;

/// Shorter texts are left alone: one of 33 bytes loses 8, one of 20 would grow, and deletions
/// have none.
const SHORTEST: usize = 32;

/// Longer texts are left alone, so that none has to be believed to be longer: what says how much
/// memory to take may be damaged.
const LONGEST: usize = 256 << 20;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

static PACKING: LazyLock<Option<EncoderDictionary<'static>>> = LazyLock::new(|| {
    let newest = DICTIONARIES.last()?;
    EncoderDictionary::try_copy(newest, LEVEL).ok()
});

static UNPACKING: LazyLock<Vec<(u32, DecoderDictionary<'static>)>> = LazyLock::new(|| {
    let prepared = DICTIONARIES.iter().filter_map(|dictionary| {
        let id = get_dict_id_from_dict(dictionary)?;
        Some((id.get(), DecoderDictionary::try_copy(dictionary).ok()?))
    });
    prepared.collect()
});

// To make one costs more than to use it. One that packs has 60 kB after a Patient and at most
// 1.3 MB after any text, one that unpacks 100 kB: neither keeps a window, since texts are whole.
// The prepared dictionary has 660 kB, once.
thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = RefCell::new(
        PACKING
            .as_ref()
            .and_then(|dictionary| Compressor::with_prepared_dictionary(dictionary).ok()),
    );
    static UNPACKER: RefCell<Decompressor<'static>> = RefCell::default();
}

/// Why a stored text cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It was packed by a newer version of this program, or damaged.
    #[error("it was packed with the dictionary {0}, which this version of the program lacks")]
    Dictionary(u32),
    /// What precedes it makes no sense.
    #[error("it does not say how long it is, or more than a text can be")]
    Length,
    /// It cannot be unpacked.
    #[error("it cannot be unpacked: {0}")]
    Packed(String),
    /// It is no text.
    #[error("it is not UTF-8")]
    Encoding,
}

/// What to store for a text.
pub(super) fn pack(text: &str) -> Vec<u8> {
    packed(text).unwrap_or_else(|| text.as_bytes().to_vec())
}

/// `None` if it would not be smaller, or zstd has no memory.
fn packed(text: &str) -> Option<Vec<u8>> {
    if !(SHORTEST..=LONGEST).contains(&text.len()) {
        return None;
    }
    // No room for more than is smaller: zstd gives up if it needs that.
    let mut packed = Vec::with_capacity(text.len() - 1);
    PACKER.with_borrow_mut(|packer| {
        packer
            .as_mut()?
            .compress_to_buffer(text.as_bytes(), &mut packed)
            .ok()
    })?;
    // It waits to be written among many others.
    packed.shrink_to_fit();
    Some(packed)
}

/// The text of which [`pack`] made `stored`. Whether it is the one that was stored, its hash says.
pub(super) fn unpack(stored: Vec<u8>) -> Result<String, Unreadable> {
    let text = if stored.starts_with(&MAGIC) {
        unpacked(&stored)?
    } else {
        stored
    };
    String::from_utf8(text).map_err(|_| Unreadable::Encoding)
}

/// The length of the text of which [`pack`] made `stored`, as far as that says.
pub(super) fn length(stored: &[u8]) -> usize {
    if !stored.starts_with(&MAGIC) {
        return stored.len();
    }
    promised(stored).unwrap_or_default()
}

fn promised(stored: &[u8]) -> Option<usize> {
    let length = get_frame_content_size(stored).ok().flatten()?;
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= LONGEST)
}

fn unpacked(stored: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let id = get_dict_id_from_frame(stored).map_or(0, |id| id.get());
    let (_, dictionary) = UNPACKING
        .iter()
        .find(|(known, _)| *known == id)
        .ok_or(Unreadable::Dictionary(id))?;
    let length = promised(stored).ok_or(Unreadable::Length)?;
    let mut text = Vec::with_capacity(length);
    UNPACKER
        .with_borrow_mut(|unpacker| {
            unpacker.set_prepared_dictionary(dictionary)?;
            unpacker.decompress_to_buffer(stored, &mut text)
        })
        .map_err(|error| Unreadable::Packed(error.to_string()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"0193b728-5855-7cb8-9a78-97e8c7548e9c","meta":{"versionId":"1","lastUpdated":"2026-05-08T10:16:00.765Z"},"identifier":[{"use":"usual","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"value":"7"}],"name":[{"family":"Müller","given":["Zoë"]}],"gender":"female","birthDate":"1970-02-03"}"#;

    fn frame(text: &str) -> Vec<u8> {
        let packed = pack(text);
        assert!(packed.starts_with(&MAGIC));
        assert_eq!(length(&packed), text.len());
        packed
    }

    #[test]
    fn what_is_packed_comes_back() {
        let large = PATIENT.repeat(40_000);
        let mixed: String = (' '..='\u{2fff}').collect();
        for text in [
            "",
            "{}",
            "(not JSON)",
            r#"{"resourceType":"Basic","id":"a"}"#,
            PATIENT,
            "äöü €𝄞",
            &mixed,
            &large,
        ] {
            let packed = pack(text);
            assert!(packed.len() <= text.len());
            assert_eq!(unpack(packed).unwrap(), text);
        }
    }

    #[test]
    fn packed_texts_are_a_part_of_what_they_were_and_name_dictionary_and_length() {
        let packed = frame(PATIENT);
        assert!(packed.len() * 5 < PATIENT.len() * 2, "{}", packed.len());
        assert_eq!(get_dict_id_from_frame(&packed).unwrap().get(), 32769);
        let length = get_frame_content_size(&packed).unwrap();
        assert_eq!(length, Some(PATIENT.len() as u64));
    }

    #[test]
    fn every_dictionary_is_prepared_under_an_id_of_its_own() {
        let mut ids: Vec<u32> = UNPACKING.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), DICTIONARIES.len());
        assert!(PACKING.is_some());
    }

    #[test]
    fn a_text_that_would_grow_is_kept_as_it_is() {
        for text in ["{}", "8fG2kQ0zXv7Lw1RbYp5TnC3mJs6HdA9e4"] {
            assert_eq!(pack(text), text.as_bytes());
        }
    }

    #[test]
    fn another_dictionary_or_none_is_named() {
        let mut packed = frame(PATIENT);
        // The id stands behind magic and descriptor.
        packed[5..7].copy_from_slice(&40_000_u16.to_le_bytes());
        assert_eq!(unpack(packed), Err(Unreadable::Dictionary(40_000)));
        let without = zstd::bulk::compress(PATIENT.as_bytes(), 1).unwrap();
        assert_eq!(unpack(without), Err(Unreadable::Dictionary(0)));
        assert_eq!(unpack(MAGIC.to_vec()), Err(Unreadable::Dictionary(0)));
    }

    #[test]
    fn a_length_is_not_believed_if_it_is_too_large_or_wrong() {
        // A frame of one segment with an id of two bytes and a length of eight, and no blocks.
        let header = |length: u64| {
            let mut frame = MAGIC.to_vec();
            frame.push(0b1110_0010);
            frame.extend(32769_u16.to_le_bytes());
            frame.extend(length.to_le_bytes());
            frame
        };
        assert_eq!(unpack(header(1 << 60)), Err(Unreadable::Length));
        assert_eq!(unpack(header(LONGEST as u64 + 1)), Err(Unreadable::Length));
        assert!(matches!(unpack(header(9)), Err(Unreadable::Packed(_))));

        let mut packed = frame(PATIENT);
        packed[7] ^= 1;
        assert!(matches!(unpack(packed), Err(Unreadable::Packed(_))));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(unpack(vec![b'{', 0xff]), Err(Unreadable::Encoding));
    }

    #[test]
    fn damage_is_an_error_or_another_text_of_the_same_length() {
        let packed = frame(PATIENT);
        for at in 0..packed.len() {
            for bits in 1..=255 {
                let mut damaged = packed.clone();
                damaged[at] ^= bits;
                if let Ok(text) = unpack(damaged) {
                    assert_eq!(text.len(), PATIENT.len(), "{at} {bits}");
                }
            }
            // The first byte alone is a text.
            let cut = unpack(packed[..at].to_vec());
            assert!(at < 2 || cut.is_err(), "cut at {at}");
        }
        // And the thread's contexts are none the worse for it.
        assert_eq!(unpack(pack(PATIENT)).unwrap(), PATIENT);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,300}") {
            prop_assert_eq!(unpack(pack(&text)).unwrap(), text);
        }
    }
}
