//! What `Appointment/$find` is asked for.

use jiff::tz::TimeZone;
use resources::{index::key::normalise, primitive::DateRange};

use super::{
    Error,
    asked::{Asked, Named},
    number,
};
use crate::{
    scheduling::{
        find::{Code, Filter, Named as Who, Near, Need, Role, Sort},
        span::Span,
    },
    search::circle,
};

/// Seconds from now that are looked through if no end is given.
const DEFAULT_WINDOW: i64 = 90 * 86_400;
/// And at most.
const LONGEST_WINDOW: i64 = 400 * 86_400;
/// Proposals that are counted for `Bundle.total`.
const COUNTED: usize = 500;
/// Proposals of an answer if `_count` is not given, and at most.
const COUNT: usize = 20;
const MOST: usize = 1_000;

/// Names that only concern the answer, or that steer nothing here.
const IGNORED: &[&str] = &[
    "_format",
    "_pretty",
    "reason",
    "referral-identifier",
    "patient-resource",
    "comment",
    // Of $book and $hold by what is needed.
    "assignment",
    "hold-for",
    "overbook",
    "cancelled-appt-id",
    "all-or-nothing",
    "walk-in",
    "status",
    "scope",
];
const KNOWN: &[&str] = &[
    "start",
    "end",
    "specialty",
    "visit-type",
    "practitioner",
    "organization",
    "location-reference",
    "location-string",
    "patient-reference",
    "timing",
    "insurance-reference",
    "_count",
    "duration",
    "schedule",
    "service-type-reference",
    "role",
    "near",
    "ignore-appointment",
    "sort",
    "per-practitioner",
    "appointment-type",
    "service-category",
    "occurrence-count",
    "recurrence",
    "zone",
];

/// A need, and for whom.
pub struct Wanted {
    pub need: Need,
    /// `Patient/1`
    pub patients: Vec<String>,
    /// The ids of Appointments that are looked away from.
    pub ignored: Vec<String>,
}

impl Wanted {
    /// Reads the parameters of a call.
    ///
    /// # Errors
    /// What makes no sense, with the parameter's name.
    pub fn read(asked: &Asked, now: i64, zone: &TimeZone, strict: bool) -> Result<Self, Error> {
        let unknown = asked
            .names()
            .find(|name| !KNOWN.contains(name) && !IGNORED.contains(name));
        if let Some(unknown) = unknown.filter(|_| strict) {
            return Err(Error::invalid(format!(
                "$find has no parameter '{unknown}'; it has {}",
                KNOWN.join(", ")
            )));
        }
        let mut need = Need::new(window(asked, now, zone)?);
        need.duration = duration(asked)?;
        need.filter = filter(asked)?;
        need.roles = asked
            .all_texts("role")
            .map(|text| role(&text))
            .collect::<Result<_, _>>()?;
        let local = |named: &Named| match named {
            Named::Local(reference) => Ok(reference.clone()),
            Named::Identifier(..) => Err(Error::invalid(
                "patient-reference must name a Patient of this server, as in Patient/1",
            )),
        };
        let patients = asked.named("patient-reference", "Patient")?;
        let patients: Vec<String> = patients.iter().map(local).collect::<Result<_, _>>()?;
        need.patients = patients.iter().map(|patient| number(patient)).collect();
        let ignored = ignored(asked)?;
        need.ignore = ignored
            .iter()
            .map(|id| number(&format!("Appointment/{id}")))
            .collect();
        need.sort = match asked.text("sort") {
            None | Some("earliest") => Sort::Earliest,
            Some("nearest") => Sort::Nearest,
            Some("preferred") => Sort::Preferred,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "sort must be earliest, nearest or preferred, and not '{other}'"
                )));
            }
        };
        need.timing = super::timing::timing(asked)?;
        need.series = super::timing::series(asked)?;
        need.per_practitioner = asked.number("per-practitioner")?.map(|most| most as usize);
        need.count = asked
            .number("_count")?
            .map_or(COUNT, |count| count as usize)
            .min(MOST);
        need.total = need.count.max(COUNTED);
        Ok(Self {
            need,
            patients,
            ignored,
        })
    }
}

fn window(asked: &Asked, now: i64, zone: &TimeZone) -> Result<Span, Error> {
    let start = instant(asked, "start", zone, false)?
        .unwrap_or(now)
        .max(now);
    let end = instant(asked, "end", zone, true)?.unwrap_or(start + DEFAULT_WINDOW);
    if end <= start {
        return Err(Error::invalid(
            "end must be after start, and after the present moment",
        ));
    }
    Ok(Span::new(start, end.min(start + LONGEST_WINDOW)))
}

