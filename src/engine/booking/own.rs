//! What patients, and those who act for them, may do with Appointments of their own: ask for what
//! is offered, hold, book, move and cancel it. The rest takes a rule that comes of one's work.

use resources::{Doc, model::ResourceType, outcome::Issue};

use super::{
    Engine, Error, ErrorKind,
    claims::Booking,
    parties::{Party, actors},
    rule::{Rule, local},
};
use crate::{
    access::Access,
    engine::permission::Subject,
    scheduling::{appointment::Appointment, status::Status},
    store::Write,
};

/// Seconds by which the clock of a patient's app may be behind.
const BACKDATED: i64 = 300;

/// What patients may make of an Appointment.
const THEIRS: [Status; 5] = [
    Status::Proposed,
    Status::Pending,
    Status::Waitlist,
    Status::Booked,
    Status::Cancelled,
];

impl Engine {
    /// True if only being the patient, or acting for one, lets the caller write this.
    pub(super) async fn is_own(
        &self,
        write: &Write,
        doc: &Doc,
        access: &Access,
    ) -> Result<bool, Error> {
        let subject = Subject {
            kind: write.kind,
            id: &write.id,
            updated: 0,
            doc,
        };
        Ok(!self.writes_by_work(subject, access).await?)
    }

    /// Refuses a Schedule of anybody but patients to whoever has only their own record: whose
    /// hours they are, others are booked by them.
    pub(super) async fn check_schedule(
        &self,
        write: &Write,
        doc: &Doc,
        access: &Access,
    ) -> Result<(), Error> {
        let is_of_patients = || {
            let actors = actors(doc);
            !actors.is_empty() && actors.iter().all(|actor| actor.starts_with("Patient/"))
        };
        if write.kind != ResourceType::SCHEDULE
            || is_of_patients()
            || !self.is_own(write, doc, access).await?
        {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            "forbidden",
            "a patient writes no hours of others",
        ))
    }
}

impl Booking {
    /// Refuses what patients may not make of an Appointment.
    pub(super) fn check_own(&self, now: i64) -> Result<(), Error> {
        let Some(after) = &self.after else {
            return Ok(());
        };
        if !THEIRS.contains(&after.status) {
            let text = format!(
                "a patient may ask for, hold, book, move and cancel an Appointment; {} is for the \
                 staff to say",
                after.status
            );
            return Err(refused("staff-only", "Appointment.status", text));
        }
        if let Some(before) = &self.before
            && !THEIRS.contains(&before.status)
        {
            let text = format!(
                "an Appointment that is {} can be changed by the staff only",
                before.status
            );
            return Err(refused("staff-only", "Appointment.status", text));
        }
        let was_overbooked = self.before.as_ref().is_some_and(|one| one.is_overbooked);
        if after.is_overbooked && !was_overbooked {
            let text = "a patient cannot book over others";
            return Err(refused("staff-only", "Appointment.extension", text));
        }
        if after.offered.is_some() {
            let text = "a patient cannot hold a time for those who wait";
            return Err(refused("staff-only", "Appointment.identifier", text));
        }
        self.check_turn(after, now)
    }

    /// Refuses what would let a patient who waits go before others.
    fn check_turn(&self, after: &Appointment, now: i64) -> Result<(), Error> {
        if after.status != Status::Waitlist {
            return Ok(());
        }
        let before = self.before.as_ref();
        let before = before.filter(|one| one.status == Status::Waitlist);
        let had = before.and_then(|one| one.priority);
        if after.priority.is_some_and(|it| it != 0) && after.priority != had {
            let text = "how urgent it is to those who wait is for the staff to say";
            return Err(refused("staff-only", "Appointment.priority", text));
        }
        let since = before.and_then(|one| one.created);
        if after.created.is_some_and(|at| at < now - BACKDATED) && after.created != since {
            let text = "a patient waits from the moment of asking on: leave created out";
            return Err(refused("staff-only", "Appointment.created", text));
        }
        Ok(())
    }

    /// Refuses a time that is not offered, and one that needs approval.
    pub(super) fn check_offer(
        &self,
        rule: &Rule<'_>,
        party: &Party,
        now: i64,
    ) -> Result<(), Error> {
        if !self.is_own || party.is_patient {
            return Ok(());
        }
        if self.is_new_time(now) && !rule.is_offered() {
            let core = party.core;
            let when = match rule.bookable() {
                Some(bookable) => format!(
                    "from {} to {}",
                    local(core.start, bookable),
                    local(core.end, bookable)
                ),
                None => "then".to_owned(),
            };
            let text = format!(
                "{} is not offered {when}; Appointment/$find gives the times that can be booked",
                party.name
            );
            return Err(refused("not-offered", "Appointment.start", text));
        }
        if rule.needs_approval() && self.is_newly_booked(now) {
            let text = format!(
                "what is booked with {} needs approval: it stays pending until it is confirmed",
                party.name
            );
            return Err(refused("needs-approval", "Appointment.status", text));
        }
        Ok(())
    }

    /// True if something is booked that was not booked like that before.
    fn is_newly_booked(&self, now: i64) -> bool {
        let Some(after) = self
            .after
            .as_ref()
            .filter(|one| one.status == Status::Booked)
        else {
            return false;
        };
        self.is_new_time(now)
            || self.before.as_ref().is_none_or(|before| {
                before.status != Status::Booked
                    || before.service_types != after.service_types
                    || before.appointment_types != after.appointment_types
            })
    }
}

fn refused(code: &'static str, path: &str, text: impl Into<String>) -> Error {
    let issue = Issue::error("forbidden", text).because(code).at(path);
    Error::with(ErrorKind::Forbidden, vec![issue])
}
