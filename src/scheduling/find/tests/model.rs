//! `$find` by trying every time and every combination, from the rules themselves.

use std::sync::Arc;

use crate::scheduling::{
    bookable::{Bookable, Closed, Per, Visit},
    calendar::Calendars,
    claim::{BufferPolicy, Claim, NewClaim, Number, admit},
    find::{Chosen, Need, Proposal, Role},
    samples::{Book, DAY, booking},
    span::Span,
};

/// Seconds that nothing is finer than in the hours of these tests.
const TICK: i64 = 30;

pub struct Model<'a> {
    pub need: &'a Need,
    pub bookables: &'a [Arc<Bookable>],
    pub book: &'a Book,
    pub now: i64,
}

/// Whether the store would accept a claim.
pub fn is_accepted(
    new: &NewClaim,
    book: &Book,
    others: &[Claim],
    now: i64,
    ignore: &[Number],
) -> bool {
    let calendar = book.of(new.claim.actor);
    let known = calendar.map_or(&[][..], |calendar| calendar.claims());
    let others: Vec<Claim> = known.iter().chain(others).copied().collect();
    admit(new, &others, ignore, now).is_ok()
}

impl Model<'_> {
    /// All there is: start, end, leader, visit.
    pub fn all(&self) -> Vec<(i64, i64, usize, Option<usize>)> {
        let mut found = Vec::new();
        for (leader, bookable) in self.bookables.iter().enumerate() {
            for fit in self.need.filter.fits(bookable, self.need.duration) {
                for core in self.cores(bookable, fit.visit) {
                    if self.is_possible(leader, fit.visit, core) {
                        found.push((core.start, core.end, leader, fit.visit));
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// What is wrong with a proposal.
    pub fn complaint(&self, proposal: &Proposal) -> Option<String> {
        let core = Span::new(proposal.start, proposal.end);
        let leader = proposal.parts[0];
        if leader.core != core || proposal.parts.len() != self.need.roles.len() + 1 {
            return Some("parts".to_owned());
        }
        for (at, part) in proposal.parts.iter().enumerate() {
            if !self.are_free(part.bookable, part.visit, &[part.core]) {
                return Some(format!("part {at} is not free"));
            }
            let share = |other: &Chosen| self.share(part.bookable, other.bookable);
            if proposal.parts[..at].iter().any(share) {
                return Some(format!("part {at} is there twice"));
            }
            if at > 0 {
                let role = &self.need.roles[at - 1];
                if part.core != role_core(role, core)
                    || !self
                        .members(role, leader.bookable)
                        .contains(&(part.bookable, part.visit))
                {
                    return Some(format!("part {at} is another one"));
                }
            }
        }
        None
    }

    fn is_possible(&self, leader: usize, visit: Option<usize>, core: Span) -> bool {
        let rules = self.rules(leader, visit, core);
        let zone = &self.bookables[leader].zone;
        let timing = self.need.timing.as_ref();
        if !self.need.within.contains(core)
            || timing.is_some_and(|timing| timing.must && !timing.fits(zone, core.start))
        {
            return false;
        }
        let mut cores = vec![core];
        if let Some(series) = &self.need.series {
            cores = series(core.start, zone)
                .into_iter()
                .map(|start| Span::new(start, start + core.seconds()))
                .collect();
        }
        let patient_is_free = |number: &Number| {
            let new = |core: &Span| NewClaim {
                claim: Claim {
                    buffers: BufferPolicy::Ignore,
                    ..booking(number.0, -1, core.start, core.end)
                },
                is_forced: false,
                overbook: 0,
                quotas: Vec::new(),
            };
            cores
                .iter()
                .all(|core| is_accepted(&new(core), self.book, &[], self.now, &self.need.ignore))
        };
        if !rules.patients_may_overlap && !self.need.patients.iter().all(patient_is_free) {
            return false;
        }
        self.are_free(leader, visit, &cores) && self.is_filled(&mut vec![leader], &cores)
    }

    /// Whether there is somebody for each role that is not chosen yet.
    fn is_filled(&self, chosen: &mut Vec<usize>, cores: &[Span]) -> bool {
        let Some(role) = self.need.roles.get(chosen.len() - 1) else {
            return true;
        };
        for (member, visit) in self.members(role, chosen[0]) {
            if chosen.iter().any(|other| self.share(*other, member))
                || !self.are_free(
                    member,
                    visit,
                    &cores
                        .iter()
                        .map(|core| role_core(role, *core))
                        .collect::<Vec<_>>(),
                )
            {
                continue;
            }
            chosen.push(member);
            if self.is_filled(chosen, cores) {
                return true;
            }
            chosen.pop();
        }
        false
    }

    fn members(&self, role: &Role, leader: usize) -> Vec<(usize, Option<usize>)> {
        let places = &self.bookables[leader].facets.locations;
        let mut members = Vec::new();
        for (at, bookable) in self.bookables.iter().enumerate() {
            let has_place = |place: &String| bookable.facets.locations.contains(place);
            if role.same_place && !places.iter().any(has_place) {
                continue;
            }
            let fits = role.filter.fits(bookable, None);
            members.extend(fits.first().map(|fit| (at, fit.visit)));
        }
        members
    }

    fn share(&self, one: usize, two: usize) -> bool {
        let (one, two) = (&self.bookables[one], &self.bookables[two]);
        one.rid == two.rid
            || one
                .actors
                .iter()
                .any(|actor| two.actors.iter().any(|other| actor.number == other.number))
    }

    fn openings(&self, bookable: &Bookable) -> Vec<Claim> {
        let calendar = self.book.openings(bookable);
        let claims = calendar.map_or(&[][..], |calendar| calendar.claims());
        claims
            .iter()
            .filter(|claim| claim.expires.is_none_or(|expires| self.now < expires))
            .filter(|claim| {
                bookable
                    .planning
                    .is_none_or(|planning| planning.contains(claim.core))
            })
            .copied()
            .collect()
    }

    fn rules(&self, at: usize, visit: Option<usize>, core: Span) -> Visit {
        let bookable = &self.bookables[at];
        let plain = crate::scheduling::slots::without_rules(core.seconds());
        visit.map_or(plain, |visit| Visit {
            duration: core.seconds(),
            ..bookable.visits[visit].clone()
        })
    }

    /// The hours, by the clock of UTC.
    fn is_in_hours(&self, bookable: &Bookable, at: i64) -> bool {
        let (day, second) = (at.div_euclid(DAY), at.rem_euclid(DAY));
        let midnight = jiff::civil::Time::midnight();
        let of_day =
            |time: jiff::civil::Time| (time - midnight).total(jiff::Unit::Second).unwrap() as i64;
        !bookable.visits.is_empty()
            && bookable
                .planning
                .is_none_or(|planning| (planning.start..planning.end).contains(&at))
            && bookable.hours.iter().all(|hours| {
                let is_open = hours.weekly.iter().any(|daily| {
                    daily.days >> (day + 3).rem_euclid(7) & 1 == 1
                        && (of_day(daily.from)..of_day(daily.to)).contains(&second)
                });
                let is_closed = hours.closed.iter().any(|closed| match closed {
                    Closed::Exactly { during, .. } => (during.start..during.end).contains(&at),
                    Closed::Local { .. } => panic!("not in these tests"),
                });
                is_open && !is_closed
            })
    }

    /// Every time that the grid of a visit has, or that an opening is.
    fn cores(&self, bookable: &Bookable, visit: Option<usize>) -> Vec<Span> {
        let openings = self.openings(bookable);
        let Some(visit) = visit.map(|visit| &bookable.visits[visit]) else {
            let least = self.need.duration.unwrap_or(1);
            let cores = openings.iter().map(|opening| opening.core);
            return cores.filter(|core| core.seconds() >= least).collect();
        };
        let duration = self.need.duration.unwrap_or(visit.duration);
        let from = bookable.hours[0].weekly[0].from;
        let from = i64::from(from.hour()) * 3600 + i64::from(from.minute()) * 60;
        let mut cores = Vec::new();
        let mut start = self.need.within.start.div_euclid(TICK) * TICK;
        while start < self.need.within.end {
            let anchor = start.div_euclid(DAY) * DAY + from;
            let is_in_grid = self.is_in_hours(bookable, start)
                && (start - anchor).rem_euclid(visit.interval) == 0
                || openings.iter().any(|opening| {
                    (opening.core.start..opening.core.end).contains(&start)
                        && (start - opening.core.start) % visit.interval == 0
                });
            if is_in_grid {
                cores.push(Span::new(start, start + duration));
            }
            start += TICK;
        }
        cores
    }

    fn is_open(&self, bookable: &Bookable, core: Span) -> bool {
        let openings = self.openings(bookable);
        let is_open = |at: i64| {
            self.is_in_hours(bookable, at)
                || openings
                    .iter()
                    .any(|opening| (opening.core.start..opening.core.end).contains(&at))
        };
        let mut at = core.start;
        while at < core.end {
            if !is_open(at) {
                return false;
            }
            at = (at.div_euclid(TICK) + 1) * TICK;
        }
        is_open(core.end - 1)
    }

    /// Whether they can be booked one after the other.
    fn are_free(&self, at: usize, visit: Option<usize>, cores: &[Span]) -> bool {
        let mut others = Vec::new();
        let is_free = |core: &Span| self.is_free(at, visit, *core, &mut others);
        cores.iter().all(is_free)
    }

    fn is_free(
        &self,
        at: usize,
        visit: Option<usize>,
        core: Span,
        others: &mut Vec<Claim>,
    ) -> bool {
        let bookable = &self.bookables[at];
        let mut rules = self.rules(at, visit, core);
        if visit.is_none() {
            let openings = self.openings(bookable);
            let Some(opening) = openings.iter().find(|opening| opening.core == core) else {
                return false;
            };
            rules.capacity = opening.capacity;
            rules.buffers = opening.buffers;
        } else if !self.is_open(bookable, core) {
            return false;
        }
        let in_time = core.start >= self.now + rules.notice
            && core.start <= self.now.saturating_add(rules.horizon);
        let owner = Number(-1 - others.len() as i64);
        let new = crate::scheduling::slots::claims(bookable, &rules, core, owner, None);
        let is_accepted = in_time
            && new
                .iter()
                .all(|new| is_accepted(new, self.book, others, self.now, &self.need.ignore));
        others.extend(new.iter().map(|new| new.claim));
        is_accepted
    }
}

pub fn role_core(role: &Role, core: Span) -> Span {
    let start = core.start + role.offset;
    Span::new(start, start + role.length.unwrap_or(core.seconds()))
}

/// Some limits.
pub fn quotas() -> Vec<(Per, u32)> {
    vec![(Per::Day, 3), (Per::Week, 5)]
}
