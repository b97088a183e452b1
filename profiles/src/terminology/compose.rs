//! ValueSet resources as sets of codes.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    rc::Rc,
};

use resources::{Value, outcome::Issue};

use super::{CodeSet, CodeSystem, Codes, Lookup, code_system, too_many, value_set};

/// Value sets inside one another.
const MAX_DEPTH: usize = 32;
/// Codes taken in hand during one expansion, whatever becomes of them: about a second.
const MAX_WORK: usize = 10_000_000;

/// One computation of a value set, with the code systems read on the way.
pub(super) struct Expansion<'l> {
    lookup: &'l dyn Lookup,
    limit: usize,
    /// The value sets being computed, outermost first.
    open: Vec<String>,
    /// The value sets that are done: each is computed once, however often it is imported.
    done: HashMap<String, Rc<CodeSet>>,
    /// `None` for those that are not known or not complete.
    code_systems: HashMap<String, Option<Rc<CodeSystem>>>,
    work: usize,
}

/// An object's array, item by item.
pub(super) fn items<'d>(
    holder: Value<'d>,
    name: &str,
) -> impl Iterator<Item = Value<'d>> + use<'d> {
    holder.get(name).into_iter().flat_map(|array| array.items())
}

/// The `include` or `exclude` of a ValueSet.
pub(super) fn parts<'d>(
    value_set: Value<'d>,
    name: &'static str,
) -> impl Iterator<Item = Value<'d>> + use<'d> {
    value_set
        .get("compose")
        .into_iter()
        .flat_map(move |compose| items(compose, name))
}

