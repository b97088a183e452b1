//! The behaviour suite.

use resources::index::ParamId;
use resources::model::ResourceType;
use rotunda::{
    search::plan::{Clause, Plan, Position, Sort, SortKey, TextPart, TotalMode},
    store::{Change, LogEntry, LogFilter, Parameter, ParameterState, Reindex, StoreError, Texts},
};

use crate::fixture::{ALL, Fixture, create, delete, entry, put, put_one, update};

const PATIENT: ResourceType = ResourceType::PATIENT;

on_both_databases!(
    words_of_very_many_resources_are_looked_up_once,
    a_version_is_read_as_it_was_written,
    texts_come_back_byte_for_byte_wherever_they_are_read,
    a_write_from_an_old_head_conflicts_and_leaves_nothing,
    a_deletion_keeps_its_history,
    the_log_is_read_newest_first_by_type_resource_and_time,
    a_page_position_of_another_search_is_refused,
    settings_and_parameters_are_kept,
    entries_change_only_for_the_version_they_were_computed_from,
    a_search_by_time_of_many_goes_from_page_to_page,
    words_are_found_once_the_log_is_caught_up,
);

async fn a_version_is_read_as_it_was_written(Fixture { store, .. }: &Fixture) {
    let head = put_one(store, create(PATIENT, "a", vec![entry(PATIENT, 1, b"x")])).await;
    assert_eq!(head.rid >> 44, PATIENT.number());
    let found = store
        .current(&[(PATIENT, "a"), (PATIENT, "b")], &ALL)
        .await
        .unwrap();
    assert_eq!(found[0].as_ref().unwrap().head, head);
    assert_eq!(found[1], None);
    let next = put_one(store, update(&head, vec![], vec![])).await;
    assert_eq!((next.rid, next.version), (head.rid, 2));
    let first = store.version(PATIENT, "a", 1, &ALL).await.unwrap().unwrap();
    assert_eq!(first.stored.head, head);
    assert_eq!(first.change, Change::Create);
    assert_eq!(first.stored.body, crate::fixture::body(PATIENT, "a", 1));
    assert_eq!(store.version(PATIENT, "a", 3, &ALL).await.unwrap(), None);
}

async fn texts_come_back_byte_for_byte_wherever_they_are_read(Fixture { store, .. }: &Fixture) {
    let member = r#","name":[{"family":"Müller","given":["Zoë","𝄞"]}],"gender":"female"#;
    let texts = [
        "{}".to_owned(),
        crate::fixture::body(PATIENT, "p1", 1),
        format!("{{{}}}", member.repeat(3)),
        format!("{{{}}}", member.repeat(50_000)),
        // Nothing in it repeats.
        (0..20_000_u64)
            .map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect(),
    ];
    let writes = texts.iter().enumerate().map(|(at, text)| {
        let mut write = create(PATIENT, &format!("p{at}"), vec![]);
        write.body.clone_from(text);
        write
    });
    put(store, writes.collect()).await.unwrap();
    for (at, text) in texts.iter().enumerate() {
        let id = format!("p{at}");
        let current = store.current(&[(PATIENT, &id)], &ALL).await.unwrap();
        assert_eq!(current[0].as_ref().unwrap().body, *text);
        let version = store.version(PATIENT, &id, 1, &ALL).await.unwrap();
        assert_eq!(version.unwrap().stored.body, *text);
    }
    let everything = Plan { limit: 9, ..plan() };
    let hits = store.search(&everything, &ALL).await.unwrap().hits;
    let mut log = store.log(&LogFilter::default(), 9, &ALL).await.unwrap();
    log.reverse();
    let indexed = store.indexed(0, 9, &ALL).await.unwrap();
    assert_eq!((hits.len(), log.len(), indexed.len()), (5, 5, 5));
    for (at, text) in texts.iter().enumerate() {
        assert_eq!(hits[at].stored.body, *text);
        assert_eq!(log[at].stored.body, *text);
        assert_eq!(indexed[at].text.as_ref().unwrap(), text);
        assert_eq!(indexed[at].hash, rotunda::store::text_hash(text));
    }
    assert_eq!(store.spoiled(0, 9, &ALL).await.unwrap().0, [""; 0]);
}

