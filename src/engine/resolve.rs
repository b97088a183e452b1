//! Conditional targets: from a search to the resource that it means.

use resources::model::ResourceType;

use super::{
    Engine,
    concurrent::bounded,
    draft::{Draft, Verb},
    error::{Error, ErrorKind},
    operation::Target,
};
use crate::{
    access::Access,
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
    /// The one that the condition found.
    Found(Box<Stored>),
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
            Self::Found(stored) => Some(&stored.head.id),
            Self::Nothing | Self::Several(_) => None,
        }
    }

    /// What nothing may match at the moment of the commit.
    pub fn guard(&self) -> Option<&Clause> {
        match self {
            Self::Fresh(_, guard) | Self::Id(_, guard) => guard.as_ref(),
            _ => None,
        }
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
        if let Some((name, _)) = params.iter().find(|(name, _)| is_result_parameter(name)) {
            return Err(Error::invalid(format!(
                "the condition '{query}' has the parameter '{name}', \
                 which shapes results and says nothing about what matches; leave it out"
            )));
        }
        let registry = self.registry();
        let request = search::Request {
            scope: search::Scope::Type(kind),
            params: &params,
            strict: true,
            base_url: &self.settings.base_url,
            now: self.clock.now(),
        };
        let parsed = search::parse(&request, &registry, &self.search_limits)
            .map_err(|issues| Error::with(ErrorKind::Invalid, issues))?;
        let mut plan = self.compile(&parsed, access).await?;
        if plan.filter.is_always() {
            return Err(Error::new(
                ErrorKind::PreconditionFailed,
                "required",
                format!(
                    "the condition '{query}' names no search parameter that tells resources \
                     apart and would match everything; say which one is meant, as in \
                     identifier=system|value"
                ),
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
        })
    }

    /// Resolves the targets of all drafts, in their order. Only conditions need the store.
    pub(super) async fn resolve(
        &self,
        drafts: &[Draft<'_>],
        access: &Access,
    ) -> Vec<Result<Resolved, Error>> {
        let mut resolved = Vec::with_capacity(drafts.len());
        let mut open = Vec::new();
        for (at, draft) in drafts.iter().enumerate() {
            let plain = draft.check().map(|()| match &draft.target {
                None => Resolved::Fresh(self.new_id(), None),
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
            async move { (at, self.condition(&drafts[at], access).await) }
        };
        bounded(CONCURRENT, open.len(), one, |(at, found)| {
            resolved[at] = found;
        })
        .await;
        resolved
    }

    async fn condition(&self, draft: &Draft<'_>, access: &Access) -> Result<Resolved, Error> {
        let Some(Target::Search(query)) = &draft.target else {
            return Ok(Resolved::Nothing);
        };
        let limit = match draft.verb {
            Verb::Delete if self.settings.conditional_delete_multiple => {
                self.settings.limits.conditional_delete
            }
            _ => 2,
        };
        let found = self.find(draft.kind, query, limit, access).await?;
        match draft.verb {
            Verb::Delete => self.deletions(query, found),
            _ => match &found.hits[..] {
                [] => self.unmatched(draft, query, found.clause),
                [_] => self.matched(draft, found.hits),
                _ => Err(several(query)),
            },
        }
    }

    fn unmatched(&self, draft: &Draft<'_>, query: &str, clause: Clause) -> Result<Resolved, Error> {
        match (draft.verb, draft.body_id()) {
            (Verb::Create, _) | (Verb::Update, None) => {
                Ok(Resolved::Fresh(self.new_id(), Some(clause)))
            }
            (Verb::Update, Some(id)) => {
                super::draft::check_id(&id)?;
                Ok(Resolved::Id(id.into_owned(), Some(clause)))
            }
            _ => Err(Error::new(
                ErrorKind::NotFound,
                "not-found",
                format!("nothing matches the condition '{query}'"),
            )),
        }
    }

    fn matched(&self, draft: &Draft<'_>, hits: Vec<Stored>) -> Result<Resolved, Error> {
        let Some(stored) = hits.into_iter().next() else {
            return Ok(Resolved::Nothing);
        };
        if let (Verb::Update, Some(id)) = (draft.verb, draft.body_id())
            && id != stored.head.id
        {
            return Err(Error::invalid(format!(
                "the condition matches {}/{}, but the resource has the id '{id}'; \
                 leave the id out or send that of the match",
                draft.kind, stored.head.id
            )));
        }
        Ok(Resolved::Found(Box::new(stored)))
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
            1 => Resolved::Found(Box::new(found.hits.remove(0))),
            _ => Resolved::Several(found.hits),
        })
    }

    /// Resolves conditional references, each once.
    pub(super) async fn answer(
        &self,
        conditions: Vec<super::bundle::Conditional>,
        access: &Access,
    ) -> Result<super::bundle::Answers, Error> {
        let mut answers = Ok(super::bundle::Answers::with_capacity(conditions.len()));
        let one = |at: usize| self.answer_one(&conditions[at], access);
        bounded(CONCURRENT, conditions.len(), one, |answer| {
            match (&mut answers, answer) {
                (Ok(answers), Ok((condition, identity))) => {
                    answers.insert(condition, identity);
                }
                (Ok(_), Err(error)) => answers = Err(error),
                (Err(_), _) => {}
            }
        })
        .await;
        answers
    }

    async fn answer_one(
        &self,
        condition: &super::bundle::Conditional,
        access: &Access,
    ) -> Result<(super::bundle::Conditional, String), Error> {
        let found = self
            .find(condition.kind, &condition.query, 2, access)
            .await?;
        let text = format!("{}?{}", condition.kind, condition.query);
        match &found.hits[..] {
            [one] => {
                let identity = format!("{}/{}", condition.kind, one.head.id);
                Ok((condition.clone(), identity))
            }
            [] => Err(Error::new(
                ErrorKind::PreconditionFailed,
                "not-found",
                format!("the conditional reference '{text}' matches no resource"),
            )),
            _ => Err(several(&text)),
        }
    }
}

fn several(query: &str) -> Error {
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
