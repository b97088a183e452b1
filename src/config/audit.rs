//! The audit.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// The file of the signed anchors, which must lie where whoever can change the database cannot
    /// change it; each node has its own. The key that signs is beside it (`….key`). Without:
    /// beside an SQLite database (`rotunda.db.anchors.jsonl`), else `rotunda.anchors.jsonl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchors: Option<PathBuf>,
    /// Seconds from one anchor to the next: what is newer can be cut off without a trace.
    pub anchor_seconds: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            anchors: None,
            anchor_seconds: 60,
        }
    }
}

impl Audit {
    /// Where the anchors are, beside this database if nothing else is said.
    pub fn anchors(&self, store_url: &str) -> PathBuf {
        match (&self.anchors, store_url.strip_prefix("sqlite:")) {
            (Some(file), _) => file.clone(),
            (None, Some(database)) => PathBuf::from(format!("{database}.anchors.jsonl")),
            (None, None) => PathBuf::from("rotunda.anchors.jsonl"),
        }
    }

    /// Where the key is that signs them.
    pub fn anchor_key(&self, store_url: &str) -> PathBuf {
        let mut file = self.anchors(store_url).into_os_string();
        file.push(".key");
        PathBuf::from(file)
    }

    /// What makes no sense, as key and sentence.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        match self.anchor_seconds {
            1..=3_600 => Vec::new(),
            _ => vec![(
                "anchor_seconds",
                "must be from 1 to 3600: what is newer than the last anchor can be cut off",
            )],
        }
    }
}
