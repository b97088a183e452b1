//! TLS of the server itself: versions, certificates that change, and clients that never finish a
//! handshake.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rotunda::{
    http::{Connections, Tls, TlsFiles, serve_with},
    limits::Limits,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::client::Client;

const NAME: &str = "fhir.example.org";

/// An authority of the test's own, and a folder with what it issued last.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        authority.issue();
        authority
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.folder.path().join("certificate.pem"),
            key: self.folder.path().join("key.pem"),
        }
    }

    /// Writes a new certificate with a new key, and gives the certificate.
    fn issue(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = self.files();
        fs::write(&files.certificate, certificate.pem()).unwrap();
        write_secret(&files.key, &key.serialize_pem());
        certificate.into()
    }

    fn trusting(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A new connection, that knows the authority.
    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        secured(address, self.trusting(&[&TLS13, &TLS12])).await
    }
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn secured(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// The certificate that the other side showed.
fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let (_, connection) = stream.get_ref();
    connection.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

/// Serves `/` over TLS.
async fn listen(tls: Arc<Tls>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get("now"));
    let bounds = Connections::from(&Limits::default());
    let never = std::future::pending();
    tokio::spawn(serve_with(listener, Some(tls), router, bounds, never));
    address
}

async fn started(authority: &Authority) -> SocketAddr {
    listen(Arc::new(Tls::load(authority.files()).unwrap())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_3_and_1_2_are_spoken_and_http_1_1_over_them() {
    let authority = Authority::new();
    let address = started(&authority).await;
    for (offered, protocols, expected) in [
        (&[&TLS13, &TLS12][..], &["h2", "http/1.1"][..], &TLS13),
        (&[&TLS13], &["http/1.1"], &TLS13),
        (&[&TLS12], &["http/1.1"], &TLS12),
    ] {
        let mut config = authority.trusting(offered);
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let mut client = Client::over(secured(address, config).await.unwrap());
        let (_, connection) = client.stream().get_ref();
        assert_eq!(connection.protocol_version(), Some(expected.version));
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..2 {
            assert_eq!(client.send("GET", "/", &[], b"").await.text(), "now");
        }
        // The end is announced, so that nobody can cut an answer short unnoticed.
        let last = [("Connection", "close")];
        assert_eq!(client.send("GET", "/", &last, b"").await.status, 200);
        let end = client.stream().read(&mut [0; 1]).await;
        assert_eq!(end.unwrap(), 0, "{offered:?}");
    }
    let mut only_h2 = authority.trusting(&[&TLS13]);
    only_h2.alpn_protocols = vec![b"h2".to_vec()];
    assert!(secured(address, only_h2).await.is_err());
}

/// A ClientHello of TLS 1.0 (`minor` 1) to 1.2 (3), as a record.
fn hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.push(0);
    // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 and …_CBC_SHA, no compression.
    body.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x09, 1, 0]);
    // The curve P-256, uncompressed points, ecdsa_secp256r1_sha256, the extended master secret.
    body.extend([0, 26, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0]);
    body.extend([0, 13, 0, 4, 0, 2, 4, 3, 0, 23, 0, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_0_and_1_1_are_refused() {
    const HANDSHAKE: u8 = 22;
    const ALERT: u8 = 21;
    const PROTOCOL_VERSION: u8 = 70;
    let authority = Authority::new();
    let address = started(&authority).await;
    for (minor, expected) in [(1, ALERT), (2, ALERT), (3, HANDSHAKE)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&hello(minor)).await.unwrap();
        let mut told = [0; 7];
        stream.read_exact(&mut told).await.unwrap();
        assert_eq!(told[0], expected, "{minor}: {told:?}");
        if expected == ALERT {
            assert_eq!(told[6], PROTOCOL_VERSION, "{minor}: {told:?}");
            assert_eq!(stream.read(&mut told).await.unwrap(), 0, "{minor}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_http_without_tls_is_told() {
    let authority = Authority::new();
    let address = started(&authority).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let asked = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
    assert!(told.contains("https://"), "{told}");
}

/// Asks over and over, on a connection that is kept and on new ones, until told to stop.
async fn load(authority: Arc<Authority>, address: SocketAddr, stop: Arc<AtomicBool>) -> usize {
    let mut kept = Client::over(authority.connect(address).await.unwrap());
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        assert_eq!(kept.send("GET", "/", &[], b"").await.status, 200);
        let mut new = Client::over(authority.connect(address).await.unwrap());
        assert_eq!(new.send("GET", "/", &[], b"").await.status, 200);
        answered += 2;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_load_without_losing_a_request() {
    let authority = Arc::new(Authority::new());
    let tls = Arc::new(Tls::load(authority.files()).unwrap());
    let address = listen(tls.clone()).await;
    let watching = tokio::spawn(tls.keep_current());
    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| tokio::spawn(load(authority.clone(), address, stop.clone())))
        .collect();
    let is_shown_within = async |expected: &CertificateDer<'static>, time: Duration| {
        let until = Instant::now() + time;
        loop {
            let is_shown = shown(&authority.connect(address).await.unwrap()) == *expected;
            if is_shown || Instant::now() > until {
                return is_shown;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let second = authority.issue();
    assert!(is_shown_within(&second, Duration::from_secs(15)).await);

    // A key that does not belong to it, then half a file: what was good stays.
    write_secret(
        &authority.files().key,
        &KeyPair::generate().unwrap().serialize_pem(),
    );
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(is_shown_within(&second, Duration::ZERO).await);
    fs::write(
        authority.files().certificate,
        "-----BEGIN CERTIFICATE-----\nMII",
    )
    .unwrap();
    let third = authority.issue();
    assert!(is_shown_within(&third, Duration::from_secs(15)).await);

    stop.store(true, Ordering::Relaxed);
    for asking in asking {
        assert!(asking.await.unwrap() > 20);
    }
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_never_end_keep_nobody_out() {
    let authority = Arc::new(Authority::new());
    let address = started(&authority).await;
    let mut silent = Vec::new();
    for _ in 0..700 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let refused = Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        let refused = refused.clone();
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(&[22, 3, 1, 0xff, 0xff, 0, 0, 0]).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
            refused.fetch_add(1, Ordering::Relaxed);
        });
    }
    let asked = Instant::now();
    let mut client = Client::over(authority.connect(address).await.unwrap());
    assert_eq!(client.send("GET", "/", &[], b"").await.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(3));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(refused.load(Ordering::Relaxed), 50);
    // The oldest made room.
    let mut first = Client::over(silent.remove(0));
    assert!(first.is_closed(Duration::from_secs(1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_one_byte_do_not_stop_the_listener() {
    let authority = Authority::new();
    let address = started(&authority).await;
    let name = ServerName::try_from(NAME).unwrap();
    let config = Arc::new(authority.trusting(&[&TLS13]));
    let mut hello = Vec::new();
    let mut connection = ClientConnection::new(config, name).unwrap();
    connection.write_tls(&mut hello).unwrap();
    let crumbs: Vec<u8> = hello[5..]
        .iter()
        .flat_map(|byte| [22, 3, 1, 0, 1, *byte])
        .collect();
    let mut slow = Vec::new();
    for number in 0..60 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Some all but the last, some all.
        let sent = &crumbs[..crumbs.len() - 6 * (number % 2)];
        stream.write_all(sent).await.unwrap();
        slow.push(stream);
    }
    let asked = Instant::now();
    let mut client = Client::over(authority.connect(address).await.unwrap());
    assert_eq!(client.send("GET", "/", &[], b"").await.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(1));
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_do() {
    type Spoil = fn(&TlsFiles);
    let cases: [(&str, Spoil, &str); 7] = [
        (
            "certificate",
            |files| fs::remove_file(&files.certificate).unwrap(),
            "cannot be read",
        ),
        (
            "key",
            |files| fs::remove_file(&files.key).unwrap(),
            "cannot be read",
        ),
        (
            "certificate",
            |files| fs::write(&files.certificate, "").unwrap(),
            "holds no certificate in PEM form",
        ),
        (
            "key",
            |files| fs::write(&files.key, "x").unwrap(),
            "holds no private key",
        ),
        (
            "certificate",
            |files| {
                let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
                fs::write(&files.certificate, text).unwrap();
            },
            "cannot be used",
        ),
        (
            "key",
            |files| write_secret(&files.key, &KeyPair::generate().unwrap().serialize_pem()),
            "is not the key of the certificate",
        ),
        (
            "key",
            |files| fs::set_permissions(&files.key, fs::Permissions::from_mode(0o666)).unwrap(),
            "chmod 600",
        ),
    ];
    for (key, spoil, words) in cases {
        let authority = Authority::new();
        spoil(&authority.files());
        let error = Tls::load(authority.files()).err().unwrap();
        assert_eq!(error.key, key, "{error}");
        let told = error.to_string();
        assert!(told.starts_with(&format!("http.tls.{key}: /")), "{told}");
        assert!(told.contains(words), "{told}");
    }
}
