//! The only write path: drafts become one commit.

use std::{borrow::Cow, collections::HashSet, sync::atomic::Ordering};

use bytes::Bytes;
use resources::{
    Doc,
    model::ResourceType,
    outcome::{Issue, Severity},
};

use super::{
    Engine,
    booking::{Claimed, Once, claims_time},
    bundle::check_plain,
    draft::{Draft, Verb},
    error::{Error, ErrorKind},
    operation::{Done, DoneStatus, IfMatch, Operation, Resource},
    parameters::Changes,
    permission::{Known, Subject},
    planner::{Newest, Planner, patched},
    race::Race,
    resolve::{Resolved, Unseen},
};
use crate::{
    access::{Access, Right},
    audit::Item,
    store::{Commit, Guard, MessageChange, StoreError, Stored, Write},
};

/// What one draft comes to.
#[derive(Debug)]
pub struct Planned {
    /// New versions: none if nothing changes, several for a conditional delete.
    pub writes: Vec<Write>,
    /// What must hold at the moment of the commit.
    pub guard: Option<Guard>,
    /// The answer, if the commit succeeds.
    pub done: Done,
    /// What the audit is told of it.
    pub audited: Vec<Item<'static>>,
    /// The time that Appointments and Slots claim.
    pub claims: Vec<Claimed>,
}

/// How an attempt to commit ended.
pub enum Attempt {
    /// All is durable; what it changes about search parameters is still to be put to use.
    Done(Vec<Done>, Changes),
    /// Somebody else was faster; the key is what to wait for before the next attempt.
    Lost(String),
    /// The same request had come before, and was carried out then.
    Repeated,
}

/// What is committed beside the writes.
#[derive(Clone, Copy, Default)]
pub struct Riders<'r> {
    /// The key of the request.
    pub once: Option<&'r Once>,
    /// Makes the change of a message's record of what is done.
    pub record: Option<Record<'r>>,
}

/// Makes the change of a message's record of what is done for it.
pub type Record<'r> = &'r (dyn Fn(&[Done]) -> MessageChange + Send + Sync);

/// Gives the document of a draft, references resolved.
pub type Documents<'f, 'd> = &'f (dyn Fn(usize) -> Result<Cow<'d, Doc>, Error> + Sync);

/// Drafts between two points at which other tasks get their turn.
const BETWEEN_YIELDS: usize = 16;

impl Engine {
    /// Carries out all operations together, or none: the only way to write. Answers in the order
    /// of the operations, when all is durable.
    ///
    /// With [`Access::compartment`] a write must leave the resource inside the compartment, and
    /// what it replaces must have been inside.
    ///
    /// # Errors
    /// Whatever is wrong with one of them; nothing was changed then.
    pub async fn submit(
        &self,
        operations: Vec<Operation>,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let drafts: Vec<Draft<'_>> = operations.iter().map(Draft::from).collect();
        for draft in &drafts {
            check_plain(draft, &HashSet::new())?;
        }
        self.submit_drafts(&drafts, access).await
    }

