//! Writes that lost a race: they wait for one another instead of colliding again.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use tokio::sync::{Mutex, MutexGuard};

use super::{
    Engine,
    error::{Error, ErrorKind},
};

/// Locks over which the keys of lost races are spread.
const STRIPES: usize = 128;
/// How often a write is repeated before the client has to.
const MAX_ATTEMPTS: u32 = 24;
/// Attempts after which other nodes on the same database are given time, too.
const PATIENT_AFTER: u32 = 4;

/// The locks that losers queue at.
pub struct Queues(Vec<Mutex<()>>);

impl Default for Queues {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| Mutex::new(())).collect())
    }
}

/// The attempts of one request.
pub struct Race<'e> {
    engine: &'e Engine,
    attempts: u32,
    turn: Option<(usize, MutexGuard<'e, ()>)>,
}

impl<'e> Race<'e> {
    /// No attempt yet.
    pub fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            attempts: 0,
            turn: None,
        }
    }

    /// Waits for this request's turn at `key`. One request holds at most one lock, so that two
    /// never wait for each other.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it was repeated often enough.
    pub async fn lost(&mut self, key: &str) -> Result<(), Error> {
        self.attempts += 1;
        if self.attempts >= MAX_ATTEMPTS {
            let mut error = Error::new(
                ErrorKind::Conflict,
                "conflict",
                "others keep changing the same resources; send the request again",
            );
            error.retry_after = Some(1);
            return Err(error);
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let stripe = hasher.finish() as usize % STRIPES;
        if self.turn.as_ref().is_none_or(|(held, _)| *held != stripe) {
            self.turn = None;
            self.turn = Some((stripe, self.engine.queues.0[stripe].lock().await));
        }
        if self.attempts > PATIENT_AFTER {
            let wait = 2_u64.saturating_pow(self.attempts - PATIENT_AFTER).min(100);
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        Ok(())
    }
}
