//! What has become free: told by how Appointments and Slots were and are.

use std::collections::BTreeSet;

use resources::model::ResourceType;

use super::{
    super::{Engine, Error, claims::claimed_span},
    offer::ALL,
};
use crate::{
    engine::submit::parse_stored,
    scheduling::{
        appointment::{Appointment, Slot},
        bookable::{Bookable, Bookables},
        claim::Number,
        hours,
        span::Span,
        status::SlotStatus,
        waitlist::{CODES, gained},
    },
    store::Stored,
};

/// Versions of one resource that are looked at.
const VERSIONS: i64 = 16;
/// Seconds ahead in which new hours are looked for.
const AHEAD: i64 = 90 * 86_400;

/// Time that may be free.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Freed {
    /// When.
    pub span: Span,
    /// Whose.
    pub actors: Vec<Number>,
}

/// A version of a resource, and those before it that were there at some time since the last look.
struct Past {
    newest: Option<Stored>,
    before: Vec<Stored>,
}

impl Engine {
    /// What the changes of an Appointment since an instant (milliseconds) have freed.
    pub(super) async fn freed_by_appointment(
        &self,
        stored: &Stored,
        since: i64,
        freed: &mut BTreeSet<Freed>,
    ) -> Result<(), Error> {
        let base_url = &self.settings.base_url;
        let read = |stored: &Stored| {
            let doc = parse_stored(stored).ok()?;
            let is_unanswered = || {
                let reason = doc.root().get("cancelationReason")?.get("coding")?;
                let coding = reason.items().next()?;
                let is = |name: &str, text: &str| {
                    coding.get(name)?.as_str().filter(|it| it == text).map(drop)
                };
                is("system", CODES)?;
                is("code", "unanswered")
            };
            let is_unanswered = is_unanswered().is_some();
            Some((Appointment::read(&doc, base_url)?, is_unanswered))
        };
        let past = self.past(stored, since).await?;
        let now = past.newest.as_ref().and_then(read);
        for before in &past.before {
            let Some((before, _)) = read(before) else {
                continue;
            };
            let Some(span) = claimed_span(&before) else {
                continue;
            };
            // A round that somebody has ended otherwise is theirs.
            if before.offered.is_some() && !now.as_ref().is_some_and(|(_, it)| *it) {
                continue;
            }
            let keeps = now.as_ref().is_some_and(|(now, _)| {
                claimed_span(now) == Some(span)
                    && now.slots == before.slots
                    && others(now).eq(others(&before))
            });
            if !keeps {
                freed.extend(self.time_of(&before, span).await?);
            }
        }
        Ok(())
    }

    /// The time of an Appointment.
    pub(super) async fn time_of(
        &self,
        appointment: &Appointment,
        span: Span,
    ) -> Result<Option<Freed>, Error> {
        let found = self.named_by(appointment, &[]).await?;
        let (_, parties) = self.whose(appointment, span, &found);
        let actors = parties.iter().filter(|party| !party.is_patient);
        let actors: Vec<Number> = actors.map(|party| party.number).collect();
        Ok((!actors.is_empty()).then_some(Freed { span, actors }))
    }

    /// What the changes of a Slot since an instant (milliseconds) have freed.
    pub(super) async fn freed_by_slot(
        &self,
        stored: &Stored,
        since: i64,
        freed: &mut BTreeSet<Freed>,
    ) -> Result<(), Error> {
        let base_url = &self.settings.base_url;
        let read = |stored: &Stored| Slot::read(&parse_stored(stored).ok()?, base_url);
        let past = self.past(stored, since).await?;
        let now = past.newest.as_ref().and_then(read);
        let before = past.before.first().and_then(read);
        let is_free = |slot: &Slot| slot.status == SlotStatus::Free;
        let blocked =
            |slot: &Slot| !matches!(slot.status, SlotStatus::Free | SlotStatus::EnteredInError);
        let slot = match (now, before) {
            (Some(now), before) if is_free(&now) => {
                let same = |before: Slot| is_free(&before) && before.span == now.span;
                (!before.is_some_and(same)).then_some(now)
            }
            (now, Some(before)) if blocked(&before) && !now.as_ref().is_some_and(blocked) => {
                Some(before)
            }
            _ => None,
        };
        if let Some(slot) = slot {
            let parties = self.slot_parties(&slot, &[]).await?;
            let actors: Vec<Number> = parties.iter().map(|party| party.number).collect();
            if !actors.is_empty() {
                freed.insert(Freed {
                    span: slot.span,
                    actors,
                });
            }
        }
        Ok(())
    }

