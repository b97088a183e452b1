//! Whose time an Appointment takes, and by which rules.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use resources::{Doc, model::ResourceType};

use super::{
    Engine, Error,
    board::{State, split},
    find::is_person_of_record,
    number,
};
use crate::{
    access::Access,
    engine::submit::parse_stored,
    scheduling::{
        appointment::{Appointment, Slot},
        bookable::{Bookable, Coding, Visit},
        claim::Number,
        rules,
        slots::SlotId,
        span::Span,
    },
    store::Write,
};

static ALL: Access =
    Access::system("whose time is claimed follows from resources that the caller may not see");

/// One whose time an Appointment takes.
#[derive(Debug)]
pub struct Party {
    /// Under which the time is claimed.
    pub number: Number,
    /// `Practitioner/1`, for messages.
    pub name: String,
    /// The time that is taken: the Appointment's, or the participant's own.
    pub core: Span,
    /// The Schedules by whose rules; none: no rules are known.
    pub bookables: Vec<Arc<Bookable>>,
    /// It is a patient.
    pub is_patient: bool,
}

/// A Slot that an Appointment names.
#[derive(Debug, Clone)]
pub struct NamedSlot {
    /// Its id.
    pub id: String,
    /// The id of its Schedule.
    pub schedule: String,
    /// What it says, if it is stored.
    pub stored: Option<Slot>,
}

/// What must be looked up before parties can be named: beside the resources, those that the same
/// commit is about to write.
#[derive(Default)]
pub struct LookedUp {
    docs: HashMap<String, Option<Doc>>,
}

impl LookedUp {
    /// The resource, if it is there.
    pub fn get(&self, reference: &str) -> Option<&Doc> {
        self.docs.get(reference)?.as_ref()
    }

    /// The actors of a Schedule who have a time of their own; as of one that can be booked.
    pub fn claimants(&self, schedule: &str) -> Vec<String> {
        let all = self.get(schedule).map(actors).unwrap_or_default();
        let is_shared = |reference: &String| {
            reference.starts_with("HealthcareService/")
                || self
                    .get(reference)
                    .is_some_and(|doc| rules::is_site(doc.root()))
        };
        match all.iter().all(is_shared) {
            true => all,
            false => all.into_iter().filter(|one| !is_shared(one)).collect(),
        }
    }
}

impl Engine {
    /// Reads Slots, Schedules and roles that an Appointment names.
    pub(super) async fn named_by(
        &self,
        appointment: &Appointment,
        coming: &[Write],
    ) -> Result<LookedUp, Error> {
        self.named_by_all([appointment].into_iter(), coming).await
    }

