//! The slots of many Schedules in order, as far as somebody looks at them, from any place on.
//!
//! Kinds of visit of the same length share their slots: an id says where, when and how long. Such
//! a slot is for those kinds that are best off there.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use super::{
    bookable::{Bookable, Visit},
    calendar::{Calendars, SlotState},
    find::{Cache, Held, Open, block_of, span_of},
    hours::{self, Window},
    slots::{LONGEST, bookable_now, state},
    span::Span,
};

/// Days that are looked at together, at first and at most.
const FIRST_DAYS: i64 = 1;
const MOST_DAYS: i64 = 32;
const DAY: i64 = 86_400;
/// What it costs to look at some days, in slots, and what it takes to expand their hours before.
const DAYS_COST: usize = 16;
const EXPANSION: usize = 64;
/// Kinds of visit of one Schedule that have slots.
const VISITS: usize = 64;

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One Schedule after the other, and each from the first slot to the last.
    Schedules,
    /// By their starts.
    Times,
    /// By their starts, the last first.
    TimesBackwards,
}

/// The place of a slot in every order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The Schedule's number.
    pub rid: i64,
    /// Seconds since 1970.
    pub start: i64,
    /// Seconds.
    pub duration: i64,
}

impl Spot {
    /// As text.
    pub fn write(&self) -> String {
        format!("{}.{}.{}", self.rid, self.start, self.duration)
    }

    /// The inverse of [`Spot::write`].
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let mut part = || parts.next().flatten();
        Some(Self {
            rid: part()?,
            start: part()?,
            duration: part()?,
        })
    }
}

/// A slot by the hours; whether it is free is another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Whose it is, by the place in the list.
    pub bookable: usize,
    /// From start to end.
    pub span: Span,
    /// For which kinds of visit: a bit for each.
    pub visits: u64,
}

/// The kinds of visit of a set.
pub fn visits(bookable: &Bookable, set: u64) -> impl Iterator<Item = &Visit> {
    let numbered = bookable.visits.iter().take(VISITS).enumerate();
    numbered
        .filter(move |(at, _)| set & (1 << at) != 0)
        .map(|(_, visit)| visit)
}

/// The sets of visits of the same length, shortest first.
pub fn lengths(bookable: &Bookable) -> Vec<(i64, u64)> {
    let mut all: Vec<(i64, u64)> = Vec::new();
    for (at, visit) in bookable.visits.iter().take(VISITS).enumerate() {
        if visit.duration <= 0 || visit.duration > LONGEST {
            continue;
        }
        match all.iter_mut().find(|(length, _)| *length == visit.duration) {
            Some((_, set)) => *set |= 1 << at,
            None => all.push((visit.duration, 1 << at)),
        }
    }
    all.sort_unstable();
    all
}

/// What a slot is for those who book now, and for which of its kinds of visit it is that.
pub fn state_of(
    bookable: &Bookable,
    offer: &Offer,
    calendars: &dyn Calendars,
    now: i64,
) -> (SlotState, u64) {
    let mut best: Option<(u8, SlotState, u64)> = None;
    for (at, visit) in bookable.visits.iter().take(VISITS).enumerate() {
        if offer.visits & (1 << at) == 0 {
            continue;
        }
        let mut state = state(bookable, visit, offer.span, calendars, now, &[]);
        if state == SlotState::Free && offer.span.start < bookable_now(visit, now).start {
            state = SlotState::Unavailable;
        }
        let rank = match state {
            SlotState::Free => 0,
            SlotState::Tentative(_) => 1,
            SlotState::Busy => 2,
            SlotState::Unavailable => 3,
        };
        match &mut best {
            Some((best, _, set)) if *best == rank => *set |= 1 << at,
            Some((best, ..)) if *best < rank => {}
            _ => best = Some((rank, state, 1 << at)),
        }
    }
    best.map_or((SlotState::Unavailable, 0), |(_, state, set)| (state, set))
}

/// The slot of a Schedule at a time, if its hours have one just there.
pub fn offer_at(bookable: &Bookable, span: Span, now: i64) -> Option<Offer> {
    let only = Span::new(span.start, span.start + 1);
    let mut stream = Stream::new((0, None), bookable, only, now, false);
    let mut spent = Spent::default();
    std::iter::from_fn(|| stream.next(bookable, now, &mut spent)).find(|offer| offer.span == span)
}

/// Goes from slot to slot.
pub struct Walk<'a> {
    bookables: &'a [Arc<Bookable>],
    within: Span,
    order: Order,
    now: i64,
    after: Option<Spot>,
    /// The Schedule that comes next, if it is one after the other.
    next: usize,
    current: Option<Stream>,
    /// The next slot of each Schedule, if it is by time.
    heads: BinaryHeap<Reverse<Head>>,
    streams: Vec<Stream>,
    hours: Vec<Arc<Open>>,
    spent: Spent,
}

