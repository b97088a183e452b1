//! Requests that the server itself sends: keys of clients, identity providers, subscribers.
//!
//! Whoever may name a URL to the server must not reach with it what only the server reaches. So a
//! URL is read once ([`target`]), its name is resolved once, every address is checked
//! ([`address`]), and the connection goes to exactly what was checked. Redirects are not
//! followed, answers are small, quick and JSON, and no proxy is taken from the environment.

mod address;
mod answer;
mod connect;
mod error;
mod resolve;
mod settings;
mod target;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde::de::DeserializeOwned;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use url::form_urlencoded;

pub use address::is_public;
pub use error::FetchError;
pub use resolve::{Addresses, Resolve, SystemResolver};
pub use settings::FetchSettings;

use target::{Allowed, Target};

/// Time for a fetch, from the name's look-up to the last byte.
const TIME: Duration = Duration::from_secs(5);
/// Bytes of an answer's body.
const MOST_BYTES: usize = 64 << 10;
/// Fetches at a time; more wait, within their time.
const AT_A_TIME: usize = 32;
const USER_AGENT: HeaderValue = HeaderValue::from_static("rotunda");

/// Sends requests to addresses that others have named.
pub struct Fetcher {
    allowed: Allowed,
    resolver: Arc<dyn Resolve>,
    tls: Arc<rustls::ClientConfig>,
    places: Semaphore,
    time: Duration,
}

/// A JSON answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// 200 to a `GET`; what the other side said to a form.
    pub status: StatusCode,
    /// The body, which was declared to be JSON and was not looked at.
    pub body: Bytes,
    /// How long the answer may be kept, by its `Cache-Control`; zero for `no-store`, `None` if it
    /// says nothing.
    pub max_age: Option<Duration>,
}

impl Fetched {
    /// The body, read.
    ///
    /// # Errors
    /// It is no JSON, or not what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, FetchError> {
        serde_json::from_slice(&self.body).map_err(|error| FetchError::NotJson(error.to_string()))
    }
}

impl Fetcher {
    /// A fetcher with these settings, that resolves names as the operating system does.
    ///
    /// # Errors
    /// An entry of the settings makes no sense, or the file with further authorities cannot be
    /// read.
    pub fn new(settings: &FetchSettings) -> Result<Self, FetchError> {
        Self::with_resolver(settings, Arc::new(SystemResolver))
    }

    /// A fetcher that resolves names with `resolver`.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn with_resolver(
        settings: &FetchSettings,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, FetchError> {
        Ok(Self {
            allowed: settings.allowed()?,
            resolver,
            tls: connect::client_config(settings.ca_file.as_deref())?,
            places: Semaphore::new(AT_A_TIME),
            time: TIME,
        })
    }

    /// Gets a JSON document.
    ///
    /// # Errors
    /// The URL is refused, nobody answers in time, or the answer is not 200 and small JSON.
    pub async fn get_json(&self, url: &str) -> Result<Fetched, FetchError> {
        let target = Target::read(url, &self.allowed)?;
        let fetched = self.fetch(&target, Request::new(Vec::new())).await?;
        match fetched.status {
            StatusCode::OK => Ok(fetched),
            status => Err(FetchError::Status(status.as_u16())),
        }
    }

    /// Posts a form, with name and secret as HTTP Basic credentials if there are any (RFC 6749,
    /// section 2.3.1). Refusals of the other side (4xx) are answers too: an OAuth error is one.
    ///
    /// # Errors
    /// As [`Fetcher::get_json`].
    pub async fn post_form(
        &self,
        url: &str,
        basic: Option<(&str, &str)>,
        form: &[(&str, &str)],
    ) -> Result<Fetched, FetchError> {
        let target = Target::read(url, &self.allowed)?;
        let mut body = form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(form).finish();
        let mut request = Request::new(body.into_bytes());
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        if let Some((name, secret)) = basic {
            headers.insert(header::AUTHORIZATION, credentials(name, secret)?);
        }
        let fetched = self.fetch(&target, request).await?;
        let status = fetched.status;
        match status.is_success() || status.is_client_error() {
            true => Ok(fetched),
            false => Err(FetchError::Status(status.as_u16())),
        }
    }

    /// Sends a request as a library has made it (the `oauth2` crate, for one), and gives the
    /// answer whatever its status, if it is JSON.
    ///
    /// # Errors
    /// The URL or a header is refused, nobody answers in time, or the answer is not small JSON.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let target = Target::read(&request.uri().to_string(), &self.allowed)?;
        let fetched = self.fetch(&target, request).await?;
        let mut response = Response::new(fetched.body.to_vec());
        *response.status_mut() = fetched.status;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Ok(response)
    }

    async fn fetch(
        &self,
        target: &Target,
        request: Request<Vec<u8>>,
    ) -> Result<Fetched, FetchError> {
        let request = prepared(request, target)?;
        match timeout(self.time, self.exchange(target, request)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(FetchError::TooSlow(self.time.as_secs())),
        }
    }

    async fn exchange(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
    ) -> Result<Fetched, FetchError> {
        let _place = self.places.acquire().await.map_err(|_| FetchError::Ended)?;
        let addresses = target.addresses(&*self.resolver).await?;
        let stream = connect::connect(target, &addresses, &self.tls).await?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(32 << 10)
            .handshake(stream)
            .await
            .map_err(|error| FetchError::exchange(&error))?;
        // Ends with this call, whatever the other side does.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| FetchError::exchange(&error))?;
        answer::read(answer, MOST_BYTES).await
    }
}

/// Client credentials as a header; both parts are form-encoded first.
fn credentials(name: &str, secret: &str) -> Result<HeaderValue, FetchError> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(name), encoded(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {pair}"))
        .map_err(|_| FetchError::Header("authorization".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Headers that say how a message is framed and whom it is for: nobody else may set them.
const OURS: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];

/// The request as it goes to `target`.
fn prepared(
    request: Request<Vec<u8>>,
    target: &Target,
) -> Result<Request<Full<Bytes>>, FetchError> {
    let (mut parts, body) = request.into_parts();
    if !matches!(parts.method, Method::GET | Method::POST) {
        return Err(FetchError::Method(parts.method.to_string()));
    }
    if let Some(name) = OURS.iter().find(|name| parts.headers.contains_key(*name)) {
        return Err(FetchError::Header(name.to_string()));
    }
    parts.uri = target.path()?;
    parts.version = hyper::Version::HTTP_11;
    let headers: &mut HeaderMap = &mut parts.headers;
    headers.insert(header::HOST, target.host_header()?);
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let json = HeaderValue::from_static("application/json");
    headers.entry(header::ACCEPT).or_insert(json);
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    Ok(Request::from_parts(parts, Full::new(Bytes::from(body))))
}
