//! One attempt to apply one message: what it makes, what of that is there already, and the
//! transaction that comes of it.

use std::collections::HashMap;

use mllp::{
    map::{Made, Mapped},
    message::{Message, Note},
};
use resources::{model::ResourceType, primitive::format_instant};
use serde_json::{Value as Json, json};

use super::super::{ack::Problem, header::Header};
use super::{
    Applied, Applier, Context, Failure, Lost, Record,
    content::{Content, referred},
    identity::{Identifier, is_registry},
    snapshot::{Mode, lay},
};
use crate::{
    access::{Access, Booking},
    engine::{Done, DoneStatus, Engine, Error, ErrorKind, Resource, VersionRef},
};

/// What messages may see and change.
pub static ALL: Access = Access::system("a message of a configured channel speaks for its sender");

/// The system of the identifier of a message.
pub const MESSAGE: &str = "urn:rotunda:message";

/// A resource that a message makes or changes.
#[derive(Debug, Clone)]
pub struct Item {
    pub kind: ResourceType,
    /// Its segment, from 0.
    pub segment: Option<usize>,
    /// What the message says of it.
    pub made: Json,
    pub nulls: Vec<String>,
    /// Its id, once that is known.
    pub id: String,
    /// The version that is there; 0 for a new one.
    pub version: i64,
    /// As it is, and then as it is to be.
    pub content: Content,
    /// What nothing may match at the moment of the commit.
    pub guard: Option<Vec<(String, String)>>,
    /// It is known which resource it is.
    pub is_settled: bool,
    /// Another item is the same resource.
    pub same_as: Option<usize>,
    /// What it is known by, if it is only named.
    pub token: String,
    pub value: String,
    /// What it is known by otherwise.
    pub tokens: Vec<String>,
    /// Laid over what is there, or only what is missing added.
    pub mode: Mode,
    /// It is not written.
    pub is_left_out: bool,
    /// It is deleted.
    pub is_deleted: bool,
    place: String,
}

impl Item {
    /// For a resource that is no part of the mapping.
    pub fn own(kind: ResourceType) -> Self {
        Self {
            kind,
            segment: None,
            made: Json::Null,
            nulls: Vec::new(),
            id: String::new(),
            version: 0,
            content: Content::of(json!({"resourceType": kind.name()})),
            guard: None,
            is_settled: false,
            same_as: None,
            token: String::new(),
            value: String::new(),
            tokens: Vec::new(),
            mode: Mode::Update,
            is_left_out: false,
            is_deleted: false,
            place: String::new(),
        }
    }

    /// For what the mapping makes.
    pub fn of(made: &Made, message: &Message) -> Self {
        let name = made.json.get("resourceType").and_then(Json::as_str);
        let name = name.unwrap_or_default();
        let kind = kind_of(name);
        let segment = message.segment(made.segment);
        let place = match made.role.contains('-') {
            true => made.role.clone(),
            false => segment.map_or("", |segment| segment.name()).to_owned(),
        };
        Self {
            segment: Some(made.segment),
            made: made.json.clone(),
            nulls: made.nulls.clone(),
            is_left_out: !is_kept(name) || name != kind.name() || is_bare_account(&made.json),
            mode: match is_registry(kind) {
                true => Mode::Fill,
                false => Mode::Update,
            },
            place,
            ..Self::own(kind)
        }
    }

    /// Where in the message it is from.
    pub fn place(&self) -> String {
        self.place.clone()
    }

    /// `Type/id`.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }

    /// True if it is to be written.
    pub fn is_written(&self) -> bool {
        let is_new = self.version == 0;
        self.same_as.is_none()
            && !self.is_left_out
            && self.is_settled
            && (is_new || self.is_deleted || self.content.is_changed())
    }
}

/// The attempt.
pub struct Work<'a> {
    pub applier: &'a Applier,
    pub engine: &'a Engine,
    pub message: &'a Message,
    pub header: &'a Header,
    pub context: &'a Context<'a>,
    pub items: Vec<Item>,
    pub notes: Vec<Note>,
    /// Who sends it, as a part of a URI.
    pub sender: String,
    /// What the patients have, by type and patient.
    pub children: HashMap<(ResourceType, String), Vec<Resource>>,
    /// How far the rules of booking bind.
    pub booking: Booking,
    /// Why the time of a booking is somebody else's: it is written over that.
    pub over: Option<String>,
    /// What answers in place of a plain acknowledgement.
    pub answer: Option<bytes::Bytes>,
}

