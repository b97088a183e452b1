//! An offer is a Task for the patient; a round of offers is an Appointment that holds the time
//! while it is offered, and names no patient.

use resources::{Doc, Value, model::ResourceType};

use super::super::{
    Engine, Error, ErrorKind,
    edits::{set_extension, set_participants},
    members::{Members, quoted},
    number,
    proposed::{Proposed, Stage},
    rule::instant,
    written::Written,
};
use crate::{
    access::Access,
    engine::{draft::parse, submit::parse_stored},
    scheduling::{
        appointment::{Appointment, HOLD_EXPIRES},
        claim::Number,
        status::Status,
        waitlist::{CODES, ROUND},
    },
    store::Stored,
};

pub(super) const TASK: ResourceType = ResourceType::TASK;
/// Offers of the same time that are looked at.
const OFFERS: usize = 5_000;

pub(super) static ALL: Access =
    Access::system("offers follow from who waits; a patient sees only the own ones");

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The id of the Appointment that waits.
    pub entry: String,
    /// The id of the Appointment that holds the time.
    pub round: String,
    /// `Task.status`
    pub status: String,
}

impl Offer {
    /// Reads a Task; `None` if it is no offer.
    pub fn read(doc: &Doc) -> Option<Self> {
        let root = doc.root();
        let codings = root.get("code")?.get("coding")?;
        let is = |coding: Value<'_>, name: &str, text: &str| {
            coding
                .get(name)
                .and_then(|it| it.as_str())
                .is_some_and(|it| it == text)
        };
        let is_ours =
            |coding: &Value<'_>| is(*coding, "system", CODES) && is(*coding, "code", "offer");
        codings.items().find(is_ours)?;
        let id = |value: Value<'_>| {
            let reference = value.get("reference")?.as_str()?;
            Some(reference.rsplit_once("Appointment/")?.1.to_owned())
        };
        Some(Self {
            entry: id(root.get("focus")?)?,
            round: id(root.get("basedOn")?.items().next()?)?,
            status: root.get("status")?.as_str()?.into_owned(),
        })
    }

    /// It waits for an answer.
    pub fn is_open(&self) -> bool {
        self.status == "requested"
    }
}

/// Why a round ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nobody accepted in time, or all declined.
    Unanswered,
    /// Somebody accepted.
    Accepted,
}

impl End {
    fn code(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Accepted => "accepted",
        }
    }
}

/// The name of a time: the same for all who are offered it.
pub(super) fn name_of(proposed: &Proposed) -> String {
    let actors = proposed.parts.iter().flat_map(|part| {
        let actors = part.bookable.actors.iter();
        actors.map(|actor| actor.number)
    });
    let mut actors: Vec<Number> = actors.collect();
    actors.sort_unstable();
    actors.dedup();
    let span = proposed.span;
    let hash = number(&format!("{actors:?} {} {}", span.start, span.end)).0;
    format!("{}-{}-{hash:016x}", span.start, span.end)
}

