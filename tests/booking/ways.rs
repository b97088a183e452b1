//! All the ways to book a time.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    door::{Answer, Door},
    ward::{Ward, appointment, references, second},
};

/// The status of an answer to somebody who held a time and cannot book it.
pub const LOST_HOLD: u16 = 0;

/// A way to book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Post,
    /// PUT of a new one.
    Put,
    /// PUT of one that was proposed.
    PutBooked,
    /// PATCH of one that was proposed.
    Patch,
    /// A transaction.
    Bundle,
    /// A transaction with a Slot that is busy.
    BundleWithSlot,
    /// `$book` of a proposal.
    Book,
    /// `$hold` of a proposal, and `$book` of what is held.
    HoldAndBook,
}

impl Way {
    pub const ALL: [Self; 8] = [
        Self::Post,
        Self::Put,
        Self::PutBooked,
        Self::Patch,
        Self::Bundle,
        Self::BundleWithSlot,
        Self::Book,
        Self::HoldAndBook,
    ];
}

/// Whose times are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub ward: Ward,
    /// The Schedule.
    pub schedule: String,
    /// `PractitionerRole/r1`
    pub actor: String,
    /// Its Slots are stored, and called this and the number of their time.
    pub slots: Option<String>,
    /// Proposals, by start.
    pub proposals: HashMap<i64, String>,
}

impl Wanted {
    /// With what `$find` proposes now.
    pub async fn new(
        door: &mut Door,
        ward: Ward,
        (schedule, actor): (&str, &str),
        slots: Option<&str>,
    ) -> Self {
        let found = door
            .get(&ward.find(&format!("schedule=Schedule/{schedule}")))
            .await;
        let proposals = found.resources().into_iter().map(|one| {
            let id = one["id"].as_str().unwrap().to_owned();
            (second(&one["start"]), id)
        });
        Self {
            ward,
            schedule: schedule.to_owned(),
            actor: actor.to_owned(),
            slots: slots.map(str::to_owned),
            proposals: proposals.collect(),
        }
    }

    /// The Appointment of somebody at a time.
    fn appointment(&self, status: &str, n: usize, patient: &str) -> Value {
        let time = self.ward.time(n);
        let mut one = appointment(status, time, patient, &self.actor);
        if let Some(slots) = &self.slots {
            one["slot"] = json!([{ "reference": format!("Slot/{slots}{n}") }]);
        }
        one
    }

    /// Tries to book time `n`; `who` makes ids that nobody else has. The answer is the last, or
    /// the first that refuses.
    pub async fn book(
        &self,
        door: &mut Door,
        way: Way,
        n: usize,
        (who, patient): (&str, &str),
    ) -> Result<Answer, String> {
        let id = format!("{}-{who}-{n}", self.schedule);
        let path = format!("/Appointment/{id}");
        let mut own = self.appointment("booked", n, patient);
        match way {
            Way::Post => door.try_ask("POST", "/Appointment", own, None).await,
            Way::Put => {
                own["id"] = json!(id);
                door.try_ask("PUT", &path, own, None).await
            }
            Way::PutBooked | Way::Patch => {
                own["id"] = json!(id);
                own["status"] = json!("proposed");
                let proposed = door.try_ask("PUT", &path, own.clone(), None).await?;
                if !proposed.is_done() {
                    return Ok(proposed);
                }
                if way == Way::Patch {
                    let patch = json!([{ "op": "replace", "path": "/status", "value": "booked" }]);
                    return door.try_ask("PATCH", &path, patch, None).await;
                }
                own["status"] = json!("booked");
                door.try_ask("PUT", &path, own, None).await
            }
            Way::Bundle => {
                let entry = json!({ "resource": own,
                    "request": { "method": "POST", "url": "Appointment" } });
                door.try_ask("POST", "/", transaction(vec![entry]), None)
                    .await
            }
            Way::BundleWithSlot => {
                let mut slot = self.ward.slot(&self.schedule, "", n, "busy");
                let (slot_name, request) = match &self.slots {
                    Some(slots) => {
                        let name = format!("Slot/{slots}{n}");
                        slot["id"] = json!(format!("{slots}{n}"));
                        let request = json!({ "method": "PUT", "url": name });
                        (name, request)
                    }
                    None => {
                        slot.as_object_mut().unwrap().remove("id");
                        let name = "urn:uuid:6ba7b810-9dad-41d1-80b4-00c04fd430c8".to_owned();
                        (name, json!({ "method": "POST", "url": "Slot" }))
                    }
                };
                let mut slot = json!({ "resource": slot, "request": request });
                if self.slots.is_none() {
                    slot["fullUrl"] = json!(slot_name);
                }
                own["slot"] = json!([{ "reference": slot_name }]);
                let entry = json!({ "resource": own,
                    "request": { "method": "POST", "url": "Appointment" } });
                door.try_ask("POST", "/", transaction(vec![slot, entry]), None)
                    .await
            }
            Way::Book => {
                let proposal = self.proposal(n);
                let asked = references(&[
                    ("appointment-reference", &proposal),
                    ("patient-reference", patient),
                ]);
                door.try_ask("POST", "/Appointment/$book", asked, None)
                    .await
            }
            Way::HoldAndBook => {
                let proposal = self.proposal(n);
                let asked = references(&[
                    ("appointment-reference", &proposal),
                    ("patient-reference", patient),
                ]);
                let held = door
                    .try_ask("POST", "/Appointment/$hold", asked, None)
                    .await?;
                if !held.is_done() {
                    return Ok(held);
                }
                let asked = references(&[(
                    "appointment-reference",
                    &format!("Appointment/{}", held.id()),
                )]);
                let mut booked = door
                    .try_ask("POST", "/Appointment/$book", asked, None)
                    .await?;
                if !booked.is_done() {
                    booked.status = LOST_HOLD;
                }
                Ok(booked)
            }
        }
    }

    /// `Appointment/x`: what was proposed for a time.
    pub fn proposal(&self, n: usize) -> String {
        let (start, _) = self.ward.time(n);
        let id = self.proposals.get(&start);
        format!(
            "Appointment/{}",
            id.unwrap_or_else(|| panic!("no proposal of time {n}"))
        )
    }
}

pub fn transaction(entries: Vec<Value>) -> Value {
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}
