//! Commits that must be alone with something, a type or the time of an actor, one at a time:
//! within this node by turns, for which nobody holds a connection, and between nodes by advisory
//! locks. Everybody takes them in the same order.
//!
//! In a rush most lose. What one commit of this node makes of an actor's time, or finds there,
//! those that waited for their turn meanwhile need not ask the database for.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::Hash,
    slice,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use resources::model::ResourceType;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::super::{
    claims::{Numbered, looks_at_others},
    error::StoreError,
    types::Commit,
};
use crate::scheduling::claim::{Claim, Refusal, admit};

/// The first half of the advisory locks of guards; the second is the type's number.
const GUARDED: i32 = 0x526f_7475;
/// The advisory lock of all commits with claims: shared by those that lock what they claim,
/// exclusive for those that claim the time of very many. The others' numbers are hashes.
const GATE: i64 = 0x526f_7475_6e64_6102;
/// The most numbers that a commit locks one by one: the server has room for some thousand.
const MOST: usize = 128;

/// The most claims that are remembered for those who wait for an actor.
const REMEMBERED: usize = 64;

type Turn<T> = Arc<tokio::sync::Mutex<T>>;

/// Claims on an actor's time that were there at some moment, newest last, and the ticks of
/// [`Turns`] at which this was known. Gone when nobody waits for the actor any more.
type Known = VecDeque<(u64, Claim)>;

/// The turns of this node.
#[derive(Debug, Default)]
pub(super) struct Turns {
    types: Mutex<HashMap<ResourceType, Turn<()>>>,
    numbers: Arc<Mutex<HashMap<i64, Turn<Known>>>>,
    gate: Arc<RwLock<()>>,
    ticks: Arc<AtomicU64>,
}

/// What a commit must be alone with.
#[derive(Debug)]
pub(super) struct Alone {
    /// Whether two guards can be about the same resource does not show in them (`identifier=s|v`
    /// and `identifier=v`, `family=` and `identifier=`): one with guards on a type at a time.
    types: BTreeSet<ResourceType>,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    None,
    Some(BTreeSet<i64>),
    All,
}

impl Alone {
    /// What `commit` must be alone with.
    pub fn new(commit: &Commit, with_claims: bool) -> Self {
        Self {
            types: commit.guards.iter().map(|guard| guard.kind).collect(),
            numbers: match commit.has_claims() && with_claims {
                true => Numbers::of(commit),
                false => Numbers::None,
            },
        }
    }

    /// The statements that wait for other nodes, each ended by a semicolon.
    pub fn locks(&self) -> String {
        let mut text = String::new();
        for kind in &self.types {
            let number = kind.number();
            text.push_str(&format!(
                "SELECT pg_advisory_xact_lock({GUARDED},{number});"
            ));
        }
        match &self.numbers {
            Numbers::None => {}
            Numbers::All => text.push_str(&format!("SELECT pg_advisory_xact_lock({GATE});")),
            Numbers::Some(numbers) => {
                let list: Vec<String> = numbers.iter().map(i64::to_string).collect();
                // The rows come in the order of the array.
                text.push_str(&format!(
                    "SELECT pg_advisory_xact_lock_shared({GATE});
                     SELECT count(pg_advisory_xact_lock(k)) FROM unnest('{{{}}}'::bigint[]) k;",
                    list.join(",")
                ));
            }
        }
        text
    }
}

impl Numbers {
    fn of(commit: &Commit) -> Self {
        let mut numbers: BTreeSet<i64> = commit
            .claims
            .iter()
            .flat_map(|set| &set.claims)
            .filter(|new| looks_at_others(new.claim.kind))
            .map(|new| new.claim.actor.0)
            .collect();
        if let Some(receipt) = &commit.receipt {
            let mut first = [0; 8];
            first.copy_from_slice(&receipt.key[..8]);
            numbers.insert(i64::from_be_bytes(first));
        }
        if numbers.len() > MOST {
            return Self::All;
        }
        // Two that replace the claims of the same owners would else wait for each other's rows.
        // Only one of them happens: the other is not computed from the newest version.
        if numbers.len() + commit.claims.len() <= MOST {
            numbers.extend(commit.claims.iter().map(|set| set.owner.0));
        }
        Self::Some(numbers)
    }
}

/// Turns that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    _types: Vec<OwnedMutexGuard<()>>,
    _gate: Option<Gate>,
    numbers: Vec<Number>,
    ticks: Arc<AtomicU64>,
    /// When the waiting began.
    since: u64,
}

