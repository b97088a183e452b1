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
    // Codings are case-insensitive (RFC 9110, section 8.4.1).
    let coding = coding.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    match unpacker(&coding)? {
        None => Ok(raw),
        Some(open) => unpack(raw, open, limit, working).await,
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

/// Begins to unpack.
type Open = fn(Bytes) -> std::io::Result<Box<dyn Read + Send>>;

/// How a coding is unpacked; `None` for bodies that are as they are.
fn unpacker(coding: &str) -> Result<Option<Open>, Failure> {
    let open: Open = match coding {
        "" | "identity" => return Ok(None),
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
    Ok(Some(open))
}

/// Bytes that are unpacked at a time, first and at most: their room is held before.
const PIECE: (usize, usize) = (32 << 10, 1 << 20);

/// Unpacks piece by piece, so that what a few bytes become is counted as it comes.
async fn unpack(
    raw: Bytes,
    open: Open,
    limit: usize,
    working: &Working<'_>,
) -> Result<Bytes, Failure> {
    let packed = raw.len();
    let mut reader = open(raw).map_err(|_| not_as_said())?;
    let mut out = Vec::new();
    loop {
        let before: usize = out.len();
        let more = before.clamp(PIECE.0, PIECE.1).min(limit + 1 - before);
        if !working.hold(packed + out.capacity().max(before + more)) {
            return Err(Failure::overloaded());
        }
        let step = move || {
            reader.by_ref().take(more as u64).read_to_end(&mut out)?;
            Ok::<_, std::io::Error>((reader, out))
        };
        (reader, out) = tokio::task::spawn_blocking(step)
            .await
            .map_err(|_| Failure::bad_request("The compressed body cannot be read."))?
            .map_err(|_| not_as_said())?;
        if out.len() > limit {
            return Err(too_large(limit));
        }
        if out.len() - before < more {
            return Ok(Bytes::from(out));
        }
    }
}

fn not_as_said() -> Failure {
    Failure::bad_request("The body is not what its Content-Encoding says.")
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

/// Parses a body as JSON. Its values are counted with its bytes: many small ones take several
/// times the memory of their text.
///
/// # Errors
/// 400 with line and column where it is not, 413 if it holds more values than allowed, 503 if
/// there is no room for them at present.
pub async fn parse(bytes: Bytes, bounds: Bounds, working: &Working<'_>) -> Result<Doc, Failure> {
    if bytes.is_empty() {
        return Err(Failure::of(
            StatusCode::BAD_REQUEST,
            Issue::error(
                "structure",
                "The request has no body; it needs a JSON document.",
            ),
        ));
    }
    let values = Doc::values_at_most(&bytes).min(bounds.nodes);
    if !working.hold(bytes.len() + values * Doc::VALUE_BYTES) {
        return Err(Failure::overloaded());
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
    async fn what_unpacks_to_much_is_counted_while_it_does() {
        let limits = Limits {
            bodies_bytes: 8 << 20,
            ..Limits::default()
        };
        let load = Load::default();
        let other = load.enter(&limits).unwrap();
        assert!(other.hold(4 << 20));
        let headers = encoded("gzip");
        let packed = |bytes| Body::from(gzip(&vec![b' '; bytes]));
        let working = load.enter(&limits).unwrap();
        let refused = read(packed(64 << 20), &headers, 128 << 20, &working).await;
        assert_eq!(refused.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(working);
        let working = load.enter(&limits).unwrap();
        assert!(
            read(packed(1 << 20), &headers, 128 << 20, &working)
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn the_values_of_a_body_are_counted_with_its_bytes() {
        let limits = Limits {
            bodies_bytes: 2 << 20,
            ..Limits::default()
        };
        let load = Load::default();
        let other = load.enter(&limits).unwrap();
        assert!(other.hold(1 << 20));
        let of = |item: &str, times| {
            let text = format!("[{}0]", format!("{item},").repeat(times));
            async {
                let working = load.enter(&limits).unwrap();
                parse(Bytes::from(text), limits.resource_bounds(), &working).await
            }
        };
        let refused = of("{}", 100_000).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        let long = format!("\"{}\"", "x".repeat(1_000));
        assert!(of(&long, 300).await.is_ok());
    }

    #[tokio::test]
    async fn the_name_of_a_coding_may_be_in_capitals() {
        let body = Body::from(gzip(b"{}"));
        assert_eq!(receive(body, &encoded("GZIP"), 100).await.unwrap(), "{}");
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
