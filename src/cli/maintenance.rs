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
    let store = server::open_store(&config, Purpose::Migrate).await?;
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
    let (store, engine) = server::open(&config, Purpose::Maintain).await?;
    let mut told = 0;
    let mended = upkeep::reindex(
        &store,
        || rules(&engine),
        |resources| {
            if resources >= told + 50_000 {
                told = resources;
                eprintln!("{told} resources");
            }
        },
    )
    .await?;
    let has_words = engine.rebuild_texts().await?;
    drop(engine);
    server::close(store).await;
    println!(
        "{} resources looked at, {} mended",
        mended.resources, mended.reindexed
    );
    for (count, what) in [
        (mended.strays, "index entries of no resource removed"),
        (mended.dates, "dates set as the texts say"),
    ] {
        if count > 0 {
            println!("{count} {what}");
        }
    }
    if has_words {
        println!("the words for full-text search made anew");
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn verify(settings: Settings) -> Result<ExitCode, Failure> {
    let config = settings.begin()?;
    let (store, engine) = server::open(&config, Purpose::Maintain).await?;
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
