//! Search parameters that users post: registered at once, indexed in the background
//! ([`super::indexing`]), and refused in searches until that is done.
//!
//! Several nodes can work on one database. The list of parameters is in the store and has a
//! generation; each node keeps the list that it read last, says in each commit which one that
//! was, and reads it again when the store refuses the commit, when a search uses a posted
//! parameter, and from time to time.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex as SyncMutex, PoisonError},
};

use arc_swap::ArcSwap;
use resources::{
    Doc,
    index::{Custom, Definition, ParamId, Registry},
    model::ResourceType,
    outcome::Issue,
};
use tokio::sync::Mutex;

use super::{
    Engine,
    draft::parse,
    error::{Error, ErrorKind},
    search::parameters,
};
use crate::{
    access::Access,
    search::plan::{Clause, Plan, SortKey, TotalMode},
    store::{Change, Commit, Parameter, ParameterState, StoreError},
};

static ACCESS: Access = Access::system("search parameters are the same for everybody");
/// SearchParameters that are read together.
const PAGE: usize = 200;

/// The search parameters as this node read them last.
#[derive(Debug)]
pub struct Known {
    /// Of the list in the store.
    pub generation: i64,
    /// R4's parameters and the posted ones.
    pub registry: Arc<Registry>,
    /// The posted ones.
    pub posted: Vec<Parameter>,
}

/// What this node knows and does about search parameters.
pub struct Parameters {
    known: ArcSwap<Known>,
    /// One reads the list at a time, so that an older one never replaces a newer one.
    reading: Mutex<()>,
    /// Those whose indexing this node works on.
    pub(super) at_work: SyncMutex<HashSet<ParamId>>,
}

/// What a commit changes about the parameters: ids of SearchParameters.
pub type Changes = Vec<String>;

impl Default for Parameters {
    fn default() -> Self {
        Self {
            known: ArcSwap::from_pointee(Known {
                generation: 0,
                registry: Arc::new(Registry::builtin()),
                posted: Vec::new(),
            }),
            reading: Mutex::default(),
            at_work: SyncMutex::default(),
        }
    }
}

impl Parameters {
    /// What was read last.
    pub fn known(&self) -> Arc<Known> {
        self.known.load_full()
    }

    /// True for the first to ask: who gets it works on the parameter.
    pub(super) fn take(&self, id: ParamId) -> bool {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        at_work.insert(id)
    }

    /// Somebody else may work on the parameter.
    pub(super) fn leave(&self, id: ParamId) {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        at_work.remove(&id);
    }
}

impl Engine {
    /// Refuses a search by a parameter that would find too little.
    pub(super) async fn check_indexed(&self, plan: &Plan) -> Result<(), Error> {
        let mut used = Vec::new();
        parameters(&plan.filter, &mut used);
        for sort in &plan.sort {
            if let SortKey::Keys { params, .. } = &sort.by {
                used.extend(params);
            }
        }
        used.retain(|id| id.is_custom());
        if used.is_empty() {
            return Ok(());
        }
        // Another node may have changed them.
        let known = self.newest_parameters().await?;
        for id in used {
            let posted = known.posted.iter().find(|posted| posted.id == id);
            let sentence = match posted.map(|posted| (posted.state, &posted.code)) {
                Some((ParameterState::Ready, _)) => continue,
                Some((ParameterState::Indexing, code)) => format!(
                    "the search parameter '{code}' is still being indexed; \
                     a search by it would find too little, so try again later"
                ),
                _ => "a search parameter of this search has just been changed; \
                      send the request again"
                    .to_owned(),
            };
            let mut error = Error::new(ErrorKind::Unavailable, "transient", sentence);
            error.retry_after = Some(5);
            return Err(error);
        }
        Ok(())
    }

    /// The search parameters, read again if they have changed.
    pub(super) async fn newest_parameters(&self) -> Result<Arc<Known>, StoreError> {
        let known = self.parameters.known();
        if self.store.generation().await? == known.generation {
            return Ok(known);
        }
        self.read_parameters().await
    }

    /// Reads the search parameters from the store.
    pub(super) async fn read_parameters(&self) -> Result<Arc<Known>, StoreError> {
        let _turn = self.parameters.reading.lock().await;
        let (generation, posted) = self.store.parameters().await?;
        let before = self.parameters.known();
        let in_force = |posted: &[Parameter]| -> Vec<ParamId> {
            let mut posted = posted.to_vec();
            posted.retain(|parameter| parameter.state != ParameterState::Retired);
            posted.into_iter().map(|parameter| parameter.id).collect()
        };
        let is_same = in_force(&before.posted) == in_force(&posted);
        let known = Arc::new(Known {
            generation,
            registry: if is_same {
                Arc::clone(&before.registry)
            } else {
                Arc::new(registry_of(&posted))
            },
            posted,
        });
        self.parameters.known.store(Arc::clone(&known));
        if !is_same {
            self.computed.forget();
        }
        Ok(known)
    }

