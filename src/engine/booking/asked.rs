//! The parameters of a booking operation, however they came: in the query, in a Parameters
//! resource, or as a bare Appointment; under the names of IHE ITI Scheduling, of the Argonaut
//! guide, or of Epic.

use resources::{Doc, Value, doc::Kind, primitive::Reference};

use super::Error;

/// Names that mean the same; the first is IHE's, or ours where IHE has none.
const ALIASES: &[(&str, &[&str])] = &[
    ("start", &["startTime", "start-time"]),
    ("end", &["endTime", "end-time"]),
    ("visit-type", &["service-type", "serviceType"]),
    ("specialty", &[]),
    ("practitioner", &["provider"]),
    ("organization", &[]),
    ("location-reference", &["location"]),
    ("location-string", &["address"]),
    ("patient-reference", &["patient", "patient-id"]),
    ("patient-resource", &[]),
    ("reason", &["indications"]),
    ("referral-identifier", &["referral"]),
    ("timing", &["preference"]),
    ("insurance-reference", &["insurance"]),
    ("appointment-reference", &["appt-id", "appointment"]),
    ("appointment-resource", &["appt-resource"]),
    ("cancelled-appt-id", &["replaces"]),
    ("appointment-type", &["appointmentType"]),
    ("service-type-reference", &["healthcare-service"]),
];

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// A primitive, as text.
    Text(String),
    /// A Reference.
    Reference(Named),
    /// An Identifier: system and value.
    Identifier(String, String),
    /// A resource, or another complex value: its JSON.
    Complex(String),
}

/// Whom a Reference names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Named {
    /// `Practitioner/1`
    Local(String),
    /// By an identifier: system and value.
    Identifier(String, String),
}

/// The parameters of one call.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    values: Vec<(String, Given)>,
    base_url: String,
    /// A name of IHE's own was used: its clients expect its outcomes.
    pub is_ihe: bool,
}

impl Asked {
    /// Reads query and body.
    ///
    /// # Errors
    /// The body is neither Parameters nor an Appointment, or a parameter has no value.
    pub fn read(
        pairs: &[(String, String)],
        body: Option<&Doc>,
        base_url: &str,
    ) -> Result<Self, Error> {
        let mut asked = Self {
            base_url: base_url.to_owned(),
            ..Self::default()
        };
        for (name, value) in pairs {
            asked.add(name, Given::Text(value.clone()));
        }
        let Some(doc) = body else { return Ok(asked) };
        match doc.resource_type() {
            Some("Appointment") => {
                let text = doc.root().raw().to_owned();
                asked.add("appointment-resource", Given::Complex(text));
            }
            Some("Parameters") => {
                let parameters = doc.root().get("parameter");
                for (at, parameter) in parameters.iter().flat_map(Value::items).enumerate() {
                    asked.add_parameter(at, parameter)?;
                }
            }
            _ => {
                return Err(Error::invalid(
                    "the body must be a Parameters resource, or an Appointment",
                ));
            }
        }
        Ok(asked)
    }

    fn add_parameter(&mut self, at: usize, parameter: Value<'_>) -> Result<(), Error> {
        let wrong = |text: &str| {
            let issue = resources::outcome::Issue::error("invalid", text);
            Error::with(
                super::ErrorKind::Invalid,
                vec![issue.at(format!("Parameters.parameter[{at}]"))],
            )
        };
        let name = parameter.get("name").and_then(|name| name.as_str());
        let name = name.ok_or_else(|| wrong("a parameter needs its name"))?;
        if let Some(resource) = parameter.get("resource") {
            self.add(&name, Given::Complex(resource.raw().to_owned()));
            return Ok(());
        }
        let value = parameter
            .members()
            .find(|member| member.name().starts_with("value"))
            .ok_or_else(|| wrong("a parameter needs a value[x] or a resource"))?;
        let given = match (value.name(), value.kind()) {
            ("valueReference", Kind::Object) => Given::Reference(
                named(value, &self.base_url)
                    .ok_or_else(|| wrong("the Reference needs a reference or an identifier"))?,
            ),
            ("valueIdentifier", Kind::Object) => {
                let (system, value) = identifier(value);
                Given::Identifier(system, value)
            }
            ("valueCoding", Kind::Object) => Given::Text(token(value)),
            ("valueCodeableConcept", Kind::Object) => {
                for coding in value.get("coding").iter().flat_map(Value::items) {
                    self.add(&name, Given::Text(token(coding)));
                }
                return Ok(());
            }
            (_, Kind::Object | Kind::Array) => Given::Complex(value.raw().to_owned()),
            (_, Kind::Number | Kind::True | Kind::False) => Given::Text(value.raw().to_owned()),
            (_, Kind::String) => Given::Text(value.as_str().unwrap_or_default().into_owned()),
            (_, Kind::Null) => return Err(wrong("null is no value")),
        };
        self.add(&name, given);
        Ok(())
    }

