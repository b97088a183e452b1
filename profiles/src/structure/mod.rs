//! Structural validation: one walk over a document beside R4's element model.

mod coded;
mod contained;
mod narrative;
mod object;
mod path;
mod primitive;
mod reference;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashMap};

use resources::{
    Doc, Value,
    doc::Kind,
    model::{self, ResourceType, TypeDef, TypeKind},
    outcome::Issue,
};

use path::Path;

/// No more issues than this are reported; whoever has more will come back.
pub const MAX_ISSUES: usize = 50;

/// Checks that a document is a resource as R4 defines its type: known elements, JSON types,
/// cardinality, choice types, primitive syntax, narrative, reference targets, required bindings.
/// Empty if all is well.
pub fn validate(doc: &Doc) -> Vec<Issue> {
    validate_value(doc.root(), "")
}

/// As [`validate`], for a resource inside a document (`Bundle.entry[3].resource`); expressions
/// begin with `at`, or with the type's name if `at` is empty.
pub fn validate_value(value: Value<'_>, at: &str) -> Vec<Issue> {
    let mut walk = Walk {
        issues: Vec::new(),
        container: Container::of(value),
    };
    let name = match at {
        "" => value
            .get("resourceType")
            .and_then(|name| name.plain_str())
            .unwrap_or("Resource"),
        at => at,
    };
    walk.resource(value, &Path::root(name), false);
    walk.issues
}

/// The state of one validation.
struct Walk<'d> {
    issues: Vec<Issue>,
    /// The resource whose `contained` local references point to.
    container: Container<'d>,
}

/// A resource that may contain others.
struct Container<'d> {
    resource: Value<'d>,
    /// What it contains, by id; made when the first reference asks.
    contained: Option<HashMap<Cow<'d, str>, Value<'d>>>,
}

impl<'d> Container<'d> {
    fn of(resource: Value<'d>) -> Self {
        Self {
            resource,
            contained: None,
        }
    }

    /// The resource that `#id` means; `#` alone is the container itself.
    fn find(&mut self, id: &str) -> Option<Value<'d>> {
        if id.is_empty() {
            return Some(self.resource);
        }
        let resource = self.resource;
        let contained = self.contained.get_or_insert_with(|| {
            let items = resource
                .get("contained")
                .into_iter()
                .flat_map(|all| all.items());
            items
                .filter_map(|one| Some((one.get("id")?.as_str()?, one)))
                .collect()
        });
        contained.get(id).copied()
    }
}

impl<'d> Walk<'d> {
    fn report(&mut self, code: &'static str, path: &Path<'_>, sentence: impl Into<String>) {
        if !self.is_full() {
            self.issues
                .push(Issue::error(code, sentence).at(path.to_string()));
        }
    }

    fn is_full(&self) -> bool {
        self.issues.len() >= MAX_ISSUES
    }

    /// A value that must be a resource of any type.
    fn resource(&mut self, value: Value<'d>, path: &Path<'_>, contained: bool) {
        if !value.is_object() {
            let sentence = "A resource must be a JSON object with a resourceType.";
            return self.report("structure", path, sentence);
        }
        let Some(name) = value.get("resourceType") else {
            let sentence = "The resource has no resourceType; say which type it is of.";
            return self.report("required", &path.child("resourceType"), sentence);
        };
        let Some(kind) = name.plain_str().and_then(ResourceType::from_name) else {
            let sentence = format!(
                "{} is no resource type of FHIR R4; names are case-sensitive, like \"Patient\".",
                excerpt(name)
            );
            return self.report("structure", &path.child("resourceType"), sentence);
        };
        if contained {
            if let Some(nested) = value.get("contained") {
                let sentence = "A contained resource cannot contain others; move them up to the \
                 outer resource's contained.";
                self.report("invariant", &path.child(nested.name()), sentence);
            }
            return self.object(value, model::resource(kind), path);
        }
        let outer = std::mem::replace(&mut self.container, Container::of(value));
        self.object(value, model::resource(kind), path);
        self.contained(value, path);
        self.container = outer;
    }
}

/// What a JSON value is, in words.
fn kind_name(value: Value<'_>) -> &'static str {
    match value.kind() {
        Kind::Object => "an object",
        Kind::Array => "an array",
        Kind::String => "a string",
        Kind::Number => "a number",
        Kind::True | Kind::False => "a boolean",
        Kind::Null => "null",
    }
}

/// The beginning of a value's text, for a sentence.
fn excerpt(value: Value<'_>) -> String {
    const LONGEST: usize = 60;
    let raw = value.raw();
    match raw.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &raw[..end]),
        None => raw.to_owned(),
    }
}

/// Whether JSON has a string, number or boolean for this type.
fn is_primitive(def: &TypeDef) -> bool {
    matches!(def.kind, TypeKind::Primitive(_))
}
