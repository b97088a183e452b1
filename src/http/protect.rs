//! Headers that keep browsers from doing with an answer what it is not meant for.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Not among the names that the `http` crate has.
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// What an answer gets unless it says something of its own: data is no page, is in no frame, and
/// is for nobody's cache. Pages say what they load and run.
static UNLESS_SET: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // An address may hold what was searched for.
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    // Pages of other origins may ask as CORS lets them, but not load an answer as an image.
    (
        CROSS_ORIGIN_RESOURCE_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
];

/// For a year, browsers that have seen this host with TLS do not try without. What other hosts of
/// the domain do is not for this one to say.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers; with TLS, if clients come with it.
pub fn apply(headers: &mut HeaderMap, tls: bool) {
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    for (name, value) in &UNLESS_SET {
        if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
}
