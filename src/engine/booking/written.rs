//! The writes of booking operations, which go the way of all writes.

use resources::{Doc, model::ResourceType};

use super::{APPOINTMENT, BookingReply, Engine, Error, members::Members, once::Once};
use crate::{
    access::Access,
    engine::{
        draft::{Body, Draft, Verb, parse},
        operation::{Done, DoneStatus, IfMatch, Resource, Target},
    },
    scheduling::{appointment::Appointment, status::Status},
    store::Stored,
};

/// One write of an operation.
pub(super) struct Written {
    kind: ResourceType,
    /// The id of the resource that is there; none is a new one.
    id: Option<String>,
    /// The id that a new one gets.
    new_id: Option<String>,
    version: Option<i64>,
    doc: Doc,
    /// It is no doing of the caller's.
    is_silent: bool,
}

impl Engine {
    /// Writes all, or nothing.
    pub(super) async fn write_all(
        &self,
        writes: Vec<Written>,
        once: Option<Once>,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let drafts: Vec<Draft<'_>> = writes
            .iter()
            .map(|written| Draft {
                kind: written.kind,
                verb: match written.id {
                    Some(_) => Verb::Update,
                    None => Verb::Create,
                },
                target: written.id.clone().map(Target::Id),
                body: Body::Own(&written.doc),
                if_match: written.version.map(IfMatch::Version),
                if_none_match_any: false,
                wants_text: true,
                given_id: written.new_id.clone(),
                is_silent: written.is_silent,
            })
            .collect();
        self.submit_drafts_once(&drafts, once.as_ref(), access)
            .await
    }

    pub(super) fn replied(&self, done: Vec<Done>) -> BookingReply {
        let is_created = done
            .first()
            .is_some_and(|one| one.status == DoneStatus::Created);
        let appointments: Vec<Resource> = done.into_iter().filter_map(|one| one.resource).collect();
        let first = appointments.first();
        let first = first.and_then(|one| Doc::parse_bytes(&one.body, &Default::default()).ok());
        let held = first.and_then(|doc| Appointment::read(&doc, &self.settings.base_url));
        let held = held.filter(|one| one.status == Status::Pending);
        BookingReply {
            is_created,
            refused: Vec::new(),
            expires: held.and_then(|one| one.hold_expires),
            appointments,
        }
    }
}

impl Written {
    pub(super) fn new(doc: Doc) -> Self {
        Self {
            kind: APPOINTMENT,
            id: None,
            new_id: None,
            version: None,
            doc,
            is_silent: false,
        }
    }

    /// A new resource of another type.
    pub(super) fn made(kind: ResourceType, id: &str, doc: Doc) -> Self {
        Self {
            kind,
            ..Self::named(id, doc)
        }
    }

    /// The same, as what follows from what the caller does.
    pub(super) fn silent(self) -> Self {
        Self {
            is_silent: true,
            ..self
        }
    }

    /// The document.
    pub(super) fn doc(&self) -> &Doc {
        &self.doc
    }

    /// A new one, with this id.
    pub(super) fn named(id: &str, doc: Doc) -> Self {
        Self {
            new_id: Some(id.to_owned()),
            ..Self::new(doc)
        }
    }

    pub(super) fn of(stored: &Stored, members: &Members) -> Result<Self, Error> {
        Ok(Self {
            kind: stored.head.kind,
            is_silent: false,
            id: Some(stored.head.id.clone()),
            new_id: None,
            version: Some(stored.head.version),
            doc: parse(members.text())?,
        })
    }
}
