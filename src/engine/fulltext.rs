//! Full-text search: its words are taken from the log when somebody searches, so that writes do
//! not pay for what few use.

use std::time::{Duration, Instant};

use resources::Doc;

use super::{
    Engine,
    error::{Error, ErrorKind},
    narrative,
};
use crate::{
    access::Access,
    search::plan::{Clause, Plan},
    store::{LogEntry, Texts},
};

static ACCESS: Access = Access::system("full-text search follows the log");
/// Versions taken together.
const BATCH: usize = 500;
/// How long a search waits for the words of what was written; what is done stays done.
const PATIENCE: Duration = Duration::from_secs(5);

impl Engine {
    /// Brings full-text search up to date if `plan` asks for words.
    pub(super) async fn catch_up_texts(&self, plan: &Plan) -> Result<(), Error> {
        if !asks_for_words(&plan.filter) {
            return Ok(());
        }
        let began = Instant::now();
        while !self.store.fulltext_catch_up(BATCH, texts, &ACCESS).await? {
            if began.elapsed() > PATIENCE {
                return Err(Error {
                    retry_after: Some(1),
                    ..Error::new(
                        ErrorKind::Unavailable,
                        "incomplete",
                        "the words of recent changes are still being indexed; send the search \
                         again after the time in Retry-After",
                    )
                });
            }
        }
        Ok(())
    }

    /// Makes the words for full-text search anew from the log. False if nobody ever searched for
    /// words, so that there are none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn rebuild_texts(&self) -> Result<bool, Error> {
        if !self.store.fulltext_reset().await? {
            return Ok(false);
        }
        while !self.store.fulltext_catch_up(BATCH, texts, &ACCESS).await? {}
        Ok(true)
    }
}

/// Whether some condition is one on words.
pub(super) fn asks_for_words(clause: &Clause) -> bool {
    match clause {
        Clause::Text { .. } => true,
        Clause::All(parts) | Clause::Any(parts) => parts.iter().any(asks_for_words),
        Clause::Not(inner) | Clause::Refers { inner, .. } | Clause::ReferredBy { inner, .. } => {
            asks_for_words(inner)
        }
        _ => false,
    }
}

/// What full-text search finds of a version.
fn texts(entry: &LogEntry) -> Texts {
    let text = std::str::from_utf8(&entry.stored.body).unwrap_or_default();
    Doc::parse(text).map_or_else(|_| Texts::default(), |doc| narrative::texts(&doc))
}
