//! Files of Bundles and NDJSON into the engine: fast, resumable, and without duplicates.
//!
//! Everything that has no id of its own gets one that derives from its content, and every create
//! becomes an update of that id; so sending the same thing twice makes nothing twice. What an
//! import has done of a file it remembers by the file's content, and does not do again.

mod bundle;
mod files;
mod identity;
mod reader;
mod record;
mod request;
mod unit;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use resources::doc::Bounds;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::{
    engine::{Engine, Error},
    store::{Store, StoreError},
};

pub use files::{Format, Input, find};
use reader::{Source, Unit};
use record::Record;

/// Text that is worked on at a time: what an import takes of memory is a small multiple.
const IN_FLIGHT_KIB: usize = 8 << 10;
/// How often the place in a long file is written down.
const REMEMBER_EVERY: Duration = Duration::from_secs(2);

/// An import into an engine.
pub struct Importer {
    /// Where the resources go.
    pub engine: Arc<Engine>,
    /// Where the import remembers how far it came.
    pub store: Arc<Store>,
    /// The bounds of one JSON text.
    pub bounds: Bounds,
    /// End with the first resource that is rejected.
    pub stop_on_error: bool,
    /// How far it is, for whoever looks.
    pub progress: Arc<Progress>,
}

/// How far an import is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of all files.
    pub total: AtomicU64,
    /// Bytes read.
    pub read: Arc<AtomicU64>,
    /// Resources that are stored.
    pub accepted: AtomicU64,
    /// Resources that are not.
    pub rejected: AtomicU64,
    /// Files that an earlier import had finished.
    pub skipped: AtomicU64,
    /// Someone wants the import to end early.
    pub stop: AtomicBool,
}

