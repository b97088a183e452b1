//! From documents to what can be booked: a Schedule, and what it refers to.

use std::sync::Arc;

use jiff::tz::TimeZone;
use resources::{
    Doc, Value,
    outcome::{Issue, Severity},
    primitive::Reference,
};

use super::{
    bookable::{Actor, Bookable, Hours, Visit},
    claim::Number,
    element::{self, Ends, Extension, code, each, extensions, kind_of, text},
    facets,
    opening::{self, ALWAYS, Closure},
    policy,
    span::Span,
};

mod check;

pub use check::check;
pub use element::target;

/// HL7's extension for the zone of a place's or a person's clock.
pub const TIME_ZONE: &str = "http://hl7.org/fhir/StructureDefinition/timezone";

/// The most references that are followed from one resource.
const MOST_NEEDS: usize = 100;
/// How far up `partOf` is followed.
const MOST_PARTS: usize = 16;

/// What holds if the resources do not say otherwise.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The zone of a Schedule that names none.
    pub zone: TimeZone,
    /// The server's own base URL, no slash at the end: absolute references under it are local.
    pub base: String,
    /// The number of `Type/id`.
    pub number: fn(&str) -> Number,
}

/// The elements that are followed, by type.
const FOLLOWED: [(&str, &[&str]); 6] = [
    ("Schedule", &["actor"]),
    (
        "PractitionerRole",
        &[
            "practitioner",
            "organization",
            "location",
            "healthcareService",
        ],
    ),
    ("HealthcareService", &["providedBy", "location"]),
    ("Location", &["partOf", "managingOrganization"]),
    ("Organization", &["partOf"]),
    ("Device", &["owner", "location"]),
];

/// The types whose resources a [`Bookable`] is made of: when one of them changes, those that need
/// it are to be read again.
pub const KINDS: [&str; 7] = [
    "Schedule",
    "PractitionerRole",
    "HealthcareService",
    "Location",
    "Organization",
    "Device",
    "Practitioner",
];

/// What must be read (`Type/id` of this server) to know all about a resource: of a Schedule, or of
/// what this function named before. At most a hundred; whoever follows bounds the depth.
pub fn needs(doc: &Doc, base: &str) -> Vec<String> {
    let kind = doc.resource_type().unwrap_or_default();
    let names = FOLLOWED.iter().find(|(name, _)| *name == kind);
    let mut found = Vec::new();
    for name in names.map_or(&[][..], |(_, names)| *names) {
        for target in each(doc.root(), name).filter_map(|value| element::reference(value, base)) {
            if is_local(&target) && !found.contains(&target) && found.len() < MOST_NEEDS {
                found.push(target);
            }
        }
    }
    found
}

fn is_local(target: &str) -> bool {
    matches!(Reference::parse(target), Some(Reference::Local { .. }))
}

/// A resource that a Schedule refers to, and where it is named.
#[derive(Clone)]
pub(super) struct Linked {
    /// `Type/id`
    pub reference: String,
    pub doc: Arc<Doc>,
}

impl Linked {
    pub fn root(&self) -> Value<'_> {
        self.doc.root()
    }
}

/// A place, and those that it is part of, itself first.
pub(super) type Place = Vec<Linked>;

/// All that a Schedule's rules come from.
#[derive(Default)]
pub(super) struct Sources {
    /// All actors that are resources of this server, in order.
    pub actors: Vec<Linked>,
    pub practitioners: Vec<Linked>,
    pub roles: Vec<Linked>,
    pub services: Vec<Linked>,
    pub places: Vec<Place>,
    /// Organizations, with those that they are part of.
    pub organizations: Vec<Linked>,
}

struct Reader<'r> {
    get: &'r dyn Fn(&str) -> Option<Arc<Doc>>,
    base: &'r str,
    issues: Vec<Issue>,
}

