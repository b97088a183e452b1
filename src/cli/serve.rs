//! `rotunda serve`.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Settings, check};
use crate::{
    auth::manage::First,
    config::{Config, LogFormat, address, without_password},
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
        config.http.open |= self.open;
        check(&config)?;
        Ok(config)
    }
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
    let store = without_password(&config.store_url()?);
    println!("{}", announcement(&server, &store, config.log.format));
    tell(&server, first.as_ref(), config.log.format);
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

/// What else whoever starts a server must know. The one-time password is written here only, once.
fn tell(server: &Server, first: Option<&First>, format: LogFormat) {
    let Some(auth) = server.auth() else {
        return warn_of_open(server, format);
    };
    if format == LogFormat::Json {
        if let Some(first) = first {
            let line = serde_json::json!({
                "first_start": { "login": first.login, "password": first.password },
            });
            println!("{line}");
        }
        return;
    }
    let issuer = &auth.settings().issuer;
    println!("log in: {issuer}/auth/login");
    println!("token for scripts: rotunda token --role administrator --ttl 1h");
    if let Some(First { login, password }) = first {
        println!(
            "first start: log in as {login} with the one-time password {password}\n  \
             (shown this once; if it is lost: rotunda user reset-password {login})"
        );
    }
}

fn warn_of_open(server: &Server, format: LogFormat) {
    let address = server.address();
    let sentence = "there is NO AUTHENTICATION (--open): every program and every user of this \
                    computer reads and changes everything; for development only";
    match format {
        LogFormat::Text => eprintln!("WARNING: {address}: {sentence}"),
        LogFormat::Json => tracing::warn!(%address, "{sentence}"),
    }
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
            "store": store,
        })
        .to_string(),
    }
}
