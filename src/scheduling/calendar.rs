//! Whose time is taken when: the claims on the time of one actor, in order.

use std::{
    cmp::Reverse,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    bookable::{Bookable, Visit},
    claim::{BufferPolicy, Claim, ClaimKind, Number},
    span::Span,
};

/// Calendars made or changed so far.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

/// The claims on the time of one actor, or the openings of one Schedule.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// In the order of their padded starts.
    claims: Vec<Claim>,
    /// Beside each claim the latest padded end of it and all before it.
    reach: Vec<i64>,
    /// Whose claims they are, in order, once for each claim.
    owners: Vec<Number>,
    version: u64,
}

/// What a stretch of time is for a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// It can be booked.
    Free,
    /// It is booked, as often as it can be.
    Busy,
    /// It is held; at that second at the latest it is known whether it is booked or free.
    Tentative(i64),
    /// Nothing can be booked there.
    Unavailable,
}

impl SlotState {
    /// Of two actors that are both needed.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Busy, _) | (_, Self::Busy) => Self::Busy,
            (Self::Unavailable, _) | (_, Self::Unavailable) => Self::Unavailable,
            (Self::Tentative(one), Self::Tentative(two)) => Self::Tentative(one.max(two)),
            (Self::Free, state) | (state, Self::Free) => state,
        }
    }
}

/// The calendars of all actors.
pub trait Calendars {
    /// That of one actor; none is one without claims.
    fn of(&self, actor: Number) -> Option<&Calendar>;

    /// The openings of a Schedule: its stored Slots that are free.
    fn openings(&self, bookable: &Bookable) -> Option<&Calendar>;
}

impl Default for Calendar {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Calendar {
    /// Of all claims on one actor's time, in any order.
    pub fn new(mut claims: Vec<Claim>) -> Self {
        claims.sort_by_key(order);
        let mut owners: Vec<Number> = claims.iter().map(|claim| claim.owner).collect();
        owners.sort_unstable();
        let mut calendar = Self {
            reach: Vec::with_capacity(claims.len()),
            claims,
            owners,
            version: 0,
        };
        calendar.changed(0);
        calendar
    }

    /// What an owner claims now, in place of all that it claimed before.
    pub fn replace(&mut self, owner: Number, claims: Vec<Claim>) {
        let mut first = self.claims.len();
        if self.has(owner) {
            first = self
                .claims
                .iter()
                .position(|claim| claim.owner == owner)
                .unwrap_or(first);
            self.claims.retain(|claim| claim.owner != owner);
            self.owners.retain(|other| *other != owner);
        }
        for claim in claims {
            let key = order(&claim);
            let at = self.claims.partition_point(|other| order(other) <= key);
            self.claims.insert(at, claim);
            first = first.min(at);
            let at = self.owners.partition_point(|other| *other < claim.owner);
            self.owners.insert(at, claim.owner);
        }
        self.changed(first);
    }

    /// Brings what is derived up to date from claim `first` on.
    fn changed(&mut self, first: usize) {
        self.reach.truncate(first.min(self.claims.len()));
        let mut reach = self.reach.last().copied().unwrap_or(i64::MIN);
        for claim in &self.claims[self.reach.len()..] {
            reach = reach.max(claim.padded.end);
            self.reach.push(reach);
        }
        self.version = VERSIONS.fetch_add(1, Ordering::Relaxed);
    }

    /// Two calendars with the same number have the same claims.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All claims, by the start of what they take with buffers.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// True if it has claims of this owner.
    pub fn has(&self, owner: Number) -> bool {
        self.owners.binary_search(&owner).is_ok()
    }

    /// When the first hold ends that is not over.
    pub fn expiry(&self, now: i64) -> Option<i64> {
        let holds = self.claims.iter().filter_map(|claim| claim.expires);
        holds.filter(|expires| now < *expires).min()
    }

    /// The claims that take part of `span` with their buffers, the last first.
    pub fn near(&self, span: Span) -> impl Iterator<Item = &Claim> {
        let end = self
            .claims
            .partition_point(|claim| claim.padded.start < span.end);
        self.claims[..end]
            .iter()
            .zip(&self.reach[..end])
            .rev()
            .take_while(move |(_, reach)| **reach > span.start)
            .map(|(claim, _)| claim)
            .filter(move |claim| claim.padded.overlaps(span))
    }

    /// What the claims that count say of `core` for a visit. Claims of `ignore` do not count.
    pub fn state(&self, core: Span, visit: &Visit, now: i64, ignore: &[Number]) -> SlotState {
        if visit.capacity == 0 {
            return SlotState::Busy;
        }
        let padded = core.padded(visit.before, visit.after);
        let own = probe(core, padded, visit);
        let against: Vec<&Claim> = self
            .near(padded)
            .filter(|claim| counts(claim, now, ignore) && claim.meets(&own))
            .collect();
        if against.is_empty() {
            return SlotState::Free;
        }
        // At no time: of what is not a hold.
        let is_live = |claim: &Claim, at: Option<i64>| {
            at.map_or(claim.expires.is_none(), |at| claim.is_live(at))
        };
        let of = |kind, at| {
            let against = against.iter().copied();
            against.filter(move |claim| claim.kind == kind && is_live(claim, at))
        };
        let with = |kind, at| of(kind, at).next().is_some();
        let full = |at| is_full(visit, of(ClaimKind::Booking, at));
        let taken = |at| full(at) || with(ClaimKind::Taken, at);
        if taken(None) {
            return SlotState::Busy;
        }
        if with(ClaimKind::Blocked, None) {
            return SlotState::Unavailable;
        }
        let stands = |at| taken(Some(at)) || with(ClaimKind::Blocked, Some(at));
        if !stands(now) {
            return SlotState::Free;
        }
        let ends = against.iter().filter_map(|claim| claim.expires);
        let first_free = ends.filter(|end| !stands(*end)).min();
        first_free.map_or(SlotState::Busy, SlotState::Tentative)
    }

