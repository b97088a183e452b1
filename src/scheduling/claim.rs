//! Claims on the time of an actor, and who is admitted beside whom.

use std::collections::HashSet;

use super::span::Span;

/// The number of an actor, or of the resource that claims: the first 8 bytes of the SHA-256 of
/// `Type/id`. Of a PractitionerRole it is its Practitioner's, so that who works in two roles is
/// one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub i64);

/// What a claim is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// An Appointment that is pending, booked or took place: it has a seat.
    Booking,
    /// A stored Slot that is busy or busy-tentative: conflicts with bookings and with its like.
    Taken,
    /// A stored Slot that is busy-unavailable: nothing can be booked over it, but it may be put
    /// over what is booked.
    Blocked,
    /// A stored Slot that is free, claimed for its Schedule: extra time. Conflicts with nothing.
    Opening,
}

/// How the buffers of two neighbours go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BufferPolicy {
    /// Each keeps its own: no second may be in two padded ranges.
    #[default]
    Stack,
    /// Buffers may overlap buffers, but nobody's core time.
    Share,
    /// Buffers count for nothing.
    Ignore,
}

/// A claim as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose time.
    pub actor: Number,
    /// The Appointment or Slot that claims it.
    pub owner: Number,
    /// What it is of.
    pub kind: ClaimKind,
    /// The time of the appointment or slot itself.
    pub core: Span,
    /// The same with buffers.
    pub padded: Span,
    /// How its buffers go with those of others.
    pub buffers: BufferPolicy,
    /// How many bookings the actor takes at a time, as it was when this one was made.
    pub capacity: u16,
    /// Which of the seats it has, from 0; beyond `capacity` if it was booked over others.
    pub seat: u16,
    /// Seconds since 1970 from which on it is as if it were not there: a hold.
    pub expires: Option<i64>,
}

impl Claim {
    /// True unless it is a hold that is over.
    pub fn is_live(&self, now: i64) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// The time of which no second may be in two claims with the same seat.
    pub fn exclusive(&self) -> Span {
        match self.buffers {
            BufferPolicy::Stack => self.padded,
            BufferPolicy::Share | BufferPolicy::Ignore => self.core,
        }
    }

    /// True if the times of the two stand in each other's way. The more lenient of the two
    /// policies decides.
    pub fn meets(&self, other: &Self) -> bool {
        use BufferPolicy::{Ignore, Share, Stack};
        match (self.buffers, other.buffers) {
            (Ignore, _) | (_, Ignore) => self.core.overlaps(other.core),
            (Share, _) | (_, Share) => {
                self.core.overlaps(other.padded) || self.padded.overlaps(other.core)
            }
            (Stack, Stack) => self.padded.overlaps(other.padded),
        }
    }
}

/// At most so many bookings of an actor, or of a patient with an actor, in a range of local time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// From the beginning of the local day, week or month to its end.
    pub within: Span,
    /// How many there may be, this one included.
    pub most: u32,
    /// What the user is told: `day`, `week`, `month`.
    pub per: &'static str,
}

/// A claim to be made. Its seat is found while no one else may claim the actor's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClaim {
    /// The claim; its seat is not looked at.
    pub claim: Claim,
    /// It is a fact that came from elsewhere, or somebody decided to book over others: it takes
    /// the lowest free seat, even beyond the capacity.
    pub is_forced: bool,
    /// Seats beyond the capacity that it may take.
    pub overbook: u16,
    /// What else bounds bookings of this actor.
    pub quotas: Vec<Quota>,
}

/// All that a new version of an Appointment or a Slot claims, in place of all that the version
/// before it claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimSet {
    /// The Appointment or Slot.
    pub owner: Number,
    /// What it claims now; empty frees everything.
    pub claims: Vec<NewClaim>,
    /// Whose claims do not stand in its way: the Slots that an Appointment names, the Appointments
    /// that name a Slot.
    pub beside: Vec<Number>,
}

/// Why a claim cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The actor's time is claimed by `by`.
    Taken {
        /// Whose time.
        actor: Number,
        /// One claim that stands in the way.
        by: Claim,
    },
    /// There are `most` bookings in the range already.
    Quota {
        /// Whose time.
        actor: Number,
        /// The bound.
        quota: Quota,
    },
}

/// The seat that the claim gets beside `others`, or what stands in its way. `others` are those of
/// the actor that overlap the claim with its buffers, or that begin in the range of a quota; more
/// of them do no harm. Those of `beside`, of the claim's own owner, and holds that are over by
/// `now` are not in its way.
///
/// # Errors
/// The claim cannot be made.
pub fn admit(
    new: &NewClaim,
    others: &[Claim],
    beside: &[Number],
    now: i64,
) -> Result<u16, Refusal> {
    let claim = &new.claim;
    let refused = |by: &Claim| Refusal::Taken {
        actor: claim.actor,
        by: *by,
    };
    let live = others
        .iter()
        .filter(|other| other.actor == claim.actor && other.is_live(now));
    let of_others = live
        .clone()
        .filter(|other| other.owner != claim.owner && !beside.contains(&other.owner));
    let in_the_way = |kinds: &'static [ClaimKind]| {
        of_others
            .clone()
            .filter(move |other| kinds.contains(&other.kind) && other.meets(claim))
    };
    // Of several, the user is told the first.
    let first = |kinds| in_the_way(kinds).min_by_key(|other| (other.core, other.owner));
    match claim.kind {
        ClaimKind::Blocked | ClaimKind::Opening => return Ok(0),
        ClaimKind::Taken if new.is_forced => return Ok(0),
        ClaimKind::Taken => {
            return first(&[ClaimKind::Booking, ClaimKind::Taken])
                .map_or(Ok(0), |by| Err(refused(by)));
        }
        ClaimKind::Booking => {}
    }
    if !new.is_forced {
        if let Some(by) = first(&[ClaimKind::Blocked, ClaimKind::Taken]) {
            return Err(refused(by));
        }
        let bookings = in_the_way(&[ClaimKind::Booking]);
        let strictest = bookings
            .clone()
            .map(|other| other.capacity)
            .fold(claim.capacity, u16::min);
        if bookings.count() >= usize::from(strictest) + usize::from(new.overbook) {
            // A capacity of 0 needs nobody to be in the way.
            return Err(refused(first(&[ClaimKind::Booking]).unwrap_or(claim)));
        }
        let full = |quota: &&Quota| {
            let owners: HashSet<Number> = of_others
                .clone()
                .filter(|other| other.kind == ClaimKind::Booking && begins_in(other, quota.within))
                .map(|other| other.owner)
                .collect();
            begins_in(claim, quota.within) && owners.len() >= quota.most as usize
        };
        if let Some(quota) = new.quotas.iter().find(full) {
            return Err(Refusal::Quota {
                actor: claim.actor,
                quota: quota.clone(),
            });
        }
    }
    // Whoever stands beside, and the owner itself, keeps the seat that it has.
    let seats: HashSet<u16> = live
        .filter(|other| other.kind == ClaimKind::Booking)
        .filter(|other| other.meets(claim) || other.exclusive().overlaps(claim.exclusive()))
        .map(|other| other.seat)
        .collect();
    (0..=u16::MAX)
        .find(|seat| !seats.contains(seat))
        .ok_or_else(|| refused(first(&[ClaimKind::Booking]).unwrap_or(claim)))
}

fn begins_in(claim: &Claim, range: Span) -> bool {
    range.start <= claim.core.start && claim.core.start < range.end
}

#[cfg(test)]
mod tests;