    /// As [`Engine::named_by`], for several at once.
    pub(super) async fn named_by_all<'a>(
        &self,
        appointments: impl Iterator<Item = &'a Appointment>,
        coming: &[Write],
    ) -> Result<LookedUp, Error> {
        let mut found = LookedUp::default();
        let mut wanted = BTreeSet::new();
        for appointment in appointments {
            wanted.extend(appointment.slots.iter().cloned());
            let roles = appointment.participants.iter();
            let roles = roles.filter(|one| one.kind.as_deref() == Some("PractitionerRole"));
            wanted.extend(roles.filter_map(|one| one.reference.clone()));
        }
        self.add_docs(wanted, coming, &mut found).await?;
        let slots = found.docs.values().flatten();
        let slots = slots.filter(|doc| doc.resource_type() == Some("Slot"));
        let slots = slots.filter_map(|doc| Slot::read(doc, &self.settings.base_url)?.schedule);
        let schedules: BTreeSet<String> = slots.collect();
        self.add_docs(schedules.clone(), coming, &mut found).await?;
        let references = schedules.iter().filter_map(|one| found.get(one));
        let references: BTreeSet<String> = references.flat_map(actors).collect();
        self.add_docs(references, coming, &mut found).await?;
        Ok(found)
    }

    pub(super) async fn add_docs(
        &self,
        wanted: BTreeSet<String>,
        coming: &[Write],
        found: &mut LookedUp,
    ) -> Result<(), Error> {
        let mut keys = Vec::new();
        for reference in &wanted {
            let Some((kind, id)) = split(reference) else {
                continue;
            };
            let written = coming
                .iter()
                .find(|write| write.kind == kind && write.id == id);
            if let Some(write) = written {
                let doc = crate::engine::draft::parse(write.body.clone()).ok();
                found.docs.insert(reference.clone(), doc);
            } else {
                keys.push((kind, id));
            }
        }
        if keys.is_empty() {
            return Ok(());
        }
        let stored = self.store.current(&keys, &ALL).await?;
        for ((kind, id), stored) in keys.iter().zip(stored) {
            let alive = stored.filter(|stored| !stored.head.deleted);
            let doc = alive.as_ref().map(parse_stored).transpose()?;
            found.docs.insert(format!("{kind}/{id}"), doc);
        }
        Ok(())
    }

    /// The Slots that an Appointment names, stored and computed. One that there is not claims
    /// nothing, as every reference may lead nowhere.
    pub(super) fn named_slots(
        &self,
        appointment: &Appointment,
        found: &LookedUp,
        state: &State,
    ) -> Vec<NamedSlot> {
        let named = appointment.slots.iter().filter_map(|reference| {
            let id = reference.strip_prefix("Slot/")?;
            if let Some(doc) = found.get(reference) {
                let stored = Slot::read(doc, &self.settings.base_url)?;
                let schedule = stored.schedule.as_deref()?;
                return Some(NamedSlot {
                    id: id.to_owned(),
                    schedule: schedule.strip_prefix("Schedule/")?.to_owned(),
                    stored: Some(stored),
                });
            }
            let bookable = state.bookable_of(&SlotId::parse(id)?)?;
            Some(NamedSlot {
                id: id.to_owned(),
                schedule: bookable.id.clone(),
                stored: None,
            })
        });
        named.collect()
    }

    /// The Slots that an Appointment names, and whose time it takes at `span`.
    pub(super) fn whose(
        &self,
        appointment: &Appointment,
        span: Span,
        found: &LookedUp,
    ) -> (Vec<NamedSlot>, Vec<Party>) {
        let state = self.board.read();
        let slots = self.named_slots(appointment, found, &state);
        let parties = self.parties(appointment, span, &slots, found, &state);
        (slots, parties)
    }

    /// Whose time an Appointment at `span` takes.
    pub(super) fn parties(
        &self,
        appointment: &Appointment,
        span: Span,
        slots: &[NamedSlot],
        found: &LookedUp,
        state: &State,
    ) -> Vec<Party> {
        let mut parties: BTreeMap<Number, Party> = BTreeMap::new();
        for slot in slots {
            // A Slot names no patient: whoever may not write about one takes none of their time.
            if let Some(bookable) = state.bookable(&slot.schedule) {
                let actors = bookable.actors.iter();
                for actor in actors.filter(|actor| !is_person_of_record(&actor.reference)) {
                    let name = actor.practitioner.as_ref().unwrap_or(&actor.reference);
                    let party = party(&mut parties, actor.number, name, span);
                    if !party.bookables.iter().any(|one| one.id == bookable.id) {
                        party.bookables.push(Arc::clone(bookable));
                    }
                }
                continue;
            }
            let actors = found.claimants(&format!("Schedule/{}", slot.schedule));
            for reference in actors.into_iter().filter(|one| !is_person_of_record(one)) {
                let name = practitioner_of(&reference, found).unwrap_or(reference);
                party(&mut parties, number(&name), &name, span);
            }
        }
        for participant in appointment
            .participants
            .iter()
            .filter(|one| one.takes_part())
        {
            let (Some(reference), Some((kind, _))) = (
                &participant.reference,
                participant.reference.as_deref().and_then(split),
            ) else {
                continue;
            };
            let name = practitioner_of(reference, found).unwrap_or_else(|| reference.clone());
            let actor = number(&name);
            let core = participant.period.unwrap_or(span);
            let is_claimed = match kind {
                ResourceType::PRACTITIONER
                | ResourceType::PRACTITIONER_ROLE
                | ResourceType::DEVICE
                | ResourceType::PATIENT => true,
                // A building has room for many; a room that has a Schedule has not.
                ResourceType::LOCATION | ResourceType::HEALTHCARE_SERVICE => {
                    !state.of_actor(actor).is_empty()
                }
                _ => false,
            };
            if is_claimed {
                let party = party(&mut parties, actor, &name, core);
                party.is_patient = kind == ResourceType::PATIENT;
            }
        }
        let mut parties: Vec<Party> = parties.into_values().collect();
        for party in &mut parties {
            if party.bookables.is_empty() {
                party.bookables = state.of_actor(party.number).to_vec();
            }
        }
        // That the time is taken is told before that the patient has none.
        parties.sort_by_key(|party| party.is_patient);
        parties
    }
}

