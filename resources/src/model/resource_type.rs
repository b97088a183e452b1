//! The resource types of FHIR R4 4.0.1.

use std::fmt;

/// A resource type; its number is its place in the alphabetical list, from 1, and is stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(u8);

/// R4's resource types in alphabetical order. Frozen: numbers in databases follow from it.
static NAMES: [&str; 146] = [
    "Account",
    "ActivityDefinition",
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "AppointmentResponse",
    "AuditEvent",
    "Basic",
    "Binary",
    "BiologicallyDerivedProduct",
    "BodyStructure",
    "Bundle",
    "CapabilityStatement",
    "CarePlan",
    "CareTeam",
    "CatalogEntry",
    "ChargeItem",
    "ChargeItemDefinition",
    "Claim",
    "ClaimResponse",
    "ClinicalImpression",
    "CodeSystem",
    "Communication",
    "CommunicationRequest",
    "CompartmentDefinition",
    "Composition",
    "ConceptMap",
    "Condition",
    "Consent",
    "Contract",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "DetectedIssue",
    "Device",
    "DeviceDefinition",
    "DeviceMetric",
    "DeviceRequest",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentManifest",
    "DocumentReference",
    "EffectEvidenceSynthesis",
    "Encounter",
    "Endpoint",
    "EnrollmentRequest",
    "EnrollmentResponse",
    "EpisodeOfCare",
    "EventDefinition",
    "Evidence",
    "EvidenceVariable",
    "ExampleScenario",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "GraphDefinition",
    "Group",
    "GuidanceResponse",
    "HealthcareService",
    "ImagingStudy",
    "Immunization",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "ImplementationGuide",
    "InsurancePlan",
    "Invoice",
    "Library",
    "Linkage",
    "List",
    "Location",
    "Measure",
    "MeasureReport",
    "Media",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationKnowledge",
    "MedicationRequest",
    "MedicationStatement",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "MessageDefinition",
    "MessageHeader",
    "MolecularSequence",
    "NamingSystem",
    "NutritionOrder",
    "Observation",
    "ObservationDefinition",
    "OperationDefinition",
    "OperationOutcome",
    "Organization",
    "OrganizationAffiliation",
    "Parameters",
    "Patient",
    "PaymentNotice",
    "PaymentReconciliation",
    "Person",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "Questionnaire",
    "QuestionnaireResponse",
    "RelatedPerson",
    "RequestGroup",
    "ResearchDefinition",
    "ResearchElementDefinition",
    "ResearchStudy",
    "ResearchSubject",
    "RiskAssessment",
    "RiskEvidenceSynthesis",
    "Schedule",
    "SearchParameter",
    "ServiceRequest",
    "Slot",
    "Specimen",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Subscription",
    "Substance",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
    "SupplyDelivery",
    "SupplyRequest",
    "Task",
    "TerminologyCapabilities",
    "TestReport",
    "TestScript",
    "ValueSet",
    "VerificationResult",
    "VisionPrescription",
];

impl ResourceType {
    /// `Appointment`
    pub const APPOINTMENT: Self = Self(5);
    /// `AuditEvent`
    pub const AUDIT_EVENT: Self = Self(7);
    /// `Consent`
    pub const CONSENT: Self = Self(29);
    /// `Binary`
    pub const BINARY: Self = Self(9);
    /// `Bundle`
    pub const BUNDLE: Self = Self(12);
    /// `CodeSystem`
    pub const CODE_SYSTEM: Self = Self(22);
    /// `CompartmentDefinition`
    pub const COMPARTMENT_DEFINITION: Self = Self(25);
    /// `Encounter`
    pub const ENCOUNTER: Self = Self(44);
    /// `List`
    pub const LIST: Self = Self(70);
    /// `Location`
    pub const LOCATION: Self = Self(71);
    /// `Observation`
    pub const OBSERVATION: Self = Self(96);
    /// `OperationDefinition`
    pub const OPERATION_DEFINITION: Self = Self(98);
    /// `OperationOutcome`
    pub const OPERATION_OUTCOME: Self = Self(99);
    /// `Parameters`
    pub const PARAMETERS: Self = Self(102);
    /// `Patient`
    pub const PATIENT: Self = Self(103);
    /// `Practitioner`
    pub const PRACTITIONER: Self = Self(108);
    /// `PractitionerRole`
    pub const PRACTITIONER_ROLE: Self = Self(109);
    /// `HealthcareService`
    pub const HEALTHCARE_SERVICE: Self = Self(60);
    /// `Organization`
    pub const ORGANIZATION: Self = Self(100);
    /// `RelatedPerson`
    pub const RELATED_PERSON: Self = Self(114);
    /// `Device`
    pub const DEVICE: Self = Self(35);
    /// `Schedule`
    pub const SCHEDULE: Self = Self(122);
    /// `SearchParameter`
    pub const SEARCH_PARAMETER: Self = Self(123);
    /// `Slot`
    pub const SLOT: Self = Self(125);
    /// `StructureDefinition`
    pub const STRUCTURE_DEFINITION: Self = Self(128);
    /// `Task`
    pub const TASK: Self = Self(140);
    /// `ValueSet`
    pub const VALUE_SET: Self = Self(144);
    /// `Group`
    pub const GROUP: Self = Self(58);

    /// For the generated tables, which only hold numbers of the list.
    pub(super) const fn from_table(number: u8) -> Self {
        Self(number)
    }

    /// The type with this name; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.binary_search(&name).ok().map(|at| Self(at as u8 + 1))
    }

    /// The type with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        let number = u8::try_from(number).ok()?;
        (1..=NAMES.len() as u8)
            .contains(&number)
            .then_some(Self(number))
    }

    /// The name as it stands in `resourceType`.
    pub fn name(self) -> &'static str {
        NAMES[self.0 as usize - 1]
    }

    /// The stored number, from 1.
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// All types in alphabetical order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (1..=NAMES.len() as u8).map(Self)
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_to_each_other() {
        for kind in ResourceType::all() {
            assert_eq!(ResourceType::from_name(kind.name()), Some(kind));
            assert_eq!(ResourceType::from_number(kind.number()), Some(kind));
        }
        assert_eq!(ResourceType::PATIENT.name(), "Patient");
        assert_eq!(ResourceType::SLOT.name(), "Slot");
        assert_eq!(ResourceType::AUDIT_EVENT.name(), "AuditEvent");
        assert_eq!(ResourceType::CONSENT.name(), "Consent");
        assert_eq!(ResourceType::from_name("patient"), None);
        assert_eq!(ResourceType::from_number(0), None);
    }
}
