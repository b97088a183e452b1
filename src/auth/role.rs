//! Roles: what somebody may do by their work, written in the grammar of scopes.

use resources::{index::Registry, model::ResourceType};
use serde::{Deserialize, Serialize};

use super::{
    decide::Bounds,
    error::AuthError,
    records::{Kept, Records},
    scope::{self, Scopes},
};
use crate::access::Relation;

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
    /// They reach also, or only, patients for whom there is one of these: an order as a rule, in
    /// the grammar of [`order`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<String>,
}

/// `ServiceRequest?category=laboratory&status=active,completed`: a type that is about a patient,
/// and search parameters as those of a scope. `None` if it is nothing of the kind.
pub fn order(text: &str) -> Option<Relation> {
    let (name, query) = match text.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (text, None),
    };
    let kind = ResourceType::from_name(name)?;
    let registry = Registry::builtin();
    let constraints = match query {
        Some(query) => scope::pairs(query)?,
        None => Vec::new(),
    };
    let is_known = |name: &str| registry.param(kind, name).is_some();
    let is_looked_for = constraints.iter().all(|(name, _)| is_known(name));
    (is_looked_for && is_known("patient")).then_some(Relation::Order { kind, constraints })
}

impl Kept for Role {
    const KIND: i64 = 4;
    const NAME: &'static str = "role";
}

/// Name, title, whose patients, grants.
type BuiltIn = (&'static str, &'static str, Reach, &'static [&'static str]);

/// Which patients a role in the box reaches.
#[derive(Debug, Clone, Copy)]
pub enum Reach {
    /// Those that its grants name.
    All,
    /// Those in the user's care.
    Cared,
    /// Those with such an order.
    Ordered(&'static str),
}

// Of orders count those that the department is to work on, and those that it has done: a result
// is corrected, and compared with the next, when its order is long completed. Not those that are
// not given yet (draft), taken back (revoked) or were never meant (entered-in-error).
const LABORATORY_ORDER: &str =
    "ServiceRequest?category=108252007,laboratory&status=active,on-hold,completed";
const IMAGING_ORDER: &str =
    "ServiceRequest?category=363679005,imaging&status=active,on-hold,completed";

/// The roles in the box.
pub const BUILT_IN: &[BuiltIn] = &[
    ("patient", "Patient", Reach::All, PATIENT),
    ("proxy", "Proxy of a patient", Reach::All, PATIENT),
    (
        "doctor",
        "Doctor",
        Reach::Cared,
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
        Reach::Cared,
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
        Reach::All,
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
        Reach::Ordered(LABORATORY_ORDER),
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
        Reach::Ordered(IMAGING_ORDER),
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
        Reach::All,
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
        Reach::All,
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
        Reach::All,
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
        Reach::All,
        &["system/Group.rs", "system/ResearchStudy.rs"],
    ),
    (
        "interface-engine",
        "Interface engine",
        Reach::All,
        &["system/*.crus"],
    ),
    (
        "device",
        "Device",
        Reach::All,
        &["system/Observation.c", "system/Device.r"],
    ),
    (
        "administrator",
        "Administrator",
        Reach::All,
        &["rotunda/admin"],
    ),
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
        found.map(|(_, title, reach, grants)| Self {
            title: (*title).to_owned(),
            grants: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            care_relation: matches!(reach, Reach::Cared),
            orders: match reach {
                Reach::Ordered(order) => vec![(*order).to_owned()],
                Reach::All | Reach::Cared => Vec::new(),
            },
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

    /// Which patients the grants reach. An order that is none reaches nobody.
    pub fn bounds(&self) -> Bounds {
        let orders = || self.orders.iter().filter_map(|text| order(text)).collect();
        Bounds {
            care: self.care_relation,
            orders: (!self.orders.is_empty()).then(orders),
        }
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

    #[test]
    fn orders_are_of_a_patient_and_looked_for_by_parameters() {
        for text in [
            LABORATORY_ORDER,
            IMAGING_ORDER,
            "MedicationRequest",
            "MedicationRequest?status=active",
        ] {
            assert!(order(text).is_some(), "{text}");
        }
        for text in [
            "",
            "Order",
            "Patient?active=true",
            "Slot?status=free",
            "ServiceRequest?",
            "ServiceRequest?nonsense=1",
            "ServiceRequest?status:not=revoked",
            "ServiceRequest?patient.name=a",
            "user/ServiceRequest.r?status=active",
        ] {
            assert!(order(text).is_none(), "{text}");
        }
        let role = Role {
            orders: vec!["Order".to_owned()],
            ..Role::default()
        };
        assert_eq!(role.bounds().orders, Some(Vec::new()));
    }

    #[test]
    fn what_is_written_of_a_role_without_orders_is_as_before_there_were_any() {
        let role = Role::built_in("nurse").unwrap();
        assert!(!serde_json::to_string(&role).unwrap().contains("orders"));
    }
}
