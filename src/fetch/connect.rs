//! A connection to one of the addresses that were checked.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{FetchError, target::Target};
use crate::tls::Outgoing;

/// Time for one of several addresses.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// What the other side's certificate is checked with: the public authorities, and those of a
/// file.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, FetchError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = ca_file {
        add_authorities(&mut roots, path)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add_authorities(roots: &mut RootCertStore, path: &Path) -> Result<(), FetchError> {
    let refuse = |reason: String| FetchError::Settings {
        key: "ca_file",
        reason: format!("{}: {reason}", path.display()),
    };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?;
    let mut found = 0;
    for certificate in read {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refuse(error.to_string()))?;
        found += 1;
    }
    match found {
        0 => Err(refuse("holds no certificate in PEM form".to_owned())),
        _ => Ok(()),
    }
}

/// Connects to the first of `addresses` that lets it, and to nothing else.
pub async fn connect(
    target: &Target,
    addresses: &[IpAddr],
    tls: &Arc<ClientConfig>,
) -> Result<TokioIo<Outgoing>, FetchError> {
    let tcp = connect_any(addresses, target.port()).await?;
    let _ = tcp.set_nodelay(true);
    if !target.is_secure() {
        return Ok(TokioIo::new(Outgoing::Plain(tcp)));
    }
    let secured = TlsConnector::from(Arc::clone(tls))
        .connect(target.server_name()?, tcp)
        .await
        .map_err(|error| FetchError::Tls(error.to_string()))?;
    Ok(TokioIo::new(Outgoing::Secure(Box::new(secured))))
}

async fn connect_any(addresses: &[IpAddr], port: u16) -> Result<TcpStream, FetchError> {
    let mut failed = FetchError::Connect("there is no address".to_owned());
    for ip in addresses {
        let connecting = TcpStream::connect(SocketAddr::new(*ip, port));
        match timeout(CONNECT_TIME, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = FetchError::connect(&error),
            Err(_elapsed) => failed = FetchError::connect(&io::ErrorKind::TimedOut.into()),
        }
    }
    Err(failed)
}