    /// As [`Engine::submit`], but references are taken as they are: conditional ones too, which
    /// otherwise only a transaction resolves. For what was written elsewhere and shall be kept.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_as_is(
        &self,
        operations: Vec<Operation>,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let drafts: Vec<Draft<'_>> = operations.iter().map(Draft::from).collect();
        self.submit_drafts(&drafts, access).await
    }

    /// As [`Engine::submit`], with an `Idempotency-Key`: the same again gets the same answer.
    ///
    /// # Errors
    /// As [`Engine::submit`]; the key was used for something else.
    pub async fn submit_with_key(
        &self,
        operations: Vec<Operation>,
        key: &str,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let drafts: Vec<Draft<'_>> = operations.iter().map(Draft::from).collect();
        for draft in &drafts {
            check_plain(draft, &HashSet::new())?;
        }
        let asked = format!("{operations:?}");
        let once = Once::new(key, &["write", &asked], access)?;
        if let Some(done) = self.replayed(&once, access).await? {
            return Ok(done);
        }
        self.submit_drafts_once(&drafts, Some(&once), access).await
    }

    pub(super) async fn submit_drafts(
        &self,
        drafts: &[Draft<'_>],
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        self.submit_drafts_once(drafts, None, access).await
    }

    /// As [`Engine::submit_drafts`]; what came with the same key before is answered as then.
    pub(super) async fn submit_drafts_once(
        &self,
        drafts: &[Draft<'_>],
        once: Option<&Once>,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let done = self.carry_out_drafts(drafts, once, access).await;
        if let Err(error) = &done {
            // The same request may have been carried out while this one was looked at.
            if let Some(once) = once
                && let Some(done) = self.replayed(once, access).await?
            {
                return Ok(done);
            }
            self.record_refused(access, drafts, error).await?;
        }
        done
    }

    async fn carry_out_drafts(
        &self,
        drafts: &[Draft<'_>],
        once: Option<&Once>,
        access: &Access,
    ) -> Result<Vec<Done>, Error> {
        let mut race = Race::new(self);
        loop {
            let generation = self.parameters.known().generation;
            let resolved = all(self.resolve(drafts, &Unseen::default(), access).await)?;
            let documents = |at: usize| drafts[at].doc();
            let planned = self.plan(drafts, &resolved, &documents, access).await?;
            let riders = Riders { once, record: None };
            let attempt = self.attempt(drafts, all(planned)?, (generation, riders), access);
            match attempt.await? {
                Attempt::Done(done, changes) => {
                    self.parameters_changed(changes).await;
                    return Ok(done);
                }
                Attempt::Lost(key) => race.lost(&key).await?,
                Attempt::Repeated => {
                    if let Some(once) = once
                        && let Some(done) = self.replayed(once, access).await?
                    {
                        return Ok(done);
                    }
                    race.lost("Idempotency-Key").await?;
                }
            }
        }
    }

    /// Turns drafts into writes against the newest versions: one look-up for all.
    pub(super) async fn plan<'d>(
        &self,
        drafts: &[Draft<'d>],
        resolved: &[Resolved],
        documents: Documents<'_, 'd>,
        access: &Access,
    ) -> Result<Vec<Result<Planned, Error>>, Error> {
        let mut keys: Vec<(ResourceType, &str)> = Vec::new();
        for (draft, resolved) in drafts.iter().zip(resolved) {
            if let Resolved::Id(id, _) = resolved {
                keys.push((draft.kind, id));
            }
        }
        let mut heads = if keys.is_empty() {
            Vec::new()
        } else {
            self.at_hand(&keys, access).await?
        }
        .into_iter();
        let (registry, now) = (self.registry(), self.clock.now());
        let mut planned = Vec::with_capacity(drafts.len());
        let mut before = Vec::with_capacity(drafts.len());
        let mut identities = HashSet::with_capacity(drafts.len());
        for (at, (draft, resolved)) in drafts.iter().zip(resolved).enumerate() {
            let at_hand = match resolved {
                Resolved::Id(..) => heads.next().unwrap_or(Newest::Missing),
                Resolved::Found(stored, _) => Newest::Seen((**stored).clone()),
                _ => Newest::Missing,
            };
            before.push(match &at_hand {
                Newest::Seen(stored) if claims_time(draft.kind) => Some(stored.clone()),
                _ => None,
            });
            let access = &access.to(draft.verb.right());
            let newest = match at_hand {
                Newest::Seen(stored) => self.newest(stored, draft.verb, access).await?,
                other => other,
            };
            if let Resolved::Several(several) = resolved {
                self.check_deletions(several, access).await?;
            }
            let offered = match (draft.kind, resolved, &newest) {
                (ResourceType::SLOT, Resolved::Id(id, _), Newest::Missing) => {
                    let document = || documents(at);
                    Box::pin(self.patched_offer(draft, id, &document, access)).await?
                }
                _ => None,
            };
            let (offered, put) = match offered {
                None => (None, None),
                Some(Ok(doc)) => (Some(doc), Some(draft.as_put())),
                Some(Err(error)) => {
                    planned.push(Err(error));
                    continue;
                }
            };
            let draft = put.as_ref().unwrap_or(draft);
            let document = || match &offered {
                Some(doc) => Ok(Cow::Owned(doc.clone())),
                None => documents(at),
            };
            let known = self
                .known_of(draft, resolved, &newest, &document, access)
                .await?;
            let planner = Planner {
                engine: self,
                registry: &registry,
                access,
                known: &known,
                now,
            };
            if at % BETWEEN_YIELDS == BETWEEN_YIELDS - 1 {
                tokio::task::yield_now().await;
            }
            let mut one = planner
                .one(draft, resolved, newest, &document)
                .and_then(|planned| unique(&mut identities, planned));
            if let (Ok(one), true) = (&mut one, draft.is_silent) {
                one.audited.clear();
            }
            if let (Ok(one), true) = (&mut one, put.is_some()) {
                // To the client it was there before.
                one.done.status = DoneStatus::Updated;
            }
            planned.push(one);
        }
        self.with_claims(&mut planned, &before, access).await?;
        Ok(planned)
    }

    /// What a decision about what a draft makes depends on.
    async fn known_of<'d>(
        &self,
        draft: &Draft<'_>,
        resolved: &Resolved,
        newest: &Newest,
        document: &(dyn Fn() -> Result<Cow<'d, Doc>, Error> + Sync),
        access: &Access,
    ) -> Result<Known, Error> {
        let needs = self.needs_known(draft.kind, access);
        let (true, Some(id), false) = (needs, resolved.id(), draft.verb == Verb::Delete) else {
            return Ok(Known::default());
        };
        // What is wrong with it comes up when it is planned.
        let made = match (draft.verb, newest) {
            (Verb::Patch, Newest::Seen(stored)) if !stored.head.deleted => {
                let before = parse_stored(stored)?;
                document().and_then(|patch| Ok(Cow::Owned(patched(&before, &patch)?)))
            }
            _ => document(),
        };
        let Ok(doc) = made else {
            return Ok(Known::default());
        };
        let subject = Subject {
            kind: draft.kind,
            id,
            updated: 0,
            doc: &doc,
        };
        self.known(subject, access, true).await
    }

    /// Commits what was planned with search parameters of a generation.
    pub(super) async fn attempt(
        &self,
        drafts: &[Draft<'_>],
        planned: Vec<Planned>,
        (generation, Riders { once, record }): (i64, Riders<'_>),
        access: &Access,
    ) -> Result<Attempt, Error> {
        let mut commit = Commit {
            generation: Some(generation),
            ..Commit::default()
        };
        let mut owners = Vec::with_capacity(planned.len());
        let mut guarded = Vec::new();
        let mut done = Vec::with_capacity(planned.len());
        let mut audited = Vec::new();
        let mut claims = Vec::new();
        for (at, one) in planned.into_iter().enumerate() {
            owners.extend(one.writes.iter().map(|_| at));
            commit.writes.extend(one.writes);
            if let Some(guard) = one.guard {
                commit.guards.push(guard);
                guarded.push(at);
            }
            audited.extend(one.audited);
            claims.extend(one.claims);
            done.push(one.done);
        }
        commit.messages.extend(record.map(|record| record(&done)));
        if commit.writes.is_empty() {
            self.record_unchanged(access, audited).await?;
            if commit.messages.is_empty() {
                return Ok(Attempt::Done(done, Changes::new()));
            }
        } else {
            commit.audit = self.audit_row(access, audited);
        }
        commit.claims = claims.iter().map(|claimed| claimed.set.clone()).collect();
        commit.now = self.clock.now() / 1_000;
        commit.receipt = once.map(|once| once.receipt(&done, self.clock.now()));
        let parameters = self.parameter_changes(&commit)?;
        let keys: Vec<String> = commit
            .writes
            .iter()
            .map(|write| format!("{}/{}", write.kind, write.id))
            .collect();
        // Guards are conditions, and see what a search sees.
        let access = access.to(Right::Search);
        let committed = self.store.commit(commit, &access).await;
        if keys.iter().any(|key| key.starts_with("Consent/")) {
            self.consent_changes.fetch_add(1, Ordering::AcqRel);
        }
        match committed {
            Ok(_) => {
                claims.iter().for_each(Claimed::count);
                if claims.iter().any(|claimed| claimed.concerns_waiting) {
                    self.waitlist.wake();
                }
                Ok(Attempt::Done(done, parameters))
            }
            Err(StoreError::Conflict(write)) => {
                // What follows from a draft, such as a Slot that becomes free, is not what its
                // client has read.
                let is_first =
                    |at: &&usize| owners.iter().position(|own| own == *at) == Some(write);
                let owner = owners.get(write).filter(is_first);
                let owner = owner.and_then(|at| drafts.get(*at));
                if owner.is_some_and(|draft| matches!(draft.if_match, Some(IfMatch::Version(_)))) {
                    return Err(Error::new(
                        ErrorKind::PreconditionFailed,
                        "conflict",
                        "the version of If-Match is no longer the newest; read again and retry",
                    ));
                }
                Ok(Attempt::Lost(
                    keys.into_iter().nth(write).unwrap_or_default(),
                ))
            }
            Err(StoreError::Guard(guard)) => {
                let draft = guarded.get(guard).and_then(|at| drafts.get(*at));
                Ok(Attempt::Lost(draft.map_or_else(String::new, |draft| {
                    format!("{}?{:?}", draft.kind, draft.target)
                })))
            }
            Err(StoreError::Refused { set, refusal }) => match claims.get(set) {
                Some(claimed) => Err(self.refused_by_store(claimed, &refusal).await),
                None => Err(StoreError::Refused { set, refusal }.into()),
            },
            Err(StoreError::Repeated) => Ok(Attempt::Repeated),
            Err(StoreError::Outdated) => {
                self.read_parameters().await?;
                Ok(Attempt::Lost("search parameters".to_owned()))
            }
            Err(other) => Err(other.into()),
        }
    }
}

/// All results, or all that is wrong with them.
pub fn all<T>(results: Vec<Result<T, Error>>) -> Result<Vec<T>, Error> {
    if results.iter().all(Result::is_ok) {
        return results.into_iter().collect();
    }
    let mut errors = results.into_iter().filter_map(Result::err);
    let Some(mut first) = errors.next() else {
        return Ok(Vec::new());
    };
    for other in errors {
        if other.kind == first.kind {
            first.issues.extend(other.issues);
        }
    }
    Err(first)
}

fn unique(
    identities: &mut HashSet<(ResourceType, String)>,
    planned: Planned,
) -> Result<Planned, Error> {
    for write in &planned.writes {
        if !identities.insert((write.kind, write.id.clone())) {
            return Err(Error::invalid(format!(
                "{}/{} is written twice in one transaction; each resource may stand there once",
                write.kind, write.id
            )));
        }
    }
    Ok(planned)
}

/// Refuses a resource that breaks the structure of its type.
///
/// # Errors
/// All that is wrong, [`ErrorKind::Unprocessable`].
pub fn check_structure(doc: &Doc) -> Result<(), Error> {
    let issues: Vec<Issue> = profiles::validate(doc);
    if issues.iter().any(|issue| issue.severity >= Severity::Error) {
        return Err(Error::with(ErrorKind::Unprocessable, issues));
    }
    Ok(())
}

/// The document of a stored resource.
///
/// # Errors
/// [`ErrorKind::Internal`]: what is stored was parsed before.
pub fn parse_stored(stored: &Stored) -> Result<Doc, Error> {
    parse_body(stored.head.kind, &stored.head.id, &stored.body)
}

/// The document of a stored text.
///
/// # Errors
/// As [`parse_stored`].
pub fn parse_body(kind: ResourceType, id: &str, body: &Bytes) -> Result<Doc, Error> {
    Doc::parse_bytes(body, &resources::doc::Bounds::default()).map_err(|error| {
        tracing::error!(%kind, id, %error, "a stored resource cannot be parsed");
        Error::new(
            ErrorKind::Internal,
            "exception",
            format!("the stored text of {kind}/{id} is damaged; the operator must look at it"),
        )
    })
}

/// A stored version as it is handed out.
pub fn resource(stored: &Stored) -> Resource {
    Resource {
        kind: stored.head.kind,
        id: stored.head.id.clone(),
        version: stored.head.version,
        updated: stored.head.updated,
        body: stored.body.clone(),
    }
}
