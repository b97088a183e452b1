use resources::index::{Entry, ParamId};

use super::kind;
use crate::search::{
    memory::{Item, MemoryIndex},
    plan::{Clause, Plan, Sort, SortKey, TotalMode},
};

fn index(values: &[&[&str]]) -> MemoryIndex {
    let item = |(at, values): (usize, &&[&str])| {
        let mut entries: Vec<Entry> = values
            .iter()
            .map(|value| Entry {
                param: ParamId(1),
                key: [b"\x40", value.as_bytes()].concat(),
            })
            .collect();
        entries.sort();
        Item {
            kind: kind("Patient"),
            id: format!("p{at}"),
            updated: 1000 - at as i64,
            entries,
            text: None,
        }
    };
    MemoryIndex::new(values.iter().enumerate().map(item).collect())
}

fn plan(by: Option<SortKey>, descending: bool, limit: usize) -> Plan {
    Plan {
        types: vec![kind("Patient")],
        filter: Clause::All(vec![]),
        sort: by.map(|by| Sort { by, descending }).into_iter().collect(),
        limit,
        after: None,
        total: TotalMode::Accurate,
    }
}

fn by_key() -> Option<SortKey> {
    Some(SortKey::Keys {
        params: vec![ParamId(1)],
        space: 0x40,
    })
}

#[test]
fn order_and_pages_neither_repeat_nor_skip() {
    let index = index(&[&["b"], &[], &["a", "z"], &["b"], &["c"], &[]]);
    for (by, descending, expected) in [
        (None, false, [0, 1, 2, 3, 4, 5]),
        (Some(SortKey::Id), true, [5, 4, 3, 2, 1, 0]),
        (Some(SortKey::Updated), false, [5, 4, 3, 2, 1, 0]),
        (by_key(), false, [2, 0, 3, 4, 1, 5]),
        (by_key(), true, [2, 4, 0, 3, 1, 5]),
    ] {
        for limit in 1..=6 {
            let mut plan = plan(by.clone(), descending, limit);
            let mut seen = Vec::new();
            loop {
                let page = index.search(&plan);
                assert_eq!(page.total, Some(6));
                seen.extend(page.hits.iter().map(|hit| hit.item));
                if !page.more {
                    break;
                }
                plan.after = page.hits.last().map(|hit| hit.position.clone());
            }
            assert_eq!(seen, expected, "{by:?} {descending} by {limit}");
        }
    }
}
