//! Certificate and key, as files.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate first, then those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM: the certificate's private key, without a pass phrase.
    pub key: PathBuf,
}

/// Why TLS cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{section}.tls.{key}: {file}: {reason}", file = .file.display())]
pub struct TlsError {
    /// Whose TLS: `http`, `hl7.listeners`.
    pub section: &'static str,
    /// `certificate` or `key`
    pub key: &'static str,
    /// The file.
    pub file: PathBuf,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// What tells one state of the files from another: of each its time of change, length and
/// number, if it is there. A link that points elsewhere is another file.
pub type Stamp = [Option<(i64, i64, u64, u64)>; 2];

/// Bits of a mode: others may read, others may write.
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

impl TlsFiles {
    /// The state of the files.
    pub fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let file = fs::metadata(path).ok()?;
            Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
        })
    }

    /// Reads both.
    pub fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| self.bad_certificate(told(&error, "certificate")))?;
        if chain.is_empty() {
            return Err(self.bad_certificate(told(&pem::Error::NoItemsFound, "certificate")));
        }
        check_mode(&self.key).map_err(|reason| self.bad_key(reason))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| self.bad_key(told(&error, "private key without a pass phrase")))?;
        Ok((chain, key))
    }

    /// The pair was read, and cannot be used.
    pub fn mismatch(&self, error: &rustls::Error) -> TlsError {
        match error {
            rustls::Error::InconsistentKeys(_) => self.bad_key(format!(
                "is not the key of the certificate in {}; name the two files that were issued \
                 together",
                self.certificate.display()
            )),
            rustls::Error::InvalidCertificate(_) => {
                self.bad_certificate(format!("cannot be used: {error}"))
            }
            _ => self.bad_key(format!("cannot be used: {error}")),
        }
    }

    fn bad_certificate(&self, reason: String) -> TlsError {
        TlsError {
            section: "http",
            key: "certificate",
            file: self.certificate.clone(),
            reason,
        }
    }

    fn bad_key(&self, reason: String) -> TlsError {
        TlsError {
            section: "http",
            key: "key",
            file: self.key.clone(),
            reason,
        }
    }
}

/// Checks certificates of clients against the authorities in a file.
pub fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refuse = |reason: String| TlsError {
        section: "hl7.listeners",
        key: "client_authorities",
        file: path.to_owned(),
        reason,
    };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refuse(told(&error, "certificate")))?;
    let mut roots = RootCertStore::empty();
    for certificate in found {
        roots
            .add(certificate)
            .map_err(|error| refuse(format!("has a certificate that cannot be used: {error}")))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| refuse(format!("cannot be used: {error}")))
}

fn told(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("holds no {wanted} in PEM form"),
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        error => format!("is no good PEM: {error}"),
    }
}

/// Refuses a key that anybody can replace, and warns of one that anybody can read: secrets that
/// are mounted into containers often are.
fn check_mode(key: &Path) -> Result<(), String> {
    let mode = match fs::metadata(key) {
        Ok(file) => file.mode(),
        Err(error) => return Err(unreadable(&error)),
    };
    if mode & OTHERS_WRITE != 0 {
        return Err("can be written by every user; chmod 600 it, and issue a new key".to_owned());
    }
    if mode & OTHERS_READ != 0 {
        tracing::warn!(
            key = %key.display(),
            "the TLS key can be read by every user; chmod 600 it"
        );
    }
    Ok(())
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}
