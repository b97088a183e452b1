//! `$find`: when what is needed is free.
//!
//! One kind of resource leads: possible starts come from the grid of its hours. The others are
//! pools, of which any one will do. All are bits, a minute each ([`free`]); they are looked at
//! block by block, the earliest first, and no further than the answer needs.

mod bits;
mod choose;
mod filter;
mod free;
mod timing;
mod walk;

use std::{fmt, sync::Arc};

use jiff::tz::TimeZone;

pub use self::{
    bits::{block_of, span_of},
    filter::{Code, Filter, Fit, Named, Near},
    free::{Cache, Held, Open},
    timing::Timing,
};
use super::{
    bookable::Bookable,
    calendar::Calendars,
    claim::Number,
    proposal::{Part, Token, number},
    span::Span,
};

/// Pools that may be asked for beside the leader; a proposal has to fit into an id.
pub const MOST_ROLES: usize = 6;

/// The starts of a series whose first appointment begins at an instant, itself included, by the
/// wall clock of a zone.
pub type Series = dyn Fn(i64, &TimeZone) -> Vec<i64> + Send + Sync;

/// What somebody needs.
#[derive(Clone)]
pub struct Need {
    /// All of the appointment is in it.
    pub within: Span,
    /// Seconds. Visits of just this duration are preferred; others are asked for as much time. None
    /// is as long as the visit is.
    pub duration: Option<i64>,
    /// Who or what leads.
    pub filter: Filter,
    /// What else is needed at the same time.
    pub roles: Vec<Role>,
    /// Who has to be free, too, unless the visit lets patients overlap.
    pub patients: Vec<Number>,
    /// When it would be best.
    pub timing: Option<Timing>,
    /// Appointments and Slots whose claims do not count: what is being moved.
    pub ignore: Vec<Number>,
    /// All of its appointments must be free, with the same people and things.
    pub series: Option<Arc<Series>>,
    /// What comes first.
    pub sort: Sort,
    /// At most so many of the same practitioner.
    pub per_practitioner: Option<usize>,
    /// How many proposals.
    pub count: usize,
    /// Up to how many are counted; not more than `count` if nobody asked.
    pub total: usize,
    /// A bound on work: Schedules times blocks of eight days, and appointments looked at.
    pub work: usize,
}

/// Something that is needed beside the leader: any that fits.
#[derive(Debug, Clone, Default)]
pub struct Role {
    /// Which ones.
    pub filter: Filter,
    /// Seconds from the start of the appointment, may be negative.
    pub offset: i64,
    /// Seconds that it is needed; none is as long as the appointment.
    pub length: Option<i64>,
    /// It must have a Location in common with the leader.
    pub same_place: bool,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The earliest; of those at once the one that fits best.
    #[default]
    Earliest,
    /// The nearest, then the earliest.
    Nearest,
    /// Preferred times, then who and what fits best, then the earliest.
    Preferred,
}

/// A possible appointment.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Its first second.
    pub start: i64,
    /// The second behind its last.
    pub end: i64,
    /// The leader, then one for each role.
    pub parts: Vec<Chosen>,
    /// 0 is what fits best.
    pub rank: u64,
    /// Kilometres to the leader, if that was asked.
    pub distance: Option<f64>,
    /// It is at a preferred time, or none was named.
    pub is_preferred: bool,
}

/// Part of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Its place among the bookables.
    pub bookable: usize,
    /// Which of its visits; none is one of its openings.
    pub visit: Option<usize>,
    /// From when to when.
    pub core: Span,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// In the order asked for.
    pub proposals: Vec<Proposal>,
    /// How many there are, those beyond `count` included.
    pub total: usize,
    /// There may be more than `total`: that many were to be counted, or the bound on work was
    /// reached.
    pub truncated: bool,
}

impl fmt::Debug for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Need")
            .field("within", &self.within)
            .field("duration", &self.duration)
            .field("filter", &self.filter)
            .field("roles", &self.roles)
            .field("patients", &self.patients.len())
            .field("timing", &self.timing)
            .field("ignore", &self.ignore)
            .field("is_series", &self.series.is_some())
            .finish_non_exhaustive()
    }
}

impl Need {
    /// Of anything in a time.
    pub fn new(within: Span) -> Self {
        Self {
            within,
            duration: None,
            filter: Filter::default(),
            roles: Vec::new(),
            patients: Vec::new(),
            timing: None,
            ignore: Vec::new(),
            series: None,
            sort: Sort::Earliest,
            per_practitioner: None,
            count: 50,
            total: 0,
            work: 1_000_000,
        }
    }
}

impl Proposal {
    /// What its id says.
    pub fn token(&self, bookables: &[Arc<Bookable>], patient: Option<i64>, now: i64) -> Token {
        let whole = Span::new(self.start, self.end);
        let part = |chosen: &Chosen| Part {
            schedule: bookables
                .get(chosen.bookable)
                .map_or(0, |bookable| number(bookable.rid)),
            visit: chosen.visit,
            offset: chosen.core.start - self.start,
            duration: Some(chosen.core.seconds()).filter(|seconds| *seconds != whole.seconds()),
        };
        Token {
            parts: self.parts.iter().map(part).collect(),
            start: self.start,
            duration: whole.seconds(),
            patient: patient.map(number),
            issued: now,
        }
    }
}

/// The appointments that are possible. Each could be booked if nobody is faster, and of the grid
/// of the leaders none is left out, within the bounds on count and work.
pub fn find(
    need: &Need,
    bookables: &[Arc<Bookable>],
    calendars: &dyn Calendars,
    cache: &Cache,
    now: i64,
) -> Found {
    let walk = walk::Walk::new(need, (bookables, calendars), cache, (now, usize::MAX));
    walk.run().unwrap_or_default()
}

/// As [`find`], but `None` if that takes more than a moment, as long as hours are not expanded yet.
/// What was done until then is kept in `cache`.
pub fn find_at_once(
    need: &Need,
    bookables: &[Arc<Bookable>],
    calendars: &dyn Calendars,
    cache: &Cache,
    now: i64,
) -> Option<Found> {
    walk::Walk::new(need, (bookables, calendars), cache, (now, walk::MOMENT)).run()
}

#[cfg(test)]
mod tests;
