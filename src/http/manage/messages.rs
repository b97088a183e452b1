//! Messages of HL7 v2: `/admin/messages`, `/admin/deliveries` and `/admin/queues`.

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    super::{Reply, failure::Failure},
    Request, nothing_more, path, reply,
};
use crate::{
    engine::{
        DeliveryFilter, DeliveryState, MessageDesk, MessageFilter, MessageId, MessageState,
        Treatment,
    },
    hl7::browse,
};

/// Messages of a page, if nothing is said and at most.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 500;

/// `/admin/messages`: what came.
///
/// # Errors
/// What is wrong with the request.
pub async fn received(request: &Request<'_>) -> Result<Reply, Failure> {
    let desk = request.engine.message_desk();
    let place = &request.place;
    match (&request.parts.method, place.id, place.action, place.part) {
        (&Method::GET | &Method::HEAD, None, None, _) => {
            let limit = limit(request)?;
            let mut filter = filter(&Given::Query(request))?;
            let after = request.parameter("after");
            filter.below = after.map(|id| message_id(&id)).transpose()?;
            let found = desk.messages(&filter, limit).await?;
            let last = found.last().map(|last| last.head.id.to_string());
            page(
                request,
                found.iter().map(browse::message).collect(),
                last,
                limit,
            )
        }
        (&Method::POST, Some(action), None, _) if is_bulk(action) => {
            let members = request.members()?;
            let filter = filter(&Given::Body(&members))?;
            if action != "retry" && filter == MessageFilter::default() {
                return Err(Failure::bad_request(
                    "Say which messages: since, before, state, type, channel, patient or \
                     control_id.",
                ));
            }
            let count = desk.treat_messages(&filter, treatment(action)?).await?;
            reply(StatusCode::OK, &json!({ "count": count }), None)
        }
        (&Method::GET | &Method::HEAD, Some(id), None, _) => {
            let (found, raw) = desk.message(message_id(id)?).await?;
            let mut value = browse::message(&found);
            value["message"] = json!(browse::text(&raw));
            let answer = found.outcome.ack.as_deref();
            value["acknowledgement"] = json!(answer.map(browse::text));
            reply(StatusCode::OK, &value, None)
        }
        (&Method::GET | &Method::HEAD, Some(id), Some("raw"), None) => {
            let (_, raw) = desk.message(message_id(id)?).await?;
            Ok(bytes(raw))
        }
        (&Method::POST, Some(id), Some(action), None) => {
            let id = message_id(id)?;
            desk.treat_message(id, treatment(action)?).await?;
            Ok(nothing_more())
        }
        (_, None, ..) => Err(Failure::method("GET, HEAD")),
        (_, Some(_), Some(_), None) => Err(Failure::method("POST")),
        (_, Some(_), None, _) => Err(Failure::method("GET, HEAD")),
        _ => Err(path::nothing()),
    }
}

/// `/admin/deliveries`: what is to be sent.
///
/// # Errors
/// What is wrong with the request.
pub async fn sent(request: &Request<'_>) -> Result<Reply, Failure> {
    let desk = request.engine.message_desk();
    let place = &request.place;
    match (&request.parts.method, place.id, place.action, place.part) {
        (&Method::GET | &Method::HEAD, None, None, _) => {
            let limit = limit(request)?;
            let mut filter = deliveries(&Given::Query(request))?;
            let after = request.parameter("after");
            filter.after = after.map(|n| number(&n)).transpose()?.unwrap_or(0);
            let found = desk.deliveries(&filter, limit).await?;
            let last = found.last().map(|last| last.n.to_string());
            page(
                request,
                found.iter().map(browse::delivery).collect(),
                last,
                limit,
            )
        }
        (&Method::POST, Some(action), None, _) if is_bulk(action) => {
            let members = request.members()?;
            let given = Given::Body(&members);
            let filter = deliveries(&given)?;
            if filter.destination.is_none() {
                return Err(Failure::bad_request("Say to which destination."));
            }
            let since = time(&given, "since")?.unwrap_or(i64::MIN);
            let how = treatment(action)?;
            let count = desk.treat_deliveries(&filter, since, how).await?;
            reply(StatusCode::OK, &json!({ "count": count }), None)
        }
        (&Method::GET | &Method::HEAD, Some(n), None, _) => {
            let found = desk.delivery(number(n)?).await?;
            let mut value = browse::delivery(&found);
            value["message"] = json!(browse::text(&found.delivery.raw));
            value["acknowledgement"] = json!(found.ack.as_deref().map(browse::text));
            reply(StatusCode::OK, &value, None)
        }
        (&Method::GET | &Method::HEAD, Some(n), Some("raw"), None) => {
            Ok(bytes(desk.delivery(number(n)?).await?.delivery.raw))
        }
        (&Method::POST, Some(n), Some(action), None) => {
            let n = number(n)?;
            desk.treat_delivery(n, treatment(action)?).await?;
            Ok(nothing_more())
        }
        (_, None, ..) => Err(Failure::method("GET, HEAD")),
        (_, Some(_), Some(_), None) => Err(Failure::method("POST")),
        (_, Some(_), None, _) => Err(Failure::method("GET, HEAD")),
        _ => Err(path::nothing()),
    }
}

