//! Appointments as calendar files, and feeds of a Schedule whose address is their key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use resources::{model::ResourceType, primitive::format_instant};

use super::{Engine, Error, ErrorKind};
use crate::{
    access::{Access, Right},
    engine::submit::parse_stored,
    scheduling::{
        appointment::Appointment,
        ics::{self, Detail, Event, Identity, Purpose},
    },
    store::Stored,
};

/// Seconds that a feed's address is good for.
const FEED_TTL: i64 = 366 * 86_400;
/// Seconds before and after now that a feed has.
const PAST: i64 = 30 * 86_400;
const AHEAD: i64 = 180 * 86_400;
/// Appointments of a feed.
const MOST: usize = 2_000;

static FEED: Access = Access::system("whoever has the signed address of a feed may see its times");

impl Engine {
    /// `Appointment/[id]/$ics`: the Appointment for somebody's own calendar.
    ///
    /// # Errors
    /// As a read of the Appointment; [`ErrorKind::Unprocessable`] if it has no time.
    pub async fn appointment_calendar(&self, id: &str, access: &Access) -> Result<String, Error> {
        let found = self.read(ResourceType::APPOINTMENT, id, access).await?;
        let doc = resources::Doc::parse_bytes(&found.body, &Default::default()).map_err(|_| {
            Error::new(
                ErrorKind::Internal,
                "exception",
                "the Appointment is damaged",
            )
        })?;
        let appointment = Appointment::read(&doc, &self.settings.base_url);
        let reader = access.caller().and_then(|caller| {
            let identity = &caller.identity;
            let patient = identity.patient.as_ref().map(|id| format!("Patient/{id}"));
            patient.or_else(|| identity.fhir_user.clone())
        });
        let identity = Identity {
            id,
            host: self.host(),
            version: u32::try_from(found.version).unwrap_or(u32::MAX),
            updated: found.updated / 1_000,
        };
        let detail = Detail::All {
            reader: reader.as_deref().unwrap_or_default(),
        };
        let event = appointment.and_then(|one| Event::of(&one, identity, detail));
        let event = event.ok_or_else(|| {
            Error::new(
                ErrorKind::Unprocessable,
                "business-rule",
                "the Appointment has no time yet",
            )
        })?;
        let purpose = Purpose::Feed {
            name: "Appointment".to_owned(),
        };
        Ok(ics::write(&purpose, &[event]))
    }

    /// The key of a Schedule's feed, to be put into its address: it shows when the Schedule is
    /// booked, and nothing else.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without the right to search Appointments.
    pub async fn feed_key(&self, schedule: &str, access: &Access) -> Result<String, Error> {
        self.read(ResourceType::SCHEDULE, schedule, access).await?;
        self.permit(ResourceType::APPOINTMENT, &access.to(Right::Search))?;
        if self.is_limited(ResourceType::APPOINTMENT, &access.to(Right::Search)) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "forbidden",
                "a feed shows when a Schedule is booked by anybody, so it takes the right to see all its Appointments",
            ));
        }
        let until = self.clock.now() / 1_000 + FEED_TTL;
        let mut bytes = until.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.sign(&signed(schedule, until))[..16]);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The feed of a Schedule, for whoever has its key.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] without a key that is good.
    pub async fn feed(&self, schedule: &str, key: &str) -> Result<String, Error> {
        let now = self.clock.now() / 1_000;
        let unknown = || {
            Error::new(
                ErrorKind::NotFound,
                "not-found",
                "there is no such feed, or its address has expired",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(key).map_err(|_| unknown())?;
        let (until, seal) = bytes.split_first_chunk::<8>().ok_or_else(unknown)?;
        let until = i64::from_be_bytes(*until);
        let own = self.sign(&signed(schedule, until));
        if until <= now
            || aws_lc_rs::constant_time::verify_slices_are_equal(seal, &own[..16]).is_err()
        {
            return Err(unknown());
        }
        self.update_board().await?;
        let (actors, name) = {
            let state = self.board.read();
            let bookable = state.bookable(schedule).ok_or_else(unknown)?;
            let actors = bookable.actors.iter().flat_map(|actor| {
                std::iter::once(actor.reference.clone()).chain(actor.practitioner.clone())
            });
            (actors.collect::<Vec<_>>(), bookable.facets.name.clone())
        };
        let query = format!(
            "actor={}&status=pending,booked,arrived,checked-in,fulfilled&date=ge{}&date=lt{}",
            actors.join(","),
            format_instant((now - PAST) * 1_000),
            format_instant((now + AHEAD) * 1_000)
        );
        let found = self
            .find(ResourceType::APPOINTMENT, &query, MOST, &FEED)
            .await?;
        let events = found
            .hits
            .iter()
            .filter_map(|stored| self.calendar_event(stored));
        let events: Vec<Event> = events.collect();
        Ok(ics::write(&Purpose::Feed { name }, &events))
    }

    fn calendar_event(&self, stored: &Stored) -> Option<Event> {
        let doc = parse_stored(stored).ok()?;
        let appointment = Appointment::read(&doc, &self.settings.base_url)?;
        let identity = Identity {
            id: &stored.head.id,
            host: self.host(),
            version: u32::try_from(stored.head.version).unwrap_or(u32::MAX),
            updated: stored.head.updated / 1_000,
        };
        Event::of(&appointment, identity, Detail::Time)
    }

    /// The host of the server's own address.
    fn host(&self) -> &str {
        let url = self.settings.base_url.as_str();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.split(['/', ':']).next().unwrap_or("localhost")
    }
}

fn signed(schedule: &str, until: i64) -> Vec<u8> {
    let mut bytes = b"rotunda calendar feed 1\0".to_vec();
    bytes.extend_from_slice(&until.to_be_bytes());
    bytes.extend_from_slice(schedule.as_bytes());
    bytes
}
