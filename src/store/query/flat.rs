//! What a search or a history costs somebody who sees little, in steps of SQLite's machine: it
//! must not grow with what others have. Steps are the same on a busy machine and an idle one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use resources::{Doc, index::Registry, model::ResourceType};
use rusqlite::{Connection, params};

use super::{
    super::{
        Options, Store, hash,
        sqlite::{Handle, now},
        text,
        types::LogFilter,
        view::View,
    },
    versions,
};
use crate::{
    access::{Access, Grants, Relation, Right, Rights, Rule},
    search::{self, Request, Resolved, Scope, SearchLimits, decode},
};

const BASE: &str = "http://h/fhir";
/// Candidates that are collected; four times as many of what somebody sees.
const CAP: usize = 200;
/// Patients of others in the small and in the large world.
const OTHERS: [usize; 2] = [60, 1_200];
/// In the care of `d`, and with an order for `lab`.
const IN_CARE: usize = 20;
const OF_EACH: usize = 10;
/// More than [`CAP`].
const OF_BIG: usize = 500;
/// Steps are counted by so many.
const GRAIN: i32 = 20;

struct World {
    connection: Connection,
    steps: Arc<AtomicUsize>,
    next: Vec<(ResourceType, i64)>,
    vid: i64,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(others: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flat.db");
        Store::open(&format!("sqlite:{}", path.display()), &Options::default())
            .await
            .unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.set_prepared_statement_cache_capacity(256);
        let steps = Arc::new(AtomicUsize::new(0));
        let mut world = Self {
            connection,
            steps,
            next: Vec::new(),
            vid: 0,
            _folder: folder,
        };
        world.connection.execute_batch("BEGIN").unwrap();
        world.fill(others);
        world.connection.execute_batch("COMMIT; ANALYZE").unwrap();
        let counter = Arc::clone(&world.steps);
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        };
        world
            .connection
            .progress_handler(GRAIN, Some(count))
            .unwrap();
        world
    }

    /// What is seen is the oldest, spread over all others.
    fn fill(&mut self, others: usize) {
        let patients: Vec<String> = ["a".to_owned(), "big".to_owned()]
            .into_iter()
            .chain((0..others).map(|at| format!("p{at}")))
            .collect();
        for (at, id) in patients.iter().enumerate() {
            self.put(&format!(
                r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"F{}"}}]}}"#,
                at % 7
            ));
            let carer = if at < IN_CARE { "d" } else { "other" };
            self.put(&format!(
                r#"{{"resourceType":"Encounter","id":"e-{id}","status":"finished","class":{{"code":"AMB"}},"subject":{{"reference":"Patient/{id}"}},"participant":[{{"individual":{{"reference":"Practitioner/{carer}"}}}}]}}"#
            ));
            // Of the others there was one.
            let status = if at < IN_CARE { "active" } else { "revoked" };
            self.put(&format!(
                r#"{{"resourceType":"ServiceRequest","id":"s-{id}","status":"{status}","intent":"order","category":[{{"coding":[{{"code":"lab"}}]}}],"subject":{{"reference":"Patient/{id}"}}}}"#
            ));
        }
        for nth in 0..OF_EACH {
            for id in &patients {
                self.observation(id, nth);
            }
            for part in 0..OF_BIG / OF_EACH {
                self.observation("big", OF_EACH + nth * OF_BIG + part);
            }
        }
    }

    fn observation(&mut self, patient: &str, nth: usize) {
        let code = if nth.is_multiple_of(3) {
            "rare"
        } else {
            "common"
        };
        self.put(&format!(
            r#"{{"resourceType":"Observation","id":"o-{patient}-{nth}","status":"final","code":{{"coding":[{{"code":"{code}"}}]}},"subject":{{"reference":"Patient/{patient}"}},"effectiveDateTime":"2026-{:02}-{:02}"}}"#,
            1 + nth % 12,
            1 + nth % 28,
        ));
    }

    fn put(&mut self, body: &str) {
        let doc = Doc::parse(body).unwrap();
        let name = doc.resource_type().unwrap();
        let kind = ResourceType::from_name(name).unwrap();
        let id = doc.root().get("id").unwrap().plain_str().unwrap();
        let place = match self.next.iter().position(|(known, _)| *known == kind) {
            Some(at) => at,
            None => {
                self.next.push((kind, kind.number() << 44));
                self.next.len() - 1
            }
        };
        self.next[place].1 += 1;
        let rid = self.next[place].1;
        self.vid += 1;
        let run = |text, values: &[&dyn rusqlite::ToSql]| {
            let mut statement = self.connection.prepare_cached(text).unwrap();
            statement.execute(values).unwrap();
        };
        run(
            "INSERT INTO resource VALUES (?1, ?2, ?3, 1, ?4, ?4, 0)",
            params![rid, kind.number(), id, self.vid],
        );
        run(
            "INSERT INTO version VALUES (?1, ?2, 1, ?1, 0, ?3, ?4)",
            params![self.vid, rid, hash::of(body).to_vec(), text::pack(body)],
        );
        for entry in Registry::builtin().rows(kind, &doc, BASE) {
            run(
                "INSERT INTO entry VALUES (?1, ?2, ?3)",
                params![entry.param.0, entry.key, rid],
            );
        }
    }

    /// Steps that `work` takes, and what it gives.
    fn measured<T>(&self, work: impl FnOnce(&mut Handle<'_>) -> T) -> (usize, T) {
        let before = self.steps.load(Ordering::Relaxed);
        let done = work(&mut Handle(&self.connection));
        let after = self.steps.load(Ordering::Relaxed);
        ((after - before) * GRAIN as usize, done)
    }

    /// Steps of a search, hits, total.
    fn search(&self, query: &str, access: &Access) -> (usize, usize, Option<u64>) {
        let (name, query) = query.split_once('?').unwrap_or((query, ""));
        let scope = match name {
            "" => Scope::System,
            name => Scope::Type(ResourceType::from_name(name).unwrap()),
        };
        let request = Request {
            scope,
            params: &decode(query),
            strict: true,
            base_url: BASE,
            now: 0,
        };
        let query = search::parse(&request, &Registry::builtin(), &SearchLimits::default());
        let mut plan = query.unwrap().plan(&Resolved::none()).unwrap();
        plan.limit = 10;
        let view = View::new(access, Registry::builtin());
        let (steps, page) = self.measured(|session| {
            now(super::search(session, &plan, &view, (CAP, usize::MAX))).unwrap()
        });
        (steps, page.hits.len(), page.total.map(|(total, _)| total))
    }

    /// Steps of the first page of a history, versions.
    fn history(&self, kind: Option<&str>, access: &Access) -> (usize, usize) {
        let filter = LogFilter {
            kind: kind.map(|name| ResourceType::from_name(name).unwrap()),
            since: Some(1),
            ..LogFilter::default()
        };
        let view = View::new(access, Registry::builtin());
        let (steps, (found, _)) =
            self.measured(|session| now(versions(session, &filter, 10, (&view, CAP))).unwrap());
        (steps, found.len())
    }
}

