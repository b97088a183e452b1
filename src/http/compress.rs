//! Compression of answers, for clients that ask for it.

use std::io::Write;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, header},
};

use super::Reply;

/// Answers shorter than this fit into one packet anyway.
const WORTH_IT: usize = 1_400;

/// Answers longer than this are compressed away from the threads that answer requests.
const COMPRESS_APART: usize = 128 << 10;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 8878
    Zstd,
    /// RFC 1952
    Gzip,
}

impl Coding {
    /// The best coding that the client takes, if any.
    pub fn wanted(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
        let mut best: Option<(f32, Self)> = None;
        for item in value.split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let coding = match name.trim() {
                "zstd" => Self::Zstd,
                "gzip" | "*" => Self::Gzip,
                _ => continue,
            };
            let quality = parameters
                .trim()
                .strip_prefix("q=")
                .map_or(Some(1.0), |q| q.trim().parse::<f32>().ok())
                .unwrap_or(0.0);
            let (best_quality, best_coding) = best.unwrap_or((0.0, Self::Gzip));
            let better = quality > best_quality
                || (quality == best_quality && quality > 0.0 && best_coding == Self::Gzip);
            if better {
                best = Some((quality, coding));
            }
        }
        best.map(|(_, coding)| coding)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    fn pack(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(body, 1),
            Self::Gzip => {
                let room = Vec::with_capacity(body.len() / 3);
                let mut out = flate2::write::GzEncoder::new(room, flate2::Compression::fast());
                out.write_all(body)?;
                out.finish()
            }
        }
    }
}

/// The same answer with its body compressed, if that helps.
pub async fn apply(mut reply: Reply, coding: Coding) -> Reply {
    if reply.body().len() < WORTH_IT {
        return reply;
    }
    let packed = if reply.body().len() < COMPRESS_APART {
        coding.pack(reply.body())
    } else {
        let body = reply.body().clone();
        let work = tokio::task::spawn_blocking(move || coding.pack(&body));
        work.await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
    };
    match packed {
        Ok(packed) => {
            *reply.body_mut() = Bytes::from(packed);
            let headers = reply.headers_mut();
            let name = HeaderValue::from_static(coding.name());
            headers.insert(header::CONTENT_ENCODING, name);
            headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        Err(error) => tracing::warn!(%error, "an answer could not be compressed"),
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_coding_that_the_client_takes_is_chosen() {
        let cases = [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("zstd, gzip", Some(Coding::Zstd)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0", None),
            ("br", None),
            ("identity", None),
            ("*", Some(Coding::Gzip)),
        ];
        for (text, expected) in cases {
            let value = HeaderValue::from_static(text);
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
            assert_eq!(Coding::wanted(&headers), expected, "{text}");
        }
        assert_eq!(Coding::wanted(&HeaderMap::new()), None);
    }
}
