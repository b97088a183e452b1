//! Transactions: all entries, or none.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map},
};

use resources::{Doc, model::ResourceType};

use super::{
    BundleOptions,
    entry::{Entry, entries, place},
    fetch::{Coming, Fetched, Room},
    references::{self, Answers, Conditional, Identities},
    response,
};
use crate::{
    access::Access,
    engine::{
        Engine,
        bundle_text::BundleText,
        concurrent::bounded,
        draft::{Draft, Verb, parse},
        error::Error,
        operation::{Done, Return, Target},
        race::Race,
        resolve::Resolved,
        submit::{Attempt, Record, Riders, all},
    },
};

/// GET entries that are worked on at the same time.
const CONCURRENT: usize = 16;

/// The writes of a transaction in the order in which they are worked on.
pub struct Writes<'e> {
    /// Places in the Bundle.
    pub places: Vec<usize>,
    pub drafts: Vec<Draft<'e>>,
    full_urls: Vec<Option<&'e str>>,
}

impl Engine {
    pub(super) async fn transaction(
        &self,
        doc: &Doc,
        options: &BundleOptions,
        access: &Access,
    ) -> Result<String, Error> {
        let entries = all(entries(doc.root(), &self.settings.base_url).collect())?;
        let writes = Writes::new(&entries, options.prefer)?;
        let reads: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.is_read()).collect();
        let check = |entry| self.check_request(entry, options, access);
        checked(&reads, check).await?;
        let done = self.carry_out(&writes, &reads, None, access).await?;
        let mut done_at: HashMap<usize, Done> = writes.places.iter().copied().zip(done).collect();

        let mut fetched: HashMap<usize, Result<Fetched, Error>> = HashMap::new();
        let room = Room::new(self.settings.limits.answer_bytes);
        let one = |number: usize| {
            let (entry, room) = (reads[number], &room);
            async move {
                let fetched = self.fetch_entry(entry, options, room, access).await;
                (entry.at, fetched)
            }
        };
        bounded(CONCURRENT, reads.len(), one, |(at, answer)| {
            fetched.insert(at, answer);
        })
        .await;

