//! What a search needs of terminology: the codes of value sets, and what a code subsumes. Value
//! sets and code systems that users stored come before those of the standard.

use std::{collections::HashMap, sync::Arc};

use profiles::{
    definitions,
    terminology::{self, Lookup},
};
use resources::{Doc, index::key, model::ResourceType, outcome::Issue};

use super::{
    Engine,
    error::{Error, ErrorKind},
    hierarchy::Family,
    submit::{parse_body, parse_stored},
};
use crate::{
    access::Access,
    search::{
        Need, Resolved,
        plan::{Clause, KeyRange, Plan, Sort, SortKey, TotalMode},
    },
};

/// Value sets and code systems that one search may touch.
const MAX_RESOURCES: usize = 200;

/// [`terminology::descendants`] or [`terminology::ancestors`].
type Walk = fn(&str, &str, &dyn Lookup, usize) -> Result<Vec<String>, Issue>;

/// What was stored, by type and canonical URL.
#[derive(Default)]
struct Shelf(HashMap<(ResourceType, String), Arc<Doc>>);

impl Lookup for Shelf {
    fn value_set(&self, canonical: &str) -> Option<Arc<Doc>> {
        self.find(ResourceType::VALUE_SET, canonical)
    }

    fn code_system(&self, canonical: &str) -> Option<Arc<Doc>> {
        self.find(ResourceType::CODE_SYSTEM, canonical)
    }
}

impl Shelf {
    fn find(&self, kind: ResourceType, canonical: &str) -> Option<Arc<Doc>> {
        self.0.get(&(kind, canonical.to_owned())).cloned()
    }
}

impl Engine {
    /// The codes and resources that answer `needs`.
    pub(super) async fn resolve_needs(
        &self,
        needs: Vec<Need>,
        access: &Access,
    ) -> Result<Resolved, Error> {
        let mut resolved = Resolved::none();
        let limit = self.settings.limits.expansion_codes;
        for need in needs {
            let codes = match &need {
                Need::ValueSet(name) => self.codes_of(name, limit, access).await?,
                Need::Below { system, code } => {
                    self.related(system.as_deref(), code, limit, terminology::descendants)
                        .await?
                }
                Need::Above { system, code } => {
                    self.related(system.as_deref(), code, limit, terminology::ancestors)
                        .await?
                }
                Need::Family {
                    param,
                    kind,
                    id,
                    below,
                } => {
                    let family = Family {
                        param: *param,
                        kind: *kind,
                        id,
                        below: *below,
                    };
                    let ids = self.family(family, limit, access).await?;
                    let name = |id| (kind.name().to_owned(), id);
                    ids.into_iter().map(name).collect()
                }
            };
            resolved.insert(need, codes);
        }
        Ok(resolved)
    }

    /// The codes of a value set: pairs of system and code; an empty code stands for all codes of
    /// the system.
    async fn codes_of(
        &self,
        name: &str,
        limit: usize,
        access: &Access,
    ) -> Result<Vec<(String, String)>, Error> {
        let mut shelf = Shelf::default();
        let set = if let Some(id) = name.strip_prefix("ValueSet/") {
            let found = self.look_at(ResourceType::VALUE_SET, id, access).await;
            let found = found.map_err(|_| unknown(name))?;
            let doc = parse_body(found.kind, &found.id, &found.body)?;
            self.fill(&mut shelf, terminology::dependencies(doc.root()))
                .await?;
            apart(move || terminology::expand_value_set(doc.root(), &shelf, limit)).await?
        } else {
            let first = vec![(ResourceType::VALUE_SET, name.to_owned())];
            self.fill(&mut shelf, first).await?;
            let name = name.to_owned();
            apart(move || terminology::expand(&name, &shelf, limit)).await?
        };
        let mut codes: Vec<(String, String)> = set
            .pairs()
            .map(|(system, code)| (system.to_owned(), code.to_owned()))
            .collect();
        codes.extend(
            set.whole_systems()
                .map(|system| (system.to_owned(), String::new())),
        );
        Ok(codes)
    }

