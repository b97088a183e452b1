//! Which patients are somebody's business: in their care, or with an order for their work.

use std::collections::BTreeSet;

use resources::{
    index::{ParamId, Registry, key},
    model::ResourceType,
    primitive::Reference,
};

use super::{
    granted::{all, any, constraint},
    patients::{Standing, of_several},
    plan::{Clause, KeyRange},
    stored,
};
use crate::access::{Grants, Relation};

/// What says that somebody is in care: the type, how it refers to the patient and how to those
/// who care.
const CARE: [(&str, &str, &str); 3] = [
    ("Appointment", "patient", "actor"),
    ("CareTeam", "patient", "participant"),
    ("Encounter", "patient", "participant"),
];

/// What says who is related, in terms of stored rows, for each of the relations to which rules are
/// bound.
pub fn relations(grants: &Grants) -> Vec<Clause> {
    let rules = grants.rules().iter();
    let bound: BTreeSet<&Relation> = rules.filter_map(|rule| rule.relation.as_ref()).collect();
    if bound.is_empty() {
        return Vec::new();
    }
    let registry = Registry::builtin();
    let stored = |clause| stored::stored(clause, ResourceType::PATIENT, &registry);
    bound
        .into_iter()
        .map(|relation| stored(related(relation, &registry)))
        .filter(|how| !how.is_never())
        .collect()
}

/// Who satisfies a condition on Patients.
#[derive(Debug)]
pub struct Related {
    /// As [`relations`] gives it.
    pub how: Clause,
    /// All Patients who satisfy it.
    pub ids: Vec<String>,
    /// Those of whom the same is said, but who are deleted.
    pub deleted: Vec<String>,
}

