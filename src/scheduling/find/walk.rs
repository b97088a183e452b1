//! From the earliest start to the last one that the answer needs.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use super::{
    Chosen, Found, MOST_ROLES, Need, Proposal, Role, Sort,
    bits::{Bits, WORDS, block_of, span_of},
    choose::{Member, RolePool, choose},
    filter::Fit,
    free::{Block, Cache, Held, Starts, Times},
};
use crate::scheduling::{
    bookable::Bookable,
    calendar::{Calendar, Calendars, SlotState},
    claim::Number,
    slots::{self, bookable_now},
    span::Span,
};

/// Words of a block that are gathered and sorted at a time: six hours and a half.
const STEP: usize = 6;
/// About a millisecond, in steps of which each is a look at a block of a Schedule.
pub const MOMENT: usize = 8_000;
/// What it takes to look up or make the times of a Schedule, to expand and paint a block of them,
/// and to choose whoever takes part, in steps.
const LOOK_UP: usize = 4;
const PAINT: usize = 200;
const CHOICE: usize = 20;
/// And for all appointments of a series.
const SERIES: usize = 800;
/// Nobody books further ahead, in seconds.
const FURTHEST: i64 = 3660 * 86_400;

/// A Schedule that leads, with one of its visits.
struct Leader {
    index: usize,
    fit: Fit,
    times: Arc<Times>,
    /// When it may begin, by notice, horizon and what is asked.
    allowed: Span,
    group: usize,
    /// Whose it is, for `per_practitioner`.
    person: usize,
}

/// Leaders for which the same starts are possible, but for their own calendars.
struct Group {
    duration: i64,
    patients_may_overlap: bool,
    allowed: Span,
    /// A bookable with its zone.
    zone: usize,
    roles: Vec<RolePool>,
}

/// Which times are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pass {
    All,
    Fitting,
    Others,
}

struct Candidate {
    start: i64,
    /// In the order of leaders.
    order: usize,
    end: i64,
    /// By a bit: the masks were looked at.
    is_masked: bool,
}

pub struct Walk<'a> {
    need: &'a Need,
    bookables: &'a [Arc<Bookable>],
    calendars: &'a dyn Calendars,
    now: i64,
    /// The better ones first.
    leaders: Vec<Leader>,
    groups: Vec<Group>,
    /// What masks say of pools is all that there is to say.
    masks_suffice: bool,
    masks: HashMap<(usize, i64, Pass), Rc<Bits>>,
    counts: Vec<usize>,
    work: usize,
    /// Steps that are left before it is given up.
    patience: usize,
    is_given_up: bool,
    found: Found,
}

impl<'a> Walk<'a> {
    pub fn new(
        need: &'a Need,
        (bookables, calendars): (&'a [Arc<Bookable>], &'a dyn Calendars),
        cache: &Cache,
        (now, patience): (i64, usize),
    ) -> Self {
        let mut walk = Self {
            need,
            bookables,
            calendars,
            now,
            leaders: Vec::new(),
            groups: Vec::new(),
            masks_suffice: true,
            masks: HashMap::new(),
            counts: Vec::new(),
            work: need.work,
            patience,
            is_given_up: false,
            found: Found::default(),
        };
        if need.roles.len() <= MOST_ROLES {
            walk.gather_leaders(cache);
            walk.gather_groups(cache);
        }
        walk
    }

