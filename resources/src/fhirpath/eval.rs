//! Evaluation, for conditions and for the few expressions that are no plain paths.

use std::borrow::Cow;

use super::{
    Typed,
    ast::{Expr, Literal},
    types::{is_a, is_abstract},
};
use crate::{
    Value,
    doc::Kind,
    model::{self, ResourceType, TypeDef, TypeKind},
    primitive::{Decimal, Reference},
};

/// What expressions can see beside their focus.
#[derive(Clone, Copy)]
pub struct Environment<'d, 'e> {
    /// The resource.
    pub resource: Value<'d>,
    /// Its type.
    pub def: &'static TypeDef,
    /// The server's own base URL: references under it are local.
    pub base_url: &'e str,
}

/// A value of a document with its type.
#[derive(Debug, Clone, Copy)]
pub struct Node<'d> {
    /// The value; `None` for a primitive that only has an id or extensions.
    pub value: Option<Value<'d>>,
    /// The object beside a primitive that has its id and extensions.
    shadow: Option<Value<'d>>,
    /// Its type.
    pub typed: Typed,
}

impl<'d> Node<'d> {
    /// A value.
    pub fn new(value: Value<'d>, typed: Typed) -> Self {
        Self {
            value: Some(value),
            shadow: None,
            typed,
        }
    }

    /// The type, looked up for a value that may be any resource.
    fn type_name(&self) -> &'d str {
        if is_abstract(self.typed.def)
            && let Some(name) = self.value.and_then(|value| value.get("resourceType"))
        {
            return name.plain_str().unwrap_or(self.typed.def.name);
        }
        self.typed.def.name
    }
}

/// What an expression yields.
#[derive(Debug, Clone)]
pub enum Item<'d> {
    /// A value of the document.
    Node(Node<'d>),
    /// A computed boolean.
    Boolean(bool),
    /// A constant.
    Text(&'d str),
    /// A constant.
    Number(Decimal),
}

/// What two items are compared by.
#[derive(PartialEq)]
enum Scalar<'d> {
    Boolean(bool),
    Text(Cow<'d, str>),
    Number(Decimal),
    Structure(&'d str),
}

impl<'d> Environment<'d, '_> {
    /// Whether `condition` is true for `focus`; what is empty is not.
    pub fn holds<'x>(&self, condition: &'x Expr, focus: Node<'d>) -> bool
    where
        'd: 'x,
    {
        self.boolean(condition, &Item::Node(focus)) == Some(true)
    }

    /// All items that `expr` yields for `focus`.
    pub fn evaluate<'x>(&self, expr: &'x Expr, focus: &Item<'x>) -> Vec<Item<'x>>
    where
        'd: 'x,
    {
        match expr {
            Expr::Focus => vec![focus.clone()],
            Expr::Resource => vec![Item::Node(Node::new(self.resource, Typed::of(self.def)))],
            Expr::Literal(literal) => vec![match literal {
                Literal::Boolean(value) => Item::Boolean(*value),
                Literal::Text(text) => Item::Text(text),
                Literal::Number(number) => Item::Number(*number),
            }],
            Expr::Member(input, name) => {
                let mut out = Vec::new();
                for item in self.evaluate(input, focus) {
                    if let Item::Node(node) = item {
                        members(node, name, &mut out);
                    }
                }
                out
            }
            Expr::OfType(input, name) => {
                let mut items = self.evaluate(input, focus);
                items.retain(|item| is_of(item, name.0.name));
                items
            }
            Expr::Where(input, condition) => {
                let mut items = self.evaluate(input, focus);
                items.retain(|item| self.boolean(condition, item) == Some(true));
                items
            }
            Expr::Item(input, number) => {
                let items = self.evaluate(input, focus);
                items.into_iter().nth(*number).into_iter().collect()
            }
            Expr::Union(left, right) => {
                let mut items = self.evaluate(left, focus);
                items.extend(self.evaluate(right, focus));
                items
            }
            Expr::Resolve(_) => Vec::new(),
            _ => self
                .boolean(expr, focus)
                .map(Item::Boolean)
                .into_iter()
                .collect(),
        }
    }

    /// The expression as a condition: `None` if it is empty.
    fn boolean<'x>(&self, expr: &'x Expr, focus: &Item<'x>) -> Option<bool>
    where
        'd: 'x,
    {
        match expr {
            Expr::And(left, right) => {
                match (self.boolean(left, focus), self.boolean(right, focus)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                }
            }
            Expr::Or(left, right) => {
                match (self.boolean(left, focus), self.boolean(right, focus)) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                }
            }
            Expr::Not(input) => self.boolean(input, focus).map(|value| !value),
            Expr::Exists(input) => Some(!self.evaluate(input, focus).is_empty()),
            Expr::Equal(left, right) => {
                equal(&self.evaluate(left, focus), &self.evaluate(right, focus))
            }
            Expr::Is(input, name) => match &**input {
                Expr::Resolve(reference) => {
                    let items = self.evaluate(reference, focus);
                    let target = items.first().and_then(|item| self.resolved(item))?;
                    Some(is_a(target.name(), name.0.name))
                }
                _ => match self.evaluate(input, focus).as_slice() {
                    [item] => Some(is_of(item, name.0.name)),
                    _ => None,
                },
            },
            _ => match self.evaluate(expr, focus).as_slice() {
                [] => None,
                [item] => match scalar(item) {
                    Some(Scalar::Boolean(value)) => Some(value),
                    _ => Some(true),
                },
                _ => None,
            },
        }
    }

    /// The type of what a reference points to, as far as the document tells.
    fn resolved(&self, item: &Item<'_>) -> Option<ResourceType> {
        let Item::Node(node) = item else { return None };
        let value = node.value?;
        let text = match value.kind() {
            Kind::Object => value.get("reference").and_then(|text| text.as_str()),
            _ => value.as_str(),
        };
        let parsed = text
            .as_deref()
            .and_then(|text| Reference::parse_within(text, self.base_url));
        let target = match parsed {
            Some(Reference::Contained(id)) => self.contained(id),
            Some(other) => other.kind(),
            None => None,
        };
        target.or_else(|| ResourceType::from_name(value.get("type")?.plain_str()?))
    }

    fn contained(&self, id: &str) -> Option<ResourceType> {
        let found = self
            .resource
            .get("contained")?
            .items()
            .find(|inner| inner.get("id").and_then(|id| id.plain_str()) == Some(id))?;
        ResourceType::from_name(found.get("resourceType")?.plain_str()?)
    }
}