/// A Schedule as something that can be booked.
///
/// # Errors
/// Why nothing of it can be booked: something is not active, missing, or not to be understood.
pub fn bookable(
    rid: i64,
    schedule: &Doc,
    get: &dyn Fn(&str) -> Option<Arc<Doc>>,
    defaults: &Defaults,
) -> Result<Bookable, Vec<Issue>> {
    let mut reader = Reader {
        get,
        base: &defaults.base,
        issues: Vec::new(),
    };
    let root = schedule.root();
    if root.get("active").and_then(|it| it.as_bool()) == Some(false) {
        reader.refuse("Schedule.active", "This Schedule is not active.");
    }
    let mut sources = Sources::default();
    let actors = reader.actors(root, defaults, &mut sources);
    reader.services(&mut sources);
    reader.places(&mut sources);
    reader.organizations(&mut sources);
    let zone = reader.zone(root, &sources, &defaults.zone);
    let own = policy::read(root, "Schedule", &mut reader.issues);
    let visits = reader.visits(root, &own, &sources);
    let hours = reader.hours(&own, &sources, &zone, schedule);
    let planning = reader.planning(root, &sources, &zone);
    let is_wrong = |issue: &Issue| issue.severity >= Severity::Error;
    if reader.issues.iter().any(is_wrong) {
        let wrong = reader.issues.into_iter().filter(is_wrong);
        return Err(wrong.map(placed).collect());
    }
    let facets = facets::read(root, &sources, &visits, &defaults.base);
    Ok(Bookable {
        id: text(root, "id").unwrap_or_default().into_owned(),
        rid,
        actors,
        visits,
        zone,
        hours,
        planning,
        facets,
    })
}

