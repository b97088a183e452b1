//! The demo hospital.

use std::io::{BufRead, BufReader};

use flate2::bufread::GzDecoder;
use resources::{Doc, model::ResourceType};

pub mod identity;
mod orders;

use super::StartError;
use crate::{
    access::Access,
    engine::{Engine, Operation, Target},
    store::Store,
};

/// One resource a line; `demo/generate.py` makes it.
static HOSPITAL: &[u8] = include_bytes!("../../demo/hospital.ndjson.gz");
pub(super) static ACCESS: Access = Access::system("the demo hospital is part of the program");
/// What the store remembers.
const LOADED: &str = "demo";
/// Resources of one commit.
const BATCH: usize = 500;

/// Loads the demo hospital, unless the store remembers that it was.
pub async fn load(engine: &Engine, store: &Store) -> Result<(), StartError> {
    if store.setting(LOADED).await?.is_some() {
        return Ok(());
    }
    let mut operations = Vec::with_capacity(BATCH);
    for line in BufReader::new(GzDecoder::new(HOSPITAL)).lines() {
        let line = line.map_err(|error| StartError::DemoRejected(error.to_string()))?;
        operations.push(put(line)?);
        if operations.len() == BATCH {
            engine
                .submit(std::mem::take(&mut operations), &ACCESS)
                .await?;
        }
    }
    engine.submit(operations, &ACCESS).await?;
    store.set_setting(LOADED, b"1").await?;
    store.optimize().await?;
    tracing::info!("loaded the demo hospital");
    Ok(())
}

fn put(line: String) -> Result<Operation, StartError> {
    let body = Doc::parse(line).map_err(|error| StartError::DemoRejected(error.to_string()))?;
    let kind = body.resource_type().and_then(ResourceType::from_name);
    let id = body.root().get("id").and_then(|id| id.plain_str());
    let (Some(kind), Some(id)) = (kind, id) else {
        return Err(StartError::DemoRejected(
            "a line has no type or id".to_owned(),
        ));
    };
    Ok(Operation::Update {
        kind,
        target: Target::Id(id.to_owned()),
        if_match: None,
        if_none_match_any: false,
        body,
    })
}
