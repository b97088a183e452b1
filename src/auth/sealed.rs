//! The master key, which is never in the database, and what is sealed under it: signing keys,
//! seeds of second factors, secrets that must be read again.

use std::{fmt, fs, io, os::unix::fs::PermissionsExt, path::Path};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{error::AuthError, secret};
use crate::key_file;

/// A key for AES-256-GCM.
pub struct MasterKey(RandomizedNonceKey);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The format of what is sealed; the first byte of it.
const FORMAT: u8 = 1;
const NONCE: usize = 12;

impl MasterKey {
    /// 32 bytes in base64.
    ///
    /// # Errors
    /// [`AuthError::MasterKey`]
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let bytes = BASE64_STANDARD.decode(text.trim()).unwrap_or_default();
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes);
        key.map(Self).map_err(|_| {
            let reason = "the master key must be 32 random bytes in base64, as `openssl rand \
                          -base64 32` prints them";
            AuthError::MasterKey(reason.to_owned())
        })
    }

    /// The key in a file; if there is no file and `create`, one is made that only its owner reads.
    ///
    /// # Errors
    /// [`AuthError::MasterKey`]: the file is missing, unreadable, readable for others or no key.
    pub fn from_file(path: &Path, create: bool) -> Result<Self, AuthError> {
        let at = path.display();
        let refuse = |reason: String| AuthError::MasterKey(reason);
        match fs::read_to_string(path) {
            Ok(text) => {
                let mode = fs::metadata(path).map(|meta| meta.permissions().mode());
                if mode.is_ok_and(|mode| mode & 0o077 != 0) {
                    return Err(refuse(format!(
                        "the master key {at} can be read by others; run `chmod 600 {at}`"
                    )));
                }
                Self::parse(&text)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => {
                let text = BASE64_STANDARD.encode(secret::random::<32>()?);
                match key_file::make(path, format!("{text}\n").as_bytes()) {
                    Ok(()) => Self::parse(&text),
                    // Another process that starts made it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        Self::from_file(path, false)
                    }
                    Err(error) => Err(refuse(format!(
                        "the master key {at} cannot be written: {error}"
                    ))),
                }
            }
            Err(error) => Err(refuse(format!(
                "the master key {at} cannot be read ({error}); it was made at the first start \
                 and what the database holds cannot be opened without it: bring it back from \
                 where it is kept, or name its place with auth.master_key_file"
            ))),
        }
    }

    /// Seals `plain`. `purpose` must be given again to open it, so that one sealed value cannot
    /// take another's place.
    ///
    /// # Errors
    /// The computer has no randomness.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, AuthError> {
        let mut text = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut text)
            .map_err(|_| AuthError::NoRandomness)?;
        let mut sealed = vec![FORMAT];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend(text);
        Ok(sealed)
    }

    /// What was sealed for this purpose.
    ///
    /// # Errors
    /// [`AuthError::MasterKey`]: another key sealed it, or it was changed.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, AuthError> {
        let refuse = || {
            AuthError::MasterKey(format!(
                "the {purpose} in the database was sealed with another master key, or was \
                 changed; start with the key that was in use when it was made"
            ))
        };
        let (format, rest) = sealed.split_first().ok_or_else(refuse)?;
        if *format != FORMAT || rest.len() < NONCE {
            return Err(refuse());
        }
        let (nonce, text) = rest.split_at(NONCE);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refuse())?;
        let mut text = text.to_vec();
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut text)
            .map_err(|_| refuse())?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_purpose_only() {
        let key = MasterKey::parse(&BASE64_STANDARD.encode([7; 32])).unwrap();
        let other = MasterKey::parse(&BASE64_STANDARD.encode([8; 32])).unwrap();
        let sealed = key.seal("seed", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(key.open("seed", &sealed).unwrap(), b"secret");
        assert!(key.open("other", &sealed).is_err());
        assert!(other.open("seed", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("seed", &changed).is_err(), "byte {at}");
        }
        assert!(key.open("seed", &sealed[..5]).is_err());
    }

    #[test]
    fn a_key_file_is_made_once_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(MasterKey::from_file(&path, false).is_err());
        let sealed = MasterKey::from_file(&path, true)
            .unwrap()
            .seal("a", b"b")
            .unwrap();
        let again = MasterKey::from_file(&path, true).unwrap();
        assert_eq!(again.open("a", &sealed).unwrap(), b"b");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = MasterKey::from_file(&path, true).unwrap_err().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
    }
}
