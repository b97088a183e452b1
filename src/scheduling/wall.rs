//! What a wall clock shows, and when it shows it.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

use super::span::Span;

/// Seconds of a day on the wall clock. That the day is longer or shorter where the clock changes
/// is a matter of instants.
pub(super) const DAY: i64 = 86_400;

/// No clock was ever set by more than a day; beyond this far from a range nothing touches it.
pub(super) const MARGIN: i64 = 3 * DAY;

/// The offsets of a zone over a range: found once, and a local time becomes an instant by
/// arithmetic. Local times are seconds since 1970-01-01T00:00 on the wall clock.
#[derive(Debug, Clone)]
pub(super) struct WallClock {
    eras: Vec<Era>,
}

/// From one change of the clock to the next.
#[derive(Debug, Clone, Copy)]
struct Era {
    from: i64,
    until: i64,
    offset: i64,
}

impl WallClock {
    /// True to the zone in `range` and some days around it. What lies further away is counted
    /// with the offset of the nearer end.
    pub fn over(zone: &TimeZone, range: Span) -> Self {
        let first = timestamp(range.start.saturating_sub(MARGIN));
        let last = timestamp(range.end.saturating_add(MARGIN));
        let mut eras = vec![Era {
            from: i64::MIN,
            until: i64::MAX,
            offset: i64::from(zone.to_offset(first).seconds()),
        }];
        for change in zone.following(first) {
            if change.timestamp() > last {
                break;
            }
            let from = change.timestamp().as_second();
            let offset = i64::from(change.offset().seconds());
            if let Some(before) = eras.last_mut().filter(|era| era.offset != offset) {
                before.until = from;
                eras.push(Era {
                    from,
                    until: i64::MAX,
                    offset,
                });
            }
        }
        Self { eras }
    }

    /// What the clock shows at an instant.
    pub fn local(&self, instant: i64) -> i64 {
        let era = self.eras.partition_point(|era| era.until <= instant);
        instant.saturating_add(self.eras.get(era).map_or(0, |era| era.offset))
    }

    /// The first instant at which the clock shows this or later: of a time that it shows twice
    /// the first, of one that it leaves out the instant at which it is set.
    pub fn first(&self, local: i64) -> i64 {
        let over = local.saturating_sub(MARGIN);
        let from = self.eras.partition_point(|era| era.until <= over);
        self.eras[from..]
            .iter()
            .map(|era| (local.saturating_sub(era.offset).max(era.from), era.until))
            .find(|(instant, until)| instant < until)
            .map_or(local, |(instant, _)| instant)
    }

    /// The last instant at which the clock shows this; of a time that it leaves out the instant
    /// at which it is set.
    pub fn last(&self, local: i64) -> i64 {
        let beyond = local.saturating_add(MARGIN);
        let until = self.eras.partition_point(|era| era.from <= beyond);
        self.eras[..until]
            .iter()
            .rev()
            .map(|era| (local.saturating_sub(era.offset), era))
            .find(|(instant, era)| (era.from..era.until).contains(instant))
            .map_or_else(|| self.first(local), |(instant, _)| instant)
    }
}

/// All of time that has a date.
pub(super) fn known() -> Span {
    Span::new(
        Timestamp::MIN.as_second() + 40 * DAY,
        Timestamp::MAX.as_second() - 40 * DAY,
    )
}

/// The nearest instant that jiff knows.
pub(super) fn timestamp(instant: i64) -> Timestamp {
    Timestamp::from_second(instant).unwrap_or(if instant < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// A date and time as seconds on the wall clock.
pub(super) fn seconds(local: DateTime) -> i64 {
    let nearest = if local.year() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let instant = Offset::UTC.to_timestamp(local).unwrap_or(nearest);
    instant.as_second()
}

/// The inverse of [`seconds`].
pub(super) fn datetime(local: i64) -> DateTime {
    Offset::UTC.to_datetime(timestamp(local))
}
