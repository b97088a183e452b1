//! What an Appointment and a Slot may become.

use std::fmt;

use super::claim::ClaimKind;

/// `Appointment.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Somebody asks for it; no time is claimed.
    Proposed,
    /// Held, or waiting to be confirmed.
    Pending,
    /// Agreed.
    Booked,
    /// The patient is there.
    Arrived,
    /// The patient is there and all formalities are done.
    CheckedIn,
    /// It took place.
    Fulfilled,
    /// Nobody came.
    NoShow,
    /// It will not take place.
    Cancelled,
    /// It never was.
    EnteredInError,
    /// Wanted as soon as there is time.
    Waitlist,
}

use Status::{
    Arrived, Booked, Cancelled, CheckedIn, EnteredInError, Fulfilled, NoShow, Pending, Proposed,
    Waitlist,
};

impl Status {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Proposed,
        Pending,
        Booked,
        Arrived,
        CheckedIn,
        Fulfilled,
        NoShow,
        Cancelled,
        EnteredInError,
        Waitlist,
    ];

    /// The status of a code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Proposed => "proposed",
            Pending => "pending",
            Booked => "booked",
            Arrived => "arrived",
            CheckedIn => "checked-in",
            Fulfilled => "fulfilled",
            NoShow => "noshow",
            Cancelled => "cancelled",
            EnteredInError => "entered-in-error",
            Waitlist => "waitlist",
        }
    }

    /// True if it claims the time of its participants. What took place, or should have, does:
    /// nobody can be booked into the past of a full day.
    pub const fn claims(self) -> bool {
        matches!(
            self,
            Pending | Booked | Arrived | CheckedIn | Fulfilled | NoShow
        )
    }

    /// True if it may be without start and end (app-3).
    pub const fn may_lack_time(self) -> bool {
        matches!(self, Proposed | Cancelled | Waitlist)
    }

    /// True if it ends here, corrections apart.
    pub const fn is_final(self) -> bool {
        matches!(self, Fulfilled | NoShow | Cancelled | EnteredInError)
    }

    /// True if a change into it, or within it, may move the time: who has come, or has not, did
    /// so at the time that was agreed.
    const fn may_move(self) -> bool {
        !matches!(self, Arrived | CheckedIn | Fulfilled | NoShow)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What may follow a status, beside itself. A new Appointment may have any: it can be a fact from
/// elsewhere.
pub fn legal(from: Option<Status>) -> &'static [Status] {
    let Some(from) = from else {
        return &Status::ALL;
    };
    match from {
        Proposed => &[Pending, Booked, Waitlist, Cancelled, EnteredInError],
        Pending => &[Booked, Waitlist, Cancelled, EnteredInError],
        Waitlist => &[Pending, Booked, Cancelled, EnteredInError],
        Booked => &[
            Arrived,
            CheckedIn,
            NoShow,
            Cancelled,
            Waitlist,
            EnteredInError,
        ],
        Arrived => &[
            CheckedIn,
            Fulfilled,
            NoShow,
            Cancelled,
            Waitlist,
            EnteredInError,
        ],
        CheckedIn => &[Fulfilled, Cancelled, Waitlist, EnteredInError],
        NoShow => &[Arrived, Fulfilled, EnteredInError],
        Fulfilled | Cancelled => &[EnteredInError],
        EnteredInError => &[],
    }
}

/// True if the change takes back what was final: it needs a right of its own.
pub fn is_correction(from: Status, to: Status) -> bool {
    from == NoShow && matches!(to, Arrived | Fulfilled)
}

/// A change that is not allowed. Its text is for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illegal {
    /// What it was.
    pub from: Status,
    /// What it should become.
    pub to: Status,
    /// The status would be allowed, moving the time is not.
    pub is_of_time: bool,
    /// What it may become; if it is the time, those in which that can be moved.
    pub legal: Vec<Status>,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, .. } = self;
        let legal: Vec<_> = self.legal.iter().map(|status| status.code()).collect();
        let legal = legal.join(", ");
        match (self.is_of_time, self.legal.is_empty()) {
            (true, true) if from == to => {
                write!(
                    f,
                    "The time of an appointment that is {from} cannot change."
                )
            }
            (true, _) => write!(
                f,
                "The time of an appointment that is {from} cannot change as it becomes or stays \
                 {to}; it can with: {legal}."
            ),
            (false, true) => write!(
                f,
                "An appointment that is {from} stays so; it cannot become {to}."
            ),
            (false, false) => write!(
                f,
                "An appointment that is {from} cannot become {to}; it can become: {legal}."
            ),
        }
    }
}

/// Whether an Appointment may change from one status to another, and its time with it.
///
/// # Errors
/// What it may become instead.
pub fn check_change(
    from: Option<Status>,
    to: Status,
    is_time_changed: bool,
) -> Result<(), Illegal> {
    let Some(from) = from else { return Ok(()) };
    let after = legal(Some(from));
    if from != to && !after.contains(&to) {
        return Err(Illegal {
            from,
            to,
            is_of_time: false,
            legal: after.to_vec(),
        });
    }
    if is_time_changed && !to.may_move() {
        let all = [from].into_iter().chain(after.iter().copied());
        return Err(Illegal {
            from,
            to,
            is_of_time: true,
            legal: all.filter(|status| status.may_move()).collect(),
        });
    }
    Ok(())
}

/// `Slot.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotStatus {
    /// Can be booked.
    Free,
    /// Booked.
    Busy,
    /// Closed.
    BusyUnavailable,
    /// Held.
    BusyTentative,
    /// It never was.
    EnteredInError,
}

impl SlotStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Free,
        Self::Busy,
        Self::BusyUnavailable,
        Self::BusyTentative,
        Self::EnteredInError,
    ];

    /// The status of a code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Busy => "busy",
            Self::BusyUnavailable => "busy-unavailable",
            Self::BusyTentative => "busy-tentative",
            Self::EnteredInError => "entered-in-error",
        }
    }

    /// What a stored Slot with this status claims.
    pub const fn claim(self) -> Option<ClaimKind> {
        match self {
            Self::Free => Some(ClaimKind::Opening),
            Self::Busy | Self::BusyTentative => Some(ClaimKind::Taken),
            Self::BusyUnavailable => Some(ClaimKind::Blocked),
            Self::EnteredInError => None,
        }
    }
}

#[cfg(test)]
mod tests;
