//! create, update, patch and delete, each also by condition.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
};
use resources::{
    Doc,
    model::ResourceType,
    outcome::{Issue, Severity, operation_outcome},
};

use super::{
    Reply, binary, body, booking,
    call::Call,
    failure::Failure,
    headers::{IF_NONE_EXIST, Match, etag, http_date, if_match, value},
    negotiate::BodyType,
    query::{self, Pairs},
};
use crate::engine::{self, Done, DoneStatus, IfMatch, Operation, Resource, Return, Target};

/// What to send, in words.
pub const JSON: &str = "application/fhir+json";

/// `POST Patient`
pub async fn create(call: &Call<'_>, kind: ResourceType, body: Body) -> Result<Reply, Failure> {
    let operation = Operation::Create {
        kind,
        body: resource(call, kind, None, body).await?,
        if_none_exist: if_none_exist(call)?,
    };
    let done = submit(call, operation).await?;
    written(call, kind, done)
}

/// `PUT Patient/1`, `PUT Patient?…`
pub async fn update(
    call: &Call<'_>,
    kind: ResourceType,
    target: Target,
    body: Body,
) -> Result<Reply, Failure> {
    let id = match &target {
        Target::Id(id) => Some(id.as_str()),
        Target::Search(_) => None,
    };
    let operation = Operation::Update {
        kind,
        body: resource(call, kind, id, body).await?,
        if_match: expected(call, &target)?,
        if_none_match_any: if_none_match_any(call)?,
        target,
    };
    let done = submit(call, operation).await?;
    written(call, kind, done)
}

/// `PATCH Patient/1`, `PATCH Patient?…`
pub async fn patch(
    call: &Call<'_>,
    kind: ResourceType,
    target: Target,
    body: Body,
) -> Result<Reply, Failure> {
    call.expect_body(
        &[BodyType::JsonPatch],
        "a JSON Patch (RFC 6902) as application/json-patch+json",
    )?;
    let limits = &call.engine().settings().limits;
    let bytes = call.receive(body, limits.resource_bytes).await?;
    let operation = Operation::Patch {
        kind,
        patch: body::parse(bytes, limits.resource_bounds(), call.working).await?,
        if_match: expected(call, &target)?,
        target,
    };
    let done = submit(call, operation).await?;
    written(call, kind, done)
}

/// `DELETE Patient/1`, `DELETE Patient?…`
pub async fn delete(call: &Call<'_>, kind: ResourceType, target: Target) -> Result<Reply, Failure> {
    let operation = Operation::Delete {
        kind,
        if_match: expected(call, &target)?,
        target,
    };
    let done = submit(call, operation).await?;
    Ok(deleted(call, &done))
}

async fn submit(call: &Call<'_>, operation: Operation) -> Result<Done, Failure> {
    let key = booking::key(call)?;
    let done = call.to_the_end(|engine, access| async move {
        match key {
            Some(key) => engine.submit_with_key(vec![operation], &key, &access).await,
            None => engine.submit(vec![operation], &access).await,
        }
    });
    done.await?.pop().ok_or_else(Failure::fault)
}

/// The resource in the body; the raw content of a Binary is made one.
async fn resource(
    call: &Call<'_>,
    kind: ResourceType,
    id: Option<&str>,
    body: Body,
) -> Result<Doc, Failure> {
    let limits = &call.engine().settings().limits;
    let raw_content = kind == ResourceType::BINARY && binary::is_raw(call.headers());
    if !raw_content {
        call.expect_body(&[BodyType::Json], JSON)?;
    }
    let bytes = call.receive(body, limits.resource_bytes).await?;
    if raw_content {
        return binary::wrap(call.headers(), id, &bytes, limits.resource_bounds());
    }
    body::parse(bytes, limits.resource_bounds(), call.working).await
}

/// The search of a conditional update, patch or delete: the query as it came, without what only
/// concerns the answer.
pub fn condition(call: &Call<'_>) -> Result<String, Failure> {
    let about_the_answer = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !matches!(name, "" | "_format" | "_pretty")
    };
    let query = call.parts.uri.query().unwrap_or_default();
    let kept: Vec<&str> = query.split('&').filter(about_the_answer).collect();
    if kept.is_empty() {
        return Err(Failure::of(
            StatusCode::BAD_REQUEST,
            Issue::error(
                "required",
                "This needs either an id in the path, as in Patient/123, or a search that says \
                 which resource is meant, as in Patient?identifier=system|value.",
            ),
        ));
    }
    Ok(kept.join("&"))
}

