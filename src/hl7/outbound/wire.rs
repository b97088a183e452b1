//! A connection to a receiver.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use mllp::frame::{Decoder, Event, Limits, encode};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::destination::TlsFiles;
use crate::tls::Outgoing;

/// Time to connect, and to write a message.
const CONNECT_TIME: Duration = Duration::from_secs(10);
const WRITE_TIME: Duration = Duration::from_secs(60);

/// Bytes of an acknowledgement.
const LONGEST: usize = 1 << 20;

/// How connections to a receiver are secured.
#[derive(Clone)]
pub struct Security(Option<(TlsConnector, ServerName<'static>)>);

impl Security {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be read, or do not fit together.
    pub fn new(files: Option<&TlsFiles>, address: &str) -> Result<Self, String> {
        let Some(files) = files else {
            return Ok(Self(None));
        };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = files.name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::new(client_config(files)?));
        Ok(Self(Some((connector, name))))
    }
}

fn client_config(files: &TlsFiles) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = &files.authorities {
        let refuse = |reason: String| format!("{}: {reason}", path.display());
        let read = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| refuse(error.to_string()))?;
        if read.is_empty() {
            return Err(refuse("holds no certificate in PEM form".to_owned()));
        }
        for certificate in read {
            let added = roots.add(certificate);
            added.map_err(|error| refuse(error.to_string()))?;
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", certificate.display()))?;
    let read = PrivateKeyDer::from_pem_file(key);
    let read = read.map_err(|error| format!("{}: {error}", key.display()))?;
    let with_key = builder.with_client_auth_cert(chain, read);
    with_key.map_err(|error| format!("{}: {error}", key.display()))
}

/// An open connection.
pub struct Wire {
    stream: Outgoing,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens, or the other side is not who it should be.
    pub async fn open(address: &str, security: &Security) -> io::Result<Self> {
        let connect = async {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            io::Result::Ok(match &security.0 {
                None => Outgoing::Plain(tcp),
                Some((connector, name)) => {
                    let secured = connector.connect(name.clone(), tcp).await?;
                    Outgoing::Secure(Box::new(secured))
                }
            })
        };
        let stream = timeout(CONNECT_TIME, connect)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let limits = Limits {
            frame: LONGEST,
            ..Limits::default()
        };
        Ok(Self {
            stream,
            decoder: Decoder::new(limits),
            buffer: vec![0; 8 << 10],
        })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let frame = encode(message);
        let write = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await
        };
        timeout(WRITE_TIME, write)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The next message that comes. May be given up and called again: nothing is lost.
    ///
    /// # Errors
    /// The other side has closed.
    pub async fn receive(&mut self) -> io::Result<Bytes> {
        loop {
            while let Some(event) = self.decoder.next() {
                match event {
                    Event::Frame(frame) => return Ok(frame),
                    Event::TooLong(_) => return Err(io::ErrorKind::InvalidData.into()),
                    _ => {}
                }
            }
            let read = self.stream.read(&mut self.buffer).await?;
            if read == 0 {
                return match self.decoder.settle() {
                    Some(Event::Frame(frame)) => Ok(frame),
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
            self.decoder.push(&self.buffer[..read]);
        }
    }
}
