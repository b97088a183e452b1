//! All search parameters that are known.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use super::{
    Custom, Entry, Param, ParamId, Traits, compile::compile, key, layout::Layout, param::built_in,
    trie::Trie,
};
use crate::{Doc, model::ResourceType, outcome::Issue};

/// All search parameters: those of R4, and those that users have posted. Immutable and cheap to
/// clone; what indexing needs of a type is compiled when it is first used.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// By number of the type, from 0.
    types: Vec<Arc<OfType>>,
    custom: HashMap<ParamId, ResourceType>,
}

#[derive(Debug)]
struct OfType {
    /// Sorted by code.
    params: Vec<Param>,
    trie: OnceLock<Trie>,
    layout: OnceLock<Layout>,
}

impl OfType {
    fn new(mut params: Vec<Param>) -> Arc<Self> {
        params.sort_by(|a, b| a.code.cmp(&b.code));
        Arc::new(Self {
            params,
            trie: OnceLock::new(),
            layout: OnceLock::new(),
        })
    }

    fn trie(&self) -> &Trie {
        self.trie.get_or_init(|| Trie::new(&self.params))
    }
}

impl Registry {
    /// The parameters of R4. There is one such registry, so what is compiled for one user of it
    /// is there for all.
    pub fn builtin() -> Self {
        static BUILT_IN: OnceLock<Registry> = OnceLock::new();
        let new = || {
            Self(Arc::new(Inner {
                types: ResourceType::all()
                    .map(|kind| OfType::new(built_in(kind)))
                    .collect(),
                custom: HashMap::new(),
            }))
        };
        BUILT_IN.get_or_init(new).clone()
    }

    /// These parameters and posted ones beside them.
    ///
    /// # Errors
    /// Why the first of them that cannot be used cannot: its expression has what is not
    /// supported, or its code or URL is taken.
    pub fn with_custom(&self, added: Vec<Custom>) -> Result<Self, Issue> {
        let mut types = self.0.types.clone();
        let mut custom = self.0.custom.clone();
        for new in added {
            let slot = new.base.number() as usize - 1;
            let known = &types[slot].params;
            refuse_taken(&new, known)?;
            let param = new.param(known)?;
            if let Err(refused) = compile(&param) {
                let reason = format!(
                    "the expression '{}' cannot be used: {refused}",
                    param.expression
                );
                return Err(Issue::error("not-supported", reason).at("SearchParameter.expression"));
            }
            custom.insert(param.id, param.base);
            let mut params = known.clone();
            params.push(param);
            types[slot] = OfType::new(params);
        }
        Ok(Self(Arc::new(Inner { types, custom })))
    }

    fn of_type(&self, kind: ResourceType) -> &OfType {
        &self.0.types[kind.number() as usize - 1]
    }

    pub(super) fn layout(&self, kind: ResourceType) -> &Layout {
        let of_type = self.of_type(kind);
        of_type
            .layout
            .get_or_init(|| Layout::new(kind, &of_type.params))
    }

    /// The parameter of a type with this code.
    pub fn param(&self, base: ResourceType, code: &str) -> Option<&Param> {
        let params = &self.of_type(base).params;
        let at = params
            .binary_search_by(|param| param.code.as_str().cmp(code))
            .ok()?;
        Some(&params[at])
    }

    /// The parameter with this number.
    pub fn by_id(&self, id: ParamId) -> Option<&Param> {
        let base = match self.0.custom.get(&id) {
            Some(base) => *base,
            None => ResourceType::from_number(i64::from(id.0 >> 8))?,
        };
        self.of(base).find(|param| param.id == id)
    }

    /// What a search must know of a parameter's keys.
    pub fn traits(&self, param: &Param) -> Traits {
        self.of_type(param.base).trie().traits(param.id)
    }

    /// All parameters of a type, by code.
    pub fn of(&self, base: ResourceType) -> impl Iterator<Item = &Param> {
        self.of_type(base).params.iter()
    }

    /// All parameters of all types.
    pub fn all(&self) -> impl Iterator<Item = &Param> {
        self.0.types.iter().flat_map(|of_type| &of_type.params)
    }

    /// The index entries of a resource, sorted, each once. Absolute references under `base_url`
    /// (no slash at its end) count as local.
    pub fn extract(&self, kind: ResourceType, doc: &Doc, base_url: &str) -> Vec<Entry> {
        let trie = self.of_type(kind).trie();
        let mut entries = trie.extract(kind, doc.root(), base_url);
        entries.sort_unstable();
        entries.dedup();
        entries
    }

    /// What the resource refers to: parameter, type and id, for `_include`.
    pub fn references(
        &self,
        kind: ResourceType,
        doc: &Doc,
        base_url: &str,
    ) -> Vec<(ParamId, ResourceType, String)> {
        references(&self.extract(kind, doc, base_url))
            .map(|(param, kind, id)| (param, kind, id.to_owned()))
            .collect()
    }

    /// Why built-in parameters of a type are left out of the index.
    #[cfg(test)]
    pub(super) fn refused(&self, kind: ResourceType) -> &[(ParamId, crate::fhirpath::Refused)] {
        &self.of_type(kind).trie().refused
    }
}

/// The local references among index entries: parameter, type and id.
pub fn references(entries: &[Entry]) -> impl Iterator<Item = (ParamId, ResourceType, &str)> {
    entries.iter().filter_map(|entry| {
        let (kind, id) = key::read_reference(&entry.key)?;
        Some((entry.param, kind, id))
    })
}

fn refuse_taken(new: &Custom, known: &[Param]) -> Result<(), Issue> {
    let code = &new.definition.code;
    let taken = known.iter().find(|param| param.code == *code);
    if let Some(param) = taken {
        let (base, url) = (new.base.name(), &param.url);
        let reason = format!("the code '{code}' of {base} is taken by {url}; choose another");
        return Err(Issue::error("duplicate", reason).at("SearchParameter.code"));
    }
    Ok(())
}
