//! Hierarchies of resources: an Organization that is part of another, and the like (R4
//! `search.html#hierarchy`). They are walked level by level.

use std::collections::HashSet;

use resources::{
    index::{ParamId, key},
    model::ResourceType,
};

use super::{
    Engine,
    error::{Error, ErrorKind},
};
use crate::{
    access::Access,
    search::plan::{Clause, KeyRange, Plan, TotalMode},
};

/// Resources looked at in one step.
const STEP: usize = 200;
/// Levels that are walked.
const MAX_LEVELS: usize = 100;

/// One resource, and the way to others of its type.
pub(super) struct Family<'a> {
    /// By what resources of the type refer to what they are a part of.
    pub param: ParamId,
    pub kind: ResourceType,
    pub id: &'a str,
    /// Its parts are sought; otherwise what it is a part of.
    pub below: bool,
}

impl Engine {
    /// The ids of the resource and all that are above or below it, as far as `access` sees them.
    pub(super) async fn family(
        &self,
        family: Family<'_>,
        limit: usize,
        access: &Access,
    ) -> Result<Vec<String>, Error> {
        let mut known: HashSet<String> = HashSet::from([family.id.to_owned()]);
        let mut level = vec![family.id.to_owned()];
        for depth in 0.. {
            let mut next = Vec::new();
            for step in level.chunks(STEP) {
                let found = if family.below {
                    self.parts(&family, step, limit, access).await?
                } else {
                    self.wholes(&family, step, access).await?
                };
                next.extend(found.into_iter().filter(|id| known.insert(id.clone())));
                if known.len() > limit || (depth >= MAX_LEVELS && !next.is_empty()) {
                    return Err(Error::new(
                        ErrorKind::TooCostly,
                        "too-costly",
                        format!(
                            "the hierarchy of {}/{} has more than {limit} resources or \
                             {MAX_LEVELS} levels; begin nearer to its end",
                            family.kind, family.id
                        ),
                    ));
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        let mut ids: Vec<String> = known.into_iter().collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// What refers to one of `ids` as its whole; a few more than `limit` if there are so many.
    async fn parts(
        &self,
        family: &Family<'_>,
        ids: &[String],
        limit: usize,
        access: &Access,
    ) -> Result<Vec<String>, Error> {
        let whole = |id: &String| KeyRange::exact(key::reference(family.kind, id));
        let mut plan = Plan {
            types: vec![family.kind],
            filter: Clause::Keys {
                param: family.param,
                ranges: ids.iter().map(whole).collect(),
            },
            sort: Vec::new(),
            limit: STEP,
            after: None,
            total: TotalMode::None,
        };
        let mut found = Vec::new();
        loop {
            let page = self.store.search(&plan, access).await?;
            plan.after = page.hits.last().map(|hit| hit.position.clone());
            found.extend(page.hits.into_iter().map(|hit| hit.stored.head.id));
            if !page.more || plan.after.is_none() || found.len() > limit {
                return Ok(found);
            }
        }
    }

    /// What one of `ids` refers to as its whole.
    async fn wholes(
        &self,
        family: &Family<'_>,
        ids: &[String],
        access: &Access,
    ) -> Result<Vec<String>, Error> {
        let registry = self.registry();
        let parts = ids.iter().map(|id| (family.kind, id.clone()));
        let mut found = Vec::new();
        // Whole: what is left out here would be missing among the hits.
        let (parts, _) = self.fetch(parts, usize::MAX, access).await?;
        for part in parts {
            for (param, (kind, id)) in self.references(&registry, &part)? {
                if param == family.param && kind == family.kind {
                    found.push(id);
                }
            }
        }
        Ok(found)
    }
}
