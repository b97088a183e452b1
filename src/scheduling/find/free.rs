//! Possible starts of whole calendars as bits, kept for as long as they are true.
//!
//! A visit cannot begin within one range of starts for each claim, whatever the buffers say, so
//! bits are painted straight from claims, and a bit is exact: its start is on the minute. Starts
//! that are not stand in a list.

use std::{
    collections::HashMap,
    hash::Hash,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::bits::{Bits, SECONDS, WORDS, block_of, span_of};
use crate::scheduling::{
    bookable::{Bookable, Visit},
    calendar::{Calendar, Calendars, SlotState},
    claim::Number,
    hours::{self, Window, local_range},
    slots::{self, OpenTime},
    span::Span,
};

/// Blocks that are kept of one Schedule: over a year.
const BLOCKS: usize = 54;
/// Blocks of the past after which they are counted anew.
const STALE: i64 = 3;
/// A visit up to this long is inside of the windows that are kept.
const LONGEST: i64 = 86_400;
/// What one that is kept costs at least, in bytes.
const ENTRY: usize = 2048;

/// Which starts of a Schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Starts {
    /// Those of the grid of a visit.
    Grid(usize),
    /// Any minute at which there is time for a visit.
    Any(usize),
    /// Those of its openings that are at least so long.
    Openings,
    /// Those of its openings that are just so long.
    ExactOpenings,
}

/// Possible starts in a block.
#[derive(Debug)]
pub struct Block {
    /// On the minute.
    pub bits: Bits,
    /// Others, and openings: from when to when.
    pub listed: Vec<Span>,
}

/// A block that is kept, or one that is not.
#[derive(Debug)]
pub enum Held<'a, T> {
    /// It is in a cache.
    Kept(&'a T),
    /// It was made for whoever asked.
    Made(Box<T>),
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Kept(block) => block,
            Self::Made(block) => block,
        }
    }
}

/// What `$find` computed and may need again. It holds no truth: what is kept says of which rules
/// and which calendars it is, and is not used with others.
#[derive(Debug)]
pub struct Cache {
    kept: Mutex<Kept>,
    /// Bytes that came into the younger generation.
    bytes: Arc<AtomicUsize>,
    most: usize,
}

#[derive(Debug, Default)]
struct Kept {
    open: Generations<usize, Arc<Open>>,
    starts: Generations<(usize, Starts, i64), Arc<Times>>,
    pools: Generations<Vec<usize>, Arc<Pool>>,
}

/// What was not asked for in a whole generation is forgotten.
#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Generations<K, V> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<K: Hash + Eq, V> Generations<K, V> {
    /// What is kept, and whether it was about to be forgotten.
    fn get(&mut self, key: &K) -> Option<(&V, bool)> {
        if self.young.contains_key(key) {
            return self.young.get(key).map(|value| (value, false));
        }
        let (key, value) = self.old.remove_entry(key)?;
        Some((self.young.entry(key).or_insert(value), true))
    }

    fn turn(&mut self) {
        self.old = std::mem::take(&mut self.young);
    }
}

