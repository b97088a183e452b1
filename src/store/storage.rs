//! Whether the disk takes writes: remembered, so that readiness does not depend on somebody
//! writing at the moment of the question.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::StoreError;

/// How the last write ended, as far as the disk decided it.
#[derive(Debug, Default)]
pub(super) struct Storage {
    refuses: AtomicBool,
}

impl Storage {
    /// Notes how a write ended.
    pub fn note<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        match &written {
            Ok(_) if self.refuses() => {
                self.refuses.store(false, Ordering::Relaxed);
                tracing::info!("the storage takes writes again");
            }
            Err(StoreError::Storage(_)) => self.refuses.store(true, Ordering::Relaxed),
            _ => {}
        }
        written
    }

    /// True if the last write that came so far was refused.
    pub fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }
}
