//! Commits that must be alone with something, a type or the time of an actor, one at a time:
//! within this node by turns, for which nobody holds a connection, and between nodes by advisory
//! locks. Everybody takes them in the same order.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use resources::model::ResourceType;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::super::{claims::looks_at_others, types::Commit};

/// The first half of the advisory locks of guards; the second is the type's number.
const GUARDED: i32 = 0x526f_7475;
/// The advisory lock of all commits with claims: shared by those that lock what they claim,
/// exclusive for those that claim the time of very many. The others' numbers are hashes.
const GATE: i64 = 0x526f_7475_6e64_6102;
/// The most numbers that a commit locks one by one: the server has room for some thousand.
const MOST: usize = 128;

type Turn = Arc<tokio::sync::Mutex<()>>;

/// The turns of this node.
#[derive(Debug, Default)]
pub(super) struct Turns {
    types: Mutex<HashMap<ResourceType, Turn>>,
    numbers: Arc<Mutex<HashMap<i64, Turn>>>,
    gate: Arc<RwLock<()>>,
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
    _numbers: Vec<Number>,
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
    guard: Option<OwnedMutexGuard<()>>,
    all: Arc<Mutex<HashMap<i64, Turn>>>,
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
            _numbers: numbers,
        }
    }
}

fn turn<K: Eq + Hash>(turns: &Mutex<HashMap<K, Turn>>, key: K) -> Turn {
    let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(turns.entry(key).or_default())
}
