//! Scopes in words that people understand, and into what narrower ones they can be turned.

use resources::model::ResourceType;

use crate::{
    access::Right,
    auth::scope::{Level, ResourceScope, Scope},
};

/// What the types of resources are called. Others are called by their names.
const TYPES: &[(&str, &str)] = &[
    ("AllergyIntolerance", "Allergies and intolerances"),
    ("Appointment", "Appointments"),
    ("AppointmentResponse", "Answers to appointments"),
    ("AuditEvent", "Records of who looked at what"),
    ("CarePlan", "Care plans"),
    ("CareTeam", "Care teams"),
    ("Claim", "Bills to insurers"),
    ("ClaimResponse", "Answers of insurers"),
    ("ClinicalImpression", "Clinical assessments"),
    ("Communication", "Messages"),
    ("Composition", "Clinical documents"),
    ("Condition", "Diagnoses and problems"),
    ("Consent", "Consents"),
    ("Coverage", "Insurance"),
    ("Device", "Devices and implants"),
    (
        "DiagnosticReport",
        "Reports of laboratory, imaging and others",
    ),
    ("DocumentReference", "Documents and notes"),
    ("Encounter", "Visits and stays"),
    ("EpisodeOfCare", "Episodes of care"),
    ("ExplanationOfBenefit", "Statements of insurers"),
    ("FamilyMemberHistory", "Illnesses in the family"),
    ("Flag", "Warnings"),
    ("Goal", "Goals of care"),
    ("Group", "Groups"),
    ("ImagingStudy", "X-rays, scans and other images"),
    ("Immunization", "Vaccinations"),
    ("Location", "Places"),
    ("Media", "Photos and recordings"),
    ("Medication", "Medicines"),
    ("MedicationAdministration", "Medicines that were given"),
    ("MedicationDispense", "Medicines that were handed out"),
    ("MedicationRequest", "Prescriptions"),
    ("MedicationStatement", "Medicines that are taken"),
    ("NutritionOrder", "Diets"),
    ("Observation", "Measurements and findings"),
    ("Organization", "Organizations"),
    (
        "Patient",
        "Name, birth date, address and other personal details",
    ),
    ("Practitioner", "Doctors, nurses and other staff"),
    ("PractitionerRole", "What staff do, and where"),
    ("Procedure", "Operations and other procedures"),
    ("Provenance", "Where data come from"),
    ("Questionnaire", "Questionnaires"),
    ("QuestionnaireResponse", "Answers to questionnaires"),
    ("RelatedPerson", "Relatives and contacts"),
    ("RiskAssessment", "Risks"),
    ("Schedule", "Calendars"),
    ("ServiceRequest", "Orders and referrals"),
    ("Slot", "Free times"),
    ("Specimen", "Samples"),
    ("Task", "Tasks"),
];

/// Types that are offered when everything is asked for.
const OFFERED: &[&str] = &[
    "Patient",
    "AllergyIntolerance",
    "Condition",
    "Observation",
    "DiagnosticReport",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "Immunization",
    "Procedure",
    "Encounter",
    "Appointment",
    "CarePlan",
    "CareTeam",
    "Goal",
    "DocumentReference",
    "ImagingStudy",
    "ServiceRequest",
    "QuestionnaireResponse",
    "FamilyMemberHistory",
    "Device",
    "Coverage",
    "RelatedPerson",
    "Consent",
];

const OBSERVATION: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const CONDITION: &str = "http://terminology.hl7.org/CodeSystem/condition-category";
const US_CONDITION: &str = "http://hl7.org/fhir/us/core/CodeSystem/condition-category";
const SECTION: &str = "http://terminology.hl7.org/CodeSystem/v2-0074";
const US_DOCUMENT: &str =
    "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category";

