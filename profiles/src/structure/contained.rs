//! Contained resources: the rules of `Resource`s inside a resource (R4 `references.html#contained`,
//! and the invariants of `DomainResource`).

use std::collections::HashSet;

use resources::Value;

use super::{Walk, excerpt, path::Path};

/// What a contained resource has none of, since it has no life of its own (dom-4, dom-5).
const NOT_IN_META: [&str; 3] = ["versionId", "lastUpdated", "security"];

impl<'d> Walk<'d> {
    /// The resources that `holder` contains: each has an id of its own to be referred to by.
    pub(super) fn contained(&mut self, holder: Value<'d>, path: &Path<'_>) {
        let Some(contained) = holder.get("contained").filter(|all| all.is_array()) else {
            return;
        };
        let mut ids = HashSet::new();
        for (index, one) in contained.items().enumerate() {
            if self.is_full() {
                return;
            }
            if !one.is_object() {
                continue;
            }
            let path = path.child("contained").item(index);
            match one.get("id") {
                None => {
                    let sentence = "A contained resource must have an id, by which #id refers to \
                                    it; add one.";
                    self.report("required", &path.child("id"), sentence);
                }
                Some(id) if id.as_str().is_some_and(|text| !ids.insert(text)) => {
                    let sentence = format!(
                        "There is another contained resource with the id {}; give each its own.",
                        excerpt(id)
                    );
                    self.report("invariant", &path.child("id"), sentence);
                }
                Some(_) => {}
            }
            let meta = one.get("meta");
            for name in NOT_IN_META {
                if meta.is_some_and(|meta| meta.get(name).is_some()) {
                    let sentence = format!(
                        "A contained resource has no {name} of its own in meta; leave it out."
                    );
                    self.report("invariant", &path.child("meta").child(name), sentence);
                }
            }
        }
    }
}
