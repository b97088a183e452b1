//! Who and what a message is about: the resources that are there already.
//!
//! One Patient for each identifier and authority. Identifiers are tried one after the other, the
//! sender's own record numbers first; whoever has another value under an authority that was
//! tried before is somebody else, though both share a number that follows (two records of one
//! person have the same national number).

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::digest;
use resources::model::ResourceType;
use serde_json::{Value as Json, json};

use super::{
    Failure, Lost,
    content::Content,
    work::{Item, Work, problem},
};
use crate::engine::Resource;

/// The system of identifiers that are made of a name, where a message gives no other.
pub const NAMES: &str = "urn:rotunda:hl7:name";

/// Resources looked at to find one.
const CANDIDATES: usize = 50;
/// Replaced patients that are followed to the one that replaces them.
const LONGEST_CHAIN: usize = 8;

/// An identifier of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identifier {
    /// Its authority; empty if it has none.
    pub system: String,
    /// Its value.
    pub value: String,
    /// `MR`, `AN`; empty if not said.
    pub kind: String,
    /// It is no longer in use.
    pub is_old: bool,
}

impl Identifier {
    /// Those of a resource that have a value.
    pub fn all(resource: &Json) -> Vec<Self> {
        let mut list: Vec<&Json> = resource.get("masterIdentifier").into_iter().collect();
        match resource.get("identifier") {
            Some(Json::Array(items)) => list.extend(items),
            Some(one) => list.push(one),
            None => {}
        }
        list.into_iter().filter_map(Self::of).collect()
    }

    /// Of one Identifier.
    pub fn of(json: &Json) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default();
        let value = text("value");
        if value.is_empty() {
            return None;
        }
        let kind = json.pointer("/type/coding/0/code");
        Some(Self {
            system: text("system").to_owned(),
            value: value.to_owned(),
            kind: kind.and_then(Json::as_str).unwrap_or_default().to_owned(),
            is_old: text("use") == "old",
        })
    }

    /// As the value of a token parameter.
    pub fn token(&self) -> String {
        format!("{}|{}", escaped(&self.system), escaped(&self.value))
    }

    fn is(&self, other: &Self) -> bool {
        self.system == other.system && self.value == other.value
    }
}

/// A text within the value of a parameter.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, ',' | '|' | '$' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// Types that are found or made once, and not changed by what merely names them.
pub fn is_registry(kind: ResourceType) -> bool {
    matches!(
        kind.name(),
        "Practitioner"
            | "PractitionerRole"
            | "Organization"
            | "Location"
            | "HealthcareService"
            | "Device"
            | "Medication"
            | "Substance"
    )
}

/// Ids by identifier of what is found or made once. An entry is only a guess: before it is used
/// the resource is read, in one look-up for all of a message, and must still have the identifier.
#[derive(Debug, Default)]
pub struct Cache {
    newer: HashMap<(ResourceType, String), String>,
    older: HashMap<(ResourceType, String), String>,
}

impl Cache {
    /// Entries of one generation; there are two.
    const MOST: usize = 8_192;

    /// The id, if it is known.
    pub fn get(&mut self, kind: ResourceType, token: &str) -> Option<String> {
        let key = (kind, token.to_owned());
        if let Some(id) = self.newer.get(&key) {
            return Some(id.clone());
        }
        let id = self.older.remove(&key)?;
        self.put(kind, token, &id);
        Some(id)
    }

