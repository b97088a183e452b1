//! Names and values of a request to a [`Query`].

use resources::{
    index::{Kind, Registry},
    model::ResourceType,
    outcome::Issue,
};

use super::{
    compartment::{members, membership},
    compile::{Compiler, type_named, updated},
    date,
    fault::Fault,
    filter::Filter,
    plan::{Clause, TotalMode},
    query::{Query, Request, Scope, SearchLimits, Summary},
    results::Results,
    single::is_single,
    text::split,
};

/// Reads a search. What it finds wrong it reports all at once.
///
/// # Errors
/// Bad values and exceeded limits; unknown parameters and modifiers too if the request is strict.
pub fn parse(
    request: &Request<'_>,
    registry: &Registry,
    limits: &SearchLimits,
) -> Result<Query, Vec<Issue>> {
    if request.params.len() > limits.params {
        return Err(vec![Issue::error(
            "too-costly",
            format!(
                "the search has {} parameters, at most {} are allowed",
                request.params.len(),
                limits.params
            ),
        )]);
    }
    let mut parser = Parser {
        strict: request.strict,
        compiler: Compiler::new(registry, limits, request.base_url, request.now),
        types: Vec::new(),
        accepted: Vec::with_capacity(request.params.len()),
        criteria: Vec::new(),
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    parser.types = parser.types(request)?;
    let mut results = Results::default();
    for (name, value) in request.params {
        parser.parameter(&mut results, name, value);
    }
    parser.query(request, results)
}

struct Parser<'a> {
    strict: bool,
    compiler: Compiler<'a>,
    types: Vec<ResourceType>,
    accepted: Vec<(String, String)>,
    /// The parameters that resources must satisfy.
    criteria: Vec<Criterion<'a>>,
    errors: Vec<Issue>,
    warnings: Vec<Issue>,
}

/// One parameter and the condition that it puts on each searched type.
struct Criterion<'a> {
    name: &'a str,
    filters: Vec<Filter>,
}

impl<'a> Parser<'a> {
    /// The types to search, from the scope and `_type`.
    fn types(&self, request: &Request<'_>) -> Result<Vec<ResourceType>, Vec<Issue>> {
        let possible = match &request.scope {
            Scope::Type(kind) => vec![*kind],
            Scope::System => ResourceType::all().collect(),
            Scope::Compartment { kind, member, .. } => {
                member.map_or_else(|| members(*kind), |member| vec![member])
            }
        };
        let mut given = request.params.iter().filter(|(name, _)| name == "_type");
        let Some((_, value)) = given.next() else {
            return Ok(possible);
        };
        let named: Result<Vec<ResourceType>, Fault> = split(value, b',').map(type_named).collect();
        let mut named = named.map_err(|fault| vec![fault.issue("_type")])?;
        if given.next().is_some() {
            let fault = Fault::invalid("it may be given once; separate types by commas");
            return Err(vec![fault.issue("_type")]);
        }
        named.sort_unstable();
        named.dedup();
        match named.iter().find(|kind| !possible.contains(kind)) {
            None => Ok(named),
            Some(kind) => Err(vec![
                Fault::invalid(format!("{kind} is not among the types searched here"))
                    .issue("_type"),
            ]),
        }
    }

    fn parameter<'r>(&mut self, results: &mut Results, name: &'r str, value: &'r str)
    where
        'r: 'a,
    {
        let outcome = if value.len() > self.compiler.limits.value_bytes {
            Err(Fault::too_costly(format!(
                "its value is longer than {} bytes",
                self.compiler.limits.value_bytes
            )))
        } else {
            match results.take(&self.compiler, &self.types, name, value) {
                Some(outcome) => outcome,
                None => self.criterion(name, value),
            }
        };
        match outcome {
            Ok(()) if name == "_page" => {}
            Ok(()) => self.accepted.push((name.to_owned(), value.to_owned())),
            Err(fault) if fault.ignorable && !self.strict => {
                self.warnings.push(fault.warning(name));
            }
            Err(fault) => self.errors.push(fault.issue(name)),
        }
    }

    fn criterion(&mut self, name: &'a str, value: &str) -> Result<(), Fault> {
        let filters: Result<Vec<Filter>, Fault> = self
            .types
            .iter()
            .map(|kind| self.compiler.condition(*kind, name, value, 0))
            .collect();
        self.criteria.push(Criterion {
            name,
            filters: filters?,
        });
        Ok(())
    }

