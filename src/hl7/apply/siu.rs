//! SIU: what has happened to appointments.
//!
//! A fact is never refused. It is first written as one that keeps to the time that is free; if the
//! time is somebody else's, it is written over that, marked, and a Task asks somebody to look.

use resources::model::ResourceType;
use serde_json::{Value as Json, json};

use super::{
    Lost,
    identity::{Identifier, json_of},
    time::{date_time, instant},
    work::{Item, Work, content, kind_of},
};
use crate::access::Booking;

/// What it is about.
pub const APPOINTMENT: ResourceType = ResourceType::APPOINTMENT;

/// The extension of an Appointment with the time (MSH-7) of the message that it was changed by.
pub const SENT: &str = "urn:rotunda:StructureDefinition:hl7-sent";
/// The tag of an Appointment that was stored though its time was somebody else's.
pub const TAGS: &str = "urn:rotunda:hl7";
/// The extension of an Appointment that is booked over others.
const OVERBOOKED: &str = "urn:rotunda:StructureDefinition:overbooked";

/// What an event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is as the message says.
    Told,
    /// It has this status, with SCH-6 as the reason.
    Becomes(&'static str),
    /// Some who take part change: AIx-2 says how.
    Changes,
    /// The time of those named is closed.
    Blocks,
    /// It is open again.
    Unblocks,
}

/// What each event of SIU does (HL7 v2, chapter 10).
const EVENTS: &[(&str, Act)] = &[
    ("S12", Act::Told),                        // booked
    ("S13", Act::Told),                        // moved
    ("S14", Act::Told),                        // changed
    ("S15", Act::Becomes("cancelled")),        // cancelled
    ("S16", Act::Becomes("cancelled")),        // discontinued
    ("S17", Act::Becomes("entered-in-error")), // deleted
    ("S18", Act::Changes),                     // service or resource added
    ("S19", Act::Changes),                     // changed
    ("S20", Act::Changes),                     // cancelled
    ("S21", Act::Changes),                     // discontinued
    ("S22", Act::Changes),                     // deleted
    ("S23", Act::Blocks),
    ("S24", Act::Unblocks),
    ("S26", Act::Becomes("noshow")),
    ("S27", Act::Told), // broadcast of what is booked
];

/// Segments of what takes part, each with the number of the field that begins its time.
const RESOURCES: &[(&str, usize)] = &[("AIS", 4), ("AIG", 8), ("AIL", 6), ("AIP", 6)];

/// What an event of SIU does; `None` if it is none.
pub fn event(name: &str) -> Option<Act> {
    let mut events = EVENTS.iter();
    events.find(|(own, _)| *own == name).map(|(_, act)| *act)
}

