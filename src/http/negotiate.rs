//! What form the client wants an answer in, and what form it sent.

use axum::http::{HeaderMap, HeaderValue, header};
use resources::outcome::Issue;

/// The media type of an answer; the text is JSON in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `application/fhir+json`, FHIR's own.
    #[default]
    FhirJson,
    /// `application/json`, to those who ask for it by name.
    Json,
    /// `text/json`, to those who ask for it by name.
    TextJson,
}

impl Format {
    /// The `Content-Type` of an answer in this format.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::FhirJson => "application/fhir+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::TextJson => "text/json; charset=utf-8",
        })
    }

    fn from_media_type(name: &str) -> Option<Self> {
        const NAMES: [(&str, Format); 4] = [
            ("application/fhir+json", Format::FhirJson),
            ("application/json", Format::Json),
            ("text/json", Format::TextJson),
            ("application/json+fhir", Format::FhirJson),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, format)| *format)
    }
}

/// A media type with the parameters that matter here.
struct MediaType<'a> {
    name: &'a str,
    fhir_version: Option<&'a str>,
    charset: Option<&'a str>,
    quality: f32,
}

impl<'a> MediaType<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';');
        let mut parsed = Self {
            name: parts.next().unwrap_or_default().trim(),
            fhir_version: None,
            charset: None,
            quality: 1.0,
        };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match name.trim() {
                n if n.eq_ignore_ascii_case("fhirversion") => parsed.fhir_version = Some(value),
                n if n.eq_ignore_ascii_case("charset") => {
                    parsed.charset.get_or_insert(value);
                }
                n if n.eq_ignore_ascii_case("q") => parsed.quality = value.parse().unwrap_or(1.0),
                _ => {}
            }
        }
        parsed
    }

    fn is_r4(&self) -> bool {
        self.fhir_version
            .is_none_or(|version| version == "4.0" || version.starts_with("4.0."))
    }
}

/// The format for the `Accept` headers; `None` if they name nothing that the server can write.
pub fn accepted(headers: &HeaderMap) -> Option<Format> {
    if !headers.contains_key(header::ACCEPT) {
        return Some(Format::FhirJson);
    }
    let lines: Result<Vec<&str>, _> = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .map(HeaderValue::to_str)
        .collect();
    let accept = lines.ok()?.join(",");
    if accept.trim().is_empty() {
        return Some(Format::FhirJson);
    }
    let ranges: Vec<MediaType<'_>> = accept.split(',').map(MediaType::parse).collect();
    // A range of many types does not take in those that are refused by name.
    let refused = |format: &Format| {
        let mut by_name = ranges.iter().filter(|range| range.quality <= 0.0);
        by_name.any(|range| Format::from_media_type(range.name) == Some(*format))
    };
    let first_of = |formats: &[Format]| formats.iter().copied().find(|format| !refused(format));
    let mut best: Option<(f32, Format)> = None;
    for range in &ranges {
        let format = match range.name {
            "*/*" | "*" => first_of(&[Format::FhirJson, Format::Json, Format::TextJson]),
            "application/*" => first_of(&[Format::FhirJson, Format::Json]),
            name => Format::from_media_type(name).filter(|_| range.is_r4()),
        };
        if let Some(format) = format
            && range.quality > best.map_or(0.0, |(quality, _)| quality)
        {
            best = Some((range.quality, format));
        }
    }
    best.map(|(_, format)| format)
}

/// True if an `Accept` header names the type, or all of its family.
pub fn takes(accept: &str, content_type: &str) -> bool {
    let content_type = MediaType::parse(content_type).name;
    let in_family = |family: &str| {
        let own = content_type.split('/').next().unwrap_or_default();
        own.eq_ignore_ascii_case(family)
    };
    let mut ranges = accept
        .split(',')
        .map(MediaType::parse)
        .filter(|range| range.quality > 0.0);
    ranges.any(|range| match range.name.strip_suffix("/*") {
        Some(family) => in_family(family),
        None => range.name.eq_ignore_ascii_case(content_type),
    })
}

/// The format for a `_format` parameter; `None` if the server cannot write it.
pub fn from_parameter(value: &str) -> Option<Format> {
    // An unescaped `+` in a query is a blank.
    let value = value.trim().replace("fhir json", "fhir+json");
    let media_type = MediaType::parse(&value);
    if !media_type.is_r4() {
        return None;
    }
    match media_type.name {
        "json" => Some(Format::FhirJson),
        name => Format::from_media_type(name),
    }
}

/// The issue of an answer that cannot be given in the wanted format (406).
pub fn not_acceptable(asked: &str) -> Issue {
    Issue::error(
        "not-supported",
        format!(
            "The server writes FHIR R4 as JSON only, not as {}. Ask for application/fhir+json, \
             application/json or */* in Accept or _format.",
            quoted(asked)
        ),
    )
}

/// What a request body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    /// FHIR JSON, or JSON that is a JSON Patch.
    Json,
    /// `application/json-patch+json`.
    JsonPatch,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Anything else, and nothing.
    Other,
}

