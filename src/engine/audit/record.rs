//! What the engine tells the audit of a request. Internal work has no caller, and leaves no trace.

use std::borrow::Cow;

use resources::model::ResourceType;

use super::patients::Patients;
use crate::{
    access::Access,
    audit::{Code, Event, Item, Outcome, Recorder},
    engine::{
        Engine,
        draft::{Draft, Verb},
        error::{Error, ErrorKind},
        operation::{HistoryRequest, HistoryScope, Resource, Target},
        submit::Planned,
    },
    search::{Scope, encode},
    store::{Change, LogEntry, NewAuditRow, Stored, Write},
};

/// What a request was about.
pub struct Asked<'a> {
    /// What it did.
    pub code: Code,
    /// The type.
    pub kind: Option<ResourceType>,
    /// The logical id; empty if it was not about one resource.
    pub id: &'a str,
    /// Path and parameters, of those that are more than an address. Nobody pays for it who has no
    /// caller.
    pub query: Option<&'a (dyn Fn() -> String + Sync)>,
}

impl Engine {
    /// Records a request that gives resources, or failed. Its answer must not leave the engine if
    /// this fails.
    pub(in crate::engine) async fn record<'r>(
        &self,
        access: &Access,
        asked: Asked<'_>,
        seen: Result<impl Iterator<Item = &'r Resource>, &Error>,
    ) -> Result<(), Error> {
        let Some(caller) = access.caller() else {
            return Ok(());
        };
        let mut event = Event::of(caller, self.clock.now());
        let mut item = Item {
            kind: asked.kind,
            id: Cow::Borrowed(asked.id),
            ..Item::plain(asked.code)
        };
        match seen {
            Ok(seen) => {
                let base_url = &self.settings.base_url;
                let mut patients = Patients::default();
                for resource in seen {
                    let of = (resource.kind, resource.id.as_str());
                    patients.add(of, &resource.body, base_url);
                    if !asked.id.is_empty() && asked.query.is_none() {
                        item.version = resource.version;
                    }
                }
                item.patients = patients.ids();
            }
            Err(error) => fail(&mut event, error),
        }
        event.query = asked.query.map(|query| query().into());
        event.items.push(item);
        Ok(self.recorder.record(&event).await?)
    }

    /// As [`Engine::record`], for one resource.
    pub(in crate::engine) async fn record_read(
        &self,
        access: &Access,
        code: Code,
        (kind, id): (ResourceType, &str),
        found: &Result<Resource, Error>,
    ) -> Result<(), Error> {
        if access.caller().is_none() {
            return Ok(());
        }
        let asked = Asked {
            code,
            kind: Some(kind),
            id,
            query: None,
        };
        self.record(access, asked, found.as_ref().map(std::iter::once))
            .await
    }

    /// Records writes that were refused.
    pub(in crate::engine) async fn record_refused(
        &self,
        access: &Access,
        drafts: &[Draft<'_>],
        error: &Error,
    ) -> Result<(), Error> {
        let Some(caller) = access.caller() else {
            return Ok(());
        };
        let mut event = Event::of(caller, self.clock.now());
        fail(&mut event, error);
        event.items = drafts.iter().map(tried).collect();
        Ok(self.recorder.record(&event).await?)
    }

    /// The audit's row of a commit, to be written with it.
    pub(in crate::engine) fn audit_row(
        &self,
        access: &Access,
        items: Vec<Item<'_>>,
    ) -> Option<NewAuditRow> {
        let caller = access.caller()?;
        let mut event = Event::of(caller, self.clock.now());
        event.items = items;
        (!event.items.is_empty()).then(|| Recorder::row(&event))
    }

    /// Records writes that changed nothing.
    pub(in crate::engine) async fn record_unchanged(
        &self,
        access: &Access,
        items: Vec<Item<'_>>,
    ) -> Result<(), Error> {
        let Some(caller) = access.caller().filter(|_| !items.is_empty()) else {
            return Ok(());
        };
        let mut event = Event::of(caller, self.clock.now());
        event.items = items;
        Ok(self.recorder.record(&event).await?)
    }

    /// What the audit is told of a draft's writes: whom they touch, and whom what they replace
    /// touched.
    pub(in crate::engine) fn audit_items(
        &self,
        draft: &Draft<'_>,
        planned: &Planned,
        before: &[Stored],
    ) -> Vec<Item<'static>> {
        let base_url = &self.settings.base_url;
        let item = |kind, id: &str, version, code| Item {
            kind: Some(kind),
            id: Cow::Owned(id.to_owned()),
            version,
            ..Item::plain(code)
        };
        let with = |mut item: Item<'static>, written: Option<&Write>| {
            let mut patients = Patients::default();
            let old = before.iter().find(|old| old.head.id == item.id);
            if let Some(old) = old {
                let of = (old.head.kind, old.head.id.as_str());
                patients.add(of, &old.body, base_url);
            }
            if let Some(write) = written {
                let of = (write.kind, write.id.as_str());
                patients.add(of, write.body.as_bytes(), base_url);
            }
            let patients = patients.ids().into_iter();
            item.patients = patients.map(|id| Cow::Owned(id.into_owned())).collect();
            item
        };
        if planned.writes.is_empty() {
            // No version was made: what there is was at most told.
            return vec![match (&planned.done.resource, draft.verb) {
                (Some(known), Verb::Delete) => item(known.kind, &known.id, 0, Code::Delete),
                (Some(known), _) => {
                    with(item(known.kind, &known.id, known.version, Code::Read), None)
                }
                (None, verb) => item(draft.kind, "", 0, code_of(verb)),
            }];
        }
        let one = |write: &Write| {
            let code = match (write.change, draft.verb) {
                (Change::Delete, _) => Code::Delete,
                (Change::Create, _) => Code::Create,
                (_, Verb::Patch) => Code::Patch,
                _ => Code::Update,
            };
            with(
                item(write.kind, &write.id, write.version, code),
                Some(write),
            )
        };
        planned.writes.iter().map(one).collect()
    }
}

