//! One parameter of a search, name and value, to the condition that it stands for.

use std::cell::Cell;

use resources::{
    index::{Kind, Param, Registry},
    model::ResourceType,
    primitive::DateRange,
};

use super::{
    composite::composite,
    date::{self, Span},
    fault::Fault,
    filter::Filter,
    near::near,
    number,
    plan::{Clause, KeyRange, TextPart},
    prefix::Prefix,
    query::{Need, SearchLimits},
    reference,
    string::{self, Match},
    text::{closest, split, unescape},
    token::{self, Token},
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

    /// The reference parameter, or why it cannot be followed.
    pub fn reference_param(&self, kind: ResourceType, code: &str) -> Result<&'a Param, Fault> {
        let param = self.param(kind, code)?;
        if param.kind != Kind::Reference {
            return Err(Fault::invalid(format!(
                "{kind}.{code} is no reference, so nothing can be chained to it"
            )));
        }
        Ok(param)
    }

    fn count(&self) -> Result<(), Fault> {
        let count = self.conditions.get() + 1;
        self.conditions.set(count);
        if count > self.limits.conditions {
            return Err(Fault::too_costly(format!(
                "the search has more than {} conditions once its chains are spelled out; \
                 name the types of references (subject:Patient.name)",
                self.limits.conditions
            )));
        }
        Ok(())
    }

    fn check_hops(&self, hops: usize) -> Result<(), Fault> {
        if hops >= self.limits.hops {
            return Err(Fault::too_costly(format!(
                "it follows more than {} references",
                self.limits.hops
            )));
        }
        Ok(())
    }

    /// `head` (a reference, with or without a type) leads to resources of which `next` gives the
    /// condition.
    pub fn chain(
        &self,
        kind: ResourceType,
        head: &str,
        hops: usize,
        next: &dyn Fn(ResourceType) -> Result<Filter, Fault>,
    ) -> Result<Filter, Fault> {
        self.check_hops(hops)?;
        let (code, target) = match head.split_once(':') {
            Some((code, name)) => (code, Some(type_named(name)?)),
            None => (head, None),
        };
        let param = self.reference_param(kind, code)?;
        if let Some(target) = target {
            check_target(param, target)?;
            return Ok(Filter::refers(param.id, target, next(target)?));
        }
        let targets = targets_of(param);
        let mut parts = Vec::new();
        let mut missing = None;
        for target in &targets {
            match next(*target) {
                Ok(inner) => parts.push(Filter::refers(param.id, *target, inner)),
                Err(fault) if fault.ignorable => missing = missing.or(Some(fault)),
                Err(fault) => return Err(fault),
            }
        }
        match missing {
            Some(fault) if parts.is_empty() => Err(fault),
            _ => Ok(Filter::any(parts)),
        }
    }

    /// `_has:` was cut off: `Observation:patient:code`, and perhaps more.
    fn has(
        &self,
        kind: ResourceType,
        rest: &str,
        value: &str,
        hops: usize,
    ) -> Result<Filter, Fault> {
        self.check_hops(hops)?;
        let mut parts = rest.splitn(3, ':');
        let (Some(source), Some(code), Some(name)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::invalid(
                "_has takes a type, a reference parameter and a parameter: \
                 _has:Observation:patient:code",
            ));
        };
        let source = type_named(source)?;
        let param = self.reference_param(source, code)?;
        if !param.targets.is_empty() && !param.targets.contains(&kind) {
            return Err(Fault::invalid(format!(
                "{source}.{code} does not refer to {kind} but to {}",
                names(&param.targets)
            )));
        }
        let inner = self.condition(source, name, value, hops + 1)?;
        Ok(Filter::referred_by(source, param.id, inner))
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
    fn values<'v>(&self, value: &'v str) -> Result<Vec<&'v str>, Fault> {
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
    fn ranges(
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

    /// A parameter of the index.
    fn plain(&self, param: &Param, modifier: Option<&str>, value: &str) -> Result<Filter, Fault> {
        if modifier == Some("missing") {
            let present = Filter::Ready(Clause::HasParam(param.id));
            return Ok(if boolean(value)? {
                present.negated()
            } else {
                present
            });
        }
        let ranges = match (param.kind, modifier) {
            (Kind::Token, modifier) => return self.token(param, modifier, value),
            (Kind::Reference, modifier) => self.reference(param, modifier, value)?,
            (Kind::String, Some("exact")) => {
                self.ranges(value, |text| string::string(text, Match::Exact))?
            }
            (Kind::String, Some("contains")) => {
                self.ranges(value, |text| string::string(text, Match::Contains))?
            }
            (Kind::Uri, Some("below")) => self.ranges(value, string::uri_below)?,
            (Kind::Uri, Some("above")) => self.ranges(value, string::uri_above)?,
            (Kind::Composite, None) => self.ranges(value, |text| composite(self, param, text))?,
            (Kind::Special, None) if param.code == "near" => self.ranges(value, near)?,
            (Kind::Special, None) => {
                return Err(Fault::unknown("this server cannot search by it"));
            }
            (kind, None) => self.ranges(value, |text| self.keys(kind, &[], text))?,
            (kind, Some(other)) => return Err(no_modifier(kind, other)),
        };
        Ok(Filter::keys(param.id, ranges))
    }

    /// The keys of one value of a parameter without modifier that is no composite.
    pub fn keys(
        &self,
        kind: Kind,
        targets: &[ResourceType],
        text: &str,
    ) -> Result<Vec<KeyRange>, Fault> {
        match kind {
            Kind::Token => token::token(text),
            Kind::String => string::string(text, Match::Start),
            Kind::Reference => reference::reference(text, targets, self.base_url),
            Kind::Date => Ok(date::ranges(&self.span(text)?)),
            Kind::Number => number::number(text),
            Kind::Quantity => number::quantity(text),
            Kind::Uri => Ok(string::uri(text)),
            Kind::Composite | Kind::Special => Err(Fault::unknown(
                "this server cannot search by it as a part of another",
            )),
        }
    }

    fn token(&self, param: &Param, modifier: Option<&str>, value: &str) -> Result<Filter, Fault> {
        let keys = |ranges| Filter::keys(param.id, ranges);
        let coded = |need: &dyn Fn(&str) -> Result<Need, Fault>| {
            let code = |value| {
                Ok(Filter::Codes {
                    param: param.id,
                    need: need(value)?,
                })
            };
            let parts: Result<Vec<Filter>, Fault> =
                self.values(value)?.into_iter().map(code).collect();
            Ok(Filter::any(parts?))
        };
        let value_set = |text: &str| Ok(Need::ValueSet(unescape(text).into_owned()));
        match modifier {
            None => Ok(keys(self.ranges(value, token::token)?)),
            Some("not") => Ok(keys(self.ranges(value, token::token)?).negated()),
            Some("text") => Ok(keys(self.ranges(value, string::token_text)?)),
            Some("of-type") => Ok(keys(self.ranges(value, token::of_type)?)),
            Some("in") => coded(&value_set),
            Some("not-in") => Ok(coded(&value_set)?.negated()),
            Some("below") => coded(&|text| hierarchy(text, true)),
            Some("above") => coded(&|text| hierarchy(text, false)),
            Some(other) => Err(no_modifier(Kind::Token, other)),
        }
    }

    fn reference(
        &self,
        param: &Param,
        modifier: Option<&str>,
        value: &str,
    ) -> Result<Vec<KeyRange>, Fault> {
        match modifier {
            None => self.ranges(value, |text| {
                reference::reference(text, &param.targets, self.base_url)
            }),
            Some("identifier") => self.ranges(value, reference::identifier),
            Some(name) => {
                let Some(kind) = ResourceType::from_name(name) else {
                    return Err(no_modifier(Kind::Reference, name));
                };
                check_target(param, kind)?;
                self.ranges(value, |text| reference::typed(text, kind, self.base_url))
            }
        }
    }

    /// The conditions on a date, of which one must hold.
    pub fn spans(&self, value: &str) -> Result<Vec<Span>, Fault> {
        let mut out = Vec::new();
        for value in self.values(value)? {
            out.extend(self.span(value)?);
        }
        Ok(out)
    }

    fn span(&self, text: &str) -> Result<Vec<Span>, Fault> {
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
        Ok(Filter::referred_by(ResourceType::LIST, item.id, inner))
    }
}

