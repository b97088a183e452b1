//! From what has happened to the bytes of a message.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value as Json;

use super::{destination::Destination, event::Event};

/// What a message is to tell.
#[derive(Debug)]
pub struct Told<'t> {
    /// What has happened.
    pub event: Event,
    /// The resource as it is; before it was deleted, if it was.
    pub resource: &'t Json,
    /// As it was before.
    pub before: Option<&'t Json>,
    /// Resources that it names, by `Type/id`.
    pub mentioned: &'t BTreeMap<String, Json>,
    /// Whom it is told.
    pub destination: &'t Destination,
    /// MSH-10
    pub control: &'t str,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// Writes messages.
pub trait Scribe: Send + Sync {
    /// The message; `None`: there is none for this.
    ///
    /// # Errors
    /// Why it cannot be written, without anything of a patient.
    fn write(&self, told: &Told<'_>) -> Result<Option<Bytes>, String>;
}
