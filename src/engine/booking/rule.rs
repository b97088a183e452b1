//! By which rules a party's time is taken, and what they refuse.

use std::sync::Arc;

use resources::outcome::Issue;

use super::{
    Error, ErrorKind,
    board::State,
    parties::{NamedSlot, Party, longest_visit, visit_of},
};
use crate::scheduling::{
    appointment::Appointment,
    bookable::{Bookable, Visit},
    calendar::Calendars,
    claim::{BufferPolicy, Claim, ClaimKind, NewClaim, Number},
    hours, slots,
    span::Span,
};

/// Seconds around an appointment in which the windows are looked for that it may lie in.
const AROUND: i64 = 2 * 86_400;

/// The rules for a party.
pub struct Rule<'b> {
    bookable: Option<&'b Arc<Bookable>>,
    visit: Option<&'b Visit>,
    /// It is known when the Schedule is open.
    has_hours: bool,
    /// It is open then.
    is_open: bool,
    /// `$find` could have offered it.
    is_offered: bool,
}

impl<'b> Rule<'b> {
    /// Those of the first of the party's Schedules that is open then, or of the first.
    pub fn of(
        party: &'b Party,
        appointment: &Appointment,
        named: &[NamedSlot],
        state: &State,
    ) -> Self {
        let rules = party.bookables.iter().map(|bookable| {
            let visit = visit_of(bookable, appointment);
            let openings = || {
                let calendar = state.openings(bookable);
                calendar.into_iter().flat_map(|calendar| calendar.claims())
            };
            let is_named = named.iter().any(|slot| {
                let stored = slot.stored.as_ref();
                slot.schedule == bookable.id
                    && stored.is_some_and(|stored| stored.span.contains(party.core))
            });
            // A stored Slot that is busy or closed is no gap in the hours: whoever wants its time is
            // told that it is taken, as all who lose it are.
            let fills = |claim: &&Claim| {
                matches!(claim.kind, ClaimKind::Taken | ClaimKind::Blocked)
                    && claim.core.contains(party.core)
            };
            let is_taken = || {
                let calendar = state.of(party.number);
                let mut near = calendar.into_iter().flat_map(|one| one.near(party.core));
                near.any(|claim| fills(&claim))
            };
            let by_hours = || {
                let around = party.core.padded(AROUND, AROUND);
                visit.is_some() && hours::covers(&hours::open(bookable, around), party.core)
            };
            let is_slot = is_named || openings().any(|opening| opening.core.contains(party.core));
            let is_open = is_slot || by_hours() || is_taken();
            let longest = longest_visit(bookable, appointment);
            Self {
                bookable: Some(bookable),
                visit,
                has_hours: visit.is_some() || openings().next().is_some(),
                is_open,
                is_offered: is_slot || (is_open && party.core.seconds() <= longest),
            }
        });
        let rules: Vec<Self> = rules.collect();
        let best = (rules.iter().position(|rule| rule.is_open))
            .or_else(|| rules.iter().position(|rule| rule.has_hours));
        rules
            .into_iter()
            .nth(best.unwrap_or_default())
            .unwrap_or(Self {
                bookable: None,
                visit: None,
                has_hours: false,
                is_open: false,
                is_offered: false,
            })
    }

