//! The conditions of a transaction. R4 (`http.html#trules`) has deletions first, then creates,
//! then updates, and conditional references last: so a condition does not see what the Bundle
//! deletes, and does see what it makes.

use std::collections::{BTreeSet, HashSet};

use resources::model::ResourceType;

use super::{
    made::{Made, New, types_behind},
    references::{self, Answers, Conditional, Identities},
    transaction::Writes,
};
use crate::{
    access::Access,
    engine::{
        Engine,
        concurrent::bounded,
        draft::Verb,
        error::{Error, ErrorKind},
        operation::Target,
        resolve::{Matches, Resolved, Unseen, several},
        submit::all,
    },
};

/// Conditional references that are looked up at the same time.
const CONCURRENT: usize = 16;
/// Resources made between two points at which other tasks get their turn.
const BETWEEN_YIELDS: usize = 16;

impl Engine {
    /// The resources that the writes are about: first of the deletions, then of all others, which
    /// do not see what is deleted.
    pub(super) async fn resolve_all(
        &self,
        writes: &Writes<'_>,
        access: &Access,
    ) -> Result<Vec<Resolved>, Error> {
        let drafts = &writes.drafts;
        let deletions = drafts.partition_point(|draft| draft.verb == Verb::Delete);
        let (first, rest) = drafts.split_at(deletions);
        let mut resolved = self.resolve(first, &Unseen::default(), access).await;
        let mut deleted = Unseen::default();
        for (draft, one) in first.iter().zip(&resolved) {
            for id in one.iter().flat_map(Resolved::ids) {
                deleted.insert(draft.kind, id);
            }
        }
        resolved.extend(self.resolve(rest, &deleted, access).await);
        writes.placed(resolved)
    }

    /// What the conditional references mean. One whose condition is that of an entry means what
    /// the entry becomes; any other one is looked up once, in the store and among what the Bundle
    /// makes.
    ///
    /// # Errors
    /// A conditional reference with no target or several, and a condition of an entry that
    /// another entry's resource satisfies, too.
    pub(super) async fn answers(
        &self,
        writes: &Writes<'_>,
        resolved: &[Resolved],
        identities: &Identities,
        access: &Access,
    ) -> Result<Answers, Error> {
        let mut answers = writes.own_answers(resolved);
        let mut open = HashSet::new();
        for draft in &writes.drafts {
            references::conditionals(draft, &mut open);
        }
        open.retain(|condition| !answers.contains_key(condition));
        let open: Vec<Conditional> = open.into_iter().collect();
        let found = self
            .look_up(&open, &writes.unseen(resolved), access)
            .await?;
        let types = writes.types_of_conditions(resolved, &open, &found);
        if types.is_empty() {
            return Ok(answers);
        }
        let made = self
            .made(writes, resolved, &types, identities, &answers)
            .await?;
        writes.check_overlaps(resolved, &made)?;
        for (condition, found) in open.into_iter().zip(found) {
            let identity = target(&condition, &found, &made)?;
            answers.insert(condition, identity);
        }
        Ok(answers)
    }

    async fn look_up(
        &self,
        conditions: &[Conditional],
        unseen: &Unseen,
        access: &Access,
    ) -> Result<Vec<Matches>, Error> {
        let mut found: Vec<Option<Result<Matches, Error>>> = Vec::new();
        found.resize_with(conditions.len(), || None);
        let one = |at: usize| async move {
            (at, self.find_beside(&conditions[at], unseen, access).await)
        };
        bounded(CONCURRENT, conditions.len(), one, |(at, matches)| {
            found[at] = Some(matches);
        })
        .await;
        all(found.into_iter().flatten().collect())
    }