impl Cache {
    /// One that takes about so many bytes at most.
    pub fn new(most: usize) -> Self {
        Self {
            kept: Mutex::default(),
            bytes: Arc::default(),
            most,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bytes.load(Ordering::Relaxed) > self.most / 2 {
            self.bytes.store(0, Ordering::Relaxed);
            kept.open.turn();
            kept.starts.turn();
            kept.pools.turn();
        }
        kept
    }

    /// The possible starts of Schedules, as their rules and calendars are.
    pub fn times<'w>(
        &self,
        wanted: impl Iterator<Item = (&'w Arc<Bookable>, Starts, i64)>,
        calendars: &dyn Calendars,
        now: i64,
        ignore: &[Number],
    ) -> Vec<Arc<Times>> {
        let mut kept = self.lock();
        let mut found = Vec::with_capacity(wanted.size_hint().0);
        for (bookable, starts, duration) in wanted {
            let key = (address(bookable), starts, duration);
            if !ignore.is_empty() && has_any(bookable, calendars, ignore) {
                let open = kept.open_of(bookable, now, self);
                let times = Times::new(open, starts, duration, calendars, now);
                found.push(Arc::new(Times {
                    ignore: ignore.to_vec(),
                    ..times
                }));
                continue;
            }
            if let Some((times, is_old)) = kept.starts.get(&key)
                && times.is_true(calendars, now)
            {
                if is_old {
                    times
                        .open
                        .kept
                        .fetch_add(times.size.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                found.push(Arc::clone(times));
                continue;
            }
            let open = kept.open_of(bookable, now, self);
            let times = Arc::new(Times::new(open, starts, duration, calendars, now));
            times.open.kept.fetch_add(ENTRY, Ordering::Relaxed);
            kept.starts.young.insert(key, Arc::clone(&times));
            found.push(times);
        }
        found
    }

    /// The hours of Schedules, which are expanded as far as somebody looks at them.
    pub fn hours(&self, bookables: &[Arc<Bookable>], now: i64) -> Vec<Arc<Open>> {
        let mut kept = self.lock();
        let each = bookables.iter();
        each.map(|bookable| kept.open_of(bookable, now, self))
            .collect()
    }

    /// Where any of several is possible. The same members in the same order are the same pool.
    pub fn pool(&self, members: &[Arc<Times>]) -> Arc<Pool> {
        let key: Vec<usize> = members.iter().map(address).collect();
        let mut kept = self.lock();
        if let Some((pool, is_old)) = kept.pools.get(&key) {
            if is_old {
                self.charge(pool.size.load(Ordering::Relaxed));
            }
            return Arc::clone(pool);
        }
        self.charge(ENTRY);
        let first = members.iter().map(|times| times.open.first).min();
        let pool = Arc::new(Pool {
            members: members.to_vec(),
            first: first.unwrap_or(0),
            blocks: cells(),
            size: AtomicUsize::new(ENTRY),
        });
        // What is made for one search only is not kept.
        if members.iter().all(|times| times.ignore.is_empty()) {
            kept.pools.young.insert(key, Arc::clone(&pool));
        }
        pool
    }

    fn charge(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Kept {
    fn open_of(&mut self, bookable: &Arc<Bookable>, now: i64, cache: &Cache) -> Arc<Open> {
        let first = block_of(now);
        let key = address(bookable);
        if let Some((open, _)) = self.open.get(&key)
            && (open.first..=open.first + STALE).contains(&first)
        {
            return Arc::clone(open);
        }
        let open = Arc::new(Open {
            bookable: Arc::clone(bookable),
            first,
            windows: cells(),
            kept: Arc::clone(&cache.bytes),
        });
        open.kept.fetch_add(ENTRY, Ordering::Relaxed);
        self.open.young.insert(key, Arc::clone(&open));
        open
    }
}

/// As long as something has the Arc, nothing else is at its address.
fn address<T>(value: &Arc<T>) -> usize {
    Arc::as_ptr(value).addr()
}

/// Most of them are never looked at: what is in them is elsewhere.
type Cells<T> = Box<[OnceLock<Box<T>>]>;

fn cells<T>() -> Cells<T> {
    (0..BLOCKS).map(|_| OnceLock::new()).collect()
}

fn has_any(bookable: &Bookable, calendars: &dyn Calendars, owners: &[Number]) -> bool {
    all_calendars(bookable, calendars)
        .flatten()
        .any(|calendar| owners.iter().any(|owner| calendar.has(*owner)))
}

fn all_calendars<'c>(
    bookable: &Bookable,
    calendars: &'c dyn Calendars,
) -> impl Iterator<Item = Option<&'c Calendar>> {
    let actors = bookable.actors.iter();
    actors
        .map(|actor| calendars.of(actor.number))
        .chain([calendars.openings(bookable)])
}

fn versions(bookable: &Bookable, calendars: &dyn Calendars) -> impl Iterator<Item = u64> {
    all_calendars(bookable, calendars).map(|calendar| calendar.map_or(0, Calendar::version))
}

/// The open windows of a Schedule, which depend on nothing but its rules.
#[derive(Debug)]
pub struct Open {
    /// Kept, so that its address stays its own.
    bookable: Arc<Bookable>,
    /// The first block.
    first: i64,
    windows: Cells<Vec<Window>>,
    /// Where its bytes are counted.
    kept: Arc<AtomicUsize>,
}

impl Open {
    /// True if the windows of a block need not be expanded any more.
    pub fn is_expanded(&self, block: i64) -> bool {
        cell(&self.windows, self.first, block).is_some_and(|cell| cell.get().is_some())
    }

    /// Those of a block and of visits that begin in it.
    pub fn windows(&self, block: i64, duration: i64) -> Held<'_, Vec<Window>> {
        let expand = || {
            let span = span_of(block);
            let reach = Span::new(span.start, span.end + duration.max(LONGEST));
            if self.bookable.visits.is_empty() {
                Vec::new()
            } else {
                hours::open(&self.bookable, reach)
            }
        };
        match cell(&self.windows, self.first, block).filter(|_| duration <= LONGEST) {
            None => Held::Made(Box::new(expand())),
            Some(cell) => Held::Kept(cell.get_or_init(|| {
                let windows = expand();
                self.kept
                    .fetch_add(windows.len() * size_of::<Window>(), Ordering::Relaxed);
                Box::new(windows)
            })),
        }
    }
}

fn cell<T>(cells: &Cells<T>, first: i64, block: i64) -> Option<&OnceLock<Box<T>>> {
    let at = usize::try_from(block.checked_sub(first)?).ok()?;
    cells.get(at)
}

/// The possible starts of a visit of a Schedule, as its calendars are.
#[derive(Debug)]
pub struct Times {
    open: Arc<Open>,
    starts: Starts,
    visit: Visit,
    versions: Vec<u64>,
    /// While it is this time: no hold ends.
    during: Span,
    ignore: Vec<Number>,
    blocks: Cells<Block>,
    size: AtomicUsize,
}

impl Times {
    fn new(
        open: Arc<Open>,
        starts: Starts,
        duration: i64,
        calendars: &dyn Calendars,
        now: i64,
    ) -> Self {
        let bookable = &open.bookable;
        let ends = all_calendars(bookable, calendars)
            .flatten()
            .filter_map(|calendar| calendar.expiry(now));
        let during = Span::new(now, ends.min().unwrap_or(i64::MAX));
        let visit = match starts {
            Starts::Grid(at) | Starts::Any(at) => bookable.visits.get(at),
            Starts::Openings | Starts::ExactOpenings => None,
        };
        let visit = visit.map_or_else(|| slots::without_rules(duration), Visit::clone);
        Self {
            starts,
            visit: Visit { duration, ..visit },
            versions: versions(bookable, calendars).collect(),
            during,
            ignore: Vec::new(),
            blocks: cells(),
            size: AtomicUsize::new(ENTRY),
            open,
        }
    }

    fn is_true(&self, calendars: &dyn Calendars, now: i64) -> bool {
        let bookable = &self.open.bookable;
        (self.during.start..self.during.end).contains(&now)
            && block_of(now) - self.open.first <= STALE
            && self
                .versions
                .iter()
                .copied()
                .eq(versions(bookable, calendars))
    }

    /// The Schedule.
    pub fn bookable(&self) -> &Bookable {
        &self.open.bookable
    }

    /// The visit, as long as it was asked for.
    pub fn visit(&self) -> &Visit {
        &self.visit
    }

    /// True if a block need not be painted any more.
    pub fn is_painted(&self, block: i64) -> bool {
        cell(&self.blocks, self.open.first, block).is_some_and(|cell| cell.get().is_some())
    }

    /// Those in a block.
    pub fn block(&self, block: i64, calendars: &dyn Calendars, now: i64) -> Held<'_, Block> {
        match cell(&self.blocks, self.open.first, block) {
            None => Held::Made(Box::new(self.paint(block, calendars, now))),
            Some(cell) => Held::Kept(cell.get_or_init(|| {
                let block = self.paint(block, calendars, now);
                let bytes = size_of::<Block>() + block.listed.len() * size_of::<Span>();
                self.size.fetch_add(bytes, Ordering::Relaxed);
                if self.ignore.is_empty() {
                    self.open.kept.fetch_add(bytes, Ordering::Relaxed);
                }
                Box::new(block)
            })),
        }
    }

    /// Whether a visit can be put at `core`, on the grid or not.
    pub fn is_free(&self, core: Span, calendars: &dyn Calendars, now: i64) -> bool {
        let bookable = self.bookable();
        match self.starts {
            Starts::Any(_) if core.start % 60 == 0 && core.seconds() == self.visit.duration => {
                let block = block_of(core.start);
                let free = self.block(block, calendars, now);
                return free.bits.has(block, core.start);
            }
            Starts::Any(_) | Starts::Grid(_) => {
                let openings = slots::openings(bookable, core, calendars, now);
                let windows = self.open.windows(block_of(core.start), core.seconds());
                if !OpenTime::new(windows.clone(), &openings).covers(core) {
                    return false;
                }
            }
            Starts::Openings | Starts::ExactOpenings => {
                let openings = slots::openings(bookable, core, calendars, now);
                return openings.iter().any(|opening| {
                    opening.core == core
                        && self.is_open_to(&slots::of_opening(opening), core, calendars, now)
                });
            }
        }
        self.is_open_to(&self.visit, core, calendars, now)
    }

    /// Whether a visit can be put at each of `cores`, the appointments of a series: by notice and
    /// horizon, too, by limits for all of them together, and none in the way of another.
    pub fn are_free(&self, cores: &[Span], calendars: &dyn Calendars, now: i64) -> bool {
        let allowed = slots::bookable_now(&self.visit, now);
        let is_free = |core: &Span| {
            (allowed.start..allowed.end).contains(&core.start)
                && self.is_free(*core, calendars, now)
        };
        if !cores.iter().all(is_free) {
            return false;
        }
        if cores.len() < 2 {
            return true;
        }
        let mut sorted: Vec<Span> = cores.to_vec();
        sorted.sort_unstable();
        let padded = |core: Span| core.padded(self.visit.before, self.visit.after);
        if sorted
            .windows(2)
            .any(|pair| padded(pair[0]).overlaps(padded(pair[1])))
        {
            return false;
        }
        let bookable = self.bookable();
        let limited = slots::limited(bookable).and_then(|actor| calendars.of(actor.number));
        let mut planned: HashMap<Span, usize> = HashMap::new();
        for core in &sorted {
            for quota in slots::quotas(bookable, &self.visit, core.start) {
                let count = planned.entry(quota.within).or_insert_with(|| {
                    limited.map_or(0, |calendar| {
                        calendar.beginning(quota.within, now, &self.ignore)
                    })
                });
                *count += 1;
                if *count > usize::try_from(quota.most).unwrap_or(usize::MAX) {
                    return false;
                }
            }
        }
        true
    }

    fn is_open_to(&self, visit: &Visit, core: Span, calendars: &dyn Calendars, now: i64) -> bool {
        let state = slots::state(self.bookable(), visit, core, calendars, now, &self.ignore);
        state == SlotState::Free
    }

    fn paint(&self, block: i64, calendars: &dyn Calendars, now: i64) -> Block {
        let (bookable, visit) = (self.bookable(), &self.visit);
        let span = span_of(block);
        let mut bits = Bits::none();
        let mut listed = Vec::new();
        let reach = Span::new(span.start, span.end + visit.duration);
        let openings = slots::openings(bookable, reach, calendars, now);
        let is_here = |start: i64| (span.start..span.end).contains(&start);
        match self.starts {
            Starts::Openings | Starts::ExactOpenings => {
                for opening in openings
                    .iter()
                    .filter(|opening| is_here(opening.core.start))
                {
                    let (core, own) = (opening.core, slots::of_opening(opening));
                    let is_exact = self.starts == Starts::ExactOpenings;
                    if core.seconds() < visit.duration
                        || is_exact && core.seconds() != visit.duration
                        || !self.is_open_to(&own, core, calendars, now)
                    {
                        continue;
                    }
                    if is_exact {
                        if core.start % 60 == 0 {
                            bits.set(block, core.start);
                        }
                    } else {
                        listed.push(core);
                    }
                }
                listed.dedup();
                return Block { bits, listed };
            }
            Starts::Grid(_) => {
                let windows = self.open.windows(block, visit.duration);
                let mut each = |start: i64| {
                    if start % 60 == 0 {
                        bits.set(block, start);
                    } else {
                        listed.push(Span::new(start, start + visit.duration));
                    }
                };
                if openings.is_empty() {
                    let starts = hours::starts(&windows, visit);
                    starts.filter(|start| is_here(*start)).for_each(each);
                } else {
                    OpenTime::new(windows.clone(), &openings).starts(visit, |start| {
                        if is_here(start) {
                            each(start);
                        }
                    });
                }
            }
            Starts::Any(_) => {
                let windows = self.open.windows(block, visit.duration);
                for open in OpenTime::new(windows.clone(), &openings).spans() {
                    let starts = Span::new(open.start, open.end - visit.duration + 1);
                    bits.fill(block, starts, true);
                }
            }
        }
        for actor in &bookable.actors {
            if let Some(calendar) = calendars.of(actor.number) {
                calendar.taken_starts(visit, span, now, &self.ignore, |taken| {
                    bits.fill(block, taken, false);
                });
            }
        }
        self.fill_used_up(&mut bits, block, calendars, now);
        listed.retain(|core| self.is_open_to(visit, *core, calendars, now));
        listed.sort_unstable();
        listed.dedup();
        Block { bits, listed }
    }

    /// Takes away the days, weeks and months in which there are as many bookings as there may be.
    fn fill_used_up(&self, bits: &mut Bits, block: i64, calendars: &dyn Calendars, now: i64) {
        let (bookable, span) = (self.bookable(), span_of(block));
        let limited = slots::limited(bookable).and_then(|actor| calendars.of(actor.number));
        let Some(calendar) = limited else {
            return;
        };
        for &(per, most) in &self.visit.quotas {
            let mut at = span.start;
            while at < span.end {
                let range = local_range(per, at, &bookable.zone);
                let booked = calendar.beginning(range, now, &self.ignore);
                if booked >= usize::try_from(most).unwrap_or(usize::MAX) {
                    bits.fill(block, range, false);
                }
                at = range.end.max(at + 60);
            }
        }
    }
}

/// Any of several Schedules.
#[derive(Debug)]
pub struct Pool {
    members: Vec<Arc<Times>>,
    first: i64,
    blocks: Cells<Bits>,
    size: AtomicUsize,
}

impl Pool {
    /// How many members must be painted before a block is known.
    pub fn unpainted(&self, block: i64) -> usize {
        let cell = cell(&self.blocks, self.first, block);
        if cell.is_some_and(|cell| cell.get().is_some()) {
            return 0;
        }
        let members = self.members.iter();
        members.filter(|times| !times.is_painted(block)).count()
    }