    async fn past(&self, stored: &Stored, since: i64) -> Result<Past, Error> {
        let head = &stored.head;
        let mut before = Vec::new();
        // It is told as news, whatever the clock of its node said.
        let mut is_new = true;
        let versions = (1..head.version).rev().take(VERSIONS as usize);
        for version in versions {
            if !is_new {
                break;
            }
            let found = self.store.version(head.kind, &head.id, version, &ALL);
            let Some(found) = found.await? else { break };
            is_new = found.stored.head.updated >= since;
            if !found.stored.head.deleted {
                before.push(found.stored);
            }
        }
        Ok(Past {
            newest: (!head.deleted).then(|| stored.clone()),
            before,
        })
    }

    /// What new rules have opened.
    pub(super) fn freed_by_rules(
        &self,
        before: &Bookables,
        now: &Bookables,
        freed: &mut BTreeSet<Freed>,
    ) {
        let from = self.clock.now() / 1_000;
        let within = Span::new(from, from + AHEAD);
        let windows = |bookable: &Bookable| -> Vec<Span> {
            match bookable.visits.is_empty() {
                true => Vec::new(),
                false => {
                    let open = hours::open(bookable, within);
                    open.into_iter().map(|window| window.span).collect()
                }
            }
        };
        for bookable in now.iter() {
            let known = before.binary_search_by_key(&bookable.rid, |one| one.rid);
            let known = known.ok().and_then(|at| before.get(at));
            if known.is_some_and(|known| std::sync::Arc::ptr_eq(known, bookable)) {
                continue;
            }
            let old = known.map_or_else(Vec::new, |known| windows(known));
            let actors = bookable.actors.iter().map(|actor| actor.number);
            let actors: Vec<Number> = actors.collect();
            let new = gained(&old, &windows(bookable));
            freed.extend(new.into_iter().map(|span| Freed {
                span,
                actors: actors.clone(),
            }));
        }
    }

    /// The names of resources of a type of which a version was made shortly before the newest
    /// one, and the instant of the first of them: what may not have been looked at when a server
    /// ended.
    pub(super) async fn recently_changed(
        &self,
        kind: ResourceType,
        (back, most): (i64, usize),
    ) -> Result<(Vec<String>, i64), Error> {
        let filter = crate::store::LogFilter {
            kind: Some(kind),
            ..Default::default()
        };
        let newest = self.store.log(&filter, 1, &ALL).await?;
        let Some(newest) = newest.first() else {
            return Ok((Vec::new(), i64::MAX));
        };
        let since = newest.stored.head.updated - back;
        let filter = crate::store::LogFilter {
            since: Some(since),
            ..filter
        };
        let entries = self.store.log(&filter, most, &ALL).await?;
        let names: BTreeSet<String> = entries
            .into_iter()
            .map(|entry| entry.stored.head.id)
            .collect();
        Ok((names.into_iter().collect(), since))
    }
}

/// Who takes part beside patients.
fn others(appointment: &Appointment) -> impl Iterator<Item = (Option<&str>, Option<Span>)> {
    let participants = appointment.participants.iter();
    let participants = participants.filter(|one| one.takes_part() && !one.is_patient());
    participants.map(|one| (one.reference.as_deref(), one.period))
}
