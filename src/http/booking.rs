//! The operations of scheduling on Appointment, after IHE ITI Scheduling, with the names of the
//! Argonaut guide too.

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use resources::{
    Doc, Value,
    model::ResourceType,
    outcome::{Issue, Severity, operation_outcome},
    primitive::format_instant,
};

use super::{
    Reply, body,
    call::Call,
    failure::Failure,
    headers::{etag, http_date, value},
    negotiate::BodyType,
    query,
    target::Level,
    write::JSON,
};
use crate::engine::{self, BookingCall, BookingReply, CALENDAR, Engine, ErrorKind, Published};

/// The header of a request that may be sent again.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The operations, in the order of a booking's life.
pub const NAMES: [&str; 11] = [
    "find",
    "hold",
    "book",
    "release",
    "confirm",
    "cancel",
    "reschedule",
    "no-show",
    "waitlist",
    "accept-offer",
    "decline-offer",
];

/// True for an operation of this module.
pub fn is_booking(name: &str, level: &Level) -> bool {
    match level {
        Level::Type(ResourceType::APPOINTMENT) | Level::Instance(ResourceType::APPOINTMENT, _) => {
            NAMES.contains(&name)
        }
        Level::Instance(ResourceType::SCHEDULE, _) => name == "preview",
        _ => false,
    }
}

/// Calls one of the operations.
pub async fn call(
    call: Call<'_>,
    level: Level,
    name: &str,
    post: bool,
    body: Body,
) -> Result<Reply, Failure> {
    let doc = match post {
        true => document(&call, body).await?,
        false => None,
    };
    let id = match level {
        Level::Instance(_, id) => Some(id),
        _ => None,
    };
    let is_ihe = doc.as_ref().is_some_and(has_ihe_names);
    let asked = BookingCall {
        pairs: call.pairs.clone(),
        body: doc,
        id,
        key: key(&call)?,
        strict: call.strict(),
    };
    if name == "find" {
        let found = call
            .engine()
            .find_appointments(&asked, &call.access)
            .await?;
        return Ok(call.ok(found));
    }
    if name == "preview" {
        let found = call.engine().preview_schedule(&asked, &call.access).await?;
        return Ok(call.ok(found));
    }
    let operation = name.to_owned();
    let done = call
        .to_the_end(|engine, access| async move {
            let done = match operation.as_str() {
                "hold" => engine.hold_appointment(&asked, &access).await,
                "book" => engine.book_appointment(&asked, &access).await,
                "release" => engine.release_appointment(&asked, &access).await,
                "confirm" => engine.confirm_appointment(&asked, &access).await,
                "cancel" => engine.cancel_appointment(&asked, &access).await,
                "no-show" => engine.miss_appointment(&asked, &access).await,
                "waitlist" => engine.join_waitlist(&asked, &access).await,
                "accept-offer" => engine.accept_offer(&asked, &access).await,
                "decline-offer" => engine.decline_offer(&asked, &access).await,
                _ => engine.reschedule_appointment(&asked, &access).await,
            };
            Ok(done)
        })
        .await?;
    match done {
        Ok(done) => Ok(replied(&call, name, done)),
        Err(error) if name == "hold" => Err(not_held(error).into()),
        Err(error) if name == "book" && is_ihe => Ok(not_booked(&call, &error)),
        Err(error) => Err(error.into()),
    }
}

async fn document(call: &Call<'_>, body: Body) -> Result<Option<Doc>, Failure> {
    let limits = &call.engine().settings().limits;
    let bytes = call.receive(body, limits.resource_bytes).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    call.expect_body(&[BodyType::Json], JSON)?;
    Ok(Some(
        body::parse(bytes, limits.resource_bounds(), call.working).await?,
    ))
}

/// The `Idempotency-Key` of a request.
pub fn key(call: &Call<'_>) -> Result<Option<String>, Failure> {
    let Some(key) = call.headers().get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) => Ok(Some(key.trim_matches('"').to_owned())),
        Err(_) => Err(Failure::bad_request("Idempotency-Key must be ASCII text.")),
    }
}

/// IHE's clients look for an issue `fatal`, `not-found` where a hold is refused.
fn not_held(mut error: engine::Error) -> engine::Error {
    if error.kind == ErrorKind::Conflict {
        let text = error
            .issues
            .first()
            .map_or_else(String::new, |first| first.diagnostics.clone());
        error.issues.push(Issue {
            severity: Severity::Fatal,
            ..Issue::error("not-found", text)
        });
    }
    error
}

/// `$bulk-publish`: the manifest, or one of its files.
pub async fn publish(call: &Call<'_>) -> Result<Reply, Failure> {
    let Some(kind) = query::last(&call.pairs, "type") else {
        return manifest(call).await;
    };
    let part = query::last(&call.pairs, "part").and_then(|part| part.parse().ok());
    let file = ResourceType::from_name(kind).zip(part);
    let unknown = || Failure::new(StatusCode::NOT_FOUND, "not-found", "There is no such file.");
    let (kind, part) = file.ok_or_else(unknown)?;
    let file = Published { kind, part };
    let lines = call.engine().published(file, &call.access).await?;
    let lines = lines.ok_or_else(unknown)?;
    Ok(cached(call, lines, "application/fhir+ndjson"))
}

