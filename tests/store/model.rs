//! Random changes and searches on SQLite and PostgreSQL against the oracle.

use std::collections::BTreeSet;

use resources::{index::Entry, model::ResourceType};
use rotunda::{
    search::plan::{Clause, KeyRange, KeyTest, Plan, Sort, SortKey, TotalMode},
    store::{Head, Options, Store, Write},
};

use crate::{
    fixture::{ALL, create, delete, param, put, update},
    oracle::{Thing, World, reference, values},
};

const KINDS: [ResourceType; 3] = [
    ResourceType::PATIENT,
    ResourceType::SLOT,
    ResourceType::LOCATION,
];

/// A small generator of random numbers: the same ones each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn kind(&mut self) -> ResourceType {
        KINDS[self.below(3) as usize]
    }

    fn key(&mut self) -> Vec<u8> {
        let mut key = vec![[0x10, 0x40][self.below(2) as usize]];
        for _ in 0..=self.below(3) {
            key.push(b'a' + self.below(3) as u8);
        }
        key
    }

    fn id(&mut self) -> String {
        format!("r{}", self.below(12))
    }

    fn entries(&mut self, kind: ResourceType) -> BTreeSet<Entry> {
        let mut entries = BTreeSet::new();
        for _ in 0..self.below(5) {
            let n = 1 + self.below(2) as u32;
            entries.insert(Entry {
                param: param(kind, n),
                key: self.key(),
            });
        }
        for _ in 0..self.below(3) {
            let key = reference(self.kind(), &self.id());
            entries.insert(Entry {
                param: param(kind, 3),
                key,
            });
        }
        entries
    }

    fn range(&mut self) -> KeyRange {
        let mut range = match self.below(4) {
            0 => KeyRange::exact(self.key()),
            1 => KeyRange::prefix(self.key()),
            2 => KeyRange::between(self.key(), None),
            _ => {
                let mut ends = [self.key(), self.key()];
                ends.sort();
                let [low, high] = ends;
                KeyRange::between(low, Some(high))
            }
        };
        if self.chance(4) {
            let bytes = vec![b'a' + self.below(3) as u8];
            range = range.with(match self.below(5) {
                0 => KeyTest::AtLeast(1, bytes),
                1 => KeyTest::Below(2, bytes),
                2 => KeyTest::EndsWith(bytes),
                3 => KeyTest::Contains(1, bytes),
                _ => KeyTest::TailEquals { from_end: 2, bytes },
            });
        }
        range
    }

    fn clause(&mut self, kind: ResourceType, depth: u64) -> Clause {
        let deeper = depth > 0;
        match self.below(if deeper { 11 } else { 6 }) {
            0 | 1 => {
                let ranges = (0..=self.below(3)).map(|_| self.range()).collect();
                Clause::Keys {
                    param: param(kind, 1 + self.below(2) as u32),
                    ranges,
                }
            }
            2 => Clause::HasParam(param(kind, 1 + self.below(3) as u32)),
            3 => Clause::Ids((0..self.below(4)).map(|_| self.id()).collect()),
            4 => Clause::Updated {
                from: self.chance(2).then(|| self.below(30) as i64 * 1000),
                to: self.chance(2).then(|| self.below(60) as i64 * 1000),
            },
            5 => Clause::Type(self.kind()),
            6 => Clause::All(
                (0..self.below(4))
                    .map(|_| self.clause(kind, depth - 1))
                    .collect(),
            ),
            7 => Clause::Any(
                (0..self.below(4))
                    .map(|_| self.clause(kind, depth - 1))
                    .collect(),
            ),
            8 => Clause::Not(Box::new(self.clause(kind, depth - 1))),
            9 => {
                let target = self.kind();
                let inner = Box::new(self.clause(target, depth - 1));
                Clause::Refers {
                    param: param(kind, 3),
                    target,
                    canonical: None,
                    inner,
                }
            }
            _ => {
                let source = self.kind();
                let inner = Box::new(self.clause(source, depth - 1));
                Clause::ReferredBy {
                    source,
                    param: param(source, 3),
                    canonical: None,
                    inner,
                }
            }
        }
    }

    fn plan(&mut self) -> Plan {
        let mut types = vec![self.kind()];
        while self.chance(3) {
            types.push(self.kind());
        }
        let mut sort = Vec::new();
        while self.chance(2) && sort.len() < 3 {
            let n = 1 + self.below(2) as u32;
            let by = match self.below(4) {
                0 => SortKey::Id,
                1 => SortKey::Updated,
                _ => SortKey::Keys {
                    params: types.iter().map(|kind| param(*kind, n)).collect(),
                    space: [0x10, 0x40][self.below(2) as usize],
                },
            };
            sort.push(Sort {
                by,
                descending: self.chance(2),
            });
        }
        Plan {
            filter: self.clause(types[0], 3),
            types,
            sort,
            limit: 1 + self.below(6) as usize,
            after: None,
            total: TotalMode::Accurate,
        }
    }
}

/// The store and the oracle, changed together.
struct Pair {
    store: Store,
    world: World,
    heads: std::collections::BTreeMap<(ResourceType, String), Head>,
    clock: i64,
}

