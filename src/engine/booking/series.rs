//! Series: an Appointment for each occurrence, told apart by their number and held together by
//! the first ([R5's elements as extensions](http://hl7.org/fhir/uv/xver-r5.r4)).

use resources::{
    Doc,
    model::ResourceType,
    outcome::{Issue, Severity},
};

use super::{
    BookingReply, Engine, Error, ErrorKind,
    asked::Asked,
    members::Members,
    once::Once,
    rule::instant,
    series_edit::{Scope, of_occurrence},
    timing::{LONGEST_SERIES, recurrence},
};
use crate::{
    access::Access,
    engine::{
        draft::{Body, Draft, Verb, parse},
        operation::Done,
    },
    scheduling::{appointment::Appointment, recurrence::Occurrence, status::Status},
};

/// R5's elements on an R4 Appointment.
pub(super) const RECURRENCE_ID: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.recurrenceId";
pub(super) const ORIGINATING: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.originatingAppointment";
pub(super) const CHANGED: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.occurrenceChanged";
/// The rule of a series, as RRULE has it, on its first Appointment.
pub(super) const RULE: &str = "urn:rotunda:StructureDefinition:recurrence-rule";

impl Engine {
    /// Books all occurrences, each at the same wall-clock time: all or none, or, with
    /// `all-or-nothing=false`, those that can be.
    pub(super) async fn book_series(
        &self,
        asked: &Asked,
        text: &str,
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let Some(recurrence) = recurrence(asked)? else {
            return Err(Error::invalid("recurrence is missing"));
        };
        let first = parse(text)?;
        let appointment = Appointment::read(&first, &self.settings.base_url);
        let span = appointment
            .as_ref()
            .and_then(|one| one.span)
            .ok_or_else(|| {
                Error::invalid("a series needs the start and the end of its first Appointment")
            })?;
        let most = asked
            .number("occurrence-count")?
            .map_or(LONGEST_SERIES, |most| most as usize);
        let most = most.clamp(1, LONGEST_SERIES);
        let zone = self.zone_of(&first).await?;
        let occurrences = recurrence.expand(span.start, &zone, most + 1);
        if occurrences.len() > most
            && recurrence.is_endless()
            && asked.text("occurrence-count").is_none()
        {
            return Err(Error::invalid(format!(
                "the series has no end; give COUNT, UNTIL or occurrence-count, {LONGEST_SERIES} at most"
            )));
        }
        let rule = asked.text("recurrence").unwrap_or("template");
        let mut docs = Vec::new();
        let head = self.new_id();
        for (at, occurrence) in occurrences.iter().take(most).enumerate() {
            let length = span.seconds();
            docs.push(of_series(
                &first,
                &zone,
                occurrence,
                length,
                (at, &head),
                rule,
            )?);
        }
        if asked.text("all-or-nothing") != Some("false") {
            let drafts: Vec<Draft<'_>> = docs
                .iter()
                .enumerate()
                .map(|(at, doc)| draft(doc, at, &head))
                .collect();
            let done = self
                .submit_drafts_once(&drafts, once.as_ref(), access)
                .await;
            return Ok(self.replied(done.map_err(|error| which(error, &occurrences, &zone))?));
        }
        let starts: Vec<i64> = occurrences.iter().map(|one| one.start).collect();
        let docs: Vec<(Doc, i64)> = docs.into_iter().zip(starts).collect();
        self.book_what_can_be(&docs, (&head, &zone), once, access)
            .await
    }

