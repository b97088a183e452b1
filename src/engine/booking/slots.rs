//! Stored Slots: what they claim, and how they follow the Appointments that take their time.
//!
//! A free Slot that an Appointment takes becomes busy in the same commit, and free again when the
//! Appointment goes. Such a Slot is marked ([`BOOKED`]), so that one that somebody made busy
//! stays so.

use std::sync::Arc;

use resources::{Doc, Value, model::ResourceType};

use super::{
    Engine, Error, ErrorKind,
    board::State,
    claims::{About, Claimed, Together, actors_of, checked},
    number,
    parties::{LookedUp, Party, actors, practitioner_of},
    refusal::{owners_of, schedule_number},
};
use crate::{
    access::Access,
    engine::{
        draft::{Body, Draft, Verb, parse},
        permission::Known,
        planner::{Newest, Planner},
        submit::parse_stored,
    },
    scheduling::{
        appointment::{Appointment, Slot},
        bookable::Bookable,
        calendar::Calendars,
        claim::{BufferPolicy, Claim, ClaimKind, ClaimSet, NewClaim, Number},
        span::Span,
        status::SlotStatus,
    },
    store::{Change, Stored, Write},
};

/// The extension of a Slot that is busy because an Appointment takes its time: a boolean.
pub const BOOKED: &str = "urn:rotunda:StructureDefinition:booked";

static ALL: Access = Access::system("a Slot follows from whoever takes its time");

/// Slots of one Schedule that one Appointment may overlap.
const OVERLAPPED: usize = 200;
/// Seconds that a stored Slot is looked for before the time that it overlaps.
const LONGEST_SLOT: i64 = 86_400;

impl Engine {
    /// What a write of a Slot claims.
    pub(super) async fn claim_slot(
        &self,
        write: &Write,
        coming: &[Write],
    ) -> Result<Claimed, Error> {
        let owner = number(&format!("Slot/{}", write.id));
        if write.change == Change::Delete {
            return Ok(Claimed::nothing(owner));
        }
        let doc = checked(write)?;
        let Some(slot) = Slot::read(&doc, &self.settings.base_url) else {
            return Ok(Claimed::nothing(owner));
        };
        let parties = self.slot_parties(&slot, coming).await?;
        self.load_calendars(&actors_of(&parties)).await?;
        let now = self.clock.now() / 1_000;
        let about = About {
            kind: ResourceType::SLOT,
            span: slot.span,
            parties,
            appointment: None,
        };
        let named = format!("Slot/{}", write.id);
        let takers = match slot.status {
            SlotStatus::Busy | SlotStatus::BusyTentative => self.takers(&named, coming).await?,
            _ => Vec::new(),
        };
        let is_taken = {
            let state = self.board.read();
            let moving = owners_of(coming);
            is_full(&about.parties, slot.span, &state, now, (&moving, &[]))
        } || self.is_taken_by(&named, &about, coming);
        if slot.status == SlotStatus::Free && is_taken {
            return Err(Error::new(
                ErrorKind::Conflict,
                "conflict",
                format!("{named} cannot be free: its time is booked; cancel what is booked"),
            ));
        }
        let Some(kind) = claim_kind(slot.status, is_marked(doc.root()) && is_taken) else {
            return Ok(Claimed::nothing(owner));
        };
        let claimants = claimants(kind, &slot, &about.parties);
        let claims = claimants.into_iter().map(|actor| NewClaim {
            claim: Claim {
                actor,
                owner,
                kind,
                core: slot.span,
                padded: slot.span,
                buffers: BufferPolicy::Stack,
                capacity: 1,
                seat: 0,
                expires: None,
            },
            is_forced: false,
            overbook: 0,
            quotas: Vec::new(),
        });
        let set = ClaimSet {
            owner,
            claims: claims.collect(),
            beside: takers,
        };
        self.refuse_early(&set, &about, coming, now)?;
        Ok(Claimed {
            set,
            about: Arc::new(about),
            counts: None,
            concerns_waiting: true,
        })
    }

