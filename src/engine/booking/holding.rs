//! How many times a patient may hold at once.
//!
//! Beside the times themselves each hold of a patient claims a seat of something that nobody else
//! has: the patient's holds. There are as many seats as there may be holds, so what keeps two from
//! the same time keeps a patient from one hold too many, whoever else is at it at the same moment;
//! and a hold that is over or was booked has none.

use super::{Engine, claims::Booking, claims::expiry, number, parties::Party};
use crate::scheduling::{
    claim::{BufferPolicy, Claim, ClaimKind, NewClaim, Number},
    span::Span,
};

/// The time of which a hold claims a seat: the same for all.
const SEATS: Span = Span::new(0, 1);

/// Whose seats the holds of a patient (`Patient/1`) claim.
pub(super) fn holds_of(patient: &str) -> Number {
    number(&format!("holds of {patient}"))
}

impl Engine {
    /// What a hold until then claims of its patient's holds; one that is held already keeps it.
    pub(super) fn holding(
        &self,
        (owner, until): (Number, i64),
        patient: &Party,
        is_held: bool,
    ) -> Option<NewClaim> {
        let most = self.settings.holds_per_patient;
        let claim = Claim {
            actor: holds_of(&patient.name),
            owner,
            kind: ClaimKind::Booking,
            core: SEATS,
            padded: SEATS,
            buffers: BufferPolicy::Ignore,
            capacity: most,
            seat: 0,
            expires: Some(until),
        };
        (most > 0).then_some(NewClaim {
            claim,
            is_forced: is_held,
            overbook: 0,
            quotas: Vec::new(),
        })
    }
}

impl Booking {
    /// True if it was a hold of a patient until now.
    pub(super) fn is_held_by(&self, patient: &str, now: i64) -> bool {
        self.before.as_ref().is_some_and(|before| {
            expiry(before).is_some_and(|expires| expires > now)
                && before.patients().any(|one| one == patient)
        })
    }
}
