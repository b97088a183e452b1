//! Slots that nobody stored: what the rules of a Schedule offer, and what is taken of it.

use std::collections::VecDeque;

use super::{
    bookable::{Actor, Bookable, Per, Visit},
    calendar::{Calendar, Calendars, SlotState},
    claim::{BufferPolicy, Claim, ClaimKind, NewClaim, Number, Quota},
    hours::{self, Window},
    span::Span,
};

/// Days of which the slots are computed at a time, at first.
const FIRST_DAYS: i64 = 2;
/// And at most.
const MOST_DAYS: i64 = 32;
const DAY: i64 = 86_400;

/// The longest id that FHIR allows.
const ID: usize = 64;
/// The longest visit that has slots.
pub const LONGEST: i64 = 366 * DAY;

/// A Slot that follows from rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputedSlot {
    /// Its first second.
    pub start: i64,
    /// The second behind its last.
    pub end: i64,
    /// Whether it can be booked.
    pub state: SlotState,
}

/// When a visit may begin that is booked now: notice and horizon.
pub fn bookable_now(visit: &Visit, now: i64) -> Span {
    Span::new(
        now.saturating_add(visit.notice),
        now.saturating_add(visit.horizon).saturating_add(1),
    )
}

/// The actor whose bookings the limits of a Schedule count: the person, or whoever is first.
pub fn limited(bookable: &Bookable) -> Option<&Actor> {
    let mut actors = bookable.actors.iter();
    actors
        .find(|actor| actor.practitioner.is_some())
        .or_else(|| bookable.actors.first())
}

/// The quotas of a visit that begins at `start`.
pub fn quotas(bookable: &Bookable, visit: &Visit, start: i64) -> Vec<Quota> {
    let quota = |&(per, most): &(Per, u32)| Quota {
        within: hours::local_range(per, start, &bookable.zone),
        most,
        per: match per {
            Per::Day => "day",
            Per::Week => "week",
            Per::Month => "month",
        },
    };
    visit.quotas.iter().map(quota).collect()
}

/// What somebody claims who books a visit: the same time of all actors.
pub fn claims(
    bookable: &Bookable,
    visit: &Visit,
    core: Span,
    owner: Number,
    expires: Option<i64>,
) -> Vec<NewClaim> {
    let limited = limited(bookable).map(|actor| actor.number);
    let claim = |actor: &Actor| NewClaim {
        claim: Claim {
            actor: actor.number,
            owner,
            kind: ClaimKind::Booking,
            core,
            padded: core.padded(visit.before, visit.after),
            buffers: visit.buffers,
            capacity: visit.capacity,
            seat: 0,
            expires,
        },
        is_forced: false,
        overbook: 0,
        quotas: if Some(actor.number) == limited {
            quotas(bookable, visit, core.start)
        } else {
            Vec::new()
        },
    };
    bookable.actors.iter().map(claim).collect()
}

/// What a patient's own calendar says of a visit: buffers are not theirs, and they are in one
/// place at a time.
pub fn for_patient(visit: &Visit) -> Visit {
    Visit {
        before: 0,
        after: 0,
        buffers: BufferPolicy::Ignore,
        capacity: 1,
        overbook: 0,
        quotas: Vec::new(),
        ..visit.clone()
    }
}

/// What can be booked of a stored Slot that is free: all of it, at once.
pub fn of_opening(opening: &Claim) -> Visit {
    Visit {
        buffers: opening.buffers,
        capacity: opening.capacity,
        ..without_rules(opening.core.seconds())
    }
}

/// The visit of a Schedule that says nothing of visits.
pub fn without_rules(duration: i64) -> Visit {
    Visit {
        service_types: Vec::new(),
        appointment_types: Vec::new(),
        duration,
        interval: duration,
        before: 0,
        after: 0,
        buffers: BufferPolicy::Stack,
        notice: 0,
        horizon: i64::MAX,
        capacity: 1,
        overbook: 0,
        quotas: Vec::new(),
        patients_may_overlap: false,
        offers: Visit::default().offers,
        offer_for: Visit::default().offer_for,
        hold: 600,
        needs_approval: false,
    }
}

/// The openings of a Schedule in `within`, the first one first, as far as its planning goes.
pub fn openings<'a>(
    bookable: &Bookable,
    within: Span,
    calendars: &'a dyn Calendars,
    now: i64,
) -> Vec<&'a Claim> {
    let mut openings: Vec<&Claim> = calendars
        .openings(bookable)
        .into_iter()
        .flat_map(|calendar| calendar.near(within))
        .filter(|claim| {
            claim.kind == ClaimKind::Opening
                && claim.is_live(now)
                && claim.core.overlaps(within)
                && bookable
                    .planning
                    .is_none_or(|planning| planning.contains(claim.core))
        })
        .collect();
    openings.sort_by_key(|claim| (claim.core, claim.owner));
    openings
}

