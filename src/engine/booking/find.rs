//! `Appointment/$find`: free times by what is needed.

use std::sync::Arc;

use resources::{
    model::ResourceType,
    outcome::{Issue, Severity},
};

use super::{
    BookingCall, Engine, Error,
    asked::Asked,
    need::Wanted,
    proposed::{Proposed, ProposedPart, Stage},
    refusal::schedule_number,
};
use crate::{
    access::{Access, Right},
    engine::{
        bundle_text::{BundleText, Mode},
        operation::Resource,
    },
    scheduling::{
        bookable::Bookables,
        claim::Number,
        find::{Found, Need, find},
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
        let wanted = Wanted::read(&asked, now, &self.settings.time_zone, call.strict)?;
        patients.clone_from(&wanted.patients);
        self.permit(ResourceType::SLOT, &access.to(Right::Search))?;
        let patient = self.visible_patients(&wanted.patients, access).await?;
        let (bookables, found) = self.found_times(&wanted.need, now).await?;
        let proposals: Vec<Proposed> = found
            .proposals
            .iter()
            .map(|proposal| Proposed {
                span: crate::scheduling::span::Span::new(proposal.start, proposal.end),
                parts: proposal
                    .parts
                    .iter()
                    .map(|part| ProposedPart {
                        bookable: Arc::clone(&bookables[part.bookable]),
                        visit: part.visit,
                        span: part.core,
                    })
                    .collect(),
                patients: wanted.patients.clone(),
            })
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
        let state = self.board.read();
        let found = find(need, &bookables, &*state, self.board.cache(), now);
        Ok((bookables, found))
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
