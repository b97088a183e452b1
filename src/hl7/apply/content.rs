//! A resource while a message changes it: what is not touched stays byte for byte as it was
//! stored, so that no number loses a digit.

use resources::{Doc, doc::write_json_string};
use serde_json::{Map, Value as Json};

/// The members of a resource in their order.
#[derive(Debug, Clone, Default)]
pub struct Content {
    members: Vec<(String, Member)>,
    is_changed: bool,
}

#[derive(Debug, Clone)]
enum Member {
    /// As it is stored.
    Raw(String),
    /// As the message makes it.
    Tree(Json),
}

impl Member {
    fn json(&self) -> Json {
        match self {
            Self::Raw(text) => serde_json::from_str(text).unwrap_or(Json::Null),
            Self::Tree(json) => json.clone(),
        }
    }
}

impl Content {
    /// Of a stored text; `None` if it is no object.
    pub fn parse(text: &str) -> Option<Self> {
        let doc = Doc::parse(text).ok()?;
        let root = doc.root();
        if !root.is_object() {
            return None;
        }
        let members = root.members();
        let members = members.map(|one| (one.name().to_owned(), Member::Raw(one.raw().to_owned())));
        Some(Self {
            members: members.collect(),
            is_changed: false,
        })
    }

    /// Of a new resource.
    pub fn of(json: Json) -> Self {
        let members = match json {
            Json::Object(members) => members,
            _ => Map::new(),
        };
        let members = members.into_iter();
        Self {
            members: members
                .map(|(name, json)| (name, Member::Tree(json)))
                .collect(),
            is_changed: true,
        }
    }

    /// True if something is not as it was stored.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Names of the members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    fn find(&self, name: &str) -> Option<&Member> {
        let mut members = self.members.iter();
        members
            .find(|(own, _)| own == name)
            .map(|(_, member)| member)
    }

    /// True if there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A member.
    pub fn get(&self, name: &str) -> Option<Json> {
        self.find(name).map(Member::json)
    }

    /// A member that is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// A member that is a list; none if it is not there.
    pub fn list(&self, name: &str) -> Vec<Json> {
        match self.get(name) {
            Some(Json::Array(items)) => items,
            Some(Json::Null) | None => Vec::new(),
            Some(one) => vec![one],
        }
    }

    /// Sets a member, unless it is the same already.
    pub fn set(&mut self, name: &str, json: Json) {
        if is_nothing(&json) {
            return self.remove(name);
        }
        let mut members = self.members.iter_mut();
        match members.find(|(own, _)| own == name) {
            Some((_, member)) if member.json() == json => return,
            Some((_, member)) => *member = Member::Tree(json),
            None => self.members.push((name.to_owned(), Member::Tree(json))),
        }
        self.is_changed = true;
    }

    /// Takes a member away, and what extends it.
    pub fn remove(&mut self, name: &str) {
        let before = self.members.len();
        self.members
            .retain(|(own, _)| own != name && own.strip_prefix('_') != Some(name));
        self.is_changed |= self.members.len() != before;
    }

    /// Replaces a member by that of another version, or takes it away as that has none.
    pub fn take(&mut self, name: &str, from: &Self) {
        match from.get(name) {
            Some(json) => self.set(name, json),
            None => self.remove(name),
        }
    }

    /// Takes away what a path (`birthDate`, `name[0].given[1]`, `hospitalization.admitSource`)
    /// names.
    pub fn remove_path(&mut self, path: &str) {
        let (first, rest) = match path.find(['.', '[']) {
            Some(at) => path.split_at(at),
            None => (path, ""),
        };
        if rest.is_empty() {
            return self.remove(first);
        }
        let Some(mut json) = self.get(first) else {
            return;
        };
        remove_within(&mut json, rest);
        prune(&mut json);
        self.set(first, json);
    }

    /// The resource as JSON text, with this id; `meta.source` tells where this version is from.
    pub fn write(&self, id: &str, source: &str) -> String {
        let mut out = String::with_capacity(1_024);
        out.push('{');
        let mut put = |name: &str, value: &str| {
            if out.len() > 1 {
                out.push(',');
            }
            write_json_string(&mut out, name);
            out.push(':');
            out.push_str(value);
        };
        let kind = self.find("resourceType").map(Member::json);
        put("resourceType", &kind.unwrap_or_default().to_string());
        put("id", &Json::from(id).to_string());
        let mut meta = match self.get("meta") {
            Some(Json::Object(meta)) => meta,
            _ => Map::new(),
        };
        meta.insert("source".to_owned(), Json::from(source));
        put("meta", &Json::Object(meta).to_string());
        for (name, member) in &self.members {
            match (name.as_str(), member) {
                ("resourceType" | "id" | "meta", _) => {}
                (name, Member::Raw(text)) => put(name, text),
                (name, Member::Tree(json)) => put(name, &json.to_string()),
            }
        }
        out.push('}');
        out
    }

    /// All of it as JSON.
    pub fn json(&self) -> Json {
        let members = self.members.iter();
        Json::Object(
            members
                .map(|(name, one)| (name.clone(), one.json()))
                .collect(),
        )
    }

    /// Replaces every reference that `change` has another for.
    pub fn refer(&mut self, change: &dyn Fn(&str) -> Option<String>) {
        let mut changed = Vec::new();
        for (name, member) in &self.members {
            if let Member::Raw(text) = member
                && !text.contains("\"reference\"")
            {
                continue;
            }
            match member {
                Member::Raw(text) => {
                    if let Some(text) = referred_text(text, change) {
                        changed.push((name.clone(), Member::Raw(text)));
                    }
                }
                Member::Tree(json) => {
                    let mut json = json.clone();
                    if referred(&mut json, change) {
                        changed.push((name.clone(), Member::Tree(json)));
                    }
                }
            }
        }
        for (name, new) in changed {
            let mut members = self.members.iter_mut();
            if let Some((_, member)) = members.find(|(own, _)| *own == name) {
                *member = new;
                self.is_changed = true;
            }
        }
    }
}

