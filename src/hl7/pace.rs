//! Receipt goes before effect: while many messages come to be stored first, those that are stored
//! wait, so that no sender does.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The time over which receipts are counted.
const WINDOW: Duration = Duration::from_millis(100);
/// Receipts in it that are a rush.
const RUSH: u32 = 50;

/// How much comes, and the one message that is applied during a rush.
#[derive(Debug)]
pub struct Pace {
    started: Mutex<Instant>,
    /// Receipts in this window, and in the one before.
    now: AtomicU32,
    before: AtomicU32,
    one: Semaphore,
}

impl Pace {
    pub fn new() -> Self {
        Self {
            started: Mutex::new(Instant::now()),
            now: AtomicU32::new(0),
            before: AtomicU32::new(0),
            one: Semaphore::new(1),
        }
    }

    /// A message came that is to be stored first.
    pub fn received(&self) {
        self.turn_over();
        self.now.fetch_add(1, Ordering::Relaxed);
    }

    fn turn_over(&self) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = started.elapsed();
        if passed < WINDOW {
            return;
        }
        *started = Instant::now();
        let counted = self.now.swap(0, Ordering::Relaxed);
        let counted = if passed < 2 * WINDOW { counted } else { 0 };
        self.before.store(counted, Ordering::Relaxed);
    }

    fn is_rush(&self) -> bool {
        self.turn_over();
        let counted = |count: &AtomicU32| count.load(Ordering::Relaxed);
        counted(&self.now).max(counted(&self.before)) >= RUSH
    }

    /// Leave to apply a message: at once, or, during a rush, for one at a time.
    pub async fn leave(&self) -> Leave<'_> {
        if !self.is_rush() {
            return Leave(None);
        }
        let one = self.one.acquire().await.ok();
        Leave(
            one.filter(|_| self.is_rush())
                .map(|one| (one, Instant::now())),
        )
    }
}

/// The leave to apply a message.
#[derive(Debug)]
pub struct Leave<'p>(Option<(SemaphorePermit<'p>, Instant)>);

impl Leave<'_> {
    /// It is applied. During a rush as much time as it took is left to others.
    pub async fn done(self) {
        if let Some((one, started)) = self.0 {
            tokio::time::sleep(started.elapsed().min(WINDOW)).await;
            drop(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn during_a_rush_one_goes_at_a_time() {
        let pace = Pace::new();
        let quiet = (pace.leave().now_or_never(), pace.leave().now_or_never());
        assert!(quiet.0.is_some_and(|leave| leave.0.is_none()) && quiet.1.is_some());
        for _ in 0..RUSH {
            pace.received();
        }
        let first = pace.leave().now_or_never();
        assert!(first.is_some());
        assert!(pace.leave().now_or_never().is_none());
        drop(first);
        std::thread::sleep(3 * WINDOW);
        assert!(
            pace.leave()
                .now_or_never()
                .is_some_and(|leave| leave.0.is_none())
        );
    }
}
