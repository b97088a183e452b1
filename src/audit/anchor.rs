//! Anchors: signed notes of how far the chain of seals was at a time, in a file outside of the
//! database. Whoever can change the database can compute its seals anew; an anchor shows it.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{
        ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use resources::primitive::format_instant;
use serde::Deserialize;

use crate::{
    key_file,
    store::{AuditSeal, StoreError},
};

/// Why there is no anchor, or none can be read.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// A file cannot be read or written.
    #[error("the audit's file {0} cannot be used: {1}")]
    File(PathBuf, io::Error),
    /// The key is none.
    #[error(
        "the key of the audit's anchors is no P-384 key in PKCS#8; restore it from a backup, or move it away so that a new one is made"
    )]
    Key,
    /// A line of the file is not an anchor.
    #[error("line {1} of the audit's anchors {0} is damaged; move the file away, and keep it")]
    Line(PathBuf, usize),
    /// The store fails.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Signs anchors with ES384 (RFC 7518, section 3.4).
#[derive(Debug)]
pub struct AnchorSigner(EcdsaKeyPair);

impl AnchorSigner {
    /// With a private key in PKCS#8.
    ///
    /// # Errors
    /// [`AnchorError::Key`]
    pub fn from_pkcs8(key: &[u8]) -> Result<Self, AnchorError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, key)
            .map(Self)
            .map_err(|_| AnchorError::Key)
    }

    /// A new key, and its PKCS#8 to be kept.
    ///
    /// # Errors
    /// [`AnchorError::Key`]: the computer has no randomness.
    pub fn generate() -> Result<(Vec<u8>, Self), AnchorError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)
            .map_err(|_| AnchorError::Key)?;
        let kept = key.to_pkcs8v1().map_err(|_| AnchorError::Key)?;
        Ok((kept.as_ref().to_vec(), Self(key)))
    }

    /// With the key in a file that is there.
    ///
    /// # Errors
    /// [`AnchorError::File`], [`AnchorError::Key`]
    pub fn open(path: &Path) -> Result<Self, AnchorError> {
        let key = std::fs::read(path);
        Self::from_pkcs8(&key.map_err(|error| AnchorError::File(path.to_owned(), error))?)
    }

    /// With the key in a file, which is made if it is not there, for this user only.
    ///
    /// # Errors
    /// [`AnchorError::File`], [`AnchorError::Key`]
    pub fn from_file(path: &Path) -> Result<Self, AnchorError> {
        let refused = |error| AnchorError::File(path.to_owned(), error);
        match std::fs::read(path) {
            Ok(key) => Self::from_pkcs8(&key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (kept, signer) = Self::generate()?;
                match key_file::make(path, &kept) {
                    Ok(()) => Ok(signer),
                    // Another process that starts made it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        Self::from_pkcs8(&std::fs::read(path).map_err(refused)?)
                    }
                    Err(error) => Err(refused(error)),
                }
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// The public key as a SubjectPublicKeyInfo (DER) in Base64: what somebody else needs to
    /// check the anchors.
    ///
    /// # Errors
    /// [`AnchorError::Key`]
    pub fn public_key(&self) -> Result<String, AnchorError> {
        let public = self.0.public_key().as_der().map_err(|_| AnchorError::Key)?;
        Ok(STANDARD.encode(public.as_ref()))
    }

    fn sign(&self, text: &str) -> Result<String, AnchorError> {
        let signed = self.0.sign(&SystemRandom::new(), text.as_bytes());
        let signed = signed.map_err(|_| AnchorError::Key)?;
        Ok(STANDARD.encode(signed.as_ref()))
    }

    /// True if this key has signed the line.
    pub fn has_signed(&self, line: &str) -> bool {
        let Some((text, rest)) = line.split_once(SIGNATURE) else {
            return false;
        };
        let Some(signature) = rest
            .strip_suffix("\"}")
            .and_then(|text| STANDARD.decode(text).ok())
        else {
            return false;
        };
        let public = self.0.public_key().as_ref();
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public)
            .verify(text.as_bytes(), &signature)
            .is_ok()
    }
}

/// What stands between the text that is signed and the signature.
const SIGNATURE: &str = ",\"signature\":\"";

/// A line of the file, without its signature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Anchor {
    /// From 1, without gaps.
    pub number: u64,
    /// When it was written.
    pub time: String,
    /// The newest seal then,
    pub seal: i64,
    /// its hash in hexadecimal digits,
    pub hash: String,
    /// its last row,
    pub last_seq: i64,
    /// and how many rows were sealed.
    pub rows: i64,
    /// The SHA-256 of the line before, in hexadecimal digits; empty for the first.
    pub previous: String,
}

