//! A visit as a state: what an event does to status, period and beds, and what a cancel takes
//! back.

use resources::model::ResourceType;
use serde_json::{Value as Json, json};

use super::{Lost, content::Content, identity::content_of, snapshot::list, work::Work};

/// Versions that are looked at for the one that is taken back.
const LOOKED_AT: i64 = 200;
/// The beginning of `meta.source` of what messages made.
const BY_MESSAGE: &str = "urn:rotunda:hl7:";

/// What an event does to the visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// It has this status from now on.
    Becomes(&'static str),
    /// It is over.
    Ends,
    /// It stays as it is.
    Goes,
    /// What an earlier event did is taken back.
    Back(Reversed),
}

/// What is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reversed {
    Admit,
    Discharge,
    Transfer,
    /// The visit was planned.
    Plan,
    /// A bed was planned.
    PlannedTransfer,
    PlannedDischarge,
    Tracking,
    Leave,
    Return,
    Doctors,
}

impl Work<'_> {
    /// Lets an event take its course: the status, the time and the places of the visit at `at`.
    pub async fn course(&mut self, at: usize, course: Course, when: &str) -> Result<(), Lost> {
        let root = self.root(at);
        let made = self.items[at].made.take();
        let mut made = match made {
            Json::Object(made) => made,
            _ => return Ok(()),
        };
        let status = made.remove("status");
        let places = made
            .remove("location")
            .map(|places| list(&places))
            .unwrap_or_default();
        let places: Vec<Json> = places
            .into_iter()
            .map(|mut place| {
                let known = |reference: &str| self.referred(reference);
                super::content::referred(&mut place, &known);
                place
            })
            .collect();
        let is_new = self.items[root].version == 0;
        if let Course::Back(_) = course {
            made.remove("period");
        }
        if let (Course::Becomes(_), Some(Json::Object(period))) = (course, made.get_mut("period")) {
            period.remove("end");
        }
        let end = made
            .get("period")
            .and_then(|period| period.get("end"))
            .cloned();
        let when = match (course, &end) {
            (Course::Ends, Some(Json::String(end))) => end.clone(),
            _ => when.to_owned(),
        };
        let mut found = false;
        if let Course::Back(reversed) = course {
            found = self.take_back(root, reversed).await?;
        }
        let mut made = Json::Object(made);
        let content = &mut self.items[root].content;
        let is_over = matches!(course, Course::Ends)
            || is_new && status.as_ref().and_then(Json::as_str) == Some("finished");
        match course {
            Course::Becomes(status) => become_(content, status, &when),
            Course::Ends => {
                become_(content, "finished", &when);
                end_period(content, &mut made, &when);
            }
            Course::Goes => {}
            Course::Back(reversed) => fall_back(content, reversed, found, &when),
        }
        if is_new && !content.has("status") {
            content.set("status", status.unwrap_or_else(|| json!("unknown")));
        }
        let back = matches!(course, Course::Back(reversed) if reversed != Reversed::Transfer);
        if !back || is_new {
            take_places(content, &places, &when, is_over);
        }
        if is_over {
            leave_place(content, &when);
        }
        if is_new && !content.has("class") && made.get("class").is_none() {
            content.set("class", unknown_class());
        }
        self.items[at].made = made;
        Ok(())
    }

    /// Notes which class a visit had before it gets another.
    pub fn note_class(&mut self, at: usize, when: &str) {
        let root = self.root(at);
        let now = self.items[at].made.get("class").cloned();
        let item = &mut self.items[root];
        let before = item.content.get("class");
        let code = |class: &Json| class.get("code").cloned();
        if let (Some(before), Some(now)) = (before, now)
            && code(&before) != code(&now)
        {
            let mut history = item.content.list("classHistory");
            history.push(json!({"class": before, "period": {"end": when}}));
            item.content.set("classHistory", Json::Array(history));
        }
    }

    /// Restores what was before the event that is taken back, from the versions of the visit;
    /// false if no message made such a version.
    async fn take_back(&mut self, at: usize, reversed: Reversed) -> Result<bool, Lost> {
        let aspects: &[&str] = match reversed {
            Reversed::Admit | Reversed::Plan => &[
                "status",
                "statusHistory",
                "period",
                "location",
                "class",
                "classHistory",
            ],
            Reversed::Discharge => &[
                "status",
                "statusHistory",
                "period",
                "location",
                "hospitalization",
            ],
            Reversed::Transfer | Reversed::PlannedTransfer | Reversed::Tracking => &["location"],
            Reversed::Leave | Reversed::Return => &["status", "statusHistory"],
            Reversed::Doctors => &["participant"],
            Reversed::PlannedDischarge => &[],
        };
        let (id, version) = (self.items[at].id.clone(), self.items[at].version);
        let kind = ResourceType::ENCOUNTER;
        let mut after = self.items[at].content.clone();
        for number in (1..version).rev().take(LOOKED_AT as usize) {
            let Some(before) = self.version(kind, &id, number).await? else {
                return Ok(false);
            };
            let before = content_of(&before);
            if is_by_message(&after) && did(reversed, &before, &after) {
                for aspect in aspects {
                    self.items[at].content.take(aspect, &before);
                }
                return Ok(true);
            }
            after = before;
        }
        Ok(false)
    }
}

