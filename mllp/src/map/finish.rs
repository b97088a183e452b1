//! From what is made to resources that R4 accepts: required elements, doubles, JSON.

use std::collections::HashMap;

use resources::model::{self, TypeDef};
use serde_json::Value as Json;

use super::{
    Field, Made, Mapped, names,
    plan::address,
    run::Run,
    tree::{self, Node, Object},
};

/// Where a required element is that nobody gave: what an element is told by.
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

impl<'m> Run<'m> {
    /// What came of the message.
    pub(super) fn finish(mut self) -> Mapped {
        self.event_status();
        loop {
            let mut dropped = false;
            for at in 0..self.out.len() {
                if self.out[at].dropped {
                    continue;
                }
                let mut root = std::mem::take(&mut self.out[at].root);
                let ty = model::resource(self.out[at].kind);
                let mut missing = Vec::new();
                let complete = self.complete(&mut root, ty, &mut missing, 0);
                // A resource that says nothing of its own is none.
                let is_empty = root.is_empty();
                self.out[at].root = root;
                if !complete || is_empty {
                    self.out[at].dropped = true;
                    dropped = true;
                    if !is_empty {
                        let place = self.out[at].role.clone();
                        let text = format!("is left out: it has no {}", missing.join(", "));
                        self.note(place, text);
                    }
                }
            }
            if !dropped {
                break;
            }
        }
        self.merge();
        self.fields_and_resources()
    }

    /// Fills what is required, and takes out what lacks it; `false` if the object itself must go.
    fn complete(
        &self,
        object: &mut Object,
        ty: &'static TypeDef,
        missing: &mut Vec<String>,
        depth: usize,
    ) -> bool {
        if depth > 24 {
            return false;
        }
        let plan = self.plan;
        let address = address(ty);
        // What is there, as bits; of a choice of types the first that came stays.
        let mut has = 0u128;
        object.0.retain_mut(|(name, node)| {
            let Some(member) = plan.members.get(&(address, *name)) else {
                return false;
            };
            let bit = 1u128 << member.at;
            if member.choice && !member.beside && has & bit != 0 {
                return false;
            }
            let stays = self.keep(node, member.ty, depth);
            if stays {
                has |= bit;
            }
            stays
        });
        let lacking = ty.required & !has;
        if lacking != 0 {
            for (at, element) in ty.elements.iter().enumerate() {
                if lacking & 1 << at == 0 {
                    continue;
                }
                let key = format!("{}.{}", ty.name, element.name);
                let Some(value) = plan.defaults.get(&*key) else {
                    missing.push(key);
                    return false;
                };
                if !self.default(object, value, element.repeats(), element.name) {
                    missing.push(key);
                    return false;
                }
            }
        }
        // A unit alone is no amount.
        if matches!(ty.name, "Quantity" | "Duration" | "Money") && depth > 0 {
            let value = object.get(names::VALUE).is_some();
            let has_extension = object.get(names::EXTENSION).is_some();
            return value || has_extension;
        }
        if ty.name == "Extension" {
            let has = |name: &str| {
                object
                    .0
                    .iter()
                    .any(|(known, _)| plan.names[*known as usize].starts_with(name))
            };
            return has("value") || has("extension");
        }
        !object.is_empty()
    }

    fn keep(&self, node: &mut Node, ty: &'static TypeDef, depth: usize) -> bool {
        match node {
            Node::Object(object) => self.complete(object, ty, &mut Vec::new(), depth + 1),
            Node::List(items) => {
                items.retain_mut(|(_, item)| self.keep(item, ty, depth));
                !items.is_empty()
            }
            Node::Link(at) => !self.out[self.end(*at)].dropped,
            Node::Text(text) | Node::Document(text) => !text.is_empty(),
            Node::Number(_) | Node::Boolean(_) => true,
            Node::Empty => false,
        }
    }

    /// A value by default: a code, or `absent`, or a system and code.
    fn default(&self, object: &mut Object, value: &str, list: bool, element: &str) -> bool {
        let name = |text: &str| {
            let found = self.plan.names.iter().position(|one| **one == *text);
            found.map(|at| at as super::plan::Name)
        };
        let (target, value) = value.split_once('=').unwrap_or((element, value));
        let Some(target) = name(target) else {
            return false;
        };
        let text = |text: &str| Node::Text(text.to_owned());
        let node = match value.split_once('|') {
            _ if value.ends_with("absent") => {
                let Some(code) = name("valueCode") else {
                    return false;
                };
                let reason = Object(vec![(names::URL, text(ABSENT)), (code, text("unknown"))]);
                let list = Node::List(vec![(0, Node::Object(reason))]);
                let absent = Node::Object(Object(vec![(names::EXTENSION, list)]));
                match value.split_once('.').and_then(|(inner, _)| name(inner)) {
                    Some(inner) => Node::Object(Object(vec![(inner, absent)])),
                    None => absent,
                }
            }
            Some((system, code)) => {
                let coding = Object(vec![
                    (names::SYSTEM, text(system)),
                    (names::CODE, text(code)),
                ]);
                let list = Node::List(vec![(0, Node::Object(coding))]);
                Node::Object(Object(vec![(names::CODING, list)]))
            }
            None => match value {
                "true" => Node::Boolean(true),
                "false" => Node::Boolean(false),
                _ => text(value),
            },
        };
        let node = if list {
            Node::List(vec![(0, node)])
        } else {
            node
        };
        object.0.push((target, node));
        true
    }

