//! read and vread.

use axum::{
    body::Bytes,
    http::{StatusCode, header},
};
use resources::model::ResourceType;

use super::{
    Reply,
    call::Call,
    failure::Failure,
    headers::{etag, http_date, not_modified},
    query,
};
use crate::engine::{Part, Resource};

/// `GET Patient/1`
pub async fn read(call: &Call<'_>, kind: ResourceType, id: &str) -> Result<Reply, Failure> {
    let resource = call.engine().read(kind, id, &call.access).await?;
    answer(call, resource)
}

/// `GET Patient/1/_history/2`
pub async fn vread(
    call: &Call<'_>,
    kind: ResourceType,
    id: &str,
    version: &str,
) -> Result<Reply, Failure> {
    let number = version_number(kind, id, version)?;
    let resource = call.engine().vread(kind, id, number, &call.access).await?;
    answer(call, resource)
}

/// The number in the path of a version.
pub fn version_number(kind: ResourceType, id: &str, version: &str) -> Result<i64, Failure> {
    let plain = version.bytes().all(|b| b.is_ascii_digit()) && !version.starts_with('0');
    let number = version.parse().ok().filter(|_| plain);
    number.ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!(
                "{kind}/{id} has no version '{version}'; versions are whole numbers from 1, and \
                 {kind}/{id}/_history lists them."
            ),
        )
    })
}

fn answer(call: &Call<'_>, resource: Resource) -> Result<Reply, Failure> {
    let mut reply = if not_modified(call.headers(), resource.version, resource.updated) {
        let mut reply = Reply::new(Bytes::new());
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        reply
    } else {
        call.ok(part(call, &resource)?.unwrap_or(resource.body))
    };
    let headers = reply.headers_mut();
    headers.insert(header::ETAG, etag(resource.version));
    headers.insert(header::LAST_MODIFIED, http_date(resource.updated));
    Ok(reply)
}

/// The part of the resource that `_summary` and `_elements` ask for; `None` for the whole.
pub fn part(call: &Call<'_>, resource: &Resource) -> Result<Option<Bytes>, Failure> {
    if call.pairs.is_empty() {
        return Ok(None);
    }
    Ok(resource.part(Part {
        summary: query::last(&call.pairs, "_summary"),
        elements: query::last(&call.pairs, "_elements"),
    })?)
}