/// The Appointment that holds a time until `until`.
pub(super) fn round_text(proposed: &Proposed, name: &str, until: i64) -> Result<String, Error> {
    let mut members = Members::of(&parse(proposed.text(None, Stage::Held(until), None))?);
    let identifier = format!(r#"[{{"system":"{ROUND}","value":"{name}"}}]"#);
    members.set("identifier", identifier);
    members.set_text("description", "Held for those who wait");
    Ok(members.text())
}

/// The Task of a patient.
pub(super) fn offer_text(
    proposed: &Proposed,
    (name, round): (&str, &str),
    (entry, patient): (&str, &str),
    (now, until): (i64, i64),
) -> String {
    let zone = &proposed.parts[0].bookable.zone;
    let at = |second: i64| instant(second, zone);
    let code = |code: &str| format!(r#"{{"coding":[{{"system":"{CODES}","code":"{code}"}}]}}"#);
    let patient = format!(r#"{{"reference":{}}}"#, quoted(patient));
    let mut inputs = vec![
        format!(
            r#"{{"type":{},"valueInstant":"{}"}}"#,
            code("start"),
            at(proposed.span.start)
        ),
        format!(
            r#"{{"type":{},"valueInstant":"{}"}}"#,
            code("end"),
            at(proposed.span.end)
        ),
    ];
    let mut written: Vec<Number> = Vec::new();
    for actor in proposed.parts.iter().flat_map(|part| &part.bookable.actors) {
        if written.contains(&actor.number) {
            continue;
        }
        written.push(actor.number);
        let display = actor
            .display
            .as_deref()
            .map_or_else(String::new, |display| {
                format!(",\"display\":{}", quoted(display))
            });
        inputs.push(format!(
            r#"{{"type":{},"valueReference":{{"reference":{}{display}}}}}"#,
            code("with"),
            quoted(&actor.reference)
        ));
    }
    format!(
        r#"{{"resourceType":"Task","basedOn":[{{"reference":"Appointment/{round}"}}],"groupIdentifier":{{"system":"{ROUND}","value":"{name}"}},"status":"requested","intent":"proposal","code":{{"coding":[{{"system":"{CODES}","code":"offer","display":"A time has become free"}}]}},"focus":{{"reference":"Appointment/{entry}"}},"for":{patient},"authoredOn":"{now}","lastModified":"{now}","owner":{patient},"restriction":{{"repetitions":1,"period":{{"start":"{now}","end":"{until}"}},"recipient":[{patient}]}},"input":[{inputs}]}}"#,
        now = at(now),
        until = at(until),
        inputs = inputs.join(","),
    )
}

impl Engine {
    /// Ends an offer.
    pub(super) fn ended(
        &self,
        stored: &Stored,
        status: &str,
        why: Option<&str>,
    ) -> Result<Written, Error> {
        let mut members = Members::of(&parse_stored(stored)?);
        members.set_text("status", status);
        if let Some(why) = why {
            members.set("statusReason", why.to_owned());
        }
        let now = instant(self.clock.now() / 1_000, &self.settings.time_zone);
        members.set_text("lastModified", &now);
        Written::of(stored, &members)
    }

    /// Frees the time of a round.
    pub(super) fn freed(stored: &Stored, doc: &Doc, why: End) -> Result<Written, Error> {
        let mut members = Members::of(doc);
        members.set_text("status", "cancelled");
        set_participants(doc, &mut members, "declined");
        set_extension(&mut members, HOLD_EXPIRES, None)?;
        let code = why.code();
        let reason = format!(r#"{{"coding":[{{"system":"{CODES}","code":"{code}"}}]}}"#);
        members.set("cancelationReason", reason);
        Written::of(stored, &members)
    }

    /// The open offers that a search finds.
    pub(super) async fn open_offers(&self, query: &str) -> Result<Vec<(Stored, Offer)>, Error> {
        self.offers(&format!("{query}&status=requested")).await
    }

    /// The offers that a search finds.
    pub(super) async fn offers(&self, query: &str) -> Result<Vec<(Stored, Offer)>, Error> {
        let query = format!("{query}&code={CODES}|offer");
        let found = self.find(TASK, &query, OFFERS, &ALL).await?;
        let read = |stored: Stored| {
            let offer = Offer::read(&parse_stored(&stored).ok()?)?;
            Some((stored, offer))
        };
        Ok(found.hits.into_iter().filter_map(read).collect())
    }

    /// Who has been offered a time, and did not lose it to somebody who was faster.
    pub(super) async fn already_asked(&self, name: &str) -> Result<Vec<String>, Error> {
        let query = format!("group-identifier={ROUND}|{name}");
        let offers = self
            .offers(&query)
            .await?
            .into_iter()
            .map(|(_, offer)| offer);
        let lost = |offer: &Offer| offer.status == "cancelled";
        Ok(offers.filter(|it| !lost(it)).map(|it| it.entry).collect())
    }

    /// An Appointment that is there, whoever may see it.
    pub(super) async fn any_appointment(
        &self,
        id: &str,
    ) -> Result<Option<(Stored, Doc, Appointment)>, Error> {
        let keys = [(super::super::APPOINTMENT, id)];
        let found = self.store.current(&keys, &ALL).await?;
        let stored = found.into_iter().flatten().next();
        let Some(stored) = stored.filter(|stored| !stored.head.deleted) else {
            return Ok(None);
        };
        let doc = parse_stored(&stored)?;
        let read = Appointment::read(&doc, &self.settings.base_url);
        Ok(read.map(|one| (stored, doc, one)))
    }

    /// Ends a round that nobody has accepted, and its offers; false if somebody else was faster.
    pub(super) async fn end_round(&self, id: &str) -> Result<bool, Error> {
        let mut writes = Vec::new();
        if let Some((stored, doc, round)) = self.any_appointment(id).await?
            && round.status == Status::Pending
            && round.offered.is_some()
        {
            writes.push(Self::freed(&stored, &doc, End::Unanswered)?);
        }
        let why = r#"{"text":"Nobody accepted in time."}"#;
        for (stored, _) in self
            .open_offers(&format!("based-on=Appointment/{id}"))
            .await?
        {
            writes.push(self.ended(&stored, "failed", Some(why))?);
        }
        self.written_unless_lost(writes).await
    }

    /// Writes all; false if others have changed some of it.
    pub(super) async fn written_unless_lost(&self, writes: Vec<Written>) -> Result<bool, Error> {
        if writes.is_empty() {
            return Ok(false);
        }
        match self.write_all(writes, None, &ALL).await {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(
                    error.kind,
                    ErrorKind::PreconditionFailed
                        | ErrorKind::Conflict
                        | ErrorKind::Unprocessable
                        | ErrorKind::Forbidden
                ) =>
            {
                tracing::debug!(%error, "somebody else was faster");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
