//! Who is in whose care.

use resources::{
    index::{ParamId, Registry, key},
    model::ResourceType,
    primitive::Reference,
};

use super::{
    granted::{all, any},
    patients::{Standing, of_several},
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
