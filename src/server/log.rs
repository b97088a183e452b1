//! The log on stderr.
//!
//! Lines are collected and written together by a thread of their own, so that a request waits
//! neither for a system call nor for whoever reads the log.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, fmt};

use super::StartError;
use crate::config::{Log, LogFormat};

/// How long a line waits at most.
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// Bytes that wait at most; if the reader is slower, lines are lost rather than requests.
const MOST_WAITING: usize = 8 << 20;

static WAITING: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// Held while writing, so that lines stay in order.
static WRITING: Mutex<()> = Mutex::new(());

/// Begins to log as configured. Once for a process; another call changes nothing.
///
/// # Errors
/// The filter cannot be read.
pub fn begin(log: &Log) -> Result<(), StartError> {
    static THREAD: Once = Once::new();
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| StartError::LogFilter(log.filter.clone(), error.to_string()))?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(|| Waiting)
        .with_ansi(io::stderr().is_terminal() && log.format == LogFormat::Text);
    let begun = match log.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if begun.is_ok() {
        THREAD.call_once(|| {
            std::thread::spawn(|| {
                loop {
                    std::thread::sleep(WRITE_EVERY);
                    flush();
                }
            });
        });
    }
    Ok(())
}

/// Writes what waits; before the process ends.
pub fn flush() {
    let _in_order = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = std::mem::take(&mut *WAITING.lock().unwrap_or_else(PoisonError::into_inner));
    if !lines.is_empty() {
        // Nobody is left to be told that the log cannot be written.
        let _ = io::stderr().lock().write_all(&lines);
    }
}

/// Appends to what waits.
struct Waiting;

impl Write for Waiting {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() + line.len() <= MOST_WAITING {
            waiting.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
