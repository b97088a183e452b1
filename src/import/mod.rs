//! Files of Bundles and NDJSON into the engine: fast, resumable, and without duplicates.
//!
//! Everything that has no id of its own gets one that derives from its place in the file, and
//! every create becomes an update of that id; so sending the same thing twice changes nothing,
//! and an interrupted import only has to remember roughly how far it came.

mod bundle;
mod files;
mod reader;
mod unit;

use std::{
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

/// Text that is worked on at a time: what an import takes of memory is a small multiple.
const IN_FLIGHT_KIB: usize = 8 << 10;
/// How often the place in a long file is written down.
const REMEMBER_EVERY: Duration = Duration::from_secs(2);
/// What is remembered of a file that is done.
const DONE: &[u8] = b"done";

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
    /// Units that are done, beyond the first gap.
    ahead: Vec<u64>,
    /// All units before this one are done.
    next: u64,
    /// Lines of the units before `next`.
    lines: u64,
    /// Lines of each unit in `ahead`.
    ahead_lines: Vec<u64>,
    rejected: u64,
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
            let fingerprint = input.fingerprint()?;
            let state = self.store.setting(&key(&fingerprint)).await?;
            let lines = match state.as_deref() {
                Some(DONE) => {
                    self.progress.skipped.fetch_add(1, Ordering::Relaxed);
                    self.progress.read.fetch_add(input.size, Ordering::Relaxed);
                    continue;
                }
                Some(bytes) => std::str::from_utf8(bytes)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0),
                None => 0,
            };
            sources.push(Source {
                input: (*input).clone(),
                skip_lines: lines,
            });
            running.push(Running::new(fingerprint, lines));
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
                fingerprint: running[unit.file].fingerprint.clone(),
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
        for (file, state) in running.iter().enumerate() {
            self.finish(state, file < complete).await?;
        }
        Ok(later)
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
        if outcome.deferred {
            later.push(input.clone());
            state.rejected += 1;
            return Ok(());
        }
        self.progress
            .accepted
            .fetch_add(outcome.accepted, Ordering::Relaxed);
        for (line, reason, count) in outcome.rejected {
            state.rejected += count;
            self.progress.rejected.fetch_add(count, Ordering::Relaxed);
            report(&Rejection {
                file: input.path.clone(),
                line,
                reason,
            });
            if self.stop_on_error {
                self.progress.stop.store(true, Ordering::Relaxed);
            }
        }
        state.done(outcome.number, outcome.lines);
        if state.remembered.elapsed() > REMEMBER_EVERY && input.format == Format::Lines {
            state.remembered = Instant::now();
            let place = state.lines.to_string();
            self.store
                .set_setting(&key(&state.fingerprint), place.as_bytes())
                .await?;
        }
        Ok(())
    }

    /// Remembers a file that is done, or the place in one that was left early. A file with
    /// rejected resources starts from its beginning next time: someone may have mended it.
    async fn finish(&self, state: &Running, complete: bool) -> Result<(), ImportError> {
        let place = match (state.rejected, complete) {
            (0, true) => DONE.to_owned(),
            (0, false) => state.lines.to_string().into_bytes(),
            _ => b"0".to_vec(),
        };
        self.store
            .set_setting(&key(&state.fingerprint), &place)
            .await?;
        Ok(())
    }
}

impl Running {
    fn new(fingerprint: String, lines: u64) -> Self {
        Self {
            fingerprint,
            ahead: Vec::new(),
            next: 0,
            lines,
            ahead_lines: Vec::new(),
            rejected: 0,
            remembered: Instant::now(),
        }
    }

    /// Unit `number` with so many lines is done; units may be done out of order.
    fn done(&mut self, number: u64, lines: u64) {
        self.ahead.push(number);
        self.ahead_lines.push(lines);
        while let Some(at) = self.ahead.iter().position(|done| *done == self.next) {
            self.ahead.swap_remove(at);
            self.lines += self.ahead_lines.swap_remove(at);
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
        let mut state = Running::new(String::new(), 10);
        for (number, lines, expected) in [(1, 5, 10), (2, 7, 10), (0, 3, 25), (3, 1, 26)] {
            state.done(number, lines);
            assert_eq!(state.lines, expected);
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
