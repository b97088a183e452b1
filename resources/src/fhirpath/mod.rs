//! The part of FHIRPath that search parameters are made of.
//!
//! Paths, `|`, `as`/`is`/`ofType`, `where`, `exists`, `empty`, `not`, `first`, `[n]`,
//! `extension(url)`, `resolve()` as the left side of `is`, `=`, `!=`, `and`, `or`, literals,
//! `$this` and `%resource`. Anything else is refused with the reason. Expressions are checked
//! against the element model of a type before they run; nearly all of them turn out to be plain
//! [`Path`]s, which need no evaluation at all.

mod ast;
mod eval;
mod lexer;
mod parser;
mod path;
mod types;

#[cfg(test)]
mod tests;

pub use ast::{Expr, Literal, TypeName};
pub use eval::{Environment, Item, Node};
pub use path::{Path, Start, Step, Typed, paths};
pub use types::is_a;

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    fn new<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self(reason.into()))
    }
}

/// Reads an expression.
///
/// # Errors
/// What the text has that is no FHIRPath or not in the supported part of it.
pub fn parse(text: &str) -> Result<Expr, Refused> {
    parser::parse(text)
}