/// Open time by the hours and by openings.
#[derive(Debug, Clone, Default)]
pub struct OpenTime {
    /// What a grid of starts is counted in: of hours, then of openings.
    windows: Vec<Window>,
    openings: Vec<Window>,
    /// All of it.
    spans: Vec<Span>,
}

impl OpenTime {
    /// Of the windows of [`hours::open`] and openings of the same time.
    pub fn new(windows: Vec<Window>, openings: &[&Claim]) -> Self {
        let opening = |claim: &&Claim| Window {
            span: claim.core,
            anchor: claim.core.start,
        };
        let openings: Vec<Window> = openings.iter().map(opening).collect();
        let mut all: Vec<Span> = windows
            .iter()
            .chain(&openings)
            .map(|window| window.span)
            .collect();
        all.sort_unstable();
        let mut spans: Vec<Span> = Vec::new();
        for span in all {
            match spans.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => spans.push(span),
            }
        }
        Self {
            windows,
            openings,
            spans,
        }
    }

    /// Of a bookable in `within`. Without visits only its openings are open.
    pub fn of(bookable: &Bookable, within: Span, calendars: &dyn Calendars, now: i64) -> Self {
        let windows = if bookable.visits.is_empty() {
            Vec::new()
        } else {
            hours::open(bookable, within)
        };
        Self::new(windows, &openings(bookable, within, calendars, now))
    }

    /// Disjoint and in order; no two touch.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// True if all of `span` is open.
    pub fn covers(&self, span: Span) -> bool {
        let at = self.spans.partition_point(|open| open.end <= span.start);
        self.spans.get(at).is_some_and(|open| open.contains(span))
    }

    /// The possible starts of a visit, in no order and some perhaps twice.
    pub fn starts(&self, visit: &Visit, mut each: impl FnMut(i64)) {
        if self.openings.is_empty() {
            hours::starts(&self.windows, visit).for_each(each);
            return;
        }
        let interval = visit.interval.max(1);
        for window in self.windows.iter().chain(&self.openings) {
            let Span { start, end } = window.span;
            let mut at = start + (window.anchor - start).rem_euclid(interval);
            while at < end {
                if self.covers(Span::new(at, at + visit.duration)) {
                    each(at);
                }
                at += interval;
            }
        }
    }
}

/// True if a visit can be put at `core` by the hours, openings and planning.
pub fn is_open(bookable: &Bookable, core: Span, calendars: &dyn Calendars, now: i64) -> bool {
    OpenTime::of(bookable, core, calendars, now).covers(core)
}

/// What the calendars of all actors, and the limits, say of a visit at `core`.
pub fn state(
    bookable: &Bookable,
    visit: &Visit,
    core: Span,
    calendars: &dyn Calendars,
    now: i64,
    ignore: &[Number],
) -> SlotState {
    let mut state = SlotState::Free;
    for actor in &bookable.actors {
        if let Some(calendar) = calendars.of(actor.number) {
            state = state.and(calendar.state(core, visit, now, ignore));
        }
    }
    let limited = limited(bookable).and_then(|actor| calendars.of(actor.number));
    if let Some(calendar) = limited.filter(|_| state == SlotState::Free)
        && quotas(bookable, visit, core.start)
            .iter()
            .any(|quota| is_used_up(quota, calendar, now, ignore))
    {
        return SlotState::Unavailable;
    }
    state
}

/// What stands in the way of each appointment of a series: whether it is in open time, and what
/// the calendars say of it. That the series itself uses up a limit is not looked at.
pub fn series(
    bookable: &Bookable,
    visit: &Visit,
    cores: &[Span],
    calendars: &dyn Calendars,
    now: i64,
    ignore: &[Number],
) -> Vec<(bool, SlotState)> {
    let each = |core: &Span| {
        (
            is_open(bookable, *core, calendars, now),
            state(bookable, visit, *core, calendars, now, ignore),
        )
    };
    cores.iter().map(each).collect()
}

/// True if there are as many bookings as there may be.
pub fn is_used_up(quota: &Quota, calendar: &Calendar, now: i64, ignore: &[Number]) -> bool {
    let most = usize::try_from(quota.most).unwrap_or(usize::MAX);
    calendar.beginning(quota.within, now, ignore) >= most
}