impl Reader<'_> {
    fn refuse(&mut self, path: impl Into<String>, sentence: impl Into<String>) {
        self.issues
            .push(Issue::error("business-rule", sentence).at(path));
    }

    fn linked(&self, reference: String) -> Option<Linked> {
        let doc = is_local(&reference).then(|| (self.get)(&reference))??;
        Some(Linked { reference, doc })
    }

    fn targets(&self, value: Value<'_>, name: &str) -> Vec<String> {
        each(value, name)
            .filter_map(|value| element::reference(value, self.base))
            .collect()
    }

    fn actors(
        &mut self,
        schedule: Value<'_>,
        defaults: &Defaults,
        sources: &mut Sources,
    ) -> Vec<Actor> {
        let mut actors: Vec<Actor> = Vec::new();
        let mut shared = Vec::new();
        for (i, value) in each(schedule, "actor").enumerate() {
            let path = format!("Schedule.actor[{i}]");
            let Some(reference) = element::reference(value, self.base) else {
                let sentence = "A Schedule is booked by the time of its actors: this one must \
                     refer to a resource, not to a contained or a logical one.";
                self.refuse(path, sentence);
                continue;
            };
            let mut practitioner = None;
            let mut is_shared = kind_of(&reference) == Some("HealthcareService");
            // One that there is not, or not yet, has no hours, but its time can be claimed.
            if let Some(linked) = self.linked(reference.clone()) {
                if let Some(why) = closed(&linked) {
                    self.refuse(&path, why);
                }
                is_shared |= is_site(linked.root());
                practitioner = self.actor(linked, &path, sources);
            }
            let number = (defaults.number)(practitioner.as_deref().unwrap_or(&reference));
            // Who is named twice, as a person and as a role, has one time all the same.
            if actors.iter().any(|other| other.number == number) {
                continue;
            }
            shared.extend(is_shared.then_some(number));
            actors.push(Actor {
                number,
                reference,
                practitioner,
                display: text(value, "display").map(|it| it.into_owned()),
            });
        }
        // Many work in a service and at a site at the same time: where they stand beside
        // somebody, or a room, they say what is done and where, and have no time of their own.
        if actors.iter().any(|actor| !shared.contains(&actor.number)) {
            actors.retain(|actor| !shared.contains(&actor.number));
        }
        if actors.is_empty() && self.issues.is_empty() {
            self.refuse("Schedule.actor", "A Schedule needs an actor.");
        }
        actors
    }

    /// Sorts an actor in; of a role its practitioner.
    fn actor(&mut self, linked: Linked, path: &str, sources: &mut Sources) -> Option<String> {
        let mut practitioner = None;
        sources.actors.push(linked.clone());
        match kind_of(&linked.reference) {
            Some("Practitioner") => sources.practitioners.push(linked),
            Some("PractitionerRole") => {
                let person = linked.root().get("practitioner");
                practitioner = person.and_then(|it| element::reference(it, self.base));
                if let Some(person) = practitioner.clone().and_then(|it| self.linked(it)) {
                    if let Some(why) = closed(&person) {
                        self.refuse(path, why);
                    }
                    sources.practitioners.push(person);
                }
                sources.roles.push(linked);
            }
            Some("HealthcareService") => sources.services.push(linked),
            Some("Location") => {
                let place = self.place(linked);
                if let Some(why) = place.iter().skip(1).find_map(closed) {
                    self.refuse(path, why);
                }
                sources.places.push(place);
            }
            _ => {}
        }
        practitioner
    }

    /// The services of roles, unless the Schedule names its own.
    fn services(&mut self, sources: &mut Sources) {
        if !sources.services.is_empty() {
            return;
        }
        let named = self.named(&sources.roles, "healthcareService");
        let all = named.len();
        let usable: Vec<_> = named
            .into_iter()
            .filter(|it| closed(it).is_none())
            .collect();
        if usable.is_empty() && all > 0 {
            self.refuse(
                "Schedule.actor",
                "The services of its roles are not active.",
            );
        }
        sources.services = usable;
    }

    /// The places of roles, or else of services, or else of devices, unless the Schedule names its
    /// own.
    fn places(&mut self, sources: &mut Sources) {
        if !sources.places.is_empty() {
            return;
        }
        for of in [&sources.roles, &sources.services, &sources.actors] {
            let named = self.named(of, "location");
            if named.is_empty() {
                continue;
            }
            let places = named.into_iter().map(|place| self.place(place));
            let is_usable = |place: &Place| place.iter().all(|part| closed(part).is_none());
            sources.places = places.filter(is_usable).collect();
            if sources.places.is_empty() {
                let sentence = "The places that its actors name are not active.";
                self.refuse("Schedule.actor", sentence);
            }
            return;
        }
    }

    fn named(&self, of: &[Linked], name: &str) -> Vec<Linked> {
        let mut found: Vec<Linked> = Vec::new();
        for target in of.iter().flat_map(|it| self.targets(it.root(), name)) {
            if !found.iter().any(|other| other.reference == target) {
                found.extend(self.linked(target));
            }
        }
        found
    }

    fn organizations(&mut self, sources: &mut Sources) {
        let places: Vec<Linked> = sources.places.iter().flatten().cloned().collect();
        for (of, name) in [
            (&sources.roles, "organization"),
            (&sources.services, "providedBy"),
            (&places, "managingOrganization"),
            (&sources.actors, "owner"),
        ] {
            for organization in self.named(of, name) {
                for part in self.place(organization) {
                    let known = &mut sources.organizations;
                    if !known.iter().any(|it| it.reference == part.reference) {
                        known.push(part);
                    }
                }
            }
        }
    }

    /// A place or organization, and all that it is part of.
    fn place(&self, linked: Linked) -> Place {
        let mut parts = vec![linked];
        while parts.len() < MOST_PARTS {
            let above = parts.last().and_then(|part| part.root().get("partOf"));
            let above = above.and_then(|it| element::reference(it, self.base));
            let is_known = |target: &String| parts.iter().any(|it| it.reference == *target);
            let Some(next) = above.filter(|it| !is_known(it)) else {
                break;
            };
            let Some(next) = self.linked(next) else { break };
            parts.push(next);
        }
        parts
    }

    /// The Schedule's zone, or that of the first place, role or service that has one.
    fn zone(&mut self, schedule: Value<'_>, sources: &Sources, default: &TimeZone) -> TimeZone {
        let linked = sources
            .places
            .iter()
            .flatten()
            .chain(&sources.roles)
            .chain(&sources.services)
            .map(|linked| (linked.root(), linked.reference.as_str()));
        for (resource, path) in [(schedule, "Schedule")].into_iter().chain(linked) {
            if let Some(zone) = zone_of(resource, path, &mut self.issues) {
                return zone;
            }
        }
        default.clone()
    }

    fn visits(
        &mut self,
        schedule: Value<'_>,
        own: &policy::Policy,
        sources: &Sources,
    ) -> Vec<Visit> {
        let offered = |resource, name: &str| element::concepts(resource, name).collect::<Vec<_>>();
        let of_schedule = offered(schedule, "serviceType");
        let of_services = || {
            let services = sources.services.iter();
            let mut all: Vec<_> = services.flat_map(|it| offered(it.root(), "type")).collect();
            facets::unique(&mut all);
            all
        };
        let mut visits = own.visits.clone();
        if visits.is_empty() {
            for service in &sources.services {
                let policy = policy::read(service.root(), &service.reference, &mut self.issues);
                let types = offered(service.root(), "type");
                visits.extend(policy.visits.into_iter().map(|mut visit| {
                    if visit.service_types.is_empty() && of_schedule.is_empty() {
                        visit.service_types.clone_from(&types);
                    }
                    visit
                }));
            }
        }
        if visits.is_empty() && own.has_only_hours {
            visits.push(Visit::default());
        }
        for visit in visits.iter_mut().filter(|it| it.service_types.is_empty()) {
            visit.service_types = match of_schedule.is_empty() {
                true => of_services(),
                false => of_schedule.clone(),
            };
        }
        visits
    }

    /// When it is open: its own hours, or those of each source that has some.
    fn hours(
        &mut self,
        own: &policy::Policy,
        sources: &Sources,
        zone: &TimeZone,
        schedule: &Doc,
    ) -> Vec<Hours> {
        let id = text(schedule.root(), "id").unwrap_or_default();
        let id = format!("Schedule/{id}");
        let closures = |of: &[Closure]| of.iter().map(|it| it.closed(zone)).collect::<Vec<_>>();
        let mut all = vec![Hours {
            source: id,
            weekly: own.weekly.clone(),
            closed: closures(&own.closures),
        }];
        let issues = &mut self.issues;
        for role in &sources.roles {
            all.push(Hours {
                source: role.reference.clone(),
                weekly: opening::available(role.root(), &role.reference, issues),
                closed: closures(&opening::not_available(
                    role.root(),
                    &role.reference,
                    issues,
                )),
            });
        }
        let is_actor = |it: &Linked| sources.actors.iter().any(|a| a.reference == it.reference);
        let is_only = sources.services.len() == 1;
        for service in sources.services.iter().filter(|it| is_only || is_actor(it)) {
            all.push(Hours {
                source: service.reference.clone(),
                weekly: opening::available(service.root(), &service.reference, issues),
                closed: closures(&opening::not_available(
                    service.root(),
                    &service.reference,
                    issues,
                )),
            });
        }
        let is_only = sources.places.len() == 1;
        for place in sources
            .places
            .iter()
            .filter(|it| is_only || is_actor(&it[0]))
        {
            // A room without hours is open when its building is.
            for part in place {
                let weekly = opening::operation(part.root(), &part.reference, issues);
                if !weekly.is_empty() {
                    all.push(Hours {
                        source: part.reference.clone(),
                        weekly,
                        closed: Vec::new(),
                    });
                    break;
                }
            }
        }
        if !own.weekly.is_empty() {
            all.iter_mut().skip(1).for_each(|it| it.weekly.clear());
        }
        settled(all)
    }

    /// `planningHorizon`, and while all roles last.
    fn planning(
        &mut self,
        schedule: Value<'_>,
        sources: &Sources,
        zone: &TimeZone,
    ) -> Option<Span> {
        let horizon = schedule.get("planningHorizon");
        let periods = sources.roles.iter().map(|role| role.root().get("period"));
        let both = [horizon].into_iter().chain(periods).flatten();
        let span = both
            .map(|period| Ends::of(period).span(zone))
            .reduce(|a, b| Span::new(a.start.max(b.start), a.end.min(b.end)))?;
        if span.is_empty() {
            let sentence = "There is no time in both its planningHorizon and the period of its \
                 PractitionerRole.";
            self.refuse("Schedule.planningHorizon", sentence);
        }
        Some(span)
    }
}

