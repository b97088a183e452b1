//! An engine over an empty store in a folder of its own, and short ways to use it.

use std::sync::Arc;

use resources::{Doc, model::ResourceType};
use rotunda::{
    access::Access,
    clock::ManualClock,
    engine::{
        BundleOptions, Done, Engine, Error, HistoryRequest, HistoryScope, Operation, Resource,
        Return, Scope, SearchRequest, Settings, Target,
    },
    search::decode,
    store::{Options, Store},
    upkeep::{self, Rules},
};

/// Makes two tests of each function.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fixture::Database::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fixture::Database::Postgres).await;
            })+
        }
    };
}

pub const ALL: Access = Access::system("tests");
/// How response Bundles are wanted.
pub const OPTIONS: BundleOptions = BundleOptions {
    prefer: Return::Minimal,
    strict: true,
};
/// 2026-11-20T00:00:00Z
pub const START: i64 = 1_795_132_800_000;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy)]
pub enum Database {
    Sqlite,
    Postgres,
}

pub struct Fixture {
    pub database: Database,
    pub engine: Arc<Engine>,
    pub store: Arc<Store>,
    pub clock: Arc<ManualClock>,
    /// The address of the database.
    pub url: String,
    /// Where an SQLite database is; gone with the fixture.
    #[allow(dead_code, reason = "it is only held")]
    pub folder: Arc<tempfile::TempDir>,
}

pub fn doc(text: &str) -> Doc {
    Doc::parse(text).unwrap()
}

pub fn kind(name: &str) -> ResourceType {
    ResourceType::from_name(name).unwrap()
}

impl Fixture {
    pub async fn new(database: Database) -> Self {
        Self::with(database, |_| {}).await
    }

    pub async fn with(database: Database, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let url = match database {
            Database::Sqlite => format!("sqlite:{}", folder.path().join("engine.db").display()),
            Database::Postgres => crate::support::postgres::database().await,
        };
        let store = Store::open(&url, &Options::default()).await.unwrap();
        let store = Arc::new(store);
        let clock = Arc::new(ManualClock::at(START));
        let mut settings = Settings {
            base_url: "http://h/fhir".to_owned(),
            ..Settings::default()
        };
        change(&mut settings);
        let engine = Engine::open(store.clone(), settings, clock.clone())
            .await
            .unwrap();
        Self {
            database,
            engine,
            store,
            clock,
            url,
            folder,
        }
    }

    /// A second node on the same database. An SQLite file has one store at a time.
    pub async fn beside(&self) -> Self {
        let store = match self.database {
            Database::Sqlite => Arc::clone(&self.store),
            Database::Postgres => {
                Arc::new(Store::open(&self.url, &Options::default()).await.unwrap())
            }
        };
        let settings = self.engine.settings().clone();
        let engine = Engine::open(store.clone(), settings, self.clock.clone())
            .await
            .unwrap();
        Self {
            database: self.database,
            url: self.url.clone(),
            engine,
            store,
            clock: self.clock.clone(),
            folder: self.folder.clone(),
        }
    }

    /// What `verify` finds wrong.
    pub async fn differences(&self) -> Vec<String> {
        let (registry, generation) = self.engine.search_parameters();
        let rules = Rules {
            registry,
            generation,
            base_url: &self.engine.settings().base_url,
        };
        let mut told = Vec::new();
        let looked = upkeep::verify(&self.store, &rules, |sentence| told.push(sentence)).await;
        assert_eq!(looked.unwrap().different as usize, told.len());
        told
    }

    pub async fn one(&self, operation: Operation) -> Result<Done, Error> {
        self.one_as(operation, &ALL).await
    }

    pub async fn one_as(&self, operation: Operation, access: &Access) -> Result<Done, Error> {
        let mut done = self.engine.submit(vec![operation], access).await?;
        assert_eq!(done.len(), 1);
        Ok(done.remove(0))
    }

    /// PUT of a resource under its own id.
    pub async fn put(&self, text: &str) -> Resource {
        self.one(put(text)).await.unwrap().resource.unwrap()
    }

