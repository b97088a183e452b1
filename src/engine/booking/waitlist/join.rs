//! `Appointment/$waitlist`: a need that cannot be met now becomes an Appointment that waits.

use resources::model::ResourceType;

use super::{
    super::{
        APPOINTMENT, BookingCall, BookingReply, Engine, Error, ErrorKind,
        asked::{Asked, Given},
        book::Work,
        edits::{add_patients, local_id},
        members::{Members, quoted},
        need::{Wanted, instant},
        once::Once,
        rule::instant as instant_text,
        written::Written,
    },
    entry::{CODED, WITH, concept, duration, reference},
};
use crate::{
    access::{Access, Right},
    engine::draft::parse,
    scheduling::waitlist::WAITLIST,
};

/// Parameters that `$find` does not have.
const OWN: &[&str] = &["flexibility", "notice", "deadline", "priority"];
/// Parameters that no element says: those of our extension.
const EXTENDED: &[(&str, &str)] = &[
    ("organization", "Organization"),
    ("insurance-reference", "InsurancePlan"),
    ("schedule", "Schedule"),
];
const TEXTS: &[&str] = &["location-string", "near", "role"];

impl Engine {
    /// `Appointment/$waitlist`: waits for a time that fits.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for parameters that make no sense; [`ErrorKind::Forbidden`] without
    /// the right to write the Appointment.
    pub async fn join_waitlist(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        self.carried_out(call, Work::Join, access).await
    }

    pub(in crate::engine::booking) async fn join(
        &self,
        (asked, call): (&Asked, &BookingCall),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let zone = &self.settings.time_zone;
        let now = self.clock.now() / 1_000;
        let find = asked.without(OWN);
        let mut wanted = Wanted::read(&find, now, zone, call.strict)?;
        if wanted.need.series.is_some() {
            return Err(Error::invalid(
                "nobody waits for a series: leave recurrence out",
            ));
        }
        let mut patients = wanted.patients.clone();
        add_patients(asked, &mut patients)?;
        if patients.is_empty() {
            let text = "say who waits: patient-reference";
            return Err(Error::new(ErrorKind::Invalid, "required", text));
        }
        self.permit(APPOINTMENT, &access.to(Right::Create))?;
        wanted.patients.clone_from(&patients);
        self.within_sight(&mut wanted, access).await?;
        let replaces = self.replaced_by(asked, access).await?;
        let text = self.waiting_text(asked, &patients, replaces.as_deref(), now)?;
        let written = Written::new(parse(text)?);
        let done = self.write_all(vec![written], once, access).await?;
        Ok(self.replied(done))
    }

    /// The Appointment that would be given up, which the caller may see.
    async fn replaced_by(&self, asked: &Asked, access: &Access) -> Result<Option<String>, Error> {
        let named = asked.named("cancelled-appt-id", "Appointment")?;
        let Some(named) = named.into_iter().next() else {
            return Ok(None);
        };
        let id = local_id(named)?;
        self.changeable(&id, access).await?;
        Ok(Some(id))
    }

    fn waiting_text(
        &self,
        asked: &Asked,
        patients: &[String],
        replaces: Option<&str>,
        now: i64,
    ) -> Result<String, Error> {
        let zone = &self.settings.time_zone;
        let mut members = Members::default();
        members.set_text("resourceType", APPOINTMENT.name());
        let mut parts = extended(asked)?;
        for name in ["flexibility", "notice"] {
            if let Some(json) = duration(asked, name)? {
                parts.push(part(name, "valueDuration", &json));
            }
        }
        if let Some(deadline) = instant(asked, "deadline", zone, true)? {
            if deadline <= now {
                return Err(Error::invalid("deadline has passed"));
            }
            let at = quoted(&instant_text(deadline, zone));
            parts.push(part("deadline", "valueDateTime", &at));
        }
        if let Some(id) = replaces {
            let json = format!(r#"{{"reference":"Appointment/{id}"}}"#);
            parts.push(part("replaces", "valueReference", &json));
        }
        // Behind the extension that they may fall back to.
        let mut coded: Vec<(&str, Vec<String>)> = Vec::new();
        for (element, name) in CODED {
            let mut concepts = Vec::new();
            for token in asked.texts(name) {
                let is_one = element == "appointmentType" && !concepts.is_empty();
                match concept(&token).filter(|_| !is_one) {
                    Some(concept) => concepts.push(concept),
                    None => parts.push(part(name, "valueString", &quoted(&token))),
                }
            }
            coded.push((element, concepts));
        }
        if !parts.is_empty() {
            let url = quoted(WAITLIST);
            let json = format!(r#"[{{"url":{url},"extension":[{}]}}]"#, parts.join(","));
            members.set("extension", json);
        }
        members.set_text("status", "waitlist");
        for (element, concepts) in coded {
            match (element, concepts.first()) {
                (_, None) => {}
                ("appointmentType", Some(first)) => {
                    members.set(element, first.clone());
                }
                _ => {
                    members.set(element, format!("[{}]", concepts.join(",")));
                }
            }
        }
        if let Some(priority) = asked.number("priority")? {
            members.set("priority", priority.to_string());
        }
        if let Some(minutes) = asked.number("duration")? {
            members.set("minutesDuration", minutes.to_string());
        }
        members.set_text("created", &instant_text(now, zone));
        if let Some(comment) = asked.text("comment") {
            members.set_text("comment", comment);
        }
        for patient in patients {
            let actor = quoted(patient);
            members.push("participant", &format!(r#"{{"actor":{{"reference":{actor}}},"required":"required","status":"accepted"}}"#));
        }
        for (kind, name) in [
            ("Practitioner", "practitioner"),
            ("Location", "location-reference"),
            ("HealthcareService", "service-type-reference"),
        ] {
            debug_assert!(WITH.contains(&(kind, name)));
            for named in asked.named(name, kind)? {
                let actor = reference(&named, kind);
                members.push(
                    "participant",
                    &format!(
                        r#"{{"actor":{actor},"required":"required","status":"needs-action"}}"#
                    ),
                );
            }
        }
        let start = instant(asked, "start", zone, false)?
            .unwrap_or(now)
            .max(now);
        let start = instant_text(start, zone);
        let period = match instant(asked, "end", zone, true)? {
            Some(end) => {
                let end = instant_text(end, zone);
                format!(r#"{{"start":"{start}","end":"{end}"}}"#)
            }
            None => format!(r#"{{"start":"{start}"}}"#),
        };
        members.set("requestedPeriod", format!("[{period}]"));
        Ok(members.text())
    }
}

fn part(url: &str, value: &str, json: &str) -> String {
    format!(r#"{{"url":"{url}","{value}":{json}}}"#)
}

/// What no element says, as parts of our extension.
fn extended(asked: &Asked) -> Result<Vec<String>, Error> {
    let mut parts = Vec::new();
    for (name, kind) in EXTENDED {
        debug_assert!(ResourceType::from_name(kind).is_some());
        for named in asked.named(name, kind)? {
            parts.push(part(name, "valueReference", &reference(&named, kind)));
        }
    }
    for name in TEXTS {
        for text in asked.all_texts(name) {
            parts.push(part(name, "valueString", &quoted(&text)));
        }
    }
    for given in asked.all("timing") {
        if let Given::Complex(json) = given {
            parts.push(part("timing", "valueTiming", json));
        }
    }
    if asked.is_set("timing-required") {
        parts.push(part("timing-required", "valueBoolean", "true"));
    }
    Ok(parts)
}
