//! What is tidied from time to time. Nothing depends on it: a hold that is over holds nothing,
//! whether or not its Appointment says so. Several nodes may do it at once.

use resources::{Doc, model::ResourceType, primitive::format_instant};

use super::{
    Engine, Error, ErrorKind, claims::expiry, edits::set_participants, members::Members, meters,
    written::Written,
};
use crate::{
    access::Access,
    engine::submit::parse_stored,
    scheduling::{appointment::Appointment, status::Status},
};

static ALL: Access = Access::system("what is over is tidied, whoever may see it");

/// Milliseconds for which a receipt is kept that is no longer valid: a clock that runs behind must
/// find it.
const KEPT: i64 = 3_600_000;
/// Seconds of the past in which an Appointment becomes a no-show: what is older, such as what was
/// imported or was booked before somebody wanted this, stays as it is.
const NO_SHOWS: i64 = 30 * 86_400;

/// What was tidied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Holds that were over: their Appointments are cancelled now.
    pub holds: u64,
    /// Appointments to which nobody came.
    pub no_shows: u64,
    /// Answers to requests that nobody will send again.
    pub receipts: u64,
}

impl Engine {
    /// Cancels pending Appointments whose hold is over, removes old receipts, and, if it is wanted,
    /// marks as no-shows the Appointments that are still only booked so many seconds after their
    /// start.
    ///
    /// # Errors
    /// The store fails.
    pub async fn tidy_bookings(&self, no_show_after: Option<i64>) -> Result<Tidied, Error> {
        let receipts = self.store.sweep_receipts(self.clock.now() - KEPT);
        let mut tidied = Tidied {
            receipts: receipts.await?,
            ..Tidied::default()
        };
        let now = self.clock.now() / 1_000;
        // Rounds of offers end with their offers.
        let is_over = |one: &Appointment| {
            one.offered.is_none() && expiry(one).is_some_and(|expires| expires <= now)
        };
        tidied.holds = self
            .change_each("status=pending", is_over, |doc, members| {
                members.set_text("status", "cancelled");
                set_participants(doc, members, "declined");
                let reason = r#"{"text":"The hold was over before it was confirmed."}"#;
                members.set("cancelationReason", reason);
            })
            .await?;
        meters::expired(tidied.holds);
        if let Some(after) = no_show_after {
            let at = |second: i64| format_instant(second * 1_000);
            let query = format!(
                "status=booked&date=ge{}&date=lt{}",
                at(now - NO_SHOWS),
                at(now - after + 1)
            );
            let is_missed = |one: &Appointment| {
                let start = one.span.map(|span| span.start);
                one.status == Status::Booked && start.is_some_and(|start| start <= now - after)
            };
            tidied.no_shows = self
                .change_each(&query, is_missed, |_, members| {
                    members.set_text("status", "noshow");
                })
                .await?;
        }
        Ok(tidied)
    }

    /// Changes the Appointments that a query finds and that are meant; how many. One that somebody
    /// else changes at the same time is theirs.
    async fn change_each(
        &self,
        query: &str,
        is_meant: impl Fn(&Appointment) -> bool,
        change: impl Fn(&Doc, &mut Members),
    ) -> Result<u64, Error> {
        let kind = ResourceType::APPOINTMENT;
        let found = self.find(kind, query, 1, &ALL).await?;
        if found.hits.is_empty() {
            return Ok(0);
        }
        let mut changed = 0;
        let mut position = None;
        while let Some(page) = self.page_of(kind, &found.clause, &mut position).await? {
            for stored in &page {
                let Ok(doc) = parse_stored(stored) else {
                    continue;
                };
                let read = Appointment::read(&doc, &self.settings.base_url);
                if !read.is_some_and(|one| is_meant(&one)) {
                    continue;
                }
                let mut members = Members::of(&doc);
                change(&doc, &mut members);
                let written = Written::of(stored, &members)?;
                match self.write_all(vec![written], None, &ALL).await {
                    Ok(_) => changed += 1,
                    Err(error)
                        if matches!(
                            error.kind,
                            ErrorKind::PreconditionFailed | ErrorKind::Conflict
                        ) => {}
                    Err(error)
                        if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Unprocessable) =>
                    {
                        let id = stored.head.id.as_str();
                        tracing::warn!(id, %error, "an Appointment cannot be tidied");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(changed)
    }
}
