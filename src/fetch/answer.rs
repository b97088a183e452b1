//! What the other side says, within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{HeaderMap, Response, body::Incoming, header};

use super::{FetchError, Fetched};

/// Reads an answer of at most `most` bytes.
pub async fn read(answer: Response<Incoming>, most: usize) -> Result<Fetched, FetchError> {
    let (parts, body) = answer.into_parts();
    if parts.status.is_redirection() {
        return Err(FetchError::Redirected(parts.status.as_u16()));
    }
    if !parts.status.is_success() && !parts.status.is_client_error() {
        return Err(FetchError::Status(parts.status.as_u16()));
    }
    if let Err(not_json) = expect_json(&parts.headers) {
        // A refusal that says nothing more is better told by its status.
        return Err(match parts.status.is_success() {
            true => not_json,
            false => FetchError::Status(parts.status.as_u16()),
        });
    }
    Ok(Fetched {
        status: parts.status,
        max_age: max_age(&parts.headers),
        body: collect(body, most).await?,
    })
}

async fn collect(mut body: Incoming, most: usize) -> Result<Bytes, FetchError> {
    use hyper::body::Body as _;
    if body.size_hint().lower() > most as u64 {
        return Err(FetchError::TooLarge(most));
    }
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FetchError::exchange(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if collected.len() + data.len() > most {
            return Err(FetchError::TooLarge(most));
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

fn expect_json(headers: &HeaderMap) -> Result<(), FetchError> {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &header::HeaderValue| value.to_str().unwrap_or("?").trim())
    };
    match text(header::CONTENT_ENCODING) {
        None | Some("" | "identity") => {}
        Some(_) => return Err(FetchError::NotJson("it is compressed".to_owned())),
    }
    let declared = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    match is_json {
        true => Ok(()),
        false => Err(FetchError::NotJson(format!(
            "its Content-Type must be application/json, and is '{}'",
            essence
                .chars()
                .take(60)
                .collect::<String>()
                .escape_default()
        ))),
    }
}

/// How long a cache of our own may keep an answer, less the time that it has been in others (RFC
/// 9111, sections 4.2.3 and 5.2.2).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).into_iter();
    let directives = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let shortest = directives.filter_map(seconds).min()?;
    let age = headers.get(header::AGE).map_or(0, |age| {
        // What cannot be read may be old.
        let age = age.to_str().ok().and_then(|age| age.trim().parse().ok());
        age.unwrap_or(u64::MAX)
    });
    Some(Duration::from_secs(shortest.saturating_sub(age)))
}

/// The seconds that one directive allows, if it says anything of that.
fn seconds(directive: &str) -> Option<u64> {
    let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
    match name.trim().to_ascii_lowercase().as_str() {
        "no-store" | "no-cache" => Some(0),
        // What cannot be read is stale.
        "max-age" => Some(value.trim().trim_matches('"').parse().unwrap_or(0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&'static str]) -> HeaderMap {
        let values = values.iter().copied().map(header::HeaderValue::from_static);
        values.map(|value| (name.clone(), value)).collect()
    }

    #[test]
    fn an_answer_is_kept_as_long_as_it_says() {
        for (values, expected) in [
            (&[][..], None),
            (&["public"], None),
            (&["max-age=300"], Some(300)),
            (&["public, Max-Age=\"60\""], Some(60)),
            (&["max-age=300", "no-store"], Some(0)),
            (&["no-cache"], Some(0)),
            (&["max-age=300, max-age=100"], Some(100)),
            (&["max-age=soon"], Some(0)),
            (&["max-age=-1"], Some(0)),
            (&["s-maxage=7"], None),
        ] {
            let found = max_age(&headers(header::CACHE_CONTROL, values));
            assert_eq!(found, expected.map(Duration::from_secs), "{values:?}");
        }
        for (age, expected) in [("0", 300), ("100", 200), ("301", 0), ("old", 0), ("-1", 0)] {
            let mut headers = headers(header::CACHE_CONTROL, &["max-age=300"]);
            headers.insert(header::AGE, header::HeaderValue::from_static(age));
            assert_eq!(
                max_age(&headers),
                Some(Duration::from_secs(expected)),
                "{age}"
            );
        }
    }

    #[test]
    fn json_is_what_says_so() {
        for (declared, expected) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("Application/JWK-Set+JSON", true),
            ("application/fhir+json", true),
            ("text/json", false),
            ("text/html", false),
            ("application/jsonx", false),
            ("", false),
        ] {
            let headers = headers(header::CONTENT_TYPE, &[declared]);
            assert_eq!(expect_json(&headers).is_ok(), expected, "{declared}");
        }
        assert!(expect_json(&HeaderMap::new()).is_err());
    }
}
