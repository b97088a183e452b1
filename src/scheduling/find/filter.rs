//! Which Schedules somebody means.

use crate::scheduling::bookable::{Bookable, Coding, Visit};

/// What a Schedule must have. Kinds of condition all hold; of the values of one, one does, and
/// the earlier the better.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of the visit, or of a Schedule without visits; one without any fits all.
    pub service_types: Vec<Code>,
    /// Of the visit; one without any fits all.
    pub appointment_types: Vec<Code>,
    /// Of the people and services.
    pub specialties: Vec<Code>,
    /// Of the Schedule and its services.
    pub categories: Vec<Code>,
    /// `Practitioner/1` or `PractitionerRole/1`.
    pub practitioners: Vec<Named>,
    /// `Organization/1`
    pub organizations: Vec<Named>,
    /// `Location/1`
    pub locations: Vec<Named>,
    /// `HealthcareService/1`
    pub services: Vec<Named>,
    /// `Organization/1` or `InsurancePlan/1`
    pub insurances: Vec<String>,
    /// Ids of Schedules.
    pub schedules: Vec<String>,
    /// Types of which one of the actors is: `Location`, `Device`.
    pub actor_types: Vec<String>,
    /// A part of an address, folded as the addresses are.
    pub addresses: Vec<String>,
    /// How far it may be.
    pub near: Option<Near>,
}

/// A code as it stands in a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// None is any; empty is that of a code without a system.
    pub system: Option<String>,
    /// None is any.
    pub code: Option<String>,
}

/// What a Reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// `Type/id`
    Reference(String),
    /// `system|value`; without a bar it is a value of any system.
    Identifier(String),
}

/// A place, and how far from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// Kilometres.
    pub within: f64,
}

/// How a visit of a Schedule fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Which visit; none is an opening.
    pub visit: Option<usize>,
    /// How far down the lists of what is wanted it is: 0 is the first of all.
    pub rank: u64,
    /// Kilometres, if that was asked.
    pub distance: Option<f64>,
}

impl Code {
    /// `system|code`, `|code`, `system|` or `code`.
    pub fn parse(text: &str) -> Self {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match text.split_once('|') {
            None => Self {
                system: None,
                code: part(text),
            },
            Some((system, code)) => Self {
                system: Some(system.to_owned()),
                code: part(code),
            },
        }
    }

    fn is(&self, coding: &Coding) -> bool {
        let system = self.system.as_ref();
        let code = self.code.as_ref();
        system.is_none_or(|system| *system == coding.system)
            && code.is_none_or(|code| *code == coding.code)
    }
}

impl Filter {
    /// How visits of a Schedule fit: one for each visit that is asked for, or the first one if no
    /// visit is.
    pub fn fits(&self, bookable: &Bookable, duration: Option<i64>) -> Vec<Fit> {
        let Some((own, distance)) = self.fits_schedule(bookable) else {
            return Vec::new();
        };
        let fit = |visit: Option<usize>, (outer, inner): (u64, u64)| Fit {
            visit,
            rank: own.with(outer, inner),
            distance,
        };
        if bookable.visits.is_empty() {
            let rank = ranked(&self.service_types, &bookable.facets.service_types);
            return rank.map(|rank| fit(None, (rank, 0))).into_iter().collect();
        }
        let visits = bookable.visits.iter().enumerate();
        let mut fits: Vec<(usize, (u64, u64))> = visits
            .filter_map(|(at, visit)| Some((at, self.fits_visit(visit)?)))
            .collect();
        // Those of just the right length, if there are any.
        let is_right = |at: &usize| duration == Some(bookable.visits[*at].duration);
        if fits.iter().any(|(at, _)| is_right(at)) {
            fits.retain(|(at, _)| is_right(at));
        }
        if self.service_types.is_empty() && self.appointment_types.is_empty() {
            fits.truncate(1);
        }
        let fits = fits.into_iter();
        fits.map(|(at, ranks)| fit(Some(at), ranks)).collect()
    }

    fn fits_visit(&self, visit: &Visit) -> Option<(u64, u64)> {
        Some((
            ranked(&self.service_types, &visit.service_types)?,
            ranked(&self.appointment_types, &visit.appointment_types)?,
        ))
    }

