//! The command line: reads arguments, calls what does the work, prints what came of it.

mod announce;
mod client;
mod config;
mod export;
mod hl7;
mod import;
mod key;
mod maintenance;
mod office;
mod role;
mod serve;
mod token;
mod user;

use std::{fmt, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{Config, ConfigError, LogFormat},
    server,
};

/// A FHIR R4 and HL7 v2 interoperability server.
#[derive(Debug, Parser)]
#[command(name = "rotunda", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve FHIR R4 over HTTP
    Serve(serve::Arguments),
    /// Load files or folders of Bundles and NDJSON (plain, .gz or .zst)
    Import(import::Arguments),
    /// Write all resources as NDJSON, one file for each type
    Export(export::Arguments),
    /// Bring the database to the schema of this version
    Migrate(Settings),
    /// Derive the search index anew
    Reindex(Settings),
    /// Check heads, log and index against each other, or the audit against its seals and anchors
    Verify(maintenance::Verify),
    /// Users: list, add, change, remove, reset passwords, log out
    #[command(subcommand)]
    User(user::Command),
    /// SMART apps and backend services: list, register, change, remove; secrets and keys
    #[command(subcommand)]
    Client(client::Command),
    /// Fixed keys for engines that cannot do OAuth: list, make, rotate, remove
    #[command(subcommand)]
    Key(key::Command),
    /// Roles: what each gives, in the grammar of scopes
    #[command(subcommand)]
    Role(role::Command),
    /// Print a bearer token for scripts; list and revoke tokens
    Token(token::Arguments),
    /// HL7 v2: send, listen, parse, map; messages and queues
    #[command(subcommand)]
    Hl7(hl7::Command),
    /// Check or print the configuration
    #[command(subcommand)]
    Config(config::Command),
}

/// What every command takes.
#[derive(Debug, Args)]
struct Settings {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "ROTUNDA_CONFIG")]
    config: Option<PathBuf>,
    /// Database: sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE [default: sqlite:rotunda.db]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Form of the log on stderr [default: text]
    #[arg(long, value_name = "FORMAT")]
    log: Option<LogFormat>,
}

impl Settings {
    /// File and environment, overridden by the flags.
    fn load(&self) -> Result<Config, Failure> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(url) = &self.store {
            config.store.url.clone_from(url);
            config.store.url_file = None;
        }
        if let Some(format) = self.log {
            config.log.format = format;
        }
        Ok(config)
    }

    /// As [`Settings::load`], with everything checked and the log begun.
    fn begin(&self) -> Result<Config, Failure> {
        let config = self.load()?;
        check(&config)?;
        server::log::begin(&config.log)?;
        Ok(config)
    }
}

/// Refuses a configuration that makes no sense as a whole.
fn check(config: &Config) -> Result<(), Failure> {
    let problems = config.problems();
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = problems
        .iter()
        .map(|(key, reason)| format!("{key} {reason}"))
        .collect();
    Err(Failure(lines.join("\n")))
}

/// Why a command failed, in words for whoever typed it.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self(error.to_string())
    }
}

macro_rules! failure_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}

failure_from!(
    std::io::Error,
    crate::audit::AnchorError,
    crate::auth::AuthError,
    crate::engine::Error,
    crate::fetch::FetchError,
    crate::import::ImportError,
    crate::store::StoreError,
    server::StartError
);

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let result = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let result = runtime.block_on(run(command));
            // Queries that nobody waits for any more.
            runtime.shutdown_timeout(Duration::from_secs(1));
            result
        }
        Err(error) => Err(error.into()),
    };
    server::log::flush();
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("rotunda: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Writing beyond RLIMIT_FSIZE raises a signal that ends the process. With a handler for it, the
/// write fails instead, as on a full disk.
fn outlive_file_size_limit() -> std::io::Result<()> {
    let beyond = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    // The handler stays when what listens to it is gone.
    signal(beyond).map(drop)
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    outlive_file_size_limit()?;
    match command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Import(arguments) => import::run(arguments).await,
        Command::Export(arguments) => export::run(arguments).await,
        Command::Migrate(settings) => maintenance::migrate(settings).await,
        Command::Reindex(settings) => maintenance::reindex(settings).await,
        Command::Verify(arguments) => maintenance::verify(arguments).await,
        Command::User(command) => user::run(command).await,
        Command::Client(command) => client::run(command).await,
        Command::Key(command) => key::run(command).await,
        Command::Role(command) => role::run(command).await,
        Command::Token(arguments) => token::run(arguments).await,
        Command::Hl7(command) => hl7::run(command).await,
        Command::Config(command) => config::run(&command),
    }
}