/// Issues of other resources are read under their references; here the sentence says whose they
/// are, and the expression becomes FHIRPath.
/// True for a place in which many can be at the same time: by its `physicalType` (HL7's codes), or
/// if it has none and is part of nothing.
pub fn is_site(root: Value<'_>) -> bool {
    let kind = root.get("resourceType").and_then(|kind| kind.as_str());
    if kind.as_deref() != Some("Location") {
        return false;
    }
    let codings = root.get("physicalType").and_then(|kind| kind.get("coding"));
    let mut codes = codings
        .iter()
        .flat_map(|list| list.items())
        .filter_map(|one| {
            let code = one.get("code")?.as_str()?;
            Some(code.into_owned())
        });
    match root.get("physicalType") {
        Some(_) => codes.any(|code| {
            let sites = [
                "si", "bu", "wi", "wa", "lvl", "co", "ho", "rd", "area", "jdn",
            ];
            sites.contains(&code.as_str())
        }),
        None => root.get("partOf").is_none(),
    }
}

fn placed(mut issue: Issue) -> Issue {
    let Some(expression) = issue.expression.take() else {
        return issue;
    };
    let (root, rest) = expression.split_once('.').unwrap_or((&expression, ""));
    let Some(kind) = kind_of(root) else {
        return issue.at(expression);
    };
    issue.diagnostics = format!("{root}: {}", issue.diagnostics);
    let path = format!("{kind}.{rest}");
    issue.at(path)
}

