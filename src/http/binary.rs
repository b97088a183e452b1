//! The raw content of a Binary, in and out.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use resources::{
    Doc,
    doc::{Bounds, write_json_string},
    model::ResourceType,
};

use super::{
    Reply,
    call::Call,
    failure::Failure,
    headers::{etag, http_date, not_modified},
    negotiate::{BodyType, body_type, not_acceptable, quoted, takes},
    read::version_number,
};

/// Names the resource whose access rules the content shares.
const X_SECURITY_CONTEXT: HeaderName = HeaderName::from_static("x-security-context");

/// True if the body is the content itself, not a Binary resource around it.
pub fn is_raw(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_TYPE)
        && body_type(headers.get(header::CONTENT_TYPE)) == Ok(BodyType::Other)
}

/// The Binary resource around raw content.
pub fn wrap(
    headers: &HeaderMap,
    id: Option<&str>,
    content: &[u8],
    bounds: Bounds,
) -> Result<Doc, Failure> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut text = String::with_capacity(content.len() / 3 * 4 + 256);
    text.push_str(r#"{"resourceType":"Binary""#);
    if let Some(id) = id {
        text.push_str(r#","id":"#);
        write_json_string(&mut text, id);
    }
    text.push_str(r#","contentType":"#);
    write_json_string(&mut text, content_type);
    if let Some(context) = headers.get(X_SECURITY_CONTEXT) {
        let reference = context.to_str().map_err(|_| {
            Failure::bad_request("X-Security-Context must be a reference, as in Patient/123.")
        })?;
        text.push_str(r#","securityContext":{"reference":"#);
        write_json_string(&mut text, reference);
        text.push('}');
    }
    if !content.is_empty() {
        text.push_str(r#","data":""#);
        STANDARD.encode_string(content, &mut text);
        text.push('"');
    }
    text.push('}');
    let roomy = Bounds {
        bytes: bounds.bytes.saturating_mul(2),
        ..bounds
    };
    Ok(Doc::parse_within(text, &roomy)?)
}

/// The content, if its type is one that the client takes.
pub async fn read(call: &Call<'_>, id: &str, version: Option<&str>) -> Result<Reply, Failure> {
    const BINARY: ResourceType = ResourceType::BINARY;
    let resource = match version {
        None => call.engine().read(BINARY, id, &call.access).await?,
        Some(version) => {
            let number = version_number(BINARY, id, version)?;
            call.engine()
                .vread(BINARY, id, number, &call.access)
                .await?
        }
    };
    let damaged = |what: &str| {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "exception",
            format!("The {what} of this Binary cannot be read. Ask for application/fhir+json."),
        )
    };
    let doc = Doc::parse_bytes(&resource.body, &Bounds::default())?;
    let field = |name| doc.root().get(name).and_then(|value| value.as_str());
    let content_type = field("contentType").unwrap_or_default();
    let accept = call.headers().get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("?");
    if !takes(accept, &content_type) {
        return Err(Failure::of(
            StatusCode::NOT_ACCEPTABLE,
            not_acceptable(&format!(
                "{accept} (the content is {})",
                quoted(&content_type)
            )),
        ));
    }
    let data = field("data").unwrap_or_default();
    let compact: String = data.split_ascii_whitespace().collect();
    let content = STANDARD.decode(compact).map_err(|_| damaged("data"))?;
    let content_type =
        HeaderValue::try_from(&*content_type).map_err(|_| damaged("content type"))?;

    let mut reply = Reply::new(content.into());
    if not_modified(call.headers(), resource.version, resource.updated) {
        reply = Reply::default();
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::ETAG, etag(resource.version));
    headers.insert(header::LAST_MODIFIED, http_date(resource.updated));
    // Whatever was uploaded, a browser must not run it as a page of this server.
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_content_becomes_a_resource() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(X_SECURITY_CONTEXT, HeaderValue::from_static("Patient/1"));
        assert!(is_raw(&headers));
        let doc = wrap(&headers, Some("b"), b"hello", Bounds::default()).unwrap();
        assert_eq!(
            doc.text(),
            r#"{"resourceType":"Binary","id":"b","contentType":"text/plain","securityContext":{"reference":"Patient/1"},"data":"aGVsbG8="}"#
        );
    }
}