fn party<'p>(
    parties: &'p mut BTreeMap<Number, Party>,
    number: Number,
    name: &str,
    core: Span,
) -> &'p mut Party {
    parties.entry(number).or_insert_with(|| Party {
        number,
        name: name.to_owned(),
        core,
        bookables: Vec::new(),
        is_patient: false,
    })
}

/// The Practitioner of a PractitionerRole that was looked up.
pub(super) fn practitioner_of(reference: &str, found: &LookedUp) -> Option<String> {
    let doc = found.get(reference)?;
    if doc.resource_type() != Some("PractitionerRole") {
        return None;
    }
    let practitioner = doc.root().get("practitioner")?.get("reference")?.as_str()?;
    let (kind, id) = practitioner
        .rsplit_once("Practitioner/")
        .map(|(_, id)| ("Practitioner", id))?;
    Some(format!("{kind}/{id}"))
}

/// The actors of a Schedule.
pub(super) fn actors(schedule: &Doc) -> Vec<String> {
    let actors = schedule.root().get("actor");
    let actors = actors.iter().flat_map(resources::Value::items);
    let actors = actors.filter_map(|actor| actor.get("reference")?.as_str());
    actors.map(|text| text.into_owned()).collect()
}

/// The rules of a Schedule for what is booked: those of the first kind of visit that it is.
pub fn visit_of<'b>(bookable: &'b Bookable, appointment: &Appointment) -> Option<&'b Visit> {
    let mut visits = bookable.visits.iter();
    let fitting = visits.find(|visit| is_visit(visit, appointment));
    fitting.or(bookable.visits.first())
}

/// Seconds of the longest kind of visit that an Appointment may be.
pub fn longest_visit(bookable: &Bookable, appointment: &Appointment) -> i64 {
    let visits = bookable.visits.iter();
    let fitting = visits.filter(|visit| is_visit(visit, appointment));
    let longest = fitting.map(|visit| visit.duration).max();
    longest.unwrap_or_else(|| bookable.visits.first().map_or(0, |visit| visit.duration))
}

fn is_visit(visit: &Visit, appointment: &Appointment) -> bool {
    let codes = |own: &[Coding], asked: &[Coding]| {
        own.is_empty()
            || asked.is_empty()
            || own
                .iter()
                .any(|one| asked.iter().any(|other| means(one, other)))
    };
    codes(&visit.service_types, &appointment.service_types)
        && codes(&visit.appointment_types, &appointment.appointment_types)
}

/// True if a code that is asked for is this one: without a system it may be of any.
pub fn means(own: &Coding, asked: &Coding) -> bool {
    own.code == asked.code && (asked.system.is_empty() || own.system == asked.system)
}
