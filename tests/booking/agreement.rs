//! Appointments, Slots and claims must say the same.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest;
use rotunda::{
    scheduling::claim::{Claim, ClaimKind, Number},
    store::Store,
};
use serde_json::Value;

use crate::{door::Door, ward::second};

/// What there is, once it was found to agree.
pub struct Booked {
    /// All Appointments that claim time.
    pub appointments: Vec<Value>,
}

impl Booked {
    /// How many Appointments begin then.
    pub fn at(&self, start: i64) -> usize {
        let starts = self.appointments.iter().map(|one| second(&one["start"]));
        starts.filter(|own| *own == start).count()
    }
}

/// The number of `Type/id` among claims.
pub fn number(reference: &str) -> Number {
    let hash = digest::digest(&digest::SHA256, reference.as_bytes());
    Number(i64::from_be_bytes(hash.as_ref()[..8].try_into().unwrap()))
}

/// All resources that a search finds, page by page.
pub async fn all(door: &mut Door, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut next = Some(format!("{path}_count=500"));
    while let Some(path) = next {
        let page = door.get(&path).await;
        found.extend(page.resources());
        let links = page.body["link"].as_array().cloned().unwrap_or_default();
        let link = links.into_iter().find(|link| link["relation"] == "next");
        next = link.map(|link| {
            let url = link["url"].as_str().unwrap().to_owned();
            url.split_once("/fhir").unwrap().1.to_owned()
        });
    }
    found
}

/// All claims.
pub async fn claims(store: &Store) -> Vec<Claim> {
    let mut all: Vec<Claim> = Vec::new();
    loop {
        let after = all.last().map(|claim| claim.owner);
        let some = store.claims_after(after, 1_000).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// What is wrong at `now`: empty if nobody has what another has, and all records agree.
pub async fn wrong(door: &mut Door, store: &Store, now: i64) -> (Booked, Vec<String>) {
    let mut wrong = Vec::new();
    let claims: Vec<Claim> = claims(store).await;
    let live: Vec<Claim> = claims
        .iter()
        .copied()
        .filter(|one| one.is_live(now))
        .collect();
    let bookings: Vec<Claim> = live
        .iter()
        .copied()
        .filter(|one| one.kind == ClaimKind::Booking)
        // Those are of no time: they count the holds of a patient.
        .filter(|one| one.core.start > 0)
        .collect();
    overlaps(&bookings, &mut wrong);

    let claiming = [
        "pending",
        "booked",
        "arrived",
        "checked-in",
        "fulfilled",
        "noshow",
    ];
    let mut appointments = all(door, "/Appointment?").await;
    appointments.retain(|one| claiming.contains(&one["status"].as_str().unwrap()));
    let by_owner: HashMap<Number, Vec<&Claim>> =
        bookings.iter().fold(HashMap::new(), |mut all, one| {
            all.entry(one.owner).or_insert_with(Vec::new).push(one);
            all
        });
    let mut owners = HashSet::new();
    appointments.retain(|one| {
        let name = format!("Appointment/{}", one["id"].as_str().unwrap());
        let owner = number(&name);
        owners.insert(owner);
        let span = (second(&one["start"]), second(&one["end"]));
        let own = by_owner.get(&owner).map(Vec::as_slice).unwrap_or_default();
        let is_over = hold(one).is_some_and(|expires| expires <= now);
        if is_over != own.is_empty() {
            wrong.push(format!("{name} {span:?} claims {own:?} at {now}"));
        }
        let fits = |claim: &&&Claim| (claim.core.start, claim.core.end) == span;
        if own.iter().filter(fits).count() != own.len() {
            wrong.push(format!("{name} {span:?} claims another time: {own:?}"));
        }
        !is_over
    });
    let slots = all(door, "/Slot?").await;
    let schedules = all(door, "/Schedule?").await;
    for slot in &slots {
        let name = format!("Slot/{}", slot["id"].as_str().unwrap());
        let owner = number(&name);
        owners.insert(owner);
        let schedule = schedules.iter().find(|one| {
            let name = format!("Schedule/{}", one["id"].as_str().unwrap());
            slot["schedule"]["reference"] == name.as_str()
        });
        let actor = &schedule.unwrap()["actor"][0]["reference"];
        let (from, to) = (second(&slot["start"]), second(&slot["end"]));
        let takes = |one: &&Value| {
            let participants = one["participant"].as_array().unwrap();
            let is_actor = participants
                .iter()
                .any(|one| one["actor"]["reference"] == *actor);
            is_actor && second(&one["start"]) < to && from < second(&one["end"])
        };
        let takers = appointments.iter().filter(takes).count();
        let own = live
            .iter()
            .find(|claim| claim.owner == owner)
            .map(|claim| claim.kind);
        let status = slot["status"].as_str().unwrap();
        let is_right = match (status, own) {
            ("free", Some(ClaimKind::Opening)) => takers == 0,
            ("busy", Some(ClaimKind::Opening)) => takers > 0,
            ("busy", Some(ClaimKind::Taken)) => true,
            ("busy-unavailable", Some(ClaimKind::Blocked)) => true,
            // Computed: seats and buffers are the claims' own.
            ("free", None) => takers == 0 || bookings.iter().any(|one| one.capacity > 1),
            ("busy" | "busy-tentative", None) => {
                takers > 0 || bookings.iter().any(|one| one.padded != one.core)
            }
            ("busy-unavailable", None) => true,
            _ => false,
        };
        if !is_right {
            wrong.push(format!(
                "{name} is {status}, claims {own:?}, and {takers} take it"
            ));
        }
    }
    for claim in &live {
        if !owners.contains(&claim.owner) {
            wrong.push(format!("nobody claims {claim:?}"));
        }
    }
    (Booked { appointments }, wrong)
}

/// As [`wrong`], of which there must be nothing.
pub async fn agreed(door: &mut Door, store: &Store, now: i64) -> Booked {
    let (booked, wrong) = wrong(door, store, now).await;
    assert_eq!(wrong, Vec::<String>::new());
    booked
}

/// When the hold of an Appointment ends.
fn hold(appointment: &Value) -> Option<i64> {
    let extensions = appointment["extension"].as_array()?;
    let url = rotunda::scheduling::appointment::HOLD_EXPIRES;
    let hold = extensions.iter().find(|one| one["url"] == url)?;
    (appointment["status"] == "pending").then(|| second(&hold["valueInstant"]))
}

/// No second of an actor is in more bookings than the strictest of them lets in, and no seat is
/// had twice.
fn overlaps(bookings: &[Claim], wrong: &mut Vec<String>) {
    let mut sorted = bookings.to_vec();
    sorted.sort_by_key(|one| (one.actor, one.padded));
    for (at, one) in sorted.iter().enumerate() {
        let near = sorted[at + 1..]
            .iter()
            .take_while(|other| other.actor == one.actor && other.padded.start < one.padded.end);
        let near: Vec<&Claim> = near.filter(|other| other.meets(one)).collect();
        for other in &near {
            if other.seat == one.seat {
                wrong.push(format!("the same seat at the same time: {one:?} {other:?}"));
            }
        }
        let with: Vec<&&Claim> = near
            .iter()
            .filter(|other| other.core.start <= one.core.start && one.core.start < other.core.end)
            .collect();
        let most = with
            .iter()
            .map(|one| one.capacity)
            .min()
            .unwrap_or(1)
            .min(one.capacity);
        if with.len() >= usize::from(most.max(1)) {
            wrong.push(format!("{} with {one:?}, which lets in {most}", with.len()));
        }
    }
}
