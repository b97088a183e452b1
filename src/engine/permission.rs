//! The access decision over a resource that is at hand. Reads are filtered by the store; this is
//! for what a write would replace or make, for old versions, and for Binaries, which are what
//! their `securityContext` is.

use std::collections::{BTreeSet, HashSet};

use resources::{
    Doc, Value,
    index::{Entry, ParamId, key},
    model::ResourceType,
    primitive::Reference,
};

use super::{
    Engine,
    draft::{Draft, Verb},
    error::{Error, ErrorKind},
    operation::Target,
    planner::Newest,
    submit::parse_stored,
};
use crate::{
    access::{Access, Decision, Right, Rights},
    search::{
        About, Condition, Granted, access_clause, granted,
        matches::{Facts, Others, matches},
        plan::{Canonical, Clause, Plan, TotalMode},
    },
    store::Stored,
};

const BINARY: ResourceType = ResourceType::BINARY;

/// Either lets a resource be shown that something else led to.
pub(super) fn shown() -> Rights {
    Rights::of(&[Right::Read, Right::Search])
}

impl Verb {
    /// What it needs.
    pub(super) fn right(self) -> Right {
        match self {
            Self::Create => Right::Create,
            Self::Update | Self::Patch => Right::Update,
            Self::Delete => Right::Delete,
        }
    }
}

/// A resource, or what shall become one.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub kind: ResourceType,
    pub id: &'a str,
    pub updated: i64,
    pub doc: &'a Doc,
}

/// What a decision depends on beside the resource.
#[derive(Default)]
pub(super) struct Known {
    /// Who is related, by what says so.
    related: Vec<(Clause, HashSet<String>)>,
    /// What the resource's `securityContext` names may be seen.
    context: bool,
}

impl Engine {
    /// Refuses what no rule allows on any resource of the type, whatever is stored.
    pub(super) fn permit(&self, kind: ResourceType, access: &Access) -> Result<(), Error> {
        let Decision::Granted(grants) = access.decision() else {
            return Ok(());
        };
        if !granted(grants, kind, access.rights()).rules.is_empty() {
            return Ok(());
        }
        let letters: String = access.rights().each().map(Right::letter).collect();
        Err(forbidden(format!(
            "this needs a scope with {kind}.{letters}, and there is none"
        )))
    }