    /// When one of them is possible.
    pub fn block(&self, block: i64, calendars: &dyn Calendars, now: i64) -> Held<'_, Bits> {
        let unite = || {
            let mut all = Bits::none();
            for times in &self.members {
                all.or(&times.block(block, calendars, now).bits);
            }
            all
        };
        match cell(&self.blocks, self.first, block) {
            None => Held::Made(Box::new(unite())),
            Some(cell) => Held::Kept(cell.get_or_init(|| {
                self.size.fetch_add(WORDS * 8, Ordering::Relaxed);
                if let Some(times) = self.members.first() {
                    times.open.kept.fetch_add(WORDS * 8, Ordering::Relaxed);
                }
                Box::new(unite())
            })),
        }
    }

    /// When one of them is possible that begins `offset` seconds, in whole minutes, from a start.
    pub fn keep_possible(
        &self,
        starts: &mut Bits,
        block: i64,
        offset: i64,
        calendars: &dyn Calendars,
        now: i64,
    ) {
        if offset == 0 {
            starts.and(&self.block(block, calendars, now));
            return;
        }
        let low = block + offset.div_euclid(SECONDS);
        let by = usize::try_from(offset.rem_euclid(SECONDS) / 60).unwrap_or(0);
        starts.and_later(
            &self.block(low, calendars, now),
            &self.block(low + 1, calendars, now),
            by,
        );
    }
}
