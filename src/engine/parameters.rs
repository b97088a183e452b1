//! Search parameters that users post: registered at once, indexed in the background, and refused
//! in searches until that is done.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock as SyncRwLock},
};

use resources::{
    Doc,
    index::{Custom, Definition, ParamId, Registry},
    model::ResourceType,
    outcome::Issue,
};
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

use super::{
    Engine,
    error::{Error, ErrorKind},
    planner::difference,
    search::parameters,
};
use crate::{
    access::Access,
    search::plan::{Clause, Plan, SortKey, TotalMode},
    store::{Change, Commit, Parameter, ParameterState, Reindex},
};

/// Resources looked at in one step of indexing.
const STEP: usize = 200;
/// Steps after which the place is written down.
const REMEMBER: usize = 20;

/// What is known about the parameters that are not searchable yet.
#[derive(Default)]
pub struct Indexing {
    pending: SyncRwLock<HashMap<ParamId, String>>,
    /// One change of the set of parameters at a time.
    changing: Mutex<()>,
    /// Writes hold it to read from planning to commit. Whoever exchanges the registry takes it
    /// whole, so that no write planned with the old one is committed after indexing began.
    epoch: RwLock<()>,
}

/// What a commit changes about the parameters: id of the SearchParameter, and its new text.
pub type Changes = Vec<(String, Option<String>)>;

impl Indexing {
    /// Held by a write from planning to commit.
    pub async fn writing(&self) -> RwLockReadGuard<'_, ()> {
        self.epoch.read().await
    }

    fn set_pending(&self, id: ParamId, code: &str) {
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        pending.insert(id, code.to_owned());
    }

    fn set_ready(&self, id: ParamId) {
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        pending.remove(&id);
    }
}