/// The slots of a visit that begin in `within`, in order. What can no longer or not yet be booked
/// by notice is unavailable; behind the horizon there are none.
pub fn slots<'a>(
    bookable: &'a Bookable,
    visit: &'a Visit,
    within: Span,
    calendars: &'a dyn Calendars,
    now: i64,
) -> impl Iterator<Item = ComputedSlot> + 'a {
    let bookable_now = bookable_now(visit, now);
    let mut within = Span::new(within.start, within.end.min(bookable_now.end));
    if let Some(planning) = bookable.planning {
        within.start = within.start.max(planning.start);
        within.end = within.end.min(planning.end);
    }
    if visit.duration <= 0 || visit.duration > LONGEST {
        within.end = within.start;
    }
    let (mut at, mut days) = (within.start, FIRST_DAYS);
    let mut ready = VecDeque::new();
    std::iter::from_fn(move || {
        while ready.is_empty() && at < within.end {
            let part = Span::new(at, within.end.min(at.saturating_add(days * DAY)));
            (at, days) = (part.end, (days * 2).min(MOST_DAYS));
            let reach = Span::new(part.start, part.end + visit.duration);
            let windows = hours::open(bookable, reach);
            ready.extend(
                hours::starts(&windows, visit)
                    .filter(|start| (part.start..part.end).contains(start)),
            );
        }
        let start = ready.pop_front()?;
        let core = Span::new(start, start + visit.duration);
        let mut state = state(bookable, visit, core, calendars, now, &[]);
        if state == SlotState::Free && start < bookable_now.start {
            state = SlotState::Unavailable;
        }
        Some(ComputedSlot {
            start,
            end: core.end,
            state,
        })
    })
}

/// The slot of a Schedule with this start and duration, and the visit that it is for.
pub fn slot_at<'a>(
    bookable: &'a Bookable,
    start: i64,
    duration: i64,
    calendars: &'a dyn Calendars,
    now: i64,
) -> Option<(usize, ComputedSlot)> {
    let visits = bookable.visits.iter().enumerate();
    let mut fitting = visits.filter(|(_, visit)| visit.duration == duration);
    fitting.find_map(|(at, visit)| {
        let within = Span::new(start, start + 1);
        let slot = slots(bookable, visit, within, calendars, now).next()?;
        Some((at, slot))
    })
}

/// What the id of a computed Slot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotId {
    /// Of which Schedule it is.
    pub schedule: ScheduleName,
    /// Seconds since 1970.
    pub start: i64,
    /// Seconds.
    pub duration: i64,
}

/// How an id names a Schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleName {
    /// By its id.
    Id(String),
    /// By its number in the store, where the id is too long.
    Rid(i64),
}

impl SlotId {
    /// The id of a slot: the Schedule's id, the start and the duration in minutes, in base 36.
    pub fn text(bookable: &Bookable, slot: &ComputedSlot) -> String {
        let start = minutes(slot.start);
        let duration = minutes(slot.end - slot.start);
        let text = format!("{}.{start}.{duration}", bookable.id);
        if text.len() <= ID {
            return text;
        }
        // No duration ends like this.
        format!("{}.{start}.{duration}R", base36(bookable.rid))
    }

    /// What an id says, if it is that of a slot.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '.');
        let (duration, start, schedule) = (parts.next()?, parts.next()?, parts.next()?);
        let (duration, schedule) = match duration.strip_suffix('R') {
            Some(duration) => (duration, ScheduleName::Rid(from_base36(schedule)?)),
            None if schedule.is_empty() => return None,
            None => (duration, ScheduleName::Id(schedule.to_owned())),
        };
        let duration = seconds(duration)?;
        (duration > 0 && duration <= LONGEST).then_some(Self {
            schedule,
            start: seconds(start)?,
            duration,
        })
    }
}

/// Minutes, or `S` and seconds if they are not whole; `N` before what is before 1970.
fn minutes(seconds: i64) -> String {
    let sign = if seconds < 0 { "N" } else { "" };
    if seconds % 60 == 0 {
        return format!("{sign}{}", base36(seconds / 60));
    }
    format!("{sign}S{}", base36(seconds))
}

fn seconds(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('N').map_or((1, text), |rest| (-1, rest));
    let value = match text.strip_prefix('S') {
        Some(seconds) => from_base36(seconds).filter(|seconds| seconds % 60 != 0)?,
        None => from_base36(text)?.checked_mul(60)?,
    };
    // Beyond this no calendar goes.
    (value < 1 << 40 && (sign > 0 || value > 0)).then_some(sign * value)
}

fn base36(value: i64) -> String {
    let mut rest = value.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(rest % 36).unwrap_or(0);
        digits.extend(char::from_digit(digit, 36));
        rest /= 36;
        if rest == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// The inverse of [`base36`]; only what it writes.
fn from_base36(text: &str) -> Option<i64> {
    let is_written = !text.is_empty()
        && (text == "0" || !text.starts_with('0'))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    is_written.then(|| i64::from_str_radix(text, 36).ok())?
}

#[cfg(test)]
mod tests;
