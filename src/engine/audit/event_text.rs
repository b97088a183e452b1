//! An event of the audit as an AuditEvent, by the profiles of IHE BALP.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use resources::{doc::write_json_string, model::ResourceType, primitive::format_instant};

use crate::{
    audit::{Code, DICOM, Flow, Found, Item, Place, shape},
    engine::operation::Resource,
};

const PROFILES: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const BALP_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const ENTITY: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const SOURCE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
/// Roles are this server's own.
const ROLES: &str = "urn:rotunda:role";

/// The logical id of the AuditEvent at a place.
pub fn id_of(place: Place) -> String {
    format!("{}-{}", place.seq, place.number)
}

/// The row, and the number in it, of a logical id.
pub fn place_of(id: &str) -> Option<(i64, u32)> {
    let (seq, number) = id.split_once('-')?;
    let place = (seq.parse().ok()?, number.parse().ok()?);
    // One spelling only.
    (format!("{}-{}", place.0, place.1) == id).then_some(place)
}

/// The AuditEvent.
pub fn resource(found: &Found, base_url: &str) -> Resource {
    Resource {
        kind: ResourceType::AUDIT_EVENT,
        id: id_of(found.place),
        version: 1,
        updated: found.place.at,
        body: Bytes::from(text(found, base_url)),
    }
}

