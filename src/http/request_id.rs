//! An id for each request, so that an answer, a log line and a complaint can be brought together.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::http::{HeaderMap, HeaderValue};

use super::headers::X_REQUEST_ID;

/// Gives ids that no other process gives.
pub struct RequestIds {
    prefix: String,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        let mut prefix = uuid::Uuid::new_v4().simple().to_string();
        prefix.truncate(16);
        Self {
            prefix,
            next: AtomicU64::new(1),
        }
    }
}

impl RequestIds {
    /// The id that the client gave, if it is one that a log can take; else a new one.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(given) = headers.get(X_REQUEST_ID)
            && is_sane(given.as_bytes())
        {
            return given.clone();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(32);
        id.push_str(&self.prefix);
        // Writing to a String does not fail.
        let _ = write!(id, "-{number:x}");
        HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

fn is_sane(id: &[u8]) -> bool {
    let fine = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/');
    (1..=64).contains(&id.len()) && id.iter().all(fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_others_are_replaced() {
        let ids = RequestIds::default();
        let with = |text: &str| {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            ids.of(&HeaderMap::from_iter([(X_REQUEST_ID, value)]))
        };
        assert_eq!(with("abc-1.2:3"), "abc-1.2:3");
        for bad in ["", "a b", "\u{e9}", &"x".repeat(65), "a\tb"] {
            assert_ne!(with(bad), bad);
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }
}
