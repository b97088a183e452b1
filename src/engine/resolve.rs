//! Conditional targets: from a search to the resource that it means.

use std::collections::{HashMap, HashSet};

use resources::model::ResourceType;

use super::{
    Engine,
    bundle::Conditional,
    concurrent::bounded,
    draft::{Draft, Verb},
    error::{Error, ErrorKind},
    operation::Target,
};
use crate::{
    access::{Access, Right},
    search::{
        self,
        plan::{Clause, TotalMode},
    },
    store::Stored,
};

/// Conditions that are resolved at the same time.
const CONCURRENT: usize = 16;

/// The resource that a write is about.
#[derive(Debug, Clone)]
pub enum Resolved {
    /// A new one with an id of the server's making. The clause is the condition that nothing may
    /// match at the moment of the commit.
    Fresh(String, Option<Clause>),
    /// The one with this id, if it is there. The clause is as for `Fresh`.
    Id(String, Option<Clause>),
    /// The one that the condition found, and the condition.
    Found(Box<Stored>, Clause),
    /// The condition found nothing (deletions).
    Nothing,
    /// The condition found several, and all are meant (deletions).
    Several(Vec<Stored>),
}

impl Resolved {
    /// The id, if it is one resource.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Fresh(id, _) | Self::Id(id, _) => Some(id),
            Self::Found(stored, _) => Some(&stored.head.id),
            Self::Nothing | Self::Several(_) => None,
        }
    }

    /// The ids of all resources that are meant.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let several: &[Stored] = match self {
            Self::Several(several) => several,
            _ => &[],
        };
        let several = several.iter().map(|stored| stored.head.id.as_str());
        self.id().into_iter().chain(several)
    }

    /// What nothing may match at the moment of the commit.
    pub fn guard(&self) -> Option<&Clause> {
        match self {
            Self::Fresh(_, guard) | Self::Id(_, guard) => guard.as_ref(),
            _ => None,
        }
    }

    /// The condition by which it was looked for, if it is one resource.
    pub fn condition(&self) -> Option<&Clause> {
        match self {
            Self::Found(_, condition) => Some(condition),
            one => one.guard(),
        }
    }
}

/// Resources that a condition does not see: the ids of each type.
#[derive(Debug, Default)]
pub struct Unseen(HashMap<ResourceType, HashSet<String>>);

impl Unseen {
    /// Adds one.
    pub fn insert(&mut self, kind: ResourceType, id: &str) {
        self.0.entry(kind).or_default().insert(id.to_owned());
    }

    fn count(&self, kind: ResourceType) -> usize {
        self.0.get(&kind).map_or(0, HashSet::len)
    }

    fn has(&self, kind: ResourceType, id: &str) -> bool {
        self.0.get(&kind).is_some_and(|ids| ids.contains(id))
    }
}

/// What a condition matches.
pub struct Matches {
    /// The condition.
    pub clause: Clause,
    /// The first matches.
    pub hits: Vec<Stored>,
    /// There are more.
    pub more: bool,
    /// The ids of matches that were left out since they are unseen.
    dropped: Vec<String>,
}

impl Matches {
    fn without(mut self, kind: ResourceType, unseen: &Unseen) -> Self {
        let is_unseen = |stored: &Stored| unseen.has(kind, &stored.head.id);
        let (dropped, hits) = self.hits.into_iter().partition(is_unseen);
        self.hits = hits;
        let dropped: Vec<Stored> = dropped;
        self.dropped = dropped.into_iter().map(|stored| stored.head.id).collect();
        self
    }

    /// What nothing may match at the moment of the commit. The store looks before it deletes, so
    /// what is about to go is excepted.
    fn guard(self) -> Clause {
        if self.dropped.is_empty() {
            return self.clause;
        }
        let dropped = Clause::Not(Box::new(Clause::Ids(self.dropped)));
        Clause::All(vec![self.clause, dropped])
    }
}

impl Engine {
    /// Finds what `query` matches, up to `limit` resources.
    pub(super) async fn find(
        &self,
        kind: ResourceType,
        query: &str,
        limit: usize,
        access: &Access,
    ) -> Result<Matches, Error> {
        let params = search::decode(query.trim_start_matches('?'));
        self.find_by(kind, &params, limit, access).await
    }

    /// As [`Engine::find`], from names and values.
    pub(super) async fn find_by(
        &self,
        kind: ResourceType,
        params: &[(String, String)],
        limit: usize,
        access: &Access,
    ) -> Result<Matches, Error> {
        if let Some((name, _)) = params.iter().find(|(name, _)| is_result_parameter(name)) {
            return Err(Error::invalid(format!(
                "the condition has the parameter '{name}', \
                 which shapes results and says nothing about what matches; leave it out"
            )));
        }
        let registry = self.registry();
        let request = search::Request {
            scope: search::Scope::Type(kind),
            params,
            strict: true,
            base_url: &self.settings.base_url,
            now: self.clock.now(),
        };
        let parsed = search::parse(&request, &registry, &self.search_limits)
            .map_err(|issues| Error::with(ErrorKind::Invalid, issues))?;
        let access = &access.to(Right::Search);
        self.permit(kind, access)?;
        let mut plan = self.compile(&parsed, access).await?;
        if plan.filter.is_always() {
            return Err(Error::new(
                ErrorKind::PreconditionFailed,
                "required",
                "the condition names no search parameter that tells resources apart and would \
                 match everything; say which one is meant, as in identifier=system|value",
            ));
        }
        plan.limit = limit;
        plan.total = TotalMode::None;
        plan.sort.clear();
        let clause = plan.filter.clone();
        // Whether it is just one must be known in any case.
        let room = match limit {
            0..=2 => usize::MAX,
            _ => self.settings.limits.answer_bytes,
        };
        let page = self.store.search_within(&plan, room, access).await?;
        Ok(Matches {
            clause,
            hits: page.hits.into_iter().map(|hit| hit.stored).collect(),
            more: page.more,
            dropped: Vec::new(),
        })
    }

