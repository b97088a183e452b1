//! What a new version of a resource is to an engine: which message tells of it, if one does.

use resources::model::ResourceType;
use serde_json::Value as Json;

use super::destination::{Destination, OrderForm, Topic};

/// What has happened, in the words of HL7 v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// MSH-9.1: `SIU`.
    pub code: &'static str,
    /// MSH-9.2: `S12`.
    pub trigger: &'static str,
    /// ORC-1 of orders: `NW`.
    pub control: Option<&'static str>,
}

impl Event {
    const fn new(code: &'static str, trigger: &'static str) -> Self {
        Self {
            code,
            trigger,
            control: None,
        }
    }

    const fn order((code, trigger): (&'static str, &'static str), control: &'static str) -> Self {
        Self {
            code,
            trigger,
            control: Some(control),
        }
    }

    /// `SIU^S12`
    pub fn kind(&self) -> String {
        format!("{}^{}", self.code, self.trigger)
    }

    /// Nothing may overtake it, and it overtakes nothing: it is about two patients.
    pub fn is_barrier(kind: &str) -> bool {
        kind == "ADT^A40"
    }
}

/// Types of which versions can be told.
pub fn kinds(destination: &Destination) -> Vec<ResourceType> {
    let mut kinds = Vec::new();
    for topic in &destination.topics {
        kinds.push(match topic {
            Topic::Appointments => ResourceType::APPOINTMENT,
            Topic::Blocks => ResourceType::SLOT,
            Topic::Patients => ResourceType::PATIENT,
            Topic::Orders => ResourceType::SERVICE_REQUEST,
            Topic::Medications => ResourceType::MEDICATION_REQUEST,
            Topic::Results => ResourceType::DIAGNOSTIC_REPORT,
        });
    }
    kinds
}

/// What a version is, beside the one before it. `None`: nothing that is told.
pub fn decide(
    kind: ResourceType,
    (before, after): (Option<&Json>, Option<&Json>),
    destination: &Destination,
) -> Option<Event> {
    if let (Some(before), Some(after)) = (before, after)
        && is_same(before, after)
    {
        return None;
    }
    match kind {
        ResourceType::APPOINTMENT => appointment(before, after),
        ResourceType::SLOT => slot(before, after),
        ResourceType::PATIENT => patient(before, after),
        ResourceType::SERVICE_REQUEST => {
            let form = match destination.orders {
                OrderForm::Orm => ("ORM", "O01"),
                OrderForm::Oml => ("OML", "O21"),
                OrderForm::Omg => ("OMG", "O19"),
            };
            order(before, after).map(|control| Event::order(form, control))
        }
        ResourceType::MEDICATION_REQUEST => {
            let form = match destination.medications_as_orm {
                true => ("ORM", "O01"),
                false => ("RDE", "O11"),
            };
            order(before, after).map(|control| Event::order(form, control))
        }
        ResourceType::DIAGNOSTIC_REPORT => report(before, after),
        _ => None,
    }
}

/// Whether a version came from the peer that it would be sent to: its source is not that of the
/// version before, and names the channel of the peer.
pub fn is_echo(before: Option<&Json>, after: Option<&Json>, channel: Option<&str>) -> bool {
    let source = |version: Option<&Json>| {
        let text = version?.pointer("/meta/source")?.as_str()?;
        Some(text.to_owned())
    };
    let (Some(channel), Some(now)) = (channel, source(after)) else {
        return false;
    };
    let from = now
        .strip_prefix("urn:rotunda:hl7:")
        .and_then(|rest| rest.split_once('#'));
    from.is_some_and(|(from, _)| from == channel) && source(before).as_ref() != Some(&now)
}

/// Whether two versions say the same: narrative and `meta` are not told.
fn is_same(before: &Json, after: &Json) -> bool {
    let told = |version: &Json| {
        let mut version = version.clone();
        if let Some(members) = version.as_object_mut() {
            members.remove("meta");
            members.remove("text");
        }
        version
    };
    told(before) == told(after)
}

fn text<'j>(version: Option<&'j Json>, name: &str) -> &'j str {
    version
        .and_then(|version| version[name].as_str())
        .unwrap_or_default()
}

fn appointment(before: Option<&Json>, after: Option<&Json>) -> Option<Event> {
    let siu = |trigger| Some(Event::new("SIU", trigger));
    // Others have been told of it.
    let is_told = |status: &str| {
        matches!(
            status,
            "booked" | "arrived" | "checked-in" | "fulfilled" | "noshow"
        )
    };
    let (was, is) = (text(before, "status"), text(after, "status"));
    match (is_told(was), is) {
        // Deleted.
        (true, "") => siu("S17"),
        (true, "entered-in-error") => siu("S17"),
        (false, "entered-in-error") if was == "cancelled" => siu("S17"),
        (true, "cancelled") => siu("S15"),
        (_, "noshow") if was != "noshow" => siu("S26"),
        (false, _) if is_told(is) => siu("S12"),
        (true, _) => {
            let time = |version| (text(version, "start"), text(version, "end"));
            match time(before) == time(after) {
                true => siu("S14"),
                false => siu("S13"),
            }
        }
        (false, _) => None,
    }
}

