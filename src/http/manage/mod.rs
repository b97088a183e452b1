//! Users, clients, keys, roles, tokens and sessions over REST, for administrators and their
//! scripts: `/admin/users …`. What may be done decides `auth::manage`. Messages of HL7 v2 too.

mod draft;
mod kinds;
mod messages;
mod path;

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
};
use serde_json::{Map, Value};

use super::{Reply, Server, authenticate, body, failure::Failure, head, load::Working};
use crate::{
    access::Caller,
    audit::{Code, Outcome},
    auth::{
        client::{ApiKey, Client},
        manage::Management,
        role::Role,
        user::User,
    },
    engine::Engine,
};

use path::Place;

/// The path of the management.
const PATH: &str = "/admin";

/// Bytes of a body: a client with twenty keys has some 20,000.
const LONGEST: usize = 128 << 10;

/// Whether a path is one of the management.
pub fn is_under(path: &str) -> bool {
    path == PATH || path.starts_with("/admin/")
}

/// A request of an administrator.
struct Request<'r> {
    desk: &'r Management,
    engine: &'r Engine,
    parts: &'r Parts,
    place: Place<'r>,
    body: Bytes,
}

/// Answers a request to the management.
///
/// # Errors
/// 401 without a token, 403 unless the token has `rotunda/admin`; what is wrong with the request.
pub async fn answer(
    server: &Server,
    working: &Working<'_>,
    parts: &Parts,
    body: Body,
    id: &str,
) -> Result<Reply, Failure> {
    head::check(server, parts)?;
    let admitted = authenticate::admitted(server, parts).await?;
    if !admitted.admin {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Managing users, clients, roles and tokens needs a token of an administrator with \
             the scope rotunda/admin.",
        ));
    }
    let auth = server.settings.auth.as_ref().ok_or_else(Failure::is_open)?;
    let request = Request {
        desk: auth.management(),
        engine: &server.engine,
        parts,
        place: Place::read(parts.uri.path())?,
        body: body::read(body, &parts.headers, LONGEST, working).await?,
    };
    let reply = route(&request).await;
    // Who looks at a message sees what it says of a patient.
    let shows_patients = matches!(request.place.kind, "messages" | "deliveries");
    if shows_patients || !matches!(parts.method, Method::GET | Method::HEAD) {
        let caller = Caller {
            identity: Arc::clone(&admitted.identity),
            address: authenticate::address(parts),
            request: id.to_owned(),
        };
        note(server, &request, &caller, &reply).await?;
    }
    reply
}

async fn route(request: &Request<'_>) -> Result<Reply, Failure> {
    match request.place.kind {
        "users" => match request.place.action {
            None => kinds::answer::<User>(request).await,
            Some(action) => kinds::of_user(request, action).await,
        },
        "clients" => match request.place.action {
            None => kinds::answer::<Client>(request).await,
            Some(action) => kinds::of_client(request, action).await,
        },
        "keys" => match request.place.action {
            None => kinds::answer::<ApiKey>(request).await,
            Some(action) => kinds::of_key(request, action).await,
        },
        "roles" if request.place.action.is_none() => kinds::answer::<Role>(request).await,
        "tokens" if request.place.action.is_none() => kinds::tokens(request).await,
        "sessions" if request.place.action.is_none() => kinds::sessions(request).await,
        "messages" => messages::received(request).await,
        "deliveries" => messages::sent(request).await,
        "queues" => messages::queues(request).await,
        _ => Err(path::nothing()),
    }
}

/// Changes stand in the audit, those that were refused too: who made them, and of what, by ids.
async fn note(
    server: &Server,
    request: &Request<'_>,
    caller: &Caller,
    reply: &Result<Reply, Failure>,
) -> Result<(), Failure> {
    let status = match reply {
        Ok(reply) => reply.status(),
        Err(failure) => failure.status,
    };
    let outcome = match status {
        status if status.is_success() => Outcome::Success,
        status if status.is_client_error() => Outcome::Minor,
        _ => Outcome::Serious,
    };
    let made = reply
        .as_ref()
        .ok()
        .and_then(|reply| reply.headers().get(header::LOCATION));
    let made = made.and_then(|location| location.to_str().ok());
    let path = made.unwrap_or_else(|| request.parts.uri.path());
    let what = format!("{} {path} {}", request.parts.method, status.as_u16());
    let event = server
        .engine
        .event(caller, Code::AdminChange, outcome)
        .saying(what);
    let done = server.engine.recorder().record(&event).await;
    done.map_err(|error| crate::engine::Error::from(error).into())
}

impl Request<'_> {
    /// The body as the members of a JSON object; none is an empty one.
    fn members(&self) -> Result<Map<String, Value>, Failure> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        draft::check_type(&self.parts.headers)?;
        draft::object(&self.body)
    }

    /// The version in `If-Match`, if there is one.
    fn if_match(&self) -> Result<Option<i64>, Failure> {
        let Some(value) = self.parts.headers.get(header::IF_MATCH) else {
            return Ok(None);
        };
        let text = value.to_str().unwrap_or_default();
        let text = text.strip_prefix("W/").unwrap_or(text);
        let version = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let version = version.and_then(|text| text.parse().ok());
        version.map(Some).ok_or_else(|| {
            Failure::bad_request("If-Match must be an ETag that this address gave, as in W/\"3\".")
        })
    }

    /// A parameter of the query.
    fn parameter(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query()?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(known, _)| *known == name)?;
        let value = percent_encoding::percent_decode_str(value).decode_utf8();
        value.ok().map(|value| value.into_owned())
    }
}

/// An answer in JSON.
fn reply(status: StatusCode, value: &Value, version: Option<i64>) -> Result<Reply, Failure> {
    let mut reply = Reply::new(Bytes::from(value.to_string()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    if let Some(version) = version {
        let tag =
            HeaderValue::from_str(&format!("W/\"{version}\"")).map_err(|_| Failure::fault())?;
        headers.insert(header::ETAG, tag);
    }
    Ok(reply)
}

/// An answer without a body.
fn nothing_more() -> Reply {
    let mut reply = Reply::new(Bytes::new());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}