impl Work<'_> {
    /// SIU.
    pub async fn schedule(&mut self) -> Result<(), Lost> {
        let act = event(&self.event()).unwrap_or(Act::Told);
        self.booking = match self.over.is_some() {
            true => Booking::Over,
            false => Booking::Fact,
        };
        self.only_fill(&[
            "Patient",
            "Encounter",
            "Account",
            "ServiceRequest",
            "Coverage",
        ]);
        self.leave_out_no_visits();
        if matches!(act, Act::Blocks | Act::Unblocks) {
            return self.block(act == Act::Blocks).await;
        }
        let Some(at) = self.first(APPOINTMENT) else {
            return Err(content(
                "SCH",
                "100",
                "the segment with the appointment is missing",
            ));
        };
        if super::lookup::numbers(APPOINTMENT, &self.items[at].made).is_empty() {
            return Err(content("SCH-2", "101", "the appointment has no number"));
        }
        self.look_up().await?;
        if self.is_late(at) {
            for item in &mut self.items {
                item.is_left_out = true;
            }
            self.note(
                "MSH-7",
                "the appointment was changed by a later message; this one is ignored",
            );
            return Ok(());
        }
        let root = self.root(at);
        let before = self.items[root].content.clone();
        self.complete(at, act);
        self.lay_all();
        self.flag(root, &before).await?;
        if self.items[root].is_written() {
            let sent = self.sent();
            let content = &mut self.items[root].content;
            let mut all = content.list("extension");
            all.retain(|one| one.get("url") != Some(&json!(SENT)));
            all.extend(sent.map(|sent| json!({"url": SENT, "valueDateTime": sent})));
            content.set("extension", Json::Array(all));
        }
        Ok(())
    }

    fn sent(&self) -> Option<String> {
        date_time(self.message.msh().field(7), &self.context.channel.zone)
    }

    /// True if a message that was sent later has changed the appointment already.
    fn is_late(&self, at: usize) -> bool {
        let content = &self.items[self.root(at)].content;
        let all = content.list("extension");
        let stored = all.iter().find(|one| one.get("url") == Some(&json!(SENT)));
        let stored = stored.and_then(|one| instant(one.get("valueDateTime")?.as_str()?));
        let own = self.sent().as_deref().and_then(instant);
        matches!((stored, own), (Some(stored), Some(own)) if own < stored)
    }

    /// Gives an Appointment what the tables leave open: its status by the event, its time, and
    /// those who take part.
    pub fn complete(&mut self, at: usize, act: Act) {
        let root = self.root(at);
        let before = self.items[root].content.clone();
        let is_new = self.items[root].version == 0;
        let filled = self.filler_status();
        let mut made = self.items[at].made.take();
        let told = made.get("status").and_then(Json::as_str).map(str::to_owned);
        let status = match (act, filled.as_str()) {
            (Act::Becomes(status), _) => status.to_owned(),
            (_, "OVERBOOK") => "booked".to_owned(),
            (_, "DISCONTINUED") => "cancelled".to_owned(),
            (Act::Told | Act::Changes, "") if !is_new => {
                let stored = before.text("status").unwrap_or_default();
                // Whoever moves it wants it.
                match stored.as_str() {
                    "" | "proposed" | "cancelled" | "waitlist" => "booked".to_owned(),
                    _ => stored,
                }
            }
            _ => told.unwrap_or_else(|| "booked".to_owned()),
        };
        made["status"] = json!(status);
        self.complete_time(&mut made, &before);
        self.complete_participants(&mut made, &before, act);
        if let Some(members) = made.as_object_mut() {
            let has_time = members.contains_key("start") || before.has("start");
            if !has_time && !matches!(status.as_str(), "cancelled" | "proposed" | "waitlist") {
                // A status that needs a time has none: it is asked for.
                members.insert("status".to_owned(), json!("proposed"));
            }
            members.remove("cancelationReason");
            let head = self
                .message
                .first("SCH")
                .or_else(|| self.message.first("ARQ"));
            let reason = head.map(|head| reason(head.field(6)));
            if let (Act::Becomes("cancelled" | "noshow"), Some(Some(reason))) = (act, reason) {
                members.insert("cancelationReason".to_owned(), reason);
            }
        }
        if !matches!(status.as_str(), "cancelled" | "noshow") {
            self.items[root].content.remove("cancelationReason");
        }
        if filled == "OVERBOOK" {
            let mark = json!({"url": OVERBOOKED, "valueBoolean": true});
            match made.get_mut("extension") {
                Some(Json::Array(all)) => all.push(mark),
                _ => made["extension"] = json!([mark]),
            }
        }
        self.items[at].made = made;
    }

    /// SCH-25, in upper case.
    fn filler_status(&self) -> String {
        let sch = self.message.first("SCH");
        let text = sch.map(|sch| sch.field(25).text().trim().to_ascii_uppercase());
        text.unwrap_or_default()
    }

    /// Start and end, from what takes part if SCH and TQ1 do not say them.
    fn complete_time(&self, made: &mut Json, before: &super::content::Content) {
        let Some(members) = made.as_object_mut() else {
            return;
        };
        let zone = &self.context.channel.zone;
        if !members.contains_key("start") {
            let starts = self.message.segments().filter_map(|segment| {
                let (_, field) = RESOURCES.iter().find(|(name, _)| *name == segment.name())?;
                let text = date_time(segment.field(*field), zone)?;
                Some((instant(&text)?, text))
            });
            if let Some((_, start)) = starts.min() {
                members.insert("start".to_owned(), json!(start));
            }
        }
        let start = members
            .get("start")
            .and_then(Json::as_str)
            .map(str::to_owned);
        if members.contains_key("end") {
            if start.is_none() {
                members.remove("end");
            }
            return;
        }
        let Some(start) = start else { return };
        let minutes = members.get("minutesDuration").and_then(Json::as_i64);
        let minutes = minutes.or_else(|| before.get("minutesDuration")?.as_i64());
        let minutes = minutes.or_else(|| {
            let ais = self.message.first("AIS")?;
            minutes_of(&ais.field(7).text(), &ais.field(8).component(1).text())
        });
        let minutes = minutes.unwrap_or(15);
        let end = start.parse::<jiff::Timestamp>().ok().and_then(|start| {
            let end = start
                .checked_add(jiff::SignedDuration::from_mins(minutes))
                .ok()?;
            let end = end.to_zoned_datetime(zone.clone());
            Some(end.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
        });
        match end {
            Some(end) => members.insert("end".to_owned(), json!(end)),
            None => members.remove("start"),
        };
    }

    fn complete_participants(&self, made: &mut Json, before: &super::content::Content, act: Act) {
        let known = |reference: &str| self.referred(reference);
        let mut list = made
            .get("participant")
            .map(super::snapshot::list)
            .unwrap_or_default();
        for one in &mut list {
            super::content::referred(one, &known);
        }
        // The patient.
        if let Some(owner) = self.first(ResourceType::PATIENT) {
            let owner = self.items[self.root(owner)].reference();
            let has = list
                .iter()
                .any(|one| one.pointer("/actor/reference").and_then(Json::as_str) == Some(&owner));
            if !has {
                list.insert(
                    0,
                    json!({"actor": {"reference": owner}, "status": "accepted"}),
                );
            }
        }
        let removed = self.removed_references();
        let actor = |one: &Json| {
            one.pointer("/actor/reference")
                .and_then(Json::as_str)
                .map(str::to_owned)
        };
        list.retain(|one| actor(one).is_none_or(|actor| !removed.contains(&actor)));
        for one in &mut list {
            if one.get("status").is_none() {
                one["status"] = json!("accepted");
            }
        }
        list.dedup();
        let names_resources = self
            .message
            .segments()
            .any(|segment| RESOURCES.iter().any(|(name, _)| *name == segment.name()));
        // Services and resources that are added, changed or taken away one by one; and what a
        // message without any of them says nothing of.
        if act == Act::Changes || !names_resources {
            for old in before.list("participant") {
                let own = actor(&old);
                let is_said = own.is_some() && list.iter().any(|one| actor(one) == own);
                let is_removed = own.as_ref().is_some_and(|own| removed.contains(own));
                if !is_said && !is_removed {
                    list.push(old);
                }
            }
        }
        made["participant"] = Json::Array(list);
    }

    /// Who no longer takes part: AIx-2 is D.
    fn removed_references(&self) -> Vec<String> {
        let mut removed = Vec::new();
        for at in 0..self.items.len() {
            let Some(segment) = self.items[at]
                .segment
                .and_then(|at| self.message.segment(at))
            else {
                continue;
            };
            let is_resource = RESOURCES.iter().any(|(name, _)| *name == segment.name());
            if is_resource && segment.field(2).text().eq_ignore_ascii_case("D") {
                let item = &self.items[self.root(at)];
                removed.push(item.reference());
            }
        }
        removed
    }

    /// Marks an appointment whose time is somebody else's, and asks somebody to look; takes the
    /// mark away when it has moved to a time that is free.
    async fn flag(&mut self, root: usize, before: &super::content::Content) -> Result<(), Lost> {
        let reference = self.items[root].reference();
        let tag = json!({"system": TAGS, "code": "overlap"});
        let conflict = json!({"system": "urn:rotunda:hl7:conflict", "value": self.items[root].id});
        let over = self.over.clone();
        let content = &mut self.items[root].content;
        let mut meta = content.get("meta").unwrap_or_else(|| json!({}));
        let mut tags = meta
            .get("tag")
            .map(super::snapshot::list)
            .unwrap_or_default();
        let was_flagged = tags.contains(&tag);
        let mut extensions = content.list("extension");
        match &over {
            Some(_) => {
                if !was_flagged {
                    tags.push(tag);
                }
                if !extensions
                    .iter()
                    .any(|one| one.get("url") == Some(&json!(OVERBOOKED)))
                {
                    extensions.push(json!({"url": OVERBOOKED, "valueBoolean": true}));
                }
            }
            None if was_flagged => {
                let same = |name: &str| before.get(name) == content.get(name);
                let status = content.text("status").unwrap_or_default();
                let claims = !matches!(status.as_str(), "cancelled" | "entered-in-error");
                if claims && same("start") && same("end") && same("participant") {
                    return Ok(());
                }
                tags.retain(|one| *one != tag);
                extensions.retain(|one| one.get("url") != Some(&json!(OVERBOOKED)));
            }
            None => return Ok(()),
        }
        if let Some(meta) = meta.as_object_mut() {
            match tags.is_empty() {
                true => drop(meta.remove("tag")),
                false => drop(meta.insert("tag".to_owned(), Json::Array(tags))),
            }
        }
        content.set("meta", meta);
        content.set("extension", Json::Array(extensions));
        let identifier = Identifier::of(&conflict)
            .map(|one| one.token())
            .unwrap_or_default();
        let found = self
            .matching(kind_of("Task"), &[("identifier", &identifier)], 1)
            .await?;
        let at = match found.first() {
            Some(found) => self.item_of(found),
            None if over.is_some() => {
                let mut task = Item::own(kind_of("Task"));
                task.make(self.engine.fresh_id(), None);
                self.items.push(task);
                self.items.len() - 1
            }
            None => return Ok(()),
        };
        let patient = self.first(ResourceType::PATIENT);
        let patient = patient.map(|at| self.items[self.root(at)].reference());
        let content = &mut self.items[at].content;
        content.set("identifier", json!([conflict]));
        content.set("intent", json!("order"));
        content.set(
            "code",
            json!({"coding": [{"system": TAGS, "code": "schedule-conflict"}]}),
        );
        content.set("focus", json!({"reference": reference}));
        if let Some(patient) = patient {
            content.set("for", json!({"reference": patient}));
        }
        match over {
            Some(why) => {
                content.set("status", json!("requested"));
                content.set("description", json!(why.clone()));
                self.note("SCH-11", format!("stored over what is booked: {why}"));
            }
            None => content.set("status", json!("completed")),
        }
        Ok(())
    }

    /// S23 and S24: the time of those named is closed, or open again.
    async fn block(&mut self, is_blocked: bool) -> Result<(), Lost> {
        let slot = self.first(ResourceType::SLOT);
        let Some(at) = slot.or_else(|| self.first(APPOINTMENT)) else {
            return Err(content(
                "SCH",
                "100",
                "the segment with the time is missing",
            ));
        };
        let numbers = super::lookup::numbers(self.items[at].kind, &self.items[at].made);
        let mut made = self.items[at].made.clone();
        self.complete_time(&mut made, &super::content::Content::default());
        for item in &mut self.items {
            item.is_left_out |= !super::identity::is_registry(item.kind);
        }
        let (start, end) = (made.get("start").cloned(), made.get("end").cloned());
        let tokens: Vec<String> = numbers.iter().map(Identifier::token).collect();
        if !is_blocked {
            for item in &mut self.items {
                item.is_left_out = true;
            }
            let found = match tokens.is_empty() {
                true => Vec::new(),
                false => {
                    let params = [("identifier", tokens.join(","))];
                    let params: Vec<(&str, &str)> = params
                        .iter()
                        .map(|(name, value)| (*name, value.as_str()))
                        .collect();
                    self.matching(ResourceType::SLOT, &params, 200).await?
                }
            };
            if found.is_empty() {
                self.note("SCH-2", "no time was closed under this number");
            }
            for slot in found {
                let at = self.item_of(&slot);
                self.items[at].is_deleted = true;
            }
            return Ok(());
        }
        let (Some(start), Some(end)) = (start, end) else {
            return Err(content("SCH-11", "101", "it is not said from when to when"));
        };
        self.identify_registry().await?;
        self.lay_all();
        let actors: Vec<usize> = (0..self.items.len())
            .filter(|at| {
                let segment = self.items[*at]
                    .segment
                    .and_then(|at| self.message.segment(at));
                segment.is_some_and(|segment| matches!(segment.name(), "AIG" | "AIL" | "AIP"))
            })
            .map(|at| self.root(at))
            .collect();
        let mut done: Vec<usize> = Vec::new();
        for actor in actors {
            let kind = self.items[actor].kind.name();
            let has_time = matches!(
                kind,
                "Practitioner" | "PractitionerRole" | "Device" | "Location"
            );
            if !has_time || done.contains(&actor) || self.is_site(actor) {
                continue;
            }
            done.push(actor);
            let schedule = self.schedule_of(actor).await?;
            let identifier: Vec<Json> = numbers
                .iter()
                .map(|one| json!({"system": one.system, "value": one.value}))
                .collect();
            let params = [
                ("identifier", tokens.join(",")),
                ("schedule", schedule.clone()),
            ];
            let params: Vec<(&str, &str)> = params
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let found = match tokens.is_empty() {
                true => Vec::new(),
                false => self.matching(ResourceType::SLOT, &params, 1).await?,
            };
            let at = match found.first() {
                Some(found) => self.item_of(found),
                None => {
                    let mut slot = Item::own(ResourceType::SLOT);
                    slot.make(self.engine.fresh_id(), None);
                    self.items.push(slot);
                    self.items.len() - 1
                }
            };
            let content = &mut self.items[at].content;
            content.set("identifier", Json::Array(identifier));
            content.set("schedule", json!({"reference": schedule}));
            content.set("status", json!("busy-unavailable"));
            content.set("start", start.clone());
            content.set("end", end.clone());
        }
        if done.is_empty() {
            return Err(content(
                "AIP",
                "101",
                "nobody is named whose time is closed",
            ));
        }
        Ok(())
    }

    /// A place that others are in has no time of its own.
    fn is_site(&self, at: usize) -> bool {
        let reference = self.items[at].reference();
        let is_within = |item: &Item| {
            let within = item.content.get("partOf");
            let within = within.and_then(|it| it.get("reference").cloned());
            within == Some(json!(reference))
        };
        self.items.iter().any(is_within)
    }

    /// The Schedule of an actor; a new one if there is none.
    async fn schedule_of(&mut self, actor: usize) -> Result<String, Lost> {
        let reference = self.items[actor].reference();
        let is_new = self.items[actor].version == 0;
        let found = match is_new {
            true => Vec::new(),
            false => {
                self.matching(ResourceType::SCHEDULE, &[("actor", &reference)], 20)
                    .await?
            }
        };
        let active = found
            .iter()
            .find(|one| json_of(one).get("active") != Some(&json!(false)));
        if let Some(found) = active {
            return Ok(format!("Schedule/{}", found.id));
        }
        let mut schedule = Item::own(ResourceType::SCHEDULE);
        schedule.make(self.engine.fresh_id(), None);
        schedule.content.set("active", json!(true));
        schedule
            .content
            .set("actor", json!([{"reference": reference}]));
        let reference = schedule.reference();
        self.items.push(schedule);
        Ok(reference)
    }
}

