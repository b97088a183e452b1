//! `rotunda hl7 parse`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use mllp::{
    message::{Message, Reading},
    tree,
};

use super::{super::Failure, messages_of};

#[derive(Debug, Args)]
pub struct Arguments {
    /// A file with messages; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The character set of messages whose MSH-18 is empty
    #[arg(long, value_name = "NAME")]
    charset: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reading = reading(arguments.charset.as_deref())?;
    for (at, raw) in messages_of(&arguments.file)?.into_iter().enumerate() {
        if at > 0 {
            println!();
        }
        let message = Message::parse(raw, &reading);
        let message = message.map_err(|error| Failure(error.to_string()))?;
        print!("{}", tree::render(&message));
        for note in message.notes() {
            println!("note: {} {}", note.place, note.text);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How bytes are read if `charset` is what an empty MSH-18 means.
pub fn reading(charset: Option<&str>) -> Result<Reading, Failure> {
    let mut reading = Reading::default();
    if let Some(name) = charset {
        let found = mllp::charset::named_encoding(name);
        reading.charset = found.ok_or_else(|| {
            Failure(format!(
                "'{name}' is no character set that is known; names are like 8859/1"
            ))
        })?;
    }
    Ok(reading)
}
