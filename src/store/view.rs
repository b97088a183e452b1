//! What a request may see, as conditions.

use std::sync::Arc;

use resources::{
    index::{ParamId, Registry},
    model::ResourceType,
};

use crate::{
    access::{Access, Decision},
    search::{access_clause, granted, plan::Clause, stored},
};

/// An access decision together with what is needed to turn it into conditions.
#[derive(Debug, Clone)]
pub(super) struct View {
    access: Access,
    registry: Registry,
}

impl View {
    pub fn new(access: &Access, registry: Registry) -> Self {
        Self {
            access: access.clone(),
            registry,
        }
    }

    /// What a resource of this type must satisfy to be seen, in terms of stored rows; `None` is no
    /// condition.
    pub fn clause(&self, kind: ResourceType) -> Option<Arc<Clause>> {
        if let Decision::Granted(grants) = self.access.decision() {
            return granted(grants, kind, self.access.rights()).stored.clone();
        }
        let clause = access_clause(&self.access, kind, &self.registry)?;
        Some(Arc::new(self.stored(clause, kind)))
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