/// Only sources with hours stay; exceptions of the others go to the first that does.
fn settled(all: Vec<Hours>) -> Vec<Hours> {
    let (mut open, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| !it.weekly.is_empty());
    for mut other in rest.into_iter().filter(|it| !it.closed.is_empty()) {
        match open.first_mut() {
            Some(first) => first.closed.append(&mut other.closed),
            None => open.push(Hours {
                weekly: vec![ALWAYS],
                ..other
            }),
        }
    }
    open
}

/// Why nobody can book it.
fn closed(linked: &Linked) -> Option<String> {
    let Linked { reference, .. } = linked;
    let root = linked.root();
    if root.get("active").and_then(|it| it.as_bool()) == Some(false) {
        return Some(format!("{reference} is not active."));
    }
    let status = code(root, "status")?;
    let kind = kind_of(reference)?;
    let is_closed = match kind {
        "Location" => matches!(status, "suspended" | "inactive"),
        "Device" => matches!(status, "inactive" | "entered-in-error"),
        _ => false,
    };
    is_closed.then(|| format!("{reference} is {status}."))
}

/// The zone that a resource says, or its address.
fn zone_of(resource: Value<'_>, path: &str, issues: &mut Vec<Issue>) -> Option<TimeZone> {
    let address = resource.get("address").filter(|it| it.is_object());
    let places = [
        (Some(resource), path.to_owned()),
        (address, format!("{path}.address")),
    ];
    for (element, path) in places {
        let Some(element) = element else { continue };
        if let Some(extension) = extensions(element).find(|it| it.url == TIME_ZONE) {
            return zone(&extension, &path, issues);
        }
    }
    None
}

fn zone(extension: &Extension<'_>, path: &str, issues: &mut Vec<Issue>) -> Option<TimeZone> {
    let path = format!("{path}.extension[{}]", extension.at);
    let name = opening::typed(extension, "valueCode", &path, issues)?.as_str()?;
    let zone = TimeZone::get(&name).ok().filter(|zone| !zone.is_unknown());
    if zone.is_none() {
        let sentence = format!(
            "'{name}' is no time zone of IANA's database; write a name like Europe/Berlin."
        );
        issues.push(Issue::error("code-invalid", sentence).at(format!("{path}.valueCode")));
    }
    zone
}

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod doc_tests;
#[cfg(test)]
mod tests;