    /// The Schedule whose rules they are.
    pub fn bookable(&self) -> Option<&'b Arc<Bookable>> {
        self.bookable
    }

    /// It is a time that anybody may ask for: no longer than what is offered, and within a free
    /// Slot or the hours.
    pub fn is_offered(&self) -> bool {
        self.is_offered
    }

    /// What is booked waits until somebody confirms it.
    pub fn needs_approval(&self) -> bool {
        self.visit.is_some_and(|visit| visit.needs_approval)
    }

    /// Patients may be elsewhere at the same time.
    pub fn lets_patients_overlap(&self) -> bool {
        self.visit.is_some_and(|visit| visit.patients_may_overlap)
    }

    /// True if the party's time is outside of the hours, or of the dates that are planned.
    pub fn is_outside(&self, party: &Party) -> bool {
        let planning = self.bookable.and_then(|bookable| bookable.planning);
        planning.is_some_and(|planning| !planning.contains(party.core))
            || self.has_hours && !self.is_open
    }

    /// Refuses a time outside of hours, notice and horizon; of who is there no notice is asked.
    pub fn check(&self, party: &Party, now: i64, is_walk_in: bool) -> Result<(), Error> {
        let Some(bookable) = self.bookable else {
            return Ok(());
        };
        let core = party.core;
        if bookable
            .planning
            .is_some_and(|planning| !planning.contains(core))
        {
            let text = format!(
                "Schedule/{} is planned for other dates: see its planningHorizon",
                bookable.id
            );
            return Err(against_rule("horizon", text));
        }
        if self.has_hours && !self.is_open {
            let text = format!(
                "{} is not open from {} to {}; Appointment/$find gives the times that can be booked",
                party.name,
                local(core.start, bookable),
                local(core.end, bookable)
            );
            return Err(against_rule("outside-hours", text));
        }
        let Some(visit) = self.visit else {
            return Ok(());
        };
        if core.start < now + visit.notice && !is_walk_in {
            let text = match visit.notice {
                0 => format!("{} has passed", local(core.start, bookable)),
                notice => format!(
                    "{} takes bookings up to {} before they begin",
                    party.name,
                    duration(notice)
                ),
            };
            return Err(against_rule("min-notice", text));
        }
        if core.start > now + visit.horizon {
            let text = format!(
                "{} takes bookings for the next {}",
                party.name,
                duration(visit.horizon)
            );
            return Err(against_rule("horizon", text));
        }
        Ok(())
    }

    /// The claim on the party's time.
    pub fn claim(
        &self,
        owner: Number,
        party: &Party,
        expires: Option<i64>,
        is_overbooked: bool,
    ) -> NewClaim {
        let visit = self.visit.filter(|_| !party.is_patient);
        let (before, after) = visit.map_or((0, 0), |visit| (visit.before, visit.after));
        let is_limited = |bookable: &&Arc<Bookable>| {
            slots::limited(bookable).is_some_and(|actor| actor.number == party.number)
        };
        let limited = visit.zip(self.bookable.filter(is_limited));
        let quotas =
            limited.map(|(visit, bookable)| slots::quotas(bookable, visit, party.core.start));
        NewClaim {
            claim: Claim {
                actor: party.number,
                owner,
                kind: ClaimKind::Booking,
                core: party.core,
                padded: party.core.padded(before, after),
                buffers: visit.map_or(BufferPolicy::Stack, |visit| visit.buffers),
                capacity: visit.map_or(1, |visit| visit.capacity),
                seat: 0,
                expires,
            },
            is_forced: false,
            overbook: visit
                .filter(|_| is_overbooked)
                .map_or(0, |visit| visit.overbook),
            quotas: quotas.unwrap_or_default(),
        }
    }
}

/// A refusal by a rule (422).
pub fn against_rule(code: &'static str, text: impl Into<String>) -> Error {
    let issue = Issue::error("business-rule", text).because(code);
    Error::with(
        ErrorKind::Unprocessable,
        vec![issue.at("Appointment.start")],
    )
}

/// An instant as the clock at the place shows it.
pub fn local(at: i64, bookable: &Bookable) -> String {
    let Ok(instant) = jiff::Timestamp::from_second(at) else {
        return at.to_string();
    };
    let local = instant.to_zoned_datetime(bookable.zone.clone());
    local.strftime("%Y-%m-%d %H:%M").to_string()
}

/// An instant as FHIR has it, with the offset of a Schedule's zone.
pub fn instant(at: i64, zone: &jiff::tz::TimeZone) -> String {
    match jiff::Timestamp::from_second(at) {
        Ok(instant) => {
            let local = instant.to_zoned_datetime(zone.clone());
            local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        }
        Err(_) => resources::primitive::format_instant(at * 1_000),
    }
}

fn duration(seconds: i64) -> String {
    for (unit, size) in [("day", 86_400), ("hour", 3_600), ("minute", 60)] {
        if seconds % size == 0 && seconds >= size {
            let count = seconds / size;
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {unit}{plural}");
        }
    }
    format!("{seconds} seconds")
}

/// The times that `visit` could begin within a range, by the hours alone.
pub fn starts(bookable: &Bookable, visit: &Visit, within: Span) -> Vec<i64> {
    let windows = hours::open(bookable, within);
    hours::starts(&windows, visit)
        .filter(|start| within.start <= *start)
        .collect()
}
