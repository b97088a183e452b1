//! How far a follower may read the log.
//!
//! Positions are taken from a sequence inside transactions, so one that is smaller can become
//! visible after one that is larger. To compare a row's transaction with the oldest running one
//! is not enough: of two transactions, the one that began first can take the larger position.
//! So: note the newest position taken, then begin a transaction; each position up to the noted
//! one belongs to a transaction that began before it (a commit has its transaction number before
//! it takes a position). When all transactions up to that one have ended, nothing can appear at
//! or below the noted position any more.

use std::sync::{Mutex, PoisonError};

use super::{
    super::{
        error::StoreError,
        generation::{number, oldest},
    },
    pool::Lease,
};

/// What is followed.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Log {
    /// The versions.
    Versions,
    /// The audit.
    Audit,
}

impl Log {
    /// What gives its positions.
    const fn sequence(self) -> &'static str {
        match self {
            Self::Versions => "version_vid",
            Self::Audit => "audit_seq",
        }
    }
}

/// What is known of the log's end.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Frontier {
    /// Nothing at or below this position will appear any more.
    safe: i64,
    /// A later position, and the transaction after which it is safe.
    pending: Option<(i64, i64)>,
}

pub(super) async fn frontier(
    log: Log,
    known: &Mutex<Frontier>,
    session: &mut Lease,
    after: i64,
) -> Result<i64, StoreError> {
    let mut now = *known.lock().unwrap_or_else(PoisonError::into_inner);
    if now.safe > after {
        return Ok(now.safe);
    }
    settle(session, &mut now).await?;
    if now.pending.is_none() {
        let sequence = log.sequence();
        let text = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}");
        let taken = number(session, &text).await?;
        if taken > now.safe {
            let own = number(session, "SELECT pg_current_xact_id()::text::bigint").await?;
            now.pending = Some((taken, own));
            settle(session, &mut now).await?;
        }
    }
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if now.safe >= known.safe {
        *known = now;
    }
    Ok(known.safe)
}

async fn settle(session: &mut Lease, now: &mut Frontier) -> Result<(), StoreError> {
    if let Some((position, transaction)) = now.pending
        && oldest(session).await? > transaction
    {
        *now = Frontier {
            safe: position,
            pending: None,
        };
    }
    Ok(())
}
