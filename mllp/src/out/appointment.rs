//! What happens to appointments and to time: S12 to S26, and which it is.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{
    Forms,
    json::{all, first, same, target, text},
};

/// What happened to an Appointment, or to a Slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// S12: booked.
    Booked,
    /// S13: moved to another time.
    Moved,
    /// S14: changed in another way.
    Changed,
    /// S15: cancelled.
    Cancelled,
    /// S16: the rest of a series is cancelled.
    Discontinued,
    /// S17: it was an error.
    Deleted,
    /// S18: a participant came.
    ResourceAdded,
    /// S19: a participant changed.
    ResourceChanged,
    /// S20: a participant went.
    ResourceCancelled,
    /// S23: time is blocked.
    Blocked,
    /// S24: time is no longer blocked.
    Opened,
    /// S26: the patient did not come.
    NoShow,
}

impl Event {
    /// `S12`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Booked => "S12",
            Self::Moved => "S13",
            Self::Changed => "S14",
            Self::Cancelled => "S15",
            Self::Discontinued => "S16",
            Self::Deleted => "S17",
            Self::ResourceAdded => "S18",
            Self::ResourceChanged => "S19",
            Self::ResourceCancelled => "S20",
            Self::Blocked => "S23",
            Self::Opened => "S24",
            Self::NoShow => "S26",
        }
    }

    /// SCH-6, for those without a reason of their own.
    pub(super) fn reason(self) -> [&'static str; 2] {
        match self {
            Self::Booked => ["NEW", "Booked"],
            Self::Moved => ["RESCHED", "Rescheduled"],
            Self::Changed => ["MODIFY", "Modified"],
            Self::Cancelled => ["CANCEL", "Cancelled"],
            Self::Discontinued => ["DISCONT", "Discontinued"],
            Self::Deleted => ["DELETE", "Entered in error"],
            Self::ResourceAdded => ["RSADD", "Resource added"],
            Self::ResourceChanged => ["RSMOD", "Resource modified"],
            Self::ResourceCancelled => ["RSCANCEL", "Resource cancelled"],
            Self::Blocked => ["BLOCK", "Blocked"],
            Self::Opened => ["OPEN", "Opened"],
            Self::NoShow => ["NOSHOW", "Did not come"],
        }
    }

    /// The action that this is for all of an appointment (table 0206).
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Booked | Self::Blocked => "A",
            Self::Moved | Self::Changed | Self::NoShow => "U",
            Self::Cancelled | Self::Discontinued | Self::Deleted | Self::Opened => "D",
            Self::ResourceAdded | Self::ResourceChanged | Self::ResourceCancelled => "X",
        }
    }
}

/// States of which a destination was told.
fn is_told(status: &str, forms: Forms) -> bool {
    match status {
        "booked" | "arrived" | "checked-in" | "fulfilled" | "noshow" => true,
        "waitlist" => forms.waitlist,
        _ => false,
    }
}

/// What happened between two versions of an Appointment. Nothing if nothing did that a message
/// tells: an appointment that was never booked and is cancelled is nobody's business.
pub fn event(before: Option<&Json>, after: &Json, forms: Forms) -> Option<Event> {
    let status = text(after, "status");
    let old = before.map_or("", |before| text(before, "status"));
    let told = is_told(old, forms);
    match (status, told) {
        _ if before.is_some_and(|before| same(before, after)) => None,
        (_, false) if is_told(status, forms) && status != "noshow" => Some(Event::Booked),
        // It may be that what was cancelled or missed was so from the first.
        (_, false) => None,
        ("cancelled", _) => Some(Event::Cancelled),
        ("noshow", _) if old != "noshow" => Some(Event::NoShow),
        ("entered-in-error", _) => Some(Event::Deleted),
        ("booked", _) if old == "waitlist" => Some(Event::Booked),
        // Back to what nobody was told: if it is booked again, that is S12 again.
        (status, _) if !is_told(status, forms) => Some(Event::Cancelled),
        _ => before.map(|before| changed(before, after, forms)),
    }
}

/// What the deletion of an Appointment is, if anybody was told of it.
pub fn deleted(appointment: &Json, forms: Forms) -> Option<Event> {
    is_told(text(appointment, "status"), forms).then_some(Event::Deleted)
}

fn changed(before: &Json, after: &Json, forms: Forms) -> Event {
    let moved = |path| {
        let time = |json| instant(text(json, path));
        time(before) != time(after)
    };
    if moved("start") || moved("end") {
        return Event::Moved;
    }
    let status = |json| text(json, "status").to_owned();
    let old: Vec<&Json> = resources(before).collect();
    let new: Vec<&Json> = resources(after).collect();
    if !forms.resource_events || old == new || status(before) != status(after) {
        return Event::Changed;
    }
    let lacks = |list: &[&Json], one: &Json| !list.iter().any(|other| actor(other) == actor(one));
    let came = new.iter().any(|one| lacks(&old, one));
    let went = old.iter().any(|one| lacks(&new, one));
    match (came, went) {
        (true, false) => Event::ResourceAdded,
        (false, true) => Event::ResourceCancelled,
        _ => Event::ResourceChanged,
    }
}

pub(super) fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Participants that are not the patient's side.
pub(super) fn resources(appointment: &Json) -> impl Iterator<Item = &Json> {
    let participants = all(appointment, "participant");
    participants.filter(|one| {
        first(one, "actor")
            .is_some_and(|actor| !matches!(target(actor), "Patient" | "RelatedPerson"))
    })
}

pub(super) fn actor(participant: &Json) -> &str {
    text(participant, "actor.reference")
}

/// What happened between two versions of a Slot that no appointment is in; one may be none.
pub fn slot_event(before: Option<&Json>, after: Option<&Json>) -> Option<Event> {
    let blocked = |json: &Json| text(json, "status") == "busy-unavailable";
    match (before.is_some_and(blocked), after.is_some_and(blocked)) {
        (false, true) => Some(Event::Blocked),
        (true, false) => Some(Event::Opened),
        _ => None,
    }
}