/// The date or dateTime of a search.
pub(super) fn date_of(text: &str) -> Result<DateRange, Fault> {
    DateRange::parse(text).ok_or_else(|| {
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
    let clause = |span: &Span| {
        let (first, last) = span.instants();
        Filter::Ready(Clause::Updated {
            from: (first > i64::MIN).then_some(first),
            to: last.checked_add(1),
        })
    };
    Filter::any(spans.iter().map(clause).collect())
}

fn hierarchy(text: &str, below: bool) -> Result<Need, Fault> {
    let token = Token::parse(text)?;
    let Some(code) = token.code else {
        return Err(Fault::invalid(format!("'{text}' names no code")));
    };
    let (system, code) = (token.system.map(Into::into), code.into_owned());
    Ok(if below {
        Need::Below { system, code }
    } else {
        Need::Above { system, code }
    })
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

fn check_target(param: &Param, target: ResourceType) -> Result<(), Fault> {
    if param.targets.is_empty() || param.targets.contains(&target) {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "{}.{} does not refer to {target} but to {}",
        param.base,
        param.code,
        names(&param.targets)
    )))
}

fn targets_of(param: &Param) -> Vec<ResourceType> {
    if param.targets.is_empty() {
        ResourceType::all().collect()
    } else {
        param.targets.clone()
    }
}

fn names(kinds: &[ResourceType]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(", ")
}

/// What can follow a colon after a parameter of each type.
fn no_modifier(kind: Kind, modifier: &str) -> Fault {
    let (name, has) = match kind {
        Kind::Token => (
            "token",
            "missing, text, not, above, below, in, not-in and of-type",
        ),
        Kind::String => ("string", "missing, exact and contains"),
        Kind::Reference => (
            "reference",
            "missing, identifier and the name of a resource type",
        ),
        Kind::Uri => ("uri", "missing, above and below"),
        Kind::Date => ("date", "missing"),
        Kind::Number => ("number", "missing"),
        Kind::Quantity => ("quantity", "missing"),
        Kind::Composite => ("composite", "missing"),
        Kind::Special => ("special", "missing"),
    };
    Fault::unknown(format!(
        "modifier ':{modifier}' does not go with {name} parameters; they have {has}"
    ))
}