/// A FHIR time as DTM.
pub fn dtm(text: &str) -> String {
    let (date, offset) = match text.len() {
        25.. => text.split_at(19),
        _ => (text, ""),
    };
    let date: String = date.chars().filter(char::is_ascii_digit).collect();
    format!("{date}{}", offset.replace(':', ""))
}

fn reason(value: mllp::Value<'_>) -> Option<Json> {
    let code = value.component(1).text().into_owned();
    let text = value.component(2).text().into_owned();
    if code.is_empty() && text.is_empty() {
        return None;
    }
    let shown = if text.is_empty() { code.clone() } else { text };
    Some(match code.is_empty() {
        true => json!({"text": shown}),
        false => json!({"coding": [{"code": code}], "text": shown}),
    })
}

/// A duration in minutes.
fn minutes_of(amount: &str, unit: &str) -> Option<i64> {
    let amount: f64 = amount.trim().parse().ok()?;
    let minutes = match unit.trim().to_ascii_lowercase().as_str() {
        "s" | "sec" => amount / 60.0,
        "h" | "hr" | "hour" | "hours" => amount * 60.0,
        "d" | "day" | "days" => amount * 1_440.0,
        _ => amount,
    };
    (0.0..=100_000.0)
        .contains(&minutes)
        .then_some(minutes.ceil() as i64)
}