async fn a_write_from_an_old_head_conflicts_and_leaves_nothing(Fixture { store, .. }: &Fixture) {
    let head = put_one(store, create(PATIENT, "a", vec![])).await;
    put_one(store, update(&head, vec![], vec![])).await;
    let stale = vec![create(PATIENT, "b", vec![]), update(&head, vec![], vec![])];
    assert!(matches!(
        put(store, stale).await,
        Err(StoreError::Conflict(1))
    ));
    let again = vec![create(PATIENT, "a", vec![])];
    assert!(matches!(
        put(store, again).await,
        Err(StoreError::Conflict(0))
    ));
    assert_eq!(
        store.current(&[(PATIENT, "b")], &ALL).await.unwrap(),
        vec![None]
    );
}

async fn a_deletion_keeps_its_history(Fixture { store, .. }: &Fixture) {
    let head = put_one(store, create(PATIENT, "a", vec![entry(PATIENT, 1, b"x")])).await;
    let gone = put_one(store, delete(&head, vec![entry(PATIENT, 1, b"x")])).await;
    assert!(gone.deleted);
    let found = store
        .current(&[(PATIENT, "a")], &ALL)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(found.head, gone);
    assert!(found.body.is_empty());
    let deletion = store.version(PATIENT, "a", 2, &ALL).await.unwrap().unwrap();
    assert_eq!(deletion.change, Change::Delete);
    let back = put_one(store, update(&gone, vec![], vec![])).await;
    assert_eq!((back.version, back.deleted), (3, false));
}

async fn the_log_is_read_newest_first_by_type_resource_and_time(Fixture { store, .. }: &Fixture) {
    let slot = ResourceType::SLOT;
    let hour = 60 * 60 * 1000;
    let mut heads = Vec::new();
    for at in 0..6 {
        let kind = if at % 2 == 0 { PATIENT } else { slot };
        let mut write = create(kind, &format!("r{at}"), vec![]);
        write.updated = at * 10 * hour;
        heads.push(put_one(store, write).await);
    }
    let ids = async |filter: LogFilter, limit: usize| -> Vec<String> {
        let found = store.log(&filter, limit, &ALL).await.unwrap();
        found
            .into_iter()
            .map(|version| version.stored.head.id)
            .collect()
    };
    let all = LogFilter::default();
    assert_eq!(ids(all.clone(), 3).await, ["r5", "r4", "r3"]);
    let below = LogFilter {
        below: Some(heads[3].vid),
        ..all.clone()
    };
    assert_eq!(ids(below, 9).await, ["r2", "r1", "r0"]);
    let patients = LogFilter {
        kind: Some(PATIENT),
        ..all.clone()
    };
    assert_eq!(ids(patients, 9).await, ["r4", "r2", "r0"]);
    let one = LogFilter {
        rid: Some(heads[2].rid),
        ..all.clone()
    };
    assert_eq!(ids(one, 9).await, ["r2"]);
    let since = LogFilter {
        since: Some(20 * hour),
        before: Some(50 * hour),
        ..all.clone()
    };
    assert_eq!(ids(since, 9).await, ["r4", "r3", "r2"]);
    let future = LogFilter {
        since: Some(1_000 * hour),
        ..all
    };
    assert!(ids(future, 9).await.is_empty());
}

fn plan() -> Plan {
    Plan {
        types: vec![PATIENT],
        filter: Clause::All(Vec::new()),
        sort: Vec::new(),
        limit: 2,
        after: None,
        total: TotalMode::None,
    }
}

async fn a_page_position_of_another_search_is_refused(Fixture { store, .. }: &Fixture) {
    put_one(store, create(ResourceType::SLOT, "a", vec![])).await;
    let slots = Plan {
        types: vec![ResourceType::SLOT],
        ..plan()
    };
    let page = store.search(&slots, &ALL).await.unwrap();
    for position in [
        page.hits[0].position.clone(),
        Position(vec![]),
        Position(vec![9; 40]),
    ] {
        let other = Plan {
            after: Some(position),
            ..plan()
        };
        assert!(matches!(
            store.search(&other, &ALL).await,
            Err(StoreError::Position)
        ));
    }
}