    fn gather_leaders(&mut self, cache: &Cache) {
        let need = self.need;
        let mut fits: Vec<(usize, Fit)> = Vec::new();
        for (index, bookable) in self.bookables.iter().enumerate() {
            let own = need.filter.fits(bookable, need.duration);
            fits.extend(own.into_iter().map(|fit| (index, fit)));
        }
        let name = |index: usize| &self.bookables[index].facets.name;
        fits.sort_by(|(one, fit), (two, other)| {
            (fit.rank, name(*one), one, fit.visit).cmp(&(other.rank, name(*two), two, other.visit))
        });
        let wanted = fits.iter().map(|(index, fit)| {
            let bookable = &self.bookables[*index];
            let visit = fit
                .visit
                .and_then(|at| Some((at, bookable.visits.get(at)?)));
            let (starts, duration) = match visit {
                Some((at, visit)) => (Starts::Grid(at), need.duration.unwrap_or(visit.duration)),
                None => (Starts::Openings, need.duration.unwrap_or(1)),
            };
            (bookable, starts, duration)
        });
        let times = cache.times(wanted, self.calendars, self.now, &need.ignore);
        let looked_up = times.len() * LOOK_UP;
        let mut people: HashMap<&str, usize> = HashMap::new();
        for ((index, fit), times) in fits.into_iter().zip(times) {
            let duration = times.visit().duration;
            let now = bookable_now(times.visit(), self.now);
            let last = need.within.end.saturating_sub(duration).saturating_add(1);
            let mut allowed = Span::new(
                now.start.max(need.within.start),
                now.end.min(last).min(self.now.saturating_add(FURTHEST)),
            );
            if fit.visit.is_none() {
                let openings = self.calendars.openings(&self.bookables[index]);
                let openings = openings.map_or(&[][..], Calendar::claims);
                let last = openings.last().map_or(i64::MIN, |last| last.padded.start);
                allowed.end = allowed.end.min(last.saturating_add(1));
            }
            if duration <= 0 || allowed.is_empty() {
                continue;
            }
            let limited = slots::limited(&self.bookables[index]);
            let person = limited.map_or("", |actor| {
                actor.practitioner.as_deref().unwrap_or(&actor.reference)
            });
            let next = people.len();
            self.leaders.push(Leader {
                index,
                fit,
                times,
                allowed,
                group: 0,
                person: *people.entry(person).or_insert(next),
            });
        }
        self.counts = vec![0; people.len()];
        self.toil(looked_up);
    }

    fn gather_groups(&mut self, cache: &Cache) {
        let need = self.need;
        let has_places = need.roles.iter().any(|role| role.same_place);
        let mut members: Vec<Vec<(usize, Fit)>> = Vec::new();
        for role in &need.roles {
            let mut fits: Vec<(usize, Fit)> = Vec::new();
            for (index, bookable) in self.bookables.iter().enumerate() {
                let own = role.filter.fits(bookable, None);
                fits.extend(own.into_iter().next().map(|fit| (index, fit)));
            }
            fits.sort_by_key(|(index, fit)| (fit.rank, *index));
            members.push(fits);
        }
        let mut zones: Vec<usize> = Vec::new();
        let mut known = HashMap::new();
        let mut group_of = Vec::with_capacity(self.leaders.len());
        for leader in &self.leaders {
            let bookable = &self.bookables[leader.index];
            let zone = if need.timing.is_none() {
                0
            } else {
                let is_same = |other: &&usize| self.bookables[**other].zone == bookable.zone;
                zones.iter().find(is_same).copied().unwrap_or_else(|| {
                    zones.push(leader.index);
                    leader.index
                })
            };
            let visit = leader.times.visit();
            let places: &[String] = if has_places {
                &bookable.facets.locations
            } else {
                &[]
            };
            let key = (
                visit.duration,
                visit.patients_may_overlap,
                leader.allowed,
                zone,
                places,
            );
            let groups = &mut self.groups;
            let group = *known.entry(key).or_insert_with(|| {
                let roles = need.roles.iter().zip(&members);
                groups.push(Group {
                    duration: visit.duration,
                    patients_may_overlap: visit.patients_may_overlap,
                    allowed: leader.allowed,
                    zone,
                    roles: roles
                        .map(|(role, members)| {
                            let duration = role.length.unwrap_or(visit.duration);
                            pool(
                                (role, members, duration, places),
                                (self.bookables, self.calendars, self.now),
                                (need, cache),
                            )
                        })
                        .collect(),
                });
                groups.len() - 1
            });
            group_of.push(group);
        }
        for (leader, group) in self.leaders.iter_mut().zip(group_of) {
            leader.group = group;
        }
        self.masks_suffice = need.series.is_none() && self.nobody_is_needed_twice();
        let roles = self.groups.iter().flat_map(|group| &group.roles);
        let members: usize = roles.map(|role| role.members.len()).sum();
        self.toil(members * LOOK_UP);
    }

