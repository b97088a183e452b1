//! How many requests one address, client or user may send.
//!
//! The address is looked at before anything else is done for a request, also for those without a
//! token; client and user when they are known. Each has a bucket that fills at the configured
//! rate and holds ten seconds of it.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use axum::http::{StatusCode, request::Parts};
use governor::{
    Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos, state::StateStore,
};

use super::{client::ClientAddress, failure::Failure};
use crate::{access::Identity, limits::Limits};

/// Seconds of the rate that may come at once.
const BURST_SECONDS: u32 = 10;
/// Callers of a kind that are remembered.
const MOST_REMEMBERED: usize = 1 << 17;
/// Parts of the memory, each with a lock of its own.
const SHARDS: usize = 16;

/// Tests move the time themselves.
#[cfg(test)]
type Time = governor::clock::FakeRelativeClock;
#[cfg(not(test))]
type Time = governor::clock::MonotonicClock;

type Limiter = RateLimiter<u64, Recent, Time, NoOpMiddleware<<Time as Clock>::Instant>>;

/// The rates of a server.
#[derive(Default)]
pub struct Rates {
    address: Option<Rate>,
    client: Option<Rate>,
    user: Option<Rate>,
}

impl Rates {
    /// The configured rates; a rate of 0 is none.
    pub fn new(limits: &Limits) -> Self {
        Self {
            address: Rate::new("address", limits.address_requests_per_second),
            client: Rate::new("client", limits.client_requests_per_second),
            user: Rate::new("user", limits.user_requests_per_second),
        }
    }

    /// Counts a request from an address, before anything is known of who sends it. This computer
    /// is trusted.
    ///
    /// # Errors
    /// 429 if the address has sent too many.
    pub fn check_address(&self, parts: &Parts) -> Result<(), Failure> {
        let (Some(rate), Some(ClientAddress(ip))) = (&self.address, parts.extensions.get()) else {
            return Ok(());
        };
        if ip.is_loopback() {
            return Ok(());
        }
        rate.check(&network(*ip))
    }

    /// Counts a request whose client and user are known.
    ///
    /// # Errors
    /// 429 if either has sent too many.
    pub fn check_caller(&self, identity: &Identity) -> Result<(), Failure> {
        if let (Some(rate), Some(client)) = (&self.client, &identity.client) {
            rate.check(client)?;
        }
        if let (Some(rate), Some(user)) = (&self.user, &identity.user) {
            rate.check(user)?;
        }
        Ok(())
    }
}

/// What is counted as one sender: an IPv4 address, or the network of 64 bits that a subscriber
/// has in IPv6.
fn network(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

/// One rate for each of a kind of callers.
struct Rate {
    kind: &'static str,
    per_second: u32,
    limiter: Limiter,
    /// Its keys are secret, so that nobody can choose whose bucket to share.
    hasher: RandomState,
}

impl Rate {
    fn new(kind: &'static str, per_second: u32) -> Option<Self> {
        let rate = NonZeroU32::new(per_second)?;
        let burst = NonZeroU32::new(per_second.saturating_mul(BURST_SECONDS))?;
        let quota = Quota::per_second(rate).allow_burst(burst);
        let recent = Recent::new(MOST_REMEMBERED);
        Some(Self {
            kind,
            per_second,
            limiter: RateLimiter::new(quota, recent, Time::default()),
            hasher: RandomState::new(),
        })
    }

    fn check(&self, caller: &impl std::hash::Hash) -> Result<(), Failure> {
        let key = self.hasher.hash_one(caller);
        self.limiter.check_key(&key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.limiter.clock().now());
            metrics::counter!("rotunda_http_throttled_total", "by" => self.kind).increment(1);
            self.refusal(wait.as_secs_f64())
        })
    }

    fn refusal(&self, wait: f64) -> Failure {
        Failure {
            // At least one whole second, and rounded up.
            retry_after: Some((wait.ceil() as u32).max(1)),
            ..Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "throttled",
                format!(
                    "This {} sends more than {} requests a second. Go on after the time in \
                     Retry-After.",
                    self.kind, self.per_second
                ),
            )
        }
    }
}

/// When each of many callers, by its hash, will have sent what it may: in bounded memory. When
/// there is no room for another, one who has long been quiet is forgotten.
struct Recent {
    shards: [Mutex<HashMap<u64, Nanos>>; SHARDS],
    most: usize,
}

impl Recent {
    fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            most: most / SHARDS,
        }
    }
}

