//! Texts of v2 as FHIR's primitives.

use std::borrow::Cow;

use resources::model::{Binding, Primitive};

use super::{
    compile::is_date,
    part::{Part, trim},
    plan::{Leaf, Row},
    run::{Context, Run},
    tree::Node,
};
use crate::time::{self, Precision};

impl<'m> Run<'m> {
    /// The text of a row's own field or component.
    pub(super) fn leaf_text(&self, context: &Context<'m>) -> Cow<'m, str> {
        context.own.text()
    }

    /// A text as what the row's path ends at.
    pub(super) fn leaf(
        &mut self,
        text: Cow<'m, str>,
        codes: Option<u16>,
        row: &'m Row,
        context: &Context<'m>,
    ) -> Option<Node> {
        if text.is_empty() {
            return None;
        }
        let (primitive, binding) = match row.path.leaf {
            Leaf::Primitive(primitive, binding) => (primitive, binding),
            // `$value` in a table of a text, and texts where the table has no better.
            _ => (Primitive::String, None),
        };
        let text = match codes {
            Some(table) => {
                let codes = &self.plan.codes[table as usize];
                match codes.find(&text) {
                    Some(found) if !found.code.is_empty() => Cow::Borrowed(&*found.code),
                    Some(_) => return None,
                    None if binding.is_some() || primitive == Primitive::Boolean => {
                        let place = self.place(context);
                        let note = format!("`{text}` is not in the table {}", codes.name);
                        self.note(place, note);
                        return None;
                    }
                    None => text,
                }
            }
            None => text,
        };
        match self.primitive(text, primitive, binding, context) {
            Ok(node) => Some(node),
            Err(problem) => {
                let place = self.place(context);
                self.note(place, problem);
                None
            }
        }
    }

    fn primitive(
        &mut self,
        text: Cow<'m, str>,
        primitive: Primitive,
        binding: Option<&'static Binding>,
        context: &Context<'m>,
    ) -> Result<Node, String> {
        if is_date(primitive) {
            return self.date(&text, primitive, context);
        }
        match primitive {
            Primitive::Boolean => match &*text {
                "true" | "Y" | "y" | "1" => Ok(Node::Boolean(true)),
                "false" | "N" | "n" | "0" => Ok(Node::Boolean(false)),
                _ => Err(format!("`{text}` is neither yes nor no")),
            },
            Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
                let least = match primitive {
                    Primitive::Integer => i32::MIN,
                    Primitive::PositiveInt => 1,
                    _ => 0,
                };
                let digits = text.strip_prefix('+').unwrap_or(&text);
                let whole = digits
                    .split_once('.')
                    .filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0'));
                match whole.map_or(digits, |(whole, _)| whole).parse::<i32>() {
                    Ok(number) if number >= least => Ok(Node::Number(number.to_string())),
                    _ => Err(format!("`{text}` is not a number that fits")),
                }
            }
            Primitive::Decimal => match number(&text) {
                Some(digits) => Ok(Node::Number(digits)),
                None => Err(format!("`{text}` is not a number")),
            },
            Primitive::Time => time::time_of_day(&text).map(Node::Text),
            Primitive::Code | Primitive::Id => {
                let spaced = text.contains("  ") || text.contains(['\n', '\t', '\r']);
                if spaced {
                    return Err(format!("`{text}` is not a code"));
                }
                if let Some(binding) = binding
                    && binding.contains_code(&text) == Some(false)
                {
                    return Err(format!(
                        "`{text}` is not one of the codes of {}",
                        binding.value_set
                    ));
                }
                Ok(Node::Text(text.into_owned()))
            }
            Primitive::Uri
            | Primitive::Url
            | Primitive::Canonical
            | Primitive::Oid
            | Primitive::Uuid => match text.contains(char::is_whitespace) {
                true => Err(format!("`{text}` is no URI")),
                false => Ok(Node::Text(text.into_owned())),
            },
            Primitive::Base64Binary => Ok(Node::Text(super::native::base64(text.as_bytes()))),
            _ => Ok(Node::Text(text.into_owned())),
        }
    }

    fn date(
        &mut self,
        text: &str,
        primitive: Primitive,
        context: &Context<'m>,
    ) -> Result<Node, String> {
        let read = time::date_time(text, &self.site.zone)?;
        if let Some(note) = read.note {
            let place = self.place(context);
            self.note(place, note);
        }
        match primitive {
            Primitive::Date => Ok(Node::Text(read.date().to_owned())),
            Primitive::Instant if !read.is_instant() => Err(format!(
                "`{text}` has no time of day, which this element must have"
            )),
            _ if read.precision == Precision::Hour => Ok(Node::Text(read.text)),
            _ => Ok(Node::Text(read.text)),
        }
    }

    /// All text of a value, whatever delimiters stand in it: for text that senders do not escape.
    pub(super) fn whole(&self, part: Part<'m>) -> Cow<'m, str> {
        let delimiters = self.message.delimiters();
        let raw = part.value.raw();
        let marks = [Some(delimiters.component), delimiters.subcomponent];
        let divided = marks
            .iter()
            .flatten()
            .any(|mark| raw.as_bytes().contains(mark));
        if !divided {
            return part.text();
        }
        let mut whole = String::new();
        let mut number = 0;
        for component in raw.split(char::from(delimiters.component)) {
            number += 1;
            if number > 1 {
                whole.push(char::from(delimiters.component));
            }
            let component_part = match part.depth {
                0 => part.part(number),
                _ => part,
            };
            match delimiters.subcomponent {
                Some(mark) if component.as_bytes().contains(&mark) && part.depth < 2 => {
                    for (at, _) in component.split(char::from(mark)).enumerate() {
                        if at > 0 {
                            whole.push(char::from(mark));
                        }
                        whole.push_str(&component_part.part(at as u16 + 1).text());
                    }
                }
                _ => whole.push_str(&component_part.text()),
            }
        }
        trim(Cow::Owned(whole))
    }
}

/// A decimal as FHIR writes it, its digits kept: `+7.40` is `7.40`, `.5` is `0.5`.
pub fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all(whole) || !all(fraction) || whole.len() + fraction.len() == 0 || digits.len() > 40 {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let sign = if negative { "-" } else { "" };
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{dot}{fraction}"))
}
