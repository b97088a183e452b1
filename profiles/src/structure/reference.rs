//! References: what they point to.

use resources::{
    Value,
    model::{ResourceType, TypeUse},
    primitive::{Reference, syntax},
};

use super::{Walk, excerpt, path::Path};

impl<'d> Walk<'d> {
    /// The target of a Reference, as far as the reference itself tells it.
    pub(super) fn reference(&mut self, value: Value<'d>, ty: &TypeUse, path: &Path<'_>) {
        let literal = value.get("reference").and_then(|text| text.as_str());
        let said = value.get("type").and_then(|text| text.as_str());
        let said = said
            .as_deref()
            .map(|name| name.rsplit('/').next().unwrap_or(name));
        let mut found = None;
        if let Some(literal) = literal.as_deref() {
            if let Some(id) = literal.strip_prefix('#') {
                match self.container.find(id) {
                    Some(contained) => {
                        found = contained
                            .get("resourceType")
                            .and_then(|name| name.plain_str())
                    }
                    None => {
                        let sentence = format!(
                            "There is no contained resource with the id '{id}'; contain it, or \
                             refer to it as Type/id."
                        );
                        return self.report("invariant", &path.child("reference"), sentence);
                    }
                }
            } else if !is_reference(literal) {
                let at = path.child("reference");
                let shown = value.get("reference").map(excerpt).unwrap_or_default();
                return self.report("value", &at, wrong(literal, &shown));
            } else {
                found = type_of(literal).map(ResourceType::name);
            }
        }
        if let (Some(found), Some(said)) = (found, said)
            && found != said
        {
            let sentence = format!(
                "The reference is to a {found}, but its type says {said}; make them agree."
            );
            return self.report("value", &path.child("type"), sentence);
        }
        let Some(target) = found.or(said).and_then(ResourceType::from_name) else {
            return;
        };
        if !ty.targets.is_empty() && !ty.targets.contains(&target) {
            let allowed: Vec<_> = ty.targets.iter().map(|kind| kind.name()).collect();
            let sentence = format!(
                "{} cannot refer to a {target}; it can refer to {}.",
                path.name(),
                allowed.join(", ")
            );
            self.report("value", path, sentence);
        }
    }
}

/// Whether a text that begins with no `#` is a literal reference (R4 `references.html#literal`).
/// A `Type?criteria` is one in transactions, where it becomes another.
fn is_reference(literal: &str) -> bool {
    match Reference::parse(literal) {
        Some(Reference::Absolute { .. } | Reference::Urn(_)) => syntax::is_uri(literal),
        parsed => parsed.is_some(),
    }
}

/// What is wrong with a reference, and what to write.
fn wrong(literal: &str, shown: &str) -> String {
    let what = match literal.split_once('/') {
        Some((name, _)) if ResourceType::from_name(name).is_some() => {
            "an id has 1 to 64 of the characters A-Z, a-z, 0-9, '-' and '.', and only \
             /_history/ and a version can follow it"
        }
        _ => {
            "it must be Type/id with a resource type of FHIR R4, an absolute URI, or # and the id \
             of a contained resource"
        }
    };
    format!("{shown} is no reference to a resource: {what}.")
}

/// The type in `Type/id`, `Type/id/_history/n`, `Type?criteria`, each with or without a base.
fn type_of(literal: &str) -> Option<ResourceType> {
    if let Some((before, _)) = literal.split_once('?') {
        return ResourceType::from_name(before.rsplit('/').next()?);
    }
    let literal = literal
        .split_once("/_history/")
        .map_or(literal, |(before, _)| before);
    let mut segments = literal.rsplit('/');
    segments.next()?;
    ResourceType::from_name(segments.next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_read_from_the_reference() {
        let cases = [
            ("Patient/1", Some("Patient")),
            ("Patient/1/_history/2", Some("Patient")),
            ("http://a.org/fhir/Patient/1", Some("Patient")),
            ("Patient?identifier=a/Group/b", Some("Patient")),
            ("urn:uuid:1-2", None),
            ("http://a.org/people/1", None),
            ("Patient", None),
            ("", None),
        ];
        for (literal, expected) in cases {
            assert_eq!(
                type_of(literal).map(ResourceType::name),
                expected,
                "{literal}"
            );
        }
    }
}