impl StateStore for Recent {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let shard = &self.shards[*key as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, next) = measure(shard.get(key).copied())?;
        if shard.len() >= self.most && !shard.contains_key(key) {
            forget_one(&mut shard);
        }
        shard.insert(*key, next);
        Ok(outcome)
    }
}

/// Forgets, of some, the one that has been quiet for longest.
fn forget_one(callers: &mut HashMap<u64, Nanos>) {
    const LOOKED_AT: usize = 16;
    let some = callers.iter().take(LOOKED_AT);
    let quiet = some.min_by_key(|(_, until)| **until).map(|(key, _)| *key);
    if let Some(quiet) = quiet {
        callers.remove(&quiet);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, header};

    use super::*;
    use crate::http::negotiate::Format;

    fn from(address: &str) -> Parts {
        let mut parts = Request::get("/").body(()).unwrap().into_parts().0;
        parts
            .extensions
            .insert(ClientAddress(address.parse().unwrap()));
        parts
    }

    fn rates(address: u32, client: u32, user: u32) -> Rates {
        Rates::new(&Limits {
            address_requests_per_second: address,
            client_requests_per_second: client,
            user_requests_per_second: user,
            ..Limits::default()
        })
    }

    fn passed(mut check: impl FnMut() -> Result<(), Failure>) -> usize {
        (0..200).take_while(|_| check().is_ok()).count()
    }

    #[test]
    fn an_address_is_refused_beyond_its_rate_and_others_are_not() {
        let rates = rates(1, 0, 0);
        assert_eq!(passed(|| rates.check_address(&from("192.0.2.1"))), 10);
        assert_eq!(passed(|| rates.check_address(&from("192.0.2.2"))), 10);
        assert_eq!(passed(|| rates.check_address(&from("2001:db8::1"))), 10);
        let neighbour = || rates.check_address(&from("2001:db8::2:3:4:5"));
        assert_eq!(passed(neighbour), 0, "one subscriber's network");
        assert_eq!(passed(|| rates.check_address(&from("2001:db8:0:1::1"))), 10);
        assert_eq!(passed(|| rates.check_address(&from("127.0.0.1"))), 200);
        assert_eq!(passed(|| rates.check_address(&from("::1"))), 200);
    }

    #[test]
    fn clients_and_users_have_rates_of_their_own() {
        let rates = rates(0, 3, 1);
        let identity = |client: Option<&str>, user: Option<&str>| Identity {
            client: client.map(str::to_owned),
            user: user.map(str::to_owned),
            ..Identity::default()
        };
        let ann = identity(Some("app"), Some("ann"));
        let bob = identity(Some("app"), Some("bob"));
        assert_eq!(passed(|| rates.check_caller(&ann)), 10);
        assert_eq!(passed(|| rates.check_caller(&bob)), 10);
        // Refusals by the user's rate have counted for the client, too.
        assert_eq!(
            passed(|| rates.check_caller(&identity(Some("app"), None))),
            8
        );
        assert_eq!(
            passed(|| rates.check_caller(&identity(Some("other"), None))),
            30
        );
        assert_eq!(passed(|| rates.check_caller(&Identity::default())), 200);
        assert_eq!(passed(|| rates.check_address(&from("192.0.2.1"))), 200);
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let rates = rates(1, 0, 0);
        let refused = (0..11).find_map(|_| rates.check_address(&from("192.0.2.1")).err());
        let reply = refused.unwrap().reply(Format::default());
        assert_eq!(reply.status(), 429);
        assert_eq!(reply.headers()[header::RETRY_AFTER], "1");
        let told = String::from_utf8(reply.body().to_vec()).unwrap();
        assert!(
            told.contains("OperationOutcome") && told.contains("throttled"),
            "{told}"
        );
        let clock = rates.address.as_ref().unwrap().limiter.clock();
        clock.advance(std::time::Duration::from_secs(3));
        assert_eq!(passed(|| rates.check_address(&from("192.0.2.1"))), 3);
    }

    #[test]
    fn memory_is_bounded_and_who_is_busy_is_remembered() {
        let recent = Recent::new(16 * 20);
        let until = |time: u64| move |_| Ok::<_, ()>(((), Nanos::from(time)));
        for key in 0..16 {
            recent.measure_and_replace(&key, until(u64::MAX)).unwrap();
        }
        for key in 16..100_000 {
            recent.measure_and_replace(&key, until(key)).unwrap();
        }
        for (number, shard) in recent.shards.iter().enumerate() {
            let shard = shard.lock().unwrap();
            assert_eq!(shard.len(), 20);
            assert!(shard.contains_key(&(number as u64)));
        }
    }
}
