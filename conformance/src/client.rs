//! A small HTTP/1.1 client: one connection, kept open, each failure told apart from an answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, client::conn::http1::SendRequest, header::HeaderMap};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A FHIR base URL, taken apart.
#[derive(Debug, Clone)]
pub struct Base {
    /// `host:port`.
    pub address: String,
    /// `/fhir`.
    pub path: String,
}

impl Base {
    /// Reads `http://host:port/path`.
    ///
    /// # Errors
    /// It is another kind of URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| format!("{url}: must begin with http://"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let path = match path.trim_end_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        Ok(Self { address, path })
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The id that `Location` or the body names.
    pub fn id(&self, kind: &str) -> Option<String> {
        let location = self
            .header("location")
            .or_else(|| self.header("content-location"));
        let from_location = location.and_then(|location| {
            let mut parts = location.split('/').skip_while(|part| *part != kind);
            parts.next()?;
            parts.next().map(str::to_owned)
        });
        from_location.or_else(|| self.json()["id"].as_str().map(str::to_owned))
    }

    /// Status and the beginning of the body, for messages.
    pub fn brief(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(600)
            .collect();
        format!("{} {text}", self.status)
    }
}

/// A connection that is made when it is needed.
pub struct Connection {
    base: Base,
    headers: Vec<(String, String)>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection to `base`, with these headers on every request.
    pub fn new(base: &Base, headers: &[(String, String)]) -> Self {
        Self {
            base: base.clone(),
            headers: headers.to_vec(),
            sender: None,
        }
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// Why there is no answer: nobody knows then what the server did.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Result<Reply, String> {
        let request = self.request(method, path, body, headers)?;
        let answer = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err("timeout: no answer".to_owned()));
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Result<Request<Full<Bytes>>, String> {
        let path = match format!("{}{path}", self.base.path) {
            path if path.is_empty() => "/".to_owned(),
            path => path,
        };
        let given = |name: &str| {
            headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        let mut builder = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.base.address)
            .header("accept", "application/fhir+json");
        if body.is_some() && !given("content-type") {
            builder = builder.header("content-type", "application/fhir+json");
        }
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| format!("request: {error}"))
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, String> {
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender
            .ready()
            .await
            .map_err(|error| format!("ready: {error}"))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| format!("send: {error}"))?;
        let (head, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| format!("body: {error}"))?
            .to_bytes();
        self.sender = Some(sender);
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(&self.base.address)
            .await
            .map_err(|error| format!("connect: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| format!("connect: {error}"))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("handshake: {error}"))?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// The resources of a searchset or the responses of a transaction; else what is wrong with one.
///
/// # Errors
/// The body is no Bundle, or an entry failed.
pub fn entries(body: &[u8]) -> Result<Vec<Value>, String> {
    let mut bundle: Value =
        serde_json::from_slice(body).map_err(|error| format!("json: {error}"))?;
    let entries = match bundle["entry"].take() {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    };
    for entry in &entries {
        if let Some(status) = entry["response"]["status"].as_str()
            && !status.starts_with('2')
        {
            return Err(format!(
                "entry status {status}: {}",
                entry["response"]["outcome"]
            ));
        }
    }
    Ok(entries)
}
