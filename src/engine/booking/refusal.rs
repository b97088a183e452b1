//! What is told to somebody who cannot have the time: the conflict, and three other times.

use std::sync::Arc;

use resources::{
    model::ResourceType,
    outcome::{Detail, Issue, Severity},
};

use super::{
    Engine, Error, ErrorKind,
    board::State,
    claims::{About, Claimed},
    holding::holds_of,
    meters, number,
    parties::visit_of,
    rule::{against_rule, instant, starts},
};
use crate::scheduling::{
    bookable::{Bookable, Visit},
    calendar::{Calendars, SlotState},
    claim::{Claim, ClaimKind, ClaimSet, Number, Refusal, admit},
    hours,
    span::Span,
};
use crate::store::Write;

/// Other times that a refusal names.
pub const ALTERNATIVES: usize = 3;
/// Seconds within which they are looked for, day by day.
pub const LOOK_AHEAD: i64 = 60 * 86_400;
const DAY: i64 = 86_400;
/// Where a refusal points at that another time would not help.
pub const OF_PATIENTS: &str = "Appointment.participant";

impl Engine {
    /// Refuses what the board shows to be taken, before it waits for its turn to commit. The
    /// store decides; this only spares the losers of a rush the way there.
    pub(super) fn refuse_early(
        &self,
        set: &ClaimSet,
        about: &About,
        coming: &[Write],
        now: i64,
    ) -> Result<(), Error> {
        let moving = owners_of(coming);
        let refusal = {
            let state = self.board.read();
            set.claims.iter().find_map(|new| {
                let calendar = state.of(new.claim.actor)?;
                let mut reach = new.claim.padded;
                for quota in &new.quotas {
                    reach = Span::new(
                        reach.start.min(quota.within.start),
                        reach.end.max(quota.within.end),
                    );
                }
                // What the same commit moves or frees is in nobody's way.
                let near = calendar.near(reach).copied();
                let others: Vec<Claim> = near
                    .filter(|other| !moving.contains(&other.owner))
                    .collect();
                admit(new, &others, &set.beside, now).err()
            })
        };
        match refusal {
            Some(refusal) => Err(self.refused(&refusal, about, set.owner, now)),
            None => Ok(()),
        }
    }

    /// The answer to a commit whose claims the store refused.
    pub(in crate::engine) async fn refused_by_store(
        &self,
        claimed: &Claimed,
        refusal: &Refusal,
    ) -> Error {
        // For the alternatives; without the newest claims they may be out of date.
        if let Err(error) = self.update_board().await {
            tracing::warn!(%error, "alternatives are not looked for");
        }
        let now = self.clock.now() / 1_000;
        let error = self.refused(refusal, &claimed.about, claimed.set.owner, now);
        if claimed.about.kind == ResourceType::APPOINTMENT {
            meters::refused(&error);
        }
        error
    }

    fn refused(&self, refusal: &Refusal, about: &About, owner: Number, now: i64) -> Error {
        let state = self.board.read();
        let (actor, by) = match refusal {
            Refusal::Taken { actor, by } => (*actor, by),
            Refusal::Quota { actor, quota } => {
                let party = about.parties.iter().find(|party| party.number == *actor);
                let name = party.map_or("the Schedule", |party| party.name.as_str());
                let text = format!(
                    "{name} takes {} bookings a {}, and has them",
                    quota.most, quota.per
                );
                let mut error = against_rule("limit-reached", text);
                error.issues.extend(alternatives(about, &state, owner, now));
                return error;
            }
        };
        let mut patients = about.parties.iter().filter(|party| party.is_patient);
        if let Some(patient) = patients.find(|patient| holds_of(&patient.name) == actor) {
            let most = self.settings.holds_per_patient;
            let text = format!(
                "{} holds {most} times already, which is the limit (holds_per_patient); book or \
                 release one of them, or wait until its hold is over",
                patient.name
            );
            let issue = Issue::error("business-rule", text).because("limit-reached");
            let issues = vec![issue.at(OF_PATIENTS)];
            return Error::with(ErrorKind::Unprocessable, issues);
        }
        let party = about.parties.iter().find(|party| party.number == actor);
        let zone = about.zone();
        let (from, to) = (
            instant(about.span.start, &zone),
            instant(about.span.end, &zone),
        );
        if let Some(patient) = party.filter(|party| party.is_patient) {
            let text = format!(
                "{} has another appointment between {from} and {to}; \
                 move one of the two",
                patient.name
            );
            return against_rule("patient-overlap", text);
        }
        let name = party.map_or("the Schedule", |party| party.name.as_str());
        let why = match (by.kind, by.expires) {
            (ClaimKind::Blocked, _) => "does not take bookings",
            (_, Some(_)) => "is held for somebody else",
            (ClaimKind::Booking, _) if by.capacity > 1 => "has no seat left",
            _ => "is booked",
        };
        let text = format!("{name} {why} between {from} and {to}");
        let path = match about.kind {
            ResourceType::SLOT => "Slot.start",
            _ => "Appointment.start",
        };
        let issue = Issue::error("conflict", text)
            .because("slot-taken")
            .at(path);
        let mut issues = vec![issue];
        issues.extend(alternatives(about, &state, owner, now));
        Error::with(ErrorKind::Conflict, issues)
    }
}

