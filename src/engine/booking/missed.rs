//! `$no-show`: nobody came.

use super::{
    BookingCall, BookingReply, Engine, Error,
    asked::Asked,
    book::Work,
    edits::{instance, reason},
    members::Members,
    once::Once,
    written::Written,
};
use crate::access::Access;

impl Engine {
    /// `Appointment/[id]/$no-show`: nobody came.
    ///
    /// # Errors
    /// [`super::ErrorKind::Unprocessable`] if it is not booked, or nobody was expected.
    pub async fn miss_appointment(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        self.carried_out(call, Work::NoShow, access).await
    }

    pub(super) async fn missed(
        &self,
        (asked, call): (&Asked, &BookingCall),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let id = instance(asked, call)?;
        let (stored, doc) = self.changeable(&id, access).await?;
        let mut members = Members::of(&doc);
        members.set_text("status", "noshow");
        if let Some(reason) = reason(asked) {
            members.set("cancelationReason", reason);
        }
        let written = Written::of(&stored, &members)?;
        let done = self.write_all(vec![written], once, access).await?;
        Ok(self.replied(done))
    }
}
