//! The request headers that FHIR gives a meaning to, and the headers of answers.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use resources::outcome::Issue;

use crate::engine::Return;

/// `X-Request-Id`
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `If-None-Exist`
pub const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");
/// `Prefer`
pub const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What to do with parameters that are not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// Refuse the request.
    Strict,
    /// Go on without them.
    Lenient,
}

/// The `Prefer` headers of a request (RFC 7240).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prefer {
    /// `return=…`, if the client says so.
    pub answer: Option<Return>,
    /// `handling=…`: whether to go on without what is not understood.
    pub handling: Option<Handling>,
}

impl Prefer {
    /// Reads all `Prefer` headers. Names do not depend on case, of several of a name the first
    /// counts, and those that are not known are left alone, as RFC 7240 asks.
    pub fn read(headers: &HeaderMap) -> Self {
        const ANSWERS: [(&str, Return); 3] = [
            ("minimal", Return::Minimal),
            ("representation", Return::Representation),
            ("OperationOutcome", Return::OperationOutcome),
        ];
        const HANDLINGS: [(&str, Handling); 2] =
            [("strict", Handling::Strict), ("lenient", Handling::Lenient)];
        if !headers.contains_key(PREFER) {
            return Self::default();
        }
        Self {
            answer: named(preference(headers, "return"), &ANSWERS),
            handling: named(preference(headers, "handling"), &HANDLINGS),
        }
    }
}

/// The value of the first preference of this name.
fn preference<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let values = headers.get_all(PREFER).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

fn named<T: Copy>(value: Option<&str>, known: &[(&str, T)]) -> Option<T> {
    let value = value?;
    let mut known = known.iter();
    known
        .find(|(name, _)| name.eq_ignore_ascii_case(value))
        .map(|(_, meaning)| *meaning)
}

/// A precondition on the version of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// `*`: any version, as long as there is one.
    Any,
    /// This version.
    Version(i64),
    /// An entity tag that no resource of this server ever has.
    Never,
}

/// Reads `If-Match`: one entity tag, or `*`.
///
/// # Errors
/// An issue (400) if it is no entity tag, or several.
pub fn if_match(headers: &HeaderMap) -> Result<Option<Match>, Issue> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Some(Match::Any));
    }
    let tag = entity_tag(text).ok_or_else(|| {
        Issue::error(
            "value",
            "If-Match must be one entity tag, as in If-Match: W/\"3\" (the ETag of the version \
             that you read).",
        )
    })?;
    Ok(Some(version(tag).map_or(Match::Never, Match::Version)))
}

/// The version that a text with or without the marks of an entity tag names.
fn version(tag: &str) -> Option<i64> {
    tag.parse().ok().filter(|version| *version > 0)
}

/// The opaque part of `W/"x"`, `"x"`, and of `x`, which some clients send.
fn entity_tag(text: &str) -> Option<&str> {
    let text = text.strip_prefix("W/").unwrap_or(text);
    let inner = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => text,
    };
    let opaque = !inner.is_empty() && !inner.bytes().any(|b| b == b'"' || b == b',' || b == b' ');
    opaque.then_some(inner)
}

/// True if a read may be answered with 304: the client holds what it would get.
pub fn not_modified(headers: &HeaderMap, version: i64, updated: i64) -> bool {
    if let Some(held) = headers.get(header::IF_NONE_MATCH) {
        let held = held.to_str().unwrap_or_default();
        return held.split(',').any(|tag| {
            let tag = tag.trim();
            tag == "*" || entity_tag(tag).and_then(self::version) == Some(version)
        });
    }
    headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|since| since.to_str().ok())
        .and_then(|since| httpdate::parse_http_date(since).ok())
        .and_then(|since| since.duration_since(SystemTime::UNIX_EPOCH).ok())
        .is_some_and(|since| u64::try_from(updated / 1000).is_ok_and(|at| at <= since.as_secs()))
}

