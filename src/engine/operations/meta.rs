//! `$meta`, `$meta-add` and `$meta-delete`.

use std::collections::{BTreeSet, HashSet};

use resources::{
    Doc, Value,
    index::{Kind, ParamId},
    model::ResourceType,
};

use crate::{
    access::{Access, Right},
    engine::{
        Engine,
        draft::parse,
        error::{Error, ErrorKind},
        operation::{IfMatch, MetaScope, Operation, Resource, Target},
        submit::{check_structure, parse_body},
    },
    search::plan::{Clause, Plan, TotalMode},
};

/// The lists of `meta` that the operations change.
const LISTS: [&str; 3] = ["profile", "security", "tag"];
/// Resources of which `$meta` over a type or the server collects what is in use.
const COLLECTED: usize = 10_000;
/// How often a change that lost a race is repeated.
const ATTEMPTS: usize = 8;

/// What makes two values of a list the same: profiles are equal as texts, codings by system and
/// code.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    Text(String),
    Coding(Option<String>, Option<String>),
}

impl Identity {
    fn of(value: Value<'_>) -> Self {
        if !value.is_object() {
            return Self::Text(value.raw().to_owned());
        }
        let part = |name: &str| value.get(name)?.as_str().map(|text| text.into_owned());
        Self::Coding(part("system"), part("code"))
    }
}

/// JSON texts, each value once and in the order in which they came.
#[derive(Clone, Default, PartialEq)]
struct List {
    values: Vec<(Identity, String)>,
    known: HashSet<Identity>,
}

impl List {
    fn push(&mut self, identity: Identity, text: String) {
        if self.known.insert(identity.clone()) {
            self.values.push((identity, text));
        }
    }

    fn remove(&mut self, gone: &Self) {
        self.values
            .retain(|(identity, _)| !gone.known.contains(identity));
        self.known.retain(|identity| !gone.known.contains(identity));
    }
}

/// The three lists.
#[derive(Clone, Default, PartialEq)]
struct Lists([List; 3]);

impl Lists {
    fn of(meta: Option<Value<'_>>) -> Self {
        let mut lists = Self::default();
        for (list, name) in lists.0.iter_mut().zip(LISTS) {
            let values = meta.and_then(|meta| meta.get(name));
            for value in values.into_iter().flat_map(|values| values.items()) {
                list.push(Identity::of(value), value.raw().to_owned());
            }
        }
        lists
    }

    fn add(&mut self, other: Self) {
        for (list, more) in self.0.iter_mut().zip(other.0) {
            for (identity, text) in more.values {
                list.push(identity, text);
            }
        }
    }

    fn remove(&mut self, other: &Self) {
        for (list, gone) in self.0.iter_mut().zip(&other.0) {
            list.remove(gone);
        }
    }

    /// Bytes of all texts.
    fn weight(&self) -> usize {
        let values = self.0.iter().flat_map(|list| &list.values);
        values.map(|(_, text)| text.len()).sum()
    }

    /// The members of a Meta, without braces.
    fn members(&self) -> String {
        let mut members = Vec::new();
        for (list, name) in self.0.iter().zip(LISTS) {
            if list.values.is_empty() {
                continue;
            }
            let texts: Vec<&str> = list.values.iter().map(|(_, text)| text.as_str()).collect();
            members.push(format!("\"{name}\":[{}]", texts.join(",")));
        }
        members.join(",")
    }
}

fn parameters(meta: &str) -> String {
    format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"return","valueMeta":{meta}}}]}}"#
    )
}

