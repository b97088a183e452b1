//! What belongs to a compartment.

use resources::{
    index::{Registry, key},
    model::{ResourceType, compartments},
};

use super::{
    granted::granted,
    plan::{Clause, KeyRange},
};
use crate::access::{Access, Decision};

/// The condition that `access` puts on resources of type `kind`; `None` if it puts none.
pub fn access_clause(access: &Access, kind: ResourceType, registry: &Registry) -> Option<Clause> {
    match access.decision() {
        Decision::System(_) => None,
        Decision::Compartment {
            kind: compartment,
            id,
        } => Some(membership(*compartment, id, kind, registry)),
        Decision::Granted(grants) => granted(grants, kind, access.rights()).clause.clone(),
    }
}

/// True for the resources of type `member` in the compartment of `kind/id`: that resource itself,
/// and what refers to it by the parameters of the CompartmentDefinition. `Any(vec![])` if no
/// resource of the type belongs to such compartments.
pub(super) fn membership(
    kind: ResourceType,
    id: &str,
    member: ResourceType,
    registry: &Registry,
) -> Clause {
    let codes = compartments::params(kind, member);
    let mut parts = Vec::with_capacity(codes.len() + 1);
    if member == kind || codes.contains(&"{def}") {
        parts.push(Clause::Ids(vec![id.to_owned()]));
    }
    let params = codes.iter().filter_map(|code| registry.param(member, code));
    parts.extend(params.map(|param| Clause::Keys {
        param: param.id,
        ranges: vec![KeyRange::exact(key::reference(kind, id))],
    }));
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            Clause::Any(parts)
        }
        None => Clause::Any(parts),
    }
}

/// The types that can belong to compartments of this type.
pub(super) fn members(kind: ResourceType) -> Vec<ResourceType> {
    ResourceType::all()
        .filter(|member| *member == kind || !compartments::params(kind, *member).is_empty())
        .collect()
}
