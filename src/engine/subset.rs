//! `_summary` and `_elements`: parts of a resource.

use resources::{
    Doc, Value,
    model::{self, Element, ResourceType, TypeDef, TypeKind},
};

use crate::search::Summary;

/// The code system of [`SUBSETTED`].
const OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

/// The tag of a resource that is not whole.
const SUBSETTED: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED","display":"subsetted"}"#;

/// Whether a resource says of itself that it is not whole, by its tag.
pub fn is_subsetted(doc: &Doc) -> bool {
    let tags = doc.root().get("meta").and_then(|meta| meta.get("tag"));
    tags.into_iter().flat_map(|tags| tags.items()).any(|tag| {
        let is = |name: &str, expected: &str| {
            tag.get(name).and_then(|value| value.as_str()).as_deref() == Some(expected)
        };
        is("system", OBSERVATION_VALUE) && is("code", "SUBSETTED")
    })
}

/// Which part of a resource is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subset {
    /// `_summary=true`.
    Summary,
    /// `_summary=text`.
    Text,
    /// `_summary=data`.
    Data,
    /// `_elements`.
    Elements(Vec<String>),
}

impl Subset {
    /// The part that a search asked for; `None` for the whole.
    pub fn of(summary: Summary, elements: &[String]) -> Option<Self> {
        match summary {
            Summary::True => Some(Self::Summary),
            Summary::Text => Some(Self::Text),
            Summary::Data => Some(Self::Data),
            Summary::False | Summary::Count if elements.is_empty() => None,
            Summary::False | Summary::Count => Some(Self::Elements(elements.to_vec())),
        }
    }

    fn keeps(&self, kind: ResourceType, element: &Element) -> bool {
        match self {
            Self::Summary => element.summary || element.min > 0,
            Self::Text => element.min > 0 || element.name == "text",
            Self::Data => element.name != "text",
            Self::Elements(names) => {
                element.min > 0
                    || names.iter().any(|name| {
                        let name = match name.split_once('.') {
                            Some((of, rest)) if of == kind.name() => rest,
                            _ => name,
                        };
                        name.strip_suffix("[x]").unwrap_or(name) == element.name
                    })
            }
        }
    }
}

/// The text of the wanted part of a resource, tagged as such.
pub fn subset(doc: &Doc, kind: ResourceType, subset: &Subset) -> String {
    let def = model::resource(kind);
    let mut out = String::with_capacity(doc.text().len());
    out.push('{');
    let mut tagged = false;
    for member in doc.root().members() {
        let name = member.name();
        match name {
            "resourceType" | "id" => push_raw(&mut out, member),
            "meta" => {
                tagged = true;
                separate(&mut out);
                out.push_str("\"meta\":");
                tag(&mut out, Some(member));
            }
            _ => {
                let Some(property) = def.property(name.strip_prefix('_').unwrap_or(name)) else {
                    continue;
                };
                if !subset.keeps(kind, property.element) {
                    continue;
                }
                if *subset == Subset::Summary {
                    push_summary(&mut out, member, property.ty.def());
                } else {
                    push_raw(&mut out, member);
                }
            }
        }
    }
    if !tagged {
        separate(&mut out);
        out.push_str("\"meta\":");
        tag(&mut out, None);
    }
    out.push('}');
    out
}

fn separate(out: &mut String) {
    if !out.ends_with('{') && !out.ends_with('[') {
        out.push(',');
    }
}

fn push_raw(out: &mut String, member: Value<'_>) {
    separate(out);
    out.push_str(&member.doc().text()[member.member_span()]);
}

/// The member with those of its parts that belong to the summary.
fn push_summary(out: &mut String, member: Value<'_>, def: &'static TypeDef) {
    let structured = matches!(def.kind, TypeKind::Backbone | TypeKind::Complex);
    if !structured || member.name().starts_with('_') {
        return push_raw(out, member);
    }
    separate(out);
    out.push('"');
    out.push_str(member.name());
    out.push_str("\":");
    if member.is_array() {
        out.push('[');
        for item in member.items() {
            separate(out);
            summary_object(out, item, def);
        }
        out.push(']');
    } else {
        summary_object(out, member, def);
    }
}

fn summary_object(out: &mut String, object: Value<'_>, def: &'static TypeDef) {
    let kept = |name: &str| {
        let property = def.property(name.strip_prefix('_').unwrap_or(name))?;
        let element = property.element;
        (element.summary || element.min > 0 || name == "id").then_some(property)
    };
    // A value of which nothing is summary stays whole: an empty object would be no FHIR.
    if !object.members().any(|member| kept(member.name()).is_some()) {
        return out.push_str(object.raw());
    }
    out.push('{');
    for member in object.members() {
        if let Some(property) = kept(member.name()) {
            push_summary(out, member, property.ty.def());
        }
    }
    out.push('}');
}

