//! Data types of FHIR as data types of v2. Each function is a form that a row of a table can
//! name.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value as Json;

use super::{
    Authority, Destination,
    codes::{self, of},
    json::{all, first, kind_of, plain, text, value},
};
use crate::{out::Related, time::zoned, write::Composite};

/// What a form may need beside the value.
#[derive(Clone, Copy)]
pub(super) struct Scope<'r> {
    pub to: &'r Destination,
    pub related: &'r Related<'r>,
    /// The resource that the value is of.
    pub resource: &'r Json,
}

impl<'r> Scope<'r> {
    pub(super) fn resolve(&self, reference: &'r Json) -> Option<&'r Json> {
        self.related.get(self.resource, reference)
    }

    /// The same destination, of another resource.
    pub(super) fn with(&self, resource: &'r Json) -> Self {
        Self { resource, ..*self }
    }
}

pub(super) type Form = for<'r> fn(&Scope<'r>, &'r Json) -> Composite;

/// Text or number.
pub(super) fn st(_: &Scope<'_>, json: &Json) -> Composite {
    Composite::of(&[&plain(json)])
}

pub(super) fn gender(_: &Scope<'_>, json: &Json) -> Composite {
    Composite::of(&[of(codes::GENDER, &plain(json))])
}

/// DTM, DT, TM: with the precision that it has, in the destination's zone.
pub(super) fn dtm(scope: &Scope<'_>, json: &Json) -> Composite {
    Composite::of(&[&time(&plain(json), &scope.to.zone)])
}

/// A date, time or instant of FHIR as v2 has it; empty if it is none.
pub(super) fn time(fhir: &str, zone: &TimeZone) -> String {
    if fhir.contains('T') {
        return match fhir.parse::<Timestamp>() {
            Ok(time) => zoned(time, zone),
            Err(_) => String::new(),
        };
    }
    match fhir.contains(':') {
        true => fhir.replace(':', ""),
        false
            if fhir
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-') =>
        {
            fhir.replace('-', "")
        }
        false => String::new(),
    }
}

/// Who assigned an identifier.
fn authority(to: &Destination, identifier: &Json) -> Authority {
    let system = text(identifier, "system");
    if let Some((_, known)) = to.authorities.iter().find(|(uri, _)| uri == system) {
        return known.clone();
    }
    let namespace = text(identifier, "assigner.display").to_owned();
    let (universal, kind) = match system {
        "" => ("", ""),
        _ => match (
            system.strip_prefix("urn:oid:"),
            system.strip_prefix("urn:uuid:"),
        ) {
            (Some(oid), _) => (oid, "ISO"),
            (_, Some(uuid)) => (uuid, "UUID"),
            _ => (system, "URI"),
        },
    };
    Authority {
        namespace,
        universal: universal.to_owned(),
        kind: kind.to_owned(),
    }
}

fn hd(value: &mut Composite, component: usize, authority: &Authority) {
    value
        .sub(component, 1, &authority.namespace)
        .sub(component, 2, &authority.universal)
        .sub(component, 3, &authority.kind);
}

/// The code of an identifier's type (table 0203).
pub(super) fn identifier_type(identifier: &Json) -> &str {
    text(identifier, "type.coding.code")
}

/// Identifier to CX.
pub(super) fn cx(scope: &Scope<'_>, json: &Json) -> Composite {
    let mut out = Composite::new();
    let zone = &scope.to.zone;
    out.set(1, text(json, "value"));
    hd(&mut out, 4, &authority(scope.to, json));
    out.set(5, identifier_type(json))
        .set(7, date(&time(text(json, "period.start"), zone)))
        .set(8, date(&time(text(json, "period.end"), zone)));
    out
}

fn date(time: &str) -> &str {
    time.get(..8).unwrap_or(time)
}

/// Identifier to EI.
pub(super) fn ei(scope: &Scope<'_>, json: &Json) -> Composite {
    let authority = authority(scope.to, json);
    Composite::of(&[
        text(json, "value"),
        &authority.namespace,
        &authority.universal,
        &authority.kind,
    ])
}

/// Our own id of a resource as EI.
pub(super) fn own_ei(to: &Destination, resource: &Json) -> Composite {
    Composite::of(&[text(resource, "id"), &to.sending.application])
}

/// HumanName to XPN.
pub(super) fn xpn(_: &Scope<'_>, json: &Json) -> Composite {
    let mut out = Composite::new();
    name(&mut out, 1, json);
    out.set(7, of(codes::NAME_USE, text(json, "use")));
    out
}

/// Family, given, further, suffix and prefix from a component on.
fn name(out: &mut Composite, from: usize, json: &Json) {
    let list = |path: &str| all(json, path).map(plain).collect::<Vec<_>>();
    let given = list("given");
    let family = match text(json, "family") {
        "" if given.is_empty() => text(json, "text"),
        family => family,
    };
    out.set(from, family)
        .set(from + 1, given.first().map_or("", String::as_str))
        .set(from + 2, &given.get(1..).unwrap_or(&[]).join(" "))
        .set(from + 3, &list("suffix").join(" "))
        .set(from + 4, &list("prefix").join(" "));
}

/// Address to XAD.
pub(super) fn xad(_: &Scope<'_>, json: &Json) -> Composite {
    let lines: Vec<String> = all(json, "line").map(plain).collect();
    let street = match lines.first() {
        Some(line) => line,
        None if text(json, "city").is_empty() => text(json, "text"),
        None => "",
    };
    let mut out = Composite::of(&[
        street,
        &lines.get(1..).unwrap_or(&[]).join(", "),
        text(json, "city"),
        text(json, "state"),
        text(json, "postalCode"),
        text(json, "country"),
        of(codes::ADDRESS_USE, text(json, "use")),
    ]);
    out.set(9, text(json, "district"));
    out
}

/// ContactPoint to XTN.
pub(super) fn xtn(_: &Scope<'_>, json: &Json) -> Composite {
    let (system, usage) = (text(json, "system"), text(json, "use"));
    let number = text(json, "value");
    if system == "email" {
        return Composite::of(&["", "NET", "Internet", number]);
    }
    let equipment = match usage {
        "mobile" => "CP",
        _ => of(codes::EQUIPMENT, system),
    };
    let usage = if usage == "work" { "WPN" } else { "PRN" };
    Composite::of(&[number, usage, equipment])
}

/// CodeableConcept, Coding or code to CWE (CE): two codings, and the text.
pub(super) fn cwe(scope: &Scope<'_>, json: &Json) -> Composite {
    if let Some(code) = json.as_str() {
        return Composite::of(&[code]);
    }
    let codings: Vec<&Json> = match json.get("coding") {
        Some(_) => all(json, "coding").collect(),
        None if json.get("code").is_some() => vec![json],
        None => Vec::new(),
    };
    let said = text(json, "text");
    let mut out = Composite::new();
    for (at, coding) in codings.iter().take(2).enumerate() {
        let display = match (text(coding, "display"), at) {
            ("", 0) => said,
            (display, _) => display,
        };
        out.set(at * 3 + 1, text(coding, "code"))
            .set(at * 3 + 2, display)
            .set(at * 3 + 3, &codes::system(text(coding, "system")));
    }
    if codings.is_empty() {
        out.set(2, said);
    } else if !scope.to.is_old() && said != text(codings[0], "display") {
        out.set(9, said);
    }
    out
}

/// The unit of a Quantity to CWE.
pub(super) fn unit(_: &Scope<'_>, json: &Json) -> Composite {
    let (code, unit) = (text(json, "code"), text(json, "unit"));
    match code {
        "" => Composite::of(&[unit]),
        _ => Composite::of(&[code, unit, &codes::system(text(json, "system"))]),
    }
}

/// Reference to a Practitioner, or to a role of one, to XCN.
pub(super) fn xcn(scope: &Scope<'_>, json: &Json) -> Composite {
    let mut person = scope.resolve(json);
    if let Some(role) = person.filter(|found| kind_of(found) == "PractitionerRole") {
        let practitioner = first(role, "practitioner");
        person = practitioner.and_then(|reference| scope.related.get(role, reference));
        if person.is_none()
            && let Some(practitioner) = practitioner
        {
            return named_only(scope, practitioner);
        }
    }
    let Some(person) = person else {
        return named_only(scope, json);
    };
    let mut out = Composite::new();
    match first(person, "identifier") {
        Some(identifier) => {
            out.set(1, text(identifier, "value"));
            hd(&mut out, 9, &authority(scope.to, identifier));
            out.set(13, identifier_type(identifier));
        }
        None => {
            out.set(1, text(person, "id"))
                .set(9, &scope.to.sending.application);
        }
    }
    match first(person, "name") {
        Some(found) if found.is_object() => {
            name(&mut out, 2, found);
            out.set(10, of(codes::NAME_USE, text(found, "use")));
        }
        // An Organization has one that is a text.
        found => {
            out.set(2, &found.map(plain).unwrap_or_default());
        }
    }
    out
}

/// Of a Reference whose resource is not here.
fn named_only(scope: &Scope<'_>, reference: &Json) -> Composite {
    let mut out = Composite::new();
    if let Some(identifier) = first(reference, "identifier") {
        out.set(1, text(identifier, "value"));
        hd(&mut out, 9, &authority(scope.to, identifier));
    }
    out.set(2, text(reference, "display"));
    out
}

/// Reference to an Organization to XON.
pub(super) fn xon(scope: &Scope<'_>, json: &Json) -> Composite {
    let mut out = Composite::new();
    let Some(organization) = scope.resolve(json) else {
        out.set(1, text(json, "display"));
        return out;
    };
    out.set(1, text(organization, "name"));
    if let Some(identifier) = first(organization, "identifier") {
        hd(&mut out, 6, &authority(scope.to, identifier));
        out.set(7, identifier_type(identifier))
            .set(10, text(identifier, "value"));
    }
    out
}

/// Reference to a Location to PL: the levels above it go to their components by their kinds.
pub(super) fn pl(scope: &Scope<'_>, json: &Json) -> Composite {
    const DEEPEST: usize = 8;
    let mut out = Composite::new();
    let Some(mut location) = scope.resolve(json) else {
        out.set(1, text(json, "display"));
        return out;
    };
    let description = text(location, "name");
    let mut filled = [false; 10];
    for _ in 0..DEEPEST {
        let component = match text(location, "physicalType.coding.code") {
            "ro" => 2,
            "bd" => 3,
            "bu" => 7,
            "lvl" => 8,
            "si" => 4,
            _ => 1,
        };
        let known = match value(location, "identifier.value") {
            value if value.is_empty() => text(location, "name").to_owned(),
            value => value,
        };
        if !std::mem::replace(&mut filled[component], true) {
            out.set(component, &known);
        }
        let facility = first(location, "managingOrganization");
        if let Some(facility) = facility.filter(|_| !filled[4]) {
            filled[4] = true;
            let organization = scope.related.get(location, facility);
            let known = organization.map_or(text(facility, "display"), |organization| {
                match text(organization, "identifier.value") {
                    "" => text(organization, "name"),
                    value => value,
                }
            });
            out.set(4, known);
        }
        let above = first(location, "partOf");
        match above.and_then(|above| scope.related.get(location, above)) {
            Some(above) => location = above,
            None => break,
        }
    }
    out.set(9, description);
    out
}