    /// Refuses a search over types none of which may be searched.
    pub(super) fn permit_some(&self, kinds: &[ResourceType], access: &Access) -> Result<(), Error> {
        let mut refused = None;
        for kind in kinds {
            match self.permit(*kind, access) {
                Ok(()) => return Ok(()),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Refuses a write that no rule allows, whatever is stored. A condition on Patient says
    /// whether there is such a patient, so it takes a rule that is about all of them.
    pub(super) fn permit_write(&self, draft: &Draft<'_>, access: &Access) -> Result<(), Error> {
        let kind = draft.kind;
        self.permit(kind, &access.to(draft.verb.right()))?;
        if !matches!(draft.target, Some(Target::Search(_))) {
            return Ok(());
        }
        self.permit(kind, &access.to(Right::Search))?;
        match access.decision() {
            Decision::Granted(grants)
                if kind == ResourceType::PATIENT
                    && !granted(grants, kind, Rights::of(&[Right::Search]))
                        .rules
                        .iter()
                        .any(|rule| rule.about == About::All) =>
            {
                Err(forbidden(
                    "a condition on Patient needs a scope for the patients of all, \
                     such as user/Patient.s; name the Patient by its id"
                        .to_owned(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// True if `access` hides some resources of the type.
    pub(super) fn is_limited(&self, kind: ResourceType, access: &Access) -> bool {
        match access.decision() {
            Decision::System(_) => false,
            Decision::Compartment { .. } => true,
            Decision::Granted(grants) => granted(grants, kind, access.rights()).clause.is_some(),
        }
    }

    /// True if nothing of the type is out of sight by whom it is about or what it says, so that
    /// an id of the caller's choosing is a new one or one that the caller knows of. For all others
    /// a PUT would tell by creating, or not, whether an id is taken. Who may replace them all knows
    /// of them all, too.
    pub(super) fn may_choose_ids(&self, kind: ResourceType, access: &Access) -> bool {
        let Decision::Granted(grants) = access.decision() else {
            return access.is_unrestricted();
        };
        let rights = shown().or(access.rights());
        let granted = granted(grants, kind, rights);
        let is_of_all = |rule: &Condition| rule.about == About::All && rule.clause.is_always();
        granted.rules.iter().any(is_of_all)
    }

    /// True if `access` hides some resources of the type, or of any.
    pub(super) fn hides(&self, kind: Option<ResourceType>, access: &Access) -> bool {
        match kind {
            Some(kind) => self.is_limited(kind, access),
            None if access.is_unrestricted() => false,
            None => ResourceType::all().any(|kind| self.is_limited(kind, access)),
        }
    }

    /// Whether `access` covers a version by what it says itself. Of a deletion, which says
    /// nothing, the version before it decides: who could not see that one shall not learn that
    /// it is gone.
    pub(super) async fn covers(&self, version: &Stored, access: &Access) -> Result<bool, Error> {
        self.decide(version, access, false).await
    }

    /// Whether `access` lets this version be replaced or deleted.
    async fn yields(&self, version: &Stored, access: &Access) -> Result<bool, Error> {
        self.decide(version, access, true).await
    }

    async fn decide(&self, version: &Stored, access: &Access, write: bool) -> Result<bool, Error> {
        let head = &version.head;
        if !self.is_limited(head.kind, access) {
            return Ok(true);
        }
        let before;
        let decisive = if head.deleted {
            let all = Access::system("what was deleted decides who may know of its deletion");
            let found = self
                .store
                .version(head.kind, &head.id, head.version - 1, &all)
                .await?;
            match found {
                Some(found) if !found.stored.head.deleted => before = found.stored,
                _ => return Ok(false),
            }
            &before
        } else {
            version
        };
        let doc = parse_stored(decisive)?;
        let subject = Subject {
            kind: head.kind,
            id: &head.id,
            updated: decisive.head.updated,
            doc: &doc,
        };
        let known = self.known(subject, access, write).await?;
        Ok(self.allows(subject, &known, access, write))
    }

    /// The newest versions of what is to be changed, in the order of `keys`, as far as any right of
    /// `access` could be enough for it; what [`Engine::newest`] makes of them depends on the right.
    ///
    /// What it hides is not looked into, so that it costs as little as what is not there.
    pub(super) async fn at_hand(
        &self,
        keys: &[(ResourceType, &str)],
        access: &Access,
    ) -> Result<Vec<Newest>, Error> {
        let any = shown().or(Rights::of(&[Right::Update, Right::Delete]));
        let access = &access.to_any(any);
        let found = self.store.current(keys, access).await?;
        let mut newest: Vec<Newest> = (found.into_iter())
            .map(|found| found.map_or(Newest::Missing, Newest::Seen))
            .collect();
        let hidden: Vec<usize> = (0..newest.len())
            .filter(|at| matches!(newest[*at], Newest::Missing))
            .filter(|at| self.is_limited(keys[*at].0, access))
            .collect();
        if hidden.is_empty() {
            return Ok(newest);
        }
        let keys: Vec<_> = hidden.iter().map(|at| keys[*at]).collect();
        let all = Access::system("a write must know of what it would replace, to refuse it");
        let found = self.store.current(&keys, &all).await?;
        for ((at, (kind, _)), found) in hidden.into_iter().zip(keys).zip(found) {
            newest[at] = match found {
                None => Newest::Missing,
                // What no index knows: the version before a deletion and a `securityContext`.
                Some(stored) if stored.head.deleted || self.is_by_context(kind, access) => {
                    Newest::Seen(stored)
                }
                Some(_) => Newest::Hidden,
            };
        }
        Ok(newest)
    }

    /// What is to be done with the newest version, as far as `access`, which says how it would be
    /// changed, lets it.
    pub(super) async fn newest(
        &self,
        stored: Stored,
        verb: Verb,
        access: &Access,
    ) -> Result<Newest, Error> {
        // The match of a conditional create: a search found it, and it stays as it is.
        if verb == Verb::Create || self.yields(&stored, access).await? {
            return Ok(Newest::Seen(stored));
        }
        let is_granted = matches!(access.decision(), Decision::Granted(_));
        if is_granted && self.covers(&stored, &access.to_any(shown())).await? {
            return Ok(Newest::Kept);
        }
        Ok(Newest::Hidden)
    }

    /// Refuses to delete what may be seen, but not deleted.
    pub(super) async fn check_deletions(
        &self,
        several: &[Stored],
        access: &Access,
    ) -> Result<(), Error> {
        for stored in several {
            if !self.yields(stored, access).await? {
                return Err(kept(stored.head.kind, &stored.head.id, Verb::Delete));
            }
        }
        Ok(())
    }

    /// True if a decision about resources of the type depends on more than they say.
    pub(super) fn needs_known(&self, kind: ResourceType, access: &Access) -> bool {
        let Decision::Granted(grants) = access.decision() else {
            return false;
        };
        let granted = granted(grants, kind, access.rights());
        let is_open = |rule: &Condition| matches!(rule.about, About::Related(_) | About::Context);
        granted.by_context || granted.rules.iter().any(is_open)
    }

    /// What else must be known for a decision about `subject`.
    pub(super) async fn known(
        &self,
        subject: Subject<'_>,
        access: &Access,
        write: bool,
    ) -> Result<Known, Error> {
        let mut known = Known::default();
        let Decision::Granted(grants) = access.decision() else {
            return Ok(known);
        };
        let granted = granted(grants, subject.kind, access.rights());
        if subject.kind == BINARY
            && let Some((kind, id)) = self.context(subject.doc)
        {
            let shown = access.to_any(shown());
            let found = self.store.current(&[(kind, &id)], &shown).await?;
            let found = found.into_iter().next().flatten();
            known.context = match found.filter(|found| !found.head.deleted) {
                Some(found) if kind != BINARY => {
                    Box::pin(self.decide(&found, &shown, write)).await?
                }
                _ => false,
            };
        }
        let mut patients = None;
        for rule in &granted.rules {
            let About::Related(how) = &rule.about else {
                continue;
            };
            if known.related.iter().any(|(known, _)| known == how) {
                continue;
            }
            let patients = patients.get_or_insert_with(|| self.patients(subject));
            let related = self.those_related(how, patients).await?;
            known.related.push((how.clone(), related));
        }
        Ok(known)
    }

    /// Those of the patients who satisfy the condition.
    async fn those_related(
        &self,
        how: &Clause,
        patients: &BTreeSet<String>,
    ) -> Result<HashSet<String>, Error> {
        if patients.is_empty() {
            return Ok(HashSet::new());
        }
        let ids = Clause::Ids(patients.iter().cloned().collect());
        let plan = Plan {
            types: vec![ResourceType::PATIENT],
            filter: Clause::All(vec![ids, how.clone()]),
            sort: Vec::new(),
            limit: patients.len(),
            after: None,
            total: TotalMode::None,
        };
        let all = Access::system("who is whose business decides what may be seen");
        let page = self.store.search(&plan, &all).await?;
        Ok(page
            .hits
            .into_iter()
            .map(|hit| hit.stored.head.id)
            .collect())
    }

    /// Whether `access` covers what `subject` says; what is written must be so as a whole.
    pub(super) fn allows(
        &self,
        subject: Subject<'_>,
        known: &Known,
        access: &Access,
        write: bool,
    ) -> bool {
        self.allows_by(subject, known, access, write, &|_| true)
    }

    /// Whether it is one's work, and not being the patient, that lets `subject` be written. What
    /// is no grant is no patient's either, but for a compartment.
    pub(super) async fn writes_by_work(
        &self,
        subject: Subject<'_>,
        access: &Access,
    ) -> Result<bool, Error> {
        let Decision::Granted(grants) = access.decision() else {
            return Ok(access.is_unrestricted());
        };
        let access = &access.to_any(Rights::of(&[Right::Create, Right::Update]));
        let granted = granted(grants, subject.kind, access.rights());
        if granted.rules.iter().all(|rule| rule.own) {
            return Ok(false);
        }
        if granted.rules.iter().all(|rule| !rule.own) {
            return Ok(true);
        }
        let known = self.known(subject, access, true).await?;
        Ok(self.allows_by(subject, &known, access, true, &|rule| !rule.own))
    }

    fn allows_by(
        &self,
        subject: Subject<'_>,
        known: &Known,
        access: &Access,
        write: bool,
        which: &dyn Fn(&Condition) -> bool,
    ) -> bool {
        let registry = self.registry();
        let Some(clause) = access_clause(access, subject.kind, &registry) else {
            return true;
        };
        // The clauses ask for what parameters find; `Registry::rows` has not all of that.
        let base_url = &self.settings.base_url;
        let entries = registry.extract(subject.kind, subject.doc, base_url);
        let facts = facts(subject, &entries);
        let Decision::Granted(grants) = access.decision() else {
            return matches(&clause, &facts, known);
        };
        let granted = granted(grants, subject.kind, access.rights());
        if !write && !granted.by_context {
            return matches(&clause, &facts, known);
        }
        if is_withheld(&granted, &facts, known) {
            return false;
        }
        if granted.by_context && self.context(subject.doc).is_some() && !known.context {
            return false;
        }
        let patients = match write {
            true => self.patients(subject),
            false => BTreeSet::new(),
        };
        let mut rules = granted.rules.iter().filter(|rule| which(rule));
        rules.any(|rule| matches(&rule.clause, &facts, known) && is_about(rule, &patients, known))
    }

    /// All patients that a resource names anywhere, also in what it contains, and itself, if it
    /// is one. A reference under this server's address that is no resource's counts as one more:
    /// `…/Patient/1/../2` is the address of a patient to whoever reads it less strictly.
    fn patients(&self, subject: Subject<'_>) -> BTreeSet<String> {
        let base_url = self.settings.base_url.as_str();
        let is_here = |url: &str| {
            let begin = url.get(..base_url.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(base_url))
        };
        let mut found = BTreeSet::new();
        for value in subject.doc.root().descendants() {
            let Some(text) = value.as_str() else {
                found.extend(by_identifier(value));
                continue;
            };
            let is_reference = value.name() == "reference";
            if !is_reference && !text.contains("Patient/") {
                continue;
            }
            match Reference::parse_within(&text, base_url) {
                Some(Reference::Local { kind, id, .. }) if kind == ResourceType::PATIENT => {
                    found.insert(id.to_owned());
                }
                Some(Reference::Absolute { url, .. }) if is_reference && is_here(url) => {
                    found.insert(url.to_owned());
                }
                _ => {}
            }
        }
        if subject.kind == ResourceType::PATIENT {
            found.insert(subject.id.to_owned());
        }
        found
    }

    /// What a Binary's `securityContext` names, if it is a resource of this server. Another
    /// Binary decides nothing.
    fn context(&self, doc: &Doc) -> Option<(ResourceType, String)> {
        let reference = doc.root().get("securityContext")?.get("reference")?;
        let text = reference.as_str()?;
        match Reference::parse_within(&text, &self.settings.base_url)? {
            Reference::Local { kind, id, .. } => Some((kind, id.to_owned())),
            _ => None,
        }
    }

    /// True if resources of the type are visible as what their `securityContext` names is. No
    /// index knows that, so such a Binary can be read, and searches do not find it.
    pub(super) fn is_by_context(&self, kind: ResourceType, access: &Access) -> bool {
        match access.decision() {
            Decision::Granted(grants) if kind == BINARY => {
                granted(grants, kind, access.rights()).by_context
            }
            _ => false,
        }
    }

    /// The newest version of a resource, even a deletion, if `access` lets it be seen.
    pub(super) async fn seen(
        &self,
        kind: ResourceType,
        id: &str,
        access: &Access,
    ) -> Result<Option<Stored>, Error> {
        if !self.is_by_context(kind, access) {
            let found = self.store.current(&[(kind, id)], access).await?;
            return Ok(found.into_iter().next().flatten());
        }
        let all = Access::system("what a Binary says decides who may see it");
        let found = self.store.current(&[(kind, id)], &all).await?;
        match found.into_iter().next().flatten() {
            Some(stored) if self.covers(&stored, access).await? => Ok(Some(stored)),
            _ => Ok(None),
        }
    }
}

/// What stands for the patient whom a reference names by an identifier alone: who that is cannot be
/// told, so it is nobody whom a rule could list.
fn by_identifier(value: Value<'_>) -> Option<String> {
    let of_patient = match value.get("type").and_then(|kind| kind.as_str()) {
        Some(kind) => kind == "Patient",
        None => matches!(value.name(), "subject" | "patient" | "beneficiary" | "for"),
    };
    let is_bare = of_patient
        && value.get("reference").is_none()
        && value.get("identifier").is_some_and(|one| one.is_object());
    is_bare.then(|| "(by identifier)".to_owned())
}

fn facts<'a>(subject: Subject<'a>, entries: &'a [Entry]) -> Facts<'a> {
    Facts {
        kind: subject.kind,
        id: subject.id,
        updated: subject.updated,
        entries,
        text: None,
    }
}

fn is_withheld(granted: &Granted, facts: &Facts<'_>, known: &Known) -> bool {
    let denied = granted.denied.as_ref();
    denied.is_some_and(|denied| matches(denied, facts, known))
}

/// True if the rule is about all of the patients.
fn is_about(rule: &Condition, patients: &BTreeSet<String>, known: &Known) -> bool {
    match &rule.about {
        About::All => true,
        About::These(own) => patients.iter().all(|id| own.contains(id)),
        About::Related(how) => patients.iter().all(|id| known.is_related(how, id)),
        About::Context => known.context,
    }
}

/// The refusal to change what may be seen.
pub(super) fn kept(kind: ResourceType, id: &str, verb: Verb) -> Error {
    let what = match verb {
        Verb::Delete => "deleted",
        _ => "changed",
    };
    forbidden(format!(
        "{kind}/{id} may be read, but not {what}, with what you were granted"
    ))
}

fn forbidden(text: String) -> Error {
    Error::new(ErrorKind::Forbidden, "forbidden", text)
}

impl Known {
    fn is_related(&self, how: &Clause, id: &str) -> bool {
        let known = self.related.iter().find(|(known, _)| known == how);
        known.is_some_and(|(_, patients)| patients.contains(id))
    }
}

/// The clauses of an access decision lead from a resource to its Patient, and from there to what
/// makes them somebody's business.
impl Others for Known {
    fn target(&self, _: ResourceType, ids: &[&str], inner: &Clause) -> bool {
        match inner {
            Clause::Not(how) => ids.iter().any(|id| !self.is_related(how, id)),
            how => ids.iter().any(|id| self.is_related(how, id)),
        }
    }

    fn named(&self, _: ResourceType, _: Canonical, _: &[&[u8]], _: &Clause) -> bool {
        false
    }

    fn source(
        &self,
        source: ResourceType,
        param: ParamId,
        keys: &[Vec<u8>],
        inner: &Clause,
    ) -> bool {
        let ids = || keys.iter().filter_map(|key| key::read_reference(key));
        let mut with = (self.related.iter()).filter(|(how, _)| is_way(how, source, param, inner));
        with.any(|(_, patients)| ids().any(|(_, id)| patients.contains(id)))
    }
}

/// True if a `source` that satisfies `inner` is one of the ways to be related as `how` says:
/// whoever is found by one of them is.
fn is_way(how: &Clause, source: ResourceType, param: ParamId, inner: &Clause) -> bool {
    match how {
        Clause::Decided(part) => is_way(part, source, param, inner),
        Clause::Any(parts) => (parts.iter()).any(|part| is_way(part, source, param, inner)),
        Clause::ReferredBy {
            source: by,
            param: with,
            inner: end,
            ..
        } => *by == source && *with == param && **end == *inner,
        _ => false,
    }
}