/// A text in which references are replaced, the rest byte for byte; `None` if nothing is.
fn referred_text(text: &str, change: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let doc = Doc::parse(format!("{{\"x\":{text}}}")).ok()?;
    let mut edits = Vec::new();
    for value in doc.root().descendants() {
        if value.name() == "reference"
            && let Some(old) = value.as_str()
            && let Some(new) = change(&old)
        {
            edits.push((value.span(), Json::from(new).to_string()));
        }
    }
    if edits.is_empty() {
        return None;
    }
    let text = doc.splice(&edits);
    let inner = text.strip_prefix("{\"x\":")?.strip_suffix('}')?;
    Some(inner.to_owned())
}

/// Replaces references in a tree; true if there were any.
pub fn referred(json: &mut Json, change: &dyn Fn(&str) -> Option<String>) -> bool {
    match json {
        Json::Array(items) => {
            let mut any = false;
            for item in items {
                any |= referred(item, change);
            }
            any
        }
        Json::Object(members) => {
            let mut any = false;
            for (name, value) in members.iter_mut() {
                match value {
                    Json::String(text) if name == "reference" => {
                        if let Some(new) = change(text) {
                            *text = new;
                            any = true;
                        }
                    }
                    _ => any |= referred(value, change),
                }
            }
            any
        }
        _ => false,
    }
}

fn is_nothing(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn remove_within(json: &mut Json, path: &str) {
    let path = path.trim_start_matches('.');
    if let Some(rest) = path.strip_prefix('[') {
        let Some((index, rest)) = rest.split_once(']') else {
            return;
        };
        let (Ok(index), Json::Array(items)) = (index.parse::<usize>(), json) else {
            return;
        };
        match (rest, items.get_mut(index)) {
            (_, None) => {}
            ("", Some(_)) => drop(items.remove(index)),
            (rest, Some(item)) => remove_within(item, rest),
        }
        return;
    }
    let (name, rest) = match path.find(['.', '[']) {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    match (json, rest) {
        (Json::Object(members), "") => drop(members.remove(name)),
        (Json::Object(members), rest) => {
            if let Some(inner) = members.get_mut(name) {
                remove_within(inner, rest);
            }
        }
        // A path without an index is about all.
        (Json::Array(items), _) => items.iter_mut().for_each(|item| remove_within(item, path)),
        _ => {}
    }
}

/// Takes away what has become empty.
fn prune(json: &mut Json) {
    match json {
        Json::Array(items) => {
            items.iter_mut().for_each(prune);
            items.retain(|item| !is_nothing(item));
        }
        Json::Object(members) => {
            members.values_mut().for_each(prune);
            members.retain(|_, value| !is_nothing(value));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_touched_keeps_its_digits() {
        let text = r#"{"resourceType":"Observation","id":"1","valueQuantity":{"value":8.40},"subject":{"reference":"Patient/1"}}"#;
        let mut content = Content::parse(text).expect("an object");
        content.refer(&|old| (old == "Patient/1").then(|| "Patient/2".to_owned()));
        assert!(content.is_changed());
        let text = content.write("1", "urn:x");
        assert!(text.contains(r#""valueQuantity":{"value":8.40}"#), "{text}");
        assert!(text.contains(r#"{"reference":"Patient/2"}"#), "{text}");
    }

    #[test]
    fn the_same_again_is_no_change() {
        let mut content =
            Content::parse(r#"{"gender":"male","name":[{"family":"A"}]}"#).expect("an object");
        content.set("name", json!([{"family": "A"}]));
        content.set("gender", json!("male"));
        content.remove("birthDate");
        assert!(!content.is_changed());
        content.remove_path("name[0].family");
        assert!(!content.has("name"), "{content:?}");
    }
}
