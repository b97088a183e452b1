//! Codes of FHIR and what v2 has for them.

/// Rows of a table: a code of FHIR, and of v2.
type Table = &'static [(&'static str, &'static str)];

/// Table 0001.
pub(super) const GENDER: Table = &[
    ("female", "F"),
    ("male", "M"),
    ("other", "O"),
    ("unknown", "U"),
];

/// Table 0200.
pub(super) const NAME_USE: Table = &[
    ("official", "L"),
    ("usual", "D"),
    ("nickname", "N"),
    ("maiden", "M"),
    ("anonymous", "S"),
    ("temp", "TEMP"),
    ("old", "NOUSE"),
];

/// Table 0190.
pub(super) const ADDRESS_USE: Table = &[
    ("home", "H"),
    ("work", "B"),
    ("temp", "C"),
    ("old", "BA"),
    ("billing", "BI"),
];

/// Table 0202.
pub(super) const EQUIPMENT: Table = &[
    ("phone", "PH"),
    ("fax", "FX"),
    ("pager", "BP"),
    ("email", "Internet"),
    ("sms", "CP"),
];

/// Table 0278.
pub(super) const APPOINTMENT: Table = &[
    ("proposed", "Pending"),
    ("pending", "Pending"),
    ("waitlist", "Waitlist"),
    ("booked", "Booked"),
    ("arrived", "Started"),
    ("checked-in", "Started"),
    ("fulfilled", "Complete"),
    ("cancelled", "Cancelled"),
    ("noshow", "Noshow"),
    ("entered-in-error", "Deleted"),
];

/// Table 0038.
pub(super) const ORDER: Table = &[
    ("active", "IP"),
    ("on-hold", "HD"),
    ("completed", "CM"),
    ("revoked", "CA"),
    ("cancelled", "CA"),
    ("stopped", "DC"),
    ("entered-in-error", "ER"),
];

/// Table 0485.
pub(super) const PRIORITY: Table = &[
    ("routine", "R"),
    ("urgent", "A"),
    ("asap", "A"),
    ("stat", "S"),
];

/// Table 0123.
pub(super) const REPORT: Table = &[
    ("registered", "O"),
    ("partial", "A"),
    ("preliminary", "P"),
    ("final", "F"),
    ("amended", "C"),
    ("corrected", "C"),
    ("appended", "C"),
    ("cancelled", "X"),
    ("entered-in-error", "X"),
    ("unknown", "Z"),
];

/// Table 0085.
pub(super) const OBSERVATION: Table = &[
    ("registered", "I"),
    ("preliminary", "P"),
    ("final", "F"),
    ("amended", "C"),
    ("corrected", "C"),
    ("cancelled", "X"),
    ("entered-in-error", "W"),
    ("unknown", "U"),
];

/// Table 0396: systems by their URI.
const SYSTEMS: Table = &[
    ("http://loinc.org", "LN"),
    ("http://snomed.info/sct", "SCT"),
    ("http://www.nlm.nih.gov/research/umls/rxnorm", "RXNORM"),
    ("http://unitsofmeasure.org", "UCUM"),
    ("http://hl7.org/fhir/sid/icd-10", "I10"),
    ("http://hl7.org/fhir/sid/icd-10-cm", "I10C"),
    ("http://hl7.org/fhir/sid/icd-9-cm", "I9C"),
    ("http://hl7.org/fhir/sid/cvx", "CVX"),
    ("http://hl7.org/fhir/sid/ndc", "NDC"),
    ("http://www.ama-assn.org/go/cpt", "C4"),
    ("http://www.whocc.no/atc", "ATC"),
    ("urn:ietf:bcp:47", "ISO639"),
    (
        "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
        "HL70002",
    ),
    ("urn:iso:std:iso:3166", "ISO3166"),
];

/// The code that v2 has, or nothing.
pub(super) fn of(table: Table, code: &str) -> &'static str {
    let row = table.iter().find(|(fhir, _)| *fhir == code);
    row.map_or("", |(_, v2)| v2)
}

/// How v2 calls a code system: local (`L`) if nobody else does.
pub(super) fn system(uri: &str) -> String {
    if uri.is_empty() {
        return String::new();
    }
    if let Some(table) = uri.strip_prefix("http://terminology.hl7.org/CodeSystem/v2-") {
        return format!("HL7{table}");
    }
    match of(SYSTEMS, uri) {
        "" => "L".to_owned(),
        known => known.to_owned(),
    }
}