impl Held {
    /// What is certainly in the way of the commit. A claim that was there while it waited is
    /// enough, whether or not it still is: had its turn come then, it would have been refused.
    /// Claims that were there at different moments say nothing together, so each counts alone.
    ///
    /// (What another node frees, while this one has yet to hear that its own commit of the same
    /// claim is done, can be taken for claimed by a commit that comes in this very moment.)
    pub fn refusal(&self, commit: &Commit) -> Option<StoreError> {
        // Of a condition, what it finds is the better answer.
        if !commit.guards.is_empty() {
            return None;
        }
        let is_replaced = |claim: &Claim| commit.claims.iter().any(|set| set.owner == claim.owner);
        for (at, set) in commit.claims.iter().enumerate() {
            for new in &set.claims {
                let actor = new.claim.actor.0;
                let Ok(place) = self.numbers.binary_search_by_key(&actor, |one| one.number) else {
                    continue;
                };
                let known = self.numbers[place]
                    .guard
                    .iter()
                    .flat_map(|known| known.iter());
                let refusal = known
                    .filter(|(tick, claim)| *tick > self.since && !is_replaced(claim))
                    .find_map(|(_, claim)| {
                        admit(new, slice::from_ref(claim), &set.beside, commit.now).err()
                    });
                if let Some(refusal) = refusal {
                    return Some(StoreError::Refused { set: at, refusal });
                }
            }
        }
        None
    }

    /// Tells those who wait what the commit made.
    pub fn made(&mut self, commit: &Commit, rows: &[Numbered]) {
        for set in &commit.claims {
            for known in self.numbers.iter_mut().filter_map(|one| one.guard.as_mut()) {
                known.retain(|(_, claim)| claim.owner != set.owner);
            }
        }
        for row in rows {
            self.remember(&row.claim);
        }
    }

    /// Tells those who wait what the commit found, unless it stood in its own way.
    pub fn found(&mut self, commit: &Commit, error: &StoreError) {
        if let StoreError::Refused {
            refusal: Refusal::Taken { by, .. },
            ..
        } = error
            && commit.claims.iter().all(|set| set.owner != by.owner)
        {
            self.remember(by);
        }
    }

    fn remember(&mut self, claim: &Claim) {
        let actor = claim.actor.0;
        if let Ok(place) = self.numbers.binary_search_by_key(&actor, |one| one.number)
            && let Some(known) = &mut self.numbers[place].guard
        {
            if known.len() == REMEMBERED {
                known.pop_front();
            }
            let tick = self.ticks.fetch_add(1, Ordering::AcqRel) + 1;
            known.push_back((tick, *claim));
        }
    }
}

#[derive(Debug)]
enum Gate {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Exclusive { _guard: OwnedRwLockWriteGuard<()> },
}

/// The turn of one number; the last to have it removes it.
#[derive(Debug)]
struct Number {
    number: i64,
    guard: Option<OwnedMutexGuard<Known>>,
    all: Arc<Mutex<HashMap<i64, Turn<Known>>>>,
}

impl Drop for Number {
    fn drop(&mut self) {
        self.guard = None;
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody gets hold of it but from the map.
        let is_last = all
            .get(&self.number)
            .is_some_and(|turn| Arc::strong_count(turn) == 1);
        if is_last {
            all.remove(&self.number);
        }
    }
}

impl Turns {
    /// Waits until nobody else of this node is at what `alone` names.
    pub async fn take(&self, alone: &Alone) -> Held {
        let since = self.ticks.load(Ordering::Acquire);
        let mut types = Vec::new();
        for kind in &alone.types {
            types.push(turn(&self.types, *kind).lock_owned().await);
        }
        let (mut gate, mut numbers) = (None, Vec::new());
        match &alone.numbers {
            Numbers::None => {}
            Numbers::All => {
                let all = Arc::clone(&self.gate).write_owned().await;
                gate = Some(Gate::Exclusive { _guard: all });
            }
            Numbers::Some(some) => {
                let shared = Arc::clone(&self.gate).read_owned().await;
                gate = Some(Gate::Shared { _guard: shared });
                for number in some {
                    let turn = turn(&self.numbers, *number);
                    numbers.push(Number {
                        number: *number,
                        guard: Some(turn.lock_owned().await),
                        all: Arc::clone(&self.numbers),
                    });
                }
            }
        }
        Held {
            _types: types,
            _gate: gate,
            numbers,
            ticks: Arc::clone(&self.ticks),
            since,
        }
    }
}

fn turn<K: Eq + Hash, T: Default>(turns: &Mutex<HashMap<K, Turn<T>>>, key: K) -> Turn<T> {
    let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(turns.entry(key).or_default())
}
