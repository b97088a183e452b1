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
        let noticed = away(&server).await;
        report.violations.extend(noticed.err());
        stop.store(true, Ordering::Relaxed);
        writers = finish(working).await?;
        postgres.resume()?;
        healed(&server.base).await?;
        if ready(&server).await? != 200 {
            let reason = "/health/ready does not turn 200 again";
            report.violations.push(reason.to_owned());
        }
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

/// Something that keeps the server from storing.
pub trait Fault {
    /// Begins it.
    ///
    /// # Errors
    /// It cannot be done.
    fn strike(&self, server: &Server) -> Result<(), String>;

    /// Ends it.
    ///
    /// # Errors
    /// It cannot be done.
    fn mend(&self, server: &Server) -> Result<(), String>;
}

/// Keeps the server from storing while it is written to: it must refuse writes with 503 and
/// `Retry-After`, go on to answer reads, and write again by itself afterwards. Then it is killed.
///
/// # Errors
/// The drill itself could not be carried out.
pub async fn refusal(plan: &Plan, fault: &impl Fault) -> Result<Report, String> {
    let mut writers: Vec<Writer> = (0..plan.writers)
        .map(|number| Writer::new(number, plan.seed))
        .collect();
    let mut report = Report::default();
    let mut server = Server::start(&plan.binary, &plan.store, &plan.log).await?;
    for round in 1..=plan.rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let working = write_all(writers, &server.base, &stop);
        tokio::time::sleep(plan.longest).await;
        fault.strike(&server)?;
        let refused = refused(&server.base).await;
        report.violations.extend(refused.err());
        stop.store(true, Ordering::Relaxed);
        writers = finish(working).await?;
        let read = ask(&server.base).await?;
        if !read.status.is_success() {
            let reply = read.brief();
            report
                .violations
                .push(format!("a read is refused: {reply}"));
        }
        fault.mend(&server)?;
        if round % 2 == 0 {
            server.kill().await?;
            server = Server::start(&plan.binary, &plan.store, &plan.log).await?;
        } else if !probe(&server.base).await?.status.is_success() {
            report.violations.push("writes stay refused".to_owned());
        }
        let last = round == plan.rounds;
        check_all(&mut writers, &server.base, &mut report, last).await?;
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
    let audit = server::verify_audit(&plan.binary, &plan.store, &plan.log).await;
    report.violations.extend(audit.err());
    Ok(())
}

async fn ask(base: &Base) -> Result<Reply, String> {
    Connection::new(base, &[])
        .send("GET", "/Patient?_count=1", None, &[])
        .await
}

/// A write that always makes a new version.
async fn probe(base: &Base) -> Result<Reply, String> {
    let body = "{\"resourceType\":\"Basic\",\"code\":{\"text\":\"probe\"}}".to_owned();
    Connection::new(base, &[])
        .send("POST", "/Basic", Some(body), &[])
        .await
}

/// Waits until a write is refused as it should be.
async fn refused(base: &Base) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    loop {
        let sent = Instant::now();
        let reply = probe(base).await?;
        if reply.status == 503 {
            return well_refused(&reply, sent);
        }
        if !reply.status.is_success() {
            return Err(format!("nothing can be stored: {}", reply.brief()));
        }
        if began.elapsed() > PATIENCE {
            return Err("nothing can be stored, but writes are acknowledged".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A 503 names a time and a reason, and comes at once.
fn well_refused(reply: &Reply, sent: Instant) -> Result<(), String> {
    const SOON: Duration = Duration::from_secs(10);
    if reply.header("retry-after").is_none() || reply.json()["resourceType"] != "OperationOutcome" {
        return Err(format!(
            "503 without Retry-After or OperationOutcome: {}",
            reply.brief()
        ));
    }
    let took = sent.elapsed();
    if took > SOON {
        return Err(format!("503 came after {took:?}"));
    }
    Ok(())
}

/// Waits until the server says 503, with `Retry-After`.
async fn unavailable(base: &Base) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    loop {
        let sent = Instant::now();
        let reply = ask(base).await?;
        if reply.status == 503 {
            return well_refused(&reply, sent);
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

/// Reads and writes are refused, and the server is not ready.
async fn away(server: &Server) -> Result<(), String> {
    unavailable(&server.base).await?;
    refused(&server.base).await?;
    match ready(server).await? {
        503 => Ok(()),
        status => Err(format!("/health/ready is {status} without a database")),
    }
}

async fn ready(server: &Server) -> Result<u16, String> {
    let mut connection = Connection::new(&server.admin, &[]);
    let reply = connection.send("GET", "/health/ready", None, &[]).await?;
    Ok(reply.status.as_u16())
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