    /// The actors of a Slot's Schedule.
    pub(super) async fn slot_parties(
        &self,
        slot: &Slot,
        coming: &[Write],
    ) -> Result<Vec<Party>, Error> {
        let Some(schedule) = slot.schedule.clone() else {
            return Ok(Vec::new());
        };
        let id = schedule.strip_prefix("Schedule/").unwrap_or_default();
        if let Some(bookable) = self.board.read().bookable(id) {
            return Ok(parties_of(bookable, slot.span));
        }
        let mut found = LookedUp::default();
        self.add_docs([schedule.clone()].into(), coming, &mut found)
            .await?;
        let references = found.get(&schedule).map(actors).unwrap_or_default();
        self.add_docs(references.into_iter().collect(), coming, &mut found)
            .await?;
        let references = found.claimants(&schedule);
        let parties = references.into_iter().map(|reference| {
            let name = practitioner_of(&reference, &found).unwrap_or(reference);
            Party {
                number: number(&name),
                name,
                core: slot.span,
                bookables: Vec::new(),
                is_patient: false,
            }
        });
        Ok(parties.collect())
    }

    /// True if an Appointment that comes with a Slot takes its time.
    fn is_taken_by(&self, slot: &str, about: &About, coming: &[Write]) -> bool {
        let state = self.board.read();
        let has_been = |id: &str| {
            let owner = number(&format!("Appointment/{id}"));
            let parties = about.parties.iter();
            let mut calendars = parties.filter_map(|party| state.of(party.number));
            calendars.any(|calendar| calendar.has(owner))
        };
        let written = coming
            .iter()
            .filter(|write| write.kind == ResourceType::APPOINTMENT);
        let written = written.filter(|write| write.change != Change::Delete);
        written
            .filter_map(|write| {
                let doc = parse(write.body.clone()).ok()?;
                let one = Appointment::read(&doc, &self.settings.base_url)?;
                Some((&write.id, one))
            })
            .any(|(id, one)| {
                one.status.claims()
                    && one.span.is_some_and(|own| own.overlaps(about.span))
                    && (one.slots.iter().any(|named| named == slot) || has_been(id))
            })
    }

    /// The Appointments that name a Slot: they are what makes it busy.
    async fn takers(&self, slot: &str, coming: &[Write]) -> Result<Vec<Number>, Error> {
        let found = self
            .find(
                ResourceType::APPOINTMENT,
                &format!("slot={slot}"),
                OVERLAPPED,
                &ALL,
            )
            .await?;
        let mut takers: Vec<Number> = found
            .hits
            .iter()
            .map(|stored| number(&format!("Appointment/{}", stored.head.id)))
            .collect();
        let written = coming
            .iter()
            .filter(|write| write.kind == ResourceType::APPOINTMENT);
        takers.extend(written.map(|write| number(&format!("Appointment/{}", write.id))));
        Ok(takers)
    }