fn is_by_message(content: &Content) -> bool {
    let meta = content.get("meta").unwrap_or_default();
    let source = meta.get("source").and_then(Json::as_str);
    source.is_some_and(|source| source.starts_with(BY_MESSAGE))
}

/// True if the change from one version to the next is of that sort.
fn did(reversed: Reversed, before: &Content, after: &Content) -> bool {
    let (old, new) = (before.text("status"), after.text("status"));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let here = ["arrived", "triaged", "in-progress", "onleave", "finished"];
    let beds = |content: &Content, state: &str| -> Vec<Json> {
        let places = content.list("location").into_iter();
        let of_state = places.filter(|place| place.get("status") == Some(&json!(state)));
        of_state
            .map(|place| place.get("location").cloned().unwrap_or_default())
            .collect()
    };
    match reversed {
        Reversed::Admit => here.contains(&new.as_str()) && !here.contains(&old.as_str()),
        Reversed::Discharge => new == "finished" && old != "finished",
        Reversed::Plan => new == "planned" && old != "planned" && !here.contains(&old.as_str()),
        Reversed::Transfer => {
            let (old, new) = (beds(before, "active"), beds(after, "active"));
            old != new && !old.is_empty() && !new.is_empty()
        }
        Reversed::PlannedTransfer => beds(before, "planned") != beds(after, "planned"),
        Reversed::Tracking => before.get("location") != after.get("location"),
        Reversed::Leave => new == "onleave" && old != "onleave",
        Reversed::Return => old == "onleave" && new != "onleave",
        Reversed::Doctors => before.get("participant") != after.get("participant"),
        Reversed::PlannedDischarge => false,
    }
}

/// What a cancel comes to if the version before is known, or not.
fn fall_back(content: &mut Content, reversed: Reversed, found: bool, when: &str) {
    if found {
        return;
    }
    match reversed {
        Reversed::Admit | Reversed::Plan => {
            become_(content, "cancelled", when);
            leave_place(content, when);
        }
        Reversed::Discharge => {
            become_(content, "in-progress", when);
            if let Some(Json::Object(mut period)) = content.get("period") {
                period.remove("end");
                content.set("period", Json::Object(period));
            }
            let mut places = content.list("location");
            if let Some(last) = places.last_mut() {
                last["status"] = json!("active");
                if let Some(Json::Object(period)) = last.get_mut("period") {
                    period.remove("end");
                }
            }
            content.set("location", Json::Array(places));
        }
        Reversed::PlannedTransfer => {
            let mut places = content.list("location");
            places.retain(|place| place.get("status") != Some(&json!("planned")));
            content.set("location", Json::Array(places));
        }
        Reversed::Leave => become_(content, "in-progress", when),
        Reversed::Return => become_(content, "onleave", when),
        Reversed::Transfer
        | Reversed::PlannedDischarge
        | Reversed::Tracking
        | Reversed::Doctors => {}
    }
}

