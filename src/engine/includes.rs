//! `_include` and `_revinclude`: fetched as sets, round by round, never one by one.
//!
//! Every candidate must satisfy the access decision. What is referred to may be shown to whoever
//! may read or search its type; what refers is found by a search.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use resources::{
    index::{Kind, Param, ParamId, Registry, key},
    model::ResourceType,
    outcome::Issue,
};

use super::{
    Engine,
    cursor::Cursor,
    error::Error,
    operation::Resource,
    permission::shown,
    search::weight,
    submit::{parse_body, resource},
};
use crate::{
    access::{Access, Right},
    search::{
        Include,
        plan::{Canonical, Clause, KeyRange, Plan, TotalMode},
    },
};

/// What was added to a page.
#[derive(Debug, Default)]
pub struct Included {
    /// The resources, each once, none of which is a match of the page.
    pub resources: Vec<Resource>,
    /// What was left out.
    pub warnings: Vec<Issue>,
}

type Identity = (ResourceType, String);

impl Engine {
    /// What `includes` add to `hits`, with about `bytes` at most.
    pub(super) async fn included(
        &self,
        includes: &[Include],
        hits: &[Resource],
        mut bytes: usize,
        access: &Access,
    ) -> Result<Included, Error> {
        let mut out = Included::default();
        if includes.is_empty() || hits.is_empty() {
            return Ok(out);
        }
        let registry = self.registry();
        let max = self.settings.limits.included_max;
        let mut seen: HashSet<Identity> = hits.iter().map(identity).collect();
        let mut from = hits.to_vec();
        for round in 0..=self.settings.limits.include_rounds {
            let wanted: Vec<&Include> = includes
                .iter()
                .filter(|include| round == 0 || include.iterate)
                .collect();
            if from.is_empty() || wanted.is_empty() {
                return Ok(out);
            }
            if round == self.settings.limits.include_rounds {
                out.warnings.push(Issue::warning(
                    "incomplete",
                    format!("':iterate' was followed for {round} rounds and stopped there"),
                ));
                return Ok(out);
            }
            let room = max.saturating_sub(out.resources.len());
            let (mut found, mut cut) = self
                .forward(&registry, &wanted, &from, &seen, bytes, access)
                .await?;
            for include in wanted.iter().filter(|include| include.reverse) {
                if cut {
                    break;
                }
                let left = (room + 1, bytes.saturating_sub(weight(&found)));
                let (more, ended) = self
                    .backward(&registry, include, &from, left, access)
                    .await?;
                found.extend(more);
                cut = ended;
            }
            found.retain(|resource| seen.insert(identity(resource)));
            bytes = bytes.saturating_sub(weight(&found));
            if cut || found.len() > room {
                found.truncate(room);
                out.resources.extend(found);
                let what = if cut {
                    "the resources to be included in this page are too large together".to_owned()
                } else {
                    format!("more than {max} resources are to be included in this page")
                };
                out.warnings.push(Issue::warning(
                    "incomplete",
                    format!("{what}; ask for smaller pages with _count"),
                ));
                return Ok(out);
            }
            out.resources.extend(found.iter().cloned());
            from = found;
        }
        Ok(out)
    }

    /// The resources that `from` refers to.
    async fn forward(
        &self,
        registry: &Registry,
        includes: &[&Include],
        from: &[Resource],
        seen: &HashSet<Identity>,
        bytes: usize,
        access: &Access,
    ) -> Result<(Vec<Resource>, bool), Error> {
        let mut targets: BTreeMap<Identity, ()> = BTreeMap::new();
        for resource in from {
            let wanted: Vec<&&Include> = includes
                .iter()
                .filter(|include| !include.reverse && include.source == resource.kind)
                .collect();
            if wanted.is_empty() {
                continue;
            }
            for (param, identity) in self.references(registry, resource)? {
                let asked = wanted.iter().any(|include| {
                    include.param.is_none_or(|wanted| wanted == param)
                        && include.target.is_none_or(|target| target == identity.0)
                });
                if asked && !seen.contains(&identity) {
                    targets.insert(identity, ());
                }
            }
        }
        let (mut found, cut) = self.fetch(targets.into_keys(), bytes, access).await?;
        if cut {
            return Ok((found, cut));
        }
        let left = bytes.saturating_sub(weight(&found));
        let (named, cut) = self.named(registry, includes, from, left, access).await?;
        found.extend(named);
        Ok((found, cut))
    }

