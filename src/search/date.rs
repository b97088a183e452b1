//! Date searches: prefixes as conditions on the range of time that a value stands for.

use resources::{
    index::key::{self, space},
    primitive::DateRange,
};

use super::{
    plan::{KeyRange, KeyTest},
    prefix::Prefix,
};

/// What is longer is found by its end, in its own space of keys.
const SHORT: i64 = key::WIDE_DATE;

/// A condition on a value that stands for the time from `lo` to `hi`, both inclusive:
/// `lo` in `lo.0..=lo.1` and `hi` in `hi.0..=hi.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub lo: (i64, i64),
    pub hi: (i64, i64),
}

const ANY: (i64, i64) = (i64::MIN, i64::MAX);

impl Span {
    const fn new(lo: (i64, i64), hi: (i64, i64)) -> Self {
        Self { lo, hi }
    }

    /// What satisfies both conditions; `None` if nothing can.
    pub fn both(self, other: Self) -> Option<Self> {
        let meet = |a: (i64, i64), b: (i64, i64)| (a.0.max(b.0), a.1.min(b.1));
        Self::new(meet(self.lo, other.lo), meet(self.hi, other.hi)).tightened()
    }

    /// The same values, with each bound as narrow as `lo <= hi` makes it.
    fn tightened(self) -> Option<Self> {
        let tight = Self {
            lo: (self.lo.0, self.lo.1.min(self.hi.1)),
            hi: (self.hi.0.max(self.lo.0), self.hi.1),
        };
        (tight.lo.0 <= tight.lo.1 && tight.hi.0 <= tight.hi.1).then_some(tight)
    }

    /// True for a value.
    #[cfg(test)]
    pub fn holds(&self, value: DateRange) -> bool {
        (self.lo.0..=self.lo.1).contains(&value.lo) && (self.hi.0..=self.hi.1).contains(&value.hi)
    }

    /// The instants (values with `lo == hi`) that satisfy the condition, as first and last.
    pub fn instants(&self) -> (i64, i64) {
        (self.lo.0.max(self.hi.0), self.lo.1.min(self.hi.1))
    }

    /// The keys of such values.
    pub fn ranges(self, out: &mut Vec<KeyRange>) {
        let Some(span) = self.tightened() else { return };
        let (lo, hi) = (span.lo, span.hi);
        let by_end = hi.0 > lo.0;
        let first = if by_end {
            lo.0.max(hi.0.saturating_sub(SHORT))
        } else {
            lo.0
        };
        if first <= lo.1 {
            let mut range = bounded(space::DATE, (first, lo.1));
            if by_end {
                range = range.with(KeyTest::AtLeast(9, ordered(hi.0)));
            }
            if hi.1 < i64::MAX {
                range = range.with(KeyTest::Below(9, ordered(hi.1 + 1)));
            }
            out.push(range);
        }
        if first > lo.0 {
            let below = first.min(lo.1.saturating_add(1));
            let mut range = bounded(space::DATE_WIDE, hi).with(KeyTest::Below(9, ordered(below)));
            if lo.0 > i64::MIN {
                range = range.with(KeyTest::AtLeast(9, ordered(lo.0)));
            }
            out.push(range);
        }
    }
}

fn ordered(ms: i64) -> Vec<u8> {
    key::ordered_i64(ms).to_vec()
}

/// The keys of a space whose first number lies in `from..=to`.
fn bounded(space: u8, (from, to): (i64, i64)) -> KeyRange {
    let at = |ms: i64| {
        let mut bytes = Vec::with_capacity(9);
        bytes.push(space);
        bytes.extend(key::ordered_i64(ms));
        bytes
    };
    let high = to.checked_add(1).map_or_else(|| vec![space + 1], at);
    KeyRange::between(at(from), Some(high))
}

/// The conditions of which one must hold for a value to match `prefix` and the searched `date`.
/// `now` is for `ap`, which widens the date by a tenth of its distance from now.
pub(super) fn spans(prefix: Prefix, date: DateRange, now: i64) -> Vec<Span> {
    let (lo, hi) = (date.lo, date.hi);
    let after = Span::new(ANY, (hi + 1, i64::MAX));
    let before = Span::new((i64::MIN, lo - 1), ANY);
    let within = Span::new((lo, hi), (lo, hi));
    match prefix {
        Prefix::Eq => vec![within],
        Prefix::Ne => vec![before, Span::new((lo, i64::MAX), (hi + 1, i64::MAX))],
        Prefix::Gt => vec![after],
        Prefix::Lt => vec![before],
        // What begins in or after the date either lies within it or reaches beyond its end.
        Prefix::Ge => vec![
            Span::new((lo, i64::MAX), ANY),
            Span::new((i64::MIN, lo - 1), (hi + 1, i64::MAX)),
        ],
        Prefix::Le => vec![before, within],
        Prefix::Sa => vec![Span::new((hi + 1, i64::MAX), ANY)],
        Prefix::Eb => vec![Span::new(ANY, (i64::MIN, lo - 1))],
        Prefix::Ap => {
            let margin = |at: i64| (now - at).abs() / 10;
            vec![overlapping(lo - margin(lo), hi + margin(hi))]
        }
    }
}

/// Values that have a millisecond in common with `lo..=hi`.
pub(super) fn overlapping(lo: i64, hi: i64) -> Span {
    Span::new((i64::MIN, hi), (lo, i64::MAX))
}

/// The keys of dates and periods that have some time in common with `time`.
pub fn during(time: DateRange) -> Vec<KeyRange> {
    ranges(&[overlapping(time.lo, time.hi)])
}

/// The keys of values that satisfy one of the conditions.
pub(super) fn ranges(spans: &[Span]) -> Vec<KeyRange> {
    let mut out = Vec::with_capacity(spans.len() + 1);
    spans.iter().for_each(|span| span.ranges(&mut out));
    out
}

/// What satisfies one condition of each of two lists.
pub(super) fn meet(a: &[Span], b: &[Span]) -> Vec<Span> {
    a.iter()
        .flat_map(|a| b.iter().filter_map(|b| a.both(*b)))
        .collect()
}
