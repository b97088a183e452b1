//! What a request may see, as conditions.

use std::sync::Arc;

use resources::{
    index::{ParamId, Registry},
    model::ResourceType,
};

use crate::{
    access::{Access, Decision},
    search::{Related, access_clause, granted, plan::Clause, relations, stored, with_known},
};

/// An access decision together with what is needed to turn it into conditions.
#[derive(Debug, Clone)]
pub(super) struct View {
    access: Access,
    registry: Registry,
    /// Who was found to be related.
    related: Arc<[Related]>,
}

impl View {
    pub fn new(access: &Access, registry: Registry) -> Self {
        Self {
            access: access.clone(),
            registry,
            related: Arc::default(),
        }
    }

    /// What says who is related, for each relation to which the decision is bound, unless they are
    /// known here.
    pub fn relations(&self) -> Vec<Clause> {
        match self.access.decision() {
            Decision::Granted(grants) if self.related.is_empty() => relations(grants),
            _ => Vec::new(),
        }
    }

    /// The same view, knowing who is related. It holds for as long as that is so: for one query.
    pub fn knowing(&self, related: Vec<Related>) -> Self {
        Self {
            related: related.into(),
            ..self.clone()
        }
    }

    /// What a resource of this type must satisfy to be seen, in terms of stored rows; `None` is no
    /// condition.
    pub fn clause(&self, kind: ResourceType) -> Option<Arc<Clause>> {
        if let Decision::Granted(grants) = self.access.decision() {
            let stored = granted(grants, kind, self.access.rights()).stored.clone()?;
            return Some(match self.related.is_empty() {
                true => stored,
                false => Arc::new(with_known(&stored, &self.related)),
            });
        }
        let clause = access_clause(&self.access, kind, &self.registry)?;
        Some(Arc::new(self.stored(clause, kind)))
    }

    /// True if there is such a condition.
    pub fn limits(&self, kind: ResourceType) -> bool {
        match self.access.decision() {
            Decision::System(_) => false,
            Decision::Compartment { .. } => true,
            Decision::Granted(grants) => {
                granted(grants, kind, self.access.rights()).stored.is_some()
            }
        }
    }

    /// The view of whoever decides: all.
    pub fn whole(&self) -> Self {
        let all = Access::system("a decision looks at whatever it depends on");
        Self::new(&all, self.registry.clone())
    }

    /// A condition on resources of this type in terms of the rows that the index stores.
    pub fn stored(&self, clause: Clause, kind: ResourceType) -> Clause {
        stored::stored(clause, kind, &self.registry)
    }

    /// The parameters whose rows give the order of `param`'s keys in `space`, and what these keys
    /// begin with.
    pub fn sorted_by(
        &self,
        param: ParamId,
        space: u8,
        kind: ResourceType,
    ) -> (Vec<ParamId>, Vec<u8>) {
        stored::sorted_by(param, space, kind, &self.registry)
    }

    /// True if nothing is hidden.
    pub fn is_unrestricted(&self) -> bool {
        self.access.is_unrestricted()
    }
}
