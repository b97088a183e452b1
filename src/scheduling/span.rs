//! Time as ranges.

/// Seconds since 1970 UTC, from `start` to before `end`. Two that touch do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first second.
    pub start: i64,
    /// The second behind the last.
    pub end: i64,
}

/// The first second of the year 1: before all that anybody books.
pub const FAR_PAST: i64 = -62_135_596_800;
/// The first second of the year 9999: behind all that anybody books.
pub const FAR_FUTURE: i64 = 253_370_764_800;

impl Span {
    /// From `start` to before `end`.
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// True if there is a second in both.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// True if all of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// True if there is no second in it.
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> i64 {
        self.end - self.start
    }

    /// The same with buffers, in seconds, around it.
    #[must_use]
    pub const fn padded(self, before: i64, after: i64) -> Self {
        Self::new(self.start - before, self.end + after)
    }
}
