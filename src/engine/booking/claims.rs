//! What a write of an Appointment claims, and whether the rules allow it.

use std::sync::Arc;

use resources::{
    Doc,
    model::ResourceType,
    outcome::{Issue, Severity},
};

use super::{
    Engine, Error, ErrorKind,
    board::State,
    meters::{self, Outcome},
    number,
    parties::{NamedSlot, Party},
    refusal::{owners_of, schedule_number},
    rule::Rule,
};
use crate::{
    access::{self, Access},
    engine::{
        draft::parse,
        submit::{Planned, parse_stored},
    },
    scheduling::{
        appointment::Appointment,
        calendar::Calendars,
        claim::{ClaimKind, ClaimSet, NewClaim, Number},
        policy::{LONGEST_HOLD, LONGEST_OFFER},
        rules,
        span::Span,
        status::{SlotStatus, Status, check_change},
    },
    store::{Change, Stored, Write},
};

/// Seconds around the present within which no notice is asked of who walked in.
const WALK_IN_RANGE: i64 = 3_600;

/// A set of claims, and what to tell whoever is refused.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// What is claimed.
    pub set: ClaimSet,
    /// For a refusal.
    pub about: Arc<About>,
    /// What it counts as once it is committed; nothing if no time is taken that was not before.
    pub counts: Option<Outcome>,
    /// Time may have become free, or somebody waits for it.
    pub concerns_waiting: bool,
}

/// What a set of claims is about.
#[derive(Debug)]
pub struct About {
    /// `Appointment` or `Slot`.
    pub kind: ResourceType,
    /// When.
    pub span: Span,
    /// Whose time.
    pub parties: Vec<Party>,
    /// The Appointment, to look for alternatives.
    pub appointment: Option<Appointment>,
}

/// What an Appointment leaves, and what it takes.
struct Left {
    before: Option<Appointment>,
    claimed: Claimed,
}

/// What is claimed in one commit, and by whom.
pub(super) struct Together {
    pub owners: Vec<Number>,
    pub claims: Vec<NewClaim>,
}

/// An Appointment as it is and as it shall be.
pub(super) struct Booking {
    /// As it is.
    pub before: Option<Appointment>,
    /// As it shall be; `None` if it is deleted.
    pub after: Option<Appointment>,
    /// Only being the patient lets the caller write it.
    pub is_own: bool,
}

impl Engine {
    /// Adds to the planned writes of Appointments and Slots what they claim, and the changes of
    /// stored Slots that follow; refuses what no rule allows.
    pub(in crate::engine) async fn with_claims(
        &self,
        planned: &mut [Result<Planned, Error>],
        before: &[Option<Stored>],
        access: &Access,
    ) -> Result<(), Error> {
        let writes = planned.iter().flatten().flat_map(|one| &one.writes);
        let coming: Vec<Write> = writes
            .filter(|write| is_of_interest(write.kind))
            .cloned()
            .collect();
        if coming.is_empty() {
            return Ok(());
        }
        self.update_board().await?;
        let mut left = Vec::new();
        for (at, (one, before)) in planned.iter_mut().zip(before).enumerate() {
            let Ok(plan) = one else { continue };
            if plan.writes.iter().any(|write| is_of_interest(write.kind)) {
                match self.claim(plan, before.as_ref(), &coming, access).await {
                    Ok(appointments) => left.extend(appointments.into_iter().map(|it| (at, it))),
                    Err(error) => *one = Err(error),
                }
            }
        }
        if planned.iter().any(Result::is_err) {
            return Ok(());
        }
        self.flip_slots(planned, left, &coming).await
    }