    /// The starts in `starts` at which a visit cannot begin because of claims; the spans may
    /// overlap. A start is in none of them exactly if [`Calendar::state`] says that it is free.
    pub fn taken_starts(
        &self,
        visit: &Visit,
        starts: Span,
        now: i64,
        ignore: &[Number],
        mut each: impl FnMut(Span),
    ) {
        if visit.capacity == 0 {
            return each(starts);
        }
        let reach = Span::new(starts.start, starts.end + visit.duration);
        let near = self.near(reach.padded(visit.before, visit.after));
        let counting = near.filter(|claim| counts(claim, now, ignore));
        if visit.capacity == 1 {
            counting.for_each(|claim| each(clashing_starts(visit, claim)));
            return;
        }
        // With several seats: from one change of who is there to the next.
        let mut bookings = Vec::new();
        for claim in counting {
            if claim.kind == ClaimKind::Booking {
                bookings.push((clashing_starts(visit, claim), claim));
            } else {
                each(clashing_starts(visit, claim));
            }
        }
        bookings.retain(|(span, _)| !span.is_empty());
        bookings.sort_by_key(|(span, _)| span.start);
        let mut changes: Vec<i64> = bookings
            .iter()
            .flat_map(|(span, _)| [span.start, span.end])
            .collect();
        changes.sort_unstable();
        changes.dedup();
        let mut waiting = bookings.into_iter().peekable();
        let mut present: Vec<(Span, &Claim)> = Vec::new();
        for pair in changes.windows(2) {
            let [from, until] = [pair[0], pair[1]];
            present.retain(|(span, _)| span.end > from);
            while let Some(next) = waiting.next_if(|(span, _)| span.start <= from) {
                present.push(next);
            }
            if is_full(visit, present.iter().map(|(_, claim)| *claim)) {
                each(Span::new(from, until));
            }
        }
    }

    /// How many Appointments begin in `range`, for limits.
    pub fn beginning(&self, range: Span, now: i64, ignore: &[Number]) -> usize {
        let bookings = self.near(range).filter(|claim| {
            claim.kind == ClaimKind::Booking
                && (range.start..range.end).contains(&claim.core.start)
                && counts(claim, now, ignore)
        });
        let mut owners: Vec<Number> = bookings.map(|claim| claim.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        owners.len()
    }
}

fn order(claim: &Claim) -> (i64, Reverse<i64>, Number) {
    (claim.padded.start, Reverse(claim.padded.end), claim.owner)
}

fn counts(claim: &Claim, now: i64, ignore: &[Number]) -> bool {
    claim.kind != ClaimKind::Opening && claim.is_live(now) && !ignore.contains(&claim.owner)
}

/// True if there is no seat beside these bookings: the one with the fewest seats decides.
fn is_full<'c>(visit: &Visit, bookings: impl Iterator<Item = &'c Claim>) -> bool {
    let count_and_seats =
        |(count, seats): (usize, u16), claim: &Claim| (count + 1, seats.min(claim.capacity));
    let (count, seats) = bookings.fold((0, visit.capacity), count_and_seats);
    count > 0 && count >= usize::from(seats)
}

/// What a visit would claim.
fn probe(core: Span, padded: Span, visit: &Visit) -> Claim {
    Claim {
        actor: Number(0),
        owner: Number(0),
        kind: ClaimKind::Booking,
        core,
        padded,
        buffers: visit.buffers,
        capacity: visit.capacity,
        seat: 0,
        expires: None,
    }
}

/// The starts with which a visit and a claim stand in each other's way ([`Claim::meets`]): one
/// range, whatever the buffers.
fn clashing_starts(visit: &Visit, claim: &Claim) -> Span {
    let starts = |taken: Span, before: i64, after: i64| {
        Span::new(taken.start - visit.duration - after + 1, taken.end + before)
    };
    match (visit.buffers, claim.buffers) {
        (BufferPolicy::Ignore, _) | (_, BufferPolicy::Ignore) => starts(claim.core, 0, 0),
        (BufferPolicy::Share, _) | (_, BufferPolicy::Share) => {
            let own = starts(claim.core, visit.before, visit.after);
            let theirs = starts(claim.padded, 0, 0);
            Span::new(own.start.min(theirs.start), own.end.max(theirs.end))
        }
        _ => starts(claim.padded, visit.before, visit.after),
    }
}

#[cfg(test)]
mod tests;