    /// What the Bundle makes of these types. A patch is left out: what it comes to is known only
    /// when it is applied.
    async fn made(
        &self,
        writes: &Writes<'_>,
        resolved: &[Resolved],
        types: &BTreeSet<ResourceType>,
        identities: &Identities,
        answers: &Answers,
    ) -> Result<Made, Error> {
        let registry = self.registry();
        let mut new = Vec::new();
        for (slot, id) in writes.made(resolved) {
            let kind = writes.drafts[slot].kind;
            if !types.contains(&kind) {
                continue;
            }
            let doc = writes.document(slot, identities, answers);
            let doc = doc.map_err(|error| writes.at(slot, error))?;
            new.push(New {
                slot,
                kind,
                id: id.to_owned(),
                entries: registry.extract(kind, &doc, &self.settings.base_url),
            });
            if new.len() % BETWEEN_YIELDS == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(Made::new(new, self.clock.now()))
    }
}

/// `Type/id` of the one resource that a conditional reference means.
fn target(condition: &Conditional, found: &Matches, made: &Made) -> Result<String, Error> {
    let kind = condition.kind;
    let stored = found.hits.iter().map(|hit| hit.head.id.as_str());
    let new = made.matching(kind, &found.clause);
    let mut ids = stored.chain(new.map(|new| new.id.as_str()));
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(format!("{kind}/{id}")),
        (None, _) => Err(Error::new(
            ErrorKind::PreconditionFailed,
            "not-found",
            format!("the conditional reference '{condition}' matches no resource"),
        )),
        (Some(_), Some(_)) => Err(several(&condition.to_string())),
    }
}

impl Writes<'_> {
    /// Each entry whose document becomes a resource, with the id.
    fn made<'r>(&self, resolved: &'r [Resolved]) -> impl Iterator<Item = (usize, &'r str)> {
        let slots = self.drafts.iter().zip(resolved).enumerate();
        slots.filter_map(|(slot, (draft, resolved))| match (draft.verb, resolved) {
            (Verb::Create, Resolved::Found(..)) => None,
            (Verb::Create | Verb::Update, one) => Some((slot, one.id()?)),
            _ => None,
        })
    }

    /// What the store does not know as it will be: what is deleted or replaced.
    fn unseen(&self, resolved: &[Resolved]) -> Unseen {
        let mut unseen = Unseen::default();
        for (slot, id) in self.made(resolved) {
            if !matches!(resolved[slot], Resolved::Fresh(..)) {
                unseen.insert(self.drafts[slot].kind, id);
            }
        }
        for (draft, resolved) in self.drafts.iter().zip(resolved) {
            if draft.verb == Verb::Delete {
                for id in resolved.ids() {
                    unseen.insert(draft.kind, id);
                }
            }
        }
        unseen
    }

    /// The conditions of the entries, as references would have them.
    fn own_answers(&self, resolved: &[Resolved]) -> Answers {
        let drafts = self.drafts.iter().zip(resolved);
        let own = drafts.filter_map(|(draft, resolved)| match &draft.target {
            Some(Target::Search(query)) if draft.verb != Verb::Delete => Some((
                Conditional::new(draft.kind, query),
                format!("{}/{}", draft.kind, resolved.id()?),
            )),
            _ => None,
        });
        own.collect()
    }

    fn types_of_conditions(
        &self,
        resolved: &[Resolved],
        open: &[Conditional],
        found: &[Matches],
    ) -> BTreeSet<ResourceType> {
        let own = self.drafts.iter().zip(resolved);
        let own = own.filter_map(|(draft, one)| Some((draft.kind, one.condition()?)));
        let open = open.iter().zip(found);
        let open = open.map(|(condition, found)| (condition.kind, &found.clause));
        let mut types = BTreeSet::new();
        for (kind, clause) in own.chain(open) {
            types.insert(kind);
            types_behind(clause, &mut types);
        }
        types
    }

    /// What one entry makes must not satisfy the condition of another: both would be about the
    /// same resource, and which of them came first would decide what becomes of it.
    fn check_overlaps(&self, resolved: &[Resolved], made: &Made) -> Result<(), Error> {
        for (slot, (draft, one)) in self.drafts.iter().zip(resolved).enumerate() {
            let Some(condition) = one.condition().filter(|_| draft.verb != Verb::Delete) else {
                continue;
            };
            let is_other = |new: &&New| new.slot != slot && one.id() != Some(new.id.as_str());
            if let Some(other) = made.matching(draft.kind, condition).find(is_other) {
                let error = Error::invalid(format!(
                    "entry {} makes a {} that the condition of entry {} matches; \
                     a resource may stand once in a transaction, so join them",
                    self.places[other.slot], draft.kind, self.places[slot]
                ));
                return Err(self.at(slot, error));
            }
        }
        Ok(())
    }
}
