//! From what has happened to the bytes of a message.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use mllp::{
    header::Header,
    message::{Message, Reading},
    out::{Related, appointment, order, patient, pharmacy, result, siu},
};
use resources::model::ResourceType;
use serde_json::Value as Json;

use super::{destination::Destination, event::relative};

/// What a message may have to tell: a version of a resource, and the one before it.
#[derive(Debug)]
pub struct Told<'t> {
    /// The resource's type.
    pub kind: ResourceType,
    /// As it was before; none if it is new.
    pub before: Option<&'t Json>,
    /// As it is; none if it was deleted.
    pub after: Option<&'t Json>,
    /// Resources that it names, by `Type/id`.
    pub mentioned: &'t BTreeMap<String, Json>,
    /// Whom it is told.
    pub destination: &'t Destination,
    /// MSH-10
    pub control: &'t str,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Code and event: `SIU^S12`.
    pub kind: String,
    /// Its bytes.
    pub raw: Bytes,
}

/// Writes messages.
pub trait Scribe: Send + Sync {
    /// The message that tells of it; `None`: it is nothing that is told.
    ///
    /// # Errors
    /// Why it cannot be written, without anything of a patient.
    fn write(&self, told: &Told<'_>) -> Result<Option<Written>, String>;
}

/// Writes messages by [`mllp::out`].
pub struct Clerk;

impl Scribe for Clerk {
    fn write(&self, told: &Told<'_>) -> Result<Option<Written>, String> {
        let raw = match told.kind.name() {
            "Appointment" => told.appointment(),
            "Slot" => told.slot(),
            "Patient" => told.patient()?,
            "ServiceRequest" => told.order(),
            "MedicationRequest" => told.prescription(),
            "DiagnosticReport" => told.report(),
            _ => None,
        };
        let Some(raw) = raw else { return Ok(None) };
        let message = Message::parse(raw.clone(), &Reading::default());
        let message = message.map_err(|error| error.to_string())?;
        let kind = Header::of(&message).kind();
        Ok(Some(Written { kind, raw }))
    }
}

impl Told<'_> {
    fn related(&self) -> Related<'_> {
        Related::new(self.mentioned.values())
    }

    /// As it is; of what was deleted, as it was, with another status.
    fn now_or(&self, status: &str) -> Option<Cow<'_, Json>> {
        if let Some(after) = self.after {
            return Some(Cow::Borrowed(after));
        }
        let mut gone = self.before?.clone();
        gone["status"] = Json::from(status);
        Some(Cow::Owned(gone))
    }

    fn appointment(&self) -> Option<Bytes> {
        let form = &self.destination.form;
        let now = self.now_or("entered-in-error")?;
        let event = appointment::event(self.before, &now, form.forms)?;
        let related = self.related();
        let (control, time, before) = (self.control, self.now, self.before);
        Some(siu::appointment(
            form, control, time, event, before, &now, &related,
        ))
    }

    fn slot(&self) -> Option<Bytes> {
        let now = self.now_or("free")?;
        let event = appointment::slot_event(self.before, self.after)?;
        let (form, related) = (&self.destination.form, self.related());
        let (control, time) = (self.control, self.now);
        Some(siu::block(form, control, time, event, &now, &related))
    }

    fn patient(&self) -> Result<Option<Bytes>, String> {
        let Some(event) = patient::event(self.before, self.after) else {
            return Ok(None);
        };
        let Some(now) = self.after.or(self.before) else {
            return Ok(None);
        };
        let (mut subject, mut merged) = (now, None);
        if event == patient::Event::Merged {
            let other = patient::replaced_by(now).map(relative);
            let other = other.and_then(|other| self.mentioned.get(&other));
            subject = other.ok_or("the Patient that stays after the merge is not there")?;
            merged = Some(now);
        }
        let (form, related) = (&self.destination.form, self.related());
        let (control, time) = (self.control, self.now);
        Ok(Some(patient::adt(
            form, control, time, event, subject, merged, &related,
        )))
    }

    fn order(&self) -> Option<Bytes> {
        let now = self.now_or("entered-in-error")?;
        let what = order::control(self.before, self.after)?;
        let (form, related) = (&self.destination.form, self.related());
        let (control, time) = (self.control, self.now);
        Some(order::order(form, control, time, what, &now, &related))
    }

    fn prescription(&self) -> Option<Bytes> {
        let now = self.now_or("entered-in-error")?;
        let what = order::control(self.before, self.after)?;
        let (form, related) = (&self.destination.form, self.related());
        let (control, time) = (self.control, self.now);
        Some(pharmacy::prescription(
            form, control, time, what, &now, &related,
        ))
    }

    fn report(&self) -> Option<Bytes> {
        let now = self.now_or("entered-in-error")?;
        if !result::is_news(self.before, &now) {
            return None;
        }
        let (form, related) = (&self.destination.form, self.related());
        Some(result::oru(form, self.control, self.now, &now, &related))
    }
}
