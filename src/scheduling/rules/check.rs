//! What is wrong with what somebody writes.

use resources::{Doc, Value, outcome::Issue};

use super::zone_of;
use crate::scheduling::{
    appointment,
    element::{self, Ends, each, extensions, kind_of},
    opening, policy,
};

/// The types of actors that have no element for hours.
const WITHOUT_HOURS: [&str; 4] = ["Practitioner", "Device", "Patient", "RelatedPerson"];

/// What is wrong with a resource as far as scheduling reads it, beyond what the structure check
/// finds. Warnings are of what can be meant, but hardly is.
pub fn check(doc: &Doc) -> Vec<Issue> {
    let root = doc.root();
    let mut issues = Vec::new();
    let kind = doc.resource_type().unwrap_or_default();
    let is_one = |names: &[&str]| names.contains(&kind);
    if is_one(&[
        "Schedule",
        "PractitionerRole",
        "HealthcareService",
        "Location",
    ]) {
        zone_of(root, kind, &mut issues);
    }
    match kind {
        "Schedule" => {
            schedule(root, &mut issues);
        }
        "PractitionerRole" | "HealthcareService" => {
            opening::available(root, kind, &mut issues);
            opening::not_available(root, kind, &mut issues);
        }
        "Location" => {
            opening::operation(root, kind, &mut issues);
        }
        "Appointment" => appointment::check(root, &mut issues),
        "Slot" => appointment::check_slot(root, &mut issues),
        "AppointmentResponse" => appointment::check_response(root, &mut issues),
        _ => {}
    }
    match kind {
        "Schedule" => {}
        "HealthcareService" => {
            policy::read(root, kind, &mut issues);
        }
        _ => {
            let ours = extensions(root).find(|it| it.url == policy::PARAMETERS);
            if let Some(extension) = ours {
                let sentence =
                    "This extension has an effect on a Schedule or a HealthcareService only.";
                let at = format!("{kind}.extension[{}]", extension.at);
                issues.push(Issue::warning("extension", sentence).at(at));
            }
        }
    }
    issues
}

fn schedule(root: Value<'_>, issues: &mut Vec<Issue>) {
    let policy = policy::read(root, "Schedule", issues);
    if let Some(horizon) = root.get("planningHorizon")
        && Ends::of(horizon).is_backwards()
    {
        let sentence = "The end comes before the start, so nothing could be booked.";
        issues.push(Issue::error("invariant", sentence).at("Schedule.planningHorizon"));
    }
    let ours = extensions(root).find(|it| it.url == policy::PARAMETERS);
    let Some(ours) = ours else { return };
    let actors = each(root, "actor")
        .map(|it| element::reference(it, ""))
        .collect::<Vec<_>>();
    let has_no_hours = |actor: &Option<String>| {
        let kind = actor.as_deref().and_then(kind_of);
        kind.is_some_and(|kind| WITHOUT_HOURS.contains(&kind))
    };
    if policy.weekly.is_empty() && !policy.visits.is_empty() && actors.iter().all(has_no_hours) {
        let sentence = "None of its actors is of a type that has hours, so it is open at all \
             times; if that is not meant, add availableTime, or name a PractitionerRole.";
        let at = format!("Schedule.extension[{}]", ours.at);
        issues.push(Issue::warning("business-rule", sentence).at(at));
    }
    for (i, actor) in actors.iter().enumerate() {
        if actor.is_none() {
            let sentence = "Nothing of this Schedule can be booked as long as this actor is a \
                 contained or logical one: its time could not be told from that of others.";
            let at = format!("Schedule.actor[{i}]");
            issues.push(Issue::warning("business-rule", sentence).at(at));
        }
    }
}
