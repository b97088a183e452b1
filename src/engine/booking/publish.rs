//! `$bulk-publish`: what can be booked, for everybody's apps, as files of lines
//! ([SMART Scheduling Links](https://build.fhir.org/ig/HL7/smart-scheduling-links)). A file has
//! some Schedules' Slots, so that none is large and all are made as they are asked for.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use resources::{Doc, doc::Bounds, model::ResourceType, primitive::format_instant};

use super::{
    Engine, Error, find::is_of_patients, offered::status, refusal::schedule_number, rule::instant,
};
use crate::{
    access::{Access, Right},
    scheduling::{
        bookable::Bookable,
        calendar::{Calendars, SlotState},
        claim::{ClaimKind, Number},
        slots::{SlotId, slots},
        span::Span,
    },
};

/// Schedules in one file of Slots, and resources in one of the other files.
const SCHEDULES: usize = 25;
const RESOURCES: usize = 500;
/// Seconds from now for which Slots are published.
const AHEAD: i64 = 90 * 86_400;
/// Stored Slots of one Schedule that are published.
const STORED: usize = 10_000;

static ALL: Access = Access::system("what is published is for everybody");

/// A file that is published: some resources of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// `Schedule`, `Location` or `Slot`.
    pub kind: ResourceType,
    /// Its place among the files of the type, from 0.
    pub part: usize,
}

impl Engine {
    /// The files that there are.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without the right to search Slots.
    pub async fn publication(&self, access: &Access) -> Result<Vec<Published>, Error> {
        let bookables = self.publishable(access).await?;
        let places = places(&bookables).len();
        let files = |kind, count: usize, each: usize| {
            (0..count.div_ceil(each)).map(move |part| Published { kind, part })
        };
        Ok(files(ResourceType::LOCATION, places, RESOURCES)
            .chain(files(ResourceType::SCHEDULE, bookables.len(), RESOURCES))
            .chain(files(ResourceType::SLOT, bookables.len(), SCHEDULES))
            .collect())
    }

    /// The Schedules of which all is published: those whose times the caller may find, and no
    /// patient's, not even to whoever may see it.
    async fn publishable(&self, access: &Access) -> Result<Vec<Arc<Bookable>>, Error> {
        self.permit(ResourceType::SLOT, &access.to(Right::Search))?;
        let offered = self.offered_to(access).await?;
        let offered = offered.map(|ids| ids.into_iter().collect::<HashSet<String>>());
        let bookables = Arc::clone(self.board.read().bookables());
        let is_offered = |bookable: &&Arc<Bookable>| {
            let offered = offered.as_ref();
            !is_of_patients(bookable) && offered.is_none_or(|ids| ids.contains(&bookable.id))
        };
        Ok(bookables.iter().filter(is_offered).cloned().collect())
    }

    /// The lines of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`Engine::publication`].
    pub async fn published(
        &self,
        file: Published,
        access: &Access,
    ) -> Result<Option<String>, Error> {
        let bookables = self.publishable(access).await?;
        if file.kind == ResourceType::SLOT {
            let Some(some) = bookables.chunks(SCHEDULES).nth(file.part) else {
                return Ok(None);
            };
            return Ok(Some(self.published_slots(some).await?));
        }
        let ids: Vec<String> = match file.kind {
            ResourceType::SCHEDULE => bookables.iter().map(|one| one.id.clone()).collect(),
            ResourceType::LOCATION => places(&bookables).into_iter().collect(),
            _ => return Ok(None),
        };
        let Some(some) = ids.chunks(RESOURCES).nth(file.part) else {
            return Ok(None);
        };
        let keys: Vec<(ResourceType, &str)> =
            some.iter().map(|id| (file.kind, id.as_str())).collect();
        let mut out = String::new();
        for stored in self.store.current(&keys, &ALL).await?.into_iter().flatten() {
            if !stored.head.deleted {
                line(&mut out, &stored.body);
            }
        }
        Ok(Some(out))
    }

    async fn published_slots(&self, bookables: &[Arc<Bookable>]) -> Result<String, Error> {
        let mut actors: Vec<Number> = Vec::new();
        for bookable in bookables {
            actors.extend(bookable.actors.iter().map(|actor| actor.number));
            actors.push(schedule_number(&bookable.id));
        }
        self.load_calendars(&actors).await?;
        let now = self.clock.now() / 1_000;
        let within = Span::new(now, now + AHEAD);
        let mut out = String::with_capacity(bookables.len() << 16);
        let mut with_stored = Vec::new();
        {
            let state = self.board.read();
            for bookable in bookables {
                for visit in &bookable.visits {
                    for slot in slots(bookable, visit, within, &*state, now) {
                        let id = SlotId::text(bookable, &slot);
                        slot_line(&mut out, bookable, &id, (slot.start, slot.end), slot.state);
                    }
                }
                let openings = state.openings(bookable);
                let openings = openings
                    .into_iter()
                    .flat_map(|calendar| calendar.near(within));
                if openings
                    .into_iter()
                    .any(|claim| claim.kind == ClaimKind::Opening)
                {
                    with_stored.push(bookable.id.clone());
                }
            }
        }
        for id in with_stored {
            let query = format!(
                "schedule=Schedule/{id}&start=ge{}",
                format_instant(now * 1_000)
            );
            let found = self.find(ResourceType::SLOT, &query, STORED, &ALL).await?;
            for stored in found.hits {
                line(&mut out, &stored.body);
            }
        }
        Ok(out)
    }
}

/// The places of Schedules.
fn places(bookables: &[Arc<Bookable>]) -> BTreeSet<String> {
    let references = bookables
        .iter()
        .flat_map(|bookable| &bookable.facets.locations);
    let ids = references.filter_map(|reference| reference.strip_prefix("Location/"));
    ids.map(str::to_owned).collect()
}

/// A resource on a line of its own.
fn line(out: &mut String, body: &[u8]) {
    let Ok(doc) = Doc::parse_bytes(body, &Bounds::default()) else {
        return;
    };
    doc.root().write_compact(out);
    out.push('\n');
}

fn slot_line(
    out: &mut String,
    bookable: &Bookable,
    id: &str,
    (start, end): (i64, i64),
    state: SlotState,
) {
    let (start, end) = (instant(start, &bookable.zone), instant(end, &bookable.zone));
    out.push_str(r#"{"resourceType":"Slot","id":""#);
    out.push_str(id);
    out.push_str(r#"","schedule":{"reference":"Schedule/"#);
    out.push_str(&bookable.id);
    out.push_str(r#""},"status":""#);
    out.push_str(status(state));
    out.push_str(r#"","start":""#);
    out.push_str(&start);
    out.push_str(r#"","end":""#);
    out.push_str(&end);
    out.push_str("\"}\n");
}
