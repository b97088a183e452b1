//! IHE's transactions, each with an event of its own in the audit: Find Potential Appointments
//! (ITI-115) if it names a patient, Hold Appointment (ITI-116), Book Appointment (ITI-117). What
//! is written has an event beside it, in the same commit.

use std::{borrow::Cow, time::Instant};

use resources::model::ResourceType;

use super::{BookingCall, BookingReply, Engine, Error, meters};
use crate::{
    access::Access,
    audit::{Code, Event, Item},
    engine::audit::record::{Asked, fail, operation_query},
};

impl Engine {
    /// `Appointment/$find`: free times, as the text of a searchset of proposed Appointments; each
    /// has an id that can be held or booked within an hour.
    ///
    /// # Errors
    /// [`super::ErrorKind::Invalid`] for parameters that make no sense;
    /// [`super::ErrorKind::Forbidden`] without the right to search Slots.
    pub async fn find_appointments(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<String, Error> {
        let began = Instant::now();
        let mut patients = Vec::new();
        let found = self.free_times(call, &mut patients, access).await;
        meters::found(began.elapsed());
        if let Some(caller) = access.caller().filter(|_| !patients.is_empty()) {
            let mut event = Event::of(caller, self.clock.now());
            if let Err(error) = &found {
                fail(&mut event, error);
            }
            let query = operation_query(ResourceType::APPOINTMENT, None, "find", &call.pairs);
            event.query = Some(query.into());
            let ids = patients.iter();
            let ids = ids.map(|name| Cow::Borrowed(name.trim_start_matches("Patient/")));
            event.items.push(Item {
                kind: Some(ResourceType::APPOINTMENT),
                patients: ids.collect(),
                ..Item::plain(Code::FindAppointment)
            });
            self.recorder.record(&event).await?;
        }
        found
    }

    /// `Appointment/$hold`: the time is nobody else's until the hold ends.
    ///
    /// # Errors
    /// [`super::ErrorKind::Conflict`] if it is taken, [`super::ErrorKind::Unprocessable`] against
    /// a rule.
    pub async fn hold_appointment(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let reply = self.held_once(call, access).await?;
        self.record_transaction(Code::HoldAppointment, reply, access)
            .await
    }

    /// `Appointment/$book`: a new booking, a change of one (status booked), or a cancellation
    /// (status cancelled), as IHE has it.
    ///
    /// # Errors
    /// As [`Engine::hold_appointment`].
    pub async fn book_appointment(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let reply = self.booked_once(call, access).await?;
        self.record_transaction(Code::BookAppointment, reply, access)
            .await
    }

    async fn record_transaction(
        &self,
        code: Code,
        reply: BookingReply,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        for one in &reply.appointments {
            let asked = Asked {
                code,
                kind: Some(one.kind),
                id: &one.id,
                query: None,
            };
            self.record(access, asked, Ok(std::iter::once(one))).await?;
        }
        Ok(reply)
    }
}
