//! From hours on the wall clock to instants.
//!
//! A window begins at the first instant at which the clock shows its beginning and ends at the
//! last at which it shows its end; where the clock leaves one of them out, at the instant at
//! which the clock is set. So a window over a change of the clock is longer or shorter, one that
//! lies in what is left out does not exist, and none is ever moved.

use std::cmp::Reverse;

use jiff::{civil, tz::TimeZone};

use super::{
    bookable::{Bookable, Closed, Daily, Hours, Per, Visit},
    span::Span,
    wall::{DAY, WallClock, datetime, known, seconds},
};

/// Open time. Two that touch are one opening in which the grid of starts begins anew: a visit may
/// begin in one and end in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From when to when.
    pub span: Span,
    /// From where possible starts are counted: the beginning of the window of the first source,
    /// even if `span` begins later.
    pub anchor: i64,
}

/// Without hours of anybody: every day from midnight to midnight.
const ALWAYS: [Daily; 1] = [Daily {
    days: 0x7f,
    from: civil::Time::midnight(),
    to: civil::Time::midnight(),
}];

/// A window is not longer than a day, and the clock is not set by more than one.
const LONGEST: i64 = 3;

/// The open time of one source in `within`, sorted and disjoint. One that says nothing of the
/// week is open whenever it is not closed.
pub fn windows(hours: &Hours, zone: &TimeZone, within: Span) -> Vec<Span> {
    let within = meet(within, known());
    if within.is_empty() {
        return Vec::new();
    }
    let clock = WallClock::over(zone, within);
    let open = pieces(week(hours), &clock, within);
    let closed = closures(std::slice::from_ref(hours), &clock, within);
    joined(without(open, &closed))
}

/// When something can be booked: in the hours of every source, never when one is closed, and
/// within the planning horizon. Sorted and disjoint.
pub fn open(bookable: &Bookable, within: Span) -> Vec<Window> {
    let planned = bookable.planning.unwrap_or_else(known);
    let within = meet(meet(within, known()), planned);
    if within.is_empty() {
        return Vec::new();
    }
    let clock = WallClock::over(&bookable.zone, within);
    let mut sources = bookable
        .hours
        .iter()
        .filter(|hours| !hours.weekly.is_empty());
    let mut open = pieces(sources.next().map_or(&ALWAYS, week), &clock, within);
    for hours in sources {
        open = in_both(&open, &joined(pieces(week(hours), &clock, within)));
    }
    without(open, &closures(&bookable.hours, &clock, within))
}

/// When a visit can begin, by the grid of each window; all of it lies in the open time. Whether
/// somebody has claimed the time, notice and horizon are looked at elsewhere.
pub fn starts<'w>(windows: &'w [Window], visit: &Visit) -> impl Iterator<Item = i64> + use<'w> {
    let (duration, interval) = (visit.duration, visit.interval.max(1));
    windows.iter().enumerate().flat_map(move |(at, window)| {
        let behind = (window.span.start - window.anchor).rem_euclid(interval);
        let first = window.span.start + if behind == 0 { 0 } else { interval - behind };
        (first..window.span.end)
            .step_by(usize::try_from(interval).unwrap_or(usize::MAX))
            .take_while(move |start| reaches(windows, at, start + duration))
    })
}

/// True if all of `span` is open.
pub fn covers(windows: &[Window], span: Span) -> bool {
    let at = windows.partition_point(|window| window.span.end <= span.start);
    windows
        .get(at)
        .is_some_and(|window| window.span.start <= span.start)
        && reaches(windows, at, span.end)
}

/// The local day, week or month that `at` is in, for limits.
pub fn local_range(per: Per, at: i64, zone: &TimeZone) -> Span {
    let at = at.clamp(known().start, known().end);
    let clock = WallClock::over(zone, Span::new(at - 32 * DAY, at + 32 * DAY));
    let day = clock.local(at).div_euclid(DAY);
    let (first, next) = match per {
        Per::Day => (day, day + 1),
        Per::Week => (day - weekday(day), day - weekday(day) + 7),
        Per::Month => {
            let date = datetime(day * DAY).date();
            let first = day - i64::from(date.day()) + 1;
            (first, first + i64::from(date.days_in_month()))
        }
    };
    let end = clock.first(next * DAY);
    // Where the clock is set back over midnight, the rest of the day follows its end.
    let end = if end <= at {
        clock.last(next * DAY)
    } else {
        end
    };
    Span::new(clock.first(first * DAY), end)
}

fn week(hours: &Hours) -> &[Daily] {
    if hours.weekly.is_empty() {
        &ALWAYS
    } else {
        &hours.weekly
    }
}

