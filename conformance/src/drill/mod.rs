//! Drills: the server is killed, or its database stopped, while many write; afterwards every
//! acknowledged write must be there and correct, nothing half-written, nothing twice.

mod check;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    client::{Base, Connection, Reply},
    data::Rng,
    postgres::Postgres,
    server::{self, Server},
};
use writer::Writer;

/// What a drill does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server's program.
    pub binary: PathBuf,
    /// Its store; should be empty.
    pub store: String,
    /// Where the server's log goes.
    pub log: PathBuf,
    /// Writers at a time.
    pub writers: usize,
    /// How often the server is killed.
    pub rounds: usize,
    /// The longest time between a start and the kill.
    pub longest: Duration,
    /// Makes the moments and the writes.
    pub seed: u64,
}

/// What came of a drill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Writes that the server acknowledged.
    pub acknowledged: u64,
    /// Writes whose answer never came.
    pub in_doubt: u64,
    /// What must not be.
    pub violations: Vec<String>,
}

/// Kills the server again and again while it is written to.
///
/// # Errors
/// The drill itself could not be carried out.
pub async fn crash(plan: &Plan) -> Result<Report, String> {
    let mut rng = Rng::new(plan.seed);
    let mut writers: Vec<Writer> = (0..plan.writers)
        .map(|number| Writer::new(number, plan.seed))
        .collect();
    let mut report = Report::default();
    let mut server = Server::start(&plan.binary, &plan.store, &plan.log).await?;
    for round in 1..=plan.rounds {
        let longest = usize::try_from(plan.longest.as_millis()).unwrap_or(1_000);
        let moment = Duration::from_millis(50 + rng.below(longest.max(1)) as u64);
        let stop = Arc::new(AtomicBool::new(false));
        let working = write_all(writers, &server.base, &stop);
        tokio::time::sleep(moment).await;
        server.kill().await?;
        stop.store(true, Ordering::Relaxed);
        writers = finish(working).await?;
        server = Server::start(&plan.binary, &plan.store, &plan.log).await?;
        check_all(
            &mut writers,
            &server.base,
            &mut report,
            round == plan.rounds,
        )
        .await?;
        if !report.violations.is_empty() {
            break;
        }
    }
    end(server, plan, &writers, &mut report).await?;
    Ok(report)
}

/// Stops the database under load and starts it again: the server must say 503 with
/// `Retry-After`, and heal by itself.
///
/// # Errors
/// The drill itself could not be carried out.
pub async fn outage(plan: &Plan, postgres: &mut Postgres) -> Result<Report, String> {
    let mut writers: Vec<Writer> = (0..plan.writers)
        .map(|number| Writer::new(number, plan.seed))
        .collect();
    let mut report = Report::default();
    let server = Server::start(&plan.binary, &plan.store, &plan.log).await?;
    for round in 1..=plan.rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let working = write_all(writers, &server.base, &stop);
        tokio::time::sleep(plan.longest).await;
        postgres.halt()?;
        if let Err(reason) = unavailable(&server.base).await {
            report.violations.push(reason);
        }
        stop.store(true, Ordering::Relaxed);
        writers = finish(working).await?;
        postgres.resume()?;
        healed(&server.base).await?;
        check_all(
            &mut writers,
            &server.base,
            &mut report,
            round == plan.rounds,
        )
        .await?;
    }
    end(server, plan, &writers, &mut report).await?;
    Ok(report)
}

type Working = Vec<tokio::task::JoinHandle<Writer>>;

fn write_all(writers: Vec<Writer>, base: &Base, stop: &Arc<AtomicBool>) -> Working {
    writers
        .into_iter()
        .map(|mut writer| {
            let (base, stop) = (base.clone(), Arc::clone(stop));
            tokio::spawn(async move {
                writer.write(&base, &stop).await;
                writer
            })
        })
        .collect()
}

async fn finish(working: Working) -> Result<Vec<Writer>, String> {
    let mut writers = Vec::with_capacity(working.len());
    for task in working {
        writers.push(task.await.map_err(|error| error.to_string())?);
    }
    Ok(writers)
}

async fn check_all(
    writers: &mut Vec<Writer>,
    base: &Base,
    report: &mut Report,
    everything: bool,
) -> Result<(), String> {
    let tasks: Vec<_> = std::mem::take(writers)
        .into_iter()
        .map(|mut writer| {
            let base = base.clone();
            tokio::spawn(async move {
                let found = writer.check(&base, everything).await;
                (writer, found)
            })
        })
        .collect();
    for task in tasks {
        let (writer, found) = task.await.map_err(|error| error.to_string())?;
        report.violations.extend(found?);
        writers.push(writer);
    }
    Ok(())
}

async fn end(
    server: Server,
    plan: &Plan,
    writers: &[Writer],
    report: &mut Report,
) -> Result<(), String> {
    for writer in writers {
        report.acknowledged += writer.acknowledged;
        report.in_doubt += writer.in_doubt;
        report.violations.extend(writer.violations.iter().cloned());
    }
    if let Err(reason) = server.stop().await {
        report.violations.push(reason);
    }
    if let Err(reason) = server::verify(&plan.binary, &plan.store).await {
        report.violations.push(reason);
    }
    Ok(())
}

async fn ask(base: &Base) -> Result<Reply, String> {
    Connection::new(base, &[])
        .send("GET", "/Patient?_count=1", None, &[])
        .await
}

/// Waits until the server says 503, with `Retry-After`.
async fn unavailable(base: &Base) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    loop {
        let reply = ask(base).await?;
        if reply.status == 503 {
            return match reply.header("retry-after") {
                Some(_) => Ok(()),
                None => Err(format!("503 without Retry-After: {}", reply.brief())),
            };
        }
        if !reply.status.is_success() {
            return Err(format!(
                "the database is away, the answer is {}",
                reply.brief()
            ));
        }
        if began.elapsed() > PATIENCE {
            return Err("the database is away and the server does not notice".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the server answers again.
async fn healed(base: &Base) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let began = Instant::now();
    loop {
        let reply = ask(base).await?;
        if reply.status.is_success() {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("the server does not heal: {}", reply.brief()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An empty store of SQLite in `folder`.
pub fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("drill.db").display())
}
