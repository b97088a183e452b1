//! TLS, and certificates that belong to channels.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use mllp::ack::Code;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rotunda::{
    hl7::{Channel, fingerprint},
    tls::{Tls, TlsFiles},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    fixture::{Fixture, Plan},
    wire::{Wire, adt},
};
use crate::fixture::Database;

on_both_databases!(a_channel_is_its_senders_certificate);

pub const NAME: &str = "hl7.example.org";

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Else its name is that of what it issues, which OpenSSL takes for self-signed.
        let name = &mut params.distinguished_name;
        name.push(rcgen::DnType::CommonName, "Authority");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn client(&self, name: &str) -> Pair {
        let (certificate, key) = self.issue(name);
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.into(), key.into())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Authority, certificate and key of a client, as files.
    pub fn client_files(&self, name: &str) -> [PathBuf; 3] {
        let (certificate, key) = self.issue(name);
        [
            self.file("authority.pem", &self.issuer.pem()),
            self.file("client.pem", &certificate.pem()),
            self.file("client-key.pem", &key.serialize_pem()),
        ]
    }

    /// The server's TLS.
    pub fn tls(&self) -> Arc<Tls> {
        let (certificate, key) = self.issue(NAME);
        let files = TlsFiles {
            certificate: self.file("certificate.pem", &certificate.pem()),
            key: self.file("key.pem", &key.serialize_pem()),
        };
        let clients = self.file("clients.pem", &self.issuer.pem());
        Arc::new(Tls::load_with_clients(files, clients).unwrap())
    }

    async fn connect(
        &self,
        address: SocketAddr,
        client: Option<&Pair>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .unwrap(),
        };
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(NAME).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

async fn a_channel_is_its_senders_certificate(database: Database) {
    let authority = Authority::new();
    let (lab, ward) = (authority.client("lab"), authority.client("ward"));
    let pinned = |name: &str, pair: &Pair| Channel {
        name: name.to_owned(),
        certificates: vec![fingerprint(&pair.0)],
        ..Channel::default()
    };
    let plan = Plan {
        tls: Some(authority.tls()),
        channels: vec![pinned("lab", &lab), pinned("ward", &ward)],
        ..Plan::default()
    };
    let f = Fixture::new(database, plan).await;
    for (n, (pair, name)) in [(&lab, "lab"), (&ward, "ward")].into_iter().enumerate() {
        let stream = authority.connect(f.address, Some(pair)).await.unwrap();
        let mut wire = Wire::over(stream);
        assert_eq!(wire.ask(&adt(name, "7", ("", ""))).await.code, Code::AA);
        assert_eq!(f.messages().await[n].head.channel, name);
    }
    // Of the same authority, but nobody's that is known.
    let other = authority.client("other");
    let stream = authority.connect(f.address, Some(&other)).await.unwrap();
    let mut wire = Wire::over(stream);
    assert_eq!(wire.ask(&adt("x", "7", ("", ""))).await.code, Code::AR);
    // Of another authority, or none at all.
    let stranger = Authority::new().client("lab");
    for client in [Some(&stranger), None] {
        if let Ok(stream) = authority.connect(f.address, client).await {
            // In TLS 1.3 the client learns of it when it reads.
            assert!(Wire::over(stream).is_closed().await);
        }
    }
    // And without TLS.
    let mut plain = Wire::to(f.address).await;
    plain.send(&adt("y", "7", ("", ""))).await;
    let ended = plain.event(std::time::Duration::from_secs(10)).await;
    assert!(!matches!(ended, Some(mllp::frame::Event::Frame(_))));
    drop((wire, plain));
    f.stop().await;
}