fn text(found: &Found, base_url: &str) -> String {
    let event = &found.event;
    let plain = Item::plain(Code::Denied);
    let item = event.items.first().unwrap_or(&plain);
    let shape = shape(item.code);
    let at = format_instant(event.at);
    let mut out = Text(String::with_capacity(2_000));
    out.raw(r#"{"resourceType":"AuditEvent","id":"#);
    out.string(&id_of(found.place));
    out.raw(r#","meta":{"versionId":"1","lastUpdated":""#);
    out.raw(&at);
    out.raw("\"");
    let failed = event.outcome != crate::audit::Outcome::Success;
    if !shape.profile.is_empty() && !failed {
        let patient = if item.patients.is_empty() {
            ""
        } else {
            "Patient"
        };
        out.raw(r#","profile":[""#);
        out.raw(PROFILES);
        out.raw(patient);
        out.raw(shape.profile);
        out.raw("\"]");
    }
    out.raw(r#"},"type":"#);
    out.coding(shape.class.0, shape.class.1, shape.class.2);
    out.raw(r#","subtype":["#);
    out.coding(shape.subtype.0, shape.subtype.1, shape.subtype.2);
    out.raw(r#"],"action":""#);
    out.raw(shape.action);
    out.raw(r#"","recorded":""#);
    out.raw(&at);
    out.raw(r#"","outcome":""#);
    out.raw(event.outcome.code());
    out.raw("\"");
    if let Some(detail) = &event.detail {
        out.raw(r#","outcomeDesc":"#);
        out.string(detail);
    }
    if let Some(purpose) = &event.identity.purpose {
        out.raw(r#","purposeOfEvent":["#);
        out.purpose(purpose, event.identity.reason.as_deref());
        out.raw("]");
    }
    out.agents(found, item, base_url);
    out.raw(r#","source":{"site":"#);
    out.string(base_url);
    out.raw(r#","observer":{"display":"Rotunda"},"type":["#);
    out.coding(SOURCE, "4", "Application Server");
    out.raw(r#"]},"entity":["#);
    out.entities(found, item);
    out.raw("]}");
    out.0
}

/// JSON in the making.
struct Text(String);

impl Text {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn string(&mut self, text: &str) {
        write_json_string(&mut self.0, text);
    }

    fn coding(&mut self, system: &str, code: &str, display: &str) {
        self.raw(r#"{"system":"#);
        self.string(system);
        self.raw(r#","code":"#);
        self.string(code);
        if !display.is_empty() {
            self.raw(r#","display":"#);
            self.string(display);
        }
        self.raw("}");
    }

    fn concept(&mut self, system: &str, code: &str, display: &str) {
        self.raw(r#"{"coding":["#);
        self.coding(system, code, display);
        self.raw("]}");
    }

    fn purpose(&mut self, code: &str, reason: Option<&str>) {
        self.raw(r#"{"coding":["#);
        self.coding(REASON, code, "");
        self.raw("]");
        if let Some(reason) = reason {
            self.raw(r#","text":"#);
            self.string(reason);
        }
        self.raw("}");
    }

    /// The client, the server, and the user, if there is one.
    fn agents(&mut self, found: &Found, item: &Item<'_>, base_url: &str) {
        const SENDER: (&str, &str, &str) = (DICOM, "110153", "Source Role ID");
        const RECEIVER: (&str, &str, &str) = (DICOM, "110152", "Destination Role ID");
        const APPLICATION: (&str, &str, &str) = (DICOM, "110150", "Application");
        const CUSTODIAN: (&str, &str, &str) = (
            "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
            "custodian",
            "Custodian",
        );
        let (client, server) = match shape(item.code).flow {
            Flow::ToClient => (RECEIVER, SENDER),
            Flow::ToServer => (SENDER, RECEIVER),
            Flow::None => (APPLICATION, CUSTODIAN),
        };
        let identity = &found.event.identity;
        let by_user = identity.user.is_some() || identity.fhir_user.is_some();
        self.raw(r#","agent":[{"type":"#);
        self.concept(client.0, client.1, client.2);
        self.raw(r#","who":"#);
        match &identity.client {
            Some(client) => {
                self.raw(r#"{"identifier":{"value":"#);
                self.string(client);
                self.raw("}}");
            }
            None => self.raw(r#"{"display":"unknown"}"#),
        }
        self.raw(r#","requestor":"#);
        self.raw(if by_user { "false" } else { "true" });
        if let Some(address) = found.event.address {
            self.raw(r#","network":{"address":"#);
            self.string(&address.to_string());
            self.raw(r#","type":"2"}"#);
        }
        if !by_user {
            self.roles(found);
        }
        self.raw(r#"},{"type":"#);
        self.concept(server.0, server.1, server.2);
        self.raw(r#","who":{"display":"#);
        self.string(base_url);
        self.raw(r#"},"requestor":false,"network":{"address":"#);
        self.string(base_url);
        self.raw(r#","type":"5"}}"#);
        if by_user {
            self.user(found, item);
        }
        self.raw("]");
    }

    fn user(&mut self, found: &Found, item: &Item<'_>) {
        let identity = &found.event.identity;
        let (code, display) = match item.code {
            Code::Create | Code::Update | Code::Patch | Code::Delete => {
                ("AUT", "author (originator)")
            }
            _ => ("IRCP", "information recipient"),
        };
        self.raw(r#",{"type":"#);
        self.concept(PARTICIPATION, code, display);
        self.roles(found);
        self.raw(r#","who":{"#);
        if let Some(reference) = &identity.fhir_user {
            self.raw(r#""reference":"#);
            self.string(reference);
        }
        if let Some(user) = &identity.user {
            if identity.fhir_user.is_some() {
                self.raw(",");
            }
            self.raw(r#""identifier":{"value":"#);
            self.string(user);
            self.raw("}");
        }
        self.raw("}");
        if let Some(user) = &identity.user {
            self.raw(r#","name":"#);
            self.string(user);
        }
        self.raw(r#","requestor":true"#);
        if let Some(purpose) = &identity.purpose {
            self.raw(r#","purposeOfUse":["#);
            self.purpose(purpose, identity.reason.as_deref());
            self.raw("]");
        }
        self.raw("}");
    }

    fn roles(&mut self, found: &Found) {
        for (at, role) in found.event.identity.roles.iter().enumerate() {
            self.raw(if at == 0 { r#","role":["# } else { "," });
            self.concept(ROLES, role, "");
        }
        if !found.event.identity.roles.is_empty() {
            self.raw("]");
        }
    }

    /// What it was about, the patient, and the request.
    fn entities(&mut self, found: &Found, item: &Item<'_>) {
        if let (Some(kind), false) = (item.kind, item.id.is_empty()) {
            self.raw(r#"{"what":{"reference":"#);
            let version = match item.version {
                0 => String::new(),
                version => format!("/_history/{version}"),
            };
            self.string(&format!("{kind}/{}{version}", item.id));
            self.raw(r#"},"type":"#);
            self.coding(ENTITY, "2", "System Object");
            self.raw(r#","role":"#);
            self.coding(ROLE, "4", "Domain Resource");
            self.raw("},");
        } else if let (Some(kind), None) = (item.kind, &found.event.query) {
            // Something was to be made, and has no address yet.
            self.raw(r#"{"what":{"type":"#);
            self.string(kind.name());
            self.raw(r#"},"type":"#);
            self.coding(ENTITY, "2", "System Object");
            self.raw(r#","role":"#);
            self.coding(ROLE, "4", "Domain Resource");
            self.raw("},");
        }
        if let Some(query) = &found.event.query {
            self.raw(r#"{"type":"#);
            self.coding(ENTITY, "2", "System Object");
            self.raw(r#","role":"#);
            self.coding(ROLE, "24", "Query");
            self.raw(r#","query":""#);
            self.raw(&STANDARD.encode(query.as_bytes()));
            self.raw("\"},");
        }
        for patient in &item.patients {
            self.raw(r#"{"what":{"reference":"#);
            self.string(&format!("Patient/{patient}"));
            self.raw(r#"},"type":"#);
            self.coding(ENTITY, "1", "Person");
            self.raw(r#","role":"#);
            self.coding(ROLE, "1", "Patient");
            self.raw("},");
        }
        self.raw(r#"{"what":{"identifier":{"value":"#);
        self.string(&found.event.request);
        self.raw(r#"}},"type":"#);
        self.coding(BALP_ENTITY, "XrequestId", "");
        self.raw("}");
    }
}
