//! Where a resource can refer to others, by the types of its elements.

use std::borrow::Cow;

use resources::{
    Value,
    model::{self, Primitive, ResourceType, TypeDef, TypeKind},
};

use crate::engine::draft::{Draft, Verb};

/// What a link is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `Reference.reference`.
    Reference,
    /// An element of type uri, url, oid or uuid. A canonical is none: it names a definition and
    /// not a resource of this server.
    Uri,
    /// The markup of a narrative.
    Narrative,
}

/// A string that may refer to a resource.
#[derive(Debug, Clone)]
pub struct Link<'d> {
    /// The element.
    pub value: Value<'d>,
    /// Its text.
    pub text: Cow<'d, str>,
    pub form: Form,
    /// The innermost Bundle that it stands in, if the resource is one or has one inside.
    pub bundle: Option<Value<'d>>,
}

/// Gives all links of the resource of a draft, or of the values of its patch, in their order.
pub fn links<'d>(draft: &Draft<'d>, found: impl FnMut(Link<'d>)) {
    let Some(root) = draft.root() else { return };
    let mut walk = Walk {
        found,
        bundle: None,
    };
    if draft.verb == Verb::Patch {
        walk.patch(root, draft.kind);
    } else {
        walk.resource(root);
    }
}

/// The expression of a value inside a resource: `Observation.performer[0].reference`.
pub fn expression(resource: Value<'_>, value: Value<'_>) -> String {
    let name = resource.get("resourceType").and_then(|name| name.as_str());
    let mut out = name.unwrap_or_default().into_owned();
    let mut here = resource;
    while here.index() != value.index() {
        let inside = |(_, child): &(usize, Value<'_>)| child.index() <= value.index();
        let next = if here.is_array() {
            here.items().enumerate().take_while(inside).last()
        } else {
            here.members().enumerate().take_while(inside).last()
        };
        let Some((at, next)) = next else { break };
        if here.is_array() {
            out.push_str(&format!("[{at}]"));
        } else {
            out.push('.');
            out.push_str(next.name());
        }
        here = next;
    }
    out
}

struct Walk<'d, F> {
    found: F,
    bundle: Option<Value<'d>>,
}

impl<'d, F: FnMut(Link<'d>)> Walk<'d, F> {
    fn resource(&mut self, value: Value<'d>) {
        let named = value.get("resourceType").and_then(|name| name.plain_str());
        let Some(kind) = named.and_then(ResourceType::from_name) else {
            return;
        };
        let around = self.bundle;
        if kind == ResourceType::BUNDLE {
            self.bundle = Some(value);
        }
        self.members(value, model::resource(kind));
        self.bundle = around;
    }

    fn members(&mut self, value: Value<'d>, def: &'static TypeDef) {
        for member in value.members() {
            let name = member.name();
            // `_name` has the extensions of a primitive.
            let Some(property) = def.property(name.strip_prefix('_').unwrap_or(name)) else {
                continue;
            };
            let is_reference = names_target(def, name);
            for one in member.each() {
                self.value(one, property.ty.def(), is_reference);
            }
        }
    }

    fn value(&mut self, value: Value<'d>, def: &'static TypeDef, is_reference: bool) {
        match (def.kind, value.as_str()) {
            (TypeKind::Resource, _) => self.resource(value),
            (TypeKind::Primitive(primitive), Some(text)) => {
                let form = match primitive {
                    _ if is_reference => Form::Reference,
                    Primitive::Uri | Primitive::Url | Primitive::Oid | Primitive::Uuid => Form::Uri,
                    Primitive::Xhtml => Form::Narrative,
                    _ => return,
                };
                (self.found)(Link {
                    value,
                    text,
                    form,
                    bundle: self.bundle,
                });
            }
            _ => self.members(value, def),
        }
    }

    /// The values of a JSON Patch, typed by where their paths lead.
    fn patch(&mut self, patch: Value<'d>, kind: ResourceType) {
        for operation in patch.items() {
            let path = operation.get("path").and_then(|path| path.as_str());
            let (Some(path), Some(value)) = (path, operation.get("value")) else {
                continue;
            };
            if let Some((def, is_reference)) = pointed(kind, &path) {
                for one in value.each() {
                    self.value(one, def, is_reference);
                }
            }
        }
    }
}