    /// Adds the changes of stored Slots that follow from all that is claimed together: one may
    /// leave a time that another takes.
    async fn flip_slots(
        &self,
        planned: &mut [Result<Planned, Error>],
        left: Vec<(usize, Left)>,
        coming: &[Write],
    ) -> Result<(), Error> {
        let all = planned.iter().flatten().flat_map(|plan| &plan.claims);
        let together = Together {
            owners: owners_of(coming),
            claims: all.flat_map(|claimed| claimed.set.claims.clone()).collect(),
        };
        let mut flipped: Vec<Write> = Vec::new();
        for (at, Left { before, claimed }) in left {
            let taken = (before.as_ref(), &claimed);
            let flips = self.flipped_slots(taken, &together, coming, &flipped);
            let flips = flips.await?;
            if let Some(Ok(plan)) = planned.get_mut(at) {
                plan.writes.extend(flips.iter().cloned());
            }
            flipped.extend(flips);
        }
        Ok(())
    }

    async fn claim(
        &self,
        plan: &mut Planned,
        before: Option<&Stored>,
        coming: &[Write],
        access: &Access,
    ) -> Result<Vec<Left>, Error> {
        let mut claims = Vec::new();
        let mut left = Vec::new();
        for write in &plan.writes {
            let before = before.filter(|stored| stored.head.id == write.id && !stored.head.deleted);
            match write.kind {
                ResourceType::APPOINTMENT => {
                    let (claimed, before) = self
                        .claim_appointment(write, before, coming, access)
                        .await
                        .inspect_err(meters::refused)?;
                    claims.push(claimed.clone());
                    left.push(Left { before, claimed });
                }
                ResourceType::SLOT => claims.push(self.claim_slot(write, coming).await?),
                _ if write.change != Change::Delete => {
                    let doc = checked(write)?;
                    self.check_schedule(write, &doc, access).await?;
                }
                _ => {}
            }
        }
        plan.claims = claims;
        Ok(left)
    }

    async fn claim_appointment(
        &self,
        write: &Write,
        before: Option<&Stored>,
        coming: &[Write],
        access: &Access,
    ) -> Result<(Claimed, Option<Appointment>), Error> {
        let base_url = &self.settings.base_url;
        let read = |doc: &Doc| Appointment::read(doc, base_url);
        let doc = match write.change {
            Change::Delete => None,
            _ => Some(checked(write)?),
        };
        let is_own = match &doc {
            Some(doc) => self.is_own(write, doc, access).await?,
            None => false,
        };
        let booking = Booking {
            // What came in before there were rules may not be readable.
            before: match before {
                Some(stored) => read(&parse_stored(stored)?),
                None => None,
            },
            after: doc.as_ref().and_then(read),
            is_own,
        };
        if is_own {
            booking.check_own(self.clock.now() / 1_000)?;
        }
        if access.booking() == access::Booking::Ruled {
            booking.check_status()?;
        }
        let owner = number(&format!("Appointment/{}", write.id));
        let mut claimed = match booking.claiming() {
            Some((after, span)) => {
                let facts = access.booking();
                let time = (after, span);
                self.claimed(owner, &booking, time, facts, coming).await?
            }
            None => Claimed::nothing(owner),
        };
        claimed.concerns_waiting = booking.concerns_waiting();
        Ok((claimed, booking.before))
    }

