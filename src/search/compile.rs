//! One parameter of a search, name and value, to the condition that it stands for.

use std::cell::Cell;

use resources::{
    index::{Param, Registry},
    model::ResourceType,
    primitive::DateRange,
};

use super::{
    date::{self, Span},
    fault::Fault,
    filter::Filter,
    plan::{Clause, KeyRange, TextPart},
    prefix::Prefix,
    query::SearchLimits,
    text::{closest, split, unescape},
    words,
};

/// What the conditions of one request have in common.
pub(super) struct Compiler<'a> {
    pub registry: &'a Registry,
    pub limits: &'a SearchLimits,
    pub base_url: &'a str,
    pub now: i64,
    conditions: Cell<usize>,
}

impl<'a> Compiler<'a> {
    pub fn new(
        registry: &'a Registry,
        limits: &'a SearchLimits,
        base_url: &'a str,
        now: i64,
    ) -> Self {
        Self {
            registry,
            limits,
            base_url,
            now,
            conditions: Cell::new(0),
        }
    }

    /// The condition on resources of type `kind` that `name=value` stands for. `hops` counts the
    /// references followed so far.
    pub fn condition(
        &self,
        kind: ResourceType,
        name: &str,
        value: &str,
        hops: usize,
    ) -> Result<Filter, Fault> {
        self.count()?;
        if let Some(rest) = name.strip_prefix("_has:") {
            return self.has(kind, rest, value, hops);
        }
        if let Some((head, rest)) = name.split_once('.') {
            let next = |target| self.condition(target, rest, value, hops + 1);
            return self.chain(kind, head, hops, &next);
        }
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (name, None),
        };
        if value.is_empty() {
            return Err(Fault::unknown(
                "it has no value; give it one or leave it out",
            ));
        }
        match self.special(kind, code, modifier, value, hops)? {
            Some(filter) => Ok(filter),
            None => self.plain(self.param(kind, code)?, modifier, value),
        }
    }

    /// The parameter, or which one was probably meant.
    pub fn param(&self, kind: ResourceType, code: &str) -> Result<&'a Param, Fault> {
        self.registry.param(kind, code).ok_or_else(|| {
            let known = self.registry.of(kind).map(|param| param.code.as_str());
            let hint = match closest(code, known) {
                Some(near) => format!("; did you mean '{near}'?"),
                None => "; see the CapabilityStatement for those that it has".to_owned(),
            };
            Fault::unknown(format!("{kind} has no search parameter '{code}'{hint}"))
        })
    }

    /// Counts one condition more.
    pub fn count(&self) -> Result<(), Fault> {
        let count = self.conditions.get() + 1;
        self.conditions.set(count);
        if count > self.limits.conditions {
            return Err(Fault::too_costly(format!(
                "the search has more than {} conditions once they are spelled out for all types; \
                 name those that are searched (_type) and referred to (subject:Patient.name)",
                self.limits.conditions
            )));
        }
        Ok(())
    }

    /// The parameters that are no rows of the index.
    fn special(
        &self,
        kind: ResourceType,
        code: &str,
        modifier: Option<&str>,
        value: &str,
        hops: usize,
    ) -> Result<Option<Filter>, Fault> {
        let filter = match (code, modifier) {
            ("_id", None) => ids(&self.values(value)?),
            ("_id", Some("not")) => ids(&self.values(value)?).negated(),
            ("_lastUpdated", None) => updated(&self.spans(value)?),
            ("_id" | "_lastUpdated", Some("missing")) => {
                let everything = Filter::everything();
                if boolean(value)? {
                    everything.negated()
                } else {
                    everything
                }
            }
            ("_text", None) => self.words(TextPart::Narrative, value)?,
            ("_content", None) => self.words(TextPart::Content, value)?,
            ("_list", None) => self.list(value)?,
            ("_filter", None) => super::expression::compile(self, kind, value, hops)?,
            ("_id" | "_lastUpdated" | "_text" | "_content" | "_list" | "_filter", Some(other)) => {
                return Err(Fault::unknown(format!("{code} has no modifier ':{other}'")));
            }
            ("_query", _) => {
                return Err(Fault::unknown("this server has no named queries"));
            }
            _ => return Ok(None),
        };
        Ok(Some(filter))
    }

    /// The values between commas, escapes still in place.
    pub fn values<'v>(&self, value: &'v str) -> Result<Vec<&'v str>, Fault> {
        let values: Vec<&str> = split(value, b',').collect();
        if values.len() > self.limits.values {
            return Err(Fault::too_costly(format!(
                "it has {} values, at most {} are allowed",
                values.len(),
                self.limits.values
            )));
        }
        if values.iter().any(|value| value.is_empty()) {
            return Err(Fault::invalid(format!(
                "'{value}' has an empty value between commas; write \\, for a comma that is \
                 part of a value"
            )));
        }
        Ok(values)
    }

    /// The keys of all values, each by `one`.
    pub fn ranges(
        &self,
        value: &str,
        one: impl Fn(&str) -> Result<Vec<KeyRange>, Fault>,
    ) -> Result<Vec<KeyRange>, Fault> {
        let mut out = Vec::new();
        for value in self.values(value)? {
            out.extend(one(value)?);
        }
        Ok(out)
    }

    /// The conditions on a date, of which one must hold.
    pub fn spans(&self, value: &str) -> Result<Vec<Span>, Fault> {
        let mut out = Vec::new();
        for value in self.values(value)? {
            out.extend(self.span(value)?);
        }
        Ok(out)
    }

    pub fn span(&self, text: &str) -> Result<Vec<Span>, Fault> {
        let (prefix, date) = Prefix::take(text);
        Ok(date::spans(prefix, date_of(date)?, self.now))
    }

    fn words(&self, part: TextPart, value: &str) -> Result<Filter, Fault> {
        let mut parts = Vec::new();
        for value in self.values(value)? {
            parts.push(Filter::Ready(Clause::Text {
                part,
                words: words::parse(&unescape(value), self.limits.nesting)?,
            }));
        }
        Ok(Filter::any(parts))
    }

    /// `_list`: the members of a List resource.
    fn list(&self, value: &str) -> Result<Filter, Fault> {
        let item = self.reference_param(ResourceType::LIST, "item")?;
        let mut ids = Vec::new();
        for value in self.values(value)? {
            if value.starts_with('$') {
                return Err(Fault::not_supported(format!(
                    "'{value}' is a functional list, which this server does not have; \
                     use the id of a List"
                )));
            }
            let id = unescape(value);
            ids.push(id.strip_prefix("List/").unwrap_or(&id).to_owned());
        }
        let inner = Filter::Ready(Clause::Ids(ids));
        Ok(Filter::referred_by(
            ResourceType::LIST,
            item.id,
            None,
            inner,
        ))
    }
}

