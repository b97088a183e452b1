//! Where a version came from, and what a message of it keeps its order with.

use resources::model::ResourceType;
use serde_json::Value as Json;

use super::destination::{Destination, Topic};

/// Types of which versions can be told.
pub fn kinds(destination: &Destination) -> Vec<ResourceType> {
    let name = |topic: &Topic| match topic {
        Topic::Appointments => "Appointment",
        Topic::Blocks => "Slot",
        Topic::Patients => "Patient",
        Topic::Orders => "ServiceRequest",
        Topic::Medications => "MedicationRequest",
        Topic::Results => "DiagnosticReport",
    };
    let names = destination.topics.iter().map(name);
    names.filter_map(ResourceType::from_name).collect()
}

/// A message that nothing overtakes, and that overtakes nothing: it is about two patients.
pub fn is_barrier(kind: &str) -> bool {
    kind == "ADT^A40"
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

/// What the message must keep its order with: a patient if there is one, else the resource. A
/// merge is a message about the patient who stays.
pub fn line(kind: ResourceType, id: &str, version: &Json) -> String {
    let reference = |value: &Json| value["reference"].as_str().map(relative);
    let patient = match kind {
        ResourceType::PATIENT => mllp::out::patient::replaced_by(version).map(relative),
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

    #[test]
    fn what_came_from_a_peer_is_not_sent_back_to_it() {
        let from = |source: &str| json!({"meta": {"source": source}, "status": "booked"});
        let lab = from("urn:rotunda:hl7:lab#1");
        let ris = from("urn:rotunda:hl7:ris#2");
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

    #[test]
    fn messages_about_a_patient_are_one_line() {
        let subject = json!({"subject": {"reference": "http://here/fhir/Patient/1/_history/3"}});
        let with = |actor: &str| {
            json!({"participant": [
                {"actor": {"reference": "Practitioner/2"}}, {"actor": {"reference": actor}}
            ]})
        };
        let merged = json!({"link": [
            {"type": "replaced-by", "other": {"reference": "Patient/1"}}
        ]});
        for (kind, version, expected) in [
            (
                ResourceType::from_name("ServiceRequest").unwrap(),
                subject,
                "Patient/1",
            ),
            (ResourceType::APPOINTMENT, with("Patient/1"), "Patient/1"),
            (
                ResourceType::APPOINTMENT,
                with("Location/1"),
                "Appointment/9",
            ),
            (ResourceType::PATIENT, json!({}), "Patient/9"),
            (ResourceType::PATIENT, merged, "Patient/1"),
        ] {
            assert_eq!(line(kind, "9", &version), expected);
        }
    }
}
