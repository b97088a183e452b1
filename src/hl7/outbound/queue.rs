//! What waits to be sent to one destination, in memory: which message is next.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{destination::Destination, event};
use crate::engine::{DeliveryHead, DeliveryState, Engine, Error};

/// Messages that are read together.
const CHUNK: usize = 1_000;

/// What waits.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<i64, Entry>,
    /// The last number that was seen.
    last: i64,
    /// The first message of a line that was given up.
    failed: HashMap<i64, i64>,
}

/// A message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What its order is kept with.
    pub line: i64,
    /// How often it was sent.
    pub attempts: u32,
    /// Not before this time, milliseconds since 1970.
    pub due: i64,
    /// How many messages the receiver had acknowledged when this one was first sent.
    pub since: Option<u64>,
    is_barrier: bool,
}

/// Which message is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This one.
    Now(i64),
    /// None before this time.
    At(i64),
    /// None as things are.
    Nothing,
}

impl Queue {
    /// Reads what waits from the beginning.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn load(engine: &Engine, destination: &Destination) -> Result<Self, Error> {
        let mut queue = Self::default();
        queue.load_failed(engine, destination).await?;
        queue.catch_up(engine, destination).await?;
        Ok(queue)
    }

    async fn load_failed(
        &mut self,
        engine: &Engine,
        destination: &Destination,
    ) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let state = DeliveryState::Failed;
            let name = &destination.name;
            let page = engine.deliveries_in(name, state, after, CHUNK).await?;
            for head in &page {
                self.failed.entry(head.line).or_insert(head.n);
                after = head.n;
            }
            if page.len() < CHUNK {
                return Ok(());
            }
        }
    }

    /// Reads what was queued since.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn catch_up(
        &mut self,
        engine: &Engine,
        destination: &Destination,
    ) -> Result<(), Error> {
        loop {
            let state = DeliveryState::Waiting;
            let name = &destination.name;
            let page = engine.deliveries_in(name, state, self.last, CHUNK).await?;
            let is_last = page.len() < CHUNK;
            page.into_iter().for_each(|head| self.add(&head));
            if is_last {
                return Ok(());
            }
        }
    }

    fn add(&mut self, head: &DeliveryHead) {
        self.last = self.last.max(head.n);
        let entry = Entry {
            line: head.line,
            attempts: head.attempts,
            due: head.next.unwrap_or(0),
            since: None,
            is_barrier: event::is_barrier(&head.kind),
        };
        self.waiting.insert(head.n, entry);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The message to send next, beside those of `busy` that are on the way: the first of its
    /// line. `hold`: behind a message that was given up nothing of its line is sent.
    pub fn next(&self, busy: &[i64], hold: bool, now: i64) -> Next {
        let mut passed: HashSet<i64> = HashSet::new();
        let mut soonest: Option<i64> = None;
        for (place, (n, entry)) in self.waiting.iter().enumerate() {
            if entry.is_barrier && place > 0 {
                break;
            }
            let is_free = passed.insert(entry.line) && !busy.contains(n);
            let is_held = hold
                && self
                    .failed
                    .get(&entry.line)
                    .is_some_and(|failed| failed < n);
            if is_free && !is_held {
                if entry.due <= now {
                    return Next::Now(*n);
                }
                soonest = Some(soonest.map_or(entry.due, |at| at.min(entry.due)));
            }
            if entry.is_barrier {
                break;
            }
        }
        soonest.map_or(Next::Nothing, Next::At)
    }

    /// A message that waits.
    pub fn entry(&mut self, n: i64) -> Option<&mut Entry> {
        self.waiting.get_mut(&n)
    }

    /// It waits no more.
    pub fn remove(&mut self, n: i64) -> Option<Entry> {
        self.waiting.remove(&n)
    }

    /// It was given up.
    pub fn fail(&mut self, n: i64) {
        if let Some(entry) = self.waiting.remove(&n) {
            let first = self.failed.entry(entry.line).or_insert(n);
            *first = n.min(*first);
        }
    }

    /// The message of the same line before this one that was given up.
    pub fn failed_before(&self, line: i64, n: i64) -> Option<i64> {
        self.failed.get(&line).copied().filter(|failed| *failed < n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(entries: &[(i64, i64, i64, &str)]) -> Queue {
        let mut queue = Queue::default();
        for (n, line, due, kind) in entries {
            queue.add(&DeliveryHead {
                n: *n,
                line: *line,
                kind: (*kind).to_owned(),
                attempts: 0,
                next: Some(*due),
            });
        }
        queue
    }

    #[test]
    fn each_line_keeps_its_order_and_waits_for_no_other() {
        let queue = queue(&[
            (1, 10, 500, "SIU^S12"),
            (2, 10, 0, "SIU^S13"),
            (3, 20, 0, "SIU^S12"),
            (4, 30, 0, "SIU^S12"),
        ]);
        assert_eq!(queue.next(&[], false, 100), Next::Now(3));
        assert_eq!(queue.next(&[3], false, 100), Next::Now(4));
        assert_eq!(queue.next(&[3, 4], false, 100), Next::At(500));
        assert_eq!(queue.next(&[3, 4], false, 500), Next::Now(1));
        assert_eq!(queue.next(&[1, 3, 4], false, 500), Next::Nothing);
    }

    #[test]
    fn a_merge_overtakes_nothing_and_is_not_overtaken() {
        let mut queue = queue(&[
            (1, 10, 0, "ADT^A31"),
            (2, 20, 900, "ADT^A40"),
            (3, 30, 0, "ADT^A31"),
        ]);
        assert_eq!(queue.next(&[], false, 0), Next::Now(1));
        assert_eq!(queue.next(&[1], false, 0), Next::Nothing);
        queue.remove(1);
        assert_eq!(queue.next(&[], false, 0), Next::At(900));
        assert_eq!(queue.next(&[], false, 900), Next::Now(2));
        assert_eq!(queue.next(&[2], false, 900), Next::Nothing);
        queue.remove(2);
        assert_eq!(queue.next(&[], false, 0), Next::Now(3));
    }

    #[test]
    fn behind_what_was_given_up_the_line_waits_if_it_is_to() {
        let mut queue = queue(&[(1, 10, 0, "SIU^S12"), (2, 10, 0, "SIU^S13"), (3, 20, 0, "")]);
        queue.fail(1);
        assert_eq!(queue.next(&[], false, 0), Next::Now(2));
        assert_eq!(queue.failed_before(10, 2), Some(1));
        assert_eq!(queue.next(&[], true, 0), Next::Now(3));
        queue.remove(3);
        assert_eq!(queue.next(&[], true, 0), Next::Nothing);
    }
}