    async fn claimed(
        &self,
        owner: Number,
        booking: &Booking,
        (after, span): (&Appointment, Span),
        facts: access::Booking,
        coming: &[Write],
    ) -> Result<Claimed, Error> {
        let found = self.named_by(after, coming).await?;
        let (slots, parties) = self.whose(after, span, &found);
        self.load_calendars(&actors_of(&parties)).await?;
        let now = self.clock.now() / 1_000;
        let expires = hold(after, now)?;
        let is_new_time = booking.is_new_time(now);
        let is_fact = facts != access::Booking::Ruled;
        let is_checked = is_new_time && is_ahead(after.status);
        let is_now = (span.start - now).abs() <= WALK_IN_RANGE;
        let is_walk_in = after.is_walk_in() && is_now && !booking.is_own;
        // Patients do not overbook, but keep what was booked over others for them.
        let is_overbooked = after.is_overbooked && (!booking.is_own || !is_new_time);
        let mut claims = Vec::with_capacity(parties.len());
        {
            let state = self.board.read();
            let may_overlap = parties.iter().any(|party| {
                let rule = Rule::of(party, after, &slots, &state);
                rule.lets_patients_overlap()
            });
            for party in &parties {
                let rule = Rule::of(party, after, &slots, &state);
                if is_checked && !party.is_patient && !is_fact {
                    rule.check(party, now, is_walk_in)?;
                }
                booking.check_offer(&rule, party, now)?;
                if !(party.is_patient && may_overlap) {
                    let mut new = rule.claim(owner, party, expires, is_overbooked);
                    new.is_forced =
                        facts == access::Booking::Over || !is_new_time && has(&state, owner, party);
                    claims.push(new);
                }
                if let Some(until) = expires.filter(|until| party.is_patient && *until > now) {
                    let is_held = booking.is_held_by(&party.name, now);
                    claims.extend(self.holding((owner, until), party, is_held));
                }
            }
        }
        let beside = slots.iter().filter(|slot| slot.may_be_booked());
        let set = ClaimSet {
            owner,
            claims,
            beside: beside
                .map(|slot| number(&format!("Slot/{}", slot.id)))
                .collect(),
        };
        let about = About {
            kind: ResourceType::APPOINTMENT,
            span,
            parties,
            appointment: Some(after.clone()),
        };
        self.refuse_early(&set, &about, coming, now)?;
        let outcome = match after.status {
            Status::Pending if expires.is_some() => Outcome::Held,
            _ => Outcome::Booked,
        };
        Ok(Claimed {
            set,
            about: Arc::new(about),
            counts: (is_checked || booking.is_confirmed()).then_some(outcome),
            concerns_waiting: false,
        })
    }
}

impl Claimed {
    /// Counts what was committed.
    pub(in crate::engine) fn count(&self) {
        if let Some(outcome) = self.counts {
            meters::tried(outcome);
        }
    }

    /// Nothing is claimed, what was claimed is free.
    pub(super) fn nothing(owner: Number) -> Self {
        Self {
            set: ClaimSet {
                owner,
                claims: Vec::new(),
                beside: Vec::new(),
            },
            about: Arc::new(About {
                kind: ResourceType::APPOINTMENT,
                span: Span::new(0, 0),
                parties: Vec::new(),
                appointment: None,
            }),
            counts: None,
            concerns_waiting: true,
        }
    }
}

impl Booking {
    /// The Appointment that is to be, if it claims time, and its time.
    fn claiming(&self) -> Option<(&Appointment, Span)> {
        let after = self.after.as_ref()?;
        Some((after, claimed_span(after)?))
    }

    /// True if time is claimed that was not claimed before: another time, or that of somebody
    /// else. Patients are taken in at any time, and whether somebody has agreed does not matter.
    pub(super) fn is_new_time(&self, now: i64) -> bool {
        let Some(after) = &self.after else {
            return false;
        };
        let same = |before: &Appointment| {
            let is_over = expiry(before).is_some_and(|expires| expires <= now);
            before.status.claims()
                && !is_over
                && before.span == after.span
                && before.slots == after.slots
                && taking_part(before).eq(taking_part(after))
        };
        !self.before.as_ref().is_some_and(same)
    }

    /// True if there was something that may have had time, or somebody waits.
    fn concerns_waiting(&self) -> bool {
        let waits = |one: &Appointment| one.status == Status::Waitlist;
        self.before.is_some() || self.after.as_ref().is_some_and(waits)
    }

    /// True if what was only asked for or held is booked.
    fn is_confirmed(&self) -> bool {
        let is = |one: &Option<Appointment>, status| {
            one.as_ref().is_some_and(|one| one.status == status)
        };
        is(&self.before, Status::Pending) && is(&self.after, Status::Booked)
    }

