//! Configuration -> a running server: the one place that knows every module.

mod audit;
mod booking;
mod demo;
mod federated;
mod hl7;
mod identity;
pub mod log;
mod mail;
mod outbound;
mod risk;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinError, JoinHandle, JoinSet},
};

use crate::{
    audit::{AnchorError, Sealer},
    auth::{self, Auth, AuthError, manage::First},
    clock::SystemClock,
    config::{self, Config, ConfigError, without_password},
    engine::{self, Engine},
    fetch::FetchError,
    hl7::{Pump, outbound::Outbound},
    http,
    import::ImportError,
    mail::MailError,
    store::{self, Store, StoreError},
};

pub use demo::identity::Cast;
pub use hl7::channels;
pub use risk::risks;

/// What an engine is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Requests of clients.
    Serve,
    /// An import, for which an update without change is none.
    Import,
    /// The schema, made or brought up to date.
    Migrate,
    /// Work on a store that is there: a mistyped address must not make another.
    Maintain,
    /// Users, clients, roles and tokens, while a server may run on the store.
    Manage,
}

/// Why a server could not start, run or stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The filter of the log cannot be read.
    #[error("log.filter '{0}' is not a filter: {1}")]
    LogFilter(String, String),
    /// The database cannot be opened.
    #[error("cannot open {0}: {1}")]
    Open(String, StoreError),
    /// The database failed after it was opened.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The audit cannot be sealed or anchored.
    #[error("{0}")]
    Audit(#[from] AnchorError),
    /// The engine refuses what it finds in the store.
    #[error("{0}")]
    Engine(#[from] engine::Error),
    /// Certificate or key cannot be used.
    #[error("{0}")]
    Tls(#[from] http::TlsError),
    /// The authorization server cannot be opened.
    #[error("the authorization server cannot start: {0}")]
    Auth(#[from] AuthError),
    /// Mail cannot be set up.
    #[error("{0}")]
    Mail(#[from] MailError),
    /// Nothing can be fetched from others.
    #[error("the settings of fetch make no sense: {0}")]
    Fetch(#[from] FetchError),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}; {advice}", advice = advice(.1))]
    Listen(SocketAddr, io::Error),
    /// Messages cannot be sent as it is configured.
    #[error("hl7.destinations: {0}")]
    Outbound(String),
    /// The demo hospital could not be loaded.
    #[error("the demo hospital cannot be loaded: {0}")]
    Demo(#[from] ImportError),
    /// A resource of the demo hospital was refused.
    #[error("the demo hospital is not accepted: {0}")]
    DemoRejected(String),
}

/// What to do about an address.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop what uses it, or choose another port (0: any free one)",
        io::ErrorKind::PermissionDenied => "choose a port from 1024 up",
        io::ErrorKind::AddrNotAvailable => "choose an address of this computer",
        _ => "choose another address",
    }
}

/// Opens the store that is configured.
///
/// # Errors
/// It is not there, of another version, or refuses.
pub async fn open_store(config: &Config, purpose: Purpose) -> Result<Store, StartError> {
    let options = store::Options {
        connections: config.store.connections as usize,
        query_time: config.limits.query_time(),
        queue_commits: config.limits.commit_queue,
        create: !matches!(purpose, Purpose::Maintain | Purpose::Manage),
        beside: purpose == Purpose::Manage,
        ..store::Options::default()
    };
    let url = config.store_url()?;
    Store::open(&url, &options)
        .await
        .map_err(|error| StartError::Open(without_password(&url), error))
}

/// Opens the store that is configured, and an engine on it.
///
/// # Errors
/// As [`open_store`].
pub async fn open(
    config: &Config,
    purpose: Purpose,
) -> Result<(Arc<Store>, Arc<Engine>), StartError> {
    let base_url = config.http.base_url_at(config.http.listen, http::BASE_PATH);
    open_at(config, purpose, base_url).await
}

async fn open_at(
    config: &Config,
    purpose: Purpose,
    base_url: String,
) -> Result<(Arc<Store>, Arc<Engine>), StartError> {
    let store = Arc::new(open_store(config, purpose).await?);
    let settings = engine::Settings {
        base_url: base_url.trim_end_matches('/').to_owned(),
        update_create: config.rest.update_create || purpose == Purpose::Import,
        conditional_delete_multiple: config.rest.conditional_delete_multiple,
        skip_unchanged_updates: purpose == Purpose::Import,
        limits: config.limits.clone(),
        // An unknown name was refused when the configuration was read.
        time_zone: config.scheduling.zone().unwrap_or(jiff::tz::TimeZone::UTC),
        holds_per_patient: config.scheduling.holds_per_patient,
    };
    let clock = Arc::new(SystemClock::default());
    let engine = Engine::open(Arc::clone(&store), settings, clock).await?;
    Ok((store, engine))
}

/// A server that listens.
pub struct Server {
    base_url: String,
    address: SocketAddr,
    admin: SocketAddr,
    store: Arc<Store>,
    engine: Arc<Engine>,
    auth: Option<Arc<Auth>>,
    sealer: Arc<Sealer>,
    stop: watch::Sender<bool>,
    listeners: [JoinHandle<usize>; 2],
    hl7: Option<hl7::Running>,
    outbound: Option<Outbound>,
    /// Ends with the server.
    _upkeep: JoinSet<()>,
}

impl Server {
    /// Opens the store and listens on both addresses.
    ///
    /// # Errors
    /// The configuration would expose it, the store cannot be opened, or an address is taken.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        config.check()?;
        let tls = tls(config)?.map(Arc::new);
        let fhir = listen(config.http.listen).await?;
        let admin = listen(config.http.admin_listen).await?;
        let address = local(&fhir, config.http.listen)?;
        let admin_address = local(&admin, config.http.admin_listen)?;
        let base_url = config.http.base_url_at(address, http::BASE_PATH);
        // A second server in the same process (in tests) keeps no metrics.
        let metrics = http::Metrics::install().ok();
        let (store, engine) = open_at(config, Purpose::Serve, base_url.clone()).await?;
        let sealer = audit::start(config, &store)?;
        let auth = match config.http.open {
            true => None,
            false => Some(Arc::new(
                identity::open(config, &base_url, &store, &engine).await?,
            )),
        };
        let settings = http::Settings {
            auth: auth.clone(),
            mailer: mail::start(config)?,
            cors_origins: config.http.cors_origins.clone(),
            lenient_search: config.rest.lenient_search,
            open: config.http.open,
            explain: config.http.open,
            proxies: proxies(&config.http),
        };
        let (stop, stopped) = watch::channel(false);
        let bounds = http::Connections::from(&config.limits);
        let serve = |listener, tls, router| {
            let mut stopped = stopped.clone();
            let stopped = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            let bounds = bounds.clone();
            tokio::spawn(http::serve_with(listener, tls, router, bounds, stopped))
        };
        let mut upkeep = JoinSet::new();
        if let Some(tls) = &tls {
            upkeep.spawn(Arc::clone(tls).keep_current());
        }
        if let Some(auth) = &auth {
            upkeep.spawn(auth::upkeep::tend(Arc::downgrade(auth)));
        }
        upkeep.spawn(booking::tidy(
            Arc::downgrade(&engine),
            config.scheduling.clone(),
        ));
        upkeep.spawn(booking::tend(Arc::downgrade(&engine)));
        let outbound = outbound::start(config, &engine).await?;
        let hl7 = hl7::start(config, &engine, &mut upkeep).await?;
        let listeners = [
            serve(fhir, tls, http::router(Arc::clone(&engine), settings)),
            serve(
                admin,
                None,
                http::admin_router(Arc::clone(&engine), metrics, health(config)),
            ),
        ];
        Ok(Self {
            base_url,
            address,
            admin: admin_address,
            store,
            engine,
            auth,
            sealer,
            stop,
            listeners,
            hl7,
            outbound,
            _upkeep: upkeep,
        })
    }

    /// The FHIR base URL.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The authorization server; none while the server is open.
    pub fn auth(&self) -> Option<&Arc<Auth>> {
        self.auth.as_ref()
    }

    /// Makes the first administrator if there is no user at all, and gives their one-time
    /// password, which is kept nowhere.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn first_administrator(&self) -> Result<Option<First>, StartError> {
        match &self.auth {
            None => Ok(None),
            Some(auth) => Ok(auth.management().first_administrator().await?),
        }
    }

    /// Where the FHIR API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics listen.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Where HL7 messages are received.
    pub fn mllp_addresses(&self) -> &[SocketAddr] {
        self.hl7.as_ref().map_or(&[], |running| &running.addresses)
    }

    /// What receives HL7 messages, if anything does.
    pub fn pump(&self) -> Option<&Arc<Pump>> {
        self.hl7.as_ref().map(|running| &running.pump)
    }

    /// Loads the demo hospital, unless it was loaded before.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn load_demo(&self) -> Result<(), StartError> {
        demo::load(&self.engine, &self.store).await
    }

    /// Makes the demo hospital's users and clients, or gives them new passwords, secrets and keys;
    /// none while the server is open.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn demo_cast(&self) -> Result<Option<Cast>, StartError> {
        match &self.auth {
            None => Ok(None),
            Some(auth) => Ok(Some(demo::identity::cast(&self.engine, auth).await?)),
        }
    }

    /// Takes no more requests, finishes those in flight, and closes the store. When `hurry` is
    /// done, what is still in flight is cut off; writes that have begun end all the same.
    ///
    /// # Errors
    /// None at present; what was cut off is logged.
    pub async fn stop(self, hurry: impl Future<Output = ()>) -> Result<(), StartError> {
        let _ = self.stop.send(true);
        let mut listeners: Vec<AbortHandle> = self
            .listeners
            .iter()
            .map(JoinHandle::abort_handle)
            .collect();
        let mut pump = None;
        let mut mllp = Vec::new();
        if let Some(running) = self.hl7 {
            running.pump.stop();
            listeners.extend(running.listeners.iter().map(JoinHandle::abort_handle));
            (pump, mllp) = (Some(running.pump), running.listeners);
        }
        let mut finish = pin!(async {
            for listener in self.listeners.into_iter().chain(mllp) {
                report(listener.await);
            }
        });
        tokio::select! {
            () = &mut finish => {}
            () = hurry => {
                // Their connections end with them.
                listeners.iter().for_each(AbortHandle::abort);
                finish.await;
            }
        }
        if let Some(outbound) = self.outbound {
            outbound.stop().await;
        }
        if let Some(pump) = pump {
            let left = pump.drain().await;
            if left > 0 {
                tracing::warn!(left, "HL7 messages were still being worked on at shutdown");
            }
        }
        if let Err(error) = self.engine.recorder().flush().await {
            tracing::error!(%error, "the last events of the audit could not be written");
        }
        if let Err(error) = self.sealer.seal_all().await {
            tracing::error!(%error, "the audit could not be sealed to its end");
        }
        if let Some(auth) = &self.auth
            && let Err(error) = auth.keep_time().await
        {
            tracing::error!(%error, "the time at the end could not be kept");
        }
        drop(self.sealer);
        drop(self.auth);
        drop(self.engine);
        close(self.store).await;
        Ok(())
    }
}

