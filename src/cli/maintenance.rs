//! `rotunda migrate`, `reindex` and `verify`.

use std::process::ExitCode;

use clap::Args;

use super::{Failure, Settings};
use crate::{
    audit::{self, AnchorSigner},
    config::{Config, without_password},
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

#[derive(Debug, Args)]
pub struct Verify {
    /// Check the audit instead: every row against its seal, every seal against the one before it,
    /// the newest against the signed anchors
    #[arg(long)]
    audit: bool,
    /// Check bookings instead: what all Appointments and Slots claim, derived anew, against what
    /// is claimed
    #[arg(long, conflicts_with = "audit")]
    schedule: bool,
    #[command(flatten)]
    settings: Settings,
}

pub async fn verify(arguments: Verify) -> Result<ExitCode, Failure> {
    let config = arguments.settings.begin()?;
    if arguments.audit {
        return verify_audit(&config).await;
    }
    if arguments.schedule {
        return verify_schedule(&config).await;
    }
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

/// Looks through the audit. Anchors that are not there are a difference as soon as there is
/// anything that they would be of.
async fn verify_audit(config: &Config) -> Result<ExitCode, Failure> {
    let url = config.store_url()?;
    let (file, key) = (config.audit.anchors(&url), config.audit.anchor_key(&url));
    let store = server::open_store(config, Purpose::Maintain).await?;
    let mut missing = 0;
    let signer = match file.exists() {
        true => Some(AnchorSigner::open(&key)?),
        false => None,
    };
    if signer.is_none() && store.last_audit_seal().await?.is_some() {
        println!(
            "there are no anchors at {}: whether newer rows were cut off cannot be told",
            file.display()
        );
        missing = 1;
    }
    let anchors = signer.as_ref().map(|signer| (file.as_path(), signer));
    let verified = audit::verify(&store, anchors, |sentence| println!("{sentence}")).await?;
    store.close().await;
    let different = verified.different + missing;
    println!(
        "{} rows of the audit verified ({} not sealed yet) with {} anchors, {different} differences",
        verified.rows, verified.unsealed, verified.anchors
    );
    Ok(if different == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Compares Appointments and Slots with the time that they claim.
async fn verify_schedule(config: &Config) -> Result<ExitCode, Failure> {
    let (store, engine) = server::open(config, Purpose::Maintain).await?;
    let verified = engine
        .verify_schedule(|sentence| println!("{sentence}"))
        .await;
    drop(engine);
    server::close(store).await;
    let verified = verified.map_err(server::StartError::from)?;
    println!(
        "{} Appointments and Slots verified with {} claims, {} differences",
        verified.resources, verified.claims, verified.different
    );
    Ok(if verified.different == 0 {
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