/// Something that was not imported, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The file.
    pub file: PathBuf,
    /// The line, if it is known.
    pub line: Option<usize>,
    /// The reason.
    pub reason: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why an import ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// The server's side failed; no resource is to blame.
    #[error("{0}")]
    Engine(#[from] Error),
    /// The place in a file could not be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A part of the import broke down.
    #[error("a part of the import broke down: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A file on its way.
struct Running {
    fingerprint: String,
    record: Record,
    /// All units before this one are done.
    next: u64,
    /// Units behind the first gap that are done, and up to which line they go.
    ahead: BTreeMap<u64, u64>,
    /// Nothing of the file was beyond reading.
    is_readable: bool,
    remembered: Instant,
}

impl Importer {
    /// Imports all files; `report` is told of each rejection. Files whose references lead to
    /// what other files bring are tried again at the end.
    ///
    /// # Errors
    /// What has nothing to do with a single resource: files that cannot be read, a database that
    /// stays away.
    pub async fn run(
        &self,
        inputs: &[Input],
        mut report: impl FnMut(&Rejection),
    ) -> Result<(), ImportError> {
        let total: u64 = inputs.iter().map(|input| input.size).sum();
        self.progress.total.store(total, Ordering::Relaxed);
        let (leading, rest): (Vec<&Input>, Vec<&Input>) =
            inputs.iter().partition(|input| input.leads);
        let mut later = self.pass(&leading, true, &mut report).await?;
        later.extend(self.pass(&rest, true, &mut report).await?);
        let again: Vec<&Input> = later.iter().collect();
        self.pass(&again, false, &mut report).await?;
        Ok(())
    }

    /// One go through `inputs`; gives those that should be tried again when the others are in.
    async fn pass(
        &self,
        inputs: &[&Input],
        may_defer: bool,
        report: &mut impl FnMut(&Rejection),
    ) -> Result<Vec<Input>, ImportError> {
        let mut later = Vec::new();
        let mut running = Vec::with_capacity(inputs.len());
        let mut sources = Vec::with_capacity(inputs.len());
        for input in inputs {
            let Some(fingerprint) = self.fingerprint(input).await? else {
                return Ok(later);
            };
            let record = self.store.setting(&key(&fingerprint)).await?;
            let record = record.and_then(|bytes| Record::read(&bytes));
            let record = record.unwrap_or_default();
            if record.is_done() {
                self.progress.skipped.fetch_add(1, Ordering::Relaxed);
                self.progress.read.fetch_add(input.size, Ordering::Relaxed);
                continue;
            }
            sources.push(Source {
                input: (*input).clone(),
                record: record.clone(),
            });
            running.push(Running::new(fingerprint, record));
        }
        let (sender, mut units) = mpsc::channel(1);
        let reader = reader::start(
            sources.clone(),
            self.bounds.bytes,
            Arc::clone(&self.progress),
            sender,
        );
        let memory = Arc::new(Semaphore::new(IN_FLIGHT_KIB));
        let mut tasks = JoinSet::new();
        loop {
            let unit: Unit = tokio::select! {
                Some(done) = tasks.join_next() => {
                    self.account(done??, &sources, &mut running, &mut later, report).await?;
                    continue;
                }
                unit = units.recv() => match unit {
                    Some(unit) => unit,
                    None => break,
                },
            };
            let kib = unit.bytes().div_ceil(1 << 10).clamp(1, IN_FLIGHT_KIB);
            let kib = u32::try_from(kib).unwrap_or(u32::MAX);
            let permit = Arc::clone(&memory).acquire_many_owned(kib).await;
            let work = unit::Work {
                engine: Arc::clone(&self.engine),
                bounds: self.bounds,
                stores_bundles: sources[unit.file].input.stores_bundles,
                may_defer,
            };
            tasks.spawn(async move {
                let outcome = work.import(unit).await;
                drop(permit);
                outcome
            });
        }
        while let Some(done) = tasks.join_next().await {
            self.account(done??, &sources, &mut running, &mut later, report)
                .await?;
        }
        let complete = reader.await??;
        for (file, state) in running.iter_mut().enumerate() {
            state.record.complete |= file < complete && state.is_readable;
            self.remember(state).await?;
        }
        Ok(later)
    }

    /// What tells the file from others; `None` if the import is to end.
    async fn fingerprint(&self, input: &Input) -> Result<Option<String>, ImportError> {
        let (input, progress) = (input.clone(), Arc::clone(&self.progress));
        let reading = move || input.fingerprint(&progress.stop);
        Ok(tokio::task::spawn_blocking(reading).await??)
    }

    /// Takes note of a unit that is done.
    async fn account(
        &self,
        outcome: unit::Outcome,
        sources: &[Source],
        running: &mut [Running],
        later: &mut Vec<Input>,
        report: &mut impl FnMut(&Rejection),
    ) -> Result<(), ImportError> {
        let input = &sources[outcome.file].input;
        let state = &mut running[outcome.file];
        self.progress
            .accepted
            .fetch_add(outcome.accepted, Ordering::Relaxed);
        if !outcome.deferred.is_empty() && !later.contains(input) {
            later.push(input.clone());
        }
        let rejected = outcome.rejected.iter().flat_map(|one| &one.places);
        let left = outcome.deferred.iter().chain(rejected).copied();
        state.record.tried(&outcome.tried, left);
        let mut report = |line, reason, count| {
            self.progress.rejected.fetch_add(count, Ordering::Relaxed);
            report(&Rejection {
                file: input.path.clone(),
                line,
                reason,
            });
            if self.stop_on_error {
                self.progress.stop.store(true, Ordering::Relaxed);
            }
        };
        for one in outcome.rejected {
            report(one.line, one.reason, one.places.len() as u64);
        }
        if let Some(reason) = outcome.unreadable {
            state.is_readable = false;
            report(None, reason, 1);
        }
        state.done(outcome.number, outcome.up_to);
        if state.remembered.elapsed() > REMEMBER_EVERY && input.format == Format::Lines {
            state.remembered = Instant::now();
            self.remember(state).await?;
        }
        Ok(())
    }

    /// Writes down how far a file is. What was rejected is tried again next time, even if the
    /// file stays as it is: the reason may have lain in what was stored.
    async fn remember(&self, state: &Running) -> Result<(), ImportError> {
        let record = state.record.write();
        self.store
            .set_setting(&key(&state.fingerprint), record.as_bytes())
            .await?;
        Ok(())
    }
}

impl Running {
    fn new(fingerprint: String, record: Record) -> Self {
        Self {
            fingerprint,
            record,
            next: 0,
            ahead: BTreeMap::new(),
            is_readable: true,
            remembered: Instant::now(),
        }
    }

    /// The unit `number`, which goes up to a line, is done; units may be done out of order.
    fn done(&mut self, number: u64, up_to: u64) {
        self.ahead.insert(number, up_to);
        while let Some(up_to) = self.ahead.remove(&self.next) {
            self.record.lines = self.record.lines.max(up_to);
            self.next += 1;
        }
    }
}

fn key(fingerprint: &str) -> String {
    format!("import:{fingerprint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_no_gap_before_it_counts_as_done() {
        let record = Record {
            lines: 10,
            ..Record::default()
        };
        let mut state = Running::new(String::new(), record);
        for (number, up_to, expected) in [(1, 18, 10), (2, 25, 10), (0, 13, 25), (3, 26, 26)] {
            state.done(number, up_to);
            assert_eq!(state.record.lines, expected);
        }
    }

    #[test]
    fn a_rejection_names_file_and_line() {
        let rejection = Rejection {
            file: "a/b.ndjson".into(),
            line: Some(7),
            reason: "not JSON".to_owned(),
        };
        assert_eq!(rejection.to_string(), "a/b.ndjson:7: not JSON");
    }
}
