//! Where the time comes from: the only reader of the system clock.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

/// A source of time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 UTC; never less than what an earlier call gave.
    fn now(&self) -> i64;
}

/// The computer's clock, held back from running backwards: when it is set back, time goes on from
/// the latest that it has shown, at the pace of the monotonic clock, so that what was to end in a
/// minute ends in a minute.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    /// The time of day at `start`, by the reading that made it latest.
    origin: AtomicI64,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            origin: AtomicI64::new(0),
        }
    }
}

impl SystemClock {
    /// A clock that shows `earliest` at least: what a clock showed before a restart.
    pub fn not_before(earliest: i64) -> Self {
        let clock = Self::default();
        clock.origin.store(earliest, Ordering::Relaxed);
        clock
    }

    /// The time when the computer's clock shows `read` and this clock has run for `run`.
    fn at(&self, read: i64, run: i64) -> i64 {
        let origin = read - run;
        run + self.origin.fetch_max(origin, Ordering::Relaxed).max(origin)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let whole = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.at(elapsed.map_or(0, whole), whole(self.start.elapsed()))
    }
}

/// A clock that stands until it is moved, for tests and reproducible demonstration data.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn at(now: i64) -> Self {
        Self {
            now: AtomicI64::new(now),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, milliseconds: u32) {
        self.now
            .fetch_add(i64::from(milliseconds), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_the_latest_time() {
        let clock = SystemClock::default();
        assert_eq!(clock.at(1_000_000, 0), 1_000_000);
        assert_eq!(clock.at(1_000_500, 500), 1_000_500);
        // Set back by a day, then read after half a second.
        let day = 86_400_000;
        assert_eq!(clock.at(1_001_000 - day, 1_000), 1_001_000);
        // Set forward, and back again.
        assert_eq!(clock.at(1_002_000 + day, 2_000), 1_002_000 + day);
        assert_eq!(clock.at(1_003_000, 3_000), 1_003_000 + day);
    }

    #[test]
    fn a_clock_shows_no_less_than_before_a_restart() {
        let later = SystemClock::default().now() + 60_000;
        assert!(SystemClock::not_before(later).now() >= later);
    }
}
