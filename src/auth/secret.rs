//! Secrets that the server makes: random, shown once, kept as hashes.

use std::fmt::Write;

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::error::AuthError;

/// `N` random bytes.
///
/// # Errors
/// The computer has no randomness.
pub fn random<const N: usize>() -> Result<[u8; N], AuthError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| AuthError::NoRandomness)?;
    Ok(bytes)
}

/// A new secret of 256 bits in letters that URLs and headers take as they are, after a prefix that
/// tells people and scanners what it is: `at_…`.
///
/// # Errors
/// The computer has no randomness.
pub fn fresh(prefix: &str) -> Result<String, AuthError> {
    let bytes: [u8; 32] = random()?;
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// A new id of 128 bits in hexadecimal digits.
///
/// # Errors
/// The computer has no randomness.
pub fn fresh_id() -> Result<String, AuthError> {
    Ok(hex(&random::<16>()?))
}

/// A new password of 100 bits that people can read off a screen: `k7mq2-…`, four groups of five.
///
/// # Errors
/// The computer has no randomness.
pub fn fresh_password() -> Result<String, AuthError> {
    // Without i, l, o and u, as in Crockford's base 32.
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut password = String::with_capacity(24);
    for (at, byte) in random::<20>()?.into_iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte & 31)]));
    }
    Ok(password)
}

/// What is kept of a secret of 256 bits: its SHA-256 in hexadecimal digits. There is nothing to
/// guess, so there is nothing to slow down.
pub fn hash(secret: &str) -> String {
    hex(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
}

/// The SHA-256 of a text in base64url, as PKCE (RFC 7636) and key thumbprints (RFC 7638) have it.
pub fn digest_base64(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Compares in a time that does not depend on where the two differ.
pub fn same(a: &str, b: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
