//! `cargo run -p conformance --release --bin crash-drill -- --help`

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use conformance::{
    drill::{self, Plan, Report},
    postgres::Postgres,
    server::default_binary,
};

/// Kills the server, or stops its database, while many write; then checks every write.
#[derive(Debug, Parser)]
struct Options {
    /// Database
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    store: Store,
    /// The server's program [default: target/release/rotunda]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Writers at a time
    #[arg(long, default_value_t = 32)]
    writers: usize,
    /// How often the server is killed
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// How often PostgreSQL is stopped and started
    #[arg(long, default_value_t = 5)]
    outages: usize,
    /// Longest time between a start and the kill, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    longest: u64,
    /// Makes the moments and the writes
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("crash-drill: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<bool, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut plan = Plan {
        binary: options.binary.clone().unwrap_or_else(default_binary),
        store: drill::sqlite(folder.path()),
        log: folder.path().join("server.log"),
        writers: options.writers,
        rounds: options.rounds,
        longest: Duration::from_millis(options.longest),
        seed: options.seed,
    };
    let good = match options.store {
        Store::Sqlite => told("kill", &drill::crash(&plan).await?),
        Store::Postgres => {
            let mut postgres = Postgres::start()?;
            plan.store = postgres.database("crash")?;
            let killed = told("kill", &drill::crash(&plan).await?);
            plan.store = postgres.database("outage")?;
            plan.rounds = options.outages;
            killed && told("outage", &drill::outage(&plan, &mut postgres).await?)
        }
    };
    if !good {
        let kept = folder.keep();
        eprintln!("the server's log: {}", kept.join("server.log").display());
    }
    Ok(good)
}

fn told(what: &str, report: &Report) -> bool {
    println!(
        "{what}: {} writes acknowledged, {} in doubt, {} violations",
        report.acknowledged,
        report.in_doubt,
        report.violations.len()
    );
    for violation in report.violations.iter().take(20) {
        println!("  {violation}");
    }
    report.violations.is_empty()
}
