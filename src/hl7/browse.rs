//! Messages as operators see them: values for REST and for the command line.

use mllp::ack;
use mllp::message::{Message, Reading};
use resources::primitive::format_instant;
use serde_json::{Value, json};

use crate::engine::{DeliveryState, StoredDelivery, StoredMessage, VersionRef};

/// A message that came, without its bytes.
pub fn message(message: &StoredMessage) -> Value {
    let outcome = &message.outcome;
    let notes = outcome.notes.iter();
    let notes: Vec<Value> = notes
        .map(|note| json!({ "place": note.place, "text": note.text }))
        .collect();
    let made: Vec<String> = outcome.made.iter().map(VersionRef::path).collect();
    json!({
        "id": message.head.id.to_string(),
        "received": format_instant(message.head.id.received()),
        "channel": message.head.channel,
        "sender": message.head.sender,
        "control_id": message.head.control,
        "type": message.head.kind,
        "state": message.state.name(),
        "attempts": message.attempts,
        "next": message.next.map(format_instant),
        "reuses": message.reuses.map(|id| id.to_string()),
        "patients": outcome.patients,
        "resources": made,
        "notes": notes,
        "error": outcome.error,
        "answer": outcome.ack.as_deref().map(code),
    })
}

/// A message to be sent, without its bytes.
pub fn delivery(found: &StoredDelivery) -> Value {
    let delivery = &found.delivery;
    json!({
        "id": found.n,
        "destination": delivery.destination,
        "queued": format_instant(delivery.created),
        "control_id": delivery.control,
        "type": delivery.kind,
        "state": found.state.name(),
        "attempts": found.attempts,
        "next": found.next.map(format_instant),
        "source": delivery.source.as_ref().map(VersionRef::path),
        "error": found.error,
        "answer": found.ack.as_deref().map(code),
    })
}

/// The queue to a destination.
pub fn queue(destination: &str, paused: bool, counts: &[(DeliveryState, u64, i64)]) -> Value {
    let count = |state| {
        let found = counts.iter().find(|(known, ..)| *known == state);
        found.map_or(0, |(_, count, _)| *count)
    };
    let oldest = counts
        .iter()
        .find(|(state, ..)| *state == DeliveryState::Waiting);
    json!({
        "destination": destination,
        "paused": paused,
        "waiting": count(DeliveryState::Waiting),
        "failed": count(DeliveryState::Failed),
        "dropped": count(DeliveryState::Dropped),
        "oldest": oldest.map(|(.., created)| format_instant(*created)),
    })
}

/// Bytes as text, a line for each segment.
pub fn text(raw: &[u8]) -> String {
    match Message::parse(bytes::Bytes::copy_from_slice(raw), &Reading::default()) {
        Ok(message) => message.text().replace("\r\n", "\n").replace('\r', "\n"),
        Err(_) => String::from_utf8_lossy(raw).replace('\r', "\n"),
    }
}

/// MSA-1 of an answer; the type of the message if it is more than an acknowledgement.
fn code(raw: &[u8]) -> String {
    let message = Message::parse(bytes::Bytes::copy_from_slice(raw), &Reading::default());
    let found = message.ok().and_then(|message| ack::read(&message));
    found.map_or_else(String::new, |found| found.code.as_str().to_owned())
}
