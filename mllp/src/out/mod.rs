//! From FHIR resources to messages: what happened here, told to systems that speak v2.
//!
//! Each kind of message has a function that takes a [`Destination`], the control id, the time
//! (milliseconds) and the resources, and gives the message. Segments are tables of field, path
//! and data type, where that can be said so. What is written is strict: segments in their order,
//! required fields filled, everything escaped.

pub mod appointment;
mod codes;
mod fields;
mod json;
pub mod order;
pub mod patient;
pub mod pharmacy;
pub mod result;
pub mod siu;
#[cfg(test)]
mod tests;
mod types;

use bytes::Bytes;
use encoding_rs::Encoding;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value as Json;

pub use self::json::{Related, needed};
use crate::{
    ack::Version,
    charset,
    header::{Condition, Party},
    message::Delimiters,
    write::Writer,
};

/// A system that messages are written for.
#[derive(Debug, Clone)]
pub struct Destination {
    /// MSH-12: `2.5.1`.
    pub version: String,
    /// MSH-3 and 4: we.
    pub sending: Party,
    /// MSH-5 and 6: they.
    pub receiving: Party,
    /// MSH-11: `P`.
    pub processing: String,
    /// MSH-18, as table 0211 has it: `UNICODE UTF-8`, `8859/1`; empty for ASCII.
    pub charset: String,
    /// The zone that times are told in.
    pub zone: TimeZone,
    /// How they call the systems of identifiers.
    pub authorities: Vec<(String, Authority)>,
    /// MSH-15; none in original mode.
    pub accept_ack: Option<Condition>,
    /// MSH-16; none in original mode.
    pub application_ack: Option<Condition>,
    /// Which messages they take.
    pub forms: Forms,
}

/// Who assigned an identifier (HD): at least one of the first two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// `HOSP_A`.
    pub namespace: String,
    /// `1.2.3`.
    pub universal: String,
    /// `ISO`.
    pub kind: String,
}

/// Which of several messages for the same thing a destination takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forms {
    /// Of ServiceRequests.
    pub orders: Orders,
    /// Of MedicationRequests.
    pub pharmacy: Pharmacy,
    /// A participant that comes, changes or goes is S18, S19, S20; else S14.
    pub resource_events: bool,
    /// An appointment on a waiting list is S12 with SCH-25 Waitlist; else it is not told.
    pub waitlist: bool,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            orders: Orders::Orm,
            pharmacy: Pharmacy::Rde,
            resource_events: true,
            waitlist: false,
        }
    }
}

/// A message for a ServiceRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orders {
    /// ORM^O01.
    Orm,
    /// OML^O21.
    Oml,
}

/// A message for a MedicationRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pharmacy {
    /// RDE^O11: encoded.
    Rde,
    /// OMP^O09: as ordered.
    Omp,
    /// ORM^O01 with RXO, before 2.4.
    Orm,
}

impl Default for Destination {
    fn default() -> Self {
        Self {
            version: "2.5.1".to_owned(),
            sending: Party {
                application: "ROTUNDA".to_owned(),
                facility: String::new(),
            },
            receiving: Party::default(),
            processing: "P".to_owned(),
            charset: "UNICODE UTF-8".to_owned(),
            zone: TimeZone::UTC,
            authorities: Vec::new(),
            accept_ack: None,
            application_ack: None,
            forms: Forms::default(),
        }
    }
}

impl Destination {
    /// The character set of [`charset`](Self::charset); UTF-8 if nobody knows it.
    pub fn encoding(&self) -> &'static Encoding {
        charset::encoding(&self.charset)
    }

    fn version(&self) -> Version {
        Version::of(&self.version)
    }

    /// Before 2.5, times of orders are TQ and not TQ1, and coded values CE.
    fn is_old(&self) -> bool {
        self.version() < Version(2, 5, 0)
    }

    /// A time as DTM in the destination's zone.
    fn dtm(&self, millis: i64) -> String {
        match Timestamp::from_millisecond(millis) {
            Ok(time) => crate::time::zoned(time, &self.zone),
            Err(_) => String::new(),
        }
    }

    /// A message with its MSH: `kind` is its type, event and structure.
    fn begin(&self, control_id: &str, time: i64, kind: [&str; 3]) -> Writer {
        let mut writer = Writer::new(Delimiters::default(), self.encoding(), &self.version);
        let kind = match self.version() < Version(2, 3, 1) {
            true => &kind[..2],
            false => &kind[..],
        };
        let mut msh = writer.segment("MSH");
        msh.text(3, &self.sending.application)
            .text(4, &self.sending.facility)
            .text(5, &self.receiving.application)
            .text(6, &self.receiving.facility)
            .text(7, &self.dtm(time))
            .components(9, kind)
            .text(10, control_id)
            .text(11, &self.processing)
            .text(12, &self.version)
            .text(15, self.accept_ack.map_or("", Condition::code))
            .text(16, self.application_ack.map_or("", Condition::code))
            .text(18, &self.charset);
        drop(msh);
        writer
    }
}

/// The message of a change of a resource, if the change is one that is told: an Appointment, a
/// Slot without one, a Patient, a ServiceRequest, a MedicationRequest, a DiagnosticReport. One of
/// the versions is none if the resource was created or deleted. `related` has what [`needed`]
/// names.
pub fn message(
    to: &Destination,
    control_id: &str,
    time: i64,
    before: Option<&Json>,
    after: Option<&Json>,
    related: &Related<'_>,
) -> Option<Bytes> {
    let now = after.or(before)?;
    match json::kind_of(now) {
        "Appointment" => {
            let event = match after {
                Some(after) => appointment::event(before, after, to.forms),
                None => appointment::deleted(now, to.forms),
            }?;
            Some(siu::appointment(
                to, control_id, time, event, before, now, related,
            ))
        }
        "Slot" => {
            let event = appointment::slot_event(before, after)?;
            Some(siu::block(to, control_id, time, event, now, related))
        }
        "Patient" => {
            let event = patient::event(before, after)?;
            if event != patient::Event::Merged {
                return Some(patient::adt(
                    to, control_id, time, event, now, None, related,
                ));
            }
            // The message is of the patient that stays.
            let stays = json::all(now, "link")
                .filter(|link| json::text(link, "type") == "replaced-by")
                .find_map(|link| related.get(now, json::first(link, "other")?))?;
            Some(patient::adt(
                to,
                control_id,
                time,
                event,
                stays,
                Some(now),
                related,
            ))
        }
        "ServiceRequest" => {
            let control = order::control(before, after)?;
            Some(order::order(to, control_id, time, control, now, related))
        }
        "MedicationRequest" => {
            let control = order::control(before, after)?;
            Some(pharmacy::prescription(
                to, control_id, time, control, now, related,
            ))
        }
        "DiagnosticReport" => {
            let after = after.filter(|after| result::is_news(before, after))?;
            Some(result::oru(to, control_id, time, after, related))
        }
        _ => None,
    }
}
