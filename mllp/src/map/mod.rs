//! From a message to FHIR R4 resources, by the tables of HL7's guide
//! [HL7 Version 2 to FHIR](https://build.fhir.org/ig/HL7/v2-to-fhir), a file of corrections, and
//! a site's own rows.

use serde_json::Value as Json;

use crate::message::Note;

/// A resource that a message makes. It is not yet known whether it is new.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Its content, with `resourceType` and without `id`. References to others of the same message
    /// are `{"reference": "#N"}`, N the place in [`Mapped::resources`].
    pub json: Json,
    /// The segment (from 0) that made it.
    pub segment: usize,
    /// How the tables call it, `Patient[1]`; for what came of a value (a Practitioner of PV1-7)
    /// the place of the value, `PV1-7[1]`.
    pub role: String,
    /// Where `""` stood: paths of elements (`Patient.birthDate` as `birthDate`) to be deleted.
    pub nulls: Vec<String>,
}

/// All that came of a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapped {
    /// In the order of the segments.
    pub resources: Vec<Made>,
    /// Fields that have a value, and whether it reached a resource: `PID-5`, from the tables.
    pub fields: Vec<Field>,
    /// What could not be taken over as it is, with its place.
    pub notes: Vec<Note>,
}

/// What became of a field with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The segment's place in the message.
    pub segment: usize,
    /// Segment and number: `PID-5`.
    pub name: String,
    /// Paths that it reached, `Patient.name`; none if it is in the raw message only.
    pub reached: Vec<String>,
}
