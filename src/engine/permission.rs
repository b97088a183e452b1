//! The access decision over a resource that is at hand. Reads are filtered by the store; this is
//! for what a write would make, and for computed resources.

use resources::{
    index::{Entry, ParamId, Registry},
    model::ResourceType,
};

use crate::{
    access::Access,
    search::{
        access_clause,
        matches::{Facts, Others, matches},
        plan::{Canonical, Clause},
    },
};

/// True if `access` covers the resource with these index entries.
pub fn permits(
    access: &Access,
    registry: &Registry,
    kind: ResourceType,
    id: &str,
    updated: i64,
    entries: &[Entry],
) -> bool {
    let Some(clause) = access_clause(access, kind, registry) else {
        return true;
    };
    let facts = Facts {
        kind,
        id,
        updated,
        entries,
        text: None,
    };
    matches(&clause, &facts, &NoOthers)
}

/// The clauses of an access decision follow no chains.
struct NoOthers;

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
