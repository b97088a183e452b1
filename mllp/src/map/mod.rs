//! From a message to FHIR R4 resources, by the tables of HL7's guide
//! [HL7 Version 2 to FHIR](https://build.fhir.org/ig/HL7/v2-to-fhir), a file of corrections, and
//! a site's own rows.

mod coded;
mod compile;
mod condition;
mod csv;
mod expression;
mod finish;
mod groups;
mod leaf;
mod look;
mod names;
mod native;
mod part;
mod path;
mod plan;
mod run;
mod scope;
mod structure;
mod table;
mod tables;
mod things;
mod timing;
mod tree;
mod values;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::message::{Message, Note};

/// Maps messages by the tables, and an overlay if there is one. Cheap to share.
#[derive(Clone)]
pub struct Mapper {
    plan: Arc<plan::Plan>,
}

/// What a site says of itself, or is known of it.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where times without an offset are from.
    pub zone: TimeZone,
    /// URIs of assigning authorities, by namespace (HD.1) or universal id (HD.2), and of coding
    /// systems by the name that messages have for them.
    pub authorities: HashMap<String, String>,
    /// The system of identifiers without an authority; by MSH-3 and 4 if none.
    pub default_system: Option<String>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            authorities: HashMap::new(),
            default_system: None,
        }
    }
}

/// A site's own rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    changes: Vec<(usize, table::Change)>,
}

impl Overlay {
    /// Reads rows in the columns of HL7's tables, with `Action` (add, replace, remove) and `Table`
    /// before them. The first line names the columns.
    ///
    /// # Errors
    /// Every line that cannot be read, or that fits no table, and why.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let records = csv::read(text).map_err(|error| vec![error])?;
        let columns = records.first().and_then(table::Columns::of);
        let Some(columns) = columns.filter(table::Columns::has_changes) else {
            return Err(vec![
                "line 1: the columns Action, Table and Computable ANTLR are not all named"
                    .to_owned(),
            ]);
        };
        let mut overlay = Self::default();
        let mut wrong = Vec::new();
        for record in &records[1..] {
            let line = record.line;
            match columns.change(record, "overlay") {
                Ok(change) => overlay.changes.push((line, change)),
                Err(error) => wrong.push(format!("line {line}: {error}")),
            }
        }
        // What fits no table, and what cannot be understood, is said at once.
        let (_, problems) = overlay.plan();
        wrong.extend(problems);
        match wrong.is_empty() {
            true => Ok(overlay),
            false => Err(wrong),
        }
    }

    fn plan(&self) -> (plan::Plan, Vec<String>) {
        let mut tables = tables::all();
        let mut problems = Vec::new();
        for (line, change) in &self.changes {
            if let Err(error) = tables.change(change) {
                problems.push(format!("line {line}: {error}"));
            }
        }
        let plan = compile::compile(&tables);
        let own = plan.problems.iter();
        problems.extend(own.filter_map(|problem| {
            let rest = problem.strip_prefix("overlay:")?;
            Some(format!("line {rest}"))
        }));
        (plan, problems)
    }
}

/// The plan of the tables that are compiled in, made once.
static PLAIN: LazyLock<Arc<plan::Plan>> =
    LazyLock::new(|| Arc::new(compile::compile(&tables::all())));

impl Mapper {
    /// By HL7's tables as corrected and completed here, and by a site's own rows.
    pub fn new(overlay: Option<&Overlay>) -> Self {
        let plan = match overlay {
            Some(overlay) => Arc::new(overlay.plan().0),
            None => PLAIN.clone(),
        };
        Self { plan }
    }

    /// What a message makes. It never fails: what is odd becomes a note.
    pub fn map(&self, message: &Message, site: &Site) -> Mapped {
        run::Run::map(&self.plan, message, site)
    }

    /// What of the tables could not be understood. Empty, but for an overlay that was not read by
    /// [`Overlay::parse`].
    pub fn problems(&self) -> &[String] {
        &self.plan.problems
    }
}

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
