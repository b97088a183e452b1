//! The dates of care, by which `start` and `end` of `Patient/$everything` choose: when something
//! was done, found or planned, not when it was recorded here.

use resources::{
    index::{ParamId, Registry},
    model::ResourceType,
    primitive::DateRange,
};

use crate::search::{during, plan::Clause};

/// Types whose search parameters for it are not `date` alone.
const BY_TYPE: [(&str, &[&str]); 33] = [
    ("Account", &["period"]),
    ("AllergyIntolerance", &["date", "onset", "last-date"]),
    ("Basic", &["created"]),
    ("ChargeItem", &["occurrence"]),
    ("Claim", &["created"]),
    ("ClaimResponse", &["created"]),
    ("Communication", &["sent", "received"]),
    ("CommunicationRequest", &["occurrence", "authored"]),
    ("Composition", &["date", "period"]),
    ("Condition", &["onset-date", "recorded-date"]),
    ("Consent", &["date", "period"]),
    ("CoverageEligibilityRequest", &["created"]),
    ("CoverageEligibilityResponse", &["created"]),
    ("DetectedIssue", &["identified"]),
    ("DeviceRequest", &["event-date", "authored-on"]),
    ("DocumentManifest", &["created"]),
    ("DocumentReference", &["date", "period"]),
    ("ExplanationOfBenefit", &["created"]),
    ("Goal", &["start-date", "target-date"]),
    ("ImagingStudy", &["started"]),
    ("MeasureReport", &["period"]),
    ("Media", &["created"]),
    ("MedicationAdministration", &["effective-time"]),
    ("MedicationDispense", &["whenhandedover", "whenprepared"]),
    ("MedicationRequest", &["authoredon", "date"]),
    ("MedicationStatement", &["effective"]),
    ("NutritionOrder", &["datetime"]),
    ("Provenance", &["when", "recorded"]),
    ("QuestionnaireResponse", &["authored"]),
    ("RequestGroup", &["authored"]),
    ("ServiceRequest", &["occurrence", "authored"]),
    ("Specimen", &["collected"]),
    ("VisionPrescription", &["datewritten"]),
];

fn params(kind: ResourceType, registry: &Registry) -> Vec<ParamId> {
    let listed = BY_TYPE.iter().find(|(name, _)| *name == kind.name());
    let codes = listed.map_or(&["date"][..], |(_, codes)| codes);
    let found = codes.iter().filter_map(|code| registry.param(kind, code));
    found.map(|param| param.id).collect()
}

/// What is of these types and has a date of care in the time. Demographics, coverage and whatever
/// else has no such date belongs to any time.
pub(super) fn within(time: DateRange, kinds: &[ResourceType], registry: &Registry) -> Clause {
    let of = |kind: &ResourceType| {
        let params = params(*kind, registry);
        let dated = params.iter().map(|param| Clause::HasParam(*param));
        let undated = Clause::Not(Box::new(Clause::Any(dated.collect())));
        let ranges = during(time);
        let in_time = params.iter().map(|param| Clause::Keys {
            param: *param,
            ranges: ranges.clone(),
        });
        let any = in_time.chain([undated]).collect();
        Clause::All(vec![Clause::Type(*kind), Clause::Any(any)])
    };
    Clause::Any(kinds.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_date_of_care_is_a_search_parameter() {
        let registry = Registry::builtin();
        for (name, codes) in BY_TYPE {
            let kind = ResourceType::from_name(name).unwrap();
            assert_eq!(params(kind, &registry).len(), codes.len(), "{name}");
        }
        assert_eq!(params(ResourceType::OBSERVATION, &registry).len(), 1);
        assert_eq!(params(ResourceType::PATIENT, &registry), []);
    }
}