/// What it has cost so far, in slots.
#[derive(Debug, Default)]
struct Spent {
    /// The same for the same walk.
    cost: usize,
    /// With what had to be expanded for it.
    toil: usize,
}

/// Where a walk has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The next slot.
    Offer(Offer),
    /// There are no more.
    Done,
    /// It has taken as much as it was let: it goes on from here.
    Paused,
}

/// A slot that comes next: the order, the stream, and what follows from it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: (i64, i64, i64),
    stream: usize,
    visits: u64,
}

impl<'a> Walk<'a> {
    /// The slots of `bookables`, which are in the order of their numbers, that begin in `within`;
    /// those behind a place.
    pub fn new(
        bookables: &'a [Arc<Bookable>],
        within: Span,
        order: Order,
        after: Option<Spot>,
        (cache, now): (&Cache, i64),
    ) -> Self {
        let next = match (order, after) {
            (Order::Schedules, Some(after)) => {
                bookables.partition_point(|bookable| bookable.rid < after.rid)
            }
            _ => 0,
        };
        Self {
            bookables,
            within,
            order,
            now,
            after,
            next,
            current: None,
            heads: BinaryHeap::new(),
            streams: Vec::new(),
            hours: cache.hours(bookables, now),
            spent: Spent::default(),
        }
    }

    /// What it has cost so far, in slots that were looked at.
    pub fn cost(&self) -> usize {
        self.spent.cost
    }

    /// What it has taken so far: the cost, and more for hours that were not expanded yet.
    pub fn toil(&self) -> usize {
        self.spent.toil
    }

    /// The place of a slot.
    pub fn spot(&self, offer: &Offer) -> Spot {
        Spot {
            rid: self.bookables[offer.bookable].rid,
            start: offer.span.start,
            duration: offer.span.seconds(),
        }
    }

    fn stream(&self, at: usize, within: Span) -> Stream {
        let backwards = self.order == Order::TimesBackwards;
        let hours = Some(Arc::clone(&self.hours[at]));
        let bookable = &self.bookables[at];
        Stream::new((at, hours), bookable, within, self.now, backwards)
    }

    fn one_by_one(&mut self, most: usize) -> Step {
        loop {
            if self.spent.toil >= most {
                return Step::Paused;
            }
            if self.current.is_none() {
                let Some(bookable) = self.bookables.get(self.next) else {
                    return Step::Done;
                };
                let mut within = self.within;
                if let Some(after) = self.after.filter(|after| after.rid == bookable.rid) {
                    within.start = within.start.max(after.start);
                }
                self.current = Some(self.stream(self.next, within));
                self.next += 1;
            }
            let Some(stream) = self.current.as_mut() else {
                continue;
            };
            let bookable = &self.bookables[stream.bookable];
            match stream.next(bookable, self.now, &mut self.spent) {
                Some(offer) => {
                    let spot = self.spot(&offer);
                    if self.after.is_none_or(|after| spot > after) {
                        return Step::Offer(offer);
                    }
                }
                None => self.current = None,
            }
        }
    }

    /// The order by time.
    fn key(&self, spot: &Spot) -> (i64, i64, i64) {
        let start = match self.order {
            Order::TimesBackwards => -spot.start,
            _ => spot.start,
        };
        (start, spot.rid, spot.duration)
    }

    fn by_time(&mut self, most: usize) -> Step {
        if self.streams.len() < self.bookables.len() {
            let mut within = self.within;
            match (self.order, self.after) {
                (Order::TimesBackwards, Some(after)) => {
                    within.end = within.end.min(after.start + 1);
                }
                (_, Some(after)) => within.start = within.start.max(after.start),
                _ => {}
            }
            // Each is looked at before the first slot is known.
            for at in self.streams.len()..self.bookables.len() {
                if self.spent.toil >= most {
                    return Step::Paused;
                }
                let stream = self.stream(at, within);
                self.streams.push(stream);
                self.advance(at);
            }
        }
        if self.spent.toil >= most {
            return Step::Paused;
        }
        let Some(Reverse(head)) = self.heads.pop() else {
            return Step::Done;
        };
        self.advance(head.stream);
        let start = match self.order {
            Order::TimesBackwards => -head.key.0,
            _ => head.key.0,
        };
        Step::Offer(Offer {
            bookable: head.stream,
            span: Span::new(start, start + head.key.2),
            visits: head.visits,
        })
    }

    /// The next slot, unless it has taken so much already ([`Walk::toil`]).
    pub fn step(&mut self, most: usize) -> Step {
        match self.order {
            Order::Schedules => self.one_by_one(most),
            Order::Times | Order::TimesBackwards => self.by_time(most),
        }
    }