    /// True if no two of the leader and the pools can be of the same actor, and all members can
    /// be booked as far ahead as the leaders.
    fn nobody_is_needed_twice(&self) -> bool {
        if self.need.roles.is_empty() {
            return true;
        }
        let actors = |index: usize| {
            self.bookables[index]
                .actors
                .iter()
                .map(|actor| actor.number)
        };
        let mut seen: HashSet<Number> = self
            .leaders
            .iter()
            .flat_map(|leader| actors(leader.index))
            .collect();
        for role in 0..self.need.roles.len() {
            let mut own = HashSet::new();
            for group in &self.groups {
                for member in &group.roles[role].members {
                    own.extend(actors(member.index));
                    let first = group.roles[role].core(group.allowed).start;
                    let reach = Span::new(first, first + group.allowed.seconds());
                    if !bookable_now(member.times.visit(), self.now).contains(reach)
                        || group.roles[role].offset % 60 != 0
                    {
                        return false;
                    }
                }
            }
            if !seen.is_disjoint(&own) {
                return false;
            }
            seen.extend(own);
        }
        true
    }

    /// What is found; `None` if it was given up.
    pub fn run(mut self) -> Option<Found> {
        let all: Vec<usize> = (0..self.leaders.len()).collect();
        let times: &[Pass] = match &self.need.timing {
            Some(timing) if timing.must => &[Pass::Fitting],
            Some(_) if self.need.sort == Sort::Preferred => &[Pass::Fitting, Pass::Others],
            _ => &[Pass::All],
        };
        for times in times {
            match self.need.sort {
                Sort::Earliest => self.walk(&all, *times),
                Sort::Nearest => {
                    let mut order = all.clone();
                    let distance = |at: &usize| self.leaders[*at].fit.distance.unwrap_or(0.0);
                    order.sort_by(|one, two| distance(one).total_cmp(&distance(two)));
                    let same = |one: &usize, two: &usize| distance(one) == distance(two);
                    let parts: Vec<Vec<usize>> =
                        order.chunk_by(same).map(<[usize]>::to_vec).collect();
                    for part in parts {
                        self.walk(&part, *times);
                    }
                }
                Sort::Preferred => {
                    let rank = |at: &usize| self.leaders[*at].fit.rank;
                    let same = |one: &usize, two: &usize| rank(one) == rank(two);
                    let parts: Vec<Vec<usize>> =
                        all.chunk_by(same).map(<[usize]>::to_vec).collect();
                    for part in parts {
                        self.walk(&part, *times);
                    }
                }
            }
        }
        (!self.is_given_up).then_some(self.found)
    }

    /// Looks at the starts of some leaders, the earliest first.
    fn walk(&mut self, leaders: &[usize], times: Pass) {
        let allowed = leaders.iter().map(|at| self.leaders[*at].allowed);
        let (Some(first), Some(end)) = (
            allowed.clone().map(|span| span.start).min(),
            allowed.map(|span| span.end).max(),
        ) else {
            return;
        };
        for block in block_of(first)..=block_of(end - 1) {
            if self.found.truncated {
                return;
            }
            self.walk_block(leaders, times, block);
        }
    }

