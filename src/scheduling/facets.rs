//! What `$find` looks for, out of a Schedule and what it refers to.

use resources::{Value, index::key::normalise};

use super::{
    bookable::{Coding, Facets, Visit},
    element::{self, code, concepts, each, extensions, float, text},
    rules::{Linked, Place, Sources},
};

/// Da Vinci's extension of roles and services: a network of insurers that they are in.
const NETWORK: &str =
    "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/network-reference";

pub(super) fn read(schedule: Value<'_>, sources: &Sources, visits: &[Visit], base: &str) -> Facets {
    let roles = || sources.roles.iter().map(Linked::root);
    let services = || sources.services.iter().map(Linked::root);
    let mut specialties: Vec<Coding> = [schedule]
        .into_iter()
        .chain(roles())
        .chain(services())
        .flat_map(|it| concepts(it, "specialty"))
        .collect();
    let mut categories: Vec<Coding> = concepts(schedule, "serviceCategory")
        .chain(services().flat_map(|it| concepts(it, "category")))
        .collect();
    let mut service_types: Vec<Coding> = concepts(schedule, "serviceType")
        .chain(services().flat_map(|it| concepts(it, "type")))
        .chain(visits.iter().flat_map(|it| it.service_types.clone()))
        .collect();
    for list in [&mut specialties, &mut categories, &mut service_types] {
        unique(list);
    }
    let mut insurances: Vec<String> = roles()
        .chain(services())
        .flat_map(|it| networks(it, base))
        .collect();
    insurances.sort();
    insurances.dedup();
    let mut locations = Vec::new();
    for part in sources.places.iter().flatten() {
        if !locations.contains(&part.reference) {
            locations.push(part.reference.clone());
        }
    }
    let references = |of: &[Linked]| of.iter().map(|it| it.reference.clone()).collect();
    Facets {
        specialties,
        service_types,
        categories,
        organizations: references(&sources.organizations),
        locations,
        services: references(&sources.services),
        identifiers: identifiers(sources),
        addresses: sources.places.iter().filter_map(address).collect(),
        position: sources.places.iter().find_map(position),
        insurances,
        name: name(schedule, sources),
    }
}

/// Leaves the first of those with the same system and code.
pub(super) fn unique(codings: &mut Vec<Coding>) {
    let mut kept: Vec<Coding> = Vec::with_capacity(codings.len());
    for coding in codings.drain(..) {
        let is_same = |it: &Coding| it.system == coding.system && it.code == coding.code;
        if !kept.iter().any(is_same) {
            kept.push(coding);
        }
    }
    *codings = kept;
}

fn networks(resource: Value<'_>, base: &str) -> Vec<String> {
    extensions(resource)
        .filter(|it| it.url == NETWORK)
        .filter_map(|it| element::reference(it.typed("valueReference")?, base))
        .collect()
}

fn identifiers(sources: &Sources) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let all = sources
        .actors
        .iter()
        .chain(&sources.practitioners)
        .chain(&sources.roles)
        .chain(&sources.services)
        .chain(sources.places.iter().flatten())
        .chain(&sources.organizations);
    for linked in all {
        for identifier in each(linked.root(), "identifier") {
            let Some(value) = text(identifier, "value") else {
                continue;
            };
            let system = text(identifier, "system").unwrap_or_default();
            let one = (linked.reference.clone(), format!("{system}|{value}"));
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

/// The address of a place, or of the nearest that it is part of which has one.
fn address(place: &Place) -> Option<String> {
    let address = place.iter().find_map(|it| it.root().get("address"))?;
    // The city on both sides of the code, as countries differ in which comes first.
    let names = [
        "line",
        "district",
        "city",
        "postalCode",
        "city",
        "state",
        "country",
        "text",
    ];
    let mut whole = String::new();
    for part in names.into_iter().flat_map(|name| each(address, name)) {
        if let Some(part) = part.as_str() {
            whole.push_str(&part);
            whole.push(' ');
        }
    }
    let folded = normalise(&whole);
    (!folded.is_empty()).then_some(folded)
}

fn position(place: &Place) -> Option<(f64, f64)> {
    place.iter().find_map(|part| {
        let position = part.root().get("position")?;
        let latitude = float(position, "latitude")?;
        let longitude = float(position, "longitude")?;
        let is_on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        is_on_earth.then_some((latitude, longitude))
    })
}

/// The practitioner's name, or that of what else is booked.
fn name(schedule: Value<'_>, sources: &Sources) -> String {
    let person = sources
        .practitioners
        .iter()
        .chain(&sources.actors)
        .find_map(|it| human_name(it.root()));
    let thing = || sources.actors.iter().find_map(|it| thing_name(it.root()));
    let display =
        || each(schedule, "actor").find_map(|it| text(it, "display").map(|name| name.into_owned()));
    person.or_else(thing).or_else(display).unwrap_or_default()
}

/// `Family, Given`; the text if there is no family name.
fn human_name(person: Value<'_>) -> Option<String> {
    let rank = |name: &Value<'_>| match code(*name, "use") {
        Some("usual") => 0,
        Some("official") => 1,
        None => 2,
        Some("old" | "maiden" | "anonymous") => 4,
        _ => 3,
    };
    let name = each(person, "name")
        .filter(|name| name.is_object())
        .min_by_key(rank)?;
    let Some(family) = text(name, "family") else {
        return text(name, "text").map(|it| it.into_owned());
    };
    let given = each(name, "given").filter_map(|it| it.as_str());
    let given = given.collect::<Vec<_>>().join(" ");
    Some(match given.is_empty() {
        true => family.into_owned(),
        false => format!("{family}, {given}"),
    })
}

fn thing_name(thing: Value<'_>) -> Option<String> {
    let name = text(thing, "name").or_else(|| {
        let named = each(thing, "deviceName").next()?;
        text(named, "name")
    })?;
    Some(name.into_owned())
}