/// Monday is 0. 1970 began on a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

fn second(time: civil::Time) -> i64 {
    i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
}

/// The windows of a week, each as far as it lies in `within` and before the next one begins.
fn pieces(weekly: &[Daily], clock: &WallClock, within: Span) -> Vec<Window> {
    let days = clock.local(within.start).div_euclid(DAY) - LONGEST
        ..=clock.local(within.end).div_euclid(DAY) + 1;
    let mut found = Vec::new();
    for day in days {
        for daily in weekly {
            if daily.days & (1 << weekday(day)) == 0 {
                continue;
            }
            let (from, to) = (second(daily.from), second(daily.to));
            let until = if to > from { day } else { day + 1 };
            let start = clock.first(day * DAY + from);
            let span = Span::new(start, clock.last(until * DAY + to));
            if !span.is_empty() {
                found.push(Window {
                    span,
                    anchor: start,
                });
            }
        }
    }
    found.sort_unstable_by_key(|window| (window.span.start, Reverse(window.span.end)));

    let mut pieces: Vec<Window> = Vec::with_capacity(found.len());
    for window in found {
        if let Some(last) = pieces.last_mut() {
            if window.span.end <= last.span.end {
                continue;
            }
            last.span.end = last.span.end.min(window.span.start);
        }
        pieces.push(window);
    }
    pieces.retain_mut(|window| {
        window.span = meet(window.span, within);
        !window.span.is_empty()
    });
    pieces
}

/// The same time, with what touches put together.
fn joined(pieces: Vec<Window>) -> Vec<Span> {
    union(pieces.into_iter().map(|window| window.span))
}

/// Sorted by their starts, overlapping or not, put together.
fn union(sorted: impl Iterator<Item = Span>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for span in sorted {
        match spans.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => spans.push(span),
        }
    }
    spans
}

const fn meet(a: Span, b: Span) -> Span {
    Span::new(
        if a.start > b.start { a.start } else { b.start },
        if a.end < b.end { a.end } else { b.end },
    )
}

fn in_both(windows: &[Window], spans: &[Span]) -> Vec<Window> {
    let mut both = Vec::with_capacity(windows.len());
    let mut from = 0;
    for window in windows {
        while spans
            .get(from)
            .is_some_and(|span| span.end <= window.span.start)
        {
            from += 1;
        }
        for span in &spans[from..] {
            if span.start >= window.span.end {
                break;
            }
            both.push(Window {
                span: meet(window.span, *span),
                ..*window
            });
        }
    }
    both
}

fn without(windows: Vec<Window>, closed: &[Span]) -> Vec<Window> {
    if closed.is_empty() {
        return windows;
    }
    let mut open = Vec::with_capacity(windows.len() + closed.len());
    let mut from = 0;
    for window in windows {
        while closed
            .get(from)
            .is_some_and(|span| span.end <= window.span.start)
        {
            from += 1;
        }
        let mut start = window.span.start;
        for span in &closed[from..] {
            if span.start >= window.span.end {
                break;
            }
            if start < span.start {
                open.push(Window {
                    span: Span::new(start, span.start),
                    ..window
                });
            }
            start = span.end;
        }
        if start < window.span.end {
            open.push(Window {
                span: Span::new(start, window.span.end),
                ..window
            });
        }
    }
    open
}

/// When any source is closed, as far as it matters.
fn closures(sources: &[Hours], clock: &WallClock, within: Span) -> Vec<Span> {
    let mut closed: Vec<Span> = sources
        .iter()
        .flat_map(|hours| &hours.closed)
        .map(|closed| closure(closed, clock))
        .filter(|span| !span.is_empty() && span.overlaps(within))
        .collect();
    closed.sort_unstable();
    union(closed.into_iter())
}

/// As a window: from the first instant to the last.
fn closure(closed: &Closed, clock: &WallClock) -> Span {
    match closed {
        Closed::Local { from, to, .. } => Span::new(
            from.map_or(i64::MIN, |from| clock.first(seconds(from))),
            to.map_or(i64::MAX, |to| clock.last(seconds(to))),
        ),
        Closed::Exactly { during, .. } => *during,
    }
}

/// Whether it is open without a break from within the window `at` to `end`.
fn reaches(windows: &[Window], at: usize, end: i64) -> bool {
    let mut reached = windows[at].span.end;
    for next in &windows[at + 1..] {
        if reached >= end || next.span.start != reached {
            break;
        }
        reached = next.span.end;
    }
    reached >= end
}

#[cfg(test)]
mod tests;