impl Engine {
    /// `$meta`: the text of a Parameters resource with one `return` of type Meta. For a type or
    /// the server it has what the first ten thousand resources with tags, profiles or security
    /// labels use, up to the bytes of an answer.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn meta(&self, scope: &MetaScope, access: &Access) -> Result<String, Error> {
        let resource = match scope {
            MetaScope::Instance(kind, id) => self.read(*kind, id, access).await?,
            MetaScope::Version(kind, id, version) => {
                self.vread(*kind, id, *version, access).await?
            }
            MetaScope::Type(kind) => return self.collected(vec![*kind], access).await,
            MetaScope::System => {
                return self.collected(ResourceType::all().collect(), access).await;
            }
        };
        meta_of(&resource)
    }

    /// Everything in use on these types.
    async fn collected(&self, types: Vec<ResourceType>, access: &Access) -> Result<String, Error> {
        let access = &access.to(Right::Search);
        self.permit_some(&types, access)?;
        let registry = self.registry();
        let used: BTreeSet<ParamId> = types
            .iter()
            .flat_map(|kind| ["_profile", "_security", "_tag"].map(|code| (*kind, code)))
            .filter_map(|(kind, code)| registry.param(kind, code))
            .filter(|param| param.kind != Kind::Special)
            .map(|param| param.id)
            .collect();
        let mut plan = Plan {
            types,
            filter: Clause::Any(used.into_iter().map(Clause::HasParam).collect()),
            sort: Vec::new(),
            limit: self.settings.limits.page_max.max(1),
            after: None,
            total: TotalMode::None,
        };
        let mut lists = Lists::default();
        let mut looked = 0;
        let room = self.settings.limits.answer_bytes;
        loop {
            let page = self.store.search_within(&plan, room, access).await?;
            for hit in &page.hits {
                let head = &hit.stored.head;
                let doc = parse_body(head.kind, &head.id, &hit.stored.body)?;
                lists.add(Lists::of(doc.root().get("meta")));
            }
            looked += page.hits.len();
            plan.after = page.hits.last().map(|hit| hit.position.clone());
            let is_full = looked >= COLLECTED || lists.weight() > room;
            if !page.more || plan.after.is_none() || is_full {
                return Ok(parameters(&format!("{{{}}}", lists.members())));
            }
        }
    }

    /// `$meta-add` with a Parameters body; gives Parameters as [`Engine::meta`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a body without `meta`, [`ErrorKind::NotFound`].
    pub async fn meta_add(
        &self,
        kind: ResourceType,
        id: &str,
        body: &Doc,
        access: &Access,
    ) -> Result<String, Error> {
        let change = |lists: &mut Lists, given: Lists| lists.add(given);
        self.change_meta(kind, id, body, access, change).await
    }

    /// `$meta-delete` with a Parameters body; gives Parameters as [`Engine::meta`].
    ///
    /// # Errors
    /// As [`Engine::meta_add`].
    pub async fn meta_delete(
        &self,
        kind: ResourceType,
        id: &str,
        body: &Doc,
        access: &Access,
    ) -> Result<String, Error> {
        let change = |lists: &mut Lists, given: Lists| lists.remove(&given);
        self.change_meta(kind, id, body, access, change).await
    }

    /// Changes the lists. As R4 says, that makes no new version in the sense of content, but
    /// this server keeps every state, so it is a new version all the same, unless it changes
    /// nothing.
    async fn change_meta(
        &self,
        kind: ResourceType,
        id: &str,
        body: &Doc,
        access: &Access,
        change: impl Fn(&mut Lists, Lists),
    ) -> Result<String, Error> {
        // Also of a change that comes to nothing.
        self.permit(kind, &access.to(Right::Update))?;
        let given = given_meta(body)?;
        check_structure(body)?;
        for _ in 0..ATTEMPTS {
            let old = self.read(kind, id, access).await?;
            let doc = parse_body(kind, id, &old.body)?;
            let meta = doc.root().get("meta");
            let before = Lists::of(meta);
            let mut lists = before.clone();
            change(&mut lists, Lists::of(Some(given)));
            if lists == before {
                return meta_of(&old);
            }
            let operation = Operation::Update {
                kind,
                target: Target::Id(id.to_owned()),
                body: parse(with_lists(&doc, meta, &lists))?,
                if_match: Some(IfMatch::Version(old.version)),
                if_none_match_any: false,
            };
            match self.submit_as_is(vec![operation], access).await {
                Ok(done) => {
                    let new = done.into_iter().next().and_then(|done| done.resource);
                    let new = new.ok_or_else(|| Error::not_found(kind, id))?;
                    return meta_of(&new);
                }
                Err(error) if error.kind == ErrorKind::PreconditionFailed => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "conflict",
            format!("others keep changing {kind}/{id}; send the request again"),
        ))
    }
}

