//! Random rules over resources of all types: what is read, found, listed in a history and
//! taken into an include is the same, more rules show no less, and more denials no more.

use std::collections::{BTreeMap, BTreeSet};

use rotunda::engine::{HistoryRequest, HistoryScope};

use super::*;
use crate::leaks::{Random, Thing, store, things};

on_both_databases!(reads_searches_and_histories_agree_whatever_the_rules);

/// Decisions tried on each database.
const ROUNDS: usize = 24;
/// Types looked at for each.
const TYPES: usize = 12;

type Seen = BTreeSet<String>;

async fn reads_searches_and_histories_agree_whatever_the_rules(on: Database) {
    let f = Fixture::new(on).await;
    let mut random = Random(7);
    let things = things(&mut random);
    store(&f, &things).await;
    let mut of: BTreeMap<&str, Vec<&Thing>> = BTreeMap::new();
    for thing in things.iter().filter(|thing| thing.kind.name() != "Binary") {
        of.entry(thing.kind.name()).or_default().push(thing);
    }
    let names: Vec<&str> = of.keys().copied().collect();
    let (mut some, mut none) = (0, 0);
    for _ in 0..ROUNDS {
        let name = |random: &mut Random| names[random.below(names.len())];
        let rules: Vec<String> = (0..1 + random.below(3))
            .map(|_| {
                let kind = name(&mut random);
                a_rule(&mut random, kind)
            })
            .collect();
        let denial = match random.below(3) {
            0 => format!("-b/{}", name(&mut random)),
            1 => "-b".to_owned(),
            _ => "-a/Observation?status=final".to_owned(),
        };
        let rules = rules.join(" ");
        let narrow = format!("{rules} {denial}");
        let wide = format!("{rules} a/*.rs");
        for _ in 0..TYPES {
            let name = name(&mut random);
            let seen = read(&f, &of[name], &granted(&rules)).await;
            assert_eq!(
                found_of(&f, name, &granted(&rules)).await,
                seen,
                "{rules} {name}"
            );
            let old = history_of(&f, name, &granted(&rules)).await;
            assert_eq!(old, seen, "history: {rules} {name}");
            let less = read(&f, &of[name], &granted(&narrow)).await;
            assert!(less.is_subset(&seen), "{narrow} {name}");
            assert_eq!(
                found_of(&f, name, &granted(&narrow)).await,
                less,
                "{narrow} {name}"
            );
            let more = read(&f, &of[name], &granted(&wide)).await;
            assert!(more.is_superset(&seen), "{wide} {name}");
            assert_eq!(
                found_of(&f, name, &granted(&wide)).await,
                more,
                "{wide} {name}"
            );
            some += usize::from(!seen.is_empty());
            none += usize::from(seen.is_empty());
        }
    }
    assert!(some > 20 && none > 20, "{some} {none}");
}

fn a_rule(random: &mut Random, name: &str) -> String {
    let who = [
        "user",
        "a",
        "b",
        "a+b",
        "@nobody",
        "@ServiceRequest",
        "@ServiceRequest?_tag=urn:canary|Bcanary00",
    ][random.below(7)];
    let what = ["*", name][random.below(2)];
    let query = [
        "",
        "",
        "?_tag=urn:canary|Bcanary00",
        "?_tag=urn:canary|Acanary00",
        "?identifier=urn:canary|",
    ];
    format!("{who}/{what}.rs{}", query[random.below(query.len())])
}

async fn read(f: &Fixture, things: &[&Thing], access: &Access) -> Seen {
    let mut seen = Seen::new();
    for thing in things {
        if f.engine.read(thing.kind, &thing.id, access).await.is_ok() {
            seen.insert(thing.id.clone());
        }
    }
    seen
}

async fn found_of(f: &Fixture, name: &str, access: &Access) -> Seen {
    let found = found(f, &format!("{name}?_count=1000"), access).await;
    let ids = found.split_whitespace().map(str::to_owned);
    ids.filter(|id| id != "403").collect()
}

/// Of what versions of which the newest is there the history has.
async fn history_of(f: &Fixture, name: &str, access: &Access) -> Seen {
    let request = HistoryRequest {
        scope: HistoryScope::Type(kind(name)),
        params: decode("_count=1000"),
        strict: true,
    };
    let Ok(text) = f.engine.history(&request, access).await else {
        return Seen::new();
    };
    let bundle = doc(&text);
    let ids = entries(&bundle)
        .into_iter()
        .filter_map(|entry| entry.get("resource"));
    let mut seen = Seen::new();
    for id in ids.map(|resource| at(resource, "id")) {
        if f.read(name, &id).await.is_ok() {
            seen.insert(id);
        }
    }
    seen
}