    /// Puts the next slot of a stream into the heap.
    fn advance(&mut self, at: usize) {
        loop {
            let bookable = &self.bookables[at];
            let stream = &mut self.streams[at];
            let Some(offer) = stream.next(bookable, self.now, &mut self.spent) else {
                return;
            };
            let key = self.key(&self.spot(&offer));
            if self.after.is_none_or(|after| key > self.key(&after)) {
                let head = Head {
                    key,
                    stream: at,
                    visits: offer.visits,
                };
                self.heads.push(Reverse(head));
                return;
            }
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        match self.step(usize::MAX) {
            Step::Offer(offer) => Some(offer),
            Step::Done | Step::Paused => None,
        }
    }
}

/// Open windows.
enum Expanded<'h> {
    Made(Vec<Window>),
    Kept(Held<'h, Vec<Window>>),
}

impl Expanded<'_> {
    /// Those that lie in part in `reach`.
    fn within(&self, reach: Span) -> &[Window] {
        let all: &[Window] = match self {
            Self::Made(all) => all,
            Self::Kept(all) => all,
        };
        let from = all.partition_point(|window| window.span.end <= reach.start);
        let to = all.partition_point(|window| window.span.start < reach.end);
        &all[from..to.max(from)]
    }
}

/// The slots of one Schedule.
struct Stream {
    bookable: usize,
    /// Its hours as they are kept; without, they are expanded each time.
    hours: Option<Arc<Open>>,
    /// What is not looked at yet.
    left: Span,
    days: i64,
    ready: VecDeque<(i64, i64, u64)>,
    lengths: Vec<(i64, u64)>,
    backwards: bool,
}

impl Stream {
    fn new(
        (at, hours): (usize, Option<Arc<Open>>),
        bookable: &Bookable,
        within: Span,
        now: i64,
        backwards: bool,
    ) -> Self {
        let horizons = bookable
            .visits
            .iter()
            .map(|visit| bookable_now(visit, now).end);
        let mut left = Span::new(within.start, within.end.min(horizons.max().unwrap_or(now)));
        if let Some(planning) = bookable.planning {
            left.start = left.start.max(planning.start);
            left.end = left.end.min(planning.end);
        }
        Self {
            bookable: at,
            hours,
            left,
            days: FIRST_DAYS,
            ready: VecDeque::new(),
            lengths: lengths(bookable),
            backwards,
        }
    }

    fn next(&mut self, bookable: &Bookable, now: i64, spent: &mut Spent) -> Option<Offer> {
        while self.ready.is_empty() {
            if self.left.is_empty() || self.lengths.is_empty() {
                return None;
            }
            self.fill(bookable, now, spent);
            spent.cost += DAYS_COST;
            spent.toil += DAYS_COST;
        }
        let (start, duration, visits) = self.ready.pop_front()?;
        spent.cost += 1;
        spent.toil += 1;
        Some(Offer {
            bookable: self.bookable,
            span: Span::new(start, start + duration),
            visits,
        })
    }

    /// What is looked at next: not more than what is kept together.
    fn part(&mut self) -> Span {
        let length = self.days * DAY;
        self.days = (self.days * 2).min(MOST_DAYS);
        let block = |at: i64| match self.hours {
            Some(_) => span_of(block_of(at)),
            None => Span::new(i64::MIN, i64::MAX),
        };
        if self.backwards {
            let from = self.left.end.saturating_sub(length).max(self.left.start);
            let from = from.max(block(self.left.end - 1).start);
            let part = Span::new(from, self.left.end);
            self.left.end = from;
            return part;
        }
        let to = self.left.start.saturating_add(length).min(self.left.end);
        let to = to.min(block(self.left.start).end);
        let part = Span::new(self.left.start, to);
        self.left.start = to;
        part
    }

    fn fill(&mut self, bookable: &Bookable, now: i64, spent: &mut Spent) {
        let part = self.part();
        let longest = self.lengths.last().map_or(0, |(length, _)| *length);
        let reach = Span::new(part.start, part.end + longest);
        let expanded = match &self.hours {
            None => Expanded::Made(hours::open(bookable, reach)),
            Some(hours) => {
                let block = block_of(part.start);
                if !hours.is_expanded(block) {
                    spent.toil += EXPANSION;
                }
                Expanded::Kept(hours.windows(block, longest))
            }
        };
        let windows = expanded.within(reach);
        if windows.is_empty() {
            return;
        }
        let mut found: Vec<(i64, i64, u64)> = Vec::new();
        for (at, visit) in bookable.visits.iter().take(VISITS).enumerate() {
            if !self.lengths.iter().any(|(_, set)| set & (1 << at) != 0) {
                continue;
            }
            let end = part.end.min(bookable_now(visit, now).end);
            let starts = hours::starts(windows, visit)
                .filter(|start| (part.start..end).contains(start))
                .map(|start| (start, visit.duration, 1 << at));
            found.extend(starts);
        }
        found.sort_unstable();
        found.dedup_by(|other, kept| {
            let same = (other.0, other.1) == (kept.0, kept.1);
            if same {
                kept.2 |= other.2;
            }
            same
        });
        if self.backwards {
            found.sort_by_key(|(start, ..)| Reverse(*start));
        }
        self.ready.extend(found);
    }
}

#[cfg(test)]
mod tests;
