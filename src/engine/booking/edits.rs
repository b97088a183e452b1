//! What booking operations do to the document of an Appointment, and what they read of a call.

use resources::{Doc, outcome::Issue};

use super::{
    BookingCall, Error, ErrorKind,
    asked::{Asked, Named},
    members::{Members, quoted},
};
use crate::{
    engine::draft::parse,
    scheduling::{
        appointment::{HOLD_EXPIRES, OVERBOOKED},
        status::Status,
    },
};

/// The Appointment of the URL, or of a parameter.
pub(super) fn instance(asked: &Asked, call: &BookingCall) -> Result<String, Error> {
    if let Some(id) = &call.id {
        return Ok(id.clone());
    }
    let named = asked.named("appointment-reference", "Appointment")?;
    let named = named.into_iter().next().ok_or_else(|| {
        Error::invalid("this is called on one Appointment, or needs appointment-reference")
    })?;
    local_id(named)
}

pub(super) fn local_id(named: Named) -> Result<String, Error> {
    match named {
        Named::Local(reference) => match reference.strip_prefix("Appointment/") {
            Some(id) => Ok(id.to_owned()),
            None => Err(Error::invalid(format!("{reference} is no Appointment"))),
        },
        Named::Identifier(..) => Err(Error::invalid(
            "appointment-reference must name an Appointment of this server, as in Appointment/1",
        )),
    }
}

pub(super) fn no_proposal(id: &str) -> Error {
    let text = format!("Appointment/{id} is no proposal of $find");
    Error::new(ErrorKind::NotFound, "not-found", text)
}

/// Adds the patients of a call.
pub(super) fn add_patients(asked: &Asked, patients: &mut Vec<String>) -> Result<(), Error> {
    for named in asked.named("patient-reference", "Patient")? {
        let Named::Local(reference) = named else {
            return Err(Error::invalid(
                "patient-reference must name a Patient of this server",
            ));
        };
        if !patients.contains(&reference) {
            patients.push(reference);
        }
    }
    for doc in asked.complex("patient-resource")? {
        let id = doc.root().get("id").and_then(|id| id.as_str());
        let Some(id) = id else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "required",
                "the patient-resource needs the id of a Patient of this server: create the Patient first",
            ));
        };
        let reference = format!("Patient/{id}");
        if !patients.contains(&reference) {
            patients.push(reference);
        }
    }
    Ok(())
}

/// The reason of a call, as a CodeableConcept: `system|code`, or a text.
pub(super) fn reason(asked: &Asked) -> Option<String> {
    let reason = asked.all_texts("reason").next()?;
    Some(match reason.split_once('|') {
        Some((system, code)) => format!(
            r#"{{"coding":[{{"system":{},"code":{}}}]}}"#,
            quoted(system),
            quoted(code)
        ),
        None => format!(r#"{{"text":{}}}"#, quoted(&reason)),
    })
}

pub(super) fn expect_status(doc: &Doc, wanted: &[Status], done: &str) -> Result<(), Error> {
    let status = doc.root().get("status").and_then(|status| status.as_str());
    let status = status.as_deref().and_then(Status::parse);
    if status.is_some_and(|status| wanted.contains(&status)) {
        return Ok(());
    }
    let names: Vec<&str> = wanted.iter().map(|status| status.code()).collect();
    let text = format!(
        "only an Appointment that is {} can be {done}; this is {}",
        names.join(" or "),
        status.map_or("something else", Status::code)
    );
    let issue = Issue::error("business-rule", text).because("illegal-transition");
    Err(Error::with(
        ErrorKind::Unprocessable,
        vec![issue.at("Appointment.status")],
    ))
}

/// Makes it booked: the hold goes, whoever was only tentative has accepted.
pub(super) fn book(doc: &Doc, members: &mut Members) {
    members.set_text("status", "booked");
    // What is no list of extensions was refused when it was written.
    let _ = set_extension(members, HOLD_EXPIRES, None);
    set_participants(doc, members, "accepted");
}

/// Makes it wait for approval: the hold goes, the time stays taken.
pub(super) fn request(doc: &Doc, members: &mut Members) {
    members.set_text("status", "pending");
    let _ = set_extension(members, HOLD_EXPIRES, None);
    set_participants(doc, members, "needs-action");
}

/// Marks an Appointment as one that somebody decided to book over others.
pub(super) fn overbook(members: &mut Members) -> Result<(), Error> {
    let mark = format!(r#"{{"url":"{OVERBOOKED}","valueBoolean":true}}"#);
    set_extension(members, OVERBOOKED, Some(&mark))
}

/// Sets the status of all participants who have not declined.
pub(super) fn set_participants(doc: &Doc, members: &mut Members, status: &str) {
    let participants = doc.root().get("participant");
    let participants = participants
        .iter()
        .flat_map(resources::Value::items)
        .map(|one| {
            let mut own = Members::of_value(one);
            if own.get("status") != Some("\"declined\"") {
                own.set_text("status", status);
            }
            own.text()
        });
    let participants: Vec<String> = participants.collect();
    if !participants.is_empty() {
        members.set("participant", format!("[{}]", participants.join(",")));
    }
}

/// Replaces the extension with this URL, or takes it away.
pub(super) fn set_extension(
    members: &mut Members,
    url: &str,
    new: Option<&str>,
) -> Result<(), Error> {
    let mut kept = Vec::new();
    if let Some(list) = members.get("extension") {
        let doc = parse(format!(r#"{{"extension":{list}}}"#))?;
        let extensions = doc.root().get("extension");
        let others = extensions
            .iter()
            .flat_map(resources::Value::items)
            .filter(|one| one.get("url").and_then(|own| own.as_str()).as_deref() != Some(url));
        kept.extend(others.map(|one| one.raw().to_owned()));
    }
    kept.extend(new.map(str::to_owned));
    if kept.is_empty() {
        members.remove("extension");
    } else {
        members.set("extension", format!("[{}]", kept.join(",")));
    }
    Ok(())
}
