//! The newest place in the log of each type, for who asks whether there is news.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
};

use resources::model::ResourceType;

use super::super::types::Head;

/// A place for each number that a type can have.
pub(super) struct Newest([AtomicI64; 256]);

impl fmt::Debug for Newest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Newest")
    }
}

impl Newest {
    /// Nothing is newer than `vid`.
    pub fn new(vid: i64) -> Self {
        Self(std::array::from_fn(|_| AtomicI64::new(vid)))
    }

    fn place(&self, kind: ResourceType) -> Option<&AtomicI64> {
        usize::try_from(kind.number())
            .ok()
            .and_then(|number| self.0.get(number))
    }

    /// A version has been committed.
    pub fn committed(&self, head: &Head) {
        if let Some(place) = self.place(head.kind) {
            place.fetch_max(head.vid, Ordering::AcqRel);
        }
    }

    /// The newest place of these types.
    pub fn of(&self, kinds: &[ResourceType]) -> i64 {
        kinds
            .iter()
            .filter_map(|kind| self.place(*kind))
            .map(|place| place.load(Ordering::Acquire))
            .max()
            .unwrap_or(0)
    }
}
