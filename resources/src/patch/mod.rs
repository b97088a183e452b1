//! JSON Patch (RFC 6902) over documents. What a patch does not touch stays as it is written:
//! decimals keep their digits, members their order.

mod pointer;
mod tree;

use pointer::Pointer;
use tree::Tree;

use crate::{Doc, Value, outcome::Issue};

/// Objects and arrays inside one another, as in [`crate::doc::Bounds`].
const MAX_DEPTH: usize = 64;
/// The most bytes that the `copy` operations of one patch may add: copies of copies double.
const MAX_COPIED: usize = 16 * 1024 * 1024;
/// The most steps that one patch may take: values looked at, and items moved to make or fill gaps
/// in arrays. About a quarter of a second.
const MAX_WORK: usize = 4_000_000;

/// The text that `patch` makes of `doc`.
///
/// # Errors
/// The first operation that is malformed (`invalid`), cannot be applied (`processing`), whose
/// `test` fails (`conflict`), or that copies too much or takes too many steps (`too-costly`). The
/// operations before it have no effect.
pub fn apply(doc: &Doc, patch: &Doc) -> Result<String, Issue> {
    if !patch.root().is_array() {
        let reason = "a JSON Patch is an array of operations";
        return Err(Issue::error("invalid", reason));
    }
    let mut target = Target {
        root: Tree::Raw(doc.root()),
        copied: 0,
        work: Work(MAX_WORK),
    };
    for (number, operation) in patch.root().items().enumerate() {
        target.apply(operation).map_err(|failure| {
            let reason = format!("operation {number} of the patch: {}", failure.reason);
            Issue::error(failure.code, reason)
        })?;
    }
    let mut text = String::with_capacity(doc.text().len() + patch.text().len());
    target.root.write(&mut text);
    Ok(text)
}

/// Why an operation fails.
struct Failure {
    code: &'static str,
    reason: String,
}

impl Failure {
    fn invalid<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self {
            code: "invalid",
            reason: reason.into(),
        })
    }

    fn too_costly() -> Self {
        Self {
            code: "too-costly",
            reason: "the patch takes more steps than this server accepts; change fewer items of \
                     large arrays at a time, or send the whole resource"
                .into(),
        }
    }

    fn processing(reason: impl Into<String>) -> Self {
        Self {
            code: "processing",
            reason: reason.into(),
        }
    }
}

/// Steps that are left.
struct Work(usize);

impl Work {
    fn spend(&mut self, steps: usize) -> Result<(), Failure> {
        self.0 = self.0.checked_sub(steps).ok_or_else(Failure::too_costly)?;
        Ok(())
    }
}

struct Target<'d> {
    root: Tree<'d>,
    copied: usize,
    work: Work,
}

impl<'d> Target<'d> {
    fn apply(&mut self, operation: Value<'d>) -> Result<(), Failure> {
        let name = text(operation, "op")?;
        let path = pointer(operation, "path")?;
        match name.as_str() {
            "add" => self.add(&path, Tree::Raw(value(operation)?)),
            "remove" => self.remove(&path).map(drop),
            "replace" => {
                *self.find(&path)? = Tree::Raw(value(operation)?);
                Ok(())
            }
            "move" => {
                let from = pointer(operation, "from")?;
                if path.is_inside(&from) {
                    return Failure::invalid(format!("'{from}' cannot be moved into itself"));
                }
                let moved = self.remove(&from)?;
                self.work.spend(moved.measure().1)?;
                self.add(&path, moved)
            }
            "copy" => {
                let copy = self.find(&pointer(operation, "from")?)?.clone();
                self.copied += copy.weight();
                if self.copied > MAX_COPIED {
                    return Err(Failure {
                        code: "too-costly",
                        reason: "the patch copies more than this server accepts".into(),
                    });
                }
                self.add(&path, copy)
            }
            "test" => {
                let expected = Tree::Raw(value(operation)?);
                let mut left = self.work.0;
                let same = self.find(&path)?.equals(&expected, &mut left);
                self.work.0 = self.work.0.min(left);
                match same.ok_or_else(Failure::too_costly)? {
                    true => Ok(()),
                    false => Err(Failure {
                        code: "conflict",
                        reason: format!("the value at '{path}' is not the one that 'test' expects"),
                    }),
                }
            }
            _ => Failure::invalid(format!(
                "'{name}' is no operation; use add, remove, replace, move, copy or test"
            )),
        }
    }

    fn find(&mut self, path: &Pointer) -> Result<&mut Tree<'d>, Failure> {
        let mut at = &mut self.root;
        for (depth, part) in path.parts().iter().enumerate() {
            self.work.spend(at.reach())?;
            at = at.child(part).ok_or_else(|| {
                Failure::processing(format!(
                    "there is nothing at '{}'",
                    path.beginning(depth + 1)
                ))
            })?;
        }
        Ok(at)
    }

    fn add(&mut self, path: &Pointer, added: Tree<'d>) -> Result<(), Failure> {
        let Some((last, parents)) = path.parts().split_last() else {
            self.root = added;
            return Ok(());
        };
        let (depth, _) = added.measure();
        if parents.len() + depth >= MAX_DEPTH {
            let reason = format!("the result would be nested deeper than {MAX_DEPTH} levels");
            return Err(Failure::processing(reason));
        }
        let cost = self.find(&path.beginning(parents.len()))?.shift(last);
        self.work.spend(cost)?;
        let parent = self.find(&path.beginning(parents.len()))?;
        parent.insert(last, added).map_err(Failure::processing)
    }

    fn remove(&mut self, path: &Pointer) -> Result<Tree<'d>, Failure> {
        let Some((last, parents)) = path.parts().split_last() else {
            return Err(Failure::processing("the whole resource cannot be removed"));
        };
        let cost = self.find(&path.beginning(parents.len()))?.shift(last);
        self.work.spend(cost)?;
        let parent = self.find(&path.beginning(parents.len()))?;
        parent
            .take(last)
            .ok_or_else(|| Failure::processing(format!("there is nothing at '{path}'")))
    }
}

fn text(operation: Value<'_>, name: &str) -> Result<String, Failure> {
    match operation.get(name).and_then(|text| text.as_str()) {
        Some(text) => Ok(text.into_owned()),
        None => Failure::invalid(format!("it needs '{name}', a string")),
    }
}

fn pointer(operation: Value<'_>, name: &str) -> Result<Pointer, Failure> {
    let text = text(operation, name)?;
    match Pointer::parse(&text) {
        Some(pointer) => Ok(pointer),
        None => Failure::invalid(format!(
            "'{text}' is not a JSON Pointer, like /name/0/family"
        )),
    }
}

fn value(operation: Value<'_>) -> Result<Value<'_>, Failure> {
    match operation.get("value") {
        Some(value) => Ok(value),
        None => Failure::invalid("it needs 'value'"),
    }
}

#[cfg(test)]
mod tests;
