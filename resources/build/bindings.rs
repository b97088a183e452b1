//! Required bindings: value sets as sorted lists of codes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

use serde_json::Value;

use crate::{
    Failure,
    definitions::{items, load, of_type, text},
};

type Codes = BTreeSet<(String, String)>;

/// The value sets of R4 and those of them that were asked for.
pub struct Bindings {
    value_sets: HashMap<String, Value>,
    code_systems: HashMap<String, Value>,
    used: BTreeMap<String, usize>,
}

impl Bindings {
    /// Reads all value sets and code systems.
    pub fn load() -> Result<Self, Failure> {
        let mut this = Self {
            value_sets: HashMap::new(),
            code_systems: HashMap::new(),
            used: BTreeMap::new(),
        };
        for file in ["valuesets", "v3-codesystems", "v2-tables"] {
            let resources = load(file)?;
            for value_set in of_type(&resources, "ValueSet") {
                let url = text(value_set, "url")?.to_owned();
                this.value_sets.insert(url, value_set.clone());
            }
            for code_system in of_type(&resources, "CodeSystem") {
                let url = text(code_system, "url")?.to_owned();
                this.code_systems.insert(url, code_system.clone());
            }
        }
        // Sets whose codes are in no file here, but in a published expansion.
        for expanded in load("expansions")? {
            let url = text(&expanded, "url")?.to_owned();
            this.value_sets.insert(url, expanded);
        }
        Ok(this)
    }

    /// Rust code that names the binding of an element, `None` unless it is required.
    pub fn of_element(&mut self, element: &Value) -> String {
        let binding = &element["binding"];
        let Some(url) = binding["valueSet"]
            .as_str()
            .filter(|_| binding["strength"] == "required")
        else {
            return "None".into();
        };
        let next = self.used.len();
        let number = *self
            .used
            .entry(without_version(url).to_owned())
            .or_insert(next);
        format!("Some(&B{number})")
    }

    /// The statics that [`Bindings::of_element`] named.
    pub fn generate(&self, out: &mut String) -> Result<(), Failure> {
        for (url, number) in &self.used {
            let codes = match self.codes(url) {
                Some(codes) => format!(
                    "Some(&{:?})",
                    codes
                        .iter()
                        .map(|(s, c)| (s.as_str(), c.as_str()))
                        .collect::<Vec<_>>()
                ),
                None => "None".into(),
            };
            let system = self.whole_system(url);
            writeln!(
                out,
                "static B{number}: Binding = Binding {{ value_set: {url:?}, codes: {codes}, system: {system:?} }};"
            )?;
        }
        Ok(())
    }

    /// All codes of a value set, if they can be listed.
    fn codes(&self, url: &str) -> Option<Codes> {
        let value_set = self.value_sets.get(without_version(url))?;
        if items(&value_set["expansion"]["contains"]).next().is_some() {
            return expanded(&value_set["expansion"]);
        }
        let compose = &value_set["compose"];
        let mut codes = Codes::new();
        for include in items(&compose["include"]) {
            codes.append(&mut self.included(include)?);
        }
        for exclude in items(&compose["exclude"]) {
            let excluded = self.included(exclude)?;
            codes.retain(|code| !excluded.contains(code));
        }
        (!codes.is_empty()).then_some(codes)
    }

    /// The code system that is all there is in the value set.
    fn whole_system(&self, url: &str) -> Option<&str> {
        let compose = &self.value_sets.get(url)?["compose"];
        let mut includes = items(&compose["include"]);
        let (only, None) = (includes.next()?, includes.next()) else {
            return None;
        };
        let narrowed = ["concept", "filter", "valueSet"];
        let whole = compose["exclude"].is_null() && narrowed.iter().all(|by| only[by].is_null());
        only["system"].as_str().filter(|_| whole)
    }

    fn included(&self, include: &Value) -> Option<Codes> {
        if items(&include["filter"]).next().is_some() {
            return None;
        }
        let mut codes: Option<Codes> = None;
        if let Some(system) = include["system"].as_str() {
            let mut listed = Codes::new();
            match items(&include["concept"]).next() {
                Some(_) => collect(&include["concept"], system, &mut listed),
                None => collect(&self.complete(system)?["concept"], system, &mut listed),
            }
            codes = Some(listed);
        }
        for imported in items(&include["valueSet"]) {
            let imported = self.codes(imported.as_str()?)?;
            codes = Some(match codes {
                Some(codes) => codes.intersection(&imported).cloned().collect(),
                None => imported,
            });
        }
        codes
    }

    fn complete(&self, system: &str) -> Option<&Value> {
        self.code_systems
            .get(system)
            .filter(|found| found["content"] == "complete")
    }
}

fn collect(concepts: &Value, system: &str, into: &mut Codes) {
    for concept in items(concepts) {
        if let Some(code) = concept["code"].as_str() {
            into.insert((system.to_owned(), code.to_owned()));
        }
        collect(&concept["concept"], system, into);
    }
}

/// The codes of an expansion without levels.
fn expanded(expansion: &Value) -> Option<Codes> {
    items(&expansion["contains"])
        .map(|code| {
            Some((
                code["system"].as_str()?.into(),
                code["code"].as_str()?.into(),
            ))
        })
        .collect()
}

fn without_version(canonical: &str) -> &str {
    canonical.split('|').next().unwrap_or(canonical)
}
