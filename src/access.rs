//! Who may see what: one value that every read and write of the engine and the store takes.

use resources::model::ResourceType;

/// The access decision of one request, compiled once; the store turns it into conditions on
/// every hop of every query. There is no call into the store without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everything. For internal work, with the reason for which it is needed, and, while the
    /// server runs with `--open`, for every request.
    System(&'static str),
    /// One compartment: the resource `kind/id` itself and what refers to it by the parameters of
    /// the R4 CompartmentDefinition of `kind`. Nothing else is visible.
    Compartment {
        /// `Patient` for a patient's own access.
        kind: ResourceType,
        /// The logical id of the compartment's resource.
        id: String,
    },
}

impl Access {
    /// Internal work that must see all resources; the reason is for whoever reads the code.
    pub const fn system(reason: &'static str) -> Self {
        Self::System(reason)
    }

    /// True if no condition applies.
    pub fn is_unrestricted(&self) -> bool {
        matches!(self, Self::System(_))
    }
}