/// Types that the tables make and that are not stored: Provenance is written once for each message.
fn is_kept(kind: &str) -> bool {
    !matches!(
        kind,
        "MessageHeader" | "Bundle" | "Provenance" | "Parameters" | "OperationOutcome"
    )
}

/// An account that has nothing but whose it is: PID without PID-18.
fn is_bare_account(json: &Json) -> bool {
    json.get("resourceType") == Some(&json!("Account"))
        && json.get("identifier").is_none()
        && json.get("name").is_none()
}

impl<'a> Work<'a> {
    /// What a mapping yields, to be looked up.
    pub fn new(
        applier: &'a Applier,
        message: &'a Message,
        context: &'a Context<'a>,
        mapped: &Mapped,
    ) -> Self {
        let header = context.header;
        let items = mapped.resources.iter().map(|made| Item::of(made, message));
        let party = &header.sending;
        let sender = format!("{}.{}", party.application, party.facility);
        let sender = sender.chars();
        let sender = sender.map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => letter,
            _ => '-',
        });
        Self {
            applier,
            engine: &applier.engine,
            message,
            header,
            context,
            items: items.collect(),
            notes: mapped.notes.clone(),
            sender: sender.collect(),
            children: HashMap::new(),
            booking: Booking::Ruled,
            over: None,
            answer: None,
        }
    }

    /// Says something about the message that does not stop it.
    pub fn note(&mut self, place: &str, text: impl Into<String>) {
        self.notes.push(Note {
            place: place.to_owned(),
            text: text.into(),
        });
    }

    /// The resources that a search matches.
    pub async fn matching(
        &self,
        kind: ResourceType,
        params: &[(&str, &str)],
        most: usize,
    ) -> Result<Vec<Resource>, Lost> {
        let params = params.iter();
        let params: Vec<(String, String)> = params
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Ok(self.engine.matching(kind, &params, most, &ALL).await?)
    }

    /// A resource, if it is there.
    pub async fn read(&self, kind: ResourceType, id: &str) -> Result<Option<Resource>, Lost> {
        let mut found = self.newest_of(&[(kind, id)]).await?;
        Ok(found.pop().flatten())
    }

    /// Resources, those that are there.
    pub async fn newest_of(
        &self,
        keys: &[(ResourceType, &str)],
    ) -> Result<Vec<Option<Resource>>, Lost> {
        Ok(self.engine.newest_of(keys, &ALL).await?)
    }

    /// An earlier version.
    pub async fn version(
        &self,
        kind: ResourceType,
        id: &str,
        version: i64,
    ) -> Result<Option<Resource>, Lost> {
        match self.engine.vread(kind, id, version, &ALL).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Gone) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All that refers to a resource; a problem if it is more than one transaction takes.
    pub async fn referring(&self, kind: ResourceType, id: &str) -> Result<Vec<Resource>, Lost> {
        let most = self
            .engine
            .settings()
            .limits
            .bundle_entries
            .saturating_sub(100);
        let found = self.engine.referring((kind, id), most, &ALL).await?;
        if found.len() > most {
            let text = format!(
                "more than {most} resources refer to {kind}/{id}, more than one transaction takes"
            );
            return Err(Lost::Failed(Failure::Content(vec![problem(
                "MRG", "207", text,
            )])));
        }
        Ok(found)
    }

    /// The item that an item is.
    pub fn root(&self, at: usize) -> usize {
        self.items[at].same_as.unwrap_or(at)
    }

    /// What a reference within the message (`#3`) is outside of it, once that is known.
    pub fn referred(&self, reference: &str) -> Option<String> {
        let at: usize = reference.strip_prefix('#')?.parse().ok()?;
        self.items.get(at)?;
        let item = &self.items[self.root(at)];
        (item.is_settled && !item.is_left_out).then(|| item.reference())
    }

    /// The place of the item that a reference within the message names.
    pub fn named(&self, json: &Json) -> Option<usize> {
        let reference = json.get("reference")?.as_str()?;
        let at: usize = reference.strip_prefix('#')?.parse().ok()?;
        (at < self.items.len()).then_some(at)
    }

    /// The items of a type, in their order.
    pub fn of(&self, kind: ResourceType) -> Vec<usize> {
        let all = 0..self.items.len();
        all.filter(|at| self.items[*at].kind == kind && !self.items[*at].is_left_out)
            .collect()
    }

    /// The first item of a type.
    pub fn first(&self, kind: ResourceType) -> Option<usize> {
        self.of(kind).into_iter().next()
    }

    /// Says that the item at `at` is a stored resource; the message may have come to it before.
    pub fn settle(&mut self, at: usize, found: &Resource) {
        let known = (0..self.items.len()).find(|other| {
            let item = &self.items[*other];
            *other != at
                && item.is_settled
                && item.same_as.is_none()
                && item.kind == found.kind
                && item.id == found.id
        });
        match known {
            Some(known) => {
                self.items[at].same_as = Some(known);
                self.items[at].is_settled = true;
            }
            None => self.items[at].settle(found),
        }
    }

    /// Takes up what a part of the message is mapped to; the place of the first.
    pub fn adopt(&mut self, items: Vec<Item>) -> usize {
        let from = self.items.len();
        for mut item in items {
            referred(&mut item.made, &|reference| {
                let at: usize = reference.strip_prefix('#')?.parse().ok()?;
                Some(format!("#{}", at + from))
            });
            self.items.push(item);
        }
        from
    }

    /// An item for a stored resource: the one that there is, or a new one.
    pub fn item_of(&mut self, found: &Resource) -> usize {
        let known = (0..self.items.len()).find(|at| {
            let item = &self.items[*at];
            item.is_settled
                && item.same_as.is_none()
                && item.kind == found.kind
                && item.id == found.id
        });
        known.unwrap_or_else(|| {
            let mut item = Item::own(found.kind);
            item.settle(found);
            self.items.push(item);
            self.items.len() - 1
        })
    }

    /// Lays what the message says over what is there.
    pub fn lay_all(&mut self) {
        for at in 0..self.items.len() {
            let mut made = std::mem::take(&mut self.items[at].made);
            let known = |reference: &str| self.referred(reference);
            referred(&mut made, &known);
            drop_unknown(&mut made);
            self.items[at].made = made;
        }
        for at in 0..self.items.len() {
            let root = self.root(at);
            let item = self.items[at].clone();
            if !item.is_settled || item.is_left_out || item.made.is_null() {
                continue;
            }
            let target = &mut self.items[root];
            if root != at && is_registry(item.kind) {
                continue;
            }
            if target.version > 0 && is_registry(item.kind) && item.mode == Mode::Fill {
                continue;
            }
            lay(&mut target.content, &item.made, &item.nulls, item.mode);
        }
    }

    /// Writes all, with the record of the message, in one transaction.
    pub async fn commit(&mut self, record: Record<'_>) -> Result<Applied, Lost> {
        let source = format!(
            "urn:rotunda:hl7:{}#{}",
            self.context.channel.name, self.context.id
        );
        let written: Vec<&Item> = self.items.iter().filter(|item| item.is_written()).collect();
        let mut entries: Vec<String> = written.iter().map(|item| entry(item, &source)).collect();
        if !written.is_empty() {
            let id = self.engine.fresh_id();
            let provenance = self.provenance(&written, &id, &source);
            entries.push(format!(
                r#"{{"resource":{provenance},"request":{{"method":"PUT","url":"Provenance/{id}","ifNoneMatch":"*"}}}}"#
            ));
        }
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
            entries.join(",")
        );
        let mut applied = Applied {
            made: Vec::new(),
            patients: self.patients(),
            notes: self.notes.clone(),
            answer: self.answer.clone(),
        };
        let recorded = |done: &[Done]| {
            let mut applied = applied.clone();
            applied.made = made(done);
            record(&applied)
        };
        let access = ALL.clone().of_facts(self.booking);
        let done = self
            .engine
            .transact_for(bundle.as_bytes(), &recorded, &access)
            .await;
        let done = done.map_err(|error| self.lost(error, &written))?;
        applied.made = made(&done);
        for item in &written {
            if is_registry(item.kind) && !item.token.is_empty() {
                self.applier.learn(item.kind, &item.token, &item.id);
            }
        }
        Ok(applied)
    }

    fn patients(&self) -> Vec<String> {
        let items = self.items.iter().filter(|item| {
            item.kind == ResourceType::PATIENT && item.is_settled && item.same_as.is_none()
        });
        items.map(|item| item.id.clone()).collect()
    }

    fn provenance(&self, written: &[&Item], id: &str, source: &str) -> String {
        let targets = written.iter().map(|item| {
            let version = item.version + 1;
            json!({"reference": format!("{}/_history/{version}", item.reference())})
        });
        let targets: Vec<Json> = targets.collect();
        let party = &self.header.sending;
        let mut name = party.application.to_string();
        if !party.facility.is_empty() {
            name = format!("{name} ({})", party.facility);
        }
        let provenance = json!({
            "resourceType": "Provenance",
            "id": id,
            "meta": {"source": source},
            "target": targets,
            "recorded": format_instant(self.context.received),
            "activity": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v2-0003",
                "code": self.event(),
            }]},
            "agent": [{
                "type": {"coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                    "code": "assembler",
                }]},
                "who": {"display": if name.is_empty() { "unknown sender".to_owned() } else { name }},
            }],
            "entity": [{
                "role": "source",
                "what": {"identifier": {"system": MESSAGE, "value": self.context.id.to_string()}},
            }],
        });
        provenance.to_string()
    }

    /// The trigger event; the code, if there is none.
    pub fn event(&self) -> String {
        match self.header.event.is_empty() {
            true => self.header.code.to_string(),
            false => self.header.event.to_string(),
        }
    }

    /// What a failure of the commit means, its issues placed at the segments.
    fn lost(&self, error: Error, written: &[&Item]) -> Lost {
        let place = |expression: &str| {
            let at = expression.strip_prefix("Bundle.entry[")?;
            let (at, path) = at.split_once(']')?;
            let item = written.get(at.parse::<usize>().ok()?)?;
            let path = path.strip_prefix(".resource").unwrap_or(path);
            Some((item.place.clone(), format!("{}{path}", item.kind)))
        };
        let mut lost = Lost::from(error);
        if let Lost::Failed(Failure::Content(problems)) = &mut lost {
            for problem in problems {
                if let Some((place, path)) = place(&problem.place) {
                    problem.text = format!("{path}: {}", problem.text);
                    problem.place = place;
                }
            }
        }
        lost
    }
}

