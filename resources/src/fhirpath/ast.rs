//! Expressions as trees.

use crate::{model::TypeDef, primitive::Decimal};

/// An expression. Every one yields a collection of items; the first operand is what it works on.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// What the expression is evaluated on: `$this`, or nothing written.
    Focus,
    /// The resource: `%resource`, `%context`.
    Resource,
    /// A constant.
    Literal(Literal),
    /// Children of a name; `value` for any `value[x]`.
    Member(Box<Expr>, String),
    /// Those items that are of a type: `as`, `ofType`, and a type's name at the start of a path.
    OfType(Box<Expr>, TypeName),
    /// Whether the only item is of a type.
    Is(Box<Expr>, TypeName),
    /// What references point to; only `is` can use it.
    Resolve(Box<Expr>),
    /// Those items for which the second expression is true.
    Where(Box<Expr>, Box<Expr>),
    /// The item with this number, from 0.
    Item(Box<Expr>, usize),
    /// Whether there is any item.
    Exists(Box<Expr>),
    /// Negation of a boolean.
    Not(Box<Expr>),
    /// The items of both.
    Union(Box<Expr>, Box<Expr>),
    /// Both are equal.
    Equal(Box<Expr>, Box<Expr>),
    /// Both are true.
    And(Box<Expr>, Box<Expr>),
    /// At least one is true.
    Or(Box<Expr>, Box<Expr>),
}

/// A type that the element model has.
#[derive(Debug, Clone, Copy)]
pub struct TypeName(pub &'static TypeDef);

impl TypeName {
    /// The type's name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether the type has one text, at most, of this name.
    pub fn has_single_text(self, member: &str) -> bool {
        let element = self.0.elements.iter().find(|e| e.name == member);
        element.is_some_and(|element| {
            !element.choice
                && !element.repeats()
                && element
                    .types
                    .iter()
                    .all(|ty| super::is_a(ty.name, "string") || super::is_a(ty.name, "uri"))
        })
    }
}

impl PartialEq for TypeName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `true`, `false`
    Boolean(bool),
    /// `'text'`, and dates as they are written after the `@`.
    Text(String),
    /// `1`, `2.50`
    Number(Decimal),
}