fn slot(before: Option<&Json>, after: Option<&Json>) -> Option<Event> {
    let is_blocked = |version| text(version, "status") == "busy-unavailable";
    match (is_blocked(before), is_blocked(after)) {
        (false, true) => Some(Event::new("SIU", "S23")),
        (true, false) => Some(Event::new("SIU", "S24")),
        _ => None,
    }
}

/// The reference of the Patient who takes the place of this one.
pub fn survivor(version: Option<&Json>) -> Option<&str> {
    let links = version?["link"].as_array()?;
    let link = links.iter().find(|link| link["type"] == "replaced-by")?;
    link.pointer("/other/reference")?.as_str()
}

fn patient(before: Option<&Json>, after: Option<&Json>) -> Option<Event> {
    let (was, is) = (survivor(before), survivor(after));
    let trigger = match (before, after) {
        (_, Some(_)) if is.is_some() && was != is => "A40",
        // Who was merged away is told of no more.
        (Some(_), _) if was.is_some() && is.is_some() => return None,
        (None, Some(_)) => "A28",
        (Some(_), Some(_)) => "A31",
        (Some(_), None) => "A29",
        (None, None) => return None,
    };
    Some(Event::new("ADT", trigger))
}

/// ORC-1.
fn order(before: Option<&Json>, after: Option<&Json>) -> Option<&'static str> {
    let is_told = |status: &str| matches!(status, "active" | "on-hold" | "completed");
    let (was, is) = (text(before, "status"), text(after, "status"));
    // What is no order by somebody who may order is not sent to who fulfils orders.
    let intent = text(after.or(before), "intent");
    if matches!(intent, "proposal" | "plan" | "option") {
        return None;
    }
    match (is_told(was), is) {
        (false, "active") if was == "revoked" || was == "entered-in-error" => Some("NW"),
        (false, "active") => Some("NW"),
        (true, "" | "revoked" | "cancelled" | "entered-in-error") => Some("CA"),
        (true, "stopped") => Some("DC"),
        (true, "on-hold") if was == "active" => Some("HD"),
        (true, "active") if was == "on-hold" => Some("RL"),
        // It was fulfilled: who did it knows.
        (true, "completed") => None,
        (true, "active" | "on-hold") => Some("XO"),
        _ => None,
    }
}

fn report(before: Option<&Json>, after: Option<&Json>) -> Option<Event> {
    let is_told = |status: &str| {
        matches!(
            status,
            "partial" | "preliminary" | "final" | "amended" | "corrected" | "appended"
        )
    };
    let (was, is) = (text(before, "status"), text(after, "status"));
    let is_withdrawn = is_told(was) && matches!(is, "cancelled" | "entered-in-error");
    (is_told(is) || is_withdrawn).then(|| Event::new("ORU", "R01"))
}

/// What the message must keep its order with: a patient if there is one, else the resource.
pub fn line(kind: ResourceType, id: &str, version: &Json) -> String {
    let reference = |value: &Json| value["reference"].as_str().map(relative);
    let patient = match kind {
        ResourceType::PATIENT => survivor(Some(version)).map(relative),
        ResourceType::APPOINTMENT => {
            let parties = version["participant"].as_array().into_iter().flatten();
            parties
                .filter_map(|party| reference(&party["actor"]))
                .find(|actor| actor.starts_with("Patient/"))
        }
        ResourceType::SLOT => reference(&version["schedule"]),
        _ => reference(&version["subject"]),
    };
    patient.unwrap_or_else(|| format!("{kind}/{id}"))
}

