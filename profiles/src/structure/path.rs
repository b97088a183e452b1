//! Where an element stands, without allocation until somebody asks.

use std::fmt::{self, Write};

/// An element's place below its parent's.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    name: &'p str,
    index: Option<usize>,
}

impl<'p> Path<'p> {
    /// A path that begins with `name`.
    pub fn root(name: &'p str) -> Self {
        Self {
            parent: None,
            name,
            index: None,
        }
    }

    /// The path of the element `name` below this one.
    pub fn child(&'p self, name: &'p str) -> Self {
        Self {
            parent: Some(self),
            name,
            index: None,
        }
    }

    /// The path of one repetition of this element.
    pub fn item(self, index: usize) -> Self {
        Self {
            index: Some(index),
            ..self
        }
    }

    /// The element's own name.
    pub fn name(&self) -> &'p str {
        self.name
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            f.write_char('.')?;
        }
        f.write_str(self.name)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}