async fn settings_and_parameters_are_kept(Fixture { store, .. }: &Fixture) {
    assert_eq!(store.setting("a").await.unwrap(), None);
    assert_eq!(store.setting_or("a", b"1").await.unwrap(), b"1");
    assert_eq!(store.setting_or("a", b"2").await.unwrap(), b"1");
    store.set_setting("a", b"3").await.unwrap();
    assert_eq!(
        store.setting("a").await.unwrap().as_deref(),
        Some(b"3".as_slice())
    );
    let mut parameter = Parameter {
        id: ParamId(1 << 20),
        base: PATIENT,
        code: "eye".to_owned(),
        definition: "{}".to_owned(),
        state: ParameterState::Indexing,
        done: 0,
    };
    let put = vec![parameter.clone()];
    let changed = store
        .change_parameters(
            vec!["eye".to_owned()],
            move |_, texts| {
                assert_eq!(texts, [("eye".to_owned(), None)]);
                put
            },
            &ALL,
        )
        .await
        .unwrap();
    assert_eq!(changed, vec![parameter.clone()]);
    parameter.state = ParameterState::Ready;
    parameter.done = 7;
    for is_first in [true, false] {
        let to = (ParameterState::Ready, 7);
        let marked = store.mark_parameter(parameter.id, ParameterState::Indexing, to);
        assert_eq!(marked.await.unwrap(), is_first);
    }
    assert_eq!(store.parameters().await.unwrap().1, vec![parameter]);
}

async fn entries_change_only_for_the_version_they_were_computed_from(
    Fixture { store, .. }: &Fixture,
) {
    let (old, new) = (entry(PATIENT, 1, b"old"), entry(PATIENT, 1, b"new"));
    let head = put_one(store, create(PATIENT, "a", vec![old.clone()])).await;
    let change = |version| Reindex {
        rid: head.rid,
        version,
        add: vec![new.clone()],
        remove: vec![old.clone()],
    };
    let generation = store.generation().await.unwrap();
    let old_rules = store.reindex(vec![change(1)], generation - 1).await;
    assert!(matches!(old_rules, Err(StoreError::Outdated)));
    assert_eq!(store.reindex(vec![change(2)], generation).await.unwrap(), 0);
    let indexed = store.indexed(0, 9, &ALL).await.unwrap();
    assert_eq!(indexed[0].entries, vec![old.clone()]);
    let text = std::str::from_utf8(indexed[0].text.as_ref().unwrap()).unwrap();
    assert_eq!(indexed[0].hash, rotunda::store::text_hash(text));
    assert_eq!(store.reindex(vec![change(1)], generation).await.unwrap(), 1);
    assert_eq!(
        store.indexed(0, 9, &ALL).await.unwrap()[0].entries,
        vec![new]
    );
}