/// The file of anchors.
#[derive(Debug)]
pub struct Anchors {
    path: PathBuf,
    signer: AnchorSigner,
    /// Number and hash of the last line.
    last: (u64, String),
    /// The seal that it is about.
    seal: (i64, String),
}

impl Anchors {
    /// The file at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn open(path: &Path, signer: AnchorSigner) -> Result<Self, AnchorError> {
        let mut anchors = Self {
            path: path.to_owned(),
            signer,
            last: (0, String::new()),
            seal: (0, String::new()),
        };
        if let Some((anchor, line)) = read(path)?.pop() {
            anchors.last = (
                anchor.number,
                hex(digest(&SHA256, line.as_bytes()).as_ref()),
            );
            anchors.seal = (anchor.seal, anchor.hash);
        }
        Ok(anchors)
    }

    /// Appends an anchor of `seal`, unless the last one was of it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, seal: &AuditSeal, now: i64) -> Result<(), AnchorError> {
        let hash = hex(&seal.hash);
        if self.seal == (seal.number, hash.clone()) {
            return Ok(());
        }
        if self.seal.0 >= seal.number {
            tracing::error!(
                anchored = self.seal.0,
                newest = seal.number,
                "the audit in the database is older than its anchors, or of another database; \
                 `rotunda verify --audit` says what is missing"
            );
        }
        let number = self.last.0 + 1;
        let text = format!(
            r#"{{"number":{number},"time":"{}","seal":{},"hash":"{hash}","last_seq":{},"rows":{},"previous":"{}""#,
            format_instant(now),
            seal.number,
            seal.last_seq,
            seal.total,
            self.last.1,
        );
        let signature = self.signer.sign(&text)?;
        let line = format!("{text}{SIGNATURE}{signature}\"}}");
        let write = || {
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.path)?;
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| AnchorError::File(self.path.clone(), error))?;
        self.last = (number, hex(digest(&SHA256, line.as_bytes()).as_ref()));
        self.seal = (seal.number, hash);
        Ok(())
    }
}

/// All anchors of a file, each with its line; none if there is no file. A last line without its
/// end was being written when the computer stopped, and is none.
///
/// # Errors
/// It cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Vec<(Anchor, String)>, AnchorError> {
    let refused = |error| AnchorError::File(path.to_owned(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    let mut lines = BufReader::new(file);
    let mut anchors = Vec::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).map_err(refused)? == 0 || !line.ends_with('\n') {
            return Ok(anchors);
        }
        line.truncate(line.len() - 1);
        let damaged = || AnchorError::Line(path.to_owned(), anchors.len() + 1);
        let anchor = serde_json::from_str(&line).map_err(|_| damaged())?;
        anchors.push((anchor, line));
    }
}

/// The SHA-256 of a line in hexadecimal digits.
pub fn line_hash(line: &str) -> String {
    hex(digest(&SHA256, line.as_bytes()).as_ref())
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(number: i64) -> AuditSeal {
        AuditSeal {
            number,
            first_seq: 1,
            last_seq: 9 * number,
            rows: 9,
            total: 9 * number,
            first_at: 0,
            last_at: 0,
            previous: vec![],
            hash: vec![number as u8; 32],
            filter: vec![],
        }
    }

    #[test]
    fn of_several_who_start_at_once_one_makes_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let keys: Vec<String> = std::thread::scope(|scope| {
            let one = || {
                AnchorSigner::from_file(&path)
                    .unwrap()
                    .public_key()
                    .unwrap()
            };
            let all: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn anchors_are_signed_chained_and_read_back_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("a.jsonl"), folder.path().join("a.key"));
        for number in [1, 1, 2] {
            let signer = AnchorSigner::from_file(&key).unwrap();
            let mut anchors = Anchors::open(&path, signer).unwrap();
            anchors.append(&seal(number), 1_000).unwrap();
        }
        let signer = AnchorSigner::from_file(&key).unwrap();
        let found = read(&path).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(_, line)| signer.has_signed(line)));
        assert_eq!(found[1].0.previous, line_hash(&found[0].1));
        assert_eq!(
            (found[1].0.number, found[1].0.seal, found[1].0.rows),
            (2, 2, 18)
        );
        let forged = found[0].1.replace("\"rows\":9", "\"rows\":8");
        assert!(forged != found[0].1 && !signer.has_signed(&forged));
        let (_, other) = AnchorSigner::generate().unwrap();
        assert!(!other.has_signed(&found[0].1));
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_line_that_was_not_finished_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let (_, signer) = AnchorSigner::generate().unwrap();
        Anchors::open(&path, signer)
            .unwrap()
            .append(&seal(1), 0)
            .unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"number\":2,")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        std::fs::write(&path, "nonsense\n").unwrap();
        assert!(matches!(read(&path), Err(AnchorError::Line(_, 1))));
    }
}
