//! Checking expressions against the element model, and taking them apart into plain paths.

use super::{
    Environment, Node, Refused,
    ast::{Expr, Literal, TypeName},
    types::{is_a, is_abstract},
};
use crate::{
    Value,
    model::{self, Element, TypeDef, TypeKind, TypeUse},
};

/// What is known of a value before looking at it.
#[derive(Debug, Clone, Copy)]
pub struct Typed {
    /// Its type.
    pub def: &'static TypeDef,
    /// The element that it is a value of.
    pub element: Option<&'static Element>,
    /// The element's type, with the targets of references.
    pub ty: Option<&'static TypeUse>,
}

impl Typed {
    /// A value of a type that is no element's.
    pub fn of(def: &'static TypeDef) -> Self {
        Self {
            def,
            element: None,
            ty: None,
        }
    }
}

/// One step of a plain path.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// To each value of a JSON member.
    Member(String),
    /// Of the values of the step before, the one with this number.
    Item(usize),
    /// Only on if the expression is true for the value.
    Guard(Expr, TypeName),
}

/// Where a path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// What the expression is evaluated on.
    Focus,
    /// The resource.
    Resource,
}

/// A way through JSON to values of one type.
#[derive(Debug, Clone)]
pub struct Path {
    /// Where it starts.
    pub start: Start,
    /// The way.
    pub steps: Vec<Step>,
    /// What is at its end.
    pub typed: Typed,
    /// How many of its steps may lead to several values.
    branches: usize,
}

/// The paths to all values of an expression that is evaluated on a `focus` inside a `resource`;
/// `None` if it takes evaluation to find them.
///
/// # Errors
/// What the expression has that the types do not.
pub fn paths(
    expr: &Expr,
    focus: &'static TypeDef,
    resource: &'static TypeDef,
) -> Result<Option<Vec<Path>>, Refused> {
    let checker = Checker { resource };
    let found = checker.walk(expr, &[Path::start(Start::Focus, focus)])?;
    Ok(found.plain.then_some(found.paths))
}

struct Checker {
    resource: &'static TypeDef,
}

/// What an expression leads to: the types of `paths` always hold; the paths themselves only if
/// `plain`.
struct Found {
    paths: Vec<Path>,
    plain: bool,
}

impl Path {
    fn start(start: Start, def: &'static TypeDef) -> Self {
        Self {
            start,
            steps: Vec::new(),
            typed: Typed::of(def),
            branches: 0,
        }
    }

    fn then(&self, step: Step) -> Self {
        let mut next = self.clone();
        next.steps.push(step);
        next
    }

    /// Calls `found` for each value at the path's end.
    pub fn walk<'d>(
        &self,
        focus: Value<'d>,
        environment: &Environment<'d, '_>,
        found: &mut impl FnMut(Value<'d>),
    ) {
        let start = match self.start {
            Start::Focus => focus,
            Start::Resource => environment.resource,
        };
        follow(&self.steps, start, environment, found);
    }
}

fn follow<'d>(
    steps: &[Step],
    value: Value<'d>,
    environment: &Environment<'d, '_>,
    found: &mut impl FnMut(Value<'d>),
) {
    match steps {
        [] => found(value),
        [Step::Member(name), Step::Item(number), rest @ ..] => {
            if let Some(item) = value.get(name).and_then(|all| all.each().nth(*number)) {
                follow(rest, item, environment, found);
            }
        }
        [Step::Member(name), rest @ ..] => {
            for item in value.get(name).iter().flat_map(Value::each) {
                follow(rest, item, environment, found);
            }
        }
        [Step::Guard(condition, def), rest @ ..] => {
            if environment.holds(condition, Node::new(value, Typed::of(def.0))) {
                follow(rest, value, environment, found);
            }
        }
        [Step::Item(number), rest @ ..] => {
            if *number == 0 {
                follow(rest, value, environment, found);
            }
        }
    }
}

impl Checker {
    fn walk(&self, expr: &Expr, focus: &[Path]) -> Result<Found, Refused> {
        match expr {
            Expr::Focus => Ok(plain(focus.to_vec())),
            Expr::Resource => Ok(plain(vec![Path::start(Start::Resource, self.resource)])),
            Expr::Literal(literal) => Ok(computed(match literal {
                Literal::Boolean(_) => "boolean",
                Literal::Text(_) => "string",
                Literal::Number(_) => "decimal",
            })),
            Expr::Member(input, name) => self.member(self.walk(input, focus)?, name),
            Expr::OfType(input, name) => Ok(of_type(self.walk(input, focus)?, *name)),
            Expr::Where(input, condition) => self.filtered(self.walk(input, focus)?, condition),
            Expr::Item(input, number) => Ok(item(self.walk(input, focus)?, *number)),
            Expr::Union(left, right) => {
                let mut both = self.walk(left, focus)?;
                let right = self.walk(right, focus)?;
                both.paths.extend(right.paths);
                both.plain &= right.plain;
                Ok(both)
            }
            Expr::Resolve(_) => Refused::new("resolve() is only supported before 'is'"),
            Expr::Is(input, _) => {
                let input = match &**input {
                    Expr::Resolve(reference) => reference,
                    other => other,
                };
                self.walk(input, focus)?;
                Ok(computed("boolean"))
            }
            Expr::Exists(input) | Expr::Not(input) => {
                self.walk(input, focus)?;
                Ok(computed("boolean"))
            }
            Expr::Equal(left, right) | Expr::And(left, right) | Expr::Or(left, right) => {
                self.walk(left, focus)?;
                self.walk(right, focus)?;
                Ok(computed("boolean"))
            }
        }
    }

