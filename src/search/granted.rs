//! What rules grant and denials withhold, as conditions on index keys: compiled once for each
//! type and rights of a [`Grants`].
//!
//! They are conditions on R4's own parameters: what a user posts may not be indexed yet, so a rule
//! that is constrained by it allows nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use resources::{
    index::{Kind, Registry},
    model::ResourceType,
};

use super::{
    compile::Compiler,
    filter::Filter,
    patients::{Standing, membership_of_all, membership_of_any, standing},
    plan::Clause,
    query::SearchLimits,
    relation::{is_about_related, related},
    stored,
};
use crate::access::{Denial, Grants, Right, Rights, Rule};

/// What is granted on resources of one type.
#[derive(Debug)]
pub struct Granted {
    /// What a resource must satisfy; `None` is nothing.
    pub clause: Option<Clause>,
    /// The same in terms of stored rows.
    pub stored: Option<Arc<Clause>>,
    /// What each rule asks. None covers the type if it is empty, and that is no secret.
    pub rules: Vec<Condition>,
    /// What is withheld from all rules.
    pub denied: Option<Clause>,
    /// The resources are visible as what their `securityContext` names, which no index knows.
    pub by_context: bool,
}

/// What one rule asks of a resource of one type.
#[derive(Debug)]
pub struct Condition {
    /// What the resource must satisfy.
    pub clause: Clause,
    /// Some say about whom it may be. What is written must refer to no other patient.
    pub about: About,
    /// It comes of being the patient, or of acting for one.
    pub own: bool,
}

/// About whom resources are that a rule covers.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// Anybody.
    All,
    /// These patients.
    These(Vec<String>),
    /// Patients who satisfy this: who are related as the rule says.
    Related(Clause),
    /// Whomever what their `securityContext` names is about.
    Context,
}

/// What `grants` have for a type and each of these rights.
pub fn granted(grants: &Grants, kind: ResourceType, rights: Rights) -> Arc<Granted> {
    grants.made((kind, rights), || compile(grants, kind, rights))
}

fn compile(grants: &Grants, kind: ResourceType, rights: Rights) -> Granted {
    let registry = Registry::builtin();
    let standing = standing(kind, &registry);
    let mut rules = Vec::new();
    let mut groups: Vec<(Clause, Vec<Clause>)> = Vec::new();
    for rule in grants.rules() {
        if !covers(rule, kind, rights, &standing) {
            continue;
        }
        let Some(constraint) = constraint(&rule.constraints, kind, &registry) else {
            continue;
        };
        let place = place(rule, kind, &standing, &registry);
        let about = about(rule, &standing, &registry);
        let is_by_context = about == About::Context;
        rules.push(Condition {
            clause: all([place.clone(), constraint.clone()]),
            about,
            own: rule.own,
        });
        if is_by_context {
            continue;
        }
        // What several rules say of the same patients is asked once.
        match groups.iter_mut().find(|(known, _)| *known == place) {
            Some((_, constraints)) => constraints.push(constraint),
            None => groups.push((place, vec![constraint])),
        }
    }
    let allowed = any(groups
        .into_iter()
        .map(|(place, constraints)| all([place, any(constraints)])));
    let withheld = denied(grants.denials(), kind, &standing, &registry);
    let denied = Some(withheld).filter(|denied| !denied.is_never());
    let by_context = standing == Standing::Context
        && !rules.is_empty()
        && (allowed.is_never() || !grants.denials().is_empty());
    let seen = match &denied {
        _ if by_context => Clause::Any(Vec::new()),
        Some(denied) => all([allowed, Clause::Not(Box::new(denied.clone()))]),
        None => allowed,
    };
    let clause = Some(seen).filter(|clause| !clause.is_always());
    let stored = clause
        .clone()
        .map(|clause| Arc::new(stored::stored(clause, kind, &registry)));
    Granted {
        clause,
        stored,
        rules,
        denied,
        by_context,
    }
}

fn covers(rule: &Rule, kind: ResourceType, rights: Rights, standing: &Standing) -> bool {
    let rights = rule.rights.and(rights);
    let read = Rights::of(&[Right::Read, Right::Search]);
    let fits = match standing {
        Standing::Of(_) | Standing::Itself | Standing::Context => true,
        Standing::Shared => rule.patients.is_empty() || !rights.and(read).is_empty(),
        Standing::Apart => !is_personal(rule),
    };
    fits && rule.kind.is_none_or(|covered| covered == kind) && !rights.is_empty()
}

