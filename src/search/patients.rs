//! How resources of a type belong to patients, as a rule about patients sees it.

use std::collections::BTreeSet;

use resources::{
    index::{Kind, ParamId, Registry, key},
    model::{ResourceType, compartments},
};

use super::{
    granted::{all, any},
    plan::{Clause, KeyRange, successor},
};

/// How the resources of a type stand to patients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// They are about the patients to whom one of these parameters refers: those of R4's
    /// CompartmentDefinition, or `patient`, where that has none for the type (Contract, Device,
    /// GuidanceResponse, Task).
    Of(Vec<ParamId>),
    /// They are patients. `link` gives nothing: a linked Patient is not opened by it.
    Itself,
    /// They are about nobody and there for everybody.
    Shared,
    /// They are what their `securityContext` is.
    Context,
    /// They may be about anybody, and no parameter says whom.
    Apart,
}

/// Types outside of the Patient compartment that say nothing about any patient: SMART scopes of
/// a patient that name them let them be read.
const SHARED: [&str; 35] = [
    "ActivityDefinition",
    "CapabilityStatement",
    "ChargeItemDefinition",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "DeviceDefinition",
    "EventDefinition",
    "GraphDefinition",
    "HealthcareService",
    "ImplementationGuide",
    "InsurancePlan",
    "Library",
    "Location",
    "Measure",
    "Medication",
    "MedicationKnowledge",
    "MessageDefinition",
    "NamingSystem",
    "ObservationDefinition",
    "OperationDefinition",
    "Organization",
    "OrganizationAffiliation",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Questionnaire",
    "SearchParameter",
    "Slot",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Substance",
    "TerminologyCapabilities",
    "ValueSet",
];

/// Types whose resources may be about several patients at once. A rule about patients does not
/// show those that name another one.
const OF_SEVERAL: [&str; 9] = [
    "Account",
    "Appointment",
    "AuditEvent",
    "Contract",
    "Group",
    "List",
    "Person",
    "Provenance",
    "Schedule",
];

pub(super) fn standing(kind: ResourceType, registry: &Registry) -> Standing {
    if kind == ResourceType::PATIENT {
        return Standing::Itself;
    }
    let codes = match compartments::params(ResourceType::PATIENT, kind) {
        [] => &["patient"],
        codes => codes,
    };
    let params = codes.iter().filter_map(|code| registry.param(kind, code));
    let params: Vec<ParamId> = params.map(|param| param.id).collect();
    if !params.is_empty() {
        Standing::Of(params)
    } else if SHARED.binary_search(&kind.name()).is_ok() {
        Standing::Shared
    } else if kind.name() == "Binary" {
        Standing::Context
    } else {
        Standing::Apart
    }
}

/// True for what belongs to each of the patients and, of types that may be about several, names
/// no other one.
pub(super) fn membership_of_all(
    patients: &[String],
    kind: ResourceType,
    standing: &Standing,
    registry: &Registry,
) -> Clause {
    let Standing::Of(params) = standing else {
        return match standing {
            Standing::Itself => all(patients.iter().map(|id| Clause::Ids(vec![id.clone()]))),
            _ => Clause::Any(Vec::new()),
        };
    };
    let each = |id: &String| refer_to(params, [id.as_str()].into_iter());
    let mut parts: Vec<Clause> = patients.iter().map(each).collect();
    let naming = of_several(kind, registry);
    if !naming.is_empty() {
        let others = between(patients);
        let names_another = any(naming.into_iter().map(|param| Clause::Keys {
            param,
            ranges: others.clone(),
        }));
        parts.push(Clause::Not(Box::new(names_another)));
    }
    all(parts)
}

/// The parameters by which resources of the type name patients, if they may be about several at
/// once; none for other types.
pub(super) fn of_several(kind: ResourceType, registry: &Registry) -> Vec<ParamId> {
    if !OF_SEVERAL.contains(&kind.name()) {
        return Vec::new();
    }
    let could = registry.of(kind).filter(|param| {
        param.kind == Kind::Reference
            && (param.targets.is_empty() || param.targets.contains(&ResourceType::PATIENT))
    });
    could.map(|param| param.id).collect()
}

/// True for what belongs to one of the patients.
pub(super) fn membership_of_any(patients: &BTreeSet<&str>, standing: &Standing) -> Clause {
    match standing {
        Standing::Of(params) => refer_to(params, patients.iter().copied()),
        Standing::Itself => Clause::Ids(patients.iter().map(|id| (*id).to_owned()).collect()),
        _ => Clause::Any(Vec::new()),
    }
}

/// True for what refers to one of the patients by one of the parameters.
fn refer_to<'i>(params: &[ParamId], patients: impl Iterator<Item = &'i str>) -> Clause {
    let key = |id| KeyRange::exact(key::reference(ResourceType::PATIENT, id));
    let ranges: Vec<KeyRange> = patients.map(key).collect();
    any(params.iter().map(|param| Clause::Keys {
        param: *param,
        ranges: ranges.clone(),
    }))
}

/// The keys of references to any patients but these.
fn between(patients: &[String]) -> Vec<KeyRange> {
    let prefix = key::reference_prefix(ResourceType::PATIENT);
    let mut keys: Vec<Vec<u8>> = patients
        .iter()
        .map(|id| key::reference(ResourceType::PATIENT, id))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let mut ranges = Vec::with_capacity(keys.len() + 1);
    let mut low = prefix.clone();
    for own in keys {
        ranges.push(KeyRange::between(low, Some(own.clone())));
        low = own;
        low.push(0);
    }
    ranges.push(KeyRange::between(low, successor(&prefix)));
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_stands_somewhere_and_the_lists_are_of_r4() {
        let registry = Registry::builtin();
        let of = |name: &str| standing(ResourceType::from_name(name).unwrap(), &registry);
        assert!(SHARED.is_sorted());
        for name in SHARED {
            assert_eq!(of(name), Standing::Shared, "{name}");
        }
        for name in OF_SEVERAL {
            assert!(matches!(of(name), Standing::Of(_)), "{name}");
        }
        let beside: Vec<&str> = ResourceType::all()
            .filter(|kind| compartments::params(ResourceType::PATIENT, *kind).is_empty())
            .filter(|kind| matches!(standing(*kind, &registry), Standing::Of(_)))
            .map(ResourceType::name)
            .collect();
        assert_eq!(beside, ["Contract", "Device", "GuidanceResponse", "Task"]);
        assert_eq!(of("Patient"), Standing::Itself);
        assert_eq!(of("Binary"), Standing::Context);
        for name in [
            "Bundle",
            "MessageHeader",
            "BiologicallyDerivedProduct",
            "Linkage",
        ] {
            assert_eq!(of(name), Standing::Apart, "{name}");
        }
    }

    #[test]
    fn other_patients_are_all_but_these() {
        let others = between(&["b".to_owned(), "a".to_owned(), "ab".to_owned()]);
        let is_other = |kind, id: &str| {
            let key = key::reference(kind, id);
            others.iter().any(|range| range.holds(&key))
        };
        for (id, expected) in [
            ("a", false),
            ("ab", false),
            ("b", false),
            ("A", true),
            ("a-", true),
            ("aa", true),
            ("abc", true),
            ("c", true),
            ("0", true),
        ] {
            assert_eq!(is_other(ResourceType::PATIENT, id), expected, "{id}");
        }
        assert!(!is_other(ResourceType::OBSERVATION, "c"));
    }
}
