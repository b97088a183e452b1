//! `$hold`, `$book`, `$release`, `$confirm`, `$cancel`, `$reschedule`: each is one write, or one
//! set of writes, that goes the way of all writes.

use resources::{Doc, outcome::Issue};

use super::{
    APPOINTMENT, BookingCall, Engine, Error, ErrorKind,
    asked::{Asked, Named},
    assign::is_need,
    edits::{
        add_patients, book, expect_status, instance, local_id, overbook, reason, request,
        set_extension, set_participants,
    },
    members::{Members, quoted},
    once::Once,
    proposed::{Proposed, Stage},
    rule::{Rule, instant as instant_text},
    series_edit::Scope,
    written::Written,
};
use crate::{
    access::{Access, Right},
    engine::{draft::parse, operation::Resource, submit::parse_stored},
    scheduling::{
        appointment::{Appointment, HOLD_EXPIRES},
        policy::LONGEST_HOLD,
        status::Status,
    },
    store::Stored,
};

/// Attempts to change an Appointment that others change at the same time.
const ATTEMPTS: usize = 5;

/// What a booking operation answers.
#[derive(Debug, Clone, PartialEq)]
pub struct BookingReply {
    /// The Appointments as they are now, the first is what was asked about.
    pub appointments: Vec<Resource>,
    /// The first is new (201).
    pub is_created: bool,
    /// When the hold ends, in seconds since 1970.
    pub expires: Option<i64>,
    /// What of a series was left as it is, and why.
    pub refused: Vec<Issue>,
}

/// Which Appointment, and what is wanted of it.
enum Subject {
    /// A proposal of `$find`.
    Proposed(Proposed),
    /// One that is there.
    Stored(String),
    /// One that came with the call.
    Given(Doc),
    /// Any that `$find` finds.
    Needed,
}

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Hold,
    Book,
    Release,
    Confirm,
    Cancel,
    Reschedule,
    NoShow,
    Join,
    Accept,
    Decline,
}

impl Work {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Book => "book",
            Self::Release => "release",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Reschedule => "reschedule",
            Self::NoShow => "no-show",
            Self::Join => "waitlist",
            Self::Accept => "accept-offer",
            Self::Decline => "decline-offer",
        }
    }
}

impl Engine {
    pub(super) async fn held_once(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        self.carried_out(call, Work::Hold, access).await
    }

    async fn hold(
        &self,
        (asked, call): (&Asked, &BookingCall),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let now = self.clock.now() / 1_000;
        let seconds = asked.number("hold-for")?.map(i64::from);
        if seconds.is_some_and(|seconds| !(1..=LONGEST_HOLD).contains(&seconds)) {
            return Err(Error::invalid(format!(
                "hold-for must be from 1 to {LONGEST_HOLD} seconds"
            )));
        }
        let written = match self.subject(asked, call, access).await? {
            Subject::Proposed(mut proposed) => {
                add_patients(asked, &mut proposed.patients)?;
                let until = proposed.held_until(now, seconds);
                let text = proposed.text(None, Stage::Held(until), asked.text("comment"));
                Written::new(parse(text)?)
            }
            Subject::Stored(id) => {
                let (stored, doc) = self.changeable(&id, access).await?;
                let mut members = Members::of(&doc);
                self.held(&mut members, now + seconds.unwrap_or(600))?;
                Written::of(&stored, &members)?
            }
            Subject::Given(doc) => {
                let mut members = Members::of(&doc);
                members.remove("id").remove("meta");
                self.held(&mut members, now + seconds.unwrap_or(600))?;
                Written::new(parse(members.text())?)
            }
            Subject::Needed => {
                let stage = |proposed: &Proposed| Stage::Held(proposed.held_until(now, seconds));
                return Box::pin(self.assign(asked, call, &stage, once, access)).await;
            }
        };
        let done = self.write_all(vec![written], once, access).await?;
        Ok(self.replied(done))
    }

    pub(super) async fn booked_once(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        self.carried_out(call, Work::Book, access).await
    }