/// True if a rule is about some patients only.
fn is_personal(rule: &Rule) -> bool {
    !rule.patients.is_empty() || rule.relation.is_some()
}

/// In whose record the rule lets a resource be.
fn place(rule: &Rule, kind: ResourceType, standing: &Standing, registry: &Registry) -> Clause {
    let mut parts = Vec::new();
    let applies = !matches!(standing, Standing::Shared | Standing::Context);
    if !rule.patients.is_empty() && applies {
        parts.push(membership_of_all(&rule.patients, kind, standing, registry));
    }
    if let Some(relation) = rule.relation.as_ref().filter(|_| applies) {
        let related = related(relation, registry);
        parts.push(is_about_related(&related, kind, standing, registry));
    }
    all(parts)
}

fn about(rule: &Rule, standing: &Standing, registry: &Registry) -> About {
    match standing {
        Standing::Shared => return About::All,
        Standing::Context if is_personal(rule) => return About::Context,
        _ => {}
    }
    match &rule.relation {
        _ if !rule.patients.is_empty() => About::These(rule.patients.clone()),
        Some(relation) => About::Related(related(relation, registry)),
        None => About::All,
    }
}

/// The conditions of a scope's query; `None` if one of them is not understood.
pub(super) fn constraint(
    constraints: &[(String, String)],
    kind: ResourceType,
    registry: &Registry,
) -> Option<Clause> {
    let limits = SearchLimits::default();
    let compiler = Compiler::new(registry, &limits, "", 0);
    let mut parts = Vec::with_capacity(constraints.len());
    for (code, value) in constraints {
        let param = registry.param(kind, code)?;
        if !matches!(param.kind, Kind::Token | Kind::Reference | Kind::String) || value.is_empty() {
            return None;
        }
        match code.as_str() {
            "_id" => {
                let ids = compiler.values(value).ok()?;
                parts.push(Clause::Ids(ids.into_iter().map(str::to_owned).collect()));
                continue;
            }
            "_security" | "_tag" => {}
            // The others that all resources have are no rows of the index.
            code if code.starts_with('_') => return None,
            _ => {}
        }
        match compiler.plain(param, None, value) {
            Ok(Filter::Ready(clause)) => parts.push(clause),
            _ => return None,
        }
    }
    Some(all(parts))
}

/// What the denials withhold of resources of the type. There may be as many as there are
/// patients, so those with the same conditions become one. One whose conditions are not
/// understood withholds more than it says, never less.
fn denied(
    denials: &[Denial],
    kind: ResourceType,
    standing: &Standing,
    registry: &Registry,
) -> Clause {
    type Constraints = [(String, String)];
    let mut groups: BTreeMap<&Constraints, BTreeSet<&str>> = BTreeMap::new();
    for denial in denials {
        if denial.kinds.is_empty() || denial.kinds.contains(&kind) {
            let patients = groups.entry(&denial.constraints).or_default();
            patients.insert(&denial.patient);
        }
    }
    any(groups.into_iter().map(|(constraints, patients)| {
        let constraint = constraint(constraints, kind, registry);
        let constraint = constraint.unwrap_or(Clause::All(Vec::new()));
        all([membership_of_any(&patients, standing), constraint])
    }))
}

/// All of the parts, without those that say nothing.
pub(super) fn all(parts: impl IntoIterator<Item = Clause>) -> Clause {
    let mut out = Vec::new();
    for part in parts {
        match part {
            part if part.is_always() => {}
            part if part.is_never() => return Clause::Any(Vec::new()),
            Clause::All(parts) => out.extend(parts),
            part => out.push(part),
        }
    }
    only(out).unwrap_or_else(Clause::All)
}

/// Any of the parts, without those that nothing satisfies.
pub(super) fn any(parts: impl IntoIterator<Item = Clause>) -> Clause {
    let mut out = Vec::new();
    for part in parts {
        match part {
            part if part.is_never() => {}
            part if part.is_always() => return Clause::All(Vec::new()),
            Clause::Any(parts) => out.extend(parts),
            part => out.push(part),
        }
    }
    only(out).unwrap_or_else(Clause::Any)
}

/// The one part, or all of them.
fn only(mut parts: Vec<Clause>) -> Result<Clause, Vec<Clause>> {
    match parts.pop() {
        Some(only) if parts.is_empty() => Ok(only),
        last => {
            parts.extend(last);
            Err(parts)
        }
    }
}