/// Adds the children of a name to `out`.
fn members<'x>(node: Node<'x>, name: &str, out: &mut Vec<Item<'x>>) {
    let primitive = matches!(node.typed.def.kind, TypeKind::Primitive(_));
    let parent = if primitive { node.shadow } else { node.value };
    let Some(parent) = parent else { return };
    let def = match ResourceType::from_name(node.type_name()) {
        Some(kind) => model::resource(kind),
        None => node.typed.def,
    };
    let Some(element) = def.elements.iter().find(|element| element.name == name) else {
        return;
    };
    for member in parent.members() {
        let Some(property) = element.property(member.name()) else {
            continue;
        };
        let typed = Typed {
            def: property.ty.def(),
            element: Some(element),
            ty: Some(property.ty),
        };
        let shadow = shadow_of(parent, member.name(), &typed);
        for (i, value) in member.each().enumerate() {
            let shadow = shadow.and_then(|all| all.each().nth(i));
            out.push(Item::Node(Node {
                value: Some(value).filter(|value| !value.is_null()),
                shadow,
                typed,
            }));
        }
    }
    only_shadows(parent, element, out);
}

fn shadow_of<'d>(parent: Value<'d>, name: &str, typed: &Typed) -> Option<Value<'d>> {
    if !matches!(typed.def.kind, TypeKind::Primitive(_)) {
        return None;
    }
    parent
        .members()
        .find(|member| member.name().strip_prefix('_') == Some(name))
}

/// Adds primitives that have an id or extensions but no value.
fn only_shadows<'x>(parent: Value<'x>, element: &'static model::Element, out: &mut Vec<Item<'x>>) {
    for member in parent.members() {
        let Some(name) = member.name().strip_prefix('_') else {
            continue;
        };
        let Some(property) = element.property(name) else {
            continue;
        };
        if parent.get(name).is_some() {
            continue;
        }
        let typed = Typed {
            def: property.ty.def(),
            element: Some(element),
            ty: Some(property.ty),
        };
        out.extend(member.each().map(|shadow| {
            Item::Node(Node {
                value: None,
                shadow: Some(shadow),
                typed,
            })
        }));
    }
}

fn is_of(item: &Item<'_>, general: &str) -> bool {
    match item {
        Item::Node(node) => is_a(node.type_name(), general),
        Item::Boolean(_) => general == "boolean",
        Item::Text(_) => general == "string",
        Item::Number(_) => general == "decimal",
    }
}

fn scalar<'x>(item: &Item<'x>) -> Option<Scalar<'x>> {
    Some(match item {
        Item::Boolean(value) => Scalar::Boolean(*value),
        Item::Text(text) => Scalar::Text(Cow::Borrowed(text)),
        Item::Number(number) => Scalar::Number(*number),
        Item::Node(node) => {
            let value = node.value?;
            match value.kind() {
                Kind::String => Scalar::Text(value.as_str()?),
                Kind::Number => Scalar::Number(Decimal::parse(value.raw())?),
                Kind::True | Kind::False => Scalar::Boolean(value.as_bool()?),
                Kind::Null => return None,
                Kind::Object | Kind::Array => Scalar::Structure(value.raw()),
            }
        }
    })
}

fn equal(left: &[Item<'_>], right: &[Item<'_>]) -> Option<bool> {
    if left.is_empty() || right.is_empty() {
        return None;
    }
    let same = left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| scalar(left) == scalar(right));
    Some(same)
}