    async fn book(
        &self,
        (asked, call): (&Asked, &BookingCall),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let mut writes = Vec::new();
        match self.subject(asked, call, access).await? {
            Subject::Proposed(mut proposed) => {
                add_patients(asked, &mut proposed.patients)?;
                let text = proposed.text(None, proposed.booked(), asked.text("comment"));
                if super::timing::recurrence(asked)?.is_some() {
                    return Box::pin(self.book_series(asked, &text, once, access)).await;
                }
                writes.push(Written::new(parse(self.overbooked(text, asked)?)?));
            }
            Subject::Stored(id) => {
                writes.push(self.book_held(&id, asked, access).await?);
            }
            Subject::Given(doc) => {
                let text = self.given_to_book(&doc, asked)?;
                if super::timing::recurrence(asked)?.is_some() {
                    return Box::pin(self.book_series(asked, &text, once, access)).await;
                }
                let scope = Scope::read(asked)?;
                let id = doc.root().get("id").and_then(|id| id.as_str());
                if let Some(id) = id.filter(|_| scope != Scope::This) {
                    let change = parse(text)?;
                    return Box::pin(self.book_in_scope(&id, &change, asked, scope, once, access))
                        .await;
                }
                writes.push(self.book_given(&doc, text, access).await?);
            }
            Subject::Needed if asked.is_set("walk-in") => {
                return Box::pin(self.walk_in(asked, call, once, access)).await;
            }
            Subject::Needed => {
                return Box::pin(self.assign(asked, call, &Proposed::booked, once, access)).await;
            }
        }
        writes.extend(self.exchanged(asked, access).await?);
        let done = self.write_all(writes, once, access).await?;
        Ok(self.replied(done))
    }

    /// `Appointment/[id]/$release`: ends a hold.
    ///
    /// # Errors
    /// [`ErrorKind::Unprocessable`] if it is not pending.
    pub async fn release_appointment(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        self.carried_out(call, Work::Release, access).await
    }

    /// `Appointment/[id]/$confirm`: what waited for approval or payment is booked.
    ///
    /// # Errors
    /// [`ErrorKind::Unprocessable`] if it is not pending; [`ErrorKind::Conflict`] if its hold is
    /// over and somebody else has the time.
    pub async fn confirm_appointment(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        self.carried_out(call, Work::Confirm, access).await
    }

    /// `Appointment/[id]/$cancel`, with `scope` this, following or all for a series.
    ///
    /// # Errors
    /// [`ErrorKind::Unprocessable`] if it has taken place.
    pub async fn cancel_appointment(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        self.carried_out(call, Work::Cancel, access).await
    }

    async fn cancel(
        &self,
        (asked, call): (&Asked, &BookingCall),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let id = instance(asked, call)?;
        let ids = self.in_scope(&id, Scope::read(asked)?, access).await?;
        let mut writes = Vec::new();
        for id in &ids {
            writes.push(self.cancelled(id, asked, access).await?);
        }
        let done = self.write_all(writes, once, access).await?;
        Ok(self.replied(done))
    }

    /// `Appointment/[id]/$reschedule`: the new time is taken and the old one freed, or neither.
    /// With `scope` others of the series move by as much on the clock.
    ///
    /// # Errors
    /// As [`Engine::hold_appointment`].
    pub async fn reschedule_appointment(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        self.carried_out(call, Work::Reschedule, access).await
    }

    /// Carries out an operation: again if others have changed the Appointment meanwhile, and not
    /// at all if it has been carried out with the same key.
    pub(super) async fn carried_out(
        &self,
        call: &BookingCall,
        work: Work,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let asked = &self.parameters_of(call)?;
        let (once, done) = self.once(call, work.name(), access).await?;
        if let Some(done) = done {
            return Ok(self.replied(done));
        }
        let mut attempt = 1;
        let error = loop {
            let (asked, own) = ((asked, call), once.clone());
            let done = match work {
                Work::Hold => self.hold(asked, own, access).await,
                Work::Book => self.book(asked, own, access).await,
                Work::Release | Work::Confirm => self.changed(asked, work, own, access).await,
                Work::Cancel => self.cancel(asked, own, access).await,
                Work::Reschedule => self.reschedule(asked, own, access).await,
                Work::NoShow => self.missed(asked, own, access).await,
                Work::Join => self.join(asked, own, access).await,
                Work::Accept => Box::pin(self.accept(asked, own, access)).await,
                Work::Decline => self.decline(asked, own, access).await,
            };
            match done {
                Err(error) if error.kind == ErrorKind::PreconditionFailed => {
                    if attempt == ATTEMPTS {
                        let text = "others keep changing the Appointment; try again";
                        break Error::new(ErrorKind::Conflict, "conflict", text);
                    }
                    attempt += 1;
                }
                Err(error) => break error,
                Ok(reply) => return Ok(reply),
            }
        };
        // The same request may have been carried out while this one was looked at.
        if let Some(once) = &once
            && let Some(done) = self.replayed(once, access).await?
        {
            return Ok(self.replied(done));
        }
        Err(error)
    }

    fn parameters_of(&self, call: &BookingCall) -> Result<Asked, Error> {
        Asked::read(&call.pairs, call.body.as_ref(), &self.settings.base_url)
    }