    /// Notes an id.
    pub fn put(&mut self, kind: ResourceType, token: &str, id: &str) {
        if self.newer.len() >= Self::MOST {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert((kind, token.to_owned()), id.to_owned());
    }
}

/// What a Patient is looked for by, in order.
pub fn ranked(made: &Json) -> Vec<Identifier> {
    let mut all = Identifier::all(made);
    all.retain(|one| !matches!(one.kind.as_str(), "AN" | "VN" | "ANON") && !one.is_old);
    // The sort is stable: within a rank the sender's order counts.
    all.sort_by_key(|one| match one.kind.as_str() {
        "MR" | "PI" | "PT" | "MRT" => 0,
        "" => 1,
        _ => 2,
    });
    all
}

impl Work<'_> {
    /// Finds the Patient that has one of these identifiers; `None` if there is none.
    pub async fn find_patient(
        &self,
        wanted: &[Identifier],
        place: &str,
    ) -> Result<Option<Resource>, Lost> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let tokens: Vec<String> = wanted.iter().map(Identifier::token).collect();
        let found = self
            .matching(
                ResourceType::PATIENT,
                &[("identifier", &tokens.join(","))],
                CANDIDATES,
            )
            .await?;
        let found: Vec<(Resource, Vec<Identifier>)> = found
            .into_iter()
            .map(|one| {
                let own = json_of(&one);
                let identifiers = Identifier::all(&own);
                (one, identifiers)
            })
            .collect();
        for (rank, wanted_one) in wanted.iter().enumerate() {
            let differs = |own: &[Identifier]| {
                wanted[..rank].iter().any(|before| {
                    let of_system = own.iter().filter(|it| it.system == before.system);
                    let mut of_system = of_system.filter(|it| !it.is_old).peekable();
                    of_system.peek().is_some() && !of_system.any(|it| it.is(before))
                })
            };
            let mut matches: BTreeMap<String, Resource> = BTreeMap::new();
            for (one, own) in &found {
                if own.iter().any(|it| it.is(wanted_one)) && !differs(own) {
                    let survivor = self.survivor(one.clone()).await?;
                    matches.insert(survivor.id.clone(), survivor);
                }
            }
            if matches.len() > 1 {
                let names: Vec<String> = matches.keys().map(|id| format!("Patient/{id}")).collect();
                return Err(Lost::Failed(Failure::Content(vec![problem(
                    place,
                    "205",
                    format!(
                        "the identifier {} is of several patients: {}; merge them, or take it \
                         away from those that it is not of",
                        wanted_one.value,
                        names.join(", ")
                    ),
                )])));
            }
            if let Some((_, one)) = matches.pop_first() {
                return Ok(Some(one));
            }
        }
        Ok(None)
    }

    /// The patient that replaces another, or that itself.
    pub async fn survivor(&self, mut one: Resource) -> Result<Resource, Lost> {
        for _ in 0..LONGEST_CHAIN {
            let Some(next) = replaced_by(&json_of(&one)) else {
                return Ok(one);
            };
            match self.read(ResourceType::PATIENT, &next).await? {
                Some(found) => one = found,
                None => return Ok(one),
            }
        }
        Ok(one)
    }

    /// Finds or makes, once, all that the message only names.
    pub async fn identify_registry(&mut self) -> Result<(), Lost> {
        let mut open: Vec<usize> = Vec::new();
        let mut guesses: Vec<(usize, String)> = Vec::new();
        for at in 0..self.items.len() {
            if !is_registry(self.items[at].kind) || self.items[at].is_settled {
                continue;
            }
            self.name_registry(at);
            let token = self.items[at].token.clone();
            let kind = self.items[at].kind;
            let twin = (0..at).find(|other| {
                let other = &self.items[*other];
                other.kind == kind && other.token == token && other.same_as.is_none()
            });
            if let Some(twin) = twin {
                self.items[at].same_as = Some(twin);
                self.items[at].is_settled = true;
                continue;
            }
            match self.applier.cached(kind, &token) {
                Some(id) => guesses.push((at, id)),
                None => open.push(at),
            }
        }
        let keys: Vec<(ResourceType, &str)> = guesses
            .iter()
            .map(|(at, id)| (self.items[*at].kind, id.as_str()))
            .collect();
        let found = self.newest_of(&keys).await?;
        for ((at, _), found) in guesses.into_iter().zip(found) {
            let value = self.items[at].value.clone();
            match found {
                // Whoever has changed it may have taken the identifier away.
                Some(found)
                    if Identifier::all(&json_of(&found))
                        .iter()
                        .any(|it| it.value == value) =>
                {
                    self.settle(at, &found);
                }
                _ => open.push(at),
            }
        }
        open.sort_unstable();
        for at in open {
            let token = self.items[at].token.clone();
            let kind = self.items[at].kind;
            let found = self.matching(kind, &[("identifier", &token)], 2).await?;
            match found.first() {
                Some(one) => {
                    self.applier.learn(kind, &token, &one.id);
                    self.settle(at, one);
                }
                None => {
                    let id = self.engine.fresh_id();
                    let item = &mut self.items[at];
                    item.make(id, Some(vec![("identifier".to_owned(), token)]));
                }
            }
        }
        Ok(())
    }

    /// Says what a resource that is only named is known by: its first identifier, or one that is
    /// made of its name.
    fn name_registry(&mut self, at: usize) {
        let sender = self.sender.clone();
        let item = &mut self.items[at];
        let own = Identifier::all(&item.made);
        let first = own.into_iter().next();
        let identifier = first.unwrap_or_else(|| {
            let name = item.made.get("name").map_or_else(
                || {
                    // References depend on the message.
                    let text = item.made.to_string();
                    let hash = digest::digest(&digest::SHA256, text.as_bytes());
                    hash.as_ref()[..12]
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect()
                },
                name_of,
            );
            let made = Identifier {
                system: format!("{NAMES}:{sender}"),
                value: name,
                kind: String::new(),
                is_old: false,
            };
            item.made["identifier"] = json!([{"system": made.system, "value": made.value}]);
            made
        });
        item.token = identifier.token();
        item.value = identifier.value;
    }

    /// Finds the resource of an item by its identifiers, of which those of `kinds` come first. A
    /// match that is of another patient is a problem.
    pub async fn identify_by_number(
        &mut self,
        at: usize,
        wanted: &[Identifier],
        patient: Option<&str>,
    ) -> Result<(), Lost> {
        let kind = self.items[at].kind;
        if self.items[at].is_settled {
            return Ok(());
        }
        let new = self.engine.fresh_id();
        if wanted.is_empty() {
            self.items[at].make(new, None);
            return Ok(());
        }
        let tokens: Vec<String> = wanted.iter().map(Identifier::token).collect();
        let twin = (0..at).find(|other| {
            let other = &self.items[*other];
            other.kind == kind
                && other.is_settled
                && other.tokens.iter().any(|it| tokens.contains(it))
        });
        if let Some(twin) = twin {
            let twin = self.items[twin].same_as.unwrap_or(twin);
            self.items[at].same_as = Some(twin);
            self.items[at].is_settled = true;
            return Ok(());
        }
        self.items[at].tokens.clone_from(&tokens);
        let found = self
            .matching(kind, &[("identifier", &tokens.join(","))], CANDIDATES)
            .await?;
        for one in wanted {
            let mut matches = found
                .iter()
                .filter(|found| Identifier::all(&json_of(found)).iter().any(|it| it.is(one)));
            let Some(first) = matches.next() else {
                continue;
            };
            let place = self.items[at].place();
            if let Some(second) = matches.next() {
                return Err(Lost::Failed(Failure::Content(vec![problem(
                    &place,
                    "205",
                    format!(
                        "the number {} is of {kind}/{} and of {kind}/{}",
                        one.value, first.id, second.id
                    ),
                )])));
            }
            // The message may have moved it already.
            let known = self.items.iter().find(|item| {
                item.kind == kind
                    && item.id == first.id
                    && item.is_settled
                    && item.same_as.is_none()
            });
            let owner = match known {
                Some(item) => patient_of(&item.content.json()),
                None => patient_of(&json_of(first)),
            };
            if let (Some(owner), Some(patient)) = (owner, patient)
                && owner != patient
            {
                return Err(Lost::Failed(Failure::Content(vec![problem(
                    &place,
                    "205",
                    format!(
                        "the number {} is that of {kind}/{} of {owner}, and the message is about \
                         {patient}",
                        one.value, first.id
                    ),
                )])));
            }
            let first = first.clone();
            self.settle(at, &first);
            return Ok(());
        }
        let guard = vec![("identifier".to_owned(), tokens.join(","))];
        self.items[at].make(new, Some(guard));
        Ok(())
    }

    /// Finds what has no number of its own among those of its patient: the one that is the same
    /// in all of `members`.
    pub async fn identify_child(
        &mut self,
        at: usize,
        parameter: &str,
        parent: Option<usize>,
        members: &[&str],
    ) -> Result<(), Lost> {
        if self.items[at].is_settled {
            return Ok(());
        }
        let new = self.engine.fresh_id();
        let own = self.signature(&self.items[at].made, members);
        let kind = self.items[at].kind;
        let twin = (0..at).find(|other| {
            let other = &self.items[*other];
            other.kind == kind
                && other.is_settled
                && other.same_as.is_none()
                && self.signature(&other.made, members) == own
        });
        if let Some(twin) = twin {
            self.items[at].same_as = Some(twin);
            self.items[at].is_settled = true;
            return Ok(());
        }
        let parent = parent.map(|parent| &self.items[self.root(parent)]);
        // Whoever is new has nothing yet.
        let Some(parent) = parent.filter(|parent| parent.version > 0) else {
            self.items[at].make(new, None);
            return Ok(());
        };
        let reference = format!("{}/{}", parent.kind, parent.id);
        let key = (kind, reference.clone());
        if !self.children.contains_key(&key) {
            let found = self
                .matching(kind, &[(parameter, &reference)], CANDIDATES * 4)
                .await?;
            self.children.insert(key.clone(), found);
        }
        let found = self.children.get(&key).into_iter().flatten();
        let used: Vec<&str> = self
            .items
            .iter()
            .filter(|item| item.kind == kind && item.is_settled)
            .map(|item| item.id.as_str())
            .collect();
        let found = found
            .filter(|one| !used.contains(&one.id.as_str()))
            .find(|one| self.signature(&json_of(one), members) == own)
            .cloned();
        match found {
            Some(found) => self.settle(at, &found),
            None => self.items[at].make(new, None),
        }
        Ok(())
    }

    /// What tells a resource from its like: codes by system and code, references as they are.
    fn signature(&self, json: &Json, members: &[&str]) -> Vec<String> {
        let members = members.iter();
        members
            .map(|name| {
                let value = json.get(*name);
                value.map_or_else(String::new, |value| self.sign(value))
            })
            .collect()
    }

    fn sign(&self, json: &Json) -> String {
        if let Some(reference) = json.get("reference").and_then(Json::as_str) {
            return self
                .referred(reference)
                .unwrap_or_else(|| reference.to_owned());
        }
        if let Some(Json::Array(codings)) = json.get("coding")
            && let Some(first) = codings.first()
        {
            let text = |name: &str| first.get(name).and_then(Json::as_str).unwrap_or_default();
            return format!("{}|{}", text("system"), text("code"));
        }
        if let Some(family) = json.get("family").and_then(Json::as_str) {
            let given = json.pointer("/given/0").and_then(Json::as_str);
            return format!("{family}^{}", given.unwrap_or_default());
        }
        match json {
            Json::Array(items) => {
                let all: Vec<String> = items.iter().map(|item| self.sign(item)).collect();
                all.join(",")
            }
            Json::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// The name of a person, or of a place, as one text.
fn name_of(name: &Json) -> String {
    match name {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.first().map(name_of).unwrap_or_default(),
        Json::Object(_) => {
            let text = |key: &str| name.get(key).and_then(Json::as_str).unwrap_or_default();
            let given: Vec<&str> = name
                .get("given")
                .and_then(Json::as_array)
                .map(|all| all.iter().filter_map(Json::as_str).collect())
                .unwrap_or_default();
            match text("family") {
                "" => text("text").to_owned(),
                family => format!("{family}^{}", given.join("^")),
            }
        }
        _ => String::new(),
    }
}

/// Whose a resource is: `Patient/1`.
pub fn patient_of(json: &Json) -> Option<String> {
    for name in ["subject", "patient", "beneficiary"] {
        let member = json.get(name);
        let member = match member {
            Some(Json::Array(items)) => items.first(),
            other => other,
        };
        if let Some(reference) = member
            .and_then(|it| it.get("reference"))
            .and_then(Json::as_str)
            && reference.starts_with("Patient/")
        {
            return Some(reference.to_owned());
        }
    }
    None
}

/// The id of the patient that replaces this one.
pub fn replaced_by(patient: &Json) -> Option<String> {
    let links = patient.get("link")?.as_array()?;
    let link = links
        .iter()
        .find(|link| link.get("type").and_then(Json::as_str) == Some("replaced-by"))?;
    let reference = link.pointer("/other/reference")?.as_str()?;
    Some(reference.strip_prefix("Patient/")?.to_owned())
}

/// A stored resource as JSON.
pub fn json_of(resource: &Resource) -> Json {
    serde_json::from_slice(&resource.body).unwrap_or_default()
}

/// A stored resource to be changed.
pub fn content_of(resource: &Resource) -> Content {
    let text = std::str::from_utf8(&resource.body).unwrap_or_default();
    Content::parse(text).unwrap_or_default()
}

impl Item {
    /// It is this one.
    pub fn settle(&mut self, found: &Resource) {
        self.id.clone_from(&found.id);
        self.version = found.version;
        self.content = content_of(found);
        self.guard = None;
        self.is_settled = true;
    }

    /// It is new; nothing may match the guard at the moment of the commit.
    pub fn make(&mut self, id: String, guard: Option<Vec<(String, String)>>) {
        self.id = id;
        self.version = 0;
        self.guard = guard;
        self.is_settled = true;
    }
}