    /// What `condition` matches beside what is `unseen`: none, one, or several.
    pub(super) async fn find_beside(
        &self,
        condition: &Conditional,
        unseen: &Unseen,
        access: &Access,
    ) -> Result<Matches, Error> {
        let kind = condition.kind;
        let limit = 2 + unseen.count(kind);
        let found = self
            .find_by(kind, condition.params(), limit, access)
            .await?;
        Ok(found.without(kind, unseen))
    }

    /// Resolves the targets of all drafts, in their order. Only conditions need the store; those
    /// of creates, updates and patches do not see what is `unseen`.
    pub(super) async fn resolve(
        &self,
        drafts: &[Draft<'_>],
        unseen: &Unseen,
        access: &Access,
    ) -> Vec<Result<Resolved, Error>> {
        let mut resolved = Vec::with_capacity(drafts.len());
        let mut open = Vec::new();
        for (at, draft) in drafts.iter().enumerate() {
            let permitted = draft
                .check()
                .and_then(|()| self.permit_write(draft, access));
            let plain = permitted.map(|()| match &draft.target {
                None => {
                    let id = draft.given_id.clone().unwrap_or_else(|| self.new_id());
                    Resolved::Fresh(id, None)
                }
                Some(Target::Id(id)) => Resolved::Id(id.clone(), None),
                Some(Target::Search(_)) => {
                    open.push(at);
                    Resolved::Nothing
                }
            });
            resolved.push(plain);
        }
        let one = |number: usize| {
            let at = open[number];
            async move { (at, self.condition(&drafts[at], unseen, access).await) }
        };
        bounded(CONCURRENT, open.len(), one, |(at, found)| {
            resolved[at] = found;
        })
        .await;
        resolved
    }

    async fn condition(
        &self,
        draft: &Draft<'_>,
        unseen: &Unseen,
        access: &Access,
    ) -> Result<Resolved, Error> {
        let Some(Target::Search(query)) = &draft.target else {
            return Ok(Resolved::Nothing);
        };
        if draft.verb == Verb::Delete {
            let limit = match self.settings.conditional_delete_multiple {
                true => self.settings.limits.conditional_delete,
                false => 2,
            };
            let found = self.find(draft.kind, query, limit, access).await?;
            return self.deletions(query, found);
        }
        let condition = Conditional::new(draft.kind, query);
        let found = self.find_beside(&condition, unseen, access).await?;
        match &found.hits[..] {
            [] => self.unmatched(draft, query, found),
            [_] => self.matched(draft, found),
            _ => Err(several(query)),
        }
    }

    fn unmatched(&self, draft: &Draft<'_>, query: &str, found: Matches) -> Result<Resolved, Error> {
        match (draft.verb, draft.body_id()) {
            (Verb::Create, _) | (Verb::Update, None) => {
                Ok(Resolved::Fresh(self.new_id(), Some(found.guard())))
            }
            (Verb::Update, Some(id)) => {
                super::draft::check_id(&id)?;
                Ok(Resolved::Id(id.into_owned(), Some(found.guard())))
            }
            _ => Err(Error::new(
                ErrorKind::NotFound,
                "not-found",
                format!("nothing matches the condition '{query}'"),
            )),
        }
    }

    fn matched(&self, draft: &Draft<'_>, found: Matches) -> Result<Resolved, Error> {
        let Some(stored) = found.hits.into_iter().next() else {
            return Ok(Resolved::Nothing);
        };
        if let (Verb::Update, Some(id)) = (draft.verb, draft.body_id())
            && id != stored.head.id
        {
            if draft.if_none_match_any {
                return Err(Error::new(
                    ErrorKind::PreconditionFailed,
                    "conflict",
                    format!(
                        "the condition matches {}/{}, and If-None-Match: * forbids that",
                        draft.kind, stored.head.id
                    ),
                ));
            }
            return Err(Error::invalid(format!(
                "the condition matches {}/{}, but the resource has the id '{id}'; \
                 leave the id out or send that of the match",
                draft.kind, stored.head.id
            )));
        }
        Ok(Resolved::Found(Box::new(stored), found.clause))
    }

    fn deletions(&self, query: &str, mut found: Matches) -> Result<Resolved, Error> {
        if found.hits.len() > 1 && !self.settings.conditional_delete_multiple {
            return Err(several(query));
        }
        if found.more {
            return Err(Error::new(
                ErrorKind::TooCostly,
                "too-costly",
                format!(
                    "the condition '{query}' matches more than {} resources or more than {} \
                     bytes of them, the most that one conditional delete may delete; narrow it",
                    self.settings.limits.conditional_delete, self.settings.limits.answer_bytes
                ),
            ));
        }
        Ok(match found.hits.len() {
            0 => Resolved::Nothing,
            1 => Resolved::Found(Box::new(found.hits.remove(0)), found.clause),
            _ => Resolved::Several(found.hits),
        })
    }
}

/// The refusal of a condition that matches more than one resource.
pub fn several(query: &str) -> Error {
    Error::new(
        ErrorKind::MultipleMatches,
        "multiple-matches",
        format!("the condition '{query}' matches several resources; make it match one"),
    )
}

fn is_result_parameter(name: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    matches!(
        name,
        "_sort"
            | "_count"
            | "_include"
            | "_revinclude"
            | "_summary"
            | "_elements"
            | "_total"
            | "_contained"
            | "_containedType"
            | "_page"
            | "_explain"
            | "_score"
    )
}