/// The date or dateTime of a search.
pub(super) fn date_of(text: &str) -> Result<DateRange, Fault> {
    DateRange::parse_query(text).ok_or_else(|| {
        Fault::invalid(format!(
            "'{text}' is not a date that exists, such as 2026, 2026-11, 2026-11-20 or \
             2026-11-20T10:30:00Z, with or without eq ne gt lt ge le sa eb ap before it"
        ))
    })
}

/// The resource's own logical id.
pub(super) fn ids(values: &[&str]) -> Filter {
    let ids = values.iter().map(|id| unescape(id).into_owned());
    Filter::Ready(Clause::Ids(ids.collect()))
}

/// `meta.lastUpdated`, which is an instant.
pub(super) fn updated(spans: &[Span]) -> Filter {
    let instants = spans.iter().map(Span::instants);
    let clause = |(first, last): (i64, i64)| {
        Filter::Ready(Clause::Updated {
            from: (first > i64::MIN).then_some(first),
            to: last.checked_add(1),
        })
    };
    Filter::any(
        instants
            .filter(|(first, last)| first <= last)
            .map(clause)
            .collect(),
    )
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::invalid(format!(
            "'{text}' is neither true nor false"
        ))),
    }
}

/// The resource type with this name, or which one was probably meant.
pub(super) fn type_named(name: &str) -> Result<ResourceType, Fault> {
    ResourceType::from_name(name).ok_or_else(|| {
        let hint = closest(name, ResourceType::all().map(ResourceType::name))
            .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        Fault::invalid(format!("'{name}' is no resource type of FHIR R4{hint}"))
    })
}