    fn walk_block(&mut self, leaders: &[usize], times: Pass, block: i64) {
        let span = span_of(block);
        let handles: Vec<(usize, Arc<Times>)> = leaders
            .iter()
            .filter(|at| self.leaders[**at].allowed.overlaps(span))
            .filter(|at| !self.is_served(self.leaders[**at].person))
            .map(|at| (*at, Arc::clone(&self.leaders[*at].times)))
            .collect();
        self.spend(1);
        let mut active: Vec<(usize, Held<Block>, Rc<Bits>)> = Vec::new();
        let mut last = None;
        for (at, own) in &handles {
            let group = self.leaders[*at].group;
            let (_, mask) = last
                .take_if(|(other, _)| *other == group)
                .unwrap_or_else(|| (group, self.mask(group, block, times)));
            last = Some((group, Rc::clone(&mask)));
            self.spend(1);
            if self.found.truncated {
                return;
            }
            if !own.is_painted(block) {
                self.toil(PAINT);
            }
            let free = own.block(block, self.calendars, self.now);
            if !free.listed.is_empty() || !free.bits.is_apart(&mask) {
                active.push((*at, free, mask));
            }
        }
        if active.is_empty() {
            return;
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for step in (0..WORDS).step_by(STEP) {
            for (at, free, mask) in &active {
                for word in step..(step + STEP).min(WORDS) {
                    let mut bits = free.bits.0[word] & mask.0[word];
                    while bits != 0 {
                        let minute = word * 64 + bits.trailing_zeros() as usize;
                        bits &= bits - 1;
                        let start = span.start + minute as i64 * 60;
                        candidates.push(Candidate {
                            start,
                            order: *at,
                            end: start + self.groups[self.leaders[*at].group].duration,
                            is_masked: true,
                        });
                    }
                }
                let minutes = STEP as i64 * 64 * 60;
                let from = span.start + (step / STEP) as i64 * minutes;
                let here = |core: &&Span| (from..from + minutes).contains(&core.start);
                candidates.extend(free.listed.iter().filter(here).map(|core| Candidate {
                    start: core.start,
                    order: *at,
                    end: core.end,
                    is_masked: false,
                }));
            }
            candidates.sort_unstable_by_key(|it| (it.start, it.order, it.end));
            for candidate in candidates.drain(..) {
                self.consider(&candidate, times);
                if self.found.truncated {
                    return;
                }
            }
        }
    }

    /// Takes some of the patience that is left.
    fn toil(&mut self, steps: usize) {
        match self.patience.checked_sub(steps) {
            Some(rest) => self.patience = rest,
            None => {
                self.is_given_up = true;
                self.found.truncated = true;
            }
        }
    }

    fn spend(&mut self, work: usize) {
        self.toil(work);
        match self.work.checked_sub(work) {
            Some(rest) => self.work = rest,
            None => self.found.truncated = true,
        }
    }

    fn is_served(&self, person: usize) -> bool {
        let most = self.need.per_practitioner;
        most.is_some_and(|most| self.counts[person] >= most)
    }

    /// Takes a candidate into the answer if all that its leader's calendar does not say is right.
    fn consider(&mut self, candidate: &Candidate, times: Pass) {
        let leader = &self.leaders[candidate.order];
        let person = leader.person;
        if self.is_served(person) {
            return;
        }
        let core = Span::new(candidate.start, candidate.end);
        if !candidate.is_masked && !self.is_right(leader, core, times) {
            return;
        }
        let is_shown = self.found.proposals.len() < self.need.count;
        let needs_choice = is_shown || !self.masks_suffice || !candidate.is_masked;
        if needs_choice {
            self.spend(1);
            self.toil(match &self.need.series {
                None => CHOICE * (1 + self.need.roles.len()),
                Some(_) => SERIES,
            });
            let leader = &self.leaders[candidate.order];
            let Some(parts) = self.parts(leader, core) else {
                return;
            };
            if is_shown {
                let proposal = self.proposal(leader, core, parts);
                self.found.proposals.push(proposal);
            }
        }
        if self.found.total >= self.need.total.max(self.need.count) {
            self.found.truncated = true;
            return;
        }
        self.counts[person] += 1;
        self.found.total += 1;
        if self.need.total <= self.need.count && self.found.total >= self.need.count {
            // Nobody asked whether there are more.
            self.found.truncated = true;
        }
    }

    fn proposal(&self, leader: &Leader, core: Span, parts: Vec<Chosen>) -> Proposal {
        let zone = &self.bookables[leader.index].zone;
        let timing = self.need.timing.as_ref();
        Proposal {
            start: core.start,
            end: core.end,
            parts,
            rank: leader.fit.rank,
            distance: leader.fit.distance,
            is_preferred: timing.is_none_or(|timing| timing.fits(zone, core.start)),
        }
    }

    /// What the mask says of a start on the minute, for any.
    fn is_right(&self, leader: &Leader, core: Span, times: Pass) -> bool {
        let zone = &self.bookables[leader.index].zone;
        let fits = || {
            let timing = self.need.timing.as_ref();
            timing.is_none_or(|timing| timing.fits(zone, core.start))
        };
        (leader.allowed.start..leader.allowed.end).contains(&core.start)
            && core.end <= self.need.within.end
            && match times {
                Pass::All => true,
                Pass::Fitting => fits(),
                Pass::Others => !fits(),
            }
            && self.patients_are_free(leader, core)
    }

    fn patients_are_free(&self, leader: &Leader, core: Span) -> bool {
        let visit = leader.times.visit();
        if visit.patients_may_overlap {
            return true;
        }
        let visit = slots::for_patient(visit);
        self.need.patients.iter().all(|patient| {
            self.calendars.of(*patient).is_none_or(|calendar| {
                calendar.state(core, &visit, self.now, &self.need.ignore) == SlotState::Free
            })
        })
    }

    /// The leader and one of each pool, if they are free; for a series, if they are every time.
    fn parts(&self, leader: &Leader, core: Span) -> Option<Vec<Chosen>> {
        let mut appointments = vec![core];
        if let Some(series) = &self.need.series {
            let zone = &self.bookables[leader.index].zone;
            let starts = series(core.start, zone);
            let others = starts.iter().filter(|start| **start != core.start);
            appointments.extend(others.map(|start| Span::new(*start, start + core.seconds())));
            let is_free = |core: &Span| self.patients_are_free(leader, *core);
            if !leader
                .times
                .are_free(&appointments, self.calendars, self.now)
                || !appointments.iter().all(is_free)
            {
                return None;
            }
        }
        let group = &self.groups[leader.group];
        let mut parts = vec![Chosen {
            bookable: leader.index,
            visit: leader.fit.visit,
            core,
        }];
        if group.roles.is_empty() {
            return Some(parts);
        }
        let chosen = choose(
            &group.roles,
            leader.times.bookable(),
            &appointments,
            self.calendars,
            self.now,
        )?;
        for (role, member) in group.roles.iter().zip(chosen) {
            parts.push(Chosen {
                bookable: member.index,
                visit: member.visit,
                core: role.core(core),
            });
        }
        Some(parts)
    }

    /// The starts of a block that are possible for a group, but for its leaders.
    fn mask(&mut self, group: usize, block: i64, times: Pass) -> Rc<Bits> {
        let key = (group, block, times);
        if let Some(mask) = self.masks.get(&key) {
            return Rc::clone(mask);
        }
        let roles = self.groups[group].roles.iter();
        let unpainted: usize = roles.map(|role| role.pool.unpainted(block)).sum();
        self.toil(unpainted * PAINT);
        if self.is_given_up {
            return Rc::new(Bits::none());
        }
        let mask = Rc::new(self.paint(&self.groups[group], block, times));
        self.masks.insert(key, Rc::clone(&mask));
        mask
    }

    fn paint(&self, group: &Group, block: i64, times: Pass) -> Bits {
        let mut bits = Bits::none();
        bits.fill(block, group.allowed, true);
        if let Some(timing) = self.need.timing.as_ref().filter(|_| times != Pass::All) {
            let fitting = timing.bits(&self.bookables[group.zone].zone, block);
            if times == Pass::Fitting {
                bits.and(&fitting);
            } else {
                bits.and_not(&fitting);
            }
        }
        if !group.patients_may_overlap {
            let visit = slots::for_patient(&slots::without_rules(group.duration));
            let patients = self.need.patients.iter();
            for calendar in patients.filter_map(|patient| self.calendars.of(*patient)) {
                let (span, ignore) = (span_of(block), &self.need.ignore);
                calendar.taken_starts(&visit, span, self.now, ignore, |taken| {
                    bits.fill(block, taken, false);
                });
            }
        }
        for role in &group.roles {
            // What is not on the minute is told when somebody is chosen.
            if role.offset % 60 == 0 && !bits.is_empty() {
                let (calendars, now) = (self.calendars, self.now);
                role.pool
                    .keep_possible(&mut bits, block, role.offset, calendars, now);
            }
        }
        bits
    }
}

/// The pool of a role for leaders at some places.
fn pool(
    (role, fits, duration, places): (&Role, &[(usize, Fit)], i64, &[String]),
    (bookables, calendars, now): (&[Arc<Bookable>], &dyn Calendars, i64),
    (need, cache): (&Need, &Cache),
) -> RolePool {
    let is_there = |index: usize| {
        let locations = &bookables[index].facets.locations;
        !role.same_place || locations.iter().any(|location| places.contains(location))
    };
    let fits: Vec<&(usize, Fit)> = fits.iter().filter(|(index, _)| is_there(*index)).collect();
    let wanted = fits.iter().map(|(index, fit)| {
        let starts = fit.visit.map_or(Starts::ExactOpenings, Starts::Any);
        (&bookables[*index], starts, duration)
    });
    let times = cache.times(wanted, calendars, now, &need.ignore);
    let pool = cache.pool(&times);
    let members = fits.into_iter().zip(times);
    RolePool {
        members: members
            .map(|((index, fit), times)| Member {
                index: *index,
                visit: fit.visit,
                times,
            })
            .collect(),
        pool,
        offset: role.offset,
        length: role.length,
    }
}