async fn manifest(call: &Call<'_>) -> Result<Reply, Failure> {
    let base = &call.engine().settings().base_url;
    let files = call.engine().publication(&call.access).await?;
    let output = files.iter().map(|file| {
        format!(
            r#"{{"type":"{}","url":"{base}/$bulk-publish?type={}&part={}"}}"#,
            file.kind, file.kind, file.part
        )
    });
    let output: Vec<String> = output.collect();
    let text = format!(
        r#"{{"transactionTime":"{}","request":"{base}/$bulk-publish","output":[{}],"error":[]}}"#,
        format_instant(call.engine().now()),
        output.join(",")
    );
    let mut reply = Reply::new(Bytes::from(text));
    let headers = reply.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=60"),
    );
    Ok(reply)
}

/// A file with an ETag of its content, or 304 for whoever has it.
fn cached(call: &Call<'_>, text: String, content_type: &'static str) -> Reply {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let tag: String = hash.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = format!("\"{tag}\"");
    let known = call.headers().get(header::IF_NONE_MATCH);
    let is_known = known
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| {
            known
                .split(',')
                .any(|one| one.trim().trim_start_matches("W/") == tag)
        });
    let mut reply = Reply::new(if is_known {
        Bytes::new()
    } else {
        Bytes::from(text)
    });
    if is_known {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=60"),
    );
    headers.insert(header::ETAG, value(tag));
    reply
}

/// `Appointment/1/$ics`, and the address of a Schedule's feed: `Schedule/1/$ics`.
pub async fn calendar(call: &Call<'_>, level: Level) -> Result<Reply, Failure> {
    match level {
        Level::Instance(ResourceType::APPOINTMENT, id) => {
            let text = call
                .engine()
                .appointment_calendar(&id, &call.access)
                .await?;
            Ok(calendar_file(text))
        }
        Level::Instance(ResourceType::SCHEDULE, id) => {
            let key = call.engine().feed_key(&id, &call.access).await?;
            let base = &call.engine().settings().base_url;
            Ok(call.ok(format!(
                r#"{{"resourceType":"Parameters","parameter":[{{"name":"url","valueUrl":"{base}/Schedule/{id}/$ics?key={key}"}}]}}"#
            )))
        }
        _ => Err(Failure::new(
            StatusCode::NOT_FOUND,
            "not-supported",
            "$ics is called on one Appointment or one Schedule: /Appointment/1/$ics.",
        )),
    }
}

/// The feed of a Schedule, for whoever has its address: no token is asked for.
pub async fn feed(engine: &Engine, schedule: &str, key: &str) -> Result<Reply, Failure> {
    Ok(calendar_file(engine.feed(schedule, key).await?))
}

fn calendar_file(text: String) -> Reply {
    let mut reply = Reply::new(Bytes::from(text));
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CALENDAR));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=300"),
    );
    reply
}

/// True for parameters under the names of IHE ITI Scheduling.
fn has_ihe_names(doc: &Doc) -> bool {
    let parameters = doc.root().get("parameter");
    parameters.iter().flat_map(Value::items).any(|one| {
        let name = one.get("name").and_then(|name| name.as_str());
        matches!(
            name.as_deref(),
            Some("appointment-reference" | "appointment-resource")
        )
    })
}

/// IHE's clients look for the OperationOutcome of a refused `$book` inside a Bundle.
fn not_booked(call: &Call<'_>, error: &engine::Error) -> Reply {
    let mut reply = call.ok(format!(
        r#"{{"resourceType":"Bundle","type":"searchset","total":0,"entry":[{{"resource":{},"search":{{"mode":"outcome"}}}}]}}"#,
        error.outcome()
    ));
    let status = StatusCode::from_u16(error.kind.status());
    *reply.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = error.retry_after {
        let seconds = HeaderValue::from(seconds);
        reply.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    reply
}

/// `$hold` and `$book` answer with a Bundle, the others with the Appointment.
fn replied(call: &Call<'_>, name: &str, done: BookingReply) -> Reply {
    let base = &call.engine().settings().base_url;
    let first = done.appointments.first();
    let is_bundle =
        matches!(name, "hold" | "book") || done.appointments.len() != 1 || !done.refused.is_empty();
    let text = match first {
        Some(one) if !is_bundle => one.body.clone(),
        None => Bytes::from(operation_outcome(&[Issue {
            severity: Severity::Information,
            ..Issue::error("informational", "Nothing was changed.")
        }])),
        Some(_) => {
            let total = done.appointments.len();
            let mut out = format!(
                r#"{{"resourceType":"Bundle","type":"searchset","total":{total},"entry":["#
            );
            for (at, one) in done.appointments.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&format!(
                    r#"{{"fullUrl":"{base}/Appointment/{}","resource":"#,
                    one.id
                ));
                out.push_str(&String::from_utf8_lossy(&one.body));
                out.push_str(r#","search":{"mode":"match"}}"#);
            }
            if !done.refused.is_empty() {
                let outcome = operation_outcome(&done.refused);
                out.push_str(&format!(
                    r#",{{"resource":{outcome},"search":{{"mode":"outcome"}}}}"#
                ));
            }
            out.push_str("]}");
            Bytes::from(out)
        }
    };
    let mut reply = call.ok(text);
    if let Some(one) = first {
        let location = value(format!(
            "{base}/Appointment/{}/_history/{}",
            one.id, one.version
        ));
        let headers = reply.headers_mut();
        headers.insert(header::ETAG, etag(one.version));
        if done.is_created {
            headers.insert(header::LOCATION, location);
            *reply.status_mut() = StatusCode::CREATED;
        }
    }
    if let Some(expires) = done.expires {
        let expires: HeaderValue = http_date(expires * 1_000);
        reply.headers_mut().insert(header::EXPIRES, expires);
    }
    reply
}