    /// The references of a resource: parameter, and what it points to on this server.
    pub(super) fn references(
        &self,
        registry: &Registry,
        resource: &Resource,
    ) -> Result<Vec<(ParamId, Identity)>, Error> {
        let doc = parse_body(resource.kind, &resource.id, &resource.body)?;
        let entries = registry.extract(resource.kind, &doc, &self.settings.base_url);
        Ok(entries
            .iter()
            .filter_map(|entry| {
                let (kind, id) = key::read_reference(&entry.key)?;
                Some((entry.param, (kind, id.to_owned())))
            })
            .collect())
    }

    /// The resources whose canonicals `from` names, until they have more than `bytes`; true if
    /// the rest is left out.
    async fn named(
        &self,
        registry: &Registry,
        includes: &[&Include],
        from: &[Resource],
        mut bytes: usize,
        access: &Access,
    ) -> Result<(Vec<Resource>, bool), Error> {
        let access = &access.to_any(shown());
        let mut wanted: BTreeMap<ResourceType, BTreeSet<Name>> = BTreeMap::new();
        for resource in from {
            let asked = includes
                .iter()
                .filter(|include| !include.reverse && include.source == resource.kind);
            for (target, name) in self.canonicals(registry, resource, asked)? {
                wanted.entry(target).or_default().insert(name);
            }
        }
        let mut found = Vec::new();
        for (kind, names) in wanted {
            let Some(canonical) = Canonical::of(kind, registry) else {
                continue;
            };
            let url = |name: &Name| KeyRange::exact(key::uri(&name.url));
            let plan = Plan {
                types: vec![kind],
                filter: Clause::Keys {
                    param: canonical.url,
                    ranges: names.iter().map(url).collect(),
                },
                sort: Vec::new(),
                limit: self.settings.limits.included_max + 1,
                after: None,
                total: TotalMode::None,
            };
            let page = self.page(&plan, Cursor::default(), bytes, access).await?;
            let cut = page.next.is_some() && page.hits.len() < plan.limit;
            bytes = bytes.saturating_sub(weight(&page.hits));
            for resource in page.hits {
                let own = name(registry, &resource)?;
                let of_any_version = |own: &Name| Name {
                    version: String::new(),
                    ..own.clone()
                };
                if own.is_some_and(|own| {
                    names.contains(&own) || names.contains(&of_any_version(&own))
                }) {
                    found.push(resource);
                }
            }
            if cut {
                return Ok((found, true));
            }
        }
        Ok((found, false))
    }