impl Pair {
    async fn change(&mut self, random: &mut Random) {
        let mut writes: Vec<Write> = Vec::new();
        let mut seen = BTreeSet::new();
        for _ in 0..=random.below(4) {
            let key = (random.kind(), random.id());
            if !seen.insert(key.clone()) {
                continue;
            }
            self.clock += 1000;
            let before = self.world.0.get(&key).map(|thing| thing.entries.clone());
            let before = before.unwrap_or_default();
            let after = random.entries(key.0);
            let remove: Vec<Entry> = before.difference(&after).cloned().collect();
            let add: Vec<Entry> = after.difference(&before).cloned().collect();
            let mut write = match self.heads.get(&key) {
                None => create(key.0, &key.1, add),
                Some(head) if !head.deleted && random.chance(4) => {
                    delete(head, before.into_iter().collect())
                }
                Some(head) => update(head, remove, add),
            };
            write.updated = self.clock;
            if write.change == rotunda::store::Change::Delete {
                self.world.0.remove(&key);
            } else {
                let (kind, id) = key;
                let thing = Thing {
                    kind,
                    id: id.clone(),
                    updated: self.clock,
                    entries: after,
                };
                self.world.0.insert((kind, id), thing);
            }
            writes.push(write);
        }
        for head in put(&self.store, writes).await.unwrap().heads {
            self.heads.insert((head.kind, head.id.clone()), head);
        }
    }

    async fn search(&self, mut plan: Plan, name: &str) {
        let expected = self.world.search(&plan);
        let mut found = Vec::new();
        loop {
            let page = self.store.search(&plan, &ALL).await.unwrap();
            assert_eq!(
                page.total,
                Some((expected.len() as u64, true)),
                "{name}: {plan:?}"
            );
            assert!(page.hits.len() <= plan.limit);
            plan.after = page.hits.last().map(|hit| hit.position.clone());
            found.extend(page.hits);
            if !page.more {
                break;
            }
        }
        let name_of = |kind: ResourceType, id: &str| format!("{kind}/{id}");
        let mut ids: Vec<String> = found
            .iter()
            .map(|hit| name_of(hit.stored.head.kind, &hit.stored.head.id))
            .collect();
        let sort: Vec<_> = found.iter().map(|hit| hit.sort.clone()).collect();
        let wanted_sort: Vec<_> = expected.iter().map(|thing| values(&plan, thing)).collect();
        assert_eq!(sort, wanted_sort, "{name}: {plan:?}");
        let mut wanted: Vec<String> = expected
            .iter()
            .map(|thing| name_of(thing.kind, &thing.id))
            .collect();
        ids.sort();
        wanted.sort();
        assert_eq!(ids, wanted, "{name}: {plan:?}");
    }
}

async fn run(url: &str, candidates: usize, seed: u64, name: &str) {
    let options = Options {
        candidates,
        ..Options::default()
    };
    let store = Store::open(url, &options).await.unwrap();
    let mut random = Random(seed);
    let mut pair = Pair {
        store,
        world: World::default(),
        heads: Default::default(),
        clock: 0,
    };
    for round in 0..25 {
        for _ in 0..3 {
            pair.change(&mut random).await;
        }
        for turn in 0..12 {
            let plan = random.plan();
            pair.search(plan, &format!("{name} {round}.{turn}")).await;
        }
    }
    check_index(&pair).await;
    pair.store.close().await;
}

/// The index holds just what was written.
async fn check_index(pair: &Pair) {
    let (mut after, mut count) = (0, 0);
    loop {
        let found = pair.store.indexed(after, 5, &ALL).await.unwrap();
        let Some(last) = found.last() else { break };
        after = last.head.rid;
        for indexed in found {
            count += 1;
            let key = (indexed.head.kind, indexed.head.id.clone());
            let entries: Vec<Entry> = pair.world.0[&key].entries.iter().cloned().collect();
            assert_eq!(indexed.entries, entries);
        }
    }
    assert_eq!(count, pair.world.0.len());
    let (defects, _) = pair.store.defects(0, 1_000, &ALL).await.unwrap();
    assert_eq!(defects, Vec::<String>::new());
    assert_eq!(pair.store.orphans(None, 10_000).await.unwrap().0, 0);
}

/// With a bound of two, most searches have more candidates than may be collected.
const BOUNDS: [usize; 2] = [10_000, 2];

#[tokio::test(flavor = "multi_thread")]
async fn random_searches_on_sqlite_find_what_the_oracle_finds() {
    for (at, candidates) in BOUNDS.into_iter().enumerate() {
        for seed in 1..=4 {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("store.db").display());
            run(
                &url,
                candidates,
                seed * 7919 + at as u64,
                &format!("{candidates} {seed}"),
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_searches_on_postgres_find_what_the_oracle_finds() {
    for (at, candidates) in BOUNDS.into_iter().enumerate() {
        for seed in 1..=2 {
            let url = crate::support::postgres::database().await;
            run(
                &url,
                candidates,
                seed * 104_729 + at as u64,
                &format!("{candidates} {seed}"),
            )
            .await;
        }
    }
}
