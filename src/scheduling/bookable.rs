//! What can be booked: a Schedule with all that follows from it and from what it refers to.

use std::sync::Arc;

use jiff::{civil, tz::TimeZone};

use super::{
    claim::{BufferPolicy, Number},
    span::Span,
};

/// A Schedule whose time can be booked.
#[derive(Debug, Clone)]
pub struct Bookable {
    /// Its logical id.
    pub id: String,
    /// Its number in the store: short, and stable in one database.
    pub rid: i64,
    /// Whose time it is: all of them are needed.
    pub actors: Vec<Actor>,
    /// What can be booked, the first is what is meant if nothing is said. Empty: there are no
    /// computed Slots, only those that somebody posted.
    pub visits: Vec<Visit>,
    /// The zone of its wall clock.
    pub zone: TimeZone,
    /// When it is open: the time that all of these have in common. Empty with visits: always.
    pub hours: Vec<Hours>,
    /// `Schedule.planningHorizon`; outside of it nothing can be booked.
    pub planning: Option<Span>,
    /// What `$find` looks for.
    pub facets: Facets,
}

/// One of those whose time is booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Under which its time is claimed.
    pub number: Number,
    /// As `Schedule.actor` has it: `PractitionerRole/1`, `Location/2`, `Device/3`.
    pub reference: String,
    /// For a PractitionerRole its Practitioner: `Practitioner/1`.
    pub practitioner: Option<String>,
    /// `Schedule.actor.display`.
    pub display: Option<String>,
}

/// A kind of appointment, and the rules for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Its codes, as `system|code`; none is any.
    pub service_types: Vec<Coding>,
    /// Its appointment types (HL7 v2 table 0276).
    pub appointment_types: Vec<Coding>,
    /// Seconds.
    pub duration: i64,
    /// Seconds from one possible start to the next, counted from the start of the window.
    pub interval: i64,
    /// Buffer before, in seconds.
    pub before: i64,
    /// Buffer after, in seconds.
    pub after: i64,
    /// How buffers of neighbours go together.
    pub buffers: BufferPolicy,
    /// Seconds before the start at which it must be booked at the latest.
    pub notice: i64,
    /// Seconds from now up to which it can be booked.
    pub horizon: i64,
    /// How many bookings at a time.
    pub capacity: u16,
    /// How many more somebody with the right to overbook may add.
    pub overbook: u16,
    /// At most so many bookings a day, week, month of the Schedule's local time.
    pub quotas: Vec<(Per, u32)>,
    /// A patient may have other appointments at the same time.
    pub patients_may_overlap: bool,
    /// Seconds that a hold lasts.
    pub hold: i64,
    /// Bookings are pending until somebody confirms them.
    pub needs_approval: bool,
    /// To how many who wait a time that becomes free is offered at once; 0: to nobody.
    pub offers: u16,
    /// Seconds that such an offer lasts.
    pub offer_for: i64,
}

/// A range of local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// From midnight to midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
}

/// A code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coding {
    /// Its system; empty if there is none.
    pub system: String,
    /// The code.
    pub code: String,
    /// What it means.
    pub display: Option<String>,
}

/// The hours of one source: a PractitionerRole, HealthcareService, Location or the Schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// `PractitionerRole/1`, for messages.
    pub source: String,
    /// The week.
    pub weekly: Vec<Daily>,
    /// When it is closed all the same, wall clock of the Schedule's zone.
    pub closed: Vec<Closed>,
}

/// The same window on some days of the week. Wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Daily {
    /// The days on which it begins: bit 0 is Monday.
    pub days: u8,
    /// Its beginning.
    pub from: civil::Time,
    /// Its length is up to this time; not after `from`: of the next day. Midnight to midnight is
    /// a whole day.
    pub to: civil::Time,
}

/// Closed from one wall-clock time to another, or from one instant to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// Wall clock, from `from` to before `to`.
    Local {
        /// The beginning.
        from: Option<civil::DateTime>,
        /// The end.
        to: Option<civil::DateTime>,
        /// `notAvailable.description`.
        why: String,
    },
    /// Instants.
    Exactly {
        /// From when to when.
        during: Span,
        /// `notAvailable.description`.
        why: String,
    },
}

/// What `$find` looks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facets {
    /// Specialties of the Schedule, its PractitionerRoles and HealthcareServices.
    pub specialties: Vec<Coding>,
    /// Of the Schedule, its HealthcareServices and its visits: for Schedules without visits, of
    /// which only posted Slots can be booked.
    pub service_types: Vec<Coding>,
    /// `Schedule.serviceCategory` and that of its HealthcareServices.
    pub categories: Vec<Coding>,
    /// `Organization/1`: of roles, services and places, and those they are part of.
    pub organizations: Vec<String>,
    /// `Location/1`, and those they are part of.
    pub locations: Vec<String>,
    /// `HealthcareService/1`
    pub services: Vec<String>,
    /// Identifiers of practitioners, roles, services, organizations and places: whose
    /// (`Practitioner/1`), and `system|value`.
    pub identifiers: Vec<(String, String)>,
    /// Addresses of the places, folded for comparison.
    pub addresses: Vec<String>,
    /// Latitude and longitude, degrees.
    pub position: Option<(f64, f64)>,
    /// Networks of insurers that roles and services say they are in (`Organization/1`, or an
    /// `InsurancePlan/1` if they name that), by Da Vinci's extension.
    pub insurances: Vec<String>,
    /// The practitioner's name, for the order among equals.
    pub name: String,
}

/// What one Schedule offers to whoever looks for a number of seconds of its time.
pub type Bookables = Arc<Vec<Arc<Bookable>>>;
