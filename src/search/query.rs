//! A search as it was asked: what [`super::parse`] makes of the text.

use std::collections::HashMap;

use resources::{index::ParamId, model::ResourceType, outcome::Issue};

use super::{
    filter::Filter,
    plan::{Plan, Sort, TotalMode},
};

/// What a search is asked of, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Where it was asked: `/`, `/Patient`, `/Patient/1/*`.
    pub scope: Scope,
    /// Names and values, percent-decoded, in the order of the text.
    pub params: &'a [(String, String)],
    /// What is unknown is an error; otherwise it is left out with a warning.
    pub strict: bool,
    /// The server's own base: absolute references below it are local ones.
    pub base_url: &'a str,
    /// The time, milliseconds since 1970, for `ap`.
    pub now: i64,
}

/// The resources that a search looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All types, or those that `_type` names.
    System,
    /// One type.
    Type(ResourceType),
    /// What belongs to `kind/id` by R4's CompartmentDefinition.
    Compartment {
        /// The compartment's type.
        kind: ResourceType,
        /// The logical id of its resource.
        id: String,
        /// One type of members; `None` for `*`.
        member: Option<ResourceType>,
    },
}

/// How much one search may ask for.
#[derive(Debug, Clone)]
pub struct SearchLimits {
    /// Parameters of one request.
    pub params: usize,
    /// Comma-separated values of one parameter.
    pub values: usize,
    /// Bytes of one value.
    pub value_bytes: usize,
    /// Hops of a chain, `_has` included.
    pub hops: usize,
    /// Conditions after untyped chains and several types are multiplied out.
    pub conditions: usize,
    /// `_include` and `_revinclude` together.
    pub includes: usize,
    /// Criteria of `_sort`.
    pub sorts: usize,
    /// Nesting of a `_filter` or `_text` expression.
    pub nesting: usize,
    /// Codes that a value set or a code hierarchy may add to one search.
    pub codes: usize,
    /// Resources of a page when `_count` is not given.
    pub page: usize,
    /// The largest page.
    pub max_page: usize,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            params: 100,
            values: 500,
            value_bytes: 64 * 1024,
            hops: 6,
            conditions: 1024,
            includes: 32,
            sorts: 8,
            nesting: 16,
            codes: 10_000,
            page: 20,
            max_page: 1000,
        }
    }
}

/// A parsed search.
#[derive(Debug, Clone)]
pub struct Query {
    /// The types searched.
    pub types: Vec<ResourceType>,
    /// What to add to the hits.
    pub includes: Vec<Include>,
    /// Which part of each resource to return.
    pub summary: Summary,
    /// `_elements`: only these top-level elements; empty is all.
    pub elements: Vec<String>,
    /// `_total`.
    pub total: TotalMode,
    /// The page size: `_count` within its bounds, or the default. 0 asks for the total only.
    pub count: usize,
    /// Parameters that took part, for the self link, in the order given.
    pub accepted: Vec<(String, String)>,
    /// What was left out, for the Bundle's OperationOutcome.
    pub warnings: Vec<Issue>,
    /// `_explain=true`.
    pub explain: bool,
    /// The paging token of a `next` link, as it came. Not in `accepted`.
    pub page: Option<String>,
    /// The order.
    pub sort: Vec<Sort>,
    pub(super) filter: Filter,
    pub(super) max_codes: usize,
}

/// `_include` or `_revinclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The type whose references are followed.
    pub source: ResourceType,
    /// The reference parameter; `None` for `*`.
    pub param: Option<ParamId>,
    /// Only references to this type.
    pub target: Option<ResourceType>,
    /// Also for what was included (`:iterate`).
    pub iterate: bool,
    /// `_revinclude`.
    pub reverse: bool,
}

/// `_summary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Summary {
    /// The whole resource.
    #[default]
    False,
    /// Elements marked as summary, and mandatory ones.
    True,
    /// `text`, `id`, `meta` and mandatory elements.
    Text,
    /// All but `text`.
    Data,
    /// Only the number of matches.
    Count,
}

/// Codes that the search needs and only terminology knows, or resources that others know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Need {
    /// The codes of a value set: its canonical URL or `ValueSet/id` (`:in`, `:not-in`).
    ValueSet(String),
    /// A code and all codes that it subsumes (`:below`).
    Below {
        /// The code system; `None` if the search named none.
        system: Option<String>,
        /// The code.
        code: String,
    },
    /// A code and all codes that subsume it (`:above`).
    Above {
        /// The code system; `None` if the search named none.
        system: Option<String>,
        /// The code.
        code: String,
    },
    /// A resource and all that are above or below it in the hierarchy of its type.
    Family {
        /// The parameter by which resources of the type refer to what they are a part of.
        param: ParamId,
        /// The type.
        kind: ResourceType,
        /// The logical id.
        id: String,
        /// Its parts, and theirs; otherwise what it is a part of.
        below: bool,
    },
}

/// The answers to [`Query::needs`]: codes as (system, code), resources as (type, id).
#[derive(Debug, Clone, Default)]
pub struct Resolved(HashMap<Need, Vec<(String, String)>>);

impl Resolved {
    /// Nothing: enough for a query without needs.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds the codes that answer `need`; an empty code stands for all codes of its system.
    pub fn insert(&mut self, need: Need, codes: Vec<(String, String)>) {
        self.0.insert(need, codes);
    }

    /// The codes that answer `need`.
    pub fn get(&self, need: &Need) -> Option<&[(String, String)]> {
        self.0.get(need).map(Vec::as_slice)
    }
}

impl Query {
    /// What has to be resolved before [`Query::plan`].
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        self.filter.needs(&mut needs);
        needs
    }

    /// The search as conditions on index keys.
    ///
    /// # Errors
    /// A need without an answer, or with more codes than allowed.
    pub fn plan(&self, resolved: &Resolved) -> Result<Plan, Vec<Issue>> {
        Ok(Plan {
            types: self.types.clone(),
            filter: self.filter.clause(resolved, self.max_codes)?,
            sort: self.sort.clone(),
            limit: self.count,
            after: None,
            total: self.total,
        })
    }
}