fn names_target(def: &TypeDef, name: &str) -> bool {
    def.name == "Reference" && name == "reference"
}

/// The type at the end of a JSON Pointer, and whether that is `Reference.reference`; `None` if
/// the path leads nowhere, or into a contained resource, whose type only that resource says.
fn pointed(kind: ResourceType, path: &str) -> Option<(&'static TypeDef, bool)> {
    let mut found = (model::resource(kind), false);
    for name in path.split('/').skip(1) {
        if name == "-" || name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let property = found.0.property(name)?;
        found = (property.ty.def(), names_target(found.0, name));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use resources::Doc;

    use super::*;
    use crate::engine::operation::{Operation, Target};

    fn found(operation: &Operation) -> Vec<(Form, String)> {
        let mut all = Vec::new();
        links(&Draft::from(operation), |link| {
            all.push((link.form, link.text.into_owned()));
        });
        all
    }

    #[test]
    fn links_are_told_by_type_and_not_by_name() {
        let body = Doc::parse(
            r#"{"resourceType":"Observation","text":{"div":"<div/>"},"contained":[{"resourceType":"Patient","name":[{"text":"urn:uuid:text"}],"managingOrganization":{"reference":"urn:uuid:in"}}],"identifier":[{"system":"urn:uuid:system","value":"urn:uuid:value"}],"instantiatesCanonical":"urn:uuid:canonical","_status":{"extension":[{"url":"urn:uuid:url","valueReference":{"reference":"urn:uuid:extended","type":"urn:uuid:type"}}]},"subject":{"reference":"urn:uuid:subject","display":"urn:uuid:display"},"valueString":"urn:uuid:string"}"#,
        )
        .unwrap();
        let operation = Operation::Create {
            kind: ResourceType::OBSERVATION,
            body,
            if_none_exist: None,
        };
        assert_eq!(
            found(&operation),
            [
                (Form::Narrative, "<div/>"),
                (Form::Reference, "urn:uuid:in"),
                (Form::Uri, "urn:uuid:system"),
                (Form::Uri, "urn:uuid:url"),
                (Form::Reference, "urn:uuid:extended"),
                (Form::Uri, "urn:uuid:type"),
                (Form::Reference, "urn:uuid:subject"),
            ]
            .map(|(form, text)| (form, text.to_owned()))
        );
    }

    #[test]
    fn the_values_of_a_patch_have_the_types_of_their_paths() {
        for (operation, expected) in [
            (
                r#"{"op":"add","path":"/subject","value":{"reference":"r"}}"#,
                Some(Form::Reference),
            ),
            (
                r#"{"op":"replace","path":"/performer/0/reference","value":"r"}"#,
                Some(Form::Reference),
            ),
            (
                r#"{"op":"add","path":"/performer","value":[{"reference":"r"}]}"#,
                Some(Form::Reference),
            ),
            (
                r#"{"op":"add","path":"/contained/-","value":{"resourceType":"Group","managingEntity":{"reference":"r"}}}"#,
                Some(Form::Reference),
            ),
            (
                r#"{"op":"add","path":"/extension/-/valueUri","value":"r"}"#,
                Some(Form::Uri),
            ),
            (
                r#"{"op":"replace","path":"/valueString","value":"r"}"#,
                None,
            ),
            (r#"{"op":"remove","path":"/subject"}"#, None),
            (r#"{"op":"replace","path":"/bogus","value":"r"}"#, None),
        ] {
            let patch = Operation::Patch {
                kind: ResourceType::OBSERVATION,
                target: Target::Id("1".to_owned()),
                patch: Doc::parse(format!("[{operation}]")).unwrap(),
                if_match: None,
            };
            let expected: Vec<_> = expected
                .map(|form| (form, "r".to_owned()))
                .into_iter()
                .collect();
            assert_eq!(found(&patch), expected, "{operation}");
        }
    }

    #[test]
    fn an_expression_leads_to_its_value() {
        let doc = Doc::parse(
            r#"{"resourceType":"Observation","status":"final","performer":[{"display":"d"},{"reference":"x"}],"note":[]}"#,
        )
        .unwrap();
        let value = doc
            .root()
            .descendants()
            .find(|value| value.name() == "reference")
            .unwrap();
        assert_eq!(
            expression(doc.root(), value),
            "Observation.performer[1].reference"
        );
    }
}