    /// What a commit will change about the parameters.
    ///
    /// # Errors
    /// A SearchParameter is active but cannot be used, with the reason.
    pub(super) fn parameter_changes(&self, commit: &Commit) -> Result<Changes, Error> {
        let mut changes = Changes::new();
        let of_interest = commit
            .writes
            .iter()
            .filter(|write| write.kind == ResourceType::SEARCH_PARAMETER);
        for write in of_interest {
            if write.change != Change::Delete {
                let doc = parse(write.body.clone())?;
                self.check_usable(&doc)
                    .map_err(|issue| Error::with(ErrorKind::Unprocessable, vec![issue]))?;
            }
            changes.push(write.id.clone());
        }
        Ok(changes)
    }

    fn check_usable(&self, doc: &Doc) -> Result<(), Issue> {
        refuse_changed(doc)?;
        let Some(definition) = usable(doc)? else {
            return Ok(());
        };
        let registry = self.registry();
        let taken = definition.bases.iter().find_map(|base| {
            let known = registry.param(*base, &definition.code)?;
            (known.id.is_custom() && known.url != definition.url).then_some(known)
        });
        if let Some(known) = taken {
            let text = format!(
                "the code '{}' of {} is taken by {}; choose another",
                known.code, known.base, known.url
            );
            return Err(Issue::error("duplicate", text).at("SearchParameter.code"));
        }
        let customs = definition
            .bases
            .iter()
            .zip(ParamId::FIRST_CUSTOM.0..)
            .map(|(base, number)| Custom {
                id: ParamId(number),
                base: *base,
                definition: definition.clone(),
            })
            .collect();
        Registry::builtin().with_custom(customs).map(|_| ())
    }

    /// Brings the parameters in line with what was committed, even if the client goes away
    /// meanwhile. A failure leaves them as they were until the next start, which looks at all of
    /// them.
    pub(super) async fn parameters_changed(&self, changes: Changes) {
        let Some(engine) = self.me.upgrade().filter(|_| !changes.is_empty()) else {
            return;
        };
        let change = tokio::spawn(async move { engine.change_parameters(changes).await });
        match change.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "search parameters were stored but not put to use");
            }
            Err(error) => {
                tracing::error!(%error, "search parameters were stored but not put to use");
            }
        }
    }

    async fn change_parameters(&self, changes: Changes) -> Result<(), StoreError> {
        let changed = self
            .store
            .change_parameters(changes, decide, &ACCESS)
            .await?;
        if changed.is_empty() {
            return Ok(());
        }
        // When this fails, the work in the background does it.
        let raised = self.store.raise_generation().await;
        let known = self.read_parameters().await;
        for parameter in changed {
            self.index_in_background(parameter, raised.as_ref().ok().copied());
        }
        raised.and(known).map(drop)
    }

    /// Takes over what the store says about posted parameters, and looks for SearchParameters
    /// that were committed just before the program ended.
    pub(super) async fn load_parameters(&self) -> Result<(), Error> {
        let known = self.read_parameters().await?;
        for parameter in &known.posted {
            if parameter.is_unfinished() {
                self.index_in_background(parameter.clone(), None);
            }
        }
        let missed = self.stored_parameters().await?;
        self.parameters_changed(missed).await;
        self.watch_parameters();
        Ok(())
    }

    /// The ids of all SearchParameters that users have stored.
    async fn stored_parameters(&self) -> Result<Changes, Error> {
        let mut plan = Plan {
            types: vec![ResourceType::SEARCH_PARAMETER],
            filter: Clause::All(Vec::new()),
            sort: Vec::new(),
            limit: PAGE,
            after: None,
            total: TotalMode::None,
        };
        let mut changes = Changes::new();
        loop {
            let page = self.store.search(&plan, &ACCESS).await?;
            changes.extend(page.hits.iter().map(|hit| hit.stored.head.id.clone()));
            plan.after = page.hits.last().map(|hit| hit.position.clone());
            if !page.more || plan.after.is_none() {
                return Ok(changes);
            }
        }
    }
}

