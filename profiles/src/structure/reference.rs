//! References: what they point to.

use resources::{
    Value,
    model::{ResourceType, TypeUse},
};

use super::{Walk, path::Path};

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
