//! A search as conditions on index keys: what the compiler makes and the store runs.

use resources::{
    index::{ParamId, Registry},
    model::ResourceType,
};

/// A compiled search: which resources, in which order, which page of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The types searched: one, or several for a system search.
    pub types: Vec<ResourceType>,
    /// What a resource must satisfy. Parameters of other types than the resource's never match.
    pub filter: Clause,
    /// The order; empty leaves it to the store (stable from page to page).
    pub sort: Vec<Sort>,
    /// The most hits to return.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<Position>,
    /// Whether and how to count.
    pub total: TotalMode,
}

/// A condition on one resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Clause {
    /// True if every part is; `All(vec![])` is true.
    All(Vec<Clause>),
    /// True if some part is; `Any(vec![])` is false.
    Any(Vec<Clause>),
    /// True if the part is not.
    Not(Box<Clause>),
    /// The resource has an index entry of `param` in one of `ranges`.
    Keys {
        /// The parameter (which implies the resource type).
        param: ParamId,
        /// The ranges, in any order, possibly overlapping.
        ranges: Vec<KeyRange>,
    },
    /// The resource has any index entry of the parameter (`:missing=false`).
    HasParam(ParamId),
    /// The resource is of this type.
    Type(ResourceType),
    /// The resource has one of these logical ids.
    Ids(Vec<String>),
    /// `meta.lastUpdated` in `[from, to)`, milliseconds since 1970; `None` is open.
    Updated {
        /// First instant that matches.
        from: Option<i64>,
        /// First instant that no longer matches.
        to: Option<i64>,
    },
    /// A chain: the resource refers by `param` to a `target` that satisfies `inner`.
    Refers {
        /// The reference parameter of the resource.
        param: ParamId,
        /// The type that it must point to.
        target: ResourceType,
        /// `None`: by type and id. Otherwise by a canonical, which the target answers to.
        canonical: Option<Canonical>,
        /// What the target must satisfy.
        inner: Box<Clause>,
    },
    /// A reverse chain (`_has`, `_list`): a `source` that satisfies `inner` refers to the
    /// resource by `param`.
    ReferredBy {
        /// The type of the referring resource.
        source: ResourceType,
        /// The reference parameter of the source.
        param: ParamId,
        /// `None`: by type and id. Otherwise by a canonical, which the resource answers to.
        canonical: Option<Canonical>,
        /// What the source must satisfy.
        inner: Box<Clause>,
    },
    /// A part of the access decision: its hops look at everything, as whoever decides must.
    Decided(Box<Clause>),
    /// Full-text search: every word occurs (a word ending in `*` is a prefix).
    Text {
        /// Which text.
        part: TextPart,
        /// Lower-case words; the inner list is alternatives, the outer one conditions.
        words: Vec<Vec<String>>,
    },
}

impl Clause {
    /// True if it lets every resource pass, whatever is stored: nothing was asked.
    pub fn is_always(&self) -> bool {
        self.constant() == Some(true)
    }

    /// True if it lets no resource pass, whatever is stored.
    pub fn is_never(&self) -> bool {
        self.constant() == Some(false)
    }

    /// True if something must not be so for a resource to pass.
    pub fn withholds(&self) -> bool {
        match self {
            Self::Not(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::withholds),
            Self::Decided(part) => part.withholds(),
            _ => false,
        }
    }

    /// What the clause is for every resource, if that shows in its form.
    fn constant(&self) -> Option<bool> {
        match self {
            Self::All(parts) if parts.iter().any(|part| part.constant() == Some(false)) => {
                Some(false)
            }
            Self::All(parts) => parts.iter().all(Self::is_always).then_some(true),
            Self::Any(parts) if parts.iter().any(Self::is_always) => Some(true),
            Self::Any(parts) => {
                let never = parts.iter().all(|part| part.constant() == Some(false));
                never.then_some(false)
            }
            Self::Not(part) => part.constant().map(|constant| !constant),
            Self::Decided(part) => part.constant(),
            Self::Updated {
                from: None,
                to: None,
            } => Some(true),
            _ => None,
        }
    }
}

/// The parameters of a type by which its resources answer to canonical references (R4
/// `references.html#canonical`): a reference without version means all versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canonical {
    /// The canonical URL.
    pub url: ParamId,
    /// The version.
    pub version: ParamId,
}

