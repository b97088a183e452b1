//! The access decision over a resource that is at hand. Reads are filtered by the store; this is
//! for what a write would replace or make, and for old versions.

use resources::{
    Doc,
    index::{ParamId, Registry},
    model::ResourceType,
};

use super::{Engine, error::Error, submit::parse_stored};
use crate::{
    access::Access,
    search::{
        access_clause,
        matches::{Facts, Others, matches},
        plan::{Canonical, Clause},
    },
    store::Stored,
};

/// True if `access` covers the resource `kind/id` with this content.
pub fn covers(
    access: &Access,
    registry: &Registry,
    (kind, id): (ResourceType, &str),
    updated: i64,
    doc: &Doc,
    base_url: &str,
) -> bool {
    let Some(clause) = access_clause(access, kind, registry) else {
        return true;
    };
    // The clause asks for what parameters find; `Registry::rows` has not all of that.
    let entries = registry.extract(kind, doc, base_url);
    let facts = Facts {
        kind,
        id,
        updated,
        entries: &entries,
        text: None,
    };
    matches(&clause, &facts, &NoOthers)
}

impl Engine {
    /// Whether `access` covers a version by what it says itself. Of a deletion, which says
    /// nothing, the version before it decides: who could not see that one shall not learn that
    /// it is gone.
    pub(super) async fn covers(&self, version: &Stored, access: &Access) -> Result<bool, Error> {
        if access.is_unrestricted() {
            return Ok(true);
        }
        let head = &version.head;
        if !head.deleted {
            return self.covers_text(version, access);
        }
        let all = Access::system("what was deleted decides who may know of its deletion");
        let before = self
            .store
            .version(head.kind, &head.id, head.version - 1, &all)
            .await?;
        match before {
            Some(before) if !before.stored.head.deleted => self.covers_text(&before.stored, access),
            _ => Ok(false),
        }
    }

    fn covers_text(&self, version: &Stored, access: &Access) -> Result<bool, Error> {
        let head = &version.head;
        Ok(covers(
            access,
            &self.registry(),
            (head.kind, &head.id),
            head.updated,
            &parse_stored(version)?,
            &self.settings.base_url,
        ))
    }
}

/// The clauses of an access decision follow no chains.
pub struct NoOthers;

impl Others for NoOthers {
    fn target(&self, _: ResourceType, _: &[&str], _: &Clause) -> bool {
        false
    }

    fn named(&self, _: ResourceType, _: Canonical, _: &[&[u8]], _: &Clause) -> bool {
        false
    }

    fn source(&self, _: ResourceType, _: ParamId, _: &[Vec<u8>], _: &Clause) -> bool {
        false
    }
}
