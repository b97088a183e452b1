//! The cookies of the pages: the session, the log-in that has begun, and the device from which
//! somebody logged in before.

use axum::http::{HeaderMap, HeaderValue, header};

use super::{super::Reply, Visit};
use crate::auth::{AuthError, session::LoggedIn};

/// A cookie of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie {
    /// Whose browser it is.
    Session,
    /// Binds the forms before a session to the browser, and names the log-in that has begun.
    Form,
    /// Who logged in from the device before; sealed.
    Device,
}

/// Seconds that a device is remembered.
const DEVICE_SECONDS: u32 = 365 * 86_400;

impl Cookie {
    /// Its name. The prefix makes browsers refuse one that another host or a page without TLS
    /// sets (RFC 6265bis, section 4.1.3.2); they also refuse it without TLS, on loopback.
    const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-rotunda",
            (Self::Session, false) => "rotunda",
            (Self::Form, true) => "__Host-rotunda-form",
            (Self::Form, false) => "rotunda-form",
            (Self::Device, true) => "__Host-rotunda-device",
            (Self::Device, false) => "rotunda-device",
        }
    }
}

/// The session of the browser that asks, with its user.
///
/// # Errors
/// The store refuses.
pub async fn session_of(visit: &Visit<'_>) -> Result<Option<LoggedIn>, AuthError> {
    match get(visit, Cookie::Session) {
        Some(text) => visit.auth.session(text).await,
        None => Ok(None),
    }
}

/// The value of a cookie.
pub fn get<'r>(visit: &Visit<'r>, cookie: Cookie) -> Option<&'r str> {
    find(&visit.parts.headers, cookie.name(is_secure(visit)))
}

/// Sets a cookie with this value, for letters of base64url only.
pub fn set(visit: &Visit<'_>, reply: &mut Reply, cookie: Cookie, value: &str) {
    let age = match cookie {
        Cookie::Device => format!("; Max-Age={DEVICE_SECONDS}"),
        // They end with the browser, and on the server before.
        Cookie::Session | Cookie::Form => String::new(),
    };
    write(visit, reply, cookie, value, &age);
}

/// Makes the browser forget a cookie.
pub fn clear(visit: &Visit<'_>, reply: &mut Reply, cookie: Cookie) {
    write(visit, reply, cookie, "", "; Max-Age=0");
}

fn write(visit: &Visit<'_>, reply: &mut Reply, cookie: Cookie, value: &str, age: &str) {
    let secure = is_secure(visit);
    let name = cookie.name(secure);
    let mark = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{mark}{age}");
    if let Ok(text) = HeaderValue::try_from(text) {
        reply.headers_mut().append(header::SET_COOKIE, text);
    }
}

fn is_secure(visit: &Visit<'_>) -> bool {
    visit.auth.settings().issuer.starts_with("https://")
}

/// The value of the cookie with this name; nothing if it is there twice, since then it cannot be
/// known who set which.
fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let mut values = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_only_once() {
        for (line, found) in [
            ("rotunda=a", Some("a")),
            ("x=1; rotunda=a=b; y=2", Some("a=b")),
            ("rotunda-form=a", None),
            ("xrotunda=a", None),
            ("rotunda", None),
            ("rotunda=a; rotunda=b", None),
            ("", None),
        ] {
            let value = HeaderValue::from_static(line);
            let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
            assert_eq!(find(&headers, "rotunda"), found, "{line}");
        }
    }
}
