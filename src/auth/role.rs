//! Roles: what somebody may do by their work, written in the grammar of scopes.

use serde::{Deserialize, Serialize};

use super::{
    error::AuthError,
    records::{Kept, Records},
    scope::Scopes,
};

/// A role. Those in the box are in [`BUILT_IN`]; a record of the same name goes before it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// What pages call it.
    pub title: String,
    /// Scopes: `patient/` for one's own record, `user/` for what the work needs, `system/` for
    /// programs.
    pub grants: Vec<String>,
    /// `user/` scopes reach only patients in one's care: those with an Encounter, CareTeam or
    /// Appointment with the user. Others need the glass to be broken.
    pub care_relation: bool,
}

impl Kept for Role {
    const KIND: i64 = 4;
    const NAME: &'static str = "role";
}

/// Name, title, whether a care relation is needed, grants.
type BuiltIn = (&'static str, &'static str, bool, &'static [&'static str]);

/// The roles in the box.
pub const BUILT_IN: &[BuiltIn] = &[
    ("patient", "Patient", false, PATIENT),
    ("proxy", "Proxy of a patient", false, PATIENT),
    (
        "doctor",
        "Doctor",
        true,
        &[
            "user/*.rs",
            "user/AdverseEvent.cruds",
            "user/AllergyIntolerance.cruds",
            "user/Appointment.cruds",
            "user/CarePlan.cruds",
            "user/CareTeam.cruds",
            "user/ClinicalImpression.cruds",
            "user/Communication.cruds",
            "user/Composition.cruds",
            "user/Condition.cruds",
            "user/DetectedIssue.cruds",
            "user/DeviceRequest.cruds",
            "user/DeviceUseStatement.cruds",
            "user/DiagnosticReport.cruds",
            "user/DocumentReference.cruds",
            "user/Encounter.cruds",
            "user/EpisodeOfCare.cruds",
            "user/FamilyMemberHistory.cruds",
            "user/Flag.cruds",
            "user/Goal.cruds",
            "user/Immunization.cruds",
            "user/List.cruds",
            "user/Media.cruds",
            "user/MedicationAdministration.cruds",
            "user/MedicationRequest.cruds",
            "user/MedicationStatement.cruds",
            "user/NutritionOrder.cruds",
            "user/Observation.cruds",
            "user/Procedure.cruds",
            "user/QuestionnaireResponse.cruds",
            "user/RiskAssessment.cruds",
            "user/ServiceRequest.cruds",
            "user/Task.cruds",
            "user/VisionPrescription.cruds",
            "user/Binary.crus",
            "user/Consent.crus",
            "user/Patient.crus",
            "user/RelatedPerson.crus",
            // One's own hours.
            "user/PractitionerRole.u?practitioner=$me",
            "rotunda/break-glass",
        ],
    ),
    // The ward of a nurse is a CareTeam with the patient and the nurse in it.
    (
        "nurse",
        "Nurse",
        true,
        &[
            "user/*.rs",
            "user/CarePlan.cruds",
            "user/Communication.cruds",
            "user/Flag.cruds",
            "user/MedicationAdministration.cruds",
            "user/Observation.cruds",
            "user/Task.cruds",
            "rotunda/break-glass",
        ],
    ),
    // No Encounter: its reasons and diagnoses are clinical, and a grant is for whole resources.
    (
        "receptionist",
        "Receptionist",
        false,
        &[
            "user/Patient.crus",
            "user/Appointment.crus",
            "user/AppointmentResponse.crus",
            "user/Schedule.crus",
            "user/Slot.crus",
            "user/Coverage.crus",
            "user/RelatedPerson.crus",
            "user/Practitioner.rs",
            "user/PractitionerRole.rs",
            "user/Organization.rs",
            "user/Location.rs",
            "user/HealthcareService.rs",
        ],
    ),
    // 108252007 and 363679005: what SNOMED CT calls laboratory procedure and imaging, as US Core has
    // them; LAB and RAD: HL7 v2 table 0074, which R4 takes for the categories of reports.
    (
        "laboratory",
        "Laboratory technician",
        false,
        &[
            "user/ServiceRequest.rs?category=108252007",
            "user/ServiceRequest.rs?category=laboratory",
            "user/Specimen.crus",
            "user/Observation.crus?category=laboratory",
            "user/DiagnosticReport.crus?category=LAB",
            "user/Patient.rs",
            "user/Practitioner.rs",
            "user/PractitionerRole.rs",
            "user/Organization.rs",
            "user/Location.rs",
        ],
    ),
    (
        "radiology",
        "Radiologist",
        false,
        &[
            "user/ServiceRequest.rs?category=363679005",
            "user/ServiceRequest.rs?category=imaging",
            "user/ImagingStudy.crus",
            "user/Observation.crus?category=imaging",
            "user/DiagnosticReport.crus?category=RAD",
            "user/Patient.rs",
            "user/Practitioner.rs",
            "user/PractitionerRole.rs",
            "user/Organization.rs",
            "user/Location.rs",
        ],
    ),
    (
        "pharmacist",
        "Pharmacist",
        false,
        &[
            "user/MedicationRequest.rus",
            "user/MedicationDispense.crus",
            "user/MedicationStatement.rs",
            "user/Medication.rs",
            "user/MedicationKnowledge.rs",
            "user/AllergyIntolerance.rs",
            "user/Patient.rs",
            "user/Observation.rs?category=laboratory",
            "user/Practitioner.rs",
            "user/PractitionerRole.rs",
            "user/Organization.rs",
            "user/Location.rs",
        ],
    ),
    // No notes and no observations.
    (
        "billing",
        "Billing",
        false,
        &[
            "user/Account.crus",
            "user/ChargeItem.crus",
            "user/Claim.crus",
            "user/CoverageEligibilityRequest.crus",
            "user/Invoice.crus",
            "user/PaymentNotice.crus",
            "user/ChargeItemDefinition.rs",
            "user/ClaimResponse.rs",
            "user/Coverage.rs",
            "user/CoverageEligibilityResponse.rs",
            "user/Encounter.rs",
            "user/ExplanationOfBenefit.rs",
            "user/PaymentReconciliation.rs",
            "user/Patient.rs",
            "user/Practitioner.rs",
            "user/PractitionerRole.rs",
            "user/Organization.rs",
            "user/Location.rs",
        ],
    ),
    // Who did what to whose record, and nothing of what is in it.
    (
        "privacy-officer",
        "Privacy officer",
        false,
        &[
            "user/AuditEvent.rs",
            "user/Consent.crus",
            "user/Provenance.rs",
            "user/Patient.rs",
            "user/Practitioner.rs",
            "user/PractitionerRole.rs",
            "user/Organization.rs",
        ],
    ),
    // What is exported of a group is decided by its export, not by reading.
    (
        "researcher",
        "Researcher",
        false,
        &["system/Group.rs", "system/ResearchStudy.rs"],
    ),
    (
        "interface-engine",
        "Interface engine",
        false,
        &["system/*.crus"],
    ),
    (
        "device",
        "Device",
        false,
        &["system/Observation.c", "system/Device.r"],
    ),
    ("administrator", "Administrator", false, &["rotunda/admin"]),
];

const PATIENT: &[&str] = &[
    "patient/*.rs",
    "patient/QuestionnaireResponse.cu",
    "patient/Appointment.cu",
    "patient/Communication.c",
    "patient/Consent.cu",
];

impl Role {
    /// The role of this name in the box.
    pub fn built_in(name: &str) -> Option<Self> {
        let found = BUILT_IN.iter().find(|(known, ..)| *known == name);
        found.map(|(_, title, care_relation, grants)| Self {
            title: (*title).to_owned(),
            grants: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            care_relation: *care_relation,
        })
    }

    /// The role of this name as it is in force.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn named(records: &Records, name: &str) -> Result<Option<Self>, AuthError> {
        let edited = records.find::<Self>(name).await?;
        Ok(edited
            .map(|found| found.value)
            .or_else(|| Self::built_in(name)))
    }

    /// The grants as scopes.
    pub fn scopes(&self) -> Scopes {
        Scopes(
            self.grants
                .iter()
                .flat_map(|grant| Scopes::parse(grant).0)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grant_of_the_box_is_a_scope() {
        for (name, _, _, grants) in BUILT_IN {
            let read = Scopes::parse_all(grants.iter().copied());
            assert!(read.is_ok(), "{name}: {read:?}");
        }
    }
}
