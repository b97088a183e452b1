//! Requests to the server: one connection each, `http` or `https`.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Url, form_urlencoded};

const PATIENCE: Duration = Duration::from_secs(60);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Call {
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Call {
    /// A GET.
    pub fn get(url: &str) -> Self {
        Self {
            method: "GET",
            url: url.to_owned(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A POST of a form.
    pub fn form(url: &str, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let call = Self {
            method: "POST",
            body,
            ..Self::get(url)
        };
        call.header("content-type", "application/x-www-form-urlencoded")
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Where it goes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is a POST.
    pub fn is_post(&self) -> bool {
        self.method == "POST"
    }

    /// The same with an access token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Status and the beginning of the body.
    pub fn brief(&self) -> String {
        let text: String = self.body.chars().take(200).collect();
        format!("{} {text}", self.status)
    }
}

/// Sends calls.
#[derive(Clone)]
pub struct Web {
    tls: TlsConnector,
}

impl Web {
    /// Trusts the public authorities and, if named, those in a PEM file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn new(ca: Option<&Path>) -> Result<Self, String> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        if let Some(path) = ca {
            let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            for one in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
                let one = one.map_err(|error| wrong(&error))?;
                roots.add(one).map_err(|error| wrong(&error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Sends a call and waits for the whole answer; follows nothing.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(&self, call: &Call) -> Result<Answer, String> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(call)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        answer.map_err(|error| format!("{} {}: {error}", call.method, call.url))
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let url = Url::parse(&call.url).map_err(|error| text(&error))?;
        let host = url.host_str().ok_or("no host")?;
        let port = url.port_or_known_default().ok_or("no port")?;
        let bare = host.trim_matches(['[', ']']);
        let tcp = TcpStream::connect((bare, port)).await;
        let tcp = tcp.map_err(|error| text(&error))?;
        let stream: Box<dyn Stream> = match url.scheme() {
            "http" => Box::new(tcp),
            "https" => {
                let name = ServerName::try_from(bare.to_owned()).map_err(|error| text(&error))?;
                let tls = self.tls.connect(name, tcp).await;
                Box::new(tls.map_err(|error| text(&error))?)
            }
            other => return Err(format!("cannot speak {other}")),
        };
        let made = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = made.map_err(|error| text(&error))?;
        tokio::spawn(connection);
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = Request::builder()
            .method(call.method)
            .uri(path)
            .header("host", authority);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(call.body.clone())));
        let request = request.map_err(|error| text(&error))?;
        let answer = sender.send_request(request).await;
        let (head, body) = answer.map_err(|error| text(&error))?.into_parts();
        let body = body.collect().await.map_err(|error| text(&error))?;
        let headers = head.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        Ok(Answer {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        })
    }
}
