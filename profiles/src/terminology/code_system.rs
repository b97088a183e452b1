//! Code systems: their concepts, and which subsumes which.

use std::collections::HashMap;

use resources::Value;

use super::compose::items;

/// The concepts of a CodeSystem resource.
pub(super) struct CodeSystem {
    concepts: Vec<Concept>,
    by_code: HashMap<String, usize>,
    /// All codes are listed, so others are not of this system.
    complete: bool,
}

#[derive(Default)]
struct Concept {
    code: String,
    parents: Vec<usize>,
    children: Vec<usize>,
    /// Property code and value as text.
    properties: Vec<(String, String)>,
}

impl CodeSystem {
    /// Reads a CodeSystem resource. A concept is below another if it is nested in it, or if a
    /// property `parent`, `subsumedBy` or `child` of either says so.
    pub fn read(resource: Value<'_>) -> Self {
        let content = resource
            .get("content")
            .and_then(|content| content.plain_str());
        let mut this = Self {
            concepts: Vec::new(),
            by_code: HashMap::new(),
            complete: content == Some("complete"),
        };
        let mut links = Vec::new();
        this.add(resource, None, &mut links);
        this.link_by_properties(&mut links);
        links.sort_unstable();
        links.dedup();
        for (parent, child) in links {
            if parent != child {
                this.concepts[parent].children.push(child);
                this.concepts[child].parents.push(parent);
            }
        }
        this
    }

    /// Adds the nested concepts, and each one's place with its parent's to `links`.
    fn add(&mut self, holder: Value<'_>, parent: Option<usize>, links: &mut Vec<(usize, usize)>) {
        for concept in items(holder, "concept") {
            let Some(code) = concept.get("code").and_then(|code| code.as_str()) else {
                continue;
            };
            let next = self.concepts.len();
            let at = *self
                .by_code
                .entry(code.clone().into_owned())
                .or_insert(next);
            if at == next {
                self.concepts.push(Concept {
                    code: code.into_owned(),
                    properties: properties(concept),
                    ..Concept::default()
                });
            }
            links.extend(parent.map(|parent| (parent, at)));
            self.add(concept, Some(at), links);
        }
    }

    fn link_by_properties(&self, links: &mut Vec<(usize, usize)>) {
        for (at, concept) in self.concepts.iter().enumerate() {
            for (property, value) in &concept.properties {
                let Some(other) = self.find(value) else {
                    continue;
                };
                match property.as_str() {
                    "parent" | "subsumedBy" => links.push((other, at)),
                    "child" => links.push((at, other)),
                    _ => {}
                }
            }
        }
    }

    /// Whether all codes of the system are here.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How much there is to look through: concepts, their properties and links.
    pub fn size(&self) -> usize {
        let of = |concept: &Concept| 1 + concept.properties.len() + 2 * concept.parents.len();
        self.concepts.iter().map(of).sum()
    }

    /// The place of a code.
    pub fn find(&self, code: &str) -> Option<usize> {
        self.by_code.get(code).copied()
    }

    /// The code at a place.
    pub fn code(&self, at: usize) -> &str {
        &self.concepts[at].code
    }

    /// All places.
    pub fn all(&self) -> std::ops::Range<usize> {
        0..self.concepts.len()
    }

    /// The concept and all below it.
    pub fn descendants(&self, at: usize) -> Vec<usize> {
        self.closure(at, |concept| &concept.children)
    }

    /// The concept and all above it.
    pub fn ancestors(&self, at: usize) -> Vec<usize> {
        self.closure(at, |concept| &concept.parents)
    }

    /// The values of a property of a concept, as text.
    pub fn property<'s>(&'s self, at: usize, property: &'s str) -> impl Iterator<Item = &'s str> {
        let concept = &self.concepts[at];
        let code = (property == "code").then_some(concept.code.as_str());
        let parents = concept.parents.iter().filter(move |_| property == "parent");
        let children = concept.children.iter().filter(move |_| property == "child");
        let others = concept.properties.iter().filter(move |(name, _)| {
            name == property && !matches!(property, "code" | "parent" | "child")
        });
        code.into_iter()
            .chain(parents.chain(children).map(|at| self.code(*at)))
            .chain(others.map(|(_, value)| value.as_str()))
    }

    fn closure(&self, start: usize, next: fn(&Concept) -> &Vec<usize>) -> Vec<usize> {
        let mut seen = vec![false; self.concepts.len()];
        seen[start] = true;
        let mut found = vec![start];
        let mut at = 0;
        while at < found.len() {
            for other in next(&self.concepts[found[at]]) {
                if !std::mem::replace(&mut seen[*other], true) {
                    found.push(*other);
                }
            }
            at += 1;
        }
        found
    }
}

fn properties(concept: Value<'_>) -> Vec<(String, String)> {
    let one = |property: Value<'_>| {
        let code = property.get("code")?.as_str()?.into_owned();
        let value = property
            .members()
            .find(|member| member.name().starts_with("value"))?;
        let value = value.get("code").unwrap_or(value);
        let text = match value.as_str() {
            Some(text) => text.into_owned(),
            None => value.raw().to_owned(),
        };
        Some((code, text))
    };
    items(concept, "property").filter_map(one).collect()
}