fn if_none_exist(call: &Call<'_>) -> Result<Option<String>, Failure> {
    let Some(header) = call.headers().get(IF_NONE_EXIST) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(header.as_bytes())
        .unwrap_or_default()
        .trim();
    let query = engine::condition(text);
    if query.is_empty() {
        return Err(Failure::bad_request(
            "If-None-Exist must hold a search, as in If-None-Exist: identifier=system|value.",
        ));
    }
    query::read(query, &mut Pairs::new())?;
    Ok(Some(query.to_owned()))
}

/// What `If-Match` asks for.
fn expected(call: &Call<'_>, target: &Target) -> Result<Option<IfMatch>, Failure> {
    let failed =
        |diagnostics: &str| Failure::new(StatusCode::PRECONDITION_FAILED, "conflict", diagnostics);
    let wanted =
        if_match(call.headers()).map_err(|issue| Failure::of(StatusCode::BAD_REQUEST, issue))?;
    match (wanted, target) {
        (None, _) => Ok(None),
        (Some(Match::Version(version)), _) => Ok(Some(IfMatch::Version(version))),
        (Some(Match::Never), _) => Err(failed(
            "If-Match names a version that this server never gave. Read the resource and send \
             the ETag of the answer.",
        )),
        (Some(Match::Any), Target::Id(_)) => Ok(Some(IfMatch::Any)),
        (Some(Match::Any), Target::Search(_)) => Err(Failure::bad_request(
            "If-Match: * and a search do not go together; leave the header out.",
        )),
    }
}

fn if_none_match_any(call: &Call<'_>) -> Result<bool, Failure> {
    match call.headers().get(header::IF_NONE_MATCH) {
        None => Ok(false),
        Some(value) if value == "*" => Ok(true),
        Some(_) => Err(Failure::bad_request(
            "On an update If-None-Match can only be *, which asks that nothing be there yet.",
        )),
    }
}

/// The answer to a create, update or patch.
fn written(call: &Call<'_>, kind: ResourceType, done: Done) -> Result<Reply, Failure> {
    let Some(resource) = done.resource else {
        return Ok(said(call, StatusCode::OK, "Nothing was changed."));
    };
    let (status, said) = match done.status {
        DoneStatus::Created => (StatusCode::CREATED, "created"),
        DoneStatus::Unchanged => (StatusCode::OK, "there already and stays as it is"),
        _ => (StatusCode::OK, "updated"),
    };
    let location = location(call, kind, &resource);
    let mut reply = match call.prefer.answer.unwrap_or_default() {
        Return::Minimal => Reply::new(Bytes::new()),
        Return::Representation => call.ok(resource.body),
        Return::OperationOutcome => outcome(
            call,
            &format!(
                "{kind}/{} is {said}, version {}.",
                resource.id, resource.version
            ),
        ),
    };
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::ETAG, etag(resource.version));
    headers.insert(header::LAST_MODIFIED, http_date(resource.updated));
    if status == StatusCode::CREATED {
        headers.insert(header::LOCATION, location.clone());
    }
    headers.insert(header::CONTENT_LOCATION, location);
    Ok(reply)
}

/// The address of a version.
fn location(call: &Call<'_>, kind: ResourceType, resource: &Resource) -> HeaderValue {
    let base = &call.engine().settings().base_url;
    value(format!(
        "{base}/{kind}/{}/_history/{}",
        resource.id, resource.version
    ))
}

/// The answer to a delete: 204, or 200 with a sentence if the client wants to be told.
fn deleted(call: &Call<'_>, done: &Done) -> Reply {
    let mut reply = if call.prefer.answer == Some(Return::OperationOutcome) {
        let sentence = match done.changed {
            0 => "There was nothing to delete.".to_owned(),
            1 => "The resource is deleted; its history is kept.".to_owned(),
            several => format!("{several} resources are deleted; their history is kept."),
        };
        said(call, StatusCode::OK, &sentence)
    } else {
        let mut reply = Reply::new(Bytes::new());
        *reply.status_mut() = StatusCode::NO_CONTENT;
        reply
    };
    if let Some(resource) = &done.resource {
        reply
            .headers_mut()
            .insert(header::ETAG, etag(resource.version));
    }
    reply
}

fn said(call: &Call<'_>, status: StatusCode, sentence: &str) -> Reply {
    let mut reply = outcome(call, sentence);
    *reply.status_mut() = status;
    reply
}

fn outcome(call: &Call<'_>, sentence: &str) -> Reply {
    call.ok(operation_outcome(&[Issue {
        severity: Severity::Information,
        ..Issue::error("informational", sentence)
    }]))
}
