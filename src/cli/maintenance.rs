//! `rotunda migrate`, `reindex` and `verify`.

use std::process::ExitCode;

use super::{Failure, Settings};
use crate::{
    config::without_password,
    engine::Engine,
    server::{self, Purpose},
    upkeep::{self, Rules},
};

pub async fn migrate(settings: Settings) -> Result<ExitCode, Failure> {
    let config = settings.begin()?;
    let store = server::open_store(&config).await?;
    store.close().await;
    println!(
        "{} has the schema of rotunda {}",
        without_password(&config.store_url()?),
        env!("CARGO_PKG_VERSION")
    );
    Ok(ExitCode::SUCCESS)
}

pub async fn reindex(settings: Settings) -> Result<ExitCode, Failure> {
    let config = settings.begin()?;
    let (store, engine) = server::open(&config, Purpose::Serve).await?;
    let mut told = 0;
    let looked = upkeep::reindex(
        &store,
        || rules(&engine),
        |looked| {
            if looked.resources >= told + 50_000 {
                told = looked.resources;
                eprintln!("{told} resources");
            }
        },
    )
    .await?;
    drop(engine);
    server::close(store).await;
    println!(
        "{} resources looked at, {} mended",
        looked.resources, looked.different
    );
    Ok(ExitCode::SUCCESS)
}

pub async fn verify(settings: Settings) -> Result<ExitCode, Failure> {
    let config = settings.begin()?;
    let (store, engine) = server::open(&config, Purpose::Serve).await?;
    let looked = upkeep::verify(&store, &rules(&engine), |sentence| println!("{sentence}")).await?;
    drop(engine);
    server::close(store).await;
    println!(
        "{} resources verified, {} differences",
        looked.resources, looked.different
    );
    Ok(if looked.different == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn rules(engine: &Engine) -> Rules<'_> {
    let (registry, generation) = engine.search_parameters();
    Rules {
        registry,
        generation,
        base_url: &engine.settings().base_url,
    }
}
