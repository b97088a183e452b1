//! The operations of scheduling on Appointment, after IHE ITI Scheduling, with the names of the
//! Argonaut guide too.

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use resources::{
    model::ResourceType,
    outcome::{Issue, Severity, operation_outcome},
};

use super::{
    Reply, body,
    call::Call,
    failure::Failure,
    headers::{etag, http_date, value},
    negotiate::BodyType,
    target::Level,
    write::JSON,
};
use crate::engine::{self, BookingCall, BookingReply, ErrorKind};

/// The header of a request that may be sent again.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The operations, in the order of a booking's life.
pub const NAMES: [&str; 7] = [
    "find",
    "hold",
    "book",
    "release",
    "confirm",
    "cancel",
    "reschedule",
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
                _ => engine.reschedule_appointment(&asked, &access).await,
            };
            Ok(done)
        })
        .await?;
    match done {
        Ok(done) => Ok(replied(&call, name, done)),
        Err(error) if name == "hold" => Err(not_held(error).into()),
        Err(error) => Err(error.into()),
    }
}

async fn document(call: &Call<'_>, body: Body) -> Result<Option<resources::Doc>, Failure> {
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

/// `$hold` and `$book` answer with a Bundle, the others with the Appointment.
fn replied(call: &Call<'_>, name: &str, done: BookingReply) -> Reply {
    let base = &call.engine().settings().base_url;
    let first = done.appointments.first();
    let is_bundle = matches!(name, "hold" | "book") || done.appointments.len() != 1;
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