fn made(done: &[Done]) -> Vec<VersionRef> {
    let changed = done.iter().filter(|done| {
        !matches!(
            done.status,
            DoneStatus::Unchanged | DoneStatus::NothingToDelete
        )
    });
    let resources = changed.filter_map(|done| done.resource.as_ref());
    resources
        .map(|one| VersionRef {
            kind: one.kind,
            id: one.id.clone(),
            version: one.version,
        })
        .collect()
}

fn entry(item: &Item, source: &str) -> String {
    let (kind, id) = (item.kind, &item.id);
    if item.is_deleted {
        return format!(
            r#"{{"request":{{"method":"DELETE","url":"{kind}/{id}","ifMatch":"W/\"{}\""}}}}"#,
            item.version
        );
    }
    let url = match &item.guard {
        Some(params) => {
            let pairs = params
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            format!("{kind}?{}", crate::engine::query(pairs))
        }
        None => format!("{kind}/{id}"),
    };
    let condition = match item.version {
        0 => r#""ifNoneMatch":"*""#.to_owned(),
        version => format!(r#""ifMatch":"W/\"{version}\"""#),
    };
    let text = item.content.write(id, source);
    let url = Json::from(url);
    format!(r#"{{"resource":{text},"request":{{"method":"PUT","url":{url},{condition}}}}}"#)
}

/// References within the message to what is not stored.
fn drop_unknown(json: &mut Json) {
    match json {
        Json::Array(items) => {
            items.iter_mut().for_each(drop_unknown);
            items.retain(|item| !matches!(item, Json::Object(members) if members.is_empty()));
        }
        Json::Object(members) => {
            let is_open = |value: &Json| {
                let text = value.as_str();
                text.is_some_and(|text| {
                    text.strip_prefix('#')
                        .is_some_and(|rest| rest.parse::<usize>().is_ok())
                })
            };
            if members.get("reference").is_some_and(is_open) {
                members.remove("reference");
            }
            members.values_mut().for_each(drop_unknown);
            members.retain(|_, value| match value {
                Json::Object(members) => !members.is_empty(),
                Json::Array(items) => !items.is_empty(),
                _ => true,
            });
        }
        _ => {}
    }
}

/// The type of a name; Bundle, which no message stores, for what is none.
pub fn kind_of(name: &str) -> ResourceType {
    ResourceType::from_name(name).unwrap_or(ResourceType::BUNDLE)
}

/// A problem that stops a message.
pub fn problem(place: &str, code: &'static str, text: impl Into<String>) -> Problem {
    Problem {
        place: place.to_owned(),
        code,
        text: text.into(),
        is_error: true,
    }
}

/// A problem that stops a message, as a failure.
pub fn content(place: &str, code: &'static str, text: impl Into<String>) -> Lost {
    Lost::Failed(Failure::Content(vec![problem(place, code, text)]))
}

/// The guard of a number of a patient.
pub fn guard(identifiers: &[Identifier]) -> Vec<(String, String)> {
    let tokens: Vec<String> = identifiers.iter().map(Identifier::token).collect();
    vec![("identifier".to_owned(), tokens.join(","))]
}
