use std::fmt;

use super::{Message, Span, Value};

/// A segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    pub(super) message: &'m Message,
    pub(super) at: usize,
}

impl<'m> Segment<'m> {
    fn span(&self) -> Span {
        self.message.segments[self.at]
    }

    /// The message that it is in.
    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// Its place in the message, from 0.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Its name: `PID`; in upper case, whatever the message has. A line without a name gives what
    /// it has in place of one.
    pub fn name(&self) -> &'m str {
        let span = self.span();
        if span.renamed {
            let names = &self.message.names;
            let found = names.binary_search_by_key(&(self.at as u32), |(at, _)| *at);
            return found.map_or("", |found| names[found].1.as_str());
        }
        let end = match span.count {
            0 => span.end,
            _ => self.message.fields[span.first as usize] - 1,
        };
        &self.message.text[span.start as usize..end as usize]
    }

    /// Whether it has the name of a segment, and is not the rest of a field with line ends in it.
    pub fn is_named(&self) -> bool {
        super::is_name(self.name().as_bytes())
    }

    /// Its number among the segments of its name, from 1.
    pub fn occurrence(&self) -> usize {
        self.message.occurrences()[self.at] as usize
    }

    /// How a note calls it: `PID`, or `OBX[2]`; `line 5` if it has no name.
    pub fn place(&self) -> String {
        if !self.is_named() {
            return format!("line {}", self.at + 1);
        }
        match (self.occurrence(), self.name()) {
            (1, name) => name.to_owned(),
            (number, name) => format!("{name}[{number}]"),
        }
    }

    /// All of it, without its end.
    pub fn raw(&self) -> &'m str {
        let span = self.span();
        &self.message.text[span.start as usize..span.end as usize]
    }

    /// What stands between the segment before and this one: line ends and blanks.
    pub fn lead(&self) -> &'m str {
        let from = match self.at.checked_sub(1) {
            Some(before) => self.message.segments[before].end as usize,
            None => 0,
        };
        &self.message.text[from..self.span().start as usize]
    }

    /// The number of its last field.
    pub fn fields(&self) -> usize {
        let span = self.span();
        span.count as usize + usize::from(span.header)
    }

    /// A field by its number in the standard, from 1; empty if it is not there.
    pub fn field(&self, number: usize) -> Value<'m> {
        let span = self.span();
        let text = &self.message.text;
        let header = span.header;
        if header && number == 1 {
            let raw = self.raw().get(3..4).unwrap_or("");
            return Value::field(self.message, self.at, number, raw, true);
        }
        let index = number.wrapping_sub(if header { 2 } else { 1 });
        let mut raw = "";
        if index < span.count as usize {
            let at = span.first as usize + index;
            let start = self.message.fields[at] as usize;
            let end = match index + 1 == span.count as usize {
                true => span.end as usize,
                false => self.message.fields[at + 1] as usize - 1,
            };
            raw = &text[start..end];
        }
        Value::field(self.message, self.at, number, raw, header && number == 2)
    }

    /// The fields that have something in them, with their numbers.
    pub fn filled(&self) -> impl Iterator<Item = (usize, Value<'m>)> + use<'m> {
        let segment = *self;
        (1..=self.fields())
            .map(move |number| (number, segment.field(number)))
            .filter(|(_, value)| !value.is_empty())
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is in it is a patient's.
        f.write_str(&self.place())
    }
}