    pub async fn read(&self, kind_name: &str, id: &str) -> Result<Resource, Error> {
        self.engine.read(kind(kind_name), id, &ALL).await
    }

    /// A search by text, such as `Patient?name=a`.
    pub async fn search(&self, text: &str) -> Result<Doc, Error> {
        self.search_as(text, &ALL).await
    }

    pub async fn search_as(&self, text: &str, access: &Access) -> Result<Doc, Error> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let scope = match parts[..] {
            [] => Scope::System,
            [name] => Scope::Type(kind(name)),
            [name, id, member] => Scope::Compartment {
                kind: kind(name),
                id: id.to_owned(),
                member: (member != "*").then(|| kind(member)),
            },
            _ => panic!("{path}"),
        };
        let request = SearchRequest {
            scope,
            params: decode(query),
            strict: true,
            explain: false,
        };
        let text = self.engine.search(&request, access).await?;
        Ok(doc(&text))
    }

    /// The `Type/id` of a search's hits and includes, sorted.
    pub async fn found(&self, text: &str) -> Vec<String> {
        let mut found = identities(&self.search(text).await.unwrap());
        found.sort();
        found
    }

    pub async fn history(&self, scope: HistoryScope, query: &str) -> Result<Doc, Error> {
        let request = HistoryRequest {
            scope,
            params: decode(query),
            strict: true,
        };
        let text = self.engine.history(&request, &ALL).await?;
        Ok(doc(&text))
    }

    pub async fn bundle(&self, text: &str) -> Result<Doc, Error> {
        let text = self.engine.bundle(doc(text), &OPTIONS, &ALL).await?;
        Ok(doc(&text))
    }
}

/// PUT of a resource under its own id.
pub fn put(text: &str) -> Operation {
    let body = doc(text);
    let name = body.resource_type().unwrap();
    let id = body.root().get("id").unwrap().plain_str().unwrap();
    Operation::Update {
        kind: kind(name),
        target: Target::Id(id.to_owned()),
        if_match: None,
        if_none_match_any: false,
        body,
    }
}

pub fn create(text: &str, if_none_exist: Option<&str>) -> Operation {
    let body = doc(text);
    Operation::Create {
        kind: kind(body.resource_type().unwrap()),
        body,
        if_none_exist: if_none_exist.map(str::to_owned),
    }
}

pub fn delete(kind_name: &str, target: Target) -> Operation {
    Operation::Delete {
        kind: kind(kind_name),
        target,
        if_match: None,
    }
}

/// The entries of a Bundle.
pub fn entries(bundle: &Doc) -> Vec<resources::Value<'_>> {
    let entries = bundle.root().get("entry");
    entries.into_iter().flat_map(|all| all.items()).collect()
}

/// A string somewhere below: `at(entry, "response.status")`.
pub fn at(value: resources::Value<'_>, path: &str) -> String {
    let mut value = value;
    for name in path.split('.') {
        value = match (value.get(name), name.parse::<usize>()) {
            (Some(member), _) => member,
            (None, Ok(place)) => value.items().nth(place).unwrap(),
            (None, Err(_)) => panic!("no {name} in {}", value.raw()),
        };
    }
    value
        .as_str()
        .map_or_else(|| value.raw().to_owned(), |text| text.into_owned())
}

pub fn identities(bundle: &Doc) -> Vec<String> {
    entries(bundle)
        .into_iter()
        .filter_map(|entry| entry.get("resource"))
        .filter(|resource| at(*resource, "resourceType") != "OperationOutcome")
        .map(|resource| format!("{}/{}", at(resource, "resourceType"), at(resource, "id")))
        .collect()
}

/// The link with this relation.
pub fn link(bundle: &Doc, relation: &str) -> Option<String> {
    let links = bundle.root().get("link")?;
    links
        .items()
        .find(|link| at(*link, "relation") == relation)
        .map(|link| at(link, "url"))
}

/// The link without the base.
pub fn relative(url: &str) -> String {
    url.strip_prefix("http://h/fhir/").unwrap().to_owned()
}