/// The expansion that stands in a ValueSet, if it is all of it.
pub(super) fn ready_expansion(value_set: Value<'_>) -> Option<Value<'_>> {
    let expansion = value_set.get("expansion")?;
    let number = |name| expansion.get(name)?.number()?.parse::<usize>().ok();
    let total = number("total");
    let first = number("offset").unwrap_or(0) == 0;
    let listed = expansion.get("contains").map_or(0, count);
    let all = total.is_none_or(|total| listed >= total);
    (first && all && (listed > 0 || total == Some(0))).then_some(expansion)
}

fn count(contains: Value<'_>) -> usize {
    let inside = |entry: Value<'_>| entry.get("contains").map_or(0, count);
    contains.items().map(|entry| 1 + inside(entry)).sum()
}

fn text(holder: Value<'_>, name: &str) -> Option<String> {
    holder.get(name)?.as_str().map(|text| text.into_owned())
}

impl<'l> Expansion<'l> {
    pub fn new(lookup: &'l dyn Lookup, limit: usize) -> Self {
        Self {
            lookup,
            limit,
            open: Vec::new(),
            done: HashMap::new(),
            code_systems: HashMap::new(),
            work: 0,
        }
    }

    pub fn of_canonical(&mut self, canonical: &str) -> Result<Rc<CodeSet>, Issue> {
        if let Some(codes) = self.done.get(canonical) {
            return Ok(Rc::clone(codes));
        }
        if self.open.len() >= MAX_DEPTH || self.open.iter().any(|open| open == canonical) {
            let sentence = format!(
                "The value set {canonical} imports itself, directly or through others; correct \
                 its compose."
            );
            return Err(Issue::error("invalid", sentence));
        }
        let Some(doc) = value_set(canonical, self.lookup) else {
            let sentence =
                format!("The value set {canonical} is not known here; store it as a ValueSet.");
            return Err(Issue::error("not-found", sentence));
        };
        self.open.push(canonical.to_owned());
        let codes = self.of_resource(doc.root()).map(Rc::new);
        self.open.pop();
        let codes = codes?;
        self.done.insert(canonical.to_owned(), Rc::clone(&codes));
        Ok(codes)
    }

    pub fn of_resource(&mut self, value_set: Value<'_>) -> Result<CodeSet, Issue> {
        let mut codes = CodeSet::default();
        if let Some(expansion) = ready_expansion(value_set) {
            contained(expansion, &mut codes);
            return self.bounded(codes);
        }
        for include in parts(value_set, "include") {
            let included = self.included(include)?;
            codes.unite(included);
            self.spend(codes.systems().count())?;
            codes = self.bounded(codes)?;
        }
        for exclude in parts(value_set, "exclude") {
            let excluded = self.included(exclude)?;
            self.spend(codes.len() + codes.systems().count())?;
            codes.subtract(&excluded).map_err(|system| {
                let sentence = format!(
                    "The value set excludes codes from all of {system}, \
                 whose codes are not known here; store it as a CodeSystem with content \
                 'complete'."
                );
                Issue::error("not-supported", sentence)
            })?;
        }
        Ok(codes)
    }

    fn bounded(&self, codes: CodeSet) -> Result<CodeSet, Issue> {
        if codes.len() + codes.whole_systems().count() > self.limit {
            return Err(too_many(self.limit));
        }
        Ok(codes)
    }

    fn spend(&mut self, codes: usize) -> Result<(), Issue> {
        self.work = self.work.saturating_add(codes).saturating_add(1);
        if self.work > MAX_WORK {
            let sentence = "The value set takes too much work to expand; let it include fewer \
                 value sets and use fewer filters, or store it with its expansion.";
            return Err(Issue::error("too-costly", sentence));
        }
        Ok(())
    }

    /// One include or exclude: codes of a system, and in all of the value sets named.
    fn included(&mut self, include: Value<'_>) -> Result<CodeSet, Issue> {
        let mut codes = match text(include, "system") {
            Some(system) => Some(self.of_system(&system, include)?),
            None => None,
        };
        for imported in items(include, "valueSet") {
            let Some(canonical) = imported.as_str() else {
                continue;
            };
            let imported = self.of_canonical(&canonical)?;
            self.spend(imported.len() + codes.as_ref().map_or(0, CodeSet::len))?;
            codes = Some(match codes {
                Some(codes) => codes.intersect(&imported),
                None => CodeSet::clone(&imported),
            });
        }
        Ok(codes.unwrap_or_default())
    }

    fn of_system(&mut self, system: &str, include: Value<'_>) -> Result<CodeSet, Issue> {
        let mut codes = CodeSet::default();
        if include.get("concept").is_some() {
            let listed = items(include, "concept").filter_map(|concept| text(concept, "code"));
            codes.add(system, Codes::Listed(listed.collect()));
            return Ok(codes);
        }
        let known = self.code_system(system, text(include, "version").as_deref());
        let mut filters = items(include, "filter").peekable();
        let Some(known) = known else {
            return match filters.peek() {
                None => {
                    codes.add(system, Codes::All);
                    Ok(codes)
                }
                Some(_) => Err(super::unknown_code_system(system)),
            };
        };
        self.spend(known.size())?;
        let mut places: BTreeSet<usize> = known.all().collect();
        for filter in filters {
            self.spend(known.size())?;
            let kept = Filter::read(filter)?.keep(&known)?;
            places.retain(|at| kept.contains(at));
        }
        let listed = places.into_iter().map(|at| known.code(at).to_owned());
        codes.add(system, Codes::Listed(listed.collect()));
        Ok(codes)
    }

    fn code_system(&mut self, system: &str, version: Option<&str>) -> Option<Rc<CodeSystem>> {
        let lookup = self.lookup;
        let read = || {
            let versioned = version.map(|version| format!("{system}|{version}"));
            // Another version is closer to what is meant than none.
            let doc = versioned
                .and_then(|canonical| code_system(&canonical, lookup))
                .or_else(|| code_system(system, lookup))?;
            let read = CodeSystem::read(doc.root());
            read.is_complete().then(|| Rc::new(read))
        };
        let key = format!("{system}|{}", version.unwrap_or(""));
        self.code_systems.entry(key).or_insert_with(read).clone()
    }
}

/// The codes of an expansion; abstract entries only group others.
fn contained(holder: Value<'_>, codes: &mut CodeSet) {
    for entry in items(holder, "contains") {
        let grouping = entry.get("abstract").and_then(|value| value.as_bool()) == Some(true);
        if let (Some(system), Some(code), false) =
            (text(entry, "system"), text(entry, "code"), grouping)
        {
            codes.add(&system, Codes::Listed(BTreeSet::from([code])));
        }
        contained(entry, codes);
    }
}

/// `compose.include.filter`
struct Filter {
    property: String,
    op: String,
    value: String,
}

impl Filter {
    fn read(filter: Value<'_>) -> Result<Self, Issue> {
        match (
            text(filter, "property"),
            text(filter, "op"),
            text(filter, "value"),
        ) {
            (Some(property), Some(op), Some(value)) => Ok(Self {
                property,
                op,
                value,
            }),
            _ => {
                let sentence = "A filter of the value set lacks property, op or value; add it.";
                Err(Issue::error("invalid", sentence))
            }
        }
    }

    /// The places of the concepts that pass.
    fn keep(&self, system: &CodeSystem) -> Result<BTreeSet<usize>, Issue> {
        let is_one_of = |at: usize, values: &HashSet<&str>| {
            system
                .property(at, &self.property)
                .any(|own| values.contains(own))
        };
        let list = self.value.split(',').map(str::trim).collect();
        let only = HashSet::from([self.value.as_str()]);
        let all = system.all();
        Ok(match self.op.as_str() {
            "is-a" => self.below(system),
            "descendent-of" => {
                let mut below = self.below(system);
                below.retain(|at| system.code(*at) != self.value);
                below
            }
            "is-not-a" => {
                let below = self.below(system);
                all.filter(|at| !below.contains(at)).collect()
            }
            "generalizes" => {
                let above = system.find(&self.value).map(|at| system.ancestors(at));
                above.unwrap_or_default().into_iter().collect()
            }
            "=" => all.filter(|at| is_one_of(*at, &only)).collect(),
            "in" => all.filter(|at| is_one_of(*at, &list)).collect(),
            "not-in" => all.filter(|at| !is_one_of(*at, &list)).collect(),
            "exists" => {
                let wanted = self.value == "true";
                let exists = |at: usize| system.property(at, &self.property).next().is_some();
                all.filter(|at| exists(*at) == wanted).collect()
            }
            other => {
                let sentence = format!(
                    "The value set filters by '{other}', which is not supported; list the \
                     codes, or use is-a, descendent-of, is-not-a, generalizes, =, in, not-in \
                     or exists."
                );
                return Err(Issue::error("not-supported", sentence));
            }
        })
    }

    /// The concept named and all below it; none if the system does not have it.
    fn below(&self, system: &CodeSystem) -> BTreeSet<usize> {
        let below = system.find(&self.value).map(|at| system.descendants(at));
        below.unwrap_or_default().into_iter().collect()
    }
}
