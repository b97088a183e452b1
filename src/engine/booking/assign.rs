//! Who gets a booking that several could take: `$book` and `$hold` by what is needed.
//!
//! The claims decide, as always; if somebody else was faster, the next candidate is tried. What
//! this node has chosen and not yet committed counts as if it were booked, so that many at once
//! are spread over those who are free and dealt out evenly.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use resources::outcome::{Detail, Issue, Severity};

use super::{
    BookingCall, BookingReply, Engine, Error, ErrorKind,
    asked::Asked,
    board::State,
    edits::add_patients,
    need::Wanted,
    number,
    once::Once,
    proposed::{Proposed, ProposedPart, Stage},
    refusal::{ALTERNATIVES, LOOK_AHEAD, OF_PATIENTS},
    rule::instant,
    written::Written,
};
use crate::{
    access::{Access, Right},
    engine::draft::parse,
    scheduling::{
        bookable::Bookable,
        calendar::Calendars,
        claim::{ClaimKind, Number},
        find::{Proposal, Sort},
        span::Span,
    },
};

/// Candidates that are tried before it is given up.
pub const TRIES: usize = 32;
/// Candidates that are looked at, and of one practitioner if it matters who.
const CANDIDATES: usize = 64;
const MOST_CANDIDATES: usize = 1_000;
const OF_ONE: usize = 16;

/// Parameters that say what is needed.
const NEEDS: &[&str] = &[
    "start",
    "end",
    "specialty",
    "visit-type",
    "practitioner",
    "organization",
    "location-reference",
    "location-string",
    "service-type-reference",
    "service-category",
    "appointment-type",
    "timing",
    "near",
    "schedule",
    "role",
    "duration",
    "assignment",
    "walk-in",
];

/// Who of those that are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Assignment {
    /// Whoever has the earliest time; of several at once the one that fits best, then any.
    Earliest,
    /// Whoever has the least booked time in the range that is asked for.
    LeastLoaded,
    /// Whoever has the fewest bookings in it; of several the one whose last one is the longest ago.
    Fair,
    /// As `$find` orders by preference.
    Preferred,
}

impl Assignment {
    fn read(asked: &Asked) -> Result<Self, Error> {
        match asked.text("assignment") {
            None | Some("earliest") => Ok(Self::Earliest),
            Some("least-loaded") => Ok(Self::LeastLoaded),
            Some("fair") => Ok(Self::Fair),
            Some("preferred") => Ok(Self::Preferred),
            Some(other) => Err(Error::invalid(format!(
                "assignment must be earliest, least-loaded, fair or preferred, and not '{other}'"
            ))),
        }
    }

    fn is_by_load(self) -> bool {
        matches!(self, Self::LeastLoaded | Self::Fair)
    }
}

/// What was chosen and is on its way to the commit.
#[derive(Debug, Default)]
pub struct Chosen(Mutex<Vec<Choice>>);

#[derive(Debug)]
struct Choice {
    owner: Number,
    parts: Vec<(Number, Span)>,
}

/// Takes a choice back when it is dropped.
struct Ticket<'c>(&'c Chosen, Number);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut choices = (self.0.0.lock()).unwrap_or_else(PoisonError::into_inner);
        choices.retain(|choice| choice.owner != self.1);
    }
}

/// True if a call says what is needed, and not what shall be booked.
pub fn is_need(asked: &Asked) -> bool {
    asked.names().any(|name| NEEDS.contains(&name))
}