    fn check_status(&self) -> Result<(), Error> {
        let Some(after) = &self.after else {
            return Ok(());
        };
        let from = self.before.as_ref().map(|before| before.status);
        let is_moved = self
            .before
            .as_ref()
            .is_some_and(|before| before.span != after.span);
        check_change(from, after.status, is_moved).map_err(|illegal| {
            let issue = Issue::error("business-rule", illegal.to_string());
            let issue = issue.because("illegal-transition").at("Appointment.status");
            Error::with(ErrorKind::Unprocessable, vec![issue])
        })
    }
}

/// Who takes part beside patients, and when.
fn taking_part(appointment: &Appointment) -> impl Iterator<Item = (Option<&str>, Option<Span>)> {
    let participants = appointment.participants.iter();
    let participants = participants.filter(|one| one.takes_part() && !one.is_patient());
    participants.map(|one| (one.reference.as_deref(), one.period))
}

/// The time that an Appointment claims, if it does.
pub(super) fn claimed_span(appointment: &Appointment) -> Option<Span> {
    appointment.span.filter(|_| appointment.status.claims())
}

/// From when on an Appointment claims nothing.
pub(super) fn expiry(appointment: &Appointment) -> Option<i64> {
    let is_held = appointment.status == Status::Pending;
    appointment.hold_expires.filter(|_| is_held)
}

/// When a pending Appointment's hold ends.
fn hold(after: &Appointment, now: i64) -> Result<Option<i64>, Error> {
    let expires = expiry(after);
    let longest = match after.offered {
        Some(_) => LONGEST_OFFER,
        None => LONGEST_HOLD,
    };
    if expires.is_some_and(|expires| expires > now + longest) {
        let text = format!("a hold lasts {} minutes at most", longest / 60);
        return Err(super::rule::against_rule("hold-too-long", text));
    }
    Ok(expires)
}

/// True if an owner has the time of a party already, and for good: it keeps it, whoever was
/// booked over it. The new version of the owner is committed only over the one that has it.
fn has(state: &State, owner: Number, party: &Party) -> bool {
    let calendar = state.of(party.number);
    let mut near = calendar
        .into_iter()
        .flat_map(|calendar| calendar.near(party.core));
    near.any(|claim| {
        claim.owner == owner
            && claim.kind == ClaimKind::Booking
            && claim.core == party.core
            && claim.expires.is_none()
    })
}

/// The actors of parties, and their Schedules.
pub(super) fn actors_of(parties: &[Party]) -> Vec<Number> {
    let actors = parties.iter().filter(|party| !party.is_patient);
    let mut numbers: Vec<Number> = actors.map(|party| party.number).collect();
    let schedules = parties.iter().flat_map(|party| &party.bookables);
    numbers.extend(schedules.map(|schedule| schedule_number(&schedule.id)));
    numbers
}

/// The document, unless it has hours and rules that cannot be understood, or times that cannot
/// be.
pub(super) fn checked(write: &Write) -> Result<Doc, Error> {
    let doc = parse(write.body.clone())?;
    let issues = rules::check(&doc);
    if issues.iter().any(|issue| issue.severity >= Severity::Error) {
        return Err(Error::with(ErrorKind::Unprocessable, issues));
    }
    Ok(doc)
}

/// True while it is not yet known whether anybody came.
fn is_ahead(status: Status) -> bool {
    matches!(status, Status::Pending | Status::Booked)
}

pub(super) fn is_of_interest(kind: ResourceType) -> bool {
    matches!(
        kind,
        ResourceType::APPOINTMENT
            | ResourceType::SLOT
            | ResourceType::SCHEDULE
            | ResourceType::PRACTITIONER_ROLE
            | ResourceType::HEALTHCARE_SERVICE
            | ResourceType::LOCATION
    )
}

impl NamedSlot {
    /// True unless it is closed: its own claims do not stand in the way of who books it.
    fn may_be_booked(&self) -> bool {
        let closed = SlotStatus::BusyUnavailable;
        self.stored
            .as_ref()
            .is_some_and(|slot| slot.status != closed)
    }
}