/// `Type/id` of a reference to a resource of this server.
pub fn relative(reference: &str) -> String {
    let reference = reference
        .split_once("/_history/")
        .map_or(reference, |(before, _)| before);
    let mut parts = reference.rsplitn(3, '/');
    match (parts.next(), parts.next()) {
        (Some(id), Some(kind)) => format!("{kind}/{id}"),
        _ => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decided(kind: ResourceType, before: Json, after: Json) -> String {
        let destination = Destination::default();
        let there = |version: &Json| !version.is_null();
        let found = decide(
            kind,
            (
                Some(&before).filter(|one| there(one)),
                Some(&after).filter(|one| there(one)),
            ),
            &destination,
        );
        found.map_or(String::new(), |event| match event.control {
            None => event.trigger.to_owned(),
            Some(control) => format!("{} {control}", event.kind()),
        })
    }

    #[test]
    fn appointments_become_events_by_what_they_were() {
        let at = |status: &str, start: &str| json!({"status": status, "start": start});
        for (before, after, expected) in [
            (Json::Null, at("booked", "1"), "S12"),
            (Json::Null, at("proposed", "1"), ""),
            (Json::Null, at("pending", "1"), ""),
            (at("pending", "1"), at("booked", "1"), "S12"),
            (at("pending", "1"), at("cancelled", "1"), ""),
            (at("waitlist", ""), at("booked", "1"), "S12"),
            (at("booked", "1"), at("booked", "2"), "S13"),
            (at("booked", "1"), at("arrived", "1"), "S14"),
            (at("booked", "1"), at("booked", "1"), ""),
            (at("arrived", "1"), at("fulfilled", "1"), "S14"),
            (at("booked", "1"), at("noshow", "1"), "S26"),
            (at("noshow", "1"), at("arrived", "1"), "S14"),
            (at("booked", "1"), at("cancelled", "1"), "S15"),
            (at("cancelled", "1"), at("booked", "1"), "S12"),
            (at("booked", "1"), at("entered-in-error", "1"), "S17"),
            (at("cancelled", "1"), at("entered-in-error", "1"), "S17"),
            (at("pending", "1"), at("entered-in-error", "1"), ""),
            (at("booked", "1"), Json::Null, "S17"),
            (at("pending", "1"), Json::Null, ""),
        ] {
            let found = decided(ResourceType::APPOINTMENT, before.clone(), after.clone());
            assert_eq!(found, expected, "{before} -> {after}");
        }
    }

    #[test]
    fn slots_patients_orders_and_reports_too() {
        let with = |status: &str| json!({"status": status, "intent": "order"});
        let person = |name: &str, into: Option<&str>| match into {
            None => json!({"name": name}),
            Some(other) => json!({"name": name, "link": [
                {"type": "replaced-by", "other": {"reference": other}}
            ]}),
        };
        for (kind, before, after, expected) in [
            (ResourceType::SLOT, with("free"), with("busy-unavailable"), "S23"),
            (ResourceType::SLOT, with("busy-unavailable"), with("free"), "S24"),
            (ResourceType::SLOT, with("busy-unavailable"), Json::Null, "S24"),
            (ResourceType::SLOT, with("free"), with("busy"), ""),
            (ResourceType::PATIENT, Json::Null, person("a", None), "A28"),
            (ResourceType::PATIENT, person("a", None), person("b", None), "A31"),
            (ResourceType::PATIENT, person("a", None), person("a", Some("Patient/2")), "A40"),
            (
                ResourceType::PATIENT,
                person("a", Some("Patient/2")),
                person("b", Some("Patient/2")),
                "",
            ),
            (ResourceType::PATIENT, person("a", None), Json::Null, "A29"),
            (ResourceType::SERVICE_REQUEST, with("draft"), with("active"), "ORM^O01 NW"),
            (ResourceType::SERVICE_REQUEST, Json::Null, with("draft"), ""),
            (ResourceType::SERVICE_REQUEST, with("active"), with("revoked"), "ORM^O01 CA"),
            (ResourceType::SERVICE_REQUEST, with("active"), with("on-hold"), "ORM^O01 HD"),
            (ResourceType::SERVICE_REQUEST, with("on-hold"), with("active"), "ORM^O01 RL"),
            (ResourceType::SERVICE_REQUEST, with("active"), with("completed"), ""),
            (
                ResourceType::SERVICE_REQUEST,
                with("active"),
                json!({"status": "active", "intent": "order", "priority": "stat"}),
                "ORM^O01 XO",
            ),
            (ResourceType::MEDICATION_REQUEST, Json::Null, with("active"), "RDE^O11 NW"),
            (ResourceType::MEDICATION_REQUEST, with("active"), with("stopped"), "RDE^O11 DC"),
            (ResourceType::MEDICATION_REQUEST, with("active"), with("cancelled"), "RDE^O11 CA"),
            (ResourceType::DIAGNOSTIC_REPORT, Json::Null, with("registered"), ""),
            (ResourceType::DIAGNOSTIC_REPORT, with("registered"), with("final"), "R01"),
            (ResourceType::DIAGNOSTIC_REPORT, with("final"), with("amended"), "R01"),
            (ResourceType::DIAGNOSTIC_REPORT, with("final"), with("entered-in-error"), "R01"),
        ] {
            let found = decided(kind, before.clone(), after.clone());
            assert_eq!(found, expected, "{kind} {before} -> {after}");
        }
    }

    #[test]
    fn what_came_from_a_peer_is_not_sent_back_to_it() {
        let from = |source: &str| json!({"meta": {"source": source}, "status": "booked"});
        let (lab, ris) = (from("urn:rotunda:hl7:lab#1"), from("urn:rotunda:hl7:ris#2"));
        let plain = json!({"status": "booked"});
        for (before, after, channel, expected) in [
            (None, &lab, Some("lab"), true),
            (None, &lab, Some("ris"), false),
            (None, &lab, None, false),
            (None, &plain, Some("lab"), false),
            // Changed by somebody else, who left the source as it was.
            (Some(&lab), &lab, Some("lab"), false),
            (Some(&ris), &lab, Some("lab"), true),
            (Some(&lab), &ris, Some("lab"), false),
            (Some(&lab), &plain, Some("lab"), false),
        ] {
            assert_eq!(is_echo(before, Some(after), channel), expected);
        }
    }
}