impl Engine {
    /// Refuses a search by a parameter that would find too little.
    pub(super) fn check_indexed(&self, plan: &Plan) -> Result<(), Error> {
        let pending = self
            .indexing
            .pending
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if pending.is_empty() {
            return Ok(());
        }
        let mut used = Vec::new();
        parameters(&plan.filter, &mut used);
        for sort in &plan.sort {
            if let SortKey::Keys { params, .. } = &sort.by {
                used.extend(params);
            }
        }
        let Some(code) = used.iter().find_map(|id| pending.get(id)) else {
            return Ok(());
        };
        let mut error = Error::new(
            ErrorKind::Unavailable,
            "transient",
            format!(
                "the search parameter '{code}' is still being indexed; \
                 a search by it would find too little, so try again later"
            ),
        );
        error.retry_after = Some(5);
        Err(error)
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
            if write.change == Change::Delete {
                changes.push((write.id.clone(), None));
                continue;
            }
            let doc = super::draft::parse(write.body.clone())?;
            self.check_usable(&doc)
                .map_err(|issue| Error::with(ErrorKind::Unprocessable, vec![issue]))?;
            changes.push((write.id.clone(), Some(write.body.clone())));
        }
        Ok(changes)
    }

    fn check_usable(&self, doc: &Doc) -> Result<(), Issue> {
        refuse_changed(doc)?;
        let Some(definition) = self.usable(doc)? else {
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

    /// What an active SearchParameter asks to be indexed. Those of R4 are there already.
    fn usable(&self, doc: &Doc) -> Result<Option<Definition>, Issue> {
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

    /// Brings the registry in line with what was committed, even if the client goes away
    /// meanwhile. A failure leaves the parameters as they were until the next start, which looks
    /// at all of them.
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

    async fn change_parameters(&self, changes: Changes) -> Result<(), Error> {
        let _turn = self.indexing.changing.lock().await;
        let mut rows = self.store.parameters().await?;
        let mut next = rows
            .iter()
            .map(|row| row.id.0 + 1)
            .max()
            .unwrap_or(ParamId::FIRST_CUSTOM.0);
        let mut changed = Vec::new();
        for (id, text) in changes {
            let wanted = match &text {
                Some(text) => self.wanted(text)?,
                None => None,
            };
            let (gone, new) = compare(&rows, &id, wanted);
            for at in gone {
                rows[at].state = ParameterState::Retired;
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
        if changed.is_empty() {
            return Ok(());
        }
        for row in &changed {
            if row.state == ParameterState::Indexing {
                self.indexing.set_pending(row.id, &row.code);
            }
            self.store.put_parameter(row.clone()).await?;
        }
        let _all = self.indexing.epoch.write().await;
        self.use_parameters(&self.store.parameters().await?);
        for row in changed {
            self.index_in_background(row);
        }
        Ok(())
    }

    fn wanted(&self, text: &str) -> Result<Option<Definition>, Error> {
        let doc = super::draft::parse(text)?;
        self.usable(&doc)
            .map_err(|issue| Error::with(ErrorKind::Unprocessable, vec![issue]))
    }

    /// Takes over what the store says about posted parameters, and looks for SearchParameters
    /// that were committed just before the program ended.
    pub(super) async fn load_parameters(&self) -> Result<(), Error> {
        let rows = self.store.parameters().await?;
        for row in &rows {
            if row.state == ParameterState::Indexing {
                self.indexing.set_pending(row.id, &row.code);
            }
        }
        self.use_parameters(&rows);
        for row in rows {
            if row.state == ParameterState::Indexing {
                self.index_in_background(row);
            }
        }
        let missed = self.stored_parameters().await?;
        self.parameters_changed(missed).await;
        Ok(())
    }

    /// All SearchParameters that users have stored.
    async fn stored_parameters(&self) -> Result<Changes, Error> {
        let all = Access::system("search parameters are the same for everybody");
        let mut plan = Plan {
            types: vec![ResourceType::SEARCH_PARAMETER],
            filter: Clause::All(Vec::new()),
            sort: Vec::new(),
            limit: STEP,
            after: None,
            total: TotalMode::None,
        };
        let mut changes = Changes::new();
        loop {
            let page = self.store.search(&plan, &all).await?;
            for hit in &page.hits {
                let text = String::from_utf8_lossy(&hit.stored.body).into_owned();
                changes.push((hit.stored.head.id.clone(), Some(text)));
            }
            plan.after = page.hits.last().map(|hit| hit.position.clone());
            if !page.more || plan.after.is_none() {
                return Ok(changes);
            }
        }
    }

    /// Makes a registry of R4's parameters and the posted ones that can be used.
    fn use_parameters(&self, rows: &[Parameter]) {
        let mut customs: Vec<Custom> = Vec::new();
        let mut registry = Registry::builtin();
        for row in rows {
            if row.state == ParameterState::Retired {
                continue;
            }
            let custom = super::draft::parse(row.definition.as_str())
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
        self.registry.store(Arc::new(registry));
        self.computed.forget();
    }

    fn index_in_background(&self, row: Parameter) {
        let Some(engine) = self.me.upgrade() else {
            return;
        };
        // It holds the engine only for a step at a time, so that the engine can be dropped.
        let engine = Arc::downgrade(&engine);
        tokio::spawn(async move {
            let mut row = row;
            let mut after = row.done.max((row.base.number() << 44) - 1);
            let mut steps = 0_usize;
            loop {
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                match engine.index_step(&row, after).await {
                    Ok(Some(reached)) => {
                        after = reached;
                        steps += 1;
                        if steps.is_multiple_of(REMEMBER) && row.state == ParameterState::Indexing {
                            row.done = after;
                            engine.remember(&row).await;
                        }
                    }
                    Ok(None) => break engine.indexed_all(row).await,
                    Err(error) => {
                        tracing::warn!(%error, code = row.code, "indexing waits and goes on");
                        drop(engine);
                        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
                    }
                }
            }
        });
    }

    async fn remember(&self, row: &Parameter) {
        if let Err(error) = self.store.put_parameter(row.clone()).await {
            tracing::warn!(%error, code = row.code, "the place of indexing was not written down");
        }
    }

    async fn indexed_all(&self, mut row: Parameter) {
        if row.state != ParameterState::Indexing {
            return;
        }
        row.state = ParameterState::Ready;
        row.done = 0;
        let _turn = self.indexing.changing.lock().await;
        let retired = match self.store.parameters().await {
            Ok(rows) => rows
                .iter()
                .any(|now| now.id == row.id && now.state == ParameterState::Retired),
            Err(_) => false,
        };
        if !retired {
            self.remember(&row).await;
            tracing::info!(code = row.code, base = %row.base, "a search parameter is indexed");
        }
        self.indexing.set_ready(row.id);
    }

    /// Brings the entries of the next resources in line; how far it came, `None` at the end.
    async fn index_step(&self, row: &Parameter, after: i64) -> Result<Option<i64>, Error> {
        let all = Access::system("every resource is indexed");
        let found = self.store.indexed(after, STEP, &all).await?;
        let registry = self.registry();
        let mut changes = Vec::new();
        let mut reached = None;
        for indexed in found {
            let head = &indexed.stored.head;
            if head.kind != row.base {
                break;
            }
            reached = Some(head.rid);
            let doc = super::submit::parse_stored(&indexed.stored)?;
            let new = registry.rows(head.kind, &doc, &self.settings.base_url);
            let (add, remove) = difference(indexed.entries, new);
            if !add.is_empty() || !remove.is_empty() {
                changes.push(Reindex {
                    rid: head.rid,
                    version: head.version,
                    add,
                    remove,
                });
            }
        }
        let wanted = changes.len();
        if wanted > 0 && self.store.reindex(changes).await? < wanted {
            // Somebody wrote one of them in between: look at the same ones again.
            return Ok(Some(after));
        }
        Ok(reached)
    }
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
