//! What those who write for others (messages) must find first: resources by what they say, and all
//! that refers to one.

use resources::{
    index::{Kind, key},
    model::ResourceType,
};

use super::{Engine, error::Error, operation::Resource, submit::resource};
use crate::{
    access::{Access, Right},
    search::plan::{Clause, KeyRange, Plan, TotalMode},
};

impl Engine {
    /// An id for a resource that is to be made; later ones sort behind earlier ones.
    pub fn fresh_id(&self) -> String {
        self.new_id()
    }

    /// The resources that a search matches, `most` at most. Names and values are decoded.
    ///
    /// # Errors
    /// The search makes no sense, or the store does not answer.
    pub async fn matching(
        &self,
        kind: ResourceType,
        params: &[(String, String)],
        most: usize,
        access: &Access,
    ) -> Result<Vec<Resource>, Error> {
        let found = self.find_by(kind, params, most, access).await?;
        Ok(found.hits.iter().map(resource).collect())
    }

    /// The newest versions of several resources, in one look-up; `None` for what is not there, or
    /// is deleted.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn newest_of(
        &self,
        keys: &[(ResourceType, &str)],
        access: &Access,
    ) -> Result<Vec<Option<Resource>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.store.current(keys, &access.to(Right::Read)).await?;
        let found = found.into_iter();
        Ok(found
            .map(|one| {
                one.filter(|one| !one.head.deleted)
                    .map(|one| resource(&one))
            })
            .collect())
    }

    /// Resources that refer to `kind/id` by what a search parameter finds, `most` at most.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn referring(
        &self,
        (kind, id): (ResourceType, &str),
        most: usize,
        access: &Access,
    ) -> Result<Vec<Resource>, Error> {
        let registry = self.registry();
        let access = &access.to(Right::Search);
        let mut all = Vec::new();
        for source in ResourceType::all() {
            let params = registry.of(source).filter(|param| {
                param.kind == Kind::Reference
                    && !param.expression.is_empty()
                    && (param.targets.is_empty() || param.targets.contains(&kind))
            });
            let clauses = params.map(|param| Clause::Keys {
                param: param.id,
                ranges: vec![KeyRange::exact(key::reference(kind, id))],
            });
            let clauses: Vec<Clause> = clauses.collect();
            if clauses.is_empty() {
                continue;
            }
            let plan = Plan {
                types: vec![source],
                filter: Clause::Any(clauses),
                sort: Vec::new(),
                limit: most.saturating_sub(all.len()) + 1,
                after: None,
                total: TotalMode::None,
            };
            let page = self.store.search_within(&plan, usize::MAX, access).await?;
            all.extend(page.hits.iter().map(|hit| resource(&hit.stored)));
            if all.len() > most {
                break;
            }
        }
        Ok(all)
    }
}
