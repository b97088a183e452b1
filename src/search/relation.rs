//! Which patients are somebody's business: in their care, or with an order for their work.

use resources::{
    index::{ParamId, Registry, key},
    model::ResourceType,
    primitive::Reference,
};

use super::{
    granted::{all, any, constraint},
    patients::{Standing, of_several},
    plan::{Clause, KeyRange},
};
use crate::access::Relation;

/// What says that somebody is in care: the type, how it refers to the patient and how to those
/// who care.
const CARE: [(&str, &str, &str); 3] = [
    ("Appointment", "patient", "actor"),
    ("CareTeam", "patient", "participant"),
    ("Encounter", "patient", "participant"),
];

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
        let care = |carer: &str| ways(&Relation::Care(carer.to_owned()));
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
            let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let relation = Relation::Order {
                kind: ResourceType::from_name(name).unwrap(),
                constraints: constraint.into_iter().map(pair).collect(),
            };
            assert_eq!(ways(&relation), expected, "{relation:?}");
        }
    }
}
