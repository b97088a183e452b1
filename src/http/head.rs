//! What is refused by the head alone.

use axum::http::{HeaderName, Method, StatusCode, header, request::Parts};

use super::{
    Server,
    failure::Failure,
    headers::IF_NONE_EXIST,
    host,
    query::{self, Pairs},
};

/// Refuses addresses that send too much, heads that are too large or say two things at once, and
/// pages in browsers that have no business here.
///
/// # Errors
/// 429, 405, 414, 431, 400, 421 and 403.
pub fn check(server: &Server, parts: &Parts) -> Result<(), Failure> {
    check_shape(server, parts)?;
    check_sender(server, parts)
}

/// Refuses addresses that send too much or pass by the proxies, and heads that are too large or say
/// two things at once.
///
/// # Errors
/// 429, 403, 405, 414, 431 and 400.
pub fn check_shape(server: &Server, parts: &Parts) -> Result<(), Failure> {
    server.rates.check_address(parts)?;
    server.settings.proxies.check(parts)?;
    if parts.method == Method::CONNECT {
        // There is no path whose methods could be told.
        return Err(Failure::method(
            "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        ));
    }
    check_sizes(server, parts)?;
    host::check_one(parts.version, &parts.headers)?;
    check_once(parts)
}

/// Headers of which one value decides. If there were two, a proxy might go by one of them and
/// this server by the other.
const ONCE: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::ORIGIN,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::IF_MATCH,
    IF_NONE_EXIST,
];

fn check_once(parts: &Parts) -> Result<(), Failure> {
    for name in &ONCE {
        if parts.headers.get_all(name).iter().nth(1).is_some() {
            return Err(Failure::bad_request(format!(
                "The header {name} is there more than once; send it once."
            )));
        }
    }
    Ok(())
}

fn check_sizes(server: &Server, parts: &Parts) -> Result<(), Failure> {
    let limits = &server.engine.settings().limits;
    let uri = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    if uri > limits.url_bytes {
        return Err(Failure::new(
            StatusCode::URI_TOO_LONG,
            "too-long",
            format!(
                "The URL has {uri} bytes; the server takes {}. Send a long search as POST \
                 …/_search with the parameters in the body.",
                limits.url_bytes
            ),
        ));
    }
    let size: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > limits.header_bytes {
        return Err(Failure::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "too-long",
            format!(
                "The headers have {size} bytes; the server takes {}.",
                limits.header_bytes
            ),
        ));
    }
    Ok(())
}

/// Pages in browsers that have no business here.
fn check_sender(server: &Server, parts: &Parts) -> Result<(), Failure> {
    if server.settings.open {
        server.hosts.check(parts)?;
    }
    if !server.origins.may_send(parts) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Pages of this origin may not change anything here; http.cors_origins names those \
             that may.",
        ));
    }
    Ok(())
}

/// Parameters that are wrong wherever they stand.
pub fn check_controls(pairs: &Pairs) -> Result<(), Failure> {
    if pairs.iter().any(|(name, _)| name == "access_token") {
        return Err(Failure::bad_request(
            "An access token must not stand in the URL, where logs keep it. Send it in the \
             Authorization header.",
        ));
    }
    match query::last(pairs, "_pretty") {
        None | Some("true" | "false" | "") => Ok(()),
        Some(_) => Err(Failure::bad_request("_pretty must be true or false.")),
    }
}