    /// The canonicals of a resource that the includes ask for, with each type that they may be of.
    fn canonicals<'i>(
        &self,
        registry: &Registry,
        resource: &Resource,
        includes: impl Iterator<Item = &'i &'i Include>,
    ) -> Result<Vec<(ResourceType, Name)>, Error> {
        let mut asked: Vec<(&Param, ResourceType)> = Vec::new();
        for include in includes {
            let params = registry.of(resource.kind).filter(|param| {
                include.param.is_none_or(|asked| asked == param.id) && registry.traits(param).urls
            });
            for param in params {
                let possible = |kind: &ResourceType| {
                    (param.targets.is_empty() || param.targets.contains(kind))
                        && include.target.is_none_or(|target| target == *kind)
                        && Canonical::of(*kind, registry).is_some()
                };
                asked.extend(
                    ResourceType::all()
                        .filter(possible)
                        .map(|kind| (param, kind)),
                );
            }
        }
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let doc = parse_body(resource.kind, &resource.id, &resource.body)?;
        let entries = registry.extract(resource.kind, &doc, &self.settings.base_url);
        let mut out = Vec::new();
        for entry in &entries {
            if let Some((url, version)) = key::read_reference_url(&entry.key) {
                let name = Name {
                    url: url.to_owned(),
                    version: version.to_owned(),
                };
                let of_param = asked.iter().filter(|(param, _)| param.id == entry.param);
                out.extend(of_param.map(|(_, kind)| (*kind, name.clone())));
            }
        }
        Ok(out)
    }

    /// Those of the resources that are there and may be seen, until they have more than `bytes`;
    /// true if the rest is left out.
    pub(super) async fn fetch(
        &self,
        identities: impl IntoIterator<Item = Identity>,
        bytes: usize,
        access: &Access,
    ) -> Result<(Vec<Resource>, bool), Error> {
        let access = &access.to_any(shown());
        let identities: Vec<Identity> = identities
            .into_iter()
            .take(self.settings.limits.included_max + 1)
            .collect();
        if identities.is_empty() {
            return Ok((Vec::new(), false));
        }
        let keys: Vec<(ResourceType, &str)> = identities
            .iter()
            .map(|(kind, id)| (*kind, id.as_str()))
            .collect();
        let (found, cut) = self.store.current_within(&keys, bytes, access).await?;
        let registry = self.registry();
        let mut resources = Vec::with_capacity(found.len());
        for (stored, (kind, id)) in found.iter().zip(&keys) {
            resources.extend(match stored {
                Some(stored) if stored.head.deleted => None,
                Some(stored) => Some(resource(stored)),
                None if *kind == ResourceType::SLOT => {
                    Box::pin(self.offered_slot(id, access)).await?
                }
                None => self.computed.visible((*kind, id), access, &registry),
            });
        }
        Ok((resources, cut))
    }

    /// The resources that refer to `from`, in one query; true if there are more than have room,
    /// which is a number and bytes.
    async fn backward(
        &self,
        registry: &Registry,
        include: &Include,
        from: &[Resource],
        (limit, bytes): (usize, usize),
        access: &Access,
    ) -> Result<(Vec<Resource>, bool), Error> {
        let asked = from
            .iter()
            .filter(|resource| include.target.is_none_or(|target| target == resource.kind));
        let params: Vec<&Param> = registry
            .of(include.source)
            .filter(|param| match include.param {
                Some(asked) => param.id == asked,
                None => param.kind == Kind::Reference,
            })
            .collect();
        let has_urls = |param: &&Param| registry.traits(param).urls;
        let with_urls = params.iter().any(has_urls);
        let (mut local, mut urls) = (Vec::new(), Vec::new());
        for resource in asked {
            local.push(KeyRange::exact(key::reference(resource.kind, &resource.id)));
            if with_urls && let Some(name) = name(registry, resource)? {
                urls.push(KeyRange::exact(key::reference_url(&name.url, "")));
                urls.push(KeyRange::exact(key::reference_url(
                    &name.url,
                    &name.version,
                )));
            }
        }
        if local.is_empty() {
            return Ok((Vec::new(), false));
        }
        let keys = |param: &&Param| {
            let mut ranges = local.clone();
            if has_urls(param) {
                ranges.extend_from_slice(&urls);
            }
            Clause::Keys {
                param: param.id,
                ranges,
            }
        };
        let filter = Clause::Any(params.iter().map(keys).collect());
        let plan = Plan {
            types: vec![include.source],
            filter,
            sort: Vec::new(),
            limit,
            after: None,
            total: TotalMode::None,
        };
        self.check_indexed(&plan).await?;
        let access = &access.to(Right::Search);
        let page = self.store.search_within(&plan, bytes, access).await?;
        let cut = page.more && page.hits.len() < limit;
        let found = page.hits.iter().map(|hit| resource(&hit.stored));
        Ok((found.collect(), cut))
    }
}

/// A canonical.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub url: String,
    /// Empty if it has none.
    pub version: String,
}

/// The canonical that a resource answers to.
fn name(registry: &Registry, resource: &Resource) -> Result<Option<Name>, Error> {
    if Canonical::of(resource.kind, registry).is_none() {
        return Ok(None);
    }
    let doc = parse_body(resource.kind, &resource.id, &resource.body)?;
    let text = |name| Some(doc.root().get(name)?.as_str()?.into_owned());
    Ok(text("url").map(|url| Name {
        url,
        version: text("version").unwrap_or_default(),
    }))
}

fn identity(resource: &Resource) -> Identity {
    (resource.kind, resource.id.clone())
}
