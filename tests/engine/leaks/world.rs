//! A world of two patients: for every type and parameter by which something belongs to a
//! patient a resource of each, with words that must not get out, and random references between
//! them.

use std::collections::HashMap;

use resources::{
    index::{Kind, Registry},
    model::{ResourceType, compartments, resource},
};

use crate::{fixture::*, minimal::minimal};

/// Stands in all that is B's, in many places, and as base64. It begins a word of its own wherever
/// it stands.
pub const CANARY: &str = "Bcanary";
/// The same for A's, to see that something is seen at all.
pub const OWN: &str = "Acanary";
const BASE64: [(&str, &str); 2] = [(CANARY, "QmNhbmFyeTAw"), (OWN, "QWNhbmFyeTAw")];

/// A resource of the world.
#[derive(Debug, Clone)]
pub struct Thing {
    pub kind: ResourceType,
    /// `a…` of A; `b…` of B, if only B's things refer to it; `w…` of B, if A's do, too.
    pub id: String,
    pub text: String,
}

impl Thing {
    pub fn is_of_b(&self) -> bool {
        !self.id.starts_with('a')
    }
}

/// Repeatable random numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % bound.max(1)
    }
}

pub fn leaked(text: &str) -> Option<&'static str> {
    [CANARY, BASE64[0].1]
        .into_iter()
        .find(|word| text.contains(word))
}

/// The parameters by which resources of a type belong to patients.
pub fn params_of(kind: ResourceType) -> Vec<&'static str> {
    match kind.name() {
        "Contract" | "Device" | "GuidanceResponse" | "Task" => vec!["patient"],
        _ => compartments::params(ResourceType::PATIENT, kind).to_vec(),
    }
}

/// All resources but the two Patients.
pub fn things(random: &mut Random) -> Vec<Thing> {
    let registry = Registry::builtin();
    let mut things = Vec::new();
    // AuditEvents are the server's own.
    let apart = ["AuditEvent", "Patient"];
    for kind in ResourceType::all().filter(|kind| !apart.contains(&kind.name())) {
        let params = params_of(kind);
        let params = params.iter().filter_map(|code| registry.param(kind, code));
        for param in params {
            for owner in ["a", "b", "w"] {
                let id = format!("{owner}{:03}", things.len());
                let patient = if owner == "a" { "a" } else { "b" };
                let text = minimal(kind, &id, &param.expression, patient);
                let word = if owner == "a" { OWN } else { CANARY };
                let text = marked(&text, kind, word);
                things.push(Thing { kind, id, text });
            }
        }
    }
    for (owner, context, word) in [("a", "a", OWN), ("b", "b", CANARY)] {
        let data = BASE64.iter().find(|(known, _)| *known == word).unwrap().1;
        things.push(Thing {
            kind: ResourceType::BINARY,
            id: format!("{owner}{:03}", things.len()),
            text: format!(
                r#"{{"resourceType":"Binary","id":"{owner}{:03}","contentType":"text/plain","securityContext":{{"reference":"Patient/{context}"}},"data":"{data}"}}"#,
                things.len()
            ),
        });
    }
    connect(&mut things, &registry, random);
    things
}

fn patient(id: &str, word: &str, links: &str) -> String {
    let text = format!(
        r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{word}00","given":["{word}00"]}}],"link":[{links}]}}"#
    );
    marked(&text, ResourceType::PATIENT, word)
}