    /// One commit for each that can be booked; what is refused is told.
    async fn book_what_can_be(
        &self,
        docs: &[(Doc, i64)],
        (head, zone): (&str, &jiff::tz::TimeZone),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let mut done: Vec<Done> = Vec::new();
        let mut refused = Vec::new();
        let mut last: Option<Error> = None;
        for (at, (doc, start)) in docs.iter().enumerate() {
            let drafts = [draft(doc, at, head)];
            let once = once.as_ref().filter(|_| done.is_empty());
            match self.submit_drafts_once(&drafts, once, access).await {
                Ok(one) => done.extend(one),
                Err(error)
                    if matches!(error.kind, ErrorKind::Conflict | ErrorKind::Unprocessable) =>
                {
                    refused.push(of_occurrence(&error, *start, zone));
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match (done.is_empty(), last) {
            (true, Some(error)) => Err(error),
            _ => Ok(BookingReply {
                refused,
                ..self.replied(done)
            }),
        }
    }

    /// The zone of the first Schedule that an Appointment takes time of.
    pub(super) async fn zone_of(&self, doc: &Doc) -> Result<jiff::tz::TimeZone, Error> {
        let default = self.settings.time_zone.clone();
        let Some(appointment) = Appointment::read(doc, &self.settings.base_url) else {
            return Ok(default);
        };
        let Some(span) = appointment.span else {
            return Ok(default);
        };
        self.update_board().await?;
        let found = self.named_by(&appointment, &[]).await?;
        let state = self.board.read();
        let slots = self.named_slots(&appointment, &found, &state);
        let parties = self.parties(&appointment, span, &slots, &found, &state);
        let mut bookables = parties.iter().flat_map(|party| &party.bookables);
        Ok(bookables
            .next()
            .map_or(default, |bookable| bookable.zone.clone()))
    }

    /// The Appointments that a scope means: `this`, `following`, `all`; those that can still be
    /// cancelled.
    pub(super) async fn in_scope(
        &self,
        id: &str,
        scope: Scope,
        access: &Access,
    ) -> Result<Vec<String>, Error> {
        let is_following = match scope {
            Scope::This => return Ok(vec![id.to_owned()]),
            Scope::Following => true,
            Scope::All => false,
        };
        let (_, doc) = self.changeable(id, access).await?;
        let start = Appointment::read(&doc, &self.settings.base_url).and_then(|one| one.span);
        let start = start.map_or(i64::MIN, |span| span.start);
        let head = originating(&doc).unwrap_or_else(|| id.to_owned());
        let query = format!("identifier={SERIES}|{head}");
        // Anybody may write the identifier of a series: what the caller cannot see is not touched.
        let shown = access.to_any(crate::engine::permission::shown());
        let found = self
            .find(
                ResourceType::APPOINTMENT,
                &query,
                LONGEST_SERIES + 1,
                &shown,
            )
            .await?;
        let mut ids = Vec::new();
        for stored in found.hits {
            let doc = crate::engine::submit::parse_stored(&stored)?;
            let Some(one) = Appointment::read(&doc, &self.settings.base_url) else {
                continue;
            };
            let is_open = matches!(
                one.status,
                Status::Pending | Status::Booked | Status::Proposed
            );
            let is_meant = !is_following || one.span.is_some_and(|span| span.start >= start);
            if is_open && is_meant {
                ids.push(stored.head.id);
            }
        }
        if ids.is_empty() {
            ids.push(id.to_owned());
        }
        Ok(ids)
    }
}

/// The system of the identifier that all Appointments of a series have: the id of the first.
pub(super) const SERIES: &str = "urn:rotunda:series";

fn draft<'d>(doc: &'d Doc, at: usize, head: &str) -> Draft<'d> {
    Draft {
        kind: ResourceType::APPOINTMENT,
        verb: Verb::Create,
        target: None,
        body: Body::Own(doc),
        if_match: None,
        if_none_match_any: false,
        wants_text: true,
        given_id: (at == 0).then(|| head.to_owned()),
        is_silent: false,
    }
}

/// One Appointment of a series.
fn of_series(
    first: &Doc,
    zone: &jiff::tz::TimeZone,
    occurrence: &Occurrence,
    length: i64,
    (at, head): (usize, &str),
    rule: &str,
) -> Result<Doc, Error> {
    let mut members = Members::of(first);
    members.set_text("start", &instant(occurrence.start, zone));
    members.set_text("end", &instant(occurrence.start + length, zone));
    members.remove("slot").remove("requestedPeriod");
    let number = occurrence.number;
    members.push(
        "extension",
        &format!(r#"{{"url":"{RECURRENCE_ID}","valuePositiveInt":{number}}}"#),
    );
    if at == 0 {
        let rule = super::members::quoted(rule);
        members.push(
            "extension",
            &format!(r#"{{"url":"{RULE}","valueString":{rule}}}"#),
        );
    } else {
        members.push(
            "extension",
            &format!(
                r#"{{"url":"{ORIGINATING}","valueReference":{{"reference":"Appointment/{head}"}}}}"#
            ),
        );
    }
    members.push(
        "identifier",
        &format!(r#"{{"system":"{SERIES}","value":"{head}"}}"#),
    );
    parse(members.text())
}

/// The first Appointment of a series.
pub(super) fn originating(doc: &Doc) -> Option<String> {
    let identifiers = doc.root().get("identifier")?;
    let own = identifiers.items().find(|one| {
        one.get("system")
            .and_then(|system| system.as_str())
            .as_deref()
            == Some(SERIES)
    })?;
    Some(own.get("value")?.as_str()?.into_owned())
}

/// A refusal of a series says how many occurrences it was to have.
fn which(mut error: Error, occurrences: &[Occurrence], zone: &jiff::tz::TimeZone) -> Error {
    let last = occurrences.last().map(|one| instant(one.start, zone));
    let text = format!(
        "none of the {} appointments of the series{} was booked; all-or-nothing=false books those that are free",
        occurrences.len(),
        last.map_or_else(String::new, |last| format!(" up to {last}"))
    );
    let mut issue = Issue::warning("informational", text);
    issue.severity = Severity::Information;
    error.issues.push(issue);
    error
}
