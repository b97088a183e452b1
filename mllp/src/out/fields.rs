//! Segments as tables: which field is of what, and in which form.

use serde_json::Value as Json;

use super::{
    json::all,
    types::{Form, Scope},
};
use crate::write::SegmentWriter;

/// A row of a segment's table.
pub(super) struct Row {
    /// The number of the field.
    pub field: usize,
    /// The path of the element.
    pub path: &'static str,
    /// The data type.
    pub form: Form,
    /// How many repetitions it may have.
    pub most: usize,
}

/// A field that takes the first value.
pub(super) const fn one(field: usize, path: &'static str, form: Form) -> Row {
    Row {
        field,
        path,
        form,
        most: 1,
    }
}

/// A field that takes all values.
pub(super) const fn many(field: usize, path: &'static str, form: Form) -> Row {
    Row {
        field,
        path,
        form,
        most: usize::MAX,
    }
}

/// Fills a segment by a table. Of two rows for the same field the second is taken if the first
/// has nothing.
pub(super) fn fill<'r>(
    segment: &mut SegmentWriter<'_>,
    rows: &[Row],
    scope: &Scope<'r>,
    json: &'r Json,
) {
    let mut filled = None;
    for row in rows {
        if filled == Some(row.field) {
            continue;
        }
        for value in all(json, row.path).take(row.most) {
            let value = (row.form)(scope, value);
            if !value.is_empty() {
                filled = Some(row.field);
            }
            segment.repeat(row.field, &value);
        }
    }
}