    /// What a call of `$hold` or `$book` is about.
    async fn subject(
        &self,
        asked: &Asked,
        call: &BookingCall,
        access: &Access,
    ) -> Result<Subject, Error> {
        let mut named = asked.named("appointment-reference", "Appointment")?;
        named.extend(
            call.id
                .iter()
                .map(|id| Named::Local(format!("Appointment/{id}"))),
        );
        let mut given = asked.complex("appointment-resource")?;
        match (named.pop(), given.pop()) {
            (Some(named), None) => {
                let id = local_id(named)?;
                match self.proposed(&id, access).await? {
                    Some(proposed) => Ok(Subject::Proposed(proposed)),
                    None => Ok(Subject::Stored(id)),
                }
            }
            (None, Some(doc)) => {
                // A proposal that comes back whole is what its id says.
                let id = doc
                    .root()
                    .get("id")
                    .and_then(|id| id.as_str())
                    .unwrap_or_default();
                let status = doc.root().get("status").and_then(|status| status.as_str());
                if status.as_deref() == Some("proposed")
                    && let Some(proposed) = self.proposed(&id, access).await?
                {
                    let patients = Appointment::read(&doc, &self.settings.base_url);
                    let mut proposed = proposed;
                    for patient in patients.iter().flat_map(Appointment::patients) {
                        if !proposed.patients.iter().any(|one| one == patient) {
                            proposed.patients.push(patient.to_owned());
                        }
                    }
                    return Ok(Subject::Proposed(proposed));
                }
                Ok(Subject::Given(doc))
            }
            (None, None) if is_need(asked) => Ok(Subject::Needed),
            _ => Err(Error::new(
                ErrorKind::Invalid,
                "required",
                "give appointment-reference or appointment-resource, and one of the two only; \
                 or what is needed, with the parameters of $find",
            )),
        }
    }

    /// An Appointment that the caller may see and change.
    pub(super) async fn changeable(
        &self,
        id: &str,
        access: &Access,
    ) -> Result<(Stored, Doc), Error> {
        let shown = access.to_any(crate::engine::permission::shown());
        self.permit(APPOINTMENT, &access.to(Right::Update))?;
        let found = self.seen(APPOINTMENT, id, &shown).await?;
        let stored = found.ok_or_else(|| Error::not_found(APPOINTMENT, id))?;
        if stored.head.deleted {
            return Err(Error::gone(APPOINTMENT, id));
        }
        let doc = parse_stored(&stored)?;
        Ok((stored, doc))
    }

    /// Makes it pending and held.
    fn held(&self, members: &mut Members, until: i64) -> Result<(), Error> {
        let until = until.min(self.clock.now() / 1_000 + LONGEST_HOLD);
        let until = instant_text(until, &jiff::tz::TimeZone::UTC);
        set_extension(
            members,
            HOLD_EXPIRES,
            Some(&format!(
                r#"{{"url":"{HOLD_EXPIRES}","valueInstant":"{until}"}}"#
            )),
        )?;
        members.set_text("status", "pending");
        Ok(())
    }

