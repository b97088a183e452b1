//! The first computed resources: R4's own definitions, from the tables built into the program.

use bytes::Bytes;
use profiles::definitions::{self, Definition, LAST_UPDATED_MS};
use resources::{Doc, index::Registry, model::ResourceType};

use super::{computed::Provider, narrative, operation::Resource};
use crate::search::{matches::Words, memory::Item};

/// R4's definitions.
pub struct Definitions;

const KINDS: [ResourceType; 6] = [
    ResourceType::CODE_SYSTEM,
    ResourceType::COMPARTMENT_DEFINITION,
    ResourceType::OPERATION_DEFINITION,
    ResourceType::SEARCH_PARAMETER,
    ResourceType::STRUCTURE_DEFINITION,
    ResourceType::VALUE_SET,
];

impl Provider for Definitions {
    fn kinds(&self) -> &[ResourceType] {
        &KINDS
    }

    fn has(&self, kind: ResourceType, id: &str) -> bool {
        definitions::find(kind, id).is_some()
    }

    fn read(&self, kind: ResourceType, id: &str) -> Option<Resource> {
        let definition = definitions::find(kind, id)?;
        Some(Resource {
            kind,
            id: id.to_owned(),
            version: 1,
            updated: LAST_UPDATED_MS,
            body: Bytes::from(definitions::body(definition)),
        })
    }

    fn items(&self, kind: ResourceType, registry: &Registry, words: bool) -> Vec<Item> {
        // In the order in which they are stored, so that each block is decompressed once.
        definitions::of(kind)
            .iter()
            .filter_map(|definition| item(definition, registry, words))
            .collect()
    }
}

fn item(definition: &Definition, registry: &Registry, words: bool) -> Option<Item> {
    let doc = match Doc::parse(definitions::body(definition)) {
        Ok(doc) => doc,
        Err(error) => {
            tracing::error!(url = definition.url, %error, "a built-in definition is damaged");
            return None;
        }
    };
    Some(Item {
        kind: definition.kind,
        id: definition.id.to_owned(),
        updated: LAST_UPDATED_MS,
        entries: registry.extract(definition.kind, &doc, ""),
        text: words.then(|| {
            let texts = narrative::texts(&doc);
            Words::new(&texts.narrative, &texts.content)
        }),
    })
}