    async fn related(
        &self,
        system: Option<&str>,
        code: &str,
        limit: usize,
        walk: Walk,
    ) -> Result<Vec<(String, String)>, Error> {
        let Some(system) = system else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "required",
                format!("':above' and ':below' need the code system: system|{code}"),
            ));
        };
        let mut shelf = Shelf::default();
        let first = vec![(ResourceType::CODE_SYSTEM, system.to_owned())];
        self.fill(&mut shelf, first).await?;
        let (system, code) = (system.to_owned(), code.to_owned());
        apart(move || {
            let codes = walk(&system, &code, &shelf, limit)?;
            let coded = |code| (system.clone(), code);
            Ok(codes.into_iter().map(coded).collect())
        })
        .await
    }

    /// Fetches what is stored of `wanted` and of all that it is made of.
    async fn fill(
        &self,
        shelf: &mut Shelf,
        mut wanted: Vec<(ResourceType, String)>,
    ) -> Result<(), Error> {
        let mut seen = std::collections::HashSet::new();
        while let Some((kind, canonical)) = wanted.pop() {
            if !seen.insert((kind, canonical.clone())) {
                continue;
            }
            if seen.len() > MAX_RESOURCES {
                return Err(Error::new(
                    ErrorKind::TooCostly,
                    "too-costly",
                    format!("the value set is made of more than {MAX_RESOURCES} others"),
                ));
            }
            let stored = self.by_canonical(kind, &canonical).await?;
            let doc = match &stored {
                Some(doc) => Some(doc.clone()),
                None => definitions::by_url(kind, &canonical)
                    .filter(|_| kind == ResourceType::VALUE_SET)
                    .and_then(|found| Doc::parse(definitions::body(found)).ok())
                    .map(Arc::new),
            };
            if let Some(doc) = doc.filter(|_| kind == ResourceType::VALUE_SET) {
                wanted.extend(terminology::dependencies(doc.root()));
            }
            if let Some(doc) = stored {
                shelf.0.insert((kind, canonical), doc);
            }
        }
        Ok(())
    }

    /// The newest stored resource with this canonical URL (`url` or `url|version`).
    async fn by_canonical(
        &self,
        kind: ResourceType,
        canonical: &str,
    ) -> Result<Option<Arc<Doc>>, Error> {
        let registry = self.registry();
        let (Some(url), Some(version)) =
            (registry.param(kind, "url"), registry.param(kind, "version"))
        else {
            return Ok(None);
        };
        let (plain, wanted) = key::split_canonical(canonical);
        let mut parts = vec![Clause::Keys {
            param: url.id,
            ranges: vec![KeyRange::exact(key::uri(plain))],
        }];
        if !wanted.is_empty() {
            parts.push(Clause::Keys {
                param: version.id,
                ranges: vec![KeyRange::prefix(key::token_prefix(wanted))],
            });
        }
        let plan = Plan {
            types: vec![kind],
            filter: Clause::All(parts),
            sort: vec![Sort {
                by: SortKey::Updated,
                descending: true,
            }],
            limit: 1,
            after: None,
            total: TotalMode::None,
        };
        let all = Access::system("terminology is the same for everybody");
        let page = self.store.search(&plan, &all).await?;
        let hit = page.hits.first();
        hit.map(|hit| parse_stored(&hit.stored).map(Arc::new))
            .transpose()
    }
}

/// Does what may take long away from the threads that answer requests.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Issue> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "the expansion of a value set failed");
        Error::new(
            ErrorKind::Internal,
            "exception",
            "the codes that the search needs cannot be computed",
        )
    })?;
    done.map_err(refused)
}

fn unknown(name: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "not-found",
        format!("the value set '{name}' is not known on this server"),
    )
}

fn refused(issue: Issue) -> Error {
    let kind = match issue.code {
        "too-costly" => ErrorKind::TooCostly,
        _ => ErrorKind::Invalid,
    };
    Error::with(kind, vec![issue])
}