    /// What a resource was merged into.
    fn end(&self, at: usize) -> usize {
        let mut at = at;
        while self.out[at].merged != at {
            at = self.out[at].merged;
        }
        at
    }

    /// Practitioners, Organizations and the like that are the same.
    fn merge(&mut self) {
        let mut known: HashMap<(i64, String), usize> = HashMap::new();
        for at in 0..self.out.len() {
            let one = &self.out[at];
            if one.dropped || !one.of_value {
                continue;
            }
            let key = (one.kind.number(), identity(&one.root));
            match known.get(&key) {
                Some(first) => {
                    let first = *first;
                    let root = std::mem::take(&mut self.out[at].root);
                    self.out[at].merged = first;
                    let mine = &mut self.out[first].root;
                    for (name, node) in root.0 {
                        let slot = mine.slot(name);
                        if *slot == Node::Empty {
                            *slot = node;
                        }
                    }
                }
                None => {
                    known.insert(key, at);
                }
            }
        }
    }

    fn fields_and_resources(mut self) -> Mapped {
        let mut order: Vec<usize> = (0..self.out.len())
            .filter(|at| !self.out[*at].dropped && self.out[*at].merged == *at)
            .collect();
        order.sort_by_key(|at| (self.out[*at].segment, *at));
        let mut places = vec![None; self.out.len()];
        for (place, at) in order.iter().enumerate() {
            places[*at] = Some(place);
        }
        let ends: Vec<Option<usize>> = (0..self.out.len()).map(|at| places[self.end(at)]).collect();
        let is_dropped: Vec<bool> = self.out.iter().map(|one| one.dropped).collect();
        let fields = self.fields(&is_dropped);
        let mut resources = Vec::with_capacity(order.len());
        for at in order {
            let one = &mut self.out[at];
            let root = std::mem::take(&mut one.root);
            let mut map = tree::members(root, self.plan, &|at| ends.get(at).copied().flatten());
            let kind = Json::String(one.kind.name().to_owned());
            map.insert("resourceType".to_owned(), kind);
            resources.push(Made {
                json: Json::Object(map),
                segment: one.segment,
                role: std::mem::take(&mut one.role),
                nulls: std::mem::take(&mut one.nulls),
            });
        }
        Mapped {
            resources,
            fields,
            notes: self.notes,
        }
    }

    fn fields(&self, is_dropped: &[bool]) -> Vec<Field> {
        let mut reached: Vec<_> = self
            .reached
            .iter()
            .filter(|(_, _, _, resource)| !is_dropped[*resource])
            .collect();
        reached.sort_by_key(|(segment, field, _, _)| (*segment, *field));
        let mut fields = Vec::new();
        for segment in self.message.segments() {
            let name = segment.name();
            let first = if segment.at() == 0 { 3 } else { 1 };
            for number in first..=segment.fields() {
                let value = segment.field(number);
                if value.is_empty() {
                    continue;
                }
                let key = (segment.at(), number as u16);
                let from = reached.partition_point(|(at, field, _, _)| (*at, *field) < key);
                let of_it = reached[from..]
                    .iter()
                    .take_while(|(at, field, _, _)| (*at, *field) == key);
                let mut paths: Vec<String> = Vec::new();
                for (_, _, path, _) in of_it {
                    if !paths.iter().any(|known| known == path) {
                        paths.push((*path).to_owned());
                    }
                }
                fields.push(Field {
                    segment: segment.at(),
                    name: format!("{name}-{number}"),
                    reached: paths,
                });
            }
        }
        fields
    }

    /// What the message's event says of statuses that no field says.
    fn event_status(&mut self) {
        let _ = &self.event;
    }
}

/// What tells two resources of values apart: the first identifier, else all of it.
fn identity(root: &Object) -> String {
    if let Some(Node::List(items)) = root.get(names::IDENTIFIER)
        && let Some((_, Node::Object(first))) = items.first()
        && let Some(Node::Text(value)) = first.get(names::VALUE)
    {
        let system = match first.get(names::SYSTEM) {
            Some(Node::Text(system)) => system.as_str(),
            _ => "",
        };
        return format!("{system}|{value}");
    }
    format!("{root:?}")
}
