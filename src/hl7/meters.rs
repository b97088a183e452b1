//! What is counted: numbers and names of channels, nothing of what is in a message.

/// A message came, or was answered or worked on, in this way.
pub fn count(channel: &str, what: &'static str) {
    metrics::counter!("hl7_messages_total", "channel" => channel.to_owned(), "what" => what)
        .increment(1);
}

/// Something odd came on a connection.
pub fn odd(what: &'static str) {
    metrics::counter!("hl7_frames_odd_total", "what" => what).increment(1);
}

/// So many connections are open.
pub fn connections(open: usize) {
    metrics::gauge!("hl7_connections").set(open as f64);
}

/// So many messages are held in memory.
pub fn held(count: usize) {
    metrics::gauge!("hl7_messages_held").set(count as f64);
}

/// From receipt to the answer, or to the effect.
pub fn took(what: &'static str, seconds: f64) {
    metrics::histogram!("hl7_seconds", "what" => what).record(seconds);
}