/// Parts of a type by category: type, system, code, words.
const PARTS: &[(&str, &str, &str, &str)] = &[
    ("Condition", CONDITION, "problem-list-item", "Problem list"),
    (
        "Condition",
        CONDITION,
        "encounter-diagnosis",
        "Diagnoses of visits",
    ),
    (
        "Condition",
        US_CONDITION,
        "health-concern",
        "Health concerns",
    ),
    ("Observation", OBSERVATION, "vital-signs", "Vital signs"),
    (
        "Observation",
        OBSERVATION,
        "laboratory",
        "Laboratory results",
    ),
    (
        "Observation",
        OBSERVATION,
        "social-history",
        "Social history, such as smoking",
    ),
    ("Observation", OBSERVATION, "survey", "Answers to surveys"),
    ("Observation", OBSERVATION, "exam", "Examinations"),
    ("Observation", OBSERVATION, "imaging", "Imaging"),
    ("Observation", OBSERVATION, "procedure", "Procedures"),
    ("Observation", OBSERVATION, "therapy", "Therapies"),
    (
        "Observation",
        OBSERVATION,
        "activity",
        "Activity, such as steps",
    ),
    ("DiagnosticReport", SECTION, "LAB", "Laboratory"),
    ("DiagnosticReport", SECTION, "RAD", "Radiology"),
    (
        "DocumentReference",
        US_DOCUMENT,
        "clinical-note",
        "Clinical notes",
    ),
];

/// What a type is called.
pub fn kind(kind: Option<ResourceType>) -> String {
    let Some(kind) = kind else {
        return "Everything in the record".to_owned();
    };
    let name = kind.name();
    let known = TYPES.iter().find(|(known, _)| *known == name);
    known.map_or_else(|| spaced(name), |(_, words)| (*words).to_owned())
}

/// `ResearchStudy` -> `Research study`
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for (at, letter) in name.chars().enumerate() {
        if at > 0 && letter.is_ascii_uppercase() {
            words.push(' ');
            words.push(letter.to_ascii_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}

/// What may be done: `see`, `see, add and change`.
pub fn rights(scope: &ResourceScope) -> String {
    let has = |right| scope.rights.has(right);
    let words = [
        (has(Right::Read) || has(Right::Search), "see"),
        (has(Right::Create), "add"),
        (has(Right::Update), "change"),
        (has(Right::Delete), "delete"),
    ];
    let words: Vec<&str> = words
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, word)| *word)
        .collect();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

/// The condition of a granular scope: `only: category laboratory`.
pub fn constraints(scope: &ResourceScope) -> Option<String> {
    if scope.constraints.is_empty() {
        return None;
    }
    let one = |(name, value): &(String, String)| {
        let code = value
            .rsplit_once('|')
            .map_or(value.as_str(), |(_, code)| code);
        let kind = scope.kind.map_or("", ResourceType::name);
        let known = PARTS
            .iter()
            .find(|(of, _, known, _)| *of == kind && *known == code);
        match known {
            Some((.., words)) if name == "category" => (*words).to_owned(),
            _ => format!("{name} {code}"),
        }
    };
    let all: Vec<String> = scope.constraints.iter().map(one).collect();
    Some(format!("only: {}", all.join(", ")))
}

/// Whose data: `in the record of the patient`, `of all patients whom you may see`.
pub fn level(scope: &ResourceScope) -> &'static str {
    match scope.level {
        Level::Patient => "in this patient's record",
        Level::User => "of all patients whose records you may open",
        Level::System => "of all patients",
    }
}

/// Narrower scopes that can be agreed to in the place of one, with their words.
pub fn parts(scope: &ResourceScope) -> Vec<(ResourceScope, String)> {
    let narrower = |kind, constraints| ResourceScope {
        kind: Some(kind),
        constraints,
        // Version 1 has no words for constraints.
        v1: scope.v1 && scope.kind.is_none(),
        ..scope.clone()
    };
    let Some(of) = scope.kind else {
        let offered = OFFERED
            .iter()
            .filter_map(|name| ResourceType::from_name(name));
        return offered
            .map(|one| (narrower(one, Vec::new()), kind(Some(one))))
            .collect();
    };
    if !scope.constraints.is_empty() {
        return Vec::new();
    }
    let parts = PARTS.iter().filter(|(name, ..)| *name == of.name());
    parts
        .map(|(_, system, code, words)| {
            let pair = ("category".to_owned(), format!("{system}|{code}"));
            (narrower(of, vec![pair]), (*words).to_owned())
        })
        .collect()
}