/// A registry of R4's parameters and the posted ones that can be used.
fn registry_of(rows: &[Parameter]) -> Registry {
    let mut customs: Vec<Custom> = Vec::new();
    let mut registry = Registry::builtin();
    for row in rows {
        if row.state == ParameterState::Retired {
            continue;
        }
        let custom = parse(row.definition.as_str())
            .ok()
            .and_then(|doc| Definition::parse(&doc).ok())
            .map(|definition| Custom {
                id: row.id,
                base: row.base,
                definition,
            });
        let Some(custom) = custom else {
            tracing::error!(code = row.code, "a stored search parameter cannot be read");
            continue;
        };
        customs.push(custom);
        match Registry::builtin().with_custom(customs.clone()) {
            Ok(with) => registry = with,
            Err(issue) => {
                customs.pop();
                tracing::error!(
                    code = row.code,
                    reason = issue.diagnostics,
                    "a stored search parameter can no longer be used"
                );
            }
        }
    }
    registry
}

/// What an active SearchParameter asks to be indexed. Those of R4 are there already.
fn usable(doc: &Doc) -> Result<Option<Definition>, Issue> {
    let text = |name: &str| doc.root().get(name).and_then(|value| value.as_str());
    if text("status").as_deref() != Some("active") {
        return Ok(None);
    }
    let own = text("url").is_some_and(|url| {
        profiles::definitions::by_url(ResourceType::SEARCH_PARAMETER, &url).is_some()
    });
    if own {
        return Ok(None);
    }
    Definition::parse(doc).map(Some)
}

/// The parameters that are new or retired, given those that are there and the newest texts of
/// SearchParameters.
fn decide(mut rows: Vec<Parameter>, texts: Vec<(String, Option<String>)>) -> Vec<Parameter> {
    let newest = rows.iter().map(|row| row.id.0).max();
    let mut next = newest.map_or(ParamId::FIRST_CUSTOM.0, |newest| newest + 1);
    let mut changed = Vec::new();
    for (id, text) in texts {
        let wanted = match text
            .as_deref()
            .map(|text| Doc::parse(text).map(|doc| usable(&doc)))
        {
            None => None,
            Some(Ok(Ok(wanted))) => wanted,
            Some(Ok(Err(_)) | Err(_)) => {
                tracing::error!(id, "a stored SearchParameter cannot be used any more");
                continue;
            }
        };
        let (gone, new) = compare(&rows, &id, wanted);
        for at in gone {
            rows[at].state = ParameterState::Retired;
            rows[at].done = 0;
            changed.push(rows[at].clone());
        }
        for (base, definition) in new {
            changed.push(Parameter {
                id: ParamId(next),
                base,
                code: definition.code,
                definition: text.clone().unwrap_or_default(),
                state: ParameterState::Indexing,
                done: 0,
            });
            next += 1;
        }
    }
    changed
}

/// Refuses an active SearchParameter that says something else than R4 under R4's URL: the server
/// keeps to R4's.
fn refuse_changed(doc: &Doc) -> Result<(), Issue> {
    let text = |doc: &Doc, name: &str| Some(doc.root().get(name)?.as_str()?.into_owned());
    let Some(url) = text(doc, "url").filter(|_| text(doc, "status").as_deref() == Some("active"))
    else {
        return Ok(());
    };
    let own = profiles::definitions::by_url(ResourceType::SEARCH_PARAMETER, &url)
        .and_then(|own| Doc::parse(profiles::definitions::body(own)).ok());
    let changed = ["code", "type", "expression"].into_iter().find(|name| {
        own.as_ref()
            .is_some_and(|own| text(own, name) != text(doc, name))
    });
    match changed {
        None => Ok(()),
        Some(name) => Err(Issue::error(
            "business-rule",
            format!(
                "'{url}' is a search parameter of FHIR R4, and its {name} is another there; give \
                 yours a url and a code of its own, or another status than active"
            ),
        )
        .at(format!("SearchParameter.{name}"))),
    }
}

/// Which rows go, and for which types new ones come.
fn compare(
    rows: &[Parameter],
    id: &str,
    wanted: Option<Definition>,
) -> (Vec<usize>, BTreeMap<ResourceType, Definition>) {
    let mut new: BTreeMap<ResourceType, Definition> = wanted
        .iter()
        .flat_map(|definition| {
            definition
                .bases
                .iter()
                .map(|base| (*base, definition.clone()))
        })
        .collect();
    let mut gone = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if row.state == ParameterState::Retired {
            continue;
        }
        let Ok(doc) = Doc::parse(row.definition.as_str()) else {
            continue;
        };
        let of_resource = doc.root().get("id").and_then(|own| own.as_str());
        if of_resource.as_deref() != Some(id) {
            continue;
        }
        let before = Definition::parse(&doc).ok();
        let same = match (&before, new.get(&row.base)) {
            (Some(before), Some(after)) => {
                before.code == after.code
                    && before.kind == after.kind
                    && before.expression == after.expression
                    && before.targets == after.targets
                    && before.components == after.components
            }
            _ => false,
        };
        if same {
            new.remove(&row.base);
        } else {
            gone.push(at);
        }
    }
    (gone, new)
}