    fn add(&mut self, name: &str, given: Given) {
        let known = ALIASES
            .iter()
            .find(|(own, others)| *own == name || others.contains(&name));
        if matches!(
            name,
            "appointment-reference" | "appointment-resource" | "patient-reference" | "visit-type"
        ) {
            self.is_ihe = true;
        }
        let name = known.map_or(name, |(own, _)| own);
        self.values.push((name.to_owned(), given));
    }

    /// The same, without some of the parameters.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let values = self.values.iter();
        let values = values.filter(|(name, _)| !names.contains(&name.as_str()));
        Self {
            values: values.cloned().collect(),
            ..self.clone()
        }
    }

    /// All names that were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    /// All values of a parameter.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Given> {
        self.values
            .iter()
            .filter(move |(own, _)| own == name)
            .map(|(_, given)| given)
    }

    /// The primitive values of a parameter; those of a query may be several behind commas.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let mut out = Vec::new();
        for given in self.all(name) {
            if let Given::Text(text) = given {
                out.extend(
                    text.split(',')
                        .filter(|one| !one.is_empty())
                        .map(str::to_owned),
                );
            }
        }
        out
    }

    /// The primitive values of a parameter as they are, commas and all.
    pub fn all_texts<'s>(&'s self, name: &'s str) -> impl Iterator<Item = String> + 's {
        self.all(name).filter_map(|given| match given {
            Given::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// The last primitive value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        let values = self.values.iter().rev().filter(|(own, _)| own == name);
        let mut texts = values.filter_map(|(_, given)| match given {
            Given::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.next()
    }

    /// `true`
    pub fn is_set(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A number.
    ///
    /// # Errors
    /// It is none.
    pub fn number(&self, name: &str) -> Result<Option<u32>, Error> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| Error::invalid(format!("{name} must be a whole number, and not '{text}'")))
    }

    /// Whom a parameter names: as Reference, or as text in a query or in valueUri.
    ///
    /// # Errors
    /// A text that is no reference to a resource of this server.
    pub fn named(&self, name: &str, kind: &str) -> Result<Vec<Named>, Error> {
        let mut out = Vec::new();
        for given in self.all(name) {
            match given {
                Given::Reference(named) => out.push(named.clone()),
                Given::Identifier(system, value) => {
                    out.push(Named::Identifier(system.clone(), value.clone()));
                }
                Given::Text(text) => {
                    for one in text.split(',').filter(|one| !one.is_empty()) {
                        out.push(self.name_of(name, one, kind)?);
                    }
                }
                Given::Complex(_) => {
                    return Err(Error::invalid(format!("{name} must be a reference")));
                }
            }
        }
        Ok(out)
    }

    fn name_of(&self, name: &str, text: &str, kind: &str) -> Result<Named, Error> {
        if let Some((system, value)) = text.split_once('|') {
            return Ok(Named::Identifier(system.to_owned(), value.to_owned()));
        }
        if crate::engine::draft::is_id(text) {
            return Ok(Named::Local(format!("{kind}/{text}")));
        }
        match Reference::parse_within(text, &self.base_url) {
            Some(Reference::Local { kind, id, .. }) => Ok(Named::Local(format!("{kind}/{id}"))),
            _ => Err(Error::invalid(format!(
                "{name} must name a resource of this server, as in {kind}/1"
            ))),
        }
    }

    /// The complex values and resources of a parameter, as documents.
    ///
    /// # Errors
    /// One is no document by itself.
    pub fn complex(&self, name: &str) -> Result<Vec<Doc>, Error> {
        let texts = self.all(name).filter_map(|given| match given {
            Given::Complex(text) => Some(text.clone()),
            _ => None,
        });
        texts.map(crate::engine::draft::parse).collect()
    }
}

fn named(value: Value<'_>, base_url: &str) -> Option<Named> {
    if let Some(text) = value.get("reference").and_then(|text| text.as_str()) {
        return match Reference::parse_within(&text, base_url)? {
            Reference::Local { kind, id, .. } => Some(Named::Local(format!("{kind}/{id}"))),
            _ => None,
        };
    }
    let (system, value) = identifier(value.get("identifier")?);
    Some(Named::Identifier(system, value))
}

fn identifier(value: Value<'_>) -> (String, String) {
    let part = |name: &str| {
        let part = value.get(name).and_then(|part| part.as_str());
        part.map(|text| text.into_owned()).unwrap_or_default()
    };
    (part("system"), part("value"))
}

fn token(coding: Value<'_>) -> String {
    let part = |name: &str| {
        let part = coding.get(name).and_then(|part| part.as_str());
        part.map(|text| text.into_owned()).unwrap_or_default()
    };
    match part("system") {
        system if system.is_empty() => part("code"),
        system => format!("{system}|{}", part("code")),
    }
}