/// `/admin/queues/[destination]`
///
/// # Errors
/// What is wrong with the request.
pub async fn queues(request: &Request<'_>) -> Result<Reply, Failure> {
    let desk = request.engine.message_desk();
    let place = &request.place;
    match (&request.parts.method, place.id, place.action, place.part) {
        (&Method::GET | &Method::HEAD, Some(name), None, _) => {
            reply(StatusCode::OK, &queue(&desk, name).await?, None)
        }
        (&Method::POST, Some(name), Some(action @ ("pause" | "resume")), None) => {
            desk.pause(name, action == "pause").await?;
            reply(StatusCode::OK, &queue(&desk, name).await?, None)
        }
        (_, Some(_), Some("pause" | "resume"), None) => Err(Failure::method("POST")),
        (_, Some(_), None, _) => Err(Failure::method("GET, HEAD")),
        _ => Err(path::nothing()),
    }
}

async fn queue(desk: &MessageDesk, name: &str) -> Result<Value, Failure> {
    let counts = desk.delivery_counts(name).await?;
    let paused = desk.orders(name).await?.paused;
    Ok(browse::queue(name, paused, &counts))
}

/// Bytes as they are.
fn bytes(raw: axum::body::Bytes) -> Reply {
    let mut reply = Reply::new(raw);
    let kind = axum::http::HeaderValue::from_static("application/octet-stream");
    let headers = reply.headers_mut();
    headers.insert(axum::http::header::CONTENT_TYPE, kind);
    reply
}

/// What is done with many at once.
fn is_bulk(action: &str) -> bool {
    matches!(action, "retry" | "replay" | "drop")
}

fn treatment(action: &str) -> Result<Treatment, Failure> {
    match action {
        "retry" => Ok(Treatment::Retry),
        "replay" => Ok(Treatment::Replay),
        "drop" => Ok(Treatment::Drop),
        _ => Err(path::nothing()),
    }
}

/// Where filters are said.
enum Given<'g> {
    Query(&'g Request<'g>),
    Body(&'g Map<String, Value>),
}

impl Given<'_> {
    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Query(request) => request.parameter(name),
            Self::Body(members) => members.get(name)?.as_str().map(str::to_owned),
        }
    }
}

fn filter(given: &Given<'_>) -> Result<MessageFilter, Failure> {
    let state = given.get("state").map(|name| {
        MessageState::from_name(&name).ok_or_else(|| {
            Failure::bad_request("state is waiting, done, failed, dropped or refused.")
        })
    });
    Ok(MessageFilter {
        state: state.transpose()?,
        channel: given.get("channel"),
        kind: given.get("type"),
        control: given.get("control_id"),
        patient: given.get("patient"),
        since: time(given, "since")?,
        before: time(given, "before")?,
        below: None,
    })
}

fn deliveries(given: &Given<'_>) -> Result<DeliveryFilter, Failure> {
    let state = given.get("state").map(|name| {
        DeliveryState::from_name(&name)
            .ok_or_else(|| Failure::bad_request("state is waiting, done, failed or dropped."))
    });
    Ok(DeliveryFilter {
        destination: given.get("destination"),
        state: state.transpose()?,
        control: given.get("control_id"),
        after: 0,
    })
}

fn time(given: &Given<'_>, name: &str) -> Result<Option<i64>, Failure> {
    let Some(text) = given.get(name) else {
        return Ok(None);
    };
    match text.parse::<crate::auth::manage::When>() {
        Ok(when) => Ok(Some(when.0)),
        Err(reason) => Err(Failure::bad_request(format!("{name}: {reason}."))),
    }
}

fn message_id(text: &str) -> Result<MessageId, Failure> {
    text.parse().map_err(|_| path::nothing())
}

fn number(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| path::nothing())
}

fn limit(request: &Request<'_>) -> Result<usize, Failure> {
    let limit = match request.parameter("limit") {
        None => PAGE,
        Some(text) => text.parse().unwrap_or(0),
    };
    if !(1..=LONGEST_PAGE).contains(&limit) {
        let reason = format!("limit must be a number from 1 to {LONGEST_PAGE}.");
        return Err(Failure::bad_request(reason));
    }
    Ok(limit)
}

/// A page, with the address of the next if there may be one.
fn page(
    request: &Request<'_>,
    items: Vec<Value>,
    last: Option<String>,
    limit: usize,
) -> Result<Reply, Failure> {
    const FILTERS: [&str; 8] = [
        "state",
        "channel",
        "type",
        "control_id",
        "patient",
        "since",
        "before",
        "destination",
    ];
    let is_full = items.len() == limit;
    let next = last.filter(|_| is_full).map(|last| {
        let filters = FILTERS.into_iter().filter_map(|name| {
            let value = request.parameter(name)?;
            let set = percent_encoding::NON_ALPHANUMERIC;
            let value = percent_encoding::utf8_percent_encode(&value, set);
            Some(format!("&{name}={value}"))
        });
        let filter: String = filters.collect();
        let kind = request.place.kind;
        format!("{}/{kind}?limit={limit}&after={last}{filter}", super::PATH)
    });
    let page = json!({ "items": items, "next": next });
    reply(StatusCode::OK, &page, None)
}
