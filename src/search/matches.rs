//! A [`Clause`] evaluated in memory: the reference for what the store's SQL must answer, and the
//! search over computed resources.

use resources::{
    index::{
        Entry, ParamId,
        key::{self, space},
    },
    model::ResourceType,
};

use super::plan::{Canonical, Clause, KeyRange, KeyTest, TextPart};

/// What is known of one resource.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its type.
    pub kind: ResourceType,
    /// Its logical id.
    pub id: &'a str,
    /// `meta.lastUpdated`, milliseconds since 1970.
    pub updated: i64,
    /// Its index entries, sorted.
    pub entries: &'a [Entry],
    /// Its words; `None` if it has no full text.
    pub text: Option<&'a Words>,
}

/// The words of a resource, normalised as those of a search are. Each once, between line ends, as
/// there may be a thousand resources with a thousand words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    narrative: Box<str>,
    content: Box<str>,
}

impl Words {
    /// The words of the narrative and of all strings.
    pub fn new(narrative: &str, content: &str) -> Self {
        let listed = |text| {
            let mut words = super::words(text);
            words.sort_unstable();
            words.dedup();
            format!("\n{}\n", words.join("\n")).into_boxed_str()
        };
        Self {
            narrative: listed(narrative),
            content: listed(content),
        }
    }

    fn has(&self, part: TextPart, word: &str) -> bool {
        let words = match part {
            TextPart::Narrative => &self.narrative,
            TextPart::Content => &self.content,
        };
        match word.strip_suffix('*') {
            Some(prefix) => words.contains(&format!("\n{prefix}")),
            None => words.contains(&format!("\n{word}\n")),
        }
    }
}

/// The other resources that chains lead to.
pub trait Others {
    /// True if some resource of type `target` with one of `ids` satisfies `inner`.
    fn target(&self, target: ResourceType, ids: &[&str], inner: &Clause) -> bool;

    /// True if some resource of type `target` that answers to a canonical with one of `keys`
    /// satisfies `inner`.
    fn named(
        &self,
        target: ResourceType,
        canonical: Canonical,
        keys: &[&[u8]],
        inner: &Clause,
    ) -> bool;

    /// True if some `source` that satisfies `inner` refers by `param` with one of `keys`.
    fn source(
        &self,
        source: ResourceType,
        param: ParamId,
        keys: &[Vec<u8>],
        inner: &Clause,
    ) -> bool;
}

/// The keys of canonical references to the resource with these entries: by its URL, and by its
/// URL and version.
pub fn canonical_keys(entries: &[Entry], canonical: Canonical) -> Vec<Vec<u8>> {
    let text = |key: &[u8]| String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
    let mut out = Vec::new();
    for url in keys(entries, canonical.url).map(text) {
        out.push(key::reference_url(&url, ""));
        for version in keys(entries, canonical.version).map(text) {
            let code = version.split_once('\0').map_or("", |(code, _)| code);
            out.push(key::reference_url(&url, code));
        }
    }
    out
}

/// True if the resource satisfies the clause.
pub fn matches(clause: &Clause, facts: &Facts<'_>, others: &impl Others) -> bool {
    match clause {
        Clause::All(parts) => parts.iter().all(|part| matches(part, facts, others)),
        Clause::Any(parts) => parts.iter().any(|part| matches(part, facts, others)),
        Clause::Not(part) => !matches(part, facts, others),
        Clause::Decided(part) => matches(part, facts, others),
        Clause::Keys { param, ranges } => {
            keys(facts.entries, *param).any(|key| ranges.iter().any(|range| range.holds(key)))
        }
        Clause::HasParam(param) => keys(facts.entries, *param).next().is_some(),
        Clause::Type(kind) => facts.kind == *kind,
        Clause::Ids(ids) => ids.iter().any(|id| id == facts.id),
        Clause::Updated { from, to } => {
            from.is_none_or(|from| facts.updated >= from) && to.is_none_or(|to| facts.updated < to)
        }
        Clause::Refers {
            param,
            target,
            canonical: Some(canonical),
            inner,
        } => {
            let keys: Vec<&[u8]> = keys(facts.entries, *param)
                .filter(|key| key.first() == Some(&space::REFERENCE_URL))
                .collect();
            !keys.is_empty() && others.named(*target, *canonical, &keys, inner)
        }
        Clause::Refers {
            param,
            target,
            canonical: None,
            inner,
        } => {
            let ids: Vec<&str> = keys(facts.entries, *param)
                .filter_map(|key| local_reference(key, *target))
                .collect();
            !ids.is_empty() && others.target(*target, &ids, inner)
        }
        Clause::ReferredBy {
            source,
            param,
            canonical,
            inner,
        } => {
            let keys = match canonical {
                Some(canonical) => canonical_keys(facts.entries, *canonical),
                None => vec![key::reference(facts.kind, facts.id)],
            };
            others.source(*source, *param, &keys, inner)
        }
        Clause::Text { part, words } => facts.text.is_some_and(|text| {
            words
                .iter()
                .all(|choice| choice.iter().any(|word| text.has(*part, word)))
        }),
    }
}

/// The keys of one parameter among sorted entries.
pub(super) fn keys(entries: &[Entry], param: ParamId) -> impl Iterator<Item = &[u8]> {
    let from = entries.partition_point(|entry| entry.param < param);
    entries[from..]
        .iter()
        .take_while(move |entry| entry.param == param)
        .map(|entry| entry.key.as_slice())
}

/// The logical id in a key that points to a `target` of this server.
fn local_reference(key: &[u8], target: ResourceType) -> Option<&str> {
    key::read_reference(key)
        .filter(|(kind, _)| *kind == target)
        .map(|(_, id)| id)
}

impl KeyRange {
    /// True if `key` lies in the range and passes its tests.
    pub fn holds(&self, key: &[u8]) -> bool {
        key >= self.low.as_slice()
            && self.high.as_deref().is_none_or(|high| key < high)
            && self.test.iter().all(|test| test.passes(key))
    }
}

impl KeyTest {
    /// True if `key` passes.
    pub fn passes(&self, key: &[u8]) -> bool {
        let at = |offset: usize, len: usize| key.get(offset..offset.checked_add(len)?);
        // As in SQL, a part beyond the end is shorter or empty.
        let part = |offset: usize, len: usize| {
            let rest = key.get(offset..).unwrap_or_default();
            &rest[..len.min(rest.len())]
        };
        match self {
            Self::AtLeast(offset, bytes) => part(*offset, bytes.len()) >= bytes.as_slice(),
            Self::Below(offset, bytes) => part(*offset, bytes.len()) < bytes.as_slice(),
            Self::EndsWith(bytes) => key.ends_with(bytes),
            Self::Contains(offset, bytes) => key.get(*offset..).is_some_and(|part| {
                bytes.is_empty() || part.windows(bytes.len()).any(|window| window == bytes)
            }),
            Self::TailEquals { from_end, bytes } => key
                .len()
                .checked_sub(*from_end)
                .and_then(|offset| at(offset, bytes.len()))
                .is_some_and(|part| part == bytes.as_slice()),
        }
    }
}
