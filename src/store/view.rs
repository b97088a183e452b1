//! What a request may see, as conditions.

use resources::model::ResourceType;

use crate::{access::Access, search::plan::Clause};

/// An access decision together with what is needed to turn it into conditions.
#[derive(Debug, Clone)]
pub(super) struct View {
    access: Access,
}

impl View {
    pub fn new(access: &Access) -> Self {
        Self {
            access: access.clone(),
        }
    }

    /// What a resource of this type must satisfy to be seen; `None` is no condition.
    pub fn clause(&self, kind: ResourceType) -> Option<Clause> {
        match &self.access {
            Access::System(_) => None,
            Access::Compartment { kind: owner, id } if *owner == kind => {
                Some(Clause::Ids(vec![id.clone()]))
            }
            Access::Compartment { .. } => Some(Clause::Any(Vec::new())),
        }
    }

    /// True if nothing is hidden.
    pub fn is_unrestricted(&self) -> bool {
        self.access.is_unrestricted()
    }
}
