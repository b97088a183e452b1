//! The hash by which a stored text is checked.

use aws_lc_rs::digest;

/// The first 16 bytes of a SHA-256.
pub(super) type Hash = [u8; 16];

/// The hash of a text.
pub(super) fn of(text: &str) -> Hash {
    let full = digest::digest(&digest::SHA256, text.as_bytes());
    let mut hash = Hash::default();
    hash.copy_from_slice(&full.as_ref()[..16]);
    hash
}
