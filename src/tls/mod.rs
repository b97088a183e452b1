//! TLS: a certificate and its key from files, kept current while connections go on; for
//! HTTP and for HL7, where clients have certificates too.

mod farewell;
mod files;
mod handshake;
mod outgoing;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{self, Ticketer},
    version::{TLS12, TLS13},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

pub use farewell::farewell;
pub use files::{TlsError, TlsFiles};
pub use handshake::Handshakes;
pub use outgoing::Outgoing;

use files::Stamp;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What connections are secured with.
pub struct Tls {
    files: TlsFiles,
    clients: Option<PathBuf>,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// They cannot be read, are no PEM, or do not belong together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(server_config(&files, None)?);
        Ok(Self {
            files,
            clients: None,
            current,
        })
    }

    /// Reads certificate and key, and, as PEM, the authorities of whose certificates each client
    /// must have one.
    ///
    /// # Errors
    /// They cannot be read, are no PEM, or do not belong together.
    pub fn load_with_clients(files: TlsFiles, clients: PathBuf) -> Result<Self, TlsError> {
        let config = server_config(&files, Some(&clients)).map_err(|error| TlsError {
            section: "hl7.listeners",
            ..error
        })?;
        let current = ArcSwap::from_pointee(config);
        Ok(Self {
            files,
            clients: Some(clients),
            current,
        })
    }

    /// Reads the files again, for connections from now on; those that are open stay. If the files
    /// are not good, what was read before stays.
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = server_config(&self.files, self.clients.as_deref())?;
        self.current.store(Arc::new(fresh));
        Ok(())
    }

    /// Reloads when a file has changed, or SIGHUP has come. Never done.
    pub async fn keep_current(self: Arc<Self>) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut loaded = self.files.stamp();
        let mut complained_of = None;
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                () = next(&mut hangup) => true,
            };
            let this = Arc::clone(&self);
            let look = move || this.look(asked, loaded, complained_of);
            // Files may lie on a slow disk.
            if let Ok(seen) = tokio::task::spawn_blocking(look).await {
                (loaded, complained_of) = seen;
            }
        }
    }

    /// Reloads if it was asked for or the files are not those that were loaded. Files that are
    /// not good are tried each time, since they may be half written, and complained of once.
    fn look(
        &self,
        asked: bool,
        loaded: Stamp,
        complained_of: Option<Stamp>,
    ) -> (Stamp, Option<Stamp>) {
        let found = self.files.stamp();
        if found == loaded && !asked {
            return (loaded, complained_of);
        }
        match self.reload() {
            Ok(()) => {
                tracing::info!("the TLS certificate was read anew");
                (found, None)
            }
            Err(error) => {
                if asked || complained_of != Some(found) {
                    tracing::error!(%error, "the TLS certificate of before stays in use");
                }
                (loaded, Some(found))
            }
        }
    }

    /// What is in force for new connections.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

/// The next SIGHUP; never, if none can be heard.
async fn next(hangup: &mut Option<tokio::signal::unix::Signal>) {
    let heard = match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending().await
    }
}

/// TLS 1.3, or 1.2 for those who know no better; HTTP/1.1 where clients need no certificate; no early data, which could be replayed.
/// Tickets end with the certificate.
fn server_config(files: &TlsFiles, clients: Option<&Path>) -> Result<ServerConfig, TlsError> {
    let (chain, key) = files.read()?;
    let refuse = |error: rustls::Error| files.mismatch(&error);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(refuse)?;
    let mut config = match clients {
        None => {
            let mut config = builder
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .map_err(refuse)?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            config
        }
        Some(path) => builder
            .with_client_cert_verifier(files::verifier(path, provider)?)
            .with_single_cert(chain, key)
            .map_err(refuse)?,
    };
    config.ticketer = Ticketer::new().map_err(refuse)?;
    Ok(config)
}
