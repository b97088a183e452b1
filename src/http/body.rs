//! Request bodies: bounded, decompressed, parsed.

use std::io::Read;

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt;
use resources::{Doc, doc::Bounds, outcome::Issue};

use super::{failure::Failure, load::Working, negotiate::quoted};

/// Bodies longer than this are parsed away from the threads that answer requests.
const PARSE_APART: usize = 256 << 10;

/// Reads a body of at most `limit` bytes, before and after decompression.
///
/// # Errors
/// 413 beyond the limit, 415 for an encoding that is not known, 400 if it breaks off, 503 if
/// there is no room for it at present.
pub async fn read(
    body: Body,
    headers: &HeaderMap,
    limit: usize,
    working: &Working<'_>,
) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let raw = if body.is_end_stream() {
        Bytes::new()
    } else {
        working.pause();
        let raw = collect(body, limit, working).await?;
        if !working.resume() {
            return Err(Failure::overloaded());
        }
        raw
    };
    let Some(coding) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(raw);
    };
    let coding = coding.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    let whole = decompress(raw, &coding, limit).await?;
    if working.hold(whole.len()) {
        Ok(whole)
    } else {
        Err(Failure::overloaded())
    }
}

/// The bytes of a body; no copy if they came in one piece.
async fn collect(mut body: Body, limit: usize, working: &Working<'_>) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::bad_request("The body breaks off."))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let before = if all.is_empty() {
            first.len()
        } else {
            all.len()
        };
        if before + data.len() > limit {
            return Err(too_large(limit));
        }
        if !working.hold(before + data.len()) {
            return Err(Failure::overloaded());
        }
        if before == 0 {
            first = data;
            continue;
        }
        if all.is_empty() {
            let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0);
            all.reserve(first.len() + data.len() + announced.min(limit));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() {
        first
    } else {
        Bytes::from(all)
    })
}

async fn decompress(raw: Bytes, coding: &str, limit: usize) -> Result<Bytes, Failure> {
    let open: fn(Bytes) -> std::io::Result<Box<dyn Read>> = match coding {
        "" | "identity" => return Ok(raw),
        "gzip" | "x-gzip" => |raw| {
            let reader = flate2::bufread::MultiGzDecoder::new(std::io::Cursor::new(raw));
            Ok(Box::new(reader))
        },
        "zstd" => |raw| {
            let mut reader = zstd::Decoder::with_buffer(std::io::Cursor::new(raw))?;
            reader.window_log_max(MAX_WINDOW_LOG)?;
            Ok(Box::new(reader))
        },
        other => {
            return Err(Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-supported",
                format!(
                    "The server does not read the Content-Encoding {}. Send gzip, zstd or none.",
                    quoted(other)
                ),
            ));
        }
    };
    let unpack = move || -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        open(raw)?.take(limit as u64 + 1).read_to_end(&mut out)?;
        Ok(out)
    };
    let out = tokio::task::spawn_blocking(unpack)
        .await
        .map_err(|_| Failure::bad_request("The compressed body cannot be read."))?
        .map_err(|_| Failure::bad_request("The body is not what its Content-Encoding says."))?;
    if out.len() > limit {
        return Err(too_large(limit));
    }
    Ok(Bytes::from(out))
}

/// 8 MiB: what RFC 9659 lets a zstd content coding need.
const MAX_WINDOW_LOG: u32 = 23;

fn too_large(limit: usize) -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-long",
        format!(
            "The body is larger than the {limit} bytes that the server takes here (after \
             decompression). Send less, or split a Bundle into several."
        ),
    )
}

/// Parses a body as JSON.
///
/// # Errors
/// 400 with line and column where it is not, 413 if it holds more values than allowed.
pub async fn parse(bytes: Bytes, bounds: Bounds) -> Result<Doc, Failure> {
    if bytes.is_empty() {
        return Err(Failure::of(
            StatusCode::BAD_REQUEST,
            Issue::error(
                "structure",
                "The request has no body; it needs a JSON document.",
            ),
        ));
    }
    if bytes.len() < PARSE_APART {
        return Ok(Doc::parse_bytes(&bytes, &bounds)?);
    }
    let parsed = tokio::task::spawn_blocking(move || Doc::parse_bytes(&bytes, &bounds)).await;
    let parsed = parsed.map_err(|_| Failure::bad_request("The body cannot be parsed."))?;
    Ok(parsed?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{http::load::Load, limits::Limits};

    fn encoded(coding: &'static str) -> HeaderMap {
        let value = axum::http::HeaderValue::from_static(coding);
        HeaderMap::from_iter([(header::CONTENT_ENCODING, value)])
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(data).unwrap();
        out.finish().unwrap()
    }

    async fn receive(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Failure> {
        let (load, limits) = (Load::default(), Limits::default());
        let working = load.enter(&limits).unwrap();
        read(body, headers, limit, &working).await
    }

    #[tokio::test]
    async fn bodies_are_read_up_to_the_limit() {
        let none = HeaderMap::new();
        let read_text = |text: &'static str, limit| receive(Body::from(text), &none, limit);
        assert_eq!(read_text("12345", 5).await.unwrap(), "12345");
        let refused = read_text("123456", 5).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn chunks_are_counted_together() {
        let chunks = |n| {
            let parts = (0..n).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"1234")));
            Body::from_stream(futures_util::stream::iter(parts))
        };
        let none = HeaderMap::new();
        assert_eq!(receive(chunks(3), &none, 12).await.unwrap(), "123412341234");
        let refused = receive(chunks(4), &none, 12).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn compressed_bodies_are_bounded_after_decompression() {
        let data = vec![b'x'; 100_000];
        let zstd = zstd::encode_all(&*data, 1).unwrap();
        for (coding, packed) in [("gzip", gzip(&data)), ("zstd", zstd)] {
            let headers = encoded(coding);
            let read_within = |limit| receive(Body::from(packed.clone()), &headers, limit);
            assert_eq!(read_within(100_000).await.unwrap(), data, "{coding}");
            let refused = read_within(99_999).await.unwrap_err();
            assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{coding}");
        }
    }

    #[tokio::test]
    async fn unknown_and_false_encodings_are_refused() {
        let refused = receive(Body::from("x"), &encoded("br"), 100)
            .await
            .unwrap_err();
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let twice = receive(Body::from("x"), &encoded("gzip, gzip"), 100)
            .await
            .unwrap_err();
        assert_eq!(twice.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let refused = receive(Body::from("x"), &encoded("gzip"), 100)
            .await
            .unwrap_err();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }
}
