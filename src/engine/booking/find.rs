//! `Appointment/$find`: free times by what is needed.

use std::{collections::HashSet, sync::Arc};

use resources::{
    model::ResourceType,
    outcome::{Issue, Severity},
};

use super::{
    BookingCall, Engine, Error,
    asked::Asked,
    need::Wanted,
    proposed::{Proposed, Stage},
    refusal::schedule_number,
};
use crate::{
    access::{Access, Right},
    engine::{
        bundle_text::{BundleText, Mode},
        draft::parse,
        operation::Resource,
        permission::{Known, Subject},
    },
    scheduling::{
        bookable::{Bookable, Bookables},
        claim::Number,
        find::{Found, Need, find, find_at_once},
    },
};

impl Engine {
    /// Free times, as the text of a searchset of proposed Appointments. For whom is put into
    /// `patients`.
    pub(super) async fn free_times(
        &self,
        call: &BookingCall,
        patients: &mut Vec<String>,
        access: &Access,
    ) -> Result<String, Error> {
        let base_url = &self.settings.base_url;
        let asked = Asked::read(&call.pairs, call.body.as_ref(), base_url)?;
        let now = self.clock.now() / 1_000;
        let mut wanted = Wanted::read(&asked, now, &self.settings.time_zone, call.strict)?;
        patients.clone_from(&wanted.patients);
        let patient = self.within_sight(&mut wanted, access).await?;
        let (bookables, found) = self.found_times(&wanted.need, now).await?;
        let proposals: Vec<Proposed> = found
            .proposals
            .iter()
            .map(|proposal| Proposed::of(proposal, &bookables, wanted.patients.clone()))
            .collect();
        let schedules = &wanted.need.filter.schedules;
        self.write_proposals(&proposals, &found, (patient, schedules), now)
    }

    /// What is free, and the list that its places are of.
    pub(super) async fn found_times(
        &self,
        need: &Need,
        now: i64,
    ) -> Result<(Bookables, Found), Error> {
        self.update_board().await?;
        let bookables = Arc::clone(self.board.read().bookables());
        let mut actors: Vec<Number> = need.patients.clone();
        let filters =
            std::iter::once(&need.filter).chain(need.roles.iter().map(|role| &role.filter));
        for filter in filters {
            for bookable in bookables.iter() {
                if !filter.fits(bookable, need.duration).is_empty() {
                    actors.extend(bookable.actors.iter().map(|actor| actor.number));
                    actors.push(schedule_number(&bookable.id));
                }
            }
        }
        self.load_calendars(&actors).await?;
        let cache = self.board.cache();
        let at_once = find_at_once(need, &bookables, &*self.board.read(), cache, now);
        let found = match at_once {
            Some(found) => found,
            None => {
                let calendars = self.board.read().snapshot(&actors);
                let (need, list) = (need.clone(), Arc::clone(&bookables));
                let cache = Arc::clone(cache);
                let work = move || find(&need, &list, &calendars, &cache, now);
                self.aside(work).await?
            }
        };
        Ok((bookables, found))
    }

    /// Refuses what the caller may not look for, and leaves out what they may not find; the
    /// number of the first patient.
    pub(super) async fn within_sight(
        &self,
        wanted: &mut Wanted,
        access: &Access,
    ) -> Result<Option<i64>, Error> {
        let search = access.to(Right::Search);
        self.permit(ResourceType::SLOT, &search)?;
        let shown = access.to_any(crate::engine::permission::shown());
        // Whose time becomes free without it is told by leaving it out.
        for id in &wanted.ignored {
            let found = self.seen(ResourceType::APPOINTMENT, id, &shown).await?;
            if found.is_none() {
                return Err(Error::not_found(ResourceType::APPOINTMENT, id));
            }
        }
        if let Some(seen) = self.offered_to(access).await? {
            let roles = wanted.need.roles.iter_mut().map(|role| &mut role.filter);
            for filter in std::iter::once(&mut wanted.need.filter).chain(roles) {
                let asked = std::mem::take(&mut filter.schedules);
                let is_asked = |id: &&String| asked.is_empty() || asked.contains(id);
                filter.schedules = seen.iter().filter(is_asked).cloned().collect();
                if filter.schedules.is_empty() {
                    // No Schedule has this id.
                    filter.schedules.push(String::new());
                }
            }
        }
        self.visible_patients(&wanted.patients, access).await
    }

    /// The Schedules whose times the caller may find; `None` is all. That of a patient says when
    /// that patient is where, so it takes the right to see it.
    pub(super) async fn offered_to(&self, access: &Access) -> Result<Option<Vec<String>>, Error> {
        self.update_board().await?;
        let search = access.to(Right::Search);
        let is_limited = self.is_limited(ResourceType::SLOT, &search);
        let bookables = Arc::clone(self.board.read().bookables());
        let hidden = self.personal(access).await?;
        if !is_limited && hidden.is_empty() {
            return Ok(None);
        }
        let mut seen = Vec::new();
        for bookable in bookables.iter() {
            let id = bookable.id.as_str();
            if !hidden.contains(id) && (!is_limited || self.may_find(id, &search)?) {
                seen.push(bookable.id.clone());
            }
        }
        Ok(Some(seen))
    }

