//! The members of a resource, to change some of them and leave the others as they came.

use resources::{Doc, Value, doc::write_json_string};

/// The members of an object in their order, each with its JSON.
#[derive(Debug, Clone, Default)]
pub struct Members(Vec<(String, String)>);

impl Members {
    /// Those of a document's root.
    pub fn of(doc: &Doc) -> Self {
        Self::of_value(doc.root())
    }

    /// Those of an object.
    pub fn of_value(value: Value<'_>) -> Self {
        let members = value.members();
        Self(
            members
                .map(|one| (one.name().to_owned(), one.raw().to_owned()))
                .collect(),
        )
    }

    /// The JSON of a member.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut members = self.0.iter();
        members
            .find(|(own, _)| own == name)
            .map(|(_, json)| json.as_str())
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Sets a member to a JSON value.
    pub fn set(&mut self, name: &str, json: impl Into<String>) -> &mut Self {
        let json = json.into();
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, value)) => *value = json,
            None => self.0.push((name.to_owned(), json)),
        }
        self
    }

    /// Sets a member to a text.
    pub fn set_text(&mut self, name: &str, text: &str) -> &mut Self {
        self.set(name, quoted(text))
    }

    /// Takes a member away, and what extends it.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.0
            .retain(|(own, _)| own != name && own.strip_prefix('_') != Some(name));
        self
    }

    /// Adds to a member that is a list.
    pub fn push(&mut self, name: &str, json: &str) -> &mut Self {
        let list = match self
            .get(name)
            .and_then(|list| list.trim().strip_suffix(']'))
        {
            Some(list) if list.trim() != "[" => format!("{list},{json}]"),
            _ => format!("[{json}]"),
        };
        self.set(name, list)
    }

    /// The object.
    pub fn text(&self) -> String {
        let mut out = String::from("{");
        for (at, (name, json)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_json_string(&mut out, name);
            out.push(':');
            out.push_str(json);
        }
        out.push('}');
        out
    }
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_json_string(&mut out, text);
    out
}