/// `W/"3"`
pub fn etag(version: i64) -> HeaderValue {
    let mut text = String::with_capacity(24);
    text.push_str("W/\"");
    text.push_str(itoa::Buffer::new().format(version));
    text.push('"');
    value(text)
}

/// `Last-Modified` of an instant in milliseconds since 1970.
pub fn http_date(updated: i64) -> HeaderValue {
    let since = Duration::from_millis(u64::try_from(updated).unwrap_or(0));
    value(httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since))
}

/// Text that is known to be printable ASCII as a header; anything else as an empty one.
pub fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(text))])
    }

    #[test]
    fn if_match_takes_one_entity_tag() {
        let cases = [
            ("W/\"3\"", Ok(Some(Match::Version(3)))),
            ("\"3\"", Ok(Some(Match::Version(3)))),
            ("3", Ok(Some(Match::Version(3)))),
            ("*", Ok(Some(Match::Any))),
            ("W/\"abc\"", Ok(Some(Match::Never))),
            ("W/\"-1\"", Ok(Some(Match::Never))),
            ("W/\"3", Err(())),
            ("W/\"3\", W/\"4\"", Err(())),
            ("", Err(())),
        ];
        for (text, expected) in cases {
            let read = if_match(&headers(header::IF_MATCH, text)).map_err(|_| ());
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(if_match(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_read_is_not_modified_by_tag_or_by_date() {
        // 2026-11-20T10:00:00.900Z
        let updated = 1_795_168_800_900;
        let tag = |text| not_modified(&headers(header::IF_NONE_MATCH, text), 3, updated);
        assert!(tag("W/\"3\""));
        assert!(tag("\"2\", \"3\""));
        assert!(tag("*"));
        assert!(!tag("W/\"2\""));
        let date = |text| not_modified(&headers(header::IF_MODIFIED_SINCE, text), 3, updated);
        assert!(date("Fri, 20 Nov 2026 10:00:00 GMT"));
        assert!(date("Sat, 21 Nov 2026 10:00:00 GMT"));
        assert!(!date("Fri, 20 Nov 2026 09:59:59 GMT"));
        assert!(!date("yesterday"));
        assert!(!not_modified(&HeaderMap::new(), 3, updated));
    }

    #[test]
    fn the_tag_decides_when_a_date_is_there_too() {
        let mut both = headers(header::IF_NONE_MATCH, "W/\"2\"");
        both.insert(
            header::IF_MODIFIED_SINCE,
            HeaderValue::from_static("Sat, 21 Nov 2026 10:00:00 GMT"),
        );
        assert!(!not_modified(&both, 3, 1_795_168_800_900));
    }

    #[test]
    fn dates_and_tags_are_written_as_http_wants_them() {
        assert_eq!(etag(12), "W/\"12\"");
        assert_eq!(
            http_date(1_795_168_800_900),
            "Fri, 20 Nov 2026 10:00:00 GMT"
        );
    }

    #[test]
    fn preferences_are_read_from_all_headers() {
        let mut all = headers(PREFER, "return=minimal; foo, handling=lenient");
        let expected = Prefer {
            answer: Some(Return::Minimal),
            handling: Some(Handling::Lenient),
        };
        assert_eq!(Prefer::read(&all), expected);
        all.append(PREFER, HeaderValue::from_static("return=OperationOutcome"));
        assert_eq!(Prefer::read(&all), expected, "the first counts");
        assert_eq!(Prefer::read(&HeaderMap::new()), Prefer::default());
    }

    #[test]
    fn names_of_preferences_do_not_depend_on_case_and_the_first_counts() {
        let cases = [
            ("RETURN=minimal", Some(Return::Minimal)),
            ("Return=Representation", Some(Return::Representation)),
            (
                "return = \"operationoutcome\"",
                Some(Return::OperationOutcome),
            ),
            (
                "return=minimal, return=representation",
                Some(Return::Minimal),
            ),
            ("return=something, return=minimal", None),
            ("respond-async", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Prefer::read(&headers(PREFER, text)).answer,
                expected,
                "{text}"
            );
        }
    }
}