/// A dateTime; a date without a time is a day of the server's zone.
pub fn instant(
    asked: &Asked,
    name: &str,
    zone: &TimeZone,
    is_end: bool,
) -> Result<Option<i64>, Error> {
    let Some(text) = asked.text(name) else {
        return Ok(None);
    };
    let wrong = || Error::invalid(format!("{name} must be a dateTime, and not '{text}'"));
    if !text.contains('T') {
        let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
        let date = if is_end {
            date.tomorrow().map_err(|_| wrong())?
        } else {
            date
        };
        let local = date.to_zoned_datetime(zone.clone()).map_err(|_| wrong())?;
        return Ok(Some(local.timestamp().as_second()));
    }
    let range = DateRange::parse_query(text).ok_or_else(wrong)?;
    Ok(Some(range.lo.div_euclid(1_000)))
}

fn duration(asked: &Asked) -> Result<Option<i64>, Error> {
    let minutes = asked.number("duration")?;
    if minutes == Some(0) || minutes.is_some_and(|minutes| minutes > 24 * 60) {
        return Err(Error::invalid("duration must be from 1 to 1440 minutes"));
    }
    Ok(minutes.map(|minutes| i64::from(minutes) * 60))
}

fn filter(asked: &Asked) -> Result<Filter, Error> {
    let codes = |name: &str| {
        asked
            .texts(name)
            .iter()
            .map(|text| Code::parse(text))
            .collect()
    };
    let who = |name: &str, kind: &str| -> Result<Vec<Who>, Error> {
        Ok(asked.named(name, kind)?.into_iter().map(who).collect())
    };
    let schedules = asked.named("schedule", "Schedule")?;
    let schedules = schedules.into_iter().filter_map(|named| match named {
        Named::Local(reference) => Some(reference.trim_start_matches("Schedule/").to_owned()),
        Named::Identifier(..) => None,
    });
    let insurances = asked.named("insurance-reference", "InsurancePlan")?;
    let insurances = insurances.into_iter().filter_map(|named| match named {
        Named::Local(reference) => Some(reference),
        Named::Identifier(..) => None,
    });
    Ok(Filter {
        service_types: codes("visit-type"),
        appointment_types: codes("appointment-type"),
        specialties: codes("specialty"),
        categories: codes("service-category"),
        practitioners: who("practitioner", "Practitioner")?,
        organizations: who("organization", "Organization")?,
        locations: who("location-reference", "Location")?,
        services: who("service-type-reference", "HealthcareService")?,
        insurances: insurances.collect(),
        schedules: schedules.collect(),
        actor_types: Vec::new(),
        addresses: asked
            .all_texts("location-string")
            .map(|text| normalise(&text))
            .collect(),
        near: near(asked)?,
    })
}

fn who(named: Named) -> Who {
    match named {
        Named::Local(reference) => Who::Reference(reference),
        Named::Identifier(system, value) => Who::Identifier(format!("{system}|{value}")),
    }
}

fn near(asked: &Asked) -> Result<Option<Near>, Error> {
    let Some(text) = asked.text("near") else {
        return Ok(None);
    };
    let (latitude, longitude, within) =
        circle(text).map_err(|issue| Error::with(super::ErrorKind::Invalid, vec![issue]))?;
    Ok(Some(Near {
        latitude,
        longitude,
        within,
    }))
}

/// `Location?service-type=…&specialty=…&offset=-15&length=30&same-place=true`: what else is needed,
/// by the type of actor; offset and length in minutes.
fn role(text: &str) -> Result<Role, Error> {
    let (kind, query) = text.split_once('?').unwrap_or((text, ""));
    if ![
        "Practitioner",
        "PractitionerRole",
        "Location",
        "Device",
        "HealthcareService",
    ]
    .contains(&kind)
    {
        return Err(Error::invalid(format!(
            "role must begin with Practitioner, PractitionerRole, Location, Device or \
             HealthcareService, and not '{kind}'"
        )));
    }
    let mut role = Role::default();
    role.filter.actor_types.push(kind.to_owned());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let minutes = || {
            let minutes: i64 = value
                .parse()
                .ok()
                .filter(|minutes: &i64| minutes.abs() <= 1_440)?;
            Some(minutes * 60)
        };
        let wrong = || Error::invalid(format!("role: '{pair}' is not understood"));
        match name {
            "service-type" | "visit-type" => role.filter.service_types.push(Code::parse(value)),
            "specialty" => role.filter.specialties.push(Code::parse(value)),
            "location" => role.filter.locations.push(Who::Reference(value.to_owned())),
            "schedule" => role.filter.schedules.push(value.to_owned()),
            "actor" => role
                .filter
                .practitioners
                .push(Who::Reference(value.to_owned())),
            "offset" => role.offset = minutes().ok_or_else(wrong)?,
            "length" => role.length = Some(minutes().filter(|one| *one > 0).ok_or_else(wrong)?),
            "same-place" => role.same_place = value == "true",
            _ => return Err(wrong()),
        }
    }
    Ok(role)
}

fn ignored(asked: &Asked) -> Result<Vec<String>, Error> {
    let named = asked.named("ignore-appointment", "Appointment")?;
    let local = named.iter().filter_map(|named| match named {
        Named::Local(reference) => Some(reference.strip_prefix("Appointment/")?.to_owned()),
        Named::Identifier(..) => None,
    });
    Ok(local.collect())
}
