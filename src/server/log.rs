//! The log on stderr.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use super::StartError;
use crate::config::{Log, LogFormat};

/// Begins to log as configured. Once for a process.
///
/// # Errors
/// The filter cannot be read.
pub fn begin(log: &Log) -> Result<(), StartError> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| StartError::LogFilter(log.filter.clone(), error.to_string()))?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match log.format {
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // Another log in the same process (a test's) stays in force.
    begun.or(Ok(()))
}