    /// The writes of stored Slots that follow from an Appointment's taking, leaving or changing
    /// its time.
    pub(super) async fn flipped_slots(
        &self,
        (before, claimed): (Option<&Appointment>, &Claimed),
        together: &Together,
        coming: &[Write],
        others: &[Write],
    ) -> Result<Vec<Write>, Error> {
        let mut parties: Vec<Party> = Vec::new();
        if let Some((before, span)) = before.and_then(|one| one.span.map(|span| (one, span))) {
            let found = self.named_by(before, coming).await?;
            let state = self.board.read();
            let slots = self.named_slots(before, &found, &state);
            parties = self.parties(before, span, &slots, &found, &state);
        }
        let mut concerned: Vec<(Arc<Bookable>, Span)> = Vec::new();
        {
            let state = self.board.read();
            for party in parties.iter().chain(&claimed.about.parties) {
                // Whatever Schedule is named, the actor's time is that of all of them.
                let all = state.of_actor(party.number).iter();
                for bookable in all.chain(&party.bookables) {
                    let is_same = |(one, span): &(Arc<Bookable>, Span)| {
                        one.id == bookable.id && *span == party.core
                    };
                    if !concerned.iter().any(is_same) {
                        concerned.push((Arc::clone(bookable), party.core));
                    }
                }
            }
        }
        let of = |bookable: &Arc<Bookable>| schedule_number(&bookable.id);
        let openings: Vec<Number> = concerned.iter().map(|(one, _)| of(one)).collect();
        self.load_calendars(&openings).await?;
        let wanted: Vec<(Arc<Bookable>, Span)> = {
            let state = self.board.read();
            let has_slots = |(bookable, span): &(Arc<Bookable>, Span)| {
                let openings = state.openings(bookable);
                openings.is_some_and(|one| one.near(*span).next().is_some())
            };
            concerned.into_iter().filter(has_slots).collect()
        };
        // A Slot is as busy as whoever is needed for it has the least time.
        let actors = wanted.iter().flat_map(|(one, _)| &one.actors);
        let actors: Vec<Number> = actors.map(|actor| actor.number).collect();
        self.load_calendars(&actors).await?;
        let mut overlapped: Vec<(Stored, (Arc<Bookable>, Span))> = Vec::new();
        for (bookable, span) in wanted {
            for stored in self.overlapped(&bookable, span).await? {
                let id = &stored.head.id;
                let is_written =
                    |write: &Write| write.kind == ResourceType::SLOT && write.id == *id;
                let is_known = overlapped.iter().any(|(other, _)| other.head.id == *id);
                if !coming.iter().chain(others).any(is_written) && !is_known {
                    overlapped.push((stored, (Arc::clone(&bookable), span)));
                }
            }
        }
        if overlapped.is_empty() {
            return Ok(Vec::new());
        }
        // Whatever made the Slots as they are must be known now: they are changed from there.
        self.update_board().await?;
        let flipped = overlapped.iter().map(|(stored, (bookable, span))| {
            self.flip(stored, (bookable, *span), together, claimed)
        });
        Ok(flipped
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// The stored Slots of a Schedule that overlap a time.
    async fn overlapped(&self, bookable: &Bookable, span: Span) -> Result<Vec<Stored>, Error> {
        let at = |second: i64| resources::primitive::format_instant(second * 1_000);
        let query = format!(
            "schedule=Schedule/{}&start=gt{}&start=lt{}",
            bookable.id,
            at(span.start - LONGEST_SLOT),
            at(span.end)
        );
        let found = self
            .find(ResourceType::SLOT, &query, OVERLAPPED, &ALL)
            .await?;
        let overlaps = |stored: &Stored| {
            let doc = parse_stored(stored).ok()?;
            let slot = Slot::read(&doc, &self.settings.base_url)?;
            slot.span.overlaps(span).then_some(())
        };
        Ok(found
            .hits
            .into_iter()
            .filter(|stored| overlaps(stored).is_some())
            .collect())
    }

    /// The new version of a stored Slot, if its state has changed.
    fn flip(
        &self,
        stored: &Stored,
        (bookable, taken): (&Arc<Bookable>, Span),
        together: &Together,
        claimed: &Claimed,
    ) -> Result<Option<Write>, Error> {
        let doc = parse_stored(stored)?;
        let Some(slot) = Slot::read(&doc, &self.settings.base_url) else {
            return Ok(None);
        };
        let is_marked = is_marked(doc.root());
        let is_busy = match slot.status {
            SlotStatus::Free => false,
            SlotStatus::Busy if is_marked => true,
            _ => return Ok(None),
        };
        let parties = parties_of(bookable, slot.span);
        let now = self.clock.now() / 1_000;
        let (is_full, has_seats) = {
            let state = self.board.read();
            let full = is_full(
                &parties,
                slot.span,
                &state,
                now,
                (&together.owners, &together.claims),
            );
            (
                full,
                claimed.set.claims.iter().any(|new| new.claim.capacity > 1),
            )
        };
        // Where others can take what is left of its seats or of its time, or the time of somebody
        // else who is needed for it, they may do so at the same moment: a new version in any case
        // makes the two commits meet.
        let is_alone = !has_seats && bookable.actors.len() < 2 && taken.contains(slot.span);
        if is_full == is_busy && is_alone {
            return Ok(None);
        }
        let text = with_status(&doc, is_full);
        let doc = parse(text)?;
        let known = Known::default();
        let planner = Planner {
            engine: self,
            registry: &self.registry(),
            access: &ALL,
            known: &known,
            now: self.clock.now(),
        };
        let draft = Draft {
            kind: ResourceType::SLOT,
            verb: Verb::Update,
            target: None,
            body: Body::Own(&doc),
            if_match: None,
            if_none_match_any: false,
            wants_text: false,
            given_id: None,
            is_silent: false,
        };
        let planned = planner.put(&draft, &stored.head.id, Newest::Seen(stored.clone()), &doc)?;
        Ok(planned.writes.into_iter().next())
    }
}

/// What a Slot claims. One that Appointments have made busy still is an opening of its Schedule.
pub(super) fn claim_kind(status: SlotStatus, is_booked: bool) -> Option<ClaimKind> {
    match status {
        SlotStatus::Busy if is_booked => Some(ClaimKind::Opening),
        other => other.claim(),
    }
}

/// Whose time a Slot claims: its Schedule's for an opening, else that of all actors.
pub(super) fn claimants(kind: ClaimKind, slot: &Slot, parties: &[Party]) -> Vec<Number> {
    match kind {
        ClaimKind::Opening => vec![number(slot.schedule.as_deref().unwrap_or_default())],
        _ => parties.iter().map(|party| party.number).collect(),
    }
}

/// The actors of a Schedule, at a time.
fn parties_of(bookable: &Arc<Bookable>, core: Span) -> Vec<Party> {
    let parties = bookable.actors.iter().map(|actor| Party {
        number: actor.number,
        name: actor
            .practitioner
            .clone()
            .unwrap_or_else(|| actor.reference.clone()),
        core,
        bookables: vec![Arc::clone(bookable)],
        is_patient: false,
    });
    parties.collect()
}

/// True if one of the parties has no seat left somewhere in `span`, with the claims of `owners`
/// replaced by new ones.
fn is_full(
    parties: &[Party],
    span: Span,
    state: &State,
    now: i64,
    (owners, new): (&[Number], &[NewClaim]),
) -> bool {
    parties.iter().any(|party| {
        let calendar = state.of(party.number);
        let kept = calendar
            .into_iter()
            .flat_map(|calendar| calendar.near(span));
        let kept = kept.filter(|claim| !owners.contains(&claim.owner) && claim.is_live(now));
        let new = new.iter().map(|new| &new.claim);
        let new = new.filter(|claim| claim.actor == party.number);
        has_no_seat(kept.chain(new), span)
    })
}

/// True if these claims on one actor's time leave no seat somewhere in `span`.
pub(super) fn has_no_seat<'c>(claims: impl Iterator<Item = &'c Claim>, span: Span) -> bool {
    let is_there = |claim: &&Claim| claim.kind == ClaimKind::Booking && claim.core.overlaps(span);
    let there: Vec<&Claim> = claims.filter(is_there).collect();
    let seats = there
        .iter()
        .map(|claim| usize::from(claim.capacity.max(1)))
        .min();
    seats.is_some_and(|seats| there.len() >= seats)
}

/// True if it is busy because Appointments take its time.
pub(super) fn is_marked(slot: Value<'_>) -> bool {
    let extensions = slot.get("extension");
    extensions.iter().flat_map(Value::items).any(|one| {
        let is_set = one.get("valueBoolean").and_then(|value| value.as_bool());
        is_mark(one) && is_set == Some(true)
    })
}

fn is_mark(extension: Value<'_>) -> bool {
    let url = extension.get("url").and_then(|url| url.as_str());
    url.as_deref() == Some(BOOKED)
}

/// The Slot, busy and marked, or free and not.
fn with_status(doc: &Doc, is_busy: bool) -> String {
    let root = doc.root();
    let mut edits = Vec::new();
    if let Some(status) = root.get("status") {
        let code = if is_busy { "\"busy\"" } else { "\"free\"" };
        edits.push((status.span(), code.to_owned()));
    }
    let own = format!(r#"{{"url":"{BOOKED}","valueBoolean":{is_busy}}}"#);
    match (root.get("extension"), is_busy) {
        (Some(extensions), _) => {
            let others = extensions.items().filter(|one| !is_mark(*one));
            let mut all: Vec<String> = others.map(|one| one.raw().to_owned()).collect();
            all.push(own);
            edits.push((extensions.span(), format!("[{}]", all.join(","))));
        }
        (None, true) => {
            let behind = root
                .get("resourceType")
                .map_or(1, |member| member.member_span().end);
            edits.push((behind..behind, format!(",\"extension\":[{own}]")));
        }
        (None, false) => {}
    }
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    doc.splice(&edits)
}
