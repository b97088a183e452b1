//! Who is in whose care.

use std::collections::BTreeSet;

use resources::{
    index::{ParamId, Registry, key},
    model::ResourceType,
    primitive::Reference,
};

use super::{
    granted::{all, any},
    patients::{Standing, of_several},
    plan::{Clause, KeyRange},
    stored,
};
use crate::access::Grants;

/// What says that somebody is in care: the type, how it refers to the patient and how to those
/// who care.
const CARE: [(&str, &str, &str); 3] = [
    ("Appointment", "patient", "actor"),
    ("CareTeam", "patient", "participant"),
    ("Encounter", "patient", "participant"),
];

/// What says who is in care, in terms of stored rows, for each of the carers to whom rules are
/// bound.
pub fn carers(grants: &Grants) -> Vec<Clause> {
    let rules = grants.rules().iter();
    let carers: BTreeSet<&String> = rules.filter_map(|rule| rule.carer.as_ref()).collect();
    if carers.is_empty() {
        return Vec::new();
    }
    let registry = Registry::builtin();
    let stored = |clause| stored::stored(clause, ResourceType::PATIENT, &registry);
    carers
        .into_iter()
        .map(|carer| stored(care(carer, &registry)))
        .filter(|care| !care.is_never())
        .collect()
}

/// Who satisfies a condition on Patients.
#[derive(Debug)]
pub struct Cared {
    /// As [`carers`] gives it.
    pub care: Clause,
    /// All Patients who satisfy it.
    pub ids: Vec<String>,
    /// Those of whom the same is said, but who are deleted.
    pub deleted: Vec<String>,
}

/// The condition, with who is in care in the place of what says so.
pub fn with_known(clause: &Clause, known: &[Cared]) -> Clause {
    let within = |inner: &Clause| Box::new(with_known(inner, known));
    if let Some(found) = known.iter().find(|known| known.care == *clause) {
        return Clause::Ids([&found.ids[..], &found.deleted].concat());
    }
    match clause {
        Clause::All(parts) => Clause::All(each(parts, known)),
        Clause::Any(parts) => Clause::Any(each(parts, known)),
        Clause::Not(part) => Clause::Not(within(part)),
        Clause::Decided(part) => match &**part {
            Clause::Refers {
                param,
                target,
                canonical: None,
                inner,
            } if *target == ResourceType::PATIENT => {
                match known.iter().find(|known| known.care == **inner) {
                    Some(found) => Clause::Keys {
                        param: *param,
                        ranges: keys(&found.ids),
                    },
                    None => Clause::Decided(within(part)),
                }
            }
            _ => Clause::Decided(within(part)),
        },
        Clause::Refers {
            param,
            target,
            canonical,
            inner,
        } => Clause::Refers {
            param: *param,
            target: *target,
            canonical: *canonical,
            inner: within(inner),
        },
        other => other.clone(),
    }
}

fn each(parts: &[Clause], known: &[Cared]) -> Vec<Clause> {
    parts.iter().map(|part| with_known(part, known)).collect()
}

fn keys(patients: &[String]) -> Vec<KeyRange> {
    let key = |id: &String| KeyRange::exact(key::reference(ResourceType::PATIENT, id));
    patients.iter().map(key).collect()
}

/// True for the Patients in the care of `carer` (`Practitioner/1`): for none if that is no
/// reference.
pub(super) fn care(carer: &str, registry: &Registry) -> Clause {
    let Some(Reference::Local { kind, id, .. }) = Reference::parse(carer) else {
        return Clause::Any(Vec::new());
    };
    let by = |(source, patient, carer): (&str, &str, &str)| {
        let source = ResourceType::from_name(source)?;
        Some(Clause::ReferredBy {
            source,
            param: registry.param(source, patient)?.id,
            canonical: None,
            inner: Box::new(Clause::Keys {
                param: registry.param(source, carer)?.id,
                ranges: vec![KeyRange::exact(key::reference(kind, id))],
            }),
        })
    };
    Clause::Decided(Box::new(any(CARE.into_iter().filter_map(by))))
}

/// True for what is about a Patient who satisfies `care` and, of types that may be about several,
/// names none who does not.
pub(super) fn is_in_care(
    care: &Clause,
    kind: ResourceType,
    standing: &Standing,
    registry: &Registry,
) -> Clause {
    match standing {
        _ if care.is_never() => care.clone(),
        Standing::Itself => care.clone(),
        Standing::Of(params) => {
            let another = Clause::Not(Box::new(care.clone()));
            let naming = of_several(kind, registry);
            let names_another = any(naming.into_iter().map(|param| patient(param, &another)));
            let about = any(params.iter().map(|param| patient(*param, care)));
            match names_another.is_never() {
                true => about,
                false => all([about, Clause::Not(Box::new(names_another))]),
            }
        }
        _ => Clause::Any(Vec::new()),
    }
}

/// True for what refers to a Patient who satisfies `inner`, seen or not.
fn patient(param: ParamId, inner: &Clause) -> Clause {
    Clause::Decided(Box::new(Clause::Refers {
        param,
        target: ResourceType::PATIENT,
        canonical: None,
        inner: Box::new(inner.clone()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Right, Rights, Rule},
        search::granted,
    };

    #[test]
    fn who_is_in_care_takes_the_place_of_what_says_so() {
        let registry = Registry::builtin();
        let observation = ResourceType::OBSERVATION;
        let rule = |carer: &str| Rule {
            kind: None,
            rights: Rights::ALL,
            patients: Vec::new(),
            constraints: Vec::new(),
            carer: Some(carer.to_owned()),
            own: false,
        };
        let grants = Grants::new(vec![rule("Practitioner/1"), rule("")], Vec::new());
        let found = carers(&grants);
        assert_eq!(found.len(), 1);
        let known = [Cared {
            care: found[0].clone(),
            ids: vec!["a".to_owned(), "b".to_owned()],
            deleted: vec!["c".to_owned()],
        }];
        let stored = |kind| {
            let rights = Rights::of(&[Right::Search]);
            granted(&grants, kind, rights).stored.clone().unwrap()
        };
        let of_patient = with_known(&stored(ResourceType::PATIENT), &known);
        let either = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(of_patient, Clause::Ids(either));
        let mut ends = Vec::new();
        let Clause::Any(parts) = with_known(&stored(observation), &known) else {
            panic!("no parts");
        };
        for part in parts {
            let Clause::Keys { param, ranges } = part else {
                panic!("{part:?}");
            };
            assert_eq!(ranges, keys(&known[0].ids));
            ends.push(param);
        }
        let params = ["subject", "performer"].map(|code| registry.param(observation, code));
        assert!(params.iter().all(|param| ends.contains(&param.unwrap().id)));
    }

    #[test]
    fn care_is_known_by_parameters_of_r4() {
        let registry = Registry::builtin();
        let Clause::Decided(care) = care("Practitioner/1", &registry) else {
            panic!("no decision");
        };
        assert!(matches!(*care, Clause::Any(parts) if parts.len() == CARE.len()));
        for wrong in ["", "Practitioner", "1", "Practitioner?name=a", "urn:uuid:1"] {
            assert!(super::care(wrong, &registry).is_never(), "{wrong}");
        }
    }
}
