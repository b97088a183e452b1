//! Who is in whose care.

use resources::{
    index::{Registry, key},
    model::ResourceType,
    primitive::Reference,
};

use super::{
    granted::any,
    patients::Standing,
    plan::{Clause, KeyRange},
};

/// What says that somebody is in care: the type, how it refers to the patient and how to those
/// who care.
const CARE: [(&str, &str, &str); 3] = [
    ("Appointment", "patient", "actor"),
    ("CareTeam", "patient", "participant"),
    ("Encounter", "patient", "participant"),
];

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

/// True for what is about a Patient who satisfies `care`.
pub(super) fn is_in_care(care: &Clause, standing: &Standing) -> Clause {
    match standing {
        _ if care.is_never() => care.clone(),
        Standing::Itself => care.clone(),
        Standing::Of(params) => any(params.iter().map(|param| {
            Clause::Decided(Box::new(Clause::Refers {
                param: *param,
                target: ResourceType::PATIENT,
                canonical: None,
                inner: Box::new(care.clone()),
            }))
        })),
        _ => Clause::Any(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
