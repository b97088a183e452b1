//! A message as a tree that a person can read: each value in its place.

use std::fmt::Write;

use crate::message::{Message, Note, Segment, Value};

/// One line of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// 0 a segment, 1 a field, 2 a component, 3 a subcomponent.
    pub depth: usize,
    /// `PID-5[2].1`.
    pub place: String,
    /// The text, escapes resolved; of what is divided, as it stands.
    pub text: String,
    /// Whether more lines divide it.
    pub is_divided: bool,
}

/// What is there, in order. What is empty has no line.
pub fn lines(message: &Message) -> Vec<Line> {
    let mut lines = Vec::new();
    for segment in message.segments() {
        segment_lines(&segment, &mut lines);
    }
    lines
}

fn segment_lines(segment: &Segment<'_>, lines: &mut Vec<Line>) {
    let place = segment.place();
    lines.push(Line {
        depth: 0,
        text: match segment.is_named() {
            true => String::new(),
            false => segment.name().to_owned(),
        },
        is_divided: segment.fields() > 0,
        place: place.clone(),
    });
    for (number, field) in segment.filled() {
        let repetitions = field.repetitions().count();
        for (at, repetition) in field.repetitions().enumerate() {
            if repetition.is_empty() {
                continue;
            }
            let mut place = format!("{place}-{number}");
            if repetitions > 1 {
                let _ = write!(place, "[{}]", at + 1);
            }
            value_lines(&repetition, 1, place, lines);
        }
    }
}

fn value_lines(value: &Value<'_>, depth: usize, place: String, lines: &mut Vec<Line>) {
    let parts: Vec<Value<'_>> = match depth {
        1 => value.components().collect(),
        2 => value.subcomponents().collect(),
        _ => Vec::new(),
    };
    let is_divided = parts.len() > 1;
    lines.push(Line {
        depth,
        text: match is_divided {
            true => value.raw().to_owned(),
            false => value.text().into_owned(),
        },
        place: place.clone(),
        is_divided,
    });
    // A component without brothers may still have subcomponents.
    let single = parts.len() == 1 && depth == 1 && parts[0].subcomponents().nth(1).is_some();
    if single && let Some(line) = lines.last_mut() {
        line.is_divided = true;
        value.raw().clone_into(&mut line.text);
    }
    if !is_divided && !single {
        return;
    }
    for (at, part) in parts.iter().enumerate() {
        if !part.is_empty() {
            value_lines(part, depth + 1, format!("{place}.{}", at + 1), lines);
        }
    }
}

/// The tree as text, one line for each value, then the notes. Control characters are shown as
/// `\u{..}`, so that a terminal is safe from them.
pub fn render(message: &Message) -> String {
    let mut out = String::new();
    for line in lines(message) {
        let indent = "  ".repeat(line.depth);
        let text = printable(&line.text);
        let _ = match (line.depth, line.is_divided) {
            (0, _) if line.text.is_empty() => writeln!(out, "{}", line.place),
            (_, true) => writeln!(out, "{indent}{}", line.place),
            _ => writeln!(out, "{indent}{} = {text}", line.place),
        };
    }
    notes(message.notes(), &mut out);
    out
}

fn notes(notes: &[Note], out: &mut String) {
    for note in notes {
        let _ = match note.place.as_str() {
            "" => writeln!(out, "note: {}", printable(&note.text)),
            place => writeln!(out, "note: {place}: {}", printable(&note.text)),
        };
    }
}

fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}
