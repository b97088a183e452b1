//! How much is being worked on: requests, and bytes of their bodies.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use metrics::Gauge;

use crate::limits::Limits;

/// Bodies shorter than this are not counted: as many as there may be requests fit anywhere.
const SMALL_BODY: usize = 64 << 10;

/// What all requests take together.
#[derive(Default)]
pub struct Load {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    gauge: OnceLock<Gauge>,
}

impl Load {
    /// Lets a request in; `None` if as many are worked on as may be.
    pub fn enter<'l>(&'l self, limits: &'l Limits) -> Option<Working<'l>> {
        let working = Working {
            load: self,
            limits,
            counted: AtomicBool::new(false),
            held: AtomicUsize::new(0),
        };
        working.resume().then_some(working)
    }

    fn gauge(&self) -> &Gauge {
        self.gauge
            .get_or_init(|| metrics::gauge!("rotunda_http_requests_in_flight"))
    }
}

/// A request that is being worked on.
pub struct Working<'l> {
    load: &'l Load,
    limits: &'l Limits,
    counted: AtomicBool,
    held: AtomicUsize,
}

impl Working<'_> {
    /// The request waits for its client, and takes nobody's place meanwhile: many slow senders
    /// are no load.
    pub fn pause(&self) {
        if self.counted.swap(false, Relaxed) {
            let before = self.load.requests.fetch_sub(1, Relaxed);
            self.load.gauge().set(before.saturating_sub(1) as f64);
        }
    }

    /// The request goes on; false if as many are worked on as may be.
    #[must_use]
    pub fn resume(&self) -> bool {
        if self.counted.swap(true, Relaxed) {
            return true;
        }
        let now = self.load.requests.fetch_add(1, Relaxed) + 1;
        self.load.gauge().set(now as f64);
        if now > self.limits.requests {
            self.pause();
            return false;
        }
        true
    }

    /// The request's body, with what is made of it, has become this large; false if all bodies
    /// together are too large. One that is alone is only bound by its own limits.
    #[must_use]
    pub fn hold(&self, bytes: usize) -> bool {
        let held = self.held.load(Relaxed);
        if bytes <= SMALL_BODY || bytes <= held {
            return true;
        }
        self.held.store(bytes, Relaxed);
        let all = self.load.bytes.fetch_add(bytes - held, Relaxed) + bytes - held;
        all <= self.limits.bodies_bytes || all == bytes
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.pause();
        self.load.bytes.fetch_sub(*self.held.get_mut(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_bound_are_not_let_in() {
        let load = Load::default();
        let limits = Limits {
            requests: 2,
            ..Limits::default()
        };
        let first = load.enter(&limits).unwrap();
        let _second = load.enter(&limits).unwrap();
        assert!(load.enter(&limits).is_none());
        first.pause();
        let third = load.enter(&limits).unwrap();
        assert!(!first.resume());
        drop(third);
        assert!(first.resume());
    }

    #[test]
    fn large_bodies_share_their_room() {
        let load = Load::default();
        let limits = Limits {
            bodies_bytes: 1 << 20,
            ..Limits::default()
        };
        let one = load.enter(&limits).unwrap();
        let two = load.enter(&limits).unwrap();
        assert!(one.hold(600_000) && one.hold(700_000));
        assert!(two.hold(SMALL_BODY) && two.hold(200_000));
        assert!(!two.hold(400_000));
        drop(one);
        drop(two);
        let three = load.enter(&limits).unwrap();
        assert!(three.hold(1 << 20));
    }
}