    /// The Schedules of patients that the caller may not see: their times say when somebody is
    /// where, though no Slot names them.
    pub(super) async fn personal(&self, access: &Access) -> Result<HashSet<String>, Error> {
        let bookables = Arc::clone(self.board.read().bookables());
        let personal = bookables.iter().filter(|one| is_of_patients(one));
        let personal: Vec<&str> = personal.map(|one| one.id.as_str()).collect();
        let mut hidden = HashSet::new();
        let shown = access.to_any(crate::engine::permission::shown());
        for some in personal.chunks(500) {
            let keys: Vec<(ResourceType, &str)> = some
                .iter()
                .map(|id| (ResourceType::SCHEDULE, *id))
                .collect();
            let found = self.store.current(&keys, &shown).await?;
            let unseen = some.iter().zip(&found).filter(|(_, found)| found.is_none());
            hidden.extend(unseen.map(|(id, _)| (*id).to_owned()));
        }
        Ok(hidden)
    }

    /// Whether free Slots of a Schedule may be found.
    fn may_find(&self, schedule: &str, access: &Access) -> Result<bool, Error> {
        let doc = parse(format!(
            r#"{{"resourceType":"Slot","schedule":{{"reference":"Schedule/{schedule}"}},"status":"free"}}"#
        ))?;
        let subject = Subject {
            kind: ResourceType::SLOT,
            id: "",
            updated: 0,
            doc: &doc,
        };
        Ok(self.allows(subject, &Known::default(), access, false))
    }

    /// The number of the first of the patients, all of whom the caller may see.
    async fn visible_patients(
        &self,
        patients: &[String],
        access: &Access,
    ) -> Result<Option<i64>, Error> {
        let mut first = None;
        for reference in patients {
            let id = reference.trim_start_matches("Patient/");
            let access = access.to_any(crate::engine::permission::shown());
            let found = self
                .store
                .current(&[(ResourceType::PATIENT, id)], &access)
                .await?;
            let found = found
                .into_iter()
                .flatten()
                .find(|stored| !stored.head.deleted);
            let found = found.ok_or_else(|| Error::not_found(ResourceType::PATIENT, id))?;
            first = first.or(Some(found.head.rid));
        }
        Ok(first)
    }

    fn write_proposals(
        &self,
        proposals: &[Proposed],
        found: &Found,
        (patient, schedules): (Option<i64>, &[String]),
        now: i64,
    ) -> Result<String, Error> {
        let base_url = &self.settings.base_url;
        let own = format!("{base_url}/Appointment/$find");
        let links = [("self", own)];
        let room = proposals.len() * 1_200;
        let total = Some(found.total as u64);
        let mut issues = Vec::new();
        let mut bundle = BundleText::new("searchset", &links, total, self.clock.now(), room);
        let sign = |bytes: &[u8]| self.sign(bytes);
        for proposed in proposals {
            let patient = patient.map(crate::scheduling::proposal::number);
            // One whose parts do not fit into an id is booked as a resource.
            let id = proposed.token(patient, now).seal(&sign);
            let text = proposed.text(id.as_deref(), Stage::Offered, None);
            let resource = Resource {
                kind: ResourceType::APPOINTMENT,
                id: id.unwrap_or_default(),
                version: 1,
                updated: now * 1_000,
                body: Default::default(),
            };
            bundle.hit(base_url, &resource, &text, Mode::Match);
        }
        issues.extend(self.why_not(schedules));
        if found.truncated {
            let text = format!(
                "there are at least {} free times; no more were counted",
                found.total
            );
            let mut issue = Issue::warning("informational", text);
            issue.severity = Severity::Information;
            issues.push(issue);
        }
        if !issues.is_empty() {
            bundle.outcome(&issues);
        }
        Ok(bundle.finish())
    }

    /// Why Schedules that were asked for cannot be booked.
    fn why_not(&self, schedules: &[String]) -> Vec<Issue> {
        let state = self.board.read();
        let reasons = schedules.iter().filter_map(|id| state.unusable(id));
        let reasons = reasons.flatten().map(|issue| Issue {
            severity: Severity::Warning,
            ..issue.clone()
        });
        reasons.collect()
    }
}

/// True if a Schedule is of a patient, or of somebody who is one's relative.
pub fn is_of_patients(bookable: &Bookable) -> bool {
    let mut actors = bookable.actors.iter();
    actors.any(|actor| is_person_of_record(&actor.reference))
}

/// True for a reference to whoever has a record here, or belongs to one.
pub fn is_person_of_record(reference: &str) -> bool {
    reference.starts_with("Patient/") || reference.starts_with("RelatedPerson/")
}