/// Says in the log how a listener ended.
fn report(ended: Result<usize, JoinError>) {
    match ended {
        Ok(0) => {}
        Ok(open) => tracing::warn!(open, "connections were cut off at shutdown"),
        Err(error) if error.is_cancelled() => {
            tracing::warn!("shutdown did not wait for the requests in flight");
        }
        Err(error) => tracing::error!(%error, "a listener broke down"),
    }
}

/// Closes a store when its last other user is gone.
pub async fn close(store: Arc<Store>) {
    const WAIT: Duration = Duration::from_millis(10);
    let mut store = store;
    for _ in 0..200 {
        match Arc::try_unwrap(store) {
            Ok(alone) => return alone.close().await,
            Err(shared) => store = shared,
        }
        tokio::time::sleep(WAIT).await;
    }
    tracing::warn!("the store is still in use at shutdown; what was acknowledged is durable");
}

/// What `/health` says of the configuration.
fn health(config: &Config) -> http::Health {
    let is_sqlite = config
        .store_url()
        .is_ok_and(|url| url.starts_with("sqlite:"));
    http::Health {
        open: config.http.open,
        tls: config.http.tls.is_some(),
        behind_proxy: config.http.behind_proxy,
        store: if is_sqlite { "sqlite" } else { "postgresql" },
        warnings: risks(config),
    }
}

/// What the HTTP side has to know of the proxies in front.
fn proxies(listeners: &config::Http) -> http::Proxies {
    http::Proxies {
        networks: listeners.proxies.clone(),
        header: match listeners.client_header {
            config::ClientHeader::XForwardedFor => http::ClientHeader::XForwardedFor,
            config::ClientHeader::Forwarded => http::ClientHeader::Forwarded,
        },
        only: listeners.behind_proxy && listeners.tls.is_none(),
    }
}

/// What the FHIR API's connections are secured with, if they are.
///
/// # Errors
/// Certificate or key cannot be used.
pub fn tls(config: &Config) -> Result<Option<http::Tls>, StartError> {
    let Some(files) = config.http.tls.clone() else {
        return Ok(None);
    };
    let files = http::TlsFiles {
        certificate: files.certificate,
        key: files.key,
    };
    Ok(Some(http::Tls::load(files)?))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen(address, error))
}

fn local(listener: &TcpListener, wanted: SocketAddr) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|error| StartError::Listen(wanted, error))
}
