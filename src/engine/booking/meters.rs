//! What the operator sees of booking: numbers, and nothing of whom or when.

use std::time::Duration;

use super::{Error, ErrorKind};

/// How a try to take time ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The time is booked.
    Booked,
    /// It is held.
    Held,
    /// Somebody else has it.
    Taken,
    /// A rule is against it.
    Rule,
}

/// Counts a try to take time.
pub fn tried(outcome: Outcome) {
    let name = match outcome {
        Outcome::Booked => "booked",
        Outcome::Taken => "taken",
        Outcome::Rule => "rule",
        Outcome::Held => {
            metrics::counter!("rotunda_holds_total", "what" => "made").increment(1);
            return;
        }
    };
    metrics::counter!("rotunda_bookings_total", "outcome" => name).increment(1);
}

/// Counts a refusal, if it is one of booking.
pub fn refused(error: &Error) {
    match error.kind {
        ErrorKind::Conflict => tried(Outcome::Taken),
        ErrorKind::Unprocessable => tried(Outcome::Rule),
        _ => {}
    }
}

/// Counts holds that were over before they were confirmed.
pub fn expired(holds: u64) {
    metrics::counter!("rotunda_holds_total", "what" => "expired").increment(holds);
}

/// Counts offers to those who wait: `made`, `accepted`, `declined`.
pub fn offers(what: &'static str, many: u64) {
    metrics::counter!("rotunda_waitlist_offers_total", "what" => what).increment(many);
}

/// Counts a search for free times.
pub fn found(took: Duration) {
    metrics::histogram!("rotunda_find_duration_seconds").record(took.as_secs_f64());
}
