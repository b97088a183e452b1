//! A resource while it is made.

use resources::model::ResourceType;
use serde_json::{Map, Value as Json};

use super::plan::{Name, Plan, Step};

/// An element.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// With members.
    Object(Object),
    /// Several, each under a key that tells them apart while they are made.
    List(Vec<(u64, Node)>),
    /// A string.
    Text(String),
    /// A text that becomes base64 at the end.
    Document(String),
    /// A number, as its digits.
    Number(String),
    /// A boolean.
    Boolean(bool),
    /// A reference to a resource of the same message.
    Link(usize),
    /// Nothing yet.
    Empty,
}

/// Members in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object(pub Vec<(Name, Node)>);

/// A resource while it is made.
#[derive(Debug, Clone)]
pub struct Building {
    /// Its type.
    pub kind: ResourceType,
    /// Its elements.
    pub root: Object,
    /// How the tables call it.
    pub role: String,
    /// The segment that made it.
    pub segment: usize,
    /// Came of a value (a Practitioner of PV1-7), not of a segment.
    pub of_value: bool,
    /// The position of the structure that made it.
    pub position: usize,
    /// The group that it was made in.
    pub instance: usize,
    /// It lacks what a resource of its type must have.
    pub dropped: bool,
    /// Where `""` stood.
    pub nulls: Vec<String>,
    /// Which other took its place, if it says the same; itself if none.
    pub merged: usize,
}

impl Object {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A member.
    pub fn get(&self, name: Name) -> Option<&Node> {
        self.0
            .iter()
            .find_map(|(known, node)| (*known == name).then_some(node))
    }

    /// A member, made if it is not there.
    pub fn slot(&mut self, name: Name) -> &mut Node {
        let at = match self.0.iter().position(|(known, _)| *known == name) {
            Some(at) => at,
            None => {
                self.0.push((name, Node::Empty));
                self.0.len() - 1
            }
        };
        &mut self.0[at].1
    }

    /// What a path leads to, if it is there. `key` makes the key of an item from a step and
    /// whether it is the first list of the path.
    pub fn find(&self, steps: &[Step], key: &Keys) -> Option<&Node> {
        let mut keys = *key;
        let (first, rest) = steps.split_first()?;
        let mut node = keys.enter(self.get(first.name)?, first)?;
        for step in rest {
            let Node::Object(object) = node else {
                return None;
            };
            node = keys.enter(object.get(step.name)?, step)?;
        }
        Some(node)
    }

    /// What a path leads to, made if it is not there; `None` if something else stands in its way.
    pub fn make(&mut self, steps: &[Step], key: &mut Keys) -> Option<&mut Node> {
        let mut object = self;
        let (last, before) = steps.split_last()?;
        for step in before {
            let node = key.enter_mut(object.slot(step.name), step);
            if *node == Node::Empty {
                *node = Node::Object(Object::default());
            }
            object = match node {
                Node::Object(inner) => inner,
                _ => return None,
            };
        }
        Some(key.enter_mut(object.slot(last.name), last))
    }

    /// Takes what another has and this has not.
    pub fn merge(&mut self, other: Object) {
        for (name, node) in other.0 {
            match (self.slot(name), node) {
                (slot @ Node::Empty, node) => *slot = node,
                (Node::Object(mine), Node::Object(theirs)) => mine.merge(theirs),
                _ => {}
            }
        }
    }
}

/// Tells the items of lists apart: by index, and the first list of a path by segment and
/// repetition too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys {
    /// Of the first list.
    pub first: u64,
    /// Whether the first list was passed.
    pub passed: bool,
}

impl Keys {
    /// For a repetition of a field of a segment, and an index of the data type's table.
    pub fn of(segment: usize, repetition: usize, item: u8) -> Self {
        Self {
            first: (segment as u64) << 40
                | (repetition as u64 & 0xffff) << 16
                | u64::from(item) << 8,
            passed: false,
        }
    }

    fn key(&mut self, step: &Step) -> u64 {
        let index = u64::from(step.index);
        match (step.shared, self.passed) {
            (true, _) => index | 1 << 63,
            (false, true) => index,
            (false, false) => {
                self.passed = true;
                self.first | index
            }
        }
    }

    fn enter<'n>(&mut self, node: &'n Node, step: &Step) -> Option<&'n Node> {
        match node {
            Node::List(items) if step.list => {
                let key = self.key(step);
                items
                    .iter()
                    .find_map(|(known, item)| (*known == key).then_some(item))
            }
            _ => Some(node),
        }
    }

    fn enter_mut<'n>(&mut self, node: &'n mut Node, step: &Step) -> &'n mut Node {
        if !step.list {
            return node;
        }
        if *node == Node::Empty {
            *node = Node::List(Vec::new());
        }
        let key = self.key(step);
        let Node::List(items) = node else {
            return node;
        };
        let at = match items.iter().position(|(known, _)| *known == key) {
            Some(at) => at,
            None => {
                items.push((key, Node::Empty));
                items.len() - 1
            }
        };
        &mut items[at].1
    }
}

/// Writes JSON. `places` says for each resource being made where it is in the result, if it is.
pub fn json(node: Node, plan: &Plan, places: &dyn Fn(usize) -> Option<usize>) -> Option<Json> {
    match node {
        Node::Object(object) => {
            let map = members(object, plan, places);
            (!map.is_empty()).then_some(Json::Object(map))
        }
        Node::List(items) => {
            let items: Vec<Json> = items
                .into_iter()
                .filter_map(|(_, item)| json(item, plan, places))
                .collect();
            (!items.is_empty()).then_some(Json::Array(items))
        }
        Node::Text(text) => Some(Json::String(printable(text))),
        Node::Document(text) => Some(Json::String(super::native::base64(text.as_bytes()))),
        Node::Number(digits) => serde_json::from_str(&digits).ok(),
        Node::Boolean(is) => Some(Json::Bool(is)),
        Node::Link(at) => {
            let mut map = Map::new();
            map.insert(
                "reference".to_owned(),
                Json::String(format!("#{}", places(at)?)),
            );
            Some(Json::Object(map))
        }
        Node::Empty => None,
    }
}

/// A text without the control characters that FHIR does not allow.
fn printable(text: String) -> String {
    let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    match text.bytes().any(is_control) {
        false => text,
        true => text
            .chars()
            .filter(|character| !u8::try_from(*character).is_ok_and(is_control))
            .collect(),
    }
}

/// The members of an object, as JSON.
pub fn members(
    object: Object,
    plan: &Plan,
    places: &dyn Fn(usize) -> Option<usize>,
) -> Map<String, Json> {
    let mut map = Map::new();
    for (name, node) in object.0 {
        if let Some(value) = json(node, plan, places) {
            let name = plan.names[name as usize].to_string();
            match (map.get_mut(&name), value) {
                (None, value) => {
                    map.insert(name, value);
                }
                (Some(_), _) => {}
            }
        }
    }
    map
}