/// What the audit says of a failure. The issue's sentence may have values of the request.
pub(in crate::engine) fn fail(event: &mut Event<'_>, error: &Error) {
    event.outcome = match error.kind {
        ErrorKind::Forbidden
        | ErrorKind::Internal
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Busy => Outcome::Serious,
        _ => Outcome::Minor,
    };
    let code = error.issues.first().map_or("exception", |issue| issue.code);
    event.detail = Some(format!("{} {code}", error.kind.status()).into());
}

fn tried<'d>(draft: &'d Draft<'_>) -> Item<'d> {
    Item {
        kind: Some(draft.kind),
        id: match &draft.target {
            Some(Target::Id(id)) => Cow::Borrowed(id),
            _ => Cow::Borrowed(""),
        },
        ..Item::plain(code_of(draft.verb))
    }
}

const fn code_of(verb: Verb) -> Code {
    match verb {
        Verb::Create => Code::Create,
        Verb::Update => Code::Update,
        Verb::Patch => Code::Patch,
        Verb::Delete => Code::Delete,
    }
}

/// What a search asked, as it came.
pub fn search_asked<'a>(scope: &'a Scope, query: &'a (dyn Fn() -> String + Sync)) -> Asked<'a> {
    let (code, kind) = match scope {
        Scope::System => (Code::SearchSystem, None),
        Scope::Type(kind) => (Code::SearchType, Some(*kind)),
        Scope::Compartment { member, .. } => (Code::SearchType, *member),
    };
    Asked {
        code,
        kind,
        id: "",
        query: Some(query),
    }
}

/// Path and parameters of a search.
pub fn search_query(scope: &Scope, params: &[(String, String)]) -> String {
    let path = match scope {
        Scope::System => String::new(),
        Scope::Type(kind) => kind.name().to_owned(),
        Scope::Compartment { kind, id, member } => match member {
            Some(member) => format!("{kind}/{id}/{member}"),
            None => format!("{kind}/{id}/*"),
        },
    };
    with_params(path, params)
}

/// What a history request asked.
pub fn history_asked<'a>(
    scope: &'a HistoryScope,
    query: &'a (dyn Fn() -> String + Sync),
) -> Asked<'a> {
    let (code, kind, id) = match scope {
        HistoryScope::System => (Code::HistorySystem, None, ""),
        HistoryScope::Type(kind) => (Code::HistoryType, Some(*kind), ""),
        HistoryScope::Instance(kind, id) => (Code::HistoryInstance, Some(*kind), id.as_str()),
    };
    Asked {
        code,
        kind,
        id,
        query: Some(query),
    }
}

/// Path and parameters of a history request.
pub fn history_query(request: &HistoryRequest) -> String {
    let path = match &request.scope {
        HistoryScope::System => "_history".to_owned(),
        HistoryScope::Type(kind) => format!("{kind}/_history"),
        HistoryScope::Instance(kind, id) => format!("{kind}/{id}/_history"),
    };
    with_params(path, &request.params)
}

/// Path and parameters of an operation.
pub fn operation_query(
    kind: ResourceType,
    id: Option<&str>,
    name: &str,
    params: &[(String, String)],
) -> String {
    let path = match id {
        Some(id) => format!("{kind}/{id}/${name}"),
        None => format!("{kind}/${name}"),
    };
    with_params(path, params)
}

fn with_params(path: String, params: &[(String, String)]) -> String {
    if params.is_empty() {
        return path;
    }
    let params = params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    format!("{path}?{}", encode(params))
}

/// The resources of log entries.
pub fn versions(entries: &[LogEntry]) -> Vec<Resource> {
    let of = |entry: &LogEntry| super::super::submit::resource(&entry.stored);
    entries.iter().map(of).collect()
}
