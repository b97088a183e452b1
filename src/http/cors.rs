//! What pages in a browser may do: nothing across origins, unless the configuration names theirs or
//! a client has registered it.

use axum::http::{HeaderMap, HeaderValue, Method, header, request::Parts};

/// The origins that may read answers and send changes.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    any: bool,
    listed: Vec<String>,
    /// The server's own.
    own: String,
    /// Clients register theirs.
    registered: bool,
}

/// Marks a request of a page whose origin a client has registered.
#[derive(Debug, Clone, Copy)]
pub struct Registered;

impl Origins {
    /// Origins as `https://app.example.org`; `*` stands for all.
    pub fn new(origins: &[String], base_url: &str) -> Self {
        Self {
            own: origin(base_url).to_owned(),
            registered: false,
            any: origins.iter().any(|origin| origin == "*"),
            listed: origins
                .iter()
                .map(|origin| origin.trim_end_matches('/').to_owned())
                .collect(),
        }
    }

    /// The same, with those that clients register.
    #[must_use]
    pub const fn and_registered(mut self, registered: bool) -> Self {
        self.registered = registered;
        self
    }

    /// False for a change that a page of a foreign origin sends. Browsers let any page send some
    /// requests, a Binary for instance, and only keep the answer from it.
    pub fn may_send(&self, parts: &Parts) -> bool {
        let Some(origin) = parts.headers.get(header::ORIGIN) else {
            return true;
        };
        matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
            || origin == self.own.as_str()
            || self.allowed(parts).is_some()
    }

    /// What `Access-Control-Allow-Origin` says to this request.
    fn allowed(&self, request: &Parts) -> Option<HeaderValue> {
        let origin = request.headers.get(header::ORIGIN)?;
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        let listed = self.listed.iter().any(|known| origin == known.as_str());
        let registered = request.extensions.get::<Registered>().is_some();
        (listed || registered).then(|| origin.clone())
    }

    /// Adds to `answer` what lets the browser hand it to a page of an allowed origin. Cookies
    /// and other credentials of the browser are never allowed.
    pub fn apply(&self, request: &Parts, answer: &mut HeaderMap, public: bool) {
        if self.listed.is_empty() && !self.registered {
            return;
        }
        let public = public && self.registered;
        if !self.any && !public {
            answer.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let origin = match public {
            true => Some(HeaderValue::from_static("*")),
            false => self.allowed(request),
        };
        let Some(origin) = origin else {
            return;
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "etag, location, content-location, last-modified, expires, retry-after, x-request-id",
            ),
        );
        if request
            .headers
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            answer.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
            );
            answer.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(
                    "accept, authorization, content-type, idempotency-key, if-match, \
                     if-modified-since, if-none-exist, if-none-match, prefer, x-request-id",
                ),
            );
            answer.insert(
                header::ACCESS_CONTROL_MAX_AGE,
                HeaderValue::from_static("600"),
            );
        }
    }
}

/// False for a form that a page of another origin than that of `url` sends, whoever may call
/// otherwise.
pub fn is_own(request: &Parts, url: &str) -> bool {
    let changes = !matches!(request.method, Method::GET | Method::HEAD);
    let sender = request.headers.get(header::ORIGIN);
    !changes || sender.is_none_or(|sender| sender == origin(url))
}

/// Scheme and authority of a URL.
fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..]
        .find('/')
        .map_or(url.len(), |at| authority + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://fhir.example.org:8443/r4";

    fn request(method: Method, origin: Option<&str>) -> Parts {
        let mut request = axum::http::Request::builder().method(method);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn origins_that_clients_register_are_let_in_where_clients_register() {
        let origins = Origins::new(&[], BASE).and_registered(true);
        let mut page = request(Method::POST, Some("https://app.example.org"));
        assert!(!origins.may_send(&page));
        page.extensions.insert(Registered);
        assert!(origins.may_send(&page));
        let foreign = request(Method::GET, Some("https://evil.example"));
        for (page, public, expected) in [
            (&page, false, Some("https://app.example.org")),
            (&foreign, false, None),
            (&foreign, true, Some("*")),
        ] {
            let mut answer = HeaderMap::new();
            origins.apply(page, &mut answer, public);
            let found = answer.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(found.map(|value| value.to_str().unwrap()), expected);
        }
    }

    #[test]
    fn changes_come_from_known_pages_or_from_no_page() {
        let origins = Origins::new(&["https://app.example.org".to_owned()], BASE);
        let from = |method: Method, origin: &str| origins.may_send(&request(method, Some(origin)));
        assert!(origins.may_send(&request(Method::POST, None)));
        assert!(from(Method::POST, "https://app.example.org"));
        assert!(from(Method::POST, "https://fhir.example.org:8443"));
        assert!(from(Method::GET, "https://evil.example"));
        assert!(!from(Method::POST, "https://evil.example"));
        assert!(!from(Method::DELETE, "null"));
    }

    #[test]
    fn forms_come_from_the_pages_of_this_server() {
        for (method, sender, own) in [
            (Method::POST, None, true),
            (Method::POST, Some("https://fhir.example.org:8443"), true),
            (Method::POST, Some("https://fhir.example.org"), false),
            (Method::POST, Some("https://app.example.org"), false),
            (Method::POST, Some("null"), false),
            (Method::GET, Some("https://app.example.org"), true),
        ] {
            let mut page = request(method, sender);
            page.extensions.insert(Registered);
            assert_eq!(is_own(&page, BASE), own, "{sender:?}");
        }
    }

    fn allowed(origins: &[&str], origin: &'static str) -> Option<String> {
        let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
        let request = request(Method::GET, Some(origin));
        let mut answer = HeaderMap::new();
        Origins::new(&origins, BASE).apply(&request, &mut answer, false);
        assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
        let value = answer.get(header::ACCESS_CONTROL_ALLOW_ORIGIN)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_configured_origins_are_let_in() {
        let app = "https://app.example.org";
        assert_eq!(allowed(&[], app), None);
        assert_eq!(allowed(&[app], app).as_deref(), Some(app));
        assert_eq!(
            allowed(&["https://app.example.org/"], app).as_deref(),
            Some(app)
        );
        assert_eq!(allowed(&[app], "https://evil.example"), None);
        assert_eq!(allowed(&[app], "null"), None);
        assert_eq!(
            allowed(&["*"], "https://evil.example").as_deref(),
            Some("*")
        );
    }
}