impl Engine {
    /// Books, or holds, one of the times that `$find` would give.
    pub(super) async fn assign(
        &self,
        asked: &Asked,
        call: &BookingCall,
        stage: &(dyn Fn(&Proposed) -> Stage + Sync),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let assignment = Assignment::read(asked)?;
        let now = self.clock.now() / 1_000;
        let mut wanted = Wanted::read(asked, now, &self.settings.time_zone, call.strict)?;
        self.permit(super::APPOINTMENT, &access.to(Right::Create))?;
        self.within_sight(&mut wanted, access).await?;
        let mut patients = wanted.patients.clone();
        add_patients(asked, &mut patients)?;
        wanted.need.patients = patients.iter().map(|patient| number(patient)).collect();
        wanted.need.count = CANDIDATES;
        if assignment == Assignment::Preferred {
            wanted.need.sort = Sort::Preferred;
        }
        if assignment.is_by_load() {
            wanted.need.count = MOST_CANDIDATES;
            wanted.need.per_practitioner = Some(OF_ONE);
        }
        wanted.need.total = wanted.need.count;
        let is_series = super::timing::recurrence(asked)?.is_some();
        let mut lost = None;
        for _ in 0..TRIES {
            let now = self.clock.now() / 1_000;
            let (bookables, found) = self.found_times(&wanted.need, now).await?;
            let id = self.new_id();
            let chosen = self.choose(
                &found.proposals,
                &bookables,
                (wanted.need.within, now),
                assignment,
                &id,
            );
            let Some((proposal, ticket)) = chosen else {
                break;
            };
            let proposed = Proposed::of(proposal, &bookables, patients.clone());
            let text = proposed.text(None, stage(&proposed), asked.text("comment"));
            if is_series {
                return Box::pin(self.book_series(asked, &text, once, access)).await;
            }
            let mut writes = vec![Written::named(&id, parse(text)?)];
            writes.extend(self.exchanged(asked, access).await?);
            let done = self.write_all(writes, once.clone(), access).await;
            match done {
                Ok(done) => {
                    // From now on the board knows it, and the choice need not.
                    self.update_board().await?;
                    drop(ticket);
                    return Ok(self.replied(done));
                }
                Err(error) if is_lost(&error) => lost = Some(error),
                Err(error) => return Err(error),
            }
        }
        match lost {
            Some(error) => Err(error),
            None => Err(self.nothing_free(wanted).await?),
        }
    }

    /// One of several proposals, which counts as booked while the ticket lives.
    fn choose<'s, 'p>(
        &'s self,
        proposals: &'p [Proposal],
        bookables: &[Arc<Bookable>],
        (within, now): (Span, i64),
        assignment: Assignment,
        id: &str,
    ) -> Option<(&'p Proposal, Ticket<'s>)> {
        let chosen = self.board.chosen();
        let mut choices = chosen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.board.read();
        let is_chosen = |proposal: &Proposal| {
            proposal.parts.iter().any(|part| {
                let bookable = &bookables[part.bookable];
                let visit = part.visit.and_then(|visit| bookable.visits.get(visit));
                // With more seats it is not known to be full.
                visit.is_none_or(|visit| visit.capacity <= 1)
                    && bookable.actors.iter().any(|actor| {
                        let parts = choices.iter().flat_map(|choice| &choice.parts);
                        let mut own = parts.filter(|(number, _)| *number == actor.number);
                        own.any(|(_, span)| span.overlaps(part.core))
                    })
            })
        };
        let leader = |proposal: &Proposal| {
            let bookable = &bookables[proposal.parts.first()?.bookable];
            bookable.actors.first().map(|actor| actor.number)
        };
        let load = |actor| booked(actor, (within, now), &state, &choices);
        let key = |(at, proposal): &(usize, &Proposal)| {
            let leader = leader(proposal).unwrap_or(Number(0));
            let load = match assignment {
                Assignment::Earliest | Assignment::Preferred => (0, 0),
                Assignment::LeastLoaded => (load(leader).0, 0),
                Assignment::Fair => {
                    let (_, count, last) = load(leader);
                    (count, last)
                }
            };
            // Several nodes that choose at once shall not all choose the same.
            let any = number(&format!("{id} {} {}", leader.0, proposal.start)).0;
            let order = match assignment {
                Assignment::Preferred => (*at as i64, 0, 0),
                _ => (proposal.start, proposal.rank, any),
            };
            (load, is_chosen(proposal), order)
        };
        let (_, best) = proposals.iter().enumerate().min_by_key(key)?;
        let owner = number(&format!("Appointment/{id}"));
        let parts = best.parts.iter().flat_map(|part| {
            let actors = bookables[part.bookable].actors.iter();
            actors.map(|actor| (actor.number, part.core))
        });
        choices.push(Choice {
            owner,
            parts: parts.collect(),
        });
        Some((best, Ticket(chosen, owner)))
    }

