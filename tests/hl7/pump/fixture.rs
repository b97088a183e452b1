//! A pump with a listener over an empty store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rotunda::{
    clock::SystemClock,
    engine::{Engine, MessageFilter, MessageState, Settings as EngineSettings, StoredMessage},
    hl7::{Bounds, Channel, Listener, Pump, Settings},
    store::{Options, Store},
    tls::Tls,
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::fixture::Database;

pub struct Home {
    pub url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Home {
    /// A database that somebody else keeps.
    pub fn of(url: String) -> Self {
        Self { url, _folder: None }
    }
}

/// A new, empty database.
pub async fn home(database: Database) -> Home {
    match database {
        Database::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            Home {
                url: format!("sqlite:{}", folder.path().join("store.db").display()),
                _folder: Some(folder),
            }
        }
        Database::Postgres => Home {
            url: crate::support::postgres::database().await,
            _folder: None,
        },
    }
}

pub struct Plan {
    pub channels: Vec<Channel>,
    pub tls: Option<Arc<Tls>>,
    pub commits: bool,
    pub settings: Settings,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            channels: vec![Channel::default()],
            tls: None,
            commits: false,
            settings: Settings {
                bounds: Bounds {
                    connections: 100,
                    frame: 1 << 20,
                    buffered: 64 << 20,
                    idle: Duration::from_secs(60),
                    frame_time: Duration::from_secs(20),
                    pipelined: 64,
                },
                held: 20_000,
                parallel: 16,
                shutdown: Duration::from_secs(10),
            },
        }
    }
}

impl Plan {
    pub fn channel(channel: Channel) -> Self {
        Self {
            channels: vec![channel],
            ..Self::default()
        }
    }
}

pub struct Fixture {
    pub engine: Arc<Engine>,
    pub store: Arc<Store>,
    pub pump: Pump,
    pub address: SocketAddr,
    listener: JoinHandle<usize>,
    home: Home,
}

pub async fn open(url: &str) -> (Arc<Store>, Arc<Engine>) {
    let store = Arc::new(Store::open(url, &Options::default()).await.unwrap());
    let clock = Arc::new(SystemClock::default());
    let engine = Engine::open(Arc::clone(&store), EngineSettings::default(), clock);
    (store, engine.await.unwrap())
}

impl Fixture {
    pub async fn new(database: Database, plan: Plan) -> Self {
        Self::at(home(database).await, plan).await
    }

    pub async fn at(home: Home, plan: Plan) -> Self {
        let (store, engine) = open(&home.url).await;
        let channels: Vec<Arc<Channel>> = plan.channels.into_iter().map(Arc::new).collect();
        let pump = Pump::start(Arc::clone(&engine), &channels, plan.settings);
        let pump = pump.await.unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = pump.listen(Listener {
            socket,
            tls: plan.tls,
            peers: Vec::new(),
            channels,
            commits: plan.commits,
            tolerant: true,
        });
        Self {
            engine,
            store,
            pump,
            address,
            listener,
            home,
        }
    }

    /// Stops as a server does, and gives what may be opened again.
    pub async fn stop(self) -> Home {
        self.pump.stop();
        assert_eq!(self.listener.await.unwrap(), 0);
        assert_eq!(self.pump.drain().await, 0);
        drop((self.pump, self.engine));
        rotunda::server::close(self.store).await;
        self.home
    }

    /// All messages, in the order in which they came.
    pub async fn messages(&self) -> Vec<StoredMessage> {
        let filter = MessageFilter::default();
        let mut all = self
            .engine
            .message_desk()
            .messages(&filter, 100_000)
            .await
            .unwrap();
        all.reverse();
        all
    }

    /// All messages, when none waits any more.
    pub async fn settled(&self) -> Vec<StoredMessage> {
        for _ in 0..3_000 {
            let counts = self.engine.message_desk().message_counts().await.unwrap();
            if counts
                .iter()
                .all(|(state, _)| *state != MessageState::Waiting)
            {
                return self.messages().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("messages wait for ever");
    }
}
