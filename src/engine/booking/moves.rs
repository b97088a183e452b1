//! Appointments that move: one, or several of a series.

use resources::Doc;

use super::{
    BookingCall, BookingReply, Engine, Error,
    asked::Asked,
    edits::{expect_status, local_id, no_proposal},
    members::Members,
    need::instant,
    number,
    once::Once,
    proposed::{Proposed, Stage},
    rule::instant as instant_text,
    series_edit::{Change, Scope, set_apart, shift_periods},
    written::Written,
};
use crate::{
    access::Access,
    engine::draft::parse,
    scheduling::{appointment::Appointment, status::Status},
};

impl Engine {
    pub(super) async fn reschedule(
        &self,
        (asked, call): (&Asked, &BookingCall),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let id = call.id.clone().ok_or_else(|| {
            Error::invalid("$reschedule is called on one Appointment: Appointment/1/$reschedule")
        })?;
        let (stored, doc) = self.changeable(&id, access).await?;
        expect_status(&doc, &[Status::Booked, Status::Pending], "moved")?;
        let mut members = Members::of(&doc);
        let scope = Scope::read(asked)?;
        let mut moved_to = None;
        let names = asked.named("appointment-reference", "Appointment")?;
        if let Some(named) = names.into_iter().next() {
            let new = local_id(named)?;
            let proposed = self.proposed(&new, access).await?;
            let proposed = proposed.ok_or_else(|| no_proposal(&new))?;
            self.move_to(&doc, &mut members, &proposed)?;
            moved_to = Some(proposed);
        } else {
            let zone = &self.settings.time_zone;
            let start = instant(asked, "start", zone, false)?.ok_or_else(|| {
                Error::invalid("$reschedule needs appointment-reference, or start")
            })?;
            let before = Appointment::read(&doc, &self.settings.base_url);
            let before = before.and_then(|one| one.span);
            let length = before.map_or(0, |span| span.seconds());
            let end = instant(asked, "end", zone, false)?.unwrap_or(start + length);
            // As the clock shows it where it takes place.
            let zone = self.zone_of(&doc).await?;
            members.set_text("start", &instant_text(start, &zone));
            members.set_text("end", &instant_text(end, &zone));
            members.remove("minutesDuration").remove("slot");
            if let Some(before) = before {
                shift_periods(&mut members, start - before.start, &zone)?;
            }
        }
        if scope != Scope::This {
            let named = self.occurrence(stored, doc)?;
            let proposed = moved_to.as_ref();
            let change = Change { members, proposed };
            let series = self.change_series(named, change, (asked, scope), once, access);
            return Box::pin(series).await;
        }
        set_apart(&doc, &mut members)?;
        let written = Written::of(&stored, &members)?;
        let done = self.write_all(vec![written], once, access).await?;
        Ok(self.replied(done))
    }

    /// What is booked, changed or cancelled together with others of its series.
    pub(super) async fn book_in_scope(
        &self,
        id: &str,
        change: &Doc,
        asked: &Asked,
        scope: Scope,
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let members = Members::of(change);
        if members.get("status") == Some("\"cancelled\"") {
            let mut writes = Vec::new();
            for id in &self.in_scope(id, scope, access).await? {
                writes.push(self.cancelled(id, asked, access).await?);
            }
            let done = self.write_all(writes, once, access).await?;
            return Ok(self.replied(done));
        }
        let (stored, doc) = self.changeable(id, access).await?;
        expect_status(&doc, &[Status::Booked, Status::Pending], "changed")?;
        let named = self.occurrence(stored, doc)?;
        let change = Change {
            members,
            proposed: None,
        };
        self.change_series(named, change, (asked, scope), once, access)
            .await
    }

    /// Gives an Appointment the time, the actors and the Slots of a proposal.
    pub(super) fn move_to(
        &self,
        doc: &Doc,
        members: &mut Members,
        proposed: &Proposed,
    ) -> Result<(), Error> {
        let new = parse(proposed.text(None, Stage::Booked, None))?;
        let new_members = Members::of(&new);
        for name in ["start", "end", "minutesDuration", "slot", "requestedPeriod"] {
            match new_members.get(name) {
                Some(json) => members.set(name, json),
                None => members.remove(name),
            };
        }
        // Whoever is no actor of a Schedule stays: patients, companions.
        let before = doc.root().get("participant");
        let stays = before
            .iter()
            .flat_map(resources::Value::items)
            .filter(|one| {
                let actor = one.get("actor").and_then(|actor| actor.get("reference"));
                let reference = actor.and_then(|text| text.as_str()).unwrap_or_default();
                let state = self.board.read();
                reference.starts_with("Patient/")
                    || state.of_actor(number(&reference)).is_empty()
                        && !reference.starts_with("PractitionerRole/")
            });
        let mut participants: Vec<String> = stays.map(|one| one.raw().to_owned()).collect();
        let added = new.root().get("participant");
        let added = added
            .iter()
            .flat_map(resources::Value::items)
            .filter(|one| {
                let actor = one.get("actor").and_then(|actor| actor.get("reference"));
                let reference = actor.and_then(|text| text.as_str()).unwrap_or_default();
                !reference.starts_with("Patient/")
            });
        participants.extend(added.map(|one| one.raw().to_owned()));
        members.set("participant", format!("[{}]", participants.join(",")));
        Ok(())
    }
}