/// Gives a visit another status, and notes which it had.
fn become_(content: &mut Content, status: &str, when: &str) {
    if let Some(before) = content.text("status")
        && before != status
    {
        let mut history = content.list("statusHistory");
        let since = match history.last() {
            Some(last) => last.pointer("/period/end").cloned(),
            None => content
                .get("period")
                .and_then(|period| period.get("start").cloned()),
        };
        let mut period = json!({"end": when});
        if let Some(Json::String(since)) = since
            && is_in_order(&since, when)
        {
            period["start"] = json!(since);
        }
        history.push(json!({"status": before, "period": period}));
        content.set("statusHistory", Json::Array(history));
    }
    content.set("status", json!(status));
}

fn end_period(content: &mut Content, made: &mut Json, when: &str) {
    let start = content
        .get("period")
        .and_then(|period| period.get("start").cloned());
    let own = made.pointer("/period/start").cloned();
    let start = own.or(start);
    let is_later = match &start {
        Some(Json::String(start)) => is_in_order(start, when),
        _ => true,
    };
    if is_later {
        if made.get("period").is_none() {
            made["period"] = json!({});
        }
        made["period"]["end"] = json!(when);
    }
}

/// True unless the second time is before the first.
fn is_in_order(first: &str, second: &str) -> bool {
    match (super::time::instant(first), super::time::instant(second)) {
        (Some(first), Some(second)) => first <= second,
        _ => true,
    }
}

fn is_planned(place: &Json) -> bool {
    matches!(
        place.get("status").and_then(Json::as_str),
        Some("planned" | "reserved")
    )
}

/// Moves to the places that a message names: the bed that it says is the one of now; what was
/// before ends, and is kept.
fn take_places(content: &mut Content, named: &[Json], when: &str, is_over: bool) {
    let mut places = content.list("location");
    let is_first = places.is_empty();
    let of = |place: &Json| place.pointer("/location/reference").cloned();
    for (at, place) in named.iter().enumerate() {
        let Some(reference) = of(place) else { continue };
        let status = place
            .get("status")
            .and_then(Json::as_str)
            .unwrap_or("active");
        let is_temporary = place.get("extension").is_some();
        if is_planned(place) && !(at == 0 && is_first) {
            let known = places
                .iter()
                .any(|own| is_planned(own) && of(own).as_ref() == Some(&reference));
            if !known {
                let mut place = place.clone();
                place["status"] = json!("planned");
                places.push(place);
            }
            continue;
        }
        match status {
            // What was before is known from the messages before; if there were none, from this one.
            "completed" if is_first && !is_over => places.insert(0, ended(place.clone(), when)),
            "completed" => {}
            _ if is_planned(place) => places.push(place.clone()),
            _ => {
                let stays = places.iter().any(|own| {
                    own.get("status") == Some(&json!("active"))
                        && of(own).as_ref() == Some(&reference)
                });
                if stays {
                    continue;
                }
                places.retain(|own| !(is_planned(own) && of(own).as_ref() == Some(&reference)));
                for own in &mut places {
                    let is_other = own.get("extension").is_some() != is_temporary;
                    if own.get("status") == Some(&json!("active")) && !is_other {
                        *own = ended(own.take(), when);
                    }
                }
                let mut place = place.clone();
                place["status"] = json!("active");
                let mut period = json!({"start": when});
                if is_over {
                    period = json!({});
                }
                if period.get("start").is_some() {
                    place["period"] = period;
                }
                places.push(place);
            }
        }
    }
    content.set("location", Json::Array(places));
}

fn ended(mut place: Json, when: &str) -> Json {
    place["status"] = json!("completed");
    let start = place.pointer("/period/start").and_then(Json::as_str);
    if start.is_none_or(|start| is_in_order(start, when)) {
        if place.get("period").is_none() {
            place["period"] = json!({});
        }
        place["period"]["end"] = json!(when);
    }
    place
}

/// Nobody is in a bed any more.
fn leave_place(content: &mut Content, when: &str) {
    let mut places = content.list("location");
    places.retain(|place| !is_planned(place));
    for place in &mut places {
        if place.get("status") == Some(&json!("active")) {
            *place = ended(place.take(), when);
        }
    }
    content.set("location", Json::Array(places));
}

/// Of a visit of which no class is known.
pub fn unknown_class() -> Json {
    json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
        "code": "UNK",
        "display": "unknown",
    })
}
