//! `rotunda serve`.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Settings, announce, check};
use crate::{
    config::{Config, Hl7Listener, LogFormat, address, without_password},
    server::{self, Server},
};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Address of the FHIR API; port 0 takes a free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Address of health and metrics [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin_listen: Option<SocketAddr>,
    /// Receive HL7 v2 messages (MLLP) on this address, without TLS; loopback only; port 0 takes a
    /// free port
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    mllp: Option<SocketAddr>,
    /// Load the demo hospital, if it is not there yet
    #[arg(long)]
    demo: bool,
    /// Serve without authentication; loopback addresses only
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Arguments {
    fn load(&self) -> Result<Config, Failure> {
        let mut config = self.settings.load()?;
        if let Some(address) = self.listen {
            config.http.listen = address;
        }
        if let Some(address) = self.admin_listen {
            config.http.admin_listen = address;
        }
        if let Some(address) = self.mllp {
            config.hl7.listeners.push(Hl7Listener::plain(address));
        }
        config.http.open |= self.open;
        check(&config)?;
        if self.demo && !is_for_this_computer(&config) {
            return Err(Failure(
                "--demo makes users and clients for whoever reads this screen, so it is for \
                 loopback addresses only: take 127.0.0.1 for http.listen, and a base URL of this \
                 computer or none"
                    .to_owned(),
            ));
        }
        Ok(config)
    }
}

/// Whether nobody but this computer's users is meant to reach the server.
fn is_for_this_computer(config: &Config) -> bool {
    let base = config
        .http
        .base_url
        .as_deref()
        .unwrap_or("http://127.0.0.1");
    let host = base.split_once("://").map_or(base, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let is_local = ["127.0.0.1", "[::1]", "localhost"]
        .into_iter()
        .any(|local| {
            host.strip_prefix(local)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        });
    is_local && config.http.listen.ip().is_loopback() && !config.http.behind_proxy
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = arguments.load()?;
    server::log::begin(&config.log)?;
    // Signals are taken before anything listens, so that none is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(&config).await?;
    if arguments.demo {
        server.load_demo().await?;
    }
    let first = server.first_administrator().await?;
    let cast = match arguments.demo {
        true => server.demo_cast().await?,
        false => None,
    };
    let store = without_password(&config.store_url()?);
    println!("{}", announcement(&server, &store, config.log.format));
    announce::mllp(&server, config.log.format);
    announce::warn(&config);
    announce::identity(&server, &store, config.log.format);
    if let Some(first) = &first {
        announce::first(first, config.log.format);
    }
    if let Some(cast) = &cast {
        announce::cast(&server, cast, config.log.format);
    }
    let mut asked = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    asked().await;
    tracing::info!("shutting down: finishing the requests in flight; a second signal ends them");
    server.stop(asked()).await?;
    Ok(ExitCode::SUCCESS)
}

/// The line on stdout that says where the server is.
fn announcement(server: &Server, store: &str, format: LogFormat) -> String {
    let fhir = server.base_url();
    let admin = server.admin_address();
    match format {
        LogFormat::Text => {
            let address = server.address().to_string();
            // Behind a proxy the base URL says nothing about where to reach the server itself.
            let how = match server.auth() {
                Some(_) => "",
                None => " without authentication",
            };
            let listen = match fhir.contains(&address) {
                true => String::new(),
                false => format!("listening on {address}, "),
            };
            format!(
                "rotunda serves FHIR R4 on {fhir}{how} \
                 ({listen}admin: http://{admin}, store: {store})"
            )
        }
        LogFormat::Json => serde_json::json!({
            "fhir": fhir,
            "authentication": server.auth().is_some(),
            "listen": server.address().to_string(),
            "admin": admin.to_string(),
            "mllp": server.mllp_addresses().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "store": store,
        })
        .to_string(),
    }
}
