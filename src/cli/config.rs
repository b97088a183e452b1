//! `rotunda config`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use mllp::map::{Overlay, Site};

use super::{Failure, Settings, check, hl7};
use crate::{config::Config, fetch::Fetcher, server};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check file, environment and flags, and say what is wrong
    Check(Check),
    /// Print the configuration in force, without passwords
    Print(Settings),
}

#[derive(Debug, Args)]
pub struct Check {
    /// A file with HL7 v2 messages: show what the overlays of channels change in their FHIR
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    /// Of this channel only
    #[arg(long, value_name = "NAME", requires = "sample")]
    channel: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

pub fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(arguments) => {
            let config = arguments.settings.load()?;
            check(&config)?;
            config.store_url()?;
            server::tls(&config)?;
            Fetcher::new(&config.fetch)?;
            overlays(&config, arguments)?;
            for risk in server::risks(&config) {
                println!("warning: {risk}");
            }
            println!("the configuration is good");
        }
        Command::Print(settings) => print!("{}", settings.load()?.to_toml()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the overlays of channels, and shows what they change in a sample.
fn overlays(config: &Config, arguments: &Check) -> Result<(), Failure> {
    let mut shown = 0;
    for channel in server::channels(config)? {
        let Some(text) = &channel.overlay else {
            continue;
        };
        let file = format!("the overlay of the channel {}", channel.name);
        let overlay = Overlay::parse(text).map_err(|problems| hl7::told(&file, &problems))?;
        let Some(sample) = &arguments.sample else {
            continue;
        };
        let wanted = arguments.channel.as_ref();
        if wanted.is_some_and(|wanted| *wanted != channel.name) {
            continue;
        }
        println!("channel {}:", channel.name);
        let site = Site {
            zone: channel.zone.clone(),
            authorities: channel.authorities.iter().cloned().collect(),
            default_system: None,
        };
        hl7::effect(&overlay, &site, sample)?;
        shown += 1;
    }
    if shown == 0 && arguments.sample.is_some() {
        println!("no channel has an overlay: the sample is mapped by HL7's tables alone");
    }
    Ok(())
}