/// `meta` with the tag in it.
fn tag(out: &mut String, meta: Option<Value<'_>>) {
    out.push('{');
    let mut done = false;
    for member in meta.into_iter().flat_map(|meta| meta.members()) {
        separate(out);
        if member.name() == "tag" && member.is_array() {
            done = true;
            out.push_str("\"tag\":[");
            for item in member.items() {
                out.push_str(item.raw());
                out.push(',');
            }
            out.push_str(SUBSETTED);
            out.push(']');
        } else {
            out.push_str(&member.doc().text()[member.member_span()]);
        }
    }
    if !done {
        separate(out);
        out.push_str("\"tag\":[");
        out.push_str(SUBSETTED);
        out.push(']');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1","tag":[{"code":"t"}]},"text":{"status":"generated","div":"<div/>"},"active":true,"name":[{"family":"F"}],"contact":[{"gender":"male"}],"communication":[{"language":{"text":"en"}}]}"#;

    fn of(wanted: &Subset) -> String {
        let text = subset(&Doc::parse(PATIENT).unwrap(), ResourceType::PATIENT, wanted);
        assert!(text.contains(SUBSETTED), "{text}");
        assert!(is_subsetted(&Doc::parse(text.as_str()).unwrap()), "{text}");
        Doc::parse(text.replace(&format!(",{SUBSETTED}"), ""))
            .unwrap()
            .into_text()
    }

    const HEAD: &str =
        r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1","tag":[{"code":"t"}]}"#;

    #[test]
    fn summary_keeps_what_the_standard_marks() {
        assert_eq!(
            of(&Subset::Summary),
            format!(r#"{HEAD},"active":true,"name":[{{"family":"F"}}]}}"#)
        );
    }

    #[test]
    fn text_and_data_are_each_others_rest() {
        assert_eq!(
            of(&Subset::Text),
            format!(r#"{HEAD},"text":{{"status":"generated","div":"<div/>"}}}}"#)
        );
        assert_eq!(
            of(&Subset::Data),
            format!(
                r#"{HEAD},"active":true,"name":[{{"family":"F"}}],"contact":[{{"gender":"male"}}],"communication":[{{"language":{{"text":"en"}}}}]}}"#
            )
        );
    }

    #[test]
    fn elements_keeps_those_named() {
        assert_eq!(
            of(&Subset::Elements(vec![
                "Patient.contact".into(),
                "active".into()
            ])),
            format!(r#"{HEAD},"active":true,"contact":[{{"gender":"male"}}]}}"#)
        );
    }

    #[test]
    fn mandatory_elements_stay() {
        let doc = Doc::parse(
            r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},"note":[{"text":"n"}]}"#,
        )
        .unwrap();
        let text = subset(
            &doc,
            ResourceType::OBSERVATION,
            &Subset::Elements(vec!["note".into()]),
        );
        assert!(text.contains(r#""status":"final","code":{"text":"c"},"note""#));
        assert!(text.contains(SUBSETTED));
    }

    #[test]
    fn every_subset_of_the_standards_definitions_is_json_and_no_more_than_the_whole() {
        let some = [
            ResourceType::OPERATION_DEFINITION,
            ResourceType::COMPARTMENT_DEFINITION,
            ResourceType::STRUCTURE_DEFINITION,
        ];
        for definition in some
            .iter()
            .flat_map(|kind| profiles::definitions::of(*kind).iter().take(40))
        {
            let whole = Doc::parse(profiles::definitions::body(definition)).unwrap();
            for wanted in [
                Subset::Summary,
                Subset::Text,
                Subset::Data,
                Subset::Elements(vec!["url".to_owned()]),
            ] {
                let text = subset(&whole, definition.kind, &wanted);
                let part = Doc::parse(text).unwrap();
                assert!(part.root().get("meta").unwrap().get("tag").is_some());
                assert!(part.root().get("status").is_some(), "mandatory");
                let known = |name: &str| name == "meta" || whole.root().get(name).is_some();
                assert!(part.root().members().all(|member| known(member.name())));
                for empty in part.root().descendants() {
                    assert_ne!(empty.raw(), "{}");
                    assert_ne!(empty.raw(), "[]");
                }
            }
        }
    }
}