async fn a_search_by_time_of_many_goes_from_page_to_page(Fixture { url, .. }: &Fixture) {
    // On a second store, or the same database again, that collects next to nothing.
    let options = rotunda::store::Options {
        candidates: 1,
        ..Default::default()
    };
    let url = match url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{path}.second"),
        None => url.clone(),
    };
    let store = rotunda::store::Store::open(&url, &options).await.unwrap();
    for at in 0..9 {
        let mut write = create(PATIENT, &format!("p{at}"), vec![]);
        write.updated = 100 - at % 4;
        put_one(&store, write).await;
    }
    let filter = Clause::Updated {
        from: Some(98),
        to: None,
    };
    let mut plan = Plan { filter, ..plan() };
    let mut found = Vec::new();
    loop {
        let page = store.search(&plan, &ALL).await.unwrap();
        found.extend(page.hits.iter().map(|hit| hit.stored.head.id.clone()));
        plan.after = page.hits.last().map(|hit| hit.position.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(found, ["p2", "p6", "p1", "p5", "p0", "p4", "p8"]);
}

async fn words_are_found_once_the_log_is_caught_up(Fixture { store, .. }: &Fixture) {
    let texts = |version: &rotunda::store::LogEntry| Texts {
        narrative: format!("Résumé of {}", version.stored.head.id),
        content: format!(
            "Résumé of {} version{}",
            version.stored.head.id, version.stored.head.version
        ),
    };
    let found = async |part: TextPart, words: &[&[&str]]| -> Vec<String> {
        while !store.fulltext_catch_up(2, texts, &ALL).await.unwrap() {}
        let list = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let words = words.iter().map(list).collect();
        let filter = Clause::Text { part, words };
        let page = store
            .search(
                &Plan {
                    filter,
                    limit: 9,
                    ..plan()
                },
                &ALL,
            )
            .await
            .unwrap();
        page.hits
            .into_iter()
            .map(|hit| hit.stored.head.id)
            .collect()
    };
    let (narrative, content) = (TextPart::Narrative, TextPart::Content);
    let mut heads = Vec::new();
    for at in 0..5 {
        heads.push(put_one(store, create(PATIENT, &format!("p{at}"), vec![])).await);
    }
    assert_eq!(
        found(narrative, &[&["resume"], &["p2", "p3"]]).await,
        ["p2", "p3"]
    );
    assert_eq!(found(narrative, &[&["version1"]]).await, [""; 0]);
    put_one(store, update(&heads[1], vec![], vec![])).await;
    put_one(store, delete(&heads[2], vec![])).await;
    assert_eq!(found(content, &[&["version1"]]).await, ["p0", "p3", "p4"]);
    assert_eq!(
        found(content, &[&["vers*"], &["Of"]]).await,
        ["p0", "p1", "p3", "p4"]
    );
    assert_eq!(found(content, &[&["-"]]).await, [""; 0]);
    let no = Clause::Text {
        part: content,
        words: vec![vec!["version2".to_owned()]],
    };
    let filter = Clause::Not(Box::new(no));
    let page = store
        .search(
            &Plan {
                filter,
                limit: 9,
                ..plan()
            },
            &ALL,
        )
        .await
        .unwrap();
    assert_eq!(page.hits.len(), 3);
}

/// More resources than are collected have the words: they must not be looked up for each.
async fn words_of_very_many_resources_are_looked_up_once(Fixture { url, .. }: &Fixture) {
    const COUNT: u64 = 4_000;
    let options = rotunda::store::Options {
        candidates: 10,
        query_time: std::time::Duration::from_millis(500),
        ..Default::default()
    };
    let url = match url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{path}.second"),
        None => url.clone(),
    };
    let store = rotunda::store::Store::open(&url, &options).await.unwrap();
    let writes = (0..COUNT).map(|at| create(PATIENT, &format!("p{at}"), vec![]));
    put(&store, writes.collect()).await.unwrap();
    let texts = |entry: &LogEntry| Texts {
        narrative: String::new(),
        content: format!("about {} basic", entry.stored.head.id),
    };
    while !store.fulltext_catch_up(1_000, texts, &ALL).await.unwrap() {}
    let asked = |words: &[&str]| Clause::Text {
        part: TextPart::Content,
        words: vec![words.iter().map(|word| (*word).to_owned()).collect()],
    };
    let by_id = |descending| Sort {
        by: SortKey::Id,
        descending,
    };
    for (filter, sort, total) in [
        (asked(&["a*", "b*"]), vec![], COUNT),
        (asked(&["a*", "b*"]), vec![by_id(true)], COUNT),
        (asked(&["basic"]), vec![by_id(false)], COUNT),
        (
            Clause::Not(Box::new(asked(&["p1*"]))),
            vec![],
            COUNT - 1_111,
        ),
        (
            Clause::All(vec![asked(&["a*"]), asked(&["p1*", "p2*"])]),
            vec![],
            2_222,
        ),
    ] {
        let plan = Plan {
            total: TotalMode::Accurate,
            limit: 7,
            filter,
            sort,
            ..plan()
        };
        let page = store.search(&plan, &ALL).await.unwrap();
        assert_eq!(page.total, Some((total, true)), "{plan:?}");
        assert_eq!(page.hits.len(), 7);
    }
    store.close().await;
}