    fn fits_schedule(&self, bookable: &Bookable) -> Option<(Rank, Option<f64>)> {
        let facets = &bookable.facets;
        let coded = |wanted: &[Code], own: &[Coding]| {
            first(wanted, |code| own.iter().any(|coding| code.is(coding)))
        };
        first(&self.schedules, |id| *id == bookable.id)?;
        let practitioner = first(&self.practitioners, |named| {
            named.is_in(
                bookable,
                &["Practitioner/", "PractitionerRole/"],
                |reference| {
                    bookable.actors.iter().any(|actor| {
                        actor.reference == reference
                            || actor.practitioner.as_deref() == Some(reference)
                    })
                },
            )
        })?;
        let referred = |wanted: &[Named], kind: &str, own: &[String]| {
            first(wanted, |named| {
                named.is_in(bookable, &[kind], |reference| {
                    own.iter().any(|other| other == reference)
                        || bookable
                            .actors
                            .iter()
                            .any(|actor| actor.reference == reference)
                })
            })
        };
        let specialty = coded(&self.specialties, &facets.specialties)?;
        coded(&self.categories, &facets.categories)?;
        let organization = referred(&self.organizations, "Organization/", &facets.organizations)?;
        let location = referred(&self.locations, "Location/", &facets.locations)?;
        let service = referred(&self.services, "HealthcareService/", &facets.services)?;
        first(&self.insurances, |plan| facets.insurances.contains(plan))?;
        first(&self.actor_types, |kind| {
            let is = |reference: &str| reference.split_once('/').is_some_and(|it| it.0 == kind);
            bookable.actors.iter().any(|actor| is(&actor.reference))
        })?;
        let address = first(&self.addresses, |part| {
            facets
                .addresses
                .iter()
                .any(|address| address.contains(part))
        })?;
        let distance = match self.near {
            None => None,
            Some(near) => {
                let distance = near.distance(facets.position?);
                (distance <= near.within).then_some(())?;
                Some(distance)
            }
        };
        let rank = Rank {
            practitioner,
            specialty,
            place: location.max(address),
            organization: organization.max(service),
        };
        Some((rank, distance))
    }
}

struct Rank {
    practitioner: u64,
    specialty: u64,
    place: u64,
    organization: u64,
}

impl Rank {
    /// One number: whom first, then for what, then where.
    fn with(&self, service_type: u64, appointment_type: u64) -> u64 {
        [
            self.practitioner,
            service_type,
            self.specialty,
            self.place,
            self.organization,
            appointment_type,
        ]
        .into_iter()
        .fold(0, |rank, part| rank << 8 | part.min(255))
    }
}

/// Which of the wanted ones is among those of a visit; without any it fits all.
fn ranked(wanted: &[Code], own: &[Coding]) -> Option<u64> {
    if own.is_empty() {
        return Some(0);
    }
    first(wanted, |code| own.iter().any(|coding| code.is(coding)))
}

/// Which of the wanted ones holds first; none wanted is none too bad.
fn first<T>(wanted: &[T], holds: impl Fn(&T) -> bool) -> Option<u64> {
    if wanted.is_empty() {
        return Some(0);
    }
    let at = wanted.iter().position(holds)?;
    u64::try_from(at).ok()
}

impl Named {
    fn is_in(&self, bookable: &Bookable, kinds: &[&str], is: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Reference(reference) => is(reference),
            Self::Identifier(wanted) => {
                let is_wanted = |identifier: &str| {
                    identifier == wanted
                        || !wanted.contains('|')
                            && identifier.rsplit_once('|').is_some_and(|it| it.1 == wanted)
                };
                let identifiers = bookable.facets.identifiers.iter();
                identifiers
                    .filter(|(reference, _)| kinds.iter().any(|kind| reference.starts_with(kind)))
                    .any(|(_, identifier)| is_wanted(identifier))
            }
        }
    }
}

impl Near {
    /// Kilometres to a place, on a sphere.
    pub fn distance(&self, (latitude, longitude): (f64, f64)) -> f64 {
        const DIAMETER: f64 = 2.0 * 6371.0;
        let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
        let scale = self.latitude.to_radians().cos() * latitude.to_radians().cos();
        let part = half(self.latitude, latitude) + scale * half(self.longitude, longitude);
        DIAMETER * part.sqrt().clamp(0.0, 1.0).asin()
    }
}
