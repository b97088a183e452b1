//! The bytes of a message as the database keeps them.

use std::cell::RefCell;

use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::get_frame_content_size,
};

use crate::store::error::StoreError;

/// How what follows the first byte is packed.
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

const LEVEL: i32 = 1;
/// Shorter messages do not get shorter.
const SHORTEST: usize = 128;
/// No message is longer.
const LONGEST: usize = 256 << 20;

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::new(LEVEL).ok());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// What to store for bytes.
pub(in crate::store) fn pack(raw: &[u8]) -> Vec<u8> {
    if (SHORTEST..=LONGEST).contains(&raw.len()) {
        // No room for more than is smaller: zstd gives up if it needs that.
        let mut packed = Vec::with_capacity(raw.len() - 1);
        let done = PACKER.with_borrow_mut(|packer| {
            packer
                .as_mut()
                .and_then(|packer| packer.compress_to_buffer(raw, &mut packed).ok())
        });
        if done.is_some() {
            let mut stored = Vec::with_capacity(packed.len() + 1);
            stored.push(ZSTD);
            stored.extend_from_slice(&packed);
            return stored;
        }
    }
    let mut stored = Vec::with_capacity(raw.len() + 1);
    stored.push(PLAIN);
    stored.extend_from_slice(raw);
    stored
}

/// The bytes of which [`pack`] made `stored`.
pub(in crate::store) fn unpack(stored: &[u8]) -> Result<Vec<u8>, StoreError> {
    let damaged = || StoreError::Damaged("the bytes of a message cannot be unpacked".to_owned());
    match stored.split_first() {
        Some((&PLAIN, raw)) => Ok(raw.to_vec()),
        Some((&ZSTD, packed)) => {
            let length = get_frame_content_size(packed).ok().flatten();
            let length = length
                .and_then(|length| usize::try_from(length).ok())
                .filter(|length| *length <= LONGEST)
                .ok_or_else(damaged)?;
            UNPACKER
                .with_borrow_mut(|unpacker| unpacker.as_mut()?.decompress(packed, length).ok())
                .ok_or_else(damaged)
        }
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_back() {
        let message = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\rPID|1||7\r".repeat(30);
        let noise: Vec<u8> = (0..=255).collect();
        for raw in [&b""[..], b"\x28\xb5\x2f\xfd", &message, &noise, &[0; 400]] {
            assert_eq!(unpack(&pack(raw)).unwrap(), raw);
        }
        assert!(pack(&message).len() * 4 < message.len());
        for stored in [&b""[..], b"\x07x", b"\x01abc"] {
            unpack(stored).unwrap_err();
        }
    }
}