/// Reads a `Content-Type`.
///
/// # Errors
/// An issue (415) if it is JSON in another character set or of another FHIR version.
pub fn body_type(content_type: Option<&HeaderValue>) -> Result<BodyType, Issue> {
    let Some(text) = content_type.and_then(|value| value.to_str().ok()) else {
        return Ok(BodyType::Other);
    };
    let media_type = MediaType::parse(text);
    let kind = match media_type.name {
        n if Format::from_media_type(n).is_some() => BodyType::Json,
        n if n.eq_ignore_ascii_case("application/json-patch+json") => BodyType::JsonPatch,
        n if n.eq_ignore_ascii_case("application/x-www-form-urlencoded") => BodyType::Form,
        _ => return Ok(BodyType::Other),
    };
    if let Some(charset) = media_type.charset
        && !["utf-8", "utf8", "us-ascii"]
            .iter()
            .any(|known| charset.eq_ignore_ascii_case(known))
    {
        return Err(Issue::error(
            "not-supported",
            format!(
                "The body is declared to be in the character set {}. FHIR JSON is UTF-8; send it \
                 so, with charset=utf-8 or without a charset.",
                quoted(charset)
            ),
        ));
    }
    if !media_type.is_r4() {
        return Err(Issue::error(
            "not-supported",
            "The Content-Type names another FHIR version. This server is FHIR R4: use \
             fhirVersion=4.0 or leave it out.",
        ));
    }
    Ok(kind)
}

/// The issue of a body in a format that is not read here (415).
pub fn unsupported_body(content_type: Option<&HeaderValue>, wanted: &str) -> Issue {
    let diagnostics = match content_type.and_then(|value| value.to_str().ok()) {
        None => format!("The request has no Content-Type. Send {wanted}."),
        Some(sent) => format!(
            "The server does not read {} here. Send {wanted}.",
            quoted(sent)
        ),
    };
    Issue::error("not-supported", diagnostics)
}

/// What a client wrote, short and harmless enough to be said back.
pub fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if text.chars().count() > 60 {
        shown.push('…');
    }
    format!("'{shown}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    fn accept(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, header(value));
        }
        headers
    }

    #[test]
    fn accept_picks_the_best_json_type() {
        let cases = [
            ("", Some(Format::FhirJson)),
            ("*/*", Some(Format::FhirJson)),
            ("application/fhir+json", Some(Format::FhirJson)),
            ("Application/FHIR+json", Some(Format::FhirJson)),
            ("application/json", Some(Format::Json)),
            ("text/json", Some(Format::TextJson)),
            (
                "application/json;q=0.5, application/fhir+json",
                Some(Format::FhirJson),
            ),
            (
                "application/fhir+json; fhirVersion=4.0",
                Some(Format::FhirJson),
            ),
            (
                "application/fhir+json; fhirVersion=4.0.1",
                Some(Format::FhirJson),
            ),
            ("application/fhir+json; fhirVersion=5.0", None),
            ("application/fhir+xml", None),
            (
                "application/fhir+xml, application/fhir+json;q=0.1",
                Some(Format::FhirJson),
            ),
            ("application/fhir+json;q=0", None),
            (
                "text/html,application/xhtml+xml,*/*;q=0.8",
                Some(Format::FhirJson),
            ),
            ("text/html", None),
            ("text/*", None),
            ("application/fhir+json;q=0, */*", Some(Format::Json)),
            ("*/*;q=0.5, application/json;q=0", Some(Format::FhirJson)),
            ("*/*;q=0", None),
            (
                "application/fhir+json;q=0, application/json;q=0.0, application/*",
                None,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(accepted(&accept(&[text])), expected, "{text}");
        }
        assert_eq!(accepted(&accept(&[])), Some(Format::FhirJson));
        let two = accept(&["text/html", "application/json"]);
        assert_eq!(
            accepted(&two),
            Some(Format::Json),
            "several headers are one list"
        );
    }

    #[test]
    fn a_range_takes_its_type_and_its_family() {
        assert!(takes("image/png", "image/png"));
        assert!(takes("text/html, IMAGE/*;q=0.5", "image/png"));
        assert!(takes("Text/Plain", "text/plain; charset=utf-8"));
        assert!(!takes("image/jpeg", "image/png"));
        assert!(!takes("image/png;q=0", "image/png"));
        assert!(!takes("image/png", ""));
    }

    #[test]
    fn format_parameter_takes_short_and_long_names() {
        for name in ["json", "application/fhir+json", "application/fhir json"] {
            assert_eq!(from_parameter(name), Some(Format::FhirJson), "{name}");
        }
        assert_eq!(from_parameter("application/json"), Some(Format::Json));
        for name in ["xml", "application/fhir+xml", "ttl", "html", ""] {
            assert_eq!(from_parameter(name), None, "{name}");
        }
    }

    #[test]
    fn content_type_says_what_the_body_is() {
        let cases = [
            ("application/fhir+json", BodyType::Json),
            ("application/fhir+json; charset=UTF-8", BodyType::Json),
            ("application/json;fhirVersion=4.0", BodyType::Json),
            ("application/json-patch+json", BodyType::JsonPatch),
            ("application/x-www-form-urlencoded", BodyType::Form),
            ("application/fhir+xml", BodyType::Other),
            ("image/png", BodyType::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(body_type(Some(&header(text))), Ok(expected), "{text}");
        }
        assert_eq!(body_type(None), Ok(BodyType::Other));
        for charset in ["iso-8859-1", "\"utf-16\"", "latin1; charset=utf-8"] {
            let text = format!("application/json; charset={charset}");
            let value = HeaderValue::from_str(&text).unwrap();
            assert!(body_type(Some(&value)).is_err(), "{text}");
        }
        assert!(body_type(Some(&header("application/fhir+json; fhirVersion=3.0"))).is_err());
    }

    #[test]
    fn what_is_quoted_is_short_and_printable() {
        assert_eq!(quoted("a\r\nb"), "'ab'");
        assert!(quoted(&"x".repeat(1000)).chars().count() < 70);
    }

    proptest::proptest! {
        #[test]
        fn any_header_can_be_read(text in "[ -~]{0,60}") {
            let value = HeaderValue::from_str(&text).unwrap();
            let _ = body_type(Some(&value));
            let _ = accepted(&HeaderMap::from_iter([(header::ACCEPT, value)]));
            let _ = from_parameter(&text);
        }
    }
}