fn access(patient: Option<&str>, relation: Option<Relation>) -> Access {
    let rule = Rule {
        kind: None,
        rights: Rights::of(&[Right::Read, Right::Search]),
        patients: patient.map(str::to_owned).into_iter().collect(),
        constraints: Vec::new(),
        relation,
        own: false,
    };
    Access::granted(Arc::new(Grants::new(vec![rule], Vec::new()))).to(Right::Search)
}

const SEARCHES: &str = "
Observation
Observation?code=common
Observation?code=common&_sort=-date
Observation?code=none
Observation?code=none&_sort=date
Observation?_sort=-date
Observation?_sort=-_lastUpdated
Observation?date=ge2026-06-01
Observation?status=final&code=rare&_sort=date
Observation?_total=accurate
Observation?code=common&_total=accurate
Observation?subject:Patient.family=F1
Observation?subject:Patient.name=F&code=rare
Patient
Patient?name=F
Patient?_has:Observation:patient:code=common
Encounter
Encounter?subject:Patient.family=F1&_sort=-date
?_type=Patient,Observation,Encounter
";

#[tokio::test]
async fn what_little_somebody_sees_costs_the_same_whatever_others_have() {
    let [small, large] = [World::new(OTHERS[0]).await, World::new(OTHERS[1]).await];
    let mut wrong = Vec::new();
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let orders = [("category", "lab"), ("status", "active,completed")].map(pair);
    let lab = Relation::Order {
        kind: ResourceType::from_name("ServiceRequest").unwrap(),
        constraints: orders.to_vec(),
    };
    let care = Relation::Care("Practitioner/d".to_owned());
    // They see the same patients.
    let [d, of_lab] = [care, lab].map(|relation| access(None, Some(relation)));
    for query in ["Patient?_total=accurate", "Observation?_total=accurate"] {
        let [care, orders] = [&d, &of_lab].map(|access| large.search(query, access));
        assert_eq!((care.1, care.2), (orders.1, orders.2), "{query}");
    }
    for (who, access, most) in [
        ("a", access(Some("a"), None), 1.2),
        ("big", access(Some("big"), None), 3.0),
        ("d", d, 3.0),
        ("lab", of_lab, 3.0),
    ] {
        let mut check = |what: &str, few: (usize, usize), many: (usize, usize)| {
            let grown = many.0 as f64 / few.0.max(5_000) as f64;
            if grown > most || few.1 != many.1 {
                wrong.push(format!("{who} {what}: {few:?} became {many:?}"));
            }
        };
        for query in SEARCHES.lines().filter(|line| !line.is_empty()) {
            let [few, many] = [&small, &large].map(|world| world.search(query, &access));
            assert_eq!(few.2, many.2, "{who} {query}");
            check(query, (few.0, few.1), (many.0, many.1));
        }
        for kind in [
            None,
            Some("Observation"),
            Some("Patient"),
            Some("Encounter"),
        ] {
            let [few, many] = [&small, &large].map(|world| world.history(kind, &access));
            assert!(few.1 > 0, "{who} {kind:?}");
            check(&format!("{kind:?}/_history"), few, many);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