    /// A held Appointment, booked.
    async fn book_held(&self, id: &str, asked: &Asked, access: &Access) -> Result<Written, Error> {
        let (stored, doc) = self.changeable(id, access).await?;
        let appointment = Appointment::read(&doc, &self.settings.base_url);
        let now = self.clock.now() / 1_000;
        if let Some(one) = &appointment
            && one.status == Status::Pending
            && one.hold_expires.is_some_and(|expires| expires <= now)
            && !asked.is_set("if-still-free")
        {
            let issue = Issue::error(
                "expired",
                "the hold is over; find a time again, or book with if-still-free=true",
            );
            return Err(Error::with(
                ErrorKind::Conflict,
                vec![issue.because("hold-expired")],
            ));
        }
        let mut members = Members::of(&doc);
        let is_held = appointment
            .as_ref()
            .filter(|one| one.hold_expires.is_some());
        match is_held {
            Some(one) if self.needs_approval(one).await? => request(&doc, &mut members),
            _ => book(&doc, &mut members),
        }
        let mut patients = Vec::new();
        add_patients(asked, &mut patients)?;
        for patient in patients {
            let is_there = appointment
                .iter()
                .flat_map(Appointment::patients)
                .any(|one| one == patient);
            if !is_there {
                if appointment.iter().any(|one| one.status == Status::Booked) {
                    let text = format!("Appointment/{id} is booked already, for somebody else");
                    let issue = Issue::error("conflict", text).because("slot-taken");
                    return Err(Error::with(ErrorKind::Conflict, vec![issue]));
                }
                let patient = quoted(&patient);
                members.push(
                    "participant",
                    &format!(r#"{{"actor":{{"reference":{patient}}},"required":"required","status":"accepted"}}"#),
                );
            }
        }
        if let Some(comment) = asked.text("comment") {
            members.set_text("comment", comment);
        }
        Written::of(&stored, &members)
    }

    /// What is booked like this waits until somebody confirms it.
    pub(super) async fn needs_approval(&self, appointment: &Appointment) -> Result<bool, Error> {
        let Some(span) = appointment.span else {
            return Ok(false);
        };
        self.update_board().await?;
        let found = self.named_by(appointment, &[]).await?;
        let state = self.board.read();
        let slots = self.named_slots(appointment, &found, &state);
        let parties = self.parties(appointment, span, &slots, &found, &state);
        Ok(parties.iter().any(|party| {
            let rule = Rule::of(party, appointment, &slots, &state);
            !party.is_patient && rule.needs_approval()
        }))
    }

    /// The text of an Appointment that came with `$book`.
    fn given_to_book(&self, doc: &Doc, asked: &Asked) -> Result<String, Error> {
        let mut members = Members::of(doc);
        let status = members
            .get("status")
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned();
        match status.as_str() {
            "proposed" | "pending" => book(doc, &mut members),
            "booked" | "cancelled" => {}
            "arrived" | "checked-in" if is_walk_in(doc, &self.settings.base_url) => {}
            other => {
                let text = format!(
                    "$book takes Appointments that are pending or proposed (to book), booked (to \
                     change) or cancelled (to cancel), of the type WALKIN also arrived or \
                     checked-in, and not '{other}'"
                );
                let issue = Issue::error("business-rule", text).at("Appointment.status");
                return Err(Error::with(ErrorKind::Unprocessable, vec![issue]));
            }
        }
        if let Some(comment) = asked.text("comment") {
            members.set_text("comment", comment);
        }
        self.overbooked(members.text(), asked)
    }

    async fn book_given(&self, doc: &Doc, text: String, access: &Access) -> Result<Written, Error> {
        let id = doc.root().get("id").and_then(|id| id.as_str());
        let Some(id) = id else {
            return Ok(Written::new(parse(text)?));
        };
        let stored = match self.changeable(&id, access).await {
            Ok((stored, _)) => stored,
            Err(error) if error.kind == ErrorKind::NotFound => {
                let mut members = Members::of(&parse(text)?);
                members.remove("id").remove("meta");
                return Ok(Written::new(parse(members.text())?));
            }
            Err(error) => return Err(error),
        };
        Written::of(&stored, &Members::of(&parse(text)?))
    }

    /// Marks an Appointment that shall be booked over others.
    fn overbooked(&self, text: String, asked: &Asked) -> Result<String, Error> {
        if !asked.is_set("overbook") {
            return Ok(text);
        }
        let mut members = Members::of(&parse(text)?);
        overbook(&mut members)?;
        Ok(members.text())
    }

    /// An Appointment, cancelled.
    pub(super) async fn cancelled(
        &self,
        id: &str,
        asked: &Asked,
        access: &Access,
    ) -> Result<Written, Error> {
        let (stored, doc) = self.changeable(id, access).await?;
        let mut members = Members::of(&doc);
        members.set_text("status", "cancelled");
        if let Some(reason) = reason(asked) {
            members.set("cancelationReason", reason);
        }
        Written::of(&stored, &members)
    }

    /// A hold that is released, or confirmed.
    async fn changed(
        &self,
        (asked, call): (&Asked, &BookingCall),
        work: Work,
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let id = instance(asked, call)?;
        let (stored, doc) = self.changeable(&id, access).await?;
        let mut members = Members::of(&doc);
        if work == Work::Release {
            expect_status(&doc, &[Status::Pending], "released")?;
            members.set_text("status", "cancelled");
            set_participants(&doc, &mut members, "declined");
        } else {
            let waiting = [Status::Pending, Status::Proposed, Status::Waitlist];
            expect_status(&doc, &waiting, "confirmed")?;
            book(&doc, &mut members);
        }
        let written = Written::of(&stored, &members)?;
        let done = self.write_all(vec![written], once, access).await?;
        Ok(self.replied(done))
    }
}

impl Proposed {
    /// Until when it is held: `seconds` are what was asked for.
    fn held_until(&self, now: i64, seconds: Option<i64>) -> i64 {
        let visit = self.parts[0].visit().map_or(600, |visit| visit.hold);
        now + seconds.unwrap_or(visit).min(LONGEST_HOLD)
    }

    /// What it becomes when it is booked.
    fn booked(&self) -> Stage {
        let mut visits = self.parts.iter().filter_map(|part| part.visit());
        match visits.any(|visit| visit.needs_approval) {
            true => Stage::Requested,
            false => Stage::Booked,
        }
    }
}

fn is_walk_in(doc: &Doc, base_url: &str) -> bool {
    let appointment = Appointment::read(doc, base_url);
    appointment.is_some_and(|one| one.is_walk_in())
}