/// The condition, with who is related in the place of what says so.
pub fn with_known(clause: &Clause, known: &[Related]) -> Clause {
    let within = |inner: &Clause| Box::new(with_known(inner, known));
    if let Some(found) = known.iter().find(|known| known.how == *clause) {
        return Clause::Ids([&found.ids[..], &found.deleted].concat());
    }
    match clause {
        Clause::All(parts) => Clause::All(each(parts, known).collect()),
        Clause::Any(parts) => any_of(each(parts, known)),
        Clause::Not(part) => Clause::Not(within(part)),
        Clause::Decided(part) => match &**part {
            Clause::Refers {
                param,
                target,
                canonical: None,
                inner,
            } if *target == ResourceType::PATIENT => {
                match known.iter().find(|known| known.how == **inner) {
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

fn each<'c>(parts: &'c [Clause], known: &'c [Related]) -> impl Iterator<Item = Clause> + 'c {
    parts.iter().map(|part| with_known(part, known))
}

/// Any of the parts: whoever is named by several of them is named once.
fn any_of(parts: impl Iterator<Item = Clause>) -> Clause {
    let (mut ids, mut others) = (BTreeSet::new(), Vec::new());
    for part in parts {
        match part {
            Clause::Ids(some) => ids.extend(some),
            other => others.push(other),
        }
    }
    if !ids.is_empty() {
        others.push(Clause::Ids(ids.into_iter().collect()));
    }
    match others.len() {
        1 => others.remove(0),
        _ => Clause::Any(others),
    }
}

fn keys(patients: &[String]) -> Vec<KeyRange> {
    let key = |id: &String| KeyRange::exact(key::reference(ResourceType::PATIENT, id));
    patients.iter().map(key).collect()
}

/// True for the Patients who are related so: for none if what the relation says is not
/// understood.
pub(super) fn related(relation: &Relation, registry: &Registry) -> Clause {
    let ways = match relation {
        Relation::Care(carer) => care(carer, registry),
        Relation::Order { kind, constraints } => {
            order(*kind, constraints, registry).into_iter().collect()
        }
    };
    Clause::Decided(Box::new(any(ways)))
}

/// The ways in which a Patient is in the care of `carer` (`Practitioner/1`).
fn care(carer: &str, registry: &Registry) -> Vec<Clause> {
    let Some(Reference::Local { kind, id, .. }) = Reference::parse(carer) else {
        return Vec::new();
    };
    let by = |(source, patient, carer): (&str, &str, &str)| {
        let source = ResourceType::from_name(source)?;
        let by_carer = Clause::Keys {
            param: registry.param(source, carer)?.id,
            ranges: vec![KeyRange::exact(key::reference(kind, id))],
        };
        referred_by(source, patient, by_carer, registry)
    };
    CARE.into_iter().filter_map(by).collect()
}

/// A Patient with such an order.
fn order(
    kind: ResourceType,
    constraints: &[(String, String)],
    registry: &Registry,
) -> Option<Clause> {
    let matching = constraint(constraints, kind, registry)?;
    referred_by(kind, "patient", matching, registry)
}

fn referred_by(
    source: ResourceType,
    patient: &str,
    inner: Clause,
    registry: &Registry,
) -> Option<Clause> {
    let param = registry.param(source, patient)?.id;
    Some(Clause::ReferredBy {
        source,
        param,
        canonical: None,
        inner: Box::new(inner),
    })
}

/// True for what is about a Patient who satisfies `related` and, of types that may be about
/// several, names none who does not.
pub(super) fn is_about_related(
    related: &Clause,
    kind: ResourceType,
    standing: &Standing,
    registry: &Registry,
) -> Clause {
    match standing {
        _ if related.is_never() => related.clone(),
        Standing::Itself => related.clone(),
        Standing::Of(params) => {
            let another = Clause::Not(Box::new(related.clone()));
            let naming = of_several(kind, registry);
            let names_another = any(naming.into_iter().map(|param| patient(param, &another)));
            let about = any(params.iter().map(|param| patient(*param, related)));
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

    fn bound(relation: Relation) -> Rule {
        Rule {
            kind: None,
            rights: Rights::ALL,
            patients: Vec::new(),
            constraints: Vec::new(),
            relation: Some(relation),
            own: false,
        }
    }

    fn care_of(carer: &str) -> Relation {
        Relation::Care(carer.to_owned())
    }

    fn order_of(name: &str, constraint: Option<(&str, &str)>) -> Relation {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Relation::Order {
            kind: ResourceType::from_name(name).unwrap(),
            constraints: constraint.into_iter().map(pair).collect(),
        }
    }

    /// Who is related by each of the relations: those, the next of them, and so on.
    fn known(grants: &Grants, each: &[&[&str]]) -> Vec<Related> {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let found = relations(grants);
        assert_eq!(found.len(), each.len());
        let with = |(how, ids): (Clause, &&[&str])| Related {
            how,
            ids: owned(ids),
            deleted: owned(&["gone"]),
        };
        found.into_iter().zip(each).map(with).collect()
    }

    fn stored_of(grants: &Grants, kind: ResourceType) -> Clause {
        let rights = Rights::of(&[Right::Search]);
        let stored = granted(grants, kind, rights).stored.clone();
        (*stored.unwrap()).clone()
    }

    #[test]
    fn who_is_related_takes_the_place_of_what_says_so() {
        let registry = Registry::builtin();
        let observation = ResourceType::OBSERVATION;
        let order = order_of("ServiceRequest", Some(("status", "active")));
        for (relation, none) in [
            (care_of("Practitioner/1"), care_of("")),
            (order, order_of("Slot", None)),
        ] {
            let grants = Grants::new(vec![bound(relation), bound(none)], Vec::new());
            let known = known(&grants, &[&["a", "b"]]);
            let of_patient = with_known(&stored_of(&grants, ResourceType::PATIENT), &known);
            let either = ["a", "b", "gone"].map(str::to_owned).to_vec();
            assert_eq!(of_patient, Clause::Ids(either));
            let mut ends = Vec::new();
            let Clause::Any(parts) = with_known(&stored_of(&grants, observation), &known) else {
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
    }

    #[test]
    fn who_is_related_in_several_ways_is_named_once() {
        let rules = vec![
            bound(care_of("Practitioner/1")),
            bound(order_of("ServiceRequest", None)),
        ];
        let grants = Grants::new(rules, Vec::new());
        let known = known(&grants, &[&["b", "a"], &["c", "b"]]);
        let stored = stored_of(&grants, ResourceType::PATIENT);
        let ids = ["a", "b", "c", "gone"].map(str::to_owned).to_vec();
        assert_eq!(with_known(&stored, &known), Clause::Ids(ids));
        // What is not known stays as it is.
        let Clause::Any(parts) = with_known(&stored, &known[..1]) else {
            panic!("no parts");
        };
        assert!(parts.contains(&known[1].how), "{parts:?}");
        assert_eq!(parts.len(), 2);
    }

    /// How many ways there are to be related so.
    fn ways(relation: &Relation) -> usize {
        let Clause::Decided(ways) = related(relation, &Registry::builtin()) else {
            panic!("no decision");
        };
        match *ways {
            Clause::Any(parts) => parts.len(),
            Clause::ReferredBy { .. } => 1,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn care_is_known_by_parameters_of_r4() {
        let care = |carer: &str| ways(&care_of(carer));
        assert_eq!(care("Practitioner/1"), CARE.len());
        for wrong in ["", "Practitioner", "1", "Practitioner?name=a", "urn:uuid:1"] {
            assert_eq!(care(wrong), 0, "{wrong}");
        }
    }

    #[test]
    fn an_order_that_is_not_understood_reaches_nobody() {
        for (name, constraint, expected) in [
            ("ServiceRequest", Some(("category", "laboratory")), 1),
            ("MedicationRequest", Some(("status", "active,on-hold")), 1),
            ("ServiceRequest", None, 1),
            ("ServiceRequest", Some(("nonsense", "1")), 0),
            ("ServiceRequest", Some(("status:not", "revoked")), 0),
            ("ServiceRequest", Some(("status", "active,")), 0),
            ("Slot", None, 0),
        ] {
            let relation = order_of(name, constraint);
            assert_eq!(ways(&relation), expected, "{relation:?}");
        }
    }
}
