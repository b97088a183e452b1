//! A server of a test's own, on a database of its own.

use std::{net::SocketAddr, sync::Arc};

use rotunda::{
    auth::{self, Auth, sealed::MasterKey},
    clock::SystemClock,
    engine::{Engine, Settings},
    http::{self, Connections},
    store::{self, Store},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::support;

/// Where the resources are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Settings that differ from the defaults.
#[derive(Clone, Default)]
pub struct Options {
    pub engine: Settings,
    pub http: http::Settings,
    /// Nobody is let in without a token.
    pub closed: bool,
}

impl Options {
    /// Sets one by its name; bounds by theirs.
    pub fn set(&mut self, key: &str, value: &str) {
        let flag = || value.parse().expect("true or false");
        match key {
            "update_create" => self.engine.update_create = flag(),
            "conditional_delete_multiple" => self.engine.conditional_delete_multiple = flag(),
            "lenient_search" => self.http.lenient_search = flag(),
            "open" => self.http.open = flag(),
            "explain" => self.http.explain = flag(),
            "cors" => self.http.cors_origins.push(value.to_owned()),
            "base_url" => self.engine.base_url = value.to_owned(),
            bound => {
                let mut limits = serde_json::to_value(&self.engine.limits).unwrap();
                let old = limits
                    .get_mut(bound)
                    .unwrap_or_else(|| panic!("no setting {bound}"));
                *old = Value::from(value.parse::<u64>().unwrap());
                self.engine.limits = serde_json::from_value(limits).unwrap();
            }
        }
    }
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    /// The FHIR base URL.
    pub base: String,
    pub engine: Arc<Engine>,
    /// Who is let in, if not everybody.
    #[allow(dead_code, reason = "only the attacks make tokens")]
    pub auth: Option<Arc<Auth>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<usize>,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    pub async fn start(database: Database, mut options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        if options.engine.base_url == Settings::default().base_url {
            options.engine.base_url = format!("http://{address}/fhir");
        }
        let base = options.engine.base_url.clone();
        let bounds = Connections::from(&options.engine.limits);
        let (url, folder) = new_database(database).await;
        let store = Store::open(&url, &store::Options::default()).await.unwrap();
        let store = Arc::new(store);
        let clock = Arc::new(SystemClock::default());
        let engine = Engine::open(Arc::clone(&store), options.engine, clock)
            .await
            .unwrap();
        let auth = match options.closed {
            true => Some(Arc::new(authorization(&engine, store).await)),
            false => None,
        };
        options.http.auth = auth.clone();
        let router = http::router(engine.clone(), options.http);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(http::serve(listener, router, bounds, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            base,
            engine,
            auth,
            stop,
            running,
            _folder: folder,
        }
    }

    /// A server with the default settings.
    pub async fn plain(database: Database) -> Self {
        Self::start(database, Options::default()).await
    }

    /// Scheme and authority, as links begin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops it, and gives the number of connections that had to be cut off.
    pub async fn stop(self) -> usize {
        let _ = self.stop.send(());
        self.running.await.unwrap()
    }
}

/// Both databases.
pub const DATABASES: [Database; 2] = [Database::Sqlite, Database::Postgres];

async fn authorization(engine: &Arc<Engine>, store: Arc<Store>) -> Auth {
    let base_url = &engine.settings().base_url;
    let settings = auth::Settings {
        issuer: base_url.trim_end_matches("/fhir").to_owned(),
        base_url: base_url.clone(),
        user_token_seconds: 3_600,
        backend_token_seconds: 300,
        offline_days: 90,
        ..auth::Settings::default()
    };
    let clock = Arc::new(SystemClock::default());
    let folder = tempfile::tempdir().unwrap();
    let master = MasterKey::from_file(&folder.path().join("key"), true).unwrap();
    Auth::open(settings, store, Arc::clone(engine), clock, master)
        .await
        .unwrap()
}

async fn new_database(database: Database) -> (String, Option<tempfile::TempDir>) {
    match database {
        Database::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("store.db").display());
            (url, Some(folder))
        }
        Database::Postgres => (support::postgres::database().await, None),
    }
}