    fn member(&self, input: Found, name: &str) -> Result<Found, Refused> {
        let mut out = Found {
            paths: Vec::new(),
            plain: input.plain,
        };
        for path in &input.paths {
            let elements = path.typed.def.elements;
            let Some(element) = elements.iter().find(|element| element.name == name) else {
                continue;
            };
            let path = &if matches!(path.typed.def.kind, TypeKind::Primitive(_)) {
                match shadow(path) {
                    Some(shadow) => shadow,
                    None => {
                        out.plain = false;
                        path.clone()
                    }
                }
            } else {
                path.clone()
            };
            out.paths.extend(element.types.iter().map(|ty| {
                let mut next = path.then(Step::Member(json_name(element, ty)));
                next.branches += usize::from(element.repeats());
                next.typed = Typed {
                    def: ty.def(),
                    element: Some(element),
                    ty: Some(ty),
                };
                next
            }));
        }
        if out.paths.is_empty() && !input.paths.is_empty() {
            return Refused::new(no_such_member(&input.paths, name));
        }
        Ok(out)
    }

    fn filtered(&self, mut input: Found, condition: &Expr) -> Result<Found, Refused> {
        for path in &mut input.paths {
            let def = path.typed.def;
            self.walk(condition, &[Path::start(Start::Focus, def)])?;
            path.steps
                .push(Step::Guard(condition.clone(), TypeName(def)));
        }
        Ok(input)
    }
}

fn plain(paths: Vec<Path>) -> Found {
    Found { paths, plain: true }
}

fn computed(type_name: &str) -> Found {
    let def = model::data_type(type_name);
    Found {
        paths: def
            .map(|def| Path::start(Start::Focus, def))
            .into_iter()
            .collect(),
        plain: false,
    }
}

/// The path to the object beside a primitive, `_name`, that has its id and extensions.
fn shadow(path: &Path) -> Option<Path> {
    let mut shadow = path.clone();
    match shadow.steps.last_mut() {
        Some(Step::Member(name)) => name.insert(0, '_'),
        _ => return None,
    }
    Some(shadow)
}

fn json_name(element: &Element, ty: &TypeUse) -> String {
    let mut name = element.name.to_owned();
    if element.choice {
        let mut letters = ty.name.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

fn no_such_member(paths: &[Path], name: &str) -> String {
    let choice = paths.iter().find_map(|path| {
        let property = path.typed.def.property(name)?;
        Some((property.element.name, property.ty.name))
    });
    if let Some((element, ty)) = choice {
        return format!("write '{element} as {ty}' instead of '{name}'");
    }
    let types: Vec<_> = paths.iter().map(|path| path.typed.def.name).collect();
    format!("{} has no element '{name}'", types.join(" or "))
}

fn of_type(input: Found, name: TypeName) -> Found {
    let mut out = plain(Vec::new());
    out.plain = input.plain;
    for path in input.paths {
        if is_a(path.typed.def.name, name.0.name) {
            out.paths.push(path);
        } else if is_abstract(path.typed.def) && is_a(name.0.name, "Resource") {
            let is = Expr::Is(Expr::Focus.into(), name);
            let mut narrowed = path.then(Step::Guard(is, TypeName(path.typed.def)));
            narrowed.typed.def = name.0;
            out.paths.push(narrowed);
        }
    }
    out
}

fn item(mut input: Found, number: usize) -> Found {
    let same_element =
        input.paths.windows(2).all(
            |pair| match (pair[0].typed.element, pair[1].typed.element) {
                (Some(a), Some(b)) => {
                    std::ptr::eq(a, b) && pair[0].steps.len() == pair[1].steps.len()
                }
                _ => false,
            },
        );
    if !same_element {
        input.plain = false;
        return input;
    }
    for path in &mut input.paths {
        match (path.branches, path.steps.last()) {
            (0, _) if number == 0 => {}
            (1, Some(Step::Member(_)))
                if path.typed.element.is_some_and(|element| element.repeats()) =>
            {
                path.steps.push(Step::Item(number));
                path.branches = 0;
            }
            _ => input.plain = false,
        }
    }
    input
}