fn meta_of(resource: &Resource) -> Result<String, Error> {
    let doc = parse_body(resource.kind, &resource.id, &resource.body)?;
    let meta = doc.root().get("meta").map_or("{}", |meta| meta.raw());
    Ok(parameters(meta))
}

fn given_meta(body: &Doc) -> Result<Value<'_>, Error> {
    let parameters = body.root().get("parameter");
    parameters
        .into_iter()
        .flat_map(|all| all.items())
        .find(|parameter| {
            let name = parameter.get("name").and_then(|name| name.as_str());
            name.as_deref() == Some("meta")
        })
        .and_then(|parameter| parameter.get("valueMeta"))
        .filter(|meta| meta.is_object())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "required",
                "the body must be Parameters with a parameter 'meta' that has a valueMeta",
            )
        })
}

/// The resource's text with these lists in its `meta`.
fn with_lists(doc: &Doc, meta: Option<Value<'_>>, lists: &Lists) -> String {
    let mut members: Vec<String> = meta
        .into_iter()
        .flat_map(|meta| meta.members())
        .filter(|member| !LISTS.contains(&member.name()))
        .map(|member| doc.text()[member.member_span()].to_owned())
        .collect();
    let own = lists.members();
    if !own.is_empty() {
        members.push(own);
    }
    let text = format!("{{{}}}", members.join(","));
    match meta {
        Some(meta) => doc.splice(&[(meta.span(), text)]),
        None => doc.text().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_added_and_removed_by_identity() {
        let doc = Doc::parse(
            r#"{"resourceType":"Basic","meta":{"versionId":"1","tag":[{"system":"s","code":"a"}]},"language":"en"}"#,
        )
        .unwrap();
        let given = Doc::parse(
            r#"{"tag":[{"code":"a","system":"s","display":"A"},{"code":"b"}],"profile":["p"]}"#,
        )
        .unwrap();
        let meta = doc.root().get("meta");
        let mut lists = Lists::of(meta);
        lists.add(Lists::of(Some(given.root())));
        assert_eq!(
            with_lists(&doc, meta, &lists),
            r#"{"resourceType":"Basic","meta":{"versionId":"1","profile":["p"],"tag":[{"system":"s","code":"a"},{"code":"b"}]},"language":"en"}"#
        );
        lists.remove(&Lists::of(Some(given.root())));
        assert_eq!(
            with_lists(&doc, meta, &lists),
            r#"{"resourceType":"Basic","meta":{"versionId":"1"},"language":"en"}"#
        );
    }

    #[test]
    fn many_tags_are_told_apart_in_little_time() {
        let tags = |from: usize| {
            let tag = |n| format!(r#"{{"system":"urn:tags","code":"t{n}"}}"#);
            let all: Vec<String> = (from..from + 100_000).map(tag).collect();
            Doc::parse(format!(r#"{{"tag":[{}]}}"#, all.join(","))).unwrap()
        };
        let (old, new) = (tags(0), tags(50_000));
        let started = std::time::Instant::now();
        let mut lists = Lists::of(Some(old.root()));
        lists.add(Lists::of(Some(new.root())));
        assert_eq!(lists.0[2].values.len(), 150_000);
        lists.remove(&Lists::of(Some(new.root())));
        assert_eq!(lists.0[2].values.len(), 50_000);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