    fn query(mut self, request: &Request<'_>, results: Results) -> Result<Query, Vec<Issue>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let filter = self.filter(request);
        let limits = self.compiler.limits;
        let counting = results.summary == Summary::Count || results.count == Some(0);
        let count = match results.count {
            _ if counting => 0,
            None => limits.page,
            Some(count) => {
                if count > limits.max_page {
                    let text = format!("pages have at most {} resources", limits.max_page);
                    self.warnings.push(Issue::warning("informational", text));
                }
                count.min(limits.max_page)
            }
        };
        self.warnings.extend(results.warnings);
        Ok(Query {
            types: self.types,
            includes: results.includes,
            summary: results.summary,
            elements: results.elements,
            total: if counting {
                TotalMode::Accurate
            } else {
                results.total
            },
            count,
            accepted: self.accepted,
            warnings: self.warnings,
            explain: results.explain,
            page: results.page,
            sort: results.sort,
            filter,
            max_codes: limits.codes,
        })
    }

    /// All criteria. A search over several types has one list of conditions per type, unless they
    /// are the same for all.
    fn filter(&mut self, request: &Request<'_>) -> Filter {
        let per_type: Vec<Filter> = (0..self.types.len())
            .map(|at| {
                let mut parts = Vec::with_capacity(self.criteria.len() + 1);
                if let Scope::Compartment { kind, id, .. } = &request.scope {
                    let registry = self.compiler.registry;
                    parts.push(Filter::Ready(membership(
                        *kind,
                        id,
                        self.types[at],
                        registry,
                    )));
                }
                let merged = self.merged_dates(at, request);
                let taken: Vec<&str> = merged.iter().map(|(name, _)| *name).collect();
                for criterion in &mut self.criteria {
                    if !taken.contains(&criterion.name) {
                        let nothing = Filter::everything();
                        parts.push(std::mem::replace(&mut criterion.filters[at], nothing));
                    }
                }
                parts.extend(merged.into_iter().map(|(_, filter)| filter));
                Filter::all(parts)
            })
            .collect();
        if per_type.windows(2).all(|pair| pair[0] == pair[1]) {
            return per_type
                .into_iter()
                .next()
                .unwrap_or_else(Filter::everything);
        }
        let typed = self.types.iter().zip(per_type).map(|(kind, filter)| {
            let kind = Filter::Ready(Clause::Type(*kind));
            match filter {
                Filter::Ready(Clause::All(parts)) => {
                    let parts = parts.into_iter().map(Filter::Ready);
                    Filter::all(std::iter::once(kind).chain(parts).collect())
                }
                other => Filter::all(vec![kind, other]),
            }
        });
        Filter::any(typed.collect())
    }

    /// A date parameter that is given more than once (`date=ge…&date=lt…`) and of which a resource
    /// has at most one value becomes one condition, so that its index is scanned once and only
    /// between the bounds.
    fn merged_dates(&self, at: usize, request: &Request<'_>) -> Vec<(&'a str, Filter)> {
        let mut out: Vec<(&str, Filter)> = Vec::new();
        for (i, criterion) in self.criteria.iter().enumerate() {
            let name = criterion.name;
            let again = |other: &Criterion<'_>| other.name == name;
            if out.iter().any(|(merged, _)| *merged == name)
                || !self.criteria[i + 1..].iter().any(again)
            {
                continue;
            }
            let param = self.compiler.registry.param(self.types[at], name);
            let Some(param) = param.filter(|param| param.kind == Kind::Date) else {
                continue;
            };
            let is_instant = name == "_lastUpdated";
            if !is_instant && !is_single(param) {
                continue;
            }
            let values = request.params.iter().filter(|(given, _)| given == name);
            let spans = values
                .map(|(_, value)| self.compiler.spans(value).ok())
                .reduce(|a, b| Some(date::meet(&a?, &b?)))
                .flatten();
            if let Some(spans) = spans {
                out.push((
                    name,
                    if is_instant {
                        updated(&spans)
                    } else {
                        Filter::keys(param.id, date::ranges(&spans))
                    },
                ));
            }
        }
        out
    }
}