impl Canonical {
    /// Those of a type, if its resources have canonical URLs.
    pub fn of(kind: ResourceType, registry: &Registry) -> Option<Self> {
        let of = |code: &str| {
            let param = registry.param(kind, code)?;
            (param.expression == format!("{kind}.{code}")).then_some(param.id)
        };
        Some(Self {
            url: of("url")?,
            version: of("version")?,
        })
    }
}

/// Which text of a resource a full-text search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPart {
    /// `_text`: the narrative.
    Narrative,
    /// `_content`: every string of the resource, the narrative too.
    Content,
}

/// A range of index keys, compared as bytes, with an optional test of each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// First key that matches.
    pub low: Vec<u8>,
    /// First key that no longer matches; `None` is the end of the parameter.
    pub high: Option<Vec<u8>>,
    /// What each key in the range must also satisfy.
    pub test: Vec<KeyTest>,
}

/// A test of a part of a key. Offsets count bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTest {
    /// The bytes from `offset`, at most as many as `bytes` has, are `>= bytes`.
    AtLeast(usize, Vec<u8>),
    /// The bytes from `offset`, at most as many as `bytes` has, are `< bytes`.
    Below(usize, Vec<u8>),
    /// The key ends in these bytes.
    EndsWith(Vec<u8>),
    /// These bytes occur somewhere from `offset` on.
    Contains(usize, Vec<u8>),
    /// The bytes at this distance from the key's end (`from_end`, then as many as `bytes` has)
    /// equal `bytes`.
    TailEquals {
        /// Where the bytes begin, counted back from the key's end.
        from_end: usize,
        /// What must stand there.
        bytes: Vec<u8>,
    },
}

impl KeyRange {
    /// The range that holds just `key`.
    pub fn exact(key: Vec<u8>) -> Self {
        let mut high = key.clone();
        high.push(0);
        Self {
            low: key,
            high: Some(high),
            test: Vec::new(),
        }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: Vec<u8>) -> Self {
        let high = successor(&prefix);
        Self {
            low: prefix,
            high,
            test: Vec::new(),
        }
    }

    /// The keys in `[low, high)`.
    pub fn between(low: Vec<u8>, high: Option<Vec<u8>>) -> Self {
        Self {
            low,
            high,
            test: Vec::new(),
        }
    }

    /// The same range with one more test.
    #[must_use]
    pub fn with(mut self, test: KeyTest) -> Self {
        self.test.push(test);
        self
    }

    /// True if the range can hold one key only.
    pub fn is_exact(&self) -> bool {
        self.high.as_deref().is_some_and(|high| {
            high.len() == self.low.len() + 1 && high.ends_with(&[0]) && high.starts_with(&self.low)
        })
    }
}

/// The first byte string after all those that begin with `prefix`.
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < 0xff {
            next.push(last + 1);
            return Some(next);
        }
    }
    None
}

/// One criterion of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// What to order by.
    pub by: SortKey,
    /// Largest first.
    pub descending: bool,
}

/// What a search can be ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortKey {
    /// The logical id.
    Id,
    /// `meta.lastUpdated`.
    Updated,
    /// The smallest (largest, when descending) index key among those that begin with `space`.
    /// Resources without one come last. For a search over several types, one id per type.
    Keys {
        /// The parameter, once per searched type that has it.
        params: Vec<ParamId>,
        /// First byte of the keys that carry the order.
        space: u8,
    },
}

/// Whether a search counts its matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TotalMode {
    /// No count.
    #[default]
    None,
    /// A count that may be off when it is large.
    Estimate,
    /// An exact count.
    Accurate,
}

/// Where a page ended: bytes that only the store reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(pub Vec<u8>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_that_ask_nothing_are_known_by_their_form() {
        let (all, any) = (Clause::All, Clause::Any);
        let not = |part| Clause::Not(Box::new(part));
        let some = || Clause::Ids(vec!["a".to_owned()]);
        let open = Clause::Updated {
            from: None,
            to: None,
        };
        for (clause, expected) in [
            (all(vec![]), true),
            (all(vec![all(vec![]), any(vec![some(), all(vec![])])]), true),
            (not(any(vec![])), true),
            (not(all(vec![all(vec![]), any(vec![])])), true),
            (open, true),
            (any(vec![]), false),
            (not(all(vec![])), false),
            (some(), false),
            (not(some()), false),
            (all(vec![all(vec![]), some()]), false),
            (any(vec![any(vec![]), some()]), false),
        ] {
            assert_eq!(clause.is_always(), expected, "{clause:?}");
        }
    }
}