/// The next times that all parties have, as issues.
fn alternatives(about: &About, state: &State, owner: Number, now: i64) -> Vec<Issue> {
    let times = free_times(about, state, owner, now);
    let zone = about.zone();
    let issue = |span: Span| {
        let (start, end) = (instant(span.start, &zone), instant(span.end, &zone));
        let mut issue = Issue::warning("informational", format!("free: {start} to {end}"));
        issue.severity = Severity::Information;
        issue.detail = Some(Box::new(Detail {
            code: "alternative",
            alternative: Some((start, end)),
        }));
        issue
    };
    times.into_iter().map(issue).collect()
}

fn free_times(about: &About, state: &State, owner: Number, now: i64) -> Vec<Span> {
    let Some(appointment) = &about.appointment else {
        return Vec::new();
    };
    let rules = about.parties.iter().filter(|party| !party.is_patient);
    let rules = rules.filter_map(|party| {
        let bookable = party.bookables.first()?;
        Some((party.number, bookable, visit_of(bookable, appointment)))
    });
    let rules: Vec<(Number, &Arc<Bookable>, Option<&Visit>)> = rules.collect();
    let Some((_, leader, visit)) = rules.first() else {
        return Vec::new();
    };
    let length = about.span.seconds();
    let is_free = |span: Span| {
        rules.iter().all(|(actor, bookable, visit)| {
            let open = visit.is_none_or(|visit| {
                span.start >= now + visit.notice && span.start <= now + visit.horizon
            });
            let planned = bookable
                .planning
                .is_none_or(|planning| planning.contains(span));
            let in_hours = Arc::ptr_eq(bookable, leader)
                || visit.is_none()
                || hours::covers(&hours::open(bookable, span.padded(DAY, DAY)), span);
            let default = Visit::default();
            let free = state.of(*actor).is_none_or(|calendar| {
                calendar.state(span, visit.unwrap_or(&default), now, &[owner]) == SlotState::Free
            });
            open && planned && in_hours && free
        })
    };
    let from = about.span.start.max(now);
    let mut found = Vec::new();
    let mut day = from;
    while found.len() < ALTERNATIVES && day < from + LOOK_AHEAD {
        let within = Span::new(day, day + DAY);
        let mut candidates = match visit {
            Some(visit) => starts(leader, visit, Span::new(day, day + DAY + length)),
            None => Vec::new(),
        };
        let openings = state.openings(leader);
        let openings = openings
            .into_iter()
            .flat_map(|calendar| calendar.near(within));
        candidates.extend(openings.map(|opening| opening.core.start));
        candidates.sort_unstable();
        candidates.dedup();
        for start in candidates {
            let span = Span::new(start, start + length);
            let is_new = found.last().is_none_or(|last: &Span| last.end <= start);
            if within.start <= start && start < within.end && is_new && is_free(span) {
                found.push(span);
                if found.len() == ALTERNATIVES {
                    break;
                }
            }
        }
        day += DAY;
    }
    found
}

impl About {
    /// The zone of the first Schedule.
    fn zone(&self) -> jiff::tz::TimeZone {
        let mut bookables = self.parties.iter().flat_map(|party| &party.bookables);
        let first = bookables.next();
        first.map_or(jiff::tz::TimeZone::UTC, |bookable| bookable.zone.clone())
    }
}

/// Under which numbers what is about to be written claims.
pub(super) fn owners_of(coming: &[Write]) -> Vec<Number> {
    let owners = coming.iter();
    owners
        .map(|write| number(&format!("{}/{}", write.kind, write.id)))
        .collect()
}

/// The actor number of a Schedule's own claims.
pub fn schedule_number(id: &str) -> Number {
    number(&format!("Schedule/{id}"))
}
