//! `rotunda config`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, Settings, check};
use crate::{fetch::Fetcher, server};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check file, environment and flags, and say what is wrong
    Check(Settings),
    /// Print the configuration in force, without passwords
    Print(Settings),
}

pub fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(settings) => {
            let config = settings.load()?;
            check(&config)?;
            config.store_url()?;
            server::tls(&config)?;
            Fetcher::new(&config.fetch)?;
            for risk in server::risks(&config) {
                println!("warning: {risk}");
            }
            println!("the configuration is good");
        }
        Command::Print(settings) => print!("{}", settings.load()?.to_toml()),
    }
    Ok(ExitCode::SUCCESS)
}
