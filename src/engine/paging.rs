//! Page tokens: opaque, signed, and good only for the request that they continue.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::error::{Error, ErrorKind};

/// Bytes of the signature that a token carries.
const SIGNATURE: usize = 16;
/// Bytes of the secret key.
const KEY_LENGTH: usize = 32;

/// A new secret.
///
/// # Errors
/// The computer gives no randomness.
pub fn new_key() -> Result<[u8; KEY_LENGTH], Error> {
    let mut key = [0; KEY_LENGTH];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| {
        Error::new(
            ErrorKind::Internal,
            "exception",
            "the operating system gives no random numbers",
        )
    })?;
    Ok(key)
}

/// Makes and reads page tokens.
pub struct Tokens {
    key: hmac::Key,
}

impl Tokens {
    /// With the server's secret, which all nodes on one database share.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The key, for what else the server signs.
    pub fn key(&self) -> &hmac::Key {
        &self.key
    }

    /// A token that continues `request` (its canonical text) at `cursor`.
    pub fn seal(&self, request: &str, cursor: &[u8]) -> String {
        let mut bytes = self.sign(request, cursor).as_ref()[..SIGNATURE].to_vec();
        bytes.extend_from_slice(cursor);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor of a token made by [`Tokens::seal`] for the same request.
    ///
    /// # Errors
    /// The token was made elsewhere, for another request, or is damaged.
    pub fn open(&self, request: &str, token: &str) -> Result<Vec<u8>, Error> {
        let refused = || {
            Error::invalid(
                "the page token '_page' does not belong to this request; \
                 follow the links of the Bundle unchanged, or start from the first page",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
        let (signature, cursor) = bytes.split_at_checked(SIGNATURE).ok_or_else(refused)?;
        let expected = self.sign(request, cursor);
        aws_lc_rs::constant_time::verify_slices_are_equal(
            signature,
            &expected.as_ref()[..SIGNATURE],
        )
        .map_err(|_| refused())?;
        Ok(cursor.to_vec())
    }

    fn sign(&self, request: &str, cursor: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(request.len() as u64).to_be_bytes());
        context.update(request.as_bytes());
        context.update(cursor);
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_for_its_own_request_only() {
        let tokens = Tokens::new(&[7; KEY_LENGTH]);
        let token = tokens.seal("Patient?name=a", b"cursor");
        assert_eq!(tokens.open("Patient?name=a", &token).unwrap(), b"cursor");
        assert!(tokens.open("Patient?name=b", &token).is_err());
        assert!(
            Tokens::new(&[8; KEY_LENGTH])
                .open("Patient?name=a", &token)
                .is_err()
        );
        for broken in [
            "",
            "AAAA",
            "!",
            &token[..token.len() - 1],
            &format!("{token}AA"),
        ] {
            assert!(tokens.open("Patient?name=a", broken).is_err(), "{broken}");
        }
    }
}