        let mut bundle = BundleText::new(
            "transaction-response",
            &[],
            None,
            self.clock.now(),
            entries.len() * 300,
        );
        for entry in &entries {
            if let Some(done) = done_at.remove(&entry.at) {
                let base = &self.settings.base_url;
                response::done(bundle.entry(), base, &done, options.prefer)?;
            } else if let Some(answer) = fetched.remove(&entry.at) {
                let answer = answer.map_err(|error| error.inside(&place(entry.at)));
                self.write_fetched(&mut bundle, entry, &answer)?;
            }
        }
        Ok(bundle.finish())
    }

    /// Carries out the writes of a transaction Bundle for a message, and changes the message's
    /// record in the same commit: neither happens without the other. `record` gets what is done,
    /// in the order of the entries, and may be asked several times, when others were faster.
    ///
    /// # Errors
    /// Whatever is wrong with an entry; nothing was changed then.
    pub async fn transact_for(
        &self,
        bundle: &[u8],
        record: Record<'_>,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let bounds = self.settings.limits.bundle_bounds();
        let doc = Doc::parse_bytes(bundle, &bounds)
            .map_err(|error| Error::invalid(format!("not acceptable JSON: {error}")))?;
        let entries = all(entries(doc.root(), &self.settings.base_url).collect())?;
        let writes = Writes::new(&entries, Return::Minimal)?;
        let ordered = |done: &[Done]| record(&writes.in_order(done.to_vec()));
        let done = self.carry_out(&writes, &[], Some(&ordered), access).await?;
        Ok(writes.in_order(done))
    }

    /// Commits all writes; repeats what lost a race.
    async fn carry_out(
        &self,
        writes: &Writes<'_>,
        reads: &[&Entry<'_>],
        record: Option<Record<'_>>,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let done = self.carry_out_writes(writes, reads, record, access).await;
        if let (Err(error), false) = (&done, writes.drafts.is_empty()) {
            self.record_refused(access, &writes.drafts, error).await?;
        }
        done
    }

    async fn carry_out_writes(
        &self,
        writes: &Writes<'_>,
        reads: &[&Entry<'_>],
        record: Option<Record<'_>>,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let mut race = Race::new(self);
        loop {
            let generation = self.parameters.known().generation;
            let resolved = self.resolve_all(writes, access).await?;
            writes.check_identities(&resolved)?;
            let identities = writes.identities(&resolved)?;
            let answers = self.answers(writes, &resolved, &identities, access).await?;
            let documents = |at: usize| writes.document(at, &identities, &answers);
            let planned = self
                .plan(&writes.drafts, &resolved, &documents, access)
                .await?;
            let planned = writes.placed(planned)?;
            let coming = Coming::new(planned.iter().flat_map(|one| &one.writes));
            let check = |entry| self.check_there(entry, &coming, access);
            checked(reads, check).await?;
            let riders = Riders { once: None, record };
            let attempt = self.attempt(&writes.drafts, planned, (generation, riders), access);
            match attempt.await? {
                Attempt::Done(done, changes) => {
                    self.parameters_changed(changes).await;
                    return Ok(done);
                }
                Attempt::Lost(key) => race.lost(&key).await?,
                Attempt::Repeated => race.lost("Idempotency-Key").await?,
            }
        }
    }
}

/// Checks all entries; what is wrong is placed at them.
async fn checked<'r, 'e, F: Future<Output = Result<(), Error>>>(
    entries: &'r [&'r Entry<'e>],
    check: impl Fn(&'r Entry<'e>) -> F,
) -> Result<(), Error> {
    let mut results = Vec::with_capacity(entries.len());
    let one = |number: usize| {
        let entry = entries[number];
        let check = check(entry);
        async move {
            (
                number,
                check.await.map_err(|error| error.inside(&place(entry.at))),
            )
        }
    };
    bounded(CONCURRENT, entries.len(), one, |result| {
        results.push(result)
    })
    .await;
    results.sort_by_key(|(number, _)| *number);
    let results = results.into_iter().map(|(_, result)| result).collect();
    all(results).map(drop)
}

impl<'e> Writes<'e> {
    fn new(entries: &'e [Entry<'_>], prefer: Return) -> Result<Self, Error> {
        let mut order: Vec<&Entry<'_>> = entries.iter().filter(|entry| !entry.is_read()).collect();
        order.sort_by_key(|entry| entry.phase());
        let drafts = order
            .iter()
            .map(|entry| {
                let draft = entry.draft().map(|draft| Draft {
                    wants_text: prefer == Return::Representation,
                    given_id: None,
                    is_silent: false,
                    ..draft
                });
                draft.map_err(|error| error.inside(&place(entry.at)))
            })
            .collect();
        let writes = Self {
            places: order.iter().map(|entry| entry.at).collect(),
            drafts: all(drafts)?,
            full_urls: order
                .iter()
                .map(|entry| entry.full_url.as_deref())
                .collect(),
        };
        writes.check_conditions()?;
        Ok(writes)
    }

    /// What is done, in the order of the entries.
    fn in_order(&self, done: Vec<Done>) -> Vec<Done> {
        let mut placed: Vec<(usize, Done)> = self.places.iter().copied().zip(done).collect();
        placed.sort_by_key(|(at, _)| *at);
        placed.into_iter().map(|(_, done)| done).collect()
    }

    /// The results, their errors placed at their entries.
    pub fn placed<T>(&self, results: Vec<Result<T, Error>>) -> Result<Vec<T>, Error> {
        all(results
            .into_iter()
            .zip(&self.places)
            .map(|(result, at)| result.map_err(|error| error.inside(&place(*at))))
            .collect())
    }

    /// The error of one write, placed at its entry.
    pub fn at(&self, slot: usize, error: Error) -> Error {
        error.inside(&place(self.places[slot]))
    }

    /// Two entries with the same condition would be about the same resource.
    fn check_conditions(&self) -> Result<(), Error> {
        let mut seen: HashMap<Conditional, usize> = HashMap::new();
        for (draft, at) in self.drafts.iter().zip(&self.places) {
            if let Some(Target::Search(query)) = &draft.target
                && let Some(first) = seen.insert(Conditional::new(draft.kind, query), *at)
            {
                return Err(Error::invalid(format!(
                    "entries {first} and {at} have the same condition '{query}' on {}; \
                     a resource may stand once in a transaction, so join them",
                    draft.kind
                ))
                .inside(&place(*at)));
            }
        }
        Ok(())
    }

    /// No two writes may be about the same resource.
    fn check_identities(&self, resolved: &[Resolved]) -> Result<(), Error> {
        let mut seen: HashMap<(ResourceType, &str), usize> = HashMap::with_capacity(resolved.len());
        for ((draft, resolved), at) in self.drafts.iter().zip(resolved).zip(&self.places) {
            // A conditional create that found its match writes nothing.
            if draft.verb == Verb::Create && matches!(resolved, Resolved::Found(..)) {
                continue;
            }
            for id in resolved.ids() {
                match seen.entry((draft.kind, id)) {
                    hash_map::Entry::Vacant(free) => {
                        free.insert(*at);
                    }
                    hash_map::Entry::Occupied(first) => {
                        return Err(Error::invalid(format!(
                            "entries {} and {at} are both about {}/{id}; \
                             a resource may stand once in a transaction",
                            first.get(),
                            draft.kind
                        ))
                        .inside(&place(*at)));
                    }
                }
            }
        }
        Ok(())
    }

    /// What the entries' full URLs become.
    fn identities(&self, resolved: &[Resolved]) -> Result<Identities, Error> {
        let mut identities = Identities::with_capacity(resolved.len());
        for (slot, (draft, resolved)) in self.drafts.iter().zip(resolved).enumerate() {
            let (Some(url), Some(id)) = (self.full_urls[slot], resolved.id()) else {
                continue;
            };
            if draft.verb == Verb::Delete {
                continue;
            }
            if !identities.insert(url, format!("{}/{id}", draft.kind)) {
                let at = self.places[slot];
                return Err(Error::invalid(format!(
                    "the fullUrl '{url}' stands at several entries; each needs its own"
                ))
                .inside(&place(at)));
            }
        }
        Ok(identities)
    }

    /// The document of a write, references resolved.
    pub fn document(
        &self,
        slot: usize,
        identities: &Identities,
        answers: &Answers,
    ) -> Result<Cow<'e, Doc>, Error> {
        let draft = &self.drafts[slot];
        match references::rewrite(draft, self.full_urls[slot], identities, answers)? {
            Some(text) => Ok(Cow::Owned(parse(text)?)),
            None => draft.doc(),
        }
    }
}
