//! What an operator decides about fetches.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{FetchError, target::Allowed};

/// What an operator decides about fetches: section `[fetch]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FetchSettings {
    /// Hosts with ports, like `idp.internal:8443`, that may be fetched from although their
    /// address is private, and without TLS.
    pub allow: Vec<String>,
    /// A PEM file with certificates of authorities that are trusted besides the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl FetchSettings {
    /// What makes no sense, as key below `fetch.` and sentence.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        match self.allowed() {
            Err(FetchError::Settings { key, reason }) => vec![(key, reason)],
            _ => Vec::new(),
        }
    }

    pub(super) fn allowed(&self) -> Result<Allowed, FetchError> {
        Allowed::read(&self.allow)
    }
}
