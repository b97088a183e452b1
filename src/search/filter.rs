//! Conditions that may still wait for terminology.

use resources::{
    index::{ParamId, key},
    model::ResourceType,
    outcome::Issue,
};

use super::{
    plan::{Canonical, Clause, KeyRange},
    query::{Need, Resolved},
    token,
};

/// A [`Clause`], or one with parts that only terminology can complete.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    /// Complete as it is.
    Ready(Clause),
    /// The parameter has one of the codes or references that answer the need.
    Codes { param: ParamId, need: Need },
    /// As [`Clause::All`].
    All(Vec<Filter>),
    /// As [`Clause::Any`].
    Any(Vec<Filter>),
    /// As [`Clause::Not`].
    Not(Box<Filter>),
    /// As [`Clause::Refers`].
    Refers {
        param: ParamId,
        target: ResourceType,
        canonical: Option<Canonical>,
        inner: Box<Filter>,
    },
    /// As [`Clause::ReferredBy`].
    ReferredBy {
        source: ResourceType,
        param: ParamId,
        canonical: Option<Canonical>,
        inner: Box<Filter>,
    },
}

impl Filter {
    /// True for every resource.
    pub fn everything() -> Self {
        Self::Ready(Clause::All(Vec::new()))
    }

    pub fn keys(param: ParamId, ranges: Vec<KeyRange>) -> Self {
        Self::Ready(Clause::Keys { param, ranges })
    }

    /// All of the parts, without needless nesting.
    pub fn all(parts: Vec<Self>) -> Self {
        join(parts, Clause::All, Self::All)
    }

    /// Any of the parts, without needless nesting.
    pub fn any(parts: Vec<Self>) -> Self {
        join(parts, Clause::Any, Self::Any)
    }

    pub fn negated(self) -> Self {
        match self {
            Self::Ready(clause) => Self::Ready(Clause::Not(Box::new(clause))),
            other => Self::Not(Box::new(other)),
        }
    }

    pub fn refers(
        param: ParamId,
        target: ResourceType,
        canonical: Option<Canonical>,
        inner: Self,
    ) -> Self {
        match inner {
            Self::Ready(clause) => Self::Ready(Clause::Refers {
                param,
                target,
                canonical,
                inner: Box::new(clause),
            }),
            other => Self::Refers {
                param,
                target,
                canonical,
                inner: Box::new(other),
            },
        }
    }

    pub fn referred_by(
        source: ResourceType,
        param: ParamId,
        canonical: Option<Canonical>,
        inner: Self,
    ) -> Self {
        match inner {
            Self::Ready(clause) => Self::Ready(Clause::ReferredBy {
                source,
                param,
                canonical,
                inner: Box::new(clause),
            }),
            other => Self::ReferredBy {
                source,
                param,
                canonical,
                inner: Box::new(other),
            },
        }
    }

    /// Adds what has to be resolved, each need once.
    pub fn needs(&self, out: &mut Vec<Need>) {
        match self {
            Self::Ready(_) => {}
            Self::Codes { need, .. } => {
                if !out.contains(need) {
                    out.push(need.clone());
                }
            }
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.needs(out)),
            Self::Not(inner) | Self::Refers { inner, .. } | Self::ReferredBy { inner, .. } => {
                inner.needs(out);
            }
        }
    }

    /// The clause, with codes in the place of needs.
    pub fn clause(&self, resolved: &Resolved, max_codes: usize) -> Result<Clause, Vec<Issue>> {
        let inner = |filter: &Self| filter.clause(resolved, max_codes);
        let each = |parts: &[Self]| parts.iter().map(inner).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Self::Ready(clause) => clause.clone(),
            Self::Codes { param, need } => Clause::Keys {
                param: *param,
                ranges: code_ranges(need, resolved, max_codes)?,
            },
            Self::All(parts) => Clause::All(each(parts)?),
            Self::Any(parts) => Clause::Any(each(parts)?),
            Self::Not(part) => Clause::Not(Box::new(inner(part)?)),
            Self::Refers {
                param,
                target,
                canonical,
                inner: part,
            } => Clause::Refers {
                param: *param,
                target: *target,
                canonical: *canonical,
                inner: Box::new(inner(part)?),
            },
            Self::ReferredBy {
                source,
                param,
                canonical,
                inner: part,
            } => Clause::ReferredBy {
                source: *source,
                param: *param,
                canonical: *canonical,
                inner: Box::new(inner(part)?),
            },
        })
    }
}

fn join(
    mut parts: Vec<Filter>,
    ready: fn(Vec<Clause>) -> Clause,
    waiting: fn(Vec<Filter>) -> Filter,
) -> Filter {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    if !parts.iter().all(|part| matches!(part, Filter::Ready(_))) {
        return waiting(parts);
    }
    let clauses = parts.into_iter().filter_map(|part| match part {
        Filter::Ready(clause) => Some(clause),
        _ => None,
    });
    Filter::Ready(ready(clauses.collect()))
}

fn code_ranges(
    need: &Need,
    resolved: &Resolved,
    max_codes: usize,
) -> Result<Vec<KeyRange>, Vec<Issue>> {
    let Some(codes) = resolved.get(need) else {
        return Err(vec![Issue::error(
            "not-found",
            format!(
                "the search needs {}, which this server does not know; load it, or name the codes themselves",
                describe(need)
            ),
        )]);
    };
    if codes.len() > max_codes {
        return Err(vec![Issue::error(
            "too-costly",
            format!(
                "{} has {} codes; a search may use at most {max_codes} of them",
                describe(need),
                codes.len()
            ),
        )]);
    }
    Ok(match need {
        Need::Family { kind, .. } => codes
            .iter()
            .map(|(_, id)| KeyRange::exact(key::reference(*kind, id)))
            .collect(),
        _ => codes
            .iter()
            .map(|(system, code)| match code.as_str() {
                "" => token::any_of(system),
                code => token::coded(system, code),
            })
            .collect(),
    })
}

fn describe(need: &Need) -> String {
    match need {
        Need::ValueSet(url) => format!("the value set {url}"),
        Need::Below { system, code } | Need::Above { system, code } => match system {
            Some(system) => format!("the hierarchy of code {code} in {system}"),
            None => format!("the hierarchy of code {code}"),
        },
        Need::Family { kind, id, .. } => format!("the hierarchy of {kind}/{id}"),
    }
}
