//! Where the time comes from: the only reader of the system clock.

use std::sync::atomic::{AtomicI64, Ordering};

/// A source of time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 UTC; never less than what an earlier call gave.
    fn now(&self) -> i64;
}

/// The computer's clock, held back from running backwards.
#[derive(Debug, Default)]
pub struct SystemClock {
    latest: AtomicI64,
}

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let read = elapsed.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
        self.latest.fetch_max(read, Ordering::Relaxed).max(read)
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
    fn the_system_clock_never_runs_backwards() {
        let clock = SystemClock::default();
        let first = clock.now();
        clock.latest.store(first + 60_000, Ordering::Relaxed);
        assert_eq!(clock.now(), first + 60_000);
    }
}