    /// Cancellations that go with a booking.
    pub(super) async fn exchanged(
        &self,
        asked: &Asked,
        access: &Access,
    ) -> Result<Vec<Written>, Error> {
        let mut writes = Vec::new();
        for named in asked.named("cancelled-appt-id", "Appointment")? {
            let id = super::edits::local_id(named)?;
            writes.push(self.cancelled(&id, asked, access).await?);
        }
        Ok(writes)
    }

    /// The refusal of what nobody has time for, with the next times.
    pub(super) async fn nothing_free(&self, wanted: Wanted) -> Result<Error, Error> {
        let zone = &self.settings.time_zone;
        let within = wanted.need.within;
        let text = format!(
            "nothing that fits is free from {} to {}",
            instant(within.start, zone),
            instant(within.end, zone)
        );
        let issue = Issue::error("conflict", text).because("nothing-free");
        let mut issues = vec![issue.at("Appointment.start")];
        issues.extend(self.alternatives(wanted).await?);
        Ok(Error::with(ErrorKind::Conflict, issues))
    }

    /// The next times that fit, as issues.
    pub(super) async fn alternatives(&self, mut wanted: Wanted) -> Result<Vec<Issue>, Error> {
        let now = self.clock.now() / 1_000;
        let within = wanted.need.within;
        let mut issues = Vec::new();
        wanted.need.within = Span::new(within.start, within.start + LOOK_AHEAD);
        wanted.need.timing = None;
        wanted.need.count = ALTERNATIVES;
        wanted.need.total = ALTERNATIVES;
        let (bookables, found) = self.found_times(&wanted.need, now).await?;
        for proposal in &found.proposals {
            let zone = &bookables[proposal.parts[0].bookable].zone;
            let (start, end) = (instant(proposal.start, zone), instant(proposal.end, zone));
            let mut issue = Issue::warning("informational", format!("free: {start} to {end}"));
            issue.severity = Severity::Information;
            issue.detail = Some(Box::new(Detail {
                code: "alternative",
                alternative: Some((start, end)),
            }));
            issues.push(issue);
        }
        Ok(issues)
    }
}

impl Proposed {
    /// What `$find` found, for somebody.
    pub fn of(proposal: &Proposal, bookables: &[Arc<Bookable>], patients: Vec<String>) -> Self {
        let parts = proposal.parts.iter().map(|part| ProposedPart {
            bookable: Arc::clone(&bookables[part.bookable]),
            visit: part.visit,
            span: part.core,
        });
        Self {
            span: Span::new(proposal.start, proposal.end),
            parts: parts.collect(),
            patients,
        }
    }
}

/// Booked seconds of an actor in a time, how many bookings that are, and when the last one begins.
fn booked(
    actor: Number,
    (within, now): (Span, i64),
    state: &State,
    choices: &[Choice],
) -> (i64, i64, i64) {
    let mut owners = HashSet::new();
    let mut booked = (0, 0, i64::MIN);
    let mut add = |owner: Number, core: Span| {
        if within.start <= core.start && core.start < within.end && owners.insert(owner) {
            booked.0 += core.seconds();
            booked.1 += 1;
            booked.2 = booked.2.max(core.start);
        }
    };
    let calendar = state.of(actor);
    for claim in calendar
        .into_iter()
        .flat_map(|calendar| calendar.near(within))
    {
        if claim.kind == ClaimKind::Booking && claim.is_live(now) {
            add(claim.owner, claim.core);
        }
    }
    for choice in choices {
        for (_, core) in choice.parts.iter().filter(|(number, _)| *number == actor) {
            add(choice.owner, *core);
        }
    }
    booked
}

/// True if somebody else was faster.
pub fn is_lost(error: &Error) -> bool {
    let Some(first) = error.issues.first() else {
        return false;
    };
    let code = first.detail.as_ref().map(|detail| detail.code);
    matches!(code, Some("slot-taken" | "limit-reached"))
        && first.expression.as_deref() != Some(OF_PATIENTS)
}