/// What a scope that is not about resources means, if the user can leave it out: words and what
/// follows from it.
pub fn other(scope: &Scope, offline_days: u32) -> Option<(String, String)> {
    let of = |what: &str, follows: &str| Some((what.to_owned(), follows.to_owned()));
    match scope {
        Scope::OpenId => of(
            "Know that it is you",
            "The app gets a number that stands for you.",
        ),
        Scope::FhirUser | Scope::Profile => of(
            "Know who you are",
            "The app may read your own entry, with your name.",
        ),
        Scope::OnlineAccess => of(
            "Stay connected while you are logged in here",
            "It ends when you log out of this server, after 12 hours at the latest.",
        ),
        Scope::OfflineAccess => Some((
            "Stay connected when you are not there".to_owned(),
            format!(
                "The app keeps its access until you end it on your account page, or until it has \
                 not used it for {offline_days} days."
            ),
        )),
        Scope::Admin => of(
            "Manage this server",
            "Users, apps, roles and tokens: the app may do there what you may do.",
        ),
        Scope::Introspect => of(
            "Ask about tokens",
            "The app may find out what other apps' tokens are good for.",
        ),
        Scope::BreakGlass => of("Break the glass", "Reach patients outside of your care."),
        // The context goes with the record that is worked with.
        Scope::Launch | Scope::LaunchContext(..) | Scope::Resource(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> ResourceScope {
        ResourceScope::parse(text).unwrap()
    }

    #[test]
    fn scopes_are_said_in_words() {
        for (text, what, may) in [
            ("patient/Observation.rs", "Measurements and findings", "see"),
            (
                "patient/Observation.read",
                "Measurements and findings",
                "see",
            ),
            (
                "patient/ResearchStudy.cu",
                "Research study",
                "add and change",
            ),
            (
                "user/*.cruds",
                "Everything in the record",
                "see, add, change and delete",
            ),
        ] {
            let scope = scope(text);
            assert_eq!(
                (kind(scope.kind).as_str(), rights(&scope).as_str()),
                (what, may),
                "{text}"
            );
        }
        let granular = scope("patient/Observation.rs?category=http://x|laboratory");
        assert_eq!(
            constraints(&granular).as_deref(),
            Some("only: Laboratory results")
        );
        let other = scope("patient/Observation.rs?code=http://loinc.org|8867-4");
        assert_eq!(constraints(&other).as_deref(), Some("only: code 8867-4"));
    }

    #[test]
    fn what_a_scope_is_narrowed_to_lies_within_it() {
        for text in [
            "patient/*.rs",
            "patient/*.read",
            "patient/Condition.rs",
            "user/Observation.read",
        ] {
            let whole = scope(text);
            let parts = parts(&whole);
            assert!(parts.len() >= 3, "{text}");
            for (part, _) in parts {
                let written = part.to_string();
                let read = ResourceScope::parse(&written);
                assert_eq!(read.as_ref(), Some(&part), "{written}");
                assert_eq!(part.and(&whole), Some(part), "{written}");
            }
        }
        assert!(parts(&scope("patient/Condition.rs?category=x")).is_empty());
        assert!(parts(&scope("patient/Patient.rs")).is_empty());
    }

    #[test]
    fn every_type_in_the_tables_is_one_of_r4() {
        let names = TYPES.iter().map(|(name, _)| name).chain(OFFERED);
        for name in names.chain(PARTS.iter().map(|(name, ..)| name)) {
            assert!(ResourceType::from_name(name).is_some(), "{name}");
        }
    }
}
