//! Who waits for time, and in which order it is offered when it becomes free.

use jiff::tz::TimeZone;
use resources::Doc;

use super::{
    element::{self, Moment, extensions},
    span::Span,
};

/// Our extension of an Appointment that waits: what of the need R4 has no element for.
pub const WAITLIST: &str = "urn:rotunda:StructureDefinition:waitlist";
/// The system of the identifier of an Appointment that holds a time while it is offered; the value
/// is the same for all rounds of offers of the same time.
pub const ROUND: &str = "urn:rotunda:offered-time";
/// The system of codes of who waits.
pub const CODES: &str = "urn:rotunda:waitlist";

/// How many of a hundred offers are accepted, if nothing is said.
pub const ACCEPTANCE: f64 = 0.11;
/// How often one of those who are asked at once shall accept, if nothing is said.
pub const TARGET: f64 = 0.69;
/// Offers of one round.
pub const MOST_AT_ONCE: u16 = 100;

/// What of a need our extension says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// From when on nothing is offered any more, in seconds since 1970.
    pub deadline: Option<i64>,
    /// Seconds by which a time may lie outside of what was asked for.
    pub flexibility: i64,
    /// Seconds that somebody needs to get there.
    pub notice: i64,
    /// `Appointment/1`: what they have, and would give up for an earlier time.
    pub replaces: Option<String>,
    /// Parameters of `$find` that no element of an Appointment says: name, and the value as a
    /// member, as in `"valueString":"x"`.
    pub parameters: Vec<(String, String)>,
}

impl Waiting {
    /// Reads the extension of an Appointment; `base` is the server's own base URL.
    pub fn read(doc: &Doc, base: &str, zone: &TimeZone) -> Self {
        let mut waiting = Self::default();
        let ours = extensions(doc.root()).filter(|it| it.url == WAITLIST);
        for part in ours.flat_map(|extension| extensions(extension.value)) {
            let seconds = || element::duration(part.typed("valueDuration")?).ok();
            match part.url.as_ref() {
                "deadline" => {
                    let at = part.typed("valueDateTime").and_then(|it| it.plain_str());
                    let at = at.and_then(|at| Moment::parse(at, true)?.instant(zone));
                    waiting.deadline = at;
                }
                "flexibility" => waiting.flexibility = seconds().unwrap_or(0).max(0),
                "notice" => waiting.notice = seconds().unwrap_or(0).max(0),
                "replaces" => {
                    let value = part.typed("valueReference");
                    waiting.replaces = value.and_then(|it| element::reference(it, base));
                }
                name => {
                    if let Some(value) = part.any_value() {
                        let member = format!("\"{}\":{}", value.name(), value.raw());
                        waiting.parameters.push((name.to_owned(), member));
                    }
                }
            }
        }
        waiting
    }
}

/// To how many a time must be offered at once so that one of them accepts often enough. Targets
/// are of whole per cent: half of one does not matter.
pub fn at_once(acceptance: f64, target: f64) -> u16 {
    if target <= 0.0 {
        return 0;
    }
    (1..MOST_AT_ONCE)
        .find(|many| 1.0 - (1.0 - acceptance).powi(i32::from(*many)) >= target - 0.005)
        .unwrap_or(MOST_AT_ONCE)
}

/// What decides who is asked first: the smaller the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// `Appointment.priority`: 1 goes first, none or 0 last.
    pub priority: u32,
    /// The time is outside of what was asked for, as far as that is flexible.
    pub is_beside: bool,
    /// The day on which they began to wait.
    pub day: i64,
    /// Metres, if it was asked how far it is.
    pub distance: u64,
    /// When they began to wait.
    pub since: i64,
}

impl Turn {
    /// Of who waits since `since` with `priority`, for a time `distance` kilometres away.
    pub fn new(priority: u32, is_beside: bool, since: i64, distance: Option<f64>) -> Self {
        Self {
            priority: if priority == 0 { u32::MAX } else { priority },
            is_beside,
            day: since.div_euclid(86_400),
            distance: distance.map_or(0, |kilometres| (kilometres * 1_000.0).max(0.0) as u64),
            since,
        }
    }
}

/// The parts of `new` that `old` does not cover; both are in order, and disjoint.
pub fn gained(old: &[Span], new: &[Span]) -> Vec<Span> {
    let mut gained = Vec::new();
    for span in new {
        let mut from = span.start;
        for other in old.iter().filter(|other| other.overlaps(*span)) {
            if other.start > from {
                gained.push(Span::new(from, other.start));
            }
            from = from.max(other.end);
        }
        if from < span.end {
            gained.push(Span::new(from, span.end));
        }
    }
    gained
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_asked_as_the_target_needs() {
        assert_eq!(at_once(ACCEPTANCE, TARGET), 10);
        for (acceptance, target, many) in [
            (0.11, 0.0, 0),
            (0.11, 0.11, 1),
            (0.5, 0.75, 2),
            (0.5, 0.9, 4),
            (0.999, 0.99, 1),
            (0.0, 0.5, MOST_AT_ONCE),
            (0.001, 0.999, MOST_AT_ONCE),
        ] {
            assert_eq!(at_once(acceptance, target), many, "{acceptance} {target}");
        }
    }

    #[test]
    fn turns_go_by_priority_then_by_time() {
        const DAY: i64 = 86_400;
        let in_order = [
            Turn::new(1, true, 9 * DAY, None),
            Turn::new(9, false, DAY, None),
            Turn::new(0, false, DAY + 5, Some(1.0)),
            Turn::new(0, false, DAY + 1, Some(1.5)),
            Turn::new(0, false, DAY + 2, Some(1.5)),
            Turn::new(0, false, 2 * DAY, None),
            Turn::new(0, true, 0, None),
        ];
        assert!(in_order.is_sorted());
    }

    #[test]
    fn what_is_gained_is_what_was_not_there() {
        let span = |(from, to): (i64, i64)| Span::new(from, to);
        type Spans = &'static [(i64, i64)];
        let cases: [(Spans, Spans, Spans); 5] = [
            (&[], &[(0, 5)], &[(0, 5)]),
            (&[(0, 5)], &[(0, 5)], &[]),
            (&[(0, 5)], &[], &[]),
            (&[(2, 3), (4, 6)], &[(0, 9)], &[(0, 2), (3, 4), (6, 9)]),
            (&[(0, 5)], &[(3, 8), (10, 11)], &[(5, 8), (10, 11)]),
        ];
        for (old, new, wanted) in cases {
            let spans = |list: &[(i64, i64)]| list.iter().copied().map(span).collect::<Vec<_>>();
            assert_eq!(gained(&spans(old), &spans(new)), spans(wanted));
        }
    }
}
