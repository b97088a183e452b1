//! What a request may see, as conditions.

use resources::{index::Registry, model::ResourceType};

use crate::{
    access::Access,
    search::{access_clause, plan::Clause},
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

    /// What a resource of this type must satisfy to be seen; `None` is no condition.
    pub fn clause(&self, kind: ResourceType) -> Option<Clause> {
        access_clause(&self.access, kind, &self.registry)
    }

    /// True if nothing is hidden.
    pub fn is_unrestricted(&self) -> bool {
        self.access.is_unrestricted()
    }
}