/// The resource with the word in its narrative, notes, identifiers, tags and extensions.
fn marked(text: &str, kind: ResourceType, word: &str) -> String {
    let base64 = BASE64.iter().find(|(known, _)| *known == word).unwrap().1;
    let root = doc(text);
    let mut members = String::new();
    let mut add = |name: &str, value: String| {
        let element = resource(kind)
            .elements
            .iter()
            .find(|known| known.name == name);
        if let Some(element) = element.filter(|_| root.root().get(name).is_none()) {
            let value = if element.repeats() && !value.starts_with('[') {
                format!("[{value}]")
            } else {
                value
            };
            members.push_str(&format!(r#","{name}":{value}"#));
        }
    };
    add(
        "text",
        format!(
            r#"{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{word}00</div>"}}"#
        ),
    );
    add(
        "meta",
        format!(r#"{{"tag":[{{"system":"urn:canary","code":"{word}00"}}]}}"#),
    );
    add(
        "extension",
        format!(
            r#"[{{"url":"urn:x","valueString":"{word}00"}},{{"url":"urn:x","valueBase64Binary":"{base64}"}}]"#
        ),
    );
    add(
        "identifier",
        format!(r#"{{"system":"urn:canary","value":"{word}00"}}"#),
    );
    if resource(kind)
        .elements
        .iter()
        .any(|element| element.name == "note" && element.types[0].name == "Annotation")
    {
        add("note", format!(r#"{{"text":"{word}00"}}"#));
    }
    format!("{}{members}}}", &text[..text.len() - 1])
}

/// Adds references to each, where a parameter of the type finds them: what is A's refers to `a…`
/// and `w…`, what is B's to anything.
fn connect(things: &mut [Thing], registry: &Registry, random: &mut Random) {
    let mut by_kind: HashMap<ResourceType, Vec<String>> = HashMap::new();
    for thing in things.iter() {
        by_kind
            .entry(thing.kind)
            .or_default()
            .push(thing.id.clone());
    }
    for thing in things.iter_mut() {
        let params = registry
            .of(thing.kind)
            .filter(|param| param.kind == Kind::Reference);
        for param in params {
            let own = format!("{}.", thing.kind);
            let Some(name) = param.expression.strip_prefix(&own) else {
                continue;
            };
            let element = resource(thing.kind).elements.iter().find(|known| {
                known.name == name && !known.choice && known.types[0].name == "Reference"
            });
            let targets: Vec<&ResourceType> = (param.targets.iter())
                .filter(|kind| by_kind.contains_key(kind))
                .collect();
            let (Some(element), false) = (element, targets.is_empty()) else {
                continue;
            };
            if doc(&thing.text).root().get(name).is_some() || random.below(3) == 0 {
                continue;
            }
            let target = *targets[random.below(targets.len())];
            let ids: Vec<&String> = by_kind[&target]
                .iter()
                .filter(|id| thing.is_of_b() || !id.starts_with('b'))
                .collect();
            if ids.is_empty() {
                continue;
            }
            let value = format!(
                r#"{{"reference":"{target}/{}"}}"#,
                ids[random.below(ids.len())]
            );
            let value = if element.repeats() {
                format!("[{value}]")
            } else {
                value
            };
            thing.text = format!(
                "{},\"{name}\":{value}}}",
                &thing.text[..thing.text.len() - 1]
            );
        }
    }
}

/// Stores the world: what is moved from one patient to the other and what is deleted, too.
pub async fn store(f: &Fixture, things: &[Thing]) {
    f.put(&patient(
        "a",
        OWN,
        r#"{"other":{"reference":"RelatedPerson/none"},"type":"seealso"}"#,
    ))
    .await;
    f.put(&patient(
        "b",
        CANARY,
        r#"{"other":{"reference":"Patient/a"},"type":"seealso"}"#,
    ))
    .await;
    for some in things.chunks(100) {
        let writes = some.iter().map(|thing| put(&thing.text)).collect();
        f.engine.submit_as_is(writes, &ALL).await.unwrap();
    }
    let swap = |text: &str, from: &str, to: &str| {
        text.replace(&format!("\"Patient/{from}\""), &format!("\"Patient/{to}\""))
    };
    for (at, thing) in things.iter().enumerate().filter(|(at, _)| at % 7 == 3) {
        if thing.is_of_b() {
            // Was A's with B's words in it, and is B's again.
            f.put(&swap(&thing.text, "b", "a")).await;
            f.put(&thing.text).await;
        } else {
            // Was B's for a while.
            let foreign = swap(&thing.text, "a", "b").replace(OWN, CANARY);
            f.put(&foreign).await;
            f.put(&thing.text).await;
        }
        if at % 2 == 0 && thing.is_of_b() {
            let target = rotunda::engine::Target::Id(thing.id.clone());
            f.one(delete(thing.kind.name(), target)).await.unwrap();
        }
    }
}
